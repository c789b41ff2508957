use super::*;

/// The command with `arguments`, for the API of `up`.
fn tidegate(up: &Up, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.args(arguments).args(["--api", &format!("http://{}", up.api_address())]);
    command.arg("--token-file").arg(up.data_dir().join("admin.token"));
    command
}

/// What the command prints, and its exit code.
fn output(up: &Up, arguments: &[&str]) -> (String, Option<i32>) {
    let output = tidegate(up, arguments).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    (text, output.status.code())
}

#[test]
fn a_backend_that_dies_is_the_same_story_in_the_stream_the_status_the_commands_the_log_and_the_metric() {
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let up = Up::start();
    let (api, web) = (up.api(), up.listen_address());
    let mut config = site(&web, &[a.address(), b.address()]);
    config["upstreams"][0]["breaker"] = json!({ "sliding_window_size": 4, "minimum_number_of_calls": 4 });
    api.put("config?wait=10s", &config).expect(200);
    let mut stream = EventStream::open(&up.api_address(), &up.data_dir(), "?upstream=shop", &[]);
    get(&web, "h", "/").unwrap();
    let all_well = wait_for("all is well", DEADLINE, || {
        let (text, code) = output(&up, &["status"]);
        (code == Some(0) && text.contains("serving")).then_some(text)
    });
    assert!(all_well.contains("all well") && all_well.contains(b.address()), "{all_well}");

    let address = b.address().to_owned();
    drop(b);
    wait_for("its breaker opens", DEADLINE, || {
        let _ = get(&web, "h", "/");
        let status = api.get("upstreams/shop/status").expect(200).body;
        (status["data_planes"][0]["endpoints"][1]["state"] == "breaker_open").then_some(())
    });
    let opened = stream.find("the breaker opened", |told| told.data["input"] == "breaker" && told.data["to"] == "open");
    assert_eq!((&opened.data["backend"], &opened.data["address"]), (&json!("b"), &json!(address)));
    let reason = opened.data["reason"].as_str().unwrap();

    let (table, code) = output(&up, &["status"]);
    assert_eq!(code, Some(1), "{table}");
    assert!(table.contains(&format!("backend b ({address}) is breaker_open since")), "{table}");
    let (one, _) = output(&up, &["status", "--upstream", "shop", "-o", "json"]);
    let one: Value = serde_json::from_str(&one).unwrap();
    let shown = &one["upstreams"][0]["data_planes"][0]["endpoints"][1];
    assert_eq!((&shown["breaker"]["state"], &shown["reason"]), (&json!("open"), &json!(reason)), "{one}");
    assert_eq!((&one["well"], shown["transitions"].as_array().unwrap().is_empty()), (&json!(false), false));
    assert_eq!(output(&up, &["status", "--upstream", "nobody"]).1, Some(1));

    let line = format!("shop/b {address} breaker closed -> open ({reason})");
    let (events, code) = output(&up, &["events", "--upstream", "shop"]);
    assert!(code == Some(0) && events.contains(&line), "{events}");
    let (behind, _) = output(&up, &["events", "--after", &opened.id.unwrap().to_string()]);
    assert!(!behind.contains(&line), "{behind}");
    let (json, _) = output(&up, &["events", "-o", "json"]);
    let told: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(told.contains(&opened.data), "{json}");

    let metric = r#"tidegate_endpoint_transitions_total{upstream="shop",backend="b",input="breaker",to="open"} 1"#;
    assert!(up.metrics().contains(metric), "{}", up.metrics());
    let log = up.process.errors() + &up.process.output();
    let logged = |line: &str| line.contains("an endpoint's state changed") && line.contains(reason);
    assert!(log.lines().any(logged), "{log}");
}

#[test]
fn a_watch_goes_on_until_it_is_interrupted() {
    let up = Up::start();
    for (arguments, mark) in
        [(&["status", "--watch"][..], "revision "), (&["status", "-w", "-o", "json"], "{\"data_planes\"")]
    {
        let mut watch = Process::spawn("the watch", tidegate(&up, arguments));
        let process = &mut watch;
        let mut seen = String::new();
        wait_for("it is shown again", DEADLINE, || {
            seen = process.output();
            (seen.matches(mark).count() >= 2).then_some(())
        });
        assert!(!seen.contains('\x1b'), "no terminal, no control sequences: {seen}");
        watch.signal(Signal::INT);
        assert!(watch.wait(DEADLINE).success(), "{}", watch.story());
    }
}

