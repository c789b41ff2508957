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

#[test]
fn calls_of_grpc_web_become_calls_of_grpc() {
    let origin = H2Origin::start(&[], |request, stream| match request.field(":path") {
        "/s.S/Missing" => {
            stream.answer(&[(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "12")], b"", &[])
        }
        _ => stream.answer(
            &[(":status", "200"), ("content-type", "application/grpc+proto")],
            &request.body,
            &[("grpc-status", "0"), ("x", "y")],
        ),
    });
    let site = site(origin.address(), "h2c", json!({ "grpc_web": true }));
    let message = b"\0\0\0\0\x05hello";
    let trailers = b"\x80\0\0\0\x16grpc-status: 0\r\nx: y\r\n";
    // By hand: "AAAAAAVoZWxsbw==" is the message; its padding may stand in the middle and its end in a frame of its own.
    let texts = ["AAAAAAVoZWxsbw=="];
    for is_h2 in [true, false] {
        for (kind, body, answer) in [
            ("application/grpc-web+proto", message.to_vec(), [&message[..], trailers].concat()),
            (
                "application/grpc-web-text+proto",
                texts[0].into(),
                b"AAAAAAVoZWxsbw==gAAAABZncnBjLXN0YXR1czogMA0KeDogeQ0K".to_vec(),
            ),
        ] {
            let (status, got_kind, got) = if is_h2 {
                let mut client = site.h2_client();
                let stream = client.begin("POST", "/s.S/Echo", &[("content-type", kind)], false).unwrap();
                let (first, second) = body.split_at(7);
                client.send_data(stream, first, false).unwrap();
                client.send_data(stream, second, true).unwrap();
                let response = client.response(stream).unwrap();
                assert!(response.trailers.is_empty());
                (response.status(), response.field("content-type").unwrap().to_owned(), response.body)
            } else {
                let head = format!(
                    "POST /s.S/Echo HTTP/1.1\r\nHost: h\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
                    body.len()
                );
                let response = site.client().ask([head.as_bytes(), &body].concat()).unwrap();
                (response.status, response.field("content-type").unwrap().to_owned(), response.body)
            };
            assert_eq!((status, got_kind.as_str()), (200, kind));
            assert_eq!(String::from_utf8_lossy(&got), String::from_utf8_lossy(&answer), "{kind} h2 {is_h2}");
            let sent = origin.received().pop().unwrap();
            assert_eq!((sent.field("content-type"), sent.field("te")), ("application/grpc+proto", "trailers"));
            assert_eq!((&sent.body[..], sent.field("content-length")), (&message[..], ""));
        }
    }
    let mut client = site.h2_client();
    let missing = client.ask("POST", "/s.S/Missing", &[("content-type", "application/grpc-web")], "x").unwrap();
    assert_eq!(
        (missing.field("grpc-status"), missing.field("content-type")),
        (Some("12"), Some("application/grpc-web"))
    );
    let broken = client.ask("POST", "/s.S/Echo", &[("content-type", "application/grpc-web-text")], "AAAAA").unwrap();
    assert_eq!((broken.status(), broken.field("grpc-status")), (200, Some("13")));
    // What is no call of gRPC-Web is left alone.
    let plain = client.ask("POST", "/s.S/Echo", &with(&[]), "x").unwrap();
    assert_eq!((plain.text().as_str(), plain.trailers.len()), ("x", 2));
}

#[test]
fn a_caller_by_grpc_web_is_told_the_status_of_grpc_and_waits_as_long_as_it_says() {
    let silent = H2Origin::eager(&[], |_, _| Ok(()));
    let site = site(silent.address(), "h2c", json!({ "grpc_web": true }));
    let nobody = format!("127.0.0.1:{}", free_port());
    let dead = crate::h2_pairs::site(&nobody, "h2c", json!({ "grpc_web": true }));
    for kind in ["application/grpc-web+proto", "application/grpc-web-text"] {
        for (site, path, status, reason) in
            [(&site, "/s.S/Slow", "4", "total_timeout"), (&dead, "/s.S/Dead", "14", "connect_failed")]
        {
            let fields = [("content-type", kind), ("grpc-timeout", "100m")];
            let answer = site.h2_client().ask("POST", path, &fields, "").unwrap();
            assert_eq!((answer.status(), answer.field("grpc-status")), (200, Some(status)), "{kind} {reason}");
            assert_eq!(answer.field("content-type"), Some(kind));
            assert!(answer.body.is_empty() && answer.field("grpc-message").unwrap().starts_with(reason));
            let head = format!(
                "POST {path} HTTP/1.1\r\nHost: h\r\nContent-Type: {kind}\r\nGrpc-Timeout: 100m\r\nContent-Length: 0\r\n\r\n"
            );
            let mut client = site.client();
            let answer = client.ask(head).unwrap();
            assert_eq!((answer.status, answer.field("grpc-status")), (200, Some(status)), "{kind} {reason}");
            assert_eq!((answer.field("content-type"), answer.field("content-length")), (Some(kind), Some("0")));
            assert_eq!(site.logged(path)["reason"], reason);
        }
    }
    // Others are told as they are everywhere.
    let plain = dead.client().ask("POST /s.S/Dead HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n").unwrap();
    assert_eq!((plain.status, plain.field("grpc-status")), (502, None));
}
