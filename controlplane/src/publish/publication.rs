//! What is published now, and its frames, which all connections share.

use std::sync::{Arc, OnceLock};

use bytes::{Bytes, BytesMut};
use tokio_util::codec::Encoder;
use tracing::error;

use shared::protocol::{FrameCodec, Material, Snapshot, ToControl, ToData};

/// A snapshot and the material beside it. Frames are made when the first connection needs them, once for all.
pub(super) struct Publication {
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) material: Arc<Material>,
    snapshot_frame: OnceLock<Option<Bytes>>,
    adopting_frame: OnceLock<Option<Bytes>>,
    material_frame: OnceLock<Option<Bytes>>,
}

impl Publication {
    pub(super) fn new(snapshot: Arc<Snapshot>, material: Material) -> Self {
        Self {
            snapshot,
            material: Arc::new(material),
            snapshot_frame: OnceLock::new(),
            adopting_frame: OnceLock::new(),
            material_frame: OnceLock::new(),
        }
    }

    /// The snapshot's frame; with `adopt` the one that overwrites a foreign configuration.
    pub(super) fn snapshot_frame(&self, adopt: bool) -> Option<Bytes> {
        let frame = if adopt { &self.adopting_frame } else { &self.snapshot_frame };
        let made = frame.get_or_init(|| {
            let snapshot = Snapshot { adopt, ..Snapshot::clone(&self.snapshot) };
            encode(&ToData::Snapshot(snapshot))
        });
        made.clone()
    }

    /// The material's frame.
    pub(super) fn material_frame(&self) -> Option<Bytes> {
        self.material_frame.get_or_init(|| encode(&ToData::Material(Material::clone(&self.material)))).clone()
    }
}

/// The bytes of `frame`; none, and an error in the log, if it is above the cap (which commits are held to).
pub(super) fn encode(frame: &ToData) -> Option<Bytes> {
    let mut bytes = BytesMut::new();
    match FrameCodec::<ToControl, ToData>::default().encode(frame, &mut bytes) {
        Ok(()) => Some(bytes.freeze()),
        Err(error) => {
            error!(%error, "a frame for the data planes cannot be written; they stay as they are");
            None
        }
    }
}
