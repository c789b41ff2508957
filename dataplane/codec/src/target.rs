//! The four forms of a request target (RFC 9112 §3.2).

use crate::{fault::Fault, grammar, method::Method, span::Span};

/// A request target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// All of it.
    pub whole: Span,
    /// Its form.
    pub form: Form,
    /// Host and port of the absolute and authority forms; empty in the others. Its bytes are checked, its meaning is not.
    pub authority: Span,
    /// The path as sent, from the slash on. Empty in the authority form, in the asterisk form, and in an absolute form
    /// without path, which means `/` (or `*` with OPTIONS).
    pub path: Span,
    /// What follows the first `?`, if there is one.
    pub query: Option<Span>,
}

/// The form of a request target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// `/path?query`
    #[default]
    Origin,
    /// `http://host/path?query`
    Absolute(Scheme),
    /// `host:port`, with CONNECT and only there.
    Authority,
    /// `*`, with OPTIONS and only there.
    Asterisk,
}

/// The scheme of an absolute target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `http`
    Http,
    /// `https`
    Https,
}

impl Target {
    /// Takes the target that stands at `whole`, with the first `?` at `question`. All its bytes may stand in one.
    ///
    /// # Errors
    /// It has none of the forms.
    #[inline]
    pub(crate) fn set(
        &mut self,
        buffer: &[u8],
        whole: Span,
        question: Option<u32>,
        method: Method,
    ) -> Result<(), Fault> {
        if method != Method::Connect && buffer.get(whole.start as usize) == Some(&b'/') {
            self.whole = whole;
            self.form = Form::Origin;
            self.authority = Span::default();
            self.path = Span { start: whole.start, end: question.unwrap_or(whole.end) };
            self.query = question.map(|at| Span { start: at + 1, end: whole.end });
            return Ok(());
        }
        *self = Self::read_rare(buffer, whole, question, method)?;
        Ok(())
    }

    fn read_rare(buffer: &[u8], whole: Span, question: Option<u32>, method: Method) -> Result<Self, Fault> {
        let bytes = whole.of(buffer);
        let at_query = question.unwrap_or(whole.end) as usize;
        let query = question.map(|at| Span { start: at + 1, end: whole.end });
        let none = Span { start: whole.end, end: whole.end };
        if method == Method::Connect {
            let is_authority = bytes.contains(&b':') && grammar::is_host(bytes);
            let target = Self { whole, form: Form::Authority, authority: whole, path: none, query: None };
            return if is_authority { Ok(target) } else { Err(Fault::BadTarget) };
        }
        if bytes == b"*" && method == Method::Options {
            return Ok(Self { whole, form: Form::Asterisk, authority: none, path: none, query: None });
        }
        let starts_with = |prefix: &[u8]| bytes.get(..prefix.len()).is_some_and(|b| b.eq_ignore_ascii_case(prefix));
        let (scheme, length) = if starts_with(b"http://") {
            (Scheme::Http, 7)
        } else if starts_with(b"https://") {
            (Scheme::Https, 8)
        } else {
            return Err(Fault::BadTarget);
        };
        let start = whole.start as usize + length;
        // `http://?x` has its `?` no earlier than here, so the range is in order.
        let before_query = buffer.get(start..at_query).ok_or(Fault::BadTarget)?;
        let at_path = start + before_query.iter().position(|byte| *byte == b'/').unwrap_or(before_query.len());
        let authority = Span::new(start, at_path);
        if authority.is_empty() || !grammar::is_host(authority.of(buffer)) {
            return Err(Fault::BadTarget);
        }
        Ok(Self { whole, form: Form::Absolute(scheme), authority, path: Span::new(at_path, at_query), query })
    }

    /// Whether `host`, the value of the `Host` field, names another authority than an absolute target does: not the same
    /// text but for case and the scheme's own port.
    pub(crate) fn contradicts(&self, host: &[u8], buffer: &[u8]) -> bool {
        let port: &[u8] = match self.form {
            Form::Absolute(Scheme::Http) => b":80",
            Form::Absolute(Scheme::Https) => b":443",
            Form::Origin | Form::Authority | Form::Asterisk => return false,
        };
        let authority = self.authority.of(buffer);
        let authority = authority.strip_suffix(port).unwrap_or(authority);
        !host.strip_suffix(port).unwrap_or(host).eq_ignore_ascii_case(authority)
    }
}
