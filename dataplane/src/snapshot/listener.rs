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
    /// Whether connections may begin with HTTP/2 at once.
    pub(crate) allow_h2c: bool,
    /// Counters.
    pub(crate) metrics: ListenerMetrics,
}

impl Listener {
    pub(crate) fn compile(listener: &config::Listener, live: &Live) -> Self {
        Self {
            name: listener.name.clone(),
            trusted_proxies: listener.trusted_proxies.clone(),
            allow_h2c: listener.allow_h2c,
            metrics: live.listener_metrics(&listener.name),
        }
    }
}
