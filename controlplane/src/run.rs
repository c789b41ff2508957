//! From options to a running control plane, and down again.

use std::{fs, future::Future, sync::Arc, time::Duration};

use anyhow::Context;
use rustix::process::Pid;
use shared::{
    config::{Config, Listener},
    document,
    seal::SealKey,
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::{
    Options,
    api::{self, Api},
    data_dir::DataDir,
    metrics::Metrics,
    publish::Publisher,
    serve,
    service::{
        self, Seed, Service,
        tokens::{self, Tokens},
    },
    store::{self, Store, StoreError},
};

/// REST and publishing: one worker would let a large commit's SQL hand-overs wait behind a large answer.
const WORKERS: usize = 2;
/// What requests and data-plane connections get to finish.
const SHUTDOWN: Duration = Duration::from_secs(5);

/// Runs the control plane until SIGTERM or SIGINT.
///
/// # Errors
/// A sentence that says why it does not start: the data directory is in use, the database cannot be opened, an address is
/// taken, a file does not read.
pub fn run(options: Options) -> anyhow::Result<()> {
    if let Some(parent) = options.exit_with_parent {
        end_with_parent(parent)?;
    }
    shared::telemetry::init(&options.log, options.log_format.into()).map_err(anyhow::Error::msg)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .context("the runtime cannot be started")?;
    let result = runtime.block_on(async { control_plane(options, stop_signal()?).await });
    // A blocking task that is still at it must not hold the exit up.
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

/// Asks the kernel for SIGTERM when `parent` ends.
fn end_with_parent(parent: Pid) -> anyhow::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM))
        .context("--exit-with-parent: the kernel does not take it")?;
    // It may have ended before it was asked for; then there is a new parent already.
    anyhow::ensure!(rustix::process::getppid() == Some(parent), "the parent process {parent} has ended");
    Ok(())
}

fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be handled")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be handled")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

async fn control_plane(options: Options, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
    let data_dir = DataDir::open(&options.data_dir)?;
    let listener = TcpListener::bind(options.api_address)
        .await
        .with_context(|| format!("the REST API cannot be served on {}", options.api_address))?;
    let secret_key = secret_key(&data_dir)?;
    let store = Store::open(&data_dir.store(), store::BUSY_TIMEOUT)
        .await
        .with_context(|| format!("the database {} cannot be used", data_dir.store().display()))?;
    let started = service::start(store.clone(), secret_key, seed(&options)?).await?;
    let revision = started.current.revision;
    let tokens = Tokens::load(store.clone()).await?;
    ensure_admin(&tokens, &data_dir, options.new_admin_token).await?;

    let publisher = Publisher::new(started.snapshot.clone(), started.material.clone(), Arc::new(store.clone()));
    let metrics = Arc::new(Metrics::new());
    let service = Arc::new(Service::new(started, publisher.clone(), metrics.clone()));
    let router = api::router(Api { service: service.clone(), tokens: Arc::new(tokens), metrics });

    let shutdown = CancellationToken::new();
    let socket = options.control_socket_in(data_dir.path());
    // Before REST answers that all is ready: a path that no socket can have must end the start, not the running process.
    let events = publisher.events().clone();
    let bound = publisher.bind(socket.clone()).await?;
    let mut control = tokio::spawn(bound.serve(shutdown.clone()));
    let address = listener.local_addr().unwrap_or(options.api_address);
    let rest = tokio::spawn(serve::serve(listener, router, shutdown.clone()));
    tracing::info!(api = %address, socket = %socket.display(), revision = revision.0, "control plane is running");

    let result = tokio::select! {
        () = stop => Ok(()),
        () = service.replaced() => Err(StoreError::Replaced.into()),
        ended = &mut control => Err(ended_early(ended)).with_context(|| format!("the control socket {}", socket.display())),
    };
    tracing::info!("control plane is stopping");
    shutdown.cancel();
    // They would never end by themselves.
    events.close();
    drain(rest, control).await;
    store.close().await;
    result
}

fn ended_early(ended: Result<(), tokio::task::JoinError>) -> anyhow::Error {
    match ended {
        Ok(()) => anyhow::anyhow!("ended without being asked to"),
        Err(error) => error.into(),
    }
}

/// Gives what is under way its time.
async fn drain(rest: JoinHandle<()>, control: JoinHandle<()>) {
    let drained = async {
        // Errors here are panics, which were reported where they happened.
        let _ = rest.await;
        if !control.is_finished() {
            let _ = control.await;
        }
    };
    if tokio::time::timeout(SHUTDOWN, drained).await.is_err() {
        tracing::warn!(seconds = SHUTDOWN.as_secs(), "requests were still under way and are cut off");
    }
}

/// The key of the secrets: from the environment, or from its file.
fn secret_key(data_dir: &DataDir) -> anyhow::Result<SealKey> {
    match std::env::var("TIDEGATE_SECRET_KEY") {
        Ok(text) => SealKey::from_base64(&text).map_err(|reason| anyhow::anyhow!("TIDEGATE_SECRET_KEY: {reason}")),
        Err(std::env::VarError::NotPresent) => SealKey::load_or_create(&data_dir.secret_key())
            .with_context(|| format!("the secret key {} cannot be read or made", data_dir.secret_key().display())),
        Err(error) => Err(error).context("TIDEGATE_SECRET_KEY"),
    }
}

/// What an empty store begins with.
fn seed(options: &Options) -> anyhow::Result<Seed> {
    if let Some(path) = &options.config {
        let text = fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
        let config = document::read_config(&text).with_context(|| format!("{} is not valid", path.display()))?;
        return Ok(Seed { config, summary: format!("import {}", path.display()), only_empty: true });
    }
    let Some(address) = options.initial_listener else {
        return Ok(Seed { config: Config::default(), summary: "begin empty".to_owned(), only_empty: false });
    };
    let name = "web".parse().expect("a name");
    let config = Config { listeners: vec![Listener::new(name, address)], ..Config::default() };
    Ok(Seed { config, summary: format!("begin with a listener on {address}"), only_empty: false })
}

/// Makes the first admin token, or a new one if that is asked for.
async fn ensure_admin(tokens: &Tokens, data_dir: &DataDir, renew: bool) -> anyhow::Result<()> {
    let path = data_dir.admin_token();
    if renew || tokens.is_empty() {
        let token = tokens::generate();
        // The file first: a crash in between leaves a store without tokens, and the next start writes another file.
        data_dir.write_admin_token(&token).with_context(|| format!("{} cannot be written", path.display()))?;
        tokens.set_admin(&token).await?;
        tracing::info!(file = %path.display(), "wrote the admin token");
    } else if !path.exists() {
        tracing::warn!("{} is missing; start once with --new-admin-token to replace the token", path.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests;
