//! Finds the programs under test: `HEADWATER_BIN_DIR`, else the target folder of the running
//! test. A program that is missing or older than the sources is built first, with the profile of
//! the running test. Does not look in PATH.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::SystemTime;
use std::{env, fs};

use crate::scratch::{profile_dir, target_dir, workspace_dir};

/// The path of the program `name`, for example `headwater-agent`.
///
/// # Panics
/// When it does not exist and cannot be built: no test can go on then.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    if let Some(dir) = env::var_os("HEADWATER_BIN_DIR") {
        let path = PathBuf::from(dir).join(name);
        assert!(path.is_file(), "{} (HEADWATER_BIN_DIR) does not exist", path.display());
        return path.canonicalize().expect("an existing file has a path");
    }
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(build_if_stale);
    let path = profile_dir().join(name);
    assert!(path.is_file(), "{} does not exist after a build", path.display());
    path
}

fn build_if_stale() {
    let programs = ["headwater-agent", "headwater-aggregator"].map(|n| profile_dir().join(n));
    let sources = ["shared", "edge-agent", "aggregator", "Cargo.toml"];
    let newest = sources.iter().map(|s| newest(&workspace_dir().join(s))).max();
    let newest = newest.expect("the list is not empty");
    let broker = profile_dir().join("headwater-broker");
    if broker.is_file() && programs.iter().all(|program| modified(program) > newest) {
        return;
    }
    let profile = profile_dir();
    let profile = profile.file_name().and_then(|n| n.to_str()).expect("a profile has a name");
    let profile = if profile == "debug" { "dev" } else { profile };
    eprintln!("building the programs under test (profile {profile})");
    let status = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        // The same set of packages as a plain `cargo build`, so that features agree with it.
        .args(["build", "--quiet", "--workspace", "--bins", "--profile", profile])
        .current_dir(workspace_dir())
        .env("CARGO_TARGET_DIR", target_dir())
        .status()
        .expect("cargo can be started");
    assert!(status.success(), "the programs under test do not build");
}

fn modified(path: &Path) -> SystemTime {
    fs::metadata(path).and_then(|m| m.modified()).unwrap_or(SystemTime::UNIX_EPOCH)
}

/// The newest change of a file that goes into the programs.
fn newest(path: &Path) -> SystemTime {
    if path.is_file() {
        let counts = path.extension().is_some_and(|e| e == "rs" || e == "toml");
        return if counts { modified(path) } else { SystemTime::UNIX_EPOCH };
    }
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|e| newest(&e.path())).max().unwrap_or(SystemTime::UNIX_EPOCH)
}
