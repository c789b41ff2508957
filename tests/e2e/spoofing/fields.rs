//! Fields that tell who the client is, in each of their modes.

use harness::{Head, Origin, RawClient, connect_from, h2::H2Client, h2::H2Origin};
use serde_json::{Value, json};

use super::{
    header::{tlv, v2_of},
    table::{PROXY, STRANGER},
};
use crate::site::{Site, one_upstream};

fn site(origin: &str, listener: Value) -> Site {
    let mut config = one_upstream([(origin, 1)].into_iter(), json!({}));
    config["listeners"] = json!([{ "name": "web", "allow_h2c": true, "trusted_proxies": [PROXY] }]);
    for (name, value) in listener.as_object().unwrap() {
        config["listeners"][0][name] = value.clone();
    }
    Site::start(config)
}

fn raw(site: &Site, peer: &str) -> RawClient {
    RawClient::on(connect_from(peer.parse().unwrap(), &site.address).unwrap()).unwrap()
}

fn h2(site: &Site, peer: &str) -> H2Client {
    let mut client = H2Client::on(connect_from(peer.parse().unwrap(), &site.address).unwrap()).unwrap();
    client.send(harness::h2::PREFACE).unwrap();
    client.send_frame(&harness::h2::Frame::settings(&[])).unwrap();
    client
}

/// Values of the fields that tell who the client is.
fn told(head: &Head) -> Vec<(&'static str, String)> {
    ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port", "forwarded", "via"]
        .into_iter()
        .filter(|name| !head.all(name).is_empty())
        .map(|name| (name, head.all(name).join(" | ")))
        .collect()
}

#[test]
fn each_field_is_appended_to_replaced_kept_or_dropped() {
    let came = [
        ("x-forwarded-for", "198.51.100.9"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "public"),
        ("x-forwarded-port", "443"),
        ("forwarded", "for=198.51.100.9"),
        ("via", "1.0 front"),
    ];
    let origin = Origin::named("a");
    for mode in ["append", "replace", "keep", "drop"] {
        let names =
            ["x_forwarded_for", "x_forwarded_proto", "x_forwarded_host", "x_forwarded_port", "forwarded", "via"];
        let forwarding: Value =
            names.iter().map(|name| ((*name).to_owned(), json!(mode))).collect::<serde_json::Map<_, _>>().into();
        let site = site(origin.address(), json!({ "forwarding": forwarding }));
        let port = site.address.rsplit_once(':').unwrap().1;
        for (peer, is_trusted) in [(PROXY, true), (STRANGER, false)] {
            for version in ["1.1", "2"] {
                if version == "2" {
                    assert_eq!(h2(&site, peer).ask("GET", "/", &came, "").unwrap().status(), 200);
                } else {
                    let lines: String = came.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
                    let answer = raw(&site, peer).ask(format!("GET / HTTP/1.1\r\nHost: h\r\n{lines}\r\n")).unwrap();
                    assert_eq!(answer.status, 200);
                }
                let element = format!("for={peer};host=\"h\";proto=http");
                let via = format!("{version} tidegate");
                let ours = [peer, "http", "h", port, &element, &via];
                let expected: Vec<(&str, String)> = came
                    .iter()
                    .zip(ours)
                    .filter_map(|((name, theirs), ours)| {
                        // Everybody is believed about `Via`.
                        let is_believed = is_trusted || *name == "via";
                        let value = match (mode, is_believed) {
                            ("append", true) => match *name {
                                "x-forwarded-for" => format!("{theirs}, {ours}"),
                                "forwarded" | "via" => format!("{theirs} | {ours}"),
                                _ => (*theirs).to_owned(),
                            },
                            ("append" | "replace", _) => ours.to_owned(),
                            ("keep", true) => (*theirs).to_owned(),
                            _ => return None,
                        };
                        Some((*name, value))
                    })
                    .collect();
                let received = origin.take_received().remove(0);
                assert_eq!(told(&received.head), expected, "{mode} from {peer} by HTTP/{version}");
            }
        }
    }
}

#[test]
fn what_is_not_configured_is_as_it_always_was() {
    let origin = Origin::named("a");
    let site = site(origin.address(), json!({}));
    raw(&site, STRANGER)
        .ask("GET / HTTP/1.1\r\nHost: h\r\nForwarded: for=6.6.6.6\r\nX-Forwarded-Port: 6\r\n\r\n")
        .unwrap();
    let told_by_default = told(&origin.take_received()[0].head);
    let expected = [
        ("x-forwarded-for", STRANGER),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-host", "h"),
        ("via", "1.1 tidegate"),
    ];
    assert_eq!(told_by_default, expected.map(|(name, value)| (name, value.to_owned())));
}

