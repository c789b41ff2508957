//! The trailer section.

use crate::{fault::Fault, field::Field, fields::Fields, limits::ChunkLimits, walk};

/// The trailer section of a chunked body, kept in its own memory since it may arrive in pieces.
///
/// Lines that must not stand there (RFC 9110 §6.5.1) are marked as removed: hop-by-hop and authentication fields, cookies,
/// controls, what describes the content, and the fields that tell who the client is, look-alikes too. To send the rest on,
/// write them with [`write::kept_lines`](crate::write::kept_lines).
#[derive(Clone, Debug, Default)]
pub struct Trailers {
    bytes: Vec<u8>,
    fields: Fields,
}

impl Trailers {
    /// The lines, in [`bytes`](Self::bytes).
    #[must_use]
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// The section as it came.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.fields.clear(u16::MAX);
    }

    /// Takes one byte; true if the section ends with it.
    pub(super) fn push(&mut self, byte: u8, limits: &ChunkLimits) -> Result<bool, Fault> {
        if self.bytes.len() >= limits.trailer_bytes as usize {
            return Err(Fault::TrailersTooLarge);
        }
        self.bytes.push(byte);
        if byte != b'\n' {
            return Ok(false);
        }
        if !self.bytes.ends_with(b"\r\n") {
            return Err(Fault::BareLf);
        }
        Ok(self.bytes.ends_with(b"\n\r\n"))
    }

    /// Reads the lines of the whole section.
    pub(super) fn read(&mut self, limits: &ChunkLimits) -> Result<(), Fault> {
        let Self { bytes, fields } = self;
        let end = bytes.len() - 2;
        fields.ends(end);
        let walked = walk::fields(bytes, limits.trailer_fields, |name, value| {
            // The walk has counted it already.
            let _ = fields.add(name, value, name.of(bytes), u16::MAX);
        });
        match walked {
            Ok(_) => {}
            Err(walk::Stop::Fault(Fault::TooManyFields)) => return Err(Fault::TrailersTooLarge),
            Err(walk::Stop::Fault(fault)) => return Err(fault),
            // The section ends with an empty line, so only one that begins with CR alone could be cut off.
            Err(walk::Stop::Partial) => return Err(Fault::BareCr),
        }
        let reframes = [Field::ContentLength, Field::TransferEncoding, Field::Host];
        if reframes.into_iter().any(|field| fields.has(field)) {
            return Err(Fault::ForbiddenTrailer);
        }
        fields.remove_where(|line| line.resembles.unwrap_or(line.field).is_barred_from_trailers());
        Ok(())
    }
}
