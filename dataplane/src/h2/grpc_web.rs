//! gRPC-Web, as browsers speak it: a gRPC call whose trailers travel in its body, and whose body may be base64.
//!
//! Source: "gRPC Web" of the gRPC documentation (`PROTOCOL-WEB.md`).

use std::task::{Context, Poll, ready};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::{BufMut, Bytes, BytesMut};
use http1::{Field, write};
use http2::Code;

use super::{
    lines,
    outgoing::Outgoing,
    peer::{Peer, Piece},
    trailers::Trailers,
};
use crate::{engine::Terms, error::Reason};

/// The first byte of a frame that holds trailers and no message.
const TRAILERS: u8 = 0x80;

/// How the client writes the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As it is.
    Binary,
    /// Base64.
    Text,
}

/// The client of a gRPC-Web call, as a client of a gRPC call.
pub(super) struct WebPeer<'a, P> {
    inner: &'a mut P,
    form: Form,
    /// Less than four characters of base64 that came last.
    rest: Vec<u8>,
    /// Whether the response is one of gRPC, and so translated.
    is_translated: bool,
}

impl<'a, P: Peer> WebPeer<'a, P> {
    /// The client `inner`, which writes its body in this form.
    pub(super) fn new(inner: &'a mut P, form: Form) -> Self {
        Self { inner, form, rest: Vec::new(), is_translated: false }
    }

    /// Decodes all that can be. Each group of four stands for itself: padding may come in the middle.
    fn decoded(&mut self, data: &[u8]) -> Result<Bytes, Reason> {
        self.rest.extend_from_slice(data);
        let mut decoded = Vec::with_capacity(self.rest.len() / 4 * 3);
        let (groups, rest) = self.rest.as_chunks::<4>();
        for group in groups {
            STANDARD.decode_vec(group, &mut decoded).map_err(|_| Reason::BadRequest)?;
        }
        let rest = rest.to_vec();
        self.rest = rest;
        Ok(decoded.into())
    }

    fn encoded(&self, data: Bytes) -> Bytes {
        match self.form {
            Form::Binary => data,
            // Padded each time: the client must not wait for the end of a message until the next one comes.
            Form::Text => STANDARD.encode(data).into(),
        }
    }
}

/// Makes the head of a gRPC call of `head`, which was written by us, if it is one of gRPC-Web; then how its body is written.
pub(super) fn translate(head: &mut Vec<u8>) -> Option<Form> {
    let (line, fields) = lines::split(head);
    let (_, kind) = lines::of(fields).find(|(name, _)| Field::of(name) == Field::ContentType)?;
    let forms = [(&b"application/grpc-web-text"[..], Form::Text), (b"application/grpc-web", Form::Binary)];
    let found = forms.iter().find_map(|(name, form)| Some((kind.strip_prefix(*name)?, *form)));
    let (suffix, form) = found.filter(|(suffix, _)| matches!(suffix.first(), None | Some(b'+' | b';')))?;
    let mut translated = line.to_vec();
    write_retyped(&mut translated, lines::of(fields), &[b"application/grpc", suffix].concat(), Field::Te);
    translated.extend_from_slice(b"TE: trailers\r\n");
    write::end(&mut translated);
    *head = translated;
    Some(form)
}

/// Writes `lines` with the type `kind`, without those of the field `gone`.
fn write_retyped<'a>(out: &mut Vec<u8>, lines: impl Iterator<Item = (&'a [u8], &'a [u8])>, kind: &[u8], gone: Field) {
    let mut kind = Some(kind);
    for (name, value) in lines {
        match Field::of(name) {
            // The body has another one now.
            Field::ContentLength => {}
            field if field == gone => {}
            Field::ContentType => {
                if let Some(kind) = kind.take() {
                    write::line(out, name, kind);
                }
            }
            _ => write::line(out, name, value),
        }
    }
}

