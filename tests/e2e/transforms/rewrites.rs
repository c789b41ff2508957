use harness::fetch;
use serde_json::json;

use super::{Case, origin, run, start};

#[test]
fn path_rewrites() {
    let path = |rewrite| json!({ "rewrite": { "path": rewrite } });
    let strip = || path(json!({ "strip_prefix": "/~" }));
    let replace = || path(json!({ "replace_prefix": { "from": "/~", "to": "/v2/api" } }));
    let users =
        || path(json!({ "regex": { "pattern": "/~/u/([0-9]+)(?<rest>/.*)?", "to": "/user{path.rest}/{path.1}" } }));
    let case = |route, target, expected| Case { route, target, sent: &[("x-a", "a/../b?c#d e%2f")], expected };
    run(&[
        case(strip(), "/x", &["> /x", "< 200"]),
        case(strip(), "", &["> /"]),
        case(strip(), "/", &["> /"]),
        case(strip(), "?q=1", &["> /?q=1"]),
        case(strip(), "/a//b/../c%7e%2f?q=%20", &["> /a/c~%2F?q=%20"]),
        case(path(json!({ "strip_prefix": "/~/" })), "/x/y", &["> /x/y"]),
        case(path(json!({ "strip_prefix": "/~/api" })), "/apis", &["> /~/apis"]),
        case(replace(), "/x", &["> /v2/api/x"]),
        case(replace(), "", &["> /v2/api"]),
        case(replace(), "/", &["> /v2/api/"]),
        case(path(json!({ "replace_prefix": { "from": "/~", "to": "/" } })), "/x/", &["> /x/"]),
        case(users(), "/u/7", &["> /user/7"]),
        case(users(), "/u/7/a/b?q", &["> /user/a/b/7?q"]),
        case(users(), "/u/x", &["> /~/u/x"]),
        case(path(json!({ "to": "/shop{path}" })), "/a?b", &["> /shop/~/a?b"]),
        case(path(json!({ "to": "/fixed" })), "/a", &["> /fixed"]),
        case(path(json!({ "to": "/by/{host}/{header.x-a}" })), "", &["> /by/h/a%2F..%2Fb%3Fc%23d%20e%252f"]),
        case(path(json!({ "to": "/{method}/{client_address}/{upstream}/{route}" })), "", &["> /GET/127.0.0.1/up/c17"]),
        case(path(json!({ "to": "/a/{header.x-none}/b" })), "", &["> /a/b"]),
        case(path(json!({ "regex": { "pattern": "/~(.*)", "to": "{path.1}" } })), "no-slash", &["> nothing", "< 404"]),
        case(
            path(json!({ "regex": { "pattern": "/~/(.*)", "to": "{path.1}" } })),
            "/no-slash",
            &[
                "> nothing",
                "< 500",
                "< proxy-status: tidegate; error=proxy_configuration_error; details=\"rewrite_failed\"",
            ],
        ),
        case(
            json!({
                "rewrite": { "path": { "strip_prefix": "/~" } },
                "request_headers": { "set": { "x-was": "{path}" } },
                "response_headers": { "set": { "x-was": "{uri}" } }
            }),
            "/x?y",
            &["> /x?y", "> x-was: /~/x", "< x-was: /~/x?y"],
        ),
        case(
            json!({ "match": { "path": { "regex": "/~/(a|b)/.*" } }, "rewrite": { "path": { "to": "/{path.1}" } } }),
            "/b/c",
            &["> /b"],
        ),
    ]);
}

#[test]
fn query_edits() {
    let query = |rewrite| json!({ "rewrite": { "query": rewrite } });
    let case = |route, target, expected| Case { route, target, sent: &[("x-a", "a&b=c \u{e9}")], expected };
    run(&[
        case(query(json!({ "remove": ["utm"] })), "?a=1&utm=x&b&%75tm=y", &["> /~?a=1&b"]),
        case(query(json!({ "remove": ["utm"] })), "?utm=x", &["> /~"]),
        case(query(json!({ "remove": ["utm"] })), "", &["> /~"]),
        case(query(json!({ "set": { "v": "2" } })), "?v=1&a=%20+&v", &["> /~?a=%20+&v=2"]),
        case(query(json!({ "set": { "v": "2" } })), "/x", &["> /~/x?v=2"]),
        case(query(json!({ "add": { "v": "2" } })), "?v=1", &["> /~?v=1&v=2"]),
        case(
            query(json!({ "set": { "from": "{client_address}", "p": "{path}" } })),
            "/a%20b",
            &["> /~/a%20b?from=127.0.0.1&p=/~/a%20b"],
        ),
        case(query(json!({ "set": { "x": "{header.x-a}" } })), "", &["> /~?x=a%26b%3Dc%20%C3%A9"]),
        case(query(json!({ "set": { "a b&": "c&d" } })), "?a+b%26=1", &["> /~?a%20b%26=c%26d"]),
        case(
            query(json!({ "remove": ["a"], "set": { "b": "2" }, "add": { "a": "3" } })),
            "?a=1&c=4",
            &["> /~?c=4&b=2&a=3"],
        ),
        case(
            json!({ "rewrite": { "path": { "to": "/q" }, "query": { "set": { "was": "{uri}" } } } }),
            "/x?y=1",
            &["> /q?y=1&was=/~/x?y%3D1"],
        ),
    ]);
}

#[test]
fn routing_and_log_keep_the_path_that_came() {
    let origin = origin();
    let upstream = json!({ "name": "up", "backends": [{ "name": "a", "address": origin.address() }] });
    let case = Case {
        route: json!({ "rewrite": { "path": { "to": "/a/{header.x-a}/b" } } }),
        target: "",
        sent: &[],
        expected: &[],
    };
    let (site, own) = start(&upstream, &[case]);
    let ask = |value: &str, path: &str| {
        fetch(&site.address, format!("GET {path} HTTP/1.1\r\nHost: h\r\nX-A: {value}\r\n\r\n")).unwrap().status
    };
    assert_eq!(ask("x", &own[0]), 200);
    let line = site.logged(&own[0]);
    assert_eq!((&line["route"], &line["reason"]), (&json!("c0"), &json!(null)));
    for dots in [".", ".."] {
        assert_eq!(ask(dots, &format!("{}/{dots}x", own[0])), 500, "{dots}");
    }
    assert_eq!(site.logged(&format!("{}/..x", own[0]))["reason"], "rewrite_failed");
    let got: Vec<_> = origin.received().iter().map(|request| request.target().to_owned()).collect();
    assert_eq!(got, ["/a/x/b"]);
    // What is asked of the server as a whole has no path to change.
    let whole = fetch(&site.address, "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    assert_eq!(whole.status, 404);
}
