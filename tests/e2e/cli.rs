//! The client subcommands and their exit codes.

use std::{
    fs,
    io::Write,
    path::Path,
    process::{Command, Output, Stdio},
};

use harness::{ControlPlane, Up, binary};
use serde_json::{Value, json};

#[test]
fn a_file_is_applied_shown_and_rolled_back() {
    let up = Up::start();
    let first = revision(&up);
    let file = up.directory().join("site.yaml");
    fs::write(&file, site(&up, 3)).unwrap();

    let applied = run(&up, &["apply", "-f", &file.display().to_string()], "");
    assert_code(&applied, 0);
    let second = revision(&up);
    assert_eq!(second, first + 1);
    assert!(stdout(&applied).contains(&format!("revision {second}")), "{}", stdout(&applied));

    let table = stdout(&run(&up, &["get", "backends", "shop"], ""));
    assert_eq!(words(&table), [vec!["NAME", "ADDRESS", "WEIGHT"], vec!["a", "127.0.0.1:9", "3"]]);
    let table = stdout(&run(&up, &["get", "routes"], ""));
    assert_eq!(words(&table)[1][..2], ["shop", "shop.example.com"]);
    let one: Value = serde_json::from_str(&stdout(&run(&up, &["get", "upstreams", "shop", "-o", "json"], ""))).unwrap();
    assert_eq!(one["backends"][0]["weight"], 3);
    for kind in ["listeners", "upstreams", "ip-rules", "settings", "revisions", "audit", "data-planes"] {
        for format in ["table", "json", "yaml"] {
            assert_code(&run(&up, &["get", kind, "-o", format], ""), 0);
        }
    }

    assert_code(&run(&up, &["rollback", &first.to_string()], ""), 0);
    assert_eq!(revision(&up), second + 1);
    assert_code(&run(&up, &["get", "upstreams", "shop"], ""), 1);
    let old: Value =
        serde_json::from_str(&stdout(&run(&up, &["get", "revisions", &second.to_string(), "-o", "json"], ""))).unwrap();
    assert!(old.to_string().contains("shop.example.com"), "{old}");
    assert_code(&run(&up, &["rollback", "999999"], ""), 1);
}

#[test]
fn what_get_config_prints_is_what_apply_takes() {
    let up = Up::start();
    assert_code(&run(&up, &["apply", "-f", "-"], &site(&up, 3)), 0);
    let before = revision(&up);
    for format in ["yaml", "json", "table"] {
        let config = stdout(&run(&up, &["get", "config", "-o", format], ""));
        assert_code(&run(&up, &["validate", "-f", "-"], &config), 0);
        assert_code(&run(&up, &["apply", "-f", "-"], &config), 0);
        assert_eq!(revision(&up), before, "the same configuration is no new revision");
    }
}

#[test]
fn a_dry_run_changes_nothing() {
    let up = Up::start();
    let before = revision(&up);
    assert_code(&run(&up, &["apply", "--dry-run", "-f", "-"], &site(&up, 3)), 0);
    assert_eq!(revision(&up), before);
}

#[test]
fn a_refusal_names_the_place_and_changes_nothing() {
    let up = Up::start();
    let before = revision(&up);
    let dangling = "routes:\n  - { name: r, action: { forward: { upstream: nobody } } }\n";
    for (document, place) in [(dangling, "/routes/0"), ("listeners: [{ name: a, adress: x }]", "/listeners/0/adress")] {
        for command in ["apply", "validate"] {
            let refused = run(&up, &[command, "-f", "-"], document);
            assert_code(&refused, 1);
            let said = stdout(&refused) + &stderr(&refused);
            assert!(said.contains(place), "{command}: {said}");
        }
    }
    assert_eq!(revision(&up), before);
}

#[test]
fn lists_are_followed_over_all_pages() {
    let up = Up::start();
    let upstreams: Vec<Value> = (0..1203).map(|number| json!({ "name": format!("u{number:04}") })).collect();
    let document = json!({ "listeners": listeners(&up), "upstreams": upstreams }).to_string();
    assert_code(&run(&up, &["apply", "-f", "-"], &document), 0);
    let listed: Vec<Value> = serde_json::from_str(&stdout(&run(&up, &["get", "upstreams", "-o", "json"], ""))).unwrap();
    let names: Vec<&str> = listed.iter().filter_map(|upstream| upstream["name"].as_str()).collect();
    assert_eq!(names.len(), 1203);
    assert!(names.is_sorted_by(|a, b| a < b));
}

