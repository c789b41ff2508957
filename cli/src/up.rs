//! `tidegate up`: both planes as child processes of this one, with everything they keep in one directory.
//!
//! Children ask the kernel to end with their parent (`--exit-with-parent`). That death signal belongs to the thread that
//! spawned them, so all of this runs on the main thread, which lives as long as the process.

mod banner;
mod plane;
mod ready;

use std::{
    fs::{DirBuilder, OpenOptions},
    io,
    net::SocketAddr,
    num::NonZeroUsize,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process::{ExitCode, ExitStatus},
    time::Duration,
};

use clap::{Args, builder::FalseyValueParser};
use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};
use shared::{
    telemetry::{self, LogFormat},
    value::TimeSpan,
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
    time::Instant,
};
use tracing::{info, warn};

use self::plane::{Ended, Plane, Role};
use crate::failure::Failure;

/// Where the planes keep what they keep and where they listen.
#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// The directory of everything: database, admin token, the data plane's copy, access logs.
    #[arg(long, env = "TIDEGATE_DATA_DIR", default_value = "./tidegate-data", value_name = "DIR")]
    pub(crate) data_dir: PathBuf,
    /// A configuration to start an empty store with; a filled store refuses it (`tidegate apply -f` replaces).
    #[arg(long, env = "TIDEGATE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the REST API listens.
    #[arg(long, env = "TIDEGATE_API_ADDRESS", default_value = "127.0.0.1:7080", value_name = "ADDRESS")]
    pub(crate) api_address: SocketAddr,
    /// Where the data plane's metrics, liveness and readiness listen.
    #[arg(long, env = "TIDEGATE_ADMIN_ADDRESS", default_value = "127.0.0.1:7081", value_name = "ADDRESS")]
    pub(crate) admin_address: SocketAddr,
    /// The listener that an empty store starts with.
    #[arg(long, env = "TIDEGATE_LISTEN_ADDRESS", default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    listen_address: SocketAddr,
    /// Threads that forward traffic; left out, one for each core.
    #[arg(long, env = "TIDEGATE_WORKERS", value_name = "N")]
    workers: Option<NonZeroUsize>,
    /// Replace the token `admin`, as when its file was lost; the new one is in admin.token in the data directory.
    #[arg(long, env = "TIDEGATE_NEW_ADMIN_TOKEN", value_parser = FalseyValueParser::new())]
    pub(crate) new_admin_token: bool,
    /// How long open requests may take to finish after SIGTERM or Ctrl-C.
    #[arg(long, env = "TIDEGATE_DRAIN_TIMEOUT", default_value = "30s", value_name = "DURATION")]
    drain_timeout: TimeSpan,
    /// What is logged to standard error by all three processes, e.g. `info,dataplane=debug`.
    #[arg(long, env = "TIDEGATE_LOG", default_value = "info", value_name = "FILTER")]
    log: String,
    /// How it is logged: `text` or `json`.
    #[arg(long, env = "TIDEGATE_LOG_FORMAT", default_value = "text", value_parser = ["text", "json"], value_name = "FORMAT")]
    log_format: String,
}

/// How long the planes may take to become ready before that is said.
const READY: Duration = Duration::from_secs(30);
/// What a plane that answers gets to become ready: one whose listener's port is taken is not, and the banner says so.
const ALIVE: Duration = Duration::from_secs(5);
/// What the planes get, on top of the time for open requests, before they are killed.
const GRACE: Duration = Duration::from_secs(5);
/// How long the planes of an `up` that was killed may take to end: they drain for a second at most, then write what is left.
const ORPHANS: Duration = Duration::from_secs(10);

/// Runs both planes until a signal ends them, or one of them cannot start.
pub(crate) fn run(options: &Options) -> Result<ExitCode, Failure> {
    let format = if options.log_format == "json" { LogFormat::Json } else { LogFormat::Text };
    telemetry::init(&options.log, format).map_err(Failure::Usage)?;
    create_data_dir(&options.data_dir)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Failed(format!("the supervisor cannot start: {error}")))?;
    let result = runtime.block_on(async {
        claim_address("--api-address", options.api_address).await?;
        claim_address("--admin-address", options.admin_address).await?;
        claim_directory(&options.data_dir).await?;
        claim_directory(&options.data_dir.join("dataplane")).await?;
        Supervisor::start(options)?.run().await
    });
    // The banner may still be asking the REST API; nobody waits for that.
    runtime.shutdown_background();
    result
}

fn create_data_dir(path: &Path) -> Result<(), Failure> {
    // Secrets and the admin token will lie in it: for its owner only.
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| Failure::Failed(format!("--data-dir {}: cannot be created: {error}", path.display())))
}

/// Makes sure that a plane's own address is free: whoever listens there would be taken for the plane.
async fn claim_address(flag: &str, address: SocketAddr) -> Result<(), Failure> {
    if address.port() == 0 {
        return Err(Failure::Usage(format!("{flag} {address}: name a port, the plane is asked for its state there")));
    }
    claim(&format!("{flag} {address}"), || std::net::TcpListener::bind(address).map(drop)).await
}

/// Makes sure that nobody holds the lock in `directory`; a directory or a lock that is missing is nobody's.
async fn claim_directory(directory: &Path) -> Result<(), Failure> {
    let lock = directory.join("lock");
    claim(&directory.display().to_string(), || match OpenOptions::new().write(true).open(&lock) {
        // It is missing; or something else is wrong, which the plane will say.
        Err(_) => Ok(()),
        Ok(file) => match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => Err(io::Error::other("another process uses it")),
            _ => Ok(()),
        },
    })
    .await
}

