//! Connections that are accepted with their first bytes.
//!
//! A client that connects to ask for something sends that right behind the handshake. Were its connection accepted before that has come,
//! the worker would wake twice for it, ask in vain once, and have the runtime watch a socket that is read a moment later: a
//! quarter of what a connection for a single request costs.

use std::os::fd::AsFd;

use nix::sys::socket::setsockopt;

mod option {
    use nix::{libc, setsockopt_impl, sockopt_impl};

    sockopt_impl!(
        /// `TCP_DEFER_ACCEPT`, in seconds (tcp(7)).
        DeferAccept,
        SetOnly,
        libc::IPPROTO_TCP,
        libc::TCP_DEFER_ACCEPT,
        u32
    );
}

/// Seconds after which a connection is accepted that has sent nothing.
const SILENT: u32 = 1;

/// Has `socket`, which is to listen, give out connections once they have sent something, or ended, or said nothing for a second.
///
/// Silent ones are kept by the kernel meanwhile, which answers handshakes with cookies once there are too many. Where it does not know
/// the option, connections are accepted at once.
pub(crate) fn set(socket: &impl AsFd) {
    let _ = setsockopt(socket, option::DeferAccept, &SILENT);
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        net::{SocketAddr, TcpListener, TcpStream},
    };

    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;

    /// Accepts the next connection, if there is one within so many seconds; from where.
    fn accepted(listener: &TcpListener, patience: i64) -> Option<SocketAddr> {
        let patience = Timespec { tv_sec: patience, tv_nsec: 0 };
        poll(&mut [PollFd::new(listener, PollFlags::IN)], Some(&patience)).unwrap();
        Some(listener.accept().ok()?.1)
    }

    #[test]
    fn who_speaks_is_accepted_before_who_is_silent() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        set(&listener);
        let address = listener.local_addr().unwrap();
        let silent = TcpStream::connect(address).unwrap();
        assert!(accepted(&listener, 0).is_none());
        let mut speaks = TcpStream::connect(address).unwrap();
        speaks.write_all(b"x").unwrap();
        let ends = TcpStream::connect(address).unwrap();
        let end = ends.local_addr().unwrap();
        drop(ends);
        for expected in [speaks.local_addr().unwrap(), end, silent.local_addr().unwrap()] {
            // The last one after a second.
            assert_eq!(accepted(&listener, 10), Some(expected));
        }
    }
}
