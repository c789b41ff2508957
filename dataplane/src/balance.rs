//! Which endpoint of an upstream takes the next request.
//!
//! [`Targets`] are what can be chosen from: the primaries, and the backups for when no primary may be used, each with what its policy
//! has precomputed. They are built off the workers whenever the backends or their addresses change, and never change themselves;
//! what changes all the time (load, gates, the cursor) is live state. Nothing here takes a lock or allocates.

mod choice;
pub(crate) mod hash;
mod round_robin;
mod table;
mod targets;
mod tier;
mod weighted;

pub(crate) use targets::{Asking, Member, Target, Targets};

#[cfg(test)]
mod tests;
