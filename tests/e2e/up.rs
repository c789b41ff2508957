//! `tidegate up`: two planes as children, supervised.

use std::{
    fs,
    process::Command,
    sync::{Mutex, mpsc},
    thread,
    time::Duration,
};

use harness::{DEADLINE, Origin, RawClient, Reply, Up, UpSettings, get, is_alive, wait_for};
use rustix::process::Signal;
use serde_json::json;

#[test]
fn the_first_curl_that_is_printed_works() {
    let up = Up::start();
    let output = up.process.output();
    let line = output.lines().map(str::trim).find(|line| line.starts_with("curl ")).expect("a line with a curl");
    let curl = line.replacen("curl ", "curl -sS --fail-with-body ", 1);
    let ran = Command::new("sh").args(["-c", &curl]).output().expect("a shell");
    assert!(ran.status.success(), "{curl}: {}", String::from_utf8_lossy(&ran.stderr));
    let config: serde_json::Value = serde_json::from_slice(&ran.stdout).expect("a configuration as JSON");
    assert_eq!(config["listeners"][0]["address"], json!(up.listen_address()), "{config}");
    for shown in [up.listen_address(), up.api_address(), up.admin_address(), "admin.token".to_owned()] {
        assert!(output.contains(&shown), "{shown} is not in {output}");
    }
}

#[test]
fn an_empty_directory_serves_a_listener_that_says_what_to_do() {
    let up = Up::start();
    let response = get(&up.listen_address(), "localhost", "/").unwrap();
    assert_eq!(response.status, 404);
    assert!(!response.body.is_empty());
}

#[test]
fn a_crashed_child_is_started_again() {
    let mut up = Up::start();
    let (control, data) = (up.control_plane(), up.data_plane());
    up.kill_control_plane();
    wait_for("the next control plane", DEADLINE, || (up.control_plane() != control).then_some(()));
    up.wait_until_ready();
    assert_eq!(up.data_plane(), data, "the data plane was left alone");
    up.kill_data_plane();
    wait_for("the next data plane", DEADLINE, || (up.data_plane() != data).then_some(()));
    up.wait_until_ready();
    assert_eq!(get(&up.listen_address(), "localhost", "/").unwrap().status, 404);
}

#[test]
fn sigterm_finishes_what_is_open_and_leaves_no_child() {
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let origin = Origin::start(move |_| {
        // An error means that the test is over.
        let _ = released.lock().unwrap().recv_timeout(DEADLINE);
        Reply::text("finished")
    });
    let mut up = Up::start();
    forward_everything(&up, &origin);
    let children = [up.control_plane(), up.data_plane()];

    let address = up.listen_address();
    let open = thread::spawn(move || get(&address, "localhost", "/slow"));
    wait_for("the request at the origin", DEADLINE, || (origin.connections() > 0).then_some(()));
    up.process.signal(Signal::TERM);
    wait_until_draining(&up);
    assert!(is_alive(children[0]), "the control plane stays until the data plane has drained");
    release.send(()).unwrap();

    let response = open.join().unwrap().unwrap();
    assert_eq!((response.status, response.text().as_str()), (200, "finished"));
    assert_eq!(up.process.wait(DEADLINE).code(), Some(0), "{}", up.process.story());
    for pid in children {
        assert!(!is_alive(pid), "{pid} outlived tidegate up");
    }
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let origin = Origin::start(|_| {
        Reply::script(false, |_| {
            thread::park_timeout(DEADLINE);
            Ok(())
        })
    });
    let mut up = Up::start();
    forward_everything(&up, &origin);
    let children = [up.control_plane(), up.data_plane()];
    let address = up.listen_address();
    let open = thread::spawn(move || get(&address, "localhost", "/"));
    wait_for("the request at the origin", DEADLINE, || (origin.connections() > 0).then_some(()));
    up.process.signal(Signal::INT);
    wait_until_draining(&up);
    up.process.signal(Signal::INT);
    assert_eq!(up.process.wait(Duration::from_secs(5)).code(), Some(1));
    assert!(open.join().unwrap().is_err());
    for pid in children {
        assert!(!is_alive(pid), "{pid} outlived tidegate up");
    }
}

#[test]
fn no_child_outlives_a_killed_supervisor() {
    let mut up = Up::start();
    let children = [up.control_plane(), up.data_plane()];
    up.process.kill();
    for pid in children {
        wait_for(&format!("process {pid} is gone"), DEADLINE, || (!is_alive(pid)).then_some(()));
    }
}

#[test]
fn a_file_fills_an_empty_store_and_is_refused_by_a_filled_one() {
    let directory = tempfile::tempdir().unwrap();
    let port = harness::free_port();
    let file = directory.path().join("site.yaml");
    fs::write(
        &file,
        format!("listeners: [{{ name: web, address: '127.0.0.1:{port}' }}]\nupstreams: [{{ name: a }}]\n"),
    )
    .unwrap();
    let settings = UpSettings { config: Some(file), ..UpSettings::default() };
    let mut up = Up::start_with(settings.clone());
    assert_eq!(get(&format!("127.0.0.1:{port}"), "localhost", "/").unwrap().status, 404);
    assert_eq!(up.api().get("upstreams/a").expect(200).body["name"], "a");

    // A crash is no second import.
    let control = up.control_plane();
    up.kill_control_plane();
    wait_for("the next control plane", DEADLINE, || (up.control_plane() != control).then_some(()));
    up.wait_until_ready();

    assert!(up.stop().success());
    let mut again = up.again_with(settings);
    let status = again.process.wait(DEADLINE);
    assert_ne!(status.code(), Some(0));
    let errors = again.process.errors();
    assert!(errors.contains("tidegate apply -f"), "{errors}");
}

#[test]
fn a_plane_that_cannot_start_ends_it_instead_of_being_tried_for_ever() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("bad.yaml");
    fs::write(&file, "routes: [{ name: r, action: { forward: { upstream: nobody } } }]\n").unwrap();
    let mut up = Up::start();
    assert!(up.stop().success());
    fs::remove_dir_all(up.data_dir()).unwrap();
    let mut bad = up.again_with(UpSettings { config: Some(file), ..UpSettings::default() });
    assert!(!bad.process.wait(DEADLINE).success());
    let errors = bad.process.errors();
    assert!(errors.contains("/routes/0") && errors.contains("ended before it was ready"), "{errors}");
}

#[test]
fn an_address_in_use_is_named() {
    let up = Up::start();
    let mut second = up.again_with(UpSettings::default());
    assert_eq!(second.process.wait(DEADLINE).code(), Some(1));
    let errors = second.process.errors();
    assert!(errors.contains(&up.api_address()) && errors.contains("running already"), "{errors}");
}

/// Waits until the listener takes no connection. No request is sent: the origin would keep it.
fn wait_until_draining(up: &Up) {
    let address = up.listen_address();
    wait_for("the listener closes", DEADLINE, || RawClient::connect(&address).is_err().then_some(()));
}

fn forward_everything(up: &Up, origin: &Origin) {
    let api = up.api();
    let backends = json!([{ "name": "a", "address": origin.address() }]);
    api.post("upstreams", &json!({ "name": "u", "backends": backends })).expect(201);
    api.post("routes?wait=10s", &json!({ "name": "r", "action": { "forward": { "upstream": "u" } } })).expect(201);
}
