use std::{fmt, time::Duration};

use tokio::time::timeout;

use shared::protocol::{InstanceId, Revision};

use super::{entry::Progress, registry::Registry};

/// Why a revision is not known to act on all data planes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct NotApplied {
    /// For people: one sentence for each data plane or listener that lacks.
    pub reasons: Vec<String>,
}

impl fmt::Display for NotApplied {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the revision is not applied everywhere: {}", self.reasons.join("; "))
    }
}

/// See [`super::Publisher::wait_applied`].
pub(super) async fn applied(registry: &Registry, revision: Revision, limit: Duration) -> Result<(), NotApplied> {
    let mut changes = registry.changes();
    let waited = registry.connected();
    if waited.is_empty() {
        return Err(NotApplied { reasons: vec!["no data plane is connected".to_owned()] });
    }
    let settled = async {
        loop {
            match now(registry, revision, &waited) {
                Progress::Missing(_) => {}
                Progress::Applied => return Ok(()),
                Progress::Refused(reasons) => return Err(NotApplied { reasons }),
            }
            // The sender lives in the registry, so this only returns at a change.
            let _ = changes.changed().await;
        }
    };
    match timeout(limit, settled).await {
        Ok(result) => result,
        Err(_) => match now(registry, revision, &waited) {
            Progress::Applied => Ok(()),
            Progress::Missing(reasons) | Progress::Refused(reasons) => Err(NotApplied { reasons }),
        },
    }
}

/// All data planes' progress in one: refused by one is refused, missing at one is missing.
fn now(registry: &Registry, revision: Revision, waited: &[InstanceId]) -> Progress {
    let (mut missing, mut refused) = (Vec::new(), Vec::new());
    for progress in registry.progress(revision, waited) {
        match progress {
            Progress::Applied => {}
            Progress::Missing(reasons) => missing.extend(reasons),
            Progress::Refused(reasons) => refused.extend(reasons),
        }
    }
    if !refused.is_empty() {
        Progress::Refused(refused)
    } else if !missing.is_empty() {
        Progress::Missing(missing)
    } else {
        Progress::Applied
    }
}
