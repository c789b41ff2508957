//! One case: what is sent, and what everybody sees of it.

use super::answer::{Answer, answer, reason_of, refusal};

/// A case of the table.
pub(super) struct Case {
    /// Where it comes from: a section of an RFC, a CVE, the name of an attack.
    pub(super) source: &'static str,
    /// What is special about it.
    pub(super) what: String,
    /// What the client sends, each piece once so many responses have come.
    pub(super) sends: Vec<(usize, Vec<u8>)>,
    /// Whether the client says that it sends no more.
    pub(super) half_closes: bool,
    /// What the backend sends.
    pub(super) reply: Reply,
    /// What the client sees.
    pub(super) answers: Vec<Answer>,
    /// Whether its connection takes another request.
    pub(super) is_kept: bool,
    /// What the backend sees.
    pub(super) origin: Vec<Forwarded>,
    /// Whether the backend's connection takes another request; `None` if that is not the point.
    pub(super) backend_is_kept: Option<bool>,
    /// Reason and detail of the last request's line in the access log.
    pub(super) logged: (Option<&'static str>, Option<&'static str>),
    /// Whether the bytes must come together: how they are split would decide.
    pub(super) is_unsplit: bool,
}

/// What a backend sends to each request of a case.
#[derive(Clone, Default)]
pub(super) struct Reply {
    /// Its bytes; without any it answers 200 with the body `ok`.
    pub(super) bytes: Vec<u8>,
    /// What it sends as soon as it has the head, if anything.
    pub(super) at_head: Vec<u8>,
    /// What it sends once the client has the head.
    pub(super) later: Vec<u8>,
    /// How its connection ends then, if it ends it.
    pub(super) end: Option<End>,
}

/// How a backend ends a connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum End {
    Close,
    Reset,
}

/// A request as the backend sees it.
pub(super) struct Forwarded {
    /// The request line without its end.
    pub(super) line: String,
    /// Lines that its head has exactly so.
    pub(super) has: Vec<String>,
    /// Fields that it has not.
    pub(super) lacks: Vec<&'static str>,
    /// What follows the head, as it came; not looked at if the request is cut off.
    pub(super) body: Vec<u8>,
    /// Whether it reaches its end.
    pub(super) is_whole: bool,
}

pub(super) fn forwarded(line: impl Into<String>) -> Forwarded {
    Forwarded { line: line.into(), has: Vec::new(), lacks: Vec::new(), body: Vec::new(), is_whole: true }
}

impl Forwarded {
    pub(super) fn has(mut self, lines: &[&str]) -> Self {
        self.has.extend(lines.iter().map(ToString::to_string));
        self
    }

    pub(super) fn lacks(mut self, names: &[&'static str]) -> Self {
        self.lacks.extend(names);
        self
    }

    pub(super) fn body(self, body: impl AsRef<[u8]>) -> Self {
        Self { body: body.as_ref().to_vec(), ..self }
    }

    /// The backend sees that it is not whole: its connection ends inside it.
    pub(super) fn cut(self) -> Self {
        Self { is_whole: false, ..self }
    }
}

impl Case {
    fn new(source: &'static str, what: impl Into<String>, bytes: impl AsRef<[u8]>) -> Self {
        Self {
            source,
            what: what.into(),
            sends: vec![(0, bytes.as_ref().to_vec())],
            half_closes: false,
            reply: Reply::default(),
            answers: Vec::new(),
            is_kept: true,
            origin: Vec::new(),
            backend_is_kept: None,
            logged: (None, None),
            is_unsplit: false,
        }
    }

    /// Whether the backend may see a request that is cut off.
    pub(super) fn has_cut(&self) -> bool {
        self.origin.iter().any(|forwarded| !forwarded.is_whole)
    }

    /// A request of which nothing is forwarded: `status`, `Connection: close` and the end, and `detail` in the log.
    pub(super) fn refused(
        source: &'static str,
        what: impl Into<String>,
        bytes: impl AsRef<[u8]>,
        status: u16,
        detail: &'static str,
    ) -> Self {
        let answers = vec![refusal(status)];
        let logged = (Some(reason_of(status)), Some(detail));
        Self { answers, logged, is_kept: false, ..Self::new(source, what, bytes) }
    }

