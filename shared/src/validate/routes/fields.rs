//! Header fields that rules may write, and what they may say.

use super::super::limits;
use crate::{
    Findings,
    value::{FieldName, Part, Template, quoted},
};

/// Whose header it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::validate) enum Message {
    /// A request's.
    Request,
    /// A response's, or an answer's of the proxy's own.
    Response,
}

/// Reports a field that no rule may touch, because the message would mean something else, or the proxy writes it itself.
pub(in crate::validate) fn check_name(name: &FieldName, message: Message, pointer: &str, findings: &mut Findings) {
    let advice = match name.as_str() {
        "connection"
        | "keep-alive"
        | "proxy-connection"
        | "te"
        | "transfer-encoding"
        | "upgrade"
        | "http2-settings"
        | "proxy-authenticate"
        | "proxy-authorization" => {
            "is for one connection only, and the proxy decides about it on each of its own: leave it out"
        }
        "content-length" | "trailer" => "says how the body is framed, which the proxy does not change: leave it out",
        "host" => "is written by the field `host` of the route: use that",
        "expect" => "is a matter between the client and the proxy: leave it out",
        "via" | "date" => "is written by the proxy, as the standard asks: leave it out",
        "max-forwards" if message == Message::Request => "is counted down by the proxy: leave it out",
        "x-request-id" => {
            "is written by the proxy from the request's id: see request_id in the settings, and choose another name here"
        }
        "x-forwarded-for" | "x-forwarded-proto" | "x-forwarded-host" if message == Message::Request => {
            "is written by the proxy from what it knows of the client and its trusted proxies: choose another name"
        }
        _ => return,
    };
    findings.error(pointer, format!("the header field \"{name}\" {advice}"));
}

/// Reports a value that cannot stand in a header.
pub(super) fn check_value(value: &Template, pointer: &str, findings: &mut Findings) {
    let literal: usize =
        value.parts().iter().map(|part| if let Part::Text(text) = part { text.len() } else { 0 }).sum();
    if literal > limits::HEADER_VALUE_BYTES {
        findings.error(
            pointer,
            format!("{literal} bytes are too many for a header value: at most {}", limits::HEADER_VALUE_BYTES),
        );
    }
    let is_blank = |byte: Option<char>| byte.is_some_and(|byte| byte == ' ');
    let starts = matches!(value.parts().first(), Some(Part::Text(text)) if is_blank(text.chars().next()));
    let ends = matches!(value.parts().last(), Some(Part::Text(text)) if is_blank(text.chars().next_back()));
    if starts || ends {
        let text = value.to_string();
        findings.error(
            pointer,
            format!(
                "{} has blanks around it, which header values do not keep: write {}",
                quoted(&text),
                quoted(text.trim())
            ),
        );
    }
}
