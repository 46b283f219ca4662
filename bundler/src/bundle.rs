//! Builds the plugin and lays it out as `.clap` and `.vst3`.
//!
//! nice-plug's own bundler (nice-plug-xtask) takes the outermost folder with a
//! `Cargo.toml` for the workspace's root, which breaks a clone inside another
//! project, and passes on to cargo neither the features nor the messages that
//! this tool wants; the little that is left of it is here.

use crate::build::{self, Products, Profile};
use crate::layout::{self, Format, System};
use crate::preflight::{self, Need};
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use std::env::consts::ARCH;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// What can be said to `bundle`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How to build.
    #[arg(long, value_enum, default_value_t = Profile::Release)]
    profile: Profile,
    /// Features of the plugin's to build with, separated by commas.
    #[arg(long, value_delimiter = ',')]
    features: Vec<String>,
    /// Leave out the standalone program, which needs ALSA's and JACK's headers.
    #[arg(long)]
    no_standalone: bool,
}

/// The bundles of a build.
pub(crate) struct Bundles {
    /// The `.clap`.
    pub(crate) clap: PathBuf,
    /// The `.vst3`.
    pub(crate) vst3: PathBuf,
}

impl Bundles {
    /// The bundle of a format.
    pub(crate) fn of(&self, format: Format) -> &Path {
        match format {
            Format::Clap => &self.clap,
            Format::Vst3 => &self.vst3,
        }
    }
}

/// The folder for the bundles of a profile.
pub(crate) fn folder(workspace: &Workspace, profile: Profile) -> PathBuf {
    let bundled = workspace.target.join("bundled");
    if profile == Profile::Dev { bundled.join("dev") } else { bundled }
}

/// Runs `bundle`.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    preflight::check(if args.no_standalone { Need::Plugin } else { Need::Standalone })?;
    let workspace = Workspace::find()?;
    let bundles = plugins(&workspace, args.profile, &args.features)?;
    println!("{}\n{}", bundles.clap.display(), bundles.vst3.display());
    for program in programs(&workspace, args)? {
        println!("{}", program.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// Builds and lays out the plugins alone.
pub(crate) fn plugins(workspace: &Workspace, profile: Profile, features: &[String]) -> Result<Bundles> {
    let features = features.join(",");
    let mut args = vec!["--package", "continuo-plugin", "--lib", "--profile", profile.name()];
    if !features.is_empty() {
        args.extend(["--features", &features]);
    }
    let products = build::build(workspace, &args)?;
    lay_out(&products, &folder(workspace, profile))
}

/// Builds the programs, apart from the plugins, which would otherwise have to
/// load the standalone's audio libraries.
fn programs(workspace: &Workspace, args: &Args) -> Result<Vec<PathBuf>> {
    let profile = args.profile.name();
    let mut built = build::build(workspace, &["--package", "continuo", "--bins", "--profile", profile])?;
    if !args.no_standalone {
        let package = ["--package", "continuo-plugin", "--bins", "--features", "standalone"];
        let more = build::build(workspace, &[&package[..], &["--profile", profile]].concat())?;
        built.standalone = more.standalone;
    }
    let folder = folder(workspace, args.profile);
    let place = |program: PathBuf| -> Result<PathBuf> {
        let to = folder.join(program.file_name().context("a program has a name")?);
        copy(&program, &to)?;
        Ok(to)
    };
    [built.cli, built.standalone].into_iter().flatten().map(place).collect()
}

/// Makes both bundles of a built library.
pub(crate) fn lay_out(products: &Products, folder: &Path) -> Result<Bundles> {
    let library = products.plugin.as_deref().context("the build produced no plugin library")?;
    let make = |format: Format| {
        let bundle = folder.join(format.file_name());
        make_bundle(library, &bundle, format, System::here(), ARCH)?;
        Ok::<_, anyhow::Error>(bundle)
    };
    Ok(Bundles { clap: make(Format::Clap)?, vst3: make(Format::Vst3)? })
}

fn make_bundle(library: &Path, bundle: &Path, format: Format, system: System, arch: &str) -> Result<()> {
    remove(bundle)?;
    let inside = layout::library_in(format, system, arch);
    let is_file = inside.as_os_str().is_empty();
    copy(library, &if is_file { bundle.to_path_buf() } else { bundle.join(inside) })?;
    if system == System::MacOs {
        for (path, text) in layout::mac_files(format, env!("CARGO_PKG_VERSION")) {
            write(&bundle.join(path), &text)?;
        }
        sign(bundle);
    }
    Ok(())
}

/// Signs a macOS bundle for this machine. Hosts that insist on a signature say so
/// themselves, so a failure is only mentioned.
fn sign(bundle: &Path) {
    let signed = Command::new("codesign").args(["--force", "--sign", "-"]).arg(bundle).status();
    if !signed.is_ok_and(|status| status.success()) {
        println!("note: {} could not be signed; some hosts may refuse it", bundle.display());
    }
}

/// Removes a bundle, file or folder; tells whether there was one.
pub(crate) fn remove(bundle: &Path) -> Result<bool> {
    if fs::symlink_metadata(bundle).is_err() {
        return Ok(false);
    }
    let removed = if bundle.is_dir() && !bundle.is_symlink() {
        fs::remove_dir_all(bundle)
    } else {
        fs::remove_file(bundle)
    };
    removed
        .with_context(|| format!("{} cannot be removed; close the hosts that use it", bundle.display()))?;
    Ok(true)
}

/// Copies a file or a folder with all that is in it, making the folders above it.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    if from.is_dir() {
        for entry in fs::read_dir(from).with_context(|| format!("{} cannot be read", from.display()))? {
            let entry = entry?;
            copy(&entry.path(), &to.join(entry.file_name()))?;
        }
        return Ok(());
    }
    make_parent(to)?;
    // A program that runs cannot be written to, but it can be replaced.
    let _ = fs::remove_file(to);
    fs::copy(from, to)
        .with_context(|| format!("{} cannot be copied to {}", from.display(), to.display()))
        .map(drop)
}

