//! Fields that say who the client is, and names that some software takes for them.

use serde_json::json;

use super::{
    case::{Case, forwarded},
    message::{get, post},
    table,
};

#[test]
fn an_untrusted_peer_says_nothing_about_the_client() {
    table::run(cases());
}

#[test]
fn a_trusted_peer_is_believed_but_no_look_alike_is() {
    table::run_behind(json!({ "name": "web", "trusted_proxies": ["127.0.0.0/8"] }), cases_of_a_trusted_peer());
}

pub(super) fn cases() -> Vec<Case> {
    let replaced: &[(&str, &str, &str)] = &[
        ("RFC 7239 §8.1", "X-Forwarded-For: 6.6.6.6", "X-Forwarded-For: 127.0.0.1"),
        ("RFC 7239 §8.1", "x-forwarded-for: 6.6.6.6\r\nX-FORWARDED-FOR: 7.7.7.7", "X-Forwarded-For: 127.0.0.1"),
        ("RFC 7239 §8.1", "X-Forwarded-Proto: https", "X-Forwarded-Proto: http"),
        ("RFC 7239 §8.1", "X-Forwarded-Host: evil", "X-Forwarded-Host: h"),
    ];
    let replaced = replaced.iter().map(|(source, line, ours)| {
        let seen = forwarded("GET / HTTP/1.1").has(&[ours, "X: 1"]);
        Case::passed(source, format!("{line:?} is replaced"), get(&format!("{line}\r\nX: 1\r\n")), seen)
    });
    let dropped: &[(&str, &str)] = &[
        ("RFC 7239 §8.1", "Forwarded"),
        ("RFC 7239 §8.1", "X-Real-IP"),
        ("RFC 7239 §8.1", "X-Forwarded-Port"),
        ("look-alike", "X_Forwarded_For"),
        ("look-alike", "X-Forwarded_For"),
        ("look-alike", "X.Forwarded.For"),
        ("look-alike", "x~forwarded~for"),
        ("look-alike", "X_FORWARDED_PROTO"),
        ("look-alike", "X_Forwarded_Host"),
        ("look-alike", "X_Forwarded_Port"),
        ("look-alike", "X_Real_IP"),
        ("look-alike", "X_Request_Id"),
        ("look-alike", "X.Request.Id"),
        ("look-alike", "x-request_id"),
        ("look-alike", "X-Forwarded_Port"),
        ("look-alike", "X.Real.IP"),
        ("look-alike", "Transfer_Encoding"),
        ("look-alike", "Content_Length"),
        ("look-alike", "Content.Length"),
    ];
    let dropped = dropped.iter().map(|(source, name)| {
        let seen = forwarded("GET / HTTP/1.1").has(&["X: 1"]).lacks(&[name]);
        Case::passed(source, format!("{name} is left out"), get(&format!("{name}: 6\r\nX: 1\r\n")), seen)
    });
    // What `Connection` names is left out or replaced all the same.
    let named = [
        ("X-Forwarded-For", "X-Forwarded-For: 127.0.0.1"),
        ("X-Forwarded-Proto", "X-Forwarded-Proto: http"),
        ("X-Forwarded-Host", "X-Forwarded-Host: h"),
        ("X-Forwarded-Port", "X: 1"),
        ("Forwarded", "X: 1"),
        ("X-Real-IP", "X: 1"),
    ];
    let named = named.into_iter().map(|(name, line)| {
        let lines = format!("Connection: {name}\r\n{name}: 6\r\n{name}: 7\r\nX: 1\r\n");
        let lacks: &[&'static str] = if line == "X: 1" { &[name] } else { &[] };
        let seen = forwarded("GET / HTTP/1.1").has(&[line]).lacks(lacks);
        Case::passed("RFC 9110 §7.6.1", format!("Connection names {name}"), get(&lines), seen)
    });
    let bodies = [
        Case::passed(
            "look-alike",
            "Content_Length beside the real one",
            post("Content_Length: 9\r\nContent-Length: 3\r\n", "abc"),
            forwarded("POST / HTTP/1.1").lacks(&["content_length"]).body("abc"),
        ),
        Case::passed(
            "look-alike",
            "Transfer_Encoding beside a length",
            post("Transfer_Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"),
            forwarded("POST / HTTP/1.1").lacks(&["transfer_encoding"]).body("0\r\n\r\n"),
        ),
        Case::passed(
            "look-alike",
            "names that differ in more than a hyphen",
            get("X-Forwarded-Foo: 1\r\nXForwardedFor: 2\r\n"),
            forwarded("GET / HTTP/1.1").has(&["X-Forwarded-Foo: 1", "XForwardedFor: 2"]),
        ),
    ];
    replaced.chain(dropped).chain(named).chain(bodies).collect()
}

pub(super) fn cases_of_a_trusted_peer() -> Vec<Case> {
    let rows: &[(&str, &str, &[&str], &[&str])] = &[
        ("X-Forwarded-For: 6.6.6.6", "is continued", &["X-Forwarded-For: 6.6.6.6, 127.0.0.1"], &[]),
        (
            "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 127.0.0.9",
            "in two lines is continued in one",
            &["X-Forwarded-For: 6.6.6.6, 127.0.0.9, 127.0.0.1"],
            &[],
        ),
        ("X-Forwarded-For:", "that is empty is begun", &["X-Forwarded-For: 127.0.0.1"], &[]),
        ("X-Forwarded-Proto: https", "is kept", &["X-Forwarded-Proto: https"], &[]),
        ("X-Forwarded-Proto: gopher", "is no scheme", &["X-Forwarded-Proto: http"], &[]),
        ("X-Forwarded-Proto: https\r\nX-Forwarded-Proto: http", "is said twice", &["X-Forwarded-Proto: http"], &[]),
        ("X-Forwarded-Host: public", "is kept", &["X-Forwarded-Host: public"], &[]),
        ("X-Real-IP: 6.6.6.6", "is kept", &["X-Real-IP: 6.6.6.6"], &[]),
        ("X-Forwarded-Port: 443", "is kept", &["X-Forwarded-Port: 443"], &[]),
        ("Forwarded: for=6.6.6.6;proto=https", "is kept", &["Forwarded: for=6.6.6.6;proto=https"], &[]),
        ("X-Request-Id: their-id", "is taken", &["X-Request-Id: their-id"], &[]),
        ("X_Request_Id: their-id", "is left out", &["X: 1"], &["x_request_id"]),
        ("X_Forwarded_Port: 443", "is left out", &["X: 1"], &["x_forwarded_port", "x-forwarded-port"]),
        ("X_Forwarded_For: 7.7.7.7", "is left out", &["X-Forwarded-For: 127.0.0.1"], &["x_forwarded_for"]),
        ("X_Forwarded_Proto: https", "is left out", &["X-Forwarded-Proto: http"], &["x_forwarded_proto"]),
        ("X_Real_IP: 7.7.7.7", "is left out", &["X: 1"], &["x_real_ip"]),
        (
            "Connection: X-Forwarded-For\r\nX-Forwarded-For: 6.6.6.6",
            "is what Connection names",
            &["X-Forwarded-For: 6.6.6.6, 127.0.0.1"],
            &[],
        ),
    ];
    rows.iter()
        .map(|(lines, what, has, lacks)| {
            let seen = forwarded("GET / HTTP/1.1").has(has).has(&["X: 1"]).lacks(lacks);
            let request = get(&format!("X-Trusted: 1\r\n{lines}\r\nX: 1\r\n"));
            Case::passed("trusted proxy", format!("{lines:?} {what}"), request, seen)
        })
        .collect()
}
