//! What a handle that is dropped says, and what still comes on a stream that was reset.

use http2::{Code, Failure, StreamError};

use crate::{
    CLIENT, SERVER,
    peer::{
        DATA, END, END_HEADERS, Frame, HEADERS, OK, Peer, RST_STREAM, SETTINGS, TRAILERS, WINDOW_UPDATE, now, setting,
    },
};

fn reset(stream: u32, code: Code) -> Frame {
    Frame::number(RST_STREAM, stream, code.0)
}

/// The resets that a connection says.
fn resets(peer: &Peer) -> Vec<Frame> {
    peer.frames().into_iter().filter(|frame| frame.kind == RST_STREAM).collect()
}

#[test]
fn a_server_that_drops_a_stream_resets_it_unless_its_side_ends() {
    // Whether the request is whole; whether the response has begun, and ended; what is said.
    for (is_whole, has_head, is_ended, code) in [
        (true, false, false, Some(Code::CANCEL)),
        (false, false, false, Some(Code::CANCEL)),
        (true, true, false, Some(Code::CANCEL)),
        (false, true, false, Some(Code::CANCEL)),
        (true, true, true, None),
        (false, true, true, Some(Code::NO_ERROR)),
    ] {
        let peer = Peer::new(SERVER);
        let mut stream = peer.request(1, is_whole);
        if has_head {
            stream.send_head(is_ended, |fields| fields.status(200)).unwrap();
        }
        let clone = stream.clone();
        drop(stream);
        assert_eq!(resets(&peer), []);
        drop(clone);
        let expected: Vec<Frame> = code.into_iter().map(|code| reset(1, code)).collect();
        assert_eq!((resets(&peer), peer.connection.active()), (expected, 0), "{is_whole} {has_head} {is_ended}");
    }
}

#[test]
fn what_was_handed_over_to_its_end_is_sent_behind_the_last_handle() {
    for (is_whole, has_trailers) in [(true, true), (true, false), (false, true), (false, false)] {
        let peer = Peer::new(SERVER);
        let mut stream = peer.request(1, is_whole);
        stream.send_head(false, |fields| fields.status(200)).unwrap();
        stream.send_data(vec![7; 100_000], !has_trailers).unwrap();
        if has_trailers {
            stream.send_trailers(b"a: b\r\n".to_vec()).unwrap();
        }
        drop(stream);
        let frames = peer.frames();
        assert!(frames.iter().all(|frame| frame.kind != RST_STREAM && frame.flags & END == 0));
        assert_eq!(peer.connection.active(), 1);
        peer.send(WINDOW_UPDATE, 0, 0, &100_000_u32.to_be_bytes()).unwrap();
        peer.send(WINDOW_UPDATE, 0, 1, &100_000_u32.to_be_bytes()).unwrap();
        let rest = peer.frames();
        let data = frames.iter().chain(&rest).filter(|frame| frame.kind == DATA);
        assert_eq!(data.map(|frame| frame.payload.len()).sum::<usize>(), 100_000);
        let end = rest.iter().rfind(|frame| frame.kind != RST_STREAM).unwrap();
        assert_eq!((end.kind, end.flags & END), (if has_trailers { HEADERS } else { DATA }, END));
        let expected = if is_whole { None } else { Some(reset(1, Code::NO_ERROR)) };
        assert_eq!(rest.last().filter(|frame| frame.kind == RST_STREAM).cloned(), expected);
        assert_eq!(peer.connection.active(), 0);
    }
}

