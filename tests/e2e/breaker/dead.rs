//! A data centre is dead: each data plane before it says so at once, and leaves it alone.

use std::{
    io,
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread::{self, JoinHandle},
};

use harness::{DEADLINE, get, wait_for};
use serde_json::json;

use crate::site::{Site, one_upstream};

/// A listening socket behind which nobody is: connections end at once, until it is [`abandoned`](Self::abandoned). From then on they
/// stay where the kernel keeps them, and can be counted.
struct Dead {
    listener: Arc<TcpListener>,
    address: String,
    is_abandoned: Arc<AtomicBool>,
    ending: Option<JoinHandle<()>>,
}

impl Dead {
    fn start() -> Self {
        let listener = Arc::new(TcpListener::bind("127.0.0.1:0").unwrap());
        let is_abandoned = Arc::new(AtomicBool::new(false));
        let (accepting, is_over) = (Arc::clone(&listener), Arc::clone(&is_abandoned));
        let ending = thread::spawn(move || while accepting.accept().is_ok() && !is_over.load(SeqCst) {});
        let address = listener.local_addr().unwrap().to_string();
        Self { listener, address, is_abandoned, ending: Some(ending) }
    }

    /// Nobody accepts any more.
    fn abandoned(&mut self) {
        self.is_abandoned.store(true, SeqCst);
        // Wakes the thread, which takes this one and no other.
        drop(std::net::TcpStream::connect(&self.address).unwrap());
        self.ending.take().unwrap().join().unwrap();
        self.listener.set_nonblocking(true).unwrap();
        assert_eq!(self.waiting(), 0);
    }

    /// How many connections were made since, or begun.
    fn waiting(&self) -> usize {
        let accepted = std::iter::from_fn(|| match self.listener.accept() {
            Ok(_) => Some(()),
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                None
            }
        });
        accepted.count()
    }
}

#[test]
fn all_planes_before_a_dead_data_centre_say_when_to_come_back_and_make_no_connection() {
    let mut backends = [(); 3].map(|()| Dead::start());
    let sites = [(); 3].map(|()| {
        let addresses = backends.iter().map(|backend| (backend.address.as_str(), 1));
        let mut config = one_upstream(addresses, json!({}));
        config["upstreams"][0]["breaker"] = json!({
            "sliding_window_size": 20, "minimum_number_of_calls": 10,
            "wait_duration_in_open_state": "1h", "max_wait_duration_in_open_state": "1h",
        });
        config["listeners"] = json!([{ "name": "web", "allow_h2c": true }]);
        Site::start(config)
    });
    for site in &sites {
        wait_for("all are open", DEADLINE, || {
            let status = get(&site.address, "h", "/before").unwrap().status;
            assert!(status == 502 || status == 503, "{status}");
            ["b0", "b1", "b2"].iter().all(|name| site.endpoint("up", name)["state"] == "breaker_open").then_some(())
        });
    }
    assert_eq!(sites[0].logged("/before")["reason"], "upstream_reset", "the first one was tried");
    let refused = |site: &Site| {
        let text = site.plane.metrics();
        let name = r#"tidegate_generated_responses_total{reason="breaker_open"} "#;
        text.lines().find_map(|line| line.strip_prefix(name)).map_or(0, |count| count.parse::<u32>().unwrap())
    };
    backends.iter_mut().for_each(Dead::abandoned);
    for site in &sites {
        let before = refused(site);
        let (mut client, mut h2_client) = (site.client(), site.h2_client());
        for _ in 0..100 {
            let answer = client.ask("POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc").unwrap();
            let after: u32 = answer.field("retry-after").unwrap().parse().unwrap();
            assert_eq!(answer.status, 503, "{}", answer.text());
            assert!((3_500..=3_600).contains(&after), "{after}");
            assert!(answer.field("proxy-status").unwrap().contains("destination_unavailable"));
            let answer = h2_client.get("/a").unwrap();
            let after: u32 = answer.field("retry-after").unwrap().parse().unwrap();
            assert_eq!((answer.status(), (3_500..=3_600).contains(&after)), (503, true), "{after}");
        }
        let line = site.logged("/a");
        assert_eq!((&line["reason"], &line["tries"]), (&json!("breaker_open"), &json!(0)), "{line}");
        assert_eq!(refused(site), before + 200);
    }
    assert_eq!(backends.each_ref().map(Dead::waiting), [0; 3]);
    // That a connection would have been seen.
    let seen = std::net::TcpStream::connect(&backends[0].address).unwrap();
    assert_eq!(backends[0].waiting(), 1);
    drop(seen);
}
