//! Tests of connections by their public interface: two of them back to back, and each against frames made by hand and against another
//! implementation. One module per subject.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

mod bodies;
mod closing;
mod dropping;
mod exchange;
mod other;
mod peer;
mod random;
mod tasks;
mod windows;
mod wire;

use http2::Config;

/// What a connection allows, as in the proxy but without allowances.
const SERVER: Config = Config {
    is_server: true,
    streams: 100,
    header_list: 16 << 10,
    stream_window: 128 << 10,
    connection_window: 1 << 20,
    gathered: 64 << 10,
    remembered_resets: 100,
    allowances: None,
};

/// The same for the other side.
const CLIENT: Config = Config { is_server: false, streams: 0, ..SERVER };
