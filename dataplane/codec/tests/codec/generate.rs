//! Bytes to parse: messages as they should be and as they should not, and such with a few changes.
use proptest::{
    prelude::*,
    sample::{Index, select},
};

/// Where to cut bytes into pieces.
pub(crate) fn cuts() -> impl Strategy<Value = Vec<usize>> {
    proptest::collection::vec(any::<usize>(), 0..6)
}

/// Bytes that are dear to parsers, without any order.
pub(crate) fn noise() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        3 => any::<u8>().prop_map(|byte| vec![byte]),
        6 => select(vec![
            "\r\n", "\r\n\r\n", "\n", "\r", " ", "\t", ":", ";", ",", "\0", "GET", "HTTP/1.1", "HTTP/1.0 200", " / ", "Host: a",
            "0", "5", "a=b", "\"", "\\", "Transfer-Encoding: chunked", "Content-Length: 5", "ffffffffffffffff",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

fn method() -> impl Strategy<Value = &'static str> {
    prop_oneof![8 => Just("GET"), 4 => Just("POST"), 3 => select(vec!["HEAD", "OPTIONS", "get", "M-SEARCH", "PUT", "G T", "", "TRACE", "(x)"])]
}

fn target() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        8 => select(vec!["/", "/a", "/a/b?c=d", "/?", "//a", "/%41?%zz"]),
        3 => select(vec!["*", "http://a/", "http://A:80/b?c", "https://[::1]/", "http://a", "a", "/a#b", "/\"", "/a|b", "", "/ ", "/\u{e9}", "http:///", "/\\"]),
    ]
}

fn version() -> impl Strategy<Value = &'static str> {
    prop_oneof![12 => Just("HTTP/1.1"), 4 => Just("HTTP/1.0"), 1 => select(vec!["HTTP/1.2", "HTTP/2.0", "http/1.1", "", "HTTP/1.", "HTTP/1.1 "])]
}

fn line_end() -> impl Strategy<Value = &'static str> {
    prop_oneof![40 => Just("\r\n"), 1 => select(vec!["\n", "\r", "\r\r\n", "\r\n ", "\n\r\n"])]
}

/// Lines about framing and connections, good and bad, and others.
fn line() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        6 => select(vec!["Host: a", "Accept: */*", "X-A: b", "x-b:", "Cookie: a=b; c=d", "X_Y: z"]),
        3 => select(vec!["Content-Length: 5", "content-length: 0", "Transfer-Encoding: chunked", "TRANSFER-ENCODING: Chunked"]),
        2 => select(vec![
            "Content-Length: 5, 5", "Content-Length: +5", "Content-Length:", "Content-Length: 99999999999999999999",
            "Content-Length: 6", "Content-Length: 05", "Transfer-Encoding: gzip, chunked", "Transfer-Encoding: gzip",
            "Transfer-Encoding: chunked, chunked", "Transfer-Encoding: chunked, gzip", "Transfer-Encoding: chunked;a=b",
            "Transfer-Encoding: ,chunked", "Transfer-Encoding: xchunked", "Transfer-Encoding: chunked ,",
        ]),
        3 => select(vec![
            "Connection: close", "Connection: keep-alive", "Connection: x-a", "Connection: Upgrade", "Upgrade: websocket",
            "Upgrade: h2c", "Expect: 100-continue", "Expect: x", "TE: trailers", "Keep-Alive: timeout=5", "Connection: a b",
            "Host: b", "Host: a b", "Max-Forwards: 1",
            "Max-Forwards: x",
        ]),
        1 => select(vec!["A : b", "A b", ": c", " X: y", "A: \u{1}", "A: \u{e9}", "\u{e9}: a", "A: b\tc", "A:   b  ", "(: a"]),
    ]
}

fn lines() -> impl Strategy<Value = String> {
    proptest::collection::vec((line(), line_end()), 0..7)
        .prop_map(|lines| lines.into_iter().map(|(line, end)| format!("{line}{end}")).collect())
}

