//! Envoy's configuration: as little done for a request as it can be told to.

use serde_json::{Value, json};

use crate::workload::Setup;

/// The configuration of one that listens on `port` and forwards to `origin`.
pub(crate) fn configuration(setup: &Setup, origin: &str, port: u16, hosts: &[String]) -> Value {
    const EXTENSIONS: &str = "type.googleapis.com/envoy.extensions";
    let (origin_host, origin_port) = origin.rsplit_once(':').expect("an origin has a port");
    let origin_port: u16 = origin_port.parse().expect("a port is a number");
    let any = ["*".to_owned()];
    let hosts = if hosts.is_empty() { &any[..] } else { hosts };
    let virtual_hosts: Vec<Value> = hosts
        .iter()
        .map(|host| {
            let route = json!({ "match": { "prefix": "/" }, "route": { "cluster": "up", "timeout": "0s" } });
            json!({ "name": host, "domains": [host], "routes": [route] })
        })
        .collect();
    let router = json!({
        "@type": format!("{EXTENSIONS}.filters.http.router.v3.Router"),
        "suppress_envoy_headers": true,
        "dynamic_stats": false,
    });
    let manager = json!({
        "@type": format!("{EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": "h",
        "codec_type": "AUTO",
        "use_remote_address": true,
        "generate_request_id": false,
        "server_header_transformation": "PASS_THROUGH",
        "strip_any_host_port": hosts.len() > 1,
        "common_http_protocol_options": { "idle_timeout": "120s" },
        "http2_protocol_options": { "max_concurrent_streams": 256 },
        "route_config": { "name": "r", "virtual_hosts": virtual_hosts, "validate_clusters": false },
        "http_filters": [{ "name": "envoy.filters.http.router", "typed_config": router }],
    });
    let upstream = if setup.grpc { "http2_protocol_options" } else { "http_protocol_options" };
    let options = json!({
        "@type": format!("{EXTENSIONS}.upstreams.http.v3.HttpProtocolOptions"),
        "explicit_http_config": { upstream: {} },
        "common_http_protocol_options": { "idle_timeout": "120s" },
    });
    let many = 1_000_000;
    let thresholds =
        json!({ "max_connections": many, "max_pending_requests": many, "max_requests": many, "max_retries": many });
    let address = |host: &str, port: u16| json!({ "socket_address": { "address": host, "port_value": port } });
    json!({ "static_resources": {
        "listeners": [{
            "name": "web",
            "enable_reuse_port": true,
            "address": address("127.0.0.1", port),
            "filter_chains": [{
                "filters": [{ "name": "envoy.filters.network.http_connection_manager", "typed_config": manager }],
            }],
        }],
        "clusters": [{
            "name": "up",
            "type": "STATIC",
            "connect_timeout": "5s",
            "typed_extension_protocol_options": { "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options },
            "circuit_breakers": { "thresholds": [thresholds] },
            "load_assignment": {
                "cluster_name": "up",
                "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": address(origin_host, origin_port) } }] }],
            },
        }],
    } })
}
