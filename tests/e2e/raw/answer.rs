//! What a client sees.

/// A response as the client sees it.
pub(super) struct Answer {
    /// The method of its request: what a body is depends on it.
    pub(super) to: &'static str,
    pub(super) status: u16,
    /// Lines that its head has exactly so.
    pub(super) has: Vec<String>,
    /// Fields that it has not.
    pub(super) lacks: Vec<&'static str>,
    /// The body without framing, if that matters.
    pub(super) body: Option<String>,
    /// The trailers, if these matter.
    pub(super) trailers: Option<&'static str>,
    /// Whether it reaches its end.
    pub(super) is_whole: bool,
}

pub(super) fn answer(status: u16) -> Answer {
    Answer { to: "GET", status, has: Vec::new(), lacks: Vec::new(), body: None, trailers: None, is_whole: true }
}

impl Answer {
    pub(super) fn to(self, to: &'static str) -> Self {
        Self { to, ..self }
    }

    pub(super) fn has(mut self, lines: &[&str]) -> Self {
        self.has.extend(lines.iter().map(ToString::to_string));
        self
    }

    pub(super) fn lacks(mut self, names: &[&'static str]) -> Self {
        self.lacks.extend(names);
        self
    }

    pub(super) fn body(self, body: impl Into<String>) -> Self {
        Self { body: Some(body.into()), ..self }
    }

    pub(super) fn trailers(self, trailers: &'static str) -> Self {
        Self { trailers: Some(trailers), ..self }
    }

    /// It ends before its end, and the client can tell.
    pub(super) fn cut(self) -> Self {
        Self { is_whole: false, ..self }
    }
}

impl Answer {
    pub(super) fn says(self, word: &str) -> Self {
        let status = self.status;
        self.has(&[&format!("Proxy-Status: tidegate; error={}; details=\"{word}\"", proxy_error(status))])
    }
}

/// An answer of the proxy's own to a request that it refuses.
pub(super) fn refusal(status: u16) -> Answer {
    answer(status).has(&["Connection: close"]).says(reason_of(status))
}

/// The word for a request that is refused with `status`.
pub(super) fn reason_of(status: u16) -> &'static str {
    match status {
        405 => "method_refused",
        413 => "body_too_large",
        414 => "target_too_long",
        417 => "expectation_failed",
        431 => "head_too_large",
        501 => "not_implemented",
        505 => "version_unsupported",
        _ => "bad_request",
    }
}

/// The error type of RFC 9209 for it.
fn proxy_error(status: u16) -> &'static str {
    match status {
        405 => "http_request_denied",
        502 => "http_protocol_error",
        _ => "http_request_error",
    }
}
