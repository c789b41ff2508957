//! The head of a response.

use crate::{
    caseless,
    connection::Options,
    fault::Fault,
    field::Field,
    fields::Fields,
    framing::{self, ResponseBody},
    grammar,
    limits::{HeadLimits, MAX_FIELDS},
    message::{Progress, Upgrade, Version},
    method::Method,
    quick,
    scan::Scan,
    span::Span,
    walk::{self, Stop},
};

/// What was asked: a response cannot be read without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The method of the request as it was sent to the origin.
    pub method: Method,
    /// Whether the request asked for an upgrade.
    pub upgrade: bool,
}

/// A parsed response head: places in the buffer, and what must be known to go on.
///
/// Keep it beside its buffer and use it for one response after the other; its memory is then used again.
#[derive(Clone, Debug, Default)]
pub struct ResponseHead {
    /// 100 to 599.
    pub status: u16,
    /// The reason phrase, maybe empty.
    pub reason: Span,
    /// The version.
    pub version: Version,
    /// The status line with its line break.
    pub line: Span,
    /// The header lines.
    pub fields: Fields,
    /// How the body is framed.
    pub body: ResponseBody,
    /// Whether the origin would keep the connection open after this response. Never with a body that its close ends.
    pub keep_alive: bool,
    /// How many seconds the origin says that it keeps an idle connection (`Keep-Alive: timeout=`).
    pub keep_alive_timeout: Option<u32>,
    /// How many requests the origin says that the connection takes (`Keep-Alive: max=`).
    pub keep_alive_max: Option<u32>,
    /// The protocol to which the origin switches, with 101, or would (426).
    pub upgrade: Upgrade,
    /// How many bytes of the buffer the head takes.
    pub len: u32,
    scan: Scan,
}

impl ResponseHead {
    /// Parses the head with which `buffer` begins, which may be incomplete: call again with the same bytes and more.
    ///
    /// A 1xx is a head of its own, after which the next one follows: see [`is_interim`](Self::is_interim). After `Complete`
    /// or a fault the next call starts a new head. While `Partial`, nothing but [`forget`](Self::forget) may be done with
    /// `self`.
    ///
    /// # Errors
    /// The first thing that is wrong, with 101 that was not asked for among it. A fault of a head that is incomplete may be
    /// told only when more of it is there, at the latest at its end or the limit.
    pub fn parse(&mut self, buffer: &[u8], asked: Asked, limits: &HeadLimits) -> Result<Progress, Fault> {
        let limits = HeadLimits { fields: limits.fields.min(MAX_FIELDS), ..*limits };
        let head = &buffer[..buffer.len().min(limits.bytes as usize)];
        let is_full = head.len() == limits.bytes as usize;
        if !is_full && !self.scan.is_due(head) {
            return Ok(Progress::Partial);
        }
        self.scan = Scan::default();

        if let Some(progress) = self.read(head, asked, &limits)? {
            return Ok(progress);
        }
        match walk::response(head, &limits) {
            Err(Stop::Fault(fault)) => Err(fault),
            Err(Stop::Partial) if is_full => Err(Fault::HeadTooLarge),
            Err(Stop::Partial) => {
                self.scan.was_partial(head);
                Ok(Progress::Partial)
            }
            // The fast parser takes whatever the slow one takes; should it not, then refusing is the safe reading.
            Ok(_) => Err(Fault::BadStatusLine),
        }
    }

    /// Forgets a head that is still incomplete, so that the next call starts a new one.
    pub fn forget(&mut self) {
        self.scan = Scan::default();
    }

    /// Whether another head follows this one: 1xx but 101.
    #[must_use]
    pub fn is_interim(&self) -> bool {
        matches!(self.status, 100 | 102..=199)
    }

    /// `None` if something is wrong or incomplete that the slow parser can tell.
    #[inline]
    fn read(&mut self, head: &[u8], asked: Asked, limits: &HeadLimits) -> Result<Option<Progress>, Fault> {
        let Some(line) = quick::status_line(head).filter(|line| matches!(line.status, 100..=599)) else {
            return Ok(None);
        };
        let Some(len) = quick::lines(head, line.end, limits.fields, &mut self.fields) else { return Ok(None) };
        let head = &head[..len];
        self.status = line.status;
        self.version = line.version;
        self.line = Span::new(0, line.end);
        self.reason = line.reason;
        self.len = len as u32;
        self.digest(head, asked)?;
        Ok(Some(Progress::Complete(len)))
    }

    /// Reads what the fields say. Their bytes are checked.
    #[inline]
    fn digest(&mut self, head: &[u8], asked: Asked) -> Result<(), Fault> {
        let options = Options::read(&mut self.fields, head)?;
        self.upgrade = options.upgrade(self.version, &self.fields, head)?;
        if self.status == 101 && !(asked.upgrade && matches!(self.upgrade, Upgrade::To(_))) {
            return Err(Fault::UnaskedUpgrade);
        }
        let declared = framing::declared(&self.fields, head, self.version)?;
        self.body = framing::of_response(declared, asked.method, self.status);
        self.keep_alive = options.keeps_alive(self.version) && self.body != ResponseBody::UntilClose;
        let keep_alive = self.fields.value(Field::KeepAlive, head);
        self.keep_alive_timeout = keep_alive.and_then(|value| keep_alive_parameter(value, b"timeout"));
        self.keep_alive_max = keep_alive.and_then(|value| keep_alive_parameter(value, b"max"));
        if matches!(self.status, 100..=199 | 204) {
            // They must not have one (RFC 9110 §8.6), and a reader who believed it would wait for a body.
            self.fields.remove_where(|line| line.field == Field::ContentLength);
        }
        Ok(())
    }
}

/// The number behind `name` in `Keep-Alive: timeout=5, max=100`; more than `u32` holds is `u32::MAX`.
fn keep_alive_parameter(value: &[u8], name: &'static [u8]) -> Option<u32> {
    grammar::list(value).find_map(|member| {
        let at = member.iter().position(|byte| *byte == b'=')?;
        if !caseless::is(grammar::trim(&member[..at]), name) {
            return None;
        }
        grammar::number(grammar::trim(&member[at + 1..])).map(|number| u32::try_from(number).unwrap_or(u32::MAX))
    })
}
