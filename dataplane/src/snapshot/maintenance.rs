use std::net::IpAddr;

use shared::{config, value::Cidr};

/// A route that is out of service.
pub(crate) struct Maintenance {
    /// After how many seconds clients should come back.
    pub(crate) retry_after: u64,
    allow: Box<[Cidr]>,
}

impl Maintenance {
    /// Compiles `maintenance`, if it is on.
    pub(crate) fn compile(maintenance: &config::Maintenance) -> Option<Self> {
        let config::Maintenance { enabled, retry_after, allow } = maintenance;
        let retry_after = retry_after.duration().as_millis().div_ceil(1000);
        enabled.then(|| Self {
            retry_after: u64::try_from(retry_after).unwrap_or(u64::MAX),
            allow: allow.as_slice().into(),
        })
    }

    /// Whether `client` is served all the same.
    pub(crate) fn lets_in(&self, client: IpAddr) -> bool {
        self.allow.iter().any(|range| range.contains(client))
    }
}
