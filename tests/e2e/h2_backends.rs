//! HTTP/2 backends: shared connections, their caps and their ends, and streams in both directions.

mod cap;

use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};

use harness::{
    DEADLINE, Origin,
    h2::{Frame, H2Client, H2Origin, PREFACE, code, flag, kind},
    wait_for,
};
use serde_json::json;

use crate::{
    h2_pairs::site,
    site::{Site, one_upstream},
};

const OK: &[(&str, &str)] = &[(":status", "200")];

/// The identifier of `SETTINGS_MAX_CONCURRENT_STREAMS`.
const MAX_STREAMS: u16 = 3;

#[test]
fn clients_of_a_worker_share_connections() {
    let origin = H2Origin::start(&[], |request, stream| stream.answer(OK, request.field(":path").as_bytes(), &[]));
    let site = site(origin.address(), "h2c", json!({}));
    for turn in 0..20 {
        let path = format!("/{turn}");
        assert_eq!(site.h2_client().get(&path).unwrap().text(), path);
        assert_eq!(site.client().ask(format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n")).unwrap().text(), path);
    }
    assert!(origin.connections() <= 2, "one for each worker, not {}", origin.connections());
    let line = site.logged("/3");
    assert_eq!((&line["status"], &line["bytes_out"], &line["upstream"]), (&json!(200), &json!(2), &json!("up")));
    let metrics = site.plane.metrics();
    assert!(metrics.contains("tidegate_http2_streams_total{side=\"downstream\"} 20"), "{metrics}");
    let open = "tidegate_backend_connections_open{upstream=\"up\",backend=\"b0\",state=";
    let expected = [format!("{open}\"busy\"}} 0\n"), format!("{open}\"idle\"}} {}\n", origin.connections())];
    let are_idle = || {
        let metrics = site.plane.metrics();
        expected.iter().all(|line| metrics.contains(line)).then_some(())
    };
    wait_for("connections without a request are idle", DEADLINE, are_idle);
}

#[test]
fn a_backend_that_takes_no_requests_is_waited_for_on_one_connection() {
    // For good.
    let origin = H2Origin::start(&[(MAX_STREAMS, 0)], |_, stream| stream.answer(OK, b"", &[]));
    let never = site(origin.address(), "h2c", json!({ "timeouts": { "connect": "1s" }, "retries": { "attempts": 0 } }));
    assert_eq!((never.h2_client().get("/").unwrap().status(), origin.connections()), (504, 1));

    // Until it says otherwise, after its first word was heard.
    let converse = |mut stream: TcpStream| -> io::Result<()> {
        stream.read_exact(&mut [0; PREFACE.len()])?;
        stream.write_all(&[0, 0, 6, kind::SETTINGS, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0])?;
        loop {
            let mut header = [0; 9];
            stream.read_exact(&mut header)?;
            let [a, b, c, kind, flags, _, _, _, id] = header;
            stream.read_exact(&mut vec![0; u32::from_be_bytes([0, a, b, c]) as usize])?;
            match (kind, flags & flag::ACK) {
                (kind::SETTINGS, 0) => stream.write_all(&[0, 0, 0, kind::SETTINGS, flag::ACK, 0, 0, 0, 0])?,
                (kind::SETTINGS, _) => stream.write_all(&[0, 0, 6, kind::SETTINGS, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 1])?,
                // With the status 200, as HPACK's table has it.
                (kind::HEADERS, _) => {
                    stream.write_all(&[
                        0,
                        0,
                        1,
                        kind::HEADERS,
                        flag::END_HEADERS | flag::END_STREAM,
                        0,
                        0,
                        0,
                        id,
                        0x88,
                    ])?;
                }
                _ => {}
            }
        }
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&accepted);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            count.fetch_add(1, Ordering::SeqCst);
            thread::spawn(move || drop(converse(stream)));
        }
    });
    let soon = site(&address, "h2c", json!({ "retries": { "attempts": 0 } }));
    let mut client = soon.h2_client();
    for _ in 0..3 {
        assert_eq!(client.get("/").unwrap().status(), 200);
    }
    assert_eq!(accepted.load(Ordering::SeqCst), 1);
}

