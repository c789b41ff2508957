use std::collections::HashMap;

use super::{References, at_most, breaker, limits, unique_names};
use crate::{Findings, config::Upstream};

pub(super) fn check(upstreams: &[Upstream], references: &References, findings: &mut Findings) {
    at_most(limits::UPSTREAMS, upstreams.len(), "/upstreams", findings);
    unique_names(upstreams, "/upstreams", findings);
    for (index, upstream) in upstreams.iter().enumerate() {
        let pointer = format!("/upstreams/{index}");
        if !references.used_upstreams.contains(&upstream.name) {
            findings.warning(&pointer, format!("no route forwards to the upstream \"{}\"", upstream.name));
        }
        check_backends(upstream, &format!("{pointer}/backends"), findings);
        breaker::check(&upstream.breaker, &format!("{pointer}/breaker"), findings);
    }
}

fn check_backends(upstream: &Upstream, pointer: &str, findings: &mut Findings) {
    let backends = &upstream.backends;
    at_most(limits::BACKENDS_PER_UPSTREAM, backends.len(), pointer, findings);
    unique_names(backends, pointer, findings);
    if backends.is_empty() {
        findings.warning(
            pointer,
            format!("the upstream \"{}\" has no backends: its requests are answered 503 no_backend", upstream.name),
        );
    } else if backends.iter().all(|backend| backend.weight.get() == 0) {
        findings.warning(
            pointer,
            format!(
                "all backends of the upstream \"{}\" have weight 0: its requests are answered 503 no_backend",
                upstream.name
            ),
        );
    }
    let mut by_address = HashMap::with_capacity(backends.len());
    for (index, backend) in backends.iter().enumerate() {
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
