//! The snapshot protocol: what the planes say to each other over the control socket.
//!
//! A Unix stream socket carries length-prefixed frames (u32, big endian), each one JSON value with one member that names the
//! kind. The data plane dials, says [`Hello`](ToControl::Hello) and then follows: the control plane pushes the newest snapshot and
//! the material at once and after each commit; the latest wins. Bytes from the socket are hostile on both sides: frames
//! are capped, parsing never panics, and a frame that does not parse ends the connection.

mod codec;
mod frame;
mod identity;

pub use codec::{FrameCodec, FrameError, MAX_FRAME};
pub use frame::{
    Applied, Check, Checked, Command, EndpointName, Held, Hello, ListenerFault, Material, Persisted, Rejected, Report,
    Snapshot, ToControl, ToData, UpstreamChange,
};
pub use identity::{BodyHash, InstanceId, Revision, StoreId};

/// The version of the protocol; the sides part when theirs differ.
pub const VERSION: u32 = 1;
