//! A reader of the REST API's event stream.

use std::{
    io::{self, BufRead, BufReader, Write},
    net::TcpStream,
    path::Path,
};

use serde_json::Value;

use crate::DEADLINE;

/// An open event stream.
pub struct EventStream {
    lines: BufReader<TcpStream>,
}

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// `event`.
    pub event: String,
    /// `id`, if it has one.
    pub id: Option<u64>,
    /// `data`.
    pub data: Value,
}

impl EventStream {
    /// Opens the stream of the API at `address` with the admin token of `data_dir`; `query` begins with `?` if there is one.
    ///
    /// # Panics
    /// When it cannot be opened.
    pub fn open(address: &str, data_dir: &Path, query: &str, fields: &[(&str, &str)]) -> Self {
        Self::try_open(address, data_dir, query, fields)
            .unwrap_or_else(|error| panic!("no events at {address}: {error}"))
    }

    fn try_open(address: &str, data_dir: &Path, query: &str, fields: &[(&str, &str)]) -> io::Result<Self> {
        let token = std::fs::read_to_string(data_dir.join("admin.token"))?;
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        // HTTP/1.0: no chunks, so that lines are lines.
        let mut request = format!("GET /api/v1/events{query} HTTP/1.0\r\nAuthorization: Bearer {}\r\n", token.trim());
        for (name, value) in fields {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        stream.write_all(request.as_bytes())?;
        let mut lines = BufReader::new(stream);
        let mut line = String::new();
        lines.read_line(&mut line)?;
        if !line.contains(" 200 ") {
            return Err(io::Error::other(line));
        }
        while line != "\r\n" {
            line.clear();
            lines.read_line(&mut line)?;
        }
        Ok(Self { lines })
    }

    /// The next event, comments passed over; none at the end of the stream.
    ///
    /// # Panics
    /// When none comes before the deadline, or it is no event.
    pub fn read(&mut self) -> Option<Told> {
        let (mut event, mut id, mut data) = (None, None, Value::Null);
        loop {
            let mut line = String::new();
            let read = self.lines.read_line(&mut line).unwrap_or_else(|error| panic!("no event in time: {error}"));
            match line.trim_end().split_once(": ") {
                _ if read == 0 => return None,
                Some(("event", text)) => event = Some(text.to_owned()),
                Some(("id", text)) => id = Some(text.parse().expect("an id is a number")),
                Some(("data", text)) => data = serde_json::from_str(text).expect("data is JSON"),
                Some(_) => {}
                None => {
                    if let Some(event) = event.take() {
                        return Some(Told { event, id, data });
                    }
                }
            }
        }
    }

    /// The next event for which `condition` holds; those before it are passed over.
    ///
    /// # Panics
    /// When the stream ends before, or no event comes before the deadline.
    pub fn find(&mut self, what: &str, condition: impl Fn(&Told) -> bool) -> Told {
        loop {
            let told = self.read().unwrap_or_else(|| panic!("the event stream ended before: {what}"));
            if condition(&told) {
                return told;
            }
        }
    }
}
