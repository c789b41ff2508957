//! However a path is spelled: router, IP rules, log and backend see the same one, over HTTP/1.1 and HTTP/2 alike.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use harness::{DEADLINE, Origin, h2::H2Origin, wait_for};
use serde_json::{Value, json};
use shared::routing::path;

use crate::both::ask;

/// Odd ways to write paths that mean one thing or another.
fn spellings() -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for base in ["/a/b/c", "/closed/door", "/a/closed", "/"] {
        all.insert(base.to_owned());
        for (at, byte) in base.bytes().enumerate() {
            let (before, after) = (&base[..at], &base[at + 1..]);
            let instead: Vec<String> = match byte {
                b'/' => [
                    "//",
                    "///",
                    "/./",
                    "/.//",
                    "/%2e/",
                    "/x/../",
                    "/x/%2E%2e/",
                    "/x/./.%2e/",
                    "%2F",
                    "/../",
                    "/%2e%2e/",
                ]
                .map(str::to_owned)
                .into(),
                // As an escape, and in another case, which is another path.
                _ => vec![
                    format!("%{byte:02x}"),
                    format!("%{byte:02X}"),
                    char::from(byte.to_ascii_uppercase()).to_string(),
                ],
            };
            all.extend(instead.iter().map(|instead| format!("{before}{instead}{after}")));
        }
        for end in [
            "/",
            "//",
            "/.",
            "/..",
            "/%2e%2E",
            "/../",
            ";p=1",
            "%3B",
            "?q=/closed/door",
            "?/../..",
            "%2f",
            "%2f..",
            "%2e%2e%2f",
            "/%5B",
            "/[x]",
            "/a|b",
            "%7E",
            "~",
        ] {
            all.insert(format!("{base}{end}"));
        }
        for start in ["/..", "/../..", "/%2e%2e", "/.", "/", "/x//..", "/%2E/%2e%2e/"] {
            all.insert(format!("{start}{base}"));
        }
    }
    let further = [
        "/a/..%2fclosed/door",
        "/closed%2fdoor",
        "/a/b/../../closed/door",
        "/a/../closed/./door",
        "/closed;/door",
        "/%63%6c%6f%73%65%64/%64%6f%6f%72",
        "/%63losed/../a/b",
        "/closed/%2e%2e/a",
        "/closed/..;/a",
        "/closed/.../a",
        "/a/%2e%2e%2fclosed/door",
        "/a%00b",
        "/a/%",
        "/a/%4",
        "/a/%zz",
        "/%2e",
        "/%2e%2e",
        "/%252e%252e/closed/door",
        "/.a/..b/c.",
    ];
    all.extend(further.map(str::to_owned));
    // Anything else is no path, and by HTTP/2 no request.
    all.retain(|target| target.starts_with('/'));
    all
}

#[test]
fn over_200_spellings_of_paths_are_one_path_each_for_everybody() {
    let origin = Origin::named("origin");
    everybody_agrees(origin.address(), "h1", || {
        origin.received().into_iter().map(|request| (request.target().to_owned(), request.head.fields)).collect()
    });
    let origin = H2Origin::start(&[], |_, stream| stream.answer(&[(":status", "200")], b"", &[]));
    everybody_agrees(origin.address(), "h2c", || {
        origin.received().into_iter().map(|request| (request.field(":path").to_owned(), request.fields)).collect()
    });
}

/// Asks for each spelling. The backend at `address` gives the targets and fields that it got.
fn everybody_agrees(address: &str, protocol: &str, got: impl Fn() -> Vec<(String, Vec<(String, String)>)>) {
    let forward = json!({ "forward": { "upstream": "up" } });
    let route = |name: &str, prefix: &str| {
        json!({
            "name": name,
            "match": { "path": { "prefix": prefix } },
            "action": forward,
            "request_headers": { "set": { "x-route": "{route}", "x-path": "{path}" } },
            "response_headers": { "set": { "x-id": "{request_id}" } },
        })
    };
    let mut config = crate::site::one_upstream([(address, 1)].into_iter(), json!({}));
    config["upstreams"][0]["protocol"] = json!(protocol);
    config["listeners"] = json!([{ "name": "web", "allow_h2c": true }]);
    config["routes"] = json!([route("rest", "/"), route("a", "/a"), route("closed", "/closed")]);
    config["ip_rules"] = json!([{ "route": "closed", "action": "deny", "cidr": "127.0.0.0/8" }]);
    let site = crate::site::Site::start(config);

    let spellings = spellings();
    assert!(spellings.len() >= 200, "{}", spellings.len());
    let mut answers = Vec::new();
    for target in &spellings {
        for (told, version) in ask(&site, "GET", target, &[]).into_iter().zip(["1.1", "2"]) {
            answers.push((format!("{target} by HTTP/{version}"), target, told));
        }
    }
    let log = site.directory.path().join("access.log");
    let lines: BTreeMap<String, Value> = wait_for("all lines of the log", DEADLINE, || {
        let text = fs::read_to_string(&log).unwrap_or_default();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let lines: BTreeMap<_, _> = lines.map(|line| (line["request_id"].as_str().unwrap().to_owned(), line)).collect();
        (lines.len() == answers.len()).then_some(lines)
    });
    let field = |fields: &[(String, String)], wanted: &str| {
        fields.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.clone())
    };
    let received: BTreeMap<String, _> = got()
        .into_iter()
        .map(|(target, fields)| (field(&fields, "x-request-id").unwrap_or_default(), (target, fields)))
        .collect();

    let mut counts = BTreeMap::new();
    for (case, target, told) in &answers {
        let words = told.body.split(|char: char| !char.is_ascii_hexdigit() && char != '-');
        let id =
            told.field("x-id").or(words.into_iter().find(|word| word.len() == 36)).expect("each answer has its id");
        let line = &lines[id];
        let (raw, query) = target.split_once('?').map_or((target.as_str(), None), |(path, query)| (path, Some(query)));
        let Ok(canonical) = path::canonicalize(raw.as_bytes()) else {
            assert_eq!((told.status, received.contains_key(id)), (400, false), "{case}: {told:?}");
            *counts.entry("refused").or_insert(0) += 1;
            continue;
        };
        let below =
            |prefix: &str| canonical.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let route = ["closed", "a"].into_iter().find(|name| below(&format!("/{name}"))).unwrap_or("rest");
        assert_eq!((&line["path"], &line["route"]), (&json!(canonical), &json!(route)), "{case}");
        *counts.entry(route).or_insert(0) += 1;
        if route == "closed" {
            assert_eq!(
                (told.status, &line["reason"], received.contains_key(id)),
                (403, &json!("ip_denied"), false),
                "{case}"
            );
            continue;
        }
        assert_eq!(told.status, 200, "{case}: {told:?}");
        let (got, fields) = &received[id];
        let sent = query.map_or(canonical.to_string(), |query| format!("{canonical}?{query}"));
        assert_eq!(*got, sent, "{case}");
        let said = (field(fields, "x-route"), field(fields, "x-path"));
        assert_eq!(said, (Some(route.to_owned()), Some(canonical.to_string())), "{case}");
    }
    assert!(counts.len() == 4 && counts.values().all(|count| *count >= 4), "{counts:?}");
}
