//! Reading configuration documents: JSON and YAML from outside into typed values, faults named by JSON pointer.

mod strict;
mod tree;

use serde::de::DeserializeOwned;

use crate::{Findings, config::Config};
use strict::Strictly;

/// Most bytes of a configuration document, and so of a request body of the REST API and of a snapshot's body.
pub const MAX_DOCUMENT: usize = 32 << 20;

/// Reads a value of type `T` from JSON.
///
/// # Errors
/// One finding whose pointer names the place, be it a syntax error, an unknown field or a value of the wrong form.
pub fn from_json<T: DeserializeOwned>(text: &[u8]) -> Result<T, Findings> {
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let Strictly(value) = serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|error| Findings::of_error(pointer(error.path()), error.inner().to_string()))?;
    deserializer.end().map_err(|error| Findings::of_error("", error.to_string()))?;
    Ok(value)
}

/// Parses JSON into a tree; an object in which a member is repeated is refused.
///
/// # Errors
/// A sentence with line and column.
pub fn json_tree(text: &[u8]) -> Result<serde_json::Value, String> {
    tree::of_json(text)
}

/// Parses YAML into a tree; a mapping in which a key is repeated is refused, and anchors, aliases and nesting are capped.
///
/// # Errors
/// A sentence with line and column.
pub fn yaml_tree(text: &str) -> Result<serde_json::Value, String> {
    tree::of_yaml(text)
}

/// Whether a document is JSON by its text: it starts with `{` and is no YAML flow mapping.
///
/// Of a text that is neither, JSON's fault says more.
pub fn is_json(text: &str) -> bool {
    text.trim_start().starts_with('{') && (json_tree(text.as_bytes()).is_ok() || yaml_tree(text).is_err())
}

/// Reads a value of type `T` from YAML; anchors, aliases and nesting are capped.
///
/// # Errors
/// One finding whose pointer names the place, as far as the parser knows it.
pub fn from_yaml<T: DeserializeOwned>(text: &str) -> Result<T, Findings> {
    // YAML to a JSON value first: the two forms then have the same rules and the same faults.
    from_value(yaml_tree(text).map_err(|error| Findings::of_error("", format!("not YAML: {error}")))?)
}

/// Reads a value of type `T` from a JSON tree.
///
/// # Errors
/// One finding whose pointer names the place.
pub fn from_value<T: DeserializeOwned>(value: serde_json::Value) -> Result<T, Findings> {
    serde_path_to_error::deserialize(value)
        .map(|Strictly(value)| value)
        .map_err(|error| Findings::of_error(pointer(error.path()), error.inner().to_string()))
}

/// Reads a configuration file by its text, JSON or YAML (see [`is_json`]).
///
/// An empty text is refused: a file that was truncated by mistake must not empty live traffic. `{}` says it on purpose.
///
/// # Errors
/// One finding; the configuration is canonical but not validated.
pub fn read_config(text: &str) -> Result<Config, Findings> {
    if text.len() > MAX_DOCUMENT {
        return Err(Findings::of_error(
            "",
            format!("the document has {} bytes, at most {MAX_DOCUMENT} are read", text.len()),
        ));
    }
    if text.trim().is_empty() {
        return Err(Findings::of_error("", "the document is empty: write {} for the empty configuration"));
    }
    let json = text.trim_start().starts_with('{').then(|| json_tree(text.as_bytes()));
    let tree = match json {
        Some(Ok(tree)) => Ok(tree),
        Some(Err(fault)) => yaml_tree(text).map_err(|_| format!("not JSON: {fault}")),
        None => yaml_tree(text).map_err(|fault| format!("not YAML: {fault}")),
    };
    let mut config: Config = from_value(tree.map_err(|fault| Findings::of_error("", fault))?)?;
    config.canonicalize();
    Ok(config)
}

/// Writes a value as YAML.
///
/// # Errors
/// A sentence, if the value cannot be written; configuration types always can.
pub fn to_yaml<T: serde::Serialize>(value: &T) -> Result<String, String> {
    serde_saphyr::to_string(value).map_err(|error| error.to_string())
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut pointer = String::new();
    for segment in path.iter() {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } => pointer.push_str(&format!("/{}", escape(key))),
            Segment::Enum { variant } => pointer.push_str(&format!("/{}", escape(variant))),
            Segment::Unknown => {}
        }
    }
    pointer
}