impl<P: Peer> Peer for WebPeer<'_, P> {
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Result<Piece, Reason>> {
        loop {
            let piece = ready!(self.inner.poll_piece(context))?;
            if self.form == Form::Binary {
                return Poll::Ready(Ok(piece));
            }
            let (data, is_last) = match piece {
                Piece::Data(data, is_last) => (self.decoded(&data)?, is_last),
                Piece::End(_) => (Bytes::new(), true),
            };
            return Poll::Ready(match (is_last, self.rest.is_empty()) {
                (true, false) => Err(Reason::BadRequest),
                (true, true) => Ok(Piece::Data(data, true)),
                (false, _) if data.is_empty() => continue,
                (false, _) => Ok(Piece::Data(data, false)),
            });
        }
    }

    fn is_gone(&mut self, context: &mut Context<'_>) -> bool {
        self.inner.is_gone(context)
    }

    async fn gone(&mut self, terms: &Terms) {
        self.inner.gone(terms).await;
    }

    fn is_half_closed(&self) -> bool {
        self.inner.is_half_closed()
    }

    fn interim(&mut self, response: &Outgoing<'_>) {
        self.inner.interim(response);
    }

    fn begin(&mut self, response: &Outgoing<'_>, is_end: bool) -> Result<(), Reason> {
        let kind = response.value(Field::ContentType).unwrap_or_default();
        let Some(suffix) = kind.strip_prefix(b"application/grpc") else { return self.inner.begin(response, is_end) };
        self.is_translated = true;
        let name: &[u8] = match self.form {
            Form::Binary => b"application/grpc-web",
            Form::Text => b"application/grpc-web-text",
        };
        let mut lines = Vec::new();
        write_retyped(&mut lines, response.lines(), &[name, suffix].concat(), Field::Trailer);
        self.inner.begin(&Outgoing { came: &[], appended: &lines, ..*response }, is_end)
    }

    fn push(&mut self, data: Bytes, is_end: bool) {
        let data = if self.is_translated { self.encoded(data) } else { data };
        self.inner.push(data, is_end);
    }

    fn end(&mut self, trailers: Option<Trailers>) -> Result<(), Reason> {
        match trailers {
            Some(trailers) if self.is_translated => {
                self.inner.push(self.encoded(frame(&trailers)), true);
                Ok(())
            }
            trailers => self.inner.end(trailers),
        }
    }

    fn poll_sent(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Reason>> {
        self.inner.poll_sent(context)
    }

    fn has_begun(&self) -> bool {
        self.inner.has_begun()
    }

    fn is_ended(&self) -> bool {
        self.inner.is_ended()
    }

    async fn settled(&self) {
        self.inner.settled().await;
    }

    fn abort(&mut self, code: Code) {
        self.inner.abort(code);
    }
}

/// Trailers as the last frame of a body.
fn frame(trailers: &Trailers) -> Bytes {
    let lines = trailers.as_bytes();
    let mut frame = BytesMut::with_capacity(lines.len() + 5);
    frame.put_u8(TRAILERS);
    frame.put_u32(lines.len() as u32);
    frame.put_slice(lines);
    frame.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_of_grpc_web_become_heads_of_grpc() {
        for (kind, expected) in [
            ("application/grpc-web", Some(("application/grpc", Form::Binary))),
            ("application/grpc-web+proto", Some(("application/grpc+proto", Form::Binary))),
            ("application/grpc-web-text;a=b", Some(("application/grpc;a=b", Form::Text))),
            ("application/grpc-webs", None),
            ("application/grpc", None),
        ] {
            let head = |kind: &str, length: &str, end: &str| {
                format!("POST /a:b HTTP/1.1\r\nHost: h\r\n{length}Content-Type: {kind}\r\nX: 1\r\n{end}\r\n")
                    .into_bytes()
            };
            let mut translated = head(kind, "Content-Length: 5\r\n", "TE: trailers\r\nConnection: TE\r\n");
            let before = translated.clone();
            let form = translate(&mut translated);
            assert_eq!(form, expected.map(|(_, form)| form), "{kind}");
            let expected = expected.map_or(before, |(kind, _)| head(kind, "", "Connection: TE\r\nTE: trailers\r\n"));
            assert_eq!(String::from_utf8_lossy(&translated), String::from_utf8_lossy(&expected));
        }
    }
}
