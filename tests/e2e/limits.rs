//! Limits and time-outs of listeners and routes: each that is set acts.

use std::{io::Write, net::TcpListener, sync::mpsc, time::Duration};

use harness::{Connection, DEADLINE, Origin, RawClient, Reply, rest, wait_for};
use serde_json::{Value, json};

use crate::site::{Site, one_upstream};

/// A site with `listener` and `route` set for the rest of their fields, in front of `origin`.
fn site(origin: &Origin, listener: Value, route: Value) -> Site {
    of_address(origin.address(), listener, route)
}

fn of_address(address: &str, listener: Value, route: Value) -> Site {
    let mut config = one_upstream([(address, 1)].into_iter(), route);
    config["listeners"] = json!([{ "name": "web" }]);
    for (name, value) in listener.as_object().unwrap() {
        config["listeners"][0][name] = value.clone();
    }
    Site::start(config)
}

/// An origin that answers the length of what it got.
fn counting() -> Origin {
    Origin::start(|request| Reply::text(request.body.len().to_string()))
}

/// An origin that takes a request's head, and does nothing more until it is dropped.
struct Silent {
    address: String,
    _stop: mpsc::Sender<()>,
}

impl Silent {
    /// Answers `first` at once, and then nothing.
    fn after(first: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (stop, stopped) = mpsc::channel::<()>();
        std::thread::spawn(move || {
            let mut held = Vec::new();
            listener.set_nonblocking(true).unwrap();
            while stopped.try_recv() == Err(mpsc::TryRecvError::Empty) {
                if let Ok((mut stream, _)) = listener.accept() {
                    stream.write_all(first.as_bytes()).unwrap();
                    held.push(stream);
                }
                let _ = stopped.recv_timeout(Duration::from_millis(5));
            }
        });
        Self { address, _stop: stop }
    }
}

const GET: &str = "GET /x HTTP/1.1\r\nHost: h\r\n\r\n";

#[test]
fn a_slow_head_is_answered_408_and_an_idle_connection_ends_without_a_word() {
    let origin = counting();
    let site = site(&origin, json!({"timeouts": {"request_head": "300ms", "keep_alive_idle": "400ms"}}), json!({}));
    let mut slow = site.client();
    slow.send("GET / HTTP/1.1\r\nHo").unwrap();
    let answer = slow.read_response().unwrap();
    assert_eq!((answer.status, answer.field("connection")), (408, Some("close")));
    assert!(answer.text().contains("request_timeout"));
    assert!(slow.is_closed());

    let mut idle = site.client();
    assert_eq!(idle.ask(GET).unwrap().status, 200);
    assert_eq!(idle.state_after(DEADLINE), Connection::Closed);
    assert_eq!(site.client().state_after(DEADLINE), Connection::Closed, "before the first request too");
    // Bytes that keep coming do not make more time.
    let mut trickle = site.client();
    wait_for("408 for a trickled head", DEADLINE, || trickle.send("x").is_err().then_some(()));
}

/// Old clients send one behind a body (RFC 9112 §2.2), and would take 408 for the answer to what they ask next.
#[test]
fn a_line_break_alone_begins_no_head() {
    let origin = counting();
    let site = site(&origin, json!({"timeouts": {"request_head": "300ms"}}), json!({}));
    let mut old = site.client();
    let post = "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc";
    assert_eq!(old.ask(post).unwrap().status, 200);
    old.send("\r\n").unwrap();
    // Its head would have been overdue before the second of these.
    for _ in 0..2 {
        assert_eq!(site.client().ask("GET / HTTP/1.1\r\nHo").unwrap().status, 408);
    }
    assert_eq!(old.ask(GET).unwrap().status, 200);
}

#[test]
fn a_half_closed_client_is_given_its_grace_and_no_more() {
    let silent = Silent::after("");
    let site = of_address(&silent.address, json!({"timeouts": {"half_close_grace": "300ms"}}), json!({}));
    let mut client = site.client();
    client.send(GET).unwrap();
    client.half_close().unwrap();
    assert_ne!(client.state_after(DEADLINE), Connection::Kept);
    let line = site.logged("/x");
    assert_eq!((&line["status"], &line["reason"]), (&json!(499), &json!("client_gone")));
}

