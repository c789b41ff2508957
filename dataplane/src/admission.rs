//! How many connections a listener has open, in all and by client: what its limits are held against.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::sync::Notify;

/// How long a full listener waits before it looks at its limit again, which may have been raised.
const LOOK: Duration = Duration::from_millis(500);

/// The connections of one listener over all workers. It lives as long as the listener's sockets and their connections.
#[derive(Default)]
pub(crate) struct Admission {
    open: AtomicU32,
    by_client: Mutex<HashMap<IpAddr, u32>>,
    freed: Notify,
}

/// A place that a connection holds while it is open.
pub(crate) struct Place {
    admission: Arc<Admission>,
    client: Option<IpAddr>,
}

impl Admission {
    /// Takes a place, as soon as fewer than `limit` are taken. Safe to cancel.
    pub(crate) async fn enter(self: &Arc<Self>, limit: impl Fn() -> Option<u32>) -> Place {
        loop {
            let fits = |open: u32| limit().is_none_or(|limit| open < limit).then_some(open + 1);
            if self.open.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok() {
                return Place { admission: Arc::clone(self), client: None };
            }
            let _ = tokio::time::timeout(LOOK, self.freed.notified()).await;
        }
    }

    fn clients(&self) -> std::sync::MutexGuard<'_, HashMap<IpAddr, u32>> {
        self.by_client.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Says whose connection it is; false if `client` has `limit` of them already.
    ///
    /// A client is one IPv4 address, or one /64 of IPv6: that is what one customer gets.
    pub(crate) fn is_for(&mut self, client: IpAddr, limit: Option<u32>) -> bool {
        let client = client_of(client);
        let mut clients = self.admission.clients();
        let open = clients.entry(client).or_default();
        if limit.is_some_and(|limit| *open >= limit) {
            return false;
        }
        *open += 1;
        self.client = Some(client);
        true
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.admission.open.fetch_sub(1, Ordering::Relaxed);
        self.admission.freed.notify_one();
        let Some(client) = self.client else { return };
        let mut clients = self.admission.clients();
        if let Some(open) = clients.get_mut(&client) {
            *open -= 1;
            if *open == 0 {
                clients.remove(&client);
            }
        }
    }
}

fn client_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_place_that_is_left_is_taken_by_who_waits() {
        let admission = Arc::new(Admission::default());
        let first = admission.enter(|| Some(1)).await;
        let mut second = Box::pin(admission.enter(|| Some(1)));
        assert!(futures_util::poll!(&mut second).is_pending());
        drop(first);
        let second = second.await;
        assert_eq!(admission.open.load(Ordering::Relaxed), 1);
        drop(second);
        assert_eq!(admission.open.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn clients_are_counted_by_address_and_by_prefix() {
        let admission = Arc::new(Admission::default());
        let mut places = Vec::new();
        for (client, fits) in [
            ("192.0.2.1", true),
            ("192.0.2.1", true),
            ("::ffff:192.0.2.1", false),
            ("192.0.2.2", true),
            ("2001:db8::1", true),
            ("2001:db8::2", true),
            ("2001:db8::3", false),
            ("2001:db8:0:1::1", true),
        ] {
            let mut place = admission.enter(|| None).await;
            assert_eq!(place.is_for(client.parse().unwrap(), Some(2)), fits, "{client}");
            places.push(place);
        }
        drop(places);
        assert!(admission.clients().is_empty());
    }
}
