//! Large bodies, up and down, in every framing: whole, in bounded memory, and never longer or shorter than they say.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::LazyLock,
    thread::{self, JoinHandle},
    time::Duration,
};

use harness::{Connection, DEADLINE, rest, wait_for};
use serde_json::json;

use crate::site::{Site, one_upstream};

mod blocked;
mod memory;

/// The byte at `position` of every body here, so that nothing can be lost, doubled or mixed up unseen.
fn byte_at(position: u64) -> u8 {
    ((position * 31) ^ (position >> 11)) as u8
}

/// What repeats itself every 512 KiB. Made once: a client that made it behind its head would keep the proxy waiting.
static PERIODS: LazyLock<Vec<u8>> = LazyLock::new(|| (0..2 * PERIOD as u64).map(byte_at).collect());
const PERIOD: usize = 1 << 19;

/// The bytes of a body from `position` on, at most `count` and 512 KiB of them.
fn bytes_at(position: u64, count: usize) -> &'static [u8] {
    let from = (position % PERIOD as u64) as usize;
    &PERIODS[from..from + count.min(PERIOD)]
}

/// Writes `length` bytes of body in pieces of `piece`, each dressed by `frame`.
fn write_body(
    stream: &mut impl Write,
    length: u64,
    piece: usize,
    chunked: bool,
    pause: Option<Duration>,
) -> io::Result<()> {
    let mut sent = 0;
    while sent < length {
        let end = sent + (piece as u64).min(length - sent);
        if chunked {
            write!(stream, "{:x}\r\n", end - sent)?;
        }
        while sent < end {
            let bytes = bytes_at(sent, (end - sent) as usize);
            stream.write_all(bytes)?;
            sent += bytes.len() as u64;
        }
        if chunked {
            stream.write_all(b"\r\n")?;
        }
        if let Some(pause) = pause {
            rest(pause);
        }
    }
    if chunked {
        stream.write_all(b"0\r\n\r\n")?;
    }
    Ok(())
}

/// Reads until `length` bytes came or the stream ends; answers how many came and checks each.
fn read_body(stream: &mut impl Read, length: u64, pause: Option<Duration>) -> u64 {
    let mut buffer = vec![0; 256 << 10];
    let mut seen = 0;
    while seen < length {
        let room = (buffer.len() as u64).min(length - seen) as usize;
        let count = stream.read(&mut buffer[..room]).unwrap_or(0);
        if count == 0 {
            break;
        }
        assert!(
            buffer[..count] == *bytes_at(seen, count),
            "the body differs between {seen} and {}",
            seen + count as u64
        );
        seen += count as u64;
        if let Some(pause) = pause {
            rest(pause);
        }
    }
    seen
}

fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

/// A backend whose connections `serve` serves, each on a thread of its own.
fn backend(serve: impl Fn(TcpStream) + Send + Sync + Clone + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (serve, stream) = (serve.clone(), stream.unwrap());
            stream.set_nodelay(true).unwrap();
            thread::spawn(move || serve(stream));
        }
    });
    address
}

fn site(address: &str) -> Site {
    Site::start(one_upstream([(address, 1)].into_iter(), json!({})))
}

fn connect(site: &Site) -> TcpStream {
    let stream = TcpStream::connect(&site.address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.set_write_timeout(Some(DEADLINE)).unwrap();
    stream
}

const PIECE: usize = 256 << 10;

/// Reads a chunked body that carries `length` bytes; answers how many came.
fn read_chunked(stream: &mut TcpStream, length: u64) -> u64 {
    struct Dechunked<'a>(io::BufReader<&'a mut TcpStream>, u64);
    impl Read for Dechunked<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            use io::BufRead;
            if self.1 == 0 {
                let mut line = String::new();
                self.0.read_line(&mut line)?;
                let size = u64::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
                if size == 0 {
                    self.0.read_line(&mut line)?;
                    return Ok(0);
                }
                self.1 = size;
            }
            let most = (buffer.len() as u64).min(self.1) as usize;
            let count = self.0.read(&mut buffer[..most])?;
            self.1 -= count as u64;
            if self.1 == 0 {
                self.0.read_line(&mut String::new())?;
            }
            Ok(count)
        }
    }
    read_body(&mut Dechunked(io::BufReader::with_capacity(PIECE, stream), 0), length + 1, None)
}

