//! Heads that say to which backend they go are made anew for another one.

use harness::h2::H2Origin;

use super::*;

const RULES: &str = r#"{
    "host": "backend",
    "request_headers": { "set": { "x-to": "{upstream}/{backend}" } },
    "response_headers": { "set": { "x-from": "{backend}" } },
    "rewrite": { "query": { "set": { "by": "{backend}" } } },
    "retries": { "on": ["connect_failure", "503"] }
}"#;

#[test]
fn a_head_names_the_backend_that_gets_it() {
    let route: Value = serde_json::from_str(RULES).unwrap();
    let good = Origin::named("good");
    let busy = Origin::start(|_| Reply::with(503, &[], "busy"));
    for bad in [nobody(), busy.address().to_owned()] {
        let site = site(&[&bad, good.address()], route.clone(), json!({}));
        for round in 0..2 {
            let body = "abc".repeat(1 + round);
            let response = site.client().ask(put("/a?x=1", &body)).unwrap();
            assert_eq!((response.status, response.field("x-from")), (200, Some("b1")), "{bad}");
            let response = site.h2_client().ask("PUT", "/a?x=1", &[], &body).unwrap();
            assert_eq!((response.status(), response.field("x-from")), (200, Some("b1")), "{bad}");
            for got in good.take_received() {
                assert_eq!(got.head.field("host"), Some(good.address()));
                assert_eq!((got.head.field("x-to"), got.target()), (Some("up/b1"), "/a?x=1&by=b1"));
                assert_eq!(got.body, body.as_bytes());
            }
        }
        assert!(metric(&site, "retries_total", "made") > 0);
    }
}

#[test]
fn so_does_one_for_http_2() {
    let route: Value = serde_json::from_str(RULES).unwrap();
    let good = H2Origin::start(&[], |_, stream| stream.answer(&[(":status", "200")], b"good", &[]));
    let busy = H2Origin::start(&[], |_, stream| stream.answer(&[(":status", "503")], b"busy", &[]));
    for bad in [nobody(), busy.address().to_owned()] {
        let site = site(&[&bad, good.address()], route.clone(), json!({ "protocol": "h2c" }));
        for _ in 0..2 {
            let response = site.client().ask(put("/a?x=1", "abc")).unwrap();
            assert_eq!((response.status, response.field("x-from")), (200, Some("b1")), "{bad}");
            let response = site.h2_client().ask("PUT", "/a?x=1", &[], "abc").unwrap();
            assert_eq!((response.status(), response.field("x-from")), (200, Some("b1")), "{bad}");
        }
        assert!(metric(&site, "retries_total", "made") > 0);
        for got in good.received() {
            assert_eq!(got.field(":authority"), good.address());
            assert_eq!((got.field("x-to"), got.field(":path")), ("up/b1", "/a?x=1&by=b1"));
            assert_eq!(got.body, b"abc");
        }
    }
}

#[test]
fn a_client_that_names_no_host_has_that_of_the_backend_that_gets_it() {
    let good = Origin::named("good");
    let site = site(&[&nobody(), good.address()], json!({}), json!({}));
    for _ in 0..2 {
        assert_eq!(site.client().ask("GET / HTTP/1.0\r\n\r\n").unwrap().status, 200);
    }
    assert!(good.received().iter().all(|got| got.head.field("host") == Some(good.address())));
}
