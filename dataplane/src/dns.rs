//! The names of backends: resolved in the background, never while a request waits.
//!
//! Each name is [`follow`]ed by one task, whichever backends share it, and each name with a port has another one that
//! [`choose`]s among its addresses. What is chosen becomes the endpoints of every backend that says so, at once and at run time:
//! [`Upstream::set_addresses`]. Names are followed as long as the configuration that acts has them.

mod choose;
mod client;
mod follow;
mod question;
mod reach;
mod schedule;

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use futures_util::future::join_all;
use shared::config;
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_util::task::AbortOnDropHandle;
use tracing::info;

pub(crate) use follow::Known;
pub(crate) use question::{Fault, Resolved, Source};

use self::{
    choose::{Chooser, choose},
    client::{Ask, Client},
    follow::follow,
    question::{Family, Question},
    reach::reachable_family,
};
use crate::{
    live::Live,
    metrics::ShownName,
    snapshot::{Snapshot, Upstream},
};

/// How long a configuration waits for the first answers of names that are new with it.
const FIRST_ANSWERS: Duration = Duration::from_secs(1);

/// How often the system's files are looked at.
const FILES: Duration = Duration::from_secs(5);

/// All names that are followed.
pub(crate) struct Dns {
    names: Arc<Names>,
    clients: watch::Sender<Arc<Client>>,
    _files: AbortOnDropHandle<()>,
}

struct Names {
    live: Arc<Live>,
    sources: Mutex<Sources>,
}

#[derive(Default)]
struct Sources {
    questions: HashMap<Question, Weak<Followed>>,
    chosen: HashMap<Source, Chosen>,
}

/// A name that is asked for again and again.
struct Followed {
    known: watch::Receiver<Known>,
    _task: AbortOnDropHandle<()>,
    _shown: ShownName,
}

/// The addresses of backends.
struct Chosen {
    /// None until there was an answer, or none in time.
    addresses: watch::Sender<Option<Arc<[Resolved]>>>,
    /// Whose endpoints they are: upstreams of the snapshot that acts, and which of their backends.
    users: Vec<(Arc<Upstream>, usize)>,
    _followed: Arc<Followed>,
    _task: AbortOnDropHandle<()>,
}

impl Dns {
    /// Follows nothing yet. To be called on the runtime that is to resolve.
    pub(crate) fn start(live: &Arc<Live>) -> Self {
        let (clients, _) = watch::channel(Arc::new(Client::new(&config::Dns::default())));
        let names = Arc::new(Names { live: Arc::clone(live), sources: Mutex::default() });
        let files = AbortOnDropHandle::new(tokio::spawn(watch_files(clients.clone())));
        Self { names, clients, _files: files }
    }

    /// Before `snapshot` acts: brings `settings` to act, begins to follow names that are new with it, and waits a little for
    /// their first answers, so that it serves at once. A name that is not answered by then has no addresses yet.
    pub(crate) async fn prepare(&self, settings: &config::Dns, snapshot: &Snapshot) {
        self.clients.send_if_modified(|client| {
            let is_changed = client.config() != settings;
            if is_changed {
                *client = Arc::new(Client::new(settings));
            }
            is_changed
        });
        let first_answers = self.begin(snapshot);
        let _ = timeout(FIRST_ANSWERS, join_all(first_answers)).await;
    }

    /// Follows what `snapshot` names, and answers the first answers that are not there yet.
    fn begin(&self, snapshot: &Snapshot) -> Vec<impl Future<Output = ()> + use<>> {
        let mut sources = self.names.lock();
        let mut open = Vec::new();
        for (_, _, source) in snapshot.sources() {
            if !sources.chosen.contains_key(source) {
                let chosen = self.names.follow(source, &mut sources.questions, &self.clients);
                sources.chosen.insert(source.clone(), chosen);
            }
            let addresses = &sources.chosen[source].addresses;
            if addresses.borrow().is_none() {
                open.push(addresses.subscribe());
            }
        }
        let first = |mut addresses: watch::Receiver<Option<_>>| async move {
            // Fails when the name is followed no more.
            let _ = addresses.wait_for(Option::is_some).await;
        };
        open.into_iter().map(first).collect()
    }