#[test]
fn a_client_that_drops_a_request_cancels_it_unless_it_is_over() {
    for (is_whole, is_answered, code) in [
        (true, false, Some(Code::CANCEL)),
        (false, false, Some(Code::CANCEL)),
        (false, true, Some(Code::CANCEL)),
        (true, true, None),
    ] {
        let peer = Peer::new(CLIENT);
        let stream = peer.ask(is_whole);
        if is_answered {
            peer.send(HEADERS, END_HEADERS | END, 1, OK).unwrap();
        }
        drop(stream);
        let expected: Vec<Frame> = code.into_iter().map(|code| reset(1, code)).collect();
        assert_eq!((resets(&peer), peer.connection.active()), (expected, 0), "{is_whole} {is_answered}");
        // What the backend sends late is passed over.
        peer.send(DATA, 0, 1, b"late").unwrap();
        peer.send(HEADERS, END_HEADERS | END, 1, TRAILERS).unwrap();
        assert_eq!(peer.frames(), []);
    }
}

/// While the handle of a stream that we reset was still there, what the client had sent until it knew was answered by further resets, and
/// trailers by the end of the connection.
#[test]
fn what_is_late_for_a_reset_of_ours_is_passed_over_while_the_handle_is_there_too() {
    let peer = Peer::new(SERVER);
    let mut stream = peer.request(1, false);
    stream.reset(Code::INTERNAL_ERROR);
    assert_eq!(peer.frames(), [reset(1, Code::INTERNAL_ERROR)]);
    peer.send(DATA, 0, 1, b"late").unwrap();
    peer.send(WINDOW_UPDATE, 0, 1, &1_u32.to_be_bytes()).unwrap();
    peer.send(HEADERS, END_HEADERS | END, 1, TRAILERS).unwrap();
    drop(stream);
    assert_eq!((peer.frames(), peer.connection.active()), (vec![], 0));
}

#[test]
fn what_follows_a_reset_of_the_client_is_a_breach() {
    let peer = Peer::new(SERVER);
    let mut stream = peer.request(1, false);
    peer.send(RST_STREAM, 0, 1, &Code::CANCEL.0.to_be_bytes()).unwrap();
    assert_eq!(now(|context| stream.poll_data(context)), Some(Err(StreamError::Reset(Code::CANCEL))));
    peer.send(DATA, 0, 1, b"late").unwrap();
    assert_eq!(peer.frames(), [reset(1, Code::STREAM_CLOSED)]);
    assert!(peer.send(HEADERS, END_HEADERS | END, 1, TRAILERS).is_err());
}

#[test]
fn a_backend_that_wants_no_more_of_the_request_ends_it_without_an_error() {
    let peer = Peer::new(CLIENT);
    let mut stream = peer.ask(false);
    stream.send_data(vec![1; 100_000], true).unwrap();
    peer.send(HEADERS, END_HEADERS | END, 1, OK).unwrap();
    peer.send(RST_STREAM, 0, 1, &Code::NO_ERROR.0.to_be_bytes()).unwrap();
    assert!(now(|context| stream.poll_head(context)).unwrap().is_ok());
    assert_eq!(now(|context| stream.poll_sent(context)), Some(Ok(())));
    assert_eq!(stream.send_data(vec![1], true), Err(StreamError::Reset(Code::NO_ERROR)));
    assert_eq!(peer.connection.active(), 0);
    drop(stream);
    assert!(resets(&peer).is_empty());
}

/// A count of handles that overflowed would let go of a stream that is in use.
/// The windows of streams that are over mean nothing any more: no SETTINGS make them too large.
/// All that was reset was kept in mind when nothing was to be.
#[test]
fn a_stream_may_be_in_many_hands() {
    let peer = Peer::new(SERVER);
    let mut stream = peer.request(1, true);
    let clones: Vec<_> = (0..300).map(|_| stream.clone()).collect();
    drop(clones);
    stream.send_head(true, |fields| fields.status(200)).unwrap();
    assert_eq!(peer.frames().len(), 1);
}

