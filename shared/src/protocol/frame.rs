use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use super::{BodyHash, InstanceId, Revision, StoreId};
use crate::{
    Findings,
    config::{Config, SCHEMA},
    document,
    status::{BudgetStatus, EndpointStatus, Event},
    value::{ListenAddress, Name},
};

/// What a data plane says to the control plane.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToControl {
    /// The first frame of a connection, and only the first.
    Hello(Hello),
    /// The answer to [`ToData::Check`] and to [`Command::ResetBreaker`].
    Checked(Checked),
    /// A snapshot acts on traffic.
    Applied(Applied),
    /// A snapshot was refused; the old one stays.
    Rejected(Rejected),
    /// A snapshot lies on the data plane's disk.
    Persisted(Persisted),
    /// What changed in the live state since the last report.
    Report(Report),
}

/// What the control plane says to a data plane.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToData {
    /// Would this configuration apply here? Listeners are bound and held for [`Check::HOLD`].
    Check(Check),
    /// The newest configuration.
    Snapshot(Snapshot),
    /// What travels beside snapshots: it replaces what was sent before.
    Material(Material),
    /// Something to do once that is no configuration.
    Command(Command),
}

/// Who dials, and what it has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    /// [`super::VERSION`] of the data plane.
    pub protocol: u32,
    /// [`SCHEMA`] of the data plane.
    pub schema: u32,
    /// The data plane's version, for people.
    pub version: String,
    /// Which data plane this is.
    pub instance: InstanceId,
    /// What acts on its traffic; none at a first start.
    pub applied: Option<Held>,
    /// The revision on its disk.
    pub persisted: Option<Revision>,
}

/// A configuration that a data plane holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The database that it comes from.
    pub store: StoreId,
    /// Its number there.
    pub revision: Revision,
    /// The hash of its body.
    pub hash: BodyHash,
}

/// Asks whether a configuration would apply.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Check {
    /// Comes back in [`Checked::id`].
    pub id: u64,
    /// The configuration as JSON.
    pub body: Box<RawValue>,
}

impl Check {
    /// How long a data plane holds the sockets that it bound for a check.
    pub const HOLD: std::time::Duration = std::time::Duration::from_secs(5);
}

/// Whether a configuration would apply, or a command was carried out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Checked {
    /// [`Check::id`], or that of the command.
    pub id: u64,
    /// Why it would not, or was not; pointers into the configuration.
    pub findings: Findings,
    /// Listeners that could not be bound.
    pub listeners: Vec<ListenerFault>,
}

/// One revision of the configuration.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Snapshot {
    /// The database that it comes from.
    pub store: StoreId,
    /// Its number there.
    pub revision: Revision,
    /// [`BodyHash::of`] the bytes of `body`.
    pub hash: BodyHash,
    /// [`SCHEMA`] of the sender, for messages: a field that the receiver does not know is refused by its pointer anyway.
    pub schema: u32,
    /// Whether it replaces another store's configuration, or a higher revision: only after an operator said so.
    #[serde(default)]
    pub adopt: bool,
    /// The configuration as JSON, fields at their default left out.
    pub body: Box<RawValue>,
}

impl Snapshot {
    /// The snapshot of `config` as revision `revision` of `store`.
    pub fn new(store: StoreId, revision: Revision, config: &Config) -> Self {
        let body = serde_json::value::to_raw_value(config).expect("configuration types have string keys only");
        Self { store, revision, hash: BodyHash::of(body.get().as_bytes()), schema: SCHEMA, adopt: false, body }
    }

    /// Store, revision and hash.
    pub fn held(&self) -> Held {
        Held { store: self.store, revision: self.revision, hash: self.hash }
    }

    /// Reads the configuration, after the hash.
    ///
    /// # Errors
    /// Findings: the hash differs, or the body is no configuration. It is not validated yet.
    pub fn config(&self) -> Result<Config, Findings> {
        if BodyHash::of(self.body.get().as_bytes()) != self.hash {
            return Err(Findings::of_error("", "the snapshot's body does not have the hash that it came with"));
        }
        document::from_json(self.body.get().as_bytes())
    }
}

/// What travels beside snapshots and is no configuration. The whole of it is sent each time.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Material {
    /// The database that it comes from: material of another one than the snapshot's does not belong to it.
    pub store: StoreId,
    /// Secrets by the id under which the configuration names them; the bytes in base64.
    pub secrets: BTreeMap<String, String>,
}

impl fmt::Debug for Material {
    // Secrets stay out of logs, whoever prints the frame.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Material")
            .field("store", &self.store)
            .field("secrets", &self.secrets.len())
            .finish_non_exhaustive()
    }
}