#[test]
fn heads_are_held_to_the_listeners_limits() {
    let origin = counting();
    let limits = json!({"limits": {"head": "1KiB", "fields": 5, "target": "64B"}});
    let site = site(&origin, limits, json!({}));
    let fields: String = (0..5).map(|index| format!("X-{index}: 1\r\n")).collect();
    for (request, status) in [
        (format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "x".repeat(63)), 200),
        (format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "x".repeat(64)), 414),
        (format!("GET / HTTP/1.1\r\nHost: h\r\n{fields}\r\n"), 431),
        (format!("GET / HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n", "x".repeat(900)), 200),
        (format!("GET / HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n", "x".repeat(1000)), 431),
    ] {
        assert_eq!(site.client().ask(&request).unwrap().status, status, "{}", &request[..80.min(request.len())]);
    }
}

#[test]
fn a_head_may_be_larger_than_by_default() {
    let origin = counting();
    let site = site(&origin, json!({"limits": {"head": "64KiB", "fields": 500, "target": "60KiB"}}), json!({}));
    let fields: String = (0..450).map(|index| format!("X-{index}: 1\r\n")).collect();
    let request = format!("GET /{} HTTP/1.1\r\nHost: h\r\n{fields}\r\n", "x".repeat(50_000));
    assert_eq!(site.client().ask(&request).unwrap().status, 200);
    assert_eq!(origin.received()[0].target().len(), 50_001);
}

#[test]
fn a_body_over_the_limit_is_answered_413_as_it_streams() {
    let origin = counting();
    let site = site(&origin, json!({"limits": {"body": "1000B"}}), json!({}));
    let chunked = |sizes: &[usize]| {
        let chunks: String = sizes.iter().map(|size| format!("{size:x}\r\n{}\r\n", "x".repeat(*size))).collect();
        format!("POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n")
    };
    let length =
        |size: usize| format!("POST /l HTTP/1.1\r\nHost: h\r\nContent-Length: {size}\r\n\r\n{}", "x".repeat(size));
    for (request, status) in [
        (length(1000), 200),
        (length(1001), 413),
        (chunked(&[600, 400]), 200),
        (chunked(&[600, 401]), 413),
        (chunked(&[2000]), 413),
    ] {
        let answer = site.client().ask(&request).unwrap();
        assert_eq!(answer.status, status, "{}", &request[..60]);
    }
    assert!(origin.received().iter().all(|request| request.body.len() <= 1000), "no complete body over the limit");
    // Refused by its length alone, before a byte of it came.
    let mut client = site.client();
    let answer = client.ask("POST /l HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999\r\n\r\n").unwrap();
    assert_eq!((answer.status, answer.field("connection")), (413, Some("close")));
}

#[test]
fn a_connection_takes_only_so_many_requests() {
    let origin = counting();
    let site = site(&origin, json!({"limits": {"requests_per_connection": 2}}), json!({}));
    let mut client = site.client();
    assert_eq!(client.ask(GET).unwrap().field("connection"), None);
    assert_eq!(client.ask(GET).unwrap().field("connection"), Some("close"));
    assert!(client.is_closed());
}

#[test]
fn connections_over_the_listeners_limit_wait_their_turn() {
    let origin = counting();
    let site = site(&origin, json!({"limits": {"connections": 3}}), json!({}));
    let mut open: Vec<RawClient> = (0..3).map(|_| site.client()).collect();
    for client in &mut open {
        assert_eq!(client.ask(GET).unwrap().status, 200);
    }
    let mut fourth = site.client();
    fourth.send(GET).unwrap();
    assert_eq!(fourth.state_after(Duration::from_millis(200)), Connection::Kept, "nothing comes while three are open");
    assert_eq!(open[1].ask(GET).unwrap().status, 200, "those that are open go on");
    drop(open.remove(0));
    let mut fourth = fourth;
    assert_eq!(fourth.read_response().unwrap().status, 200);
}

