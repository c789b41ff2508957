use std::{io::Write, os::unix::net::UnixStream};

use shared::{
    config::SCHEMA,
    protocol::{Hello, InstanceId, Report, ToControl, VERSION},
    status::Event,
};

use super::*;

#[test]
fn what_happens_is_streamed_and_resumed_behind_the_last_id() {
    let origin = Origin::named("a");
    let up = Up::start();
    let (api, address, data_dir) = (up.api(), up.api_address(), up.data_dir());
    let mut stream = EventStream::open(&address, &data_dir, "", &[]);
    let revision = api.put("config?wait=10s", &site(&up.listen_address(), &[origin.address()])).expect(200).revision();
    let committed = stream.find("the commit", |told| told.event == "revision_committed");
    assert_eq!(committed.data["revision"], revision);
    let applied = stream.find("that it acts", |told| told.event == "revision_applied");
    assert_eq!((&applied.data["revision"], applied.id), (&json!(revision), committed.id.map(|id| id + 1)));
    drop(stream);

    api.put("ip-rules/x?wait=10s", &json!({ "action": "deny", "cidr": "192.0.2.1" })).expect(201);
    let last = committed.id.unwrap().to_string();
    for (query, fields) in [("", vec![("Last-Event-ID", last.as_str())]), (&*format!("?after={last}"), vec![])] {
        let mut again = EventStream::open(&address, &data_dir, query, &fields);
        assert_eq!(again.read(), Some(applied.clone()), "nothing twice, nothing left out");
        let next = again.read().unwrap();
        assert_eq!((next.event.as_str(), &next.data["revision"]), ("revision_committed", &json!(revision + 1)));
    }

    // Another life of the control plane: its stream ends, ids go on, and what is unknown is told.
    let mut stream = EventStream::open(&address, &data_dir, "", &[]);
    up.kill_control_plane();
    while stream.read().is_some() {}
    wait_for("the control plane is back", DEADLINE, || api.try_request("GET", "status", &[], b"").ok().map(drop));
    let mut later = EventStream::open(&address, &data_dir, "", &[("Last-Event-ID", &last)]);
    let missed = later.read().unwrap();
    assert_eq!((missed.event.as_str(), &missed.data["missed"]), ("missed", &Value::Null));
    assert!(missed.id > applied.id);
    let connected = later.find("the data plane is back", |told| told.event == "data_plane_connected");
    assert!(connected.id > applied.id);
}

#[test]
fn the_stream_ends_when_the_control_plane_is_stopped() {
    let directory = tempfile::tempdir().unwrap();
    let data_dir = directory.path().join("control");
    let mut control = ControlPlane::start(&data_dir, &[]);
    let mut stream = EventStream::open(&control.api_address(), &data_dir, "", &[]);
    assert!(control.stop().success());
    assert_eq!(stream.read(), None);
    assert!(!control.process.errors().contains("cut off"), "{}", control.process.errors());
}

/// A data plane that says what it likes.
struct Loud(UnixStream);

impl Loud {
    fn connect(control: &ControlPlane) -> Self {
        let mut loud = Self(UnixStream::connect(control.control_socket()).unwrap());
        let hello = Hello {
            protocol: VERSION,
            schema: SCHEMA,
            version: "loud".to_owned(),
            instance: InstanceId(uuid::Uuid::new_v4()),
            applied: None,
            persisted: None,
        };
        loud.say(&ToControl::Hello(hello));
        loud
    }

    fn say(&mut self, frame: &ToControl) {
        let bytes = serde_json::to_vec(frame).unwrap();
        self.0.write_all(&(bytes.len() as u32).to_be_bytes()).unwrap();
        self.0.write_all(&bytes).unwrap();
    }
}

#[test]
fn a_reader_that_is_too_slow_is_told_and_its_stream_ends() {
    let directory = tempfile::tempdir().unwrap();
    let data_dir = directory.path().join("control");
    let control = ControlPlane::start(&data_dir, &[]);
    let api = control.api();
    let number = |name: &str| {
        let metrics = String::from_utf8(api.get("/metrics").expect(200).bytes).unwrap();
        metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok()).unwrap_or_default()
    };
    let before = number("tidegate_controlplane_events ");
    let mut slow = EventStream::open(&control.api_address(), &data_dir, "", &[]);
    let mut loud = Loud::connect(&control);
    // More than the ring, and more than the buffers of two sockets.
    let (rounds, long) = (200, "x".repeat(60));
    let event: Event = serde_json::from_value(json!({
        "upstream": long, "backend": long, "address": long.repeat(2), "at": "2027-01-01T00:00:00Z", "input": "health",
        "from": long, "to": long, "reason": long,
    }))
    .unwrap();
    let report = Report { events: vec![event; Report::MAX_EVENTS], ..Report::default() };
    let report = ToControl::Report(report);
    (0..rounds).for_each(|_| loud.say(&report));
    // And that it is connected.
    let all = rounds * Report::MAX_EVENTS as u64 + 1;
    wait_for("all of it happened", DEADLINE, || {
        (number("tidegate_controlplane_events ") == before + all).then_some(())
    });

    let (mut got, mut last) = (0, None);
    let (missed, id) = loop {
        let told = slow.read().expect("it is told before the end");
        let id = told.id.expect("it says where it is");
        if told.event == "missed" {
            break (told.data["missed"].as_u64().unwrap(), id);
        }
        assert!(last.is_none_or(|last| id == last + 1), "{id} behind {last:?}");
        (got, last) = (got + 1, Some(id));
    };
    assert_eq!(slow.read(), None);
    assert!(missed > 0 && last.is_none_or(|last| id == last + missed), "{missed} between {last:?} and {id}");
    assert_eq!(number("tidegate_controlplane_event_readers_missed_total "), 1);
    wait_for("its place is free", DEADLINE, || (number("tidegate_controlplane_event_readers ") == 0).then_some(()));

    // It was told at its moment, at which perhaps not all had happened: what was lost since then it is told when it comes back, and
    // nothing of it twice. The rest is kept.
    let mut again =
        EventStream::open(&control.api_address(), &data_dir, "?follow=false", &[("Last-Event-ID", &id.to_string())]);
    let first = again.read().unwrap();
    let since = if first.event == "missed" { first.data["missed"].as_u64().unwrap() } else { 0 };
    assert_eq!(got + missed + since + 4096, all, "{got} came, {missed} were missed, {since} since then");
    let mut last = if since == 0 { id } else { first.id.unwrap() };
    assert_eq!(last, id + since);
    let mut next = if since == 0 { Some(first) } else { again.read() };
    let mut kept = 0;
    while let Some(told) = next {
        assert_eq!((told.event.as_str(), told.id), ("transition", Some(last + 1)));
        (kept, last, next) = (kept + 1, last + 1, again.read());
    }
    assert_eq!(kept, 4096);
}
