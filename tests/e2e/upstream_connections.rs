//! Connections to backends: how long they are kept, how many there may be, and what a closed one costs.

use std::{
    net::TcpStream,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    thread,
};

use harness::{DEADLINE, FastClient, FastOrigin, Habits, Origin, RawClient, Reply, get, wait_for};
use serde_json::{Value, json};

use crate::site::Site;

mod many;
mod queue;

const GET: &str = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";

/// One backend with the pool and the cap that are given.
fn config(address: &str, pool: &Value, max_connections: Option<u32>) -> Value {
    let mut backend = json!({ "name": "b", "address": address });
    if let Some(cap) = max_connections {
        backend["max_connections"] = json!(cap);
    }
    json!({
        "upstreams": [{ "name": "up", "backends": [backend], "pool": pool }],
        "routes": [{ "name": "all", "action": { "forward": { "upstream": "up" } } }],
    })
}

/// A metric without labels, or with those of the backend.
fn metric(site: &Site, name: &str) -> u64 {
    let text = site.plane.metrics();
    let of_backend = format!("tidegate_{name}{{upstream=\"up\",backend=\"b\"");
    let line =
        text.lines().find(|line| line.starts_with(&of_backend) || line.starts_with(&format!("tidegate_{name} ")));
    let line = line.unwrap_or_else(|| panic!("no {name} in {text}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

fn metric_of(site: &Site, name: &str, label: &str) -> u64 {
    let text = site.plane.metrics();
    let start = format!("tidegate_{name}{{upstream=\"up\",backend=\"b\",{label}}} ");
    text.lines().find_map(|line| line.strip_prefix(&start)).unwrap().parse().unwrap()
}

/// A backend whose answers wait until a test lets them go.
struct Gate {
    origin: Origin,
    arrived: Arc<AtomicU32>,
    open: Arc<(Mutex<bool>, Condvar)>,
}

impl Gate {
    fn start() -> Self {
        let open = Arc::new((Mutex::new(false), Condvar::new()));
        let arrived = Arc::new(AtomicU32::new(0));
        let (gate, count) = (Arc::clone(&open), Arc::clone(&arrived));
        let origin = Origin::start(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
            let gate = Arc::clone(&gate);
            Reply::script(true, move |stream| {
                let (lock, opened) = &*gate;
                let _passed = opened.wait_timeout_while(lock.lock().unwrap(), DEADLINE, |open| !*open).unwrap();
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            })
        });
        Self { origin, arrived, open }
    }

    fn set(&self, open: bool) {
        *self.open.0.lock().unwrap() = open;
        self.open.1.notify_all();
    }

    fn wait_for_arrivals(&self, count: u32) {
        wait_for("requests at the backend", DEADLINE, || (self.arrived.load(Ordering::SeqCst) >= count).then_some(()));
    }

    /// Sends a request on each of `count` connections, all of them on their way at the same time.
    fn hold(&self, site: &Site, count: u32) -> Vec<RawClient> {
        let before = self.arrived.load(Ordering::SeqCst);
        let mut clients: Vec<RawClient> = (0..count).map(|_| site.client()).collect();
        clients.iter_mut().for_each(|client| client.send(GET).unwrap());
        self.wait_for_arrivals(before + count);
        clients
    }
}

fn read_all(clients: &mut [RawClient]) {
    for client in clients {
        assert_eq!(client.read_response().unwrap().text(), "ok");
    }
}

#[test]
fn an_idle_connection_is_closed_in_time_and_a_changed_time_acts_on_it() {
    let origin = FastOrigin::start(Habits::default());
    let site = Site::start(config(origin.address(), &json!({}), None));
    assert_eq!(site.client().ask(GET).unwrap().status, 200);
    wait_for("the connection is idle", DEADLINE, || {
        (metric_of(&site, "backend_connections_open", "state=\"idle\"") == 1).then_some(())
    });
    assert_eq!((origin.open(), origin.accepted()), (1, 1));
    site.reconfigure(|config| config["upstreams"][0]["pool"]["idle_timeout"] = json!("50ms"));
    wait_for("the idle connection is closed", DEADLINE, || (origin.open() == 0).then_some(()));
    assert_eq!(site.client().ask(GET).unwrap().status, 200);
    wait_for("the next one, too", DEADLINE, || (origin.open() == 0).then_some(()));
    assert_eq!((origin.accepted(), metric(&site, "backend_connections_total")), (2, 2));
    let open = |state: &str| metric_of(&site, "backend_connections_open", &format!("state=\"{state}\""));
    assert_eq!((open("idle"), open("busy")), (0, 0));
}

#[test]
fn an_old_connection_takes_no_further_request() {
    let origin = FastOrigin::start(Habits::default());
    let site = Site::start(config(origin.address(), &json!({ "max_age": "200ms" }), None));
    let mut client = site.client();
    wait_for("a second connection", DEADLINE, || {
        assert_eq!(client.ask(GET).unwrap().status, 200);
        (origin.accepted() > 1).then_some(())
    });
    // Nobody asks for it any more, and it goes all the same.
    wait_for("the old connection is closed", DEADLINE, || (origin.open() == 0).then_some(()));
}

#[test]
fn a_connection_takes_as_many_requests_as_are_allowed() {
    let cases = [
        (json!({}), "", 12, 1),
        (json!({ "max_requests": 4 }), "", 12, 3),
        (json!({ "max_idle": 0 }), "", 12, 12),
        // What the backend says counts where it is less.
        (json!({}), "Keep-Alive: timeout=60, max=3\r\n", 12, 4),
        (json!({ "max_requests": 2 }), "Keep-Alive: max=3\r\n", 12, 6),
        (json!({}), "Keep-Alive: timeout=1\r\n", 12, 12),
        (json!({}), "Connection: close\r\n", 12, 12),
    ];
    for (pool, fields, requests, connections) in cases {
        let origin = FastOrigin::start(Habits { fields: fields.to_owned(), ..Habits::default() });
        let site = Site::start(config(origin.address(), &pool, None));
        let mut client = site.client();
        for _ in 0..requests {
            assert_eq!(client.ask(GET).unwrap().status, 200);
        }
        assert_eq!(origin.accepted(), connections, "{pool} {fields:?}");
        let reused = u64::from(requests - connections);
        assert_eq!(metric(&site, "backend_connections_reused_total"), reused, "{pool} {fields:?}");
    }
}

#[test]
fn no_more_idle_connections_are_kept_than_allowed() {
    let gate = Gate::start();
    // Per worker, and there are two.
    let site = Site::start(config(gate.origin.address(), &json!({ "max_idle": 1 }), None));
    let mut clients = gate.hold(&site, 8);
    assert_eq!(metric_of(&site, "backend_connections_open", "state=\"busy\""), 8);
    gate.set(true);
    read_all(&mut clients);
    wait_for("the others are closed", DEADLINE, || {
        let open = |state: &str| metric_of(&site, "backend_connections_open", &format!("state=\"{state}\""));
        (open("busy") == 0 && (1..=2).contains(&open("idle"))).then_some(())
    });
    site.reconfigure(|config| config["upstreams"][0]["pool"]["max_idle"] = json!(0));
    assert_eq!(metric_of(&site, "backend_connections_open", "state=\"idle\""), 0);
}

#[test]
fn at_the_cap_a_request_waits_and_is_then_refused_with_its_reason() {
    let gate = Gate::start();
    let site = Site::start(config(gate.origin.address(), &json!({}), Some(2)));
    let mut clients = gate.hold(&site, 2);
    let refused = get(&site.address, "h", "/refused").unwrap();
    assert_eq!(refused.status, 503);
    let proxy_status = refused.field("proxy-status").unwrap();
    assert!(proxy_status.contains("connection_limit_reached") && proxy_status.contains("connections_exhausted"));
    assert_eq!(site.logged("/refused")["reason"], "connections_exhausted");
    let counts = ["backend_connection_waits_total", "backend_connection_wait_timeouts_total"];
    assert_eq!(counts.map(|name| metric(&site, name)), [1, 1]);
    assert_eq!(metric_of(&site, "backend_failures_total", "kind=\"connect\""), 0);
    // Who waits gets a connection that falls idle, wherever that is.
    let mut waiting: Vec<RawClient> = (0..6).map(|_| site.client()).collect();
    waiting.iter_mut().for_each(|client| client.send(GET).unwrap());
    wait_for("all wait", DEADLINE, || (metric(&site, counts[0]) == 7).then_some(()));
    gate.set(true);
    read_all(&mut clients);
    read_all(&mut waiting);
    assert_eq!(metric(&site, counts[1]), 1);
}

#[test]
fn a_changed_cap_acts_at_once() {
    let gate = Gate::start();
    let site = Site::start(config(gate.origin.address(), &json!({}), Some(1)));
    let mut clients = gate.hold(&site, 1);
    let mut waiting = site.client();
    waiting.send(GET).unwrap();
    wait_for("it waits", DEADLINE, || (metric(&site, "backend_connection_waits_total") == 1).then_some(()));
    site.reconfigure(|config| config["upstreams"][0]["backends"][0]["max_connections"] = json!(6));
    clients.extend(gate.hold(&site, 4));
    gate.set(true);
    read_all(&mut clients);
    // It may have given up before the change: the time to connect is over early on a slow machine.
    assert!(matches!(waiting.read_response().unwrap().status, 200 | 503));
    let open =
        || ["idle", "busy"].map(|state| metric_of(&site, "backend_connections_open", &format!("state=\"{state}\"")));
    wait_for("all are idle", DEADLINE, || (open()[0] >= 5 && open()[1] == 0).then_some(()));
    site.reconfigure(|config| config["upstreams"][0]["backends"][0]["max_connections"] = json!(2));
    wait_for("the surplus goes", DEADLINE, || (open() == [2, 0]).then_some(()));
    site.reconfigure(|config| {
        drop(config["upstreams"][0]["backends"][0].as_object_mut().unwrap().remove("max_connections"))
    });
    gate.set(false);
    let mut many = gate.hold(&site, 10);
    gate.set(true);
    read_all(&mut many);
}

#[test]
fn a_tunnel_has_a_place_until_it_ends() {
    let origin = Origin::start(|request| match request.target() {
        "/tunnel" => {
            Reply::raw("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n", true)
        }
        _ => Reply::text("ok"),
    });
    let site = Site::start(config(origin.address(), &json!({}), Some(1)));
    let mut tunnel = site.client();
    let upgrade = "GET /tunnel HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";
    assert_eq!(tunnel.ask(upgrade).unwrap().status, 101);
    assert_eq!(get(&site.address, "h", "/").unwrap().status, 503);
    drop(tunnel);
    origin.drop_connections();
    wait_for("its place is free", DEADLINE, || (get(&site.address, "h", "/").unwrap().status == 200).then_some(()));
}

/// Ends the connection of `stream` with a reset.
fn reset(stream: TcpStream) {
    rustix::net::sockopt::set_socket_linger(&stream, Some(std::time::Duration::ZERO)).unwrap();
}

fn sent(address: &str, bytes: impl AsRef<[u8]>) -> TcpStream {
    use std::io::Write;
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(bytes.as_ref()).unwrap();
    stream
}

#[test]
fn a_client_that_goes_away_while_its_request_waits_gives_its_turn_back() {
    let gate = Gate::start();
    let site = Site::start(config(gate.origin.address(), &json!({}), Some(1)));
    let mut holding = gate.hold(&site, 1);
    let pipelined = GET.repeat(400);
    let large = "POST /large HTTP/1.1\r\nHost: h\r\nContent-Length: 200000\r\n\r\n".to_owned() + &"x".repeat(150_000);
    let cases = [
        ("/plain", "GET /plain HTTP/1.1\r\nHost: h\r\n\r\n".to_owned()),
        ("/pipelined", format!("GET /pipelined HTTP/1.1\r\nHost: h\r\n\r\n{pipelined}")),
        ("/part", "POST /part HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc".to_owned()),
        ("/large", large),
    ];
    for (path, request) in cases {
        let waits = metric(&site, "backend_connection_waits_total");
        let stream = sent(&site.address, request);
        wait_for("it waits", DEADLINE, || (metric(&site, "backend_connection_waits_total") > waits).then_some(()));
        match path {
            // The end of a body that is not whole: no half-close.
            "/part" => drop(stream),
            _ => reset(stream),
        }
        let line = site.logged(path);
        assert_eq!((&line["status"], &line["reason"]), (&json!(499), &json!("client_gone")), "{path}");
    }
    assert_eq!(metric(&site, "backend_connection_wait_timeouts_total"), 0);
    for kind in ["connect", "reset", "timeout"] {
        assert_eq!(metric_of(&site, "backend_failures_total", &format!("kind=\"{kind}\"")), 0, "{kind}");
    }
    gate.set(true);
    read_all(&mut holding);
    assert_eq!(gate.arrived.load(Ordering::SeqCst), 1);
    assert_eq!(get(&site.address, "h", "/").unwrap().status, 200);
}

#[test]
fn a_half_closed_client_is_waited_for() {
    let gate = Gate::start();
    let site = Site::start(config(gate.origin.address(), &json!({}), Some(1)));
    let mut holding = gate.hold(&site, 1);
    let mut client = site.client();
    client.send("POST /half HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc").unwrap();
    client.half_close().unwrap();
    wait_for("it waits", DEADLINE, || (metric(&site, "backend_connection_waits_total") == 1).then_some(()));
    gate.set(true);
    read_all(&mut holding);
    assert_eq!(client.read_response().unwrap().status, 200);
}

#[test]
fn a_client_that_goes_away_ends_the_attempt_to_connect() {
    // A backlog that is full: the kernel lets further attempts wait.
    let socket = rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM, None).unwrap();
    rustix::net::bind(&socket, &"127.0.0.1:0".parse::<std::net::SocketAddrV4>().unwrap()).unwrap();
    rustix::net::listen(&socket, 0).unwrap();
    let listener = std::net::TcpListener::from(socket);
    let address = listener.local_addr().unwrap();
    let attempt = std::time::Duration::from_millis(200);
    let fill: Vec<TcpStream> = (0..8).map_while(|_| TcpStream::connect_timeout(&address, attempt).ok()).collect();
    assert!(fill.len() < 8, "the backlog is never full");
    let site = Site::start(config(&address.to_string(), &json!({}), None));
    let stream = sent(&site.address, "GET /gone HTTP/1.1\r\nHost: h\r\n\r\n");
    wait_for("it connects", DEADLINE, || {
        (metric_of(&site, "backend_connections_open", "state=\"busy\"") == 1).then_some(())
    });
    reset(stream);
    let line = site.logged("/gone");
    assert_eq!((&line["status"], &line["reason"]), (&json!(499), &json!("client_gone")));
    assert_eq!(metric_of(&site, "backend_failures_total", "kind=\"connect\""), 0);
    assert_eq!(metric_of(&site, "backend_connections_open", "state=\"busy\""), 0);
}

#[test]
fn a_stale_connection_is_replaced_by_a_fresh_one_and_a_post_is_sent_once() {
    // Each connection answers one request and hangs up at the next, which is a surprise to whoever pooled it.
    let gate = Arc::new(Mutex::new(std::collections::HashSet::new()));
    let origin = Origin::start(move |request| match gate.lock().unwrap().insert(request.connection) {
        true => Reply::text("ok"),
        false => Reply::hang_up(),
    });
    let site = Site::start(config(origin.address(), &json!({}), None));
    let failures = || metric_of(&site, "backend_failures_total", "kind=\"reset\"");
    // Several stale ones in the pools of both workers: the replay must not take another of them.
    let fill = || {
        thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| get(&site.address, "h", "/fill").unwrap());
            }
        });
    };
    for method in ["GET", "HEAD", "DELETE", "OPTIONS"] {
        fill();
        let mut client = site.client();
        client.send(format!("{method} / HTTP/1.1\r\nHost: h\r\n\r\n")).unwrap();
        assert_eq!(client.read_response_to(method).unwrap().status, 200, "{method}");
    }
    assert!(metric(&site, "backend_connections_stale_total") >= 1);
    assert_eq!(failures(), 0, "a stale connection is no failure");

    let mut broken = 0;
    wait_for("a POST on a stale connection", DEADLINE, || {
        fill();
        origin.take_received();
        let mut client = site.client();
        let status = client.ask("POST /once HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc").unwrap().status;
        assert!(matches!(status, 200 | 502), "{status}");
        assert_eq!(origin.received().iter().filter(|request| request.method() == "POST").count(), 1);
        broken += u64::from(status == 502);
        (status == 502).then_some(())
    });
    assert_eq!(failures(), broken, "whether the backend acted on it nobody knows");
}

