//! As much of RFC 1035 as a scripted server needs.

use std::net::IpAddr;

/// A record without its name.
#[derive(Clone, Debug)]
pub enum Data {
    /// A or AAAA.
    Address(IpAddr),
    /// SRV (RFC 2782).
    Service {
        /// The lowest is used first.
        priority: u16,
        /// The share among those of the same priority.
        weight: u16,
        /// The port.
        port: u16,
        /// The host.
        target: String,
    },
    /// CNAME: it answers every question.
    Alias(String),
}

impl Data {
    /// Whether it belongs into the answer to a question for records of this type.
    pub(super) fn answers(&self, kind: u16) -> bool {
        matches!(self, Self::Alias(_)) || self.kind() == kind
    }

    fn kind(&self) -> u16 {
        match self {
            Self::Address(IpAddr::V4(_)) => 1,
            Self::Alias(_) => 5,
            Self::Address(IpAddr::V6(_)) => 28,
            Self::Service { .. } => 33,
        }
    }

    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Address(IpAddr::V4(ip)) => ip.octets().to_vec(),
            Self::Address(IpAddr::V6(ip)) => ip.octets().to_vec(),
            Self::Alias(name) => written(name),
            Self::Service { priority, weight, port, target } => {
                let numbers = [priority, weight, port].map(|number| number.to_be_bytes());
                [numbers.concat(), written(target)].concat()
            }
        }
    }
}

/// How a response says what became of a query.
#[derive(Clone, Copy, Debug)]
pub(super) enum Code {
    NoError = 0,
    ServerFailure = 2,
    NoSuchName = 3,
}

/// A query's question, and what of the query an answer repeats.
pub(super) struct Question {
    id: [u8; 2],
    /// In lower case, without the last dot.
    pub(super) name: String,
    pub(super) kind: u16,
    /// As it came.
    bytes: Vec<u8>,
}

impl Question {
    /// The first question of `query`, if that is one.
    pub(super) fn parse(query: &[u8]) -> Option<Self> {
        let is_query = query.get(2)? & 0x80 == 0;
        let id = [*query.first()?, *query.get(1)?];
        let mut rest = query.get(12..)?;
        let mut labels = Vec::new();
        loop {
            let (length, after) = rest.split_first()?;
            if *length == 0 {
                rest = after;
                break;
            }
            let (label, after) = after.split_at_checked((*length).into())?;
            labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
            rest = after;
        }
        let kind = u16::from_be_bytes(rest.get(..2)?.try_into().ok()?);
        let bytes = query.get(12..query.len() - rest.len() + 4)?.to_vec();
        is_query.then_some(Self { id, name: labels.join("."), kind, bytes })
    }

    /// The whole response.
    pub(super) fn answer(&self, code: Code, records: &[Data], ttl: u32) -> Vec<u8> {
        // A response, recursion desired and available.
        let mut message = self.head([0x81, 0x80 | code as u8], records.len() as u16);
        for record in records {
            // Its name is the one that was asked for.
            message.extend([0xc0, 12]);
            message.extend([record.kind(), 1].map(u16::to_be_bytes).concat());
            message.extend(ttl.to_be_bytes());
            let bytes = record.bytes();
            message.extend((bytes.len() as u16).to_be_bytes());
            message.extend(bytes);
        }
        message
    }

    /// A response that says that it is not whole.
    pub(super) fn truncated(&self) -> Vec<u8> {
        self.head([0x83, 0x80], 0)
    }

    fn head(&self, flags: [u8; 2], records: u16) -> Vec<u8> {
        let mut message = [self.id, flags].concat();
        message.extend([1, records, 0, 0].map(u16::to_be_bytes).concat());
        message.extend(&self.bytes);
        message
    }
}

/// A name as labels.
fn written(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        bytes.push(label.len() as u8);
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_read_and_repeated() {
        let query = [&[0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], b"\x03App\x07example\0", &[0, 1, 0, 1]].concat();
        let question = Question::parse(&query).unwrap();
        assert_eq!((question.name.as_str(), question.kind), ("app.example", 1));
        let answer = question.answer(Code::NoError, &[Data::Address("10.0.0.1".parse().unwrap())], 60);
        assert_eq!(answer[..12], [0xab, 0xcd, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
        assert_eq!(answer[12..query.len()], query[12..]);
        assert_eq!(answer[query.len()..], [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 0, 0, 1]);
        for length in 0..query.len() {
            assert!(Question::parse(&query[..length]).is_none(), "{length}");
        }
        assert!(Question::parse(&answer).is_none(), "an answer is no query");
    }
}
