//! Another implementation at the other end: requests with random fields, bodies and trailers, all of which the server sends back.

use std::{
    future::poll_fn,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http2::{Arrival, Config, Connection, Fields, Indexing, Stream};
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf},
    task::{JoinSet, LocalSet, spawn_local},
};

use crate::{CLIENT, SERVER, tasks::Dice};

/// Requests on one connection, and how many of them at a time.
const REQUESTS: usize = 500;
const CONCURRENT: usize = 20;

type Section = Vec<(String, String)>;

/// What is sent, and comes back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Sample {
    fields: Section,
    body: Vec<u8>,
    trailers: Section,
}

/// Sizes of windows and of the pipe between the two.
#[derive(Clone, Copy)]
struct Sizes {
    window: u32,
    connection_window: u32,
    pipe: usize,
    table: u32,
}

const SIZES: [Sizes; 3] = [
    Sizes { window: 131_072, connection_window: 1 << 20, pipe: 1 << 16, table: 4096 },
    Sizes { window: 65_535, connection_window: 65_535, pipe: 300, table: 100 },
    Sizes { window: 1_000_000, connection_window: 100_000, pipe: 20_000, table: 65_536 },
];

/// Fields of which some come again and again, in the order of their names.
fn section(dice: &mut Dice, most: usize) -> Section {
    let mut fields = Section::new();
    for number in 0..dice.below(most + 1) {
        let value = match dice.below(4) {
            0 => format!("value-{}", dice.below(5)),
            1 => "v".repeat(dice.below(300)),
            2 => String::new(),
            _ => format!("{} {:x}", "once", dice.below(1 << 40)),
        };
        fields.push((format!("x-{number}-{}", dice.below(3)), value));
    }
    fields.sort();
    fields
}

impl Sample {
    fn new(dice: &mut Dice) -> Self {
        let length = match dice.below(10) {
            0..=4 => 0,
            5..=8 => dice.below(3000),
            _ => dice.below(200_000),
        };
        let body = (0..length).map(|_| dice.below(256) as u8).collect();
        let trailers = if dice.below(3) == 0 { section(dice, 4) } else { Section::new() };
        Self { fields: section(dice, 12), body, trailers }
    }

    fn has_rest(&self) -> bool {
        !self.body.is_empty() || !self.trailers.is_empty()
    }
}

/// The fields of ours among lines.
fn of_lines(lines: &[u8]) -> Section {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let mut fields: Section = http2::lines(lines).map(|(name, value)| (text(name), text(value))).collect();
    fields.retain(|(name, _)| name.starts_with("x-"));
    fields.sort();
    fields
}

fn of_map(map: &HeaderMap) -> Section {
    let mut fields: Section =
        map.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_string())).collect();
    fields.retain(|(name, _)| name.starts_with("x-"));
    fields.sort();
    fields
}

fn to_map(section: &Section) -> HeaderMap {
    let pair = |(name, value): &(String, String)| {
        let mut sent = HeaderValue::from_str(value).unwrap();
        sent.set_sensitive(value.len() == 7);
        (HeaderName::from_bytes(name.as_bytes()).unwrap(), sent)
    };
    section.iter().map(pair).collect()
}

fn write(section: &Section, fields: &mut Fields<'_>) {
    for (name, value) in section {
        let indexing = match value.len() % 5 {
            0..=2 => Indexing::Yes,
            3 => Indexing::No,
            _ => Indexing::Never,
        };
        fields.field(name.as_bytes(), value.as_bytes(), indexing);
    }
}

/// Sends a body and trailers on a stream of ours.
async fn send(stream: &mut Stream<Vec<u8>>, sample: &Sample) {
    let mut pieces = sample.body.chunks(10_000).peekable();
    while let Some(piece) = pieces.next() {
        let is_end = pieces.peek().is_none() && sample.trailers.is_empty();
        stream.send_data(piece.to_vec(), is_end).unwrap();
        if !is_end {
            poll_fn(|context| stream.poll_sent(context)).await.unwrap();
        }
    }
    if !sample.trailers.is_empty() {
        let lines: String = sample.trailers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        stream.send_trailers(lines.into_bytes()).unwrap();
    }
    poll_fn(|context| stream.poll_sent(context)).await.unwrap();
}

