//! What is not well, one sentence each.

use serde_json::Value;

use crate::output::{self, cell};

/// Sentences that are printed; of more there is only the number.
const LISTED: usize = 20;

/// The first of `problems`, and how many more there are.
pub(super) fn listed(problems: &[String]) -> Vec<String> {
    let mut listed: Vec<String> = problems.iter().take(LISTED).cloned().collect();
    if let Some(more) = problems.len().checked_sub(LISTED).filter(|more| *more > 0) {
        listed.push(format!("and {more} more"));
    }
    listed
}

/// Endpoints that take nothing, though the operator wants them to, as the connected data planes see them.
pub(super) fn of_endpoints(upstreams: &[Value]) -> Vec<String> {
    let mut problems = Vec::new();
    for upstream in upstreams {
        let name = cell(upstream.get("upstream"));
        for plane in list(upstream, "data_planes").filter(|plane| plane["state"] == "connected") {
            let id = cell(plane.get("data_plane"));
            if plane["panic"] == true {
                problems.push(format!(
                    "upstream {name}: all endpoints fail their checks and are used all the same (data plane {id})"
                ));
            }
            for endpoint in list(plane, "endpoints") {
                if endpoint["state"] == "unhealthy" || endpoint["state"] == "breaker_open" {
                    let [backend, address, state, reason, since] =
                        ["backend", "address", "state", "reason", "since"].map(|member| cell(endpoint.get(member)));
                    problems.push(format!(
                        "upstream {name}: backend {backend} ({address}) is {state} since {since}: {reason} (data plane {id})"
                    ));
                }
            }
        }
    }
    problems
}

/// What is not well with the data planes, one sentence for each thing.
pub(super) fn of_data_planes(revision: u64, data_planes: &[Value]) -> Vec<String> {
    let mut problems = Vec::new();
    if data_planes.is_empty() {
        problems.push("no data plane is connected: start one with `tidegate dataplane`".to_owned());
    }
    for plane in data_planes {
        let id = cell(plane.get("id"));
        let connected = plane.get("state").and_then(Value::as_str) == Some("connected");
        let foreign = plane.get("foreign").and_then(Value::as_bool) == Some(true);
        // A later one than was asked for a moment ago is well, too.
        let behind = plane.get("applied_revision").and_then(Value::as_u64).unwrap_or(0) < revision;
        if !connected {
            problems.push(format!("data plane {id} is not connected since {}", cell(plane.get("disconnected_at"))));
        } else if foreign {
            let reason = cell(plane.get("foreign_reason"));
            problems.push(format!(
                "data plane {id} keeps a configuration that is not this store's ({reason}): \
                 POST /api/v1/data-planes/{id}/adopt replaces it"
            ));
        } else if behind {
            let serves = cell(plane.get("applied_revision"));
            problems.push(format!("data plane {id} serves revision {serves}, not {revision}"));
        }
        if let Some(rejection) = plane.get("last_rejection").filter(|rejection| !rejection.is_null()) {
            let findings = rejection.get("findings").cloned().unwrap_or_default();
            let findings: shared::Findings = serde_json::from_value(findings).unwrap_or_default();
            let findings = output::printable(&findings.to_string());
            problems.push(format!("data plane {id} rejected revision {}: {findings}", cell(rejection.get("revision"))));
        }
        for fault in plane.get("listeners").and_then(Value::as_array).into_iter().flatten() {
            let [name, address, error] = ["name", "address", "error"].map(|member| cell(fault.get(member)));
            problems.push(format!("data plane {id}: listener {name} ({address}) does not accept: {error}"));
        }
    }
    problems
}

fn list<'a>(value: &'a Value, member: &str) -> impl Iterator<Item = &'a Value> {
    value.get(member).and_then(Value::as_array).into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_connected_data_plane_at_the_current_revision_is_well() {
        for applied in [7, 8] {
            let plane = json!({ "id": "a", "state": "connected", "foreign": false, "applied_revision": applied });
            assert_eq!(of_data_planes(7, &[plane]), Vec::<String>::new());
        }
    }

    #[test]
    fn each_fault_is_named() {
        let plane = json!({
            "id": "a", "state": "connected", "foreign": false, "applied_revision": 6,
            "last_rejection": { "revision": 7, "findings": [{ "severity": "error", "pointer": "/routes/0", "message": "bad" }] },
            "listeners": [{ "name": "web", "address": "0.0.0.0:80", "error": "in use" }],
        });
        assert_eq!(
            of_data_planes(7, &[plane]),
            [
                "data plane a serves revision 6, not 7",
                "data plane a rejected revision 7: /routes/0: bad",
                "data plane a: listener web (0.0.0.0:80) does not accept: in use",
            ]
        );
        assert_eq!(of_data_planes(1, &[]).len(), 1);
        let gone = json!({ "id": "a", "state": "disconnected", "disconnected_at": "2027-01-01T00:00:00Z" });
        assert_eq!(of_data_planes(1, &[gone]), ["data plane a is not connected since 2027-01-01T00:00:00Z"]);
        let foreign = json!({ "id": "a", "state": "connected", "foreign": true, "foreign_reason": "another store" });
        assert!(of_data_planes(1, &[foreign])[0].contains("another store"));
    }

    #[test]
    fn endpoints_that_take_nothing_are_named_and_those_that_the_operator_took_out_are_not() {
        let endpoint = |state: &str| {
            json!({
                "backend": "a", "address": "127.0.0.1:1", "state": state, "reason": "why", "since": "2027-01-01T00:00:00Z",
            })
        };
        let plane = |state: &str, panic: bool, endpoints: Value| json!({ "data_plane": "p", "state": state, "panic": panic, "endpoints": endpoints });
        let of = |plane: Value| of_endpoints(&[json!({ "upstream": "u", "data_planes": [plane] })]);
        for (state, count) in
            [("serving", 0), ("probing", 0), ("draining", 0), ("disabled", 0), ("unhealthy", 1), ("breaker_open", 1)]
        {
            assert_eq!(of(plane("connected", false, json!([endpoint(state)]))).len(), count, "{state}");
        }
        assert_eq!(
            of(plane("connected", false, json!([endpoint("breaker_open")]))),
            ["upstream u: backend a (127.0.0.1:1) is breaker_open since 2027-01-01T00:00:00Z: why (data plane p)"]
        );
        assert_eq!(of(plane("connected", true, json!([endpoint("panic")]))).len(), 1);
        // Nobody knows what it is now; that the data plane is gone is said already.
        assert!(of(plane("disconnected", true, json!([endpoint("unhealthy")]))).is_empty());
    }

    #[test]
    fn very_many_are_counted() {
        let problems: Vec<String> = (0..23).map(|number| number.to_string()).collect();
        let listed = listed(&problems);
        assert_eq!((listed.len(), listed[20].as_str()), (21, "and 3 more"));
        assert_eq!(super::listed(&problems[..20]).len(), 20);
    }
}
