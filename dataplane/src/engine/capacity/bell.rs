use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

/// By which other threads tell a worker that somebody waits for its idle connections.
#[derive(Default)]
pub(crate) struct Bell {
    endpoints: Mutex<Vec<u64>>,
    rung: Notify,
}

impl Bell {
    /// Somebody waits for an idle connection to `endpoint`.
    pub(super) fn ring(&self, endpoint: u64) {
        let mut endpoints = self.endpoints.lock().unwrap_or_else(PoisonError::into_inner);
        if !endpoints.contains(&endpoint) {
            endpoints.push(endpoint);
        }
        drop(endpoints);
        self.rung.notify_one();
    }

    /// Waits until it rings, and answers for which endpoints. Cancel-safe.
    pub(crate) async fn heard(&self) -> Vec<u64> {
        self.rung.notified().await;
        std::mem::take(&mut *self.endpoints.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
