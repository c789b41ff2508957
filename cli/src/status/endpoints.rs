//! The tables of endpoints and of what upstreams may still retry.

use serde_json::Value;
use shared::value::Timestamp;

use crate::output::{self, cell};

const TITLES: [&str; 19] = [
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
    "WINDOW",
    "SLOW",
];
const BUDGET_TITLES: [&str; 4] = ["UPSTREAM", "RETRIES LEFT", "RETRIED", "REFUSED"];
/// The title of the column that is there when there are several data planes.
const DATA_PLANE: &str = "DATA PLANE";
/// Where that stands in the two tables.
const DATA_PLANE_AT: [usize; 2] = [3, 1];

/// One row for each endpoint on each data plane, then one for the retry budget of each upstream on each; nothing if there are none.
pub(super) fn tables(upstreams: &[Value]) -> String {
    let now = Timestamp::now();
    let list = |value: &'static str| move |parent: &Value| parent.get(value).and_then(Value::as_array).cloned();
    let (mut rows, mut budgets) = (Vec::new(), Vec::new());
    let mut planes = std::collections::BTreeSet::new();
    for upstream in upstreams {
        let name = cell(upstream.get("upstream"));
        for plane in list("data_planes")(upstream).into_iter().flatten() {
            // Eight digits tell data planes apart, and fit.
            let id: String = cell(plane.get("data_plane")).chars().take(8).collect();
            let is_connected = plane["state"] == "connected";
            let before = rows.len();
            for endpoint in list("endpoints")(&plane).into_iter().flatten() {
                rows.push((id.clone(), row(&name, &endpoint, is_connected, now)));
            }
            if rows.len() > before {
                budgets.push((id.clone(), budget_row(&name, &plane, is_connected)));
            }
            planes.insert(id);
        }
    }
    if rows.is_empty() {
        return String::new();
    }
    let tables = [(&TITLES[..], rows), (&BUDGET_TITLES[..], budgets)];
    let tables = tables.into_iter().zip(DATA_PLANE_AT).map(|((titles, rows), at)| {
        let mut titles = titles.to_vec();
        let mut rows = rows;
        if planes.len() > 1 {
            titles.insert(at, DATA_PLANE);
            rows.iter_mut().for_each(|(id, row)| row.insert(at, id.clone()));
        }
        let rows: Vec<_> = rows.into_iter().map(|(_, row)| row).collect();
        output::table(&titles, &rows)
    });
    tables.collect()
}

fn budget_row(upstream: &str, plane: &Value, is_connected: bool) -> Vec<String> {
    let number = |member: &str| {
        let shown = plane["retry_budget"].get(member).filter(|_| is_connected);
        cell(shown)
    };
    vec![upstream.to_owned(), number("available"), number("spent"), number("refused")]
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
        window(&endpoint["breaker"]),
        cell(endpoint["breaker"].get("slow")),
    ]);
    row
}

/// Failed calls in the window of a breaker, of how many.
fn window(breaker: &Value) -> String {
    match (breaker.get("failed"), breaker.get("calls")) {
        (Some(failed), Some(calls)) => format!("{failed}/{calls}"),
        _ => "-".to_owned(),
    }
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
                "breaker": { "state": "closed", "calls": 40, "failed": 3, "slow": 5 },
            }], "retry_budget": { "available": 31, "spent": 6, "refused": 4 } })
        };
        let words = |table: &str| -> Vec<Vec<String>> {
            table.lines().map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
        };
        let one = tables(&[json!({ "upstream": "u", "data_planes": [plane("0123456789", "connected")] })]);
        assert_eq!(words(&one)[1].join(" "), "u a 127.0.0.1:1 serving active - 1 0 2.0 7 0 - - 250us 1 3 9 3/40 5");
        assert_eq!(one.lines().nth(2).unwrap(), "UPSTREAM  RETRIES LEFT  RETRIED  REFUSED");
        assert_eq!(words(&one)[3], ["u", "31", "6", "4"]);
        let planes = [plane("0123456789", "connected"), plane("9876543210", "disconnected")];
        let two = tables(&[json!({ "upstream": "u", "data_planes": planes })]);
        assert_eq!(words(&two)[1][..4], ["u", "a", "127.0.0.1:1", "01234567"]);
        assert_eq!(
            words(&two)[2].join(" "),
            "u a 127.0.0.1:1 98765432 unknown disconnected - - - - - - - - - - - - - -"
        );
        assert_eq!(words(&two)[4], ["u", "01234567", "31", "6", "4"]);
        assert_eq!(words(&two)[5], ["u", "98765432", "-", "-", "-"]);
        assert_eq!(tables(&[json!({ "upstream": "u", "data_planes": [] })]), "");
    }
}
