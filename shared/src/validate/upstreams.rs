use std::fmt::Display;

use hashbrown::HashMap;

use super::{References, at_most, balance, breaker, health_check, limits, pool, sticky, unique_names};
use crate::{
    Findings,
    config::{Backend, RetryBudget, Upstream},
    status::AdminState,
};

pub(super) fn check(upstreams: &[Upstream], references: &References, findings: &mut Findings) {
    at_most(limits::UPSTREAMS, upstreams.len(), "/upstreams", findings);
    unique_names(upstreams.iter().map(|upstream| &upstream.name), "/upstreams", findings);
    for (index, upstream) in upstreams.iter().enumerate() {
        if !references.used_upstreams.contains(&upstream.name) {
            findings.warning(
                format!("/upstreams/{index}"),
                format!("no route forwards to the upstream \"{}\"", upstream.name),
            );
        }
        check_backends(upstream, format_args!("/upstreams/{index}/backends"), findings);
        balance::check(&upstream.balance, format_args!("/upstreams/{index}/balance"), findings);
        if let Some(sticky) = &upstream.sticky {
            sticky::check(sticky, format_args!("/upstreams/{index}/sticky"), findings);
        }
        pool::check(&upstream.pool, format_args!("/upstreams/{index}/pool"), findings);
        check_budget(&upstream.retry_budget, format_args!("/upstreams/{index}/retry_budget"), findings);
        if let Some(check) = &upstream.health_check {
            let pointer = format_args!("/upstreams/{index}/health_check");
            health_check::check(check, upstream.protocol, pointer, findings);
        }
        breaker::check(&upstream.breaker, format_args!("/upstreams/{index}/breaker"), findings);
    }
}

fn check_budget(budget: &RetryBudget, pointer: impl Display + Copy, findings: &mut Findings) {
    // Every field is named, so that a new one is not forgotten here.
    let RetryBudget { percent, min_per_second } = budget;
    for (field, value, most) in [
        ("percent", u32::from(*percent), u32::from(limits::BUDGET_PERCENT)),
        ("min_per_second", *min_per_second, limits::BUDGET_PER_SECOND),
    ] {
        if value > most {
            findings.error(format!("{pointer}/{field}"), format!("{value} is out of range: write 0 to {most}"));
        }
    }
}

fn check_backends(upstream: &Upstream, pointer: impl Display + Copy, findings: &mut Findings) {
    let backends = &upstream.backends;
    at_most(limits::BACKENDS_PER_UPSTREAM, backends.len(), pointer, findings);
    unique_names(backends.iter().map(|backend| &backend.name), pointer, findings);
    if backends.is_empty() {
        findings.warning(
            pointer.to_string(),
            format!("the upstream \"{}\" has no backends: its requests are answered 503 no_backend", upstream.name),
        );
    } else if !backends.iter().any(takes_requests) {
        findings.warning(
            pointer.to_string(),
            format!(
                "all backends of the upstream \"{}\" drain, are disabled or have weight 0: its requests are answered 503 no_backend",
                upstream.name
            ),
        );
    } else if backends.iter().all(|backend| backend.backup) {
        findings.warning(
            pointer.to_string(),
            format!("all backends of the upstream \"{}\" are backups: they are used like any others", upstream.name),
        );
    }
    let mut by_address = HashMap::with_capacity(backends.len());
    for (index, backend) in backends.iter().enumerate() {
        check_queue(backend, format_args!("{pointer}/{index}"), findings);
        if backend.drain_until.is_some() && backend.state != AdminState::Draining {
            findings.warning(
                format!("{pointer}/{index}/drain_until"),
                "it says until when sessions are kept while the backend drains, and it does not: write state: draining, or leave it out",
            );
        }
        if let Some(first) = by_address.get(&backend.address) {
            findings.warning(
                format!("{pointer}/{index}/address"),
                format!(
                    "{} is also the address of {pointer}/{first}: they are counted and judged separately",
                    backend.address
                ),
            );
        } else {
            by_address.insert(&backend.address, index);
        }
    }
}

fn check_queue(backend: &Backend, pointer: impl Display + Copy, findings: &mut Findings) {
    let Backend { max_connections, max_pending, queue_timeout, .. } = backend;
    if let Some(cap) = max_connections
        && !(1..=limits::CONNECTIONS_PER_BACKEND).contains(cap)
    {
        findings.error(
            format!("{pointer}/max_connections"),
            format!(
                "{cap} is out of range: write 1 to {}, or leave it out for no cap; weight: 0 sends no requests",
                limits::CONNECTIONS_PER_BACKEND
            ),
        );
    }
    if *max_pending > limits::PENDING_PER_BACKEND {
        findings.error(
            format!("{pointer}/max_pending"),
            format!("{max_pending} is out of range: write 0 to {}", limits::PENDING_PER_BACKEND),
        );
    }
    if let Some(timeout) = queue_timeout {
        let pointer = format_args!("{pointer}/queue_timeout");
        if timeout.is_zero() {
            findings.error(
                pointer.to_string(),
                "the duration must be longer than 0: to let nobody wait write max_pending: 0",
            );
        }
        if *timeout > limits::QUEUE_TIMEOUT {
            let limit = limits::QUEUE_TIMEOUT;
            findings.error(pointer.to_string(), format!("{timeout} is too long: at most {limit} is allowed here"));
        }
        if max_connections.is_none() {
            findings.warning(
                pointer.to_string(),
                "without max_connections no request waits: write it too, or leave this out",
            );
        }
    }
}

/// Whether new requests may go to `backend`.
fn takes_requests(backend: &Backend) -> bool {
    backend.weight.get() > 0 && backend.state == AdminState::Active
}
