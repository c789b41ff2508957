//! What error answers look like.

use serde_json::{Value, json};

use super::{Expected, check, document, expect, route, sound_but};
use crate::{
    Origin,
    Severity::{Error, Warning},
    config::Config,
};

fn in_settings(pages: Value) -> Value {
    sound_but(json!({"settings": {"errors": {"pages": pages}}}))
}

fn in_route(errors: Value) -> Value {
    route(json!({"match": {"hosts": ["b"]}, "errors": errors}))
}

#[test]
fn pages_are_what_they_say() {
    let (settings, own) = ("/settings/errors/pages", "/routes/1/errors/pages");
    let many: serde_json::Map<_, _> = (400..=500).map(|n| (n.to_string(), json!({"text": "x"}))).collect();
    let cases: &[(Value, &[Expected])] = &[
        (
            in_settings(
                json!({"500-599": {"html": "<p>{status}</p>"}, "no_route": {"json": "{\"id\":\"{request_id}\"}"}}),
            ),
            &[],
        ),
        (in_settings(json!({"503": {"json": "{\"a\":{status},\"b\":{\"c\":\"{reason}\"}}", "problem": "[]"}})), &[]),
        (
            in_settings(json!({"503": {"json": "{\"a\":{reason}}"}})),
            &[(Error, &format!("{settings}/503/json"), "quotes around all but {status}")],
        ),
        (
            in_settings(json!({"503": {"problem": "sorry"}})),
            &[(Error, &format!("{settings}/503/problem"), "is no JSON")],
        ),
        (in_settings(json!({"503": {}})), &[(Warning, &format!("{settings}/503"), "no body in any format")]),
        (in_settings(Value::Object(many.clone())), &[(Error, settings, "at most 100")]),
        (in_route(json!({"pages": many})), &[(Error, own, "at most 100")]),
        (
            in_route(json!({"pages": {"backend_error": {"json": ""}}})),
            &[(Error, &format!("{own}/backend_error/json"), "is no JSON")],
        ),
        (
            route(json!({"match": {"hosts": ["b"]}, "action": {"respond": {}}, "errors": {"replace_backend": true}})),
            &[(Warning, "/routes/1/errors/replace_backend", "never acts")],
        ),
    ];
    expect(cases);
    assert!(check(&in_route(json!({"replace_backend": true, "default_format": "problem"})), Origin::Store).is_empty());
}

#[test]
fn what_cannot_be_read_says_why() {
    let long = "x".repeat((64 << 10) + 1);
    for (config, part) in [
        (in_settings(json!({"503": {"html": "{path}"}})), "no variable \"path\" in the body of an error"),
        (
            in_settings(json!({"503": {"html": long}})),
            "65537 bytes are too many for the body of an error: at most 65536",
        ),
        (in_settings(json!({"teapot": {}})), "neither a status nor a reason"),
        (in_settings(json!({"200": {}})), "no status of an error"),
        (in_route(json!({"default_format": "xml"})), "unknown variant `xml`"),
        (sound_but(json!({"settings": {"server_header": ""}})), "is not what a Server field says"),
    ] {
        let fault = document::from_value::<Config>(config.clone()).unwrap_err().to_string();
        assert!(fault.contains(part), "{config}: {fault}");
    }
}
