//! The same request and response over each pair of versions: HTTP/1.1 and HTTP/2 on the client's side and on the backend's.

use std::collections::BTreeMap;

use harness::{
    Origin, RawClient, Received, Reply,
    h2::{Field, H2Client, H2Origin, H2Request},
};
use serde_json::{Value, json};

use crate::site::{Site, one_upstream};

/// A request as a backend got it, whatever it speaks.
#[derive(Debug)]
struct Got {
    method: String,
    target: String,
    host: String,
    fields: BTreeMap<String, Vec<String>>,
    body: Vec<u8>,
    trailers: Vec<Field>,
}

impl Got {
    fn of_h1(request: &Received) -> Self {
        let mut fields: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in &request.head.fields {
            fields.entry(name.to_ascii_lowercase()).or_default().push(value.clone());
        }
        let trailers = String::from_utf8_lossy(&request.trailers).into_owned();
        let trailers = trailers.lines().filter_map(|line| line.split_once(": "));
        Self {
            method: request.method().to_owned(),
            target: request.target().to_owned(),
            host: request.head.field("host").unwrap_or_default().to_owned(),
            fields,
            body: request.body.clone(),
            trailers: trailers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect(),
        }
    }

    fn of_h2(request: &H2Request) -> Self {
        let mut fields: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in &request.fields {
            fields.entry(name.clone()).or_default().push(value.clone());
        }
        Self {
            method: request.field(":method").to_owned(),
            target: request.field(":path").to_owned(),
            host: request.field(":authority").to_owned(),
            fields,
            body: request.body.clone(),
            trailers: request.trailers.clone(),
        }
    }

    fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(|values| values[0].as_str())
    }
}

/// A response as a client got it, whatever it speaks.
#[derive(Debug, Default)]
struct Seen {
    status: u16,
    fields: BTreeMap<String, Vec<String>>,
    body: Vec<u8>,
    trailers: Vec<Field>,
}

/// Names and values, as a case writes them.
type Fields = Vec<(&'static str, &'static str)>;

/// What a backend answers to each path: status, fields, body, trailers. A length is declared unless there are trailers or the
/// path says not to.
fn answer(path: &str) -> (u16, Fields, &'static [u8], Fields) {
    match path.split('?').next().unwrap_or_default() {
        "/204" => (204, vec![("x-a", "1")], b"", vec![]),
        "/304" => (304, vec![("etag", "\"e\"")], b"", vec![]),
        "/404" => (404, vec![("x-a", "1"), ("set-cookie", "a=1"), ("set-cookie", "b=2")], b"missing", vec![]),
        "/trailers" => (200, vec![("trailer", "x-sum")], b"abc", vec![("x-sum", "3"), ("x-other", "y")]),
        "/empty" => (200, vec![], b"", vec![]),
        "/503" => (503, vec![("retry-after", "1")], b"later", vec![]),
        _ => (200, vec![("x-a", "1"), ("content-type", "text/x")], b"hello", vec![]),
    }
}

/// A backend that answers by [`answer`].
enum Backend {
    H1(Origin),
    H2(H2Origin),
}

impl Backend {
    fn start(is_h2: bool) -> Self {
        if is_h2 {
            return Self::H2(H2Origin::start(&[], |request, stream| {
                let path = request.field(":path").to_owned();
                let (status, fields, body, trailers) = answer(&path);
                let (status, length) = (status.to_string(), body.len().to_string());
                let mut head = vec![(":status", &*status)];
                head.extend(fields);
                if trailers.is_empty() && !matches!(&*status, "204" | "304") && !path.starts_with("/no-length") {
                    head.push(("content-length", &length));
                }
                let body = if request.field(":method") == "HEAD" { b"" } else { body };
                stream.answer(&head, body, &trailers)
            }));
        }
        Self::H1(Origin::start(|request| {
            let path = request.target().to_owned();
            let (status, fields, body, trailers) = answer(&path);
            let mut bytes = format!("HTTP/1.1 {status} Scripted\r\n").into_bytes();
            for (name, value) in fields {
                bytes.extend(format!("{name}: {value}\r\n").into_bytes());
            }
            let is_chunked = !trailers.is_empty() || path.starts_with("/no-length");
            if is_chunked {
                bytes.extend(b"transfer-encoding: chunked\r\n");
            } else if !matches!(status, 204 | 304) {
                bytes.extend(format!("content-length: {}\r\n", body.len()).into_bytes());
            }
            bytes.extend(b"\r\n");
            if request.method() == "HEAD" {
                return Reply::raw(bytes, true);
            }
            if is_chunked {
                bytes.extend(format!("{:x}\r\n", body.len()).into_bytes());
                bytes.extend(body);
                bytes.extend(b"\r\n0\r\n");
                for (name, value) in trailers {
                    bytes.extend(format!("{name}: {value}\r\n").into_bytes());
                }
                bytes.extend(b"\r\n");
            } else {
                bytes.extend(body);
            }
            Reply::raw(bytes, true)
        }))
    }

