//! What error answers look like.

use std::collections::BTreeMap;

use super::{at_most, limits};
use crate::{
    Findings,
    config::{ErrorFormat, ErrorPage},
    document::escape,
    value::{BodyPart, BodyTemplate, ErrorSelector},
};

pub(super) fn check(pages: &BTreeMap<ErrorSelector, ErrorPage>, pointer: &str, findings: &mut Findings) {
    at_most(limits::ERROR_PAGES, pages.len(), pointer, findings);
    for (selector, page) in pages {
        let pointer = format!("{pointer}/{}", escape(&selector.to_string()));
        if *page == ErrorPage::default() {
            findings.warning(&pointer, "never acts: it has no body in any format");
        }
        for (format, name) in [(ErrorFormat::Json, "json"), (ErrorFormat::Problem, "problem")] {
            let Some(body) = page.body(format) else { continue };
            if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(&sample(body)) {
                findings.error(
                    format!("{pointer}/{name}"),
                    format!(
                        "is no JSON once its variables are filled in, with quotes around all but {{status}}: {error}"
                    ),
                );
            }
        }
    }
}

/// What `body` may look like.
fn sample(body: &BodyTemplate) -> String {
    let parts = body.parts().iter().map(|part| match part {
        BodyPart::Text(text) => text,
        BodyPart::Status => "503",
        BodyPart::Reason => "no_backend",
        BodyPart::RequestId => "0198c0de-0000-7000-8000-000000000000",
    });
    parts.collect()
}
