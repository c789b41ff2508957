//! What must not come twice does not.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    thread,
};

use harness::{FastClient, FastOrigin, Habits};

use super::*;

#[test]
fn of_a_hundred_thousand_requests_to_backends_that_reset_at_random_no_post_comes_twice() {
    const THREADS: u32 = 8;
    const EACH: u32 = 12_500;
    let habits = Habits { closes_one_in: 50, resets_one_in: 100, ..Habits::default() };
    let origins: Vec<FastOrigin> = (0..2).map(|_| FastOrigin::start(habits.clone())).collect();
    let addresses: Vec<&str> = origins.iter().map(FastOrigin::address).collect();
    let retries = json!({ "attempts": 3, "backoff": { "base": "0s", "max": "0s" } });
    let upstream = json!({ "retry_budget": { "percent": 100 }, "breaker": { "minimum_number_of_calls": 100000 } });
    let site = site(&addresses, json!({ "retries": retries }), upstream);
    let (posts, broken, failed) = (AtomicU32::new(0), AtomicU32::new(0), AtomicU32::new(0));
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (site, posts, broken, failed) = (&site, &posts, &broken, &failed);
            scope.spawn(move || {
                let mut client = FastClient::new(&site.address);
                for request in 0..EACH {
                    let is_post = request % 2 == 0;
                    let method = if is_post { "POST" } else { "PUT" };
                    let id = if is_post { format!("X-Id: {thread}-{request}\r\n") } else { String::new() };
                    let head = format!("{method} / HTTP/1.1\r\nHost: h\r\n{id}Content-Length: 3\r\n\r\nabc");
                    let is_ok = client.ask(head.as_bytes()).expect("every request has an answer") == 200;
                    posts.fetch_add(u32::from(is_post), Ordering::Relaxed);
                    broken.fetch_add(u32::from(is_post && !is_ok), Ordering::Relaxed);
                    failed.fetch_add(u32::from(!is_post && !is_ok), Ordering::Relaxed);
                }
            });
        }
    });
    let [posts, broken, failed] = [posts, broken, failed].map(AtomicU32::into_inner);
    let mut seen = std::collections::HashMap::new();
    for (id, count) in origins.iter().flat_map(FastOrigin::ids) {
        *seen.entry(id).or_insert(0) += count;
    }
    assert!(seen.values().all(|count| *count == 1), "a POST came twice");
    assert!(seen.len() as u32 >= posts - broken, "what was answered came");
    let made = metric(&site, "retries_total", "made");
    println!("{broken} of {posts} POSTs and {failed} PUTs failed, {made} retries");
    // Four tries that fail one time in a hundred each.
    assert!(failed < 10, "{failed} PUTs failed");
    // Most resets come on pooled connections, whose requests are sent again without counting.
    assert!(broken > 100 && made > 0, "there was something to be tried again");
}
