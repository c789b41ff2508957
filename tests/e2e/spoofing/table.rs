//! Runs cases: by HTTP/1.1 at once and byte by byte, and by HTTP/2.

use std::{collections::HashMap, net::IpAddr};

use anyhow::{Context, Result, bail, ensure};
use harness::{
    DEADLINE, Head, Origin, RawClient, connect_from, free_port,
    h2::{Frame, H2Client, PREFACE},
    within,
};
use serde_json::{Value, json};

use super::case::{Case, Outcome};
use crate::site::{Site, one_upstream};

/// The balancer whose headers are believed, the proxy whose fields are, and one that is both.
pub(super) const BALANCER: &str = "127.0.0.2";
pub(super) const PROXY: &str = "127.0.0.3";
pub(super) const BOTH: &str = "127.0.0.4";
/// Somebody.
pub(super) const STRANGER: &str = "127.0.0.9";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    AtOnce,
    ByteByByte,
    Http2,
}

/// Runs all `cases` against one data plane and tells all that fail.
pub(super) fn run(cases: Vec<Case>) {
    let mut table = Table::start();
    let mut failures = Vec::new();
    for case in &cases {
        for way in [Way::AtOnce, Way::ByteByByte, Way::Http2] {
            // The answer to what cannot be read is one of HTTP/1.1, and without a request there is no version.
            if way == Way::Http2 && (case.is_cut || !matches!(case.outcome, Outcome::Served { .. })) {
                continue;
            }
            if let Err(error) = table.check(case, way) {
                failures.push(format!("{} {} from {} ({way:?}): {error:#}", case.listener, case.what, case.peer));
            }
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

struct Table {
    site: Site,
    origin: Origin,
    addresses: HashMap<&'static str, String>,
    requests: usize,
    /// How many connections were closed, by listener and word.
    closed: HashMap<(&'static str, &'static str), usize>,
}

impl Table {
    fn start() -> Self {
        let origin = Origin::named("a");
        let mut config = one_upstream([(origin.address(), 1)].into_iter(), json!({}));
        let mut addresses = HashMap::new();
        let listeners = ["off", "accept", "require"].map(|mode| {
            let address = format!("127.0.0.1:{}", free_port());
            addresses.insert(mode, address.clone());
            let sources = if mode == "off" { json!([]) } else { json!([BALANCER, BOTH]) };
            json!({
                "name": mode, "address": address, "allow_h2c": true,
                "trusted_proxies": [PROXY, BOTH, "203.0.113.200", "2001:db8:ffff::/48"],
                "proxy_protocol": { "mode": mode, "sources": sources },
            })
        });
        config["listeners"] = json!(listeners);
        // One worker, so that the lines of the log are in order.
        let site = Site::with_workers(1, config);
        // The site has moved the first one.
        addresses.insert("off", site.address.clone());
        Self { site, origin, addresses, requests: 0, closed: HashMap::new() }
    }

    fn check(&mut self, case: &Case, way: Way) -> Result<()> {
        self.requests += 1;
        let path = format!("/{}", self.requests);
        self.origin.take_received();
        let peer: IpAddr = case.peer.parse()?;
        let stream = connect_from(peer, &self.addresses[case.listener])?;
        match &case.outcome {
            Outcome::Served { client, chain } => {
                if way == Way::Http2 {
                    self.ask_http2(case, H2Client::on(stream)?, &path)?;
                } else {
                    let mut raw = RawClient::on(stream)?;
                    send(&mut raw, &request(case, &path), way)?;
                    let answer = raw.read_response()?;
                    ensure!(answer.status == 200, "status {}", answer.status);
                }
                let line = self.site.logged(&path);
                ensure!(line["client"] == **client, "the log's client is {}", line["client"]);
                ensure!(line["peer"] == case.peer, "the log's peer is {}", line["peer"]);
                let received = self.origin.take_received();
                ensure!(received.len() == 1, "{} requests at the backend", received.len());
                seen(&received[0].head, chain)
            }
            Outcome::BadRequest => {
                let mut raw = RawClient::on(stream)?;
                // It is answered before its end.
                let _ = send(&mut raw, &request(case, &path), way);
                let answer = raw.read_response()?;
                ensure!(answer.status == 400, "status {}", answer.status);
                ensure!(raw.is_closed(), "the connection is kept");
                ensure!(self.origin.received().is_empty(), "the backend saw a request");
                Ok(())
            }
            Outcome::Closed(word) => {
                let mut raw = RawClient::on(stream)?;
                let bytes = if case.is_cut { case.opening.clone() } else { request(case, &path) };
                // It is closed before its end.
                let _ = send(&mut raw, &bytes, way);
                if case.is_cut {
                    raw.half_close()?;
                }
                ensure!(raw.is_closed(), "the connection is kept");
                ensure!(self.origin.received().is_empty(), "the backend saw a request");
                self.closed_for(case, word)
            }
        }
    }

    fn ask_http2(&self, case: &Case, mut client: H2Client, path: &str) -> Result<()> {
        client.send(&case.opening)?;
        client.send(PREFACE)?;
        client.send_frame(&Frame::settings(&[]))?;
        let fields: Vec<(String, &str)> = case
            .fields
            .split_terminator("\r\n")
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value))
            .collect();
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        let answer = client.ask("GET", path, &fields, "")?;
        ensure!(answer.status() == 200, "status {}", answer.status());
        Ok(())
    }

    /// One connection more is counted and logged.
    fn closed_for(&mut self, case: &Case, word: &'static str) -> Result<()> {
        let count = self.closed.entry((case.listener, word)).or_default();
        *count += 1;
        let counted = format!(
            "tidegate_proxy_protocol_refused_total{{listener=\"{}\",reason=\"{word}\"}} {count}",
            case.listener
        );
        let lines = || -> Vec<Value> {
            let lines = self.site.log_lines().into_iter();
            lines.filter(|line| line["listener"] == case.listener && line["detail"] == word).collect()
        };
        let is_counted = || self.site.plane.metrics().lines().any(|line| line == counted);
        let line = within(DEADLINE, || {
            let mut lines = lines();
            lines.pop().filter(|_| lines.len() + 1 == *count && is_counted())
        });
        let Some(line) = line else { bail!("not logged or not counted as {word}") };
        let reason = line["reason"].as_str().context("a reason")?;
        ensure!((reason, &line["status"]) == ("proxy_protocol", &json!(400)), "{line}");
        ensure!(line["peer"] == case.peer && line["client"] == case.peer, "{line}");
        Ok(())
    }
}

fn request(case: &Case, path: &str) -> Vec<u8> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\n{}\r\n", case.fields);
    [&case.opening[..], request.as_bytes()].concat()
}

fn send(client: &mut RawClient, bytes: &[u8], way: Way) -> Result<()> {
    match way {
        Way::ByteByByte => bytes.iter().try_for_each(|byte| client.send([*byte])).map_err(Into::into),
        _ => client.send(bytes).map_err(Into::into),
    }
}

/// What the backend saw says that the client is the first of `chain`, and nothing else says otherwise.
fn seen(head: &Head, chain: &str) -> Result<()> {
    let forwarded = head.all("x-forwarded-for");
    ensure!(forwarded == [chain], "X-Forwarded-For is {forwarded:?}");
    let odd = head.fields.iter().find(|(_, value)| value.contains("6.6.6.6") && !chain.contains("6.6.6.6"));
    ensure!(odd.is_none(), "the backend saw {odd:?}");
    Ok(())
}