#[test]
fn no_connection_gets_more_streams_than_it_takes_and_another_is_opened() {
    let open = Arc::new(Mutex::new(std::collections::HashMap::<usize, usize>::new()));
    let most = Arc::new(AtomicUsize::new(0));
    let (counts, peak) = (Arc::clone(&open), Arc::clone(&most));
    // A request is answered when its body ends, so that those before count as open.
    let origin = H2Origin::eager(&[(MAX_STREAMS, 3)], move |request, stream| {
        let mut open = counts.lock().unwrap();
        let count = open.entry(request.connection).or_default();
        if request.is_ended {
            *count -= 1;
            return stream.answer(OK, b"done", &[]);
        }
        *count += 1;
        peak.fetch_max(*count, Ordering::SeqCst);
        Ok(())
    });
    let site = site(origin.address(), "h2c", json!({}));
    let mut client = site.h2_client();
    let streams: Vec<u32> = (0..8).map(|_| client.begin("POST", "/hold", &[], false).unwrap()).collect();
    wait_for("all are with the backend", DEADLINE, || {
        (open.lock().unwrap().values().sum::<usize>() == 8).then_some(())
    });
    assert_eq!((origin.connections(), most.load(Ordering::SeqCst)), (3, 3));
    for stream in streams {
        client.send_data(stream, "x", true).unwrap();
        assert_eq!(client.response(stream).unwrap().text(), "done");
    }
}

#[test]
fn a_connection_that_fails_fails_no_more_requests_than_have_no_other() {
    // So many requests share a connection.
    const SHARE: usize = 100;
    let origin = H2Origin::start(&[], |_, stream| stream.answer(OK, b"ok", &[]));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let route = json!({ "timeouts": { "connect": "1m" }, "retries": { "attempts": 0 } });
    let mut config = one_upstream([(&*address, 1)].into_iter(), route);
    config["upstreams"][0]["protocol"] = json!("h2c");
    config["listeners"] = json!([{ "name": "web", "allow_h2c": true }]);
    let site = Site::with_workers(1, config);
    let mut clients = [site.h2_client(), site.h2_client()];
    let mut asked: Vec<(usize, u32)> =
        (0..SHARE).map(|_| (0, clients[0].begin("GET", "/", &[], true).unwrap())).collect();
    let (first, _) = listener.accept().unwrap();
    asked.push((1, clients[1].begin("GET", "/", &[], true).unwrap()));
    let (second, _) = listener.accept().unwrap();
    // It is known to have failed before the other one takes requests.
    drop(first);
    wait_for("a request fails", DEADLINE, || site.plane.metrics().contains("kind=\"connect\"} 1\n").then_some(()));
    let backend = TcpStream::connect(origin.address()).unwrap();
    for (mut from, mut to) in [(second.try_clone().unwrap(), backend.try_clone().unwrap()), (backend, second)] {
        thread::spawn(move || io::copy(&mut from, &mut to));
    }
    let statuses: Vec<u16> =
        asked.iter().map(|(client, stream)| clients[*client].response(*stream).unwrap().status()).collect();
    assert_eq!((statuses[0], statuses.iter().filter(|status| **status == 200).count()), (502, SHARE), "{statuses:?}");
}

#[test]
fn requests_that_a_backend_did_not_look_at_go_to_another_connection() {
    for refusal in ["refused", "goaway"] {
        let refused = AtomicUsize::new(0);
        let origin = H2Origin::start(&[], move |request, stream| {
            if request.field(":path") == "/again" && refused.fetch_add(1, Ordering::SeqCst) == 0 {
                return match refusal {
                    "refused" => stream.frame(&Frame::reset(request.stream, code::REFUSED_STREAM)),
                    _ => stream.frame(&Frame::goaway(request.stream - 2, code::NO_ERROR)),
                };
            }
            stream.answer(OK, &request.body, &[])
        });
        let site = site(origin.address(), "h2c", json!({}));
        let mut client = site.h2_client();
        assert_eq!(client.ask("POST", "/first", &[], "1").unwrap().text(), "1");
        // Not idempotent, and sent again all the same: the backend says that it did nothing.
        assert_eq!(client.ask("POST", "/again", &[], "body").unwrap().text(), "body", "{refusal}");
        let received = origin.received();
        assert_eq!(received.iter().filter(|request| request.field(":path") == "/again").count(), 2, "{refusal}");
        assert_eq!(origin.connections(), 2, "{refusal}");
        let metrics = site.plane.metrics();
        assert!(metrics.contains("kind=\"reset\"} 0"), "{refusal}: not the backend's fault: {metrics}");
    }
}

