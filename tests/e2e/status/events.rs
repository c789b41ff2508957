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
    assert_eq!((missed.event.as_str(), &missed.data["missed"], missed.id), ("missed", &Value::Null, None));
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
