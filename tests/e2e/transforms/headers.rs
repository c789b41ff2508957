use harness::fetch;
use serde_json::json;

use super::{Case, origin, run, start};

#[test]
fn request_rules() {
    let request = |rules| json!({ "request_headers": rules });
    run(&[
        Case {
            route: request(json!({ "set": { "X-Env": "prod" } })),
            target: "",
            sent: &[],
            expected: &["> x-env: prod", "< 200"],
        },
        Case {
            route: request(json!({ "set": { "X-Env": "prod" } })),
            target: "",
            sent: &[("x-env", "a"), ("X-ENV", "b"), ("x_env", "c"), ("x.env", "d")],
            expected: &["> x-env: prod", "> !x_env", "> !x.env"],
        },
        Case {
            route: request(json!({ "remove": ["x-debug", "cookie"] })),
            target: "",
            sent: &[("x-debug", "1"), ("cookie", "a=1"), ("x-debug", "2"), ("x_debug", "3"), ("x-debugs", "4")],
            expected: &["> !x-debug", "> !cookie", "> !x_debug", "> x-debugs: 4"],
        },
        Case {
            route: request(json!({ "add": { "x-tag": "new" } })),
            target: "",
            sent: &[("x-tag", "old")],
            expected: &["> x-tag: old|new"],
        },
        Case {
            route: request(json!({ "add": { "x-tag": "new" } })),
            target: "",
            sent: &[],
            expected: &["> x-tag: new"],
        },
        Case {
            route: request(json!({ "default": { "accept-language": "en" } })),
            target: "",
            sent: &[],
            expected: &["> accept-language: en"],
        },
        Case {
            route: request(json!({ "default": { "accept-language": "en" } })),
            target: "",
            sent: &[("accept-language", "de")],
            expected: &["> accept-language: de"],
        },
        Case {
            route: request(json!({ "remove": ["x-a"], "default": { "x-a": "d" }, "add": { "x-a": "e" } })),
            target: "",
            sent: &[("x-a", "c")],
            expected: &["> x-a: d|e"],
        },
        Case {
            route: request(json!({ "set": { "x-a": "s" }, "add": { "x-a": "{method}" } })),
            target: "",
            sent: &[("x-a", "c")],
            expected: &["> x-a: s|GET"],
        },
        Case {
            route: request(
                json!({ "set": { "x-all": "{client_address} {method} {scheme} {host} {authority} {listener} {route} {upstream} {backend}" } }),
            ),
            target: "",
            sent: &[],
            expected: &["> x-all: 127.0.0.1 GET http h h web c9 up a"],
        },
        Case {
            route: request(json!({ "set": { "x-path": "{path}", "x-query": "{query}", "x-uri": "{uri}" } })),
            target: "/a%2fb/../c%7e?q=%20&r",
            sent: &[],
            expected: &["> x-path: /~/c~", "> x-query: q=%20&r", "> x-uri: /~/c~?q=%20&r"],
        },
        Case {
            route: request(json!({ "set": { "x-query": "{query}", "x-was": "[{query}]" } })),
            target: "",
            sent: &[("x-query", "mine")],
            expected: &["> !x-query", "> x-was: []"],
        },
        Case {
            route: request(json!({ "set": { "x-b": "{header.x-a}" } })),
            target: "",
            sent: &[("x-a", "a\tb, \"c\""), ("x-a", "second")],
            expected: &["> x-b: a\tb, \"c\"", "> x-a: a\tb, \"c\"|second"],
        },
        Case {
            route: request(json!({ "set": { "x-b": "{header.x-real-ip}{header.x-forwarded-for}." } })),
            target: "",
            sent: &[("x-real-ip", "6.6.6.6"), ("x-forwarded-for", "6.6.6.6")],
            expected: &["> x-b: .", "> !x-real-ip", "> x-forwarded-for: 127.0.0.1"],
        },
        Case {
            route: request(json!({ "set": { "x-real-ip": "{client_address}" } })),
            target: "",
            sent: &[("x-real-ip", "6.6.6.6")],
            expected: &["> x-real-ip: 127.0.0.1"],
        },
        Case {
            route: request(json!({ "set": { "x-brace": "{{path}} 100%" } })),
            target: "",
            sent: &[],
            expected: &["> x-brace: {path} 100%"],
        },
        Case {
            route: json!({
                "match": { "path": { "regex": "/~/u/(?<user>[^/]+)/(.*)" } },
                "request_headers": { "set": { "x-user": "{path.user}", "x-rest": "{path.2}" } }
            }),
            target: "/u/jo%20e/a/b",
            sent: &[],
            expected: &["> x-user: jo%20e", "> x-rest: a/b"],
        },
        Case {
            route: request(
                json!({ "set": { "user-agent": "t", "authorization": "Basic x", "accept-encoding": "gzip" } }),
            ),
            target: "",
            sent: &[("user-agent", "c"), ("authorization", "Bearer y"), ("accept-encoding", "br")],
            expected: &["> user-agent: t", "> authorization: Basic x", "> accept-encoding: gzip"],
        },
        Case {
            route: json!({ "host": "other.example", "request_headers": { "set": { "x-host": "{host}" } } }),
            target: "",
            sent: &[],
            expected: &["> host: other.example", "> x-host: h"],
        },
    ]);
}

