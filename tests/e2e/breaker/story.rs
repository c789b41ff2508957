//! One of three backends goes bad and recovers under load: hardly a client notices, and log, metrics, status and event stream tell
//! the same of it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use harness::{DEADLINE, EventStream, Load, Origin, Plan, Reply, Up, wait_for};
use serde_json::{Value, json};
use shared::value::Timestamp;

/// Threads of the load: so many calls may be under way when a breaker opens.
const CLIENTS: usize = 4;
const MINIMUM: usize = 10;
const TRIALS: usize = 3;
const WAIT: Duration = Duration::from_millis(500);

/// A transition in the words that all four share.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Words {
    input: String,
    from: String,
    to: String,
    reason: String,
}

impl Words {
    fn of(value: &Value) -> Self {
        let word = |name: &str| value[name].as_str().unwrap().to_owned();
        Self { input: word("input"), from: word("from"), to: word("to"), reason: word("reason") }
    }

    fn new([input, from, to, reason]: [&str; 4]) -> Self {
        let [input, from, to, reason] = [input, from, to, reason].map(str::to_owned);
        Self { input, from, to, reason }
    }

    /// What a line of the log says; none if it is about something else than `backend`.
    fn of_line(line: &str, backend: &str) -> Option<Self> {
        let word = |name: &str| {
            let (_, rest) = line.split_once(&format!(" {name}="))?;
            Some(rest.split(' ').next().unwrap_or_default().trim_matches('"').to_owned())
        };
        let is_it = line.contains("an endpoint's state changed") && word("backend").as_deref() == Some(backend);
        is_it.then(|| {
            Some(Self { input: word("input")?, from: word("from")?, to: word("to")?, reason: word("reason")? })
        })?
    }
}

/// The event stream, and what it told of `b0` so far, with when it happened.
struct Told {
    stream: EventStream,
    words: Vec<Words>,
    times: Vec<Timestamp>,
}

impl Told {
    /// Reads on until `input` of `b0` becomes `to`.
    fn until(&mut self, input: &str, to: &str) {
        loop {
            let told = self.stream.read().expect("the stream goes on");
            if told.event != "transition" {
                continue;
            }
            assert_eq!(told.data["backend"], "b0", "the others are well: {}", told.data);
            let words = Words::of(&told.data);
            let is_it = words.input == input && words.to == to;
            self.words.push(words);
            self.times.push(serde_json::from_value(told.data["at"].clone()).unwrap());
            if is_it {
                return;
            }
        }
    }

    fn count(&self, input: &str, to: &str) -> usize {
        self.words.iter().filter(|words| words.input == input && words.to == to).count()
    }

    /// How long the breaker was open each time.
    fn waits(&self) -> Vec<Duration> {
        let of_breaker = self.words.iter().zip(&self.times).filter(|(words, _)| words.input == "breaker");
        let times: Vec<_> = of_breaker.collect();
        let pairs = times.windows(2).filter(|pair| pair[0].0.to == "open");
        pairs.map(|pair| Duration::from_millis((pair[1].1.as_millis() - pair[0].1.as_millis()) as u64)).collect()
    }
}

/// How a backend goes bad.
struct Bad {
    breaker: Value,
    route: Value,
    reason: &'static str,
    reply: fn() -> Reply,
}

