//! Packs what `bundle` laid out into a zip that a musician unpacks and copies: the same
//! bytes every time from the same files.

use crate::build::Profile;
use crate::bundle::{self, Bundles};
use crate::layout::{Format, Variant};
use crate::preflight::{self, Need};
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use std::env::consts::{ARCH, OS};
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use zip::write::{SimpleFileOptions, ZipWriter};

/// What can be said to `package`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The folder the zip goes to.
    #[arg(long, default_value = "target/packages")]
    out: PathBuf,
    /// Pack these folders, each with a `.clap` and a `.vst3`, as they are, instead of
    /// building; named by what they are for, for example `macos-universal=folder`.
    #[arg(long, value_name = "NAME=FOLDER")]
    from: Option<String>,
}

/// Files that go along: where they are, and what they are called in the zip.
const ALONG: [(&str, &str); 6] = [
    ("docs/install.md", "INSTALL.md"),
    ("LICENSE-MIT", "LICENSE-MIT"),
    ("LICENSE-APACHE", "LICENSE-APACHE"),
    ("assets/model/README.md", "MODEL.md"),
    ("assets/model/CREDITS.md", "CREDITS.md"),
    ("CHANGELOG.md", "CHANGELOG.md"),
];

/// Runs `package`.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let workspace = Workspace::find()?;
    let (name, files) = match &args.from {
        Some(from) => {
            let (name, folder) = from.split_once('=').context("--from takes NAME=FOLDER")?;
            (
                name.to_owned(),
                Format::ALL.map(|format| Path::new(folder).join(format.file_name(Variant::Usual))),
            )
        }
        None => {
            preflight::check(Need::Plugin)?;
            let Bundles { clap, vst3 } = bundle::plugins(&workspace, Variant::Usual, Profile::Release, &[])?;
            (format!("{OS}-{ARCH}"), [clap, vst3])
        }
    };
    let title = format!("continuo-{}-{name}", env!("CARGO_PKG_VERSION"));
    fs::create_dir_all(&args.out).with_context(|| format!("{} cannot be made", args.out.display()))?;
    let target = args.out.join(format!("{title}.zip"));
    pack(&workspace.root, &files, &title, &target)?;
    println!("{}", target.display());
    Ok(ExitCode::SUCCESS)
}

fn pack(root: &Path, bundles: &[PathBuf], title: &str, target: &Path) -> Result<()> {
    let file = File::create(target).with_context(|| format!("{} cannot be written", target.display()))?;
    let mut zip = ZipWriter::new(file);
    for bundle in bundles {
        let name = bundle.file_name().context("a bundle without a name")?.to_string_lossy();
        add(&mut zip, bundle, &format!("{title}/{name}"))?;
    }
    for (from, to) in ALONG {
        add(&mut zip, &root.join(from), &format!("{title}/{to}"))?;
    }
    zip.finish()?;
    Ok(())
}

/// Adds a file or a folder, in order of names.
fn add(zip: &mut ZipWriter<File>, from: &Path, name: &str) -> Result<()> {
    if from.is_dir() {
        let mut entries: Vec<PathBuf> =
            fs::read_dir(from)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
        entries.sort();
        for entry in entries {
            let part = entry.file_name().context("a file without a name")?.to_string_lossy();
            add(zip, &entry, &format!("{name}/{part}"))?;
        }
        return Ok(());
    }
    let bytes = fs::read(from).with_context(|| format!("{} cannot be read", from.display()))?;
    // The time is the zip format's first, so that the same files give the same zip.
    let options = SimpleFileOptions::default()
        .unix_permissions(mode(from))
        .last_modified_time(zip::DateTime::default());
    zip.start_file(name, options)?;
    zip.write_all(&bytes)?;
    Ok(())
}

#[cfg(unix)]
fn mode(file: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    // Only whether it can be run counts; the rest differs from machine to machine.
    let runs = fs::metadata(file).is_ok_and(|known| known.permissions().mode() & 0o111 != 0);
    if runs { 0o755 } else { 0o644 }
}

#[cfg(not(unix))]
fn mode(_: &Path) -> u32 {
    0o644
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_files_give_the_same_zip_with_all_that_goes_along() {
        let folder = tempfile::tempdir().unwrap();
        let bundle = folder.path().join("Continuo.vst3");
        fs::create_dir_all(bundle.join("Contents/b")).unwrap();
        fs::write(bundle.join("Contents/b/plugin.so"), [7; 1000]).unwrap();
        fs::write(bundle.join("Contents/a.txt"), "a").unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let zips = ["one.zip", "two.zip"].map(|name| folder.path().join(name));
        for zip in &zips {
            pack(root, std::slice::from_ref(&bundle), "continuo-test", zip).unwrap();
        }
        assert_eq!(fs::read(&zips[0]).unwrap(), fs::read(&zips[1]).unwrap());
        let zip = zip::ZipArchive::new(File::open(&zips[0]).unwrap()).unwrap();
        let names: Vec<_> = zip.file_names().map(|name| name.unwrap().into_owned()).collect();
        for name in ["Continuo.vst3/Contents/b/plugin.so", "LICENSE-MIT", "CREDITS.md", "INSTALL.md"] {
            assert!(names.contains(&format!("continuo-test/{name}")), "{names:?}");
        }
    }
}
