//! Which listeners are open: they come and go with the snapshot while the rest is untouched.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use shared::{
    config,
    protocol::{Check, ListenerFault},
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    admission::Admission,
    instant::Instant,
    listener,
    live::Live,
    snapshot::Snapshot,
    worker::{Command, Listen, WorkerHandle},
};

/// How long closing a listener may take before the change is called applied without it.
const CLOSE: Duration = Duration::from_secs(5);

/// The listeners of this process, by address.
#[derive(Default)]
pub(crate) struct ListenerSet {
    open: HashMap<SocketAddr, Open>,
    /// Bound for a check; they listen, so that nobody else takes the address meanwhile.
    held: HashMap<SocketAddr, Vec<TcpListener>>,
    held_until: Option<Instant>,
    faults: Vec<ListenerFault>,
}

struct Open {
    stop: CancellationToken,
    closed: mpsc::Receiver<()>,
}

impl ListenerSet {
    /// Binds what of `wanted` is not open and holds it for [`Check::HOLD`]; answers what could not be bound.
    pub(crate) fn hold(&mut self, wanted: &[config::Listener], workers: usize) -> Vec<ListenerFault> {
        self.release_held();
        let mut faults = Vec::new();
        for listener in wanted {
            let address = listener.address.socket_addr();
            if self.open.contains_key(&address) {
                continue;
            }
            match self.bind(address, workers) {
                Ok(bound) => drop(self.held.insert(address, bound)),
                Err(error) => faults.push(fault(listener, &error)),
            }
        }
        self.held_until = Some(Instant::now() + Check::HOLD);
        faults
    }

    /// Opens what of `wanted` is not open, on every worker. What cannot be bound is remembered as a fault.
    pub(crate) fn open(
        &mut self,
        wanted: &[config::Listener],
        snapshot: &Snapshot,
        live: &Live,
        workers: &[WorkerHandle],
    ) {
        let mut faults = Vec::new();
        for listener in wanted {
            let address = listener.address.socket_addr();
            if self.open.contains_key(&address) {
                continue;
            }
            let bound = self.held.remove(&address).map_or_else(|| self.bind(address, workers.len()), Ok);
            match bound {
                Ok(sockets) => {
                    let slot = live.listener_slot(address);
                    let Some(compiled) = snapshot.listener(slot) else { continue };
                    info!(listener = %listener.name, %address, "listening");
                    let (open, closed) = mpsc::channel(1);
                    let stop = CancellationToken::new();
                    let admission = Arc::new(Admission::default());
                    for (worker, socket) in workers.iter().zip(sockets) {
                        let (listener, stop, open) = (Arc::clone(compiled), stop.clone(), open.clone());
                        let admission = Arc::clone(&admission);
                        worker.tell(Command::Listen(Listen { socket, slot, listener, stop, admission, open }));
                    }
                    self.open.insert(address, Open { stop, closed });
                }
                Err(error) => {
                    let fault = fault(listener, &error);
                    if !self.faults.contains(&fault) {
                        warn!(listener = %listener.name, %address, %error, "a listener could not be bound; retrying");
                    }
                    faults.push(fault);
                }
            }
        }
        self.faults = faults;
    }

    /// Closes what is open and not in `wanted`; returns when the sockets are closed. Their connections drain by themselves.
    pub(crate) async fn close_others(&mut self, wanted: &[config::Listener]) {
        let is_wanted = |address: &SocketAddr| wanted.iter().any(|listener| listener.address.socket_addr() == *address);
        let gone: Vec<SocketAddr> = self.open.keys().filter(|address| !is_wanted(address)).copied().collect();
        let closing: Vec<(SocketAddr, Open)> =
            gone.into_iter().filter_map(|address| self.open.remove_entry(&address)).collect();
        for (address, open) in &closing {
            info!(%address, "no longer listening");
            open.stop.cancel();
        }
        for (address, mut open) in closing {
            // Nothing is ever sent: the channel ends when the last worker has closed its socket.
            if tokio::time::timeout(CLOSE, open.closed.recv()).await.is_err() {
                warn!(%address, "a listener is slow to close");
            }
        }
    }

    /// Listeners that should accept and do not.
    pub(crate) fn faults(&self) -> &[ListenerFault] {
        &self.faults
    }

    /// Lets go of sockets that were held for a check and not asked for in time.
    pub(crate) fn release_expired(&mut self) {
        if self.held_until.is_some_and(|until| until <= Instant::now()) {
            self.release_held();
        }
    }

    /// Lets go of all sockets that were held for a check.
    pub(crate) fn release_held(&mut self) {
        self.held.clear();
        self.held_until = None;
    }

    fn bind(&self, address: SocketAddr, workers: usize) -> io::Result<Vec<TcpListener>> {
        let is_any = |ip: IpAddr| ip.is_unspecified();
        let ours = |open: &SocketAddr| {
            open.port() == address.port()
                && open.is_ipv4() == address.is_ipv4()
                && (is_any(open.ip()) || is_any(address.ip()))
        };
        listener::bind(address, workers, !self.open.keys().any(ours))
    }
}

fn fault(listener: &config::Listener, error: &io::Error) -> ListenerFault {
    let error = match error.kind() {
        io::ErrorKind::AddrInUse => "the address is in use by another process".to_owned(),
        io::ErrorKind::AddrNotAvailable => "the address is not one of this machine".to_owned(),
        io::ErrorKind::PermissionDenied => "the address may not be bound: ports below 1024 need a privilege".to_owned(),
        _ => error.to_string(),
    };
    ListenerFault { name: listener.name.clone(), address: listener.address, error }
}
