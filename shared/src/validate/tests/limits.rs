use serde_json::{Value, json};

use super::{
    super::{Origin, limits, validate},
    backends, breaker, check, log_file, routes, sound_but,
};
use crate::{Findings, Severity, config::Config, document};

#[track_caller]
fn expect_error(findings: &Findings, pointer: &str) {
    let mut errors = findings.iter().filter(|finding| finding.severity == Severity::Error);
    assert_eq!(errors.next().map(|finding| finding.pointer.as_str()), Some(pointer), "{findings}");
}

fn many(count: usize, item: impl Fn(usize) -> String) -> Vec<String> {
    (0..count).map(item).collect()
}

#[test]
fn lists_and_texts_have_limits() {
    let ranges = |count: usize| many(count, |n| format!("10.0.{}.{}", n / 256, n % 256));
    let backend = |n: usize| json!({"name": format!("b{n}"), "address": format!("a:{}", n + 1)});
    let fields: serde_json::Map<_, _> =
        (0..=limits::FIELDS_PER_ROUTE).map(|n| (format!("f{n}"), json!({"present": true}))).collect();
    let long = "x".repeat(limits::VALUE_BYTES + 1);
    for (config, pointer) in [
        (
            sound_but(json!({"listeners": [
                {"name": "web", "address": "1.1.1.1:1", "trusted_proxies": ranges(limits::TRUSTED_PROXIES + 1)}
            ]})),
            "/listeners/0/trusted_proxies",
        ),
        (
            sound_but(json!({"listeners": [{
                "name": "web", "address": "1.1.1.1:1",
                "proxy_protocol": {"mode": "accept", "sources": ranges(limits::TRUSTED_PROXIES + 1)},
            }]})),
            "/listeners/0/proxy_protocol/sources",
        ),
        (backends(Value::from_iter((0..=limits::BACKENDS_PER_UPSTREAM).map(backend))), "/upstreams/0/backends"),
        (
            breaker(json!({"failure_statuses": vec!["503"; limits::FAILURE_STATUSES + 1]})),
            "/upstreams/0/breaker/failure_statuses",
        ),
        (
            breaker(json!({"failure_grpc_statuses": vec!["internal"; limits::FAILURE_GRPC_STATUSES + 1]})),
            "/upstreams/0/breaker/failure_grpc_statuses",
        ),
        (routes(&[json!({"hosts": many(limits::HOSTS_PER_ROUTE + 1, |n| format!("h{n}"))})]), "/routes/0/match/hosts"),
        (
            routes(&[json!({"methods": many(limits::METHODS_PER_ROUTE + 1, |n| format!("M{n}"))})]),
            "/routes/0/match/methods",
        ),
        (routes(&[json!({"headers": fields})]), "/routes/0/match/headers"),
        (routes(&[json!({"query": fields})]), "/routes/0/match/query"),
        (
            routes(&[json!({"client_cidrs": ranges(limits::CLIENT_CIDRS_PER_ROUTE + 1)})]),
            "/routes/0/match/client_cidrs",
        ),
        (routes(&[json!({"listeners": vec!["web"; limits::LISTENERS + 1]})]), "/routes/0/match/listeners"),
        (routes(&[json!({"headers": {"a": {"exact": long}}})]), "/routes/0/match/headers/a/exact"),
        (routes(&[json!({"query": {long.as_str(): {"present": true}}})]), "/routes/0/match/query"),
        (log_file(&"x".repeat(limits::FILE_BYTES + 1)), "/settings/access_log/file"),
    ] {
        expect_error(&check(&config, Origin::Store), pointer);
    }
}

#[test]
fn dns_settings_stay_within_their_ranges() {
    let dns = |dns: Value| sound_but(json!({"settings": {"dns": dns}}));
    let servers = many(limits::NAME_SERVERS + 1, |n| format!("10.0.0.{n}"));
    for (config, pointer) in [
        (dns(json!({"servers": servers})), "/settings/dns/servers"),
        (dns(json!({"min_ttl": "999ms"})), "/settings/dns/min_ttl"),
        (dns(json!({"min_ttl": "61m", "max_ttl": "2h"})), "/settings/dns/min_ttl"),
        (dns(json!({"max_ttl": "4s"})), "/settings/dns/max_ttl"),
        (dns(json!({"max_ttl": "25h"})), "/settings/dns/max_ttl"),
        (dns(json!({"timeout": "0s"})), "/settings/dns/timeout"),
        (dns(json!({"timeout": "31s"})), "/settings/dns/timeout"),
        (dns(json!({"retries": 6})), "/settings/dns/retries"),
    ] {
        expect_error(&check(&config, Origin::Store), pointer);
    }
    let sound = dns(json!({"servers": ["10.0.0.1", "[fd00::1]:5353"], "min_ttl": "1s", "max_ttl": "1s", "retries": 0}));
    assert!(!check(&sound, Origin::Store).has_errors());
    let twice = check(&dns(json!({"servers": ["10.0.0.1", "10.0.0.1:53"]})), Origin::Store);
    assert!(twice.iter().any(|finding| finding.pointer == "/settings/dns/servers/1"), "{twice}");
}

