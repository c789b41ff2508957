//! Backends that speak HTTP/2: what they send, right and wrong, and what clients see of it.
//!
//! Each case is on a connection of its own. What is broken is answered 502, or cut off if the response has begun; it never
//! looks complete, and the next request is served.

use anyhow::{Context, Result, bail, ensure};
use harness::h2::{Frame, H2Origin, code::*, encode_fields, flag, kind};
use serde_json::json;

use super::message::{data, headers, last_data, ping, priority, unknown};
use crate::site::{Site, one_upstream};

/// What a client sees.
enum Seen {
    /// The whole response.
    Whole(u16, &'static str),
    /// 502.
    Refused,
    /// A response that has begun, and a reset.
    Cut,
}
use Seen::{Cut, Refused, Whole};

struct Case {
    section: &'static str,
    what: String,
    method: &'static str,
    frames: Vec<Frame>,
    seen: Seen,
}

fn case(section: &'static str, what: impl Into<String>, frames: Vec<Frame>, seen: Seen) -> Case {
    Case { section, what: what.into(), method: "GET", frames, seen }
}

/// The stream of every request: each is the first of its connection.
const ID: u32 = 1;

/// The head of a response.
fn head(fields: &[(&str, &str)]) -> Frame {
    headers(ID, &[&[(":status", "200")], fields].concat(), flag::NONE)
}

/// A head that is all.
fn only(fields: &[(&str, &str)]) -> Frame {
    headers(ID, fields, flag::END_STREAM)
}

const STATUS: (&str, &str) = (":status", "200");

/// 33 interim responses, of which 32 are allowed, and a sound one.
fn too_many_hints() -> Vec<Frame> {
    let hints = headers(ID, &[(":status", "103")], flag::NONE);
    [vec![hints; 33], vec![head(&[]), last_data(ID, "abc")]].concat()
}

fn sound() -> Vec<Case> {
    let hints = headers(ID, &[(":status", "103"), ("link", "</a>")], flag::NONE);
    let block = encode_fields(&[STATUS, ("x", "1")]);
    let padded = Frame::new(kind::DATA, flag::PADDED | flag::END_STREAM, ID, *b"\x03abc\0\0\0");
    let asked = |method, case: Case| Case { method, ..case };
    vec![
        case("§8.1", "head and body", vec![head(&[]), last_data(ID, "abc")], Whole(200, "abc")),
        case("§8.1", "the end apart", vec![head(&[]), data(ID, "abc"), last_data(ID, "")], Whole(200, "abc")),
        case("§8.1", "trailers", vec![head(&[]), data(ID, "abc"), only(&[("x", "1")])], Whole(200, "abc")),
        case(
            "§8.1",
            "an interim response",
            vec![hints.clone(), hints.clone(), head(&[]), last_data(ID, "abc")],
            Whole(200, "abc"),
        ),
        case(
            "§8.1.1",
            "a body of the declared length",
            vec![head(&[("content-length", "3")]), last_data(ID, "abc")],
            Whole(200, "abc"),
        ),
        case(
            "§8.1.1",
            "304 with a length",
            vec![only(&[(":status", "304"), ("content-length", "10")])],
            Whole(304, ""),
        ),
        case("§8.1.1", "204", vec![only(&[(":status", "204")])], Whole(204, "")),
        asked(
            "HEAD",
            case("§8.1.1", "HEAD with a length", vec![only(&[STATUS, ("content-length", "10")])], Whole(200, "")),
        ),
        asked(
            "HEAD",
            case(
                "§8.1.1",
                "HEAD with a length, and the end apart",
                vec![head(&[("content-length", "10")]), last_data(ID, "")],
                Whole(200, ""),
            ),
        ),
        case("§6.1", "a padded body", vec![head(&[]), padded], Whole(200, "abc")),
        case(
            "§6.10",
            "a head in two frames",
            vec![
                Frame::new(kind::HEADERS, flag::NONE, ID, &block[..5]),
                Frame::new(kind::CONTINUATION, flag::END_HEADERS, ID, &block[5..]),
                last_data(ID, "abc"),
            ],
            Whole(200, "abc"),
        ),
        case(
            "§5.5",
            "unknown frames",
            vec![unknown(0), unknown(ID), head(&[]), unknown(ID), last_data(ID, "abc")],
            Whole(200, "abc"),
        ),
        case(
            "§6",
            "frames of the connection in between",
            vec![
                head(&[]),
                ping(),
                Frame::settings(&[(4, 1000), (0xbbbb, 1)]),
                Frame::window_update(0, 1),
                Frame::window_update(ID, 1),
                priority(ID, 0),
                last_data(ID, "abc"),
            ],
            Whole(200, "abc"),
        ),
        case(
            "§6.8",
            "GOAWAY with an error that leaves the request under way",
            vec![Frame::goaway(ID, PROTOCOL_ERROR), head(&[]), last_data(ID, "abc")],
            Whole(200, "abc"),
        ),
        case(
            "§6.8",
            "GOAWAY that leaves the request under way",
            vec![Frame::goaway(ID, NO_ERROR), head(&[]), last_data(ID, "abc")],
            Whole(200, "abc"),
        ),
    ]
}

fn broken() -> Vec<Case> {
    let mut cases = Vec::new();
    for (section, what, fields) in [
        ("§8.3.2", "no status", vec![("x", "1")]),
        ("§8.3.2", "two statuses", vec![STATUS, STATUS]),
        ("§8.3.2", "a status of letters", vec![(":status", "abc")]),
        ("§8.3.2", "a status of two digits", vec![(":status", "99")]),
        ("§8.3.2", "a status of four digits", vec![(":status", "2000")]),
        ("§8.3.2", "an empty status", vec![(":status", "")]),
        ("§8.3", "a status behind a field", vec![("x", "1"), STATUS]),
        ("§8.3", "a pseudo-field that nobody knows", vec![STATUS, (":x", "1")]),
        ("§8.2.1", "a name in upper case", vec![STATUS, ("X", "1")]),
        ("§8.2.1", "a name with a space", vec![STATUS, ("x y", "1")]),
        ("§8.2.1", "a value with a line break", vec![STATUS, ("x", "a\r\nb: c")]),
        ("§8.2.1", "a value with NUL", vec![STATUS, ("x", "a\0b")]),
        ("§8.2.2", "Connection", vec![STATUS, ("connection", "close")]),
        ("§8.2.2", "Transfer-Encoding", vec![STATUS, ("transfer-encoding", "chunked")]),
        ("§8.2.2", "Keep-Alive", vec![STATUS, ("keep-alive", "timeout=5")]),
        ("§8.2.2", "Upgrade", vec![STATUS, ("upgrade", "h2c")]),
        ("§8.6", "101", vec![(":status", "101")]),
        ("§8.1", "an interim response that ends the stream", vec![(":status", "103")]),
        ("§8.1.1", "a length without a body", vec![STATUS, ("content-length", "3")]),
        ("§8.1.1", "a length that is none", vec![STATUS, ("content-length", "three")]),
    ] {
        cases.push(case(section, what, vec![only(&fields)], Refused));
    }
    let promise =
        Frame::new(kind::PUSH_PROMISE, flag::END_HEADERS, ID, [&[0, 0, 0, 2][..], &encode_fields(&[STATUS])].concat());
    for (section, what, first) in [
        ("§8.1", "DATA before the head", data(ID, "abc")),
        ("§6.6", "PUSH_PROMISE, which we do not allow", promise),
        ("§5.1.1", "a stream that nobody asked for", headers(2, &[STATUS], flag::END_STREAM)),
        ("§5.1", "a stream that is idle", headers(99, &[STATUS], flag::END_STREAM)),
        ("§6.1", "DATA of the connection", data(0, "abc")),
        ("§6.5", "SETTINGS of a stream", Frame { stream: ID, ..Frame::settings(&[]) }),
        ("§6.5", "SETTINGS of 5 bytes", Frame::new(kind::SETTINGS, 0, 0, [0; 5])),
        ("§6.5.2", "a frame size that is not allowed", Frame::settings(&[(5, 1)])),
        ("§6.7", "PING of 7 bytes", Frame::new(kind::PING, 0, 0, [0; 7])),
        ("§6.9", "an increment of 0", Frame::window_update(0, 0)),
        ("§6.9.1", "a window beyond 2^31-1", Frame::window_update(0, u32::MAX >> 1)),
        ("§6.10", "CONTINUATION without a head", Frame::new(kind::CONTINUATION, flag::END_HEADERS, ID, [])),
        ("§4.2", "a frame that is too large", Frame::new(0xbb, 0, 0, vec![0; 1 << 17])),
        ("§4.3", "a block that cannot be read", Frame::new(kind::HEADERS, flag::END_HEADERS, ID, [0x80])),
        ("§6.4", "a reset", Frame::reset(ID, INTERNAL_ERROR)),
    ] {
        cases.push(case(section, what, vec![first, headers(ID, &[(":status", "299")], flag::END_STREAM)], Refused));
    }
    cases.extend([
        case(
            "§6.10",
            "PING within a head",
            vec![Frame::new(kind::HEADERS, flag::NONE, ID, encode_fields(&[STATUS])), ping()],
            Refused,
        ),
        case("§8.1", "more interim responses than anybody waits for", too_many_hints(), Refused),
        case("§8.1.1", "less than declared", vec![head(&[("content-length", "9")]), last_data(ID, "abc")], Cut),
        case("§8.1.1", "more than declared", vec![head(&[("content-length", "2")]), last_data(ID, "abc")], Cut),
        case(
            "§8.1.1",
            "less than declared, before trailers",
            vec![head(&[("content-length", "9")]), data(ID, "abc"), only(&[("x", "1")])],
            Cut,
        ),
        case(
            "§6.4",
            "a reset within the body",
            vec![head(&[]), data(ID, "abc"), Frame::reset(ID, INTERNAL_ERROR)],
            Cut,
        ),
        case("§6.8", "GOAWAY within the body", vec![head(&[]), data(ID, "abc"), Frame::goaway(0, INTERNAL_ERROR)], Cut),
        case(
            "§8.1",
            "trailers that do not end the stream",
            vec![head(&[]), data(ID, "abc"), headers(ID, &[("x", "1")], flag::NONE)],
            Cut,
        ),
        case(
            "§8.3",
            "a status in trailers, behind a field",
            vec![head(&[]), data(ID, "abc"), only(&[("x", "1"), STATUS])],
            Cut,
        ),
        case(
            "§8.2.2",
            "Connection in trailers",
            vec![head(&[]), data(ID, "abc"), only(&[("connection", "close")])],
            Cut,
        ),
        case(
            "§6.1",
            "padding that is too long",
            vec![head(&[]), Frame::new(kind::DATA, flag::PADDED, ID, [9, 0])],
            Cut,
        ),
    ]);
    cases
}

#[test]
fn backends() {
    let cases: Vec<Case> = sound().into_iter().chain(broken()).collect();
    let count = cases.len();
    assert!(count >= 60, "{count}");
    let mut failures = Vec::new();
    for case in cases {
        let Case { section, what, .. } = &case;
        if let Err(error) = check(&case) {
            failures.push(format!("{section}: {what}: {error:#}"));
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

fn check(case: &Case) -> Result<()> {
    let bytes: Vec<u8> = case.frames.iter().flat_map(Frame::bytes).collect();
    let origin = H2Origin::start(&[], move |request, stream| match request.field(":path") {
        "/case" => stream.link.send(&bytes),
        _ => stream.answer(&[STATUS], b"sound", &[]),
    });
    // Each is seen as it came: the frames are those of one stream.
    let route = json!({ "retries": { "attempts": 0 } });
    let mut config = one_upstream([(origin.address(), 1)].into_iter(), route);
    config["upstreams"][0]["protocol"] = json!("h2c");
    config["upstreams"][0]["breaker"] = json!({ "enabled": false });
    config["listeners"] = json!([{ "name": "web", "allow_h2c": true }]);
    let site = Site::with_workers(1, config);
    let mut client = site.h2_client();
    let response = client.ask(case.method, "/case", &[], "")?;
    match case.seen {
        Whole(status, body) => {
            ensure!(response.is_ended && response.reset.is_none(), "not whole: {response:?}");
            ensure!((response.status(), response.text().as_str()) == (status, body), "{response:?}");
        }
        Refused => ensure!(response.status() == 502, "not refused: {response:?}"),
        // A head that nothing was sent of may be taken back.
        Cut if response.status() == 502 => {}
        Cut if response.is_ended => bail!("it looks complete: {response:?}"),
        Cut => ensure!(response.status() == 200 && response.reset.is_some(), "not cut off: {response:?}"),
    }
    let next = client.get("/next").context("the next request")?;
    ensure!(next.text() == "sound", "the next request: {next:?}");
    Ok(())
}
