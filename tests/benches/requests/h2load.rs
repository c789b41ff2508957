//! The load of workloads over HTTP/2: h2load, with one thread.

use std::{io::Write, process::Command};

use anyhow::{Context, ensure};

use crate::{workload::Workload, wrk::Done};

/// Says what to install if h2load is missing.
pub(crate) fn check() -> anyhow::Result<()> {
    Command::new("h2load")
        .arg("--version")
        .output()
        .context("h2load makes the load over HTTP/2, and does not run: apt-get install nghttp2-client")?;
    Ok(())
}

/// Sends the requests of `workload`, `streams` at a time on each connection, to `address` for `seconds`.
pub(crate) fn run(workload: &Workload, streams: u32, address: &str, seconds: u64) -> anyhow::Result<Done> {
    let mut command = Command::new("h2load");
    command.args([
        "-t1",
        "-c",
        &workload.connections.to_string(),
        "-m",
        &streams.to_string(),
        "-D",
        &seconds.to_string(),
    ]);
    for field in workload.fields {
        command.args(["-H", field]);
    }
    let mut body = tempfile::NamedTempFile::new().context("a temporary file")?;
    if workload.body > 0 {
        // A message of gRPC: not compressed, its length, its bytes.
        let length = u32::try_from(workload.body).context("a length of 32 bits")?;
        body.write_all(&[&[0], &length.to_be_bytes()[..], &vec![b'x'; workload.body]].concat())?;
        command.arg("-d").arg(body.path());
    }
    let output = command.arg(format!("http://{address}{}", workload.path)).output().context("h2load does not run")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line =
        text.lines().find_map(|line| line.strip_prefix("requests: ")).with_context(|| format!("h2load said {text}"))?;
    let count =
        |what: &str| -> Option<u64> { line.split(", ").find_map(|part| part.strip_suffix(what)?.trim().parse().ok()) };
    let (requests, failed) = (count("succeeded").unwrap_or(0), count("failed").unwrap_or(u64::MAX));
    // nginx in front of HTTP/2 fails a call now and then, when its origin answers before it has read the message.
    ensure!(failed * 100 <= requests && requests > 0, "h2load said {line}");
    let traffic = text.lines().find_map(|line| line.strip_prefix("traffic: ")).unwrap_or_default();
    let bytes = traffic.split(['(', ')']).nth(1).and_then(|bytes| bytes.parse().ok()).unwrap_or(0);
    Ok(Done { requests, bytes })
}
