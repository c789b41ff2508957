use std::{future::Future, sync::Arc, time::Duration};

use shared::validate::limits;
use tokio::{sync::watch, time::sleep};
use tracing::{info, warn};

use super::{
    follow::Known,
    question::{Family, Record, Resolved, Source},
};

/// Between two looks at whether connections failed: the first, doubled up to the last while that changes nothing.
const LOOK: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(8));

/// The largest weight of an address.
const LARGEST: u16 = 100;

/// What a choice of addresses needs to know, and whom it tells.
pub(super) trait Chooser: Send + Sync + 'static {
    /// Which family can be reached.
    fn reachable_family(&self, addresses: &[Resolved]) -> impl Future<Output = Option<Family>> + Send;

    /// Connections to the addresses that could not be made, ever.
    fn failed_connections(&self) -> u64;

    /// These are the addresses from now on.
    fn chosen(&self, addresses: Arc<[Resolved]>);
}

/// Chooses from what is `known` of the name of `source` the addresses that become endpoints, until the name is followed no more.
///
/// Where a name has addresses of both families, they are those of the family that can be reached, since they most often
/// lead to the same hosts: a request neither waits for nor fails at the other one. Which one it is, is tried out beside the
/// traffic (RFC 8305) when addresses change and when connecting to them failed. As long as none can be reached, it is all of them.
pub(super) async fn choose(source: Source, mut known: watch::Receiver<Known>, chooser: impl Chooser) {
    let mut family = None;
    let mut look = LOOK.0;
    loop {
        let current = known.borrow_and_update().clone();
        let addresses = resolved(&current.records, &source);
        let is_dual =
            [Family::V6, Family::V4].iter().all(|family| addresses.iter().any(|resolved| resolved.family() == *family));
        let failed = chooser.failed_connections();
        if is_dual {
            if family.is_some() {
                chooser.chosen(of_family(&addresses, family));
            }
            let reachable = chooser.reachable_family(&addresses).await.or(family);
            if reachable != family {
                info!(name = %source, family = ?reachable, "a name is reached by this family of its addresses");
                look = LOOK.0;
            }
            family = reachable;
        } else {
            family = None;
        }
        if current.is_settled {
            chooser.chosen(of_family(&addresses, family));
        }
        tokio::select! {
            changed = known.changed() => match changed {
                Ok(()) => look = LOOK.0,
                Err(_) => return,
            },
            () = more_failures(&chooser, failed, look), if is_dual => look = (look * 2).min(LOOK.1),
        }
    }
}

/// Waits until more connections than `before` have failed.
async fn more_failures(chooser: &impl Chooser, before: u64, look: Duration) {
    loop {
        sleep(look).await;
        // Counters begin again when their backend does.
        if chooser.failed_connections() != before {
            return;
        }
    }
}

fn resolved(records: &[Record], source: &Source) -> Vec<Resolved> {
    // In per cent of the largest: SRV has 65,535 of them, and schedules grow with their sum.
    let largest = records.iter().map(|record| record.weight).max().unwrap_or(1);
    let weight = |weight: u16| match largest {
        ..=LARGEST => weight,
        _ => (u32::from(weight) * u32::from(LARGEST) / u32::from(largest)) as u16,
    };
    let resolved = records.iter().filter_map(|record| {
        let port = record.port.or(source.port)?;
        Some(Resolved { address: (record.ip, port).into(), weight: weight(record.weight).max(1) })
    });
    let mut addresses: Vec<_> = resolved.collect();
    addresses.sort();
    addresses
}