    fn address(&self) -> &str {
        match self {
            Self::H1(origin) => origin.address(),
            Self::H2(origin) => origin.address(),
        }
    }

    fn last(&self) -> Got {
        match self {
            Self::H1(origin) => Got::of_h1(origin.received().last().unwrap()),
            Self::H2(origin) => Got::of_h2(origin.received().last().unwrap()),
        }
    }
}

/// A data plane that takes both versions, in front of a backend that speaks `protocol`.
pub(crate) fn site(address: &str, protocol: &str, route: Value) -> Site {
    let mut config = one_upstream([(address, 1)].into_iter(), route);
    config["upstreams"][0]["protocol"] = json!(protocol);
    config["listeners"] = json!([{ "name": "web", "allow_h2c": true }]);
    Site::start(config)
}

/// What to ask.
struct Case {
    method: &'static str,
    target: &'static str,
    fields: Fields,
    body: &'static str,
    /// Whether the body's length is declared.
    has_length: bool,
    trailers: Fields,
}

enum Client {
    H1(RawClient),
    H2(H2Client),
}

impl Client {
    fn ask(&mut self, case: &Case) -> Seen {
        let Case { method, target, fields, body, has_length, trailers } = case;
        match self {
            Self::H1(client) => {
                let mut request = format!("{method} {target} HTTP/1.1\r\nHost: h\r\n");
                for (name, value) in fields {
                    request += &format!("{name}: {value}\r\n");
                }
                if body.is_empty() && trailers.is_empty() {
                    request += "\r\n";
                } else if *has_length {
                    request += &format!("Content-Length: {}\r\n\r\n{body}", body.len());
                } else {
                    request += &format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n", body.len());
                    for (name, value) in trailers {
                        request += &format!("{name}: {value}\r\n");
                    }
                    request += "\r\n";
                }
                client.send(request).unwrap();
                let response = client.read_response_to(method).unwrap();
                let mut seen = Seen { status: response.status, body: response.body, ..Seen::default() };
                for (name, value) in response.head.fields {
                    seen.fields.entry(name.to_ascii_lowercase()).or_default().push(value);
                }
                let trailers = String::from_utf8_lossy(&response.trailers).into_owned();
                let lines = trailers.lines().filter_map(|line| line.split_once(": "));
                seen.trailers = lines.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
                seen
            }
            Self::H2(client) => {
                let length = body.len().to_string();
                let mut fields = fields.clone();
                if *has_length && !body.is_empty() {
                    fields.push(("content-length", &length));
                }
                let stream = client.begin(method, target, &fields, body.is_empty() && trailers.is_empty()).unwrap();
                if !body.is_empty() {
                    client.send_data(stream, *body, trailers.is_empty()).unwrap();
                }
                if !trailers.is_empty() {
                    client.send_headers(stream, trailers, true).unwrap();
                }
                let response = client.response(stream).unwrap();
                assert_eq!(response.reset, None, "{method} {target}");
                let mut seen = Seen { status: response.status(), body: response.body, ..Seen::default() };
                for (name, value) in response.fields {
                    seen.fields.entry(name).or_default().push(value);
                }
                seen.trailers = response.trailers;
                seen
            }
        }
    }
}