    /// A request whose body turns out to be broken behind a sound head: the backend sees `line` and that the request is cut
    /// off.
    pub(super) fn cut(
        source: &'static str,
        what: impl Into<String>,
        bytes: impl AsRef<[u8]>,
        line: &str,
        status: u16,
        detail: &'static str,
    ) -> Self {
        Self { origin: vec![forwarded(line).cut()], ..Self::refused(source, what, bytes, status, detail) }
    }

    /// A request that the backend sees as `seen` and answers with 200; both connections are kept.
    pub(super) fn passed(
        source: &'static str,
        what: impl Into<String>,
        bytes: impl AsRef<[u8]>,
        seen: Forwarded,
    ) -> Self {
        let answers = vec![answer(200).body("ok")];
        Self { answers, origin: vec![seen], backend_is_kept: Some(true), ..Self::new(source, what, bytes) }
    }

    /// `GET /` that the backend answers with `reply`, of which the client sees `answers`.
    pub(super) fn answered(
        source: &'static str,
        what: impl Into<String>,
        reply: impl AsRef<[u8]>,
        answers: Vec<Answer>,
    ) -> Self {
        let new = Self::new(source, what, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        Self { answers, origin: vec![forwarded("GET / HTTP/1.1")], ..new }.reply(reply)
    }

    /// `POST /`, which is never sent twice, that the backend answers with `reply`, which is none: 502, and `detail` in the log.
    pub(super) fn bad_response(
        source: &'static str,
        what: impl Into<String>,
        reply: impl AsRef<[u8]>,
        detail: &'static str,
    ) -> Self {
        let request = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n";
        Self {
            answers: vec![answer(502).says("bad_response")],
            origin: vec![forwarded("POST / HTTP/1.1")],
            logged: (Some("bad_response"), Some(detail)),
            backend_is_kept: Some(false),
            ..Self::new(source, what, request)
        }
        .reply(reply)
    }

    /// What the client sends instead, of which the backend sees `seen`.
    pub(super) fn asking(self, bytes: impl AsRef<[u8]>, seen: Forwarded) -> Self {
        Self { sends: vec![(0, bytes.as_ref().to_vec())], origin: vec![seen], ..self }
    }

    /// What the client sends when so many responses have come.
    pub(super) fn then(mut self, answers: usize, bytes: impl AsRef<[u8]>) -> Self {
        self.sends.push((answers, bytes.as_ref().to_vec()));
        self
    }

    /// The client says that it sends no more.
    pub(super) fn half_closes(self) -> Self {
        Self { half_closes: true, ..self }
    }

    /// What the backend sends.
    pub(super) fn reply(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.reply.bytes = bytes.as_ref().to_vec();
        self
    }

    /// What the backend sends before it has the body.
    pub(super) fn reply_at_head(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.reply.at_head = bytes.as_ref().to_vec();
        self
    }

    /// What the backend sends once the client has the head.
    pub(super) fn later(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.reply.later = bytes.as_ref().to_vec();
        self
    }

    /// The backend ends its connection behind its reply.
    pub(super) fn backend_ends(mut self, end: End) -> Self {
        self.reply.end = Some(end);
        self
    }

    pub(super) fn backend_is_kept(self, is_kept: bool) -> Self {
        Self { backend_is_kept: Some(is_kept), ..self }
    }

    /// What the client sees.
    pub(super) fn answers(self, answers: Vec<Answer>) -> Self {
        Self { answers, ..self }
    }

    /// One more request that the backend sees.
    pub(super) fn and(mut self, seen: Forwarded) -> Self {
        self.origin.push(seen);
        self
    }

    /// The client's connection ends behind the last response.
    pub(super) fn closes(self) -> Self {
        Self { is_kept: false, ..self }
    }

    pub(super) fn logs(self, reason: &'static str, detail: Option<&'static str>) -> Self {
        Self { logged: (Some(reason), detail), ..self }
    }

    pub(super) fn unsplit(self) -> Self {
        Self { is_unsplit: true, ..self }
    }

    /// All that the client sends.
    pub(super) fn sent(&self) -> Vec<u8> {
        self.sends.iter().flat_map(|(_, bytes)| bytes).copied().collect()
    }
}
