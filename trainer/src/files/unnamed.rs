//! Files that get their name when they are whole. Until then they have none, so a
//! program that is killed leaves nothing behind, and one name is made where a
//! temporary name and its change would be two.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, open};

/// Writes a file under a name that nothing has yet.
///
/// # Errors
/// Also where the name is taken, the folder is missing, or the file system has no
/// files without a name: then nothing has changed.
pub(super) fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
        None => return Err(io::ErrorKind::InvalidInput.into()),
    };
    let kind = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    let mut file = File::from(open(folder, kind, Mode::from_raw_mode(0o666))?);
    file.write_all(bytes)?;
    name(&file, path)
}

fn name(file: &File, path: &Path) -> io::Result<()> {
    // Shorter, but not for everyone on every kernel.
    if linkat(file.as_fd(), c"", CWD, path, AtFlags::EMPTY_PATH).is_ok() {
        return Ok(());
    }
    let link = format!("/proc/self/fd/{}", file.as_raw_fd());
    Ok(linkat(CWD, link, CWD, path, AtFlags::SYMLINK_FOLLOW)?)
}
