//! `tidegate events`: what happened, and with `--follow` what happens, one line each.

use std::{io::BufRead, process::ExitCode, thread::park_timeout, time::Duration};

use clap::Args;
use serde_json::{Value, json};

use crate::{
    client::{Client, escaped},
    failure::Failure,
    output::{self, Format, cell, printable},
};

/// Which events.
#[derive(Args)]
pub(crate) struct Options {
    /// Go on with what is to come, until Ctrl-C.
    #[arg(short, long)]
    follow: bool,
    /// Only transitions of this upstream.
    #[arg(short, long, value_name = "NAME")]
    upstream: Option<String>,
    /// Begin behind the event of this id; left out, with the oldest that is kept.
    #[arg(long, value_name = "ID", default_value = "0")]
    after: u64,
}

/// How long to wait until a stream that ended is opened again.
const PAUSE: Duration = Duration::from_secs(1);

/// Prints events.
pub(crate) fn run(client: &Client, options: &Options, format: Format) -> Result<ExitCode, Failure> {
    let mut after = options.after;
    let mut stream = open(client, options, after)?;
    loop {
        let ended = print_all(&mut stream, &mut after, format)?;
        if !options.follow {
            // All that there was, or not: then it is no success.
            return ended.map_or(Ok(ExitCode::SUCCESS), |error| Err(Failure::Unreachable(error.to_string())));
        }
        // The control plane ended, or this was too slow, or the network failed. It goes on where it was.
        stream = loop {
            park_timeout(PAUSE);
            match open(client, options, after) {
                Ok(stream) => break stream,
                Err(Failure::Unreachable(_)) => {}
                Err(failure) => return Err(failure),
            }
        };
    }
}

fn open(client: &Client, options: &Options, after: u64) -> Result<impl BufRead, Failure> {
    let upstream = options.upstream.as_ref().map(|name| format!("&upstream={}", escaped(name)));
    let upstream = upstream.unwrap_or_default();
    client.stream(&format!("events?after={after}&follow={}{upstream}", options.follow))
}

/// Prints what `stream` brings until it ends; with the error, if it ended by one. `after` becomes the id of the last event.
fn print_all(stream: &mut impl BufRead, after: &mut u64, format: Format) -> Result<Option<std::io::Error>, Failure> {
    let (mut event, mut id, mut data) = (String::new(), None, String::new());
    let mut line = String::new();
    loop {
        line.clear();
        match stream.read_line(&mut line) {
            Ok(0) => return Ok(None),
            Ok(_) => {}
            Err(error) => return Ok(Some(error)),
        }
        match line.trim_end_matches(['\r', '\n']).split_once(": ") {
            Some(("event", text)) => text.clone_into(&mut event),
            Some(("id", text)) => id = text.parse().ok(),
            Some(("data", text)) => text.clone_into(&mut data),
            Some(_) => {}
            // A blank line ends an event; a comment has no data.
            None if data.is_empty() => {}
            None => {
                let value = serde_json::from_str(&data).unwrap_or(Value::Null);
                print(&event, value, format)?;
                *after = id.take().unwrap_or(*after);
                data.clear();
            }
        }
    }
}

fn print(event: &str, data: Value, format: Format) -> Result<(), Failure> {
    // `missed` is of the stream, not in it, and its data does not name it.
    let data = if event == "missed" { json!({ "event": event, "missed": data["missed"] }) } else { data };
    match format {
        Format::Table => output::print(&line(&data)),
        Format::Json => output::print(&data.to_string()),
        Format::Yaml => output::print(&format!("---\n{}", shared::document::to_yaml(&data).map_err(Failure::Failed)?)),
    }
}

/// An event in one line for people.
fn line(data: &Value) -> String {
    let of = |member: &str| cell(data.get(member));
    let plane: String = of("data_plane").chars().take(8).collect();
    let event = of("event");
    let what = match event.as_str() {
        "missed" => {
            return match data["missed"].as_u64() {
                Some(count) => format!("{count} events were missed"),
                None => "events were missed: the control plane was started anew".to_owned(),
            };
        }
        "transition" => format!(
            "{}/{} {} {} {} -> {} ({})",
            of("upstream"),
            of("backend"),
            of("address"),
            of("input"),
            of("from"),
            of("to"),
            of("reason")
        ),
        "revision_committed" => format!("revision {} committed", of("revision")),
        "revision_applied" => format!("revision {} applied in {} us", of("revision"), of("duration_us")),
        "revision_rejected" => format!("revision {} rejected: {}", of("revision"), of("reason")),
        "data_plane_connected" => format!("data plane connected, version {}", of("version")),
        "data_plane_disconnected" => "data plane disconnected".to_owned(),
        "transitions_lost" => format!("{} transitions lost", of("count")),
        // Of a newer control plane.
        _ => printable(&data.to_string()),
    };
    format!("{}  {plane:8}  {what}", of("at"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_event_is_one_line() {
        for (data, expected) in [
            (
                json!({
                    "at": "2027-01-01T00:00:00Z", "data_plane": "0123456789ab", "event": "transition", "upstream": "shop",
                    "backend": "a", "address": "127.0.0.1:1", "input": "breaker", "from": "closed", "to": "open",
                    "reason": "failure_rate",
                }),
                "2027-01-01T00:00:00Z  01234567  shop/a 127.0.0.1:1 breaker closed -> open (failure_rate)",
            ),
            (
                json!({ "at": "2027-01-01T00:00:00Z", "event": "revision_committed", "revision": 7 }),
                "2027-01-01T00:00:00Z  -         revision 7 committed",
            ),
            (json!({ "event": "missed", "missed": 3 }), "3 events were missed"),
            (json!({ "event": "missed", "missed": null }), "events were missed: the control plane was started anew"),
        ] {
            assert_eq!(line(&data), expected);
        }
        assert!(line(&json!({ "event": "new_thing", "text": "a\u{1b}b" })).contains("new_thing"));
    }

    #[test]
    fn the_last_id_is_remembered() {
        let mut after = 5;
        let mut stream: &[u8] = b"retry: 1000\n\n: alive\n\nid: 6\nevent: missed\ndata: {\"missed\":1}\n\n";
        assert!(print_all(&mut stream, &mut after, Format::Json).unwrap().is_none());
        assert_eq!(after, 6);
        stream = b"id: 7\nevent: x\ndata: {}\n\nid: 8\n";
        assert!(print_all(&mut stream, &mut after, Format::Json).unwrap().is_none());
        assert_eq!(after, 7);
    }
}
