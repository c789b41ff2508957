//! Heads that are written anew.
use http1::{Asked, Field, HeadLimits, Method, Progress, RequestHead, ResponseHead, write};

const GET: Asked = Asked { method: Method::Get, upgrade: false };

fn response(bytes: &[u8]) -> ResponseHead {
    let mut head = ResponseHead::default();
    assert!(matches!(head.parse(bytes, GET, &HeadLimits::default()), Ok(Progress::Complete(_))));
    head
}

#[test]
fn kept_lines_stand_in_order_and_spelling() {
    let bytes = b"GET /a HTTP/1.0\r\nHOST:  h \r\nConnection: x-b\r\nX-A:1\r\nX-B: 2\r\nx-c: 3\r\n\r\n";
    let mut head = RequestHead::default();
    assert_eq!(head.parse(bytes, &HeadLimits::default()), Ok(Progress::Complete(bytes.len())));
    let mut out = Vec::new();
    write::request_line(&mut out, head.method_name.of(bytes), b"/b", None);
    write::kept_lines(&mut out, &head.fields, bytes);
    assert_eq!(head.fields.kept_len(), out.len() - b"GET /b HTTP/1.1\r\n".len());
    write::line(&mut out, b"Via", b"1.0 x");
    write::end(&mut out);
    assert_eq!(out, b"GET /b HTTP/1.1\r\nHOST:  h \r\nX-A:1\r\nx-c: 3\r\nVia: 1.0 x\r\n\r\n");
}

#[test]
fn more_lines_can_be_removed() {
    let bytes = b"HTTP/1.1 200 OK\r\nA: 1\r\nServer: x\r\nB: 2\r\nC: 3\r\n\r\n";
    let mut head = response(bytes);
    head.fields.remove(3);
    head.fields.remove_where(|line| line.field == Field::Server);
    let mut out = Vec::new();
    write::status_line(&mut out, head.status, head.reason.of(bytes));
    write::kept_lines(&mut out, &head.fields, bytes);
    assert_eq!(out, b"HTTP/1.1 200 OK\r\nA: 1\r\nB: 2\r\n");
}

#[test]
fn numbers_are_decimal() {
    for number in [0, 9, 10, 12345, u64::MAX] {
        let mut out = Vec::new();
        write::decimal(&mut out, number);
        assert_eq!(out, number.to_string().as_bytes());
    }
}

/// Every choice of removed lines, with nothing, little and much appended: the head moves both ways.
#[test]
fn in_place_is_the_same_as_elsewhere() {
    let bytes = b"HTTP/1.0 200 OK\r\nA: 1\r\nServer: some\r\nB: 2222222222222222222222222\r\nC:\r\nD: 3\r\n\r\n";
    let body = b"the body";
    for removed in 0_u32..32 {
        for appended in [&b""[..], b"Via: x\r\n", b"A-Long-One: 0123456789012345678901234567890123456789\r\nX: y\r\n"] {
            let mut head = response(bytes);
            for index in (0..5).filter(|index| removed & (1 << index) != 0) {
                head.fields.remove(index);
            }
            let mut expected = Vec::new();
            write::status_line(&mut expected, head.status, head.reason.of(bytes));
            write::kept_lines(&mut expected, &head.fields, bytes);
            expected.extend_from_slice(appended);
            write::end(&mut expected);
            assert_eq!(write::response_len(&head, appended), expected.len());

            let room = expected.len().saturating_sub(bytes.len());
            let mut buffer = [&vec![0; room][..], bytes, body].concat();
            let start = write::response_in_place(&mut buffer, room, &head, appended).unwrap();
            expected.extend_from_slice(body);
            assert_eq!(buffer[start..], expected, "{removed:05b}");
            if room > 0 {
                let mut tight = [&vec![0; room - 1][..], bytes, body].concat();
                let before = tight.clone();
                assert_eq!(write::response_in_place(&mut tight, room - 1, &head, appended), None);
                assert_eq!(tight, before);
            }
        }
    }
}

#[test]
fn in_place_needs_the_space_behind_the_status() {
    for (bytes, works) in [(&b"HTTP/1.1 200\r\nA: b\r\n\r\n"[..], false), (b"HTTP/1.1 200 \r\nA: b\r\n\r\n", true)] {
        let head = response(bytes);
        let mut buffer = [&[0; 100][..], bytes].concat();
        assert_eq!(write::response_in_place(&mut buffer, 100, &head, b"").is_some(), works);
    }
}
