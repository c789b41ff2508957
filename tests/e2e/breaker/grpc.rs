//! Calls of gRPC: what their statuses and the times that their clients set mean for a breaker.

use harness::{Origin, Reply, h2::H2Origin};
use serde_json::{Value, json};

use crate::site::{Site, one_upstream};

/// How a call reaches its backend: the version of the client and of the backend, and the type of the call.
#[derive(Clone, Copy, Debug)]
struct Way {
    client_h2: bool,
    backend_h2: bool,
    kind: &'static str,
}

/// gRPC-Web comes over both versions, and goes to backends of HTTP/1.1 as it is.
const WAYS: [Way; 5] = [
    Way { client_h2: true, backend_h2: true, kind: "application/grpc" },
    Way { client_h2: true, backend_h2: true, kind: "application/grpc-web+proto" },
    Way { client_h2: false, backend_h2: true, kind: "application/grpc-web+proto" },
    Way { client_h2: true, backend_h2: false, kind: "application/grpc-web+proto" },
    Way { client_h2: false, backend_h2: false, kind: "application/grpc-web+proto" },
];

/// What a backend answers to all.
#[derive(Clone, Copy, Debug)]
struct Answer {
    /// None says nothing.
    kind: Option<&'static str>,
    /// `grpc-status`.
    code: &'static str,
    body: &'static str,
}

enum Backend {
    H1(Origin),
    H2(H2Origin),
}

impl Backend {
    fn start(way: Way, answer: Answer) -> Self {
        let Answer { kind, code, body } = answer;
        if way.backend_h2 {
            // Called when the call's head has come.
            return Self::H2(H2Origin::eager(&[], move |request, stream| match kind {
                Some(kind) if request.is_ended => {
                    let fields = [(":status", "200"), ("content-type", kind), ("grpc-status", code)];
                    stream.answer(&fields, body.as_bytes(), &[])
                }
                _ => Ok(()),
            }));
        }
        Self::H1(Origin::start(move |_| match kind {
            Some(kind) => Reply::with(200, &[("Content-Type", kind), ("Grpc-Status", code)], body),
            // The client's time is up before.
            None => Reply::script(false, |_| {
                std::thread::park_timeout(std::time::Duration::from_secs(1));
                Ok(())
            }),
        }))
    }

    fn address(&self) -> &str {
        match self {
            Self::H1(origin) => origin.address(),
            Self::H2(origin) => origin.address(),
        }
    }
}

fn site(way: Way, backend: &Backend, route: Value, breaker: Value) -> Site {
    let mut config = one_upstream([(backend.address(), 1)].into_iter(), route);
    config["routes"][0]["grpc_web"] = json!(way.backend_h2);
    config["upstreams"][0]["protocol"] = json!(if way.backend_h2 { "h2c" } else { "h1" });
    config["upstreams"][0]["breaker"] = json!({ "sliding_window_size": 10, "minimum_number_of_calls": 4 });
    for (name, value) in breaker.as_object().unwrap() {
        config["upstreams"][0]["breaker"][name] = value.clone();
    }
    config["listeners"] = json!([{ "name": "web", "allow_h2c": true }]);
    Site::with_workers(1, config)
}

/// Makes a call and gives its `grpc-status`; empty without one.
fn call(site: &Site, way: Way, fields: &[(&str, &str)]) -> String {
    let fields = [&[("content-type", way.kind), ("te", "trailers")], fields].concat();
    let status = if way.client_h2 {
        let answer = site.h2_client().ask("POST", "/s.S/Call", &fields, "x").unwrap();
        answer.field("grpc-status").map(str::to_owned)
    } else {
        let lines: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let head = format!("POST /s.S/Call HTTP/1.1\r\nHost: h\r\n{lines}Content-Length: 1\r\n\r\nx");
        site.client().ask(head).unwrap().field("grpc-status").map(str::to_owned)
    };
    status.unwrap_or_default()
}

fn counted(site: &Site) -> (Value, u64, u64) {
    let shown = site.endpoint("up", "b0")["breaker"].clone();
    (shown["state"].clone(), shown["calls"].as_u64().unwrap(), shown["failed"].as_u64().unwrap())
}