#[test]
fn events_are_followed_over_a_restart_of_the_control_plane() {
    let up = Up::start();
    let api = up.api();
    let mut follow = Process::spawn("tidegate events", tidegate(&up, &["events", "--follow"]));
    let committed = api.put("upstreams/u", &json!({})).expect(201).revision();
    follow.wait_for_output(&format!("revision {committed} committed"));
    up.kill_control_plane();
    follow.wait_for_output("the control plane was started anew");
    follow.wait_for_output("data plane connected");
    let answer = wait_for("the control plane is back", DEADLINE, || {
        api.try_request("PUT", "upstreams/v", &[("content-type", "application/json")], b"{}").ok()
    });
    follow.wait_for_output(&format!("revision {} committed", answer.expect(201).revision()));
}

#[test]
fn on_a_terminal_a_watch_draws_over_what_it_has_drawn_and_fits() {
    const ROWS: u16 = 9;
    let (a, b) = (Origin::named("a"), Origin::named("b"));
    let up = Up::start();
    let api = up.api();
    let first =
        api.put("config?wait=10s", &site(&up.listen_address(), &[a.address(), b.address()])).expect(200).revision();
    let mut watch = Terminal::start(tidegate(&up, &["status", "--watch"]), ROWS, 60);
    // One drawing after the other, each from the upper left corner.
    let last =
        |written: &str| written.rsplit("\x1b[H").find(|drawn| drawn.ends_with("\x1b[J")).unwrap_or_default().to_owned();
    wait_for("it is drawn", DEADLINE, || last(&watch.written()).contains("serving").then_some(()));
    assert!(last(&watch.written()).starts_with(&format!("revision {first}\x1b[K\r\n")), "{:?}", watch.written());

    let second = api.post("upstreams/shop/backends/b/drain?wait=10s", &json!({})).expect(200).revision();
    let drawn = wait_for("the change is drawn", DEADLINE, || {
        let drawn = last(&watch.written());
        (drawn.contains(&format!("revision {second}")) && drawn.contains("draining")).then_some(drawn)
    });
    assert!(
        drawn.lines().all(|line| line.trim_end_matches("\r").trim_end_matches("\x1b[K").chars().count() <= 60),
        "{drawn:?}"
    );

    let backends: Vec<_> =
        (0..20).map(|index| json!({ "name": format!("b{index}"), "address": a.address() })).collect();
    api.put("upstreams/many?wait=10s", &json!({ "backends": backends })).expect(201);
    let drawn = wait_for("not all fits", DEADLINE, || {
        Some(last(&watch.written())).filter(|drawn| drawn.contains("lines more than fit here"))
    });
    assert_eq!(drawn.matches("\r\n").count(), usize::from(ROWS) - 1, "{drawn:?}");
    assert_eq!(watch.written().matches("\x1b[2J").count(), 1, "the screen is cleared once");
    assert!(watch.interrupt().success());
}

#[test]
fn a_backend_is_drained_disabled_and_enabled() {
    let a = Origin::named("a");
    let up = Up::start();
    let api = up.api();
    let mut revision = api.put("config?wait=10s", &site(&up.listen_address(), &[a.address()])).expect(200).revision();
    let state = || api.get("upstreams/shop/backends/a").expect(200).body["state"].clone();
    for (arguments, shown, status) in [
        (&["drain", "shop", "a", "--deadline", "1h"][..], json!("draining"), 503),
        (&["disable", "shop", "a"], json!("disabled"), 503),
        (&["enable", "shop", "a"], json!(null), 200),
    ] {
        let (text, code) = output(&up, &[arguments, &["--dry-run"]].concat());
        assert_eq!((text.trim(), code), ("valid; nothing was changed", Some(0)), "{arguments:?}");
        revision += 1;
        let (text, code) = output(&up, arguments);
        let said = format!("revision {revision} is committed and serves traffic on every connected data plane");
        assert_eq!((text.trim(), code), (said.as_str(), Some(0)), "{arguments:?}");
        assert_eq!(state(), shown);
        assert_eq!(get(&up.listen_address(), "h", "/").unwrap().status, status);
        // What is so already makes no revision.
        let (text, code) = output(&up, &[arguments, &["-o", "json"]].concat());
        let json: Value = serde_json::from_str(&text).unwrap();
        let is_new = arguments.contains(&"--deadline");
        revision += u64::from(is_new);
        assert_eq!((&json["revision"], code), (&json!(revision), Some(0)), "{arguments:?}: {text}");
    }
    for arguments in [&["drain", "shop", "nobody"][..], &["drain", "nothing", "a"], &["enable", "shop", "nobody"]] {
        assert_eq!(output(&up, arguments).1, Some(1), "{arguments:?}");
    }
    assert_eq!(output(&up, &["drain", "shop", "a", "--deadline", "soon"]).1, Some(2));
    assert_eq!(output(&up, &["drain", "shop"]).1, Some(2));
}
