//! A backend for a hundred thousand requests: one thread, no allocation to speak of, and a strict count of its connections.

use std::{
    collections::HashMap,
    io::{self, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
    },
    thread::JoinHandle,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    net::sockopt::set_socket_linger,
};

/// What a [`FastOrigin`] does beside answering 200.
#[derive(Clone, Debug, Default)]
pub struct Habits {
    /// Further header lines of each response, each with its line break.
    pub fields: String,
    /// Closes a connection that served a request and seems idle, one time in so many looks at its sockets; 0 never. A request may just be on its way.
    pub closes_one_in: u32,
    /// Resets the connection instead of answering one request in so many; 0 never.
    pub resets_one_in: u32,
    /// Answers with this status; 200 unless said otherwise.
    pub status: Option<u16>,
}

/// An HTTP/1.1 server that ends, with all its connections, when this value is dropped.
pub struct FastOrigin {
    address: String,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    open: AtomicU32,
    most_open: AtomicU32,
    accepted: AtomicU32,
    requests: AtomicU32,
    /// Requests by the value of their `X-Id`, which stands for one that must come once only.
    ids: Mutex<HashMap<Vec<u8>, u32>>,
    ended: AtomicBool,
}

impl FastOrigin {
    /// An origin on a free port.
    ///
    /// # Panics
    /// When no port can be bound.
    pub fn start(habits: Habits) -> Self {
        Self::at(Ipv4Addr::LOCALHOST, habits)
    }

    /// The same on a free port of `ip`; 0.0.0.0 is every address of this host, 127.0.0.0/8 with them.
    ///
    /// # Panics
    /// When no port can be bound.
    pub fn at(ip: Ipv4Addr, habits: Habits) -> Self {
        let listener = TcpListener::bind((ip, 0)).expect("a free port");
        listener.set_nonblocking(true).expect("a socket can be made nonblocking");
        let address = listener.local_addr().expect("a bound listener has an address").to_string();
        let shared = Arc::new(Shared::default());
        let server =
            Server { listener, connections: Vec::new(), habits, random: 0x2545_f491, shared: Arc::clone(&shared) };
        let thread = Some(std::thread::spawn(move || server.run()));
        Self { address, shared, thread }
    }

    /// Its address.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Connections that are open now.
    pub fn open(&self) -> u32 {
        self.shared.open.load(SeqCst)
    }

    /// The most connections that were open at the same time.
    pub fn most_open(&self) -> u32 {
        self.shared.most_open.load(SeqCst)
    }

    /// Connections that it took so far.
    pub fn accepted(&self) -> u32 {
        self.shared.accepted.load(SeqCst)
    }

    /// Requests that it answered so far.
    pub fn requests(&self) -> u32 {
        self.shared.requests.load(SeqCst)
    }

