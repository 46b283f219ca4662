//! `cargo verify`: every check there is, one after the other.
//!
//! All steps build the whole workspace with the same features in the development
//! profile, so nothing is compiled twice but for checking and for running.

use crate::build::{self, Profile};
use crate::bundle;
use crate::cuda::Toolkit;
use crate::layout::Variant;
use crate::preflight::{self, Companion, Need};
use crate::workspace::{Workspace, run as run_shown, shown};
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// What can be said to `verify`.
#[derive(clap::Args)]
pub(crate) struct Args {}

/// The features every step builds with: the standalone is checked too, and the
/// plugin under test aborts when its audio thread allocates.
const FEATURES: &str = "continuo-plugin/standalone,continuo-plugin/assert-process-allocs";

/// The tool that checks licences, duplicates, sources and advisories.
const DENY_VERSION: &str = "0.20.2";

/// How long the advisory database may take to arrive.
const FETCH_LIMIT: Duration = Duration::from_secs(120);

/// Tests counted over all test programs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    passed: u64,
    failed: u64,
}

impl Count {
    /// Takes in a line of a test program's output.
    fn note(&mut self, line: &str) {
        let Some(rest) = line.trim().strip_prefix("test result: ") else { return };
        for part in rest.split([';', '.']) {
            if let [number, word] = part.split_whitespace().collect::<Vec<_>>()[..] {
                let number: u64 = number.parse().unwrap_or(0);
                match word {
                    "passed" => self.passed += number,
                    "failed" => self.failed += number,
                    _ => {}
                }
            }
        }
    }
}