#[test]
fn one_client_may_hold_only_so_many_connections() {
    let origin = counting();
    let site = site(&origin, json!({"limits": {"connections_per_client": 2}}), json!({}));
    let mut open: Vec<RawClient> = (0..2).map(|_| site.client()).collect();
    for client in &mut open {
        assert_eq!(client.ask(GET).unwrap().status, 200);
    }
    assert!(site.client().is_closed());
    assert!(site.plane.metrics().contains("tidegate_connections_refused_total{listener=\"web\"} 1"));
    assert_eq!(open[0].ask(GET).unwrap().status, 200);
    drop(open);
    wait_for("a place", DEADLINE, || site.client().ask(GET).ok().filter(|answer| answer.status == 200));
}

#[test]
fn a_changed_limit_acts_on_connections_that_are_open() {
    let origin = counting();
    let site = site(&origin, json!({}), json!({}));
    let mut client = site.client();
    let long = format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "x".repeat(100));
    assert_eq!(client.ask(&long).unwrap().status, 200);
    let file = site.directory.path().join("config.json");
    let mut config: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    config["listeners"][0]["limits"] = json!({"target": "64B"});
    std::fs::write(&file, config.to_string()).unwrap();
    site.plane.reload();
    wait_for("the new limit", DEADLINE, || {
        let answer = client.ask(&long).ok()?;
        (answer.status == 414).then_some(())
    });
}

#[test]
fn a_backend_that_takes_no_connection_is_504_connect_timeout() {
    // Nobody accepts, and the queue is full: further handshakes get no answer.
    let listener = socket_with_full_queue();
    let site = of_address(&listener.0, json!({}), json!({"timeouts": {"connect": "300ms"}}));
    let answer = site.client().ask(GET).unwrap();
    assert_eq!(answer.status, 504);
    assert!(answer.text().contains("connect_timeout"), "{}", answer.text());
}

fn socket_with_full_queue() -> (String, TcpListener, Vec<std::net::TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(stream) = std::net::TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        waiting.push(stream);
    }
    (address.to_string(), listener, waiting)
}

#[test]
fn a_body_that_stops_or_trickles_is_answered_408() {
    let silent = Silent::after("");
    let timeouts = json!({"timeouts": {"request_body_idle": "300ms"}});
    let site = of_address(&silent.address, json!({}), timeouts);
    let mut stopped = site.client();
    stopped.send("POST /stopped HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc").unwrap();
    assert_eq!(stopped.read_response().unwrap().status, 408);
    assert_eq!(site.logged("/stopped")["reason"], "request_timeout");
    assert!(stopped.is_closed());

    let timeouts = json!({"timeouts": {"request_body_min_rate": "1MiB"}});
    let site = of_address(&silent.address, json!({}), timeouts);
    // What is announced, be it in all or as a chunk, has not come yet.
    for framing in ["Content-Length: 100000000\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\nFFFFFFFF\r\n"] {
        let mut trickle = site.client();
        trickle.send(format!("POST /trickle HTTP/1.1\r\nHost: h\r\n{framing}")).unwrap();
        let mut sender = trickle.try_clone().unwrap();
        let sending = std::thread::spawn(move || {
            while sender.send("x").is_ok() {
                rest(Duration::from_millis(5));
            }
        });
        assert_eq!(trickle.read_response().unwrap().status, 408, "{framing}");
        drop(trickle);
        sending.join().unwrap();
    }
    let metrics = site.plane.metrics();
    assert!(metrics.contains("kind=\"timeout\"} 0"), "no fault of the backend: {metrics}");
}

#[test]
fn a_client_that_waits_for_100_is_not_called_slow() {
    let silent = Silent::after("");
    let timeouts = json!({"timeouts": {"request_body_idle": "200ms", "first_byte": "600ms"}});
    let site = of_address(&silent.address, json!({}), timeouts);
    let mut client = site.client();
    let answer =
        client.ask("POST /w HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n").unwrap();
    assert_eq!(answer.status, 504, "the backend did not answer");
}

#[test]
fn a_backend_that_is_silent_is_504_and_counted() {
    let silent = Silent::after("");
    let site = of_address(&silent.address, json!({}), json!({"timeouts": {"first_byte": "300ms"}}));
    let mut client = site.client();
    let answer = client.ask(GET).unwrap();
    assert!(answer.status == 504 && answer.text().contains("upstream_timeout"), "{}", answer.text());
    assert_eq!(client.ask("GET /again HTTP/1.1\r\nHost: h\r\n\r\n").unwrap().status, 504, "the connection is kept");
    assert!(site.plane.metrics().contains("kind=\"timeout\"} 2"));
}

