//! What upstreams and endpoints are doing, as the REST API, the admin address and the command show it; and the event stream.

use std::{
    fs,
    process::Command,
    sync::{Condvar, Mutex},
};

use harness::{
    Api, ControlPlane, DEADLINE, DataPlane, EventStream, Origin, Process, RawClient, Reply, Terminal, Up, binary,
    free_port, get, wait_for,
};
use rustix::process::Signal;
use serde_json::{Value, json};

mod commands;
mod events;
mod reported;

/// A listener at `web`, and a route for everything to the upstream `shop` of the backends `a`, `b`, … at `addresses`.
fn site(web: &str, addresses: &[&str]) -> Value {
    let backends = ["a", "b", "c"].iter().zip(addresses);
    let backends: Vec<_> = backends.map(|(name, address)| json!({ "name": name, "address": address })).collect();
    json!({
        "listeners": [{ "name": "web", "address": web }],
        "upstreams": [{ "name": "shop", "backends": backends }],
        "routes": [{ "name": "r", "action": { "forward": { "upstream": "shop" } } }],
    })
}

/// Waits until the status of `shop` is as `condition` wants it.
fn wait_for_status<T>(api: &Api, what: &str, condition: impl Fn(&Value) -> Option<T>) -> T {
    wait_for(what, DEADLINE, || condition(&api.get("upstreams/shop/status").expect(200).body))
}

/// A number of an endpoint's load.
fn load(status: &Value, data_plane: usize, endpoint: usize, member: &str) -> u64 {
    status["data_planes"][data_plane]["endpoints"][endpoint]["load"][member].as_u64().unwrap_or_default()
}