/// Receives what follows a head on a stream of ours.
async fn receive(stream: &mut Stream<Vec<u8>>, head: &[u8]) -> Sample {
    let mut body = Vec::new();
    while let Some(data) = poll_fn(|context| stream.poll_data(context)).await.unwrap() {
        body.extend_from_slice(&data);
    }
    let trailers = stream.take_trailers().map(|lines| of_lines(&lines)).unwrap_or_default();
    // Behind the first line.
    let first = head.iter().position(|byte| *byte == b'\n').map_or(head.len(), |at| at + 1);
    Sample { fields: of_lines(&head[first..]), body, trailers }
}

/// Sends a body and trailers on a stream of theirs.
fn send_theirs(stream: &mut h2::SendStream<Bytes>, sample: &Sample) {
    if !sample.body.is_empty() {
        stream.send_data(sample.body.clone().into(), sample.trailers.is_empty()).unwrap();
    }
    if !sample.trailers.is_empty() {
        stream.send_trailers(to_map(&sample.trailers)).unwrap();
    }
}

async fn receive_theirs(head: &HeaderMap, mut stream: h2::RecvStream) -> Sample {
    let mut body = Vec::new();
    while let Some(data) = stream.data().await {
        let data = data.unwrap();
        stream.flow_control().release_capacity(data.len()).unwrap();
        body.extend_from_slice(&data);
    }
    let trailers = stream.trailers().await.unwrap().map(|map| of_map(&map)).unwrap_or_default();
    Sample { fields: of_map(head), body, trailers }
}

/// Drives a connection of ours until its peer hangs up.
async fn drive(connection: Connection<Vec<u8>>, mut socket: DuplexStream) {
    poll_fn(|context| turn(&connection, &mut socket, context)).await;
    assert_eq!((connection.active(), connection.failure()), (0, None));
    connection.lost();
}

fn turn(connection: &Connection<Vec<u8>>, socket: &mut DuplexStream, context: &mut Context<'_>) -> Poll<()> {
    connection.drives();
    while connection.wants_bytes() {
        let mut room = [0; 5000];
        let mut buffer = ReadBuf::new(&mut room);
        match Pin::new(&mut *socket).poll_read(context, &mut buffer) {
            Poll::Ready(Ok(())) if buffer.filled().is_empty() => return Poll::Ready(()),
            Poll::Ready(read) => read.unwrap(),
            Poll::Pending => break,
        }
        connection.receive(buffer.filled()).unwrap();
        while let Some(arrival) = connection.next() {
            let Arrival::Request(head, stream) = arrival else { panic!("a request was refused") };
            spawn_local(answer(head, stream));
        }
    }
    loop {
        let sent = connection
            .with_unwritten(|bytes| (!bytes.is_empty()).then(|| Pin::new(&mut *socket).poll_write(context, bytes)));
        match sent {
            Some(Poll::Ready(Ok(count))) => connection.written(count),
            Some(Poll::Ready(Err(_))) => return Poll::Ready(()),
            Some(Poll::Pending) | None => break,
        }
    }
    connection.rests(context.waker());
    if connection.is_done() && connection.with_unwritten(<[u8]>::is_empty) { Poll::Ready(()) } else { Poll::Pending }
}

async fn answer(head: Vec<u8>, mut stream: Stream<Vec<u8>>) {
    let sample = receive(&mut stream, &head).await;
    let begun = stream.send_head(!sample.has_rest(), |fields| {
        fields.status(200);
        write(&sample.fields, fields);
    });
    begun.unwrap();
    if sample.has_rest() {
        send(&mut stream, &sample).await;
    }
}

