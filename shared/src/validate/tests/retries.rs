//! Retries, their budget, and fallbacks.

use serde_json::{Value, json};

use super::{expect, route, sound_but};
use crate::Severity::{Error, Warning};

fn retries(retries: Value) -> Value {
    route(json!({"action": {"forward": {"upstream": "u"}}, "match": {"hosts": ["a"]}, "retries": retries}))
}

fn budget(budget: Value) -> Value {
    let backends = json!([{"name": "a", "address": "127.0.0.1:1"}]);
    sound_but(json!({"upstreams": [{"name": "u", "backends": backends, "retry_budget": budget}]}))
}

#[test]
fn retries_are_few_and_for_something() {
    const ON: &str = "/routes/1/retries/on";
    expect(&[
        (retries(json!({"attempts": 10, "on": ["connect_failure", "reset", "timeout", "502-504"]})), &[]),
        (retries(json!({"attempts": 0, "on": []})), &[]),
        (retries(json!({"methods": ["POST"], "per_try_timeout": "1s", "backoff": {"base": "0s", "max": "0s"}})), &[]),
        (retries(json!({"attempts": 11})), &[(Error, "/routes/1/retries/attempts", "write 0 to 10")]),
        (retries(json!({"on": []})), &[(Warning, ON, "write attempts: 0")]),
        (retries(json!({"on": ["grpc:unavailable"]})), &[]),
        (
            retries(json!({"per_try_timeout": "0s"})),
            &[(Error, "/routes/1/retries/per_try_timeout", "lets nothing through")],
        ),
        (
            retries(json!({"backoff": {"base": "300ms"}})),
            &[(Error, "/routes/1/retries/backoff/base", "at most max, which is 250ms")],
        ),
        (
            retries(json!({"backoff": {"base": "11s", "max": "61s"}})),
            &[
                (Error, "/routes/1/retries/backoff/base", "at most 10s"),
                (Error, "/routes/1/retries/backoff/max", "at most 1m"),
            ],
        ),
    ]);
    let limited = json!({
        "action": {"forward": {"upstream": "u"}}, "match": {"hosts": ["a"]},
        "retries": {"per_try_timeout": "5s"}, "timeouts": {"total": "5s"},
    });
    expect(&[(route(limited), &[(Warning, "/routes/1/retries/per_try_timeout", "the first try alone")])]);
}

#[test]
fn budgets_have_ranges() {
    expect(&[
        (budget(json!({"percent": 0, "min_per_second": 0})), &[]),
        (budget(json!({"percent": 100, "min_per_second": 10_000})), &[]),
        (budget(json!({"percent": 101})), &[(Error, "/upstreams/0/retry_budget/percent", "write 0 to 100")]),
        (
            budget(json!({"min_per_second": 10_001})),
            &[(Error, "/upstreams/0/retry_budget/min_per_second", "write 0 to 10000")],
        ),
    ]);
}

#[test]
fn a_fallback_is_another_upstream_or_an_answer() {
    let fallback = |fallback: Value| {
        let mut config =
            route(json!({"action": {"forward": {"upstream": "u"}}, "match": {"hosts": ["a"]}, "fallback": fallback}));
        let other = json!({"name": "v", "backends": [{"name": "a", "address": "127.0.0.1:2"}]});
        config["upstreams"].as_array_mut().unwrap().push(other);
        config
    };
    const UPSTREAM: &str = "/routes/1/fallback/forward/upstream";
    let unused = (Warning, "/upstreams/1", "no route forwards");
    expect(&[
        (fallback(json!({"forward": {"upstream": "v"}})), &[]),
        (
            fallback(json!({"forward": {"upstream": "u"}})),
            &[unused, (Error, UPSTREAM, "is the one that the route forwards to")],
        ),
        (fallback(json!({"forward": {"upstream": "w"}})), &[unused, (Error, UPSTREAM, "there is no upstream \"w\"")]),
        (fallback(json!({"respond": {"status": 503}})), &[unused]),
        (
            fallback(json!({"respond": {"status": 99}})),
            &[unused, (Error, "/routes/1/fallback/respond/status", "write one from 200 to 599")],
        ),
    ]);
    let answered = json!({
        "action": {"respond": {}}, "match": {"hosts": ["a"]},
        "retries": {"attempts": 2}, "fallback": {"respond": {}},
    });
    expect(&[(
        route(answered),
        &[(Warning, "/routes/1/retries", "never acts"), (Warning, "/routes/1/fallback", "never acts")],
    )]);
}