#[test]
fn each_pair_of_versions_carries_the_same_request_and_response() {
    let case = |method, target| Case { method, target, fields: vec![], body: "", has_length: true, trailers: vec![] };
    let cases = [
        case("GET", "/"),
        case("GET", "/a%20b/c?q=%41&x"),
        case("OPTIONS", "*"),
        case("DELETE", "/d"),
        case("PURGE", "/other-method"),
        case("HEAD", "/head"),
        case("GET", "/204"),
        case("GET", "/304"),
        case("GET", "/404"),
        case("GET", "/503"),
        case("GET", "/empty"),
        case("GET", "/no-length"),
        case("GET", "/trailers"),
        Case { fields: vec![("te", "trailers")], ..case("GET", "/trailers?te") },
        Case {
            fields: vec![("x-b", "1"), ("x-b", "2"), ("cookie", "a=1"), ("x-utf8", "ü")], ..case("GET", "/fields")
        },
        Case { body: "with a length", ..case("POST", "/length") },
        Case { body: "without", has_length: false, ..case("PUT", "/chunked") },
        Case { body: "x", has_length: false, trailers: vec![("x-sum", "1"), ("cookie", "no")], ..case("POST", "/t") },
        case("POST", "/nothing"),
    ];
    for (client_is_h2, backend_is_h2) in [(false, false), (false, true), (true, false), (true, true)] {
        let backend = Backend::start(backend_is_h2);
        let site = site(backend.address(), if backend_is_h2 { "h2c" } else { "h1" }, json!({}));
        let mut client = match client_is_h2 {
            true => Client::H2(site.h2_client()),
            false => Client::H1(site.client()),
        };
        for case in &cases {
            let what = format!("client h2 {client_is_h2}, backend h2 {backend_is_h2}: {} {}", case.method, case.target);
            let mut case_fields = case.fields.clone();
            if !client_is_h2 && case_fields.contains(&("te", "trailers")) {
                case_fields.push(("connection", "te"));
            }
            let seen = client.ask(&Case { fields: case_fields, trailers: case.trailers.clone(), ..*case });
            let got = backend.last();
            let target = if case.target.contains("q=") { "/a%20b/c?q=%41&x" } else { case.target };
            assert_eq!((&*got.method, &*got.target, &*got.host), (case.method, target, "h"), "{what}");
            assert_eq!(String::from_utf8_lossy(&got.body), case.body, "{what}");
            let kept: Vec<Field> = case
                .trailers
                .iter()
                .filter(|(name, _)| *name != "cookie")
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect();
            assert_eq!(got.trailers, kept, "{what}");
            for (name, _) in case.fields.iter().filter(|(name, _)| *name != "te") {
                let sent: Vec<&str> =
                    case.fields.iter().filter(|(other, _)| other == name).map(|(_, value)| *value).collect();
                assert_eq!(got.fields[*name], sent, "{what}: {name}");
            }
            let te = case.fields.contains(&("te", "trailers")).then_some("trailers");
            assert_eq!(got.field("te"), te, "{what}");
            assert_eq!(got.field("via"), Some(if client_is_h2 { "2 tidegate" } else { "1.1 tidegate" }), "{what}");
            let hop: &[&str] = if backend_is_h2 { &["connection", "transfer-encoding", "host"] } else { &[] };
            assert!(hop.iter().all(|name| got.field(name).is_none()), "{what}: {:?}", got.fields);
            if case.has_length && !case.body.is_empty() {
                assert_eq!(got.field("content-length"), Some(&*case.body.len().to_string()), "{what}");
            }

            let (status, fields, body, trailers) = answer(case.target);
            assert_eq!(seen.status, status, "{what}");
            let body = if case.method == "HEAD" { b"" } else { body };
            assert_eq!(String::from_utf8_lossy(&seen.body), String::from_utf8_lossy(body), "{what}");
            for (name, _) in &fields {
                let sent: Vec<&str> =
                    fields.iter().filter(|(other, _)| other == name).map(|(_, value)| *value).collect();
                assert_eq!(seen.fields[*name], sent, "{what}: {name}");
            }
            assert!(seen.fields.contains_key("date"), "{what}");
            let sent: Vec<Field> =
                trailers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            assert_eq!(seen.trailers, sent, "{what}");
            if case.method == "HEAD" {
                assert_eq!(seen.fields["content-length"], ["5"], "{what}");
            }
        }
    }
}