#[test]
fn response_rules() {
    let response = |rules| json!({ "response_headers": rules });
    run(&[
        Case {
            route: response(json!({ "set": { "Server": "me", "x-new": "n" } })),
            target: "",
            sent: &[],
            expected: &["< 200", "< server: me", "< x-new: n", "< x-a: 1", "< content-length: 4"],
        },
        Case {
            route: response(json!({ "remove": ["server", "x-powered-by"] })),
            target: "",
            sent: &[],
            expected: &["< !server", "< !x-powered-by", "< x-a: 1", "< set-cookie: a=1|b=2"],
        },
        Case {
            route: response(json!({ "remove": ["set-cookie"] })),
            target: "",
            sent: &[],
            expected: &["< !set-cookie", "< content-type: text/html"],
        },
        Case {
            route: response(json!({ "add": { "set-cookie": "c=3" } })),
            target: "",
            sent: &[],
            expected: &["< set-cookie: a=1|b=2|c=3"],
        },
        Case {
            route: response(json!({ "default": { "x-a": "2", "cache-control": "no-cache" } })),
            target: "",
            sent: &[],
            expected: &["< x-a: 1", "< cache-control: no-cache"],
        },
        Case {
            route: response(json!({ "remove": ["x-a"], "default": { "x-a": "2" } })),
            target: "",
            sent: &[],
            expected: &["< x-a: 2"],
        },
        Case {
            route: response(
                json!({ "set": { "x-all": "{status} {client_address} {method} {host} {uri} {route} {upstream}/{backend}" } }),
            ),
            target: "/p?q",
            sent: &[],
            expected: &["< x-all: 200 127.0.0.1 GET h /~/p?q c6 up/a"],
        },
        Case {
            route: response(
                json!({ "set": { "x-twice": "{status}{status}", "x-echo": "{header.x-q}", "x-none": "{header.x-0}" } }),
            ),
            target: "",
            sent: &[("x-q", "a b")],
            expected: &["< x-twice: 200200", "< x-echo: a b", "< !x-none"],
        },
        Case {
            route: response(json!({ "allow": ["etag", "X-A"] })),
            target: "",
            sent: &[],
            expected: &[
                "< etag: \"e\"",
                "< x-a: 1",
                "< content-type: text/html",
                "< content-length: 4",
                "< !server",
                "< !set-cookie",
                "< !x-powered-by",
            ],
        },
        Case {
            route: response(json!({ "allow": [], "set": { "x-new": "1" }, "default": { "server": "me" } })),
            target: "",
            sent: &[],
            expected: &["< x-new: 1", "< server: me", "< !etag", "< content-length: 4"],
        },
        Case {
            route: response(json!({ "security": "basic" })),
            target: "",
            sent: &[],
            expected: &[
                "< x-content-type-options: nosniff",
                "< referrer-policy: strict-origin-when-cross-origin",
                "< x-frame-options: SAMEORIGIN",
                "< !content-security-policy",
            ],
        },
        Case {
            route: response(
                json!({ "security": "strict", "set": { "x-frame-options": "SAMEORIGIN" }, "default": { "referrer-policy": "origin" } }),
            ),
            target: "",
            sent: &[],
            expected: &[
                "< x-content-type-options: nosniff",
                "< referrer-policy: origin",
                "< x-frame-options: SAMEORIGIN",
                "< cross-origin-opener-policy: same-origin",
                "< cross-origin-resource-policy: same-origin",
                "< content-security-policy: default-src 'self'; frame-ancestors 'none'",
            ],
        },
        Case {
            route: json!({
                "match": { "path": { "regex": "/~/u/([^/]+)" } },
                "response_headers": { "set": { "x-user": "{path.1}" } }
            }),
            target: "/u/jo",
            sent: &[],
            expected: &["< x-user: jo"],
        },
        Case {
            route: json!({ "request_headers": { "set": { "x-b": "1" } }, "response_headers": { "set": { "x-b": "{header.x-b}" } } }),
            target: "",
            sent: &[("x-b", "client")],
            expected: &["> x-b: 1", "< x-b: client"],
        },
        Case {
            route: response(json!({ "set": { "x-id": "{request_id}" }, "remove": ["etag", "x-a", "content-type"] })),
            target: "",
            sent: &[],
            expected: &["< !etag", "< !x-a", "< !content-type", "< content-length: 4"],
        },
    ]);
}

