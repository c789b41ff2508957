//! Asking a plane whether it is ready.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep, timeout},
};

/// The address under which this host reaches a plane that listens on `address`.
pub(super) fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

/// Waits until `/readyz` of the plane at `address` answers 200.
///
/// # Errors
/// Why it does not, when `limit` has passed, or `alive` since it answered for the first time.
pub(super) async fn wait(address: SocketAddr, limit: Duration, alive: Duration) -> Result<(), String> {
    let mut deadline = Instant::now() + limit;
    let mut answered = false;
    loop {
        let reason = match timeout(Duration::from_secs(2), probe(reachable(address))).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(NotReady::Answered(reason))) => {
                if !answered {
                    answered = true;
                    deadline = deadline.min(Instant::now() + alive);
                }
                reason
            }
            Ok(Err(NotReady::Silent(reason))) => reason,
            Err(_) => "it does not answer".to_owned(),
        };
        if Instant::now() >= deadline {
            return Err(reason);
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// Why a plane is not ready.
#[derive(Debug, PartialEq)]
enum NotReady {
    /// It lives, and says why.
    Answered(String),
    /// Nobody is there.
    Silent(String),
}

async fn probe(address: SocketAddr) -> Result<(), NotReady> {
    let answer = ask(address).await.map_err(|error| NotReady::Silent(format!("{address}: {error}")))?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) == Some("200") {
        return Ok(());
    }
    Err(NotReady::Answered(format!("{status}: {}", body.trim())))
}

async fn ask(address: SocketAddr) -> std::io::Result<String> {
    const MOST: u64 = 16 << 10;
    let mut stream = TcpStream::connect(address).await?;
    // HTTP/1.0: the answer ends with the connection.
    stream.write_all(format!("GET /readyz HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(MOST).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead, BufReader, Write},
        net::TcpListener,
        thread,
    };

    use super::*;

    fn serve_once(answers: &'static [&'static str]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let reader = BufReader::new(stream.try_clone().unwrap());
                assert!(reader.lines().map_while(Result::ok).take_while(|line| !line.is_empty()).count() > 1);
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        address
    }

    #[tokio::test]
    async fn waits_for_200() {
        let address = serve_once(&["HTTP/1.1 503 Service Unavailable\r\n\r\nnot yet", "HTTP/1.1 200 OK\r\n\r\nok"]);
        assert_eq!(wait(address, Duration::from_secs(10), Duration::from_secs(10)).await, Ok(()));
    }

    #[tokio::test]
    async fn says_why_not() {
        let address = serve_once(&["HTTP/1.1 503 Service Unavailable\r\n\r\nno snapshot yet\n"]);
        let reason = "HTTP/1.1 503 Service Unavailable: no snapshot yet".to_owned();
        assert_eq!(probe(address).await, Err(NotReady::Answered(reason.clone())));
        let address = serve_once(&["HTTP/1.1 503 Service Unavailable\r\n\r\nno snapshot yet\n"]);
        assert_eq!(wait(address, Duration::from_secs(60), Duration::ZERO).await, Err(reason));
    }

    #[test]
    fn the_wildcard_address_is_reached_by_loopback() {
        for (address, expected) in [("0.0.0.0:1", "127.0.0.1:1"), ("[::]:1", "[::1]:1"), ("10.0.0.1:1", "10.0.0.1:1")] {
            assert_eq!(reachable(address.parse().unwrap()), expected.parse().unwrap());
        }
    }
}
