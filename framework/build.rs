//! Makes this crate's source: that of nice-plug as it is on the registry, with the repairs
//! in `repairs/` applied. They mend what can end a host's process:
//!
//! - `event_loop-background_thread.diff`: all instances share a worker thread. A task of an
//!   instance that was gone ended it, and the next instance to go then panicked; an instance
//!   whose last reference was that thread's made it wait for itself.
//! - `wrapper-vst3-inner.diff`: on Linux, news for the editor can arrive on that thread,
//!   which may not touch the editor's window and panicked in trying to.
//! - `wrapper-vst3-wrapper.diff`: a VST3 plugin was told whether it renders offline by the
//!   setup before the last one, so that the first bounce was taken for playing; and not at
//!   all when the blocks alone say it, as in Ardour's exports. (It ends nobody's process; it
//!   lost answers, or they came a bar late.)
//! - `prelude.diff` is no repair: an included file may not name its own macros by path, so
//!   `nice_export_clap` and `nice_export_vst3` are at the crate's root alone.
//!
//! Once a release of nice-plug has these repairs, this crate can go.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs};

/// The release the repairs are made for.
const VERSION: &str = "0.4.2";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=repairs");
    let source = source()?;
    let target = PathBuf::from(env::var("OUT_DIR")?).join("nice-plug");
    if target.exists() {
        fs::remove_dir_all(&target)?;
    }
    copy(&source.join("src"), &target)?;
    for entry in fs::read_dir("repairs")? {
        repair(&entry?.path(), &target)?;
    }
    // An included file cannot describe what includes it.
    let lib = target.join("lib.rs");
    let text = fs::read_to_string(&lib)?;
    let inner = |line: &&str| !line.starts_with("//!") && !line.starts_with("#![");
    let lines: Vec<&str> = text.lines().filter(inner).collect();
    fs::write(lib, lines.join("\n"))?;
    Ok(())
}

/// What cargo says of all packages for the system that is built for.
fn metadata(more: &[&str]) -> Result<Output, Box<dyn Error>> {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["metadata", "--format-version", "1", "--filter-platform", &env::var("TARGET")?]).args(more);
    Ok(command.current_dir(env::var("CARGO_MANIFEST_DIR")?).output()?)
}

/// The folder that cargo has unpacked nice-plug's source to.
fn source() -> Result<PathBuf, Box<dyn Error>> {
    // Without the network first, as what is built is here. Cargo may want packages for that
    // which this build does not need, and which are not here yet: then it may fetch them.
    let mut output = metadata(&["--offline"])?;
    if !output.status.success() {
        output = metadata(&[])?;
    }
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr);
        return Err(format!("cargo does not say where nice-plug's source is: {reason}").into());
    }
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let found = packages.iter().find(|p| p["name"] == "nice-plug" && p["version"] == VERSION);
    let manifest = found.and_then(|package| package["manifest_path"].as_str());
    let manifest = manifest.ok_or_else(|| {
        format!("the source of nice-plug {VERSION} is not here; run `cargo fetch` in Continuo's folder once")
    })?;
    Ok(Path::new(manifest).parent().ok_or("nice-plug's manifest lies nowhere")?.to_owned())
}

fn copy(from: &Path, to: &Path) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::write(target, fs::read(entry.path())?)?;
        }
    }
    Ok(())
}

/// Applies a repair to the file that it names.
fn repair(diff: &Path, target: &Path) -> Result<(), Box<dyn Error>> {
    let text = fs::read_to_string(diff)?.replace("\r\n", "\n");
    let patch = diffy::Patch::from_str(&text)?;
    let name = patch.original().and_then(|name| name.strip_prefix("a/src/"));
    let file = target.join(name.ok_or_else(|| format!("{} names no file", diff.display()))?);
    let before = fs::read_to_string(&file)?;
    let after = diffy::apply(&before, &patch)
        .map_err(|error| format!("{} does not fit nice-plug {VERSION}: {error}", diff.display()))?;
    fs::write(file, after)?;
    Ok(())
}
