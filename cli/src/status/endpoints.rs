//! The table of endpoints.

use serde_json::Value;
use shared::value::Timestamp;

use crate::output::{self, cell};

const TITLES: [&str; 17] = [
    "UPSTREAM",
    "BACKEND",
    "ADDRESS",
    "STATE",
    "REASON",
    "SINCE",
    "IN FLIGHT",
    "QUEUED",
    "REQ/S",
    "REQUESTS",
    "FAILED",
    "P50",
    "P99",
    "EWMA",
    "BUSY",
    "IDLE",
    "SESSIONS",
];
/// The title and the place of the column that is there when there are several data planes.
const DATA_PLANE: (usize, &str) = (3, "DATA PLANE");

/// One row for each endpoint on each data plane; nothing if there are none.
pub(super) fn table(upstreams: &[Value]) -> String {
    let now = Timestamp::now();
    let list = |value: &'static str| move |parent: &Value| parent.get(value).and_then(Value::as_array).cloned();
    let mut rows = Vec::new();
    let mut planes = std::collections::BTreeSet::new();
    for upstream in upstreams {
        for plane in list("data_planes")(upstream).into_iter().flatten() {
            // Eight digits tell data planes apart, and fit.
            let id: String = cell(plane.get("data_plane")).chars().take(8).collect();
            let is_connected = plane["state"] == "connected";
            for endpoint in list("endpoints")(&plane).into_iter().flatten() {
                rows.push((id.clone(), row(&cell(upstream.get("upstream")), &endpoint, is_connected, now)));
            }
            planes.insert(id);
        }
    }
    if rows.is_empty() {
        return String::new();
    }
    let mut titles = TITLES.to_vec();
    if planes.len() > 1 {
        titles.insert(DATA_PLANE.0, DATA_PLANE.1);
        rows.iter_mut().for_each(|(id, row)| row.insert(DATA_PLANE.0, id.clone()));
    }
    let rows: Vec<_> = rows.into_iter().map(|(_, row)| row).collect();
    output::table(&titles, &rows)
}

fn row(upstream: &str, endpoint: &Value, is_connected: bool, now: Timestamp) -> Vec<String> {
    let of = |member: &str| cell(endpoint.get(member));
    let load = |member: &str| endpoint["load"].get(member);
    let number = |member: &str| cell(load(member));
    let mut row = vec![upstream.to_owned(), of("backend"), of("address")];
    if !is_connected {
        // What it was when it was heard of last is no state.
        row.extend(["unknown".to_owned(), "disconnected".to_owned()]);
        row.extend(std::iter::repeat_n("-".to_owned(), TITLES.len() - row.len()));
        return row;
    }
    row.extend([
        of("state"),
        of("reason"),
        since(endpoint.get("since"), now),
        number("in_flight"),
        number("queued"),
        load("requests_per_second").and_then(Value::as_f64).map_or_else(|| "-".to_owned(), |rate| format!("{rate:.1}")),
        number("requests"),
        number("failures"),
        latency(load("latency_p50_us")),
        latency(load("latency_p99_us")),
        latency(load("latency_ewma_us")),
        number("connections_busy"),
        number("connections_idle"),
        number("sessions"),
    ]);
    row
}

/// How long ago a moment was, in its largest unit.
fn since(moment: Option<&Value>, now: Timestamp) -> String {
    let Some(moment) = moment.and_then(Value::as_str).and_then(|text| text.parse::<Timestamp>().ok()) else {
        return "-".to_owned();
    };
    let seconds = (now.as_millis() - moment.as_millis()).max(0) / 1000;
    match seconds {
        0..=119 => format!("{seconds}s"),
        120..=7199 => format!("{}m", seconds / 60),
        7200..=172_799 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// Microseconds in a unit that people read.
fn latency(micros: Option<&Value>) -> String {
    match micros.and_then(Value::as_u64) {
        None => "-".to_owned(),
        Some(micros @ 0..=999) => format!("{micros}us"),
        Some(micros @ 1000..=999_999) => format!("{:.1}ms", micros as f64 / 1e3),
        Some(micros) => format!("{:.1}s", micros as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn moments_and_latencies_are_short() {
        let now: Timestamp = "2027-01-03T00:00:00Z".parse().unwrap();
        for (moment, expected) in [
            ("2027-01-03T00:00:00Z", "0s"),
            ("2027-01-02T23:58:01Z", "119s"),
            ("2027-01-02T23:00:00Z", "60m"),
            ("2027-01-02T00:00:00Z", "24h"),
            ("2026-12-30T00:00:00Z", "4d"),
            ("2027-01-04T00:00:00Z", "0s"),
            ("soon", "-"),
        ] {
            assert_eq!(since(Some(&json!(moment)), now), expected, "{moment}");
        }
        for (micros, expected) in [(7, "7us"), (1500, "1.5ms"), (999_999, "1000.0ms"), (2_500_000, "2.5s")] {
            assert_eq!(latency(Some(&json!(micros))), expected);
        }
    }

    #[test]
    fn data_planes_have_a_column_when_there_are_several() {
        let plane = |id: &str, state: &str| {
            json!({ "data_plane": id, "state": state, "endpoints": [{
                "backend": "a", "address": "127.0.0.1:1", "state": "serving", "reason": "active",
                "load": { "in_flight": 1, "queued": 0, "requests": 7, "requests_per_second": 2.0, "failures": 0,
                    "connections_busy": 1, "connections_idle": 3, "latency_ewma_us": 250, "sessions": 9 },
            }] })
        };
        let words = |table: &str| -> Vec<Vec<String>> {
            table.lines().map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
        };
        let one = table(&[json!({ "upstream": "u", "data_planes": [plane("0123456789", "connected")] })]);
        assert_eq!(words(&one)[1].join(" "), "u a 127.0.0.1:1 serving active - 1 0 2.0 7 0 - - 250us 1 3 9");
        let planes = [plane("0123456789", "connected"), plane("9876543210", "disconnected")];
        let two = table(&[json!({ "upstream": "u", "data_planes": planes })]);
        assert_eq!(words(&two)[1][..4], ["u", "a", "127.0.0.1:1", "01234567"]);
        assert_eq!(words(&two)[2].join(" "), "u a 127.0.0.1:1 98765432 unknown disconnected - - - - - - - - - - - -");
        assert_eq!(table(&[json!({ "upstream": "u", "data_planes": [] })]), "");
    }
}