/// A request, sometimes with a body, sometimes changed, and a second one.
pub(crate) fn request() -> impl Strategy<Value = Vec<u8>> {
    let host = prop_oneof![9 => Just("Host: a\r\n"), 1 => Just("")];
    let before =
        prop_oneof![20 => Just(""), 2 => Just("\r\n"), 1 => select(vec!["\n", " ", "\r\n\r\n\r\n\r\n\r\n", "\r"])];
    let parts = (before, method(), target(), version(), line_end(), host, lines(), body());
    let text = parts.prop_map(|(before, method, target, version, end, host, lines, body)| {
        // What follows shows where a parser believes that the body ends.
        format!("{before}{method} {target} {version}{end}{host}{lines}\r\n{body}GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
            .into_bytes()
    });
    changed(text)
}

/// A response head, sometimes with a body, sometimes changed.
pub(crate) fn response() -> impl Strategy<Value = Vec<u8>> {
    let status = prop_oneof![
        8 => Just("200 OK"),
        4 => select(vec!["204 No Content", "304 Not Modified", "404 Not Found", "301 ", "500"]),
        2 => select(vec!["100 Continue", "103 Early Hints", "101 Switching Protocols"]),
        1 => select(vec!["099 x", "600 x", "20 x", "2000 x", "200x", "200 \u{e9}", " 200 x", ""]),
    ];
    let before = prop_oneof![30 => Just(""), 1 => Just("\r\n")];
    let parts = (before, version(), status, line_end(), lines(), body());
    changed(parts.prop_map(|(before, version, status, end, lines, body)| {
        format!("{before}{version} {status}{end}{lines}\r\n{body}").into_bytes()
    }))
}

fn body() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        4 => Just(""),
        3 => Just("hello"),
        3 => Just("5\r\nhello\r\n0\r\n\r\n"),
        1 => select(vec!["2\r\nab\r\n3;x\r\ncde\r\n0\r\n\r\n", "0\r\nA: b\r\n\r\n", "0\r\n\r\n", "hellohello"]),
    ]
}

/// A chunked body, sometimes changed.
pub(crate) fn chunked() -> impl Strategy<Value = Vec<u8>> {
    let extension = prop_oneof![8 => Just(""), 2 => select(vec![";a", ";a=b", " ; a = \"b\\\"c\"", ";", " ", ";a=", ";a\n", ";a=\"\r\""])];
    let chunk = (prop_oneof![6 => 1..20_usize, 1 => 1..300_usize], extension, line_end(), line_end())
        .prop_map(|(size, extension, end, after)| format!("{size:x}{extension}{end}{}{after}", "d".repeat(size)));
    let last = select(vec!["0", "00", "0;x", "0000000000000000", "0 ;y"]);
    let trailers = prop_oneof![5 => Just(String::new()), 2 => lines(), 2 => Just("X-A: b\r\nX-C: d\r\n".to_owned())];
    let next = select(vec!["", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "\r\n"]);
    let body =
        (proptest::collection::vec(chunk, 0..5), last, trailers, next).prop_map(|(chunks, last, trailers, next)| {
            format!("{}{last}\r\n{trailers}\r\n{next}", chunks.concat()).into_bytes()
        });
    changed(body)
}

/// Half of the time, with a byte or two replaced, removed or put in.
fn changed(bytes: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![2 => any::<u8>(), 3 => select(b"\r\n \t:;,\0\x7f0\"".to_vec())];
    let change = (0..3_u8, any::<Index>(), byte);
    let changes = prop_oneof![1 => Just(Vec::new()), 1 => proptest::collection::vec(change, 1..3)];
    (bytes, changes).prop_map(|(mut bytes, changes)| {
        for (kind, at, byte) in changes {
            let at = at.index(bytes.len().max(1));
            match kind {
                0 if at < bytes.len() => bytes[at] = byte,
                1 if at < bytes.len() => drop(bytes.remove(at)),
                _ => bytes.insert(at.min(bytes.len()), byte),
            }
        }
        bytes
    })
}