#[test]
fn a_response_that_is_only_a_status_of_grpc_is_judged_by_it() {
    for way in WAYS {
        let kind = if way.backend_h2 { "application/grpc" } else { way.kind };
        let usual = Answer { kind: Some(kind), code: "14", body: "" };
        let own = || json!({ "failure_grpc_statuses": ["not_found", "internal"] });
        for (answer, breaker, is_failure) in [
            (usual, json!({}), true),
            (Answer { code: "5", ..usual }, json!({}), false),
            (Answer { code: "0", ..usual }, json!({}), false),
            (Answer { code: "5", ..usual }, own(), true),
            (usual, own(), false),
            (usual, json!({ "failure_grpc_statuses": [] }), false),
            // Not of a call, and not the whole response.
            (Answer { kind: Some("application/json"), ..usual }, json!({}), false),
            (Answer { body: "x", ..usual }, json!({}), false),
        ] {
            let backend = Backend::start(way, answer);
            let what = format!("{way:?} {answer:?} {breaker}");
            let site = site(way, &backend, json!({}), breaker);
            for _ in 0..4 {
                assert_eq!(call(&site, way, &[]), answer.code, "{what}: it is passed on as it is");
            }
            if !is_failure {
                assert_eq!(counted(&site), (json!("closed"), 4, 0), "{what}");
                continue;
            }
            let shown = site.endpoint("up", "b0");
            assert_eq!((&shown["state"], &shown["reason"]), (&json!("breaker_open"), &json!("failure_rate")), "{what}");
        }
    }
}

#[test]
fn a_status_of_grpc_is_tried_again_whatever_the_backend_speaks() {
    for way in WAYS {
        let kind = if way.backend_h2 { "application/grpc" } else { way.kind };
        let answer = |code| Answer { kind: Some(kind), code, body: "" };
        let [bad, good] = ["14", "0"].map(|code| Backend::start(way, answer(code)));
        let retries = json!({ "retries": { "on": ["grpc:unavailable"], "methods": ["POST"] } });
        let mut config = one_upstream([(bad.address(), 1), (good.address(), 1)].into_iter(), retries);
        config["routes"][0]["grpc_web"] = json!(way.backend_h2);
        config["upstreams"][0]["protocol"] = json!(if way.backend_h2 { "h2c" } else { "h1" });
        config["listeners"] = json!([{ "name": "web", "allow_h2c": true }]);
        let site = Site::with_workers(1, config);
        for _ in 0..4 {
            assert_eq!(call(&site, way, &[]), "0", "{way:?}");
        }
        // Every second call came to the bad one.
        assert_eq!(site.endpoint("up", "b0")["breaker"]["failed"], 2, "{way:?}");
        assert_eq!(site.logged("/s.S/Call")["retried_for"], "grpc:14", "{way:?}");
    }
}

#[test]
fn the_time_that_a_client_sets_is_no_failure_of_the_backend() {
    let silent = Answer { kind: None, code: "", body: "" };
    // A client of gRPC says how long it waits over HTTP/2, one of gRPC-Web where the route translates.
    for way in WAYS.into_iter().filter(|way| way.backend_h2) {
        let backend = Backend::start(way, silent);
        let site = site(way, &backend, json!({}), json!({}));
        for _ in 0..8 {
            // DEADLINE_EXCEEDED.
            assert_eq!(call(&site, way, &[("grpc-timeout", "30m")]), "4", "{way:?}");
        }
        assert_eq!(counted(&site), (json!("closed"), 0, 0), "{way:?}");
        assert_eq!(site.endpoint("up", "b0")["load"]["failures"], 0, "{way:?}");
    }
    let way = Way { client_h2: true, backend_h2: false, kind: "application/grpc" };
    let backend = Backend::start(way, silent);
    let own = site(way, &backend, json!({}), json!({}));
    for _ in 0..8 {
        assert_eq!(call(&own, way, &[("grpc-timeout", "30m")]), "4");
    }
    assert_eq!(counted(&own), (json!("closed"), 0, 0));

    // What the route says is: also when the client would wait for longer. A tenth of it the client may take on a machine that is busy.
    for (way, timeouts) in [
        (WAYS[0], json!({ "first_byte": "300ms" })),
        (WAYS[0], json!({ "total": "300ms" })),
        (WAYS[2], json!({ "total": "300ms" })),
        (way, json!({ "total": "300ms" })),
    ] {
        let backend = Backend::start(way, silent);
        let site =
            site(way, &backend, json!({ "timeouts": timeouts.clone(), "retries": { "attempts": 0 } }), json!({}));
        for _ in 0..4 {
            call(&site, way, &[("grpc-timeout", "10S")]);
        }
        assert_eq!(site.endpoint("up", "b0")["reason"], "failure_rate", "{way:?} {timeouts}");
    }
}
