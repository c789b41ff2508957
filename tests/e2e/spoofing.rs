//! Who the client is, whatever peers claim: by the PROXY protocol and by header fields, from peers that are believed and from others.

mod balancers;
mod case;
mod fields;
mod header;
mod malformed;
mod outwards;
mod peers;
mod request_ids;
mod table;

use std::{fs, thread};

use harness::{DEADLINE, Origin, RawClient, connect_from, wait_for};
use serde_json::json;

use crate::site::{Site, one_upstream};

#[test]
fn a_believed_balancer_says_whose_connection_it_is() {
    table::run(balancers::cases());
}

#[test]
fn what_is_no_header_closes_the_connection() {
    table::run(malformed::cases());
}

#[test]
fn nobody_else_is_believed() {
    table::run(peers::cases());
}

/// A listener that takes headers from this peer, with further fields.
fn behind_balancer(origin: &Origin, listener: serde_json::Value) -> Site {
    let mut config = one_upstream([(origin.address(), 1)].into_iter(), json!({}));
    config["listeners"] = json!([{ "name": "web", "allow_h2c": true }]);
    for (name, value) in listener.as_object().unwrap() {
        config["listeners"][0][name] = value.clone();
    }
    Site::start(config)
}

fn refused(site: &Site, reason: &str) -> u64 {
    let counted = format!("tidegate_proxy_protocol_refused_total{{listener=\"web\",reason=\"{reason}\"}} ");
    let metrics = site.plane.metrics();
    metrics.lines().find_map(|line| line.strip_prefix(&counted)).map_or(0, |count| count.parse().unwrap())
}

#[test]
fn a_header_has_its_time() {
    let origin = Origin::named("a");
    let listener = json!({
        "proxy_protocol": { "mode": "require", "sources": ["127.0.0.1"] },
        "timeouts": { "handshake": "200ms" },
    });
    let site = behind_balancer(&origin, listener);
    // Without a byte, and in the middle of either version.
    let mut clients =
        ["", "P", "PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r", "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"].map(|begun| {
            let mut client = site.client();
            client.send(begun).unwrap();
            client
        });
    assert!(clients.iter_mut().all(RawClient::is_closed));
    wait_for("all to be counted", DEADLINE, || (refused(&site, "too_slow") == 4).then_some(()));
    assert!(origin.received().is_empty());
}

#[test]
fn where_no_header_must_come_a_silent_connection_may_lie_idle() {
    let origin = Origin::named("a");
    let listener = json!({
        "proxy_protocol": { "mode": "accept", "sources": ["127.0.0.1"] },
        "timeouts": { "handshake": "200ms" },
    });
    let site = behind_balancer(&origin, listener);
    let (mut silent, mut begun) = (site.client(), site.client());
    begun.send("PROXY ").unwrap();
    assert!(begun.is_closed());
    // It came before that one, and its time would be over.
    assert_eq!(silent.ask("GET /late HTTP/1.1\r\nHost: h\r\n\r\n").unwrap().status, 200);
    assert_eq!(site.logged("/late")["client"], "127.0.0.1");
}

#[test]
fn limits_and_rules_are_about_the_client_behind_the_balancer() {
    let origin = Origin::named("a");
    let mut config = one_upstream([(origin.address(), 1)].into_iter(), json!({}));
    config["listeners"] = json!([{
        "name": "web",
        "trusted_proxies": ["203.0.113.200"],
        "proxy_protocol": { "mode": "require", "sources": ["127.0.0.1"] },
        "limits": { "connections_per_client": 1 },
    }]);
    config["ip_rules"] =
        json!([{ "action": "deny", "cidr": "203.0.113.66" }, { "action": "deny", "cidr": "127.0.0.1" }]);
    let site = Site::start(config);
    let connect = |header: &str| {
        let mut client = site.client();
        client.send(header).unwrap();
        client
    };
    let status =
        |client: &mut RawClient| client.ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n").map(|response| response.status).ok();
    let of = |client: &str| format!("PROXY TCP4 {client} 127.0.0.1 1000 80\r\n");
    let mut first = connect(&of("203.0.113.1"));
    assert_eq!(status(&mut first), Some(200));
    assert!(connect(&of("203.0.113.1")).is_closed(), "one connection for each client");
    assert_eq!(status(&mut connect(&of("203.0.113.2"))), Some(200), "another client");
    assert_eq!(status(&mut connect(&of("203.0.113.66"))), Some(403), "a client that is kept out");
    // Proxies that are trusted, and balancers for themselves, have many clients.
    let mut trusted = [connect(&of("203.0.113.200")), connect(&of("203.0.113.200"))];
    assert_eq!(trusted.each_mut().map(status), [Some(200); 2]);
    let mut local = [connect("PROXY UNKNOWN\r\n"), connect("PROXY UNKNOWN\r\n")];
    assert_eq!(local.each_mut().map(status), [Some(403); 2], "the balancer's own address counts");
    drop(first);
    wait_for("the first client to have its place back", DEADLINE, || status(&mut connect(&of("203.0.113.1"))));
}

