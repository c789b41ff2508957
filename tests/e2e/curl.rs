//! curl in front and nginx behind: what a route can do, as two programs see it that others wrote.

mod actions;
mod changes;
mod errors;

use std::process::Command;

use harness::{Nginx, free_port};
use serde_json::{Value, json};

use crate::{both::Told, site::Site};

/// What nginx answers: the request as it came, in a response that says more than it should.
const ECHO: &str = r#"
    default_type text/plain;
    client_max_body_size 8m;
    location = /fails { add_header X-Secret 10.1.2.3 always; return 500 "stack trace"; }
    location /files/ { }
    location /upload { proxy_pass http://127.0.0.1:$server_port/whole; }
    location / {
        add_header X-Powered-By nginx always;
        add_header X-Total 3 always;
        return 200 "$request_method $request_uri\nhost: $http_host\nfor: $http_x_forwarded_for\nid: $http_x_request_id\nenv: $http_x_env\ndebug: $http_x_debug\nlength: $http_content_length\n";
    }
"#;

/// A data plane in front of nginx, which is the upstream `up`; `down` is nobody. Two workers and both versions of HTTP.
fn start(routes: Value) -> (Nginx, Site) {
    start_with(json!({}), routes)
}

/// The same with these settings.
fn start_with(settings: Value, routes: Value) -> (Nginx, Site) {
    let nginx = Nginx::start(ECHO);
    let nobody = format!("127.0.0.1:{}", free_port());
    let site = Site::start(json!({
        "settings": settings,
        "listeners": [{ "name": "web", "allow_h2c": true, "trusted_proxies": ["127.0.0.1"] }],
        "upstreams": [
            { "name": "up", "backends": [{ "name": "a", "address": nginx.address() }] },
            { "name": "down", "backends": [{ "name": "a", "address": nobody, "breaker_override": "force_closed" }] },
        ],
        "routes": routes,
    }));
    (nginx, site)
}

/// A route for everything of shop.example below `/name`, with further fields.
fn route(name: &str, fields: Value) -> Value {
    let mut route = json!({
        "name": name,
        "match": { "hosts": ["shop.example"], "path": { "prefix": format!("/{name}") } },
        "action": { "forward": { "upstream": "up" } },
    });
    route.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    route
}

/// What curl prints when it asks `site` for `url`, whose host leads there.
///
/// # Panics
/// When curl is not installed or finds fault with the answer.
#[expect(clippy::print_stdout, reason = "the harness shows it when the test fails, or with --nocapture")]
fn run(site: &Site, arguments: &[&str], url: &str) -> String {
    let lead = format!("::{}", site.address);
    let fixed = ["-q", "-sS", "--max-time", "30", "--noproxy", "*", "--connect-to", &lead];
    let output = Command::new("curl").args(fixed).args(arguments).arg(url).output();
    let output = output.expect("curl can be run: apt-get install curl");
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    println!("$ curl {} {url}\n{shown}", arguments.join(" "));
    assert!(output.status.success(), "curl {arguments:?} {url}: {}", String::from_utf8_lossy(&output.stderr));
    shown
}

/// The two versions that it speaks. In the second it asks once for each connection: curl 7.88 fails on one that it uses again.
const VERSIONS: [&str; 2] = ["--http1.1", "--http2-prior-knowledge"];

/// The answer that curl prints to a request in each version.
fn ask(site: &Site, arguments: &[&str], url: &str) -> [Told; 2] {
    VERSIONS.map(|version| told(&run(site, &[&["-i", version], arguments].concat(), url)))
}

/// What `curl -i` printed.
fn told(shown: &str) -> Told {
    let (head, body) = shown.split_once("\r\n\r\n").expect("a head");
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).expect("a status line");
    let fields = lines.map(|line| line.split_once(": ").unwrap_or((line.trim_end_matches(':'), "")));
    Told {
        status: status.parse().unwrap(),
        fields: fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        body: body.to_owned(),
    }
}
