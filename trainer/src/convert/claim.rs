//! Whose a folder is while it is written to, and what a killed run left in it.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::files;

/// In every folder that is written to, until the run ends.
const NAME: &str = ".continuo-lock";

/// A run's hold on its output folder, which other runs may share.
///
/// A lock file that is there before, and that nobody holds, is that of a run that
/// was killed: only then the folder is searched for files it did not finish.
pub(super) struct Claim {
    path: PathBuf,
    lock: File,
}

impl Claim {
    /// Makes the folder, takes hold of it, and removes unfinished files of runs
    /// that are dead.
    ///
    /// # Errors
    /// If the folder cannot be written to.
    pub(super) fn on(folder: &Path) -> anyhow::Result<Self> {
        let place = || format!("cannot write to the folder {}", folder.display());
        fs::create_dir_all(folder).with_context(place)?;
        let path = folder.join(NAME);
        let killed = path.exists();
        let lock = File::options().create(true).truncate(false).write(true).open(&path);
        let lock = lock.with_context(place)?;
        if lock.try_lock().is_ok() {
            if killed {
                sweep(folder);
            }
            // Some systems do not turn one kind of lock into the other.
            let _ = lock.unlock();
        }
        // Where there are no locks, unfinished files stay until someone looks.
        let _ = lock.lock_shared();
        Ok(Self { path, lock })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let _ = self.lock.unlock();
        // The last one to leave.
        if !matches!(self.lock.try_lock(), Err(TryLockError::WouldBlock)) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Removes unfinished files. What cannot be removed or listed does no harm.
fn sweep(folder: &Path) {
    for path in files::walk(folder, &files::is_beside).unwrap_or_default() {
        let _ = fs::remove_file(folder.join(path));
    }
}
