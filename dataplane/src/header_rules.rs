//! What a route makes of the header fields of requests and responses: compiled once, done on the lines where they lie.

mod names;

use std::sync::Arc;

use http1::{Field, Fields, Line, ResponseHead, write};
use shared::{
    config,
    value::{FieldName, ServerHeader, Template},
};

use self::names::Names;
use crate::{
    cors::{self, Grant},
    snapshot::NewSession,
    template::{Facts, Place, Text, train_case},
};

/// Compiled rules.
#[derive(Debug)]
pub(crate) struct HeaderRules {
    /// Fields that are left out, also because they get another value.
    gone: Names,
    /// If given, the only fields that are passed on.
    allowed: Option<Names>,
    lines: Box<[NewLine]>,
    /// Whether a value depends on the request.
    renders: bool,
    /// The lines as they are written to HTTP/1.1.
    written: Box<[Written]>,
}

/// What is written to HTTP/1.1 at once.
#[derive(Debug)]
enum Written {
    /// Whole lines that do not depend on the message.
    Lines(Box<[u8]>),
    /// The line at this place.
    Line(usize),
}

/// A line that is written behind those that came.
#[derive(Debug)]
struct NewLine {
    name: FieldName,
    /// As it is written to HTTP/1.1.
    wire_name: Box<str>,
    value: Value,
    /// Whether it is written only if no such field came.
    is_default: bool,
}

#[derive(Debug)]
enum Value {
    Fixed(Box<str>),
    /// The value at this place of what was rendered for the request.
    Rendered(usize, Text),
}

/// What becomes of the header fields of the response to one request.
pub(crate) struct Edits {
    rules: Option<Ruled>,
    /// What the route's CORS policy says.
    grant: Option<Grant>,
    /// Cookies of the proxy's own. In a box: few responses have any.
    cookies: Option<Box<Cookies>>,
}

/// Values of `Set-Cookie` by which a client stays where it is.
#[derive(Default)]
struct Cookies {
    /// With its backend.
    session: Option<NewSession>,
    /// With the upstream that a split drew for it.
    split: Option<Box<str>>,
}

impl Cookies {
    /// All of them for the response that is written now: with it a session begins.
    fn give(&self) -> impl Iterator<Item = &str> {
        if let Some(session) = &self.session {
            session.endpoint.load.session_begins();
        }
        self.split.iter().chain(self.session.as_ref().map(|session| &session.cookie)).map(|cookie| &**cookie)
    }
}

/// Rules and what their variables say of one request.
struct Ruled {
    rules: Arc<HeaderRules>,
    values: Box<[Vec<u8>]>,
}

/// Stands in a rendered value for the status, which is not known yet. No value has control bytes.
pub(crate) const STATUS: u8 = 0;

/// What an allow-list always lets through: fields that say what the body is and how it is framed.
const ABOUT_BODY: [Field; 6] = [
    Field::ContentType,
    Field::ContentLength,
    Field::ContentEncoding,
    Field::ContentRange,
    Field::Trailer,
    Field::Date,
];

impl HeaderRules {
    /// The rules for requests; none if there are none. `path` is the regular expression of the route's path.
    pub(crate) fn of_requests(rules: &config::HeaderRules, path: Option<&regex::Regex>) -> Option<Self> {
        (*rules != config::HeaderRules::default()).then(|| Self::compile(rules, &[], None, path))
    }

    /// The rules for responses, and for the `Server` field unless they name it; none if there are none.
    pub(crate) fn of_responses(
        rules: &config::ResponseHeaderRules,
        server: &ServerHeader,
        path: Option<&regex::Regex>,
    ) -> Option<Self> {
        let is_own = names_server(rules);
        let is_any = *rules != config::ResponseHeaderRules::default() || (*server != ServerHeader::Pass && !is_own);
        let allowed = rules.allow.as_deref().map(Names::new);
        is_any.then(|| {
            let mut of_both = rules.rules();
            if !is_own {
                set_server(&mut of_both, server);
            }
            Self::compile(&of_both, rules.security.fields(), allowed, path)
        })
    }

