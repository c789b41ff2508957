//! What happens, while it happens: Server-Sent Events (WHATWG HTML §9.2).

use std::{sync::Arc, time::Duration};

use axum::{
    Extension,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::{Bytes, BytesMut};
use futures_util::stream;
use tokio::time::timeout;
use utoipa_axum::router::OpenApiRouter;

use super::{
    Api,
    auth::Caller,
    endpoint::{Doc, Endpoint},
    problem::{Code, Problem},
    query::{EventParams, Params},
};
use crate::{
    metrics::{EventReader, Metrics},
    publish::{Event, Missed, Reader},
    service::tokens::{Token, Tokens},
};

const MEDIA_TYPE: &str = "text/event-stream";
/// The comment that shows that the connection lives, when there was nothing for so long.
const HEARTBEAT: (Duration, Bytes) = (Duration::from_secs(15), Bytes::from_static(b": alive\n\n"));
/// How long a client waits before it connects again, in milliseconds.
const RETRY: &[u8] = b"retry: 1000\n\n";

pub(super) fn routes(router: OpenApiRouter<Api>) -> OpenApiRouter<Api> {
    let doc = Doc::new("status", "events", "Follow what happens")
        .description(
            "Server-Sent Events: transitions of endpoints, and what becomes of revisions and data planes. The `data` of each is \
             an `Event` as JSON. The newest 4096 are kept, and their ids increase. A reader that was away continues behind \
             `Last-Event-ID`, or `after`. What it missed it is told in an event `missed`, whose `data` is \
             `{\"missed\": NUMBER}`, or null when the control plane was started anew; its id is that behind which the events \
             go on. Who reads too slowly is told `missed`, too, and the stream ends. Every 15 seconds without events there is a comment.",
        )
        .query::<EventParams>()
        .field("Last-Event-ID", "The id of the last event that was seen. Goes before `after`.")
        .answers_stream::<Event>(
            MEDIA_TYPE,
            "The stream; it ends when the control plane does.",
            include_str!("events/example.txt"),
        )
        .answers_problem(503, "`too_many_readers`: 64 read already; or `store_unavailable`");
    Endpoint::new("/events").get(follow, doc).mount(router)
}

async fn follow(
    State(api): State<Api>,
    Extension(Caller(token)): Extension<Caller>,
    Params(params): Params<EventParams>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let after = match headers.get("last-event-id") {
        // Nothing is new to who does not wait.
        None => params.after.or((!params.follow).then_some(0)),
        Some(id) => Some(last_event_id(id.as_bytes())?),
    };
    let Some(place) = api.metrics.event_reader() else {
        let detail = format!("{} clients read events already; try again later", Metrics::EVENT_READERS);
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, Code::TooManyReaders, detail));
    };
    let reader = api.service.events().read(after, params.upstream);
    let (tokens, follows) = (api.tokens.clone(), params.follow);
    let stream = Stream { reader, place, tokens, token, is_begun: false, follows, is_ended: false };
    let chunks = stream::unfold(stream, |mut stream| async {
        let chunk = stream.next().await?;
        Some((Ok::<_, std::convert::Infallible>(chunk), stream))
    });
    // `no-transform` and the last keep proxies from gathering or compressing what should be seen at once.
    let fields =
        [(header::CONTENT_TYPE, MEDIA_TYPE), (header::CACHE_CONTROL, "no-cache, no-transform"), (X_ACCEL, "no")];
    Ok((fields, Body::from_stream(chunks)).into_response())
}

const X_ACCEL: header::HeaderName = header::HeaderName::from_static("x-accel-buffering");

/// An id that came as `Last-Event-ID`. An empty one is what a browser has that saw no event.
fn last_event_id(id: &[u8]) -> Result<u64, Problem> {
    if id.is_empty() {
        return Ok(0);
    }
    let number = std::str::from_utf8(id).ok().and_then(|id| id.parse().ok());
    number.ok_or_else(|| Problem::malformed("Last-Event-ID: send the id of an event"))
}

/// The stream of one client. It holds a place in the ring and no events: what a slow client costs is what hyper buffers.
struct Stream {
    reader: Reader,
    place: EventReader,
    tokens: Arc<Tokens>,
    token: Token,
    is_begun: bool,
    /// Whether it waits for what is to come.
    follows: bool,
    is_ended: bool,
}

impl Stream {
    /// The next bytes; none at the end.
    async fn next(&mut self) -> Option<Bytes> {
        if self.is_ended {
            return None;
        }
        let mut bytes = BytesMut::new();
        if !self.is_begun {
            bytes.extend_from_slice(RETRY);
        }
        loop {
            // Who lost the right to read does not go on: noticed with the next event or heartbeat.
            if !self.tokens.is_current(&self.token) {
                return None;
            }
            let batch = self.reader.take();
            if let Some(missed) = batch.missed {
                let number = match missed {
                    Missed::Count(number) => number.to_string(),
                    Missed::Unknown => "null".to_owned(),
                };
                // With the id behind which it goes on: who comes back is not told the same again.
                let text = format!("id: {}\nevent: missed\ndata: {{\"missed\":{number}}}\n\n", batch.behind);
                bytes.extend_from_slice(text.as_bytes());
                // Who was away goes on; who is here and too slow would be so again and again.
                if self.is_begun {
                    self.place.missed();
                    self.is_ended = true;
                    return Some(bytes.freeze());
                }
            }
            self.is_begun = true;
            batch.texts.iter().for_each(|text| bytes.extend_from_slice(text));
            if !bytes.is_empty() {
                return Some(bytes.freeze());
            }
            if !self.follows && self.reader.is_at_end() {
                return None;
            }
            match timeout(HEARTBEAT.0, self.reader.wait()).await {
                Ok(true) => {}
                Ok(false) => return None,
                Err(_) => return Some(HEARTBEAT.1.clone()),
            }
        }
    }
}
