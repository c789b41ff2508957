//! Which data planes hold a configuration that is not ours to overwrite.

use shared::protocol::{Held, Snapshot};

use super::History;

/// Why a data plane that holds `held` is foreign; none if it is not.
///
/// A wiped or restored database must not empty live traffic: what another store made, what is newer than all that this store
/// knows, and what differs from what this store once published under the same number stays until an operator says otherwise.
pub(super) async fn reason(held: Option<Held>, published: &Snapshot, history: &dyn History) -> Option<String> {
    let held = held?;
    if held == published.held() {
        return None;
    }
    if held.store != published.store {
        return Some(format!("it holds revision {} of another store, {}", held.revision, held.store));
    }
    if held.revision > published.revision {
        return Some(format!(
            "it holds revision {}, but the newest revision of this store is {}; the database may be an older backup",
            held.revision, published.revision
        ));
    }
    let stored = match history.body_hash(held.revision).await {
        Ok(stored) => stored?,
        // Whoever cannot be judged is not overwritten; a new connection is judged anew.
        Err(unreadable) => {
            return Some(format!("whether its revision {} is this store's is not known: {unreadable}", held.revision));
        }
    };
    (stored != held.hash).then(|| {
        format!(
            "its revision {} has the hash {}, but this store's has {stored}; the database may be an older backup",
            held.revision, held.hash
        )
    })
}