fn of_family(addresses: &[Resolved], family: Option<Family>) -> Arc<[Resolved]> {
    let of_family = addresses.iter().filter(|resolved| family.is_none_or(|family| resolved.family() == family));
    let (mut chosen, limit): (Vec<_>, _) = (of_family.copied().collect(), limits::ADDRESSES_PER_BACKEND);
    if chosen.len() > limit {
        warn!(addresses = chosen.len(), used = limit, "a name has more addresses than are used");
        chosen.truncate(limit);
    }
    chosen.into()
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    };

    use super::*;

    #[derive(Default)]
    struct State {
        reachable: Mutex<Option<Family>>,
        failed: AtomicU64,
        races: AtomicU64,
        chosen: Mutex<Vec<String>>,
    }

    impl Chooser for Arc<State> {
        async fn reachable_family(&self, _: &[Resolved]) -> Option<Family> {
            self.races.fetch_add(1, Ordering::Relaxed);
            *self.reachable.lock().unwrap()
        }

        fn failed_connections(&self) -> u64 {
            self.failed.load(Ordering::Relaxed)
        }

        fn chosen(&self, addresses: Arc<[Resolved]>) {
            let text: Vec<_> = addresses.iter().map(|resolved| resolved.address.to_string()).collect();
            self.chosen.lock().unwrap().push(text.join(" "));
        }
    }

    struct Choice {
        state: Arc<State>,
        know: watch::Sender<Known>,
    }

    fn start(reachable: Option<Family>) -> Choice {
        let state = Arc::new(State { reachable: Mutex::new(reachable), ..State::default() });
        let (know, known) = watch::channel(Known::default());
        let source = Source::of(&"a:80".parse().unwrap()).unwrap();
        tokio::spawn(choose(source, known, Arc::clone(&state)));
        Choice { state, know }
    }

    impl Choice {
        /// What is chosen a moment after the name has these addresses.
        async fn with(&self, addresses: &[&str]) -> String {
            let records = addresses.iter().map(|ip| Record { ip: ip.parse().unwrap(), port: None, weight: 1 });
            self.know.send_replace(Known { records: records.collect(), answered: None, is_settled: true });
            self.after(100).await
        }

        async fn after(&self, millis: u64) -> String {
            sleep(Duration::from_millis(millis)).await;
            self.state.chosen.lock().unwrap().last().cloned().unwrap_or_default()
        }

        fn races(&self) -> u64 {
            self.state.races.load(Ordering::Relaxed)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_family_is_taken_as_it_is() {
        let choice = start(None);
        assert_eq!(choice.with(&["10.0.0.1", "10.0.0.2"]).await, "10.0.0.1:80 10.0.0.2:80");
        assert_eq!(choice.with(&["fd00::1"]).await, "[fd00::1]:80");
        assert_eq!(choice.with(&[]).await, "");
        assert_eq!(choice.races(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn of_two_families_the_one_that_can_be_reached_is_taken() {
        let choice = start(Some(Family::V4));
        assert_eq!(choice.with(&["10.0.0.1", "fd00::1"]).await, "10.0.0.1:80");
        *choice.state.reachable.lock().unwrap() = Some(Family::V6);
        assert_eq!(choice.with(&["10.0.0.2", "fd00::2"]).await, "[fd00::2]:80");
        let all = choice.state.chosen.lock().unwrap().clone();
        assert_eq!(all, ["10.0.0.1:80", "10.0.0.2:80", "[fd00::2]:80"], "nothing waits for the second trial");
    }

    #[tokio::test(start_paused = true)]
    async fn where_none_can_be_reached_all_are_taken() {
        let choice = start(None);
        assert_eq!(choice.with(&["10.0.0.1", "fd00::1"]).await, "10.0.0.1:80 [fd00::1]:80");
    }

    #[tokio::test(start_paused = true)]
    async fn failed_connections_try_again_less_and_less() {
        let choice = start(Some(Family::V6));
        assert_eq!(choice.with(&["10.0.0.1", "fd00::1"]).await, "[fd00::1]:80");
        choice.after(60_000).await;
        assert_eq!(choice.races(), 1, "what works is left alone");
        *choice.state.reachable.lock().unwrap() = Some(Family::V4);
        choice.state.failed.fetch_add(1, Ordering::Relaxed);
        assert_eq!(choice.after(2_000).await, "10.0.0.1:80");
        let before = choice.races();
        for _ in 0..600 {
            choice.state.failed.fetch_add(1, Ordering::Relaxed);
            choice.after(100).await;
        }
        assert!((5..=12).contains(&(choice.races() - before)), "{}", choice.races() - before);
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_addresses_than_the_limit_are_taken() {
        let choice = start(None);
        let many: Vec<String> = (0..300).map(|n| format!("10.0.{}.{}", n / 100, n % 100 + 1)).collect();
        let chosen = choice.with(&many.iter().map(String::as_str).collect::<Vec<_>>()).await;
        assert_eq!(chosen.split(' ').count(), limits::ADDRESSES_PER_BACKEND);
    }
}
