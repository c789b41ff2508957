//! The cap of an HTTP/2 backend's connections, and who waits at it.

use std::sync::{Mutex, mpsc};

use harness::{
    DEADLINE,
    h2::{Frame, H2Origin},
    wait_for,
};
use serde_json::json;

use super::{MAX_STREAMS, OK};
use crate::site::{Site, one_upstream};

#[test]
fn the_cap_of_a_backend_and_the_settings_of_its_pool_hold() {
    let origin =
        H2Origin::start(&[], |request, stream| stream.answer(OK, request.connection.to_string().as_bytes(), &[]));
    let start = |backend: serde_json::Value, pool: serde_json::Value| {
        let mut config = one_upstream([(origin.address(), 1)].into_iter(), json!({}));
        config["upstreams"][0]["protocol"] = json!("h2c");
        config["upstreams"][0]["pool"] = pool;
        for (name, value) in backend.as_object().unwrap() {
            config["upstreams"][0]["backends"][0][name] = value.clone();
        }
        config["listeners"] = json!([{ "name": "web", "allow_h2c": true }]);
        Site::start(config)
    };
    // Both workers come by the one connection that may be open: an idle one of the other makes room.
    let capped = start(json!({ "max_connections": 1 }), json!({}));
    for turn in 0..30 {
        assert_eq!(capped.h2_client().get("/x").unwrap().status(), 200, "{turn}");
    }
    // A connection takes two requests and no more.
    let spent = start(json!({}), json!({ "max_requests": 2 }));
    let mut client = spent.h2_client();
    let served: Vec<String> = (0..6).map(|_| client.get("/x").unwrap().text()).collect();
    assert!(served[0] == served[1] && served[1] != served[2] && served[2] == served[3], "{served:?}");
    // One that is idle too long is closed.
    let idle = start(json!({}), json!({ "idle_timeout": "100ms" }));
    assert_eq!(idle.h2_client().get("/x").unwrap().status(), 200);
    drop((capped, spent));
    wait_for("the idle connection is closed", DEADLINE, || (origin.open_connections() == 0).then_some(()));
    assert_eq!(idle.h2_client().get("/x").unwrap().status(), 200);
}

/// A backend that takes more requests than before says so by SETTINGS alone: who waited at its cap went on waiting.
#[test]
fn who_waits_at_the_cap_learns_that_the_backend_takes_more() {
    let (raise, raised) = mpsc::channel();
    let raised = Mutex::new(raised);
    let origin = H2Origin::eager(&[(MAX_STREAMS, 1)], move |request, stream| match request.is_ended {
        true => stream.answer(OK, request.field(":path").as_bytes(), &[]),
        false => {
            raised.lock().unwrap().recv_timeout(DEADLINE).unwrap();
            stream.frame(&Frame::settings(&[(MAX_STREAMS, 2)]))
        }
    });
    let mut config = one_upstream([(origin.address(), 1)].into_iter(), json!({ "timeouts": { "connect": "20s" } }));
    config["upstreams"][0]["protocol"] = json!("h2c");
    config["upstreams"][0]["backends"][0]["max_connections"] = json!(1);
    config["listeners"] = json!([{ "name": "web", "allow_h2c": true }]);
    let site = Site::with_workers(1, config);
    let mut client = site.h2_client();
    let first = client.begin("POST", "/first", &[], false).unwrap();
    wait_for("the first request is there", DEADLINE, || (origin.connections() == 1).then_some(()));
    let second = client.begin("GET", "/second", &[], true).unwrap();
    let waits = "tidegate_backend_connection_waits_total{upstream=\"up\",backend=\"b0\"} 1\n";
    wait_for("the second one waits", DEADLINE, || site.plane.metrics().contains(waits).then_some(()));
    raise.send(()).unwrap();
    assert_eq!(client.response(second).unwrap().text(), "/second");
    client.send_data(first, *b"x", true).unwrap();
    assert_eq!(client.response(first).unwrap().text(), "/first");
}
