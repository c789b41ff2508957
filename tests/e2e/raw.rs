//! HTTP/1.1 byte by byte: a table of what clients and backends send and what the other side must see of it.
//!
//! Each case names its source: a section of an RFC, a CVE, or the name of a known attack. [`case`] says what a case is,
//! [`table`] how the cases of a group are run, [`backend`] what records every byte that is forwarded. The other modules
//! are the groups.

mod answer;
mod backend;
mod body;
mod case;
mod chunked;
mod connection;
mod field;
mod framing;
mod host;
mod interim;
mod keep_alive;
mod limits;
mod look_alikes;
mod message;
mod path;
mod request_line;
mod response_body;
mod response_head;
mod sound;
mod table;
mod upgrade;

use std::collections::HashSet;

use self::case::{Case, Reply};

/// Every group.
fn groups() -> Vec<Vec<Case>> {
    vec![
        request_line::cases(),
        host::cases(),
        field::cases(),
        framing::cases(),
        body::cases(),
        chunked::cases(),
        connection::cases(),
        upgrade::cases(),
        keep_alive::cases(),
        path::cases(),
        limits::cases(),
        look_alikes::cases(),
        look_alikes::cases_of_a_trusted_peer(),
        interim::cases(),
        response_head::cases(),
        response_body::cases(),
    ]
}

#[test]
fn no_case_stands_twice_in_the_table() {
    let cases: Vec<Case> = groups().into_iter().flatten().collect();
    let mut distinct = HashSet::new();
    for case in &cases {
        let Reply { at_head, bytes, later, .. } = &case.reply;
        let is_new = distinct.insert((case.sent(), [at_head.clone(), bytes.clone(), later.clone()], case.reply.end));
        assert!(is_new, "{}: {}", case.source, case.what);
    }
    assert!(cases.len() >= 600, "{}", cases.len());
}
