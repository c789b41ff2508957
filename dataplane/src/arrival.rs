//! Whose connection it is, by the header of the PROXY protocol in front of it.

use std::{
    net::{IpAddr, SocketAddr},
    rc::Rc,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use proxy_protocol::{Endpoints, Fault, Header, Start, Tlvs};
use shared::config::ProxyProtocolMode;

use crate::{
    admission::Place,
    connection::Connection,
    engine::{Client, Stop},
    error::Reason,
    instant::Instant,
    protocol::Protocol,
    proxy,
    record::AccessRecord,
    snapshot::Listener,
    worker::Worker,
};

/// What a balancer in front said of a connection.
pub(crate) struct Arrival {
    /// How the address of the balancer in front is written.
    pub(crate) balancer: Box<str>,
    /// The ends of the client's connection; none where a balancer speaks for itself.
    pub(crate) endpoints: Option<Endpoints>,
    /// Whether the client spoke TLS to the balancer.
    pub(crate) is_tls: bool,
    /// What else the balancer said.
    tlvs: Box<[u8]>,
}

/// Why a connection is closed before its first request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    /// A header must come first, and nobody believes this peer's.
    Untrusted,
    /// Something else came first.
    Missing,
    /// It did not come in time.
    TooSlow,
    /// The connection ended inside it.
    Cut,
    /// It cannot be read.
    Malformed(Fault),
}

impl Refusal {
    /// One word, for log and metrics.
    const fn word(self) -> &'static str {
        match self {
            Self::Untrusted => "untrusted",
            Self::Missing => "missing",
            Self::TooSlow => "too_slow",
            Self::Cut => "cut",
            Self::Malformed(fault) => fault.word(),
        }
    }
}

/// The words of all refusals.
pub(crate) fn refusals() -> impl Iterator<Item = &'static str> {
    let own = [Refusal::Untrusted, Refusal::Missing, Refusal::TooSlow, Refusal::Cut];
    own.into_iter().chain(Fault::ALL.map(Refusal::Malformed)).map(Refusal::word)
}

/// Serves a connection that was accepted from `peer` and may, or must, begin with a header.
pub(crate) async fn welcome(
    worker: Rc<Worker>,
    peer: SocketAddr,
    slot: usize,
    listener: Arc<Listener>,
    mut place: Place,
    socket: std::net::TcpStream,
    stop: Stop,
) {
    let mut client = Client::new(socket, worker.deadlines.deadline(), stop);
    let read = match listener.is_source(peer.ip()) {
        true => read(&worker, &mut client, peer.ip(), &listener).await,
        false => Err(Refusal::Untrusted),
    };
    let arrival = match read {
        Ok(Some(Read::Header(arrival))) => Some(arrival),
        Ok(Some(Read::Other)) => None,
        // Who connects to see whether somebody is there is no news.
        Ok(None) => return,
        Err(refusal) => return refuse(&worker, Connection::new(peer.ip(), None, slot, listener, place), refusal),
    };
    let endpoints = arrival.as_ref().and_then(|arrival| arrival.endpoints);
    let source = endpoints.map_or(peer.ip(), |endpoints| endpoints.source.ip());
    // Only what a balancer says that it sends for itself is not one client's.
    let is_for_itself = arrival.is_some() && endpoints.is_none();
    if !is_for_itself && !place.is_for(source, listener.limit_for(source)) {
        listener.metrics.refused.inc();
        return;
    }
    let connection = Connection::new(source, arrival, slot, listener, place);
    proxy::serve(worker, connection, client).await;
}

/// How a connection begins.
enum Read {
    /// With a header, which is used up.
    Header(Box<Arrival>),
    /// With something else.
    Other,
}

