//! What a peer may do on an HTTP/2 connection, in numbers. `ARCHITECTURE.md` has the same table.

use std::time::Duration;

use http1::HeadLimits;
use http2::{Allowance, Allowances, Config};

/// What a client may do on a connection whose heads may be as large as `head` says.
pub(super) const fn of_client(head: HeadLimits) -> Config {
    Config {
        is_server: true,
        streams: STREAMS,
        header_list: header_list(head),
        stream_window: STREAM_WINDOW,
        connection_window: CONNECTION_WINDOW,
        gathered: GATHERED,
        remembered_resets: REMEMBERED_RESETS,
        allowances: Some(Allowances {
            ping: PINGS,
            settings: SETTINGS,
            window_update: WINDOW_UPDATES,
            empty_data: EMPTY_DATA,
            passed_over: PASSED_OVER,
            rapid_reset: RESETS,
            malformed: MALFORMED,
            provoked: PROVOKED_RESETS,
        }),
    }
}

/// What a backend may do.
pub(super) const OF_BACKEND: Config = Config {
    is_server: false,
    streams: 0,
    header_list: UPSTREAM_HEADER_LIST,
    stream_window: STREAM_WINDOW,
    connection_window: UPSTREAM_CONNECTION_WINDOW,
    gathered: GATHERED,
    remembered_resets: REMEMBERED_RESETS,
    allowances: None,
};

/// Requests of one connection at a time; more are answered `REFUSED_STREAM`.
const STREAMS: u32 = 100;

/// The header list as HPACK counts it, 32 bytes more a field: whatever fits the listener's limits fits here. Above it a request is answered
/// 431; at four times as much, or at CONTINUATION frames that could not have been needed, the connection is ended.
const fn header_list(head: HeadLimits) -> u32 {
    head.bytes.saturating_add(40 * head.fields as u32)
}

/// What a client may send of one body before it is passed on. A stalled stream takes so much of [`CONNECTION_WINDOW`].
const STREAM_WINDOW: u32 = 128 << 10;

/// What a client may send of all bodies of a connection before they are passed on.
const CONNECTION_WINDOW: u32 = 1 << 20;

/// What waits for the socket; past it nothing more is taken from the streams.
const GATHERED: usize = 64 << 10;

/// Resets that the client provoked by breaking the protocol on a stream, or by streams beyond those that it may have open.
const PROVOKED_RESETS: Allowance = Allowance { burst: 100, per_second: 0, per_frame_sent: 0 };

/// How often a connection is looked at, at least.
pub(super) const CHECK: Duration = Duration::from_secs(25);

/// Streams that were reset whose late frames are passed over, and not taken for a breach of the protocol.
const REMEMBERED_RESETS: usize = 100;

/// How long a peer may take to read the last frames of a connection.
pub(super) const CLOSE: Duration = Duration::from_secs(5);

/// What of a closed connection is still read, so that the peer reads GOAWAY and not a reset.
pub(super) const LINGER: (u64, Duration) = (1 << 20, Duration::from_secs(2));

/// What of a request's body is still taken behind the response, and how long it is waited for.
pub(super) const REST: (u64, Duration) = (64 << 10, Duration::from_secs(1));

/// PING, answers too. Clients that measure the path send one for each batch of DATA.
const PINGS: Allowance = Allowance { burst: 200, per_second: 10, per_frame_sent: 1 };

/// SETTINGS without ACK.
const SETTINGS: Allowance = Allowance { burst: 20, per_second: 1, per_frame_sent: 0 };

/// `WINDOW_UPDATE`: some clients send two for each DATA frame they get.
const WINDOW_UPDATES: Allowance = Allowance { burst: 1000, per_second: 100, per_frame_sent: 4 };

/// DATA without bytes that does not end its stream.
const EMPTY_DATA: Allowance = Allowance { burst: 100, per_second: 10, per_frame_sent: 0 };

/// PRIORITY, frames of unknown types, and heads and trailers of streams that are gone, which are passed over.
const PASSED_OVER: Allowance = Allowance { burst: 500, per_second: 50, per_frame_sent: 1 };

/// `RST_STREAM`: a client may give up as many requests as it lets end, and so many more.
const RESETS: Allowance = Allowance { burst: 200, per_second: 20, per_frame_sent: 1 };

/// Malformed requests, which are answered with a reset.
const MALFORMED: Allowance = Allowance { burst: 100, per_second: 1, per_frame_sent: 0 };

/// Requests at a time on a connection to a backend, if its SETTINGS allow so many.
pub(super) const UPSTREAM_STREAMS: usize = 100;

/// Connections to one endpoint that a worker opens at a time.
pub(super) const OPENING: usize = 4;

/// A response's header list: 64 KiB and 256 fields, as from HTTP/1.1 backends.
const UPSTREAM_HEADER_LIST: u32 = (64 << 10) + 40 * 256;

/// What a backend may send of all bodies of a connection before clients take them: all its streams can stall but one.
const UPSTREAM_CONNECTION_WINDOW: u32 = UPSTREAM_STREAMS as u32 * STREAM_WINDOW;

/// Resets beyond the requests that ended which one connection to a backend is to bear; then another one is opened.
pub(super) const RELAYED_RESETS: u32 = 100;

/// How often a request is sent that backends say they have not looked at.
pub(super) const SENDS: u32 = 3;