fn write(path: &Path, text: &str) -> Result<()> {
    make_parent(path)?;
    fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))
}

fn make_parent(path: &Path) -> Result<()> {
    let parent = path.parent().context("a file lies in a folder")?;
    fs::create_dir_all(parent).with_context(|| format!("{} cannot be made", parent.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(folder: &Path) -> Vec<String> {
        let mut found = Vec::new();
        let mut open = vec![folder.to_path_buf()];
        while let Some(path) = open.pop() {
            if path.is_dir() {
                open.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            } else {
                let inside = path.strip_prefix(folder).unwrap();
                found.push(inside.iter().map(|part| part.to_str().unwrap()).collect::<Vec<_>>().join("/"));
            }
        }
        found.sort();
        found
    }

    #[test]
    fn bundles_have_each_systems_files_and_replace_older_ones() {
        let folder = tempfile::tempdir().unwrap();
        let library = folder.path().join("library");
        fs::write(&library, "code").unwrap();
        let bundle = folder.path().join("made");
        let check = |format, system, expected: &[&str]| {
            make_bundle(&library, &bundle, format, system, "x86_64").unwrap();
            let found = if bundle.is_dir() { files(&bundle) } else { Vec::new() };
            assert_eq!(found, expected, "{format:?} {system:?}");
        };
        check(Format::Vst3, System::Linux, &["Contents/x86_64-linux/Continuo.so"]);
        check(Format::Vst3, System::Windows, &["Contents/x86_64-win/Continuo.vst3"]);
        let mac = ["Contents/Info.plist", "Contents/MacOS/Continuo", "Contents/PkgInfo"];
        check(Format::Vst3, System::MacOs, &mac);
        check(Format::Clap, System::MacOs, &mac);
        check(Format::Clap, System::Linux, &[]);
        assert_eq!(fs::read_to_string(&bundle).unwrap(), "code");
    }
}
