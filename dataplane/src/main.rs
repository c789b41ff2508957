//! `tidegate-dataplane`: the data plane as a program of its own.

use clap::Parser;

/// Tidegate's data plane: forwards HTTP traffic to backends
#[derive(Parser)]
#[command(version, name = "tidegate-dataplane")]
struct Arguments {
    #[command(flatten)]
    options: dataplane::Options,
}

fn main() -> anyhow::Result<()> {
    dataplane::run(Arguments::parse().options)
}