fn story(bad: &Bad) {
    let is_bad = Arc::new(AtomicBool::new(true));
    let failing = {
        let (is_bad, reply) = (Arc::clone(&is_bad), bad.reply);
        Origin::start(move |_| if is_bad.load(SeqCst) { reply() } else { Reply::text("well") })
    };
    let others = ["b1", "b2"].map(Origin::named);
    let up = Up::start();
    let api = up.api();
    let mut told = Told {
        stream: EventStream::open(&up.api_address(), &up.data_dir(), "?upstream=up", &[]),
        words: Vec::new(),
        times: Vec::new(),
    };
    let mut breaker = json!({
        "sliding_window_size": 2 * MINIMUM,
        "minimum_number_of_calls": MINIMUM,
        "wait_duration_in_open_state": "500ms",
        "max_wait_duration_in_open_state": "2s",
        "permitted_number_of_calls_in_half_open_state": TRIALS,
    });
    merge(&mut breaker, &bad.breaker);
    let mut route = json!({ "name": "all", "action": { "forward": { "upstream": "up" } } });
    merge(&mut route, &bad.route);
    let backends = [&failing, &others[0], &others[1]].into_iter().enumerate();
    let backends: Vec<_> =
        backends.map(|(index, origin)| json!({ "name": format!("b{index}"), "address": origin.address() })).collect();
    let config = json!({
        "listeners": [{ "name": "web", "address": up.listen_address() }],
        "upstreams": [{ "name": "up", "backends": backends, "breaker": breaker }],
        "routes": [route],
    });
    api.put("config?wait=20s", &config).expect(200);
    let plan = Plan {
        address: up.listen_address(),
        host: "h".to_owned(),
        path: "/".to_owned(),
        kept: CLIENTS,
        fresh: 0,
        pause: Duration::from_millis(2),
    };
    let load = Load::start(&plan, |response| response.status.to_string());

    // It opens within its window, and is shown so.
    told.until("effective", "breaker_open");
    let calls = failing.received().len();
    assert!((MINIMUM..=MINIMUM + CLIENTS + TRIALS).contains(&calls), "{calls} calls");
    let shown = |backend: usize| {
        let status = api.get("upstreams/up/status").expect(200).body;
        status["data_planes"][0]["endpoints"][backend].clone()
    };
    let open = wait_for("status shows it", DEADLINE, || Some(shown(0)).filter(|it| it["state"] == "breaker_open"));
    assert_eq!((&open["reason"], &open["breaker"]["state"]), (&json!(bad.reason), &json!("open")), "{open}");
    assert!(open["breaker"]["open_until"].is_string(), "{open}");
    assert_eq!((&shown(1)["state"], &shown(2)["state"]), (&json!("serving"), &json!("serving")));

    // It is tried again after the wait, by the trial calls and no more, and fails again.
    while told.count("breaker", "open") < 2 {
        told.until("effective", "breaker_open");
    }
    let calls = failing.received().len();
    is_bad.store(false, SeqCst);
    // It recovers, closes and takes requests.
    told.until("effective", "serving");
    let rounds = told.count("breaker", "half_open");
    assert!(calls <= MINIMUM + CLIENTS + TRIALS * rounds, "{calls} calls, {rounds} times half-open");
    let before = failing.received().len();
    wait_for("it takes requests", DEADLINE, || (failing.received().len() > before + 50).then_some(()));
    let tally = load.stop();
    let errors = tally.responses() - tally.counts.get("200").copied().unwrap_or_default();
    assert!(tally.failures.is_empty() && errors * 100 < tally.responses(), "{tally}");

    // The same story four times.
    let change = |from, to, reason| {
        let effective = |state| match state {
            "closed" => "serving",
            "open" => "breaker_open",
            _ => "probing",
        };
        [["breaker", from, to, reason], ["effective", effective(from), effective(to), reason]].map(Words::new)
    };
    let again = || [change("open", "half_open", "wait_over"), change("half_open", "open", bad.reason)].concat();
    let expected = [
        change("closed", "open", bad.reason).to_vec(),
        (1..rounds).flat_map(|_| again()).collect(),
        [change("open", "half_open", "wait_over"), change("half_open", "closed", "trial_calls_passed")].concat(),
    ]
    .concat();
    assert_eq!(told.words, expected);
    // Moments are told in milliseconds.
    let slack = Duration::from_millis(20);
    for (round, wait) in told.waits().into_iter().enumerate() {
        let least = WAIT * (1 << round.min(2));
        assert!(wait + slack >= least, "{wait:?} of {least:?} in round {round}");
    }
    // Status has those of the effective state, the newest first.
    let newest: Vec<Words> =
        expected.iter().rev().filter(|words| words.input == "effective").take(8).cloned().collect();
    let status = wait_for("status has the last", DEADLINE, || {
        let it = shown(0);
        (it["state"] == "serving").then_some(it)
    });
    assert_eq!(status["transitions"].as_array().unwrap().iter().map(Words::of).collect::<Vec<_>>(), newest);
    let metrics = up.metrics();
    for words in &expected {
        let Words { input, to, .. } = words;
        let line = format!(
            r#"tidegate_endpoint_transitions_total{{upstream="up",backend="b0",input="{input}",to="{to}"}} {}"#,
            told.count(input, to)
        );
        assert!(metrics.lines().any(|it| it == line), "{line} is not in {metrics}");
    }
    assert!(metrics.contains(r#"tidegate_backend_state{upstream="up",backend="b0",state="serving"} 1"#), "{metrics}");
    wait_for("the log has all lines", DEADLINE, || {
        let log = format!("{}{}", up.process.output(), up.process.errors());
        let lines: Vec<Words> = log.lines().filter_map(|line| Words::of_line(line, "b0")).collect();
        assert!(expected.starts_with(&lines), "{lines:?}");
        (lines.len() == expected.len()).then_some(())
    });
}

fn merge(into: &mut Value, further: &Value) {
    for (name, value) in further.as_object().unwrap() {
        into[name] = value.clone();
    }
}

#[test]
fn of_a_backend_that_answers_errors() {
    story(&Bad {
        breaker: json!({ "failure_statuses": ["500-599"] }),
        route: json!({ "retries": { "attempts": 1, "on": ["500-599"] } }),
        reason: "failure_rate",
        reply: || Reply::with(500, &[], "bad"),
    });
}

#[test]
fn of_a_backend_that_resets() {
    story(&Bad { breaker: json!({}), route: json!({}), reason: "failure_rate", reply: Reply::hang_up });
}

#[test]
fn of_a_backend_that_hangs() {
    story(&Bad {
        breaker: json!({}),
        route: json!({ "retries": { "per_try_timeout": "200ms" } }),
        reason: "failure_rate",
        // For longer than the proxy waits.
        reply: || {
            Reply::script(false, |_| {
                thread::park_timeout(Duration::from_secs(1));
                Ok(())
            })
        },
    });
}

#[test]
fn of_a_backend_that_is_fifty_times_slower() {
    story(&Bad {
        breaker: json!({ "slow_call_duration_threshold": "100ms", "slow_call_rate_threshold": 60 }),
        route: json!({}),
        reason: "slow_call_rate",
        reply: || {
            Reply::script(true, |stream| {
                thread::park_timeout(Duration::from_millis(150));
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood")
            })
        },
    });
}
