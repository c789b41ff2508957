//! What a response's head gets on its way to the client.

use http1::{Field, ResponseBody, ResponseHead, Upgrade, write};

use crate::clock::Clock;

/// How the client gets the response.
pub(crate) struct Delivery<'a> {
    /// Whether the client speaks HTTP/1.1.
    pub(crate) is_http11: bool,
    /// Whether its connection is kept afterwards.
    pub(crate) keeps: bool,
    /// Knows the date.
    pub(crate) clock: &'a Clock,
}

/// Writes the lines that come behind those of the backend; hop-by-hop lines of its own are left out already.
pub(crate) fn append(out: &mut Vec<u8>, head: &ResponseHead, bytes: &[u8], delivery: &Delivery<'_>) {
    if head.status == 101 {
        if let Upgrade::To(protocols) = head.upgrade {
            out.extend_from_slice(b"Connection: upgrade\r\n");
            write::line(out, b"Upgrade", protocols.of(bytes));
        }
        return;
    }
    if delivery.is_http11 && matches!(head.body, ResponseBody::Chunked | ResponseBody::UntilClose) {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    }
    // A recipient with a clock adds what the origin left out (RFC 9110 §6.6.1).
    if !head.fields.has(Field::Date) {
        write::line(out, b"Date", &delivery.clock.date());
    }
    // Whoever refuses to go on without another protocol must say which (RFC 9110 §15.5.22).
    if let (426, Upgrade::To(protocols)) = (head.status, head.upgrade) {
        write::line(out, b"Upgrade", protocols.of(bytes));
        out.extend_from_slice(b"Connection: upgrade\r\n");
    }
    match (delivery.keeps, delivery.is_http11) {
        (true, true) => {}
        (true, false) => out.extend_from_slice(b"Connection: keep-alive\r\n"),
        (false, _) => out.extend_from_slice(b"Connection: close\r\n"),
    }
}
