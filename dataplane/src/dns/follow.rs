use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use tracing::{info, warn};

use super::{
    client::Ask,
    question::{Answer, Fault, PartKey, Question, Record},
    schedule::Schedule,
};
use crate::metrics::LookupMetrics;

/// What is known of a name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    /// Its addresses in order, each once; those of the last good answer.
    pub(crate) records: Arc<[Record]>,
    /// When the last good answer came.
    pub(crate) answered: Option<Instant>,
    /// Whether it was asked for at least once, with an answer or without.
    pub(crate) is_settled: bool,
}

/// Asks for `question` again and again, as `clients` says, until nobody wants to `know` any more.
///
/// The last good answer stays until there is another one: a DNS server that fails, or that forgot the name, takes nothing away
/// from traffic. Whether the addresses still serve is for health checks and breakers to say.
pub(crate) async fn follow<A: Ask>(
    question: Question,
    mut clients: watch::Receiver<Arc<A>>,
    know: watch::Sender<Known>,
    metrics: LookupMetrics,
) {
    let mut schedule = Schedule::new(clients.borrow().config());
    let mut parts = HashMap::new();
    let mut is_failing = false;
    while !know.is_closed() {
        let client = Arc::clone(&clients.borrow_and_update());
        schedule.configure(client.config());
        let answer = client.ask(&question).await;
        metrics.count(answer.as_ref().err());
        let chance = u64::from_le_bytes(shared::seal::random());
        let pause = match answer {
            Ok(answer) => {
                if std::mem::take(&mut is_failing) {
                    info!(name = %question, "a name is resolved again");
                }
                let ttl = answer.ttl;
                note_answer(&question, answer, &mut parts, &know);
                schedule.after_answer(ttl, chance)
            }
            Err(fault) => {
                note_fault(&question, &fault, &know, &mut is_failing);
                schedule.after_failure(chance)
            }
        };
        if !is_to_go_on(pause, &mut clients, &know).await {
            return;
        }
    }
}

/// Waits until the next question: for `pause`, or until the settings change.
async fn is_to_go_on<A>(pause: Duration, clients: &mut watch::Receiver<Arc<A>>, know: &watch::Sender<Known>) -> bool {
    tokio::select! {
        () = sleep(pause) => true,
        changed = clients.changed() => changed.is_ok(),
        () = know.closed() => false,
    }
}

fn note_answer(
    question: &Question,
    answer: Answer,
    parts: &mut HashMap<PartKey, Vec<Record>>,
    know: &watch::Sender<Known>,
) {
    let next = answer.parts.into_iter().map(|part| {
        let kept = parts.remove(&part.key);
        (part.key, part.records.or(kept).unwrap_or_default())
    });
    *parts = next.collect::<Vec<_>>().into_iter().collect();
    // In order, whatever the order of an answer: servers rotate it. An address that is there twice has the larger weight.
    let mut weights = BTreeMap::new();
    for record in parts.values().flatten() {
        let weight = weights.entry((record.ip, record.port)).or_insert(record.weight);
        *weight = record.weight.max(*weight);
    }
    let records: Arc<[Record]> = weights.into_iter().map(|((ip, port), weight)| Record { ip, port, weight }).collect();
    know.send_if_modified(|known| {
        let is_changed = known.records != records || !known.is_settled;
        if known.records != records {
            info!(name = %question, before = known.records.len(), now = %brief(&records), "a name has other addresses");
        }
        *known = Known { records, answered: Some(Instant::now()), is_settled: true };
        is_changed
    });
}

fn note_fault(question: &Question, fault: &Fault, know: &watch::Sender<Known>, is_failing: &mut bool) {
    let kept = know.borrow().records.len();
    if !std::mem::replace(is_failing, true) {
        warn!(name = %question, reason = %fault, kept, "a name cannot be resolved; what it answered last stays");
    }
    know.send_if_modified(|known| !std::mem::replace(&mut known.is_settled, true));
}

/// The first addresses, for the log.
fn brief(records: &[Record]) -> String {
    const SHOWN: usize = 8;
    let mut text: Vec<String> = records.iter().take(SHOWN).map(|record| record.ip.to_string()).collect();
    if records.len() > SHOWN {
        text.push(format!("and {} more", records.len() - SHOWN));
    }
    text.join(" ")
}

#[cfg(test)]
mod tests {
    use std::{
        collections::VecDeque,
        sync::{Mutex, PoisonError},
    };

    use shared::config;

    use super::*;
    use crate::{
        dns::question::{Family, Part},
        metrics::Metrics,
    };

    type Script = VecDeque<Result<Answer, Fault>>;

    /// Answers what is written down, the last of it for ever, and notes when it was asked.
    struct Scripted {
        config: config::Dns,
        script: Mutex<Script>,
        asked: Mutex<Vec<Instant>>,
    }

    impl Ask for Scripted {
        async fn ask(&self, _: &Question) -> Result<Answer, Fault> {
            self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(Instant::now());
            let mut script = self.script.lock().unwrap();
            if script.len() > 1 { script.pop_front().unwrap() } else { script[0].clone() }
        }

