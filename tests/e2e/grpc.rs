//! gRPC: deadlines, trailers only, and the proxy's own answers as a status.

use harness::{
    DEADLINE, Origin, Reply, free_port,
    h2::{H2Origin, code},
    wait_for,
};
use serde_json::json;

use crate::h2_pairs::site;

const CALL: [(&str, &str); 2] = [("content-type", "application/grpc"), ("te", "trailers")];

fn with<'a>(further: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [&CALL[..], further].concat()
}

#[test]
fn answers_of_trailers_only_and_of_messages_pass() {
    let origin = H2Origin::start(&[], |request, stream| match request.field(":path") {
        "/s.S/Missing" => stream.answer(
            &[(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "12"), ("grpc-message", "no")],
            b"",
            &[],
        ),
        _ => stream.answer(
            &[(":status", "200"), ("content-type", "application/grpc")],
            &request.body,
            &[("grpc-status", "0"), ("custom-bin", "AAE=")],
        ),
    });
    let site = site(origin.address(), "h2c", json!({}));
    let mut client = site.h2_client();
    let missing = client.ask("POST", "/s.S/Missing", &with(&[]), "x").unwrap();
    assert_eq!((missing.field("grpc-status"), missing.field("grpc-message")), (Some("12"), Some("no")));
    assert!(missing.trailers.is_empty() && missing.body.is_empty());
    let echo = client.ask("POST", "/s.S/Echo", &with(&[("custom", "v")]), "\0\0\0\0\u{1}x").unwrap();
    assert_eq!(echo.text(), "\0\0\0\0\u{1}x");
    assert_eq!(echo.trailers[1], ("custom-bin".to_owned(), "AAE=".to_owned()));
    let got = &origin.received()[1];
    assert_eq!(
        (got.field("te"), got.field("custom"), got.field("content-type")),
        ("trailers", "v", "application/grpc")
    );
}

#[test]
fn the_proxys_own_answers_are_statuses() {
    let nobody = format!("127.0.0.1:{}", free_port());
    let site = site(&nobody, "h2c", json!({ "match": { "path": { "prefix": "/s.S" } } }));
    let mut client = site.h2_client();
    for (path, status, reason) in [("/s.S/X", "14", "connect_failed"), ("/other.S/X", "12", "no_route")] {
        let answer = client.ask("POST", path, &with(&[]), "x").unwrap();
        assert_eq!((answer.status(), answer.field("grpc-status")), (200, Some(status)), "{path}");
        assert_eq!(answer.field("content-type"), Some("application/grpc"));
        assert!(answer.field("grpc-message").is_some_and(|message| message.starts_with(reason)));
        assert!(answer.field("proxy-status").is_some_and(|field| field.contains(reason)));
        assert!(answer.is_ended && answer.body.is_empty() && answer.field("content-length").is_none());
        assert_eq!(site.logged(path)["reason"], reason);
    }
    let plain = client.ask("POST", "/s.S/X", &[("content-type", "application/json")], "x").unwrap();
    assert_eq!((plain.status(), plain.field("grpc-status")), (502, None));
}

#[test]
fn the_time_that_a_client_waits_is_the_time_of_the_request() {
    let origin = H2Origin::eager(&[], |_, _| Ok(()));
    let site = site(origin.address(), "h2c", json!({}));
    let mut client = site.h2_client();
    let answer = client.ask("POST", "/s.S/Slow", &with(&[("grpc-timeout", "50m")]), "x").unwrap();
    assert_eq!((answer.status(), answer.field("grpc-status")), (200, Some("4")));
    assert_eq!(site.logged("/s.S/Slow")["reason"], "total_timeout");
    // One that goes on is cancelled at the backend.
    let stream = client.begin("POST", "/s.S/Stream", &with(&[("grpc-timeout", "50m")]), false).unwrap();
    assert_eq!(client.response(stream).unwrap().field("grpc-status"), Some("4"));
    let cancelled = wait_for("the backend learns of it", DEADLINE, || {
        origin.received().into_iter().find(|request| request.field(":path") == "/s.S/Stream" && !request.is_ended)
    });
    assert_eq!(cancelled.reset, Some(code::CANCEL));
    // It is no promise of anything but gRPC.
    let slow = Origin::start(|_| Reply::text("ok"));
    let plain = crate::h2_pairs::site(slow.address(), "h1", json!({}));
    assert_eq!(plain.h2_client().ask("GET", "/x", &[("grpc-timeout", "0n")], "").unwrap().text(), "ok");
}
