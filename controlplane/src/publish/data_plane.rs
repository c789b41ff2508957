use serde::Serialize;
use utoipa::ToSchema;

use shared::{
    Findings,
    protocol::{BodyHash, InstanceId, ListenerFault, Revision, StoreId},
    value::Timestamp,
};

/// A data plane, as it last described itself.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct DataPlane {
    /// Its stable id, made once per state directory.
    pub id: InstanceId,
    /// Its version, for people; at most 64 bytes.
    pub version: String,
    /// The number of the configuration schema that it knows.
    pub schema: u32,
    /// The version of the snapshot protocol that it speaks.
    pub protocol: u32,
    /// Whether it is connected now.
    pub state: DataPlaneState,
    /// Whether it holds a configuration that is not this store's: it is sent nothing until it is adopted.
    pub foreign: bool,
    /// Why it is foreign, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub foreign_reason: Option<String>,
    /// The store whose configuration acts on its traffic; absent while it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applied_store: Option<StoreId>,
    /// The revision that acts on its traffic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applied_revision: Option<Revision>,
    /// The hash of that revision's body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applied_hash: Option<BodyHash>,
    /// When it said that it applied that revision; absent if it had it when it connected first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applied_at: Option<Timestamp>,
    /// How long it took from frame to last worker, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub apply_duration_us: Option<u64>,
    /// The revision on its disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub persisted_revision: Option<Revision>,
    /// The last revision that it refused, until it applies that one or a later one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_rejection: Option<Rejection>,
    /// Listeners that are not accepting, at most 256; they are retried.
    pub listeners: Vec<ListenerFault>,
    /// When its last connection began.
    pub connected_since: Timestamp,
    /// When its last connection ended; absent while it is connected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disconnected_at: Option<Timestamp>,
    /// When it last said anything.
    pub last_seen: Timestamp,
    /// Reports that it could not send whole since its last connection began, because the control plane read too slowly.
    pub dropped_reports: u64,
    /// Transitions of endpoints that no event tells of, since its process began.
    pub lost_events: u64,
}

/// Whether a data plane is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DataPlaneState {
    /// It is.
    Connected,
    /// It was, and may still serve traffic.
    Disconnected,
}

/// A snapshot that a data plane refused.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Rejection {
    /// Which.
    pub revision: Revision,
    /// Why; pointers into the configuration.
    pub findings: Findings,
    /// When.
    pub at: Timestamp,
}
