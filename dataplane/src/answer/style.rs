use std::{collections::BTreeMap, sync::Arc};

use shared::{
    config::{ErrorFormat, ErrorPage, ErrorPages, RouteErrors, Settings},
    value::{BodyPart, BodyTemplate, ErrorSelector, ServerHeader},
};

use crate::error::Reason;

/// What the proxy's own answers look like.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct AnswerStyle {
    /// What a client gets that says nothing about it.
    pub(super) default_format: ErrorFormat,
    /// What the `Server` field says.
    pub(super) server: ServerHeader,
    /// Bodies for errors, those for reasons and then those for the fewest statuses first.
    pages: Box<[(ErrorSelector, ErrorPage)]>,
    /// Where further ones are looked for.
    otherwise: Option<Arc<Self>>,
}

/// What is known of an error.
pub(super) struct Error<'a> {
    pub(super) reason: Reason,
    pub(super) status: u16,
    pub(super) phrase: &'a str,
    pub(super) request_id: &'a str,
}

impl AnswerStyle {
    /// What `settings` say.
    pub(crate) fn of_settings(settings: &Settings) -> Self {
        let ErrorPages { default_format, pages } = &settings.errors;
        Self {
            default_format: *default_format,
            server: settings.server_header.clone(),
            pages: sorted(pages),
            otherwise: None,
        }
    }

    /// What a route says, and `settings` where it says nothing.
    pub(crate) fn of_route(errors: &RouteErrors, settings: &Arc<Self>) -> Arc<Self> {
        // What becomes of the answers of backends is not about the looks.
        let RouteErrors { replace_backend: _, default_format, pages } = errors;
        if default_format.is_none() && pages.is_empty() {
            return Arc::clone(settings);
        }
        Arc::new(Self {
            default_format: default_format.unwrap_or(settings.default_format),
            server: settings.server.clone(),
            pages: sorted(pages),
            otherwise: Some(Arc::clone(settings)),
        })
    }

    /// The body of the answer to `error`, and its type.
    pub(super) fn body(&self, format: ErrorFormat, error: &Error<'_>) -> (Vec<u8>, &'static str) {
        let body = match self.page(format, error) {
            Some(page) => fill(page, format, error),
            None => built_in(format, error),
        };
        let kind = match format {
            ErrorFormat::Text => super::TEXT,
            ErrorFormat::Html => "text/html; charset=utf-8",
            ErrorFormat::Json => "application/json",
            ErrorFormat::Problem => "application/problem+json",
        };
        (body.into_bytes(), kind)
    }

    fn page(&self, format: ErrorFormat, error: &Error<'_>) -> Option<&BodyTemplate> {
        let is_for = |selector: &ErrorSelector| match selector {
            ErrorSelector::Reason(word) => **word == *error.reason.word(),
            ErrorSelector::Status(range) => range.contains(error.status),
        };
        let own = self.pages.iter().filter(|(selector, _)| is_for(selector)).find_map(|(_, page)| page.body(format));
        own.or_else(|| self.otherwise.as_ref()?.page(format, error))
    }
}

fn sorted(pages: &BTreeMap<ErrorSelector, ErrorPage>) -> Box<[(ErrorSelector, ErrorPage)]> {
    let mut pages: Vec<_> = pages.iter().map(|(selector, page)| (selector.clone(), page.clone())).collect();
    // A stable sort: ranges of the same width stay in their order.
    pages.sort_by_key(|(selector, _)| match selector {
        ErrorSelector::Reason(_) => 0,
        ErrorSelector::Status(range) => range.count(),
    });
    pages.into()
}

fn fill(body: &BodyTemplate, format: ErrorFormat, error: &Error<'_>) -> String {
    let mut text = String::new();
    for part in body.parts() {
        match part {
            BodyPart::Text(literal) => text.push_str(literal),
            BodyPart::Status => text.push_str(&error.status.to_string()),
            BodyPart::Reason => text.push_str(error.reason.word()),
            BodyPart::RequestId => escape(&mut text, format, error.request_id),
        }
    }
    text
}