    /// How often each `X-Id` came.
    pub fn ids(&self) -> HashMap<Vec<u8>, u32> {
        self.shared.ids.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for FastOrigin {
    fn drop(&mut self) {
        self.shared.ended.store(true, SeqCst);
        // Wakes the thread.
        let _ = TcpStream::connect(&self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Server {
    listener: TcpListener,
    connections: Vec<Connection>,
    habits: Habits,
    random: u32,
    shared: Arc<Shared>,
}

struct Connection {
    stream: TcpStream,
    input: Vec<u8>,
    has_served: bool,
    is_open: bool,
    /// Whether it does not answer the next request.
    resets: bool,
}

impl Server {
    fn run(mut self) {
        let (status, fields) = (self.habits.status.unwrap_or(200), &self.habits.fields);
        let response = format!("HTTP/1.1 {status} OK\r\n{fields}Content-Length: 2\r\n\r\nok");
        while !self.shared.ended.load(SeqCst) {
            let (listener_is_ready, ready) = self.look();
            for index in ready {
                self.connections[index].resets = self.is_to_reset();
                self.connections[index].serve(&self.shared, response.as_bytes());
            }
            if listener_is_ready {
                // Whatever ended before the next connection was made has told so by now: it is not counted beside it.
                for connection in &mut self.connections {
                    connection.serve(&self.shared, response.as_bytes());
                }
                self.forget_closed();
                self.accept();
            }
            if self.habits.closes_one_in > 0 && self.next_random().is_multiple_of(self.habits.closes_one_in) {
                let at = self.next_random() as usize % self.connections.len().max(1);
                if let Some(connection) = self.connections.get_mut(at)
                    && connection.has_served
                    && connection.input.is_empty()
                {
                    connection.is_open = false;
                }
            }
            self.forget_closed();
        }
    }

    /// Waits until something is ready.
    fn look(&self) -> (bool, Vec<usize>) {
        let mut places = vec![PollFd::new(&self.listener, PollFlags::IN)];
        places.extend(self.connections.iter().map(|connection| PollFd::new(&connection.stream, PollFlags::IN)));
        let _ = poll(&mut places, Some(&Timespec { tv_sec: 1, tv_nsec: 0 }));
        let ready = |place: &PollFd<'_>| !place.revents().is_empty();
        let indexes = places[1..].iter().enumerate().filter(|(_, place)| ready(place)).map(|(index, _)| index);
        (ready(&places[0]), indexes.collect())
    }

    fn accept(&mut self) {
        let Ok((stream, _)) = self.listener.accept() else { return };
        if stream.set_nonblocking(true).is_err() || stream.set_nodelay(true).is_err() {
            return;
        }
        // Its first request may be there already.
        let resets = self.is_to_reset();
        self.connections.push(Connection { stream, input: Vec::new(), has_served: false, is_open: true, resets });
        self.shared.accepted.fetch_add(1, SeqCst);
        self.shared.open.store(self.connections.len() as u32, SeqCst);
        self.shared.most_open.fetch_max(self.connections.len() as u32, SeqCst);
    }

    fn forget_closed(&mut self) {
        self.connections.retain(|connection| connection.is_open);
        self.shared.open.store(self.connections.len() as u32, SeqCst);
    }

    fn is_to_reset(&mut self) -> bool {
        let one_in = self.habits.resets_one_in;
        one_in > 0 && self.next_random().is_multiple_of(one_in)
    }

    fn next_random(&mut self) -> u32 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        self.random
    }
}

impl Connection {
    /// Reads what there is and answers the requests that are whole.
    fn serve(&mut self, shared: &Shared, response: &[u8]) {
        let mut room = [0; 4096];
        loop {
            match self.stream.read(&mut room) {
                Ok(0) => {
                    self.is_open = false;
                    return;
                }
                Ok(count) => self.input.extend_from_slice(&room[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => {
                    self.is_open = false;
                    return;
                }
            }
        }
        while let Some(length) = self.whole_request(shared) {
            self.input.drain(..length);
            shared.requests.fetch_add(1, SeqCst);
            self.has_served = true;
            if std::mem::take(&mut self.resets) {
                let _ = set_socket_linger(&self.stream, Some(Duration::ZERO));
                self.is_open = false;
                return;
            }
            if self.stream.write_all(response).is_err() {
                self.is_open = false;
                return;
            }
        }
    }

    /// How long the first request is, if all of it is there.
    fn whole_request(&self, shared: &Shared) -> Option<usize> {
        let head = self.input.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
        let field = |name: &[u8]| field_of(&self.input[..head], name);
        let body = match field(b"transfer-encoding") {
            Some(_) => chunked_length(&self.input[head..])?,
            None => {
                field(b"content-length").and_then(|value| std::str::from_utf8(value).ok()?.parse().ok()).unwrap_or(0)
            }
        };
        let length = head + body;
        if self.input.len() < length {
            return None;
        }
        if let Some(id) = field(b"x-id") {
            *shared.ids.lock().unwrap_or_else(PoisonError::into_inner).entry(id.to_vec()).or_default() += 1;
        }
        Some(length)
    }
}

/// How long the chunked body at the beginning of `bytes` is, without trailers, if all of it is there.
fn chunked_length(bytes: &[u8]) -> Option<usize> {
    let mut length = 0;
    loop {
        let line = bytes[length..].windows(2).position(|window| window == b"\r\n")?;
        let size = std::str::from_utf8(&bytes[length..length + line]).ok()?;
        let size = usize::from_str_radix(size, 16).ok()?;
        length += line + 2 + size + 2;
        if bytes.len() < length {
            return None;
        }
        if size == 0 {
            return Some(length);
        }
    }
}

pub(crate) fn field_of<'a>(head: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    head.split(|byte| *byte == b'\n').skip(1).find_map(|line| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        line[..colon].eq_ignore_ascii_case(name).then(|| line[colon + 1..].trim_ascii())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DEADLINE, FastClient, wait_for};

    #[test]
    fn counts_connections_requests_and_ids() {
        let origin = FastOrigin::start(Habits { fields: "X-Fast: yes\r\n".to_owned(), ..Habits::default() });
        let mut client = FastClient::new(origin.address());
        for _ in 0..3 {
            let request = b"POST / HTTP/1.1\r\nX-Id: 7\r\nContent-Length: 3\r\n\r\nabc";
            assert_eq!(client.ask(request).unwrap(), 200);
        }
        let mut other = FastClient::new(origin.address());
        let chunked = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
        assert_eq!(other.ask(chunked).unwrap(), 200);
        assert_eq!((origin.accepted(), origin.open(), origin.requests()), (2, 2, 4));
        assert_eq!(origin.ids(), HashMap::from([(b"7".to_vec(), 3)]));
        drop((client, other));
        wait_for("the ends of the connections", DEADLINE, || (origin.open() == 0).then_some(()));
        assert_eq!(origin.most_open(), 2);
    }

    #[test]
    fn closes_idle_connections_if_that_is_its_habit() {
        let origin = FastOrigin::start(Habits { closes_one_in: 2, ..Habits::default() });
        let mut client = FastClient::new(origin.address());
        wait_for("a closed connection", DEADLINE, || {
            let _ = client.ask(b"GET / HTTP/1.1\r\n\r\n");
            (origin.accepted() > 3).then_some(())
        });
    }
}