#[test]
fn streams_that_are_over_have_no_windows() {
    let peer = Peer::new(SERVER);
    let mut stream = peer.request(1, true);
    peer.send(WINDOW_UPDATE, 0, 1, &(u32::MAX >> 1).wrapping_sub(65_535).to_be_bytes()).unwrap();
    stream.send_head(true, |fields| fields.status(200)).unwrap();
    peer.send(SETTINGS, 0, 0, &setting(4, 65_536)).unwrap();
    peer.send(WINDOW_UPDATE, 0, 1, &1_u32.to_be_bytes()).unwrap();
    assert!(resets(&peer).is_empty());
}

#[test]
fn a_server_may_remember_no_resets() {
    let peer = Peer::new(http2::Config { remembered_resets: 0, ..SERVER });
    drop((peer.request(1, false), peer.request(3, false)));
    assert_eq!(resets(&peer).len(), 2);
    peer.send(DATA, 0, 3, b"late").unwrap();
    assert_eq!(peer.frames(), [reset(3, Code::STREAM_CLOSED)]);
}

/// Nobody waits for what was let go of: a peer that never opened its window kept such a stream, and with it the connection, for ever.
#[test]
fn what_was_let_go_of_and_is_never_taken_is_given_up() {
    let peer = Peer::new(SERVER);
    peer.send(SETTINGS, 0, 0, &setting(4, 0)).unwrap();
    let mut streams = [1, 3, 5].map(|id| peer.request(id, true));
    for stream in &mut streams {
        stream.send_head(false, |fields| fields.status(200)).unwrap();
        stream.send_data(vec![7; 10], true).unwrap();
    }
    let [in_hand, three, five] = streams;
    drop((three, five));
    peer.connection.give_up_stalled();
    assert_eq!((resets(&peer), peer.connection.active()), (vec![], 3));
    // What moves, however slowly, goes on.
    peer.send(WINDOW_UPDATE, 0, 5, &1_u32.to_be_bytes()).unwrap();
    assert_eq!(resets(&peer), []);
    peer.connection.give_up_stalled();
    assert_eq!((resets(&peer), peer.connection.active()), (vec![reset(3, Code::CANCEL)], 2));
    peer.connection.give_up_stalled();
    assert_eq!((resets(&peer), peer.connection.active()), (vec![reset(5, Code::CANCEL)], 1));
    drop(in_hand);
}

/// What stands in the queue behind others has not stalled as long as they move.
#[test]
fn what_waits_for_its_turn_is_not_given_up() {
    let peer = Peer::new(SERVER);
    let mut full = peer.request(7, true);
    full.send_head(false, |fields| fields.status(200)).unwrap();
    full.send_data(vec![7; 65_535], true).unwrap();
    let mut streams = [9, 11, 13].map(|id| peer.request(id, true));
    for stream in &mut streams {
        stream.send_head(false, |fields| fields.status(200)).unwrap();
        stream.send_data(vec![7; 10], true).unwrap();
    }
    drop(streams);
    while !peer.frames().is_empty() {}
    peer.connection.give_up_stalled();
    peer.send(WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes()).unwrap();
    assert_eq!(resets(&peer), []);
    peer.connection.give_up_stalled();
    assert_eq!(resets(&peer), [], "one of them moved");
    peer.connection.give_up_stalled();
    assert_eq!(resets(&peer).len(), 3);
}

/// Its window is not opened again, but that of the connection is: a client could send on for ever.
#[test]
fn no_more_comes_late_than_the_window_allowed() {
    for is_in_hand in [true, false] {
        let peer = Peer::new(SERVER);
        let mut stream = Some(peer.request(1, false));
        stream.as_mut().unwrap().reset(Code::CANCEL);
        stream = stream.filter(|_| is_in_hand);
        let piece = vec![0; 16 << 10];
        let pieces = SERVER.stream_window as usize / piece.len();
        assert!((0..pieces).all(|_| peer.send(DATA, 0, 1, &piece).is_ok()));
        assert_eq!(peer.send(DATA, 0, 1, b"x"), Err(Failure::Code(Code::FLOW_CONTROL_ERROR)), "{is_in_hand}");
        drop(stream);
    }
}
