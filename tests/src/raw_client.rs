//! A client that sends exactly the bytes that a test says.

use std::{
    io::{self, BufRead, BufReader, Write},
    net::{Shutdown, TcpStream, ToSocketAddrs},
    time::{Duration, Instant},
};

use crate::{
    DEADLINE,
    http1::{Framing, Head, read_body, read_head},
};

/// One connection. Every step has a deadline.
pub struct RawClient {
    reader: BufReader<TcpStream>,
}

/// A response as it came.
#[derive(Clone, Debug)]
pub struct RawResponse {
    /// The status.
    pub status: u16,
    /// Status line and fields.
    pub head: Head,
    /// The body without its framing.
    pub body: Vec<u8>,
    /// Trailer fields of a chunked body, as they came.
    pub trailers: Vec<u8>,
}

/// What became of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    /// It is open.
    Kept,
    /// The peer ended it.
    Closed,
    /// The peer reset it.
    Reset,
}

impl RawResponse {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The first value of a field; names compare without case.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.head.field(name)
    }
}

impl RawClient {
    /// Connects to `address` (`127.0.0.1:8080`).
    ///
    /// # Errors
    /// The address takes no connection in time.
    pub fn connect(address: &str) -> io::Result<Self> {
        let resolved = address.to_socket_addrs()?.next().ok_or_else(|| io::Error::other("no address"))?;
        Self::on(TcpStream::connect_timeout(&resolved, DEADLINE)?)
    }

    /// A client on a socket that is connected.
    ///
    /// # Errors
    /// The socket takes no time-outs.
    pub fn on(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.set_write_timeout(Some(DEADLINE))?;
        Ok(Self { reader: BufReader::new(stream) })
    }

    /// A second handle on the connection, to send while another thread reads. What this one has read ahead is not in it.
    ///
    /// # Errors
    /// The system has no descriptor left.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { reader: BufReader::new(self.reader.get_ref().try_clone()?) })
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// The connection does not take them.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.reader.get_mut().write_all(bytes.as_ref())
    }

    /// Reads the response to a request that was not `HEAD`. An interim response (1xx) is one of its own.
    ///
    /// # Errors
    /// The connection ends before or inside it, or it does not come in time.
    pub fn read_response(&mut self) -> io::Result<RawResponse> {
        self.read_response_to("GET")
    }

    /// Reads the response to a request with `method`: one to `HEAD` has no body, whatever its head says.
    ///
    /// # Errors
    /// The connection ends before or inside it, or it does not come in time.
    pub fn read_response_to(&mut self, method: &str) -> io::Result<RawResponse> {
        let head = self.read_response_head()?;
        let status = status_of(&head)?;
        let bodyless = method == "HEAD" || matches!(status, 100..200 | 204 | 304);
        let framing = if bodyless { Framing::Length(0) } else { Framing::of(&head, Framing::Close) };
        let (body, trailers) = read_body(&mut self.reader, framing)?;
        Ok(RawResponse { status, head, body, trailers })
    }

    /// Reads a head and leaves the body where it is.
    ///
    /// # Errors
    /// The connection ends before or inside it, or it does not come in time.
    pub fn read_response_head(&mut self) -> io::Result<Head> {
        let ended = || io::Error::new(io::ErrorKind::UnexpectedEof, "the connection ended before a response");
        read_head(&mut self.reader)?.ok_or_else(ended)
    }

    /// Reads exactly `count` bytes of whatever comes.
    ///
    /// # Errors
    /// The connection ends before, or they do not come in time.
    pub fn read_exactly(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        io::Read::read_exact(&mut self.reader, &mut bytes)?;
        Ok(bytes)
    }

    /// Reads until the peer ends the connection.
    ///
    /// # Errors
    /// It resets it, or does not end it in time.
    pub fn read_to_end(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        io::Read::read_to_end(&mut self.reader, &mut bytes)?;
        Ok(bytes)
    }

    /// Sends `request` and reads the response to it.
    ///
    /// # Errors
    /// As of [`send`](Self::send) and [`read_response`](Self::read_response).
    pub fn ask(&mut self, request: impl AsRef<[u8]>) -> io::Result<RawResponse> {
        self.send(request)?;
        self.read_response()
    }

    /// Says that nothing more will be sent, and still reads.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn half_close(&mut self) -> io::Result<()> {
        self.reader.get_ref().shutdown(Shutdown::Write)
    }

    /// What became of the connection: waits until it ends, up to `deadline`.
    ///
    /// # Panics
    /// When the peer sends bytes that nobody asked for.
    pub fn state_after(&mut self, deadline: Duration) -> Connection {
        let end = Instant::now() + deadline;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Connection::Kept;
            }
            self.reader.get_ref().set_read_timeout(Some(left)).expect("a timeout above zero");
            let state = match self.reader.fill_buf() {
                Ok([]) => Connection::Closed,
                Ok(bytes) => {
                    panic!("{} bytes that nobody asked for: {:?}", bytes.len(), String::from_utf8_lossy(bytes))
                }
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Connection::Reset,
                // Interrupted, or the deadline: looked at above.
                Err(_) => continue,
            };
            return state;
        }
    }

    /// Whether the peer ends the connection, one way or the other, within the usual deadline.
    pub fn is_closed(&mut self) -> bool {
        self.state_after(DEADLINE) != Connection::Kept
    }
}

/// Sends one request on a connection of its own and reads the response.
///
/// # Errors
/// As of each step.
pub fn fetch(address: &str, request: impl AsRef<[u8]>) -> io::Result<RawResponse> {
    RawClient::connect(address)?.ask(request)
}

/// `GET path` with `Host: host` on a connection of its own.
///
/// # Errors
/// As of each step.
pub fn get(address: &str, host: &str, path: &str) -> io::Result<RawResponse> {
    fetch(address, format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"))
}

fn status_of(head: &Head) -> io::Result<u16> {
    let mut words = head.first_line.split(' ');
    let version = words.next().unwrap_or_default();
    let status = words.next().and_then(|word| word.parse().ok());
    status
        .filter(|_| version.starts_with("HTTP/1."))
        .ok_or_else(|| io::Error::other(format!("no status line: {:?}", head.first_line)))
}
