//! What a parser makes of bytes, in a form that two of them can be compared in.
use std::collections::BTreeSet;

use http1::{ChunkLimits, ChunkedDecoder, Fault, LengthDecoder, Part};

/// How a message was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The head stands; what it says (method and target, or status), and its body.
    Read(String, Body),
    /// The head is refused; why, if it was us.
    Refused(Option<Fault>),
    /// The head does not end.
    Incomplete,
}

/// How a body was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// All of it.
    Whole(Vec<u8>),
    /// Cut off or refused; why, if it was us.
    Broken(Option<Fault>),
}

/// A difference that is meant: what we refuse and hyper takes.
pub(crate) type Stricter = (Fault, &'static str);

/// Compares the two and notes in `used` a difference that is meant; false if there is one. An error is one that is not.
pub(crate) fn compare(
    ours: &Verdict,
    hypers: &Verdict,
    stricter: &[Stricter],
    used: &mut BTreeSet<&'static str>,
) -> Result<bool, String> {
    let fault = match (ours, hypers) {
        (Verdict::Refused(fault), Verdict::Read(..)) => *fault,
        (Verdict::Refused(_) | Verdict::Incomplete, Verdict::Refused(_) | Verdict::Incomplete) => return Ok(true),
        (Verdict::Read(said, body), Verdict::Read(other_said, other_body)) => {
            if said != other_said {
                return Err("the heads say different things".to_owned());
            }
            match (body, other_body) {
                (Body::Broken(_), Body::Broken(_)) => return Ok(true),
                (Body::Broken(fault), Body::Whole(_)) => *fault,
                _ if body == other_body => return Ok(true),
                _ => return Err("the bodies differ".to_owned()),
            }
        }
        _ => return Err("one takes what the other refuses".to_owned()),
    };
    let Some(fault) = fault else { return Err("the body is cut off for us only".to_owned()) };
    match stricter.iter().find(|(meant, _)| *meant == fault) {
        Some((meant, _)) => {
            used.insert(meant.word());
            Ok(false)
        }
        None => Err(format!("{} is refused by us only", fault.word())),
    }
}

/// Reads a body of `length` bytes; also how many it took.
pub(crate) fn sized(bytes: &[u8], length: u64) -> (Body, usize) {
    let mut decoder = LengthDecoder::new(length);
    let taken = decoder.take(bytes.len());
    let body = if decoder.is_done() { Body::Whole(bytes[..taken].to_vec()) } else { Body::Broken(None) };
    (body, taken)
}

/// Reads a chunked body; also how many bytes it took.
pub(crate) fn chunked(bytes: &[u8]) -> (Body, usize) {
    let mut decoder = ChunkedDecoder::new(ChunkLimits::default());
    let (mut data, mut at) = (Vec::new(), 0);
    loop {
        match decoder.data(bytes, &mut at) {
            Ok(Part::Bytes(range)) => data.extend_from_slice(&bytes[range]),
            Ok(Part::More) => return (Body::Broken(None), at),
            Ok(Part::End) => return (Body::Whole(data), at),
            Err(fault) => return (Body::Broken(Some(fault)), at),
        }
    }
}