#[test]
fn large_bodies_arrive_whole_in_every_framing() {
    const LENGTH: u64 = (20 << 20) + 12_345;
    let address = backend(|mut stream| {
        loop {
            let head = read_head(&mut stream);
            let Some(line) = head.lines().next() else { return };
            let got = if head.contains("Transfer-Encoding: chunked") {
                read_chunked(&mut stream, LENGTH)
            } else if head.contains("Content-Length:") {
                read_body(&mut stream, LENGTH, None)
            } else {
                0
            };
            let path = line.split(' ').nth(1).unwrap();
            let sent = match path {
                "/length" => write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n")
                    .and_then(|()| write_body(&mut stream, LENGTH, PIECE, false, None)),
                "/chunked" => write!(stream, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                    .and_then(|()| write_body(&mut stream, LENGTH, PIECE, true, None)),
                "/close" => write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
                    .and_then(|()| write_body(&mut stream, LENGTH, PIECE, false, None)),
                _ => {
                    let text = got.to_string();
                    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len())
                }
            };
            if sent.is_err() || path == "/close" {
                return;
            }
        }
    });
    let site = site(&address);
    let mut client = connect(&site);
    let small = |client: &mut TcpStream, text: &str| {
        let head = read_head(client);
        let mut body = vec![0; text.len()];
        client.read_exact(&mut body).unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && body == text.as_bytes(), "{head}{body:?}");
    };
    // The connections are used again after each: nothing was left over and nothing was missing.
    for _ in 0..2 {
        write!(client, "GET /length HTTP/1.1\r\nHost: h\r\n\r\nGET /small HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
        assert!(read_head(&mut client).contains(&format!("Content-Length: {LENGTH}")));
        assert_eq!(read_body(&mut client, LENGTH, None), LENGTH);
        small(&mut client, "0");
        write!(client, "POST /up HTTP/1.1\r\nHost: h\r\nContent-Length: {LENGTH}\r\n\r\n").unwrap();
        write_body(&mut client, LENGTH, PIECE, false, None).unwrap();
        write!(client, "GET /small HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
        small(&mut client, &LENGTH.to_string());
        small(&mut client, "0");
        write!(client, "POST /up HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
        write_body(&mut client, LENGTH, PIECE, true, None).unwrap();
        small(&mut client, &LENGTH.to_string());
        for path in ["/chunked", "/close"] {
            write!(client, "GET {path} HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
            assert!(read_head(&mut client).contains("Transfer-Encoding: chunked"));
            assert_eq!(read_chunked(&mut client, LENGTH), LENGTH, "{path}");
        }
    }
    let metrics = site.plane.metrics();
    assert!(
        metrics.contains("tidegate_backend_connections_total{upstream=\"up\",backend=\"b0\"} 2"),
        "one, and one more after the first ended with its response: {metrics}"
    );
}

/// Each size is read into a buffer that was chosen by the one before.
#[test]
fn bodies_of_all_sizes_follow_each_other_on_one_connection() {
    let address = backend(|mut stream| {
        loop {
            let head = read_head(&mut stream);
            let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
            if head.is_empty() {
                return;
            }
            let got = length.map_or(0, |length| read_body(&mut stream, length.parse().unwrap(), None)).to_string();
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{got}", got.len()).unwrap();
        }
    });
    let site = site(&address);
    let mut client = connect(&site);
    let sizes = [1, 16 << 10, 20 << 10, 64 << 10, 68 << 10, 64 << 10, 70 << 10, 1, 64 << 10, 300 << 10, 2 << 20, 3];
    for length in sizes.into_iter().chain(sizes) {
        // Head and body in one, so that one read may take both; and behind them another request.
        let mut bytes = format!("POST /up HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n").into_bytes();
        write_body(&mut bytes, length, PIECE, false, None).unwrap();
        bytes.extend_from_slice(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n");
        client.write_all(&bytes).unwrap();
        for expected in [length.to_string(), "0".to_owned()] {
            assert!(read_head(&mut client).starts_with("HTTP/1.1 200 OK\r\n"), "{length}");
            let mut body = vec![0; expected.len()];
            client.read_exact(&mut body).unwrap();
            assert_eq!(body, expected.as_bytes(), "{length}");
        }
    }
}

#[test]
fn a_large_body_that_is_cut_off_does_not_look_complete() {
    let address = backend(|mut stream| {
        let head = read_head(&mut stream);
        let _ = if head.starts_with("GET /chunked") {
            write!(stream, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n800000\r\n")
        } else {
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 8388608\r\n\r\n")
        };
        let _ = write_body(&mut stream, 5 << 20, PIECE, false, None);
    });
    let site = site(&address);
    for path in ["/length", "/chunked"] {
        let mut client = connect(&site);
        write!(client, "GET {path} HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
        read_head(&mut client);
        let mut rest = Vec::new();
        let _ = client.read_to_end(&mut rest);
        assert!(rest.len() < 8 << 20 && !rest.ends_with(b"0\r\n\r\n"), "{path}: {}", rest.len());
        assert_eq!(site.logged(path)["reason"], "upstream_reset");
    }
}

#[test]
fn a_client_that_leaves_a_large_body_ends_it_at_the_backend() {
    let (ended, has_ended) = std::sync::mpsc::channel();
    let address = backend(move |mut stream| {
        let head = read_head(&mut stream);
        let result = if head.starts_with("POST") {
            let got = read_body(&mut stream, 1 << 30, None);
            format!("{}", got < 1 << 30)
        } else {
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 1u64 << 40).unwrap();
            format!("{}", write_body(&mut stream, 1 << 40, PIECE, false, None).is_err())
        };
        ended.send(result).unwrap();
    });
    let site = site(&address);
    let mut down = connect(&site);
    write!(down, "GET /down HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    read_head(&mut down);
    assert_eq!(read_body(&mut down, 8 << 20, None), 8 << 20);
    drop(down);
    assert_eq!(has_ended.recv_timeout(DEADLINE).unwrap(), "true");
    let mut up = connect(&site);
    write!(up, "POST /up HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", 1 << 30).unwrap();
    write_body(&mut up, 8 << 20, PIECE, false, None).unwrap();
    drop(up);
    assert_eq!(has_ended.recv_timeout(DEADLINE).unwrap(), "true");
    for path in ["/down", "/up"] {
        assert_eq!(site.logged(path)["reason"], "client_gone");
    }
    assert!(site.plane.metrics().contains("kind=\"reset\"} 0"));
}

#[test]
fn an_early_answer_passes_a_large_upload() {
    let address = backend(|mut stream| {
        read_head(&mut stream);
        assert_eq!(read_body(&mut stream, 4 << 20, None), 4 << 20);
        stream.write_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let _ = io::copy(&mut stream.take(1 << 20), &mut io::sink());
    });
    let site = site(&address);
    let mut client = connect(&site);
    let mut sender = client.try_clone().unwrap();
    let sending = thread::spawn(move || {
        let head = write!(sender, "POST /u HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", 1u64 << 33);
        head.and_then(|()| write_body(&mut sender, 1 << 33, PIECE, false, None))
    });
    let head = read_head(&mut client);
    assert!(head.starts_with("HTTP/1.1 413 ") && head.contains("Connection: close"), "{head}");
    let mut body = [0; 3];
    client.read_exact(&mut body).unwrap();
    assert_eq!(&body, b"big");
    assert!(sending.join().unwrap().is_err(), "the rest is not taken");
}

#[test]
fn an_upload_with_pauses_is_not_cut_off() {
    const LENGTH: u64 = 64 << 20;
    let address = backend(|mut stream| {
        read_head(&mut stream);
        let got = read_body(&mut stream, LENGTH, None).to_string();
        let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{got}", got.len());
    });
    // Pauses are shorter than the idle time-out, all of them together far longer.
    let timeouts = json!({"timeouts": {"request_body_idle": "1s", "first_byte": "1s", "idle": "1s"}});
    let site = Site::start(one_upstream([(address.as_str(), 1)].into_iter(), timeouts));
    LazyLock::force(&PERIODS);
    let mut client = connect(&site);
    write!(client, "POST /up HTTP/1.1\r\nHost: h\r\nContent-Length: {LENGTH}\r\n\r\n").unwrap();
    let sent = write_body(&mut client, LENGTH, 8 << 20, false, Some(Duration::from_millis(400)));
    sent.unwrap_or_else(|error| panic!("{error}: {}", site.logged("/up")));
    assert!(read_head(&mut client).starts_with("HTTP/1.1 200"), "{}", site.logged("/up"));
}

/// A handle that keeps a slow sender going until the test is done with it.
struct Sender(Option<JoinHandle<()>>, std::sync::mpsc::Sender<()>);

impl Drop for Sender {
    fn drop(&mut self) {
        let _ = self.1.send(());
        if let Some(thread) = self.0.take() {
            let _ = thread.join();
        }
    }
}

/// Two hundred clients that send or read a byte now and then, or nothing: others are served, and their places are free again
/// in time.
#[test]
fn slow_clients_hold_up_nobody_and_are_let_go() {
    let address = backend(|mut stream| {
        while let head = read_head(&mut stream)
            && !head.is_empty()
        {
            let length = if head.starts_with("GET /large") { 200 << 20 } else { 2 };
            if write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").is_err()
                || write_body(&mut stream, length, PIECE, false, None).is_err()
            {
                return;
            }
        }
    });
    let mut config = one_upstream(
        [(address.as_str(), 1)].into_iter(),
        json!({"timeouts": {"request_body_idle": "2s", "idle": "2s"}}),
    );
    config["listeners"] = json!([{"name": "web", "timeouts": {"request_head": "2s"}}]);
    let site = Site::start(config);
    let mut slow: Vec<TcpStream> = (0..200)
        .map(|index| {
            let mut client = connect(&site);
            let begin = match index % 3 {
                0 => "GET / HTTP/1.1\r\nHost: h\r\nX-A: ",
                1 => "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n",
                _ => "GET /large HTTP/1.1\r\nHost: h\r\n\r\n",
            };
            client.write_all(begin.as_bytes()).unwrap();
            client
        })
        .collect();
    let trickled: Vec<TcpStream> = slow.iter().map(|client| client.try_clone().unwrap()).collect();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let trickle = thread::spawn(move || {
        let mut trickled = trickled;
        while stopped.recv_timeout(Duration::from_millis(300)) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            for client in trickled.iter_mut().step_by(3) {
                let _ = client.write_all(b"x");
            }
        }
    });
    let _trickle = Sender(Some(trickle), stop);
    let open = || {
        let metrics = site.plane.metrics();
        let line = metrics.lines().find(|line| line.starts_with("tidegate_connections_open{")).unwrap();
        line.rsplit(' ').next().unwrap().parse::<u32>().unwrap()
    };
    wait_for("the slow ones to be let go", DEADLINE, || {
        let mut client = harness::RawClient::connect(&site.address).unwrap();
        assert_eq!(client.ask("GET /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").unwrap().status, 200);
        assert_ne!(client.state_after(DEADLINE), Connection::Kept);
        (open() == 0).then_some(())
    });
    slow.clear();
}

#[test]
fn a_reset_that_the_upload_meets_first_is_no_end_of_the_response() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let site =
        Site::start(one_upstream([(listener.local_addr().unwrap().to_string().as_str(), 1)].into_iter(), json!({})));
    let mut client = site.client();
    client.send("POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\nabc").unwrap();
    let (mut backend, _) = listener.accept().unwrap();
    let mut head = [0; 16];
    backend.read_exact(&mut head).unwrap();
    backend.write_all(b"HTTP/1.1 200 OK\r\n\r\nbegun").unwrap();
    assert_eq!(client.read_response_head().unwrap().field("transfer-encoding"), Some("chunked"));
    assert_eq!(client.read_exactly(10).unwrap(), b"5\r\nbegun\r\n");

    // The data plane sees the reset and more of the upload in the same moment.
    site.plane.process.signal(rustix::process::Signal::STOP);
    let state = format!("/proc/{}/stat", site.plane.process.pid());
    wait_for("it stands still", DEADLINE, || std::fs::read_to_string(&state).unwrap().contains(") T ").then_some(()));
    rustix::net::sockopt::set_socket_linger(&backend, Some(Duration::ZERO)).unwrap();
    drop(backend);
    client.send("def").unwrap();
    site.plane.process.signal(rustix::process::Signal::CONT);

    assert_ne!(client.state_after(DEADLINE), Connection::Kept, "no last chunk, and no further request");
    assert_eq!(site.logged("/x")["reason"], "upstream_reset");
}

#[test]
fn a_response_without_length_and_chunks_looks_cut_off_when_the_process_is_killed() {
    let address = backend(|mut stream| {
        read_head(&mut stream);
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nbegun").unwrap();
        let _ = stream.read(&mut [0]);
    });
    let site = site(&address);
    let mut client = site.client();
    client.send("GET / HTTP/1.0\r\nHost: h\r\n\r\n").unwrap();
    assert_eq!(client.read_response_head().unwrap().first_line, "HTTP/1.1 200 OK");
    assert_eq!(client.read_exactly(5).unwrap(), b"begun");
    site.plane.process.signal(rustix::process::Signal::KILL);
    assert!(client.read_to_end().is_err(), "a reset");
}
