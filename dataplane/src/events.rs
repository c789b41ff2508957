//! What happens to endpoints: each transition becomes one log line, one count and one event, with the same words.
//!
//! Whoever changes the state of an endpoint, a worker in the middle of a request too, [`publishes`](Events::publish) it: that is a
//! place in a queue, and no lock. A task beside the workers writes the line and the count, and keeps the event for the control
//! plane, whether it is connected or not.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use prometheus_client::metrics::counter::Counter;
use shared::status::Event;
use tokio::sync::{Notify, mpsc};
use tracing::info;

use crate::metrics::Metrics;

/// Events that may wait for the task that writes them down; more are lost, and counted.
const QUEUE: usize = 1024;
/// Events that are kept for the control plane; of more the oldest are lost, and counted.
const BACKLOG: usize = 1024;

/// Where events go; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Events {
    queue: mpsc::Sender<Event>,
    lost: Counter,
}

/// What was published and is still to be written down.
pub(crate) struct Published {
    queue: mpsc::Receiver<Event>,
    metrics: Metrics,
}

/// Events on their way to the control plane.
#[derive(Default)]
pub(crate) struct Backlog {
    events: Mutex<VecDeque<Event>>,
    lost: Counter,
    arrived: Notify,
}

impl Events {
    /// Both ends of the queue.
    pub(crate) fn channel(metrics: &Metrics) -> (Self, Published) {
        let (sender, queue) = mpsc::channel(QUEUE);
        let events = Self { queue: sender, lost: metrics.events_lost.clone() };
        (events, Published { queue, metrics: metrics.clone() })
    }

    /// Nobody hears of these.
    #[cfg(test)]
    pub(crate) fn unheard() -> Self {
        Self { queue: mpsc::channel(1).0, lost: Counter::default() }
    }

    /// Tells that `event` happened: log, metric and event stream follow. Never waits.
    pub(crate) fn publish(&self, event: Event) {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.queue.try_send(event) {
            self.lost.inc();
        }
    }
}

impl Published {
    /// Writes down what is published, for as long as anybody publishes; keeps it in `backlog` if there is one.
    pub(crate) async fn write_down(mut self, backlog: Option<Arc<Backlog>>) {
        while let Some(event) = self.queue.recv().await {
            let Event { upstream, backend, address, transition } = &event;
            let (from, to, reason) = (&transition.from, &transition.to, &transition.reason);
            let input = transition.input.word();
            info!(%upstream, %backend, address, input, from, to, reason, "an endpoint's state changed");
            self.metrics.transition(&event);
            if let Some(backlog) = &backlog {
                backlog.keep(event);
            }
        }
    }
}

impl Backlog {
    /// Nothing yet; what does not stay is counted in `metrics`.
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Self { lost: metrics.events_lost.clone(), ..Self::default() }
    }

    /// Waits until there may be something.
    pub(crate) async fn arrived(&self) {
        self.arrived.notified().await;
    }

    /// Takes the oldest, at most `most` of them.
    pub(crate) fn take(&self, most: usize) -> Vec<Event> {
        let mut events = self.lock();
        let count = events.len().min(most);
        events.drain(..count).collect()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Events of this process that were lost, here and before they came here.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.get()
    }

    fn keep(&self, event: Event) {
        let mut events = self.lock();
        if events.len() == BACKLOG {
            events.pop_front();
            self.lost.inc();
        }
        events.push_back(event);
        drop(events);
        self.arrived.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Event>> {
        // Nothing in here panics half-way through a change.
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use shared::status::{Input, Transition};

    use super::*;

    fn event(number: usize) -> Event {
        let transition = Transition {
            at: "2027-01-01T00:00:00Z".parse().unwrap(),
            input: Input::Breaker,
            from: "closed".to_owned(),
            to: "open".to_owned(),
            reason: number.to_string(),
        };
        let [upstream, backend] = ["u", "b"].map(|name| name.parse().unwrap());
        Event { upstream, backend, address: "127.0.0.1:1".to_owned(), transition }
    }

    #[tokio::test]
    async fn what_is_published_is_counted_and_kept_in_order() {
        let metrics = Metrics::new();
        let (events, published) = Events::channel(&metrics);
        let backlog = Arc::new(Backlog::new(&metrics));
        (0..3).for_each(|number| events.publish(event(number)));
        drop(events);
        published.write_down(Some(Arc::clone(&backlog))).await;
        backlog.arrived().await;
        let reasons = |events: Vec<Event>| events.into_iter().map(|event| event.transition.reason).collect::<Vec<_>>();
        assert_eq!(reasons(backlog.take(2)), ["0", "1"]);
        assert_eq!((reasons(backlog.take(9)), backlog.lost()), (vec!["2".to_owned()], 0));
        let line = r#"tidegate_endpoint_transitions_total{upstream="u",backend="b",input="breaker",to="open"} 3"#;
        assert!(metrics.render().contains(line), "{}", metrics.render());
    }

    #[test]
    fn what_does_not_fit_is_lost_and_counted() {
        let metrics = Metrics::new();
        let (events, _published) = Events::channel(&metrics);
        (0..QUEUE + 5).for_each(|number| events.publish(event(number)));
        assert_eq!(metrics.events_lost.get(), 5);
        let backlog = Backlog::new(&metrics);
        (0..BACKLOG + 2).for_each(|number| backlog.keep(event(number)));
        assert_eq!((backlog.len(), backlog.lost()), (BACKLOG, 7));
        assert_eq!(backlog.take(1)[0].transition.reason, "2", "the oldest went");
    }

    #[test]
    fn nobody_listening_is_no_loss() {
        let events = Events::unheard();
        events.publish(event(0));
        assert_eq!(events.lost.get(), 0);
    }
}
