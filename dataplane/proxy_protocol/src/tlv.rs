//! Additional fields of version 2 (§2.2): type, length, value.

use crate::Fault;

/// Kinds of additional fields that mean something here.
pub mod kind {
    /// The protocol above TLS, as in ALPN.
    pub const ALPN: u8 = 0x01;
    /// The host name that the client asked for, as in SNI.
    pub const AUTHORITY: u8 = 0x02;
    /// A checksum of the header, 4 bytes.
    pub const CRC32C: u8 = 0x03;
    /// Padding.
    pub const NOOP: u8 = 0x04;
    /// An id of the connection, at most 128 bytes.
    pub const UNIQUE_ID: u8 = 0x05;
    /// What TLS was spoken with the client.
    pub const SSL: u8 = 0x20;
}

/// Additional fields that are well-formed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tlvs<'a>(&'a [u8]);

/// One additional field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tlv<'a> {
    /// What it is; see [`kind`].
    pub kind: u8,
    /// Its bytes, which nobody has looked at.
    pub value: &'a [u8],
}

/// What TLS was spoken with the client (§2.2.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ssl<'a> {
    /// Whether TLS was spoken.
    pub is_tls: bool,
    /// Whether the client showed a certificate, and it was verified.
    pub is_verified: bool,
    /// Version, cipher and so on.
    pub tlvs: Tlvs<'a>,
}

impl<'a> Tlvs<'a> {
    /// Checks that `bytes` are whole fields, each with a size that its kind may have.
    ///
    /// # Errors
    /// They are not.
    pub fn read(bytes: &'a [u8]) -> Result<Self, Fault> {
        let mut rest = bytes;
        let mut has_checksum = false;
        while !rest.is_empty() {
            let (tlv, behind) = split(rest).ok_or(Fault::BadTlv)?;
            let fits = match tlv.kind {
                kind::CRC32C => tlv.value.len() == 4 && !std::mem::replace(&mut has_checksum, true),
                kind::UNIQUE_ID => tlv.value.len() <= 128,
                kind::SSL => ssl(tlv.value).is_some(),
                _ => true,
            };
            if !fits {
                return Err(Fault::BadTlv);
            }
            rest = behind;
        }
        Ok(Self(bytes))
    }

    /// The bytes that they stand in.
    #[must_use]
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// All of them, in order.
    pub fn iter(self) -> impl Iterator<Item = Tlv<'a>> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let (tlv, behind) = split(rest)?;
            rest = behind;
            Some(tlv)
        })
    }

    /// The value of the first of `kind`.
    #[must_use]
    pub fn find(self, kind: u8) -> Option<&'a [u8]> {
        self.iter().find(|tlv| tlv.kind == kind).map(|tlv| tlv.value)
    }

    /// What TLS was spoken with the client, if that is said.
    #[must_use]
    pub fn ssl(self) -> Option<Ssl<'a>> {
        ssl(self.find(kind::SSL)?)
    }
}

fn split(bytes: &[u8]) -> Option<(Tlv<'_>, &[u8])> {
    let ([kind, high, low], rest) = bytes.split_first_chunk::<3>()?;
    let (value, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([*high, *low])))?;
    Some((Tlv { kind: *kind, value }, rest))
}

/// Flags, the result of the verification, and fields of its own. No field of these has fields, so this goes no deeper.
fn ssl(value: &[u8]) -> Option<Ssl<'_>> {
    let ([flags, verify @ ..], rest) = value.split_first_chunk::<5>()?;
    let mut behind = rest;
    while !behind.is_empty() {
        behind = split(behind)?.1;
    }
    // Bit 1 and 2: a certificate on this connection, or earlier in its session.
    let has_certificate = flags & 0x06 != 0;
    Some(Ssl { is_tls: flags & 0x01 != 0, is_verified: has_certificate && *verify == [0; 4], tlvs: Tlvs(rest) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_and_bounded() {
        let bytes = b"\x01\0\x02h2\x02\0\x01h\x20\0\x0e\x01\0\0\0\x01\x21\0\x03TLS\x23\0\0\xea\0\0".as_slice();
        let tlvs = Tlvs::read(bytes).unwrap();
        assert_eq!(tlvs.iter().map(|tlv| tlv.kind).collect::<Vec<_>>(), [0x01, 0x02, 0x20, 0xea]);
        assert_eq!((tlvs.find(kind::ALPN), tlvs.find(kind::AUTHORITY)), (Some(&b"h2"[..]), Some(&b"h"[..])));
        let ssl = tlvs.ssl().unwrap();
        assert!(ssl.is_tls && !ssl.is_verified);
        assert_eq!(ssl.tlvs.find(0x21), Some(&b"TLS"[..]));
        for end in 1..bytes.len() {
            // Cut between two fields it is whole, too.
            assert_eq!(Tlvs::read(&bytes[..end]).is_ok(), [5, 9, 26].contains(&end), "{end}");
        }
    }

    #[test]
    fn sizes_are_those_of_the_kind() {
        let long = [&[kind::UNIQUE_ID, 0, 129][..], &[0; 129]].concat();
        for (bytes, is_sound) in [
            (&b"\x03\0\x04\0\0\0\0"[..], true),
            (b"\x03\0\x03\0\0\0", false),
            (b"\x03\0\x05\0\0\0\0\0", false),
            (b"\x03\0\x04\0\0\0\0\x03\0\x04\0\0\0\0", false),
            (b"\x20\0\x04\0\0\0\0", false),
            (b"\x20\0\x05\0\0\0\0\0", true),
            (b"\x20\0\x08\0\0\0\0\0\x21\0\x01", false),
            (b"\x04\xff\xff", false),
            (b"\x04", false),
            (&long, false),
            (&[&[kind::UNIQUE_ID, 0, 128][..], &[0; 128]].concat(), true),
        ] {
            assert_eq!(Tlvs::read(bytes).is_ok(), is_sound, "{bytes:?}");
        }
    }
}
