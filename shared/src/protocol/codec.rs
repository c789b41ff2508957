use std::marker::PhantomData;

use bytes::{Buf, BufMut, BytesMut};
use serde::{Serialize, de::DeserializeOwned};
use tokio_util::codec::{Decoder, Encoder};

/// Most bytes of a frame's JSON. The control plane holds configurations to this before it commits them.
pub const MAX_FRAME: usize = 64 << 20;

// The largest body has room in a frame, with what stands around it.
const _: () = assert!(crate::document::MAX_DOCUMENT + 4096 < MAX_FRAME);

const LENGTH: usize = 4;

/// Why a frame could not be read or written. The connection is of no use after it.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The socket failed.
    #[error("the control socket failed: {0}")]
    Io(#[from] std::io::Error),
    /// A length above the cap.
    #[error("a frame of {0} bytes; at most {MAX_FRAME} are allowed")]
    TooLong(usize),
    /// The bytes are not a frame of this side.
    #[error("a frame that does not parse: {0}")]
    Malformed(serde_json::Error),
    /// The connection ended inside a frame.
    #[error("the connection ended inside a frame")]
    Truncated,
}

/// Reads frames of type `In` and writes frames of type `Out`.
pub struct FrameCodec<In, Out> {
    direction: PhantomData<fn(Out) -> In>,
}

impl<In, Out> Default for FrameCodec<In, Out> {
    fn default() -> Self {
        Self { direction: PhantomData }
    }
}

impl<In: DeserializeOwned, Out> Decoder for FrameCodec<In, Out> {
    type Item = In;
    type Error = FrameError;

    fn decode(&mut self, source: &mut BytesMut) -> Result<Option<In>, FrameError> {
        let Some(head) = source.first_chunk::<LENGTH>() else { return Ok(None) };
        let length = u32::from_be_bytes(*head) as usize;
        if length > MAX_FRAME {
            return Err(FrameError::TooLong(length));
        }
        if source.len() < LENGTH + length {
            // Grown as bytes come, not to what the length claims: a peer pays for the memory that it takes.
            return Ok(None);
        }
        source.advance(LENGTH);
        let body = source.split_to(length);
        serde_json::from_slice(&body).map(Some).map_err(FrameError::Malformed)
    }

    fn decode_eof(&mut self, source: &mut BytesMut) -> Result<Option<In>, FrameError> {
        match self.decode(source)? {
            Some(frame) => Ok(Some(frame)),
            None if source.is_empty() => Ok(None),
            None => Err(FrameError::Truncated),
        }
    }
}

impl<In, Out: Serialize> Encoder<&Out> for FrameCodec<In, Out> {
    type Error = FrameError;

    fn encode(&mut self, frame: &Out, target: &mut BytesMut) -> Result<(), FrameError> {
        let start = target.len();
        target.put_u32(0);
        serde_json::to_writer(target.writer(), frame).map_err(FrameError::Malformed)?;
        let length = target.len() - start - LENGTH;
        if length > MAX_FRAME {
            target.truncate(start);
            return Err(FrameError::TooLong(length));
        }
        target[start..start + LENGTH].copy_from_slice(&(length as u32).to_be_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        config::Config,
        protocol::{Command, Revision, Snapshot, StoreId, ToControl, ToData},
    };

    type Ours = FrameCodec<ToData, ToData>;

    fn encoded(frame: &ToData) -> BytesMut {
        let mut bytes = BytesMut::new();
        Ours::default().encode(frame, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn a_snapshot_keeps_its_bytes_and_hash() {
        let config: Config = serde_json::from_str(r#"{"upstreams":[{"name":"a"}]}"#).unwrap();
        let sent = Snapshot::new(StoreId(uuid::Uuid::new_v4()), Revision(7), &config);
        let mut bytes = encoded(&ToData::Snapshot(sent.clone()));
        let Some(ToData::Snapshot(got)) = Ours::default().decode(&mut bytes).unwrap() else { panic!("a snapshot") };
        assert_eq!((got.held(), got.config().unwrap()), (sent.held(), config));
        assert!(bytes.is_empty());
    }

    #[test]
    fn a_changed_body_does_not_pass_the_hash() {
        let mut snapshot = Snapshot::new(StoreId(uuid::Uuid::new_v4()), Revision(1), &Config::default());
        snapshot.body = serde_json::value::RawValue::from_string("{ }".to_owned()).unwrap();
        assert!(snapshot.config().unwrap_err().has_errors());
    }

    #[test]
    fn a_length_above_the_cap_is_refused_before_its_bytes_come() {
        let mut bytes = BytesMut::from(&u32::MAX.to_be_bytes()[..]);
        assert!(matches!(Ours::default().decode(&mut bytes), Err(FrameError::TooLong(_))));
    }

    #[test]
    fn an_end_inside_a_frame_is_an_error() {
        let mut bytes = encoded(&ToData::Command(Command::Report));
        bytes.truncate(bytes.len() - 1);
        assert!(matches!(Ours::default().decode_eof(&mut bytes), Err(FrameError::Truncated)));
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes: Vec<u8>, length in 0u32..64) {
            let mut framed = BytesMut::from(&length.to_be_bytes()[..]);
            framed.extend_from_slice(&bytes);
            let _ = Ours::default().decode(&mut framed.clone());
            let _ = FrameCodec::<ToControl, ToControl>::default().decode_eof(&mut framed);
        }

        #[test]
        fn a_mutated_snapshot_never_passes_as_another(position in 0usize..400, byte: u8) {
            let config: Config = serde_json::from_str(
                r#"{"upstreams":[{"name":"a","backends":[{"name":"b","address":"127.0.0.1:1"}]}],
                    "routes":[{"name":"r","action":{"forward":{"upstream":"a"}}}]}"#,
            ).unwrap();
            let sent = Snapshot::new(StoreId(uuid::Uuid::nil()), Revision(1), &config);
            let mut bytes = encoded(&ToData::Snapshot(sent));
            let position = 4 + position % (bytes.len() - 4);
            bytes[position] = byte;
            if let Ok(Some(ToData::Snapshot(got))) = Ours::default().decode(&mut bytes)
                && let Ok(read) = got.config()
            {
                prop_assert_eq!(read, config);
            }
        }
    }
}