#[test]
fn a_response_that_stops_is_cut_off() {
    let silent = Silent::after("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
    let site = of_address(&silent.address, json!({}), json!({"timeouts": {"idle": "300ms"}}));
    let mut client = site.client();
    client.send(GET).unwrap();
    assert_eq!(client.read_response_head().unwrap().field("content-length"), Some("10"));
    assert_eq!(client.read_exactly(3).unwrap(), b"abc");
    assert_ne!(client.state_after(DEADLINE), Connection::Kept);
    assert_eq!(site.logged("/x")["reason"], "upstream_timeout");
}

#[test]
fn a_client_that_takes_nothing_is_cut_off_and_the_backend_is_not_blamed() {
    let origin = Origin::start(|_| Reply::text("x".repeat(50 << 20)));
    let site = site(&origin, json!({}), json!({"timeouts": {"idle": "400ms"}}));
    let mut client = site.client();
    client.send(GET).unwrap();
    let line = site.logged("/x");
    assert_eq!((&line["status"], &line["reason"]), (&json!(200), &json!("client_too_slow")));
    assert!(site.plane.metrics().contains("kind=\"timeout\"} 0"));
    drop(client);
}

#[test]
fn the_total_is_over_everything() {
    let silent = Silent::after("");
    let site = of_address(&silent.address, json!({}), json!({"timeouts": {"total": "400ms", "connect": "300ms"}}));
    let answer = site.client().ask(GET).unwrap();
    assert!(answer.status == 504 && answer.text().contains("total_timeout"), "{}", answer.text());

    // A response that keeps coming is cut off all the same.
    let origin = Origin::start(|_| {
        Reply::script(false, |stream| {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")?;
            loop {
                stream.write_all(b"x")?;
            }
        })
    });
    let site = self::site(&origin, json!({}), json!({"timeouts": {"total": "400ms", "connect": "300ms"}}));
    let mut client = site.client();
    client.send(GET).unwrap();
    client.read_response_head().unwrap();
    wait_for("the end", DEADLINE, || client.read_exactly(1 << 20).is_err().then_some(()));
    assert_eq!(site.logged("/x")["reason"], "total_timeout");
}

#[test]
fn a_tunnel_ends_when_nothing_moves_in_it() {
    let silent = Silent::after("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nhi");
    let timeouts = json!({"timeouts": {"tunnel_idle": "500ms", "total": "100ms", "connect": "99ms"}});
    let site = of_address(&silent.address, json!({}), timeouts);
    let mut client = site.client();
    client.send("GET /t HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n").unwrap();
    assert!(client.read_response_head().unwrap().first_line.contains("101"));
    assert_eq!(client.read_exactly(2).unwrap(), b"hi");
    for _ in 0..8 {
        assert_eq!(client.state_after(Duration::from_millis(100)), Connection::Kept, "what moves keeps it open");
        client.send("more").unwrap();
    }
    assert_ne!(client.state_after(DEADLINE), Connection::Kept);
    assert_eq!((&site.logged("/t")["bytes_in"], &site.logged("/t")["bytes_out"]), (&json!(32), &json!(2)));
}

#[test]
fn slashes_are_read_as_the_listener_says() {
    for (paths, cases) in [
        (json!({}), [("/a//b", Some("/a/b")), ("/a%2fb", Some("/a%2Fb"))]),
        (json!({"merge_slashes": false}), [("/a//b", Some("/a//b")), ("/a/..//b", Some("//b"))]),
        (json!({"encoded_slashes": "decode"}), [("/a%2fb", Some("/a/b")), ("/a%2f..%2fb", Some("/b"))]),
        (json!({"encoded_slashes": "refuse"}), [("/a%2fb", None), ("/a/b", Some("/a/b"))]),
    ] {
        let origin = Origin::start(|request| Reply::text(request.target()));
        let site = site(&origin, json!({"paths": paths}), json!({}));
        for (path, target) in cases {
            let answer = site.client().ask(format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n")).unwrap();
            match target {
                Some(target) => assert_eq!((answer.status, answer.text().as_str()), (200, target), "{paths} {path}"),
                None => assert_eq!(answer.status, 400, "{paths} {path}"),
            }
        }
    }
}

#[test]
fn a_request_that_may_go_no_further_is_answered_here() {
    let origin = Origin::start(|request| Reply::text(format!("{:?}", request.head.field("max-forwards"))));
    let site = Site::of(&[&origin], json!({}));
    let ask = |request: &str| site.client().ask(request).unwrap();
    let options = ask("OPTIONS * HTTP/1.1\r\nHost: h\r\nMax-Forwards: 0\r\n\r\n");
    assert_eq!((options.status, options.text().as_str()), (200, ""));
    assert!(options.field("allow").is_some());
    let trace = ask("TRACE /t HTTP/1.1\r\nHost: h\r\nMax-Forwards: 0\r\nX-A: 1\r\nCookie: secret\r\n\r\n");
    assert_eq!((trace.status, trace.field("content-type")), (200, Some("message/http")));
    assert_eq!(trace.text(), "TRACE /t HTTP/1.1\r\nHost: h\r\nMax-Forwards: 0\r\nX-A: 1\r\n\r\n");
    assert!(origin.received().is_empty());
    assert_eq!(site.logged("/t")["reason"], "max_forwards");
    let passed_on = ask("OPTIONS / HTTP/1.1\r\nHost: h\r\nMax-Forwards: 3\r\n\r\n");
    assert_eq!(passed_on.text(), "Some(\"2\")");
    assert_eq!(ask("TRACE / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx").status, 400);
    assert_eq!(ask("OPTIONS / HTTP/1.1\r\nHost: h\r\nMax-Forwards: -1\r\n\r\n").status, 400);
}

#[test]
fn an_answer_of_ours_never_stands_inside_an_interim_response() {
    // Interim responses of almost as many bytes as may be, and more in all than sockets hold.
    let hints = format!("HTTP/1.1 103 Early Hints\r\nLink: <{}>\r\n\r\n", "x".repeat(15_000)).repeat(4);
    let origin = Origin::start(move |_| Reply::raw(format!("{hints}HTTP/1.1 204 No Content\r\n\r\n"), true));
    let site = site(&origin, json!({}), json!({"timeouts": {"first_byte": "10s", "idle": "400ms"}}));
    let mut client = site.client();
    for _ in 0..400 {
        client.send(GET).unwrap();
    }
    let file = site.directory.path().join("access.log");
    wait_for("the request whose client is too slow", DEADLINE, || {
        let text = std::fs::read_to_string(&file).unwrap();
        let line: Value = serde_json::from_str(text.lines().find(|line| line.contains("too_slow"))?).unwrap();
        let _: () = assert_eq!(line["status"], 499);
        Some(())
    });
    // Until it is cut off.
    while let Ok(head) = client.read_response_head() {
        assert!(["103", "204"].iter().any(|status| head.first_line.contains(status)), "{}", head.first_line);
        assert_eq!(head.field("proxy-status"), None);
    }
    assert!(site.plane.metrics().contains("kind=\"timeout\"} 0"), "no fault of the backend");
}

#[test]
fn a_listener_that_goes_serves_who_waited_in_its_queue() {
    let origin = counting();
    let site = site(&origin, json!({"limits": {"connections": 1}}), json!({}));
    let mut first = site.client();
    assert_eq!(first.ask(GET).unwrap().status, 200);
    let mut waiting: Vec<RawClient> = (0..4).map(|_| site.client()).collect();
    for client in &mut waiting {
        client.send(GET).unwrap();
    }
    let file = site.directory.path().join("config.json");
    let mut config: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    config["listeners"][0]["address"] = json!(format!("127.0.0.1:{}", harness::free_port()));
    std::fs::write(&file, config.to_string()).unwrap();
    site.plane.reload();
    for client in &mut waiting {
        assert_eq!(client.read_response().unwrap().status, 200);
        assert!(client.is_closed());
    }
    assert!(first.is_closed(), "it lay idle");
}
