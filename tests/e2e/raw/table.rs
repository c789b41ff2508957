//! Runs the cases of a group, twice each: the bytes at once, and one by one.

use std::{collections::BTreeMap, io};

use anyhow::{Context, Result, bail, ensure};
use harness::{DEADLINE, RawClient, within};
use serde_json::{Value, json};

use super::{
    answer::Answer,
    backend::{Backend, PROBE, Seen, pieces},
    case::{Case, Forwarded, Reply},
    sound,
};
use crate::site::{Site, one_upstream};

/// Runs all `cases` against one data plane and tells all that fail.
pub(super) fn run(cases: Vec<Case>) {
    run_behind(json!({ "name": "web" }), cases);
}

/// The same behind a listener of this kind.
pub(super) fn run_behind(listener: Value, cases: Vec<Case>) {
    let mut table = Table::start(listener);
    let mut failures = Vec::new();
    for case in &cases {
        for is_split in [false, true] {
            if is_split && case.is_unsplit {
                continue;
            }
            if let Err(error) = table.check(case, is_split) {
                let how = if is_split { "byte by byte" } else { "at once" };
                table.forget();
                failures.push(format!("{}: {} ({how}): {error:#}", case.source, case.what));
            }
        }
    }
    if failures.is_empty() {
        // What failed may have been counted or not.
        failures.extend(table.miscounted());
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}

struct Table {
    site: Site,
    backend: Backend,
    probes: usize,
    /// Lines of the access log that were looked at.
    lines: usize,
    /// How many answers of the proxy's own there were, by reason.
    generated: BTreeMap<&'static str, u64>,
}

impl Table {
    fn start(listener: Value) -> Self {
        let backend = Backend::start();
        // Each case is about one message: nothing is tried again.
        let route = json!({ "retries": { "attempts": 0 } });
        let mut config = one_upstream([(backend.address(), 1)].into_iter(), route);
        // What fails here in one case must not keep the next out.
        config["upstreams"][0]["breaker"] = json!({ "enabled": false });
        config["listeners"] = json!([listener]);
        // One worker has one pool, so it is known which connection the next request takes.
        let site = Site::with_workers(1, config);
        Self { site, backend, probes: 0, lines: 0, generated: BTreeMap::new() }
    }

    /// Runs `case`. Another request behind it shows that client, proxy and backend still agree on what is what.
    fn check(&mut self, case: &Case, is_split: bool) -> Result<()> {
        if let (Some(reason), Some(Answer { is_whole: true, .. })) = (case.logged.0, case.answers.last()) {
            *self.generated.entry(reason).or_default() += 1;
        }
        self.probes += 1;
        self.backend.answers(&case.reply, is_split);
        let mut client = self.site.client();
        converse(case, &mut client, &self.backend, is_split)?;
        self.backend.answers(&Reply::default(), false);
        if !case.is_kept {
            client = self.site.client();
        }
        let path = format!("{PROBE}{}", self.probes);
        let probed = client.ask(format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"));
        let probed = probed.context("the connection takes no further request")?;
        ensure!(probed.text() == path, "the next request got another answer: {:?}", probed.text());
        check_log(case, &self.logged(&path)?)?;
        check_origin(case, &wait_for_seen(&self.backend, case))
    }

    /// Starts over behind a case that failed.
    fn forget(&mut self) {
        self.lines = self.site.log_lines().len();
        self.backend.take();
    }

    /// The new lines of the access log before the one for `path`, which is waited for.
    fn logged(&mut self, path: &str) -> Result<Vec<Value>> {
        let found = within(DEADLINE, || {
            let mut lines = self.site.log_lines().split_off(self.lines);
            let end = lines.iter().position(|line| line["path"] == path)?;
            lines.truncate(end);
            Some((lines, self.lines + end + 1))
        });
        let (lines, all) = found.context("the log has no line of the next request")?;
        self.lines = all;
        Ok(lines)
    }

    /// Where the metrics say something else than what the clients saw.
    fn miscounted(&self) -> Option<String> {
        let metrics = self.site.plane.metrics();
        let prefix = "tidegate_generated_responses_total{reason=\"";
        let counted: BTreeMap<&str, u64> = metrics
            .lines()
            .filter_map(|line| line.strip_prefix(prefix)?.split_once("\"} "))
            .map(|(reason, count)| (reason, count.parse().unwrap()))
            .filter(|(_, count)| *count > 0)
            .collect();
        (counted != self.generated).then(|| format!("counted {counted:?} instead of {:?}", self.generated))
    }
}

/// Sends what the client of `case` sends and looks at what it gets.
fn converse(case: &Case, client: &mut RawClient, backend: &Backend, is_split: bool) -> Result<()> {
    let mut sends = case.sends.iter().peekable();
    for index in 0..=case.answers.len() {
        while let Some((_, bytes)) = sends.next_if(|(answers, _)| *answers == index) {
            // Who is refused early may not be able to send the rest.
            let _ = pieces(bytes, is_split).try_for_each(|piece| client.send(piece));
        }
        if sends.peek().is_none() && case.half_closes && index == 0 {
            client.half_close()?;
        }
        if let Some(expected) = case.answers.get(index) {
            let body = check_answer(client, backend, expected).with_context(|| format!("response {index}"))?;
            check_secret(case, &body)?;
        }
    }
    if case.is_kept || case.answers.last().is_some_and(|answer| !answer.is_whole) {
        return Ok(());
    }
    let rest = client.read_to_end().context("the connection does not end as it should")?;
    ensure!(rest.is_empty(), "there is more: {}", rest.escape_ascii());
    Ok(())
}

/// An attacker is not told what exactly was wrong.
fn check_secret(case: &Case, body: &[u8]) -> Result<()> {
    // Some details say no more than the reason.
    let detail = case.logged.1.filter(|detail| case.logged.0 != Some(detail));
    let is_told = detail.is_some_and(|detail| String::from_utf8_lossy(body).contains(detail));
    ensure!(!is_told, "the client is told {detail:?}");
    Ok(())
}

/// Reads a response and compares it; its body.
fn check_answer(client: &mut RawClient, backend: &Backend, expected: &Answer) -> Result<Vec<u8>> {
    let (head, body, trailers) = if expected.is_whole {
        let answer = client.read_response_to(expected.to)?;
        (answer.head, answer.body, answer.trailers)
    } else {
        let head = client.read_response_head()?;
        backend.head_is_read();
        is_cut(&head, client.read_to_end())?;
        (head, Vec::new(), Vec::new())
    };
    let first_line = format!("HTTP/1.1 {} ", expected.status);
    ensure!(head.first_line.starts_with(&first_line), "{:?} instead of {}", head.first_line, expected.status);
    let shown = head.raw.escape_ascii();
    for line in &expected.has {
        ensure!(sound::has_line(&head.raw, line), "no line {line:?}: {shown}");
    }
    for name in &expected.lacks {
        ensure!(head.field(name).is_none(), "a field {name}: {shown}");
    }
    sound::response(&head.raw, expected.status)?;
    if let Some(expected) = &expected.body {
        ensure!(body == expected.as_bytes(), "the body {:?}", body.escape_ascii().to_string());
    }
    if let Some(expected) = expected.trailers {
        ensure!(trailers == expected.as_bytes(), "the trailers {:?}", trailers.escape_ascii().to_string());
    }
    Ok(body)
}

/// Whether the client of a response that was cut off can tell.
fn is_cut(head: &harness::Head, rest: io::Result<Vec<u8>>) -> Result<()> {
    let rest = match rest {
        Ok(rest) => rest,
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(()),
        Err(error) => bail!("the connection does not end: {error}"),
    };
    let can_tell = match head.field("content-length") {
        Some(length) => rest.len() < length.parse()?,
        None => head.lists("transfer-encoding", "chunked") && !rest.ends_with(b"0\r\n\r\n"),
    };
    ensure!(can_tell, "it looks complete: {}", rest.escape_ascii());
    Ok(())
}

fn check_log(case: &Case, lines: &[Value]) -> Result<()> {
    let finals = case.answers.iter().filter(|answer| !matches!(answer.status, 100 | 102..200));
    let mut statuses: Vec<u16> = finals.map(|answer| answer.status).collect();
    if case.answers.is_empty() {
        statuses.push(499);
    }
    let logged: Vec<_> = lines.iter().map(|line| line["status"].as_u64().unwrap_or_default() as u16).collect();
    ensure!(logged == statuses, "the log has {logged:?} instead of {statuses:?}: {lines:?}");
    for (index, line) in lines.iter().enumerate() {
        let expected = if index + 1 == lines.len() { case.logged } else { (None, None) };
        let said = (line["reason"].as_str(), line["detail"].as_str());
        ensure!(said == expected, "the log says {said:?} instead of {expected:?}");
    }
    Ok(())
}

/// What came to the backend, with the probe, once that is all of `case` and the probe, or the deadline has passed.
fn wait_for_seen(backend: &Backend, case: &Case) -> Vec<Seen> {
    let is_there = |seen: &[Seen]| {
        // A request that is cut off may not have come at all; then no connection is left on which it could.
        let is_all = seen.len() > case.origin.len() || (case.has_cut() && backend.open() <= 1);
        is_all && seen.iter().any(Seen::is_probe)
    };
    within(DEADLINE, || is_there(&backend.seen()).then_some(()));
    backend.take()
}

fn check_origin(case: &Case, seen: &[Seen]) -> Result<()> {
    let (probes, seen): (Vec<&Seen>, Vec<&Seen>) = seen.iter().partition(|seen| seen.is_probe());
    let shown = || seen.iter().map(|seen| seen.bytes.escape_ascii().to_string()).collect::<Vec<_>>();
    // What is broken in the bytes that came with the head is found before any of it is sent on.
    let has_all = seen.len() == case.origin.len();
    let expected: Vec<_> = case.origin.iter().filter(|forwarded| has_all || forwarded.is_whole).collect();
    ensure!(seen.len() == expected.len(), "the backend saw {:?}", shown());
    for (seen, expected) in seen.iter().zip(expected) {
        check_forwarded(seen, expected).with_context(|| format!("the backend saw {}", seen.bytes.escape_ascii()))?;
    }
    if let (Some(is_kept), Some(last), [probe]) = (case.backend_is_kept, seen.last(), &probes[..]) {
        let was_kept = last.connection == probe.connection;
        ensure!(was_kept == is_kept, "the backend's connection was {}", if was_kept { "kept" } else { "not kept" });
    }
    Ok(())
}

fn check_forwarded(seen: &Seen, expected: &Forwarded) -> Result<()> {
    let (head, body) = seen.parts();
    ensure!(head.starts_with(format!("{}\r\n", expected.line).as_bytes()), "not the line {:?}", expected.line);
    for line in &expected.has {
        ensure!(sound::has_line(head, line), "no line {line:?}");
    }
    let lines = sound::request(head)?;
    for name in &expected.lacks {
        ensure!(!lines.iter().any(|(field, _)| field.eq_ignore_ascii_case(name)), "a field {name}");
    }
    ensure!(seen.is_whole == expected.is_whole, "that is {}", if seen.is_whole { "whole" } else { "cut off" });
    ensure!(!expected.is_whole || body == expected.body, "another body than {}", expected.body.escape_ascii());
    Ok(())
}
