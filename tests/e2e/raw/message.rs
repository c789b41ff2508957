//! Requests that most cases begin with.

/// What a case tries to smuggle. A backend that sees its target as one was reached.
pub(super) const SMUGGLED: &str = "GET /evil HTTP/1.1\r\nHost: h\r\n\r\n";

/// `GET /` with further `fields`, each with its line break.
pub(super) fn get(fields: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: h\r\n{fields}\r\n")
}

/// `POST /` with these fields, and what follows the head.
pub(super) fn post(fields: &str, body: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: h\r\n{fields}\r\n{body}")
}

/// `POST /` with a chunked body, framing and all.
pub(super) fn chunked(body: &str) -> String {
    post("Transfer-Encoding: chunked\r\n", body)
}
