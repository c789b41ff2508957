//! Writing heads: a new first line, the kept lines of the old head in as few copies as possible, and the proxy's own.
//!
//! ```
//! # use http1::{write, HeadLimits, Progress, RequestHead};
//! # let buffer = b"GET /a?b HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAccept: */*\r\n\r\n";
//! # let mut head = RequestHead::default();
//! # assert!(matches!(head.parse(buffer, &HeadLimits::default()), Ok(Progress::Complete(_))));
//! let mut out = Vec::new();
//! write::request_line(&mut out, head.method_name.of(buffer), b"/a", Some(b"b"));
//! write::kept_lines(&mut out, &head.fields, buffer);
//! write::line(&mut out, b"Via", b"1.1 tidegate");
//! write::end(&mut out);
//! assert_eq!(out, b"GET /a?b HTTP/1.1\r\nHost: x\r\nAccept: */*\r\nVia: 1.1 tidegate\r\n\r\n");
//! ```
//!
//! Names, values, paths and reasons that do not come from a parsed head must hold no line break; nothing is checked here.

use crate::{fields::Fields, response::ResponseHead};

/// What ends a head.
const EMPTY_LINE: &[u8] = b"\r\n";

/// The longest decimal `u64`.
const DIGITS: usize = 20;

/// `METHOD path?query HTTP/1.1`. If nothing in it changes, copy [`RequestHead::line`](crate::RequestHead::line) instead.
#[inline]
pub fn request_line(out: &mut Vec<u8>, method: &[u8], path: &[u8], query: Option<&[u8]>) {
    out.extend_from_slice(method);
    out.push(b' ');
    out.extend_from_slice(path);
    if let Some(query) = query {
        out.push(b'?');
        out.extend_from_slice(query);
    }
    out.extend_from_slice(b" HTTP/1.1\r\n");
}

/// `HTTP/1.1 status reason`. The space behind the status is there even without a reason (RFC 9112 §4).
#[inline]
pub fn status_line(out: &mut Vec<u8>, status: u16, reason: &[u8]) {
    out.extend_from_slice(b"HTTP/1.1 ");
    decimal(out, u64::from(status));
    out.push(b' ');
    out.extend_from_slice(reason);
    out.extend_from_slice(b"\r\n");
}

/// The lines of `fields` that are not removed, as they stand in `buffer`: one copy for each run of them.
#[inline]
pub fn kept_lines(out: &mut Vec<u8>, fields: &Fields, buffer: &[u8]) {
    for run in fields.kept() {
        out.extend_from_slice(&buffer[run]);
    }
}

/// One line.
#[inline]
pub fn line(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// One line, of which `start` is the name with the colon and what else stands in front of the value. For names that stand in the code:
/// they are written by a few moves.
#[inline(always)]
pub fn line_from(out: &mut Vec<u8>, start: &[u8], value: &[u8]) {
    out.extend_from_slice(start);
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// The empty line that ends a head or a trailer section.
#[inline]
pub fn end(out: &mut Vec<u8>) {
    out.extend_from_slice(EMPTY_LINE);
}

/// A number in decimal, as for `Content-Length`.
#[inline]
pub fn decimal(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; DIGITS];
    let mut at = DIGITS;
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return out.extend_from_slice(&digits[at..]);
        }
    }
}

/// The length of the head that [`response_in_place`] makes of `head` with `appended` lines.
#[inline]
#[must_use]
pub fn response_len(head: &ResponseHead, appended: &[u8]) -> usize {
    head.line.len() + head.fields.kept_len() + appended.len() + EMPTY_LINE.len()
}

/// Turns the response head that lies at `buffer[at..]` into the one to send on, where it lies, so that it ends where it
/// ended before: right in front of what was read of the body. Head and body can then be sent as one slice.
///
/// The kept lines stay in order, `appended` (whole lines with their line breaks) comes behind them, and the version becomes
/// HTTP/1.1. Returns where the head begins now. `None`, and nothing is changed, if the bytes before `at` do not suffice, or
/// if the status line lacks the space behind the status; write the head elsewhere then.
///
/// `head` does not fit the buffer any more afterwards.
///
/// # Panics
/// If `head` was not parsed from `buffer[at..]`.
pub fn response_in_place(buffer: &mut [u8], at: usize, head: &ResponseHead, appended: &[u8]) -> Option<usize> {
    const VERSION: &[u8] = b"HTTP/1.1 ";
    const SHORTEST_LINE: usize = "HTTP/1.1 200 \r\n".len();
    let end = at + head.len as usize;
    let start = end.checked_sub(response_len(head, appended)).filter(|_| head.line.len() >= SHORTEST_LINE)?;

    let to = if start <= at { move_forward(buffer, at, head, start) } else { move_both_ways(buffer, at, head, start) };
    buffer[to..to + appended.len()].copy_from_slice(appended);
    buffer[end - EMPTY_LINE.len()..end].copy_from_slice(EMPTY_LINE);
    buffer[start..start + VERSION.len()].copy_from_slice(VERSION);
    Some(start)
}

/// Moves the status line and the kept lines of the `head` at `at` so that they begin at `start`, which does not lie behind; where they
/// end then. As mostly: what is appended is longer than what is removed.
fn move_forward(buffer: &mut [u8], at: usize, head: &ResponseHead, start: usize) -> usize {
    let mut to = start;
    let mut kept_from = Some(at);
    for line in head.fields.lines() {
        let here = at + line.name.start as usize;
        match kept_from {
            Some(from) if line.removed => {
                buffer.copy_within(from..here, to);
                to += here - from;
                kept_from = None;
            }
            None if !line.removed => kept_from = Some(here),
            _ => {}
        }
    }
    if let Some(from) = kept_from {
        let here = at + head.len as usize - EMPTY_LINE.len();
        buffer.copy_within(from..here, to);
        to += here - from;
    }
    to
}

/// The same for a `start` that lies behind.
fn move_both_ways(buffer: &mut [u8], at: usize, head: &ResponseHead, start: usize) -> usize {
    // Runs that move towards the end are moved from the last to the first, those that move towards the start from the first
    // to the last. How far a run moves to the start only grows from run to run, so the former all lie before the latter,
    // and neither kind touches the other.
    let status_line = at..at + head.line.len();
    let runs =
        || std::iter::once(status_line.clone()).chain(head.fields.kept().map(|run| at + run.start..at + run.end));
    move_back(buffer, start, &mut runs());
    let mut to = start;
    for run in runs() {
        let length = run.len();
        if to < run.start {
            buffer.copy_within(run, to);
        }
        to += length;
    }
    to
}

/// Moves those of `runs` that must move towards the end, the last of them first. Few heads have any: it takes lines that
/// are longer than what is appended, so depth is bounded by the number of removed lines.
fn move_back(buffer: &mut [u8], to: usize, runs: &mut dyn Iterator<Item = std::ops::Range<usize>>) {
    let Some(run) = runs.next().filter(|run| to > run.start) else { return };
    move_back(buffer, to + run.len(), runs);
    buffer.copy_within(run, to);
}
