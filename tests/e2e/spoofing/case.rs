//! One case: who connects where, what is sent, and what becomes of it.

/// A case of the table.
pub(super) struct Case {
    pub(super) what: String,
    /// The listener, by its mode: `off`, `accept`, `require`.
    pub(super) listener: &'static str,
    /// From where.
    pub(super) peer: &'static str,
    /// What comes in front of the request.
    pub(super) opening: Vec<u8>,
    /// Lines of the request's head.
    pub(super) fields: &'static str,
    /// Whether the client says that it sends no more behind the opening, and sends no request.
    pub(super) is_cut: bool,
    pub(super) outcome: Outcome,
}

/// What becomes of it.
pub(super) enum Outcome {
    /// The request is served; this is what log and backend say of its client.
    Served { client: &'static str, chain: String },
    /// It is answered 400.
    BadRequest,
    /// The connection is closed, and this word is in the log.
    Closed(&'static str),
}

impl Case {
    pub(super) fn new(
        listener: &'static str,
        peer: &'static str,
        what: impl Into<String>,
        opening: impl Into<Vec<u8>>,
    ) -> Self {
        let (what, opening) = (what.into(), opening.into());
        Self { what, listener, peer, opening, fields: "", is_cut: false, outcome: Outcome::BadRequest }
    }

    /// The request has these lines.
    pub(super) fn with(self, fields: &'static str) -> Self {
        Self { fields, ..self }
    }

    pub(super) fn cut(self) -> Self {
        Self { is_cut: true, ..self }
    }

    /// `client` is told to be the client, and to the backend as the only one.
    pub(super) fn tells(self, client: &'static str) -> Self {
        self.tells_of(client, client)
    }

    /// `client` is told to be the client, and to the backend the whole `chain`.
    pub(super) fn tells_of(self, client: &'static str, chain: impl Into<String>) -> Self {
        Self { outcome: Outcome::Served { client, chain: chain.into() }, ..self }
    }

    pub(super) fn closes(self, word: &'static str) -> Self {
        Self { outcome: Outcome::Closed(word), ..self }
    }
}
