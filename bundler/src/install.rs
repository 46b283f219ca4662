//! Copies the bundles to where the user's hosts look for them, and removes them.

use crate::build::Profile;
use crate::bundle::{self, Bundles};
use crate::layout::{self, Format, System, Variant};
use crate::preflight::{self, Need};
use crate::workspace::Workspace;
use anyhow::{Context, Result};
use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What can be said to `install` and `uninstall`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A folder to use in place of the user's plugin folders.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// The variant for NVIDIA's graphics cards, which stands beside the usual one.
    #[arg(long)]
    cuda: bool,
}

impl Args {
    fn variant(&self) -> Variant {
        bundle::variant(self.cuda)
    }

    /// The folder for plugins of a format.
    fn folder(&self, format: Format) -> Result<PathBuf> {
        match &self.dir {
            Some(dir) => Ok(dir.clone()),
            None => Ok(layout::user_folder(format, System::here(), &home()?)),
        }
    }
}

fn home() -> Result<PathBuf> {
    let variable = if System::here() == System::Windows { "LOCALAPPDATA" } else { "HOME" };
    let home = env::var_os(variable).filter(|home| !home.is_empty());
    home.map(PathBuf::from).with_context(|| {
        format!("{variable} is not set, so your plugin folders are unknown; name a folder with --dir")
    })
}

/// Builds the plugins and copies them.
pub(crate) fn install(args: &Args) -> Result<ExitCode> {
    preflight::check(Need::Plugin)?;
    let workspace = Workspace::find()?;
    let bundles = bundle::plugins(&workspace, args.variant(), Profile::Release, &[])?;
    place(args, &bundles)?;
    println!("Rescan the plugins in your host to find {} among the MIDI effects.", args.variant().name());
    Ok(ExitCode::SUCCESS)
}

fn place(args: &Args, bundles: &Bundles) -> Result<()> {
    for format in Format::ALL {
        let to = args.folder(format)?.join(format.file_name(args.variant()));
        let replaced = bundle::remove(&to)?;
        bundle::copy(bundles.of(format), &to)?;
        println!("{} {}", if replaced { "replaced " } else { "installed" }, to.display());
    }
    Ok(())
}

/// Removes what `install` copied.
pub(crate) fn uninstall(args: &Args) -> Result<ExitCode> {
    for format in Format::ALL {
        let path: &Path = &args.folder(format)?.join(format.file_name(args.variant()));
        let removed = bundle::remove(path)?;
        println!("{} {}", if removed { "removed  " } else { "not there" }, path.display());
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn uninstall_takes_away_what_install_put_there_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let built = folder.path().join("built");
        let bundles = Bundles { clap: built.join("x.clap"), vst3: built.join("x.vst3") };
        fs::create_dir_all(bundles.vst3.join("Contents")).unwrap();
        fs::write(bundles.vst3.join("Contents/library"), "vst3").unwrap();
        fs::write(&bundles.clap, "clap").unwrap();
        let dir = folder.path().join("plugins");
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("Other.clap"), "other").unwrap();

        let args = Args { dir: Some(dir.clone()), cuda: false };
        place(&args, &bundles).unwrap();
        place(&args, &bundles).unwrap();
        assert_eq!(fs::read_to_string(dir.join("Continuo.clap")).unwrap(), "clap");
        assert_eq!(fs::read_to_string(dir.join("Continuo.vst3/Contents/library")).unwrap(), "vst3");

        uninstall(&args).unwrap();
        uninstall(&args).unwrap();
        let left: Vec<_> = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["Other.clap"]);
    }
}
