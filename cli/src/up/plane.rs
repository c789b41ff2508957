//! One plane as a child process: started, watched, started again.

use std::{
    fmt, io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::Options;

/// The first pause before a crashed plane is started again; each further crash doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A plane that lived this long starts again with the first pause.
const LONG_LIFE: Duration = Duration::from_secs(30);

/// Settings of `up` that have a meaning of their own for a plane: each plane gets what it needs as flags.
const OWN_VARIABLES: [&str; 7] = [
    "TIDEGATE_DATA_DIR",
    "TIDEGATE_CONFIG",
    "TIDEGATE_API_ADDRESS",
    "TIDEGATE_ADMIN_ADDRESS",
    "TIDEGATE_LISTEN_ADDRESS",
    "TIDEGATE_WORKERS",
    "TIDEGATE_NEW_ADMIN_TOKEN",
];

/// Which plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The REST API and its store.
    Control,
    /// The one that forwards traffic.
    Data,
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Control => "control plane",
            Self::Data => "data plane",
        })
    }
}

/// What the end of a child means.
#[derive(Debug)]
pub(super) enum Ended {
    /// It was ready before: it will be started again.
    Crashed,
    /// It never was ready in the life of this supervisor.
    BeforeReady(ExitStatus),
}

/// A plane and its process.
pub(super) struct Plane {
    role: Role,
    executable: PathBuf,
    options: Options,
    state: State,
    /// Whether it came up once; from then on its end is a crash.
    has_started: bool,
    /// Whether it was spawned once: to import a configuration and to replace the token belong to the first time only.
    spawned: bool,
    pause: Pause,
}

enum State {
    Stopped,
    Running { child: Child, since: Instant },
    Pausing { until: Instant },
}

impl Plane {
    /// A plane that is not started yet.
    pub(super) fn new(role: Role, executable: &Path, options: &Options) -> Self {
        Self {
            role,
            executable: executable.to_owned(),
            options: options.clone(),
            state: State::Stopped,
            has_started: false,
            spawned: false,
            pause: Pause::default(),
        }
    }

    /// Which plane it is.
    pub(super) fn role(&self) -> Role {
        self.role
    }

    /// Notes that it came up.
    pub(super) fn started(&mut self) {
        self.has_started = true;
    }

    /// Whether it came up once.
    pub(super) fn has_started(&self) -> bool {
        self.has_started
    }

    /// Whether there is a process.
    pub(super) fn is_running(&self) -> bool {
        matches!(self.state, State::Running { .. })
    }

    /// When it is to be started again, if it crashed.
    pub(super) fn restart_at(&self) -> Option<Instant> {
        match self.state {
            State::Pausing { until } => Some(until),
            State::Stopped | State::Running { .. } => None,
        }
    }

    /// Spawns the process. Only the main thread may do so: the death signal of the child is bound to this thread.
    pub(super) fn start(&mut self) -> io::Result<()> {
        let child = self.command().spawn()?;
        info!(pid = child.id(), "{} started", self.role);
        self.spawned = true;
        self.state = State::Running { child, since: Instant::now() };
        Ok(())
    }

    /// Starts it again if its pause is over.
    pub(super) fn restart_if_due(&mut self) {
        if self.restart_at().is_some_and(|until| until <= Instant::now())
            && let Err(error) = self.start()
        {
            let pause = self.pause.next(Duration::ZERO);
            error!("the {} cannot be started again: {error}; next try in {pause:?}", self.role);
            self.state = State::Pausing { until: Instant::now() + pause };
        }
    }

    /// Looks whether the process ended, and plans its next start if it did.
    pub(super) fn reap(&mut self) -> Option<Ended> {
        let State::Running { since, .. } = self.state else { return None };
        let status = self.reap_last()?;
        if !self.has_started {
            error!("the {} ended before it was ready: {status}", self.role);
            return Some(Ended::BeforeReady(status));
        }
        let pause = self.pause.next(since.elapsed());
        warn!("the {} ended: {status}; it is started again in {pause:?}", self.role);
        self.state = State::Pausing { until: Instant::now() + pause };
        Some(Ended::Crashed)
    }

    /// Looks whether the process ended, for good.
    pub(super) fn reap_last(&mut self) -> Option<ExitStatus> {
        let State::Running { child, .. } = &mut self.state else { return None };
        let status = child.try_wait().ok().flatten()?;
        self.state = State::Stopped;
        Some(status)
    }

    /// Asks it to drain and end; a planned start is forgotten.
    pub(super) fn terminate(&mut self) {
        match &self.state {
            // Not reaped yet, so the number is still its own.
            State::Running { child, .. } => {
                if let Err(error) = kill_process(Pid::from_child(child), Signal::TERM) {
                    warn!("the {} cannot be told to end: {error}", self.role);
                }
            }
            State::Pausing { .. } | State::Stopped => self.state = State::Stopped,
        }
    }

    /// Ends it at once.
    pub(super) fn kill(&mut self) {
        if let State::Running { child, .. } = &mut self.state {
            // Both fail only if it is gone already.
            let _ = child.kill();
            let _ = child.wait();
        }
        self.state = State::Stopped;
    }

    fn command(&self) -> Command {
        let Options {
            data_dir,
            config,
            api_address,
            admin_address,
            listen_address,
            workers,
            new_admin_token,
            drain_timeout,
            log,
            log_format,
        } = &self.options;
        let socket = data_dir.join("control.sock");
        let mut command = Command::new(&self.executable);
        match self.role {
            Role::Control => {
                command.arg("controlplane").arg("--data-dir").arg(data_dir);
                command.arg("--api-address").arg(api_address.to_string());
                command.arg("--control-socket").arg(socket);
                command.arg("--initial-listener").arg(listen_address.to_string());
                if let Some(config) = config.as_ref().filter(|_| !self.spawned) {
                    command.arg("--config").arg(config);
                }
                if *new_admin_token && !self.spawned {
                    command.arg("--new-admin-token");
                }
            }
            Role::Data => {
                command.arg("dataplane").arg("--control-socket").arg(socket);
                command.arg("--state-dir").arg(data_dir.join("dataplane"));
                command.arg("--log-dir").arg(data_dir.join("log"));
                command.arg("--admin-address").arg(admin_address.to_string());
                if let Some(workers) = workers {
                    command.arg("--workers").arg(workers.to_string());
                }
            }
        }
        command.arg("--exit-with-parent").arg(std::process::id().to_string());
        for variable in OWN_VARIABLES {
            command.env_remove(variable);
        }
        command.env("TIDEGATE_LOG", log).env("TIDEGATE_LOG_FORMAT", log_format);
        command.env("TIDEGATE_DRAIN_TIMEOUT", drain_timeout.to_string()).stdin(Stdio::null());
        // A group of its own: Ctrl-C in the terminal reaches only the supervisor, which then drains in order.
        command.process_group(0);
        command
    }
}

/// The pauses between starts of a plane that crashes.
#[derive(Debug, Default)]
struct Pause(Option<Duration>);

impl Pause {
    /// The pause after a life of `life`.
    fn next(&mut self, life: Duration) -> Duration {
        let pause = match self.0 {
            Some(last) if life < LONG_LIFE => (last * 2).min(LONGEST_PAUSE),
            _ => FIRST_PAUSE,
        };
        self.0 = Some(pause);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_to_a_cap_and_start_over_after_a_long_life() {
        let mut pause = Pause::default();
        let short: Vec<u128> = (0..8).map(|_| pause.next(Duration::from_secs(1)).as_millis()).collect();
        assert_eq!(short, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(pause.next(LONG_LIFE), FIRST_PAUSE);
    }
}