fn built_in(format: ErrorFormat, error: &Error<'_>) -> String {
    let Error { reason, status, phrase, request_id } = error;
    let (word, sentence) = (reason.word(), reason.sentence());
    let mut id = String::new();
    escape(&mut id, format, request_id);
    match format {
        ErrorFormat::Text => format!("{status} {word}\n{sentence}\nrequest id: {id}\n"),
        ErrorFormat::Html => format!(
            "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>{status} {phrase}</title></head>\n\
             <body>\n<h1>{status} {phrase}</h1>\n<p>{sentence}</p>\n<p><small>{word}, request id: {id}</small></p>\n\
             </body>\n</html>\n"
        ),
        ErrorFormat::Json => format!(
            "{{\"status\":{status},\"reason\":\"{word}\",\"message\":\"{sentence}\",\"request_id\":\"{id}\"}}\n"
        ),
        // Without a type it is `about:blank`, whose title is the status's phrase (RFC 9457 §4.2.1).
        ErrorFormat::Problem => format!(
            "{{\"title\":\"{phrase}\",\"status\":{status},\"detail\":\"{sentence}\",\"reason\":\"{word}\",\
             \"request_id\":\"{id}\"}}\n"
        ),
    }
}

/// Writes `value`, which may be what a client sent, as text of the format.
fn escape(out: &mut String, format: ErrorFormat, value: &str) {
    for char in value.chars() {
        match (format, char) {
            (_, char) if char.is_control() => {}
            (ErrorFormat::Html, '&') => out.push_str("&amp;"),
            (ErrorFormat::Html, '<') => out.push_str("&lt;"),
            (ErrorFormat::Html, '>') => out.push_str("&gt;"),
            (ErrorFormat::Html, '"') => out.push_str("&quot;"),
            (ErrorFormat::Html, '\'') => out.push_str("&#39;"),
            (ErrorFormat::Json | ErrorFormat::Problem, '"' | '\\') => out.extend(['\\', char]),
            (_, char) => out.push(char),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn settings(errors: Value) -> Arc<AnswerStyle> {
        let settings: Settings = serde_json::from_value(json!({ "errors": errors })).unwrap();
        Arc::new(AnswerStyle::of_settings(&settings))
    }

    fn body(style: &AnswerStyle, format: ErrorFormat, reason: Reason) -> String {
        let error = Error { reason, status: reason.status(), phrase: "Phrase", request_id: "a<b>&\"c'\\d\n" };
        String::from_utf8(style.body(format, &error).0).unwrap()
    }

    #[test]
    fn variables_are_escaped_for_the_format() {
        let style = AnswerStyle::default();
        for format in [ErrorFormat::Json, ErrorFormat::Problem] {
            let value: Value = serde_json::from_str(&body(&style, format, Reason::NoRoute)).unwrap();
            assert_eq!((&value["status"], &value["reason"]), (&json!(404), &json!("no_route")));
            assert_eq!(value["request_id"], "a<b>&\"c'\\d");
        }
        let html = body(&style, ErrorFormat::Html, Reason::NoRoute);
        assert!(html.contains("request id: a&lt;b&gt;&amp;&quot;c&#39;\\d<"), "{html}");
        let pages = json!({ "no_route": { "html": "<i>{request_id}</i>", "json": "[\"{request_id}\"]" } });
        let own = settings(json!({ "pages": pages }));
        assert_eq!(body(&own, ErrorFormat::Html, Reason::NoRoute), "<i>a&lt;b&gt;&amp;&quot;c&#39;\\d</i>");
        assert_eq!(body(&own, ErrorFormat::Json, Reason::NoRoute), r#"["a<b>&\"c'\\d"]"#);
    }

    #[test]
    fn the_nearest_page_wins_for_each_format() {
        let page = |text: &str| json!({ "text": text });
        let settings = settings(json!({ "pages": {
            "400-599": { "text": "any {status} {reason}", "html": "any" },
            "500-599": page("5xx"),
            "503": page("503"),
            "no_backend": page("no backend"),
        } }));
        let errors = json!({
            "default_format": "json",
            "pages": { "503": page("route's"), "connect_failed": { "html": "route's" } },
        });
        let route = AnswerStyle::of_route(&serde_json::from_value(errors).unwrap(), &settings);
        for (style, reason, text, html) in [
            (&settings, Reason::NoRoute, "any 404 no_route", "any"),
            (&settings, Reason::NoBackend, "no backend", "any"),
            (&settings, Reason::Maintenance, "503", "any"),
            (&settings, Reason::ConnectFailed, "5xx", "any"),
            (&route, Reason::NoBackend, "route's", "any"),
            (&route, Reason::ConnectFailed, "5xx", "route's"),
        ] {
            assert_eq!(body(style, ErrorFormat::Text, reason), text);
            assert_eq!(body(style, ErrorFormat::Html, reason), html);
        }
        assert_eq!((settings.default_format, route.default_format), (ErrorFormat::Text, ErrorFormat::Json));
        assert!(Arc::ptr_eq(&settings, &AnswerStyle::of_route(&RouteErrors::default(), &settings)));
    }
}