    fn compile(
        rules: &config::HeaderRules,
        preset: &[(&str, &str)],
        allowed: Option<Names>,
        path: Option<&regex::Regex>,
    ) -> Self {
        let config::HeaderRules { remove, set, default, add } = rules;
        let preset: Vec<(FieldName, Template)> = preset
            .iter()
            .map(|(name, value)| {
                (name.parse().expect("presets have names"), value.parse().expect("presets have values"))
            })
            .filter(|(name, _)| !set.contains_key(name) && !default.contains_key(name))
            .collect();
        let mut count = 0;
        let mut line = |(name, template): (&FieldName, &Template), is_default| {
            let wire_name = train_case(name.as_str());
            let name = name.clone();
            let value = match template.as_text() {
                Some(fixed) => Value::Fixed(fixed.into()),
                None => {
                    count += 1;
                    Value::Rendered(count - 1, Text::compile(template, Place::Value, path))
                }
            };
            NewLine { name, wire_name, value, is_default }
        };
        let set_lines = set.iter().map(|rule| (rule, false));
        let defaults = default.iter().chain(preset.iter().map(|(name, value)| (name, value))).map(|rule| (rule, true));
        let lines = set_lines.chain(defaults).chain(add.iter().map(|rule| (rule, false)));
        let lines: Box<[NewLine]> = lines.map(|(rule, is_default)| line(rule, is_default)).collect();
        let gone: Vec<FieldName> = remove.iter().chain(set.keys()).cloned().collect();
        Self { gone: Names::new(&gone), allowed, written: written(&lines), renders: count > 0, lines }
    }

    /// The values that depend on the request.
    fn values(&self, facts: &Facts<'_>) -> Box<[Vec<u8>]> {
        if !self.renders {
            return Box::default();
        }
        let values = self.lines.iter().filter_map(|line| match &line.value {
            Value::Fixed(_) => None,
            Value::Rendered(_, text) => {
                let mut value = Vec::new();
                text.write(&mut value, facts);
                Some(value)
            }
        });
        values.collect()
    }

    /// Whether a request's line goes. One whose name only looks like the field's goes with it: some servers read `X_Env` as
    /// `X-Env`, and what a rule says must not be contradicted.
    #[inline]
    pub(crate) fn removes(&self, name: &[u8]) -> bool {
        self.gone.has_like(name)
    }

    /// Whether lines with `name` may be others than those that came.
    pub(crate) fn changes(&self, name: &str) -> bool {
        self.removes(name.as_bytes()) || self.lines.iter().any(|line| line.name.as_str() == name)
    }

    /// Writes the new lines of a request, whose line stays if `stays` holds.
    pub(crate) fn write_request(
        &self,
        out: &mut Vec<u8>,
        fields: &Fields,
        bytes: &[u8],
        facts: &Facts<'_>,
        stays: impl Fn(&Line) -> bool,
    ) {
        for written in &self.written {
            let line = match written {
                Written::Lines(lines) => {
                    out.extend_from_slice(lines);
                    continue;
                }
                Written::Line(index) => &self.lines[*index],
            };
            let name = line.name.as_str().as_bytes();
            let is_same = |came: &Line| stays(came) && came.name.of(bytes).eq_ignore_ascii_case(name);
            if line.is_default && fields.lines().iter().any(is_same) {
                continue;
            }
            match &line.value {
                Value::Fixed(value) => line.write(out, value.as_bytes()),
                Value::Rendered(_, text) => line.write_with(out, |out| text.write(out, facts)),
            }
        }
    }

    #[inline]
    fn keeps_response_line(&self, name: &[u8], field: Field) -> bool {
        let is_allowed = |allowed: &Names| allowed.has(name) || ABOUT_BODY.contains(&field);
        !self.gone.has(name) && self.allowed.as_ref().is_none_or(is_allowed)
    }

    /// Leaves out lines of a response's `head`, which was parsed from `bytes`, and writes the new ones into `out`.
    fn act(&self, values: &[Vec<u8>], head: &mut ResponseHead, bytes: &[u8], out: &mut Vec<u8>) {
        head.fields.remove_where(|line| !self.keeps_response_line(line.name.of(bytes), line.field));
        for written in &self.written {
            let line = match written {
                Written::Lines(lines) => {
                    out.extend_from_slice(lines);
                    continue;
                }
                Written::Line(index) => &self.lines[*index],
            };
            let name = line.name.as_str().as_bytes();
            let is_same = |came: &Line| !came.removed && came.name.of(bytes).eq_ignore_ascii_case(name);
            if line.is_default && head.fields.lines().iter().any(is_same) {
                continue;
            }
            line.with_value(values, head.status, |value| line.write(out, value));
        }
    }
}

/// The name of the field that the settings speak of, too.
const SERVER: &str = "server";

/// Whether a route's rules decide about the `Server` field.
fn names_server(rules: &config::ResponseHeaderRules) -> bool {
    let config::ResponseHeaderRules { allow: _, security: _, remove, set, default, add } = rules;
    remove.iter().any(|name| name.as_str() == SERVER)
        || [set, default, add].iter().any(|values| values.contains_key(SERVER))
}

/// Adds to `rules` what the settings say of the `Server` field.
fn set_server(rules: &mut config::HeaderRules, server: &ServerHeader) {
    let name = || SERVER.parse().expect("it is a name");
    match server {
        ServerHeader::Pass => {}
        ServerHeader::Remove => rules.remove.push(name()),
        ServerHeader::Literal(text) => {
            rules.set.insert(name(), Template::literal(text));
        }
    }
}

