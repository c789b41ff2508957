use std::fmt::Display;

use super::limits;
use crate::{
    Findings,
    config::{Balance, BalancePolicy, Hash, HashKey},
    value::FieldName,
};

pub(super) fn check(balance: &Balance, pointer: impl Display + Copy, findings: &mut Findings) {
    // Every field is named, so that a new one is not forgotten here.
    let Balance { policy, slow_start, hash } = balance;

    if let Some(slow_start) = slow_start {
        if slow_start.is_zero() {
            findings.error(
                format!("{pointer}/slow_start"),
                "the duration must be longer than 0: leave it out where an endpoint takes its share at once",
            );
        }
        if *slow_start > limits::SLOW_START {
            let limit = limits::SLOW_START;
            findings.error(
                format!("{pointer}/slow_start"),
                format!("{slow_start} is too long: at most {limit} is allowed here"),
            );
        }
    }
    if *hash != Hash::default() && *policy != BalancePolicy::ConsistentHash {
        findings.warning(format!("{pointer}/hash"), "it acts only with policy: consistent_hash");
    }
    let Hash { key, fallback: _, max_load_percent } = hash;
    if *max_load_percent != 0 && !(limits::LEAST_LOAD_PERCENT..=limits::LOAD_PERCENT).contains(max_load_percent) {
        findings.error(
            format!("{pointer}/hash/max_load_percent"),
            format!(
                "{max_load_percent} is out of range: write {} to {}, or 0 for no bound",
                limits::LEAST_LOAD_PERCENT,
                limits::LOAD_PERCENT
            ),
        );
    }
    match key {
        HashKey::ClientAddress | HashKey::Path | HashKey::Header(_) => {}
        HashKey::Cookie(name) => check_cookie_name(name, format_args!("{pointer}/hash/key/cookie"), findings),
        HashKey::Query(name) => {
            if name.is_empty() || name.len() > limits::VALUE_BYTES {
                findings.error(
                    format!("{pointer}/hash/key/query"),
                    format!("the name of a query parameter has 1 to {} bytes", limits::VALUE_BYTES),
                );
            }
        }
    }
}

/// Reports a name that no cookie has: they are tokens (RFC 6265 §4.1.1).
pub(super) fn check_cookie_name(name: &str, pointer: impl Display, findings: &mut Findings) {
    // Header names are tokens, too, and have the same length at most.
    if name.parse::<FieldName>().is_err() {
        findings.error(
            pointer.to_string(),
            format!(
                "{name:?} is not the name of a cookie: 1 to {} letters, digits or !#$%&'*+-.^_`|~",
                limits::COOKIE_NAME_BYTES
            ),
        );
    }
}
