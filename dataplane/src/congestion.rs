//! Congestion control of connections that do not leave this host.
//!
//! BBR, which many hosts have as their default, sends no faster than it believes the path to be, and sets a timer for each segment to keep
//! to that. On loopback there is no path to be kept from filling, and the timers cost more than the segments: of a large download more
//! than half of this process's time, and more than half of its rate.

use std::{fs, net::IpAddr, os::fd::AsFd, sync::LazyLock};

use rustix::net::sockopt::set_tcp_congestion;

/// What paces nothing, and any process may choose: mainline's default.
const UNPACED: &str = "cubic";

/// Whether the host's default is BBR, of any version, when this is asked first.
static IS_PACED: LazyLock<bool> = LazyLock::new(|| {
    fs::read_to_string("/proc/sys/net/ipv4/tcp_congestion_control").is_ok_and(|name| name.starts_with("bbr"))
});

/// Has `socket`, which listens on or is to connect to `address`, send without pacing if that is of this host. What a listening socket is
/// given, the connections that it accepts inherit. Once a connection stands it is too late: its pacing stays.
///
/// Where the kernel does not have the algorithm or does not allow it, the host's default stays.
pub(crate) fn suit(socket: impl AsFd, address: IpAddr) {
    if *IS_PACED && address.to_canonical().is_loopback() {
        let _ = set_tcp_congestion(socket, UNPACED);
    }
}

#[cfg(test)]
mod tests {
    use rustix::net::{AddressFamily, SocketType, socket, sockopt::tcp_congestion};

    use super::*;

    fn chosen(address: IpAddr) -> String {
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        suit(&socket, address);
        tcp_congestion(&socket).unwrap()
    }

    #[test]
    fn only_what_stays_on_a_host_that_paces_goes_without() {
        let default = fs::read_to_string("/proc/sys/net/ipv4/tcp_congestion_control").unwrap();
        let default = default.trim();
        // Which may be chosen depends on the host, and on who asks.
        let other = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        let is_allowed = set_tcp_congestion(other, UNPACED).is_ok();
        let here = if default.starts_with("bbr") && is_allowed { UNPACED } else { default };
        for address in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(chosen(address.parse().unwrap()), here, "{address}");
        }
        for address in ["0.0.0.0", "::", "10.0.0.1", "2001:db8::1", "::ffff:10.0.0.1"] {
            assert_eq!(chosen(address.parse().unwrap()), default, "{address}");
        }
    }
}
