//! Each condition over each pair of versions.

use super::{
    backend::{Backend, Hold, Way},
    *,
};

/// Requests until one meets a certain one of two backends first.
const ROUNDS: u32 = 50;

/// Asks by the version, for status and body.
fn ask(site: &Site, is_h2: bool, method: &str, path: &str, body: &str) -> (u16, String) {
    if is_h2 {
        let response = site.h2_client().ask(method, path, &[], body).unwrap();
        return (response.status(), response.text());
    }
    let length = body.len();
    let request = format!("{method} {path} HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n{body}");
    let response = site.client().ask(request).unwrap();
    (response.status, response.text())
}

/// What a backend does, for what a request is tried again then, and how the log says so.
fn conditions(is_h2: bool) -> Vec<(Option<Way>, &'static str, String)> {
    let mut conditions = vec![
        (None, "connect_failure", "connect_failed".to_owned()),
        (Some(Way::Resets), "reset", "upstream_reset".to_owned()),
        (Some(Way::Hangs), "timeout", "upstream_timeout".to_owned()),
        (Some(Way::Status(503)), "503", "503".to_owned()),
        (Some(Way::Status(429)), "400-599", "429".to_owned()),
    ];
    if is_h2 {
        conditions.push((Some(Way::Grpc("14")), "grpc:unavailable", "grpc:14".to_owned()));
    } else {
        conditions.push((Some(Way::Babbles), "reset", "bad_response".to_owned()));
    }
    conditions
}

fn protocol(is_h2: bool) -> &'static str {
    if is_h2 { "h2c" } else { "h1" }
}

#[test]
fn each_condition_leads_to_another_endpoint() {
    for backends_h2 in [false, true] {
        for (way, on, word) in conditions(backends_h2) {
            let hold = Hold::default();
            let good = Backend::start(backends_h2, Way::Answers, &hold);
            let bad = way.map(|way| Backend::start(backends_h2, way, &hold));
            let bad_address = bad.as_ref().map_or_else(nobody, |bad| bad.address().to_owned());
            let route = json!({ "retries": { "on": [on], "per_try_timeout": "2s" } });
            let upstream = json!({ "protocol": protocol(backends_h2) });
            let site = site(&[&bad_address, good.address()], route, upstream);
            let mut asked = 0;
            for client_h2 in [false, true] {
                for (method, body) in [("GET", ""), ("PUT", "12345")] {
                    let what = format!("{word}, client {}, {method} to {}", protocol(client_h2), protocol(backends_h2));
                    // Until one meets the bad one first.
                    for round in 0.. {
                        assert!(round < ROUNDS, "{what}");
                        let path = format!("/{client_h2}/{method}/{round}");
                        let expected = (200, format!("good {}", body.len()));
                        assert_eq!(ask(&site, client_h2, method, &path, body), expected, "{what}");
                        asked += 1;
                        let line = site.logged(&path);
                        assert_eq!((&line["backend"], &line["reason"]), (&json!("b1"), &Value::Null), "{line}");
                        if line["tries"] == 2 {
                            assert_eq!(line["retried_for"], json!(word), "{what}: {line}");
                            break;
                        }
                        assert_eq!(line["tries"], 1, "{line}");
                    }
                }
            }
            assert_eq!(metric(&site, "retries_total", "made"), 4, "{word}");
            assert_eq!(metric(&site, "backend_requests_total", "b0"), 4, "{word}");
            assert_eq!(metric(&site, "backend_requests_total", "b1"), asked, "{word}");
            hold.end();
        }
    }
}

#[test]
fn what_is_not_named_is_passed_on() {
    for backends_h2 in [false, true] {
        for (way, expected) in [(Way::Resets, 502), (Way::Status(503), 503), (Way::Status(500), 500)] {
            let hold = Hold::default();
            let bad = Backend::start(backends_h2, way, &hold);
            let route = json!({ "retries": { "on": ["timeout", "connect_failure", "504"], "attempts": 3 } });
            let site = site(&[bad.address()], route, json!({ "protocol": protocol(backends_h2) }));
            for client_h2 in [false, true] {
                assert_eq!(ask(&site, client_h2, "GET", "/", "").0, expected, "{way:?}");
            }
            assert_eq!(bad.received(), 2, "{way:?}");
            assert_eq!(metric(&site, "retries_total", ""), 0);
        }
    }
}

#[test]
fn a_post_is_tried_again_only_if_nothing_was_sent_or_the_route_says_so() {
    for backends_h2 in [false, true] {
        for client_h2 in [false, true] {
            for (way, methods, again) in [
                (None, json!([]), true),
                (Some(Way::Resets), json!([]), false),
                (Some(Way::Status(503)), json!([]), false),
                (Some(Way::Resets), json!(["POST"]), true),
                (Some(Way::Status(503)), json!(["POST"]), true),
            ] {
                let hold = Hold::default();
                let good = Backend::start(backends_h2, Way::Answers, &hold);
                let bad = way.map(|way| Backend::start(backends_h2, way, &hold));
                let bad_address = bad.as_ref().map_or_else(nobody, |bad| bad.address().to_owned());
                let retries = json!({ "on": ["connect_failure", "reset", "503"], "methods": methods });
                let upstream = json!({ "protocol": protocol(backends_h2) });
                let site = site(&[&bad_address, good.address()], json!({ "retries": retries }), upstream);
                let expected = match way {
                    _ if again => 200,
                    Some(Way::Status(status)) => status,
                    _ => 502,
                };
                // Until one meets the bad one first.
                let what = format!("{way:?} {methods} {client_h2} {backends_h2}");
                let is_met = || metric(&site, "backend_requests_total", "b0") == 1;
                let answers: Vec<u16> = (0..ROUNDS)
                    .map_while(|_| (!is_met()).then(|| ask(&site, client_h2, "POST", "/", "abc").0))
                    .collect();
                let (last, others) = answers.split_last().unwrap();
                assert_eq!(*last, expected, "{what}");
                assert!(others.iter().all(|status| *status == 200), "{what}: {answers:?}");
                assert_eq!(good.received(), if again { answers.len() } else { answers.len() - 1 }, "{what}");
                assert_eq!(bad.map_or(1, |bad| bad.received()), 1, "{what}");
            }
        }
    }
}

#[test]
fn as_many_tries_as_the_route_allows_each_at_another_endpoint_first() {
    for backends_h2 in [false, true] {
        for attempts in [0, 1, 2, 5] {
            let hold = Hold::default();
            let backends: Vec<Backend> = (0..3).map(|_| Backend::start(backends_h2, Way::Status(503), &hold)).collect();
            let addresses: Vec<&str> = backends.iter().map(Backend::address).collect();
            let retries = json!({ "on": ["503"], "attempts": attempts, "backoff": { "base": "1ms", "max": "2ms" } });
            let upstream = json!({ "protocol": protocol(backends_h2) });
            let site = site(&addresses, json!({ "retries": retries }), upstream);
            assert_eq!(ask(&site, false, "GET", "/", ""), (503, "bad".to_owned()));
            let mut counts: Vec<usize> = backends.iter().map(Backend::received).collect();
            counts.sort_unstable();
            let expected = match attempts {
                0 => [0, 0, 1],
                1 => [0, 1, 1],
                2 => [1, 1, 1],
                _ => [counts[0], counts[1], counts[2]],
            };
            assert_eq!(counts, expected, "{attempts}");
            assert_eq!(counts.iter().sum::<usize>(), attempts + 1);
            assert_eq!(site.logged("/")["tries"], json!(attempts + 1));
        }
    }
}
