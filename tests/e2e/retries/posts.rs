//! What must not come twice does not.

use std::{
    collections::{HashMap, HashSet},
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    thread,
};

use harness::{
    FastClient, FastOrigin, Habits,
    h2::{Frame, H2Origin, H2Request, H2Stream, code},
};

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
    let mut seen = HashMap::new();
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

/// What an HTTP/2 backend has taken, and what it has said that it did not.
#[derive(Default)]
struct Taken {
    /// How often each id came.
    ids: HashMap<String, u32>,
    /// Streams by connection of which it said that it did not look at them.
    refused: HashSet<(usize, u32)>,
    /// Connections that take no further stream.
    closing: HashSet<usize>,
    refusals: u32,
    heads: u32,
}

impl Taken {
    /// Answers most requests. Of the others it gives some back, and resets some or ends their connection, at their heads or their ends.
    fn act(&mut self, request: &H2Request, stream: &mut H2Stream<'_>) -> io::Result<()> {
        let place = (request.connection, request.stream);
        if request.is_ended {
            return match self.refused.remove(&place) {
                true => Ok(()),
                false if request.stream.is_multiple_of(29) => Err(io::Error::other("ended behind a request")),
                false if request.stream.is_multiple_of(31) => {
                    stream.frame(&Frame::reset(request.stream, code::INTERNAL_ERROR))
                }
                false => stream.answer(&[(":status", "200")], b"ok", &[]),
            };
        }
        self.heads += 1;
        let goes_away = self.heads.is_multiple_of(41);
        if goes_away || self.heads.is_multiple_of(17) || self.closing.contains(&request.connection) {
            self.refusals += 1;
            self.refused.insert(place);
            return match goes_away {
                // Those before go on.
                true if self.closing.insert(request.connection) => {
                    stream.frame(&Frame::goaway(request.stream.saturating_sub(2), code::NO_ERROR))
                }
                true => Ok(()),
                false if self.closing.contains(&request.connection) => Ok(()),
                false => stream.frame(&Frame::reset(request.stream, code::REFUSED_STREAM)),
            };
        }
        *self.ids.entry(request.field("x-id").to_owned()).or_default() += 1;
        match self.heads {
            heads if heads.is_multiple_of(37) => Err(io::Error::other("ended in a request")),
            heads if heads.is_multiple_of(43) => {
                self.refused.insert(place);
                stream.frame(&Frame::reset(request.stream, code::CANCEL))
            }
            _ => Ok(()),
        }
    }
}

#[test]
fn of_thousands_over_http_2_to_backends_of_both_versions_that_fail_at_random_no_post_comes_twice() {
    const THREADS: usize = 4;
    const ROUNDS: usize = 150;
    const AT_A_TIME: usize = 5;
    let retries = json!({ "attempts": 3, "backoff": { "base": "0s", "max": "0s" } });
    for protocol in ["h1", "h2c"] {
        let habits = Habits { closes_one_in: 10, resets_one_in: 25, ..Habits::default() };
        let http1: Vec<FastOrigin> = (0..2).map(|_| FastOrigin::start(habits.clone())).collect();
        let taken: Vec<Arc<Mutex<Taken>>> = (0..2).map(|_| Arc::default()).collect();
        let http2 = taken.iter().map(Arc::clone);
        let http2: Vec<H2Origin> = http2
            .map(|taken| H2Origin::eager(&[], move |request, stream| taken.lock().unwrap().act(request, stream)))
            .collect();
        let addresses: Vec<&str> = match protocol {
            "h1" => http1.iter().map(FastOrigin::address).collect(),
            _ => http2.iter().map(H2Origin::address).collect(),
        };
        let upstream = json!({
            "protocol": protocol, "retry_budget": { "percent": 100 }, "breaker": { "enabled": false },
        });
        let site = site(&addresses, json!({ "retries": retries }), upstream);
        let answered: Vec<HashMap<String, u16>> = thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .map(|thread| {
                    let site = &site;
                    scope.spawn(move || {
                        let mut client = site.h2_client();
                        let mut answered = HashMap::new();
                        for round in 0..ROUNDS {
                            let asked: Vec<(String, u32)> = (0..AT_A_TIME)
                                .map(|index| {
                                    let id = format!("{thread}-{round}-{index}");
                                    let stream = client.begin("POST", "/", &[("x-id", &id)], false).unwrap();
                                    client.send_data(stream, "abc", true).unwrap();
                                    (id, stream)
                                })
                                .collect();
                            for (id, stream) in asked {
                                answered.insert(id, client.response(stream).unwrap().status());
                            }
                        }
                        answered
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let mut came: HashMap<String, u32> = HashMap::new();
        for (id, count) in http1.iter().flat_map(FastOrigin::ids) {
            *came.entry(String::from_utf8(id).unwrap()).or_default() += count;
        }
        let mut refusals = 0;
        for taken in &taken {
            let taken = taken.lock().unwrap();
            refusals += taken.refusals;
            for (id, count) in &taken.ids {
                *came.entry(id.clone()).or_default() += count;
            }
        }
        let twice: Vec<_> = came.iter().filter(|(_, count)| **count > 1).collect();
        assert!(twice.is_empty(), "{protocol}: {twice:?}");
        let answered: HashMap<String, u16> = answered.into_iter().flatten().collect();
        assert_eq!(answered.len(), THREADS * ROUNDS * AT_A_TIME);
        let is_ok = |status: &u16| *status == 200;
        assert!(answered.iter().all(|(id, status)| !is_ok(status) || came.contains_key(id)), "what was answered came");
        let failed = answered.values().filter(|status| !is_ok(status)).count();
        println!("{protocol}: {failed} of {} POSTs failed, {refusals} were given back", answered.len());
        assert!(failed > 10 && failed < answered.len() / 2, "{protocol}: {failed} failed");
        assert!(protocol == "h1" || refusals > 50, "{refusals}");
    }
}
