//! One attack, and how it is run.

use std::{fs, io::Write, thread};

use harness::{
    DEADLINE, Origin, Reply,
    h2::{Frame, H2Client},
    wait_for,
};
use serde_json::json;

use crate::site::Site;

/// The path of the attacker's requests.
pub(super) const PATH: &str = "/attack";

/// What a data plane may take, in KiB. Most of what it takes without any load are pages of its own binary.
pub(crate) const MEMORY: u64 = 64 << 10;

/// A client that goes on until its connection ends.
pub(super) struct Attack {
    /// What it is known as.
    pub(super) name: &'static str,
    /// What it sends first.
    pub(super) opening: Vec<Frame>,
    /// What it sends again and again: the round says which streams are new.
    pub(super) round: fn(u32) -> Vec<Frame>,
    /// The code of GOAWAY.
    pub(super) code: u32,
    /// The guards of which one fires; none for a breach of the protocol.
    pub(super) guards: &'static [&'static str],
    /// How many of its requests a backend may get.
    pub(super) most: usize,
}

/// No attack gets so far.
const ROUNDS: u32 = 200_000;

/// Runs all of them, each against a data plane of its own, and tells all that fail.
pub(super) fn run(attacks: &[Attack]) {
    for attack in attacks {
        attack.run();
    }
}

impl Attack {
    fn run(&self) {
        let target = Target::start();
        let mut other = target.site.h2_client();
        let mut client = target.site.h2_client();
        // An attacker reads, or the connection would be reset before it could read the last frame, but does nothing else.
        (client.acknowledges, client.opens_windows) = (false, false);
        let mut sender = client.sender().unwrap();
        let opening: Vec<u8> = self.opening.iter().flat_map(Frame::bytes).collect();
        let round = self.round;
        let sending = thread::spawn(move || {
            let mut is_sent = sender.write_all(&opening).is_ok();
            let mut rounds = 0;
            while is_sent && rounds < ROUNDS {
                let frames: Vec<u8> =
                    (0..50).flat_map(|index| round(rounds + index)).flat_map(|frame| frame.bytes()).collect();
                is_sent = sender.write_all(&frames).is_ok();
                rounds += 50;
            }
            rounds
        });
        let reading = thread::spawn(move || client.read_to_end());
        while !reading.is_finished() {
            served(&mut other, self.name);
        }
        let goaway = reading.join().unwrap().unwrap_or_else(|error| panic!("{}: {error}", self.name));
        let rounds = sending.join().unwrap();
        assert!(rounds < ROUNDS, "{}: nobody stopped it", self.name);
        let goaway = goaway.unwrap_or_else(|| panic!("{}: no GOAWAY", self.name));
        assert_eq!(goaway.code(), self.code, "{}", self.name);
        served(&mut other, self.name);
        if !self.guards.is_empty() {
            let guard = wait_for(self.name, DEADLINE, || target.fired());
            assert!(self.guards.contains(&&*guard), "{}: {guard}", self.name);
        }
        target.is_sound(self.name, self.most);
    }
}

/// A data plane that is attacked, and its backend.
pub(super) struct Target {
    pub(super) site: Site,
    pub(super) origin: Origin,
}

impl Target {
    /// Both, idle.
    pub(super) fn start() -> Self {
        let origin = Origin::start(|request| match request.target() {
            "/big" => Reply::text("x".repeat(1 << 20)),
            _ => Reply::text("ok"),
        });
        Self { site: Site::of_h2(&[&origin], json!({})), origin }
    }

    /// The guard that has fired.
    fn fired(&self) -> Option<String> {
        let metrics = self.site.plane.metrics();
        let counts = metrics
            .lines()
            .filter_map(|line| line.strip_prefix("tidegate_http2_guards_total{guard=\"")?.split_once("\"} "));
        counts.filter(|(_, count)| *count != "0").map(|(guard, _)| guard.to_owned()).next()
    }

    /// Whether memory and backend have borne it.
    pub(super) fn is_sound(&self, name: &str, most: usize) {
        let peak = peak_memory(self.site.plane.process.pid());
        assert!(peak < MEMORY, "{name}: {peak} KiB");
        let got = self.origin.received().iter().filter(|request| request.target() == PATH).count();
        assert!(got <= most, "{name}: {got} requests at the backend");
    }
}

/// Whether another client is served.
pub(crate) fn served(client: &mut H2Client, name: &str) {
    let answer = client.get("/other").unwrap_or_else(|error| panic!("{name}: another client: {error}"));
    assert_eq!((answer.status(), answer.text().as_str()), (200, "ok"), "{name}");
}

/// The most memory that process `pid` has had, in KiB.
pub(crate) fn peak_memory(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
