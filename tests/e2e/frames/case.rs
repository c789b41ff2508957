//! One case: what a client sends, and what becomes of it.

use anyhow::Result;
use harness::h2::{Frame, H2Client, PREFACE};

/// A case of the table.
pub(super) struct Case {
    /// What asks for it: a section of RFC 9113 unless it says another.
    pub(super) section: &'static str,
    /// What is special about it.
    pub(super) what: String,
    /// The client's first bytes: the preface and SETTINGS unless the case is about them.
    pub(super) opening: Vec<u8>,
    /// What the client does then.
    pub(super) steps: Vec<Step>,
    /// What it sees of it.
    pub(super) outcome: Outcome,
    /// The stream of which [`outcome`](Self::outcome) speaks.
    pub(super) stream: u32,
    /// Lines of the one head that the backend gets; without any no backend gets a request.
    pub(super) forwarded: Vec<&'static str>,
    /// Whether the connection takes another request, unless it ends.
    pub(super) is_probed: bool,
}

/// What a client does.
pub(super) enum Step {
    /// Sends bytes.
    Send(Vec<u8>),
    /// Reads the whole response of a stream.
    Read(u32),
    /// Reads until a stream is reset.
    ReadReset(u32),
}

/// What a client sees.
pub(super) enum Outcome {
    /// GOAWAY with one of these codes, and the end of the connection.
    Ended(&'static [u32]),
    /// The end of the connection, with GOAWAY or without.
    Closed,
    /// `RST_STREAM` with one of these codes. The connection goes on.
    Reset(&'static [u32]),
    /// A response with this status. The connection goes on.
    Answered(u16),
    /// Nothing. The connection goes on.
    PassedOver,
    /// What this finds right. The connection goes on.
    Told(fn(&mut H2Client) -> Result<()>),
}

/// A case whose client sends `frames`, and what becomes of its stream 1 or of its connection.
pub(super) fn case(section: &'static str, what: impl Into<String>, frames: &[Frame], outcome: Outcome) -> Case {
    Case {
        section,
        what: what.into(),
        opening: Vec::new(),
        steps: Vec::new(),
        outcome,
        stream: 1,
        forwarded: Vec::new(),
        is_probed: true,
    }
    .settings(&[])
    .then(frames)
}

impl Case {
    /// The client begins with these settings.
    pub(super) fn settings(self, settings: &[(u16, u32)]) -> Self {
        self.opens_with([PREFACE, &Frame::settings(settings).bytes()].concat())
    }

    /// The client begins with these bytes.
    pub(super) fn opens_with(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.opening = bytes.into();
        self
    }

    /// The client sends more frames.
    pub(super) fn then(self, frames: &[Frame]) -> Self {
        self.then_bytes(frames.iter().flat_map(Frame::bytes).collect::<Vec<u8>>())
    }

    /// The client sends more bytes.
    pub(super) fn then_bytes(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.steps.push(Step::Send(bytes.into()));
        self
    }

    /// The client reads the response of `stream`.
    pub(super) fn after(mut self, stream: u32) -> Self {
        self.steps.push(Step::Read(stream));
        self
    }

    /// The client reads that `stream` is reset.
    pub(super) fn after_reset(mut self, stream: u32) -> Self {
        self.steps.push(Step::ReadReset(stream));
        self
    }

    /// The outcome is that of another stream than 1.
    pub(super) fn on(mut self, stream: u32) -> Self {
        self.stream = stream;
        self
    }

    /// A backend gets a request whose head has these lines.
    pub(super) fn forwards(mut self, lines: &[&'static str]) -> Self {
        self.forwarded = lines.to_vec();
        self
    }

    /// No further request is tried.
    pub(super) fn unprobed(mut self) -> Self {
        self.is_probed = false;
        self
    }
}
