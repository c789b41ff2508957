use std::fmt::Display;

use super::{at_most, limits};
use crate::{
    Findings,
    config::{HealthCheck, HttpCheck, UpstreamProtocol},
    value::HostPolicy,
};

pub(super) fn check(
    check: &HealthCheck,
    protocol: UpstreamProtocol,
    pointer: impl Display + Copy,
    findings: &mut Findings,
) {
    // Every field is named, so that a new one is not forgotten here.
    let HealthCheck { http, tcp, grpc, interval, interval_down, jitter, timeout, rise, fall, first_state: _, panic: _ } =
        check;

    let kinds = [http.is_some(), tcp.is_some(), grpc.is_some()];
    if kinds.into_iter().filter(|is_there| *is_there).count() != 1 {
        findings.error(pointer.to_string(), "a check is one of http, tcp and grpc: write exactly one of them");
    }
    for (field, span) in [("interval", interval), ("interval_down", interval_down)] {
        if !limits::CHECK_INTERVAL.contains(span) {
            let (least, most) = (limits::CHECK_INTERVAL.start(), limits::CHECK_INTERVAL.end());
            findings.error(format!("{pointer}/{field}"), format!("{span} is out of range: write {least} to {most}"));
        }
    }
    if timeout.is_zero() || *timeout > limits::CHECK_TIMEOUT {
        let most = limits::CHECK_TIMEOUT;
        findings.error(format!("{pointer}/timeout"), format!("{timeout} is out of range: write 1ms to {most}"));
    }
    for (field, value, least, most) in
        [("jitter", u32::from(*jitter), 0, 50), ("rise", *rise, 1, 100), ("fall", *fall, 1, 100)]
    {
        if !(least..=most).contains(&value) {
            findings.error(format!("{pointer}/{field}"), format!("{value} is out of range: write {least} to {most}"));
        }
    }
    if let Some(http) = http {
        check_http(http, format_args!("{pointer}/http"), findings);
    }
    if let Some(grpc) = grpc {
        check_host(grpc.host.as_ref(), format_args!("{pointer}/grpc"), findings);
        let most = limits::CHECK_TEXT_BYTES;
        if grpc.service.len() > most {
            findings.error(format!("{pointer}/grpc/service"), format!("the name is too long: at most {most} bytes"));
        }
        if protocol != UpstreamProtocol::H2c {
            findings.warning(
                format!("{pointer}/grpc"),
                "the check speaks HTTP/2, and requests are sent by HTTP/1.1: gRPC backends want protocol: h2c",
            );
        }
    }
}

fn check_http(http: &HttpCheck, pointer: impl Display + Copy, findings: &mut Findings) {
    let HttpCheck { method: _, path, host, headers, expect, body_contains } = http;
    let most = limits::CHECK_TEXT_BYTES;
    if !path.starts_with('/') || path.len() > most || !path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#')
    {
        findings.error(
            format!("{pointer}/path"),
            format!("the path must begin with /, have no space and no #, and at most {most} bytes of ASCII"),
        );
    }
    check_host(host.as_ref(), pointer, findings);
    at_most(limits::CHECK_FIELDS, headers.len(), format_args!("{pointer}/headers"), findings);
    for (name, value) in headers {
        let pointer = format!("{pointer}/headers/{}", name.as_str());
        if matches!(name.as_str(), "host" | "connection" | "content-length" | "transfer-encoding" | "te" | "upgrade") {
            findings.error(pointer, "the check writes this field itself; the host is set by host");
        } else if value.len() > most || !value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
            findings.error(pointer, format!("a value is at most {most} bytes of printable ASCII"));
        }
    }
    if expect.is_empty() {
        findings.error(format!("{pointer}/expect"), "no status passes: name one, or leave it out for 200-299");
    }
    at_most(limits::FAILURE_STATUSES, expect.len(), format_args!("{pointer}/expect"), findings);
    if body_contains.as_ref().is_some_and(|text| text.is_empty() || text.len() > most) {
        findings.error(format!("{pointer}/body_contains"), format!("the text must have 1 to {most} bytes"));
    }
}

fn check_host(host: Option<&String>, pointer: impl Display, findings: &mut Findings) {
    if let Some(host) = host
        && !matches!(host.parse(), Ok(HostPolicy::Literal(_)))
    {
        findings.error(
            format!("{pointer}/host"),
            "this is no host: write a name or an address, with a port if it needs one",
        );
    }
}
