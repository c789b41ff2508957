//! What a request looks like to the backend, what the answer looks like to the client, and what is remembered of it.

use std::{
    fs,
    path::Path,
    sync::{Mutex, mpsc},
    time::Duration,
};

use harness::{DEADLINE, DataPlane, Nginx, Origin, RawClient, Reply, fetch, free_port, get, wait_for};
use serde_json::{Value, json};

use crate::site::{Site, one_upstream};

#[test]
fn weights_are_exact_over_all_workers() {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let site = Site::start(one_upstream([(a.address(), 3), (b.address(), 1)].into_iter(), json!({})));
    // A connection each, so that the kernel spreads them over the workers.
    let answers: Vec<String> = (0..80).map(|_| get(&site.address, "h", "/").unwrap().text()).collect();
    for window in answers.windows(4) {
        assert_eq!(window.iter().filter(|name| *name == "b").count(), 1, "{answers:?}");
    }
}

#[test]
fn the_backend_sees_one_canonical_request() {
    let origin = Origin::named("a");
    let site = Site::of(&[&origin], json!({}));
    let request = "GET /a/./b//%7Ec%2fd/../e?q=%7E&r=/../ HTTP/1.1\r\nHost: Shop.Example:81\r\nX-Own: 1\r\n\
        Connection: keep-alive, X-Own, Host\r\nKeep-Alive: 5\r\nUpgrade: websocket\r\nTE: trailers\r\n\
        X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\nX_Forwarded_For: 2.2.2.2\r\nX-Kept: yes\r\n\r\n";
    assert_eq!(site.client().ask(request).unwrap().status, 200);
    let received = origin.take_received().remove(0);
    assert_eq!((received.method(), received.target()), ("GET", "/a/b/e?q=%7E&r=/../"));
    let value = |name: &str| received.head.all(name).join("|");
    assert_eq!(value("host"), "Shop.Example:81");
    assert_eq!(value("x-forwarded-for"), "127.0.0.1");
    assert_eq!(value("x-forwarded-proto"), "http");
    assert_eq!(value("x-forwarded-host"), "Shop.Example:81");
    assert_eq!(value("x-kept"), "yes");
    assert_eq!(value("te"), "trailers");
    assert_eq!(value("x-request-id").len(), 36);
    for gone in ["x-own", "keep-alive", "upgrade", "x_forwarded_for"] {
        assert_eq!(value(gone), "", "{gone}");
    }
    assert_eq!(site.logged("/a/b/e")["request_id"], value("x-request-id"));
}

#[test]
fn the_host_policy_decides_what_host_the_backend_sees() {
    let origin = Origin::named("a");
    for (policy, host) in
        [("preserve", "h:81"), ("backend", origin.address()), ("other.example:82", "other.example:82")]
    {
        let site = Site::of(&[&origin], json!({ "host": policy }));
        get(&site.address, "h:81", "/").unwrap();
        assert_eq!(origin.take_received()[0].head.all("host"), [host], "{policy}");
    }
}

#[test]
fn a_trusted_proxy_is_believed_and_the_client_address_is_one_everywhere() {
    let origin = Origin::named("a");
    let mut config = one_upstream([(origin.address(), 1)].into_iter(), json!({}));
    config["listeners"] = json!([{ "name": "web", "trusted_proxies": ["127.0.0.0/8", "10.0.0.0/8"] }]);
    config["ip_rules"] = json!([{ "action": "deny", "cidr": "203.0.113.9" }]);
    let site = Site::start(config);
    let from = |chain: &str, path: &str| {
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: {chain}\r\nX-Forwarded-Proto: https\r\n\r\n");
        site.client().ask(request).unwrap().status
    };
    assert_eq!(from("203.0.113.9, 198.51.100.7, 10.1.1.1", "/in"), 200);
    let received = origin.take_received().remove(0);
    assert_eq!(received.head.all("x-forwarded-for"), ["203.0.113.9, 198.51.100.7, 10.1.1.1, 127.0.0.1"]);
    assert_eq!(received.head.all("x-forwarded-proto"), ["https"]);
    assert_eq!(site.logged("/in")["client"], "198.51.100.7");
    assert_eq!(from("198.51.100.7, 203.0.113.9", "/out"), 403);
    assert_eq!(site.logged("/out")["client"], "203.0.113.9");
}

