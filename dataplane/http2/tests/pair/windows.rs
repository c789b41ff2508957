//! Flow control, and what waits for it.

use http2::{Code, Config, Failure, hpack::Decoder};

use crate::{
    SERVER,
    peer::{DATA, END, Frame, HEADERS, PING, Peer, RST_STREAM, SETTINGS, WINDOW_UPDATE, now, setting},
};

const INITIAL: usize = 65_535;

/// Bytes of bodies in frames.
fn data(frames: &[Frame]) -> usize {
    frames.iter().filter(|frame| frame.kind == DATA).map(|frame| frame.payload.len()).sum()
}

fn all(peer: &Peer) -> Vec<Frame> {
    std::iter::from_fn(|| Some(peer.frames()).filter(|frames| !frames.is_empty())).flatten().collect()
}

/// The end of a body whose data used the windows up needs no window; it was not sent if the socket was slow just then.
#[test]
fn an_end_without_data_waits_for_no_window() {
    for is_connection in [true, false] {
        let peer = Peer::new(Config { gathered: 1000, ..SERVER });
        let mut stream = peer.request(1, true);
        stream.send_head(false, |fields| fields.status(200)).unwrap();
        let (id, more) = if is_connection { (1, INITIAL) } else { (0, INITIAL) };
        peer.send(WINDOW_UPDATE, 0, id, &(more as u32).to_be_bytes()).unwrap();
        stream.send_data(vec![1; INITIAL - 2000], false).unwrap();
        assert_eq!(data(&all(&peer)), INITIAL - 2000);
        stream.send_data(vec![1; 2000], false).unwrap();
        assert_eq!(now(|context| stream.poll_sent(context)), Some(Ok(())));
        // Nothing of it was written.
        assert!(!peer.connection.with_unwritten(<[u8]>::is_empty));
        stream.send_data(Vec::new(), true).unwrap();
        let frames = all(&peer);
        assert_eq!(data(&frames), 2000);
        assert_eq!(frames.last().map(|frame| (frame.kind, frame.flags)), Some((DATA, END)), "{is_connection}");
        assert_eq!(peer.connection.active(), 0);
    }
}

#[test]
fn a_window_below_zero_is_to_be_filled_first() {
    let peer = Peer::new(SERVER);
    let mut stream = peer.request(1, true);
    stream.send_head(false, |fields| fields.status(200)).unwrap();
    peer.send(WINDOW_UPDATE, 0, 0, &1_000_000_u32.to_be_bytes()).unwrap();
    stream.send_data(vec![1; 200_000], true).unwrap();
    assert_eq!(data(&all(&peer)), INITIAL);
    peer.send(SETTINGS, 0, 0, &setting(4, 0)).unwrap();
    peer.send(WINDOW_UPDATE, 0, 1, &(INITIAL as u32).to_be_bytes()).unwrap();
    assert_eq!(data(&all(&peer)), 0);
    peer.send(WINDOW_UPDATE, 0, 1, &1_u32.to_be_bytes()).unwrap();
    assert_eq!(data(&all(&peer)), 1);
    peer.send(SETTINGS, 0, 0, &setting(4, 200_000)).unwrap();
    assert_eq!(data(&all(&peer)), 200_000 - INITIAL - 1);
    assert_eq!(peer.connection.active(), 0);
}

#[test]
fn a_stream_without_a_window_does_not_stop_others_and_they_take_turns() {
    let peer = Peer::new(Config { gathered: 20_000, ..SERVER });
    let mut streams = [1, 3, 5].map(|id| peer.request(id, true));
    peer.send(WINDOW_UPDATE, 0, 0, &10_000_000_u32.to_be_bytes()).unwrap();
    for (stream, more) in streams.iter_mut().zip([0, 1_000_000_u32, 1_000_000]) {
        stream.send_head(false, |fields| fields.status(200)).unwrap();
        stream.send_data(vec![1; 500_000], true).unwrap();
        if more > 0 {
            peer.send(WINDOW_UPDATE, 0, stream.id(), &more.to_be_bytes()).unwrap();
        }
    }
    let frames = all(&peer);
    let of =
        |id: u32| -> usize { data(&frames.iter().filter(|frame| frame.stream == id).cloned().collect::<Vec<_>>()) };
    assert_eq!([of(1), of(3), of(5)], [INITIAL, 500_000, 500_000]);
    // When one of the two has ended, the other has few left.
    let end = frames.iter().position(|frame| frame.kind == DATA && frame.flags & END != 0).unwrap();
    assert!(data(&frames[end..]) < 100_000, "{}", data(&frames[end..]));
    assert_eq!(peer.connection.active(), 1);
}

