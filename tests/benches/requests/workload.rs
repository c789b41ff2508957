//! What is sent through the proxies.

use anyhow::Context;

use crate::wrk::Done;

/// How a proxy is set up.
#[derive(Clone, Copy)]
pub(crate) struct Setup {
    /// Routes, each for a host of its own; with one it takes every host.
    pub(crate) routes: usize,
    /// Whether a line is written to a file for each request.
    pub(crate) access_log: bool,
    /// Whether the routes have the rules of a typical site: six fields set, three removed, a prefix stripped.
    pub(crate) rules: bool,
    /// Whether clients speak HTTP/2, with prior knowledge.
    pub(crate) h2: bool,
    /// Whether the origin does, too, and requests are gRPC calls.
    pub(crate) grpc: bool,
}

pub(crate) const PLAIN: Setup = Setup { routes: 1, access_log: false, rules: false, h2: false, grpc: false };

/// A load and the set-up for it.
pub(crate) struct Workload {
    /// As on the command line.
    pub(crate) name: &'static str,
    /// As in the table.
    pub(crate) title: &'static str,
    pub(crate) setup: Setup,
    /// Connections of the load.
    pub(crate) connections: u32,
    /// Requests at a time on each connection, over HTTP/2; else 1.
    pub(crate) streams: u32,
    pub(crate) path: &'static str,
    /// Fields besides `Host`.
    pub(crate) fields: &'static [&'static str],
    /// Bytes of each request's body, which makes it a POST; 0 is a GET.
    pub(crate) body: usize,
    /// Whether time is given for each GiB of responses, not for each request.
    pub(crate) per_gib: bool,
}

const SMALL: Workload = Workload {
    name: "small",
    title: "GET 1 KiB, 64 kept connections",
    setup: PLAIN,
    connections: 64,
    streams: 1,
    path: "/small",
    fields: &[],
    body: 0,
    per_gib: false,
};

/// All workloads, in the order of the table.
pub(crate) const WORKLOADS: &[Workload] = &[
    SMALL,
    Workload { name: "browser", title: "GET 1 KiB with the 15 fields of a browser", fields: BROWSER, ..SMALL },
    Workload { name: "get-64k", title: "GET 64 KiB", path: "/medium", ..SMALL },
    Workload { name: "post-64k", title: "POST 64 KiB", path: "/upload", body: crate::MEDIUM, ..SMALL },
    Workload {
        name: "conn",
        title: "GET 1 KiB, a new connection for each request",
        fields: &["Connection: close"],
        ..SMALL
    },
    Workload {
        name: "download",
        title: "GET 100 MiB, one after the other",
        connections: 1,
        path: "/large",
        per_gib: true,
        ..SMALL
    },
    Workload {
        name: "access-log",
        title: "GET 1 KiB with an access log in JSON to a file",
        setup: Setup { access_log: true, ..PLAIN },
        ..SMALL
    },
    Workload {
        name: "rules",
        title: "GET 1 KiB, 6 header fields set, 3 removed, a prefix stripped",
        setup: Setup { rules: true, ..PLAIN },
        path: "/api/small",
        fields: &["X-Debug: 1", "X-Env: test", "Accept: */*"],
        ..SMALL
    },
    Workload {
        name: "routes-10",
        title: "GET 1 KiB, 10 routes by host, random hosts",
        setup: Setup { routes: 10, ..PLAIN },
        ..SMALL
    },
    Workload {
        name: "routes-10k",
        title: "GET 1 KiB, 10,000 routes by host, random hosts",
        setup: Setup { routes: 10_000, ..PLAIN },
        ..SMALL
    },
    Workload {
        name: "h2",
        title: "GET 1 KiB over HTTP/2, 8 connections with 10 streams each",
        setup: Setup { h2: true, ..PLAIN },
        connections: 8,
        streams: 10,
        ..SMALL
    },
    Workload {
        name: "grpc",
        title: "gRPC calls of 100 bytes, HTTP/2 on both sides, 8 connections with 10 streams each",
        setup: Setup { h2: true, grpc: true, ..PLAIN },
        connections: 8,
        streams: 10,
        path: "/call",
        fields: &["content-type: application/grpc", "te: trailers"],
        body: 100,
        ..SMALL
    },
];

/// With `Host` these are 15.
const BROWSER: &[&str] = &[
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8",
    "Accept-Encoding: gzip, deflate, br, zstd",
    "Accept-Language: en-GB,en-US;q=0.9,en;q=0.8,de;q=0.7",
    "Cache-Control: max-age=0",
    "Cookie: sid=8d2f7c1ab94e4f0c9c3d; theme=dark; _ga=GA1.2.1203948571.1718000000; consent=all; cart=0f9a1c7e",
    "DNT: 1",
    "Priority: u=0, i",
    "Referer: https://h0.example/catalogue/shoes?page=3&sort=price",
    "Sec-CH-UA: \"Chromium\";v=\"126\", \"Not.A/Brand\";v=\"24\"",
    "Sec-CH-UA-Mobile: ?0",
    "Sec-Fetch-Dest: document",
    "Sec-Fetch-Mode: navigate",
    "Sec-Fetch-Site: same-origin",
];

impl Workload {
    /// The workload `name`.
    pub(crate) fn named(name: &str) -> anyhow::Result<&'static Self> {
        let names = || WORKLOADS.iter().map(|workload| workload.name).collect::<Vec<_>>().join(", ");
        WORKLOADS
            .iter()
            .find(|workload| workload.name == name)
            .with_context(|| format!("{name} is none of the workloads: {}", names()))
    }

    /// In how many units the time of `done` is divided.
    pub(crate) fn units(&self, done: &Done) -> f64 {
        if self.per_gib { done.bytes as f64 / f64::from(1 << 30) } else { done.requests as f64 }
    }

    /// By how much seconds per unit are multiplied, and the name of what comes out.
    pub(crate) fn scale(&self) -> (f64, &'static str) {
        if self.per_gib { (1e3, "ms/GiB") } else { (1e6, "us/req") }
    }
}

/// The host of route number `index`.
pub(crate) fn host(index: usize) -> String {
    format!("h{index}.example")
}
