//! `tidegate up`: both planes.

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    sync::Arc,
};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::{
    Api, DEADLINE, Process, binary, free_port,
    plane::{is_ready, metrics},
    process::{children_of, is_alive, kill_now},
    wait_for,
};

/// What `tidegate up` is started with, besides its addresses.
#[derive(Clone, Debug)]
pub struct UpSettings {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `--workers`.
    pub workers: usize,
    /// `--log`.
    pub log: String,
}

impl Default for UpSettings {
    fn default() -> Self {
        Self { config: None, workers: 2, log: "info".to_owned() }
    }
}

/// A `tidegate up` on free ports and in a directory of its own. All three processes end when this value is dropped.
pub struct Up {
    /// The supervising process.
    pub process: Process,
    settings: UpSettings,
    directory: Arc<TempDir>,
    api_port: u16,
    admin_port: u16,
    listen_port: u16,
}

impl Up {
    /// Starts it on an empty directory and waits until both planes are ready and it has said so.
    ///
    /// # Panics
    /// When it does not become ready.
    pub fn start() -> Self {
        Self::start_with(UpSettings::default())
    }

    /// Starts it with `settings` on an empty directory and waits until both planes are ready and it has said so.
    ///
    /// # Panics
    /// When it does not become ready.
    pub fn start_with(settings: UpSettings) -> Self {
        let directory = Arc::new(tempfile::tempdir().expect("a temporary directory"));
        let mut up = Self::spawn(settings, directory, [free_port(), free_port(), free_port()]);
        up.wait_until_ready();
        up
    }

    fn spawn(settings: UpSettings, directory: Arc<TempDir>, ports: [u16; 3]) -> Self {
        let [api_port, admin_port, listen_port] = ports;
        let mut command = Command::new(binary());
        command.arg("up").arg("--data-dir").arg(directory.path().join("data"));
        command.args(["--api-address", &format!("127.0.0.1:{api_port}")]);
        command.args(["--admin-address", &format!("127.0.0.1:{admin_port}")]);
        command.args(["--listen-address", &format!("127.0.0.1:{listen_port}")]);
        command.args(["--workers", &settings.workers.to_string(), "--log", &settings.log]);
        if let Some(config) = &settings.config {
            command.arg("--config").arg(config);
        }
        let process = Process::spawn("tidegate up", command);
        Self { process, settings, directory, api_port, admin_port, listen_port }
    }

    /// Another `tidegate up` on the directory and the addresses of this one, which must have ended; it is not waited for.
    pub fn again_with(&self, settings: UpSettings) -> Self {
        Self::spawn(settings, Arc::clone(&self.directory), [self.api_port, self.admin_port, self.listen_port])
    }

    /// Starts it again on its directory and addresses, after it was killed or stopped, and waits until it is ready.
    ///
    /// # Panics
    /// When it does not become ready.
    pub fn restart(&mut self) {
        self.process.kill();
        // An import belongs to the first start.
        let settings = UpSettings { config: None, ..self.settings.clone() };
        *self = self.again_with(settings);
        self.wait_until_ready();
    }

    /// Waits until both planes are ready and it has said so.
    ///
    /// # Panics
    /// When that does not happen, or it ends.
    pub fn wait_until_ready(&mut self) {
        self.process.wait_for_output("curl");
        let addresses = [self.api_address(), self.admin_address()];
        self.process.wait_until("both planes are ready", || addresses.iter().all(|a| is_ready(a)).then_some(()));
    }

    /// Asks it to drain and end, and waits until it has.
    ///
    /// # Panics
    /// When it does not.
    pub fn stop(&mut self) -> ExitStatus {
        self.process.signal(Signal::TERM);
        self.process.wait(DEADLINE)
    }

    /// The directory that is this test's: the data directory is `data` in it.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// `--data-dir`.
    pub fn data_dir(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// The REST API with the admin token.
    pub fn api(&self) -> Api {
        Api::of_admin(&self.api_address(), &self.data_dir())
    }

    /// Where the REST API listens.
    pub fn api_address(&self) -> String {
        format!("127.0.0.1:{}", self.api_port)
    }

    /// Where the data plane's metrics, liveness and readiness are.
    pub fn admin_address(&self) -> String {
        format!("127.0.0.1:{}", self.admin_port)
    }

    /// The listener that the empty store started with.
    pub fn listen_address(&self) -> String {
        format!("127.0.0.1:{}", self.listen_port)
    }

    /// All metrics of the data plane now.
    ///
    /// # Panics
    /// When the admin address does not answer.
    pub fn metrics(&self) -> String {
        metrics(&self.admin_address())
    }

    /// The control plane's process number.
    ///
    /// # Panics
    /// When there is none before the deadline.
    pub fn control_plane(&self) -> u32 {
        self.child(" controlplane ")
    }

    /// The data plane's process number.
    ///
    /// # Panics
    /// When there is none before the deadline.
    pub fn data_plane(&self) -> u32 {
        self.child(" dataplane ")
    }

    /// Kills the control plane, as `kill -9` does; `up` starts it again after a moment.
    pub fn kill_control_plane(&self) {
        kill_now(self.control_plane());
    }

    /// Kills the data plane, as `kill -9` does; `up` starts it again after a moment.
    pub fn kill_data_plane(&self) {
        kill_now(self.data_plane());
    }

    fn child(&self, command: &str) -> u32 {
        wait_for(&format!("a child of tidegate up that runs{command}"), DEADLINE, || {
            children_of(self.process.pid()).into_iter().find(|(_, line)| line.contains(command)).map(|(pid, _)| pid)
        })
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        // Children end with their parent by themselves; a broken one must not outlive the test all the same.
        let children = children_of(self.process.pid());
        self.process.kill();
        for (pid, _) in children.into_iter().filter(|(pid, _)| is_alive(*pid)) {
            kill_now(pid);
        }
    }
}
