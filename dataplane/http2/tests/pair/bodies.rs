//! How long bodies may be.

use http2::{Code, StreamError};

use crate::{
    CLIENT, SERVER,
    peer::{DATA, END, END_HEADERS, Frame, HEADERS, OK, POST, Peer, RST_STREAM, TRAILERS, now},
};

/// The block of `content-length: 3` behind `block`.
fn of_three(block: &[u8]) -> Vec<u8> {
    [block, b"\x0f\x0d\x013"].concat()
}

#[test]
fn a_body_has_the_length_that_was_declared() {
    for (pieces, has_trailers, is_sound) in [
        (&["abc"][..], false, true),
        (&["a", "", "bc"], true, true),
        (&["ab"], false, false),
        (&["ab"], true, false),
        (&["abcd"], false, false),
        (&["abc", "d"], false, false),
        (&[], true, false),
    ] {
        for config in [SERVER, CLIENT] {
            let peer = Peer::new(config);
            let head = of_three(if config.is_server { POST } else { OK });
            let mut stream = (!config.is_server).then(|| peer.ask(true));
            peer.send(HEADERS, END_HEADERS, 1, &head).unwrap();
            if let Some(http2::Arrival::Request(head, request)) = peer.connection.next() {
                assert!(head.ends_with(b"content-length: 3\r\n\r\n"));
                stream = Some(request);
            }
            let mut stream = stream.unwrap();
            peer.frames();
            for (index, piece) in pieces.iter().enumerate() {
                let is_end = !has_trailers && index + 1 == pieces.len();
                peer.send(DATA, u8::from(is_end), 1, piece.as_bytes()).unwrap();
            }
            if has_trailers {
                peer.send(HEADERS, END_HEADERS | END, 1, TRAILERS).unwrap();
            }
            let expected = if is_sound { None } else { Some(Frame::number(RST_STREAM, 1, Code::PROTOCOL_ERROR.0)) };
            assert_eq!(peer.frames().into_iter().next(), expected, "{pieces:?} {has_trailers}");
            let mut end = now(|context| stream.poll_data(context));
            if matches!(end, Some(Ok(Some(_)))) {
                end = now(|context| stream.poll_data(context));
            }
            assert_eq!(end, Some(if is_sound { Ok(None) } else { Err(StreamError::Broken(Code::PROTOCOL_ERROR)) }));
        }
    }
}

/// Bytes of a response that has none, whatever it declares, were handed out as its body.
#[test]
fn responses_that_have_no_body_have_no_data() {
    let (no_content, not_modified) = (b"\x89", b"\x8b");
    for (is_head, block) in [(true, OK), (false, no_content), (false, not_modified)] {
        for data in ["", "abc"] {
            let peer = Peer::new(CLIENT);
            let mut stream = peer.connection.request(is_head, true, |_| ()).unwrap();
            peer.frames();
            peer.send(HEADERS, END_HEADERS, 1, &of_three(block)).unwrap();
            peer.send(DATA, END, 1, data.as_bytes()).unwrap();
            let reset = Frame::number(RST_STREAM, 1, Code::PROTOCOL_ERROR.0);
            assert_eq!(peer.frames(), if data.is_empty() { vec![] } else { vec![reset] });
            assert!(now(|context| stream.poll_head(context)).unwrap().is_ok());
            let end = if data.is_empty() { Ok(None) } else { Err(StreamError::Broken(Code::PROTOCOL_ERROR)) };
            assert_eq!(now(|context| stream.poll_data(context)), Some(end));
        }
    }
}

#[test]
fn data_belongs_behind_a_final_head() {
    let peer = Peer::new(CLIENT);
    let mut stream = peer.ask(true);
    peer.frames();
    peer.send(HEADERS, END_HEADERS, 1, b"\x08\x03103").unwrap();
    peer.send(DATA, END, 1, b"abc").unwrap();
    assert_eq!(peer.frames(), [Frame::number(RST_STREAM, 1, Code::PROTOCOL_ERROR.0)]);
    assert_eq!(now(|context| stream.poll_head(context)).unwrap().unwrap(), b"HTTP/1.1 103 \r\n\r\n");
    assert!(now(|context| stream.poll_head(context)).unwrap().is_err());
}
