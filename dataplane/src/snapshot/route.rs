use std::{collections::HashMap, sync::Arc, time::Duration};

use regex::Regex;
use shared::{
    config::{self, PathMatch},
    value::{ByteSize, HostPolicy, Name, ServerHeader, Template, TimeSpan, Variable},
};

use super::{
    Fallback, IpRules, Policy, Split, Upstream, Way,
    action::{Action, Answering},
    maintenance::Maintenance,
    transforms::{self, Transforms},
};
use crate::{
    answer::AnswerStyle,
    cors::Cors,
    engine::{Span, Timeouts},
    metrics::{Metrics, RouteMetrics},
};

/// What happens to the requests of a route.
pub(crate) struct Route {
    /// Name, counters and the looks of answers: all that a long stream keeps of the route.
    pub(crate) labels: Arc<RouteLabels>,
    /// What happens to them.
    pub(crate) action: Action,
    /// Which `Host` the backend sees.
    pub(crate) host: HostPolicy,
    /// How long each part of a request may take. The grace of half-closed clients is the listener's.
    pub(crate) timeouts: Timeouts,
    /// When requests are tried again.
    pub(crate) retries: Policy,
    /// What happens to requests for which no endpoint may be used.
    pub(crate) fallback: Option<Box<Fallback>>,
    /// Whether what a backend gets, or its response becomes, depends on which one it is.
    pub(crate) depends_on_backend: bool,
    /// Whether calls of gRPC-Web become calls of gRPC.
    pub(crate) grpc_web: bool,
    /// Bytes of a request body. The listener's limit holds, too.
    pub(crate) body_limit: u64,
    /// The route's own IP rules.
    pub(crate) ip_rules: IpRules,
    /// Which pages of other origins may use it.
    pub(crate) cors: Option<Arc<Cors>>,
    /// Whether errors of backends are replaced.
    pub(crate) replaces_errors: bool,
    /// If it is out of service.
    pub(crate) maintenance: Option<Box<Maintenance>>,
    /// The regular expression of its path, if a template names what its groups match.
    pub(crate) path: Option<Regex>,
    /// What it changes of requests and responses that are forwarded; most routes change nothing.
    pub(crate) transforms: Option<Box<Transforms>>,
}

impl Route {
    /// Compiles `route`, which has passed validation; the settings say what becomes of `server`.
    pub(crate) fn compile(
        route: &config::Route,
        labels: Arc<RouteLabels>,
        ip_rules: IpRules,
        server: &ServerHeader,
        upstreams: &HashMap<Name, Arc<Upstream>>,
        metrics: &Metrics,
    ) -> Self {
        let path = regex_of_path(route);
        let upstream = |name: &Name| Arc::clone(upstreams.get(name).expect("validation found no dangling reference"));
        let action = match &route.action {
            config::Action::Forward(forward) => Action::Forward(upstream(&forward.upstream)),
            config::Action::Split(targets) => {
                Action::Split(Box::new(Split::compile(targets, &route.split_by, upstream)))
            }
            config::Action::Redirect(redirect) => {
                Action::Reply(Box::new(Answering::of_redirect(redirect, path.as_ref())))
            }
            config::Action::Respond(respond) => Action::Reply(Box::new(Answering::of_respond(respond, path.as_ref()))),
        };
        let fallback = route.fallback.as_ref().map(|fallback| {
            let way = match fallback {
                config::Fallback::Forward(forward) => Way::Forward(upstream(&forward.upstream)),
                config::Fallback::Respond(respond) => {
                    Way::Reply(Box::new(Answering::of_respond(respond, path.as_ref())))
                }
            };
            Box::new(Fallback { way, count: metrics.fallbacks(route.name.as_str()) })
        });
        let names_backend = |template: &Template| template.variables().any(|name| *name == Variable::Backend);
        Self {
            labels,
            action,
            retries: Policy::compile(&route.retries),
            fallback,
            depends_on_backend: route.host == HostPolicy::Backend || transforms::templates(route).any(names_backend),
            host: route.host.clone(),
            timeouts: timeouts(&route.timeouts),
            grpc_web: route.grpc_web,
            body_limit: route.limits.body.map_or(u64::MAX, ByteSize::bytes),
            ip_rules,
            maintenance: Maintenance::compile(&route.maintenance).map(Box::new),
            cors: route.cors.as_ref().map(|cors| Arc::new(Cors::compile(cors))),
            replaces_errors: route.errors.replace_backend,
            transforms: Transforms::compile(route, server, path.as_ref()).map(Box::new),
            path,
        }
    }

    /// Whether backends may get another `Accept` than the client's.
    pub(crate) fn changes_accept(&self) -> bool {
        self.transforms.as_ref().is_some_and(|transforms| transforms.changes_accept)
    }
}

/// The regular expression of a route's path, if a template of the route names any of its groups.
fn regex_of_path(route: &config::Route) -> Option<Regex> {
    let Some(PathMatch::Regex(pattern)) = &route.matches.path else { return None };
    let names_group =
        |template: &&Template| template.variables().any(|variable| matches!(variable, Variable::Capture(_)));
    let of_action: Vec<&Template> = match &route.action {
        config::Action::Forward(_) | config::Action::Split(_) => Vec::new(),
        config::Action::Redirect(redirect) => vec![&redirect.to],
        config::Action::Respond(respond) => respond.headers.values().collect(),
    };
    let of_fallback: Vec<&Template> = match &route.fallback {
        Some(config::Fallback::Respond(respond)) => respond.headers.values().collect(),
        _ => Vec::new(),
    };
    let is_wanted = of_action
        .into_iter()
        .chain(of_fallback)
        .chain(transforms::templates(route))
        .any(|template| names_group(&template));
    is_wanted.then(|| pattern.compile_whole())
}

/// The time-outs of a route as the engine takes them.
fn timeouts(route: &config::RouteTimeouts) -> Timeouts {
    let span = |time: TimeSpan| Span::of(time.duration());
    Timeouts {
        connect: span(route.connect),
        body_idle: span(route.request_body_idle),
        body_min_rate: route.request_body_min_rate.bytes(),
        first_byte: span(route.first_byte),
        idle: span(route.idle),
        total: route.total.map(span),
        tunnel_idle: span(route.tunnel_idle),
        half_close_grace: Span::of(Duration::ZERO),
    }
}

/// What a request is logged and counted under.
#[derive(Debug)]
pub(crate) struct RouteLabels {
    /// The route's name; empty for requests without a route.
    pub(crate) name: String,
    /// Counters.
    pub(crate) metrics: RouteMetrics,
    /// What the proxy's own answers look like.
    pub(crate) style: Arc<AnswerStyle>,
}

impl RouteLabels {
    pub(crate) fn new(name: &str, metrics: &Metrics, style: Arc<AnswerStyle>) -> Self {
        Self { name: name.to_owned(), metrics: metrics.route(name), style }
    }
}
