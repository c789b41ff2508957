use std::net::SocketAddr;

use hashbrown::{HashMap, hash_map::Entry};

use super::{at_most, limits, unique_names};
use crate::{Findings, config::Listener};

pub(super) fn check(listeners: &[Listener], findings: &mut Findings) {
    at_most(limits::LISTENERS, listeners.len(), "/listeners", findings);
    unique_names(listeners.iter().map(|listener| &listener.name), "/listeners", findings);
    check_addresses(listeners, findings);
    for (index, listener) in listeners.iter().enumerate() {
        let pointer = format!("/listeners/{index}/trusted_proxies");
        at_most(limits::TRUSTED_PROXIES, listener.trusted_proxies.len(), &pointer, findings);
        for (proxy, cidr) in listener.trusted_proxies.iter().enumerate() {
            if cidr.net().prefix_len() == 0 {
                findings.warning(
                    format!("{pointer}/{proxy}"),
                    format!(
                        "{cidr} trusts every peer, so any client can claim any address: name the proxies in front of \
                         this one"
                    ),
                );
            }
        }
    }
}

/// One address can be bound once, and an address beside the wildcard address of its family not on the same port.
/// IPv6 sockets are V6ONLY, so the families do not meet.
fn check_addresses(listeners: &[Listener], findings: &mut Findings) {
    let mut by_address: HashMap<SocketAddr, usize> = HashMap::new();
    // By port and family: the first listener on all addresses, and the first on one.
    let mut on_all: HashMap<(u16, bool), usize> = HashMap::new();
    let mut on_one: HashMap<(u16, bool), usize> = HashMap::new();
    for (index, listener) in listeners.iter().enumerate() {
        let address = listener.address.socket_addr();
        let key = (address.port(), address.is_ipv4());
        let conflict = match by_address.entry(address) {
            Entry::Occupied(first) => Some(*first.get()),
            Entry::Vacant(vacant) => {
                vacant.insert(index);
                let (own, other) =
                    if address.ip().is_unspecified() { (&mut on_all, &on_one) } else { (&mut on_one, &on_all) };
                own.entry(key).or_insert(index);
                other.get(&key).copied()
            }
        };
        if let Some(other) = conflict {
            findings.error(
                format!("/listeners/{index}/address"),
                format!(
                    "{address} cannot be bound beside {} of /listeners/{other}: choose another address or port",
                    listeners[other].address
                ),
            );
        }
    }
}
