//! A client that sends exactly the frames that a test says.

use std::{
    collections::HashMap,
    io,
    net::TcpStream,
    ops::{Deref, DerefMut},
};

use super::{
    Field,
    frame::{Frame, flag, kind},
    link::{H2Link, PREFACE},
};

/// One connection; see [`H2Link`] for single frames.
pub struct H2Client {
    link: H2Link,
    next_stream: u32,
    /// What came for streams that nobody has asked for yet.
    responses: HashMap<u32, H2Response>,
    /// GOAWAY frames that came while responses were read.
    pub goaways: Vec<Frame>,
}

/// A response as it came, or what of it came.
#[derive(Clone, Debug, Default)]
pub struct H2Response {
    /// Fields of interim responses.
    pub interim: Vec<Vec<Field>>,
    /// Fields of the final response, `:status` first.
    pub fields: Vec<Field>,
    /// The body.
    pub body: Vec<u8>,
    /// Fields behind the body.
    pub trailers: Vec<Field>,
    /// The code with which the server reset the stream.
    pub reset: Option<u32>,
    /// Whether the server ended the stream.
    pub is_ended: bool,
}

impl H2Response {
    /// The status; 0 if none came.
    pub fn status(&self) -> u16 {
        self.field(":status").and_then(|status| status.parse().ok()).unwrap_or(0)
    }

    /// The first value of a field.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Deref for H2Client {
    type Target = H2Link;

    fn deref(&self) -> &H2Link {
        &self.link
    }
}

impl DerefMut for H2Client {
    fn deref_mut(&mut self) -> &mut H2Link {
        &mut self.link
    }
}

impl H2Client {
    /// Connects to `address` and sends the preface with empty SETTINGS.
    ///
    /// # Errors
    /// The address takes no connection.
    pub fn connect(address: &str) -> io::Result<Self> {
        Self::with_settings(address, &[])
    }

    /// Connects to `address` and sends the preface with these settings.
    ///
    /// # Errors
    /// The address takes no connection.
    pub fn with_settings(address: &str, settings: &[(u16, u32)]) -> io::Result<Self> {
        let mut client = Self::silent(address)?;
        client.send(PREFACE)?;
        client.send_frame(&Frame::settings(settings))?;
        Ok(client)
    }

    /// Connects to `address` and sends nothing.
    ///
    /// # Errors
    /// The address takes no connection.
    pub fn silent(address: &str) -> io::Result<Self> {
        Self::on(TcpStream::connect(address)?)
    }

    /// Sends nothing on `stream` yet.
    ///
    /// # Errors
    /// The socket takes no time-outs.
    pub fn on(stream: TcpStream) -> io::Result<Self> {
        let link = H2Link::new(stream)?;
        Ok(Self { link, next_stream: 1, responses: HashMap::new(), goaways: Vec::new() })
    }

    /// The number for the next stream.
    pub fn stream(&mut self) -> u32 {
        self.next_stream += 2;
        self.next_stream - 2
    }

    /// Begins a request with `Host` `h`; further fields may name pseudo-fields first. Answers its stream.
    ///
    /// # Errors
    /// The connection does not take it.
    pub fn begin(&mut self, method: &str, path: &str, fields: &[(&str, &str)], is_end: bool) -> io::Result<u32> {
        let stream = self.stream();
        let pseudo = [(":method", method), (":scheme", "http"), (":authority", "h"), (":path", path)];
        self.send_headers(stream, &[&pseudo[..], fields].concat(), is_end)?;
        Ok(stream)
    }

    /// `GET path` and its response.
    ///
    /// # Errors
    /// As of each step.
    pub fn get(&mut self, path: &str) -> io::Result<H2Response> {
        let stream = self.begin("GET", path, &[], true)?;
        self.response(stream)
    }

    /// A request with a body, and its response.
    ///
    /// # Errors
    /// As of each step.
    pub fn ask(&mut self, method: &str, path: &str, fields: &[(&str, &str)], body: &str) -> io::Result<H2Response> {
        let stream = self.begin(method, path, fields, body.is_empty())?;
        if !body.is_empty() {
            self.send_data(stream, body, true)?;
        }
        self.response(stream)
    }

    /// Reads until `stream` has ended, one way or the other. Frames of other streams are kept for them.
    ///
    /// # Errors
    /// The connection ends before, or nothing comes in time.
    pub fn response(&mut self, stream: u32) -> io::Result<H2Response> {
        self.read_until(stream, |response| response.is_ended || response.reset.is_some())?;
        Ok(self.responses.remove(&stream).unwrap_or_default())
    }

    /// Reads until what came of `stream` is enough; it stays for [`response`](Self::response).
    ///
    /// # Errors
    /// The connection ends before, or nothing comes in time.
    pub fn read_until(&mut self, stream: u32, is_enough: impl Fn(&H2Response) -> bool) -> io::Result<&H2Response> {
        while !is_enough(self.responses.entry(stream).or_default()) {
            self.read_one()?;
        }
        Ok(&self.responses[&stream])
    }

    /// Sends a body as the server's windows allow, and ends the stream behind it.
    ///
    /// # Errors
    /// The connection ends before, or the server opens no window in time.
    pub fn upload(&mut self, stream: u32, body: &[u8]) -> io::Result<()> {
        let mut sent = 0;
        while sent < body.len() {
            let count = self.window(stream).min(16_384).min(body.len() - sent);
            if count == 0 {
                self.read_one()?;
                continue;
            }
            self.send_data(stream, &body[sent..sent + count], false)?;
            sent += count;
        }
        self.send_data(stream, [], true)
    }

    fn read_one(&mut self) -> io::Result<()> {
        let ended = || io::Error::new(io::ErrorKind::UnexpectedEof, "the connection ended before the response");
        let frame = self.link.read_frame()?.ok_or_else(ended)?;
        self.take(frame)
    }

    fn take(&mut self, frame: Frame) -> io::Result<()> {
        if frame.stream == 0 {
            if frame.kind == kind::GOAWAY {
                self.goaways.push(frame);
            }
            return Ok(());
        }
        let response = self.responses.entry(frame.stream).or_default();
        response.is_ended |= matches!(frame.kind, kind::DATA | kind::HEADERS) && frame.has(flag::END_STREAM);
        match frame.kind {
            kind::HEADERS => {
                let fields = self.link.fields(&frame)?;
                let is_interim = fields.first().is_some_and(|(_, status)| status.starts_with('1'));
                if is_interim && response.fields.is_empty() {
                    response.interim.push(fields);
                } else if response.fields.is_empty() {
                    response.fields = fields;
                } else {
                    response.trailers = fields;
                }
            }
            kind::DATA => response.body.extend(frame.payload),
            kind::RST_STREAM => response.reset = Some(frame.code()),
            _ => {}
        }
        Ok(())
    }
}
