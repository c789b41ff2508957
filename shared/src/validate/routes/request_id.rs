//! The field of request ids, if the settings give it another name: no rule may touch it, as none may touch the usual one.

use std::collections::BTreeMap;

use crate::{
    Findings,
    config::{Action, Fallback, HeaderRules, RequestId, Respond, Route},
    document::escape,
    value::{FieldName, Template},
};

pub(in crate::validate) fn check(routes: &[Route], header: &FieldName, findings: &mut Findings) {
    if header.as_str() == RequestId::HEADER {
        return;
    }
    for (index, route) in routes.iter().enumerate() {
        let mut found = Vec::new();
        for (message, rules) in
            [("request_headers", &route.request_headers), ("response_headers", &route.response_headers.rules())]
        {
            // Every field is named, so that a new one is not forgotten here.
            let HeaderRules { remove, set, default, add } = rules;
            let removed = remove.iter().position(|name| name == header);
            found.extend(removed.map(|at| format!("{message}/remove/{at}")));
            for (kind, values) in [("set", set), ("default", default), ("add", add)] {
                found.extend(named(values, header, &format!("{message}/{kind}")));
            }
        }
        if let Action::Respond(Respond { headers, .. }) = &route.action {
            found.extend(named(headers, header, "action/respond/headers"));
        }
        if let Some(Fallback::Respond(Respond { headers, .. })) = &route.fallback {
            found.extend(named(headers, header, "fallback/respond/headers"));
        }
        for place in found {
            findings.error(
                format!("/routes/{index}/{place}"),
                format!(
                    "the header field \"{header}\" is written by the proxy from the request's id, as request_id in the \
                     settings says: choose another name here"
                ),
            );
        }
    }
}

fn named(values: &BTreeMap<FieldName, Template>, header: &FieldName, place: &str) -> Option<String> {
    values.contains_key(header).then(|| format!("{place}/{}", escape(header.as_str())))
}
