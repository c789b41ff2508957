//! Parses and rewrites heads so many times, to count instructions:
//!
//! ```sh
//! cargo build --release -p tidegate-http1 --example instructions
//! for n in 1000 11000; do
//!     valgrind --tool=callgrind --callgrind-out-file=/dev/null target/release/examples/instructions small $n
//! done
//! ```
//!
//! The difference between the two, divided by 10000, is the cost of one parse and rewrite. Besides `small` (5 lines) there are
//! `browser` (16 lines), `response` and `in-place`, and `chunked` for a body of one small chunk.

use std::hint::black_box;

use http1::{
    Asked, ChunkLimits, ChunkedDecoder, Field, HeadLimits, Method, Part, Progress, RequestHead, ResponseHead, write,
};

const SMALL: &[u8] = b"GET /api/items/42 HTTP/1.1\r\n\
    Host: bench.example.com\r\n\
    User-Agent: loader/1.0\r\n\
    Accept: */*\r\n\
    X-Trace: 0123456789abcdef\r\n\
    Connection: keep-alive\r\n\
    \r\n";

const BROWSER: &[u8] = b"GET /shop/products?category=shoes&page=2&sort=price HTTP/1.1\r\n\
    Host: shop.example.com\r\n\
    Connection: keep-alive\r\n\
    Cache-Control: max-age=0\r\n\
    sec-ch-ua: \"Chromium\";v=\"126\", \"Google Chrome\";v=\"126\", \"Not-A.Brand\";v=\"8\"\r\n\
    sec-ch-ua-mobile: ?0\r\n\
    sec-ch-ua-platform: \"Linux\"\r\n\
    Upgrade-Insecure-Requests: 1\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n\
    Sec-Fetch-Site: same-origin\r\n\
    Sec-Fetch-Mode: navigate\r\n\
    Referer: https://shop.example.com/shop\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Accept-Language: en-US,en;q=0.9,de;q=0.8\r\n\
    Cookie: session=4f9c0b1f6f5d4b7c8e0a; cart=17; theme=dark\r\n\
    \r\n";

const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\n\
    Server: nginx\r\n\
    Date: Mon, 01 Jan 2024 00:00:00 GMT\r\n\
    Content-Type: text/plain\r\n\
    Content-Length: 13\r\n\
    Connection: keep-alive\r\n\
    \r\n";

/// What a proxy appends to each request.
const FORWARDING: &[u8] = b"X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: http\r\nVia: 1.1 tidegate\r\n";

fn main() {
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().unwrap_or_default();
    let count: u32 = arguments.next().and_then(|count| count.parse().ok()).unwrap_or(1000);
    let total = match &*what {
        "browser" => requests(BROWSER, count),
        "response" => responses(RESPONSE, count),
        "chunked" => chunked(b"d\r\nhello, world!\r\n0\r\n\r\n", count),
        "in-place" => responses_in_place(RESPONSE, count),
        _ => requests(SMALL, count),
    };
    assert!(total > 0);
}

/// Parses and rewrites as the engine does: what an untrusted client says about itself goes, our own lines come.
fn requests(bytes: &[u8], count: u32) -> usize {
    let limits = HeadLimits::default();
    let mut head = RequestHead::default();
    let mut out = Vec::with_capacity(4096);
    let mut total = 0;
    for _ in 0..count {
        let bytes = black_box(bytes);
        assert!(matches!(head.parse(bytes, &limits), Ok(Progress::Complete(_))));
        if head.fields.has(Field::XForwardedFor) {
            head.fields.remove_where(|line| line.field == Field::XForwardedFor);
        }
        out.clear();
        let target = &head.target;
        write::request_line(
            &mut out,
            head.method_name.of(bytes),
            target.path.of(bytes),
            target.query.map(|q| q.of(bytes)),
        );
        write::kept_lines(&mut out, &head.fields, bytes);
        out.extend_from_slice(FORWARDING);
        write::end(&mut out);
        total += black_box(&out).len();
    }
    total
}

fn responses(bytes: &[u8], count: u32) -> usize {
    let limits = HeadLimits::default();
    let asked = Asked { method: Method::Get, upgrade: false };
    let mut head = ResponseHead::default();
    let mut out = Vec::with_capacity(4096);
    let mut total = 0;
    for _ in 0..count {
        let bytes = black_box(bytes);
        assert!(matches!(head.parse(bytes, asked, &limits), Ok(Progress::Complete(_))));
        out.clear();
        write::status_line(&mut out, head.status, head.reason.of(bytes));
        write::kept_lines(&mut out, &head.fields, bytes);
        write::line(&mut out, b"Via", b"1.1 tidegate");
        write::end(&mut out);
        total += black_box(&out).len();
    }
    total
}

fn responses_in_place(bytes: &[u8], count: u32) -> usize {
    const HEADROOM: usize = 512;
    let limits = HeadLimits::default();
    let asked = Asked { method: Method::Get, upgrade: false };
    let mut head = ResponseHead::default();
    let mut buffer = vec![0; HEADROOM + bytes.len()];
    let mut total = 0;
    for _ in 0..count {
        buffer[HEADROOM..].copy_from_slice(black_box(bytes));
        assert!(matches!(head.parse(&buffer[HEADROOM..], asked, &limits), Ok(Progress::Complete(_))));
        let start = write::response_in_place(&mut buffer, HEADROOM, &head, b"Via: 1.1 tidegate\r\n");
        total += black_box(&buffer)[start.unwrap_or(0)..].len();
    }
    total
}

fn chunked(bytes: &[u8], count: u32) -> usize {
    let mut decoder = ChunkedDecoder::new(ChunkLimits::default());
    let mut total = 0;
    for _ in 0..count {
        let (bytes, mut at) = (black_box(bytes), 0);
        decoder.reset(ChunkLimits::default());
        while let Ok(Part::Bytes(range)) = decoder.verbatim(bytes, &mut at) {
            total += black_box(&bytes[range]).len();
        }
        assert!(decoder.is_done());
    }
    total
}
