//! Backends that are told by the PROXY protocol whose connection it is.

mod h2;

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{IpAddr, Ipv4Addr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use harness::{
    DEADLINE, RawClient, connect_from,
    h2::{Frame, H2Client, PREFACE},
};
use serde_json::{Value, json};

use super::header::{SIGNATURE, tlv, v2_of, with_checksum};
use crate::site::{Site, one_upstream};

/// A backend that answers each request with the header that its connection began with, or `none`, and the connection's number.
struct Greeted {
    address: String,
    connections: Arc<AtomicUsize>,
}

impl Greeted {
    fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        // It ends with the process of the tests.
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                let number = count.fetch_add(1, Ordering::SeqCst);
                thread::spawn(move || drop(converse(stream, number)));
            }
        });
        Self { address, connections }
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

fn converse(stream: TcpStream, number: usize) -> io::Result<()> {
    stream.set_read_timeout(Some(DEADLINE * 4))?;
    let mut writer = stream.try_clone()?;
    let mut reader = BufReader::new(stream);
    let greeting = match reader.fill_buf()?.first() {
        Some(b'P') => {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            line.trim_end().to_owned()
        }
        Some(b'G') => "none".to_owned(),
        _ => version_2(&mut reader)?,
    };
    let mut line = String::new();
    while reader.read_line(&mut line)? > 0 {
        if line == "\r\n" {
            let body = format!("{greeting} #{number}");
            write!(writer, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())?;
        }
        line.clear();
    }
    Ok(())
}

fn version_2(reader: &mut impl Read) -> io::Result<String> {
    let mut fixed = [0; 16];
    reader.read_exact(&mut fixed)?;
    assert_eq!((&fixed[..12], fixed[12]), (SIGNATURE, 0x21), "neither version");
    let mut rest = vec![0; usize::from(u16::from_be_bytes([fixed[14], fixed[15]]))];
    reader.read_exact(&mut rest)?;
    let port = |at: usize| u16::from_be_bytes([rest[at], rest[at + 1]]);
    let (from, to, ports): (IpAddr, IpAddr, usize) = match fixed[13] {
        0x11 => (<[u8; 4]>::try_from(&rest[..4]).unwrap().into(), <[u8; 4]>::try_from(&rest[4..8]).unwrap().into(), 8),
        _ => {
            (<[u8; 16]>::try_from(&rest[..16]).unwrap().into(), <[u8; 16]>::try_from(&rest[16..32]).unwrap().into(), 32)
        }
    };
    Ok(format!("V2 {from} {to} {} {} {}", port(ports), port(ports + 2), rest[ports + 4..].escape_ascii()))
}

fn site(origin: &Greeted, version: &str, workers: u16, more: Value) -> Site {
    let mut config = one_upstream([(origin.address.as_str(), 1)].into_iter(), json!({}));
    config["upstreams"][0]["proxy_protocol"] = json!(version);
    config["listeners"] = json!([{ "name": "web", "allow_h2c": true }]);
    for (name, value) in more.as_object().unwrap() {
        if name == "max_connections" {
            config["upstreams"][0]["backends"][0][name] = value.clone();
        } else {
            config["listeners"][0][name] = value.clone();
        }
    }
    Site::with_workers(workers, config)
}

const GET: &str = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";

/// What the backend has to be told of a client at `stream`'s own end.
fn expected(version: &str, stream: &TcpStream) -> String {
    let (from, to) = (stream.local_addr().unwrap(), stream.peer_addr().unwrap());
    let word = if version == "v1" { "PROXY TCP4" } else { "V2" };
    let end = if version == "v1" { "" } else { " " };
    format!("{word} {} {} {} {}{end} #", from.ip(), to.ip(), from.port(), to.port())
}

