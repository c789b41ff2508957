//! HTTP/2 clients to HTTP/1.1 backends.

use std::{io::Write, process::Command, sync::mpsc};

use harness::{
    DEADLINE, Origin, Reply,
    h2::{Frame, H2Client, H2Response, PREFACE, code, kind},
    wait_for,
};
use serde_json::{Value, json};

use crate::{
    both,
    site::{Site, one_upstream},
};

/// A backend that answers each path in a way of its own.
pub(crate) fn origin() -> Origin {
    Origin::start(|request| match request.target() {
        "/length" => Reply::with(200, &[("X-A", "1"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")], "abc"),
        "/chunked" => Reply::raw(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nX-Sum: 7\r\n\r\n",
            true,
        ),
        "/close" => Reply::raw("HTTP/1.1 200 OK\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\n\r\nuntil close", false),
        "/204" => Reply::raw("HTTP/1.1 204 No Content\r\n\r\n", true),
        "/304" => Reply::raw("HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n", true),
        "/empty" => Reply::with(200, &[], ""),
        "/hints" => Reply::raw(
            "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            true,
        ),
        "/head" => Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", true),
        "/big" => Reply::text("x".repeat(1 << 20)),
        "/cut" => Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc", false),
        "/nothing" => Reply::hang_up(),
        "/bad" => Reply::raw("HTTP/1.1 banana\r\n\r\n", false),
        _ => Reply::text(format!("{} {}", request.method(), request.body.len())),
    })
}

pub(crate) fn told(response: &H2Response) -> (u16, String) {
    assert_eq!(response.reset, None, "{response:?}");
    (response.status(), response.text())
}

#[test]
fn every_framing_of_a_response_reaches_the_client_whole() {
    let origin = origin();
    let site = Site::of_h2(&[&origin], json!({}));
    let mut client = site.h2_client();
    for (path, status, body) in [
        ("/length", 200, "abc"),
        ("/chunked", 200, "abcdefg"),
        ("/close", 200, "until close"),
        ("/204", 204, ""),
        ("/304", 304, ""),
        ("/empty", 200, ""),
        ("/hints", 200, "ok"),
        ("/plain?a=b", 200, "GET 0"),
    ] {
        let answer = client.get(path).unwrap();
        assert_eq!(told(&answer), (status, body.to_owned()), "{path}");
        assert!(answer.field("date").is_some() && answer.field("connection").is_none(), "{path}: {answer:?}");
        assert_eq!(answer.field("transfer-encoding"), None);
        match path {
            "/length" => {
                let cookies = answer.fields.iter().filter(|(name, _)| name == "set-cookie");
                assert_eq!(cookies.map(|(_, value)| value.as_str()).collect::<Vec<_>>(), ["a=1", "b=2"]);
                assert_eq!((answer.field("x-a"), answer.field("content-length")), (Some("1"), Some("3")));
            }
            "/chunked" => assert_eq!(answer.trailers, [("x-sum".to_owned(), "7".to_owned())]),
            "/close" => assert_eq!(answer.field("x-hop"), None),
            "/hints" => assert_eq!(answer.interim[0][1], ("link".to_owned(), "</a>".to_owned())),
            _ => {}
        }
    }
    let stream = client.begin("HEAD", "/head", &[], true).unwrap();
    let head = client.response(stream).unwrap();
    assert_eq!((told(&head), head.field("content-length")), ((200, String::new()), Some("1000")));
    let big = client.get("/big").unwrap();
    assert!(big.body.len() == 1 << 20 && big.body.iter().all(|byte| *byte == b'x'));
    assert!(client.goaways.is_empty());
    let line = site.logged("/big");
    assert_eq!((&line["protocol"], &line["bytes_out"]), (&json!("HTTP/2"), &json!(1 << 20)));
}

#[test]
fn a_request_reaches_the_backend_as_an_http_1_client_would_send_it() {
    let origin = origin();
    let site = Site::of_h2(&[&origin], json!({}));
    let mut client = site.h2_client();
    let fields =
        [("x-a", "1"), ("cookie", "a=1"), ("te", "trailers"), ("cookie", "b=2"), ("x-forwarded-for", "6.6.6.6")];
    assert_eq!(told(&client.ask("GET", "/a/../b?c=%20", &fields, "").unwrap()), (200, "GET 0".into()));
    let got = origin.take_received().remove(0);
    assert_eq!(got.head.first_line, "GET /b?c=%20 HTTP/1.1");
    assert_eq!(got.head.all("host"), ["h"]);
    assert_eq!(got.head.all("cookie"), ["a=1; b=2"]);
    assert_eq!((got.head.field("x-a"), got.head.field("te")), (Some("1"), Some("trailers")));
    assert_eq!((got.head.field("via"), got.head.field("x-forwarded-for")), (Some("2 tidegate"), Some("127.0.0.1")));

    for (method, length, body, trailers, framing) in [
        ("POST", Some("5"), "abcde", false, "content-length: 5"),
        ("POST", None, "abcde", false, "transfer-encoding: chunked"),
        ("PUT", None, "", false, "content-length: 0"),
        ("PATCH", None, "abc", true, "transfer-encoding: chunked"),
        ("DELETE", None, "", false, ""),
    ] {
        let length: Vec<_> = length.map(|length| ("content-length", length)).into_iter().collect();
        let stream = client.begin(method, "/m", &length, body.is_empty()).unwrap();
        for (index, byte) in body.bytes().enumerate() {
            client.send_data(stream, [byte], index + 1 == body.len() && !trailers).unwrap();
        }
        if trailers {
            client.send_headers(stream, &[("x-sum", "1"), ("x-forwarded-for", "6.6.6.6")], true).unwrap();
        }
        assert_eq!(told(&client.response(stream).unwrap()), (200, format!("{method} {}", body.len())));
        let got = origin.take_received().remove(0);
        assert_eq!(got.body, body.as_bytes());
        assert_eq!(String::from_utf8_lossy(&got.trailers), if trailers { "x-sum: 1\r\n" } else { "" });
        let lines = ["content-length", "transfer-encoding"].map(|name| got.head.field(name));
        let expected = framing.split_once(": ").map(|(_, value)| value);
        assert_eq!(lines.into_iter().flatten().next(), expected, "{method}: {:?}", got.head.fields);
    }
    assert_eq!(origin.connections(), 1);
    let stream = client.begin("POST", "/big-upload", &[], false).unwrap();
    client.upload(stream, &[b'y'; 300_000]).unwrap();
    assert_eq!(told(&client.response(stream).unwrap()), (200, "POST 300000".into()));
}

#[test]
fn malformed_requests_are_reset_and_never_reach_a_backend() {
    let origin = origin();
    let site = Site::of_h2(&[&origin], json!({}));
    let mut client = site.h2_client();
    let (m, s, p, a) = ((":method", "GET"), (":scheme", "http"), (":path", "/evil"), (":authority", "h"));
    for fields in [
        vec![m, s, p, a, ("connection", "close")],
        vec![m, s, p, a, ("transfer-encoding", "chunked")],
        vec![m, s, p, a, ("upgrade", "websocket")],
        vec![m, s, p, a, ("keep-alive", "timeout=5")],
        vec![m, s, p, a, ("proxy-connection", "close")],
        vec![m, s, p, a, ("te", "gzip")],
        vec![m, s, p, a, ("x", " leading")],
        vec![m, s, p, a, ("x", "trailing\t")],
        vec![m, s, p, a, ("host", "other")],
        vec![m, s, p, a, ("host", "h"), ("host", "h")],
        vec![m, s, p, ("x", "1")],
        vec![m, s, p, (":authority", "u@h")],
        vec![m, s, p, (":authority", "a b")],
        vec![m, s, a],
        vec![m, p, a],
        vec![s, p, a],
        vec![m, m, s, p, a],
        vec![m, s, p, a, p],
        vec![m, s, ("x", "1"), p, a],
        vec![m, s, p, a, (":status", "200")],
        vec![m, s, p, a, (":protocol", "websocket")],
        vec![m, s, a, (":path", "")],
        vec![m, s, a, (":path", "*")],
        vec![m, s, a, (":path", "evil")],
        vec![m, s, a, (":path", "http://h/evil")],
        vec![m, s, p, a, ("content-length", "5")],
        vec![m, s, p, a, ("content-length", "0"), ("content-length", "0")],
        vec![m, s, p, a, ("content-length", "-1")],
        vec![(":method", "CONNECT"), s, p, a],
        vec![(":method", "CONNECT")],
        vec![(":method", "CONNECT"), (":authority", "h:1"), (":protocol", "websocket"), s, p],
    ] {
        let stream = client.stream();
        client.send_headers(stream, &fields, true).unwrap();
        let answer = client.response(stream).unwrap_or_else(|error| panic!("{fields:?}: {error}"));
        assert_eq!((answer.reset, answer.status()), (Some(code::PROTOCOL_ERROR), 0), "{fields:?}");
    }
    for field in [("X-Upper", "1"), ("x", "a\r\nb: c"), ("x", "nul\0"), ("", "v"), (":unknown", "1")] {
        let stream = client.stream();
        client.send_headers(stream, &[m, s, p, a, field], true).unwrap();
        let answer = client.response(stream).unwrap();
        assert_eq!((answer.reset, answer.status()), (Some(code::PROTOCOL_ERROR), 0), "{field:?}");
    }
    // More or less than was declared.
    for (declared, body) in [("3", "abcd"), ("3", "ab")] {
        let stream = client.begin("POST", "/evil", &[("content-length", declared)], false).unwrap();
        client.send_data(stream, body, true).unwrap();
        assert_eq!(client.response(stream).unwrap().reset, Some(code::PROTOCOL_ERROR), "{declared} {body}");
    }
    let tunnel = client.stream();
    client.send_headers(tunnel, &[(":method", "CONNECT"), (":authority", "h:1")], true).unwrap();
    assert_eq!(client.response(tunnel).unwrap().status(), 405);
    assert_eq!(told(&client.get("/fine").unwrap()), (200, "GET 0".into()), "the connection goes on");
    assert!(origin.received().iter().all(|request| request.target() == "/fine"), "{:?}", origin.received());
}

#[test]
fn the_proxys_own_answers_have_the_same_words() {
    let origin = origin();
    let site = Site::of_h2(&[&origin], json!({ "match": { "hosts": ["h"] } }));
    let mut client = site.h2_client();
    for (path, status, reason) in [
        ("/nothing", 502, "upstream_reset"),
        ("/bad", 502, "bad_response"),
        ("/%zz", 400, "bad_request"),
        (&*format!("/{}", "x".repeat(9000)), 414, "target_too_long"),
    ] {
        let answer = client.get(path).unwrap();
        assert_eq!(answer.status(), status, "{path:.20}");
        assert!(answer.field("proxy-status").is_some_and(|field| field.contains(reason)), "{answer:?}");
        assert!(answer.text().contains(reason));
        assert_eq!(answer.field("connection"), None);
    }
    let many: Vec<_> = (0..101).map(|_| ("x", "1")).collect();
    assert_eq!(client.ask("GET", "/many", &many, "").unwrap().status(), 431);
    let large = "x".repeat(20_000);
    assert_eq!(client.ask("GET", "/l", &[("a", &large), ("b", &large)], "").unwrap().status(), 431);
    let stream = client.stream();
    let other = [(":method", "HEAD"), (":scheme", "http"), (":authority", "other"), (":path", "/no-route")];
    client.send_headers(stream, &other, true).unwrap();
    let answer = client.response(stream).unwrap();
    assert_eq!((answer.status(), answer.body.len()), (404, 0));
    let line = site.logged("/no-route");
    assert_eq!((&line["reason"], &line["protocol"]), (&json!("no_route"), &json!("HTTP/2")));
    let metrics = site.plane.metrics();
    assert!(metrics.contains("tidegate_generated_responses_total{reason=\"no_route\"} 1"), "{metrics}");
    assert!(metrics.contains("tidegate_listener_requests_total{listener=\"web\",protocol=\"HTTP/2\"}"));
}

#[test]
fn an_early_response_passes_an_upload_that_is_then_no_longer_wanted() {
    let site_origin = Origin::start(|_| Reply::text("never"));
    let early = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = early.local_addr().unwrap().to_string();
    let (done, ended) = mpsc::channel();
    std::thread::spawn(move || {
        let (mut stream, _) = early.accept().unwrap();
        let mut head = [0; 4096];
        let _ = std::io::Read::read(&mut stream, &mut head).unwrap();
        stream.write_all(b"HTTP/1.1 413 Too Much\r\nContent-Length: 2\r\n\r\nno").unwrap();
        // Until the proxy closes.
        while std::io::Read::read(&mut stream, &mut head).is_ok_and(|count| count > 0) {}
        done.send(()).unwrap();
    });
    let mut config = crate::site::one_upstream([(&*address, 1)].into_iter(), json!({}));
    config["listeners"] = json!([{ "name": "web", "allow_h2c": true }]);
    let site = Site::start(config);
    let mut client = site.h2_client();
    let stream = client.begin("POST", "/up", &[], false).unwrap();
    client.send_data(stream, vec![b'x'; 1000], false).unwrap();
    let answer = client.response(stream).unwrap();
    assert_eq!((answer.status(), answer.text().as_str()), (413, "no"));
    let reset = client.read_message_frame().unwrap().unwrap();
    assert_eq!((reset.kind, reset.stream, reset.code()), (kind::RST_STREAM, stream, code::NO_ERROR));
    ended.recv_timeout(DEADLINE).unwrap();
    drop(site_origin);
}

#[test]
fn requests_that_could_not_be_read_are_logged_and_counted() {
    let origin = Origin::named("origin");
    let mut config = one_upstream([(origin.address(), 1)].into_iter(), json!({}));
    config["listeners"] = json!([{ "name": "web", "allow_h2c": true }]);
    // One, so that the lines come in their order.
    let site = Site::with_workers(1, config);
    let mut client = site.h2_client();
    let pseudo = [(":method", "GET"), (":scheme", "http"), (":authority", "h"), (":path", "/evil")];
    let large = "x".repeat(20_000);
    for (fields, reset, status) in [
        (pseudo[..3].to_vec(), Some(code::PROTOCOL_ERROR), 0),
        ([&pseudo[..1], &pseudo].concat(), Some(code::PROTOCOL_ERROR), 0),
        ([&pseudo[..], &[("connection", "close")]].concat(), Some(code::PROTOCOL_ERROR), 0),
        ([&pseudo[..], &[("a", &*large), ("b", &*large)]].concat(), None, 431),
        // This one is ours.
        ([&pseudo[..], &[("host", "other")]].concat(), Some(code::PROTOCOL_ERROR), 0),
    ] {
        let stream = client.stream();
        client.send_headers(stream, &fields, true).unwrap();
        let answer = client.response(stream).unwrap();
        assert_eq!((answer.reset, answer.status()), (reset, status), "{answer:?}");
    }
    // What is no request at all ends the connection: by the library, and by our own look at it.
    for frame in [Frame::new(kind::DATA, 0, 0, *b"x"), Frame::new(kind::PING, 0, 0, *b"x")] {
        let mut broken = site.h2_client();
        assert_eq!(broken.get("/fine").unwrap().status(), 200);
        broken.send_frame(&frame).unwrap();
        let goaway = broken.read_to_end().unwrap().expect("it is told");
        assert!(matches!(goaway.code(), code::PROTOCOL_ERROR | code::FRAME_SIZE_ERROR), "{goaway:?}");
    }
    let streams: Vec<_> = (0..102).map(|_| client.begin("POST", "/open", &[], false).unwrap()).collect();
    for stream in &streams[100..] {
        assert_eq!(client.response(*stream).unwrap().reset, Some(code::REFUSED_STREAM));
    }
    assert_eq!(client.get("/too-many").unwrap().reset, Some(code::REFUSED_STREAM));
    let lines = wait_for("the lines", DEADLINE, || {
        let lines = site.log_lines().into_iter();
        let lines: Vec<Value> = lines.filter(|line| line["path"] == "" || line["path"] == "/evil").collect();
        (lines.len() >= 7).then_some(lines)
    });
    let told = |line: &Value| {
        assert_eq!(
            (&line["protocol"], &line["client"], &line["route"]),
            (&json!("HTTP/2"), &json!("127.0.0.1"), &Value::Null)
        );
        (line["status"].clone(), line["reason"].clone(), line["detail"].clone())
    };
    let malformed = (json!(400), json!("bad_request"), Value::Null);
    let large = (json!(431), json!("head_too_large"), Value::Null);
    let broken = (json!(400), json!("bad_request"), json!("h2_connection"));
    assert_eq!(
        lines.iter().map(told).collect::<Vec<_>>(),
        [malformed.clone(), malformed.clone(), malformed.clone(), large, malformed, broken.clone(), broken]
    );
    for counted in [
        "tidegate_generated_responses_total{reason=\"bad_request\"} 6\n",
        "tidegate_generated_responses_total{reason=\"head_too_large\"} 1\n",
        "tidegate_http2_streams_refused_total 3\n",
    ] {
        // A connection counts what it did once that is written.
        wait_for(counted, DEADLINE, || site.plane.metrics().contains(counted).then_some(()));
    }
    assert!(origin.received().iter().all(|request| request.target() == "/fine"));
}

#[test]
fn a_small_body_may_come_behind_the_response() {
    let origin = Origin::named("origin");
    let respond = json!({ "name": "fixed", "match": { "path": { "exact": "/fixed" } }, "action": { "respond": { "body": "x" } } });
    let site = both::site(&origin, json!([respond]));
    for path in ["/fixed", "/none"] {
        let mut client = site.h2_client();
        let stream = client.begin("POST", path, &[("content-length", "3")], false).unwrap();
        client.read_until(stream, |response| response.is_ended).unwrap();
        client.send_data(stream, "abc", true).unwrap();
        assert_eq!(client.get("/fixed").unwrap().status(), 200);
        let response = client.read_until(stream, |_| true).unwrap();
        assert_eq!(response.reset, None, "{path}: {response:?}");
        // Of a large one nobody needs the rest.
        let stream = client.begin("POST", path, &[("content-length", "65537")], false).unwrap();
        let response = client.read_until(stream, |response| response.reset.is_some()).unwrap();
        assert_eq!((response.is_ended, response.reset), (true, Some(code::NO_ERROR)), "{path}: {response:?}");
    }
}

#[test]
fn what_is_cut_off_never_looks_complete_on_either_side() {
    let origin = origin();
    let site = Site::of_h2(&[&origin], json!({}));
    let mut client = site.h2_client();
    let answer = client.get("/cut").unwrap();
    assert_eq!((answer.status(), answer.text().as_str(), answer.is_ended), (200, "abc", false));
    assert_eq!(answer.reset, Some(code::INTERNAL_ERROR));
    assert_eq!(site.logged("/cut")["reason"], "upstream_reset");

    // The other way: a client that gives up. The backend's connection ends, and it is not the backend's fault.
    let (begun, has_begun) = mpsc::channel();
    let (gone, is_gone) = mpsc::channel();
    let begun = std::sync::Mutex::new((begun, gone));
    let slow = Origin::start(move |_| {
        let (begun, gone) = begun.lock().unwrap().clone();
        Reply::script(false, move |stream| {
            stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
            begun.send(()).unwrap();
            while stream.write_all(b"1\r\nx\r\n").is_ok() {}
            gone.send(()).unwrap();
            Ok(())
        })
    });
    let site = Site::of_h2(&[&slow], json!({}));
    let mut client = site.h2_client();
    let stream = client.begin("GET", "/slow", &[], true).unwrap();
    has_begun.recv_timeout(DEADLINE).unwrap();
    client.read_until(stream, |response| !response.body.is_empty()).unwrap();
    client.send_frame(&Frame::reset(stream, code::CANCEL)).unwrap();
    is_gone.recv_timeout(DEADLINE).unwrap();
    let line = site.logged("/slow");
    assert_eq!((&line["status"], &line["reason"]), (&json!(200), &json!("client_gone")));
    let metrics = site.plane.metrics();
    assert!(metrics.contains("tidegate_http2_resets_received_total{side=\"downstream\"} 1"), "{metrics}");
    assert!(metrics.contains("kind=\"reset\"} 0"), "{metrics}");
}

#[test]
fn one_stream_that_stalls_does_not_stop_the_others() {
    let origin = origin();
    let site = Site::of_h2(&[&origin], json!({}));
    let mut client = site.h2_client();
    client.opens_windows = false;
    // A window on the connection for all, and none on the stream but the first.
    client.send_frame(&Frame::window_update(0, 1 << 30)).unwrap();
    let stalled = client.begin("GET", "/big", &[], true).unwrap();
    client.read_until(stalled, |response| response.body.len() == 65_535).unwrap();
    let uploads: Vec<u32> = (0..5).map(|_| client.begin("POST", "/wait", &[], false).unwrap()).collect();
    for turn in 0..200 {
        assert_eq!(told(&client.get("/plain").unwrap()), (200, "GET 0".into()), "{turn}");
    }
    for stream in uploads {
        client.send_data(stream, "end", true).unwrap();
        assert_eq!(told(&client.response(stream).unwrap()), (200, "POST 3".into()));
    }
    client.send_frame(&Frame::window_update(stalled, 1 << 30)).unwrap();
    assert_eq!(client.response(stalled).unwrap().body.len(), 1 << 20);
}

#[test]
fn a_listener_that_does_not_allow_it_refuses_the_preface() {
    let origin = origin();
    let site = Site::of(&[&origin], json!({}));
    let answer = site.client().ask(PREFACE).unwrap();
    assert_eq!(answer.status, 505);
    let site = Site::of_h2(&[&origin], json!({}));
    // HTTP/1.1 goes on as before, and the preface counts only as the first bytes.
    let mut client = site.client();
    assert_eq!(client.ask("GET /x HTTP/1.1\r\nHost: h\r\n\r\n").unwrap().text(), "GET 0");
    assert_eq!(client.ask(PREFACE).unwrap().status, 505);
    // In pieces, as it may come.
    let mut client = H2Client::silent(&site.address).unwrap();
    for byte in PREFACE {
        client.send([*byte]).unwrap();
    }
    client.send_frame(&Frame::settings(&[])).unwrap();
    assert_eq!(told(&client.get("/x").unwrap()), (200, "GET 0".into()));
    let mut client = H2Client::silent(&site.address).unwrap();
    client.send("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n").unwrap();
    client.read_to_end().unwrap();
}

#[test]
fn a_drain_lets_open_streams_end() {
    let (answer, wait) = mpsc::channel::<()>();
    let wait = std::sync::Arc::new(std::sync::Mutex::new(wait));
    let origin = Origin::start(move |request| match request.target() {
        "/slow" => {
            let wait = std::sync::Arc::clone(&wait);
            Reply::script(true, move |stream| {
                wait.lock().unwrap().recv_timeout(DEADLINE).unwrap();
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow")
            })
        }
        _ => Reply::text("ok"),
    });
    let mut site = Site::of_h2(&[&origin], json!({}));
    let mut client = site.h2_client();
    let slow = client.begin("GET", "/slow", &[], true).unwrap();
    assert_eq!(told(&client.get("/x").unwrap()), (200, "ok".into()));
    site.plane.process.signal(rustix::process::Signal::TERM);
    while client.goaways.is_empty() {
        client.read_until(slow, |_| true).unwrap();
        let frame = client.read_frame().unwrap().unwrap();
        if frame.kind == kind::GOAWAY {
            assert_eq!(frame.code(), code::NO_ERROR);
            client.goaways.push(frame);
        }
    }
    answer.send(()).unwrap();
    assert_eq!(told(&client.response(slow).unwrap()), (200, "slow".into()));
    assert!(client.read_to_end().unwrap().is_none_or(|frame| frame.code() == code::NO_ERROR));
    assert!(site.plane.process.wait(DEADLINE).success());
}

/// It is not waited for to its end, which is later than what this test waits for: a client may be gone without a word.
#[test]
fn a_drain_does_not_wait_for_clients_that_ask_for_nothing_and_say_nothing() {
    let origin = Origin::named("ok");
    let mut site = Site::of_h2(&[&origin], json!({}));
    let mut client = site.h2_client();
    assert_eq!(told(&client.get("/x").unwrap()), (200, "ok".into()));
    // From now on nothing is read, and no PING answered.
    assert!(site.plane.stop().success());
    let mut goaways = Vec::new();
    while let Ok(Some(frame)) = client.read_frame() {
        goaways.extend((frame.kind == kind::GOAWAY).then(|| frame.payload[..4].to_vec()));
    }
    assert_eq!(goaways, [[0x7f, 0xff, 0xff, 0xff], [0, 0, 0, 1]], "any stream, and then the last that was looked at");
}

#[test]
fn ordinary_clients_are_served() {
    let origin = origin();
    let site = Site::of_h2(&[&origin], json!({}));
    let url = |path: &str| format!("http://{}{path}", site.address);
    let curl = |arguments: &[&str]| {
        let out =
            Command::new("curl").args(["-sS", "--http2-prior-knowledge", "-m", "20"]).args(arguments).output().unwrap();
        assert!(out.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8_lossy(&out.stdout).into_owned()
    };
    assert_eq!(curl(&["-w", " %{http_version}", &url("/chunked")]), "abcdefg 2");
    assert_eq!(curl(&["-d", "abc", &url("/post")]), "POST 3");
    assert_eq!(curl(&["-H", "Expect: 100-continue", "-d", "abc", &url("/post")]), "POST 3");
    assert_eq!(curl(&[&url("/big")]).len(), 1 << 20);
    let load = Command::new("h2load").args(["-n", "2000", "-c", "4", "-m", "50", &url("/length")]).output().unwrap();
    let report = String::from_utf8_lossy(&load.stdout).into_owned();
    assert!(report.contains("2000 succeeded, 0 failed, 0 errored, 0 timeout"), "{report}");
}