/// Waits until `attempt` succeeds: the children of an `up` that was killed a moment ago may still be on their way out.
async fn claim(what: &str, attempt: impl Fn() -> io::Result<()>) -> Result<(), Failure> {
    let patience = Instant::now() + ORPHANS;
    let mut is_told = false;
    loop {
        match attempt() {
            Ok(()) => return Ok(()),
            Err(error) if Instant::now() >= patience => {
                return Err(Failure::Failed(format!("{what}: {error}; is Tidegate running already?")));
            }
            Err(error) if !is_told => warn!("{what}: {error}; waiting up to {ORPHANS:?} for it"),
            Err(_) => {}
        }
        is_told = true;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Both planes and what happens to them.
struct Supervisor {
    options: Options,
    control: Plane,
    data: Plane,
    signals: Signals,
    ready: mpsc::Receiver<(Role, Result<(), String>)>,
    announced: bool,
}

/// The signals that this process takes.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    child: Signal,
}

/// What a signal says.
enum Signalled {
    /// Drain both planes and end.
    Stop,
    /// At least one child ended.
    ChildEnded,
}

impl Signals {
    fn install() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            child: signal(SignalKind::child())?,
        })
    }

    async fn next(&mut self) -> Signalled {
        tokio::select! {
            biased;
            _ = self.interrupt.recv() => Signalled::Stop,
            _ = self.terminate.recv() => Signalled::Stop,
            _ = self.child.recv() => Signalled::ChildEnded,
        }
    }
}

impl Supervisor {
    fn start(options: &Options) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| Failure::Failed(format!("a plane cannot be started: {error}"));
        let executable = std::env::current_exe().map_err(failed)?;
        // Before the first child, so that none of their ends is missed.
        let signals = Signals::install().map_err(failed)?;
        let mut control = Plane::new(Role::Control, &executable, options);
        let mut data = Plane::new(Role::Data, &executable, options);
        control.start().map_err(failed)?;
        if let Err(error) = data.start() {
            control.kill();
            return Err(failed(error));
        }
        let (sender, ready) = mpsc::channel(2);
        for (role, address) in [(Role::Control, options.api_address), (Role::Data, options.admin_address)] {
            let sender = sender.clone();
            tokio::spawn(async move {
                // The receiver is gone when the supervisor is.
                let _ = sender.send((role, ready::wait(address, READY, ALIVE).await)).await;
            });
        }
        Ok(Self { options: options.clone(), control, data, signals, ready, announced: false })
    }

    async fn run(mut self) -> Result<ExitCode, Failure> {
        loop {
            let restart = self.control.restart_at().into_iter().chain(self.data.restart_at()).min();
            tokio::select! {
                signalled = self.signals.next() => match signalled {
                    Signalled::Stop => {
                        info!("stopping: the data plane drains, then the control plane ends");
                        return Ok(if self.stop().await { ExitCode::SUCCESS } else { ExitCode::FAILURE });
                    }
                    Signalled::ChildEnded => {
                        if let Some(status) = self.reap() {
                            self.stop().await;
                            return Ok(ExitCode::from(code_of(status)));
                        }
                    }
                },
                Some((role, result)) = self.ready.recv() => self.became_ready(role, result),
                () = sleep_until(restart) => {
                    for plane in [&mut self.control, &mut self.data] {
                        plane.restart_if_due();
                    }
                }
            }
        }
    }

    /// Notes what ended. The exit status of a plane that never was ready: starting it again would not help.
    fn reap(&mut self) -> Option<ExitStatus> {
        for plane in [&mut self.control, &mut self.data] {
            if let Some(Ended::BeforeReady(status)) = plane.reap() {
                return Some(status);
            }
        }
        None
    }

    fn became_ready(&mut self, role: Role, result: Result<(), String>) {
        if let Err(reason) = result {
            warn!("the {role} is not ready yet: {reason}");
        }
        // A plane that lives but is not ready (a port in use, say) is retried by itself: it has started all the same.
        let plane = match role {
            Role::Control => &mut self.control,
            Role::Data => &mut self.data,
        };
        plane.started();
        if self.control.has_started() && self.data.has_started() && !self.announced {
            self.announced = true;
            banner::announce(&self.options);
        }
    }

    /// Ends both planes: the data plane first, so that what is open is finished while the control plane still listens.
    ///
    /// Whether both drained and ended well before the deadline and without a second signal.
    async fn stop(&mut self) -> bool {
        let patience = self.options.drain_timeout.duration() + GRACE;
        let deadline = Instant::now() + patience;
        let (mut clean, mut hurry) = (true, false);
        for plane in [&mut self.data, &mut self.control] {
            if hurry {
                plane.kill();
                continue;
            }
            plane.terminate();
            while plane.is_running() {
                // Asked before waiting: it may have ended while the other one was waited for.
                if let Some(status) = plane.reap_last() {
                    clean &= status.success();
                    break;
                }
                let reason = tokio::select! {
                    signalled = self.signals.next() => match signalled {
                        Signalled::Stop => "asked a second time".to_owned(),
                        Signalled::ChildEnded => continue,
                    },
                    () = tokio::time::sleep_until(deadline) => format!("it has not ended after {patience:?}"),
                };
                warn!("killing the {}: {reason}", plane.role());
                plane.kill();
                (clean, hurry) = (false, true);
            }
        }
        clean
    }
}

/// Sleeps until `moment`, for ever if there is none.
async fn sleep_until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// The exit code that stands for the end of a child, as shells count: 128 and the signal if one killed it.
fn code_of(status: ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt;
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    // A plane that ends by itself before it was ready has failed, whatever it says.
    u8::try_from(code).ok().filter(|code| *code != 0).unwrap_or(1)
}