#[test]
fn no_connection_is_used_for_two_clients() {
    for version in ["v1", "v2"] {
        let origin = Greeted::start();
        let site = site(&origin, version, 1, json!({}));
        let mut raw: Vec<(String, RawClient)> = ["127.0.0.7", "127.0.0.8", "127.0.0.7"]
            .into_iter()
            .map(|peer| {
                let stream = connect_from(peer.parse().unwrap(), &site.address).unwrap();
                (expected(version, &stream), RawClient::on(stream).unwrap())
            })
            .collect();
        let mut h2: Vec<(String, H2Client)> = ["127.0.0.7", "127.0.0.9"]
            .into_iter()
            .map(|peer| {
                let stream = connect_from(peer.parse().unwrap(), &site.address).unwrap();
                let told = expected(version, &stream);
                let mut client = H2Client::on(stream).unwrap();
                client.send(PREFACE).unwrap();
                client.send_frame(&Frame::settings(&[])).unwrap();
                (told, client)
            })
            .collect();
        for _ in 0..10 {
            for (told, client) in &mut raw {
                let text = client.ask(GET).unwrap().text();
                assert!(text.starts_with(&*told), "{text} is not of {told}");
            }
            for (told, client) in &mut h2 {
                let text = client.get("/").unwrap().text();
                assert!(text.starts_with(&*told), "{text} is not of {told}");
            }
        }
        assert_eq!(origin.connections(), 5, "each client has one and keeps it");
    }
}

#[test]
fn whoever_comes_and_goes_is_told_right() {
    let origin = Greeted::start();
    let site = site(&origin, "v2", 2, json!({}));
    thread::scope(|scope| {
        for peer in ["127.0.0.7", "127.0.0.8", "127.0.0.9"] {
            let address = &site.address;
            scope.spawn(move || {
                for _ in 0..60 {
                    let stream = connect_from(peer.parse().unwrap(), address).unwrap();
                    let told = expected("v2", &stream);
                    let mut client = RawClient::on(stream).unwrap();
                    for _ in 0..2 {
                        let text = client.ask(GET).unwrap().text();
                        assert!(text.starts_with(&told), "{text} is not of {told}");
                    }
                }
            });
        }
    });
}

#[test]
fn at_the_cap_a_connection_of_another_client_makes_room() {
    let origin = Greeted::start();
    let site = site(&origin, "v1", 2, json!({ "max_connections": 1 }));
    let clients = ["127.0.0.7", "127.0.0.8", "127.0.0.9"];
    let mut clients = clients.map(|peer| {
        let stream = connect_from(peer.parse().unwrap(), &site.address).unwrap();
        (expected("v1", &stream), RawClient::on(stream).unwrap())
    });
    for _ in 0..5 {
        for (told, client) in &mut clients {
            let answer = client.ask(GET).unwrap();
            assert!(answer.status == 200 && answer.text().starts_with(&*told), "{} is not of {told}", answer.text());
        }
    }
}

#[test]
fn what_a_balancer_says_is_passed_on() {
    let fields = [tlv(0x01, b"h2"), tlv(0x02, b"shop.example"), tlv(0xea, b"\x01vpce")].concat();
    let listener = json!({ "proxy_protocol": { "mode": "require", "sources": ["127.0.0.1"] } });
    let shown = fields.escape_ascii().to_string();
    for (version, header, told) in [
        ("v1", v2_of("203.0.113.7:5678", &fields), "PROXY TCP4 203.0.113.7 192.0.2.80 5678 443 #0".to_owned()),
        ("v2", v2_of("203.0.113.7:5678", &fields), format!("V2 203.0.113.7 192.0.2.80 5678 443 {shown} #0")),
        (
            "v2",
            with_checksum("203.0.113.7:5678", &[fields.clone(), tlv(0x04, b"pad")].concat(), 0),
            format!("V2 203.0.113.7 192.0.2.80 5678 443 {shown} #0"),
        ),
        ("v2", v2_of("[2001:db8::7]:5678", b""), "V2 2001:db8::7 2001:db8::7 5678 443  #0".to_owned()),
        ("v1", v2_of("[2001:db8::7]:5678", b""), "PROXY TCP6 2001:db8::7 2001:db8::7 5678 443 #0".to_owned()),
    ] {
        let origin = Greeted::start();
        let site = site(&origin, version, 1, listener.clone());
        let mut client = site.client();
        client.send(header).unwrap();
        assert_eq!(client.ask(GET).unwrap().text(), told);
    }
}

