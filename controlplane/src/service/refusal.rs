use shared::{Findings, protocol::Revision};

use crate::store::StoreError;

/// Why something was not done. Nothing changed, but for [`NotApplied`](Self::NotApplied).
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// There is no such resource.
    #[error("{0}")]
    NotFound(String),
    /// A resource with the name exists.
    #[error("{0}")]
    AlreadyExists(String),
    /// Others name the resource.
    #[error("{resource} is in use by {}", listed(users))]
    InUse {
        /// Which resource.
        resource: String,
        /// Who names it, e.g. "route `shop`".
        users: Vec<String>,
    },
    /// The state of the thing does not allow it.
    #[error("{0}")]
    Conflict(String),
    /// `If-Match` or `If-None-Match` does not hold.
    #[error("{0}")]
    PreconditionFailed(String),
    /// The configuration would not be valid.
    #[error("the configuration would not be valid: {0}")]
    Invalid(Findings),
    /// A data plane cannot bind a listener.
    #[error("a data plane cannot bind a listener: {0}")]
    ListenerUnavailable(Findings),
    /// The whole configuration would be too large to be published.
    #[error("the configuration would have {bytes} bytes; at most {} can be published", shared::document::MAX_DOCUMENT)]
    TooLarge {
        /// Bytes of the configuration as JSON.
        bytes: usize,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Committed, but not every data plane acts on it.
    #[error("revision {revision} is committed, but does not act on every data plane: {}", reasons.join("; "))]
    NotApplied {
        /// What was committed.
        revision: Revision,
        /// One sentence for each data plane that does not act on it.
        reasons: Vec<String>,
    },
    /// A defect in this program.
    #[error("the control plane failed; its log says more")]
    Internal,
}

fn listed(users: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown = users.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    match users.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
