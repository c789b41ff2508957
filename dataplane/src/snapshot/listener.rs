use shared::{
    config,
    value::{Cidr, Name},
};

use crate::{live::Live, metrics::ListenerMetrics};

/// What requests need to know of the listener that they came in by.
#[derive(Debug)]
pub(crate) struct Listener {
    /// Its name.
    pub(crate) name: Name,
    /// Peers that are believed.
    pub(crate) trusted_proxies: Vec<Cidr>,
    /// Counters.
    pub(crate) metrics: ListenerMetrics,
}

impl Listener {
    pub(crate) fn compile(listener: &config::Listener, live: &Live) -> Self {
        Self {
            name: listener.name.clone(),
            trusted_proxies: listener.trusted_proxies.clone(),
            metrics: live.listener_metrics(&listener.name),
        }
    }
}
