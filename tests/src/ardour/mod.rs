//! Ardour without a screen: a studio of its own for a test, sessions in it, and
//! what their tracks recorded.
//!
//! Ardour's own interpreter, `ardour7-lua`, runs a script of ours ([`session`]) on
//! the backend that plays to nobody. Home and settings are a temporary folder's, so
//! a user's are neither read nor changed.

pub mod edit;
pub mod session;

pub use session::{Pass, Piece, Session, Speed};

use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};
use tempfile::TempDir;

/// What Debian calls what is needed.
pub const PACKAGE: &str = "ardour";

const LUA: &str = "ardour7-lua";
const LIBRARIES: &str = "/usr/lib/ardour7";

/// Whether Ardour is here.
#[must_use]
pub fn is_here() -> bool {
    scanner().exists() && crate::locate::program(LUA).is_some()
}

fn scanner() -> PathBuf {
    Path::new(LIBRARIES).join("ardour-vst3-scanner")
}

/// A home folder with the plugin installed and known to Ardour.
pub struct Studio {
    home: TempDir,
}

impl Studio {
    /// Installs a `.vst3` into a new home.
    ///
    /// # Errors
    /// When the bundle cannot be copied or Ardour's scanner refuses it.
    pub fn with_plugin(bundle: &Path) -> Result<Self> {
        let home = tempfile::Builder::new().prefix("continuo-ardour-").tempdir()?;
        let name = bundle.file_name().context("a bundle has a name")?;
        let installed = home.path().join(".vst3").join(name);
        copy_aged(bundle, &installed)?;
        let studio = Self { home };
        let output = studio.command(&scanner()).args(["-f", "-q"]).arg(&installed).output()?;
        if !output.status.success() {
            bail!("Ardour's scanner refuses the plugin: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(studio)
    }

    /// A place in the studio for a session's folder.
    #[must_use]
    pub fn place(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Has Ardour run a script; what it printed.
    ///
    /// # Errors
    /// When it fails: the message holds all that was printed.
    pub(crate) fn run(&self, script: &str) -> Result<String> {
        let file = tempfile::Builder::new().suffix(".lua").tempfile_in(self.home.path())?;
        fs::write(file.path(), script)?;
        let mut command = Command::new("timeout");
        // Ardour that hangs must not hang the tests.
        command.args(["--kill-after=5", "120", LUA]).arg(file.path());
        let output = self.isolate(&mut command).stdin(Stdio::null()).output()?;
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let said = said.concat();
        // Ardour's interpreter tells errors, but not by its exit code.
        if !output.status.success() || !said.lines().any(|line| line == "done") {
            bail!("Ardour failed ({}):\n{said}", output.status);
        }
        Ok(said)
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env("LD_LIBRARY_PATH", LIBRARIES).env("ARDOUR_DLL_PATH", LIBRARIES);
        command.env("ARDOUR_DATA_PATH", "/usr/share/ardour7").env("ARDOUR_CONFIG_PATH", "/etc/ardour7");
        self.isolate(&mut command);
        command
    }

    pub(crate) fn isolate<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        for variable in ["XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "CONTINUO_MODEL"] {
            command.env_remove(variable);
        }
        command.env("HOME", self.home.path())
    }
}

/// Copies a folder, its files dated ten minutes ago: Ardour takes what it knows of a
/// plugin for stale unless the plugin is older by a whole second.
fn copy_aged(from: &Path, to: &Path) -> Result<()> {
    if from.is_dir() {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            copy_aged(&entry.path(), &to.join(entry.file_name()))?;
        }
        return Ok(());
    }
    fs::copy(from, to).with_context(|| format!("{} cannot be copied", from.display()))?;
    let file = fs::File::options().write(true).open(to)?;
    file.set_modified(SystemTime::now() - Duration::from_secs(600))?;
    Ok(())
}
