//! Backends are deployed one after another under load, with sticky sessions, through the real control plane: no request fails, and
//! no client leaves a backend that is not being deployed.

use std::{
    net::SocketAddr,
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use harness::{DEADLINE, Origin, RawClient, RawResponse, Reply, Up, binary, get, rest, wait_for};
use serde_json::{Value, json};
use shared::value::Timestamp;

const BACKENDS: usize = 5;
/// Clients that stay where they are, by their cookies.
const SESSIONS: usize = 8;
/// Stands for no backend.
const NONE: usize = usize::MAX;

/// A backend that names itself and takes a moment for each request.
fn backend(address: SocketAddr, index: usize) -> Origin {
    Origin::at(address, move |_| {
        rest(Duration::from_millis(2));
        Reply::text(index.to_string())
    })
}

/// What clients and the deployment tell each other.
#[derive(Default)]
struct Stage {
    /// The backend that is being deployed.
    current: AtomicUsize,
    is_over: AtomicBool,
    /// Responses of all clients.
    responses: AtomicUsize,
    faults: Mutex<Vec<String>>,
}

impl Stage {
    fn fault(&self, text: String) {
        self.faults.lock().unwrap().push(text);
    }

    /// Sends requests as one client until it is over; the one that `keeps` its cookie stays at its backend.
    fn client(&self, address: &str, keeps: bool) {
        let mut client = RawClient::connect(address).unwrap();
        let (mut cookie, mut at) = (String::new(), NONE);
        for turn in 0.. {
            if self.is_over.load(Ordering::SeqCst) {
                return;
            }
            let before = self.current.load(Ordering::SeqCst);
            let (method, body) = [("GET", ""), ("POST", "abc")][turn % 2];
            let length = body.len();
            let request =
                format!("{method} / HTTP/1.1\r\nHost: h\r\nCookie: {cookie}\r\nContent-Length: {length}\r\n\r\n{body}");
            let response = match client.ask(&request) {
                Ok(response) if response.status == 200 => response,
                failed => return self.fault(format!("{method} while {before} was deployed: {failed:?}")),
            };
            self.responses.fetch_add(1, Ordering::SeqCst);
            if !keeps {
                continue;
            }
            let here: usize = response.text().parse().unwrap();
            let deployed = [before, self.current.load(Ordering::SeqCst)];
            if at != NONE && at != here && !deployed.contains(&at) {
                self.fault(format!("a session left {at} for {here} while {deployed:?} was deployed"));
            }
            match given(&response) {
                Some(given) => cookie = given,
                None if at != here => self.fault(format!("a session went from {at} to {here} without a cookie")),
                None => {}
            }
            at = here;
        }
    }
}

fn given(response: &RawResponse) -> Option<String> {
    Some(response.field("set-cookie")?.split(';').next()?.to_owned())
}

/// What the data plane itself says of a backend now.
fn endpoint(up: &Up, index: usize) -> Value {
    let whole: Value = serde_json::from_str(&get(&up.admin_address(), "h", "/status").unwrap().text()).unwrap();
    let endpoints = whole["upstreams"][0]["endpoints"].as_array().unwrap();
    endpoints.iter().find(|endpoint| endpoint["backend"] == format!("b{index}")).unwrap().clone()
}

/// Asks for another admin state, by the command or by the API, and waits until it acts.
fn set_state(up: &Up, verb: &str, index: usize, by_command: bool) {
    let is_drain = verb == "drain";
    if !by_command {
        let body = if is_drain { json!({ "deadline": "200ms" }) } else { json!({}) };
        up.api().post(&format!("upstreams/shop/backends/b{index}/{verb}?wait=10s"), &body).expect(200);
        return;
    }
    let mut command = Command::new(binary());
    command.args([verb, "shop", &format!("b{index}")]);
    if is_drain {
        command.args(["--deadline", "200ms"]);
    }
    command.args(["--wait", "10s", "--api", &format!("http://{}", up.api_address())]);
    let output = command.arg("--token-file").arg(up.data_dir().join("admin.token")).output().unwrap();
    assert!(output.status.success(), "{verb}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_rolling_deploy_fails_no_request_and_moves_no_session_of_a_live_backend() {
    let any = "127.0.0.1:0".parse().unwrap();
    let mut origins: Vec<Option<Origin>> = (0..BACKENDS).map(|index| Some(backend(any, index))).collect();
    let addresses: Vec<String> = origins.iter().map(|origin| origin.as_ref().unwrap().address().to_owned()).collect();
    let up = Up::start();
    let web = up.listen_address();
    let backends = addresses.iter().enumerate();
    let backends = backends.map(|(index, address)| json!({ "name": format!("b{index}"), "address": address }));
    let config = json!({
        "listeners": [{ "name": "web", "address": web }],
        "upstreams": [{ "name": "shop", "sticky": {}, "backends": backends.collect::<Vec<_>>() }],
        "routes": [{ "name": "r", "action": { "forward": { "upstream": "shop" } } }],
    });
    up.api().put("config?wait=10s", &config).expect(200);

    let stage = Stage { current: AtomicUsize::new(NONE), ..Stage::default() };
    thread::scope(|scope| {
        for index in 0..SESSIONS + 2 {
            let (stage, web) = (&stage, &web);
            scope.spawn(move || stage.client(web, index < SESSIONS));
        }
        // Whatever happens, the clients end.
        let deployed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for (index, origin) in origins.iter_mut().enumerate() {
                let by_command = index % 2 == 0;
                wait_for("each backend has requests", DEADLINE, || {
                    (!origin.as_ref().unwrap().received().is_empty()).then_some(())
                });
                stage.current.store(index, Ordering::SeqCst);
                set_state(&up, "drain", index, by_command);
                let shown = up.api().get(&format!("upstreams/shop/backends/b{index}")).expect(200).body;
                assert_eq!(shown["state"], "draining");
                let until: Timestamp = shown["drain_until"].as_str().unwrap().parse().unwrap();
                wait_for("its sessions have moved and its requests are over", DEADLINE, || {
                    (Timestamp::now() > until && endpoint(&up, index)["load"]["in_flight"] == 0).then_some(())
                });
                if by_command {
                    set_state(&up, "disable", index, by_command);
                    assert_eq!(endpoint(&up, index)["state"], "disabled");
                }
                drop(origin.take());
                let before = stage.responses.load(Ordering::SeqCst);
                wait_for("the others serve meanwhile", DEADLINE, || {
                    (stage.responses.load(Ordering::SeqCst) > before + 50).then_some(())
                });
                *origin = Some(backend(addresses[index].parse().unwrap(), index));
                set_state(&up, "enable", index, by_command);
                stage.current.store(NONE, Ordering::SeqCst);
            }
            for origin in &origins {
                wait_for("all serve again", DEADLINE, || {
                    (!origin.as_ref().unwrap().received().is_empty()).then_some(())
                });
            }
        }));
        stage.is_over.store(true, Ordering::SeqCst);
        deployed.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
    let faults = stage.faults.into_inner().unwrap();
    assert!(faults.is_empty(), "{} faults of {:?} responses: {faults:#?}", faults.len(), stage.responses);
    let metrics = up.metrics();
    for (name, label) in [("retries", "result=\"made\""), ("backend_failures", "")] {
        let of_name = |line: &&str| line.starts_with(&format!("tidegate_{name}_total{{")) && line.contains(label);
        let lines: Vec<&str> = metrics.lines().filter(of_name).collect();
        assert!(!lines.is_empty() && lines.iter().all(|line| line.ends_with(" 0")), "{lines:#?}");
    }
}
