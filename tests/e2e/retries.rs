//! Requests that are tried again: for what, over which versions, how often, and what they never cost.

mod backend;
mod budget;
mod fallback;
mod heads;
mod pairs;
mod posts;
mod time;

use harness::{Origin, RawClient, Reply, free_port};
use serde_json::{Value, json};

use crate::site::{Site, one_upstream};

/// The sum over all lines of the metric `name` that have `label`.
fn metric(site: &Site, name: &str, label: &str) -> u64 {
    let text = site.plane.metrics();
    let lines = text.lines().filter(|line| line.starts_with(&format!("tidegate_{name}")) && line.contains(label));
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

/// An address at which nobody listens.
fn nobody() -> String {
    format!("127.0.0.1:{}", free_port())
}

/// A data plane before backends at `addresses`, whose upstream has further fields.
fn site(addresses: &[&str], route: Value, upstream: Value) -> Site {
    let mut config = one_upstream(addresses.iter().map(|address| (*address, 1)), route);
    for (name, value) in upstream.as_object().unwrap() {
        config["upstreams"][0][name] = value.clone();
    }
    config["listeners"] = json!([{ "name": "web", "allow_h2c": true }]);
    Site::start(config)
}

fn put(path: &str, body: &str) -> String {
    format!("PUT {path} HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// An origin that answers with `status` and further fields, but `ok` every `good`th time.
fn failing(status: u16, fields: &'static [(&'static str, &'static str)], good: usize) -> Origin {
    let count = std::sync::atomic::AtomicUsize::new(1);
    Origin::start(move |_| match count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) % good {
        0 => Reply::text("ok"),
        _ => Reply::with(status, fields, "busy"),
    })
}

#[test]
fn a_body_within_the_buffer_is_sent_again_and_a_larger_one_is_not() {
    let good = Origin::named("good");
    let bad = Origin::start(|_| Reply::hang_up());
    let site = site(&[bad.address(), good.address()], json!({}), json!({}));
    for (length, is_again) in [(1, true), (1000, true), (64 << 10, true), ((64 << 10) + 1, false), (1 << 20, false)] {
        for chunked in [false, true] {
            let body = "x".repeat(length);
            let path = format!("/{length}/{chunked}");
            let request = if chunked {
                format!(
                    "PUT {path} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n"
                )
            } else {
                put(&path, &body)
            };
            // What the framing of a chunked body takes is kept, too.
            let is_again = is_again && !(chunked && length == 64 << 10);
            // Until one meets the bad one first.
            let mut asked = 0;
            while bad.take_received().is_empty() {
                let mut client = RawClient::connect(&site.address).unwrap();
                let status = client.ask(&request).unwrap().status;
                asked += 1;
                if !bad.received().is_empty() {
                    assert_eq!(status, if is_again { 200 } else { 502 }, "{path}");
                }
                assert!(asked < 50);
            }
            let got = good.take_received();
            assert_eq!(got.len(), if is_again { asked } else { asked - 1 }, "{path}");
            assert!(got.iter().all(|request| request.body == body.as_bytes()), "{path}");
        }
    }
    assert!(metric(&site, "retries_total", "body_gone") >= 4);
    assert_eq!(metric(&site, "replay_buffer_bytes", ""), 0);
}

#[test]
fn a_body_that_was_asked_for_is_sent_again() {
    let good = Origin::named("good");
    // It sends 100 before it hangs up.
    let bad = Origin::start(|_| Reply::hang_up());
    let site = site(&[bad.address(), good.address()], json!({}), json!({}));
    let mut asked = 0;
    while bad.received().is_empty() {
        asked += 1;
        assert!(asked < 50);
        let mut client = site.client();
        client.send("PUT /x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n").unwrap();
        assert_eq!(client.read_response_head().unwrap().first_line, "HTTP/1.1 100 Continue");
        client.send("abc").unwrap();
        let mut head = client.read_response_head().unwrap();
        if head.first_line.contains("100") {
            // Of the second backend: a client takes as many as there are.
            head = client.read_response_head().unwrap();
        }
        assert!(head.first_line.contains("200"), "{head:?}");
        assert_eq!(client.read_exactly(4).unwrap(), b"good");
    }
    assert!(good.received().iter().all(|request| request.body == b"abc"));
    assert_eq!((good.received().len(), bad.received().len()), (asked, 1));
}

#[test]
fn an_upload_on_a_stale_connection_is_sent_again_and_counts_as_one_try() {
    let origin = Origin::named("ok");
    let site = Site::of(&[&origin], json!({ "retries": { "attempts": 0 } }));
    let mut client = site.client();
    assert_eq!(client.ask(put("/first", "abc")).unwrap().status, 200);
    for round in 0..50 {
        // As the request is on its way, or just before: either way it arrives once.
        origin.drop_connections();
        let path = format!("/{round}");
        assert_eq!(client.ask(put(&path, "abc")).unwrap().status, 200, "round {round}");
    }
    assert_eq!(origin.received().len(), 51);
    assert_eq!(metric(&site, "backend_requests_total", ""), 51);
}

#[test]
fn a_response_that_is_not_passed_on_leaves_a_clean_connection() {
    // Little, and by every framing: it is read, and its connection used again.
    for (answer, is_kept) in [
        ("HTTP/1.1 503 X\r\nContent-Length: 4\r\n\r\nbusy".to_owned(), true),
        ("HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n".to_owned(), true),
        ("HTTP/1.1 503 X\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbusy\r\n0\r\nT: 1\r\n\r\n".to_owned(), true),
        (format!("HTTP/1.1 503 X\r\nContent-Length: 60000\r\n\r\n{}", "b".repeat(60_000)), true),
        (format!("HTTP/1.1 503 X\r\nContent-Length: 70000\r\n\r\n{}", "b".repeat(70_000)), false),
        ("HTTP/1.1 503 X\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbusy".to_owned(), false),
        ("HTTP/1.1 503 X\r\n\r\nbusy".to_owned(), false),
    ] {
        let shown = answer[..60.min(answer.len())].to_owned();
        let bad = Origin::start(move |_| Reply::raw(answer.clone(), is_kept));
        let good = Origin::named("good");
        let route = json!({ "retries": { "on": ["503"] } });
        let mut config = one_upstream([(bad.address(), 1), (good.address(), 1)].into_iter(), route);
        config["listeners"] = json!([{ "name": "web" }]);
        let site = Site::with_workers(1, config);
        let mut client = site.client();
        for _ in 0..10 {
            let response = client.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
            assert_eq!((response.status, response.text().as_str()), (200, "good"), "{shown}");
        }
        let met = bad.received().len();
        assert!(met >= 2, "{shown}");
        if !is_kept {
            assert_eq!(bad.connections(), met, "{shown}");
        } else if shown.contains("Content-Length: 4") {
            assert_eq!(bad.connections(), 1, "{shown}");
        }
    }
}