    /// Gives the backends of `snapshot` the addresses that their names have now, has it act by `swap`, and follows what it names
    /// from then on and nothing else. No address changes meanwhile.
    pub(crate) fn swap(&self, snapshot: &Snapshot, swap: impl FnOnce()) {
        let mut sources = self.names.lock();
        snapshot.upstreams().for_each(|upstream| upstream.settle(&self.names.live));
        for upstream in snapshot.upstreams().filter(|upstream| !upstream.sources().is_empty()) {
            let known =
                |source| sources.chosen.get(source).and_then(|chosen: &Chosen| chosen.addresses.borrow().clone());
            let resolved = upstream.sources().iter().filter_map(|(backend, source)| Some((*backend, known(source)?)));
            upstream.set_addresses(resolved, &self.names.live);
        }
        swap();
        sources.chosen.values_mut().for_each(|chosen| chosen.users.clear());
        for (upstream, index, source) in snapshot.sources() {
            if let Some(chosen) = sources.chosen.get_mut(source) {
                chosen.users.push((Arc::clone(upstream), index));
            }
        }
        sources.chosen.retain(|_, chosen| !chosen.users.is_empty());
        sources.questions.retain(|_, followed| followed.strong_count() > 0);
    }
}

impl Names {
    fn lock(&self) -> MutexGuard<'_, Sources> {
        // A panic leaves whole entries only.
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn follow(
        self: &Arc<Self>,
        source: &Source,
        questions: &mut HashMap<Question, Weak<Followed>>,
        clients: &watch::Sender<Arc<Client>>,
    ) -> Chosen {
        let question = &source.question;
        let followed = questions.get(question).and_then(Weak::upgrade).unwrap_or_else(|| {
            let (know, known) = watch::channel(Known::default());
            let metrics = &self.live.metrics().dns;
            let task = tokio::spawn(follow(question.clone(), clients.subscribe(), know, metrics.lookups()));
            let shown = metrics.show(question.to_string(), known.clone());
            let followed = Arc::new(Followed { known, _task: AbortOnDropHandle::new(task), _shown: shown });
            questions.insert(question.clone(), Arc::downgrade(&followed));
            followed
        });
        let chooser = Told { names: Arc::downgrade(self), source: source.clone() };
        let task = tokio::spawn(choose(source.clone(), followed.known.clone(), chooser));
        Chosen {
            addresses: watch::Sender::default(),
            users: Vec::new(),
            _followed: followed,
            _task: AbortOnDropHandle::new(task),
        }
    }
}

/// Tells the backends that a source has other addresses.
struct Told {
    names: Weak<Names>,
    source: Source,
}

impl Chooser for Told {
    fn reachable_family(&self, addresses: &[Resolved]) -> impl Future<Output = Option<Family>> + Send {
        reachable_family(addresses)
    }

    fn failed_connections(&self) -> u64 {
        let Some(names) = self.names.upgrade() else { return 0 };
        let sources = names.lock();
        let users = sources.chosen.get(&self.source).into_iter().flat_map(|chosen| &chosen.users);
        users.map(|(upstream, index)| upstream.failed_connections(*index)).sum()
    }

    fn chosen(&self, addresses: Arc<[Resolved]>) {
        let Some(names) = self.names.upgrade() else { return };
        let sources = names.lock();
        let Some(chosen) = sources.chosen.get(&self.source) else { return };
        let is_changed = chosen.addresses.send_if_modified(|known| {
            let is_changed = known.as_ref() != Some(&addresses);
            *known = Some(Arc::clone(&addresses));
            is_changed
        });
        if is_changed {
            for (upstream, index) in &chosen.users {
                upstream.set_addresses([(*index, Arc::clone(&addresses))], &names.live);
            }
        }
    }
}

/// Reads the system's files again when they change.
async fn watch_files(clients: watch::Sender<Arc<Client>>) {
    let mut tick = interval(FILES);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let client = Arc::clone(&clients.borrow());
        // Not on the runtime's threads: a file may hang.
        let next = tokio::task::spawn_blocking(move || client.is_outdated().then(|| Client::new(client.config())));
        if let Ok(Some(next)) = next.await {
            info!("the system's DNS settings have changed");
            // The settings may have changed meanwhile; then they were read anew anyway.
            clients.send_if_modified(|client| {
                let is_same = client.config() == next.config();
                if is_same {
                    *client = Arc::new(next);
                }
                is_same
            });
        }
    }
}
