//! What large bodies take of memory, whoever is slow.

use super::*;

/// Resident memory of a process now, and the most it ever had, in KiB.
fn memory(pid: u32) -> (u64, u64) {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let value = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    (value("VmRSS:"), value("VmHWM:"))
}

/// Five gigabytes each way, the peer that takes them slower than the one that sends them.
#[test]
fn five_gigabytes_each_way_take_no_memory() {
    const LENGTH: u64 = 5_000_000_000;
    let slow = Some(Duration::from_micros(50));
    let address = backend(move |mut stream| {
        let head = read_head(&mut stream);
        if head.starts_with("POST") {
            let got = read_body(&mut stream, LENGTH, slow).to_string();
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{got}", got.len()).unwrap();
        } else {
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n").unwrap();
            write_body(&mut stream, LENGTH, PIECE, false, None).unwrap();
        }
    });
    let site = site(&address);
    // What a first request takes is taken for good.
    drop(connect(&site));
    let (before, _) = memory(site.plane.process.pid());
    let mut client = connect(&site);
    write!(client, "GET /down HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    read_head(&mut client);
    assert_eq!(read_body(&mut client, LENGTH, slow), LENGTH);
    write!(client, "POST /up HTTP/1.1\r\nHost: h\r\nContent-Length: {LENGTH}\r\n\r\n").unwrap();
    write_body(&mut client, LENGTH, PIECE, false, None).unwrap();
    assert!(read_head(&mut client).starts_with("HTTP/1.1 200"));
    let mut got = [0; 10];
    client.read_exact(&mut got).unwrap();
    assert_eq!(&got, LENGTH.to_string().as_bytes());
    let (_, most) = memory(site.plane.process.pid());
    assert!(most - before < 16 << 10, "{before} KiB before, {most} KiB at most");
}

/// The same where nothing can be spliced: many chunked bodies at a time, with readers that are slow or stand still.
#[test]
fn stalled_readers_of_chunked_bodies_take_bounded_memory() {
    const READERS: usize = 50;
    let address = backend(|mut stream| {
        read_head(&mut stream);
        let _ = write!(stream, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            .and_then(|()| write_body(&mut stream, 1 << 40, PIECE, true, None));
    });
    let site = site(&address);
    drop(connect(&site));
    let (before, _) = memory(site.plane.process.pid());
    let stalled: Vec<TcpStream> = (0..READERS)
        .map(|_| {
            let mut client = connect(&site);
            write!(client, "GET /c HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
            assert!(read_head(&mut client).starts_with("HTTP/1.1 200"));
            client
        })
        .collect();
    let in_flight =
        || site.plane.metrics().contains(&format!("backend_in_flight{{upstream=\"up\",backend=\"b0\"}} {READERS}"));
    wait_for("all to be under way", DEADLINE, || in_flight().then_some(()));
    // One that reads gets on while the others stand still.
    let mut reader = connect(&site);
    write!(reader, "GET /c HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    read_head(&mut reader);
    assert_eq!(read_chunked_part(&mut reader, 64 << 20), 64 << 20);
    let (_, most) = memory(site.plane.process.pid());
    // A stalled response holds one buffer of 256 KiB at most.
    assert!(most - before < (READERS as u64 + 8) * 272 + (8 << 10), "{before} KiB before, {most} KiB at most");
    drop(stalled);
}

/// Reads about `length` raw bytes of a chunked body.
fn read_chunked_part(stream: &mut TcpStream, length: u64) -> u64 {
    io::copy(&mut stream.take(length), &mut io::sink()).unwrap()
}
