//! `tidegate get KIND [NAME]`: what the REST API knows.

use std::{num::NonZeroUsize, process::ExitCode};

use clap::{Args, Subcommand};
use serde_json::Value;

use crate::{
    client::{Client, escaped},
    failure::Failure,
    output::{self, Column, Format},
    status,
};

/// What to show.
#[derive(Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    kind: Kind,
}

#[derive(Subcommand)]
enum Kind {
    /// Bound addresses.
    Listeners(Item),
    /// Which request goes where.
    Routes(Item),
    /// Groups of backends.
    Upstreams(Item),
    /// The members of an upstream.
    Backends {
        /// The upstream's name.
        upstream: String,
        #[command(flatten)]
        item: Item,
    },
    /// Which clients may come in.
    IpRules(Item),
    /// What holds for everything.
    Settings,
    /// The whole configuration, in the form that `tidegate apply -f` takes.
    Config,
    /// What was committed, or the whole configuration of one revision.
    Revisions {
        /// The revision's number; left out, all are listed.
        revision: Option<u64>,
    },
    /// Who changed what, and when.
    Audit {
        /// At most so many entries, the newest.
        #[arg(long, default_value = "1000", value_name = "N")]
        limit: NonZeroUsize,
    },
    /// The data planes and what they serve.
    DataPlanes,
}

#[derive(Args)]
struct Item {
    /// The name of one; left out, all are listed.
    name: Option<String>,
}

const LISTENERS: [Column; 3] = [("NAME", "/name"), ("ADDRESS", "/address"), ("TRUSTED PROXIES", "/trusted_proxies")];
const ROUTES: [Column; 4] =
    [("NAME", "/name"), ("HOSTS", "/match/hosts"), ("PATH", "/match/path"), ("ACTION", "/action")];
const UPSTREAMS: [Column; 2] = [("NAME", "/name"), ("BACKENDS", "/backends")];
const BACKENDS: [Column; 3] = [("NAME", "/name"), ("ADDRESS", "/address"), ("WEIGHT", "/weight")];
const IP_RULES: [Column; 6] = [
    ("NAME", "/name"),
    ("ACTION", "/action"),
    ("CIDR", "/cidr"),
    ("ROUTE", "/route"),
    ("EXPIRES", "/expires_at"),
    ("COMMENT", "/comment"),
];
const REVISIONS: [Column; 4] =
    [("REVISION", "/number"), ("AT", "/created_at"), ("ACTOR", "/actor"), ("CHANGE", "/summary")];
const AUDIT: [Column; 6] = [
    ("AT", "/at"),
    ("ACTOR", "/actor"),
    ("REVISION", "/revision"),
    ("CHANGE", "/action"),
    ("KIND", "/kind"),
    ("NAME", "/name"),
];

/// Prints a list, or one resource.
pub(crate) fn run(client: &Client, options: &Options, format: Format) -> Result<ExitCode, Failure> {
    let show = |path: &str| output::document(&client.get(path)?.body, format);
    let list = |path: &str, columns: &[Column]| output::list(client.list(path)?, columns, format);
    let one_or_all = |path: &str, item: &Item, columns: &[Column]| match &item.name {
        Some(name) => show(&format!("{path}/{}", escaped(name))),
        None => list(path, columns),
    };
    match &options.kind {
        Kind::Listeners(item) => one_or_all("listeners", item, &LISTENERS)?,
        Kind::Routes(item) => one_or_all("routes", item, &ROUTES)?,
        Kind::Upstreams(Item { name: None }) if format == Format::Table => {
            output::list(client.list("upstreams")?.into_iter().map(with_backend_names).collect(), &UPSTREAMS, format)?;
        }
        Kind::Upstreams(item) => one_or_all("upstreams", item, &UPSTREAMS)?,
        Kind::Backends { upstream, item: Item { name: None } } if format == Format::Table => {
            let backends = client.list(&format!("upstreams/{}/backends", escaped(upstream)))?;
            output::list(backends.into_iter().map(with_weight).collect(), &BACKENDS, format)?;
        }
        Kind::Backends { upstream, item } => {
            one_or_all(&format!("upstreams/{}/backends", escaped(upstream)), item, &BACKENDS)?;
        }
        Kind::IpRules(item) => one_or_all("ip-rules", item, &IP_RULES)?,
        Kind::Settings => show("settings")?,
        Kind::Config => show("config")?,
        Kind::Revisions { revision: Some(number) } => show(&format!("revisions/{number}"))?,
        Kind::Revisions { revision: None } => list("revisions", &REVISIONS)?,
        Kind::Audit { limit } => output::list(client.first("audit", limit.get())?, &AUDIT, format)?,
        Kind::DataPlanes => output::list(client.data_planes()?, &status::COLUMNS, format)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The upstream with the names of its backends in place of the backends: a cell holds no more.
fn with_backend_names(mut upstream: Value) -> Value {
    for backend in upstream.get_mut("backends").and_then(Value::as_array_mut).into_iter().flatten() {
        *backend = backend.get("name").cloned().unwrap_or_default();
    }
    upstream
}

/// The backend with its weight: documents leave out what is at its default, a table shows it.
fn with_weight(mut backend: Value) -> Value {
    if let Some(members) = backend.as_object_mut() {
        members.entry("weight").or_insert_with(|| 1.into());
    }
    backend
}
