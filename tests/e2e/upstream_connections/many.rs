//! Very many requests.

use super::*;

/// What became of requests.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Outcome {
    answered: u32,
    refused: u32,
    cut_off: u32,
}

/// Runs `client` on `count` threads and adds up.
fn on_threads(count: u32, client: impl Fn(u32) -> Outcome + Sync) -> Outcome {
    thread::scope(|scope| {
        let client = &client;
        let threads: Vec<_> = (0..count).map(|index| scope.spawn(move || client(index))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).fold(Outcome::default(), |sum, outcome| Outcome {
            answered: sum.answered + outcome.answered,
            refused: sum.refused + outcome.refused,
            cut_off: sum.cut_off + outcome.cut_off,
        })
    })
}

impl Outcome {
    fn add(&mut self, answer: std::io::Result<u16>) -> bool {
        match answer {
            Ok(200) => self.answered += 1,
            Ok(_) => self.refused += 1,
            Err(_) => self.cut_off += 1,
        }
        matches!(answer, Ok(200))
    }
}

#[test]
fn at_a_cap_of_one_everybody_is_answered_over_one_connection_at_a_time() {
    const THREADS: u32 = 20;
    const EACH: u32 = 500;
    let origin = FastOrigin::start(Habits::default());
    let mut config = config(origin.address(), &json!({}), Some(1));
    // However slow the machine is: the order is what counts, and that nobody is forgotten.
    config["upstreams"][0]["backends"][0]["queue_timeout"] = json!("5m");
    config["routes"][0]["timeouts"] = json!({ "connect": "1m" });
    let site = Site::start(config);
    let outcome = on_threads(THREADS, |_| {
        let mut client = FastClient::new(&site.address);
        let mut outcome = Outcome::default();
        for request in 0..EACH {
            outcome.add(client.ask(GET.as_bytes()));
            if request % 25 == 0 {
                // Perhaps to the other worker.
                client.hang_up();
            }
        }
        outcome
    });
    assert_eq!(outcome, Outcome { answered: THREADS * EACH, ..Outcome::default() });
    assert_eq!((origin.requests(), origin.most_open()), (THREADS * EACH, 1));
    assert!(origin.accepted() > 1, "both workers had it");
    assert!(metric(&site, "backend_connection_waits_total") > 0);
}

#[test]
fn an_origin_that_closes_idle_connections_at_random_costs_no_idempotent_request_and_doubles_no_other() {
    const THREADS: u32 = 8;
    const EACH: u32 = 12_500;
    let origin = FastOrigin::start(Habits { closes_one_in: 20, ..Habits::default() });
    let site = Site::start(config(origin.address(), &json!({}), None));
    let broken_posts = AtomicU32::new(0);
    let idempotent = on_threads(THREADS, |thread| {
        let mut client = FastClient::new(&site.address);
        let mut outcome = Outcome::default();
        for request in 0..EACH {
            if request % 4 == 0 {
                let head =
                    format!("POST / HTTP/1.1\r\nHost: h\r\nX-Id: {thread}-{request}\r\nContent-Length: 3\r\n\r\nabc");
                let mut posted = Outcome::default();
                let is_answered = posted.add(client.ask(head.as_bytes()));
                assert_eq!(posted.cut_off, 0, "every request has an answer");
                broken_posts.fetch_add(u32::from(!is_answered), Ordering::Relaxed);
            } else {
                outcome.add(client.ask(GET.as_bytes()));
            }
        }
        outcome
    });
    assert_eq!(idempotent, Outcome { answered: THREADS * EACH / 4 * 3, ..Outcome::default() });
    let ids = origin.ids();
    assert!(ids.values().all(|count| *count == 1), "a POST came twice");
    let (posts, broken) = (THREADS * EACH / 4, broken_posts.into_inner());
    assert!(ids.len() as u32 >= posts - broken, "what was answered came");
    // Only those whose connection was closed in the moment in which they were on their way.
    assert!(broken < posts / 20, "{broken} of {posts} POSTs failed");
    let [stale, failed] = [
        metric(&site, "backend_connections_stale_total"),
        metric_of(&site, "backend_failures_total", "kind=\"reset\""),
    ];
    assert_eq!(failed, u64::from(broken), "stale connections are counted apart");
    println!("{stale} stale, {broken} of {posts} POSTs failed, {} connections", origin.accepted());
    assert!(origin.accepted() > 100);
}
