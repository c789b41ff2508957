//! Which pages of other origins may use a route.

use serde_json::{Value, json};

use super::{Expected, document, expect, route};
use crate::{
    Severity::{Error, Warning},
    config::Config,
};

fn cors(cors: Value) -> Value {
    route(json!({"match": {"hosts": ["b"]}, "cors": cors}))
}

#[test]
fn policies_are_safe_and_let_somebody_in() {
    const CORS: &str = "/routes/1/cors";
    let at = |field: &str| format!("{CORS}/{field}");
    let cases: &[(Value, &[Expected])] = &[
        (cors(json!({"allow_origins": ["*"], "max_age": "1d"})), &[]),
        (
            cors(
                json!({"allow_origins": ["https://a", "https://*.b"], "allow_credentials": true, "allow_headers": ["*"]}),
            ),
            &[],
        ),
        (
            cors(json!({"allow_origins": ["https://a", "*"], "allow_credentials": true})),
            &[(Error, &at("allow_origins/1"), "does not go with allow_credentials")],
        ),
        (
            cors(json!({"allow_origins": ["null"], "allow_credentials": true})),
            &[(Warning, &at("allow_origins/0"), "sandbox")],
        ),
        (cors(json!({})), &[(Warning, CORS, "lets no origin in")]),
        (cors(json!({"allow_origins": ["*"], "max_age": "25h"})), &[(Error, &at("max_age"), "write at most \"1d\"")]),
        (cors(json!({"allow_origins": vec!["https://a"; 101]})), &[(Error, &at("allow_origins"), "at most 100")]),
        (
            cors(json!({"allow_origins": ["*"], "expose_headers": vec!["a"; 101]})),
            &[(Error, &at("expose_headers"), "at most 100")],
        ),
        (
            route(json!({"match": {"hosts": ["b"], "methods": ["GET"]}, "cors": {"allow_origins": ["*"]}})),
            &[(Warning, "/routes/1/match/methods", "without OPTIONS")],
        ),
        (
            route(json!({"match": {"hosts": ["b"]}, "cors": {"allow_origins": ["*"]},
                "response_headers": {"set": {"Access-Control-Allow-Origin": "*"}}})),
            &[(Warning, "/routes/1/response_headers/set/access-control-allow-origin", "contradicts `cors`")],
        ),
    ];
    expect(cases);
}

#[test]
fn what_cannot_be_read_says_why() {
    for (policy, part) in [
        (json!({"allow_origins": ["shop.example"]}), "is not an origin: write https://host"),
        (json!({"allow_origins": ["https://shop.example/"]}), "without a path"),
        (json!({"allow_origin_regex": ["("]}), "is not a regular expression: unclosed group"),
        (json!({"allow_methods": ["get"]}), "write it in upper case"),
        (json!({"allow_headers": ["a b"]}), "is not a header name"),
    ] {
        let fault = document::from_value::<Config>(cors(policy.clone())).unwrap_err().to_string();
        assert!(fault.contains(part), "{policy}: {fault}");
    }
}
