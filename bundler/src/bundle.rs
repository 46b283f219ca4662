//! Builds the plugin and lays it out as `.clap` and `.vst3`.
//!
//! nice-plug's own bundler (nice-plug-xtask) takes the outermost folder with a
//! `Cargo.toml` for the workspace's root, which breaks a clone inside another
//! project, and passes on to cargo neither the features nor the messages that
//! this tool wants; the little that is left of it is here.

use crate::build::{self, Products, Profile};
use crate::cuda::Toolkit;
use crate::layout::{self, Format, System, Variant};
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
    /// Build the variant for NVIDIA's graphics cards, which has a name of its own.
    #[arg(long)]
    cuda: bool,
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

/// The folder for the bundles of a variant and profile.
pub(crate) fn folder(workspace: &Workspace, variant: Variant, profile: Profile) -> PathBuf {
    let mut folder = workspace.target.join("bundled");
    if variant == Variant::Cuda {
        folder.push("cuda");
    }
    if profile == Profile::Dev {
        folder.push("dev");
    }
    folder
}

/// The feature of a variant.
const CUDA: &str = "cuda";

/// The variant that is asked for.
pub(crate) const fn variant(cuda: bool) -> Variant {
    if cuda { Variant::Cuda } else { Variant::Usual }
}

/// Runs `bundle`.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    preflight::check(if args.no_standalone { Need::Plugin } else { Need::Standalone })?;
    let workspace = Workspace::find()?;
    // However it is asked for, the library is the variant's.
    let variant = variant(args.cuda || args.features.iter().any(|feature| feature == CUDA));
    let bundles = plugins(&workspace, variant, args.profile, &args.features)?;
    println!("{}\n{}", bundles.clap.display(), bundles.vst3.display());
    for program in programs(&workspace, variant, args)? {
        println!("{}", program.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// Builds and lays out the plugins alone.
pub(crate) fn plugins(
    workspace: &Workspace,
    variant: Variant,
    profile: Profile,
    features: &[String],
) -> Result<Bundles> {
    let toolkit = toolkit(variant)?;
    let features = [features, own_features(variant).as_slice()].concat().join(",");
    let mut args = vec!["--package", "continuo-plugin", "--lib", "--profile", profile.name()];
    if !features.is_empty() {
        args.extend(["--features", &features]);
    }
    let products = build::build(workspace, toolkit.as_ref(), &args)?;
    lay_out(&products, variant, &folder(workspace, variant, profile))
}

/// What a variant is compiled with beside Rust.
fn toolkit(variant: Variant) -> Result<Option<Toolkit>> {
    match variant {
        Variant::Usual => Ok(None),
        Variant::Cuda => Toolkit::need().map(Some),
    }
}

/// The features that make a variant.
fn own_features(variant: Variant) -> Vec<String> {
    match variant {
        Variant::Usual => Vec::new(),
        Variant::Cuda => vec![CUDA.to_owned()],
    }
}

/// Builds the programs, apart from the plugins, which would otherwise have to
/// load the standalone's audio libraries.
fn programs(workspace: &Workspace, variant: Variant, args: &Args) -> Result<Vec<PathBuf>> {
    let profile = args.profile.name();
    let toolkit = toolkit(variant)?;
    let build = |package: &str, features: &[String]| {
        let features = features.join(",");
        let what = ["--package", package, "--bins", "--profile", profile, "--features", &features];
        build::build(workspace, toolkit.as_ref(), &what)
    };
    let own = own_features(variant);
    let mut built = build("continuo", &own)?;
    if !args.no_standalone {
        built.standalone =
            build("continuo-plugin", &[&own[..], &["standalone".to_owned()]].concat())?.standalone;
    }
    let folder = folder(workspace, variant, args.profile);
    let place = |program: PathBuf| -> Result<PathBuf> {
        let to = folder.join(program.file_name().context("a program has a name")?);
        copy(&program, &to)?;
        Ok(to)
    };
    [built.cli, built.standalone].into_iter().flatten().map(place).collect()
}

/// Makes both bundles of a built library.
pub(crate) fn lay_out(products: &Products, variant: Variant, folder: &Path) -> Result<Bundles> {
    let library = products.plugin.as_deref().context("the build produced no plugin library")?;
    let make = |format: Format| {
        let bundle = folder.join(format.file_name(variant));
        make_bundle(library, &bundle, (format, variant), System::here(), ARCH)?;
        Ok::<_, anyhow::Error>(bundle)
    };
    Ok(Bundles { clap: make(Format::Clap)?, vst3: make(Format::Vst3)? })
}

fn make_bundle(
    library: &Path,
    bundle: &Path,
    (format, variant): (Format, Variant),
    system: System,
    arch: &str,
) -> Result<()> {
    remove(bundle)?;
    let inside = layout::library_in(format, variant, system, arch);
    let is_file = inside.as_os_str().is_empty();
    copy(library, &if is_file { bundle.to_path_buf() } else { bundle.join(inside) })?;
    if system == System::MacOs {
        for (path, text) in layout::mac_files(format, variant, env!("CARGO_PKG_VERSION")) {
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
            make_bundle(&library, &bundle, (format, Variant::Usual), system, "x86_64").unwrap();
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
