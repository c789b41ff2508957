//! One listener for HTTP/1.1 and HTTP/2, and the same request over both.

use harness::Origin;
use serde_json::{Value, json};

use crate::site::Site;

/// A listener for both versions, an upstream `up` and these routes.
pub(crate) fn site(origin: &Origin, routes: Value) -> Site {
    Site::start(json!({
        "listeners": [{ "name": "web", "allow_h2c": true }],
        "upstreams": [{ "name": "up", "backends": [{ "name": "a", "address": origin.address() }] }],
        "routes": routes,
    }))
}

/// An answer, in whatever version it came.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) status: u16,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Told {
    /// All values of a field.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let fields = self.fields.iter().filter(|(field, _)| field.eq_ignore_ascii_case(name));
        fields.map(|(_, value)| value.as_str()).collect()
    }

    /// The first value of a field.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// The answers to one request of a client of HTTP/1.1 and of one of HTTP/2.
pub(crate) fn ask(site: &Site, method: &str, target: &str, fields: &[(&str, &str)]) -> [Told; 2] {
    let lines: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let mut client = site.client();
    client.send(format!("{method} {target} HTTP/1.1\r\nHost: h\r\n{lines}\r\n")).unwrap();
    let answer = client.read_response_to(method).unwrap();
    let first = Told { status: answer.status, body: answer.text(), fields: answer.head.fields };
    let names: Vec<String> = fields.iter().map(|(name, _)| name.to_lowercase()).collect();
    let fields: Vec<_> = names.iter().zip(fields).map(|(name, (_, value))| (name.as_str(), *value)).collect();
    let answer = site.h2_client().ask(method, target, &fields, "").unwrap();
    let second = Told { status: answer.status(), body: answer.text(), fields: answer.fields[1..].to_vec() };
    [first, second]
}
