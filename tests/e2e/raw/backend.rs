//! A backend that records every byte that is forwarded to it, and answers what the case says.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use harness::{DEADLINE, wait_for};
use rustix::net::sockopt::set_socket_linger;

use super::case::{End, Reply};

/// The path that the table asks for between two cases.
pub(super) const PROBE: &str = "/probe/";

/// A request, or what came of one.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// All of its bytes.
    pub(super) bytes: Vec<u8>,
    /// Whether it came to its end.
    pub(super) is_whole: bool,
    /// On which connection, counted from 0.
    pub(super) connection: usize,
}

impl Seen {
    /// Head and what follows it.
    pub(super) fn parts(&self) -> (&[u8], &[u8]) {
        self.bytes.split_at(head_len(&self.bytes).unwrap_or(self.bytes.len()))
    }

    pub(super) fn is_probe(&self) -> bool {
        self.bytes.starts_with(format!("GET {PROBE}").as_bytes())
    }
}

/// A server on threads of its own; it ends when this value is dropped.
pub(super) struct Backend {
    address: String,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    seen: Mutex<Vec<Seen>>,
    reply: Mutex<(Reply, bool)>,
    /// Whether the client has the head of the response.
    head_is_read: AtomicBool,
    has_ended: AtomicBool,
    open: AtomicUsize,
}

impl Backend {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shared = Arc::<Shared>::default();
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for (connection, stream) in listener.incoming().map_while(Result::ok).enumerate() {
                if accepting.has_ended.load(Ordering::SeqCst) {
                    break;
                }
                let shared = Arc::clone(&accepting);
                // A peer that goes away is part of many cases.
                shared.open.fetch_add(1, Ordering::SeqCst);
                thread::spawn(move || {
                    drop(shared.converse(stream, connection));
                    shared.open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, shared }
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// What it answers from now on, and whether byte by byte.
    pub(super) fn answers(&self, reply: &Reply, is_split: bool) {
        self.shared.head_is_read.store(false, Ordering::SeqCst);
        *locked(&self.shared.reply) = (reply.clone(), is_split);
    }

    /// The client has the head of the response, so the rest may come.
    pub(super) fn head_is_read(&self) {
        self.shared.head_is_read.store(true, Ordering::SeqCst);
    }

    /// What came since it was last taken; what is cut off comes when its connection ends.
    pub(super) fn seen(&self) -> Vec<Seen> {
        locked(&self.shared.seen).clone()
    }

    /// Connections that are open: what came on the others is all in [`seen`](Self::seen).
    pub(super) fn open(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// Takes what came.
    pub(super) fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut *locked(&self.shared.seen))
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.shared.has_ended.store(true, Ordering::SeqCst);
        // Wakes the accepting thread.
        let _ = TcpStream::connect(&self.address);
    }
}

impl Shared {
    fn converse(&self, mut stream: TcpStream, connection: usize) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut bytes = Vec::new();
        let mut head_is_seen = false;
        let mut read = [0; 16 << 10];
        loop {
            if let Some(length) = head_len(&bytes) {
                if !head_is_seen {
                    head_is_seen = true;
                    let (reply, is_split) = locked(&self.reply).clone();
                    pieces(&reply.at_head, is_split).try_for_each(|piece| stream.write_all(piece))?;
                }
                if let Some(length) = request_len(&bytes, length) {
                    head_is_seen = false;
                    let request = bytes.drain(..length).collect();
                    let seen = Seen { bytes: request, is_whole: true, connection };
                    let (reply, is_split) = self.reply_to(&seen);
                    // Before the answer: who has that may look at once.
                    locked(&self.seen).push(seen);
                    pieces(&reply.bytes, is_split).try_for_each(|piece| stream.write_all(piece))?;
                    if !reply.later.is_empty() || matches!(reply.end, Some(End::Reset)) {
                        wait_for("the client to have the head", DEADLINE, || {
                            self.head_is_read.load(Ordering::SeqCst).then_some(())
                        });
                        pieces(&reply.later, is_split).try_for_each(|piece| stream.write_all(piece))?;
                    }
                    match reply.end {
                        None => {}
                        Some(End::Close) => return Ok(()),
                        Some(End::Reset) => return Ok(set_socket_linger(&stream, Some(Duration::ZERO))?),
                    }
                    continue;
                }
            }
            match stream.read(&mut read) {
                Ok(count @ 1..) => bytes.extend_from_slice(&read[..count]),
                Ok(0) | Err(_) if bytes.is_empty() => return Ok(()),
                Ok(_) | Err(_) => {
                    locked(&self.seen).push(Seen { bytes, is_whole: false, connection });
                    return Ok(());
                }
            }
        }
    }

    fn reply_to(&self, seen: &Seen) -> (Reply, bool) {
        if seen.is_probe() {
            let line = seen.bytes.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
            let mut bytes = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", line.len()).into_bytes();
            bytes.extend_from_slice(line);
            return (Reply { bytes, ..Reply::default() }, false);
        }
        let (mut reply, is_split) = locked(&self.reply).clone();
        if reply.bytes.is_empty() && reply.at_head.is_empty() {
            reply.bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec();
        }
        (reply, is_split)
    }
}

/// The pieces in which `bytes` are sent: each alone if `is_split`, while there are not too many.
pub(super) fn pieces(bytes: &[u8], is_split: bool) -> impl Iterator<Item = &[u8]> {
    let length = if is_split { bytes.len().div_ceil(MOST_PIECES) } else { bytes.len() };
    bytes.chunks(length.max(1))
}

/// In how many pieces something is sent at most: more would only take time.
const MOST_PIECES: usize = 2048;

fn head_len(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

/// The length of the request with which `bytes` begin, if it is whole. Whoever sends something else than plain framing is
/// found out by its bytes, which are recorded.
fn request_len(bytes: &[u8], head: usize) -> Option<usize> {
    let text = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
    if text.contains("\r\ntransfer-encoding: chunked\r\n") {
        return chunks_len(&bytes[head..]).map(|length| head + length);
    }
    let length = text.split_once("\r\ncontent-length:").map_or(Ok(0), |(_, rest)| {
        let value = rest.split("\r\n").next().unwrap_or_default();
        value.trim().parse::<usize>()
    });
    let whole = head.checked_add(length.ok()?)?;
    (bytes.len() >= whole).then_some(whole)
}

fn chunks_len(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let rest = bytes.get(at..)?;
        let line = rest.windows(2).position(|window| window == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..line]).ok()?, 16).ok()?;
        if size > 0 {
            at = (at + line + 4).checked_add(size)?;
            continue;
        }
        // Behind the last chunk: an empty line at once, or behind trailers.
        let tail = &rest[line..];
        return tail.windows(4).position(|window| window == b"\r\n\r\n").map(|end| at + line + end + 4);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
