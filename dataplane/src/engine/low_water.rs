//! How much must have come on a socket before the kernel tells of it (`SO_RCVLOWAT`, socket(7)).

use nix::{libc, setsockopt_impl, sockopt_impl, sys::socket::setsockopt};
use tokio::net::TcpStream;

// The one socket option that neither rustix nor socket2 knows.
sockopt_impl!(
    /// `SO_RCVLOWAT`, in bytes.
    ReceiveLowWater,
    SetOnly,
    libc::SOL_SOCKET,
    libc::SO_RCVLOWAT,
    i32
);

/// Has the kernel tell of bytes to read only when its buffer is almost full, or of each, as it does at first. Of the end of the stream it
/// tells either way, and of bytes that are there when the socket is no longer held.
pub(super) fn hold(stream: &TcpStream, is_held: bool) {
    // The kernel makes of the most that can be said the most that its buffer may grow to.
    let bytes = if is_held { i32::MAX } else { 1 };
    // It fails for no open socket; and where it did, there would be more wake-ups and nothing else.
    let _ = setsockopt(stream, ReceiveLowWater, &bytes);
}

#[cfg(test)]
mod tests {
    use std::{
        net::{Ipv4Addr, Shutdown},
        os::fd::AsFd,
    };

    use rustix::{
        event::{PollFd, PollFlags, Timespec, poll},
        net::{RecvFlags, recv},
    };
    use tokio::{
        io::AsyncWriteExt,
        net::{TcpListener, TcpStream},
    };

    use super::hold;

    /// Whether the kernel tells of something to read on `stream` before so many seconds have passed.
    fn tells(stream: &TcpStream, seconds: i64) -> bool {
        let mut polled = [PollFd::from_borrowed_fd(stream.as_fd(), PollFlags::IN)];
        poll(&mut polled, Some(&Timespec { tv_sec: seconds, tv_nsec: 0 })).unwrap() > 0
    }

    #[tokio::test]
    async fn a_held_socket_tells_of_its_end_only_until_it_is_let_go() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let mut theirs = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (ours, _) = listener.accept().await.unwrap();
        hold(&ours, true);
        theirs.write_all(b"few").await.unwrap();
        while recv(&ours, &mut [0; 8], RecvFlags::PEEK | RecvFlags::DONTWAIT).map_or(0, |(count, _)| count) < 3 {
            tokio::task::yield_now().await;
        }
        assert!(!tells(&ours, 0));
        hold(&ours, false);
        assert!(tells(&ours, 0));
        hold(&ours, true);
        socket2::SockRef::from(&theirs).shutdown(Shutdown::Write).unwrap();
        assert!(tells(&ours, 10));
    }
}