#[test]
fn answers_of_our_own_say_the_same_word_everywhere() {
    let closed = free_port();
    let config = json!({
        "upstreams": [
            { "name": "dead", "backends": [{ "name": "a", "address": format!("127.0.0.1:{closed}") }] },
            { "name": "empty" },
            { "name": "zero", "backends": [{ "name": "a", "address": format!("127.0.0.1:{closed}"), "weight": 0 }] },
        ],
        "routes": [
            { "name": "dead", "match": { "path": { "exact": "/dead" } }, "action": { "forward": { "upstream": "dead" } } },
            { "name": "empty", "match": { "path": { "exact": "/empty" } }, "action": { "forward": { "upstream": "empty" } } },
            { "name": "zero", "match": { "path": { "exact": "/zero" } }, "action": { "forward": { "upstream": "zero" } } },
            { "name": "denied", "match": { "path": { "exact": "/denied" } }, "action": { "forward": { "upstream": "empty" } } },
        ],
        "ip_rules": [{ "route": "denied", "action": "deny", "cidr": "127.0.0.1" }],
    });
    let site = Site::start(config);
    let cases = [
        ("/dead", 502, "connect_failed"),
        ("/empty", 503, "no_backend"),
        ("/zero", 503, "no_backend"),
        ("/denied", 403, "ip_denied"),
        ("/none", 404, "no_route"),
    ];
    for (path, status, reason) in cases {
        let answer = get(&site.address, "h", path).unwrap();
        assert_eq!(answer.status, status, "{path}");
        let proxy_status = answer.field("proxy-status").unwrap();
        assert!(proxy_status.starts_with("tidegate; error=") && proxy_status.contains(reason), "{proxy_status}");
        let text = answer.text();
        assert!(text.contains(reason) && !text.contains(&closed.to_string()), "{text}");
        let line = site.logged(path);
        assert_eq!((&line["status"], &line["reason"]), (&json!(status), &json!(reason)));
        assert!(text.contains(line["request_id"].as_str().unwrap()));
        let counted = format!("tidegate_generated_responses_total{{reason=\"{reason}\"}} ");
        let metrics = site.plane.metrics();
        let count = metrics.lines().find_map(|line| line.strip_prefix(&counted)).unwrap();
        assert_ne!(count, "0", "{reason}");
    }
}

