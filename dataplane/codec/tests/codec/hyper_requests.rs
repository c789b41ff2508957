//! The same bytes to hyper's server and to us: same requests, same bodies, but for what is listed.

use std::{cell::RefCell, collections::BTreeSet, convert::Infallible, rc::Rc};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use http1::{Fault, Form, HeadLimits, Method, Progress, RequestBody, RequestHead};
use hyper::{Request, Response, body::Incoming, server::conn::http1 as server, service::service_fn};
use hyper_util::rt::TokioIo;
use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::TestRunner,
};
use tokio::io::AsyncWriteExt;

use crate::{
    generate,
    verdict::{self, Body, Stricter, Verdict},
};

const CASES: usize = 20_000;

/// What we refuse and hyper takes, and why that is meant.
const STRICTER: &[Stricter] = &[
    (Fault::BareLf, "RFC 9112 §2.2 lets a recipient take a lone LF; one that does not sees another message"),
    (Fault::LeadingLines, "hyper skips any number of empty lines"),
    (Fault::MissingHost, "RFC 9112 §3.2 asks for 400; hyper leaves Host to the service"),
    (Fault::RepeatedHost, "the same"),
    (Fault::BadHost, "the same"),
    (Fault::TwoFramings, "hyper lets Transfer-Encoding win and drops Content-Length; RFC 9112 §6.1 allows 400"),
    (Fault::RepeatedContentLength, "hyper takes equal ones"),
    (Fault::BadContentLength, "hyper takes lengths that a signed number of 64 bits does not hold"),
    (Fault::UnknownTransferCoding, "hyper looks at the last coding only and hands on a body that is still coded"),
    (
        Fault::BadTransferEncoding,
        "hyper looks at the last coding only, so it takes 'chunked, chunked' and empty members",
    ),
    (Fault::BadConnection, "hyper skips members that are no tokens"),
    (Fault::BadUpgrade, "hyper does not read Upgrade"),
    (Fault::UpgradeWithBody, "hyper hands on the body and then the upgraded stream"),
    (Fault::UnknownExpectation, "RFC 9110 §10.1.1 allows 417; hyper leaves others to the service"),
    (Fault::BadTarget, "hyper cuts off a fragment, and takes '*' with any method and targets without a slash"),
    (Fault::BadMaxForwards, "hyper does not read Max-Forwards"),
    (Fault::BadChunkExtension, "hyper skips extensions without reading them"),
    (
        Fault::BadChunkSize,
        "hyper takes more than sixteen digits if they begin with zeros, and sizes that a signed number does not hold",
    ),
    (Fault::ForbiddenTrailer, "hyper hands on all trailers"),
];

