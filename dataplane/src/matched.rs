//! A request and the route that it matched: what heads for backends and answers of the proxy's own are made of.

use std::sync::Arc;

use http1::{HeadLimits, Progress, RequestHead};

use crate::{
    client_address,
    connection::Connection,
    cors::Grant,
    error::Reason,
    forwarding::{self, Hop},
    head::{Request, RoutedRequest},
    header_rules::Edits,
    live::EndpointLive,
    protocol::Protocol,
    record::AccessRecord,
    request_id::RequestId,
    snapshot::{Listener, Route, Snapshot},
    template::Facts,
};

/// A request, its route, and where it came from.
pub(crate) struct Matched<'a> {
    /// The request.
    pub(crate) request: &'a Request<'a>,
    /// What is in force for it.
    pub(crate) snapshot: &'a Arc<Snapshot>,
    /// Its route.
    pub(crate) route: &'a Route,
    /// Where that stands in the snapshot.
    pub(crate) index: usize,
    /// Where it was accepted.
    pub(crate) listener: &'a Arc<Listener>,
    /// On which connection.
    pub(crate) connection: &'a Connection,
    /// Who sent it.
    pub(crate) from: client_address::Client,
    /// Its id.
    pub(crate) request_id: &'a RequestId,
    /// In which version it came.
    pub(crate) protocol: Protocol,
}

impl<'a> Matched<'a> {
    /// What templates can say of it while no backend is chosen.
    pub(crate) fn facts(&self) -> Facts<'a> {
        self.facts_with("", "")
    }

    /// The same for a backend of an upstream.
    fn facts_with<'b>(&self, upstream: &'b str, backend: &'b str) -> Facts<'b>
    where
        'a: 'b,
    {
        Facts {
            request: self.request,
            client: self.connection.text_of(self.from.address),
            scheme: self.from.scheme,
            peer_is_trusted: self.from.peer_is_trusted,
            request_id: self.request_id,
            renamed: self.listener.request_ids.renamed(),
            listener: self.listener.name.as_str(),
            route: &self.route.labels.name,
            upstream,
            backend,
            captures: self.route.path.as_ref().and_then(|path| path.captures(&self.request.path)),
        }
    }

    /// Writes the head for `endpoint` into `out`, and answers what becomes of the response's header fields, with what `grant` adds.
    /// `authority` is what a `Host` field that names the backend says.
    ///
    /// # Errors
    /// The route makes of the path what is none.
    pub(crate) fn write(
        &self,
        out: &mut Vec<u8>,
        endpoint: &EndpointLive,
        authority: &str,
        grant: Option<&Grant>,
    ) -> Result<Option<Edits>, Reason> {
        let transforms = self.route.transforms.as_deref();
        let facts = transforms.map(|_| self.facts_with(endpoint.upstream.as_str(), endpoint.backend.as_str()));
        let rewrite = transforms.and_then(|transforms| transforms.rewrite.as_ref()).zip(facts.as_ref());
        let hop = Hop {
            peer: &self.connection.peer_text,
            peer_is_trusted: self.from.peer_is_trusted,
            forwarding: &self.listener.forwarding,
            peer_scheme: self.connection.scheme(),
            scheme: self.from.scheme,
            port: self.connection.port(self.listener),
            protocol: self.protocol,
            request_id: self.request_id,
            request_ids: &self.listener.request_ids,
            host: &self.route.host,
            backend: authority,
            target: match rewrite {
                Some((rewrite, facts)) => rewrite.target(facts, self.listener.paths)?,
                None => None,
            },
            rules: transforms.and_then(|transforms| transforms.request_headers.as_ref()).zip(facts.as_ref()),
        };
        forwarding::write(out, self.request, &hop);
        let rules = transforms.and_then(|transforms| transforms.response_headers.as_ref());
        Ok(Edits::new(rules.zip(facts.as_ref()), grant))
    }

    /// What the routing index and the balancing ask about.
    pub(crate) fn routed(&self) -> RoutedRequest<'a> {
        RoutedRequest {
            request: self.request,
            client: self.from.address,
            listener: self.listener.name.as_str(),
            is_https: self.from.scheme == "https",
        }
    }

    /// Bytes that its body may have.
    pub(crate) fn body_limit(&self) -> u64 {
        self.listener.body.min(self.route.body_limit)
    }

    /// What is kept of it, so that the same can be said again.
    pub(crate) fn source(&self) -> HeadSource {
        HeadSource {
            snapshot: Arc::clone(self.snapshot),
            route: self.index,
            listener: Arc::clone(self.listener),
            from: self.from,
            bytes: self.request.bytes[..self.request.head.len as usize].into(),
        }
    }

    /// Whether the head for another backend may be another one.
    pub(crate) fn depends_on_backend(&self) -> bool {
        // Who names no host gets the backend's.
        self.route.depends_on_backend || self.request.authority.is_empty()
    }
}

/// What the head for another backend is made of: kept while the request may go there, or its route's fallback may act.
pub(crate) struct HeadSource {
    /// Of which revision the request's route is.
    pub(crate) snapshot: Arc<Snapshot>,
    /// Where it stands there.
    pub(crate) route: usize,
    /// Where the request was accepted.
    pub(crate) listener: Arc<Listener>,
    /// Who sent it.
    pub(crate) from: client_address::Client,
    /// The head as it came.
    pub(crate) bytes: Box<[u8]>,
}

/// A head that was let in before.
const HEAD: HeadLimits = HeadLimits { bytes: u32::MAX, fields: http1::MAX_FIELDS, target_bytes: u32::MAX };

impl HeadSource {
    /// Has `act` see the request as it was matched, by way of `head`.
    ///
    /// # Errors
    /// The head cannot be read.
    pub(crate) fn read<T>(
        &self,
        head: &mut RequestHead,
        record: &AccessRecord<'_>,
        act: impl FnOnce(&Matched<'_>) -> T,
    ) -> Result<T, Reason> {
        if !matches!(head.parse(&self.bytes, &HEAD), Ok(Progress::Complete(_))) {
            return Err(Reason::BadRequest);
        }
        let request = Request::read(head, &self.bytes, self.listener.paths).map_err(|refusal| refusal.reason)?;
        Ok(act(&Matched {
            request: &request,
            snapshot: &self.snapshot,
            route: &self.snapshot.routes[self.route],
            index: self.route,
            listener: &self.listener,
            connection: record.connection(),
            from: self.from,
            request_id: record.request_id(),
            protocol: record.protocol,
        }))
    }

    /// Writes the head for `endpoint` into `out`, by way of `head`; see [`Matched::write`].
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn write(
        &self,
        head: &mut RequestHead,
        out: &mut Vec<u8>,
        record: &AccessRecord<'_>,
        endpoint: &EndpointLive,
        authority: &str,
    ) -> Result<Option<Edits>, Reason> {
        self.read(head, record, |matched| {
            let grant = matched.route.cors.as_ref().map(|cors| cors.grant(matched.request));
            matched.write(out, endpoint, authority, grant.as_ref())
        })?
    }
}
