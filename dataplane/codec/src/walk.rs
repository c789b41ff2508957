//! The slow and exact second parser of heads: names the first fault in the order of the bytes.
//!
//! It runs only when something is wrong or incomplete. Because it goes byte by byte, what it says about bytes does not
//! change when more of them follow.

use crate::{
    fault::Fault,
    grammar,
    limits::{HeadLimits, MAX_LEADING_LINES},
    span::Span,
};

/// Why the walk ended before the empty line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// At the end of the bytes.
    Partial,
    /// At a fault.
    Fault(Fault),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// Walks a request head from the first byte on; its length, if it is whole.
pub(crate) fn request(bytes: &[u8], limits: &HeadLimits) -> Result<usize, Stop> {
    let mut walk = Walk { bytes, at: 0 };
    for _ in 0..MAX_LEADING_LINES {
        if let b'\r' | b'\n' = walk.peek()? {
            walk.line_end()?;
        }
    }
    match walk.peek()? {
        b'\r' | b'\n' => return Err(Fault::LeadingLines.into()),
        b' ' | b'\t' => return Err(Fault::LeadingSpace.into()),
        _ => {}
    }
    if walk.token()?.is_empty() || walk.peek()? != b' ' {
        return Err(Fault::BadMethod.into());
    }
    walk.at += 1;
    walk.target(limits)?;
    walk.version()?;
    walk.line_end_or(Fault::BadRequestLine)?;
    walk.fields(limits.fields, |_, _| {})
}

/// Walks a response head from the first byte on; its length, if it is whole.
pub(crate) fn response(bytes: &[u8], limits: &HeadLimits) -> Result<usize, Stop> {
    let mut walk = Walk { bytes, at: 0 };
    walk.version()?;
    if walk.next()? != b' ' {
        return Err(Fault::BadStatusLine.into());
    }
    if !matches!(walk.next()?, b'1'..=b'5') || !walk.next()?.is_ascii_digit() || !walk.next()?.is_ascii_digit() {
        return Err(Fault::BadStatus.into());
    }
    match walk.peek()? {
        b' ' => walk.value()?,
        b'0'..=b'9' => return Err(Fault::BadStatus.into()),
        _ => walk.line_end_or(Fault::BadStatusLine)?,
    }
    walk.fields(limits.fields, |_, _| {})
}

/// Walks a section of lines up to and with the empty line; its length, if it is whole.
pub(crate) fn fields(bytes: &[u8], count: u16, on_line: impl FnMut(Span, Span)) -> Result<usize, Stop> {
    Walk { bytes, at: 0 }.fields(count, on_line)
}

struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Walk<'_> {
    fn peek(&self) -> Result<u8, Stop> {
        self.bytes.get(self.at).copied().ok_or(Stop::Partial)
    }

    fn next(&mut self) -> Result<u8, Stop> {
        let byte = self.peek()?;
        self.at += 1;
        Ok(byte)
    }

    /// CR LF, and nothing else that ends a line.
    fn line_end(&mut self) -> Result<(), Stop> {
        match self.next()? {
            b'\n' => Err(Fault::BareLf.into()),
            // Callers come here with CR or LF.
            _ if self.next()? == b'\n' => Ok(()),
            _ => Err(Fault::BareCr.into()),
        }
    }

    fn line_end_or(&mut self, otherwise: Fault) -> Result<(), Stop> {
        match self.peek()? {
            b'\r' | b'\n' => self.line_end(),
            _ => Err(otherwise.into()),
        }
    }

    fn token(&mut self) -> Result<Span, Stop> {
        let start = self.at;
        while grammar::is_token_byte(self.peek()?) {
            self.at += 1;
        }
        Ok(Span::new(start, self.at))
    }

    /// The target and the space behind it.
    fn target(&mut self, limits: &HeadLimits) -> Result<(), Stop> {
        let start = self.at;
        loop {
            match self.next()? {
                b' ' if self.at == start + 1 => return Err(Fault::BadRequestLine.into()),
                b' ' => return Ok(()),
                b'\r' | b'\n' => return Err(Fault::BadRequestLine.into()),
                byte if !grammar::is_target_byte(byte) => return Err(Fault::BadTarget.into()),
                _ if self.at - start > limits.target_bytes as usize => return Err(Fault::TargetTooLong.into()),
                _ => {}
            }
        }
    }

    fn version(&mut self) -> Result<(), Stop> {
        for expected in b"HTTP/" {
            if self.next()? != *expected {
                return Err(Fault::BadVersion.into());
            }
        }
        let (major, dot, minor) = (self.next()?, self.next()?, self.next()?);
        match (major, dot, minor) {
            (b'1', b'.', b'0' | b'1') => Ok(()),
            (b'0'..=b'9', b'.', b'0'..=b'9') => Err(Fault::UnsupportedVersion.into()),
            _ => Err(Fault::BadVersion.into()),
        }
    }

    /// A field value or reason phrase with its line end.
    fn value(&mut self) -> Result<(), Stop> {
        loop {
            match self.peek()? {
                b'\r' | b'\n' => return self.line_end(),
                byte if !grammar::is_value_byte(byte) => return Err(Fault::ControlByte.into()),
                _ => self.at += 1,
            }
        }
    }

    /// Header lines and the empty line.
    fn fields(&mut self, count: u16, mut on_line: impl FnMut(Span, Span)) -> Result<usize, Stop> {
        let mut lines = 0;
        loop {
            match self.peek()? {
                b'\r' | b'\n' => {
                    self.line_end()?;
                    return Ok(self.at);
                }
                b' ' | b'\t' if lines == 0 => return Err(Fault::LeadingSpace.into()),
                b' ' | b'\t' => return Err(Fault::ObsFold.into()),
                _ => {}
            }
            let name = self.token()?;
            match self.next()? {
                b' ' | b'\t' => return Err(Fault::SpaceBeforeColon.into()),
                b':' if !name.is_empty() => {}
                _ => return Err(Fault::BadFieldName.into()),
            }
            let start = self.at;
            self.value()?;
            if lines == count {
                return Err(Fault::TooManyFields.into());
            }
            on_line(name, Span::within(self.bytes, grammar::trim(&self.bytes[start..self.at - 2])));
            lines += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Asked, Method, Progress, RequestHead, ResponseHead, generate};

    const LIMITS: HeadLimits = HeadLimits { bytes: 1 << 16, fields: 6, target_bytes: 20 };

    fn config() -> ProptestConfig {
        let usual = ProptestConfig::default();
        ProptestConfig { cases: usual.cases.max(4000), failure_persistence: None, ..usual }
    }

    /// What was parsed is what was walked, but for what the lines mean, which only the parser knows.
    fn agree(walked: Result<usize, Stop>, parsed: Result<Progress, Fault>) -> bool {
        match (walked, parsed) {
            (Err(Stop::Partial), parsed) => parsed == Ok(Progress::Partial),
            (Err(Stop::Fault(fault)), parsed) => parsed == Err(fault),
            (Ok(walked), Ok(parsed)) => parsed == Progress::Complete(walked),
            // These would stand for a disagreement.
            (Ok(_), Err(fault)) => !matches!(fault, Fault::BadRequestLine | Fault::BadStatusLine),
        }
    }

    proptest! {
        #![proptest_config(config())]

        #[test]
        fn fast_and_slow_parser_take_the_same_requests(
            bytes in prop_oneof![4 => generate::request().boxed(), 1 => generate::noise().boxed()]
        ) {
            let parsed = RequestHead::default().parse(&bytes, &LIMITS);
            let walked = request(&bytes, &LIMITS);
            prop_assert!(agree(walked, parsed), "{}: {walked:?} {parsed:?}", bytes.escape_ascii());
        }

        #[test]
        fn fast_and_slow_parser_take_the_same_responses(
            bytes in prop_oneof![4 => generate::response().boxed(), 1 => generate::noise().boxed()]
        ) {
            let asked = Asked { method: Method::Get, upgrade: true };
            let parsed = ResponseHead::default().parse(&bytes, asked, &LIMITS);
            let walked = response(&bytes, &LIMITS);
            prop_assert!(agree(walked, parsed), "{}: {walked:?} {parsed:?}", bytes.escape_ascii());
        }
    }
}
