//! The `tidegate` command: both planes in one binary, and a client of the REST API.
//!
//! One file per subcommand. [`up`] runs both planes as child processes of this same executable; `dataplane` and
//! `controlplane` are the planes themselves; all others talk to the REST API through [`client`] and print with
//! [`output`]. How a command failed, and the exit code that follows, is in [`failure`].

mod admin_state;
mod apply;
mod client;
mod events;
mod failure;
mod get;
mod openapi;
mod output;
mod rollback;
mod status;
mod up;
mod validate;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{client::Client, failure::Failure, output::Format};

/// Tidegate: a reverse proxy that is configured over REST, live.
#[derive(Parser)]
#[command(name = "tidegate", version, after_help = EXAMPLES, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    client: client::Options,
    /// How answers are printed: `table` for people, `json` or `yaml` for programs.
    #[arg(id = "output", short, long = "output", value_enum, default_value_t = Format::Table, global = true)]
    #[arg(value_name = "FORMAT", hide_possible_values = true, help_heading = client::HEADING)]
    format: Format,
}

#[derive(Subcommand)]
enum Command {
    /// Run both planes on this host, with everything they keep in one directory.
    Up(up::Options),
    /// Run the data plane: it forwards traffic.
    Dataplane(Box<dataplane::Options>),
    /// Run the control plane: the REST API and its store.
    Controlplane(Box<controlplane::Options>),
    /// Show data planes and endpoints, and whether all is well; exit code 1 if something is not.
    Status(status::Options),
    /// Show what happened, and follow what happens.
    Events(events::Options),
    /// Replace the whole configuration by a file, and wait until it serves traffic.
    Apply(apply::Options),
    /// Let a backend finish what is open and keep its sessions, and take nothing new.
    Drain(admin_state::Drain),
    /// Let a backend take requests again.
    Enable(admin_state::Options),
    /// Let a backend take nothing; its sessions move.
    Disable(admin_state::Options),
    /// Show resources, revisions, the audit log or the data planes.
    Get(get::Options),
    /// Make an earlier revision the current configuration again, as a new revision.
    Rollback(rollback::Options),
    /// Check a configuration file; needs no server.
    Validate(validate::Options),
    /// Print the OpenAPI document of the REST API; needs no server.
    Openapi,
}

const EXAMPLES: &str = "\
Examples:
  tidegate up                              both planes, in ./tidegate-data
  tidegate status                          is every data plane and endpoint well?
  tidegate status --watch -u shop          one upstream, again each second
  tidegate events --follow                 what happens, line by line
  tidegate get routes                      a table; -o yaml or -o json for all of it
  tidegate get config -o yaml > site.yaml  the whole configuration as a file
  tidegate validate -f site.yaml           check the file without a server
  tidegate apply -f site.yaml              make it the configuration
  tidegate drain shop a --deadline 10m     before backend a of upstream shop is restarted
  tidegate rollback 6                      go back to revision 6

Exit codes: 0 fine, 1 refused or failed, 2 wrong usage, 3 the REST API cannot be reached";

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help goes to standard output and is no failure; clap knows which is which. A closed pipe is no fault either.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(failure::USAGE));
        }
    };
    run(cli).unwrap_or_else(|failure| failure.report())
}

fn run(Cli { command, client, format }: Cli) -> Result<ExitCode, Failure> {
    let connect = || Client::new(&client);
    match command {
        Command::Up(options) => up::run(&options),
        Command::Dataplane(options) => plane(dataplane::run(*options)),
        Command::Controlplane(options) => plane(controlplane::run(*options)),
        Command::Status(options) => status::run(connect()?, &options, format),
        Command::Events(options) => events::run(&connect()?, &options, format),
        Command::Apply(options) => apply::run(&connect()?, &options, format),
        Command::Drain(options) => admin_state::drain(&connect()?, &options, format),
        Command::Enable(options) => admin_state::set(&connect()?, "enable", &options, format),
        Command::Disable(options) => admin_state::set(&connect()?, "disable", &options, format),
        Command::Get(options) => get::run(&connect()?, &options, format),
        Command::Rollback(options) => rollback::run(&connect()?, &options, format),
        Command::Validate(options) => validate::run(&options, format),
        Command::Openapi => openapi::run(format),
    }
}

fn plane(result: anyhow::Result<()>) -> Result<ExitCode, Failure> {
    result.map(|()| ExitCode::SUCCESS).map_err(|error| Failure::Failed(format!("{error:#}")))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn flags_do_not_clash() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_flags_stand_before_or_after_the_subcommand() {
        for words in ["tidegate -o json --api http://h:1 status", "tidegate status --api http://h:1 -o json"] {
            let cli = Cli::try_parse_from(words.split(' ')).unwrap();
            assert_eq!((cli.client.api.as_str(), cli.format), ("http://h:1", Format::Json), "{words}");
        }
    }
}
