//! A scripted backend: records what it gets and answers what the test says.

mod stream;

use std::{
    fs,
    io::{self, BufReader, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use self::stream::Stream;
use crate::http1::{Framing, Head, read_body, read_head};

/// An HTTP/1.1 server on threads of its own. It ends, with all its connections, when this value is dropped.
pub struct Origin {
    address: String,
    shared: Arc<Shared>,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Received {
    /// Request line and fields.
    pub head: Head,
    /// The body without its framing.
    pub body: Vec<u8>,
    /// Trailer fields of a chunked body, as they came.
    pub trailers: Vec<u8>,
    /// On which connection, counted from 0.
    pub connection: usize,
}

impl Received {
    /// The method.
    pub fn method(&self) -> &str {
        self.head.first_line.split(' ').next().unwrap_or_default()
    }

    /// The request target as it came.
    pub fn target(&self) -> &str {
        self.head.first_line.split(' ').nth(1).unwrap_or_default()
    }
}

type Script = Box<dyn FnOnce(&mut dyn Write) -> io::Result<()> + Send>;

/// What an origin answers.
pub struct Reply {
    script: Script,
    keep: bool,
}

impl Reply {
    /// 200 with a body and its `Content-Length`.
    pub fn text(body: impl AsRef<str>) -> Self {
        Self::with(200, &[], body.as_ref())
    }

    /// Any status, fields and body, with `Content-Length` and a connection that is kept.
    pub fn with(status: u16, fields: &[(&str, &str)], body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let mut bytes = format!("HTTP/1.1 {status} Scripted\r\nContent-Length: {}\r\n", body.len()).into_bytes();
        for (name, value) in fields {
            bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(body);
        Self::script(true, move |stream| stream.write_all(&bytes))
    }

    /// Exactly these bytes; then the connection is kept, or ended.
    pub fn raw(bytes: impl Into<Vec<u8>>, keep: bool) -> Self {
        let bytes = bytes.into();
        Self::script(keep, move |stream| stream.write_all(&bytes))
    }

    /// No answer: the connection ends.
    pub fn hang_up() -> Self {
        Self::script(false, |_| Ok(()))
    }

    /// Whatever `script` writes, whenever it writes it; then the connection is kept, or ended.
    pub fn script(keep: bool, script: impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static) -> Self {
        Self { script: Box::new(script), keep }
    }
}

struct Shared {
    handler: Box<dyn Fn(&Received) -> Reply + Send + Sync>,
    received: Mutex<Vec<Received>>,
    connections: AtomicUsize,
    open: Mutex<Vec<Stream>>,
    ended: AtomicBool,
    socket: Option<PathBuf>,
}

impl Origin {
    /// An origin on a free port that answers with what `handler` says.
    ///
    /// # Panics
    /// When no port can be bound.
    pub fn start(handler: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Self {
        Self::at((Ipv4Addr::LOCALHOST, 0).into(), handler)
    }

    /// The same at `address`; port 0 is a free one.
    ///
    /// # Panics
    /// When it cannot be bound.
    pub fn at(address: SocketAddr, handler: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(address).unwrap_or_else(|error| panic!("{address}: {error}"));
        let address = listener.local_addr().expect("a bound listener has an address").to_string();
        Self::serve(address, None, handler, move || {
            let (stream, _) = listener.accept()?;
            stream.set_nodelay(true)?;
            Ok(Stream::Tcp(stream))
        })
    }

    /// An origin on a free port that answers 200 with `name` as its body.
    pub fn named(name: &str) -> Self {
        let name = name.to_owned();
        Self::start(move |_| Reply::text(&name))
    }

    /// An origin on the Unix socket `path`.
    ///
    /// # Panics
    /// When it cannot be bound.
    pub fn unix(path: &Path, handler: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Self {
        let listener = UnixListener::bind(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let address = format!("unix:{}", path.display());
        Self::serve(address, Some(path.to_owned()), handler, move || Ok(Stream::Unix(listener.accept()?.0)))
    }

    fn serve(
        address: String,
        socket: Option<PathBuf>,
        handler: impl Fn(&Received) -> Reply + Send + Sync + 'static,
        accept: impl Fn() -> io::Result<Stream> + Send + 'static,
    ) -> Self {
        let shared = Arc::new(Shared {
            handler: Box::new(handler),
            received: Mutex::default(),
            connections: AtomicUsize::new(0),
            open: Mutex::default(),
            ended: AtomicBool::new(false),
            socket,
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            while let Ok(stream) = accept() {
                if accepting.ended.load(Ordering::SeqCst) {
                    break;
                }
                let connection = accepting.connections.fetch_add(1, Ordering::SeqCst);
                let shared = Arc::clone(&accepting);
                thread::spawn(move || {
                    // A client that goes away is part of many tests.
                    let _ = shared.converse(&stream, connection);
                    stream.end();
                });
            }
        });
        Self { address, shared }
    }

    /// The address as a backend's `address` is written: `127.0.0.1:1234` or `unix:/path`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// All requests so far, in the order of their ends.
    pub fn received(&self) -> Vec<Received> {
        locked(&self.shared.received).clone()
    }

    /// Forgets the requests so far and gives them.
    pub fn take_received(&self) -> Vec<Received> {
        std::mem::take(&mut *locked(&self.shared.received))
    }

    /// How many connections it took so far.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Ends all open connections; new ones are taken.
    pub fn drop_connections(&self) {
        for stream in locked(&self.shared.open).drain(..) {
            stream.end();
        }
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        // Wakes the accepting thread, which then lets go of the listener.
        let _ = match &self.shared.socket {
            Some(path) => UnixStream::connect(path).map(|_| ()),
            None => TcpStream::connect(&self.address).map(|_| ()),
        };
        if let Some(path) = &self.shared.socket {
            let _ = fs::remove_file(path);
        }
        self.drop_connections();
    }
}

impl Shared {
    fn converse(&self, stream: &Stream, connection: usize) -> io::Result<()> {
        locked(&self.open).push(stream.try_clone()?);
        let mut writer = stream.try_clone()?;
        let mut reader = BufReader::new(stream.try_clone()?);
        while let Some(head) = read_head(&mut reader)? {
            if head.lists("expect", "100-continue") {
                writer.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
            }
            let (body, trailers) = read_body(&mut reader, Framing::of(&head, Framing::Length(0)))?;
            let close = head.lists("connection", "close");
            let received = Received { head, body, trailers, connection };
            let reply = (self.handler)(&received);
            // Before the answer: a test that has it may look at once.
            locked(&self.received).push(received);
            (reply.script)(&mut writer)?;
            writer.flush()?;
            if close || !reply.keep {
                break;
            }
        }
        Ok(())
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::{io::Read, time::Duration};

    use super::*;
    use crate::{Connection, RawClient, fetch};

    #[test]
    fn records_what_it_gets_and_keeps_the_connection() {
        let origin = Origin::named("a");
        let mut client = RawClient::connect(origin.address()).unwrap();
        for _ in 0..2 {
            let response = client.ask("POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc").unwrap();
            assert_eq!((response.status, response.text().as_str()), (200, "a"));
        }
        assert_eq!(client.state_after(Duration::from_millis(20)), Connection::Kept);
        let received = origin.received();
        assert_eq!((received.len(), origin.connections()), (2, 1));
        assert_eq!((received[0].method(), received[0].target(), &received[0].body[..]), ("POST", "/x", &b"abc"[..]));
        drop(origin);
        assert_eq!(client.state_after(Duration::from_secs(5)), Connection::Closed);
    }

    #[test]
    fn listens_on_a_unix_socket_and_hangs_up_when_told_to() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("origin.sock");
        let origin = Origin::unix(&path, |_| Reply::hang_up());
        let mut stream = UnixStream::connect(&path).unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0);
        assert_eq!(origin.address(), format!("unix:{}", path.display()));
        drop(origin);
        assert!(!path.exists());
    }

    #[test]
    fn a_script_writes_what_it_wants() {
        let origin = Origin::start(|_| Reply::raw("HTTP/1.1 201 X\r\n\r\nuntil the end", false));
        let response = fetch(origin.address(), "GET / HTTP/1.1\r\n\r\n").unwrap();
        assert_eq!((response.status, response.text().as_str()), (201, "until the end"));
    }
}
