use std::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use super::arena::{Arena, Span};

/// Hosts, and what their routes are.
#[derive(Debug, Default)]
pub(super) struct HostMap {
    entries: HashTable<Entry>,
    names: Arena,
}

/// 16 bytes: of 100,000 hosts four share a cache line.
#[derive(Debug)]
struct Entry {
    name: Span,
    target: Target,
}

/// What a host has.
#[derive(Clone, Copy, Debug)]
pub(super) enum Target {
    /// One route that takes everything: no further memory is touched.
    Route(u32),
    /// The root of a trie of paths.
    Paths(u32),
}

/// A fixed seed will do: the keys in the maps come from the configuration, never from requests.
const HASHING: FixedState = FixedState::with_seed(0x7469_6465_6761_7465);

impl HostMap {
    pub(super) fn insert(&mut self, name: &str, target: Target) {
        let entry = Entry { name: self.names.add(name.as_bytes()), target };
        let names = &self.names;
        self.entries.insert_unique(hash(name.as_bytes()), entry, |entry| hash(names.get(entry.name)));
    }

    pub(super) fn get(&self, name: &str) -> Option<Target> {
        let name = name.as_bytes();
        let entry = self.entries.find(hash(name), |entry| self.names.get(entry.name) == name)?;
        Some(entry.target)
    }
}

fn hash(name: &[u8]) -> u64 {
    let mut hasher = HASHING.build_hasher();
    hasher.write(name);
    hasher.finish()
}

/// Wildcard patterns, by the name below which they match.
#[derive(Debug, Default)]
pub(super) struct Wildcards {
    parents: HostMap,
    /// Bit n is set when a parent has n labels, so that other depths are never hashed. A name has at most 127 labels.
    depths: u128,
}

impl Wildcards {
    pub(super) fn insert(&mut self, parent: &str, target: Target) {
        self.parents.insert(parent, target);
        self.depths |= depth_bit(1 + dots(parent));
    }

    /// The patterns that cover `host`, the longest first.
    pub(super) fn covering<'a>(&'a self, host: &'a str) -> impl Iterator<Item = Target> + 'a {
        let mut labels = if self.depths == 0 { 0 } else { 1 + dots(host) };
        let mut rest = host;
        std::iter::from_fn(move || {
            while labels > 1 {
                let (_, parent) = rest.split_once('.')?;
                rest = parent;
                labels -= 1;
                if self.depths & depth_bit(labels) != 0
                    && let Some(target) = self.parents.get(parent)
                {
                    return Some(target);
                }
            }
            None
        })
    }
}

fn dots(host: &str) -> usize {
    host.bytes().filter(|byte| *byte == b'.').count()
}

fn depth_bit(labels: usize) -> u128 {
    u32::try_from(labels).ok().and_then(|labels| 1u128.checked_shl(labels)).unwrap_or(0)
}
