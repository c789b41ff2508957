//! The `tidegate` binary under test.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// The path of `tidegate`: `TIDEGATE_BIN` if that is set, else what `cargo build` makes from these sources, in the
/// profile of the running test.
///
/// # Panics
/// When it cannot be built, or is not where it should be.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| env::var_os("TIDEGATE_BIN").map_or_else(build, PathBuf::from))
}

fn build() -> PathBuf {
    // target/<profile>/deps/e2e-<hash>
    let test = env::current_exe().expect("a running test has an executable");
    let folder = test.ancestors().nth(2).expect("tests run from target/<profile>/deps").to_owned();
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        None | Some("debug") => "dev",
        Some(profile) => profile,
    };
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are a member of the workspace");
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "--package", "tidegate-cli", "--bin", "tidegate", "--profile", profile]);
    command.arg("--target-dir").arg(folder.parent().expect("target/<profile> has a parent")).current_dir(workspace);
    let built = command.output();
    let failed = "the end-to-end tests need the tidegate binary";
    match built {
        Ok(output) if output.status.success() => {}
        Ok(output) => {
            panic!("{failed}, and `cargo build -p tidegate-cli` failed: {}", String::from_utf8_lossy(&output.stderr))
        }
        Err(error) => panic!("{failed}, and cargo cannot be run: {error}; name the binary with TIDEGATE_BIN"),
    }
    let binary = folder.join("tidegate");
    assert!(binary.is_file(), "{failed}, and {} is missing; name it with TIDEGATE_BIN", binary.display());
    binary
}
