//! Each plane alone.

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
};

use rustix::process::Signal;

use crate::{Api, DEADLINE, Process, binary, free_port, get};

/// `tidegate controlplane` on a data directory.
pub struct ControlPlane {
    /// The process.
    pub process: Process,
    data_dir: PathBuf,
    port: u16,
    extra: Vec<String>,
}

impl ControlPlane {
    /// Starts it on `data_dir` (made if missing) with further flags, and waits until it is ready.
    ///
    /// # Panics
    /// When it does not become ready.
    pub fn start(data_dir: &Path, extra: &[&str]) -> Self {
        let mut plane = Self::spawn(data_dir, extra);
        plane.wait_until_ready();
        plane
    }

    /// Starts it and does not wait: for a start that is to fail.
    pub fn spawn(data_dir: &Path, extra: &[&str]) -> Self {
        let extra: Vec<String> = extra.iter().map(ToString::to_string).collect();
        let port = free_port();
        Self { process: control_process(data_dir, port, &extra), data_dir: data_dir.to_owned(), port, extra }
    }

    /// Waits until it is ready.
    ///
    /// # Panics
    /// When it is not before the deadline, or ends.
    pub fn wait_until_ready(&mut self) {
        wait_until_ready(&mut self.process, self.port);
    }

    /// Starts it again, after it was killed or stopped, on the same address.
    ///
    /// # Panics
    /// When it does not become ready.
    pub fn restart(&mut self) {
        self.process.kill();
        self.process = control_process(&self.data_dir, self.port, &self.extra);
        self.wait_until_ready();
    }

    /// Asks it to end, and waits until it has.
    ///
    /// # Panics
    /// When it does not.
    pub fn stop(&mut self) -> ExitStatus {
        self.process.signal(Signal::TERM);
        self.process.wait(DEADLINE)
    }

    /// The REST API with the admin token.
    pub fn api(&self) -> Api {
        Api::of_admin(&self.api_address(), &self.data_dir)
    }

    /// Where the REST API listens.
    pub fn api_address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The socket that data planes dial.
    pub fn control_socket(&self) -> PathBuf {
        self.data_dir.join("control.sock")
    }
}

fn control_process(data_dir: &Path, port: u16, extra: &[String]) -> Process {
    let mut command = Command::new(binary());
    command.arg("controlplane").arg("--data-dir").arg(data_dir);
    command.arg("--api-address").arg(format!("127.0.0.1:{port}"));
    command.arg("--control-socket").arg(data_dir.join("control.sock")).args(extra);
    Process::spawn("the control plane", command)
}

/// `tidegate dataplane`, following a control plane or a file.
pub struct DataPlane {
    /// The process.
    pub process: Process,
    admin_port: u16,
    arguments: Vec<String>,
}

impl DataPlane {
    /// Starts one that dials `control_socket` and keeps its copy in `state_dir`. It is not waited for: without a
    /// control plane and without a copy it does not become ready.
    pub fn follow(control_socket: &Path, state_dir: &Path, extra: &[&str]) -> Self {
        let socket = control_socket.display().to_string();
        let state = state_dir.display().to_string();
        Self::spawn(&[&["--control-socket", &socket, "--state-dir", &state], extra].concat())
    }

    /// Starts one that serves the file `config` without any control plane, and waits until it is ready.
    ///
    /// # Panics
    /// When it does not become ready.
    pub fn of_file(config: &Path, extra: &[&str]) -> Self {
        let mut plane = Self::spawn(&[&["--config", &config.display().to_string()], extra].concat());
        plane.wait_until_ready();
        plane
    }

    /// Starts one with these flags and an admin address, and does not wait.
    pub fn spawn(arguments: &[&str]) -> Self {
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        let admin_port = free_port();
        Self { process: data_process(admin_port, &arguments), admin_port, arguments }
    }

    /// Waits until it is ready.
    ///
    /// # Panics
    /// When it is not before the deadline, or ends.
    pub fn wait_until_ready(&mut self) {
        wait_until_ready(&mut self.process, self.admin_port);
    }

    /// Starts it again, after it was killed or stopped, with the same flags; it is not waited for.
    pub fn restart(&mut self) {
        self.process.kill();
        self.process = data_process(self.admin_port, &self.arguments);
    }

    /// Asks it to drain and end, and waits until it has.
    ///
    /// # Panics
    /// When it does not.
    pub fn stop(&mut self) -> ExitStatus {
        self.process.signal(Signal::TERM);
        self.process.wait(DEADLINE)
    }

    /// Asks it to read its file again.
    pub fn reload(&self) {
        self.process.signal(Signal::HUP);
    }

    /// Where metrics, liveness and readiness are.
    pub fn admin_address(&self) -> String {
        format!("127.0.0.1:{}", self.admin_port)
    }

    /// All metrics now.
    ///
    /// # Panics
    /// When the admin address does not answer.
    pub fn metrics(&self) -> String {
        metrics(&self.admin_address())
    }
}

fn data_process(admin_port: u16, arguments: &[String]) -> Process {
    let mut command = Command::new(binary());
    command.arg("dataplane").args(arguments).args(["--admin-address", &format!("127.0.0.1:{admin_port}")]);
    Process::spawn("the data plane", command)
}

pub(crate) fn wait_until_ready(process: &mut Process, port: u16) {
    let address = format!("127.0.0.1:{port}");
    process.wait_until(&format!("{address} is ready"), || is_ready(&address).then_some(()));
}

/// Whether `/readyz` at `address` answers 200.
pub(crate) fn is_ready(address: &str) -> bool {
    get(address, address, "/readyz").is_ok_and(|response| response.status == 200)
}

pub(crate) fn metrics(admin_address: &str) -> String {
    let response = get(admin_address, admin_address, "/metrics");
    response.unwrap_or_else(|error| panic!("no metrics at {admin_address}: {error}")).text()
}
