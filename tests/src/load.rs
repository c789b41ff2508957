//! Requests all the time, while a test changes something.

use std::{
    collections::BTreeMap,
    fmt, io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::{RawClient, RawResponse};

/// What a load sends.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where to.
    pub address: String,
    /// `Host`.
    pub host: String,
    /// The request target.
    pub path: String,
    /// Threads that send all their requests on one connection each.
    pub kept: usize,
    /// Threads that open a connection for every request.
    pub fresh: usize,
    /// A pause after each request of a thread; zero is as fast as it goes.
    pub pause: Duration,
}

/// Threads that send requests until they are told to stop.
pub struct Load {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Tally>>,
}

/// What became of the requests.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Responses by the key that the test's function gave them.
    pub counts: BTreeMap<String, u64>,
    /// Requests without a response.
    pub failures: Vec<LoadFailure>,
}

/// One request without a response.
#[derive(Clone, Debug)]
pub struct LoadFailure {
    /// When, since the load began.
    pub after: Duration,
    /// On a connection that carried responses before; how many.
    pub responses_before: u64,
    /// What happened.
    pub error: String,
}

impl Tally {
    /// All responses.
    pub fn responses(&self) -> u64 {
        self.counts.values().sum()
    }

    /// Fails the test if a request had no response, or a response's key is none of `expected`.
    ///
    /// # Panics
    /// With the whole tally.
    #[track_caller]
    pub fn expect_only(&self, expected: &[&str]) {
        let strange = self.counts.keys().any(|key| !expected.contains(&key.as_str()));
        assert!(!strange && self.failures.is_empty() && self.responses() > 0, "only {expected:?} was expected: {self}");
    }

    fn add(&mut self, other: Self) {
        for (key, count) in other.counts {
            *self.counts.entry(key).or_default() += count;
        }
        self.failures.extend(other.failures);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} responses {:?}, {} failures", self.responses(), self.counts, self.failures.len())?;
        for failure in self.failures.iter().take(20) {
            write!(formatter, "\n  {failure:?}")?;
        }
        Ok(())
    }
}

impl Load {
    /// Starts the threads of `plan`; `key` names the class of a response.
    pub fn start(plan: &Plan, key: impl Fn(&RawResponse) -> String + Send + Sync + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let key = Arc::new(key);
        let began = Instant::now();
        let kinds = std::iter::repeat_n(true, plan.kept).chain(std::iter::repeat_n(false, plan.fresh));
        let threads = kinds.map(|keep| {
            let (plan, stop, key) = (plan.clone(), Arc::clone(&stop), Arc::clone(&key));
            thread::spawn(move || send_all(&plan, keep, &stop, began, &*key))
        });
        Self { threads: threads.collect(), stop }
    }

    /// Stops the threads, each after the request that it is at, and adds up.
    ///
    /// # Panics
    /// When a thread did.
    pub fn stop(mut self) -> Tally {
        self.stop.store(true, Ordering::Relaxed);
        let mut tally = Tally::default();
        for thread in self.threads.drain(..) {
            tally.add(thread.join().expect("a thread of the load panicked"));
        }
        tally
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn send_all(plan: &Plan, keep: bool, stop: &AtomicBool, began: Instant, key: &dyn Fn(&RawResponse) -> String) -> Tally {
    let connection = if keep { "keep-alive" } else { "close" };
    let request =
        format!("GET {} HTTP/1.1\r\nHost: {}\r\nConnection: {connection}\r\n\r\n", plan.path, plan.host).into_bytes();
    let mut tally = Tally::default();
    let mut open: Option<(RawClient, u64)> = None;
    while !stop.load(Ordering::Relaxed) {
        let responses_before = open.as_ref().map_or(0, |(_, responses)| *responses);
        match send_one(&mut open, &plan.address, &request) {
            Ok(response) => {
                *tally.counts.entry(key(&response)).or_default() += 1;
                // A server may end a connection when it says so with the response.
                if !keep || response.head.lists("connection", "close") {
                    open = None;
                }
            }
            Err(error) => {
                open = None;
                tally.failures.push(LoadFailure { after: began.elapsed(), responses_before, error: error.to_string() });
                // A listener that is gone refuses at once: no need to count that a million times.
                crate::wait::pause();
            }
        }
        if !plan.pause.is_zero() {
            rest(plan.pause);
        }
    }
    tally
}

fn send_one(open: &mut Option<(RawClient, u64)>, address: &str, request: &[u8]) -> io::Result<RawResponse> {
    let (client, responses) = match open {
        Some(open) => open,
        none => none.insert((RawClient::connect(address)?, 0)),
    };
    let response = client.ask(request)?;
    *responses += 1;
    Ok(response)
}

/// Rests for `pause`, to be a slow peer. Never to wait for something: that is what [`wait_for`](crate::wait_for) is for.
#[expect(clippy::disallowed_methods, reason = "paces a peer; no test waits for it")]
pub fn rest(pause: Duration) {
    thread::sleep(pause);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DEADLINE, Origin, wait_for};

    fn plan(address: &str) -> Plan {
        Plan {
            address: address.to_owned(),
            host: "h".to_owned(),
            path: "/".to_owned(),
            kept: 1,
            fresh: 1,
            pause: Duration::ZERO,
        }
    }

    #[test]
    fn counts_responses_on_kept_and_on_fresh_connections() {
        let origin = Origin::named("a");
        let load = Load::start(&plan(origin.address()), RawResponse::text);
        wait_for("requests", DEADLINE, || (origin.received().len() > 20 && origin.connections() > 5).then_some(()));
        let tally = load.stop();
        tally.expect_only(&["a"]);
        assert!((origin.connections() as u64) < tally.responses(), "{tally}");
    }

    #[test]
    fn every_failure_is_recorded() {
        let origin = Origin::start(|_| crate::Reply::hang_up());
        let load = Load::start(&plan(origin.address()), RawResponse::text);
        wait_for("requests", DEADLINE, || (origin.received().len() > 2).then_some(()));
        let tally = load.stop();
        assert_eq!(tally.responses(), 0);
        assert!(tally.failures.len() > 2 && tally.to_string().contains("ended before a response"), "{tally}");
    }
}
