//! HTTP/1.1 on the wire, both sides: what the client sees, what the backend got, and what becomes of the connection.

use std::{
    io::Write,
    sync::{Mutex, mpsc},
};

use harness::{Connection, DEADLINE, Origin, RawClient, Reply, wait_for};
use serde_json::json;

use crate::site::Site;

/// A backend that answers each path in a way of its own.
fn origin() -> Origin {
    Origin::start(|request| match request.target() {
        "/close" => Reply::raw("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil close", false),
        "/old" => Reply::raw("HTTP/1.0 200 OK\r\n\r\nold", false),
        "/chunked" => Reply::raw(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nX-Sum: 7\r\n\r\n",
            true,
        ),
        "/204" => Reply::raw("HTTP/1.1 204 No Content\r\n\r\n", true),
        "/304" => Reply::raw("HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n", true),
        "/103" => Reply::raw(
            "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            true,
        ),
        "/reason" => Reply::raw("HTTP/1.1 299 Very Fine\r\nContent-Length: 0\r\nX-Odd:   v \r\n\r\n", true),
        "/hop" => Reply::raw(
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nX-Stays: 1\r\n\r\nx",
            true,
        ),
        "/head" => Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", true),
        _ => Reply::text(format!("{} {}", request.method(), request.body.len())),
    })
}

fn ask(site: &Site, request: &str) -> harness::RawResponse {
    site.client().ask(request).unwrap_or_else(|error| panic!("{request:?}: {error}"))
}

