//! A request and its response, as both sides see them.

use std::{
    cell::RefCell,
    future::poll_fn,
    rc::Rc,
    task::{Context, Poll, ready},
};

use http2::{Code, Connection, Indexing, Stream, StreamError};

/// A body and what is behind it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message {
    pub(crate) body: usize,
    /// Bytes that are sent at a time.
    pub(crate) piece: usize,
    pub(crate) has_length: bool,
    pub(crate) has_trailers: bool,
    /// Whether the end is handed over behind the last piece, and not with it.
    pub(crate) ends_alone: bool,
}

/// How a side gives up, when it has seen so many bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    pub(crate) is_client: bool,
    pub(crate) is_drop: bool,
    pub(crate) bytes: usize,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Exchange {
    pub(crate) request: Message,
    pub(crate) response: Message,
    pub(crate) interims: usize,
    /// Bytes of a field, which make a head of some frames.
    pub(crate) field: usize,
    pub(crate) fault: Option<Fault>,
}

/// How each side saw it end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) client: Option<Result<(), StreamError>>,
    pub(crate) server: Option<Result<(), StreamError>>,
}

pub(crate) type Outcomes = Rc<RefCell<Vec<Outcome>>>;

const GIVEN_UP: StreamError = StreamError::Reset(Code::INTERNAL_ERROR);

const TRAILERS: &[u8] = b"x-sum: 123\r\ngrpc-status: 0\r\n";

fn byte(index: usize) -> u8 {
    (index % 251) as u8
}

/// One direction's sending half.
struct Sending {
    message: Message,
    sent: usize,
    is_ended: bool,
}

impl Sending {
    fn new(message: Message) -> Self {
        Self { message, sent: 0, is_ended: message.is_empty() }
    }

    fn poll(&mut self, stream: &mut Stream<Vec<u8>>, context: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        let Message { body, piece, has_trailers, ends_alone, .. } = self.message;
        while !self.is_ended {
            ready!(stream.poll_sent(context))?;
            let next = (self.sent + piece).min(body);
            if self.sent == body && has_trailers {
                stream.send_trailers(TRAILERS.to_vec())?;
                self.is_ended = true;
            } else {
                let is_end = next == body && !has_trailers && (!ends_alone || self.sent == body);
                stream.send_data((self.sent..next).map(byte).collect(), is_end)?;
                self.is_ended = is_end;
            }
            self.sent = next;
        }
        stream.poll_sent(context)
    }
}

impl Message {
    /// Whether its head is its end.
    pub(crate) fn is_empty(&self) -> bool {
        self.body == 0 && !self.has_trailers && !self.ends_alone
    }

    /// The lines of its head that tell of the body.
    fn write(&self, fields: &mut http2::Fields<'_>) {
        if self.has_length {
            fields.field(b"content-length", self.body.to_string().as_bytes(), Indexing::No);
        }
    }
}

/// One direction's receiving half.
struct Receiving {
    message: Message,
    seen: usize,
    /// Gives up when so many bytes were seen.
    until: Option<usize>,
}

impl Receiving {
    fn poll(&mut self, stream: &mut Stream<Vec<u8>>, context: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        loop {
            if self.until.is_some_and(|until| self.seen >= until) {
                return Poll::Ready(Err(GIVEN_UP));
            }
            let Some(data) = ready!(stream.poll_data(context))? else { break };
            assert!(
                data.iter().enumerate().all(|(index, found)| *found == byte(self.seen + index)),
                "at {}",
                self.seen
            );
            self.seen += data.len();
        }
        assert_eq!(self.seen, self.message.body);
        let trailers = stream.take_trailers();
        assert_eq!(trailers.as_deref(), self.message.has_trailers.then_some(TRAILERS));
        assert!(stream.is_end_stream());
        Poll::Ready(Ok(()))
    }
}

/// Both halves, in one task.
struct Both {
    sending: Sending,
    receiving: Receiving,
    is_sent: bool,
    is_received: bool,
}

impl Both {
    fn new(sent: Message, received: Message, fault: Option<Fault>) -> Self {
        let until = fault.map(|fault| fault.bytes);
        Self {
            sending: Sending::new(sent),
            receiving: Receiving { message: received, seen: 0, until },
            is_sent: false,
            is_received: false,
        }
    }

    async fn send(&mut self, stream: &mut Stream<Vec<u8>>) -> Result<(), StreamError> {
        poll_fn(|context| self.sending.poll(stream, context)).await
    }

    async fn receive(&mut self, stream: &mut Stream<Vec<u8>>) -> Result<(), StreamError> {
        poll_fn(|context| self.receiving.poll(stream, context)).await
    }