#[test]
fn rules_of_all_kinds_act_together() {
    run(&[Case {
        route: json!({
            "rewrite": { "path": { "strip_prefix": "/~" }, "query": { "set": { "v": "2" } } },
            "request_headers": { "set": { "x-env": "{upstream}" }, "remove": ["x-debug"] },
            "response_headers": {
                "remove": ["server"],
                "set": { "x-status": "{status} {path}" },
                "default": { "x-a": "2", "x-b": "3" },
                "add": { "set-cookie": "c=3" },
            },
        }),
        target: "/x?a",
        sent: &[("x-env", "mine"), ("x_env", "mine"), ("x-debug", "1")],
        expected: &[
            "> /x?a&v=2",
            "> x-env: up",
            "> !x_env",
            "> !x-debug",
            "< 200",
            "< !server",
            "< x-status: 200 /~/x",
            "< x-a: 1",
            "< x-b: 3",
            "< set-cookie: a=1|b=2|c=3",
        ],
    }]);
}

#[test]
fn lines_are_written_in_train_case_to_http_1_and_long_heads_pass_whole() {
    let origin = origin();
    let upstream = json!({ "name": "up", "backends": [{ "name": "a", "address": origin.address() }] });
    let long = "v".repeat(4000);
    let case = Case {
        route: json!({
            "request_headers": { "set": { "x-long-name": "{request_id}" } },
            "response_headers": { "set": { "x-long-name": long, "x-id": "{request_id}" }, "remove": ["server"] }
        }),
        target: "",
        sent: &[],
        expected: &[],
    };
    let (site, own) = start(&upstream, &[case]);
    let answer = fetch(&site.address, format!("GET {} HTTP/1.1\r\nHost: h\r\n\r\n", own[0])).unwrap();
    assert_eq!(answer.text(), "body");
    let names: Vec<&str> = answer.head.fields.iter().map(|(name, _)| name.as_str()).collect();
    assert!(names.contains(&"X-Long-Name") && !names.contains(&"Server"), "{names:?}");
    assert_eq!(answer.field("x-long-name"), Some(long.as_str()));
    let got = origin.take_received().remove(0);
    assert!(got.head.fields.iter().any(|(name, _)| name == "X-Long-Name"), "{got:?}");
    let id = got.head.field("x-request-id").map(str::to_owned);
    assert_eq!((got.head.field("x-long-name"), answer.field("x-id")), (id.as_deref(), id.as_deref()));
    let line = site.logged(&own[0]);
    assert_eq!(line["request_id"].as_str(), id.as_deref());
}