        fn config(&self) -> &config::Dns {
            &self.config
        }
    }

    fn records(addresses: &[&str]) -> Vec<Record> {
        addresses.iter().map(|ip| Record { ip: ip.parse().unwrap(), port: None, weight: 1 }).collect()
    }

    fn part(family: Family, addresses: Option<&[&str]>) -> Part {
        Part { key: PartKey { host: "a".into(), port: None, family }, records: addresses.map(records) }
    }

    fn answer(addresses: &[&str], ttl: u64) -> Result<Answer, Fault> {
        Ok(Answer { parts: vec![part(Family::V4, Some(addresses))], ttl: Duration::from_secs(ttl) })
    }

    struct Followed {
        client: Arc<Scripted>,
        clients: watch::Sender<Arc<Scripted>>,
        known: watch::Receiver<Known>,
        task: tokio::task::JoinHandle<()>,
    }

    fn start(script: impl IntoIterator<Item = Result<Answer, Fault>>) -> Followed {
        let config = config::Dns { min_ttl: "1s".parse().unwrap(), ..config::Dns::default() };
        let client =
            Arc::new(Scripted { config, script: Mutex::new(script.into_iter().collect()), asked: Mutex::default() });
        let (clients, receiver) = watch::channel(Arc::clone(&client));
        let (know, known) = watch::channel(Known::default());
        let question = Question::Host("a".parse().unwrap());
        let task = tokio::spawn(follow(question, receiver, know, Metrics::new().dns.lookups()));
        Followed { client, clients, known, task }
    }

    impl Followed {
        fn addresses(&self) -> Vec<String> {
            self.known.borrow().records.iter().map(|record| record.ip.to_string()).collect()
        }

        /// How many questions there were after so many seconds.
        async fn asked_within(&self, seconds: u64) -> usize {
            sleep(Duration::from_secs(seconds)).await;
            self.client.asked.lock().unwrap().len()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_short_ttl_asks_once_per_floor() {
        let followed = start([answer(&["10.0.0.1"], 0)]);
        let asked = followed.asked_within(60).await;
        assert!((59..=61).contains(&asked), "{asked}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_ttl_is_waited_for() {
        let followed = start([answer(&["10.0.0.1"], 30)]);
        let asked = followed.asked_within(119).await;
        assert!((4..=5).contains(&asked), "{asked}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_in_another_order_is_no_change() {
        let mut followed = start([answer(&["10.0.0.1", "10.0.0.2"], 1), answer(&["10.0.0.2", "10.0.0.1"], 1)]);
        followed.known.changed().await.unwrap();
        followed.asked_within(5).await;
        assert!(!followed.known.has_changed().unwrap());
        assert_eq!(followed.addresses(), ["10.0.0.1", "10.0.0.2"]);
    }

    #[tokio::test(start_paused = true)]
    async fn failures_keep_the_last_good_answer_and_are_asked_less_and_less() {
        for fault in [Fault::Empty, Fault::Timeout, Fault::Failed("refused".to_owned())] {
            let followed = start([answer(&["10.0.0.1"], 1), Err(fault)]);
            let asked = followed.asked_within(3_600).await;
            assert_eq!(followed.addresses(), ["10.0.0.1"]);
            assert!((100..140).contains(&asked), "{asked} in an hour");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_name_without_an_answer_is_settled_all_the_same() {
        let mut followed = start([Err(Fault::Timeout), answer(&["10.0.0.1"], 1)]);
        followed.known.changed().await.unwrap();
        assert!(followed.known.borrow().is_settled && followed.addresses().is_empty());
        followed.known.changed().await.unwrap();
        assert_eq!(followed.addresses(), ["10.0.0.1"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_query_that_fails_keeps_what_it_answered_last_and_no_more() {
        let both = |v4: Option<&[&str]>, v6: Option<&[&str]>| {
            Ok(Answer { parts: vec![part(Family::V6, v6), part(Family::V4, v4)], ttl: Duration::from_secs(1) })
        };
        let mut followed = start([
            both(Some(&["10.0.0.1"]), Some(&["fd00::1"])),
            both(Some(&["10.0.0.2"]), None),
            both(Some(&["10.0.0.3"]), Some(&[])),
        ]);
        let mut seen = Vec::new();
        for _ in 0..3 {
            followed.known.changed().await.unwrap();
            seen.push(followed.addresses().join(" "));
        }
        assert_eq!(seen, ["10.0.0.1 fd00::1", "10.0.0.2 fd00::1", "10.0.0.3"]);
    }

    #[tokio::test(start_paused = true)]
    async fn changed_settings_ask_at_once() {
        let followed = start([answer(&["10.0.0.1"], 300)]);
        assert_eq!(followed.asked_within(1).await, 1);
        followed.clients.send_replace(Arc::clone(&followed.client));
        assert_eq!(followed.asked_within(1).await, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_when_nobody_wants_to_know() {
        let followed = start([answer(&["10.0.0.1"], 300)]);
        followed.asked_within(1).await;
        drop(followed.known);
        followed.task.await.unwrap();
    }
}
