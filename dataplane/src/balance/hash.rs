//! Numbers for keys and names that are the same everywhere: in every process, on every data plane, in every version.

use std::net::IpAddr;

use crate::split_mix::{STEP, mixed};

/// A number for `bytes`. No secret, and no defence against who searches for keys with equal numbers.
pub(crate) fn of_bytes(bytes: &[u8]) -> u64 {
    let mut chunks = bytes.chunks_exact(8);
    let mut state = mixed(bytes.len() as u64 ^ STEP);
    for chunk in &mut chunks {
        state = with(state, u64::from_le_bytes(chunk.try_into().expect("chunks have 8 bytes")));
    }
    let mut last = [0; 8];
    let rest = chunks.remainder();
    last[..rest.len()].copy_from_slice(rest);
    with(state, u64::from_le_bytes(last))
}

/// A number for a client address: evenly spread.
pub(crate) fn of_address(client: IpAddr) -> u64 {
    let state = match client.to_canonical() {
        IpAddr::V4(v4) => u64::from(v4.to_bits()),
        IpAddr::V6(v6) => {
            let bits = v6.to_bits();
            mixed((bits >> 64) as u64) ^ bits as u64
        }
    };
    mixed(state.wrapping_add(STEP))
}

/// A number for two.
pub(crate) fn with(state: u64, more: u64) -> u64 {
    mixed((state ^ more).wrapping_add(STEP))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_addresses_are_spread_evenly_and_always_alike() {
        let mut shares = [0; 10];
        for bits in 0..10_000u32 {
            shares[(of_address(IpAddr::V4((0x0a00_0000 + bits).into())) % 10) as usize] += 1;
        }
        assert!(shares.iter().all(|share| (900..1100).contains(share)), "{shares:?}");
        // Another process, another version: the same.
        assert_eq!(of_address("192.0.2.1".parse().unwrap()), of_address("::ffff:192.0.2.1".parse().unwrap()));
        assert_eq!(of_address("192.0.2.1".parse().unwrap()) % 1000, 956);
    }

    #[test]
    fn texts_are_told_apart() {
        let numbers: std::collections::HashSet<u64> = (0..10_000)
            .map(|number| of_bytes(format!("key-{number}").as_bytes()))
            .chain([of_bytes(b""), of_bytes(b"\0")])
            .collect();
        assert_eq!(numbers.len(), 10_002);
        assert_eq!(of_bytes(b"abcdefgh\0"), of_bytes(b"abcdefgh\0"));
        assert_ne!(of_bytes(b"abcdefgh"), of_bytes(b"abcdefgh\0"));
    }
}
