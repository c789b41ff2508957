//! The id of a request: the same at the backend, in the response and in the log.

use harness::{
    Origin, RawClient, Reply, connect_from,
    h2::{Frame, H2Client, H2Origin, PREFACE},
};
use serde_json::{Value, json};

use super::table::{PROXY, STRANGER};
use crate::site::{Site, one_upstream};

fn site(origin: &str, protocol: &str, request_id: Value) -> Site {
    let mut config = one_upstream([(origin, 1)].into_iter(), json!({ "match": { "hosts": ["h"] } }));
    config["upstreams"][0]["protocol"] = json!(protocol);
    config["listeners"] = json!([{ "name": "web", "allow_h2c": true, "trusted_proxies": [PROXY] }]);
    config["settings"] = json!({ "request_id": request_id });
    Site::start(config)
}

/// The response to a request with `lines` from `peer`.
fn ask(site: &Site, peer: &str, path: &str, lines: &str) -> harness::RawResponse {
    let stream = connect_from(peer.parse().unwrap(), &site.address).unwrap();
    RawClient::on(stream).unwrap().ask(format!("GET {path} HTTP/1.1\r\nHost: h\r\n{lines}\r\n")).unwrap()
}

/// Whether it is a UUID of version 7.
fn is_made(id: &str) -> bool {
    id.len() == 36 && id.as_bytes()[14] == b'7' && id.split('-').map(str::len).eq([8, 4, 4, 4, 12])
}

#[test]
fn an_id_is_taken_from_trusted_peers_only() {
    let origin = Origin::start(|_| Reply::with(200, &[("X-Request-Id", "the backend's")], "a"));
    for (header, look_alike) in [("X-Request-Id", "X_Request_Id"), ("X-Trace", "x.trace")] {
        let site = site(origin.address(), "h1", json!({ "header": header.to_lowercase() }));
        let long = "x".repeat(129);
        let cases = [
            (PROXY, format!("{header}: their-id_1.a\r\n"), Some("their-id_1.a")),
            (PROXY, format!("{}: their-id\r\n", header.to_lowercase()), Some("their-id")),
            (PROXY, format!("Connection: {header}\r\n{header}: their-id\r\n"), Some("their-id")),
            (PROXY, format!("{header}: {}\r\n", &long[1..]), Some(&long[1..])),
            (PROXY, format!("{header}: {long}\r\n"), None),
            (PROXY, format!("{header}: a b\r\n"), None),
            (PROXY, format!("{header}: a\"b\r\n"), None),
            (PROXY, format!("{header}:\r\n"), None),
            (PROXY, format!("{header}: a\r\n{header}: b\r\n"), None),
            (PROXY, format!("{look_alike}: their-id\r\n"), None),
            (PROXY, String::new(), None),
            (STRANGER, format!("{header}: their-id\r\n"), None),
            (STRANGER, format!("{header}: a\r\n{header}: b\r\n"), None),
            (STRANGER, format!("{look_alike}: their-id\r\n"), None),
            (STRANGER, format!("Connection: {header}\r\n{header}: their-id\r\n"), None),
            (STRANGER, String::new(), None),
        ];
        for (number, (peer, lines, taken)) in cases.iter().enumerate() {
            let path = format!("/{number}");
            let answer = ask(&site, peer, &path, lines);
            let received = origin.take_received().remove(0).head;
            let [id] = received.all(header)[..] else { panic!("{:?} of {lines}", received.fields) };
            assert!(taken.map_or_else(|| is_made(id), |taken| taken == id), "{id} of {lines} from {peer}");
            assert_eq!(answer.head.all(header), [id], "the response");
            assert_eq!(site.logged(&path)["request_id"], id, "the log");
            assert_eq!(received.all(look_alike), if look_alike == header { vec![id] } else { vec![] }, "{lines}");
        }
    }
}

#[test]
fn every_response_has_it_in_every_version() {
    let h1 = Origin::start(|request| match request.target() {
        "/chunked" => Reply::raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", true),
        "/close" => Reply::raw("HTTP/1.1 200 OK\r\n\r\na", false),
        "/304" => Reply::raw("HTTP/1.1 304 Not Modified\r\n\r\n", true),
        _ => Reply::with(500, &[("x-request-id", "one"), ("X-Request-Id", "two")], "a"),
    });
    let h2c =
        H2Origin::start(&[], |_, stream| stream.answer(&[(":status", "200"), ("x-request-id", "one")], b"a", &[]));
    for (origin, protocol) in [(h1.address(), "h1"), (h2c.address(), "h2c")] {
        let site = site(origin, protocol, json!({}));
        for path in ["/length", "/chunked", "/close", "/304"] {
            let answer = ask(&site, STRANGER, path, "");
            let logged = site.logged(path)["request_id"].clone();
            assert_eq!(answer.head.all("x-request-id"), [logged.as_str().unwrap()], "{protocol} {path}");
            let again = format!("{path}?2");
            let answer = site.h2_client().get(&again).unwrap();
            let ids: Vec<_> = answer.fields.iter().filter(|(name, _)| name == "x-request-id").collect();
            assert!(ids.len() == 1 && is_made(&ids[0].1), "{protocol} {path}: {ids:?}");
        }
        // Answers of the proxy's own.
        let answer = site.client().ask("GET /none HTTP/1.1\r\nHost: other\r\n\r\n").unwrap();
        let id = answer.field("x-request-id").unwrap().to_owned();
        assert!(answer.status == 404 && is_made(&id) && answer.text().contains(&id), "{:?}", answer.head);
        let answer = site.client().ask("GET /bad HTTP/1.1\r\n\r\n").unwrap();
        assert!(answer.status == 400 && is_made(answer.field("x-request-id").unwrap()));
    }
}