/// A list of one resource, repeated one time too often by `vary`.
fn repeated<T: Clone>(list: &mut Vec<T>, limit: usize, vary: impl Fn(&mut T, usize)) {
    let item = list[0].clone();
    for n in list.len()..=limit {
        let mut item = item.clone();
        vary(&mut item, n);
        list.push(item);
    }
}

#[test]
fn resources_have_limits() {
    let name = |n: usize| format!("n{n}").parse().unwrap();
    let sound: Config = document::from_value(sound_but(json!({
        "ip_rules": [{"name": "n", "action": "deny", "cidr": "::1"}]
    })))
    .unwrap();
    let with = |change: &dyn Fn(&mut Config)| {
        let mut config = sound.clone();
        change(&mut config);
        validate(&config, Origin::Store)
    };

    let findings = with(&|config| {
        repeated(&mut config.listeners, limits::LISTENERS, |listener, n| {
            listener.name = name(n);
            listener.address = format!("127.0.0.1:{n}").parse().unwrap();
        });
    });
    expect_error(&findings, "/listeners");
    let findings = with(&|config| {
        repeated(&mut config.upstreams, limits::UPSTREAMS, |upstream, n| upstream.name = name(n));
    });
    expect_error(&findings, "/upstreams");
    let findings = with(&|config| repeated(&mut config.routes, limits::ROUTES, |route, n| route.name = name(n)));
    expect_error(&findings, "/routes");
    let findings = with(&|config| {
        repeated(&mut config.ip_rules, limits::IP_RULES, |rule, n| rule.name = Some(name(n)));
    });
    expect_error(&findings, "/ip_rules");
}

#[test]
fn time_outs_and_limits_of_listeners_and_routes_stay_within_their_ranges() {
    let listener = |part: Value| {
        let mut listener = json!({"name": "web", "address": "1.1.1.1:1"});
        listener.as_object_mut().unwrap().extend(part.as_object().unwrap().clone());
        sound_but(json!({"listeners": [listener]}))
    };
    let route = |timeouts: Value| {
        sound_but(json!({"routes": [{"name": "r", "action": {"forward": {"upstream": "u"}}, "timeouts": timeouts}]}))
    };
    for field in ["handshake", "request_head", "keep_alive_idle", "half_close_grace"] {
        let config = listener(json!({"timeouts": {field: "0s"}}));
        expect_error(&check(&config, Origin::Store), &format!("/listeners/0/timeouts/{field}"));
        assert!(check(&listener(json!({"timeouts": {field: "1ms"}})), Origin::Store).is_empty());
    }
    for (field, bad, good) in [
        ("connections", json!(0), json!(1)),
        ("connections_per_client", json!(0), json!(1)),
        ("requests_per_connection", json!(0), json!(1)),
        ("head", json!("1023B"), json!("1KiB")),
        ("head", json!("65KiB"), json!("64KiB")),
        ("fields", json!(0), json!(1)),
        ("fields", json!(513), json!(512)),
        ("target", json!("63B"), json!("64B")),
        ("target", json!("65KiB"), json!("64KiB")),
    ] {
        let findings = |value: Value| check(&listener(json!({"limits": {field: value}})), Origin::Store);
        expect_error(&findings(bad), &format!("/listeners/0/limits/{field}"));
        assert!(findings(good.clone()).is_empty(), "{field}: {good}");
    }
    for field in ["connect", "request_body_idle", "first_byte", "idle", "total", "tunnel_idle"] {
        expect_error(&check(&route(json!({field: "0s"})), Origin::Store), &format!("/routes/0/timeouts/{field}"));
    }
    assert!(check(&route(json!({"request_body_min_rate": "0B", "total": "3s"})), Origin::Store).is_empty());
    let short = check(&route(json!({"total": "2s"})), Origin::Store);
    assert!(!short.has_errors() && short.iter().any(|finding| finding.pointer == "/routes/0/timeouts/total"));
}
