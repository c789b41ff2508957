//! The same bytes to hyper's client and to us: same responses, same bodies, but for what is listed.

use std::collections::BTreeSet;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use http1::{Asked, Fault, HeadLimits, Method, Progress, ResponseBody, ResponseHead};
use hyper::{Request, client::conn::http1 as client};
use hyper_util::rt::TokioIo;
use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    generate,
    verdict::{self, Body, Stricter, Verdict},
};

const CASES: usize = 20_000;

/// What we refuse and hyper takes, and why that is meant.
const STRICTER: &[Stricter] = &[
    (Fault::BareLf, "RFC 9112 §2.2 lets a recipient take a lone LF; one that does not sees another message"),
    (Fault::BadVersion, "hyper skips empty lines in front of a response"),
    (Fault::BadStatus, "hyper takes 600 to 999"),
    (Fault::UnaskedUpgrade, "hyper takes 101 and leaves the connection to whoever asks for it"),
    (Fault::TwoFramings, "hyper lets Transfer-Encoding win and drops Content-Length"),
    (Fault::RepeatedContentLength, "hyper takes equal ones"),
    (
        Fault::BadContentLength,
        "hyper does not read it where the response has no body, and takes lengths that a signed number does not hold",
    ),
    (Fault::UnknownTransferCoding, "hyper looks at the last coding only and hands on a body that is still coded"),
    (Fault::BadTransferEncoding, "hyper reads until the close when chunked is not last (RFC 9112 §6.3)"),
    (Fault::TransferEncodingInHttp10, "hyper ignores it; RFC 9112 §6.1 calls such a message faulty"),
    (Fault::BadConnection, "hyper skips members that are no tokens"),
    (Fault::BadUpgrade, "hyper does not read Upgrade"),
    (Fault::BadChunkExtension, "hyper skips extensions without reading them"),
    (
        Fault::BadChunkSize,
        "hyper takes more than sixteen digits if they begin with zeros, and sizes that a signed number does not hold",
    ),
    (Fault::ForbiddenTrailer, "hyper hands on all trailers"),
];

#[test]
fn hyper_and_we_read_the_same_responses() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut used = BTreeSet::new();
    let mut read = 0;
    let mut differences = BTreeSet::new();
    let mut check = |bytes: &[u8], method: Method| {
        let (ours, hypers) = (ours(bytes, method), runtime.block_on(hypers(bytes, method)));
        read += usize::from(matches!(ours, Verdict::Read(..)));
        if let Err(why) = verdict::compare(&ours, &hypers, STRICTER, &mut used) {
            differences.insert(format!(
                "{why}: {} to {method:?}\nours:   {ours:?}\nhyper's: {hypers:?}",
                bytes.escape_ascii()
            ));
        }
    };
    // Always the same cases, so that a failure is always the same too.
    let mut runner = TestRunner::deterministic();
    for case in 0..CASES {
        let method = if case % 5 == 0 { Method::Head } else { Method::Get };
        check(&generate::response().new_tree(&mut runner).unwrap().current(), method);
        let chunked = generate::chunked().new_tree(&mut runner).unwrap().current();
        check(&[b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", &chunked[..]].concat(), Method::Get);
    }
    let some: Vec<_> = differences.iter().take(30).map(String::as_str).collect();
    assert!(some.is_empty(), "{} differences, as these:\n{}", differences.len(), some.join("\n"));
    assert!(read > CASES / 4, "enough cases are responses: {read}");
    let unused: Vec<_> = STRICTER.iter().filter(|(fault, _)| !used.contains(fault.word())).collect();
    assert!(unused.is_empty(), "no case shows these: {unused:?}");
}

fn ours(bytes: &[u8], method: Method) -> Verdict {
    let mut head = ResponseHead::default();
    let mut start = 0;
    loop {
        match head.parse(&bytes[start..], Asked { method, upgrade: false }, &HeadLimits::default()) {
            Ok(Progress::Complete(length)) => start += length,
            Ok(Progress::Partial) => return Verdict::Incomplete,
            Err(fault) => return Verdict::Refused(Some(fault)),
        }
        if !head.is_interim() {
            break;
        }
    }
    let rest = &bytes[start..];
    let body = match head.body {
        ResponseBody::None => Body::Whole(Vec::new()),
        ResponseBody::Length(size) => verdict::sized(rest, size).0,
        ResponseBody::Chunked => verdict::chunked(rest).0,
        ResponseBody::UntilClose => Body::Whole(rest.to_vec()),
    };
    Verdict::Read(format!("{} {:?}", head.status, head.version), body)
}

async fn hypers(bytes: &[u8], method: Method) -> Verdict {
    let (stream, mut server) = tokio::io::duplex(1 << 20);
    let (mut sender, connection) = client::handshake(TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    // hyper takes bytes that come before it has asked for an error.
    let origin = async {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(server.read_u8().await.unwrap());
        }
        server.write_all(bytes).await.unwrap();
        server.shutdown().await.unwrap();
    };
    let method = if method == Method::Head { "HEAD" } else { "GET" };
    let request = Request::builder().method(method).uri("/").header("host", "a").body(Empty::<Bytes>::new()).unwrap();
    let (response, ()) = tokio::join!(sender.send_request(request), origin);
    let verdict = match response {
        Ok(response) => {
            let version = if response.version() == hyper::Version::HTTP_11 { "Http11" } else { "Http10" };
            let said = format!("{} {version}", response.status().as_u16());
            match response.into_body().collect().await {
                Ok(body) => Verdict::Read(said, Body::Whole(body.to_bytes().to_vec())),
                Err(_) => Verdict::Read(said, Body::Broken(None)),
            }
        }
        Err(error) if error.is_incomplete_message() => Verdict::Incomplete,
        Err(_) => Verdict::Refused(None),
    };
    drop(sender);
    // Its outcome was told with the response.
    let _ = connection.await;
    verdict
}
