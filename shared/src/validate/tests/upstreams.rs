//! Upstreams: backends, breakers, health checks, pools.

use serde_json::json;

use super::*;

fn health_check(check: Value) -> Value {
    sound_but(
        json!({"upstreams": [{"name": "u", "health_check": check, "backends": [{"name": "a", "address": "a:1"}]}]}),
    )
}

#[test]
fn upstreams_without_a_backend_to_choose_are_reported() {
    expect(&[
        (backends(json!([])), &[(Warning, "/upstreams/0/backends", "has no backends")]),
        (
            backends(json!([{"name": "a", "address": "a:1", "weight": 0}])),
            &[(Warning, "/upstreams/0/backends", "have weight 0")],
        ),
        (
            backends(json!([{"name": "a", "address": "a:1"}, {"name": "b", "address": "a:1"}])),
            &[(Warning, "/upstreams/0/backends/1/address", "/upstreams/0/backends/0")],
        ),
    ]);
}

#[test]
fn breakers_stay_within_their_ranges() {
    expect(&[
        (
            breaker(json!({"sliding_window_size": 0, "minimum_number_of_calls": 0, "failure_rate_threshold": 101,
                "slow_call_rate_threshold": 0, "permitted_number_of_calls_in_half_open_state": 1001,
                "slow_call_duration_threshold": "0s", "wait_duration_in_open_state": "0s",
                "max_wait_duration_in_open_state": "0s", "wait_backoff_factor": 0.5})),
            &[
                (Error, "/upstreams/0/breaker/sliding_window_size", "1 to 10000"),
                (Error, "/upstreams/0/breaker/minimum_number_of_calls", "1 to 100000"),
                (Error, "/upstreams/0/breaker/failure_rate_threshold", "1 to 100"),
                (Error, "/upstreams/0/breaker/slow_call_rate_threshold", "1 to 100"),
                (Error, "/upstreams/0/breaker/permitted_number_of_calls_in_half_open_state", "1 to 1000"),
                (Error, "/upstreams/0/breaker/slow_call_duration_threshold", "longer than 0"),
                (Error, "/upstreams/0/breaker/wait_duration_in_open_state", "longer than 0"),
                (Error, "/upstreams/0/breaker/max_wait_duration_in_open_state", "longer than 0"),
                (Error, "/upstreams/0/breaker/wait_backoff_factor", "1 to 10"),
            ],
        ),
        (
            breaker(json!({"sliding_window_size": 10})),
            &[(Warning, "/upstreams/0/breaker/minimum_number_of_calls", "from that many on")],
        ),
        (breaker(json!({"sliding_window_size": 10, "sliding_window_type": "time"})), &[]),
        (
            breaker(json!({"enabled": false, "failure_rate_threshold": 10})),
            &[(Warning, "/upstreams/0/breaker/enabled", "switched off")],
        ),
        (breaker(json!({"enabled": false})), &[]),
        (
            breaker(json!({"wait_duration_in_open_state": "2m"})),
            &[(Warning, "/upstreams/0/breaker/max_wait_duration_in_open_state", "never grows")],
        ),
        (breaker(json!({"wait_duration_in_open_state": "2m", "wait_backoff_factor": 1})), &[]),
        (breaker(json!({"sliding_window_size": 100})), &[]),
    ]);
}

