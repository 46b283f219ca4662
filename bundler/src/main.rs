//! The workspace's own tool: `cargo demo`, `cargo verify`, and the bundles.
#![forbid(unsafe_code)]

mod build;
mod bundle;
mod cuda;
mod demo;
mod install;
mod layout;
mod package;
mod preflight;
mod verify;
mod workspace;

use anyhow::Result;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Builds, installs, demonstrates and verifies Continuo.
#[derive(Parser)]
#[command(name = "continuo-bundler", version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Play a phrase into the built plugin and write down its answer.
    Demo(demo::Args),
    /// Check everything there is to check; the last line counts the tests.
    Verify(verify::Args),
    /// Build the .clap and the .vst3, the standalone and the command line.
    Bundle(bundle::Args),
    /// Copy the plugins to where hosts look for them.
    Install(install::Args),
    /// Build the plugins and pack them into a zip with all that goes along.
    Package(package::Args),
    /// Remove what `install` copied.
    Uninstall(install::Args),
}

fn main() -> ExitCode {
    match run(Args::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Demo(args) => demo::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Bundle(args) => bundle::run(&args),
        Command::Install(args) => install::install(&args),
        Command::Package(args) => package::run(&args),
        Command::Uninstall(args) => install::uninstall(&args),
    }
}