/// Something to do once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Send [`Report`]s of the whole live state now.
    Report,
    /// Close the breakers of all endpoints of a backend, as if no call had ever been made. Answered by [`ToControl::Checked`]: findings
    /// say why none was.
    ResetBreaker {
        /// Comes back in [`Checked::id`].
        id: u64,
        /// The upstream.
        upstream: Name,
        /// The backend.
        backend: Name,
    },
}

/// A snapshot acts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Applied {
    /// Which.
    pub revision: Revision,
    /// The hash of its body.
    pub hash: BodyHash,
    /// From frame to last worker, in microseconds.
    pub duration_us: u64,
    /// Listeners of it that could not be bound; they are retried.
    pub listeners: Vec<ListenerFault>,
}

/// A listener that is not accepting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ListenerFault {
    /// Its name.
    pub name: Name,
    /// Where it should be bound.
    pub address: ListenAddress,
    /// Why it is not.
    pub error: String,
}

/// A snapshot was refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rejected {
    /// Which.
    pub revision: Revision,
    /// Why; pointers into the configuration.
    pub findings: Findings,
}

/// A snapshot lies on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Persisted {
    /// Which.
    pub revision: Revision,
}

/// Live state of a data plane: what changed since the report before. What there is much of comes in several reports.
///
/// One is sent every second, even if nothing changed, and another one at most 100 ms after a transition.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Listeners that are not accepting now.
    pub listeners: Vec<ListenerFault>,
    /// Reports that could not be sent whole because the control plane read too slowly, since the connection began. What they
    /// lacked comes in later ones.
    pub dropped: u64,
    /// Whether this is the first report of the whole state: what was reported of upstreams before is forgotten.
    #[serde(default)]
    pub whole: bool,
    /// Upstreams that are no more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<Name>,
    /// Upstreams that changed; at most [`Self::MAX_ENDPOINTS`] endpoints in all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub upstreams: Vec<UpstreamChange>,
    /// Transitions since the report before, the oldest first; at most [`Self::MAX_EVENTS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "readable")]
    pub events: Vec<Event>,
    /// Transitions that no report told of, since the process began.
    #[serde(default)]
    pub events_lost: u64,
}

impl Report {
    /// Most endpoints in one report, which keeps it far below [`super::MAX_FRAME`].
    pub const MAX_ENDPOINTS: usize = 256;
    /// Most events in one report.
    pub const MAX_EVENTS: usize = 256;
    /// Most upstreams in one report, and most names of removed ones.
    pub const MAX_UPSTREAMS: usize = 1_000;
}

/// What changed of an upstream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UpstreamChange {
    /// Its name.
    pub upstream: Name,
    /// As in [`UpstreamStatus`](crate::status::UpstreamStatus).
    #[serde(default)]
    pub retry_budget: BudgetStatus,
    /// Endpoints that changed.
    #[serde(default, deserialize_with = "readable")]
    pub endpoints: Vec<EndpointStatus>,
    /// Endpoints that are no more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gone: Vec<EndpointName>,
}

/// Those of a list that can be read: a newer data plane may have states that are not known here, and its configuration must get
/// through all the same.
fn readable<'de, T: DeserializeOwned, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    let items = Vec::<Box<RawValue>>::deserialize(deserializer)?;
    Ok(items.iter().filter_map(|item| serde_json::from_str(item.get()).ok()).collect())
}

/// Which endpoint of an upstream.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EndpointName {
    /// Its backend.
    pub backend: Name,
    /// Its address.
    pub address: String,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_report_with_unknown_states_is_read_without_them() {
        let since = "2027-01-01T00:00:00Z";
        let endpoint = |state: &str| {
            json!({
                "backend": "b", "address": "127.0.0.1:1", "weight": 1.0, "backup": false, "state": state, "reason": "r",
                "since": since, "admin": "active", "health": { "state": "unchecked", "since": since },
                "breaker": {
                    "state": "closed", "since": since, "calls": 0, "failed": 0, "slow": 0, "permits": 0,
                    "consecutive_openings": 0,
                },
                "load": { "hops": 3 },
            })
        };
        let event = |input: &str| {
            json!({
                "upstream": "u", "backend": "b", "address": "127.0.0.1:1", "at": since, "input": input, "from": "a",
                "to": "b", "reason": "r",
            })
        };
        let report = json!({ "report": {
            "listeners": [], "dropped": 0, "events": [event("health"), event("weather")],
            "upstreams": [{ "upstream": "u", "endpoints": [endpoint("serving"), endpoint("dreaming")] }],
        } });
        let read = serde_json::from_slice(report.to_string().as_bytes()).unwrap();
        let ToControl::Report(report) = read else { panic!("a report") };
        assert_eq!((report.upstreams[0].endpoints.len(), report.events.len()), (1, 1));
    }
}
