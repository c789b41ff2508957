use std::fs;

use harness::{Nginx, free_port};
use serde_json::{Value, json};

use super::{ECHO, ask, route, run, start};
use crate::site::Site;

#[test]
fn forward_carries_what_nginx_serves() {
    let (nginx, site) = start(json!([route("files", json!({})), route("echo", json!({})), route("upload", json!({}))]));
    fs::create_dir(nginx.root().join("files")).unwrap();
    fs::write(nginx.root().join("files/a.txt"), "0123456789").unwrap();
    let file = "http://shop.example/files/a.txt";
    for told in ask(&site, &[], file) {
        assert_eq!((told.status, told.body.as_str()), (200, "0123456789"), "{told:?}");
        let tag = format!("If-None-Match: {}", told.field("etag").unwrap());
        for told in ask(&site, &["-H", &tag], file) {
            assert_eq!((told.status, told.body.as_str()), (304, ""), "{told:?}");
        }
    }
    for told in ask(&site, &["-r", "2-4"], file) {
        assert_eq!((told.status, told.body.as_str()), (206, "234"), "{told:?}");
        assert_eq!(told.field("content-range"), Some("bytes 2-4/10"), "{told:?}");
    }
    for told in ask(&site, &["-I"], file) {
        assert_eq!((told.status, told.field("content-length"), told.body.as_str()), (200, Some("10"), ""), "{told:?}");
    }
    for told in ask(&site, &["--data-binary", "abc"], "http://shop.example/echo/a%20b/../c?q=%41") {
        assert_eq!(told.status, 200, "{told:?}");
        assert!(told.body.starts_with("POST /echo/c?q=%41\nhost: shop.example\nfor: 127.0.0.1\nid: 0"), "{told:?}");
        assert!(told.body.ends_with("length: 3\n"), "{told:?}");
    }
    let large = site.directory.path().join("large");
    fs::write(&large, vec![b'x'; 3 << 20]).unwrap();
    let sent = ["-T", large.to_str().unwrap()];
    for told in ask(&site, &[&sent[..], &["-H", "Expect:"]].concat(), "http://shop.example/upload") {
        assert!(told.body.starts_with("PUT /whole\n") && told.body.ends_with("length: 3145728\n"), "{told:?}");
    }
    // So large that curl waits for 100.
    let waited = run(&site, &[&sent[..], &["-i", "--http1.1"]].concat(), "http://shop.example/upload");
    assert!(waited.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"), "{waited}");
    for told in ask(&site, &[], "http://shop.example/missing") {
        assert_eq!(told.status, 404, "{told:?}");
    }
}

#[test]
fn split_shares_out_by_weight_and_by_what_a_request_says() {
    let (old, new) = (Nginx::start("return 200 \"old\\n\";"), Nginx::start("return 200 \"new\\n\";"));
    let upstream =
        |name: &str, nginx: &Nginx| json!({ "name": name, "backends": [{ "name": "a", "address": nginx.address() }] });
    let split =
        |when: Value| json!([{ "upstream": "old", "weight": 3 }, { "upstream": "new", "weight": 1, "when": when }]);
    let canary = json!({ "headers": { "x-canary": { "exact": "yes" } }, "cookies": { "canary": { "present": true } } });
    let site = Site::start(json!({
        "listeners": [{ "name": "web", "allow_h2c": true }],
        "upstreams": [upstream("old", &old), upstream("new", &new)],
        "routes": [
            route("chance", json!({ "action": { "split": split(canary) } })),
            route("sticky", json!({ "action": { "split": split(json!({})) }, "split_by": "client_address" })),
        ],
    }));
    let shown = run(&site, &["--http1.1"], "http://shop.example/chance?n=[1-400]");
    let (all, new) = (shown.lines().count(), shown.lines().filter(|line| *line == "new").count());
    // 100 are expected; beyond these bounds is less than one run in a thousand million.
    assert!(all == 400 && (45..=155).contains(&new), "{new} of {all}");
    let shown = run(&site, &["--http1.1"], "http://shop.example/sticky?n=[1-50]");
    let way = shown.lines().next().unwrap();
    assert!(shown.lines().count() == 50 && shown.lines().all(|line| line == way), "{shown}");
    for told in ask(&site, &[], "http://shop.example/sticky") {
        assert_eq!(told.body.trim_end(), way, "{told:?}");
    }
    for sent in [["-H", "X-Canary: yes"], ["-b", "a=b; canary=1"]] {
        let shown = run(&site, &[&["--http1.1"][..], &sent].concat(), "http://shop.example/chance?n=[1-30]");
        assert_eq!(shown, "new\n".repeat(30), "{sent:?}");
        for told in ask(&site, &sent, "http://shop.example/chance") {
            assert_eq!(told.body, "new\n", "{sent:?}: {told:?}");
        }
    }
}

#[test]
fn redirects_lead_curl_to_the_place_with_the_right_method() {
    let to = |name: &str, redirect: Value| route(name, json!({ "action": { "redirect": redirect } }));
    let (_nginx, site) = start(json!([
        to("tls", json!({ "to": "https" })),
        to("away", json!({ "to": "https://new.example{uri}", "status": 301 })),
        to("templated", json!({ "to": "https://{header.x-shop}.example{path}?from={host}&{query}", "status": 302 })),
        to("r301", json!({ "to": "http://other.example/echo{uri}", "status": 301 })),
        to("r302", json!({ "to": "http://other.example/echo{uri}", "status": 302 })),
        to("r303", json!({ "to": "http://other.example/echo{uri}", "status": 303 })),
        to("r307", json!({ "to": "http://other.example/echo{uri}", "status": 307 })),
        to("r308", json!({ "to": "http://other.example/echo{uri}" })),
        route("echo", json!({ "match": { "hosts": ["other.example"] } })),
    ]));
    for (target, status, place) in [
        ("/tls/a?b=c%20d", 308, "https://shop.example/tls/a?b=c%20d"),
        ("/away/x?y", 301, "https://new.example/away/x?y"),
        ("/templated/x?y", 302, "https://a%20b.example/templated/x?from=shop.example&y"),
    ] {
        for told in ask(&site, &["-H", "X-Shop: a b"], &format!("http://shop.example{target}")) {
            assert_eq!((told.status, told.field("location")), (status, Some(place)), "{told:?}");
            assert_eq!((told.body.as_str(), told.field("proxy-status")), ("", None), "{told:?}");
        }
    }
    // The answer is there before the body, and nothing is wrong with that.
    for told in ask(&site, &["-d", "abc"], "http://shop.example/r308") {
        assert_eq!(told.status, 308, "{told:?}");
    }
    // Where curl goes, and what it sends there: 307 and 308 keep method and body, the others may not.
    for (name, method, length) in
        [("r301", "GET", ""), ("r302", "GET", ""), ("r303", "GET", ""), ("r307", "POST", "3"), ("r308", "POST", "3")]
    {
        let url = format!("http://shop.example/{name}/x?q");
        let followed = ["-L", "-d", "abc", "-w", "%{http_code} %{num_redirects} %{url_effective}", "--http1.1"];
        let shown = run(&site, &followed, &url);
        assert!(shown.starts_with(&format!("{method} /echo/{name}/x?q\nhost: other.example\n")), "{shown}");
        assert!(shown.contains(&format!("\nlength: {length}\n")), "{shown}");
        assert!(shown.ends_with(&format!("200 1 http://other.example/echo/{name}/x?q")), "{shown}");
    }
}

#[test]
fn fixed_answers_come_from_the_proxy() {
    let respond = |name: &str, respond: Value| route(name, json!({ "action": { "respond": respond } }));
    let (_nginx, site) = start(json!([
        respond("plain", json!({ "body": "hello\n" })),
        respond(
            "gone",
            json!({ "status": 410, "headers": { "content-type": "application/json", "x-who": "{client_address} {path}" }, "body": "{\"gone\":true}" })
        ),
        respond("empty", json!({ "status": 204 })),
    ]));
    for (target, status, kind, body) in [
        ("/plain", 200, Some("text/plain; charset=utf-8"), "hello\n"),
        ("/gone/x", 410, Some("application/json"), "{\"gone\":true}"),
        ("/empty", 204, None, ""),
    ] {
        for told in ask(&site, &[], &format!("http://shop.example{target}")) {
            assert_eq!((told.status, told.field("content-type")), (status, kind), "{told:?}");
            assert_eq!((told.body.as_str(), told.field("proxy-status")), (body, None), "{told:?}");
            assert_eq!(told.field("x-who"), (status == 410).then_some("127.0.0.1 /gone/x"), "{told:?}");
        }
        for told in ask(&site, &["-I"], &format!("http://shop.example{target}")) {
            assert_eq!((told.status, told.body.as_str()), (status, ""), "{told:?}");
        }
    }
}

#[test]
fn maintenance_lets_in_who_is_listed() {
    let maintenance = json!({ "enabled": true, "retry_after": "10m", "allow": ["198.51.100.0/24", "2001:db8::/32"] });
    let (_nginx, site) = start(json!([route("shop", json!({ "maintenance": maintenance }))]));
    for (client, is_listed) in
        [("198.51.100.7", true), ("2001:db8::7", true), ("203.0.113.9", false), ("2001:db9::7", false)]
    {
        let field = format!("X-Forwarded-For: {client}");
        for told in ask(&site, &["-H", &field], "http://shop.example/shop") {
            if is_listed {
                assert_eq!(told.status, 200, "{client}: {told:?}");
                assert!(told.body.contains(&format!("for: {client}, 127.0.0.1\n")), "{told:?}");
                continue;
            }
            assert_eq!((told.status, told.field("retry-after")), (503, Some("600")), "{client}: {told:?}");
            let error = "tidegate; error=destination_unavailable; details=\"maintenance\"";
            assert_eq!(told.field("proxy-status"), Some(error), "{told:?}");
            assert!(told.body.starts_with("503 maintenance\n"), "{told:?}");
        }
    }
    // The switch.
    site.reconfigure(|config| config["routes"][0]["maintenance"]["enabled"] = json!(false));
    for told in ask(&site, &["-H", "X-Forwarded-For: 203.0.113.9"], "http://shop.example/shop") {
        assert_eq!(told.status, 200, "{told:?}");
    }
}

#[test]
fn where_no_backend_may_be_used_the_fallback_acts() {
    let nginx = Nginx::start(ECHO);
    let site = Site::start(json!({
        "listeners": [{ "name": "web", "allow_h2c": true }],
        "upstreams": [
            { "name": "up", "backends": [{ "name": "a", "address": nginx.address() }] },
            { "name": "off", "backends": [{ "name": "a", "address": format!("127.0.0.1:{}", free_port()), "breaker_override": "force_open" }] },
        ],
        "routes": [
            route("other", json!({ "action": { "forward": { "upstream": "off" } }, "fallback": { "forward": { "upstream": "up" } } })),
            route("fixed", json!({ "action": { "forward": { "upstream": "off" } }, "fallback": { "respond": { "status": 503, "body": "Back soon.\n" } } })),
            route("none", json!({ "action": { "forward": { "upstream": "off" } } })),
        ],
    }));
    for (target, status, body) in [
        ("/other", 200, "GET /other\nhost: shop.example\n"),
        ("/fixed", 503, "Back soon.\n"),
        ("/none", 503, "503 breaker_open\n"),
    ] {
        for told in ask(&site, &[], &format!("http://shop.example{target}")) {
            assert_eq!(told.status, status, "{told:?}");
            assert!(told.body.starts_with(body), "{told:?}");
        }
    }
}
