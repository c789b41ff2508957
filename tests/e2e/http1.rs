//! HTTP/1.1 over time: long pipelines, uploads that end early, tunnels. What one exchange of bytes can show is in `raw`.

use std::{
    io::{self, Write},
    net::{Shutdown, TcpStream},
    sync::{
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc,
    },
    thread,
};

use harness::{DEADLINE, Origin, RawClient, Reply, within};
use serde_json::json;

use crate::site::Site;

/// A backend that says what it got, in chunks if it is asked to.
fn origin() -> Origin {
    Origin::start(|request| match request.target() {
        "/chunked" => Reply::raw(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nX-Sum: 7\r\n\r\n",
            true,
        ),
        _ => Reply::text(format!("{} {}", request.method(), request.body.len())),
    })
}

fn ask(site: &Site, request: &str) -> harness::RawResponse {
    site.client().ask(request).unwrap_or_else(|error| panic!("{request:?}: {error}"))
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

/// Who sends requests without end, and reads the answers, leaves others their turn.
#[test]
fn an_endless_pipeline_keeps_nobody_else_waiting() {
    let respond = json!({ "name": "fixed", "action": { "respond": { "body": "x" } } });
    let site = Site::with_workers(1, json!({ "routes": [respond] }));
    let get = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    let stream = TcpStream::connect(&site.address).unwrap();
    let [mut endless, mut answers] = [(); 2].map(|()| RawClient::on(stream.try_clone().unwrap()).unwrap());
    let answered = AtomicU64::new(0);
    let asked = thread::scope(|scope| {
        let many = get.repeat(1_000);
        scope.spawn(move || while endless.send(&many).is_ok() {});
        scope.spawn(|| {
            while answers.read_response().is_ok() {
                answered.fetch_add(1, Relaxed);
            }
        });
        // Between each of others and the next, some of the endless ones are answered.
        let ask = |_| -> io::Result<(u16, bool)> {
            let before = answered.load(Relaxed);
            let status = RawClient::connect(&site.address)?.ask(get)?.status;
            Ok((status, within(DEADLINE, || (answered.load(Relaxed) > before).then_some(())).is_some()))
        };
        let asked: io::Result<Vec<_>> = (0..50).map(ask).collect();
        // Both threads end with it.
        stream.shutdown(Shutdown::Both).map(|()| asked)
    });
    assert_eq!(asked.flatten().unwrap(), [(200, true); 50]);
}

#[test]
fn an_early_response_passes_an_upload_that_is_still_coming() {
    // Answers at the head, and reads nothing of the body.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (done, is_done) = mpsc::channel::<()>();
    let backend = thread::spawn(move || {
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
