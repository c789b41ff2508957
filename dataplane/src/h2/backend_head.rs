//! A request's head from HTTP/1.1 on its way to an HTTP/2 backend.

use http1::Field;
use http2::{Fields, Indexing};

use super::{lines, outgoing::indexing};
use crate::{error::Reason, request_id::Renamed};

/// A head for HTTP/1.1 that was written by us, taken apart.
pub(super) struct BackendHead<'a> {
    method: &'a [u8],
    target: &'a [u8],
    host: &'a [u8],
    lines: &'a [u8],
}

impl<'a> BackendHead<'a> {
    /// Takes `head` apart.
    ///
    /// # Errors
    /// It has no host, which HTTP/2 cannot do without here.
    pub(super) fn of(head: &'a [u8]) -> Result<Self, Reason> {
        let (line, lines) = lines::split(head);
        let mut words = line.split(|byte| *byte == b' ');
        let (Some(method), Some(target), Some(_)) = (words.next(), words.next(), words.next()) else {
            return Err(Reason::BadRequest);
        };
        let mut hosts = lines::of(lines).filter(|(name, _)| Field::of(name) == Field::Host);
        let (_, host) = hosts.next().ok_or(Reason::BadRequest)?;
        Ok(Self { method, target, host, lines })
    }

    /// Whether the response has no body, whatever it declares.
    pub(super) fn is_head(&self) -> bool {
        self.method == b"HEAD"
    }

    /// Writes it into the fields of HTTP/2. The request's id stands in the field `renamed`, or the usual one.
    pub(super) fn write(&self, fields: &mut Fields<'_>, renamed: &Renamed) {
        fields.field(b":method", self.method, Indexing::Yes);
        fields.field(b":scheme", b"http", Indexing::Yes);
        fields.field(b":authority", self.host, Indexing::Yes);
        // Calls go to a few paths again and again; others are too many for the table.
        let indexing_of_path = if self.method == b"POST" { Indexing::Yes } else { Indexing::No };
        fields.field(b":path", self.target, indexing_of_path);
        for (name, value) in lines::of(self.lines) {
            match Field::of(name) {
                Field::Host => continue,
                // gRPC servers ask for it (RFC 9113 §8.2.2).
                Field::Te if value == b"trailers" => {}
                field if field.is_hop_by_hop() => continue,
                _ => {}
            }
            fields.field(name, value, indexing(name, renamed));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use http2::{Config, Connection, FRAME_HEAD};

    use super::*;
    use crate::h2::chunk::Chunk;

    /// The fields that a backend reads of a request whose head for HTTP/1.1 is `head`.
    fn sent(head: &str) -> Vec<String> {
        let config = Config {
            is_server: false,
            streams: 0,
            header_list: 1 << 16,
            stream_window: 1 << 16,
            connection_window: 1 << 16,
            gathered: 1 << 16,
            remembered_resets: 1,
            allowances: None,
        };
        let connection: Connection<Chunk> = Connection::new(config, &Rc::default());
        let unwritten = connection.with_unwritten(<[u8]>::len);
        connection.written(unwritten);
        let head = BackendHead::of(head.as_bytes()).unwrap();
        let _stream =
            connection.request(head.is_head(), true, |fields| head.write(fields, &Renamed::default())).unwrap();
        let mut read = Vec::new();
        connection.with_unwritten(|bytes| {
            let mut decoder = http2::hpack::Decoder::new(4096);
            let read = |name: &[u8], value: &[u8]| {
                read.push(format!("{}={}", String::from_utf8_lossy(name), String::from_utf8_lossy(value)));
            };
            decoder.decode(&bytes[FRAME_HEAD..], read).unwrap();
        });
        read
    }

    #[test]
    fn a_head_for_http_1_becomes_one_for_http_2() {
        let head = "POST /a?b HTTP/1.1\r\nHost: h:81\r\nX-A: 1\r\nVia: 2 tidegate\r\nTransfer-Encoding: chunked\r\n\
            TE: trailers\r\nConnection: TE\r\n\r\n";
        let pseudo = [":method=POST", ":scheme=http", ":authority=h:81", ":path=/a?b"];
        assert_eq!(sent(head), [&pseudo[..], &["x-a=1", "via=2 tidegate", "te=trailers"]].concat());
        let expected = [":method=OPTIONS", ":scheme=http", ":authority=h", ":path=*"];
        assert_eq!(sent("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"), expected);
        assert!(BackendHead::of(b"GET / HTTP/1.1\r\nX: 1\r\n\r\n").is_err());
    }
}