impl Edits {
    /// What `rules` and `grant` make of the response; none if there are neither.
    pub(crate) fn new(rules: Option<(&Arc<HeaderRules>, &Facts<'_>)>, grant: Option<&Grant>) -> Option<Self> {
        if rules.is_none() && grant.is_none() {
            return None;
        }
        let rules = rules.map(|(rules, facts)| Ruled { values: rules.values(facts), rules: Arc::clone(rules) });
        Some(Self { rules, grant: grant.cloned(), cookies: None })
    }

    /// Makes `session` the one that begins with the response, if there is to be one.
    pub(crate) fn set_session(edits: &mut Option<Self>, session: Option<NewSession>) {
        if session.is_some() || edits.as_ref().is_some_and(|edits| edits.cookies.is_some()) {
            Self::cookies(edits).session = session;
        }
    }

    /// Makes `split` the value of the `Set-Cookie` by which the client stays with its upstream, if there is to be one.
    pub(crate) fn set_split(edits: &mut Option<Self>, split: Option<Box<str>>) {
        if split.is_some() {
            Self::cookies(edits).split = split;
        }
    }

    /// The value that [`set_split`](Self::set_split) set.
    pub(crate) fn into_split(self) -> Option<Box<str>> {
        self.cookies?.split
    }

    fn cookies(edits: &mut Option<Self>) -> &mut Cookies {
        let edits = edits.get_or_insert(Self { rules: None, grant: None, cookies: None });
        edits.cookies.get_or_insert_default()
    }

    /// Leaves out lines of `head`, which was parsed from `bytes`, and writes the new ones into `out`.
    pub(crate) fn act(&self, head: &mut ResponseHead, bytes: &[u8], out: &mut Vec<u8>) {
        if self.grant.is_some() {
            head.fields.remove_where(|line| cors::is_about_cors(line.name.of(bytes)));
        }
        if let Some(Ruled { rules, values }) = &self.rules {
            rules.act(values, head, bytes, out);
        }
        for cookie in self.cookies.iter().flat_map(|cookies| cookies.give()) {
            write::line(out, b"Set-Cookie", cookie.as_bytes());
        }
        let Some(grant) = &self.grant else { return };
        grant.fields().for_each(|(name, value)| write::line(out, name.as_bytes(), value));
        let names_origin = |line: &Line| {
            !line.removed
                && line.name.of(bytes).eq_ignore_ascii_case(b"vary")
                && cors::names_origin(line.value.of(bytes))
        };
        if grant.varies() && !head.fields.lines().iter().any(names_origin) {
            out.extend_from_slice(b"Vary: Origin\r\n");
        }
    }
}

/// How `lines` are written to HTTP/1.1: what does not depend on the message in one piece, as far as it stands together.
fn written(lines: &[NewLine]) -> Box<[Written]> {
    let mut written = Vec::new();
    let mut whole = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        match &line.value {
            Value::Fixed(value) if !line.is_default => line.write(&mut whole, value.as_bytes()),
            _ => {
                if !whole.is_empty() {
                    written.push(Written::Lines(std::mem::take(&mut whole).into()));
                }
                written.push(Written::Line(index));
            }
        }
    }
    if !whole.is_empty() {
        written.push(Written::Lines(whole.into()));
    }
    written.into()
}

impl NewLine {
    /// Writes the line, unless its value is empty.
    fn write(&self, out: &mut Vec<u8>, value: &[u8]) {
        let value = value.trim_ascii();
        if !value.is_empty() {
            write::line(out, self.wire_name.as_bytes(), value);
        }
    }

    /// Writes the line with what `write` writes, unless that is empty.
    fn write_with(&self, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
        let line = out.len();
        out.extend_from_slice(self.wire_name.as_bytes());
        out.extend_from_slice(b": ");
        let start = out.len();
        write(out);
        let value = &out[start..];
        let (blanks, len) = (value.len() - value.trim_ascii_start().len(), value.trim_ascii().len());
        if len == 0 {
            return out.truncate(line);
        }
        out.drain(start..start + blanks);
        out.truncate(start + len);
        out.extend_from_slice(b"\r\n");
    }

    /// Gives the value in a response with `status`.
    fn with_value(&self, values: &[Vec<u8>], status: u16, take: impl FnOnce(&[u8])) {
        match &self.value {
            Value::Fixed(value) => take(value.as_bytes()),
            Value::Rendered(index, _) => match values.get(*index) {
                Some(value) if value.contains(&STATUS) => {
                    let mut whole = Vec::new();
                    for (at, part) in value.split(|byte| *byte == STATUS).enumerate() {
                        if at > 0 {
                            write::decimal(&mut whole, u64::from(status));
                        }
                        whole.extend_from_slice(part);
                    }
                    take(&whole);
                }
                Some(value) => take(value),
                None => {}
            },
        }
    }
}