#[test]
fn a_connection_that_was_lost_between_requests_is_replaced() {
    let origin = H2Origin::start(&[], |_, stream| stream.answer(OK, b"ok", &[]));
    let site = site(origin.address(), "h2c", json!({}));
    let mut client = site.h2_client();
    for turn in 0..20 {
        assert_eq!(client.get("/x").unwrap().text(), "ok", "{turn}");
        origin.drop_connections();
    }
}

#[test]
fn a_stream_goes_both_ways_at_once_and_trailers_end_it() {
    // Each piece is answered as it comes.
    let origin = H2Origin::eager(&[], |request, stream| {
        if request.is_ended {
            stream.link.send_data(request.stream, "bye", false)?;
            return stream.link.send_headers(request.stream, &[("grpc-status", "0")], true);
        }
        stream.link.send_headers(request.stream, &[(":status", "200"), ("content-type", "application/grpc")], false)?;
        stream.link.send_data(request.stream, "hello", false)
    });
    let site = site(origin.address(), "h2c", json!({}));
    let mut client = site.h2_client();
    let stream = client.begin("POST", "/chat", &[("te", "trailers")], false).unwrap();
    client.read_until(stream, |response| response.text() == "hello").unwrap();
    client.send_data(stream, "x", true).unwrap();
    let response = client.response(stream).unwrap();
    assert_eq!(response.text(), "hellobye");
    assert_eq!(response.trailers, [("grpc-status".to_owned(), "0".to_owned())]);
}

