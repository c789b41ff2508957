//! `tidegate status`: does every data plane serve the current revision, and what are the endpoints doing?

mod endpoints;
mod problems;
mod screen;

use std::{
    io::{self, IsTerminal},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use clap::Args;
use serde_json::{Value, json};
use tokio::{
    signal::unix::{SignalKind, signal},
    task::spawn_blocking,
};

use self::screen::Screen;
use crate::{
    client::{Client, escaped},
    failure::Failure,
    output::{self, Column, Format},
};

/// What to show of the state.
#[derive(Args)]
pub(crate) struct Options {
    /// Show it again every second, until Ctrl-C.
    #[arg(short, long)]
    watch: bool,
    /// Only the endpoints of this upstream.
    #[arg(short, long, value_name = "NAME")]
    upstream: Option<String>,
}

/// How long a watch waits until it looks again.
const PAUSE: Duration = Duration::from_secs(1);

/// What a data plane's row shows.
pub(crate) const COLUMNS: [Column; 5] = [
    ("DATA PLANE", "/id"),
    ("STATE", "/state"),
    ("APPLIED", "/applied_revision"),
    ("PERSISTED", "/persisted_revision"),
    ("CONNECTED SINCE", "/connected_since"),
];

/// Prints the state of everything; exit code 1 if something is not well.
pub(crate) fn run(client: Client, options: &Options, format: Format) -> Result<ExitCode, Failure> {
    if options.watch {
        return watch(Arc::new(client), options.upstream.clone(), format);
    }
    let seen = Seen::fetch(&client, options.upstream.as_deref())?;
    match format {
        Format::Table => output::print(&seen.text())?,
        Format::Json | Format::Yaml => output::document(&seen.document(), format)?,
    }
    Ok(if seen.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints the state every second: over the last one on a terminal, else one after the other, JSON in one line each.
fn watch(client: Arc<Client>, upstream: Option<String>, format: Format) -> Result<ExitCode, Failure> {
    let mut screen = (format == Format::Table && io::stdout().is_terminal()).then(Screen::default);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ended = runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut is_first = true;
        loop {
            let (client, upstream) = (Arc::clone(&client), upstream.clone());
            let fetched = spawn_blocking(move || Seen::fetch(&client, upstream.as_deref()));
            let fetched = tokio::select! {
                fetched = fetched => fetched.map_err(|fault| Failure::Failed(fault.to_string()))?,
                _ = interrupt.recv() => return Ok(ExitCode::SUCCESS),
            };
            let text = match (fetched, format) {
                (Ok(seen), Format::Table) => seen.text(),
                (Ok(seen), Format::Json) => seen.document().to_string(),
                (Ok(seen), Format::Yaml) => {
                    format!("---\n{}", shared::document::to_yaml(&seen.document()).map_err(Failure::Failed)?)
                }
                // It may be back in a moment. A program that reads this wants documents only.
                (Err(failure), Format::Table) if !is_first => format!("{}; trying again\n", failure.sentence()),
                (Err(failure), _) => return Err(failure),
            };
            is_first = false;
            match &mut screen {
                Some(screen) => screen.draw(&text)?,
                None => output::print(&text)?,
            }
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                _ = interrupt.recv() => return Ok(ExitCode::SUCCESS),
            }
        }
    });
    // A request that is under way is not waited for.
    runtime.shutdown_background();
    ended
}

/// The state as it was seen at one moment.
struct Seen {
    revision: u64,
    data_planes: Vec<Value>,
    upstreams: Vec<Value>,
    problems: Vec<String>,
}

impl Seen {
    fn fetch(client: &Client, upstream: Option<&str>) -> Result<Self, Failure> {
        let revision = client.head("config")?.revision.unwrap_or(0);
        let data_planes = client.data_planes()?;
        let upstreams = match upstream {
            Some(name) => vec![client.get(&format!("upstreams/{}/status", escaped(name)))?.body],
            None => client.list("status")?,
        };
        let mut problems = problems::of_data_planes(revision, &data_planes);
        problems.extend(problems::of_endpoints(&upstreams));
        Ok(Self { revision, data_planes, upstreams, problems })
    }

    fn document(&self) -> Value {
        json!({
            "revision": self.revision,
            "well": self.problems.is_empty(),
            "problems": self.problems,
            "data_planes": self.data_planes,
            "upstreams": self.upstreams,
        })
    }

    /// For people.
    fn text(&self) -> String {
        let mut text = format!("revision {}\n", self.revision);
        if !self.data_planes.is_empty() {
            text.push_str(&output::columns(&self.data_planes, &COLUMNS));
        }
        text.push_str(&endpoints::tables(&self.upstreams));
        match problems::listed(&self.problems).as_slice() {
            [] => text.push_str("all well\n"),
            problems => problems.iter().for_each(|problem| text.push_str(&format!("{problem}\n"))),
        }
        text
    }
}
