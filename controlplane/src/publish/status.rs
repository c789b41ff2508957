use serde::Serialize;
use utoipa::ToSchema;

use shared::{
    protocol::InstanceId,
    status::{BudgetStatus, EndpointStatus},
    value::{Name, Timestamp},
};

use super::DataPlaneState;

/// The live state of one upstream on all data planes.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct UpstreamLive {
    /// The upstream's name.
    pub upstream: Name,
    /// What each data plane reported of it, in order of their ids. Those that do not serve it (yet) are left out.
    pub data_planes: Vec<DataPlaneLive>,
}

/// An upstream as one data plane sees it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct DataPlaneLive {
    /// The data plane's id.
    pub data_plane: InstanceId,
    /// Whether it is connected. If it is not, this is what it reported last.
    pub state: DataPlaneState,
    /// When it reported last, by the control plane's clock. It does every second.
    pub reported_at: Timestamp,
    /// How long ago that was, in milliseconds.
    pub age_ms: u64,
    /// Whether all endpoints fail their checks and are used all the same.
    pub panic: bool,
    /// The retries that may still be spent.
    pub retry_budget: BudgetStatus,
    /// The endpoints by backend, then address.
    pub endpoints: Vec<EndpointStatus>,
}
