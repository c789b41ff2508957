use std::collections::BTreeSet;

use serde_json::{Value, json};
use shared::config;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../openapi/openapi.json");

#[test]
fn openapi_document_is_current() {
    let document = crate::openapi();
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(FILE, &document).unwrap();
    }
    assert!(
        std::fs::read_to_string(FILE).is_ok_and(|file| file == document),
        "openapi/openapi.json is not what the code says: run `cargo run -- openapi > openapi/openapi.json`"
    );
}

#[test]
fn every_operation_is_documented_and_every_reference_leads_somewhere() {
    let document: Value = serde_json::from_str(&crate::openapi()).unwrap();
    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let place = format!("{method} {path}");
            assert!(operation["summary"].is_string() && operation["tags"].is_array(), "{place}");
            assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{place}: its id is taken");
            let responses = operation["responses"].as_object().unwrap();
            assert!(responses.keys().any(|status| status.starts_with('2')), "{place}");
            assert_eq!(responses.contains_key("401"), path.starts_with("/api/"), "{place}");
            assert_eq!(operation["security"].is_array(), path.starts_with("/api/"), "{place}");
            assert_eq!(responses.contains_key("415"), operation["requestBody"].is_object(), "{place}");
        }
    }
    assert!(ids.len() > 50, "{}", ids.len());
    references(&document, &document);
}

fn references(document: &Value, value: &Value) {
    match value {
        Value::Object(members) => {
            if let Some(reference) = members.get("$ref").and_then(Value::as_str) {
                let pointer = reference.strip_prefix('#').unwrap();
                assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
            }
            members.values().for_each(|member| references(document, member));
        }
        Value::Array(items) => items.iter().for_each(|item| references(document, item)),
        _ => {}
    }
}

/// Each example in the schema of `T` is one.
fn examples<T: serde::de::DeserializeOwned>(document: &Value, name: &str) {
    let examples = document["components"]["schemas"][name]["examples"].as_array();
    for example in examples.unwrap_or_else(|| panic!("{name} has no example")) {
        if let Err(error) = shared::document::from_value::<T>(example.clone()) {
            panic!("{name}: {example}: {error}");
        }
    }
}

#[test]
fn what_can_be_configured_has_examples() {
    let document: Value = serde_json::from_str(&crate::openapi()).unwrap();
    examples::<config::Route>(&document, "Route");
    examples::<config::Action>(&document, "Action");
    examples::<config::Forward>(&document, "Forward");
    examples::<config::SplitTarget>(&document, "SplitTarget");
    examples::<config::SplitWhen>(&document, "SplitWhen");
    examples::<config::Redirect>(&document, "Redirect");
    examples::<config::Respond>(&document, "Respond");
    examples::<config::Rewrite>(&document, "Rewrite");
    examples::<config::PathRewrite>(&document, "PathRewrite");
    examples::<config::QueryRewrite>(&document, "QueryRewrite");
    examples::<config::HeaderRules>(&document, "HeaderRules");
    examples::<config::ResponseHeaderRules>(&document, "ResponseHeaderRules");
    examples::<config::RouteLimits>(&document, "RouteLimits");
    examples::<config::Maintenance>(&document, "Maintenance");
    examples::<config::Cors>(&document, "Cors");
    examples::<config::RouteErrors>(&document, "RouteErrors");
    examples::<config::ErrorPages>(&document, "ErrorPages");
    examples::<config::ErrorPage>(&document, "ErrorPage");
    examples::<config::Retries>(&document, "Retries");
    examples::<config::Backoff>(&document, "Backoff");
    examples::<config::Fallback>(&document, "Fallback");
    examples::<config::RetryBudget>(&document, "RetryBudget");
    examples::<config::Breaker>(&document, "Breaker");
    examples::<config::Listener>(&document, "Listener");
    examples::<config::ListenerTimeouts>(&document, "ListenerTimeouts");
    examples::<config::ListenerLimits>(&document, "ListenerLimits");
    examples::<config::PathStyle>(&document, "PathStyle");
    examples::<config::Forwarding>(&document, "Forwarding");
    examples::<config::ProxyProtocol>(&document, "ProxyProtocol");
    examples::<config::Upstream>(&document, "Upstream");
    examples::<config::Backend>(&document, "Backend");
    examples::<config::Balance>(&document, "Balance");
    examples::<config::Hash>(&document, "Hash");
    examples::<config::HashKey>(&document, "HashKey");
    examples::<config::Sticky>(&document, "Sticky");
    examples::<config::Pool>(&document, "Pool");
    examples::<config::HealthCheck>(&document, "HealthCheck");
    examples::<config::HttpCheck>(&document, "HttpCheck");
    examples::<config::GrpcCheck>(&document, "GrpcCheck");
    examples::<config::Dns>(&document, "Dns");
    examples::<config::Settings>(&document, "Settings");
    examples::<config::RequestId>(&document, "RequestId");
    examples::<config::IpRule>(&document, "IpRule");
    examples::<config::RouteMatch>(&document, "RouteMatch");
    examples::<config::RouteTimeouts>(&document, "RouteTimeouts");
    examples::<config::SplitBy>(&document, "SplitBy");
    examples::<config::SplitCookie>(&document, "SplitCookie");
    // Those of resources stand up to validation together.
    let first = |name: &str| document["components"]["schemas"][name]["examples"][0].clone();
    let whole = json!({
        "listeners": [first("Listener")], "upstreams": [first("Upstream")], "routes": [first("Route")],
        "ip_rules": document["components"]["schemas"]["IpRule"]["examples"], "settings": first("Settings"),
    });
    let config: config::Config = shared::document::from_value(whole).unwrap();
    let findings = shared::validate(&config, shared::Origin::Store);
    let errors = findings.iter().filter(|finding| finding.severity == shared::Severity::Error);
    assert_eq!(errors.count(), 0, "{findings}");
}
