//! How a connection ends.

use http2::{Allowance, Allowances, Arrival, Code, Config, Failure, Guard, Refusal, StreamError};

use crate::{
    CLIENT, SERVER,
    peer::{
        ACK, CONTINUATION, DATA, END, END_HEADERS, Frame, GOAWAY, HEADERS, OK, PING, POST, Peer, RST_STREAM, TRAILERS,
        WINDOW_UPDATE, now,
    },
};

/// A GOAWAY frame.
fn goaway(last: u32, code: Code) -> Frame {
    Frame::new(GOAWAY, 0, 0, &[last.to_be_bytes(), code.0.to_be_bytes()].concat())
}

#[test]
fn a_shut_down_serves_what_comes_until_its_first_goaway_was_read() {
    let peer = Peer::new(SERVER);
    let mut first = peer.request(1, true);
    peer.connection.shut_down();
    peer.connection.shut_down();
    let ping = Frame::new(PING, 0, 0, b"goodbye?");
    assert_eq!(peer.frames(), [goaway(u32::MAX >> 1, Code::NO_ERROR), ping]);
    let mut second = peer.request(3, true);
    peer.send(PING, ACK, 0, b"another!").unwrap();
    assert_eq!(peer.frames(), []);
    peer.send(PING, ACK, 0, b"goodbye?").unwrap();
    assert_eq!(peer.frames(), [goaway(3, Code::NO_ERROR)]);
    peer.send(HEADERS, END_HEADERS | END, 5, POST).unwrap();
    assert!(peer.connection.next().is_none() && !peer.connection.is_done());
    for stream in [&mut first, &mut second] {
        stream.send_head(true, |fields| fields.status(200)).unwrap();
    }
    assert_eq!(peer.frames().len(), 2);
    assert!(peer.connection.is_done() && peer.connection.failure().is_none());
}

/// Their sections are decoded for the table's sake, and a few bytes may stand for many fields: any number of them was taken.
#[test]
fn only_so_many_sections_are_passed_over() {
    let some = Allowance { burst: 3, per_second: 0, per_frame_sent: 0 };
    let [ping, settings, window_update, empty_data, passed_over, rapid_reset, malformed, provoked] = [some; 8];
    let allowances =
        Allowances { ping, settings, window_update, empty_data, passed_over, rapid_reset, malformed, provoked };
    // Requests behind the last, trailers of a stream that is gone, and of one that still is in hand.
    for (is_closed, is_in_hand, block) in [(true, true, POST), (false, false, TRAILERS), (false, true, TRAILERS)] {
        let peer = Peer::new(Config { allowances: Some(allowances), ..SERVER });
        let mut stream = Some(peer.request(1, false));
        match is_closed {
            true => peer.connection.close(),
            false => stream.as_mut().unwrap().reset(Code::CANCEL),
        }
        stream = stream.filter(|_| is_in_hand);
        let send = |turn: u32| {
            let id = if is_closed { 2 * turn + 3 } else { 1 };
            peer.send(HEADERS, END_HEADERS | END, id, block)
        };
        assert_eq!((0..3).map(send).collect::<Vec<_>>(), [Ok(()); 3]);
        assert_eq!(send(3), Err(Failure::Guard(Guard::PassedOver)), "{is_closed} {is_in_hand}");
        drop(stream);
    }
}

/// A client that has not read GOAWAY yet sends whole requests. They were taken for frames of streams that had not begun, and the connection
/// was ended under those that were to be served.
#[test]
fn what_belongs_to_streams_behind_the_last_is_passed_over() {
    let peer = Peer::new(SERVER);
    let _stream = peer.request(1, false);
    peer.connection.close();
    assert_eq!(peer.frames(), [goaway(1, Code::NO_ERROR)]);
    peer.send(HEADERS, END_HEADERS, 3, POST).unwrap();
    peer.send(DATA, 0, 3, b"abc").unwrap();
    peer.send(WINDOW_UPDATE, 0, 3, &[0, 0, 1, 0]).unwrap();
    peer.send(HEADERS, END_HEADERS | END, 3, TRAILERS).unwrap();
    peer.send(HEADERS, END_HEADERS, 5, POST).unwrap();
    peer.send(RST_STREAM, 0, 5, &[0, 0, 0, 8]).unwrap();
    peer.send(DATA, END, 1, b"abc").unwrap();
    assert_eq!(peer.frames(), []);
    // A stream that has not begun is still none.
    assert_eq!(peer.send(DATA, 0, 7, b"abc"), Err(Failure::Code(Code::PROTOCOL_ERROR)));
    // What was said to be the last is never taken back (RFC 9113 §6.8).
    assert_eq!(peer.frames(), [goaway(1, Code::PROTOCOL_ERROR)]);
}

