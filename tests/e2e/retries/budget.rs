//! Retries stay within the upstream's budget, whatever happens.

use std::thread;

use harness::{FastClient, FastOrigin, Habits};

use super::*;

const THREADS: u32 = 4;
const EACH: u32 = 2_500;

#[test]
fn backends_that_all_fail_get_little_more_than_what_came() {
    for (habits, on, status) in [
        (Habits { status: Some(503), ..Habits::default() }, "503", 503),
        (Habits { resets_one_in: 1, ..Habits::default() }, "reset", 502),
    ] {
        let origins: Vec<FastOrigin> = (0..3).map(|_| FastOrigin::start(habits.clone())).collect();
        let addresses: Vec<&str> = origins.iter().map(FastOrigin::address).collect();
        let retries = json!({ "on": [on], "attempts": 5, "backoff": { "base": "0s", "max": "0s" } });
        // A breaker would end it all.
        let upstream = json!({ "breaker": { "enabled": false } });
        let site = site(&addresses, json!({ "retries": retries }), upstream);
        let began = std::time::Instant::now();
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    let mut client = FastClient::new(&site.address);
                    for _ in 0..EACH {
                        assert_eq!(client.ask(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").unwrap(), status);
                    }
                });
            }
        });
        let (received, sent) = (THREADS * EACH, origins.iter().map(FastOrigin::requests).sum::<u32>());
        // A window looks ten seconds back: each begun one has its floor.
        let floor = 30 * (1 + u32::try_from(began.elapsed().as_secs()).unwrap() / 10);
        println!("{on}: {received} received, {sent} sent in {:?}, floor {floor}", began.elapsed());
        assert!(sent <= received + received / 5 + floor, "{on}: {sent} of {received}");
        assert!(sent >= received + received / 5 - 1, "the budget is used: {on}: {sent} of {received}");
        assert_eq!(metric(&site, "retries_total", "made"), u64::from(sent - received));
        assert!(metric(&site, "retries_total", "over_budget") > 0);
    }
}

#[test]
fn an_upstream_has_a_budget_of_its_own_and_may_have_none() {
    let origin = failing(503, &[], usize::MAX);
    for (budget, most) in [
        (json!({ "percent": 0, "min_per_second": 0 }), 0),
        (json!({ "percent": 100, "min_per_second": 0 }), 20),
        (json!({ "percent": 0, "min_per_second": 1 }), 10),
    ] {
        let upstream = json!({ "retry_budget": budget, "breaker": { "enabled": false } });
        let site = site(&[origin.address()], json!({ "retries": { "on": ["503"] } }), upstream);
        let mut client = site.client();
        for _ in 0..20 {
            assert_eq!(client.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n").unwrap().status, 503);
        }
        let made = metric(&site, "retries_total", "made");
        assert!(made >= most, "{budget}: {made}");
        assert_eq!(made + metric(&site, "retries_total", "over_budget"), 20, "{budget}");
    }
}
