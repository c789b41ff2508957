use std::sync::Arc;

use prometheus_client::metrics::counter::Counter;

use super::{Upstream, action::Answering};

/// What happens to a request for which no endpoint may be used.
pub(crate) struct Fallback {
    /// What.
    pub(crate) way: Way,
    /// How often it was so.
    pub(crate) count: Counter,
}

/// Where it goes.
pub(crate) enum Way {
    /// It is sent to this upstream.
    Forward(Arc<Upstream>),
    /// It is answered.
    Reply(Box<Answering>),
}