#[test]
fn nothing_is_said_behind_the_goaway_of_an_error() {
    let peer = Peer::new(SERVER);
    let mut stream = peer.request(1, false);
    peer.send(DATA, 0, 1, &[0; 16 << 10]).unwrap();
    stream.send_data(vec![0; 100_000], true).unwrap();
    while !peer.frames().is_empty() {}
    assert!(peer.send(DATA, 0, 3, b"abc").is_err());
    assert_eq!(peer.frames(), [goaway(1, Code::PROTOCOL_ERROR)]);
    peer.connection.close();
    peer.connection.shut_down();
    peer.connection.ping();
    assert_eq!(now(|context| stream.poll_data(context)).unwrap().unwrap().unwrap().len(), 16 << 10);
    let broken = StreamError::ConnectionBroken(Code::PROTOCOL_ERROR);
    assert_eq!(now(|context| stream.poll_sent(context)), Some(Err(broken)));
    assert_eq!(stream.send_data(vec![0], true), Err(broken));
    stream.reset(Code::CANCEL);
    drop(stream);
    assert_eq!(peer.send(PING, 0, 0, &[0; 8]), Err(Failure::Code(Code::PROTOCOL_ERROR)));
    peer.connection.lost();
    assert_eq!((peer.frames(), peer.connection.active()), (vec![], 0));
}

#[test]
fn a_connection_is_closed_once() {
    let peer = Peer::new(SERVER);
    peer.connection.close();
    peer.connection.close();
    peer.connection.shut_down();
    assert_eq!(peer.frames(), [goaway(0, Code::NO_ERROR)]);
    assert!(peer.connection.is_done());
}

#[test]
fn a_backend_that_goes_away_leaves_later_requests_unprocessed() {
    let peer = Peer::new(CLIENT);
    let mut streams = [peer.ask(true), peer.ask(false), peer.ask(true)];
    peer.frames();
    peer.send(GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0]).unwrap();
    assert!(peer.connection.has_goaway() && !peer.connection.is_done());
    assert_eq!(peer.connection.request(false, true, |_| ()).err(), Some(StreamError::Unprocessed));
    for stream in &mut streams[1..] {
        assert_eq!(now(|context| stream.poll_head(context)), Some(Err(StreamError::Unprocessed)));
    }
    peer.send(HEADERS, END_HEADERS | END, 1, OK).unwrap();
    assert_eq!(now(|context| streams[0].poll_head(context)).unwrap().unwrap(), b"HTTP/1.1 200 \r\n\r\n");
    assert!(peer.connection.is_done());
    drop(streams);
    assert_eq!(peer.frames(), []);
}

#[test]
fn streams_of_a_lost_connection_end() {
    let peer = Peer::new(CLIENT);
    let (mut first, mut second) = (peer.ask(true), peer.ask(false));
    peer.send(HEADERS, END_HEADERS, 1, OK).unwrap();
    peer.send(DATA, END, 1, b"whole").unwrap();
    peer.connection.lost();
    // What came whole is whole.
    assert!(now(|context| first.poll_head(context)).unwrap().is_ok());
    assert_eq!(now(|context| first.poll_data(context)), Some(Ok(Some(b"whole".to_vec()))));
    assert_eq!(now(|context| first.poll_data(context)), Some(Ok(None)));
    assert_eq!(now(|context| second.poll_head(context)), Some(Err(StreamError::ConnectionLost)));
    assert_eq!(second.send_data(vec![1], true), Err(StreamError::ConnectionLost));
    assert_eq!(peer.connection.active(), 0);
}

/// Found by fuzzing: a request that had been refused was left to be answered on a connection that was gone.
#[test]
fn what_was_refused_is_told_when_nobody_is_there_to_be_answered() {
    for is_lost in [true, false] {
        let peer = Peer::new(SERVER);
        peer.send(HEADERS, END_HEADERS | END, 1, POST).unwrap();
        // x, and a value that is larger than what fits.
        let large = [b"\x00\x01x\x7f\x81\x7f", &[b'v'; 16_384][..]].concat();
        let head = [POST, &large[..]].concat();
        let (first, rest) = head.split_at(10_000);
        peer.send(HEADERS, END, 3, first).unwrap();
        peer.send(CONTINUATION, END_HEADERS, 3, rest).unwrap();
        peer.send(HEADERS, END_HEADERS | END, 5, b"\x82").unwrap();
        match is_lost {
            true => peer.connection.lost(),
            false => assert!(peer.send(DATA, 0, 7, b"abc").is_err()),
        }
        let mut told = Vec::new();
        while let Some(arrival) = peer.connection.next() {
            let Arrival::Refused(asked, refusal, None) = arrival else { panic!("nobody is there to be served") };
            told.push((asked.method, refusal));
        }
        assert_eq!(told, [("POST".into(), Refusal::TooLarge), ("GET".into(), Refusal::Malformed)]);
    }
}
