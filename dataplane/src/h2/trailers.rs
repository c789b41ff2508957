//! Trailers, between messages of any version.

use http1::{ChunkLimits, ChunkedDecoder, Field, write};

use super::lines;
use crate::{error::Reason, request_id::Renamed};

/// The lines of a trailer section, each with its line break.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Trailers(Vec<u8>);

impl Trailers {
    /// Those of a chunked body that has ended; none if all are left out.
    pub(super) fn of_chunked(decoder: &ChunkedDecoder) -> Option<Self> {
        let trailers = decoder.trailers()?;
        let (fields, bytes) = (trailers.fields(), trailers.bytes());
        let mut kept = Self::default();
        for line in fields.lines().iter().filter(|line| !line.removed) {
            kept.push(line.name.of(bytes), line.value.of(bytes));
        }
        kept.some()
    }

    /// Adds a line.
    pub(super) fn push(&mut self, name: &[u8], value: &[u8]) {
        write::line(&mut self.0, name, value);
    }

    /// The trailers whose lines are `bytes`, which was read by HTTP/2.
    pub(super) fn of_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The lines as they are written to HTTP/1.1.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// The lines as they are written to HTTP/1.1.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Those that may go further; none if that is none of them.
    pub(super) fn passable(self, renamed: &Renamed) -> Option<Self> {
        self.keep(|name| Field::is_trailer(name) && !renamed.is(name))
    }

    /// Those in which no id of a request stands, whose field may have been `renamed`; none if that is none of them.
    pub(super) fn without_id(self, renamed: &Renamed) -> Option<Self> {
        self.keep(|name| !renamed.is(name))
    }

    fn keep(self, stays: impl Fn(&[u8]) -> bool) -> Option<Self> {
        if lines::of(&self.0).all(|(name, _)| stays(name)) {
            return self.some();
        }
        let mut kept = Self::default();
        lines::of(&self.0).filter(|(name, _)| stays(name)).for_each(|(name, value)| kept.push(name, value));
        kept.some()
    }

    fn some(self) -> Option<Self> {
        (!self.0.is_empty()).then_some(self)
    }

    /// Writes the end of a chunked body behind what is in `out`. The trailers pass the reader of chunked bodies, so that what it
    /// refuses or leaves out is the same for both versions.
    ///
    /// # Errors
    /// They are too large, or one of them lies about the message.
    pub(super) fn write_chunked(&self, out: &mut Vec<u8>) -> Result<(), Reason> {
        let mut section = b"0\r\n".to_vec();
        section.extend_from_slice(&self.0);
        write::end(&mut section);
        let mut decoder = ChunkedDecoder::new(ChunkLimits::default());
        decoder.data(&section, &mut 0).map_err(Reason::of_request)?;
        out.extend_from_slice(b"0\r\n");
        if let Some(trailers) = decoder.trailers() {
            write::kept_lines(out, trailers.fields(), trailers.bytes());
        }
        write::end(out);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trailers(lines: &[(&str, &str)]) -> Trailers {
        let mut trailers = Trailers::default();
        lines.iter().for_each(|(name, value)| trailers.push(name.as_bytes(), value.as_bytes()));
        trailers
    }

    #[test]
    fn trailers_survive_both_ways_and_those_that_lie_do_not() {
        let mut sent = trailers(&[("grpc-status", "0"), ("x-forwarded-for", "6.6.6.6"), ("x", "a b")]);
        let mut out = Vec::new();
        sent.write_chunked(&mut out).unwrap();
        assert_eq!(String::from_utf8_lossy(&out), "0\r\ngrpc-status: 0\r\nx: a b\r\n\r\n");
        let mut decoder = ChunkedDecoder::new(ChunkLimits::default());
        decoder.data(&out, &mut 0).unwrap();
        assert_eq!(Trailers::of_chunked(&decoder), Some(trailers(&[("grpc-status", "0"), ("x", "a b")])));
        sent.push(b"content-length", b"5");
        assert_eq!(sent.write_chunked(&mut out), Err(Reason::BadRequest));
        out.clear();
        Trailers::default().write_chunked(&mut out).unwrap();
        assert_eq!(out, b"0\r\n\r\n");
    }

    #[test]
    fn what_no_trailer_may_be_stays_there() {
        let (barred, status) = ([("x_forwarded_for", "6.6.6.6"), ("content-length", "6")], ("grpc-status", "0"));
        assert_eq!(trailers(&barred).passable(&Renamed::default()), None);
        let all = trailers(&[barred[0], status, barred[1]]);
        assert_eq!(all.clone().passable(&Renamed::default()), Some(trailers(&[status])));
        assert_eq!(all.clone().without_id(&Renamed::default()), Some(all));
    }
}
