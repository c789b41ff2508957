//! The head of a response on its way to a client, whichever version each side speaks.

use http1::{Field, Line, ResponseHead, write};
use http2::{Fields, Indexing};

use super::lines;
use crate::{clock::Clock, engine::Terms, protocol::Protocol, request_id::Renamed};

/// A head that is sent: the lines that came and are not removed, then those that were appended.
#[derive(Clone, Copy)]
pub(super) struct Outgoing<'a> {
    pub(super) status: u16,
    /// The lines that came, as places in `bytes`.
    pub(super) came: &'a [Line],
    pub(super) bytes: &'a [u8],
    /// Lines of ours, each with its line break.
    pub(super) appended: &'a [u8],
    /// The field in which the request's id stands, if it is not the usual one.
    pub(super) renamed: &'a Renamed,
}

impl<'a> Outgoing<'a> {
    /// The interim response whose `head` was parsed from `bytes`.
    pub(super) fn interim(head: &'a ResponseHead, bytes: &'a [u8], terms: &'a Terms) -> Self {
        let renamed = terms.returned.renamed();
        Self { status: head.status, came: head.fields.lines(), bytes, appended: b"", renamed }
    }

    /// The final response whose `head` was parsed from `bytes`. It came by `protocol`, and becomes what `terms` say. The lines that it
    /// gets are written to `appended`.
    pub(super) fn new(
        head: &'a mut ResponseHead,
        bytes: &'a [u8],
        appended: &'a mut Vec<u8>,
        protocol: Protocol,
        terms: &'a Terms,
        clock: &Clock,
    ) -> Self {
        appended.clear();
        if let Some(edits) = &terms.response_headers {
            edits.act(head, bytes, appended);
        }
        terms.returned.act(protocol, head, bytes, appended);
        // A recipient with a clock adds what the origin left out (RFC 9110 §6.6.1).
        if !head.fields.has(Field::Date) {
            write::line(appended, b"Date", &clock.date());
        }
        Self { appended, ..Self::interim(head, bytes, terms) }
    }

    /// Names and values, in order.
    pub(super) fn lines(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let bytes = self.bytes;
        let kept = self.came.iter().filter(|line| !line.removed);
        kept.map(move |line| (line.name.of(bytes), line.value.of(bytes))).chain(lines::of(self.appended))
    }

    /// Writes it into the fields of HTTP/2.
    pub(super) fn write(&self, fields: &mut Fields<'_>) {
        fields.status(self.status);
        for (name, value) in self.lines() {
            fields.field(name, value, indexing(name, self.renamed));
        }
    }

    /// The value of the first line with a known field.
    pub(super) fn value(&self, field: Field) -> Option<&'a [u8]> {
        self.lines().find(|(name, _)| Field::of(name) == field).map(|(_, value)| value)
    }
}

/// How a field is compressed, of a message whose id stands in the field `renamed` or the usual one.
pub(super) fn indexing(name: &[u8], renamed: &Renamed) -> Indexing {
    match name.len() {
        // Never indexed: each is a new one, and would push out of the table what comes again.
        12 if Field::of(name) == Field::XRequestId => Indexing::Never,
        // What is guessed by trying must not show by its size (RFC 7541 §7.1.3).
        6 if name.eq_ignore_ascii_case(b"cookie") => Indexing::Never,
        10 if name.eq_ignore_ascii_case(b"set-cookie") => Indexing::Never,
        13 if name.eq_ignore_ascii_case(b"authorization") => Indexing::Never,
        14 if name.eq_ignore_ascii_case(b"content-length") => Indexing::No,
        4 if name.eq_ignore_ascii_case(b"etag") => Indexing::No,
        8 if name.eq_ignore_ascii_case(b"location") => Indexing::No,
        13 if name.eq_ignore_ascii_case(b"last-modified") => Indexing::No,
        11 if name.eq_ignore_ascii_case(b"traceparent") => Indexing::No,
        3 if name.eq_ignore_ascii_case(b"age") => Indexing::No,
        _ if renamed.is(name) => Indexing::Never,
        _ => Indexing::Yes,
    }
}