#[test]
fn resets_pass_both_ways() {
    let origin = H2Origin::eager(&[], |request, stream| {
        match request.field(":path").split('?').next().unwrap_or_default() {
            "/cancel" | "/wait" if request.is_ended => {}
            "/cancel" => {
                stream.link.send_headers(request.stream, OK, false)?;
                stream.link.send_data(request.stream, "part", false)?;
                stream.frame(&Frame::reset(request.stream, code::CANCEL))?;
            }
            "/wait" => {
                stream.link.send_headers(request.stream, OK, false)?;
                stream.link.send_data(request.stream, "part", false)?;
            }
            _ => stream.frame(&Frame::reset(request.stream, code::INTERNAL_ERROR))?,
        }
        Ok(())
    });
    let site = site(origin.address(), "h2c", json!({}));
    let mut client = site.h2_client();
    let cancelled = client.begin("POST", "/cancel", &[], false).unwrap();
    let response = client.response(cancelled).unwrap();
    assert_eq!((response.text().as_str(), response.reset, response.is_ended), ("part", Some(code::CANCEL), false));
    let failed = client.get("/fail").unwrap();
    assert_eq!(failed.status(), 502);
    let waits = client.begin("POST", "/wait", &[], false).unwrap();
    client.read_until(waits, |response| response.text() == "part").unwrap();
    client.send_frame(&Frame::reset(waits, code::CANCEL)).unwrap();
    let reset = wait_for("the backend learns of it", DEADLINE, || {
        origin.received().into_iter().find(|request| request.field(":path") == "/wait")
    });
    assert_eq!(reset.reset, Some(code::CANCEL));
    assert_eq!(site.logged("/wait")["reason"], "client_gone");
    // An HTTP/1.1 client that goes away is the same to the backend.
    let mut client = site.client();
    client.send("POST /wait?h1 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
    assert_eq!(client.read_response_head().unwrap().first_line, "HTTP/1.1 200 OK");
    drop(client);
    wait_for("the backend learns of it", DEADLINE, || {
        origin.received().into_iter().find(|request| request.field(":path") == "/wait?h1" && request.reset.is_some())
    });
    // What was cut off does not look complete.
    let mut client = site.client();
    client.send("POST /cancel HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
    assert!(client.read_response().is_err());
    // Without a length or chunks only a reset tells.
    let mut client = site.client();
    client.send("POST /cancel HTTP/1.0\r\nHost: h\r\nContent-Length: 9\r\n\r\n").unwrap();
    assert_eq!(client.read_response_head().unwrap().first_line, "HTTP/1.1 200 OK");
    assert!(client.read_to_end().is_err());
}

#[test]
fn an_early_response_ends_an_upload() {
    let origin =
        H2Origin::eager(
            &[],
            |request, stream| {
                if request.is_ended { Ok(()) } else { stream.answer(&[(":status", "413")], b"no", &[]) }
            },
        );
    let site = site(origin.address(), "h2c", json!({}));
    let mut client = site.h2_client();
    let stream = client.begin("POST", "/up", &[], false).unwrap();
    client.send_data(stream, vec![b'x'; 10_000], false).unwrap();
    let response = client.response(stream).unwrap();
    assert_eq!((response.status(), response.text().as_str()), (413, "no"));
    let reset = client.read_message_frame().unwrap().unwrap();
    assert_eq!((reset.kind, reset.code()), (kind::RST_STREAM, code::NO_ERROR));
    let mut client = site.client();
    client.send("POST /up HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\nxxx").unwrap();
    assert_eq!(client.read_response().unwrap().text(), "no");
    assert!(client.is_closed());
}

#[test]
fn large_bodies_pass_in_both_directions() {
    let origin = H2Origin::start(&[], |request, stream| {
        let length = request.body.len().to_string();
        stream.link.send_headers(request.stream, &[(":status", "200"), ("x-length", &length)], false)?;
        // As the window of the start allows.
        for _ in 0..3 {
            stream.link.send_data(request.stream, vec![b'y'; 16_000], false)?;
        }
        stream.link.send_data(request.stream, "", true)
    });
    let site = site(origin.address(), "h2c", json!({}));
    let mut client = site.h2_client();
    let stream = client.begin("POST", "/big", &[], false).unwrap();
    client.upload(stream, &vec![b'x'; 3_000_000]).unwrap();
    let response = client.response(stream).unwrap();
    assert_eq!((response.field("x-length"), response.body.len()), (Some("3000000"), 48_000));
    let mut client = site.client();
    client
        .send(format!("POST /big HTTP/1.1\r\nHost: h\r\nContent-Length: 3000000\r\n\r\n{}", "x".repeat(3_000_000)))
        .unwrap();
    let response = client.read_response().unwrap();
    assert_eq!((response.field("x-length"), response.body.len()), (Some("3000000"), 48_000));
    assert_eq!(client.ask("GET /again HTTP/1.1\r\nHost: h\r\n\r\n").unwrap().field("x-length"), Some("0"));
}

#[test]
fn a_backend_that_speaks_no_http_2_is_told_apart() {
    let origin = Origin::named("h1");
    let site = site(origin.address(), "h2c", json!({}));
    let answer = site.h2_client().get("/x").unwrap();
    assert!((answer.status(), answer.text().contains("bad_response")) == (502, true), "{answer:?}");
    let answer = site.client().ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    assert_eq!(answer.status, 502);
}

#[test]
fn many_requests_at_once_are_all_answered() {
    let origin = H2Origin::start(&[(MAX_STREAMS, 20)], |request, stream| {
        stream.answer(OK, request.field(":path").as_bytes(), &[("x", "1")])
    });
    let site = site(origin.address(), "h2c", json!({}));
    let (done, results) = mpsc::channel();
    for worker in 0..4 {
        let (address, done) = (site.address.clone(), done.clone());
        thread::spawn(move || {
            let mut client = H2Client::connect(&address).unwrap();
            for turn in 0..5 {
                let path = |index| format!("/{worker}/{turn}/{index}");
                let streams: Vec<(u32, String)> =
                    (0..50).map(|index| (client.begin("GET", &path(index), &[], true).unwrap(), path(index))).collect();
                for (stream, path) in streams {
                    let response = client.response(stream).unwrap();
                    assert_eq!((response.status(), response.text(), response.trailers.len()), (200, path, 1));
                }
            }
            done.send(()).unwrap();
        });
    }
    for _ in 0..4 {
        results.recv_timeout(DEADLINE).unwrap();
    }
}

#[test]
fn http_1_clients_get_what_they_understand() {
    let origin = H2Origin::eager(&[], |request, stream| match request.field(":path") {
        "/hints" if request.is_ended => {
            stream.link.send_headers(request.stream, &[(":status", "103"), ("link", "</a>")], false)?;
            stream.answer(OK, b"hinted", &[])
        }
        // A client that waits for 100 sends its body then.
        "/expects" if !request.is_ended => stream.link.send_headers(request.stream, &[(":status", "100")], false),
        "/204" => stream.answer(&[(":status", "204")], b"", &[]),
        _ if request.is_ended => stream.answer(OK, &[b"body ", &request.body[..]].concat(), &[("x-sum", "1")]),
        _ => Ok(()),
    });
    let site = site(origin.address(), "h2c", json!({}));
    // No length and no chunks: the end of the body is the end of the connection.
    let mut client = site.client();
    let answer = client.ask("GET /old HTTP/1.0\r\n\r\n").unwrap();
    assert_eq!((answer.text().as_str(), answer.field("connection")), ("body ", Some("close")));
    assert_eq!((answer.field("transfer-encoding"), answer.field("content-length")), (None, None));
    assert!(client.is_closed());

    let mut client = site.client();
    let hints = client.ask("GET /hints HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    assert_eq!((hints.status, hints.field("link")), (103, Some("</a>")));
    assert_eq!(client.read_response().unwrap().text(), "hinted");
    assert_eq!(client.ask("GET /hints HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").unwrap().text(), "hinted");

    let mut client = site.client();
    client.send("POST /expects HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n").unwrap();
    assert_eq!(client.read_response().unwrap().status, 100);
    client
        .send("abcGET /204 HTTP/1.1\r\nHost: h\r\n\r\nGET /last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        .unwrap();
    let expected = client.read_response().unwrap();
    assert_eq!(
        (expected.text().as_str(), String::from_utf8_lossy(&expected.trailers).trim()),
        ("body abc", "x-sum: 1")
    );
    assert_eq!(client.read_response().unwrap().status, 204);
    let last = client.read_response().unwrap();
    assert_eq!((last.text().as_str(), last.field("connection")), ("body ", Some("close")));
    assert!(client.is_closed());

    let mut client = site.h2_client();
    let hints = client.get("/hints").unwrap();
    assert_eq!((hints.interim.len(), hints.text().as_str()), (1, "hinted"));
    // A broken chunk is the client's fault, and its request does not look complete to the backend.
    let mut client = site.client();
    client.send("POST /broken HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcX").unwrap();
    assert_eq!(client.read_response().unwrap().status, 400);
    let broken = wait_for("the backend learns of it", DEADLINE, || {
        origin.received().into_iter().find(|request| request.field(":path") == "/broken")
    });
    assert_eq!((broken.is_ended, broken.reset), (false, Some(code::CANCEL)));
}

#[test]
fn a_response_has_one_reading_whichever_version_it_comes_by() {
    let origin = H2Origin::start(&[], |request, stream| match request.field(":path") {
        "/two-lengths" => stream.answer(&[OK[0], ("content-length", "1"), ("content-length", "1")], b"x", &[]),
        "/no-status" => stream.answer(&[(":status", "600")], b"", &[]),
        "/switches" => {
            stream.link.send_headers(request.stream, &[(":status", "101")], false)?;
            stream.answer(OK, b"", &[])
        }
        "/looks-alike" => stream.answer(&[OK[0], ("content_length", "9"), ("x-a", "1")], b"x", &[]),
        "/304" => stream.answer(&[(":status", "304"), ("content-length", "5")], b"", &[]),
        _ => stream.answer(&[OK[0], ("content-length", "5")], b"", &[]),
    });
    let site = site(origin.address(), "h2c", json!({}));
    for path in ["/two-lengths", "/no-status", "/switches"] {
        let answer = site.client().ask(format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n")).unwrap();
        assert_eq!((answer.status, site.h2_client().get(path).unwrap().status()), (502, 502), "{path}");
        assert_eq!(site.logged(path)["reason"], "bad_response", "{path}");
    }
    for (method, path, status, length) in
        [("GET", "/looks-alike", 200, None), ("GET", "/304", 304, Some("5")), ("HEAD", "/", 200, Some("5"))]
    {
        let request = format!("{method} {path} HTTP/1.1\r\nHost: h\r\n\r\n");
        let mut client = site.client();
        client.send(request).unwrap();
        let answer = client.read_response_to(method).unwrap();
        assert_eq!(
            (answer.status, answer.field("content-length"), answer.field("content_length")),
            (status, length, None)
        );
        let answer = site.h2_client().ask(method, path, &[], "").unwrap();
        let fields = (answer.field("content-length"), answer.field("content_length"));
        assert_eq!((answer.status(), fields), (status, (length, None)), "{method} {path}");
    }
}