#[test]
fn more_than_a_window_is_a_breach() {
    let config = Config { stream_window: INITIAL as u32, connection_window: 2 * INITIAL as u32, ..SERVER };
    let peer = Peer::new(config);
    let _streams = [1, 3].map(|id| peer.request(id, false));
    let piece = vec![0; 13_107];
    (0..5).for_each(|_| peer.send(DATA, 0, 1, &piece).unwrap());
    peer.send(DATA, 0, 1, &[0]).unwrap();
    assert_eq!(peer.frames(), [Frame::number(RST_STREAM, 1, Code::FLOW_CONTROL_ERROR.0)]);
    (0..4).for_each(|_| peer.send(DATA, 0, 3, &piece).unwrap());
    // Of the byte that was too much nothing is said yet.
    assert_eq!(peer.send(DATA, 0, 3, &piece), Err(Failure::Code(Code::FLOW_CONTROL_ERROR)));
}

/// Of two peers whose sockets are full of bodies, neither read what the other wrote, and so both waited for each other forever.
#[test]
fn a_connection_whose_socket_is_full_of_bodies_still_reads() {
    let peer = Peer::new(SERVER);
    peer.send(WINDOW_UPDATE, 0, 0, &1_000_000_u32.to_be_bytes()).unwrap();
    peer.send(SETTINGS, 0, 0, &[setting(4, 1_000_000), setting(5, 1_000_000)].concat()).unwrap();
    for id in [1, 3] {
        let mut stream = peer.request(id, true);
        stream.send_data(vec![1; if id == 1 { 65_510 } else { 500_000 }], true).unwrap();
    }
    let waiting = peer.connection.with_unwritten(<[u8]>::len);
    assert!(waiting >= 2 * SERVER.gathered && peer.connection.wants_bytes());
    // Answers to what is read are gathered to a limit, which is not reached by bodies in the largest frames.
    let most = SERVER.gathered + (128 << 10);
    while peer.connection.wants_bytes() {
        peer.send(PING, 0, 0, &[0; 8]).unwrap();
        assert!(peer.connection.with_unwritten(<[u8]>::len) < most + 17);
    }
}

/// What is reset while the connection's window is closed waits no more.
#[test]
fn a_stream_that_is_reset_is_not_waited_for() {
    let peer = Peer::new(SERVER);
    let mut first = peer.request(1, true);
    first.send_data(vec![1; INITIAL], false).unwrap();
    assert_eq!(data(&all(&peer)), INITIAL);
    for id in (3..203).step_by(2) {
        let mut stream = peer.request(id, true);
        stream.send_data(vec![1; 10], true).unwrap();
        peer.send(RST_STREAM, 0, id, &Code::CANCEL.0.to_be_bytes()).unwrap();
    }
    assert_eq!(peer.connection.active(), 1);
    let mut last = peer.request(203, true);
    last.send_data(vec![1; 10], true).unwrap();
    peer.send(WINDOW_UPDATE, 0, 0, &5_u32.to_be_bytes()).unwrap();
    assert_eq!(all(&peer), [Frame::new(DATA, 0, 203, &[1; 5])]);
    peer.send(WINDOW_UPDATE, 0, 0, &5_u32.to_be_bytes()).unwrap();
    assert_eq!(all(&peer), [Frame::new(DATA, END, 203, &[1; 5])]);
}

/// The smallest of several table sizes evicts, and the peer is told of it (RFC 7541 §4.2), even if one frame had them all.
#[test]
fn table_sizes_of_one_frame_are_taken_in_their_order() {
    let peer = Peer::new(SERVER);
    let mut decoder = Decoder::new(4096);
    let mut read = |peer: &Peer| -> Vec<u8> {
        let frame = peer.frames().into_iter().find(|frame| frame.kind == HEADERS).unwrap();
        decoder.decode(&frame.payload, |_, _| ()).unwrap();
        frame.payload
    };
    for (id, sizes) in [(1, &[][..]), (3, &[]), (5, &[0, 4096])] {
        let sizes: Vec<u8> = sizes.iter().flat_map(|size| setting(1, *size)).collect();
        peer.send(SETTINGS, 0, 0, &sizes).unwrap();
        let mut stream = peer.request(id, true);
        stream.send_head(true, |fields| fields.field(b"x-name", b"value", http2::Indexing::Yes)).unwrap();
        let block = read(&peer);
        match id {
            1 => assert!(block.len() > 1),
            3 => assert_eq!(block, [0x80 | 62]),
            _ => assert!(block.starts_with(b"\x20\x3f\xe1\x1f") && block.len() > 5, "{block:x?}"),
        }
    }
}
