//! All endpoints of an upstream fail their checks.

use std::{
    sync::{Condvar, Mutex},
    time::Duration,
};

use harness::{Load, Plan};

use super::*;

#[test]
fn when_all_fail_all_are_used_or_none() {
    let is_well = Arc::new(AtomicBool::new(false));
    let origins = [backend(&is_well), backend(&is_well)];
    let addresses: Vec<&str> = origins.iter().map(Origin::address).collect();
    let site = site(&addresses, &json!({ "http": { "path": "/healthz" } }));
    // All the while: the last one that fails is never kept out.
    wait_for("both are in panic", DEADLINE, || {
        assert_eq!(get(&site.address, "h", "/").unwrap().status, 200);
        ["b0", "b1"].iter().all(|name| site.endpoint("up", name)["state"] == "panic").then_some(())
    });
    let status: Value =
        serde_json::from_str(&get(&site.plane.admin_address(), "h", "/status").unwrap().text()).unwrap();
    assert_eq!(status["upstreams"][0]["panic"], true);

    site.reconfigure(|config| config["upstreams"][0]["health_check"]["panic"] = json!(false));
    wait_for_state(&site, "b0", "unhealthy");
    wait_for_state(&site, "b1", "unhealthy");
    let answer = get(&site.address, "h", "/").unwrap();
    assert_eq!(answer.status, 503);
    assert!(site.plane.metrics().contains(r#"tidegate_generated_responses_total{reason="no_backend"} 1"#));

    is_well.store(true, SeqCst);
    wait_for_state(&site, "b0", "serving");
    assert_eq!(get(&site.address, "h", "/").unwrap().status, 200);
}

#[test]
fn a_single_backend_whose_checks_are_too_slow_serves_all_the_while() {
    let hold = Arc::new((Mutex::new(true), Condvar::new()));
    let held = Arc::clone(&hold);
    let origin = Origin::start(move |request| {
        if request.target() == "/healthz" {
            let _free = held.1.wait_while(held.0.lock().unwrap(), |is_held| *is_held);
        }
        Reply::text("good")
    });
    let check = json!({ "http": { "path": "/healthz" }, "timeout": "200ms" });
    let site = site(&[origin.address()], &check);
    let plan = Plan {
        address: site.address.clone(),
        host: "h".to_owned(),
        path: "/".to_owned(),
        kept: 2,
        fresh: 1,
        pause: Duration::from_millis(1),
    };
    let load = Load::start(&plan, |response| response.status.to_string());
    let shown = wait_for_state(&site, "b0", "panic");
    assert_eq!(
        (&shown["reason"], &shown["health"]["state"]),
        (&json!("all_unhealthy"), &json!("unhealthy")),
        "{shown}"
    );
    assert_eq!(shown["health"]["last_check"]["detail"], "no answer within 200ms", "{shown}");
    let failed = || {
        let start = r#"tidegate_health_checks_total{upstream="up",backend="b0",result="failed"} "#;
        let text = site.plane.metrics();
        text.lines().find_map(|line| line.strip_prefix(start)).map_or(0, |count| count.parse::<u32>().unwrap())
    };
    wait_for("ten checks were too slow", DEADLINE, || (failed() >= 10).then_some(()));
    *hold.0.lock().unwrap() = false;
    hold.1.notify_all();
    wait_for_state(&site, "b0", "serving");
    load.stop().expect_only(&["200"]);
    assert_eq!(site.endpoint("up", "b0")["health"]["state"], "healthy");
}
