//! `tidegate status`: does every data plane serve the current revision?

use std::process::ExitCode;

use serde_json::{Value, json};

use crate::{
    client::Client,
    failure::Failure,
    output::{self, Column, Format, cell},
};

/// What a data plane's row shows.
pub(crate) const COLUMNS: [Column; 5] = [
    ("DATA PLANE", "/id"),
    ("STATE", "/state"),
    ("APPLIED", "/applied_revision"),
    ("PERSISTED", "/persisted_revision"),
    ("CONNECTED SINCE", "/connected_since"),
];

/// Prints the state of everything; exit code 1 if something is not well.
pub(crate) fn run(client: &Client, format: Format) -> Result<ExitCode, Failure> {
    let revision = client.head("config")?.revision.unwrap_or(0);
    let data_planes = client.data_planes()?;
    let problems = problems(revision, &data_planes);
    let well = problems.is_empty();
    if format == Format::Table {
        output::print(&format!("revision {revision}"))?;
        if !data_planes.is_empty() {
            output::list(data_planes, &COLUMNS, format)?;
        }
        let verdict = if well { "all well".to_owned() } else { problems.join("\n") };
        output::print(&verdict)?;
    } else {
        let status = json!({ "revision": revision, "well": well, "problems": problems, "data_planes": data_planes });
        output::document(&status, format)?;
    }
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// One sentence for each thing that is not well.
fn problems(revision: u64, data_planes: &[Value]) -> Vec<String> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connected_data_plane_at_the_current_revision_is_well() {
        for applied in [7, 8] {
            let plane = json!({ "id": "a", "state": "connected", "foreign": false, "applied_revision": applied });
            assert_eq!(problems(7, &[plane]), Vec::<String>::new());
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
            problems(7, &[plane]),
            [
                "data plane a serves revision 6, not 7",
                "data plane a rejected revision 7: /routes/0: bad",
                "data plane a: listener web (0.0.0.0:80) does not accept: in use",
            ]
        );
        assert_eq!(problems(1, &[]).len(), 1);
        let gone = json!({ "id": "a", "state": "disconnected", "disconnected_at": "2027-01-01T00:00:00Z" });
        assert_eq!(problems(1, &[gone]), ["data plane a is not connected since 2027-01-01T00:00:00Z"]);
        let foreign = json!({ "id": "a", "state": "connected", "foreign": true, "foreign_reason": "another store" });
        assert!(problems(1, &[foreign])[0].contains("another store"));
    }
}