#[test]
fn settings_switch_it_off() {
    let origin = Origin::start(|_| Reply::with(200, &[("X-Request-Id", "the backend's")], "a"));
    let site = site(origin.address(), "h1", json!({ "accept": false, "respond": false }));
    let answer = ask(&site, PROXY, "/off", "X-Request-Id: their-id\r\n");
    assert_eq!(answer.head.all("x-request-id"), ["the backend's"]);
    let received = origin.take_received().remove(0).head;
    let id = received.field("x-request-id").unwrap();
    assert!(is_made(id) && site.logged("/off")["request_id"] == id, "{id}");
    let answer = site.client().ask("GET / HTTP/1.1\r\nHost: other\r\n\r\n").unwrap();
    assert!(answer.status == 404 && answer.field("x-request-id").is_none());
    assert_eq!(site.h2_client().get("/h2").unwrap().field("x-request-id"), Some("the backend's"));
}

#[test]
fn no_trailer_and_no_template_has_the_field_that_a_stranger_wrote() {
    for (header, look_alike) in [("x-request-id", "x_request_id"), ("x-trace-id", "x_trace.id")] {
        let trailers = [(header, "theirs"), (look_alike, "theirs"), ("x-sum", "1")];
        let lines: String = trailers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let chunked = format!("transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n{lines}\r\n");
        let answer = format!("HTTP/1.1 200 OK\r\n{chunked}");
        let h1 = Origin::start(move |_| Reply::raw(answer.clone(), true));
        let h2 = H2Origin::start(&[], move |_, stream| stream.answer(&[(":status", "200")], b"abc", &trailers));
        for (origin, protocol) in [(h1.address(), "h1"), (h2.address(), "h2c")] {
            let mut config = one_upstream([(origin, 1)].into_iter(), json!({}));
            config["upstreams"][0]["protocol"] = json!(protocol);
            config["listeners"] = json!([{ "name": "web", "allow_h2c": true, "trusted_proxies": [PROXY] }]);
            config["settings"] = json!({ "request_id": { "header": header } });
            config["routes"][0]["request_headers"] = json!({
                "set": { "x-said": format!("{{header.{header}}}"), "x-alike": format!("{{header.{look_alike}}}") },
            });
            let site = Site::start(config);
            let of_trailers = |text: &[u8]| String::from_utf8_lossy(text).to_lowercase();
            for (peer, is_trusted) in [(STRANGER, false), (PROXY, true)] {
                let connect = || connect_from(peer.parse().unwrap(), &site.address).unwrap();
                let mut client = RawClient::on(connect()).unwrap();
                let fields = format!("{header}: theirs\r\n{look_alike}: theirs\r\n");
                let response = client.ask(format!("POST / HTTP/1.1\r\nHost: h\r\n{fields}{chunked}")).unwrap();
                assert_eq!(of_trailers(&response.trailers), "x-sum: 1\r\n", "{header} {protocol}");
                let mut client = H2Client::on(connect()).unwrap();
                client.send(PREFACE).unwrap();
                client.send_frame(&Frame::settings(&[])).unwrap();
                let stream = client.begin("POST", "/", &[(header, "theirs"), (look_alike, "theirs")], false).unwrap();
                client.send_data(stream, "abc", false).unwrap();
                client.send_headers(stream, &trailers, true).unwrap();
                let response = client.response(stream).unwrap();
                assert_eq!(response.trailers, [("x-sum".to_owned(), "1".to_owned())], "{header} {protocol}");
                let (said, alike) = (is_trusted.then_some("theirs"), is_trusted.then_some("theirs"));
                let received = if protocol == "h1" { h1.take_received() } else { vec![] };
                assert!(protocol != "h1" || received.len() == 2);
                for request in received {
                    assert_eq!(of_trailers(&request.trailers), "x-sum: 1\r\n", "{header}: {request:?}");
                    assert_eq!((request.head.field("x-said"), request.head.field("x-alike")), (said, alike));
                }
                let received = if protocol == "h2c" { h2.take_received() } else { vec![] };
                assert!(protocol != "h2c" || received.len() == 2);
                for request in received {
                    assert_eq!(request.trailers, [("x-sum".to_owned(), "1".to_owned())], "{header}: {request:?}");
                    assert_eq!(request.field("x-said"), said.unwrap_or_default(), "{request:?}");
                    assert_eq!(request.field("x-alike"), alike.unwrap_or_default(), "{request:?}");
                }
            }
        }
    }
}