    async fn run(&mut self, stream: &mut Stream<Vec<u8>>) -> Result<(), StreamError> {
        poll_fn(|context| {
            if !self.is_received
                && let Poll::Ready(result) = self.receiving.poll(stream, context)
            {
                result?;
                self.is_received = true;
            }
            if !self.is_sent
                && let Poll::Ready(result) = self.sending.poll(stream, context)
            {
                result?;
                self.is_sent = true;
            }
            if self.is_sent && self.is_received { Poll::Ready(Ok(())) } else { Poll::Pending }
        })
        .await
    }
}

/// Ends the stream as `fault` says, if the side gave up.
fn end(stream: &mut Stream<Vec<u8>>, result: Result<(), StreamError>, fault: Option<Fault>) -> Result<(), StreamError> {
    if result == Err(GIVEN_UP) && fault.is_some_and(|fault| !fault.is_drop) {
        stream.reset(Code::INTERNAL_ERROR);
    }
    result
}

/// The client's side of exchange `number`.
pub(crate) async fn ask(connection: Connection<Vec<u8>>, number: usize, exchange: Exchange, outcomes: Outcomes) {
    let result = asked(&connection, number, exchange).await;
    outcomes.borrow_mut()[number].client = Some(result);
}

async fn asked(connection: &Connection<Vec<u8>>, number: usize, exchange: Exchange) -> Result<(), StreamError> {
    let Exchange { request, response, interims, field, fault } = exchange;
    let fault = fault.filter(|fault| fault.is_client);
    let mut stream = connection.request(false, request.is_empty(), |fields| {
        fields.field(b":method", b"POST", Indexing::Yes);
        fields.field(b":scheme", b"http", Indexing::Yes);
        fields.field(b":authority", b"h", Indexing::Yes);
        fields.field(b":path", format!("/{number}").as_bytes(), Indexing::No);
        fields.field(b"x-field", &vec![b'#'; field], Indexing::No);
        request.write(fields);
    })?;
    let mut both = Both::new(request, response, fault);
    let mut seen = 0;
    // The request's body goes while the response's head is waited for.
    let result = poll_fn(|context| {
        if let Poll::Ready(Err(error)) = both.sending.poll(&mut stream, context) {
            return Poll::Ready(Err(error));
        }
        loop {
            let head = ready!(stream.poll_head(context))?;
            if head.starts_with(b"HTTP/1.1 200 ") {
                return Poll::Ready(Ok(()));
            }
            assert!(head.starts_with(b"HTTP/1.1 103 "));
            seen += 1;
        }
    })
    .await;
    let result = match result {
        Ok(()) => {
            assert_eq!(seen, interims);
            both.run(&mut stream).await
        }
        Err(error) => Err(error),
    };
    end(&mut stream, result, fault)
}

/// The server's side of the exchange that `head` belongs to.
pub(crate) async fn serve(head: Vec<u8>, stream: Stream<Vec<u8>>, exchanges: Rc<Vec<Exchange>>, outcomes: Outcomes) {
    let digits = head.strip_prefix(b"POST /").unwrap().split(|byte| *byte == b' ').next().unwrap();
    let number: usize = str::from_utf8(digits).unwrap().parse().unwrap();
    let result = served(stream, exchanges[number]).await;
    outcomes.borrow_mut()[number].server = Some(result);
}

async fn served(mut stream: Stream<Vec<u8>>, exchange: Exchange) -> Result<(), StreamError> {
    let Exchange { request, response, interims, fault, .. } = exchange;
    let fault = fault.filter(|fault| !fault.is_client);
    let mut both = Both::new(response, request, fault);
    for _ in 0..interims {
        stream.send_head(false, |fields| fields.status(103))?;
    }
    let begin = |stream: &mut Stream<Vec<u8>>| {
        stream.send_head(response.is_empty(), |fields| {
            fields.status(200);
            response.write(fields);
        })
    };
    // Some answer at once, others when they have all of the request; some of the latter are dropped when all is handed over.
    let result = match (begin_early(&exchange), fault) {
        (true, _) => {
            begin(&mut stream)?;
            both.run(&mut stream).await
        }
        (false, None) => {
            both.receive(&mut stream).await?;
            begin(&mut stream)?;
            both.send(&mut stream).await
        }
        (false, Some(_)) => both.receive(&mut stream).await,
    };
    end(&mut stream, result, fault)
}

fn begin_early(exchange: &Exchange) -> bool {
    exchange.response.piece.is_multiple_of(2)
}
