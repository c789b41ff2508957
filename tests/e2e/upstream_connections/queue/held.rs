//! A backend that answers when a test lets it, and clients of both versions that ask it.

use std::{
    io::Read,
    net::TcpStream,
    sync::{Arc, Condvar, Mutex},
};

use harness::{
    DEADLINE, Origin, RawClient, Reply,
    h2::{H2Client, H2Origin},
    wait_for,
};

use super::MAX_CONCURRENT_STREAMS;
use crate::site::Site;

/// A backend whose answers wait until a test lets them go, one request a connection at a time.
pub(super) struct Held {
    pub(super) address: String,
    /// Ends all its connections.
    pub(super) drop_connections: Box<dyn Fn()>,
    pub(super) arrived: Arc<Mutex<Vec<String>>>,
    pub(super) open: Arc<(Mutex<bool>, Condvar)>,
}

impl Held {
    pub(super) fn start(protocol: &str) -> Self {
        let open = Arc::new((Mutex::new(false), Condvar::new()));
        let arrived = Arc::<Mutex<Vec<String>>>::default();
        let (gate, paths) = (Arc::clone(&open), Arc::clone(&arrived));
        let hold = move |path: &str| {
            paths.lock().unwrap().push(path.to_owned());
            let (lock, opened) = &*gate;
            drop(opened.wait_timeout_while(lock.lock().unwrap(), DEADLINE, |open| !*open).unwrap());
        };
        let (address, drop_connections): (String, Box<dyn Fn()>) = if protocol == "h2c" {
            let origin = H2Origin::start(&[(MAX_CONCURRENT_STREAMS, 1)], move |request, stream| {
                hold(request.field(":path"));
                stream.answer(&[(":status", "200")], b"ok", &[])
            });
            (origin.address().to_owned(), Box::new(move || origin.drop_connections()))
        } else {
            let origin = Origin::start(move |request| {
                hold(request.target());
                Reply::text("ok")
            });
            (origin.address().to_owned(), Box::new(move || origin.drop_connections()))
        };
        Self { address, drop_connections, arrived, open }
    }

    pub(super) fn release(&self) {
        *self.open.0.lock().unwrap() = true;
        self.open.1.notify_all();
    }

    pub(super) fn arrived(&self) -> Vec<String> {
        self.arrived.lock().unwrap().clone()
    }

    pub(super) fn wait_for_arrivals(&self, count: usize) {
        wait_for("requests at the backend", DEADLINE, || (self.arrived().len() >= count).then_some(()));
    }
}

/// A client with one request, by either version.
pub(super) enum Asking {
    Http1(Box<RawClient>),
    Http2(Box<H2Client>, u32),
}

impl Asking {
    pub(super) fn send(site: &Site, version: u8, method: &str, path: &str) -> Self {
        if version == 1 {
            let mut client = site.client();
            client.send(format!("{method} {path} HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")).unwrap();
            return Self::Http1(Box::new(client));
        }
        let mut client = site.h2_client();
        let stream = client.begin(method, path, &[], true).unwrap();
        Self::Http2(Box::new(client), stream)
    }

    /// Status and `Proxy-Status` of its answer.
    pub(super) fn answer(&mut self) -> (u16, String) {
        match self {
            Self::Http1(client) => {
                let response = client.read_response().unwrap();
                (response.status, response.field("proxy-status").unwrap_or_default().to_owned())
            }
            Self::Http2(client, stream) => {
                let response = client.response(*stream).unwrap();
                (response.status(), response.field("proxy-status").unwrap_or_default().to_owned())
            }
        }
    }
}

/// The head of a request without a body.
pub(super) fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}
