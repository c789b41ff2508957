//! What routes change of requests and responses, the same for clients of HTTP/1.1 and of HTTP/2.

mod h2_backends;
mod headers;
mod rewrites;

use harness::{Head, Origin, Reply};
use serde_json::{Value, json};

use crate::{
    both::{Told, ask, site},
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
fn origin() -> Origin {
    Origin::start(|_| {
        Reply::with(
            200,
            &[
                ("Server", "origin"),
                ("X-Powered-By", "php"),
                ("X-A", "1"),
                ("Set-Cookie", "a=1"),
                ("Set-Cookie", "b=2"),
                ("Content-Type", "text/html"),
                ("ETag", "\"e\""),
            ],
            "body",
        )
    })
}

/// Runs each case over both versions.
fn run(cases: &[Case]) {
    let origin = origin();
    let (site, own) = start(&origin, cases);
    for (case, own) in cases.iter().zip(&own) {
        let target = format!("{own}{}", case.target);
        let told = ask(&site, "GET", &target, case.sent);
        let got = origin.take_received();
        for (index, told) in told.iter().enumerate() {
            for expected in case.expected {
                let expected = expected.replace("/~", own);
                check(
                    &expected,
                    got.get(index).map(|request| &request.head),
                    told,
                    &format!("{target} {}", case.route),
                );
            }
        }
    }
}

/// A site with a route for each case, and the paths that stand for `/~`.
fn start(origin: &Origin, cases: &[Case]) -> (Site, Vec<String>) {
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
    (site(origin, routes.collect()), own)
}

fn check(expected: &str, got: Option<&Head>, told: &Told, case: &str) {
    let (side, expected) = expected.split_at(2);
    if let (">", Some(got)) = (side.trim(), got) {
        if expected.starts_with('/') {
            assert_eq!(got.first_line, format!("GET {expected} HTTP/1.1"), "{case}");
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
