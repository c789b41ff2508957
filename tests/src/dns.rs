//! A scripted DNS server.

mod message;

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

pub use message::Data;
use message::{Code, Question};

/// What fits into an answer over UDP; a longer one says that it is to be asked for over TCP.
const UDP_BYTES: usize = 1232;

/// How often the threads look whether they are to end.
const LOOK: Duration = Duration::from_millis(50);

/// A DNS server over UDP and TCP on threads of its own. It ends when this value is dropped.
///
/// A name that was not [`set`](DnsServer::set) does not exist.
pub struct DnsServer {
    address: SocketAddr,
    shared: Arc<Shared>,
}

/// How a DNS server answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mood {
    /// As it should.
    #[default]
    Well,
    /// Not at all.
    Silent,
    /// SERVFAIL.
    Failing,
    /// NXDOMAIN, whatever it knows.
    Forgetful,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    ended: AtomicBool,
}

#[derive(Default)]
struct State {
    zone: BTreeMap<String, (Vec<Data>, u32)>,
    mood: Mood,
    queries: Vec<DnsQuery>,
    /// By how much answers are rotated.
    turn: usize,
}

/// A query as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsQuery {
    /// The name, in lower case and without the last dot.
    pub name: String,
    /// The type: 1 A, 28 AAAA, 33 SRV.
    pub kind: u16,
    /// Whether it came over TCP.
    pub is_tcp: bool,
}

impl DnsServer {
    /// A server on a free port that knows no name.
    ///
    /// # Panics
    /// When no port can be bound.
    pub fn start() -> Self {
        let (udp, tcp) = sockets();
        let address = udp.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared::default());
        let (of_udp, of_tcp) = (Arc::clone(&shared), Arc::clone(&shared));
        thread::spawn(move || serve_udp(&udp, &of_udp));
        thread::spawn(move || serve_tcp(&tcp, &of_tcp));
        Self { address, shared }
    }

    /// Where it listens, as `IP:port`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// From now on `name` has these records, which hold for `ttl` seconds.
    pub fn set(&self, name: &str, records: impl IntoIterator<Item = Data>, ttl: u32) {
        self.shared.lock().zone.insert(name.to_ascii_lowercase(), (records.into_iter().collect(), ttl));
    }

    /// The same for addresses.
    ///
    /// # Panics
    /// When one is none.
    pub fn set_addresses(&self, name: &str, addresses: &[&str], ttl: u32) {
        self.set(name, addresses.iter().map(|ip| Data::Address(ip.parse::<IpAddr>().expect("an IP address"))), ttl);
    }

    /// From now on it answers like this.
    pub fn be(&self, mood: Mood) {
        self.shared.lock().mood = mood;
    }

    /// All queries so far.
    pub fn queries(&self) -> Vec<DnsQuery> {
        self.shared.lock().queries.clone()
    }
}

impl Drop for DnsServer {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
    }
}

/// Sockets of both kinds on one port, which neither of the two can choose for the other.
fn sockets() -> (UdpSocket, TcpListener) {
    for _ in 0..100 {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().expect("a bound socket has an address")) {
            udp.set_read_timeout(Some(LOOK)).expect("a time-out can be set");
            tcp.set_nonblocking(true).expect("a listener can be made non-blocking");
            return (udp, tcp);
        }
    }
    panic!("no port is free for both UDP and TCP");
}

fn serve_udp(socket: &UdpSocket, shared: &Shared) {
    let mut buffer = [0; 4096];
    while !shared.has_ended() {
        let Ok((length, peer)) = socket.recv_from(&mut buffer) else { continue };
        if let Some(answer) = shared.answer(&buffer[..length], false) {
            // Whoever asked may be gone.
            let _ = socket.send_to(&answer, peer);
        }
    }
}

fn serve_tcp(listener: &TcpListener, shared: &Arc<Shared>) {
    while !shared.has_ended() {
        match listener.accept() {
            Ok((stream, _)) => {
                let shared = Arc::clone(shared);
                thread::spawn(move || converse(stream, &shared));
            }
            Err(_) => crate::wait::pause(),
        }
    }
}

/// Queries of one connection, until it ends.
fn converse(mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(crate::DEADLINE))?;
    while !shared.has_ended() {
        let mut length = [0; 2];
        stream.read_exact(&mut length)?;
        let mut query = vec![0; u16::from_be_bytes(length).into()];
        stream.read_exact(&mut query)?;
        if let Some(answer) = shared.answer(&query, true) {
            let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
            stream.write_all(&[&length.to_be_bytes(), answer.as_slice()].concat())?;
        }
    }
    Ok(())
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    fn answer(&self, query: &[u8], is_tcp: bool) -> Option<Vec<u8>> {
        let question = Question::parse(query)?;
        let mut state = self.lock();
        state.queries.push(DnsQuery { name: question.name.clone(), kind: question.kind, is_tcp });
        state.turn += 1;
        let known = state.zone.get(&question.name);
        let (code, mut records, ttl) = match (state.mood, known) {
            (Mood::Silent, _) => return None,
            (Mood::Failing, _) => (Code::ServerFailure, Vec::new(), 0),
            (Mood::Forgetful, _) | (Mood::Well, None) => (Code::NoSuchName, Vec::new(), 0),
            (Mood::Well, Some((records, ttl))) => {
                let of_kind = records.iter().filter(|record| record.answers(question.kind)).cloned();
                (Code::NoError, of_kind.collect(), *ttl)
            }
        };
        if !records.is_empty() {
            // As servers do.
            let turn = state.turn % records.len();
            records.rotate_left(turn);
        }
        let answer = question.answer(code, &records, ttl);
        Some(if is_tcp || answer.len() <= UDP_BYTES { answer } else { question.truncated() })
    }
}
