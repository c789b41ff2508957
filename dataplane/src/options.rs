use std::{net::SocketAddr, path::PathBuf};

use rustix::process::Pid;
use shared::{telemetry::LogFormat, value::TimeSpan};

/// How to run a data plane.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Serve this configuration file (YAML or JSON) without any control plane; SIGHUP reads it again
    #[arg(long, value_name = "FILE", env = "TIDEGATE_CONFIG", conflicts_with = "control_socket")]
    pub config: Option<PathBuf>,

    /// Follow the control plane at this socket
    #[arg(long, value_name = "PATH", env = "TIDEGATE_CONTROL_SOCKET", default_value = "tidegate-data/control.sock")]
    pub control_socket: PathBuf,

    /// Where the last good snapshots are kept for a start without the control plane
    #[arg(long, value_name = "DIR", env = "TIDEGATE_STATE_DIR", default_value = "tidegate-data/dataplane")]
    pub state_dir: PathBuf,

    /// Where access log files are written that the configuration names by a relative path
    #[arg(long, value_name = "DIR", env = "TIDEGATE_LOG_DIR", default_value = "tidegate-data/log")]
    pub log_dir: PathBuf,

    /// Worker threads; one per core unless said otherwise
    #[arg(long, value_name = "N", env = "TIDEGATE_WORKERS", value_parser = clap::value_parser!(u16).range(1..=512))]
    pub workers: Option<u16>,

    /// Where metrics, liveness and readiness are served
    #[arg(long, value_name = "ADDR", env = "TIDEGATE_ADMIN_ADDRESS", default_value = "127.0.0.1:7081")]
    pub admin_address: SocketAddr,

    /// How long open requests may take to finish after SIGTERM or Ctrl-C
    #[arg(long, value_name = "DURATION", env = "TIDEGATE_DRAIN_TIMEOUT", default_value = "30s")]
    pub drain_timeout: TimeSpan,

    /// Which events are logged to standard error
    #[arg(long = "log", value_name = "FILTER", env = "TIDEGATE_LOG", default_value = "info")]
    pub log_filter: String,

    /// How events are logged
    #[arg(long, value_name = "FORMAT", env = "TIDEGATE_LOG_FORMAT", default_value = "text")]
    pub log_format: LogFormat,

    /// End when the parent process, PID, ends
    #[arg(long, hide = true, value_name = "PID", value_parser = process_id)]
    pub exit_with_parent: Option<Pid>,
}

fn process_id(text: &str) -> Result<Pid, String> {
    text.parse().ok().and_then(Pid::from_raw).ok_or_else(|| "not a process id".to_owned())
}