/// Reads the header; none if the connection ends without a word.
async fn read(
    worker: &Worker,
    client: &mut Client,
    balancer: IpAddr,
    listener: &Listener,
) -> Result<Option<Read>, Refusal> {
    let must_come = listener.proxy_protocol.mode == ProxyProtocolMode::Require;
    // Where it need not come, a connection that says nothing may lie idle like any other.
    let first: Duration = if must_come { listener.handshake } else { listener.idle };
    let mut has_begun = must_come;
    client.deadline.arm(worker.clock.recent(), first);
    let read = std::future::poll_fn(|context| {
        client.deadline.wakes(context.waker());
        loop {
            match proxy_protocol::read(client.input.bytes()) {
                Ok(Start::Header(header, length)) => {
                    let arrival = Arrival::new(balancer, &header);
                    client.input.consume(length);
                    return Poll::Ready(Ok(Some(Read::Header(Box::new(arrival)))));
                }
                Ok(Start::Other) if must_come => return Poll::Ready(Err(Refusal::Missing)),
                Ok(Start::Other) => return Poll::Ready(Ok(Some(Read::Other))),
                Ok(Start::Partial) => {}
                Err(fault) => return Poll::Ready(Err(Refusal::Malformed(fault))),
            }
            let is_silent = client.input.is_empty();
            if !is_silent && !std::mem::replace(&mut has_begun, true) {
                client.deadline.arm(Instant::now(), listener.handshake);
            }
            if client.deadline.has_passed() {
                return Poll::Ready(if has_begun { Err(Refusal::TooSlow) } else { Ok(None) });
            }
            match client.poll_read(&worker.buffers, context) {
                Poll::Ready(Ok(0) | Err(_)) if is_silent => return Poll::Ready(Ok(None)),
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Err(Refusal::Cut)),
                Poll::Ready(Ok(_)) => {}
                Poll::Pending if is_silent && client.stop.is_set() && !client.has_more() => {
                    return Poll::Ready(Ok(None));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await;
    client.deadline.disarm();
    read
}

/// Counts a connection that is closed without an answer, and writes its line.
fn refuse(worker: &Worker, connection: Connection, refusal: Refusal) {
    let word = refusal.word();
    worker.metrics.proxy_protocol_refused(&connection.listener.borrow().name, word);
    let mut record = AccessRecord::start(worker, &connection, Protocol::Http11);
    worker.with_snapshot(|snapshot| record.enters(snapshot, connection.peer));
    record.detail = Some(word);
    record.refused(Reason::ProxyProtocol.status(), Reason::ProxyProtocol);
}

impl Arrival {
    /// What else the balancer said.
    pub(crate) fn tlvs(&self) -> Tlvs<'_> {
        // They were read before.
        Tlvs::read(&self.tlvs).unwrap_or_default()
    }

    fn new(balancer: IpAddr, header: &Header<'_>) -> Self {
        Self {
            balancer: balancer.to_canonical().to_string().into(),
            endpoints: header.endpoints,
            tlvs: header.tlvs.as_bytes().into(),
            is_tls: header.tlvs.ssl().is_some_and(|ssl| ssl.is_tls),
        }
    }
}

impl Listener {
    /// Whether a connection from `address` is looked at for a header.
    pub(crate) fn awaits_header(&self, address: IpAddr) -> bool {
        match self.proxy_protocol.mode {
            ProxyProtocolMode::Off => false,
            ProxyProtocolMode::Accept => self.is_source(address),
            ProxyProtocolMode::Require => true,
        }
    }

    /// Whether the headers of `address` are believed.
    fn is_source(&self, address: IpAddr) -> bool {
        self.proxy_protocol.sources.iter().any(|range| range.contains(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_a_word_of_its_own() {
        let words: std::collections::HashSet<&str> = refusals().collect();
        assert_eq!(words.len(), 14);
    }

    #[test]
    #[expect(unreachable_code, reason = "only the type is of interest")]
    fn a_connection_behind_a_balancer_is_small() {
        fn size<F: Future>(_: impl FnOnce() -> F) -> usize {
            size_of::<F>()
        }
        let waits = size(|| {
            welcome(
                unreachable!(),
                unreachable!(),
                unreachable!(),
                unreachable!(),
                unreachable!(),
                unreachable!(),
                unreachable!(),
            )
        });
        assert!(waits <= 1088, "{waits} bytes for each idle connection");
    }
}
