//! A client for a hundred thousand requests: it looks at nothing but the status and the length.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
};

use crate::{DEADLINE, fast_origin::field_of};

/// A client that keeps its connection, and makes a new one after one that ended.
pub struct FastClient {
    address: String,
    stream: Option<TcpStream>,
    input: Vec<u8>,
}

impl FastClient {
    /// A client of `address`; it connects with the first request.
    pub fn new(address: &str) -> Self {
        Self { address: address.to_owned(), stream: None, input: vec![0; 16 << 10] }
    }

    /// Sends `request` and reads the response, which must have a `Content-Length` and a body of some kilobytes at most. Answers the
    /// status.
    ///
    /// # Errors
    /// There is no connection, or it ends before the response does, or nothing comes in time.
    pub fn ask(&mut self, request: &[u8]) -> io::Result<u16> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.connect()?,
        };
        stream.write_all(request)?;
        let (mut end, mut whole) = (0, usize::MAX);
        while end < whole {
            let count = stream.read(&mut self.input[end..])?;
            if count == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection ended before the response"));
            }
            end += count;
            let head = self.input[..end].windows(4).position(|window| window == b"\r\n\r\n");
            if let Some(head) = head {
                let length = field_of(&self.input[..head + 4], b"content-length")
                    .and_then(|value| std::str::from_utf8(value).ok()?.parse::<usize>().ok());
                whole = head + 4 + length.ok_or_else(|| io::Error::other("a response without its length"))?;
            }
        }
        let is_last = field_of(&self.input[..end], b"connection").is_some_and(|value| value == b"close");
        self.stream = (!is_last).then_some(stream);
        let status = self.input.get(9..12).and_then(|status| std::str::from_utf8(status).ok()?.parse().ok());
        status.ok_or_else(|| io::Error::other("no status"))
    }

    /// Ends the connection; the next request makes a new one.
    pub fn hang_up(&mut self) {
        self.stream = None;
    }

    fn connect(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(&self.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.set_write_timeout(Some(DEADLINE))?;
        Ok(stream)
    }
}
