//! The head of a request.

use crate::{
    caseless,
    connection::Options,
    fault::Fault,
    field::Field,
    fields::Fields,
    framing::{self, RequestBody},
    grammar,
    limits::{HeadLimits, MAX_FIELDS, MAX_LEADING_LINES},
    message::{Progress, Upgrade, Version},
    method::Method,
    quick,
    scan::Scan,
    span::Span,
    target::Target,
    walk::{self, Stop},
};

/// A parsed request head: places in the buffer, and what must be known to go on.
///
/// Keep it beside its buffer and use it for one request after the other; its memory is then used again.
#[derive(Clone, Debug, Default)]
pub struct RequestHead {
    /// The method.
    pub method: Method,
    /// The method as sent.
    pub method_name: Span,
    /// The target.
    pub target: Target,
    /// The version.
    pub version: Version,
    /// The request line with its line break: what to send on if nothing in it changes.
    pub line: Span,
    /// The header lines.
    pub fields: Fields,
    /// How the body is framed.
    pub body: RequestBody,
    /// Whether the client would keep the connection open after this request.
    pub keep_alive: bool,
    /// Whether `Connection` names fields, whose lines are removed.
    pub names_fields: bool,
    /// The value of the one `Host` line; HTTP/1.0 may have none. Its bytes are checked, its meaning is not, and it may be
    /// empty.
    pub host: Option<Span>,
    /// Whether `Host` names another authority than an absolute target.
    pub host_contradicts_target: bool,
    /// The protocols that the client would switch to.
    pub upgrade: Upgrade,
    /// Whether the client waits for 100 before it sends the body. False in HTTP/1.0, which knows no such thing; the line is
    /// removed then.
    pub expects_continue: bool,
    /// Whether the client takes trailers (`TE: trailers`).
    pub takes_trailers: bool,
    /// `Max-Forwards` of TRACE and OPTIONS; of other methods it means nothing. More than `u32` holds is `u32::MAX`.
    pub max_forwards: Option<u32>,
    /// How many bytes of the buffer the head takes, with empty lines in front.
    pub len: u32,
    scan: Scan,
}

impl RequestHead {
    /// Parses the head with which `buffer` begins, which may be incomplete: call again with the same bytes and more.
    ///
    /// After `Complete` or a fault the next call starts a new head. While `Partial`, nothing but [`forget`](Self::forget)
    /// may be done with `self`. Cheap to call for each read, however few bytes each brings.
    ///
    /// # Errors
    /// The first thing that is wrong. A fault of a head that is incomplete may be told only when more of it is there, at
    /// the latest at its end or the limit.
    pub fn parse(&mut self, buffer: &[u8], limits: &HeadLimits) -> Result<Progress, Fault> {
        let limits = HeadLimits { fields: limits.fields.min(MAX_FIELDS), ..*limits };
        let head = &buffer[..buffer.len().min(limits.bytes as usize)];
        let is_full = head.len() == limits.bytes as usize;
        if !is_full && !self.scan.is_due(head) {
            return Ok(Progress::Partial);
        }
        self.scan = Scan::default();

        if let Some(progress) = self.read(head, &limits)? {
            return Ok(progress);
        }
        match walk::request(head, &limits) {
            Err(Stop::Fault(fault)) => Err(fault),
            Err(Stop::Partial) if is_full => Err(Fault::HeadTooLarge),
            Err(Stop::Partial) => {
                self.scan.was_partial(head);
                Ok(Progress::Partial)
            }
            // The fast parser takes whatever the slow one takes; should it not, then refusing is the safe reading.
            Ok(_) => Err(Fault::BadRequestLine),
        }
    }

    /// Forgets a head that is still incomplete, so that the next call starts a new one.
    pub fn forget(&mut self) {
        self.scan = Scan::default();
    }