/// Escapes a member name for a JSON pointer (RFC 6901 §3).
pub fn escape(member: &str) -> String {
    member.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> (String, String) {
        let findings = read_config(text).unwrap_err();
        let first = findings.iter().next().unwrap();
        (first.pointer.clone(), first.message.clone())
    }

    #[test]
    fn faults_are_named_by_pointer_in_both_formats() {
        let json = r#"{"routes":[{"name":"a","match":{"hosts":["a b"]},"action":{"forward":{"upstream":"u"}}}]}"#;
        let yaml = "routes:\n  - name: a\n    match: { hosts: ['a b'] }\n    action: { forward: { upstream: u } }\n";
        for text in [json, yaml] {
            let (pointer, message) = fault(text);
            assert_eq!(pointer, "/routes/0/match/hosts/0");
            assert!(message.contains("is not a host"), "{message}");
        }
        let (pointer, message) = fault(r#"{"listeners":[{"name":"a","adress":"x"}]}"#);
        assert_eq!(pointer, "/listeners/0/adress");
        assert!(message.contains("unknown field `adress`"), "{message}");
    }

    #[test]
    fn an_array_is_no_object() {
        let route = |matches: &str| {
            format!(r#"{{"routes":[{{"name":"a","match":{matches},"action":{{"forward":{{"upstream":"u"}}}}}}]}}"#)
        };
        assert!(read_config(&route("{}")).is_ok());
        assert_eq!(fault(&route("[]")).0, "/routes/0/match");
        assert_eq!(fault(&route(r#"{"headers":[]}"#)).0, "/routes/0/match/headers");
        assert_eq!(fault(r#"{"settings":{"access_log":[]}}"#).0, "/settings/access_log");
        assert_eq!(fault(r#"{"routes":[["a",{},{"forward":["u"]}]]}"#).0, "/routes/0");
        assert_eq!(fault(r#"{"routes":[{"name":"a","action":{"forward":["u"]}}]}"#).0, "/routes/0/action/forward");
        assert_eq!(fault("- []").0, "");
        assert!(from_json::<Config>(b"[]").is_err());
    }

    #[test]
    fn an_empty_document_is_refused_and_an_empty_object_is_the_empty_configuration() {
        for text in ["", "\n", "# only a comment\n"] {
            assert!(read_config(text).is_err(), "{text:?}");
        }
        for text in ["{}", "# only a comment\n{}"] {
            assert_eq!(read_config(text).unwrap(), Config::default(), "{text:?}");
        }
    }

    #[test]
    fn a_repeated_member_is_refused_in_both_formats() {
        for text in [
            r#"{"upstreams":[{"name":"a"}],"upstreams":[{"name":"b"}]}"#,
            r#"{"routes":[{"name":"a","match":{"query":{"q":"1","q":"2"}},"action":{"forward":{"upstream":"u"}}}]}"#,
        ] {
            let message = fault(text).1;
            assert!(message.contains("is repeated") && message.contains("line 1 column"), "{message}");
        }
        assert!(read_config("upstreams: []\nupstreams: []\n").is_err());
    }

    #[test]
    fn a_flow_mapping_is_yaml_and_broken_json_is_json() {
        assert!(!is_json("{listeners: [{name: a, address: '127.0.0.1:1'}]}"));
        assert!(!is_json("listeners: []"));
        assert!(is_json(" {\"listeners\": []}"));
        assert!(is_json("{\"listeners\": ["));
    }

    #[test]
    fn a_fault_does_not_quote_the_document() {
        let message = fault("upstreams:\n  - name: hush\n    balance: [\n").1;
        assert!(message.contains("line") && !message.contains("hush") && !message.contains('\n'), "{message}");
    }

    #[test]
    fn yaml_bombs_are_refused() {
        let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x]\n");
        for level in 1..12 {
            let refs = vec![format!("*a{}", level - 1); 9].join(",");
            bomb.push_str(&format!("a{level}: &a{level} [{refs}]\n"));
        }
        assert!(read_config(&bomb).is_err());
        assert!(read_config(&"[".repeat(100_000)).is_err());
        assert!(read_config(&format!("{{\"routes\":{}", "[".repeat(100_000))).is_err());
    }

    #[test]
    fn the_design_example_reads_in_both_formats() {
        let yaml = r#"
listeners:
  - name: web
    address: 0.0.0.0:8080
    trusted_proxies: [10.0.0.0/8]
upstreams:
  - name: shop
    balance: { policy: round_robin }
    backends:
      - { name: a, address: "127.0.0.1:9001", weight: 3 }
      - { name: b, address: "127.0.0.1:9002" }
    breaker: { sliding_window_type: count, failure_rate_threshold: 50, slow_call_duration_threshold: 2s }
routes:
  - name: shop
    match: { hosts: [shop.example.com, "*.shop.example.com"], path: { prefix: /api }, methods: [GET, POST] }
    action: { forward: { upstream: shop } }
    host: preserve
ip_rules:
  - { action: deny, cidr: 203.0.113.0/24, comment: scanner, expires_at: 2027-01-01T00:00:00Z }
  - { route: shop, action: allow, cidr: 198.51.100.0/24 }
settings:
  access_log: { enabled: true, format: json, file: access.log }
"#;
        let config = read_config(yaml).unwrap();
        let json = serde_json::to_string(&config).unwrap();
        assert_eq!(read_config(&json).unwrap(), config);
        assert_eq!(read_config(&to_yaml(&config).unwrap()).unwrap(), config);
    }

    #[test]
    fn a_large_configuration_is_read_from_the_yaml_that_was_written_of_it() {
        let routes: Vec<String> = (0..20_000)
            .map(|n| format!(r#"{{"name":"r{n}","match":{{"hosts":["h{n}.example.com"]}},"action":{{"forward":{{"upstream":"u"}}}}}}"#))
            .collect();
        let config =
            read_config(&format!(r#"{{"upstreams":[{{"name":"u"}}],"routes":[{}]}}"#, routes.join(","))).unwrap();
        assert_eq!(read_config(&to_yaml(&config).unwrap()).map_err(|fault| fault.to_string()), Ok(config));
    }
}
