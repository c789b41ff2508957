//! SETTINGS (RFC 9113 §6.5).

use crate::{
    Code,
    frame::{FRAME_SIZE, MOST, flag, kind, write},
    hpack::Encoder,
    window,
};

const HEADER_TABLE_SIZE: u16 = 1;
const ENABLE_PUSH: u16 = 2;
const MAX_CONCURRENT_STREAMS: u16 = 3;
const INITIAL_WINDOW_SIZE: u16 = 4;
const MAX_FRAME_SIZE: u16 = 5;
const MAX_HEADER_LIST_SIZE: u16 = 6;
const ENABLE_CONNECT_PROTOCOL: u16 = 8;

/// What the peer's SETTINGS say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Remote {
    /// Streams that we may have open.
    pub(crate) streams: u32,
    pub(crate) window: u32,
    pub(crate) frame_size: u32,
}

impl Default for Remote {
    fn default() -> Self {
        Self { streams: u32::MAX, window: window::INITIAL, frame_size: FRAME_SIZE as u32 }
    }
}

impl Remote {
    /// Takes the values of a frame, whose payload has whole ones, in their order; `is_server` says whether the peer is one. Each size of the
    /// table is told to `encoder`: the smallest evicts (RFC 7541 §4.2).
    pub(crate) fn take(&mut self, payload: &[u8], is_server: bool, encoder: &mut Encoder) -> Result<(), Code> {
        for setting in payload.as_chunks::<6>().0 {
            let [a, b, value @ ..] = *setting;
            let value = u32::from_be_bytes(value);
            match u16::from_be_bytes([a, b]) {
                HEADER_TABLE_SIZE => encoder.set_max_size(value),
                // A server says 0 if it says anything.
                ENABLE_PUSH if value > u32::from(!is_server) => return Err(Code::PROTOCOL_ERROR),
                MAX_CONCURRENT_STREAMS => self.streams = value,
                INITIAL_WINDOW_SIZE if value > MOST => return Err(Code::FLOW_CONTROL_ERROR),
                INITIAL_WINDOW_SIZE => self.window = value,
                MAX_FRAME_SIZE if !(FRAME_SIZE as u32..1 << 24).contains(&value) => return Err(Code::PROTOCOL_ERROR),
                MAX_FRAME_SIZE => self.frame_size = value,
                // RFC 8441 §3.
                ENABLE_CONNECT_PROTOCOL if value > 1 => return Err(Code::PROTOCOL_ERROR),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Writes our SETTINGS. A client says that it takes no pushes.
pub(crate) fn write_local(out: &mut Vec<u8>, is_server: bool, streams: u32, window: u32, header_list: u32) {
    let mut payload = Vec::with_capacity(24);
    let mut setting = |id: u16, value: u32| {
        payload.extend_from_slice(&id.to_be_bytes());
        payload.extend_from_slice(&value.to_be_bytes());
    };
    if is_server {
        setting(MAX_CONCURRENT_STREAMS, streams);
    } else {
        setting(ENABLE_PUSH, 0);
        setting(MAX_CONCURRENT_STREAMS, 0);
    }
    setting(INITIAL_WINDOW_SIZE, window);
    setting(MAX_FRAME_SIZE, FRAME_SIZE as u32);
    setting(MAX_HEADER_LIST_SIZE, header_list);
    write(out, kind::SETTINGS, flag::NONE, 0, &payload);
}