    /// `None` if something is wrong or incomplete that the slow parser can tell.
    #[inline]
    fn read(&mut self, head: &[u8], limits: &HeadLimits) -> Result<Option<Progress>, Fault> {
        let mut leading = 0;
        while leading < 2 * MAX_LEADING_LINES && head[leading..].starts_with(b"\r\n") {
            leading += 2;
        }
        if let Some(b'\r' | b'\n') = head.get(leading) {
            return Ok(None);
        }
        let Some(line) = quick::request_line(head, leading) else { return Ok(None) };
        let Some(len) = quick::lines(head, line.end, limits.fields, &mut self.fields) else { return Ok(None) };
        let head = &head[..len];
        if line.target.len() > limits.target_bytes as usize {
            return Ok(None);
        }
        self.method = line.method;
        self.method_name = line.method_name;
        self.version = line.version;
        self.line = Span::new(leading, line.end);
        self.len = len as u32;
        self.target.set(head, line.target, line.question, line.method)?;
        self.digest(head)?;
        Ok(Some(Progress::Complete(head.len())))
    }

    /// Reads what the fields say. Their bytes are checked.
    #[inline]
    fn digest(&mut self, head: &[u8]) -> Result<(), Fault> {
        self.read_host(head)?;
        let options = Options::read(&mut self.fields, head)?;
        let fields = &self.fields;
        self.keep_alive = options.keeps_alive(self.version);
        self.names_fields = options.names_fields;
        self.upgrade = options.upgrade(self.version, fields, head)?;
        self.body = framing::of_request(framing::declared(fields, head, self.version)?);
        if matches!(self.upgrade, Upgrade::To(_)) && !self.body.is_empty() {
            return Err(Fault::UpgradeWithBody);
        }
        self.takes_trailers = fields.has(Field::Te) && takes_trailers(fields, head);
        self.max_forwards = match self.method {
            Method::Options | Method::Trace => max_forwards(fields, head)?,
            _ => None,
        };
        self.expects_continue = self.fields.has(Field::Expect) && self.read_expect(head)?;
        Ok(())
    }

    /// Whether `Expect`, which is there, asks for 100 (RFC 9110 §10.1.1).
    #[cold]
    fn read_expect(&mut self, head: &[u8]) -> Result<bool, Fault> {
        let mut members = self.fields.members(Field::Expect, head).peekable();
        if members.peek().is_none() || !members.all(|member| caseless::is(member, b"100-continue")) {
            return Err(Fault::UnknownExpectation);
        }
        drop(members);
        if self.version == Version::Http10 {
            // To be ignored, and so not to be passed on in what becomes HTTP/1.1.
            self.fields.remove_where(|line| line.field == Field::Expect);
        }
        Ok(self.version == Version::Http11)
    }

    #[inline]
    fn read_host(&mut self, head: &[u8]) -> Result<(), Fault> {
        self.host = self.fields.first(Field::Host).map(|line| line.value);
        self.host_contradicts_target = false;
        let Some(host) = self.host else {
            return if self.version == Version::Http11 { Err(Fault::MissingHost) } else { Ok(()) };
        };
        if self.fields.is_repeated(Field::Host) {
            return Err(Fault::RepeatedHost);
        }
        let host = host.of(head);
        if !grammar::is_host(host) {
            return Err(Fault::BadHost);
        }
        self.host_contradicts_target = self.target.contradicts(host, head);
        Ok(())
    }
}

/// Whether `TE`, which is there, has the member `trailers` (RFC 9110 §10.1.4).
#[cold]
fn takes_trailers(fields: &Fields, head: &[u8]) -> bool {
    fields.members(Field::Te, head).any(|member| caseless::is(member, b"trailers"))
}

fn max_forwards(fields: &Fields, head: &[u8]) -> Result<Option<u32>, Fault> {
    let Some(value) = fields.value(Field::MaxForwards, head) else { return Ok(None) };
    let number = grammar::number(value).filter(|_| !fields.is_repeated(Field::MaxForwards));
    Ok(Some(u32::try_from(number.ok_or(Fault::BadMaxForwards)?).unwrap_or(u32::MAX)))
}
