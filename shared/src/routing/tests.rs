//! Each rule of precedence by name, and the index against a plain scan over random tables.

mod precedence;
mod scan;

use std::net::IpAddr;

use super::{RequestView, Table};
use crate::config::Route;

/// A request of plain parts.
#[derive(Clone, Debug)]
struct Request {
    host: String,
    path: String,
    query: Option<String>,
    method: String,
    client: IpAddr,
    listener: String,
    headers: Vec<(String, Vec<u8>)>,
}

impl Request {
    /// `GET` from 127.0.0.1 on the listener `web`; `target` is `host/path[?query]`.
    fn get(target: &str) -> Self {
        let (target, query) = match target.split_once('?') {
            Some((target, query)) => (target, Some(query.to_owned())),
            None => (target, None),
        };
        let (host, path) = target.split_at(target.find('/').expect("a test names a path"));
        Self {
            host: host.to_owned(),
            path: path.to_owned(),
            query,
            method: "GET".to_owned(),
            client: "127.0.0.1".parse().unwrap(),
            listener: "web".to_owned(),
            headers: Vec::new(),
        }
    }

    fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_owned()));
        self
    }
}

impl RequestView for Request {
    fn host(&self) -> &str {
        &self.host
    }

    fn path(&self) -> &str {
        &self.path
    }

    fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    fn method(&self) -> &str {
        &self.method
    }

    fn client(&self) -> IpAddr {
        self.client
    }

    fn listener(&self) -> &str {
        &self.listener
    }

    fn any_header(&self, name: &str, check: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.headers.iter().any(|(sent, value)| sent == name && check(value))
    }
}

/// A route by its name and its match as JSON.
fn route(name: &str, matches: &serde_json::Value) -> Route {
    let route = serde_json::json!({"name": name, "match": matches, "action": {"forward": {"upstream": "u"}}});
    serde_json::from_value(route).unwrap()
}

/// The name of the route that takes `request`.
fn find<'a>(routes: &'a [Route], request: &Request) -> Option<&'a str> {
    Table::build(routes).find(request).map(|found| routes[found].name.as_str())
}