#[test]
fn every_framing_of_a_response_reaches_the_client_whole() {
    let origin = origin();
    let site = Site::of(&[&origin], json!({}));
    for (path, status, body) in [
        ("/close", 200, "until close"),
        ("/old", 200, "old"),
        ("/chunked", 200, "abcdefg"),
        ("/204", 204, ""),
        ("/103", 103, ""),
        ("/reason", 299, ""),
        ("/plain", 200, "GET 0"),
    ] {
        let mut client = site.client();
        let answer = client.ask(format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n")).unwrap();
        assert_eq!((answer.status, answer.text().as_str()), (status, body), "{path}");
        if path == "/103" {
            assert_eq!(answer.field("link"), Some("</a>"));
            assert_eq!(client.read_response().unwrap().text(), "ok");
        }
        // The connection is good for another request, whatever the backend did with its own.
        assert_eq!(client.ask("GET /again HTTP/1.1\r\nHost: h\r\n\r\n").unwrap().text(), "GET 0", "{path}");
    }
    let chunked = ask(&site, "GET /chunked HTTP/1.1\r\nHost: h\r\nTE: trailers\r\nConnection: TE\r\n\r\n");
    assert_eq!(String::from_utf8_lossy(&chunked.trailers).trim(), "X-Sum: 7");
    let reason = ask(&site, "GET /reason HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(reason.head.first_line, "HTTP/1.1 299 Very Fine");
    assert!(reason.field("date").is_some(), "a missing Date is added");
    let hop = ask(&site, "GET /hop HTTP/1.1\r\nHost: h\r\n\r\n");
    let kept = ["x-hop", "keep-alive", "connection", "x-stays"].map(|name| hop.field(name).is_some());
    assert_eq!(kept, [false, false, false, true]);
}

#[test]
fn head_and_not_modified_have_no_body_whatever_they_say() {
    let origin = origin();
    let site = Site::of(&[&origin], json!({}));
    let mut client = site.client();
    client.send("HEAD /head HTTP/1.1\r\nHost: h\r\n\r\nGET /304 HTTP/1.1\r\nHost: h\r\n\r\nGET /x HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    let head = client.read_response_to("HEAD").unwrap();
    assert_eq!((head.status, head.field("content-length")), (200, Some("1000")));
    assert_eq!(client.read_response_to("HEAD").unwrap().status, 304);
    assert_eq!(client.read_response().unwrap().text(), "GET 0");
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let origin = origin();
    let site = Site::of(&[&origin], json!({}));
    let mut client = site.client();
    let requests: String = (0..50)
        .map(|turn| match turn % 3 {
            0 => "GET /chunked HTTP/1.1\r\nHost: h\r\n\r\n",
            1 => "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc",
            _ => "PUT /q HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
        })
        .collect();
    client.send(requests).unwrap();
    for turn in 0..50 {
        let expected = ["abcdefg", "POST 3", "PUT 2"][turn % 3];
        assert_eq!(client.read_response().unwrap().text(), expected, "{turn}");
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn http_1_0_clients_get_what_they_understand() {
    let origin = origin();
    let site = Site::of(&[&origin], json!({}));
    // No chunks, no interim response, and the end of the body is the end of the connection.
    for (path, body) in [("/chunked", "abcdefg"), ("/103", "ok"), ("/close", "until close"), ("/plain", "GET 0")] {
        let mut client = site.client();
        let answer = client.ask(format!("GET {path} HTTP/1.0\r\n\r\n")).unwrap();
        assert_eq!((answer.status, answer.text().as_str()), (200, body), "{path}");
        assert_eq!(answer.field("transfer-encoding"), None, "{path}");
        assert_ne!(client.state_after(DEADLINE), Connection::Kept, "{path}");
    }
    let mut client = site.client();
    for _ in 0..2 {
        let answer = client.ask("GET /plain HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").unwrap();
        assert_eq!((answer.text().as_str(), answer.field("connection")), ("GET 0", Some("keep-alive")));
    }
    let received = origin.take_received();
    assert!(
        received.iter().all(|request| request.head.first_line.ends_with("HTTP/1.1")),
        "the backend is asked in HTTP/1.1"
    );
    assert!(received.iter().all(|request| request.head.all("via") == ["1.0 tidegate"]));
}

#[test]
fn trailers_of_a_request_reach_the_backend_but_not_those_that_lie() {
    let origin = origin();
    let site = Site::of(&[&origin], json!({}));
    let request = "POST /t HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Sum: 1\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n";
    assert_eq!(ask(&site, request).text(), "POST 1");
    assert_eq!(String::from_utf8_lossy(&origin.take_received()[0].trailers).trim(), "X-Sum: 1");
}

#[test]
fn continue_is_the_backends_to_say() {
    let origin = origin();
    let site = Site::of(&[&origin], json!({}));
    let mut client = site.client();
    client.send("POST /c HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n").unwrap();
    assert_eq!(client.read_response().unwrap().status, 100);
    client.send("abc").unwrap();
    assert_eq!(client.read_response().unwrap().text(), "POST 3");
    assert_eq!(client.ask("GET /x HTTP/1.1\r\nHost: h\r\n\r\n").unwrap().text(), "GET 0");
}

#[test]
fn an_early_response_passes_an_upload_that_is_still_coming() {
    // Answers at the head, and reads nothing of the body.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (done, is_done) = mpsc::channel::<()>();
    let backend = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = [0; 1024];
        let _ = std::io::Read::read(&mut stream, &mut head).unwrap();
        stream.write_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig").unwrap();
        let _ = is_done.recv();
    });
    let site = Site::start(crate::site::one_upstream([(address.as_str(), 1)].into_iter(), json!({})));
    let mut client = site.client();
    client.send("POST /u HTTP/1.1\r\nHost: h\r\nContent-Length: 100000000\r\n\r\nsome of it").unwrap();
    let answer = client.read_response().unwrap();
    assert_eq!((answer.status, answer.text().as_str(), answer.field("connection")), (413, "big", Some("close")));
    drop(done);
    backend.join().unwrap();
}

#[test]
fn a_half_closed_client_still_gets_its_answer() {
    let origin = origin();
    let site = Site::of(&[&origin], json!({}));
    let mut client = site.client();
    client.send("GET /plain HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    client.half_close().unwrap();
    assert_eq!(client.read_response().unwrap().text(), "GET 0");
    assert_ne!(client.state_after(DEADLINE), Connection::Kept);
}

#[test]
fn an_upgrade_becomes_a_tunnel_and_h2c_does_not() {
    let origin = Origin::start(|request| match request.head.field("upgrade") {
        Some("echo") => Reply::script(false, |stream| {
            stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhello")
        }),
        other => Reply::text(format!("{other:?}")),
    });
    let site = Site::of(&[&origin], json!({}));
    let mut client = site.client();
    client.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n").unwrap();
    let head = client.read_response_head().unwrap();
    assert_eq!((head.first_line.as_str(), head.field("upgrade")), ("HTTP/1.1 101 Switching Protocols", Some("echo")));
    assert_eq!(client.read_exactly(5).unwrap(), b"hello");
    let h2c = "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n";
    assert_eq!(ask(&site, h2c).text(), "None");
    assert_eq!(origin.received().last().unwrap().head.field("http2-settings"), None);
}

#[test]
fn smuggled_and_malformed_requests_are_refused_logged_and_counted() {
    let origin = origin();
    let site = Site::of(&[&origin], json!({}));
    let long = "x".repeat(40_000);
    let many: String = (0..101).map(|index| format!("X-{index}: 1\r\n")).collect();
    let cases: Vec<(String, u16)> = [
        ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400),
        ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3, 3\r\n\r\nabc", 400),
        ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: +3\r\n\r\nabc", 400),
        ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0x3\r\n\r\nabc", 400),
        ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length:\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, identity\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding : chunked\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding:\x0bchunked\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
        ("POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n11111111111111111\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 5\r\n\r\n", 400),
        ("GET / HTTP/1.1\nHost: h\n\n", 400),
        ("GET / HTTP/1.1\r\nHost: h\nX: 1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: h\r\nX: a\rb\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\n X: a\r\nHost: h\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: h\r\nX: a\0b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: h\r\n: a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: h\r\nX a: 1\r\n\r\n", 400),
        ("GET  / HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        ("GET /\r\nHost: h\r\n\r\n", 400),
        ("G<T / HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: h, i\r\n\r\n", 400),
        ("GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n", 400),
        ("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        ("GET * HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: x\r\nContent-Length: 1\r\n\r\na", 400),
        ("GET / HTTP/1.1\r\nHost: h\r\nExpect: magic\r\n\r\n", 417),
        ("GET / HTTP/2.0\r\nHost: h\r\n\r\n", 505),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        ("GET / HTTP/1.1x\r\nHost: h\r\n\r\n", 400),
        ("CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\n\r\n", 405),
    ]
    .into_iter()
    .map(|(request, status)| (request.to_owned(), status))
    .chain([
        (format!("GET /{long} HTTP/1.1\r\nHost: h\r\n\r\n"), 414),
        (format!("GET / HTTP/1.1\r\nHost: h\r\nX: {long}\r\n\r\n"), 431),
        (format!("GET / HTTP/1.1\r\nHost: h\r\n{many}\r\n"), 431),
    ])
    .collect();
    for (request, status) in &cases {
        let shown = &request[..request.len().min(120)];
        let mut client = site.client();
        let answer = client.ask(request).unwrap_or_else(|error| panic!("{shown:?}: {error}"));
        assert_eq!(answer.status, *status, "{shown:?}");
        assert_ne!(client.state_after(DEADLINE), Connection::Kept, "{shown:?}");
    }
    let complete = origin.received().len();
    assert_eq!(complete, 0, "{:?}", origin.received());
    // Every one has its line, with a reason.
    let file = site.directory.path().join("access.log");
    let lines = wait_for("a log line for each", DEADLINE, || {
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        (text.lines().count() >= cases.len()).then_some(text)
    });
    let reasons = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    assert!(reasons.into_iter().all(|line| line["reason"].is_string() && line["status"].as_u64() >= Some(400)));
}

#[test]
fn bad_responses_are_never_passed_on() {
    let answers: &[(&str, &str)] = &[
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na", "two lengths"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "two framings"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "a coding"),
        ("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", "an unasked upgrade"),
        ("HTTP/1.1 999 Odd\r\n\r\n", "a status"),
        ("HTTP/1.1 200 OK\r\nX : 1\r\n\r\n", "a space"),
        ("HTTP/1.1 200 OK\nX: 1\n\n", "bare line feeds"),
        ("HTTP/2 200\r\n\r\n", "a version"),
        ("nonsense\r\n\r\n", "nonsense"),
        ("HTTP/1.1 200 OK\r\nX: 1", "a head that ends"),
    ];
    let turn = Mutex::new(answers.iter());
    let origin = Origin::start(move |_| Reply::raw(turn.lock().unwrap().next().map_or("", |(bytes, _)| bytes), false));
    let site = Site::of(&[&origin], json!({}));
    for (_, what) in answers {
        let answer = ask(&site, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(answer.status, 502, "{what}");
        assert!(
            answer.text().contains("bad_response") || answer.text().contains("upstream_reset"),
            "{what}: {}",
            answer.text()
        );
    }
    assert_eq!(origin.received().len(), answers.len(), "no POST was sent twice");
}

#[test]
fn bytes_behind_a_response_end_the_backends_connection_and_reach_nobody() {
    let origin = Origin::start(|_| {
        Reply::raw(
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
            true,
        )
    });
    let site = Site::of(&[&origin], json!({}));
    let mut client = site.client();
    for _ in 0..5 {
        assert_eq!(client.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n").unwrap().text(), "ok");
    }
    assert_eq!(origin.connections(), 5);
}

#[test]
fn a_client_that_aborts_its_upload_is_no_fault_of_the_backend() {
    let origin = origin();
    let site = Site::of(&[&origin], json!({}));
    let mut client: RawClient = site.client();
    client.send("POST /gone HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nabc").unwrap();
    drop(client);
    let line = site.logged("/gone");
    assert_eq!((&line["status"], &line["reason"]), (&json!(499), &json!("client_gone")));
    let metrics = site.plane.metrics();
    assert!(
        metrics.contains("tidegate_backend_failures_total{upstream=\"up\",backend=\"b0\",kind=\"reset\"} 0"),
        "{metrics}"
    );
}
