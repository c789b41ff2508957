use std::{fmt, str::FromStr};

use super::{ParseError, quoted, string_value};

/// A text with places for what is known of a request: `"https://{host}{path}"`.
///
/// `{{` and `}}` stand for the braces themselves. Every variable has a value, which may be empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Template {
    parts: Box<[Part]>,
}

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// Text as it stands.
    Text(Box<str>),
    /// What is known of the request.
    Variable(Variable),
}

/// What a template can say of a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Variable {
    /// `{client_address}`: who sent the request, past trusted proxies.
    ClientAddress,
    /// `{request_id}`: the request's id.
    RequestId,
    /// `{method}`: the method.
    Method,
    /// `{scheme}`: `http` or `https`.
    Scheme,
    /// `{host}`: the host in lower case, without port.
    Host,
    /// `{authority}`: host and port as the client wrote them.
    Authority,
    /// `{path}`: the canonical path.
    Path,
    /// `{query}`: the query without its `?`.
    Query,
    /// `{uri}`: the path, and the query with its `?` if there is one.
    Uri,
    /// `{listener}`: the listener's name.
    Listener,
    /// `{route}`: the route's name.
    Route,
    /// `{upstream}`: the upstream's name; empty before one is chosen.
    Upstream,
    /// `{backend}`: the backend's name; empty before one is chosen.
    Backend,
    /// `{status}`: the status of the response; empty in a request.
    Status,
    /// `{path.1}`, `{path.name}`: what a group of the regular expression matched: that of the rewrite, else that of the route's
    /// path.
    Capture(Box<str>),
    /// `{header.name}`: the first value of a request header field.
    Header(Box<str>),
}

const VARIABLES: [(&str, Variable); 14] = [
    ("client_address", Variable::ClientAddress),
    ("request_id", Variable::RequestId),
    ("method", Variable::Method),
    ("scheme", Variable::Scheme),
    ("host", Variable::Host),
    ("authority", Variable::Authority),
    ("path", Variable::Path),
    ("query", Variable::Query),
    ("uri", Variable::Uri),
    ("listener", Variable::Listener),
    ("route", Variable::Route),
    ("upstream", Variable::Upstream),
    ("backend", Variable::Backend),
    ("status", Variable::Status),
];

impl Template {
    /// The longest text of a template, in bytes.
    pub const MAX_BYTES: usize = 4096;

    /// A template that always is `text`.
    pub fn literal(text: &str) -> Self {
        Self { parts: Box::new([Part::Text(text.into())]) }
    }

    /// The parts in order.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The text, if no part of it depends on the request.
    pub fn as_text(&self) -> Option<&str> {
        match &*self.parts {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// All variables in it.
    pub fn variables(&self) -> impl Iterator<Item = &Variable> {
        self.parts.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Variable(variable) => Some(variable),
        })
    }
}

impl FromStr for Template {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if text.len() > Self::MAX_BYTES || text.chars().any(char::is_control) {
            return Err(ParseError::new(format!(
                "{} is not a template: at most {} bytes without control characters",
                quoted(text),
                Self::MAX_BYTES
            )));
        }
        let (mut parts, mut literal, mut rest) = (Vec::new(), String::new(), text);
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            rest = &rest[at..];
            if let Some(after) = rest.strip_prefix("{{").or_else(|| rest.strip_prefix("}}")) {
                literal.push_str(&rest[..1]);
                rest = after;
                continue;
            }
            let name = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')).ok_or_else(|| {
                ParseError::new(format!(
                    "{} has a brace without its partner: write a variable as {{path}}, a brace itself as {{{{ or }}}}",
                    quoted(text)
                ))
            })?;
            if !literal.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut literal).into()));
            }
            parts.push(Part::Variable(name.0.parse()?));
            rest = name.1;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Text(literal.into()));
        }
        Ok(Self { parts: parts.into() })
    }
}

impl FromStr for Variable {
    type Err = ParseError;

    fn from_str(name: &str) -> Result<Self, ParseError> {
        if let Some((_, variable)) = VARIABLES.iter().find(|(known, _)| *known == name) {
            return Ok(variable.clone());
        }
        let is_word = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if let Some(group) = name.strip_prefix("path.").filter(|group| is_word(group)) {
            return Ok(Self::Capture(group.into()));
        }
        if let Some(field) = name.strip_prefix("header.") {
            return Ok(Self::Header(field.parse::<super::FieldName>()?.as_str().into()));
        }
        let known: Vec<&str> = VARIABLES.iter().map(|(known, _)| *known).collect();
        Err(ParseError::new(format!(
            "there is no variable {}: write one of {}, path.GROUP or header.NAME",
            quoted(name),
            known.join(", ")
        )))
    }
}

impl fmt::Display for Template {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.parts {
            match part {
                Part::Text(text) => formatter.write_str(&text.replace('{', "{{").replace('}', "}}"))?,
                Part::Variable(variable) => write!(formatter, "{{{variable}}}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Variable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Capture(group) => write!(formatter, "path.{group}"),
            Self::Header(name) => write!(formatter, "header.{name}"),
            named => {
                let known = VARIABLES.iter().find(|(_, variable)| variable == named);
                formatter.write_str(known.expect("every other variable is in the table").0)
            }
        }
    }
}

string_value!(
    Template,
    "a text in which {path}, {host} and the like stand for what a request says",
    "https://{host}{uri}"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_round_trip() {
        for text in ["", "plain", "{path}", "a{host}b{path.1}{header.x-a}", "{{{path}}}", "{path.name}", "100%"] {
            let template: Template = text.parse().unwrap();
            assert_eq!(template.to_string(), text);
            assert_eq!(template.to_string().parse::<Template>().unwrap(), template);
        }
        let template: Template = "a{{b}}{header.X-A}".parse().unwrap();
        assert_eq!(template.parts(), [Part::Text("a{b}".into()), Part::Variable(Variable::Header("x-a".into()))]);
        assert_eq!("a{{b".parse::<Template>().unwrap().as_text(), Some("a{b"));
    }

    #[test]
    fn bad_templates_say_what_is_wrong() {
        for (text, part) in [
            ("{", "partner"),
            ("a}", "partner"),
            ("{path", "partner"),
            ("{paths}", "no variable \"paths\": write one of client_address"),
            ("{}", "no variable"),
            ("{path.}", "no variable"),
            ("{path.a-b}", "no variable"),
            ("{header.a b}", "header name"),
            ("a\r\nb", "control"),
        ] {
            let error = text.parse::<Template>().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
