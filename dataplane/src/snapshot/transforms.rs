use std::sync::Arc;

use regex::Regex;
use shared::{
    config,
    value::{ServerHeader, Template},
};

use crate::{
    header_rules::HeaderRules,
    rewrite::{self, Rewrite},
};

/// What a route changes of the requests that it forwards, and of their responses.
pub(crate) struct Transforms {
    /// Path and query.
    pub(crate) rewrite: Option<Rewrite>,
    /// The header fields of requests.
    pub(crate) request_headers: Option<HeaderRules>,
    /// Whether backends may get another `Accept` than the client's.
    pub(crate) changes_accept: bool,
    /// The header fields of responses. A long response keeps these, and nothing else of the snapshot.
    pub(crate) response_headers: Option<Arc<HeaderRules>>,
}

impl Transforms {
    /// What `route` changes, if it changes anything; the settings say what becomes of `server`, and `path` is the regular
    /// expression of its path.
    pub(crate) fn compile(route: &config::Route, server: &ServerHeader, path: Option<&Regex>) -> Option<Self> {
        let rewrite = Rewrite::compile(&route.rewrite, path);
        let request_headers = HeaderRules::of_requests(&route.request_headers, path);
        let response_headers = HeaderRules::of_responses(&route.response_headers, server, path).map(Arc::new);
        let is_any = rewrite.is_some() || request_headers.is_some() || response_headers.is_some();
        let changes_accept = request_headers.as_ref().is_some_and(|rules| rules.changes("accept"));
        is_any.then_some(Self { rewrite, request_headers, changes_accept, response_headers })
    }
}

/// The templates in what `route` changes.
pub(crate) fn templates(route: &config::Route) -> impl Iterator<Item = &Template> {
    let config::HeaderRules { remove: _, set, default, add } = &route.request_headers;
    let of_responses = &route.response_headers;
    let of_responses = [&of_responses.set, &of_responses.default, &of_responses.add];
    [set, default, add]
        .into_iter()
        .chain(of_responses)
        .flat_map(|values| values.values())
        .chain(rewrite::templates(&route.rewrite))
}
