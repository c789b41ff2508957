//! What `tidegate up` prints once both planes run.

use std::path::Path;

use serde_json::Value;
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

/// The addresses of all listeners that are configured now; of those that do not accept, why.
fn listeners(options: &Options) -> Result<Vec<String>, Failure> {
    let token = std::fs::read_to_string(token_file(options))?;
    let client = Client::with_token(&format!("http://{}", reachable(options.api_address)), &token)?;
    let listeners = client.list("listeners")?;
    let data_planes = client.data_planes()?;
    Ok(listeners.iter().map(|listener| marked(&output::cell(listener.get("address")), &data_planes)).collect())
}

/// The address, and why no data plane accepts there if one says so: who answers there is somebody else.
fn marked(address: &str, data_planes: &[Value]) -> String {
    let faults = data_planes.iter().filter_map(|data_plane| data_plane.get("listeners")?.as_array()).flatten();
    let mut ours = faults.filter(|fault| fault.get("address").and_then(Value::as_str) == Some(address));
    match ours.next() {
        Some(fault) => format!("{address} (NOT ACCEPTING: {})", output::cell(fault.get("error"))),
        None => address.to_owned(),
    }
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
    fn a_listener_that_does_not_accept_is_marked() {
        let data_planes = [
            serde_json::json!({"listeners": [{"name": "web", "address": "127.0.0.1:8080", "error": "address in use"}]}),
        ];
        assert_eq!(marked("127.0.0.1:8080", &data_planes), "127.0.0.1:8080 (NOT ACCEPTING: address in use)");
        assert_eq!(marked("127.0.0.1:8081", &data_planes), "127.0.0.1:8081");
    }

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
