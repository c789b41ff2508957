use std::net::SocketAddr;

use hashbrown::{HashMap, hash_map::Entry};

use super::{at_most, limits, longer_than_zero, unique_names};
use crate::{
    Findings,
    config::{Listener, ListenerLimits, ListenerTimeouts, ProxyProtocol, ProxyProtocolMode},
    value::{ByteSize, Cidr},
};

pub(super) fn check(listeners: &[Listener], findings: &mut Findings) {
    at_most(limits::LISTENERS, listeners.len(), "/listeners", findings);
    unique_names(listeners.iter().map(|listener| &listener.name), "/listeners", findings);
    check_addresses(listeners, findings);
    for (index, listener) in listeners.iter().enumerate() {
        check_trusted(&listener.trusted_proxies, &format!("/listeners/{index}/trusted_proxies"), findings);
        check_proxy_protocol(&listener.proxy_protocol, &format!("/listeners/{index}/proxy_protocol"), findings);
        check_timeouts(&listener.timeouts, &format!("/listeners/{index}/timeouts"), findings);
        check_limits(&listener.limits, &format!("/listeners/{index}/limits"), findings);
    }
}

fn check_trusted(peers: &[Cidr], pointer: &str, findings: &mut Findings) {
    at_most(limits::TRUSTED_PROXIES, peers.len(), pointer, findings);
    for (index, cidr) in peers.iter().enumerate() {
        if cidr.net().prefix_len() == 0 {
            findings.warning(
                format!("{pointer}/{index}"),
                format!(
                    "{cidr} trusts every peer, so any client can claim any address: name the proxies in front of this one"
                ),
            );
        }
    }
}

fn check_proxy_protocol(proxy_protocol: &ProxyProtocol, pointer: &str, findings: &mut Findings) {
    let ProxyProtocol { mode, sources } = proxy_protocol;
    let pointer = format!("{pointer}/sources");
    check_trusted(sources, &pointer, findings);
    match (mode, sources.is_empty()) {
        (ProxyProtocolMode::Off, false) => findings.warning(
            pointer,
            "no header is taken while mode is off: write mode: accept or mode: require, or leave the sources out",
        ),
        (ProxyProtocolMode::Accept | ProxyProtocolMode::Require, true) => findings.error(
            pointer,
            "nobody's header would be believed: name the balancers in front of this proxy, e.g. [10.0.0.0/8]",
        ),
        _ => {}
    }
}

fn check_timeouts(timeouts: &ListenerTimeouts, pointer: &str, findings: &mut Findings) {
    // Every field is named, so that a new one is not forgotten here.
    let ListenerTimeouts { handshake, request_head, keep_alive_idle, half_close_grace, ping_interval, ping_timeout } =
        timeouts;
    for (field, span) in [
        ("handshake", handshake),
        ("request_head", request_head),
        ("keep_alive_idle", keep_alive_idle),
        ("half_close_grace", half_close_grace),
        ("ping_interval", ping_interval),
        ("ping_timeout", ping_timeout),
    ] {
        longer_than_zero(*span, format_args!("{pointer}/{field}"), findings);
    }
}

fn check_limits(listener: &ListenerLimits, pointer: &str, findings: &mut Findings) {
    let ListenerLimits { connections, connections_per_client, requests_per_connection, head, fields, target, body: _ } =
        listener;
    for (field, count) in [
        ("connections", connections),
        ("connections_per_client", connections_per_client),
        ("requests_per_connection", requests_per_connection),
    ] {
        if *count == Some(0) {
            findings.error(
                format!("{pointer}/{field}"),
                "0 would let nothing through: write 1 or more, or leave it out for no limit",
            );
        }
    }
    let mut in_range = |field: &str, size: &ByteSize, least: u64, most: u64| {
        if !(least..=most).contains(&size.bytes()) {
            let (least, most) = (ByteSize::from_bytes(least), ByteSize::from_bytes(most));
            findings.error(format!("{pointer}/{field}"), format!("{size} is out of range: write {least} to {most}"));
        }
    };
    in_range("head", head, limits::LEAST_HEAD_BYTES, limits::HEAD_BYTES);
    // A target is part of its head, whose limit acts first if it is the smaller one.
    in_range("target", target, limits::LEAST_TARGET_BYTES, limits::HEAD_BYTES);
    if !(1..=limits::HEAD_FIELDS).contains(fields) {
        findings.error(
            format!("{pointer}/fields"),
            format!("{fields} is out of range: write 1 to {}", limits::HEAD_FIELDS),
        );
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
