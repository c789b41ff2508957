//! Bytes of the control socket, from either side.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use serde::{Serialize, de::DeserializeOwned};
use shared::{
    Origin,
    protocol::{FrameCodec, ToControl, ToData},
};
use tokio_util::codec::{Decoder, Encoder};

fuzz_target!(|input: &[u8]| {
    // The first byte says how the rest is cut.
    let Some((&cut, stream)) = input.split_first() else { return };
    for frame in frames::<ToData>(stream, cut) {
        if let ToData::Snapshot(snapshot) = frame
            && let Ok(config) = snapshot.config()
        {
            let _ = shared::validate(&config, Origin::Store);
        }
    }
    frames::<ToControl>(stream, cut);
});

/// All frames of `stream`: the same whether it comes at once or in pieces, and whether read or written and read again.
fn frames<T: DeserializeOwned + Serialize>(stream: &[u8], cut: u8) -> Vec<T> {
    let whole = decode::<T>(&[stream]);
    let pieces: Vec<&[u8]> = stream.chunks(usize::from(cut).max(1)).collect();
    assert_eq!(json(&whole), json(&decode::<T>(&pieces)), "cut into pieces of {cut}");

    let mut written = BytesMut::new();
    for frame in &whole {
        FrameCodec::<T, T>::default().encode(frame, &mut written).expect("a frame that was read can be written");
    }
    let again = decode::<T>(&[&written]);
    assert_eq!(json(&whole), json(&again), "written and read again");
    whole
}

fn decode<T: DeserializeOwned>(pieces: &[&[u8]]) -> Vec<T> {
    let mut codec = FrameCodec::<T, T>::default();
    let mut buffer = BytesMut::new();
    let mut frames = Vec::new();
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match codec.decode(&mut buffer) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                // The connection ends here.
                Err(_) => return frames,
            }
        }
    }
    let _ = codec.decode_eof(&mut buffer);
    frames
}

fn json<T: Serialize>(frames: &[T]) -> String {
    serde_json::to_string(frames).expect("frames have string keys only")
}
