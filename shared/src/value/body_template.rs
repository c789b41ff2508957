use std::{fmt, str::FromStr};

use super::{ParseError, quoted, string_value};

/// The body of an error's answer, with places for what is known of it: `{status}`, `{reason}` and `{request_id}`.
///
/// Only a word right between braces is such a place. All other braces stand for themselves, so that JSON and style sheets are
/// written as they are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BodyTemplate {
    parts: Box<[BodyPart]>,
}

/// A part of the body of an error's answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum BodyPart {
    /// Text as it stands.
    Text(Box<str>),
    /// `{status}`: the status.
    Status,
    /// `{reason}`: the word for what is wrong.
    Reason,
    /// `{request_id}`: the request's id.
    RequestId,
}

impl BodyTemplate {
    /// The longest body, in bytes, without what its variables bring.
    pub const MAX_BYTES: usize = 64 << 10;

    /// The parts in order.
    pub fn parts(&self) -> &[BodyPart] {
        &self.parts
    }
}

impl FromStr for BodyTemplate {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if text.len() > Self::MAX_BYTES {
            return Err(ParseError::new(format!(
                "{} bytes are too many for the body of an error: at most {}",
                text.len(),
                Self::MAX_BYTES
            )));
        }
        if let Some(control) = text.chars().find(|char| char.is_control() && !matches!(char, '\t' | '\r' | '\n')) {
            return Err(ParseError::new(format!(
                "the body of an error has the control character {control:?}: leave it out"
            )));
        }
        let (mut parts, mut literal, mut rest) = (Vec::new(), String::new(), text);
        while let Some(at) = rest.find('{') {
            let (before, inside) = rest.split_at(at + 1);
            literal.push_str(before);
            rest = inside;
            let Some((name, after)) = inside.split_once('}').filter(|(name, _)| is_word(name)) else { continue };
            literal.pop();
            if !literal.is_empty() {
                parts.push(BodyPart::Text(std::mem::take(&mut literal).into()));
            }
            parts.push(match name {
                "status" => BodyPart::Status,
                "reason" => BodyPart::Reason,
                "request_id" => BodyPart::RequestId,
                _ => {
                    return Err(ParseError::new(format!(
                        "there is no variable {} in the body of an error: write one of status, reason, request_id, or \
                         put a blank behind a brace that is meant as one",
                        quoted(name)
                    )));
                }
            });
            rest = after;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(BodyPart::Text(literal.into()));
        }
        Ok(Self { parts: parts.into() })
    }
}

/// Whether `text` could be the name of a variable.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'))
}

impl fmt::Display for BodyTemplate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts.iter().try_for_each(|part| {
            formatter.write_str(match part {
                BodyPart::Text(text) => text,
                BodyPart::Status => "{status}",
                BodyPart::Reason => "{reason}",
                BodyPart::RequestId => "{request_id}",
            })
        })
    }
}

string_value!(
    BodyTemplate,
    "the body of an error's answer, in which {status}, {reason} and {request_id} stand for what is known of it",
    "<h1>{status}</h1><p>Tell us this number: {request_id}</p>"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_round_trip_and_only_words_between_braces_are_variables() {
        use BodyPart::{Reason, RequestId, Status, Text};
        for (text, parts) in [
            ("", vec![]),
            ("sorry\n", vec![Text("sorry\n".into())]),
            ("{status}", vec![Status]),
            (
                r#"{"error":{"code":{status},"id":"{request_id}"}}"#,
                vec![
                    Text(r#"{"error":{"code":"#.into()),
                    Status,
                    Text(r#","id":""#.into()),
                    RequestId,
                    Text(r#""}}"#.into()),
                ],
            ),
            ("p{color:red}{{reason}}", vec![Text("p{color:red}{".into()), Reason, Text("}".into())]),
            ("{}{ status}{", vec![Text("{}{ status}{".into())]),
        ] {
            let body: BodyTemplate = text.parse().unwrap();
            assert_eq!((body.parts(), body.to_string().as_str()), (&*parts, text));
        }
    }

    #[test]
    fn bad_bodies_say_what_is_wrong() {
        let long = "x".repeat(BodyTemplate::MAX_BYTES + 1);
        for (text, part) in [
            ("{path}", "no variable \"path\" in the body of an error: write one of status, reason, request_id"),
            ("{header.cookie}", "no variable"),
            ("a\0b", "control character '\\0'"),
            (&long, "65537 bytes are too many for the body of an error: at most 65536"),
        ] {
            let error = text.parse::<BodyTemplate>().unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
