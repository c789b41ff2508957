//! Backends that are named by DNS: their addresses become endpoints, and change without a failed request.

use std::{
    collections::BTreeSet,
    fs,
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use harness::{
    DEADLINE, Data, DnsServer, FastClient, FastOrigin, Habits, Load, Mood, Origin, Plan, RawResponse, Reply, get, rest,
    wait_for,
};
use serde_json::{Value, json};

use crate::site::Site;

const GET: &str = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
/// The least that can be set.
const FLOOR: Duration = Duration::from_secs(1);
const NAME: &str = "app.test";

/// Origins at these last bytes of `127.0.1.x`, all on one port, each answering with its byte.
fn origins<const N: usize>(bytes: [u8; N]) -> (u16, [Origin; N]) {
    let at = |byte: u8, port| {
        Origin::at(SocketAddr::new(ip(byte).parse().unwrap(), port), move |_| Reply::text(byte.to_string()))
    };
    let first = at(bytes[0], 0);
    let port = first.address().rsplit(':').next().unwrap().parse().unwrap();
    let mut first = Some(first);
    (port, bytes.map(|byte| first.take().unwrap_or_else(|| at(byte, port))))
}

fn ip(byte: u8) -> String {
    format!("127.0.1.{byte}")
}

/// One upstream of these backends, by names that `dns` resolves.
fn config(dns: &DnsServer, backends: &[Value]) -> Value {
    let backends: Vec<Value> = backends
        .iter()
        .enumerate()
        .map(|(index, backend)| {
            let mut backend = backend.clone();
            backend["name"] = json!(format!("b{index}"));
            backend
        })
        .collect();
    json!({
        "settings": { "dns": { "servers": [dns.address()], "min_ttl": "1s", "timeout": "500ms" } },
        "upstreams": [{ "name": "up", "backends": backends }],
        "routes": [{ "name": "all", "action": { "forward": { "upstream": "up" } } }],
    })
}

fn of_name(dns: &DnsServer, port: u16) -> Site {
    Site::start(config(dns, &[json!({ "address": format!("{NAME}:{port}") })]))
}

fn reconfigure(site: &Site, change: impl FnOnce(&mut Value)) {
    let file = site.directory.path().join("config.json");
    let mut config: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    change(&mut config);
    let next = file.with_extension("new");
    fs::write(&next, config.to_string()).unwrap();
    fs::rename(next, file).unwrap();
    let applied = metric(site, "tidegate_snapshots_applied_total");
    site.plane.reload();
    wait_for("the change acts", DEADLINE, || {
        (metric(site, "tidegate_snapshots_applied_total") > applied).then_some(())
    });
}

fn metric(site: &Site, name: &str) -> Option<String> {
    let text = site.plane.metrics();
    text.lines().find_map(|line| line.strip_prefix(name)).map(|rest| rest.trim().to_owned())
}

/// The endpoints as the data plane shows them.
fn endpoints(site: &Site) -> Vec<Value> {
    let admin = site.plane.admin_address();
    let status: Value = serde_json::from_str(&get(&admin, &admin, "/status").unwrap().text()).unwrap();
    status["upstreams"][0]["endpoints"].as_array().unwrap().clone()
}

fn addresses(site: &Site) -> BTreeSet<String> {
    endpoints(site).iter().map(|endpoint| endpoint["address"].as_str().unwrap().to_owned()).collect()
}

fn wait_for_addresses(site: &Site, port: u16, bytes: &[u8]) {
    let expected = bytes.iter().map(|byte| format!("{}:{port}", ip(*byte))).collect();
    wait_for(&format!("the addresses {bytes:?}"), DEADLINE, || (addresses(site) == expected).then_some(()));
}

fn load(site: &Site) -> Load {
    let plan = Plan {
        address: site.address.clone(),
        host: "h".to_owned(),
        path: "/".to_owned(),
        kept: 3,
        fresh: 2,
        pause: Duration::from_millis(2),
    };
    Load::start(&plan, RawResponse::text)
}

/// How many queries there may have been of one name since `began`: one for each family in each interval, with one at the start
/// and retries of each.
fn most_queries(began: Instant) -> usize {
    let rounds = began.elapsed().as_millis() / FLOOR.as_millis() + 2;
    usize::try_from(rounds).unwrap() * 2
}

/// Flips the answer each second for so many of them.
fn flip(seconds: usize) {
    let dns = DnsServer::start();
    let (port, _origins) = origins([1, 2, 3]);
    dns.set_addresses(NAME, &[&ip(1)], 1);
    let began = Instant::now();
    let site = of_name(&dns, port);
    let load = load(&site);
    let answers: [&[u8]; 4] = [&[2], &[1, 2, 3], &[3], &[1]];
    for turn in 0..seconds {
        rest(FLOOR);
        let ips: Vec<String> = answers[turn % answers.len()].iter().map(|byte| ip(*byte)).collect();
        dns.set_addresses(NAME, &ips.iter().map(String::as_str).collect::<Vec<_>>(), 1);
    }
    let tally = load.stop();
    tally.expect_only(&["1", "2", "3"]);
    assert_eq!(tally.counts.len(), 3, "all were seen: {tally}");
    let queries = dns.queries().len();
    assert!(queries <= most_queries(began), "{queries} queries in {:?}", began.elapsed());
    wait_for_addresses(&site, port, answers[(seconds - 1) % answers.len()]);
    // What is no endpoint any more has no open connection, and nothing is left of it.
    wait_for("connections to one endpoint only", DEADLINE, || {
        let idle = metric(&site, r#"tidegate_backend_connections_open{upstream="up",backend="b0",state="busy"}"#);
        (idle.as_deref() == Some("0")).then_some(())
    });
    assert!(site.plane.metrics().contains("tidegate_panics_total 0"));
}

#[test]
fn answers_that_flip_each_second_fail_no_request() {
    let minute = std::env::var_os("TIDEGATE_DNS_MINUTE").is_some();
    flip(if minute { 60 } else { 20 });
}

#[test]
fn a_dead_a_failing_and_a_forgetful_dns_server_take_nothing_away() {
    let dns = DnsServer::start();
    let (port, _origins) = origins([11, 12]);
    dns.set_addresses(NAME, &[&ip(11)], 1);
    let site = of_name(&dns, port);
    let load = load(&site);
    let lookups = |result: &str| {
        let text = metric(&site, &format!(r#"tidegate_dns_lookups_total{{result="{result}"}}"#)).unwrap();
        text.parse::<u64>().unwrap()
    };
    wait_for("an answer", DEADLINE, || (lookups("ok") > 0).then_some(()));
    for (mood, result, seconds) in
        [(Mood::Silent, "timeout", 10), (Mood::Failing, "failed", 0), (Mood::Forgetful, "empty", 0)]
    {
        let (began, before, queries) = (Instant::now(), lookups(result), dns.queries().len());
        dns.be(mood);
        wait_for(result, 3 * DEADLINE, || (lookups(result) > before).then_some(()));
        while began.elapsed() < Duration::from_secs(seconds) {
            rest(FLOOR / 10);
        }
        assert_eq!(addresses(&site), BTreeSet::from([format!("{}:{port}", ip(11))]), "{mood:?}");
        // Each question is put at most twice.
        let asked = dns.queries().len() - queries;
        assert!(asked <= 2 * most_queries(began), "{asked} queries in {:?}", began.elapsed());
    }
    dns.be(Mood::Well);
    dns.set_addresses(NAME, &[&ip(12)], 1);
    wait_for("the new address", 3 * DEADLINE, || {
        (addresses(&site) == BTreeSet::from([format!("{}:{port}", ip(12))])).then_some(())
    });
    let age = metric(&site, &format!(r#"tidegate_dns_age_seconds{{name="{NAME}"}}"#)).unwrap();
    assert!(age.parse::<f64>().unwrap() < DEADLINE.as_secs_f64(), "{age}");
    load.stop().expect_only(&["11", "12"]);
}

#[test]
fn a_name_with_200_addresses_has_200_endpoints() {
    let dns = DnsServer::start();
    let origin = FastOrigin::at(Ipv4Addr::UNSPECIFIED, Habits::default());
    let port: u16 = origin.address().rsplit(':').next().unwrap().parse().unwrap();
    let all: Vec<u8> = (1..=200).collect();
    let ips: Vec<String> = all.iter().map(|byte| ip(*byte)).collect();
    dns.set_addresses(NAME, &ips.iter().map(String::as_str).collect::<Vec<_>>(), 1);
    let site = of_name(&dns, port);
    wait_for_addresses(&site, port, &all);
    assert!(dns.queries().iter().any(|query| query.is_tcp), "the answer does not fit into a datagram");
    let shown = r#"tidegate_backend_addresses{upstream="up",backend="b0"}"#;
    assert_eq!(metric(&site, shown).as_deref(), Some("200"));
    let mut client = FastClient::new(&site.address);
    for _ in 0..400 {
        assert_eq!(client.ask(GET.as_bytes()).unwrap(), 200);
    }
    for endpoint in endpoints(&site) {
        assert_eq!(endpoint["load"]["requests"], 2, "in turn: {endpoint}");
        assert!((endpoint["weight"].as_f64().unwrap() - 1.0 / 200.0).abs() < 1e-9, "{endpoint}");
    }
    let load = load(&site);
    dns.set_addresses(NAME, &[&ip(7)], 1);
    wait_for_addresses(&site, port, &[7]);
    dns.set_addresses(NAME, &ips.iter().map(String::as_str).collect::<Vec<_>>(), 1);
    wait_for_addresses(&site, port, &all);
    let tally = load.stop();
    assert!(tally.failures.is_empty() && tally.counts.len() == 1, "{tally}");
    // What stayed kept its state, what was gone began anew.
    let requests = |byte: u8| {
        let address = format!("{}:{port}", ip(byte));
        let all = endpoints(&site);
        let endpoint = all.iter().find(|endpoint| endpoint["address"] == address.as_str()).unwrap();
        endpoint["load"]["requests"].as_u64().unwrap()
    };
    assert!(requests(7) > requests(8), "{} {}", requests(7), requests(8));
}

#[test]
fn requests_under_way_to_an_address_that_goes_are_finished() {
    let dns = DnsServer::start();
    let (port, [_first]) = origins([21]);
    let (release, released) = std::sync::mpsc::channel::<()>();
    let released = std::sync::Mutex::new(released);
    let slow = Origin::at(SocketAddr::new(ip(22).parse().unwrap(), port), move |_| {
        // A failed test drops the sender.
        let _ = released.lock().unwrap().recv();
        Reply::text("22")
    });
    dns.set_addresses(NAME, &[&ip(22)], 1);
    let site = of_name(&dns, port);
    let mut client = site.client();
    client.send(GET).unwrap();
    wait_for("the request", DEADLINE, || (slow.connections() == 1).then_some(()));
    dns.set_addresses(NAME, &[&ip(21)], 1);
    wait_for_addresses(&site, port, &[21]);
    assert_eq!(site.client().ask(GET).unwrap().text(), "21");
    drop(release);
    assert_eq!(client.read_response().unwrap().text(), "22");
    assert_eq!(client.ask(GET).unwrap().text(), "21");
}

#[test]
fn a_name_without_an_answer_is_503_until_it_has_one_and_refuses_no_configuration() {
    let dns = DnsServer::start();
    let (port, _origins) = origins([31]);
    let site = of_name(&dns, port);
    assert_eq!(site.client().ask(GET).unwrap().status, 503);
    assert_eq!(site.logged("/")["reason"], "no_backend");
    dns.set_addresses(NAME, &[&ip(31)], 1);
    wait_for_addresses(&site, port, &[31]);
    assert_eq!(site.client().ask(GET).unwrap().text(), "31");
    // A name that is new serves as soon as its configuration acts.
    dns.set_addresses("other.test", &[&ip(31)], 300);
    reconfigure(&site, |config| config["upstreams"][0]["backends"][0]["address"] = json!(format!("other.test:{port}")));
    assert_eq!(site.client().ask(GET).unwrap().text(), "31");
}

#[test]
fn a_service_is_resolved_to_the_hosts_of_its_lowest_priority_by_their_weights() {
    let dns = DnsServer::start();
    let (port, _origins) = origins([41, 42, 43]);
    let service = |priority, weight, target: &str| Data::Service { priority, weight, port, target: target.to_owned() };
    let name = "_http._tcp.app.test";
    for byte in [41, 42, 43] {
        dns.set_addresses(&format!("h{byte}.test"), &[&ip(byte)], 1);
    }
    let records = [service(10, 3, "h41.test"), service(10, 1, "h42.test"), service(20, 1, "h43.test")];
    dns.set(name, records.clone(), 1);
    let site = Site::start(config(&dns, &[json!({ "address": format!("srv:{name}"), "weight": 2 })]));
    wait_for_addresses(&site, port, &[41, 42]);
    let mut client = site.client();
    let answers: Vec<String> = (0..8).map(|_| client.ask(GET).unwrap().text()).collect();
    assert_eq!(answers.iter().filter(|answer| *answer == "41").count(), 6, "{answers:?}");
    let weights: Vec<f64> = endpoints(&site).iter().map(|endpoint| endpoint["weight"].as_f64().unwrap()).collect();
    assert_eq!(weights, [1.5, 0.5]);

    let load = load(&site);
    // The hosts of the first priority have no addresses any more; then there is no service at all.
    dns.set("h41.test", [], 1);
    dns.set("h42.test", [], 1);
    wait_for_addresses(&site, port, &[43]);
    dns.set(name, [service(0, 0, ".")], 1);
    let empty = r#"tidegate_dns_lookups_total{result="empty"}"#;
    wait_for("no service", DEADLINE, || (metric(&site, empty).unwrap() != "0").then_some(()));
    assert_eq!(site.client().ask(GET).unwrap().text(), "43");
    load.stop().expect_only(&["41", "42", "43"]);
}

#[test]
fn a_family_that_cannot_be_reached_fails_no_request() {
    let dns = DnsServer::start();
    let origin = Origin::named("a");
    let port = origin.address().rsplit(':').next().unwrap();
    // A documentation prefix, and this host itself, where nothing listens on that port.
    dns.set_addresses("app.test", &["127.0.0.1", "2001:db8::1", "::1"], 1);
    let backends =
        [json!({ "address": format!("app.test:{port}") }), json!({ "address": format!("localhost:{port}") })];
    let site = Site::start(config(&dns, &backends));
    wait_for("one address each", DEADLINE, || {
        let all: Vec<_> = endpoints(&site);
        (all.len() == 2 && all.iter().all(|endpoint| endpoint["address"] == origin.address())).then_some(())
    });
    let load = load(&site);
    let answered = |count: usize| dns.queries().iter().filter(|query| query.kind == 28).count() > count;
    let before = dns.queries().len();
    wait_for("further answers", DEADLINE, || answered(before + 2).then_some(()));
    load.stop().expect_only(&["a"]);
    assert!(dns.queries().iter().all(|query| query.name != "localhost"));
}

#[test]
fn names_are_asked_for_once_however_many_share_them_and_as_long_as_they_are_used() {
    let dns = DnsServer::start();
    let (port, _origins) = origins([51]);
    for name in ["shared.test", "gone.test", "kept.test"] {
        dns.set_addresses(name, &[&ip(51)], 1);
    }
    let backend = |name: &str, port: u16| json!({ "address": format!("{name}:{port}") });
    let shared = (0..20).map(|offset| backend("shared.test", port.saturating_sub(offset).max(1)));
    let others = [backend("gone.test", port), backend("kept.test", port)];
    let site = Site::start(config(&dns, &shared.chain(others).collect::<Vec<_>>()));
    let asked = |name: &str| dns.queries().iter().filter(|query| query.name == name).count();
    wait_for("a few rounds", DEADLINE, || (asked("kept.test") >= 6).then_some(()));
    assert!(asked("shared.test") <= asked("kept.test") + 4, "{} {}", asked("shared.test"), asked("kept.test"));

    reconfigure(&site, |config| {
        let backends = config["upstreams"][0]["backends"].as_array_mut().unwrap();
        backends.retain(|backend| backend["address"].as_str().unwrap().starts_with("kept"));
    });
    // What was under way may still come.
    let settled = asked("kept.test");
    wait_for("another round", DEADLINE, || (asked("kept.test") >= settled + 4).then_some(()));
    let (gone, shared, kept) = (asked("gone.test"), asked("shared.test"), asked("kept.test"));
    wait_for("three more", DEADLINE, || (asked("kept.test") >= kept + 6).then_some(()));
    assert_eq!((asked("gone.test"), asked("shared.test")), (gone, shared));
    assert!(metric(&site, r#"tidegate_dns_age_seconds{name="gone.test"}"#).is_none());
    assert_eq!(endpoints(&site).len(), 1);
}

#[test]
fn the_cap_of_a_backend_holds_over_all_its_addresses() {
    let dns = DnsServer::start();
    let origin = FastOrigin::at(Ipv4Addr::UNSPECIFIED, Habits::default());
    let port = origin.address().rsplit(':').next().unwrap();
    let three = [ip(61), ip(62), ip(63)];
    dns.set_addresses(NAME, &three.each_ref().map(String::as_str), 1);
    let site = Site::start(config(&dns, &[json!({ "address": format!("{NAME}:{port}"), "max_connections": 2 })]));
    wait_for("three endpoints", DEADLINE, || (endpoints(&site).len() == 3).then_some(()));
    let load = load(&site);
    for turn in 0..6_usize {
        rest(FLOOR / 2);
        dns.set_addresses(NAME, &three.each_ref().map(String::as_str)[..=turn % 3], 1);
    }
    let tally = load.stop();
    assert!(tally.failures.is_empty() && tally.counts.len() == 1, "{tally}");
    assert!(origin.most_open() <= 2, "{} connections at a cap of 2", origin.most_open());
    assert!(origin.requests() > 0);
}
