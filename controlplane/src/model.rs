//! What the layers share: kinds of resources, what a revision changed, how a configuration becomes rows.

mod change;
mod kind;
mod page;
mod rows;

pub(crate) use change::{Action, Change, diff};
pub(crate) use kind::{Key, Kind};
pub(crate) use page::Page;
pub(crate) use rows::{Row, assemble};
