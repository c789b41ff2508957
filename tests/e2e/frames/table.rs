//! Runs the cases of a group, each on a connection of its own.

use std::collections::HashSet;

use anyhow::{Context, Result, bail, ensure};
use harness::{
    Origin, Reply,
    h2::{H2Client, H2Response, PREFACE},
};
use serde_json::json;

use super::{
    case::{Case, Outcome, Step},
    message::{EVIL, get},
};
use crate::site::Site;

/// The stream of the request that shows that the connection goes on: above those of all cases.
const PROBE: u32 = 1001;

/// Runs all `cases` against one data plane and tells all that fail.
pub(super) fn run(cases: &[Case]) {
    let table = Table::start();
    let mut failures: Vec<String> = cases
        .iter()
        .filter_map(|case| {
            let error = table.check(case).err()?;
            Some(format!("{}: {}: {error:#}", case.section, case.what))
        })
        .collect();
    // What is sent on late belongs to any of the cases.
    let Table { site, origin } = table;
    drop(site);
    failures.extend(unwanted(&origin, &[]).err().map(|error| format!("after all: {error:#}")));
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

/// A backend that answers each path in a way of its own.
pub(super) fn origin() -> Origin {
    Origin::start(|request| match request.target() {
        "/big" => Reply::text("x".repeat(1 << 20)),
        "/abc" => Reply::text("abcdefghijklmnopqrstuvwxyz"),
        "/head" => Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", true),
        "/204" => Reply::raw("HTTP/1.1 204 No Content\r\n\r\n", true),
        "/304" => Reply::raw("HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n", true),
        "/hints" => Reply::raw(
            "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            true,
        ),
        "/too-many-hints" => Reply::raw(
            "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(33) + "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            true,
        ),
        "/trailers" => Reply::raw(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n",
            true,
        ),
        "/hop" => Reply::raw(
            "HTTP/1.1 200 OK\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nProxy-Connection: x\r\nUpgrade: h2c\r\nX-UPPER: 1\r\nContent-Length: 2\r\n\r\nok",
            true,
        ),
        "/cut" => Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc", false),
        "/large-head" => Reply::with(200, &[("X-Large", &"l".repeat(40_000))], "ok"),
        "/bad-value" => Reply::raw("HTTP/1.1 200 OK\r\nX: a\x01b\r\nContent-Length: 2\r\n\r\nok", false),
        _ => Reply::text(format!("{} {}", request.method(), request.body.len())),
    })
}

struct Table {
    site: Site,
    origin: Origin,
}

impl Table {
    fn start() -> Self {
        let origin = origin();
        Self { site: Site::of_h2(&[&origin], json!({})), origin }
    }

    fn check(&self, case: &Case) -> Result<()> {
        self.origin.take_received();
        let mut client = H2Client::silent(&self.site.address)?;
        client.send(&case.opening)?;
        for step in &case.steps {
            match step {
                // Whose connection has ended may not be able to send all.
                Step::Send(bytes) => drop(client.send(bytes)),
                Step::Read(stream) => {
                    let response = client.response(*stream).context("a response that comes before")?;
                    ensure!(
                        response.is_ended && response.status() == 200,
                        "a response that comes before: {response:?}"
                    );
                }
                Step::ReadReset(stream) => {
                    client.read_until(*stream, |response| response.reset.is_some()).context("a reset")?;
                }
            }
        }
        if self.goes_on(case, &mut client)? && case.is_probed {
            self.probe(case, &mut client).context("afterwards")?;
        }
        unwanted(&self.origin, &case.forwarded)
    }

    /// Checks the outcome; whether the connection is to go on.
    fn goes_on(&self, case: &Case, client: &mut H2Client) -> Result<bool> {
        match &case.outcome {
            Outcome::Ended(codes) => {
                let goaway = client.read_to_end()?.or_else(|| client.goaways.pop()).context("no GOAWAY")?;
                ensure!(codes.contains(&goaway.code()), "GOAWAY {} instead of {codes:?}", goaway.code());
                return Ok(false);
            }
            Outcome::Closed => return client.read_to_end().map(|_| false).context("the connection does not end"),
            Outcome::Reset(codes) => {
                let response = client.read_until(case.stream, |response| response.reset.is_some())?;
                ensure!(response.reset.is_some_and(|code| codes.contains(&code)), "not {codes:?}: {response:?}");
            }
            Outcome::Answered(status) => {
                let response = client.response(case.stream)?;
                ensure!(response.status() == *status && response.is_ended, "not {status}: {response:?}");
            }
            Outcome::PassedOver => {}
            Outcome::Told(check) => check(client)?,
        }
        Ok(true)
    }

    /// Whether another request is served, and nothing came that nobody expects.
    fn probe(&self, case: &Case, client: &mut H2Client) -> Result<()> {
        client.send_frame(&get(PROBE, "/probe"))?;
        let probed = client.response(PROBE)?;
        ensure!((probed.status(), probed.text().as_str()) == (200, "GET 0"), "not served: {probed:?}");
        ensure!(client.goaways.is_empty(), "{:?}", client.goaways);
        let is_reset = |response: &H2Response| response.reset.is_some();
        if matches!(case.outcome, Outcome::PassedOver) && is_reset(client.read_until(case.stream, |_| true)?) {
            bail!("the stream was reset");
        }
        Ok(())
    }
}

/// Whether the backend got what it must not get, or not what it is to get.
fn unwanted(origin: &Origin, forwarded: &[&str]) -> Result<()> {
    let received = origin.take_received();
    ensure!(received.iter().all(|request| request.target() != EVIL), "it reached the backend: {received:?}");
    let Some(first_line) = forwarded.first() else { return Ok(()) };
    let wanted = received.iter().find(|request| request.head.first_line == *first_line);
    let wanted = wanted.with_context(|| format!("no {first_line:?} at the backend: {received:?}"))?;
    let raw = String::from_utf8_lossy(&wanted.head.raw).to_ascii_lowercase();
    let lines: HashSet<&str> = raw.split("\r\n").collect();
    for line in &forwarded[1..] {
        // A line that must not be there begins with `!`.
        let (line, is_wanted) = line.strip_prefix('!').map_or((*line, true), |line| (line, false));
        ensure!(lines.contains(line) == is_wanted, "{line:?}: {raw:?}");
    }
    Ok(())
}

#[test]
fn the_servers_preface_is_settings_and_it_acknowledges() {
    use harness::h2::{Frame, flag, kind};
    let site = Site::of_h2(&[&origin()], json!({}));
    let mut client = H2Client::silent(&site.address).unwrap();
    client.send(PREFACE).unwrap();
    client.send_frame(&Frame::settings(&[])).unwrap();
    let first = client.read_frame().unwrap().unwrap();
    assert_eq!((first.kind, first.flags, first.stream), (kind::SETTINGS, flag::NONE, 0));
    // No push by a server (§6.5.2), no extended CONNECT before it works (RFC 8441 §3).
    let ids: Vec<u16> = first.payload.chunks(6).map(|setting| u16::from_be_bytes([setting[0], setting[1]])).collect();
    assert!(!ids.contains(&2) && !ids.contains(&8), "{ids:?}");
    for _ in 0..2 {
        let ack = loop {
            let frame = client.read_frame().unwrap().unwrap();
            if frame.kind == kind::SETTINGS {
                break frame;
            }
        };
        assert_eq!((ack.flags, ack.payload.len()), (flag::ACK, 0));
        client.send_frame(&Frame::settings(&[(3, 10)])).unwrap();
    }
}
