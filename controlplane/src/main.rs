//! The control plane as a process of its own.

use clap::Parser;

/// Tidegate's control plane: the REST API, its database, and publishing to data planes.
#[derive(Parser)]
#[command(name = "tidegate-controlplane", version)]
struct Arguments {
    #[command(flatten)]
    options: controlplane::Options,
}

fn main() -> anyhow::Result<()> {
    controlplane::run(Arguments::parse().options)
}