#[test]
fn of_a_client_behind_a_trusted_proxy_the_address_is_told() {
    let origin = Greeted::start();
    let site = site(&origin, "v1", 1, json!({ "trusted_proxies": ["127.0.0.1"] }));
    let port = site.address.rsplit_once(':').unwrap().1;
    let mut proxy = site.client();
    let mut ask = |client: &str| {
        proxy.ask(format!("GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: {client}\r\n\r\n")).unwrap().text()
    };
    for _ in 0..3 {
        assert_eq!(ask("203.0.113.7"), format!("PROXY TCP4 203.0.113.7 127.0.0.1 0 {port} #0"));
        assert_eq!(ask("203.0.113.8"), format!("PROXY TCP4 203.0.113.8 127.0.0.1 0 {port} #1"));
        assert_eq!(ask("2001:db8::7"), format!("PROXY TCP6 2001:db8::7 ::ffff:127.0.0.1 0 {port} #2"));
    }
    assert_eq!(origin.connections(), 3);
}

#[test]
fn a_connection_is_told_right_that_was_open_before_its_upstream_was_to_be_told() {
    for cap in [None, Some(1)] {
        let origin = Greeted::start();
        let site = Site::with_workers(1, {
            let mut config = one_upstream([(origin.address.as_str(), 1)].into_iter(), json!({}));
            config["listeners"] = json!([{ "name": "web", "allow_h2c": true }]);
            config["upstreams"][0]["backends"][0]["max_connections"] = json!(cap);
            config
        });
        let connect = |peer: &str| connect_from(peer.parse().unwrap(), &site.address).unwrap();
        let (first, second) = (connect("127.0.0.7"), connect("127.0.0.8"));
        let told = ["v1", "v2"].map(|version| [&first, &second].map(|stream| expected(version, stream)));
        let mut first = RawClient::on(first).unwrap();
        let mut second = H2Client::on(second).unwrap();
        second.send(PREFACE).unwrap();
        second.send_frame(&Frame::settings(&[])).unwrap();
        let mut ask = || [first.ask(GET).unwrap().text(), second.get("/").unwrap().text()];
        for (version, [first, second]) in [("v1", &told[0]), ("v2", &told[1])] {
            let shown = ask();
            assert!(shown.iter().all(|text| text.starts_with("none #")), "{shown:?}");
            site.reconfigure(|config| config["upstreams"][0]["proxy_protocol"] = json!(version));
            for _ in 0..2 {
                let shown = ask();
                assert!(shown[0].starts_with(first) && shown[1].starts_with(second), "{shown:?} not of {told:?}");
            }
            site.reconfigure(|config| config["upstreams"][0]["proxy_protocol"] = json!(null));
        }
    }
}

#[test]
fn a_source_that_sends_no_header_or_one_for_itself_is_told_as_it_is() {
    let origin = Greeted::start();
    let site = site(&origin, "v1", 1, json!({ "proxy_protocol": { "mode": "accept", "sources": ["127.0.0.0/8"] } }));
    for header in ["", "PROXY UNKNOWN\r\n"] {
        let stream = connect_from("127.0.0.7".parse().unwrap(), &site.address).unwrap();
        let told = expected("v1", &stream);
        let mut client = RawClient::on(stream).unwrap();
        client.send(header).unwrap();
        let text = client.ask(GET).unwrap().text();
        assert!(text.starts_with(&told), "{text} is not of {told}");
    }
}
