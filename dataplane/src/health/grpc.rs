use ::http::{HeaderValue, Method, Request, Response, Uri, header};
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::FutureExt;
use h2::RecvStream;
use shared::config::GrpcCheck;
use tokio_util::task::AbortOnDropHandle;

use super::probe::{Connection, Outcome, Plan};

/// Bytes of an answer that are read: it has one small message.
const ANSWER: usize = 1 << 10;
/// `HealthCheckResponse.ServingStatus`, by number.
const STATUSES: [&str; 4] = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];
const SERVING: u64 = 1;

/// Asks `grpc.health.v1.Health/Check`.
///
/// Source: "GRPC Health Checking Protocol" of the gRPC documentation. The two messages have one field each and are written and read here.
pub(super) async fn probe(connection: Connection, check: &GrpcCheck, plan: &Plan) -> Outcome {
    let authority = check.host.as_ref().unwrap_or(&plan.authority);
    let uri =
        Uri::builder().scheme("http").authority(authority.as_str()).path_and_query("/grpc.health.v1.Health/Check");
    let mut request = Request::new(());
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri.build().map_err(|_| "the request cannot be written".to_owned())?;
    let fields = request.headers_mut();
    fields.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    fields.insert(header::TE, HeaderValue::from_static("trailers"));
    fields.insert(header::USER_AGENT, HeaderValue::from_static("tidegate-health-check"));
    // The task that moves the connection's bytes ends with the check.
    let (response, _driver) = ask(connection, request, question(&check.service)).await?;
    let (head, mut body) = response.into_parts();
    if head.status != 200 {
        return Err(format!("status {}", head.status.as_u16()));
    }
    refused(&head.headers)?;
    let mut answer = BytesMut::new();
    while let Some(data) = body.data().await {
        let data = data.map_err(|error| error.to_string())?;
        let _ = body.flow_control().release_capacity(data.len());
        if answer.len() + data.len() > ANSWER {
            return Err("the answer is too long".to_owned());
        }
        answer.put(data);
    }
    if let Some(trailers) = body.trailers().await.map_err(|error| error.to_string())? {
        refused(&trailers)?;
    }
    let number = serving_status(&answer).ok_or_else(|| "the answer cannot be read".to_owned())?;
    let word = usize::try_from(number).ok().and_then(|number| STATUSES.get(number)).unwrap_or(&"an unknown status");
    if number == SERVING { Ok((*word).to_owned()) } else { Err((*word).to_owned()) }
}

/// An error that `fields` tell of.
fn refused(fields: &::http::HeaderMap) -> Result<(), String> {
    match fields.get("grpc-status") {
        Some(status) if status != "0" => Err(format!("grpc-status {}", String::from_utf8_lossy(status.as_bytes()))),
        _ => Ok(()),
    }
}

/// Sends `request` with `body` over HTTP/2 on a connection of its own, whose bytes a task moves for as long as it is held.
pub(super) async fn ask(
    connection: Connection,
    request: Request<()>,
    body: Bytes,
) -> Result<(Response<RecvStream>, AbortOnDropHandle<()>), String> {
    let told = |error: h2::Error| error.to_string();
    let (sender, driver) = h2::client::handshake(connection).await.map_err(told)?;
    let driver = AbortOnDropHandle::new(tokio::spawn(driver.map(drop)));
    let mut sender = sender.ready().await.map_err(told)?;
    let (response, mut send) = sender.send_request(request, body.is_empty()).map_err(told)?;
    if !body.is_empty() {
        send.send_data(body, true).map_err(told)?;
    }
    Ok((response.await.map_err(told)?, driver))
}

/// A `HealthCheckRequest` as a gRPC message: field 1 is the name of the service.
fn question(service: &str) -> Bytes {
    let mut message = BytesMut::new();
    if !service.is_empty() {
        message.put_u8(0x0a);
        put_varint(&mut message, service.len() as u64);
        message.put_slice(service.as_bytes());
    }
    let mut framed = BytesMut::new();
    framed.put_u8(0);
    framed.put_u32(message.len() as u32);
    framed.put(message);
    framed.freeze()
}

fn put_varint(buffer: &mut BytesMut, mut number: u64) {
    while number >= 0x80 {
        buffer.put_u8(number as u8 | 0x80);
        number >>= 7;
    }
    buffer.put_u8(number as u8);
}

/// The status in a `HealthCheckResponse`, field 1; 0 where it is left out. None if this is no such message.
fn serving_status(answer: &[u8]) -> Option<u64> {
    let (flags, rest) = answer.split_first()?;
    let (length, message) = rest.split_at_checked(4)?;
    if *flags != 0 || u32::from_be_bytes(length.try_into().ok()?) as usize != message.len() {
        return None;
    }
    let mut status = 0;
    let mut rest = message;
    while !rest.is_empty() {
        let key = varint(&mut rest)?;
        match key & 7 {
            0 => {
                let number = varint(&mut rest)?;
                if key >> 3 == 1 {
                    status = number;
                }
            }
            1 => rest = rest.get(8..)?,
            2 => {
                let length = usize::try_from(varint(&mut rest)?).ok()?;
                rest = rest.get(length..)?;
            }
            5 => rest = rest.get(4..)?,
            _ => return None,
        }
    }
    Some(status)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_and_answers_are_those_of_protobuf() {
        assert_eq!(&question("")[..], [0, 0, 0, 0, 0]);
        assert_eq!(&question("ab")[..], [0, 0, 0, 0, 4, 0x0a, 2, b'a', b'b']);
        assert_eq!(question(&"x".repeat(300))[5..8], [0x0a, 0xac, 0x02]);
        for (answer, status) in [
            (&[0, 0, 0, 0, 2, 8, 1][..], Some(1)),
            (&[0, 0, 0, 0, 2, 8, 2], Some(2)),
            (&[0, 0, 0, 0, 0], Some(0)),
            // Fields that nobody knows yet are passed over.
            (&[0, 0, 0, 0, 6, 0x12, 1, b'x', 8, 1, 0x10], None),
            (&[0, 0, 0, 0, 5, 0x12, 1, b'x', 8, 1], Some(1)),
            (&[0, 0, 0, 0, 3, 8, 1], None),
            (&[1, 0, 0, 0, 2, 8, 1], None),
            (&[0, 0, 0, 0, 1, 8], None),
            (&[0, 0, 0], None),
            (&[], None),
        ] {
            assert_eq!(serving_status(answer), status, "{answer:?}");
        }
    }
}
