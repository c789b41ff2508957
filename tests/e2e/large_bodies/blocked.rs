//! Large responses to clients that do not take them: meanwhile nobody listens to the backend, and nothing is lost by that.

use std::{
    fs,
    net::SocketAddr,
    sync::mpsc::{Receiver, Sender, channel},
};

use super::*;

/// More than all buffers between a backend and a client that reads nothing.
const PART: u64 = 24 << 20;
const PARTS: u64 = 3;
const LENGTH: u64 = PARTS * PART + 12_345;

/// What a client keeps of what it did not read, at most.
const CLIENT_BUFFER: usize = 128 << 10;

/// Whether the data plane's runtime watches its connection at `address`; none while there is none.
fn is_watched(site: &Site, address: SocketAddr) -> Option<bool> {
    let process = format!("/proc/{}", site.plane.process.pid());
    let port = format!(":{:04X}", address.port());
    let table = fs::read_to_string(format!("{process}/net/tcp")).unwrap();
    let inode = table.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        (fields[1].ends_with(&port) && fields[9] != "0").then(|| fields[9].to_owned())
    })?;
    let (mut socket, mut watched) = (None, Vec::new());
    for entry in fs::read_dir(format!("{process}/fd")).unwrap().flatten() {
        let Ok(target) = fs::read_link(entry.path()) else { continue };
        let descriptor = entry.file_name().into_string().unwrap();
        if target.to_str() == Some(&format!("socket:[{inode}]")) {
            socket = Some(descriptor);
        } else if target.to_str() == Some("anon_inode:[eventpoll]") {
            let info = fs::read_to_string(format!("{process}/fdinfo/{descriptor}")).unwrap_or_default();
            let of_line = |line: &str| Some(line.strip_prefix("tfd:")?.split_whitespace().next()?.to_owned());
            watched.extend(info.lines().filter_map(of_line));
        }
    }
    Some(watched.contains(&socket?))
}

fn wait_until_watched(site: &Site, address: SocketAddr, expected: bool) {
    wait_for("the backend's connection to be watched, or to be no more", DEADLINE, || {
        (is_watched(site, address)? == expected).then_some(())
    });
}

/// What a backend does next.
enum Order {
    /// Sends so much of the body.
    Send(u64),
    /// Ends the connection in the middle of the body, with a reset or without.
    End { reset: bool },
}

/// A backend that answers each request with `LENGTH` bytes in pieces, as it is told; it tells where its connections come from, and
/// what was wrong with each that ended.
fn told_backend() -> (String, Sender<Order>, Receiver<SocketAddr>, Receiver<io::Result<()>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (order, orders) = channel();
    let (from, come_from) = channel();
    let (ended, ends) = channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = from.send(stream.peer_addr().unwrap());
            let _ = ended.send(obey(&mut stream, &orders));
        }
    });
    (address, order, come_from, ends)
}

