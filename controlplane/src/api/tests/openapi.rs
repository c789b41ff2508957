use std::collections::BTreeSet;

use serde_json::{Value, json};
use shared::config::{
    Action, Backoff, Breaker, Config, Cors, ErrorPage, ErrorPages, Fallback, Forward, HeaderRules, Maintenance,
    PathRewrite, QueryRewrite, Redirect, Respond, ResponseHeaderRules, Retries, RetryBudget, Rewrite, Route,
    RouteErrors, RouteLimits, SplitTarget, SplitWhen,
};

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
fn what_a_route_can_do_and_what_breaks_and_retries_have_examples() {
    let document: Value = serde_json::from_str(&crate::openapi()).unwrap();
    examples::<Route>(&document, "Route");
    examples::<Action>(&document, "Action");
    examples::<Forward>(&document, "Forward");
    examples::<SplitTarget>(&document, "SplitTarget");
    examples::<SplitWhen>(&document, "SplitWhen");
    examples::<Redirect>(&document, "Redirect");
    examples::<Respond>(&document, "Respond");
    examples::<Rewrite>(&document, "Rewrite");
    examples::<PathRewrite>(&document, "PathRewrite");
    examples::<QueryRewrite>(&document, "QueryRewrite");
    examples::<HeaderRules>(&document, "HeaderRules");
    examples::<ResponseHeaderRules>(&document, "ResponseHeaderRules");
    examples::<RouteLimits>(&document, "RouteLimits");
    examples::<Maintenance>(&document, "Maintenance");
    examples::<Cors>(&document, "Cors");
    examples::<RouteErrors>(&document, "RouteErrors");
    examples::<ErrorPages>(&document, "ErrorPages");
    examples::<ErrorPage>(&document, "ErrorPage");
    examples::<Retries>(&document, "Retries");
    examples::<Backoff>(&document, "Backoff");
    examples::<Fallback>(&document, "Fallback");
    examples::<RetryBudget>(&document, "RetryBudget");
    examples::<Breaker>(&document, "Breaker");
    // The whole route stands up to validation.
    let route = &document["components"]["schemas"]["Route"]["examples"][0];
    let config: Config =
        shared::document::from_value(json!({ "upstreams": [{ "name": "shop" }], "routes": [route] })).unwrap();
    let findings = shared::validate(&config, shared::Origin::Store);
    let errors = findings.iter().filter(|finding| finding.severity == shared::Severity::Error);
    assert_eq!(errors.count(), 0, "{findings}");
}