#[test]
fn a_source_without_a_header_is_held_to_what_one_client_may_have() {
    let origin = Origin::named("a");
    let listener = json!({
        "proxy_protocol": { "mode": "accept", "sources": ["127.0.0.1"] },
        "limits": { "connections_per_client": 1 },
    });
    let site = behind_balancer(&origin, listener);
    let ask = |client: &mut RawClient, header: &str| {
        client.ask(format!("{header}GET / HTTP/1.1\r\nHost: h\r\n\r\n")).map(|response| response.status).ok()
    };
    let mut first = site.client();
    assert_eq!(ask(&mut first, ""), Some(200));
    assert_eq!(ask(&mut site.client(), ""), None, "one connection for each client");
    let mut others = [site.client(), site.client(), site.client()];
    assert_eq!(ask(&mut others[0], "PROXY TCP4 203.0.113.1 127.0.0.1 1000 80\r\n"), Some(200), "another client");
    // What it sends for itself, it says: health checks, of which there may be many.
    assert_eq!(ask(&mut others[1], "PROXY UNKNOWN\r\n"), Some(200));
    assert_eq!(ask(&mut others[2], "PROXY UNKNOWN\r\n"), Some(200));
    drop(first);
    wait_for("the place to be free", DEADLINE, || ask(&mut site.client(), ""));
}

#[test]
fn a_connection_that_waits_for_its_header_does_not_hold_up_the_end() {
    let origin = Origin::named("a");
    let listener = json!({
        "proxy_protocol": { "mode": "require", "sources": ["127.0.0.1"] },
        "timeouts": { "handshake": "1h" },
    });
    let mut site = behind_balancer(&origin, listener);
    let stream = connect_from("127.0.0.1".parse().unwrap(), &site.address).unwrap();
    // What nobody has accepted has no inode. Who says nothing is accepted after a second.
    let (end, from) = (format!(":{:04X}", stream.peer_addr().unwrap().port()), stream.local_addr().unwrap().port());
    wait_for("the silent connection is accepted", DEADLINE, || {
        let table = fs::read_to_string("/proc/net/tcp").unwrap();
        let mut sockets = table.lines().map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
        let is_it = |socket: &Vec<&str>| socket[1].ends_with(&end) && socket[2].ends_with(&format!(":{from:04X}"));
        sockets.find(is_it).filter(|socket| socket[9] != "0").map(|_| ())
    });
    let mut silent = RawClient::on(stream).unwrap();
    let ended = thread::spawn(move || silent.is_closed());
    assert!(site.plane.stop().success());
    assert!(ended.join().unwrap());
}

#[test]
fn a_peer_that_only_looks_is_no_news() {
    let origin = Origin::named("a");
    let site = behind_balancer(&origin, json!({ "proxy_protocol": { "mode": "require", "sources": ["127.0.0.0/8"] } }));
    drop(site.client());
    let mut other = RawClient::on(connect_from("127.0.0.2".parse().unwrap(), &site.address).unwrap()).unwrap();
    assert_eq!(other.ask("PROXY UNKNOWN\r\nGET /seen HTTP/1.1\r\nHost: h\r\n\r\n").unwrap().status, 200);
    site.logged("/seen");
    assert!(!site.plane.metrics().contains("tidegate_proxy_protocol_refused_total{"));
}
