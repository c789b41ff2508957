//! What routes change of requests and responses, the same for clients and backends of HTTP/1.1 and of HTTP/2.

mod headers;
mod rewrites;

use harness::{
    Origin, Received, Reply,
    h2::{H2Origin, H2Request},
};
use serde_json::{Value, json};

use crate::{
    both::{Told, ask},
    site::Site,
};

/// A route, a request and what comes of it. In all texts `/~` stands for a path of the case's own, for which its route is.
struct Case {
    /// Further fields of the route.
    route: Value,
    /// What is asked for behind `/~`, and with which fields.
    target: &'static str,
    sent: &'static [(&'static str, &'static str)],
    /// What must hold: `> /target`, `> name: value|value` and `> !name` of what the backend gets, `< 200`, `< name: value`
    /// and `< !name` of what the client gets.
    expected: &'static [&'static str],
}

/// What a backend answers.
const ANSWER: [(&str, &str); 7] = [
    ("server", "origin"),
    ("x-powered-by", "php"),
    ("x-a", "1"),
    ("set-cookie", "a=1"),
    ("set-cookie", "b=2"),
    ("content-type", "text/html"),
    ("etag", "\"e\""),
];

fn origin() -> Origin {
    Origin::start(|_| Reply::with(200, &ANSWER, "body"))
}

/// A backend of one version or the other.
enum Backend {
    H1(Origin),
    H2(H2Origin),
}

/// A request as a backend got it.
#[derive(Debug)]
struct Got {
    target: String,
    fields: Vec<(String, String)>,
}

impl Backend {
    fn both() -> [Self; 2] {
        let fields = [&[(":status", "200"), ("content-length", "4")][..], &ANSWER].concat();
        let h2 = H2Origin::start(&[], move |_, stream| stream.answer(&fields, b"body", &[]));
        [Self::H1(origin()), Self::H2(h2)]
    }

    fn upstream(&self) -> Value {
        let (address, protocol) = match self {
            Self::H1(origin) => (origin.address(), "h1"),
            Self::H2(origin) => (origin.address(), "h2c"),
        };
        json!({ "name": "up", "protocol": protocol, "backends": [{ "name": "a", "address": address }] })
    }

    /// The requests since the last call.
    fn take(&self) -> Vec<Got> {
        match self {
            Self::H1(origin) => {
                let got = |request: Received| Got { target: request.target().to_owned(), fields: request.head.fields };
                origin.take_received().into_iter().map(got).collect()
            }
            Self::H2(origin) => {
                let got =
                    |request: H2Request| Got { target: request.field(":path").to_owned(), fields: request.fields };
                origin.take_received().into_iter().map(got).collect()
            }
        }
    }
}

impl Got {
    /// All values of a field. HTTP/2 has another name for the host.
    fn all(&self, name: &str) -> Vec<&str> {
        let name = if name == "host" && self.fields[0].0.starts_with(':') { ":authority" } else { name };
        let fields = self.fields.iter().filter(|(field, _)| field.eq_ignore_ascii_case(name));
        fields.map(|(_, value)| value.as_str()).collect()
    }
}

/// Runs each case over both versions, before backends of both.
fn run(cases: &[Case]) {
    for backend in Backend::both() {
        let (site, own) = start(&backend.upstream(), cases);
        for (case, own) in cases.iter().zip(&own) {
            let target = format!("{own}{}", case.target);
            let told = ask(&site, "GET", &target, case.sent);
            let got = backend.take();
            for (index, told) in told.iter().enumerate() {
                for expected in case.expected {
                    let expected = expected.replace("/~", own);
                    check(&expected, got.get(index), told, &format!("{target} {}", case.route));
                }
            }
        }
    }
}

/// A site with a route to `upstream` for each case, and the paths that stand for `/~`.
fn start(upstream: &Value, cases: &[Case]) -> (Site, Vec<String>) {
    let own: Vec<String> = (0..cases.len()).map(|index| format!("/c{index}")).collect();
    let routes = cases.iter().zip(&own).map(|(case, own)| {
        let mut route = json!({
            "name": own[1..],
            "match": { "path": { "prefix": own } },
            "action": { "forward": { "upstream": "up" } },
        });
        let fields: Value = serde_json::from_str(&case.route.to_string().replace("/~", own)).unwrap();
        for (name, value) in fields.as_object().unwrap() {
            route[name] = value.clone();
        }
        route
    });
    let site = Site::start(json!({
        "listeners": [{ "name": "web", "allow_h2c": true }],
        "upstreams": [upstream],
        "routes": routes.collect::<Vec<_>>(),
    }));
    (site, own)
}

fn check(expected: &str, got: Option<&Got>, told: &Told, case: &str) {
    let (side, expected) = expected.split_at(2);
    if let (">", Some(got)) = (side.trim(), got) {
        if expected.starts_with('/') {
            assert_eq!(got.target, expected, "{case}");
        } else {
            check_field(expected, &|name| got.all(name), &format!("{case} gave the backend {got:?}"));
        }
    } else if side.trim() == ">" {
        assert_eq!(expected, "nothing", "{case}: the backend got nothing: {told:?}");
    } else if let Ok(status) = expected.parse::<u16>() {
        assert_eq!(told.status, status, "{case}: {told:?}");
    } else {
        check_field(expected, &|name| told.all(name), &format!("{case} gave the client {told:?}"));
    }
}

fn check_field<'a>(expected: &str, values: &dyn Fn(&str) -> Vec<&'a str>, story: &str) {
    let (name, wanted) = match expected.split_once(": ") {
        Some((name, wanted)) => (name, wanted.split('|').collect()),
        None => (expected.strip_prefix('!').expect("an expectation"), Vec::new()),
    };
    assert_eq!(values(name), wanted, "{name}: {story}");
}