#[test]
fn health_checks_are_of_one_kind_and_stay_within_their_ranges() {
    expect(&[
        (health_check(json!({})), &[(Error, "/upstreams/0/health_check", "exactly one")]),
        (health_check(json!({"tcp": {}, "http": {}})), &[(Error, "/upstreams/0/health_check", "exactly one")]),
        (health_check(json!({"tcp": {}})), &[]),
        (
            health_check(
                json!({"tcp": {}, "interval": "10ms", "interval_down": "2d", "timeout": "0s", "jitter": 51, "rise": 0, "fall": 101}),
            ),
            &[
                (Error, "/upstreams/0/health_check/interval", "100ms to 1d"),
                (Error, "/upstreams/0/health_check/interval_down", "100ms to 1d"),
                (Error, "/upstreams/0/health_check/timeout", "1ms to 1m"),
                (Error, "/upstreams/0/health_check/jitter", "0 to 50"),
                (Error, "/upstreams/0/health_check/rise", "1 to 100"),
                (Error, "/upstreams/0/health_check/fall", "1 to 100"),
            ],
        ),
        (
            health_check(
                json!({"http": {"path": "x", "host": "a b", "headers": {"host": "x", "x-a": "\n"}, "expect": [], "body_contains": ""}}),
            ),
            &[
                (Error, "/upstreams/0/health_check/http/path", "begin with /"),
                (Error, "/upstreams/0/health_check/http/host", "no host"),
                (Error, "/upstreams/0/health_check/http/headers/host", "itself"),
                (Error, "/upstreams/0/health_check/http/headers/x-a", "printable"),
                (Error, "/upstreams/0/health_check/http/expect", "no status passes"),
                (Error, "/upstreams/0/health_check/http/body_contains", "1 to 4096"),
            ],
        ),
        (health_check(json!({"grpc": {}})), &[(Warning, "/upstreams/0/health_check/grpc", "protocol: h2c")]),
    ]);
}

#[test]
fn pools_and_caps_stay_within_their_ranges() {
    let pool = |pool: Value| {
        sound_but(
            json!({"upstreams": [{"name": "u", "backends": [{"name": "a", "address": "unix:/a"}], "pool": pool}]}),
        )
    };
    let queue = |mut backend: Value| {
        backend["name"] = json!("a");
        backend["address"] = json!("unix:/a");
        backends(json!([backend]))
    };
    let cap = |cap: u32| backends(json!([{"name": "a", "address": "unix:/a", "max_connections": cap}]));
    expect(&[
        (
            pool(json!({"idle_timeout": "0s", "max_idle": 100_001, "max_age": "0s", "max_requests": 0})),
            &[
                (Error, "/upstreams/0/pool/idle_timeout", "write max_idle: 0"),
                (Error, "/upstreams/0/pool/max_idle", "write 0 to 100000"),
                (Error, "/upstreams/0/pool/max_age", "longer than 0"),
                (Error, "/upstreams/0/pool/max_requests", "write 1 to 1000000"),
            ],
        ),
        (
            pool(json!({"idle_timeout": "25h", "max_age": "31d", "max_requests": 1_000_001})),
            &[
                (Error, "/upstreams/0/pool/idle_timeout", "at most 1d"),
                (Error, "/upstreams/0/pool/max_age", "at most 30d"),
                (Error, "/upstreams/0/pool/max_requests", "write 1 to 1000000"),
            ],
        ),
        (pool(json!({"idle_timeout": "1d", "max_idle": 0, "max_age": "30d", "max_requests": 1})), &[]),
        (cap(0), &[(Error, "/upstreams/0/backends/0/max_connections", "write 1 to 100000")]),
        (cap(100_001), &[(Error, "/upstreams/0/backends/0/max_connections", "write 1 to 100000")]),
        (cap(1), &[]),
        (
            queue(json!({"max_connections": 1, "max_pending": 100_001, "queue_timeout": "61m"})),
            &[
                (Error, "/upstreams/0/backends/0/max_pending", "write 0 to 100000"),
                (Error, "/upstreams/0/backends/0/queue_timeout", "at most 1h"),
            ],
        ),
        (
            queue(json!({"max_connections": 1, "queue_timeout": "0s"})),
            &[(Error, "/upstreams/0/backends/0/queue_timeout", "write max_pending: 0")],
        ),
        (
            queue(json!({"queue_timeout": "1s"})),
            &[(Warning, "/upstreams/0/backends/0/queue_timeout", "without max_connections")],
        ),
        (queue(json!({"max_connections": 1, "max_pending": 0, "queue_timeout": "1h"})), &[]),
    ]);
}
