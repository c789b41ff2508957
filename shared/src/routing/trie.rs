use std::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use super::{
    NONE,
    arena::{Arena, Span, index},
};

/// The paths of all hosts, segment by segment: each host has a root of its own.
///
/// All edges are in one hash table, keyed by node and segment, so ten thousand prefixes side by side cost what one costs.
#[derive(Debug, Default)]
pub(super) struct PathTrie {
    nodes: Vec<Node>,
    edges: HashTable<Edge>,
    segments: Arena,
}

/// The place after some segments, e.g. `/api`; a root is the place before the first `/`.
#[derive(Debug)]
struct Node {
    /// The candidate to begin with when the path ends here.
    end: u32,
    /// The candidate to begin with when a `/` follows and no child takes what comes after it.
    below: u32,
    has_children: bool,
}

#[derive(Debug)]
struct Edge {
    parent: u32,
    child: u32,
    segment: Span,
}

impl PathTrie {
    pub(super) fn add_root(&mut self) -> u32 {
        let root = index(self.nodes.len());
        self.nodes.push(Node { end: NONE, below: NONE, has_children: false });
        root
    }

    /// The node below `parent` for `segment`, made if there is none.
    pub(super) fn add_child(&mut self, parent: u32, segment: &[u8]) -> u32 {
        if let Some(child) = self.child(parent, segment) {
            return child;
        }
        let child = self.add_root();
        self.nodes[parent as usize].has_children = true;
        let edge = Edge { parent, child, segment: self.segments.add(segment) };
        let segments = &self.segments;
        self.edges.insert_unique(hash(parent, segment), edge, |edge| hash(edge.parent, segments.get(edge.segment)));
        child
    }

    /// Says with which candidates the chains of a node begin.
    pub(super) fn set_candidates(&mut self, node: u32, end: u32, below: u32) {
        let node = &mut self.nodes[node as usize];
        (node.end, node.below) = (end, below);
    }

    /// The candidate to begin with for `path`, which starts with `/`.
    pub(super) fn first_candidate(&self, root: u32, path: &str) -> u32 {
        let mut node = root;
        let mut rest = path.as_bytes().get(1..).unwrap_or_default();
        loop {
            let Node { below, has_children, .. } = self.nodes[node as usize];
            if !has_children {
                return below;
            }
            let slash = rest.iter().position(|byte| *byte == b'/');
            let Some(child) = self.child(node, &rest[..slash.unwrap_or(rest.len())]) else { return below };
            let Some(slash) = slash else { return self.nodes[child as usize].end };
            (node, rest) = (child, &rest[slash + 1..]);
        }
    }

    fn child(&self, parent: u32, segment: &[u8]) -> Option<u32> {
        let is_it = |edge: &Edge| edge.parent == parent && self.segments.get(edge.segment) == segment;
        self.edges.find(hash(parent, segment), is_it).map(|edge| edge.child)
    }
}

/// A fixed seed will do: the keys in the table come from the configuration, never from requests.
const HASHING: FixedState = FixedState::with_seed(0x7472_6965_7472_6965);

fn hash(parent: u32, segment: &[u8]) -> u64 {
    let mut hasher = HASHING.build_hasher();
    hasher.write_u32(parent);
    hasher.write(segment);
    hasher.finish()
}
