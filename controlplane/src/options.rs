use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use rustix::process::Pid;
use shared::{telemetry::LogFormat, value::ListenAddress};

/// How the control plane runs. Each flag has an environment variable.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Where the database, the tokens and the control socket lie; made with mode 0700 if it is missing.
    #[arg(long, env = "TIDEGATE_DATA_DIR", value_name = "DIR", default_value = "./tidegate-data")]
    pub data_dir: PathBuf,

    /// Where the REST API is served.
    #[arg(long, env = "TIDEGATE_API_ADDRESS", value_name = "ADDR", default_value = "127.0.0.1:7080")]
    pub api_address: SocketAddr,

    /// The Unix socket that data planes dial; DIR/control.sock unless given.
    #[arg(long, env = "TIDEGATE_CONTROL_SOCKET", value_name = "PATH")]
    pub control_socket: Option<PathBuf>,

    /// Fills an empty store with the configuration in FILE (JSON or YAML); refused if the store holds one already.
    #[arg(long, env = "TIDEGATE_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// The address of the listener `web` that an empty store begins with.
    #[arg(long, hide = true, value_name = "ADDR")]
    pub initial_listener: Option<ListenAddress>,

    /// Replaces the token `admin`, and writes the new one to DIR/admin.token.
    #[arg(long)]
    pub new_admin_token: bool,

    /// Which events are written to standard error, e.g. `info` or `info,controlplane=debug`.
    #[arg(long, env = "TIDEGATE_LOG", value_name = "FILTER", default_value = "info")]
    pub log: String,

    /// How they are written.
    #[arg(long, env = "TIDEGATE_LOG_FORMAT", value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormatName,

    /// End when the parent process, PID, ends.
    #[arg(long, hide = true, value_name = "PID", value_parser = process_id)]
    pub exit_with_parent: Option<Pid>,
}

/// The name of a log format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormatName {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl From<LogFormatName> for LogFormat {
    fn from(name: LogFormatName) -> Self {
        match name {
            LogFormatName::Text => Self::Text,
            LogFormatName::Json => Self::Json,
        }
    }
}

impl Options {
    /// The control socket, given or not.
    pub(crate) fn control_socket_in(&self, data_dir: &Path) -> PathBuf {
        self.control_socket.clone().unwrap_or_else(|| data_dir.join("control.sock"))
    }
}

fn process_id(text: &str) -> Result<Pid, String> {
    text.parse().ok().and_then(Pid::from_raw).ok_or_else(|| "not a process id".to_owned())
}
