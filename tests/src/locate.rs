//! Where the built plugins and the built programs are.
//!
//! `CONTINUO_BUNDLE`, `CONTINUO_VST3`, `CONTINUO_STANDALONE` and `CONTINUO_CLI` name
//! them (`cargo verify` sets them all); without these variables the newest of those that a build has put in place is taken.

use anyhow::{Context, Result, bail};
use std::env;
use std::io::Write;
use std::path::{Path, PathBuf};

/// How to build what the tests need.
pub const BUILD: &str = "cargo run -p continuo-bundler -- bundle --profile dev";

/// The folder cargo builds into: `CARGO_TARGET_DIR`, or `target` beside the
/// workspace's `Cargo.toml`.
#[must_use]
pub fn target_dir() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir))
}

/// The built `.clap`.
///
/// # Errors
/// When it is not there: the message names the command that builds it.
pub fn bundle() -> Result<PathBuf> {
    let bundled = target_dir().join("bundled");
    find("CONTINUO_BUNDLE", "plugin", &[bundled.join("dev/Continuo.clap"), bundled.join("Continuo.clap")])
}

/// The built `.vst3`.
///
/// # Errors
/// When it is not there: the message names the command that builds it.
pub fn vst3() -> Result<PathBuf> {
    let bundled = target_dir().join("bundled");
    find("CONTINUO_VST3", "VST3 plugin", &[bundled.join("dev/Continuo.vst3"), bundled.join("Continuo.vst3")])
}

/// The built standalone.
///
/// # Errors
/// When it is not there: the message names the command that builds it.
pub fn standalone() -> Result<PathBuf> {
    let name = format!("continuo-standalone{}", env::consts::EXE_SUFFIX);
    let target = target_dir();
    find(
        "CONTINUO_STANDALONE",
        "standalone",
        &[target.join("debug").join(&name), target.join("release").join(&name)],
    )
}

/// A program of the system's, by its name, if it is on the path.
#[must_use]
pub fn program(name: &str) -> Option<PathBuf> {
    let folders = env::var_os("PATH")?;
    env::split_paths(&folders).map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// Says that something could not be checked, past the test harness, which hides what
/// tests that pass have printed.
pub fn not_checked(what: &str, package: &str) {
    let note = format!("note: {package} is not here, so this was NOT checked: {what}\n");
    // Nobody to tell if that fails.
    let _ = std::io::stderr().write_all(note.as_bytes());
}

/// The built command line `continuo`.
///
/// # Errors
/// When it is not there: the message names the command that builds it.
pub fn cli() -> Result<PathBuf> {
    let name = format!("continuo{}", env::consts::EXE_SUFFIX);
    let target = target_dir();
    find(
        "CONTINUO_CLI",
        "command line",
        &[target.join("debug").join(&name), target.join("release").join(&name)],
    )
}

fn find(variable: &str, what: &str, places: &[PathBuf]) -> Result<PathBuf> {
    if let Some(path) = env::var_os(variable).map(PathBuf::from) {
        if path.exists() {
            return Ok(path);
        }
        bail!("{variable} says {}, where nothing is; build it with: {BUILD}", path.display());
    }
    let newest = |path: &&PathBuf| path.metadata().and_then(|data| data.modified()).ok();
    places.iter().filter(|path| path.exists()).max_by_key(newest).cloned().with_context(|| {
        let places: Vec<_> = places.iter().map(|path| path.display().to_string()).collect();
        format!("the {what} has not been built (looked at {}); build it with: {BUILD}", places.join(" and "))
    })
}