#[test]
fn status_is_fine_only_when_a_data_plane_serves_the_revision() {
    let up = Up::start();
    let fine = run(&up, &["status"], "");
    assert_code(&fine, 0);
    assert!(stdout(&fine).contains("all well"), "{}", stdout(&fine));
    let status: Value = serde_json::from_str(&stdout(&run(&up, &["status", "-o", "json"], ""))).unwrap();
    assert_eq!((&status["well"], &status["revision"]), (&json!(true), &json!(revision(&up))));

    let directory = tempfile::tempdir().unwrap();
    let alone = ControlPlane::start(directory.path(), &[]);
    let token = directory.path().join("admin.token").display().to_string();
    let api = format!("http://{}", alone.api_address());
    let lonely = tidegate(&["status", "--api", &api, "--token-file", &token], "");
    assert_code(&lonely, 1);
    assert!(stdout(&lonely).contains("no data plane"), "{}", stdout(&lonely));
}

#[test]
fn exit_codes_tell_refused_usage_and_unreachable_apart() {
    let up = Up::start();
    let api = format!("http://{}", up.api_address());
    let directory = tempfile::tempdir().unwrap();
    let wrong = directory.path().join("token");
    fs::write(&wrong, "wrong").unwrap();
    let wrong = wrong.display().to_string();
    let nobody = format!("http://127.0.0.1:{}", harness::free_port());
    for (arguments, code) in [
        (&["get", "routes", "--api", &api, "--token-file", &wrong][..], 1),
        (&["status", "--api", &api, "--token-file", &wrong], 1),
        (&["status", "--api", &api, "--token-file", "/does/not/exist"], 1),
        (&["get", "routes", "--api", &nobody, "--token-file", &wrong], 3),
        (&["status", "--api", "https://127.0.0.1", "--token-file", &wrong], 2),
        (&["get", "everything"], 2),
        (&["apply"], 2),
        (&["apply", "-f", "/does/not/exist", "--token-file", &wrong], 1),
        (&["--help"], 0),
        (&["--version"], 0),
    ] {
        let output = tidegate(arguments, "");
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", stderr(&output));
        assert_eq!(stderr(&output).is_empty(), code == 0, "{arguments:?}: {}", stderr(&output));
    }
}

#[test]
fn the_openapi_document_needs_no_server() {
    let output = tidegate(&["openapi"], "");
    assert_code(&output, 0);
    let document: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert!(document["paths"]["/api/v1/upstreams"].is_object(), "{document}");
    assert_code(&tidegate(&["openapi", "-o", "yaml"], ""), 0);
}

#[test]
fn the_example_configurations_are_valid() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/examples");
    let mut files = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let output = tidegate(&["validate", "-f", &entry.unwrap().path().display().to_string()], "");
        assert_code(&output, 0);
        assert!(stdout(&output).contains("is valid"), "{}", stdout(&output));
        files += 1;
    }
    assert!(files > 0);
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let mut child =
        Command::new(binary()).arg("openapi").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""));
}

fn listeners(up: &Up) -> Value {
    json!([{ "name": "web", "address": up.listen_address() }])
}

fn site(up: &Up, weight: u16) -> String {
    format!(
        "listeners:
  - name: web
    address: {}
upstreams:
  - name: shop
    backends:
      - {{ name: a, address: '127.0.0.1:9', weight: {weight} }}
routes:
  - name: shop
    match: {{ hosts: [shop.example.com] }}
    action: {{ forward: {{ upstream: shop }} }}
",
        up.listen_address()
    )
}

fn revision(up: &Up) -> u64 {
    let status = stdout(&run(up, &["status", "-o", "json"], ""));
    let status: Value = serde_json::from_str(&status).unwrap_or_else(|error| panic!("{error}: {status}"));
    status["revision"].as_u64().expect("a number")
}

fn run(up: &Up, arguments: &[&str], input: &str) -> Output {
    let api = format!("http://{}", up.api_address());
    let token = up.data_dir().join("admin.token").display().to_string();
    tidegate(&[arguments, &["--api", &api, "--token-file", &token]].concat(), input)
}

fn tidegate(arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new(binary());
    for variable in ["TIDEGATE_API", "TIDEGATE_TOKEN", "TIDEGATE_TOKEN_FILE"] {
        command.env_remove(variable);
    }
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("tidegate starts");
    // It may have ended without reading.
    let _ = child.stdin.take().expect("piped").write_all(input.as_bytes());
    child.wait_with_output().expect("tidegate ends")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn words(table: &str) -> Vec<Vec<&str>> {
    table.lines().map(|line| line.split_whitespace().collect()).collect()
}

#[track_caller]
fn assert_code(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "stdout {}\nstderr {}", stdout(output), stderr(output));
}
