//! A scripted HTTP/2 backend (prior knowledge, without TLS).

use std::{
    io,
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use super::{
    Field,
    frame::{Frame, flag, kind},
    link::{H2Link, PREFACE},
};

/// A request as it came.
#[derive(Clone, Debug, Default)]
pub struct H2Request {
    /// Its stream.
    pub stream: u32,
    /// On which connection, counted from 0.
    pub connection: usize,
    /// The header of the PROXY protocol, version 1, with which that began.
    pub greeting: String,
    /// Pseudo-fields and fields.
    pub fields: Vec<Field>,
    /// The body.
    pub body: Vec<u8>,
    /// Fields behind the body.
    pub trailers: Vec<Field>,
    /// The code with which the client reset it.
    pub reset: Option<u32>,
    /// Whether the client ended it.
    pub is_ended: bool,
}

impl H2Request {
    /// The first value of a field; empty if there is none.
    pub fn field(&self, name: &str) -> &str {
        self.fields.iter().find(|(field, _)| field == name).map_or("", |(_, value)| value.as_str())
    }
}

/// What a script answers a request by.
pub struct H2Stream<'a> {
    /// The connection.
    pub link: &'a mut H2Link,
    /// The stream.
    pub stream: u32,
}

impl H2Stream<'_> {
    /// Sends a response with a body, and trailers if there are any.
    ///
    /// # Errors
    /// The connection does not take it.
    pub fn answer(&mut self, fields: &[(&str, &str)], body: &[u8], trailers: &[(&str, &str)]) -> io::Result<()> {
        let has_trailers = !trailers.is_empty();
        self.link.send_headers(self.stream, fields, body.is_empty() && !has_trailers)?;
        if !body.is_empty() {
            self.link.send_data(self.stream, body, !has_trailers)?;
        }
        if has_trailers {
            self.link.send_headers(self.stream, trailers, true)?;
        }
        Ok(())
    }

    /// Sends any frame.
    ///
    /// # Errors
    /// The connection does not take it.
    pub fn frame(&mut self, frame: &Frame) -> io::Result<()> {
        self.link.send_frame(frame)
    }
}