#[test]
fn the_client_is_found_in_forwarded_where_proxies_write_that() {
    let origin = Origin::named("a");
    let listener = json!({
        "trusted_proxies": [PROXY, "203.0.113.200"],
        "forwarding": { "client": "forwarded", "forwarded": "append", "x_forwarded_for": "replace" },
    });
    let site = site(origin.address(), listener);
    let cases = [
        ("Forwarded: for=198.51.100.9;proto=https\r\n", "198.51.100.9", "https"),
        (
            "Forwarded: for=6.6.6.6;proto=http, for=198.51.100.9;proto=https, for=203.0.113.200\r\n",
            "198.51.100.9",
            "https",
        ),
        ("Forwarded: for=6.6.6.6\r\nForwarded: for=\"198.51.100.9:81\"\r\n", "198.51.100.9", "http"),
        ("Forwarded: for=\"[2001:db8::9]:81\";PROTO=\"https\"\r\n", "2001:db8::9", "https"),
        ("Forwarded: for=\"6.6.6.6, for=198.51.100.9;proto=https\r\n", "198.51.100.9", "https"),
        ("Forwarded: for=6.6.6.6, for=_hidden\r\n", PROXY, "http"),
        ("Forwarded: for=6.6.6.6, for=unknown;proto=https\r\n", PROXY, "http"),
        // Such a proxy passes these on as its client wrote them.
        ("X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\n", PROXY, "http"),
        ("X-Forwarded-For: 6.6.6.6\r\nForwarded: for=198.51.100.9\r\n", "198.51.100.9", "http"),
    ];
    for (number, (lines, client, scheme)) in cases.into_iter().enumerate() {
        let path = format!("/{number}");
        let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\n{lines}\r\n");
        assert_eq!(raw(&site, PROXY).ask(&request).unwrap().status, 200);
        assert_eq!(site.logged(&path)["client"], client, "{lines}");
        let received = origin.take_received().remove(0);
        assert_eq!(received.head.all("x-forwarded-proto"), [scheme], "{lines}");
        assert_eq!(received.head.all("x-forwarded-host"), ["h"], "{lines}");
        assert_eq!(received.head.all("x-forwarded-for"), [PROXY], "{lines}");
        let ours = format!("for={PROXY};host=\"h\";proto=http");
        assert_eq!(received.head.all("forwarded").last(), Some(&ours.as_str()), "{lines}");

        // From anybody else nothing of it arrives.
        let path = format!("/stranger/{number}");
        let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\n{lines}\r\n");
        assert_eq!(raw(&site, STRANGER).ask(&request).unwrap().status, 200);
        assert_eq!(site.logged(&path)["client"], STRANGER, "{lines}");
        let head = origin.take_received().remove(0).head;
        assert_eq!(head.all("forwarded"), [format!("for={STRANGER};host=\"h\";proto=http")], "{lines}");
        assert_eq!(
            (head.all("x-forwarded-for"), head.all("x-forwarded-proto")),
            (vec![STRANGER], vec!["http"]),
            "{lines}"
        );
    }
}

#[test]
fn a_balancer_tells_port_and_scheme_of_the_client() {
    let origin = Origin::named("a");
    let listener = json!({
        "proxy_protocol": { "mode": "require", "sources": [PROXY] },
        "forwarding": { "x_forwarded_port": "append", "forwarded": "append" },
    });
    let site = site(origin.address(), listener);
    for (flags, scheme) in [(0u8, "http"), (1, "https"), (7, "https"), (6, "http")] {
        let header = v2_of("203.0.113.7:5678", &tlv(0x20, &[flags, 0, 0, 0, 0]));
        let mut client = raw(&site, PROXY);
        client.send(header).unwrap();
        client.ask("GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-Port: 6\r\n\r\n").unwrap();
        let element = format!("for=203.0.113.7;host=\"h\";proto={scheme}");
        let expected = [
            ("x-forwarded-for", "203.0.113.7"),
            ("x-forwarded-proto", scheme),
            ("x-forwarded-host", "h"),
            ("x-forwarded-port", "443"),
            ("forwarded", &element),
            ("via", "1.1 tidegate"),
        ];
        let expected = expected.map(|(name, value)| (name, value.to_owned()));
        assert_eq!(told(&origin.take_received()[0].head), expected, "{flags}");
    }
}

#[test]
fn responses_say_which_way_they_came_if_they_are_to() {
    let old =
        Origin::start(|_| harness::Reply::raw("HTTP/1.0 200 OK\r\nVia: 1.1 back\r\nContent-Length: 0\r\n\r\n", false));
    let new = Origin::start(|_| harness::Reply::with(200, &[("Via", "1.1 back")], ""));
    let h2_origin =
        H2Origin::start(&[], |_, stream| stream.answer(&[(":status", "200"), ("via", "1.1 back")], b"", &[]));
    for (mode, own) in [("keep", false), ("append", true), ("replace", true), ("drop", false)] {
        for (address, protocol, version) in
            [(old.address(), "h1", "1.0"), (new.address(), "h1", "1.1"), (h2_origin.address(), "h2c", "2")]
        {
            let mut config = one_upstream([(address, 1)].into_iter(), json!({}));
            config["upstreams"][0]["protocol"] = json!(protocol);
            config["listeners"] = json!([{ "name": "web", "allow_h2c": true, "forwarding": { "response_via": mode } }]);
            let site = Site::start(config);
            let mut expected = Vec::new();
            if matches!(mode, "keep" | "append") {
                expected.push("1.1 back".to_owned());
            }
            if own {
                expected.push(format!("{version} tidegate"));
            }
            let answer = site.client().ask("GET / HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
            assert_eq!(answer.head.all("via"), expected, "{mode} {version}");
            let answer = site.h2_client().get("/").unwrap();
            let via = answer.fields.iter().filter(|(name, _)| name == "via").map(|(_, value)| value.clone());
            assert_eq!(via.collect::<Vec<_>>(), expected, "{mode} {version} by HTTP/2");
        }
    }
}
