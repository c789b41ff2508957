//! What `tidegate up` prints once both planes run.

use std::path::Path;

use tracing::warn;

use super::{Options, ready::reachable};
use crate::{client::Client, failure::Failure, output};

/// Prints the addresses, the token's file and a first curl; asks the REST API for the listeners, off this thread.
pub(super) fn announce(options: &Options) {
    let options = options.clone();
    tokio::task::spawn_blocking(move || {
        let listeners = listeners(&options).unwrap_or_else(|failure| {
            warn!("the listeners could not be asked for: {failure:?}");
            Vec::new()
        });
        // A closed standard output is no reason to stop traffic.
        let _ = output::print(&text(&options, &listeners));
    });
}

fn token_file(options: &Options) -> std::path::PathBuf {
    options.data_dir.join("admin.token")
}

/// The addresses of all listeners that are configured now.
fn listeners(options: &Options) -> Result<Vec<String>, Failure> {
    let token = std::fs::read_to_string(token_file(options))?;
    let client = Client::with_token(&format!("http://{}", reachable(options.api_address)), &token)?;
    let listeners = client.list("listeners")?;
    Ok(listeners.iter().map(|listener| output::cell(listener.get("address"))).collect())
}

fn text(options: &Options, listeners: &[String]) -> String {
    let api = reachable(options.api_address);
    let admin = reachable(options.admin_address);
    let token = token_file(options);
    let traffic = if listeners.is_empty() { "no listener yet".to_owned() } else { listeners.join(", ") };
    format!(
        "Tidegate is running.

  traffic      {traffic}
  REST API     http://{api}/api/v1 (described at http://{api}/docs)
  metrics      http://{admin}/metrics
  admin token  {token_shown}

  curl -H \"Authorization: Bearer $(cat {token})\" http://{api}/api/v1/config
",
        token_shown = token.display(),
        token = quoted(&token),
    )
}

/// The path as a word of a shell's command line.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,:@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_quoted_where_a_shell_would_split_them() {
        for (path, expected) in [
            ("./tidegate-data/admin.token", "./tidegate-data/admin.token"),
            ("/my data/t", "'/my data/t'"),
            ("it's", r"'it'\''s'"),
        ] {
            assert_eq!(quoted(Path::new(path)), expected);
        }
    }
}