type Handler = dyn Fn(&H2Request, &mut H2Stream<'_>) -> io::Result<()> + Send + Sync;

/// An HTTP/2 server, one thread a connection. It ends, with all its connections, when this is dropped.
pub struct H2Origin {
    address: String,
    shared: Arc<Shared>,
}

struct Shared {
    handler: Box<Handler>,
    settings: Vec<(u16, u32)>,
    is_eager: bool,
    received: Mutex<Vec<H2Request>>,
    connections: AtomicUsize,
    ended_connections: AtomicUsize,
    most_open: AtomicUsize,
    open: Mutex<Vec<TcpStream>>,
    ended: AtomicBool,
}

impl H2Origin {
    /// An origin on a free port that sends `settings` and answers a request that has ended by `handler`.
    ///
    /// # Panics
    /// When no port can be bound.
    pub fn start(
        settings: &[(u16, u32)],
        handler: impl Fn(&H2Request, &mut H2Stream<'_>) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self::serve(settings, false, Box::new(handler))
    }

    /// The same, but `handler` is called for a head that a body follows too: before the body, and again at its end
    /// ([`H2Request::is_ended`]).
    ///
    /// # Panics
    /// When no port can be bound.
    pub fn eager(
        settings: &[(u16, u32)],
        handler: impl Fn(&H2Request, &mut H2Stream<'_>) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self::serve(settings, true, Box::new(handler))
    }

    fn serve(settings: &[(u16, u32)], is_eager: bool, handler: Box<Handler>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("a bound listener has an address").to_string();
        let shared = Arc::new(Shared {
            handler,
            settings: settings.to_vec(),
            is_eager,
            received: Mutex::default(),
            connections: AtomicUsize::new(0),
            ended_connections: AtomicUsize::new(0),
            most_open: AtomicUsize::new(0),
            open: Mutex::default(),
            ended: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if accepting.ended.load(Ordering::SeqCst) {
                    break;
                }
                let number = accepting.connections.fetch_add(1, Ordering::SeqCst);
                let open = number + 1 - accepting.ended_connections.load(Ordering::SeqCst);
                accepting.most_open.fetch_max(open, Ordering::SeqCst);
                let shared = Arc::clone(&accepting);
                thread::spawn(move || {
                    // A client that goes away is part of many tests.
                    let _ = stream.try_clone().and_then(|clone| shared.converse(clone, number));
                    // Before the end is to be seen: who waits for it may connect at once.
                    shared.ended_connections.fetch_add(1, Ordering::SeqCst);
                    let _ = stream.shutdown(Shutdown::Both);
                });
            }
        });
        Self { address, shared }
    }

    /// The address as a backend's `address` is written.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// All requests so far that were ended or reset, in the order of their ends.
    pub fn received(&self) -> Vec<H2Request> {
        self.shared.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The same, and forgets them.
    pub fn take_received(&self) -> Vec<H2Request> {
        std::mem::take(&mut *self.shared.received.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How many connections it took so far.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// How many connections are open.
    pub fn open_connections(&self) -> usize {
        self.connections() - self.shared.ended_connections.load(Ordering::SeqCst)
    }

    /// How many connections were open at the same time, at most.
    pub fn most_open(&self) -> usize {
        self.shared.most_open.load(Ordering::SeqCst)
    }

    /// Ends all open connections; new ones are taken.
    pub fn drop_connections(&self) {
        for stream in self.shared.open.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for H2Origin {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        // Wakes the accepting thread, which then lets go of the listener.
        let _ = TcpStream::connect(&self.address);
        self.drop_connections();
    }
}

impl Shared {
    fn converse(&self, stream: TcpStream, connection: usize) -> io::Result<()> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).push(stream.try_clone()?);
        let mut link = H2Link::new(stream)?;
        let mut begun = link.read_exactly(PREFACE.len())?;
        let mut greeting = String::new();
        if begun.starts_with(b"PROXY ") {
            while !begun.ends_with(b"\r\n") {
                begun.extend(link.read_exactly(1)?);
            }
            greeting = String::from_utf8_lossy(&begun[..begun.len() - 2]).into_owned();
            begun = link.read_exactly(PREFACE.len())?;
        }
        if begun != PREFACE {
            return Err(io::Error::other("no preface"));
        }
        link.send_frame(&Frame::settings(&self.settings))?;
        let mut requests: Vec<H2Request> = Vec::new();
        while let Some(frame) = link.read_message_frame()? {
            if frame.stream == 0 {
                continue;
            }
            let index = requests.iter().position(|request| request.stream == frame.stream).unwrap_or_else(|| {
                let greeting = greeting.clone();
                requests.push(H2Request { stream: frame.stream, connection, greeting, ..H2Request::default() });
                requests.len() - 1
            });
            let is_head = frame.kind == kind::HEADERS && requests[index].fields.is_empty();
            let fields = if frame.kind == kind::HEADERS { link.fields(&frame)? } else { Vec::new() };
            let request = &mut requests[index];
            request.is_ended |= matches!(frame.kind, kind::DATA | kind::HEADERS) && frame.has(flag::END_STREAM);
            match frame.kind {
                kind::HEADERS if is_head => request.fields = fields,
                kind::HEADERS => request.trailers = fields,
                kind::DATA => request.body.extend(frame.payload),
                kind::RST_STREAM => request.reset = Some(frame.code()),
                _ => {}
            }
            let (is_ended, is_reset) = (request.is_ended, request.reset.is_some());
            if is_ended || is_reset {
                let request = requests.remove(index);
                // Before the answer: a test that has it may look at once.
                self.received.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
                if is_ended && !is_reset {
                    (self.handler)(&request, &mut H2Stream { link: &mut link, stream: request.stream })?;
                }
            } else if is_head && self.is_eager {
                let request = request.clone();
                (self.handler)(&request, &mut H2Stream { link: &mut link, stream: request.stream })?;
            }
        }
        Ok(())
    }
}