async fn ask(connection: Connection<Vec<u8>>, sample: Sample) {
    let stream = connection.request(false, !sample.has_rest(), |fields| {
        let pseudo = [(":method", "POST"), (":scheme", "http"), (":authority", "h"), (":path", "/")];
        pseudo.iter().for_each(|(name, value)| fields.field(name.as_bytes(), value.as_bytes(), Indexing::Yes));
        write(&sample.fields, fields);
    });
    let mut stream = stream.unwrap();
    if sample.has_rest() {
        send(&mut stream, &sample).await;
    }
    let head = poll_fn(|context| stream.poll_head(context)).await.unwrap();
    assert_eq!(receive(&mut stream, &head).await, sample);
}

async fn answer_theirs(request: Request<h2::RecvStream>, mut respond: h2::server::SendResponse<Bytes>) {
    let (head, body) = request.into_parts();
    let sample = receive_theirs(&head.headers, body).await;
    let mut response = Response::new(());
    *response.headers_mut() = to_map(&sample.fields);
    send_theirs(&mut respond.send_response(response, !sample.has_rest()).unwrap(), &sample);
}

async fn ask_theirs(client: h2::client::SendRequest<Bytes>, sample: Sample) {
    let mut request = Request::post("http://h/").body(()).unwrap();
    *request.headers_mut() = to_map(&sample.fields);
    let mut client = client.ready().await.unwrap();
    let (response, mut stream) = client.send_request(request, !sample.has_rest()).unwrap();
    send_theirs(&mut stream, &sample);
    let (head, body) = response.await.unwrap().into_parts();
    assert_eq!(receive_theirs(&head.headers, body).await, sample);
}

fn ours(config: Config, sizes: Sizes) -> Connection<Vec<u8>> {
    let config = Config { stream_window: sizes.window, connection_window: sizes.connection_window, ..config };
    Connection::new(config, &Rc::default())
}

/// Has `ask` ask for all samples, some at a time.
async fn ask_all<F: Future<Output = ()> + 'static>(mut ask: impl FnMut(Sample) -> F) {
    let mut dice = Dice::new(0x5eed);
    let mut asking = JoinSet::new();
    for _ in 0..REQUESTS {
        asking.spawn_local(ask(Sample::new(&mut dice)));
        if asking.len() == CONCURRENT {
            asking.join_next().await.unwrap().unwrap();
        }
    }
    while let Some(asked) = asking.join_next().await {
        asked.unwrap();
    }
}

/// Runs it on one thread, as connections must be.
fn local(run: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(LocalSet::new().run_until(async {
        tokio::time::timeout(std::time::Duration::from_secs(120), run).await.unwrap();
    }));
}

#[test]
fn a_client_of_another_implementation_gets_back_what_it_sent() {
    for sizes in SIZES {
        local(async {
            let (near, far) = tokio::io::duplex(sizes.pipe);
            let driver = spawn_local(drive(ours(SERVER, sizes), far));
            let mut builder = h2::client::Builder::new();
            builder
                .initial_window_size(sizes.window)
                .initial_connection_window_size(sizes.connection_window)
                .header_table_size(sizes.table);
            let (client, connection) = builder.handshake::<_, Bytes>(near).await.unwrap();
            let connection = spawn_local(connection);
            ask_all(|sample| ask_theirs(client.clone(), sample)).await;
            drop(client);
            connection.await.unwrap().unwrap();
            driver.await.unwrap();
        });
    }
}

#[test]
fn a_server_of_another_implementation_sends_back_what_it_got() {
    for sizes in SIZES {
        local(async {
            let (near, far) = tokio::io::duplex(sizes.pipe);
            let client = ours(CLIENT, sizes);
            let driver = spawn_local(drive(client.clone(), near));
            let server = spawn_local(async move {
                let mut builder = h2::server::Builder::new();
                builder
                    .initial_window_size(sizes.window)
                    .initial_connection_window_size(sizes.connection_window)
                    .header_table_size(sizes.table);
                let mut server = builder.handshake::<_, Bytes>(far).await.unwrap();
                while let Some(request) = server.accept().await {
                    let (request, respond) = request.unwrap();
                    spawn_local(answer_theirs(request, respond));
                }
            });
            ask_all(|sample| ask(client.clone(), sample)).await;
            client.close();
            driver.await.unwrap();
            server.await.unwrap();
        });
    }
}
