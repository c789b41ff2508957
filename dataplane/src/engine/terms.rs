use http1::{Asked, RequestBody};

use super::{acquire::Greeting, pace::Timeouts};
use crate::{header_rules::Edits, instant::Instant, request_id::Returned};

/// What holds for a request besides its bytes.
pub(crate) struct Terms {
    /// How its body is framed.
    pub(crate) body: RequestBody,
    /// What of it decides how the response is read.
    pub(crate) asked: Asked,
    /// Whether the client waits for 100 before it sends its body.
    pub(crate) expects_continue: bool,
    /// Whether the client's connection is to be kept after this request.
    pub(crate) keeps: bool,
    /// Bytes that its body may have.
    pub(crate) body_limit: u64,
    /// What becomes of the response's header fields.
    pub(crate) response_headers: Option<Edits>,
    /// Whether an error of the backend is replaced.
    pub(crate) replaces_errors: bool,
    /// What the response gets of ours.
    pub(crate) returned: Returned,
    /// The header of the PROXY protocol with which its connection begins, if it has one.
    pub(crate) greeting: Option<Greeting>,
    /// How long its parts may take.
    pub(crate) timeouts: Timeouts,
    /// When it must be over.
    pub(crate) total: Option<Instant>,
}