/// Runs `verify`.
pub(crate) fn run(_args: &Args) -> Result<ExitCode> {
    let mut count = Count::default();
    let mut absent = Vec::new();
    let result = all(&mut count, &mut absent);
    if let Err(error) = &result {
        println!("\nFAILED: {error:#}");
        count.failed = count.failed.max(1);
    }
    println!();
    for Companion { package, what, .. } in absent {
        println!("note: {package} is not here, so this was NOT checked: {what}");
    }
    println!("{} passed, {} failed", count.passed, count.failed);
    Ok(if result.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn all(count: &mut Count, absent: &mut Vec<&'static Companion>) -> Result<()> {
    step("what the system must have", || preflight::check(Need::Standalone))?;
    step("what some tests work with", || {
        *absent = preflight::companions();
        Ok(())
    })?;
    let workspace = Workspace::find()?;
    make_way()?;
    step("formatting", || run_shown(workspace.cargo().args(["fmt", "--check"])))?;
    step("lints", || {
        let what = ["clippy", "--workspace", "--all-targets", "--features", FEATURES];
        run_shown(workspace.cargo().args(what).args(["--", "-D", "warnings"]))
    })?;
    step("documentation", || {
        let what = ["doc", "--workspace", "--no-deps", "--features", FEATURES];
        run_shown(workspace.cargo().args(what).env("RUSTDOCFLAGS", "-D warnings"))
    })?;
    step("tests, in the built plugin and the built command line too", || tests(&workspace, count))?;
    step("the code for NVIDIA's graphics cards", || cuda(&workspace))?;
    step("dependencies", || dependencies(&workspace))
}

/// On Windows a program that runs cannot be replaced, but it can be renamed, and
/// the steps below build this tool anew.
fn make_way() -> Result<()> {
    if cfg!(windows) {
        let own = std::env::current_exe()?;
        std::fs::rename(&own, own.with_extension("old"))
            .with_context(|| format!("{} cannot be renamed", own.display()))?;
    }
    Ok(())
}

/// Shows a heading and the time that the step took.
fn step(name: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
    println!("\n== {name}");
    let start = Instant::now();
    let result = work();
    println!("-- {:.1} s", start.elapsed().as_secs_f64());
    result
}

fn tests(workspace: &Workspace, count: &mut Count) -> Result<()> {
    // All targets, so that the tests below find everything built, with the same features.
    let products = build::build(workspace, None, &["--workspace", "--all-targets", "--features", FEATURES])?;
    let bundles =
        bundle::lay_out(&products, Variant::Usual, &bundle::folder(workspace, Variant::Usual, Profile::Dev))?;
    let cli = products.cli.context("the build produced no command line")?;
    let standalone = products.standalone.context("the build produced no standalone")?;
    let mut command = workspace.cargo();
    command.args(["test", "--workspace", "--features", FEATURES, "--no-fail-fast"]);
    command.env("CONTINUO_BUNDLE", &bundles.clap).env("CONTINUO_VST3", &bundles.vst3);
    command.env("CONTINUO_CLI", cli).env("CONTINUO_STANDALONE", standalone);
    counted(&mut command, count)
}

/// Runs a test command, its output shown and its tests counted.
fn counted(command: &mut Command, count: &mut Count) -> Result<()> {
    let line = shown(command);
    println!("$ {line}");
    let mut child = command.stdout(Stdio::piped()).spawn().with_context(|| format!("`{line}` cannot run"))?;
    let output = child.stdout.take().context("the tests have no output")?;
    let mut stdout = std::io::stdout().lock();
    for line in BufReader::new(output).split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        writeln!(stdout, "{line}")?;
        count.note(&line);
    }
    drop(stdout);
    let status = child.wait()?;
    if !status.success() {
        bail!("`{line}` failed ({status})");
    }
    Ok(())
}

/// Checks what no usual build compiles. A toolkit is enough, without a card or its driver.
fn cuda(workspace: &Workspace) -> Result<()> {
    let Some(toolkit) = Toolkit::find() else {
        println!("note: NVIDIA's CUDA toolkit (nvcc) is not here, so this was NOT checked");
        return Ok(());
    };
    println!("with the toolkit in {}", toolkit.root().display());
    let what = ["check", "--package", "continuo", "--package", "continuo-plugin"];
    let features = ["--features", "continuo/cuda,continuo-plugin/cuda"];
    run_shown(toolkit.equip(workspace.cargo().args(what).args(features)))
}

fn dependencies(workspace: &Workspace) -> Result<()> {
    let tools = workspace.target.join("tools");
    let deny = tools.join("bin").join(format!("cargo-deny{}", std::env::consts::EXE_SUFFIX));
    if !installed(&deny) {
        // Unoptimised it takes seconds more to run and minutes less to build. It is built where
        // everything is, not in the system's folder for temporary files, which may be small.
        let build = tools.join("build");
        let mut command = workspace.cargo();
        command.args(["install", "--debug", "--locked", "cargo-deny", "--version", DENY_VERSION]);
        command.arg("--root").arg(&tools).arg("--target-dir").arg(&build);
        command.env("CARGO_PROFILE_DEV_DEBUG", "false").env("CARGO_INCREMENTAL", "0");
        run_shown(&mut command)?;
        std::fs::remove_dir_all(&build).with_context(|| format!("{} cannot be removed", build.display()))?;
    }
    let deny = || {
        let mut command = Command::new(&deny);
        command.current_dir(&workspace.root);
        command
    };
    run_shown(deny().args(["check", "licenses", "bans", "sources"]))?;
    if within(FETCH_LIMIT, deny().args(["fetch", "db"]))? {
        return run_shown(deny().args(["--offline", "check", "advisories"]));
    }
    println!("note: the advisory database cannot be reached, so known vulnerabilities were NOT checked");
    Ok(())
}

fn installed(tool: &std::path::Path) -> bool {
    let output = Command::new(tool).arg("--version").output();
    output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).trim().ends_with(DENY_VERSION))
}

/// Runs a command quietly; tells whether it succeeded in time.
fn within(limit: Duration, command: &mut Command) -> Result<bool> {
    let line = shown(command);
    println!("$ {line}");
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let start = Instant::now();
    while start.elapsed() < limit {
        if let Some(status) = child.try_wait()? {
            return Ok(status.success());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    child.kill()?;
    child.wait()?;
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_add_up_over_test_programs() {
        let mut count = Count::default();
        count.note(
            "test result: ok. 11 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s",
        );
        count.note("test a::b ... ok");
        count.note("test result: FAILED. 2 passed; 3 failed; 1 ignored; 0 measured; 0 filtered out");
        assert_eq!(count, Count { passed: 13, failed: 3 });
    }
}