#[test]
fn whoever_waits_at_the_cap_never_reads_what_came_behind_another_response() {
    let body = "x".repeat(4 << 20);
    let origin = Origin::start(move |request| {
        if request.target() != "/large" {
            return Reply::text("ok");
        }
        let body = body.clone();
        Reply::script(true, move |stream| {
            let stray = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";
            // In one write: what follows the body is there when the body is.
            let length = body.len();
            stream.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}{stray}").as_bytes())
        })
    });
    let site = Site::with_workers(1, config(origin.address(), &json!({}), Some(1)));
    let mut first = site.client();
    first.send("GET /large HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    wait_for("the first at the backend", DEADLINE, || (!origin.received().is_empty()).then_some(()));
    let mut second = site.client();
    second.send(GET).unwrap();
    wait_for("the second waits", DEADLINE, || (metric(&site, "backend_connection_waits_total") == 1).then_some(()));
    assert_eq!(first.read_response().unwrap().body.len(), 4 << 20);
    assert_eq!(second.read_response().unwrap().text(), "ok");
}

#[test]
fn requests_that_were_sent_before_the_half_close_are_all_answered() {
    let gate = Gate::start();
    let site = Site::with_workers(1, config(gate.origin.address(), &json!({}), Some(1)));
    let mut held = gate.hold(&site, 1);
    let mut client = site.client();
    client.send(GET.repeat(3)).unwrap();
    client.half_close().unwrap();
    wait_for("they wait", DEADLINE, || (metric(&site, "backend_connection_waits_total") == 1).then_some(()));
    gate.set(true);
    read_all(&mut held);
    for _ in 0..3 {
        assert_eq!(client.read_response().unwrap().text(), "ok");
    }
    assert!(client.is_closed());
}
