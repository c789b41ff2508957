//! Request bodies: capped, in time, of a known media type.

use std::time::Duration;

use axum::{
    body::{Body, Bytes},
    extract::Request,
    http::{HeaderMap, StatusCode, header},
};
use bytes::BytesMut;
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use serde_json::Value;
use shared::document;

use super::problem::{Code, Problem};
use crate::service::Refusal;

/// How long a body may take.
const BODY_TIME: Duration = Duration::from_secs(30);
/// What is still read of a body that is too large. Closing on a client that is sending would reset the connection, and the
/// client would never see the answer.
const DRAINED: usize = 64 << 20;

/// Larger bodies are parsed on a thread of their own.
const PARSED_AT_ONCE: usize = 64 << 10;

/// Media types of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MediaType {
    Json,
    MergePatch,
    Yaml,
}

impl MediaType {
    /// The names, the usual one first.
    pub(super) const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Json => &["application/json"],
            Self::MergePatch => &["application/merge-patch+json"],
            Self::Yaml => &["application/yaml", "application/x-yaml", "text/yaml"],
        }
    }

    fn is(self, essence: &str) -> bool {
        self.names().iter().any(|name| name.eq_ignore_ascii_case(essence))
    }
}

/// A JSON body as a tree.
pub(super) async fn json(request: Request, limit: usize, taken: &[MediaType]) -> Result<Value, Problem> {
    let (_, bytes) = read(request, limit, taken).await?;
    off_workers(bytes, |bytes| parse_json(&bytes)).await
}

/// A JSON body that may be missing.
pub(super) async fn optional<T: DeserializeOwned + Default>(
    request: Request,
    limit: usize,
    taken: &[MediaType],
) -> Result<T, Problem> {
    let (parts, body) = request.into_parts();
    let bytes = collect_in_time(body, limit).await?;
    if bytes.is_empty() {
        return Ok(T::default());
    }
    media_type(&parts.headers, taken)?;
    typed(parse_json(&bytes)?)
}

/// A JSON or YAML body.
pub(super) async fn document<T: DeserializeOwned + Send + 'static>(
    request: Request,
    limit: usize,
) -> Result<T, Problem> {
    let (media_type, bytes) = read(request, limit, &[MediaType::Json, MediaType::Yaml]).await?;
    off_workers(bytes, move |bytes| {
        typed(if media_type == MediaType::Yaml { parse_yaml(&bytes)? } else { parse_json(&bytes)? })
    })
    .await
}

/// A tree as a type; what does not fit is a finding.
pub(super) fn typed<T: DeserializeOwned>(value: Value) -> Result<T, Problem> {
    document::from_value(value).map_err(Problem::invalid)
}

/// Parses `bytes`; many of them not on a thread that answers others, which they would hold up for a second.
async fn off_workers<T: Send + 'static>(
    bytes: Bytes,
    parse: impl FnOnce(Bytes) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    if bytes.len() <= PARSED_AT_ONCE {
        return parse(bytes);
    }
    tokio::task::spawn_blocking(move || parse(bytes)).await.map_err(|_| Refusal::Internal)?
}

fn parse_json(bytes: &[u8]) -> Result<Value, Problem> {
    document::json_tree(bytes).map_err(|error| Problem::malformed(format!("the body is not JSON: {error}")))
}

fn parse_yaml(bytes: &[u8]) -> Result<Value, Problem> {
    let text = std::str::from_utf8(bytes).map_err(|_| Problem::malformed("the body is not UTF-8"))?;
    document::yaml_tree(text).map_err(|error| Problem::malformed(format!("the body is not YAML: {error}")))
}

async fn read(request: Request, limit: usize, taken: &[MediaType]) -> Result<(MediaType, Bytes), Problem> {
    let (parts, body) = request.into_parts();
    let announced = parts.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: usize| length > limit) && parts.headers.contains_key(header::EXPECT) {
        // The client waits for leave to send.
        return Err(too_large(limit));
    }
    let bytes = collect_in_time(body, limit).await?;
    Ok((media_type(&parts.headers, taken)?, bytes))
}

async fn collect_in_time(body: Body, limit: usize) -> Result<Bytes, Problem> {
    tokio::time::timeout(BODY_TIME, collect(body, limit)).await.map_err(|_| {
        let detail = format!("the body did not come within {} s", BODY_TIME.as_secs());
        Problem::new(StatusCode::REQUEST_TIMEOUT, Code::Timeout, detail)
    })?
}

async fn collect(mut body: Body, limit: usize) -> Result<Bytes, Problem> {
    let (mut bytes, mut seen) = (BytesMut::new(), 0);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::malformed("the body ended early"))?;
        let Some(data) = frame.data_ref() else { continue };
        seen += data.len();
        if seen <= limit {
            bytes.extend_from_slice(data);
        } else if seen > DRAINED {
            break;
        }
    }
    if seen > limit { Err(too_large(limit)) } else { Ok(bytes.freeze()) }
}

fn too_large(limit: usize) -> Problem {
    let detail = format!("the body is too large: at most {limit} bytes are taken here");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, Code::TooLarge, detail)
}

fn media_type(headers: &HeaderMap, taken: &[MediaType]) -> Result<MediaType, Problem> {
    let sent = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = sent.split(';').next().unwrap_or_default().trim();
    taken.iter().copied().find(|media_type| media_type.is(essence)).ok_or_else(|| {
        let names: Vec<&str> = taken.iter().map(|media_type| media_type.names()[0]).collect();
        let detail = format!("send the body as {}, and say so in Content-Type", names.join(" or "));
        Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, Code::UnsupportedMediaType, detail)
    })
}

/// Whether the client would rather have YAML than JSON: the first of the two that it accepts.
pub(super) fn prefers_yaml(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essences = accept.split(',').map(|range| range.split(';').next().unwrap_or_default().trim());
    essences
        .filter_map(|essence| {
            let json = MediaType::Json.is(essence) || essence == "*/*" || essence == "application/*";
            if MediaType::Yaml.is(essence) { Some(true) } else { json.then_some(false) }
        })
        .next()
        .unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_is_answered_to_those_who_ask_for_it_first() {
        for (accept, yaml) in [
            ("", false),
            ("*/*", false),
            ("application/yaml", true),
            ("text/yaml;q=0.9, */*;q=0.1", true),
            ("application/json, application/yaml", false),
            ("text/html, application/x-yaml", true),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, accept.parse().unwrap());
            assert_eq!(prefers_yaml(&headers), yaml, "{accept}");
        }
    }
}
