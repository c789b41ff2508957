//! HTTP/2 frame by frame: a table of what clients send, right and wrong, and what becomes of it.
//!
//! Each case names the section of RFC 9113 (or of the RFC that it says) that asks for it. [`case`] says what a case is, [`table`]
//! how the cases of a group are run, [`message`] what they are made of. The other modules are the groups.

mod backend;
mod body;
mod case;
mod compression;
mod connection;
mod continuation;
mod field;
mod flow;
mod format;
mod message;
mod preface;
mod pseudo;
mod response;
mod settings;
mod state;
mod stream_id;
mod table;
mod window;

use std::collections::HashSet;

use self::case::Case;

/// Every group of cases of clients.
fn groups() -> Vec<Vec<Case>> {
    vec![
        preface::cases(),
        format::cases(),
        compression::cases(),
        continuation::cases(),
        state::cases(),
        stream_id::cases(),
        settings::cases(),
        connection::cases(),
        window::cases(),
        flow::cases(),
        pseudo::cases(),
        field::cases(),
        body::cases(),
        response::cases(),
    ]
}

#[test]
fn no_case_stands_twice_in_the_table() {
    let cases: Vec<Case> = groups().into_iter().flatten().collect();
    let mut distinct = HashSet::new();
    for case in &cases {
        assert!(distinct.insert((case.section, &case.what)), "{}: {}", case.section, case.what);
    }
    assert!(cases.len() >= 370, "{}", cases.len());
}
