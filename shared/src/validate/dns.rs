use std::fmt::Display;

use super::{at_most, limits};
use crate::{Findings, config::Dns, value::TimeSpan};

pub(super) fn check(dns: &Dns, pointer: impl Display + Copy, findings: &mut Findings) {
    // Every field is named, so that a new one is not forgotten here.
    let Dns { servers, min_ttl, max_ttl, timeout, retries } = dns;

    at_most(limits::NAME_SERVERS, servers.len(), format_args!("{pointer}/servers"), findings);
    for (index, server) in servers.iter().enumerate() {
        if servers[..index.min(limits::NAME_SERVERS)].contains(server) {
            findings.warning(
                format!("{pointer}/servers/{index}"),
                format!("{server} is named twice: leave one of them out"),
            );
        }
    }
    let spans: [(&str, TimeSpan, (TimeSpan, TimeSpan)); 3] = [
        ("min_ttl", *min_ttl, limits::DNS_MIN_TTL),
        ("max_ttl", *max_ttl, (limits::DNS_MIN_TTL.0, limits::DNS_LONGEST_TTL)),
        ("timeout", *timeout, limits::DNS_TIMEOUT),
    ];
    for (field, span, (least, most)) in spans {
        if !(least..=most).contains(&span) {
            findings.error(format!("{pointer}/{field}"), format!("{span} is out of range: write {least} to {most}"));
        }
    }
    if max_ttl < min_ttl {
        findings.error(
            format!("{pointer}/max_ttl"),
            format!("{max_ttl} is shorter than min_ttl, {min_ttl}: write at least as long a time"),
        );
    }
    if *retries > limits::DNS_RETRIES {
        findings.error(
            format!("{pointer}/retries"),
            format!("{retries} is out of range: write 0 to {}", limits::DNS_RETRIES),
        );
    }
}