#[test]
fn bodies_stream_both_ways_whatever_their_framing() {
    let origin =
        Origin::start(|request| Reply::with(200, &[("X-Length", &request.body.len().to_string())], &request.body));
    let site = Site::of(&[&origin], json!({}));
    let body: Vec<u8> = (0..5_000_000u32).map(|byte| (byte % 251) as u8).collect();
    let mut client = site.client();
    client.send(format!("POST /length HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", body.len())).unwrap();
    let mut sending = client;
    let answer = std::thread::scope(|scope| {
        let mut writer = sending.try_clone().unwrap();
        let sent = &body;
        scope.spawn(move || writer.send(sent).unwrap());
        sending.read_response().unwrap()
    });
    assert!(answer.body == body, "{} bytes came back", answer.body.len());

    let answer = sending
        .ask("POST /chunked HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
    assert_eq!(answer.unwrap().text(), "abcde");
    let line = site.logged("/length");
    assert_eq!((&line["bytes_in"], &line["bytes_out"]), (&json!(body.len()), &json!(body.len())));
}

#[test]
fn a_unix_socket_and_a_name_are_backends_too() {
    let directory = tempfile::tempdir().unwrap();
    let unix = Origin::unix(&directory.path().join("app.sock"), |_| Reply::text("unix"));
    let tcp = Origin::named("dns");
    let port = tcp.address().rsplit(':').next().unwrap();
    for (address, name) in [(unix.address().to_owned(), "unix"), (format!("localhost:{port}"), "dns")] {
        let site = Site::start(one_upstream([(address.as_str(), 1)].into_iter(), json!({ "host": "backend" })));
        for _ in 0..3 {
            assert_eq!(get(&site.address, "h", "/").unwrap().text(), name);
        }
    }
    assert_eq!(unix.received()[0].head.all("host"), ["localhost"]);
}

#[test]
fn upstream_connections_are_kept_and_a_stale_one_costs_no_request() {
    let origin = Origin::named("a");
    let site = Site::of(&[&origin], json!({}));
    let mut client = site.client();
    for _ in 0..20 {
        assert_eq!(client.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n").unwrap().status, 200);
    }
    assert_eq!(origin.connections(), 1);
    for _ in 0..20 {
        origin.drop_connections();
        assert_eq!(client.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n").unwrap().status, 200);
    }
}

#[test]
fn a_backend_that_fails_is_told_apart() {
    for (reply, reason) in [("hang up", "upstream_reset"), ("nonsense", "bad_response")] {
        let origin = Origin::start(move |_| match reply {
            "hang up" => Reply::hang_up(),
            _ => Reply::raw("SPAM 1 2 3\r\n\r\n", false),
        });
        let site = Site::of(&[&origin], json!({}));
        let answer = get(&site.address, "h", "/x").unwrap();
        assert_eq!((answer.status, site.logged("/x")["reason"].as_str()), (502, Some(reason)));
    }
}

/// A backend that says when a request arrived, and answers `done` when it is told to, or its other end is dropped.
fn held() -> (Origin, mpsc::Receiver<()>, mpsc::Sender<()>) {
    let (arrived, has_arrived) = mpsc::channel();
    let (release, released) = mpsc::channel();
    let (arrived, released) = (Mutex::new(arrived), Mutex::new(Some(released)));
    let origin = Origin::start(move |_| {
        let _ = arrived.lock().unwrap().send(());
        let released = released.lock().unwrap().take();
        Reply::script(true, move |stream| {
            let _ = released.map(|released| released.recv());
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")
        })
    });
    (origin, has_arrived, release)
}

#[test]
fn a_client_that_goes_away_is_logged_as_499_and_its_backend_let_go() {
    // Until the test ends: the answer must not be what ends the request.
    let (origin, has_arrived, release) = held();
    let site = Site::of(&[&origin], json!({}));
    let mut client = site.client();
    client.send("GET /slow HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    has_arrived.recv_timeout(DEADLINE).unwrap();
    drop(client);
    let line = site.logged("/slow");
    assert_eq!((&line["status"], &line["reason"]), (&json!(499), &json!("client_gone")));
    drop(release);
}

#[test]
fn nginx_is_a_backend() {
    let nginx = Nginx::start("etag on; location /text { return 200 \"hello $http_x_forwarded_for $host\"; }");
    fs::write(nginx.root().join("file"), "x".repeat(300_000)).unwrap();
    let site = Site::start(one_upstream([(nginx.address().as_str(), 1)].into_iter(), json!({})));
    let mut client = site.client();
    assert_eq!(client.ask("GET /text HTTP/1.1\r\nHost: shop\r\n\r\n").unwrap().text(), "hello 127.0.0.1 shop");
    let file = client.ask("GET /file HTTP/1.1\r\nHost: shop\r\n\r\n").unwrap();
    assert_eq!(file.body.len(), 300_000);
    client.send("HEAD /file HTTP/1.1\r\nHost: shop\r\n\r\n").unwrap();
    let head = client.read_response_to("HEAD").unwrap();
    assert_eq!((head.status, head.field("content-length"), head.body.len()), (200, Some("300000"), 0));
    let etag = file.field("etag").unwrap();
    let unchanged = client.ask(format!("GET /file HTTP/1.1\r\nHost: shop\r\nIf-None-Match: {etag}\r\n\r\n")).unwrap();
    assert_eq!((unchanged.status, unchanged.body.len()), (304, 0));
    let part = client.ask("GET /file HTTP/1.1\r\nHost: shop\r\nRange: bytes=0-9\r\n\r\n").unwrap();
    assert_eq!((part.status, part.body.len()), (206, 10));
}

#[test]
fn routes_are_chosen_by_their_whole_match() {
    let origins: Vec<Origin> =
        ["any", "host", "wild", "path", "header", "query", "method", "client"].map(Origin::named).into();
    let route = |name: &str, matches: Value| json!({ "name": name, "match": matches, "action": { "forward": { "upstream": name } } });
    let names = ["any", "host", "wild", "path", "header", "query", "method", "client"];
    let upstreams: Vec<Value> = names
        .iter()
        .zip(&origins)
        .map(|(name, origin)| json!({ "name": name, "backends": [{ "name": "b", "address": origin.address() }] }))
        .collect();
    let site = Site::start(json!({ "upstreams": upstreams, "routes": [
        route("any", json!({})),
        route("host", json!({ "hosts": ["shop.example"] })),
        route("wild", json!({ "hosts": ["*.shop.example"] })),
        route("path", json!({ "hosts": ["shop.example"], "path": { "prefix": "/api" } })),
        route("header", json!({ "hosts": ["shop.example"], "headers": { "X-Beta": { "exact": "1" } } })),
        route("query", json!({ "hosts": ["shop.example"], "query": { "v": { "regex": "[0-9]+" } } })),
        route("method", json!({ "hosts": ["shop.example"], "path": { "prefix": "/api" }, "methods": ["PUT"] })),
        route("client", json!({ "hosts": ["client.example"], "client_cidrs": ["127.0.0.0/8"], "listeners": ["web"] })),
    ]}));
    for (request, expected) in [
        ("GET / HTTP/1.1\r\nHost: other", "any"),
        ("GET / HTTP/1.1\r\nHost: SHOP.example.:8080", "host"),
        ("GET / HTTP/1.1\r\nHost: a.b.shop.example", "wild"),
        ("GET http://shop.example/x HTTP/1.1\r\nHost: shop.example", "host"),
        ("GET /api/v1 HTTP/1.1\r\nHost: shop.example", "path"),
        ("GET /x/../api HTTP/1.1\r\nHost: shop.example", "path"),
        ("GET /apis HTTP/1.1\r\nHost: shop.example", "host"),
        ("PUT /api/v1 HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 0", "method"),
        ("GET / HTTP/1.1\r\nHost: shop.example\r\nx-beta: 1", "header"),
        ("GET /?a=b&v=12 HTTP/1.1\r\nHost: shop.example", "query"),
        ("GET /?v=x HTTP/1.1\r\nHost: shop.example", "host"),
        ("GET / HTTP/1.1\r\nHost: client.example", "client"),
    ] {
        assert_eq!(site.client().ask(format!("{request}\r\n\r\n")).unwrap().text(), expected, "{request}");
    }
}

#[test]
fn a_hangup_reads_the_file_again_and_a_bad_file_changes_nothing() {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let site = Site::of(&[&a], json!({}));
    let file = site.directory.path().join("config.json");
    let old = fs::read_to_string(&file).unwrap();
    replace(&file, &old.replace(a.address(), b.address()));
    site.plane.reload();
    wait_for("the new file acts", DEADLINE, || (get(&site.address, "h", "/").unwrap().text() == "b").then_some(()));
    replace(&file, &old.replace("\"upstream\":\"up\"", "\"upstream\":\"none\""));
    site.plane.reload();
    wait_for("the refusal is counted", DEADLINE, || {
        site.plane.metrics().contains("tidegate_snapshots_rejected_total 1").then_some(())
    });
    assert_eq!(get(&site.address, "h", "/").unwrap().text(), "b");
}

fn replace(file: &Path, text: &str) {
    let next = file.with_extension("new");
    fs::write(&next, text).unwrap();
    fs::rename(next, file).unwrap();
}

#[test]
fn a_drain_finishes_what_is_open() {
    let (origin, has_arrived, release) = held();
    let mut site = Site::of(&[&origin], json!({}));
    let mut client = site.client();
    client.send("GET /slow HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    has_arrived.recv_timeout(DEADLINE).unwrap();
    site.plane.process.signal(rustix::process::Signal::TERM);
    wait_for("no new connection is taken", DEADLINE, || RawClient::connect(&site.address).is_err().then_some(()));
    release.send(()).unwrap();
    let answer = client.read_response().unwrap();
    assert_eq!((answer.text().as_str(), answer.field("connection")), ("done", Some("close")));
    assert!(site.plane.process.wait(DEADLINE).success());
}

/// The log has the status that the client was told, if it was told one, and why there was no more.
#[test]
fn what_a_drain_cuts_off_is_not_laid_at_the_clients_door() {
    let (arrived, has_arrived) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let held = Mutex::new((arrived, Some(released)));
    let origin = Origin::start(move |request| match request.target() {
        "/silent" => {
            let (arrived, released) = &mut *held.lock().unwrap();
            let _ = arrived.send(());
            let released = released.take();
            Reply::script(false, move |_| {
                let _ = released.map(|released| released.recv());
                Ok(())
            })
        }
        _ => Reply::script(false, |stream| {
            stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
            loop {
                stream.write_all(b"1\r\nx\r\n")?;
            }
        }),
    });
    let mut config = one_upstream([(origin.address(), 1)].into_iter(), json!({}));
    config["listeners"] = json!([{ "name": "web", "allow_h2c": true }]);
    let mut site = Site::with_arguments(&["--workers", "2", "--drain-timeout", "100ms"], config);
    let (mut waiting, mut reading, mut h2) = (site.client(), site.client(), site.h2_client());
    waiting.send("GET /silent HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    has_arrived.recv_timeout(DEADLINE).unwrap();
    reading.send("GET /endless HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    assert_eq!(reading.read_response_head().unwrap().first_line, "HTTP/1.1 200 OK");
    let stream = h2.begin("GET", "/endless-h2", &[], true).unwrap();
    h2.read_until(stream, |response| !response.body.is_empty()).unwrap();
    assert!(site.plane.stop().success());
    for (path, status) in [("/silent", 503), ("/endless", 200), ("/endless-h2", 200)] {
        let line = site.logged(path);
        assert_eq!((&line["status"], &line["reason"]), (&json!(status), &json!("shut_down")), "{path}");
    }
    drop(release);
}

#[test]
fn a_file_that_cannot_be_served_ends_the_start_with_a_sentence() {
    let directory = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let in_use = taken.local_addr().unwrap();
    for (config, sentence) in [
        (json!({ "listeners": [{ "name": "web", "address": in_use }] }), "in use"),
        (
            json!({ "routes": [{ "name": "r", "action": { "forward": { "upstream": "none" } } }] }),
            "/routes/0/action/forward/upstream",
        ),
        (json!({ "listener": [] }), "unknown field"),
    ] {
        let file = directory.path().join("config.json");
        fs::write(&file, config.to_string()).unwrap();
        let mut plane = DataPlane::spawn(&["--config", &file.display().to_string()]);
        let status = plane.process.wait(Duration::from_secs(20));
        assert!(!status.success() && plane.process.errors().contains(sentence), "{config}: {}", plane.process.story());
    }
}

#[test]
fn an_address_family_of_its_own() {
    let origin = Origin::named("six");
    let port = free_port();
    let mut config = one_upstream([(origin.address(), 1)].into_iter(), json!({}));
    config["listeners"] = json!([{ "name": "web" }, { "name": "six", "address": format!("[::1]:{port}") }]);
    let _site = Site::start(config);
    assert_eq!(get(&format!("[::1]:{port}"), "[::1]", "/").unwrap().text(), "six");
    assert!(
        fetch(&format!("127.0.0.1:{port}"), "GET / HTTP/1.1\r\nHost: h\r\n\r\n").is_err(),
        "IPv6 listeners are for IPv6 only"
    );
}