fn obey(stream: &mut TcpStream, orders: &Receiver<Order>) -> io::Result<()> {
    while let head = read_head(stream)
        && !head.is_empty()
    {
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n")?;
        let mut sent = 0;
        while sent < LENGTH {
            match orders.recv().map_err(io::Error::other)? {
                Order::Send(count) => {
                    for _ in 0..count.div_ceil(PIECE as u64) {
                        let bytes = bytes_at(sent, PIECE.min((LENGTH - sent) as usize));
                        stream.write_all(bytes)?;
                        sent += bytes.len() as u64;
                    }
                }
                Order::End { reset } => {
                    if reset {
                        rustix::net::sockopt::set_socket_linger(&*stream, Some(Duration::ZERO))?;
                    }
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

/// A client whose kernel takes little of a response that it does not read.
fn small_client(site: &Site) -> TcpStream {
    let client = connect(site);
    rustix::net::sockopt::set_socket_recv_buffer_size(&client, CLIENT_BUFFER).unwrap();
    client
}

/// Reads `length` bytes of body from `position` on, and checks them.
fn read_part(client: &mut TcpStream, position: u64, length: u64) {
    let mut buffer = vec![0; PIECE];
    let mut seen = 0;
    while seen < length {
        let room = PIECE.min((length - seen) as usize);
        client.read_exact(&mut buffer[..room]).unwrap();
        assert!(buffer[..room] == *bytes_at(position + seen, room), "the body differs behind {}", position + seen);
        seen += room as u64;
    }
}

#[test]
fn a_client_that_reads_in_bursts_gets_all_of_it_again_and_again() {
    let (address, order, come_from, _ends) = told_backend();
    let site = site(&address);
    let mut client = small_client(&site);
    let mut from = None;
    for _ in 0..2 {
        write!(client, "GET /burst HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
        assert!(read_head(&mut client).starts_with("HTTP/1.1 200 OK\r\n"));
        let from = *from.get_or_insert_with(|| come_from.recv_timeout(DEADLINE).unwrap());
        for part in 0..PARTS {
            wait_until_watched(&site, from, true);
            order.send(Order::Send(PART)).unwrap();
            wait_until_watched(&site, from, false);
            if part + 1 < PARTS {
                // The client has everything, and the backend is waited for.
                read_part(&mut client, part * PART, PART);
            }
        }
        order.send(Order::Send(LENGTH - PARTS * PART)).unwrap();
        read_part(&mut client, (PARTS - 1) * PART, LENGTH - (PARTS - 1) * PART);
        // Idle, and its end would be noticed.
        wait_until_watched(&site, from, true);
    }
    assert!(come_from.try_recv().is_err(), "both on one connection");
    assert!(site.plane.metrics().contains("tidegate_backend_connections_total{upstream=\"up\",backend=\"b0\"} 1"));
}

#[test]
fn a_backend_that_ends_while_the_client_is_waited_for_leaves_no_whole_response() {
    let (address, order, come_from, _ends) = told_backend();
    let site = site(&address);
    for reset in [false, true] {
        let path = format!("/ends-{reset}");
        let mut client = small_client(&site);
        write!(client, "GET {path} HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
        assert!(read_head(&mut client).starts_with("HTTP/1.1 200 OK\r\n"));
        let from = come_from.recv_timeout(DEADLINE).unwrap();
        order.send(Order::Send(PART)).unwrap();
        wait_until_watched(&site, from, false);
        order.send(Order::End { reset }).unwrap();
        let got = read_body(&mut client, LENGTH, None);
        assert!(got < LENGTH && (reset || got == PART), "{got}");
        assert_eq!(site.logged(&path)["reason"], "upstream_reset");
    }
}

#[test]
fn a_client_that_goes_while_it_is_waited_for_ends_the_response_at_the_backend() {
    let (address, order, come_from, ends) = told_backend();
    let site = site(&address);
    let mut client = small_client(&site);
    write!(client, "GET /gone HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    assert!(read_head(&mut client).starts_with("HTTP/1.1 200 OK\r\n"));
    let from = come_from.recv_timeout(DEADLINE).unwrap();
    order.send(Order::Send(LENGTH)).unwrap();
    wait_until_watched(&site, from, false);
    drop(client);
    assert!(ends.recv_timeout(DEADLINE).unwrap().is_err(), "the backend was stopped");
    assert_eq!(site.logged("/gone")["reason"], "client_gone");
}

#[test]
fn an_upload_goes_on_while_its_early_response_is_not_taken() {
    let (got, has_got) = channel();
    let address = backend(move |mut stream| {
        read_head(&mut stream);
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n").unwrap();
        let mut receiver = stream.try_clone().unwrap();
        let (got, from) = (got.clone(), stream.peer_addr().unwrap());
        thread::spawn(move || {
            for _ in 0..2 {
                let mut body = [0; 5];
                receiver.read_exact(&mut body).unwrap();
                got.send((body, from)).unwrap();
            }
        });
        let _ = write_body(&mut stream, LENGTH, PIECE, false, None);
    });
    let site = site(&address);
    let mut client = small_client(&site);
    write!(client, "POST /early HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nfirst").unwrap();
    assert!(read_head(&mut client).starts_with("HTTP/1.1 200 OK\r\n"));
    let (first, from) = has_got.recv_timeout(DEADLINE).unwrap();
    assert_eq!((&first, is_watched(&site, from)), (b"first", Some(true)));
    write!(client, "other").unwrap();
    assert_eq!(&has_got.recv_timeout(DEADLINE).unwrap().0, b"other");
    wait_until_watched(&site, from, false);
    assert_eq!(read_body(&mut client, LENGTH, None), LENGTH);
}

/// What a slow side takes at a time.
const STEADY: u64 = 16 << 10;

/// How long nothing may move.
const IDLE: &str = "3s";

/// Takes a little of a body ten times a second, for a few times as long as nothing may move: in that time far less than has to go
/// before the kernel says that there is room again.
fn take_steadily(stream: &mut TcpStream) {
    for piece in 0..90 {
        read_part(stream, piece * STEADY, STEADY);
        rest(Duration::from_millis(100));
    }
}

#[test]
fn a_client_that_reads_slowly_but_steadily_is_not_cut_off() {
    for chunked in [false, true] {
        let address = backend(move |mut stream| {
            read_head(&mut stream);
            let framing =
                if chunked { "Transfer-Encoding: chunked".into() } else { format!("Content-Length: {LENGTH}") };
            write!(stream, "HTTP/1.1 200 OK\r\n{framing}\r\n\r\n").unwrap();
            let _ = write_body(&mut stream, LENGTH, LENGTH as usize, chunked, None);
        });
        let site = Site::start(one_upstream([(&*address, 1)].into_iter(), json!({ "timeouts": { "idle": IDLE } })));
        let mut client = small_client(&site);
        write!(client, "GET /steady HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
        assert!(read_head(&mut client).starts_with("HTTP/1.1 200 OK\r\n"));
        if chunked {
            // The size of the one chunk.
            client.read_exact(&mut [0; 9]).unwrap();
        }
        take_steadily(&mut client);
        drop(client);
        assert_eq!(site.logged("/steady")["reason"], "client_gone", "chunked: {chunked}");
    }
}

#[test]
fn a_backend_that_reads_slowly_but_steadily_is_not_given_up() {
    for chunked in [false, true] {
        let address = backend(move |mut stream| {
            rustix::net::sockopt::set_socket_recv_buffer_size(&stream, CLIENT_BUFFER).unwrap();
            read_head(&mut stream);
            if chunked {
                stream.read_exact(&mut [0; 9]).unwrap();
            }
            take_steadily(&mut stream);
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone").unwrap();
            // It has enough, and closes when its answer was passed on.
            let _ = stream.read_exact(&mut vec![0; LENGTH as usize]);
        });
        let site =
            Site::start(one_upstream([(&*address, 1)].into_iter(), json!({ "timeouts": { "first_byte": IDLE } })));
        let mut client = connect(&site);
        let framing = if chunked { "Transfer-Encoding: chunked".into() } else { format!("Content-Length: {LENGTH}") };
        write!(client, "POST /steady HTTP/1.1\r\nHost: h\r\n{framing}\r\n\r\n").unwrap();
        let mut sender = client.try_clone().unwrap();
        let sending = thread::spawn(move || write_body(&mut sender, LENGTH, LENGTH as usize, chunked, None));
        assert!(read_head(&mut client).starts_with("HTTP/1.1 200 OK\r\n"), "chunked: {chunked}");
        drop(client);
        let _ = sending.join().unwrap();
    }
}
