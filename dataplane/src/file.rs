//! Serving a configuration file without any control plane.

use std::path::Path;

use anyhow::{Context, bail};
use shared::{config::Config, document, protocol::Revision};
use tokio::{signal::unix::Signal, time::interval};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::apply::Applier;

/// Serves the configuration in the file at `path` until `shutdown`; `hangup` reads it again, atomically.
///
/// # Errors
/// At the start: the file cannot be read, is no valid configuration, or one of its listeners cannot be bound. Later such
/// faults are logged and what acted before goes on.
pub(crate) async fn follow(
    applier: &mut Applier,
    path: &Path,
    mut hangup: Signal,
    shutdown: &CancellationToken,
) -> anyhow::Result<()> {
    let mut revision = Revision(1);
    let config = read(path)?;
    let (findings, faults) = applier.check(config.clone()).await;
    if let Some(fault) = faults.first() {
        bail!("listener {} cannot be bound to {}: {}", fault.name, fault.address, fault.error);
    }
    for finding in findings.iter() {
        warn!(pointer = finding.pointer, "{}", finding.message);
    }
    applier.apply(config, revision).await.with_context(|| format!("{} is refused", path.display()))?;

    let mut tick = interval(std::time::Duration::from_secs(1));
    loop {
        tokio::select! {
            _ = hangup.recv() => {
                info!(file = %path.display(), "reading the configuration again");
                let next = Revision(revision.0 + 1);
                match read(path) {
                    Ok(config) => {
                        if applier.apply(config, next).await.is_ok() {
                            revision = next;
                        }
                    }
                    Err(error) => warn!("{error:#}; the old configuration stays"),
                }
            }
            _ = tick.tick() => applier.tick().await,
            () = shutdown.cancelled() => return Ok(()),
        }
    }
}

fn read(path: &Path) -> anyhow::Result<Config> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    document::read_config(&text).with_context(|| format!("{} is no configuration", path.display()))
}