/// Which targets, and why.
type Looser = (fn(&str) -> bool, &'static str);

/// Targets that we take and hyper refuses, and why that is meant.
const LOOSER: &[Looser] = &[
    (
        |target| target.contains(['"', '<', '>', '`']),
        "clients send them; the canonical path escapes them, servers take queries as they are",
    ),
    (
        |target| target.contains("://"),
        "only the bytes of an authority are checked here; the engine reads what they mean",
    ),
];

#[test]
fn hyper_and_we_read_the_same_requests() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut used = BTreeSet::new();
    let mut looser = BTreeSet::new();
    let mut read = 0;
    let mut differences = BTreeSet::new();
    let mut check = |bytes: &[u8]| {
        let (ours, hypers) = (ours(bytes), runtime.block_on(hypers(bytes)));
        read += ours.iter().filter(|(verdict, _)| matches!(verdict, Verdict::Read(..))).count();
        for index in 0..ours.len().max(hypers.len()) {
            let (ours, target) = ours.get(index).map_or((&Verdict::Incomplete, ""), |(ours, target)| (ours, &**target));
            let hypers = hypers.get(index).unwrap_or(&Verdict::Incomplete);
            if let (Verdict::Read(..), Verdict::Refused(_)) = (ours, hypers)
                && let Some((_, why)) = LOOSER.iter().find(|(applies, _)| applies(target))
            {
                looser.insert(*why);
                break;
            }
            match verdict::compare(ours, hypers, STRICTER, &mut used) {
                Ok(true) => {}
                // From here on the two read different bytes.
                Ok(false) => break,
                Err(why) => {
                    let bytes = bytes.escape_ascii();
                    differences
                        .insert(format!("{why}, request {index}: {bytes}\nours:   {ours:?}\nhyper's: {hypers:?}"));
                    break;
                }
            }
        }
    };
    // Always the same cases, so that a failure is always the same too.
    let mut runner = TestRunner::deterministic();
    for _ in 0..CASES {
        check(&generate::request().new_tree(&mut runner).unwrap().current());
        let chunked = generate::chunked().new_tree(&mut runner).unwrap().current();
        check(&[b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", &chunked[..]].concat());
    }
    let some: Vec<_> = differences.iter().take(30).map(String::as_str).collect();
    assert!(some.is_empty(), "{} differences, as these:\n{}", differences.len(), some.join("\n"));
    assert!(read > CASES / 4, "enough cases are requests: {read}");
    assert_eq!(looser.len(), LOOSER.len(), "each is shown by some case: {looser:?}");
    let unused: Vec<_> = STRICTER.iter().filter(|(fault, _)| !used.contains(fault.word())).collect();
    assert!(unused.is_empty(), "no case shows these: {unused:?}");
}

/// Each request on the connection, with its target.
fn ours(bytes: &[u8]) -> Vec<(Verdict, String)> {
    let mut verdicts = Vec::new();
    let mut head = RequestHead::default();
    let mut rest = bytes;
    while !rest.is_empty() {
        let length = match head.parse(rest, &HeadLimits::default()) {
            Ok(Progress::Complete(length)) => length,
            Ok(Progress::Partial) => {
                verdicts.push((Verdict::Incomplete, String::new()));
                break;
            }
            Err(fault) => {
                verdicts.push((Verdict::Refused(Some(fault)), String::new()));
                break;
            }
        };
        let (body, taken) = match head.body {
            RequestBody::None => (Body::Whole(Vec::new()), 0),
            RequestBody::Length(size) => verdict::sized(&rest[length..], size),
            RequestBody::Chunked => verdict::chunked(&rest[length..]),
        };
        let goes_on = head.keep_alive && matches!(body, Body::Whole(_));
        let target = String::from_utf8_lossy(head.target.whole.of(rest)).into_owned();
        verdicts.push((Verdict::Read(said(&head, rest), body), target));
        if !goes_on {
            break;
        }
        rest = &rest[length + taken..];
    }
    verdicts
}

fn said(head: &RequestHead, bytes: &[u8]) -> String {
    let mut target = String::from_utf8(head.target.path.of(bytes).to_vec()).unwrap();
    match head.target.form {
        Form::Asterisk => target.push('*'),
        Form::Absolute(_) if target.is_empty() => target.push('/'),
        _ => {}
    }
    if let Some(query) = head.target.query {
        target = format!("{target}?{}", String::from_utf8_lossy(query.of(bytes)));
    }
    let method = String::from_utf8_lossy(head.method_name.of(bytes));
    assert_eq!(head.method == Method::Get, method == "GET");
    format!("{method} {target} {:?}", head.version)
}

/// Each request on the connection.
async fn hypers(bytes: &[u8]) -> Vec<Verdict> {
    let (mut client, stream) = tokio::io::duplex(1 << 20);
    client.write_all(bytes).await.unwrap();
    client.shutdown().await.unwrap();
    let verdicts = Rc::new(RefCell::new(Vec::new()));
    let service = service_fn(|request: Request<Incoming>| {
        let verdicts = Rc::clone(&verdicts);
        async move {
            let target = request.uri().path_and_query().map_or(String::new(), ToString::to_string);
            let version = if request.version() == hyper::Version::HTTP_11 { "Http11" } else { "Http10" };
            let said = format!("{} {target} {version}", request.method());
            let body = match request.into_body().collect().await {
                Ok(body) => Body::Whole(body.to_bytes().to_vec()),
                Err(_) => Body::Broken(None),
            };
            verdicts.borrow_mut().push(Verdict::Read(said, body));
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        }
    });
    let result = server::Builder::new().half_close(true).serve_connection(TokioIo::new(stream), service).await;
    let mut verdicts = verdicts.take();
    match result {
        Ok(()) => {}
        Err(error) if error.is_incomplete_message() => verdicts.push(Verdict::Incomplete),
        Err(_) => verdicts.push(Verdict::Refused(None)),
    }
    verdicts
}
