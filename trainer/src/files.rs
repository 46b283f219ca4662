//! Files and folders: sorted walks, mirrored names, writes that are whole or not
//! there at all.

#[cfg(target_os = "linux")]
mod unnamed;

use std::ffi::OsString;
use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, bail};

/// The largest input file that is read, in bytes. The largest MIDI files in
/// circulation have some ten million bytes.
pub const MAX_FILE_BYTES: u64 = 256 << 20;

/// How deep folders are searched: a bound against links that lead in circles.
const MAX_DEPTH: usize = 64;

/// All files below a folder that `wanted` accepts, as paths relative to it,
/// sorted folder by folder. Links are followed, but to no folder that they lie in.
///
/// # Errors
/// Names the folder that cannot be listed.
pub fn walk(root: &Path, wanted: &dyn Fn(&Path) -> bool) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    walk_into(root, Path::new(""), wanted, &mut Vec::new(), &mut found)?;
    Ok(found)
}

fn walk_into(
    root: &Path,
    below: &Path,
    wanted: &dyn Fn(&Path) -> bool,
    above: &mut Vec<PathBuf>,
    found: &mut Vec<PathBuf>,
) -> anyhow::Result<()> {
    let folder = root.join(below);
    let listing = || format!("cannot list the folder {}", folder.display());
    if above.len() == MAX_DEPTH {
        bail!("the folder {} lies too deep: a link may lead in circles", folder.display());
    }
    let real = folder.canonicalize().with_context(listing)?;
    if above.contains(&real) {
        return Ok(());
    }
    above.push(real);
    let mut names: Vec<(OsString, fs::FileType)> = fs::read_dir(&folder)
        .and_then(|entries| {
            entries.map(|entry| entry.and_then(|e| Ok((e.file_name(), e.file_type()?)))).collect()
        })
        .with_context(listing)?;
    names.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    for (name, kind) in names {
        let path = below.join(&name);
        // Follows links; one that leads nowhere is a file that cannot be read.
        let kind = if kind.is_symlink() {
            fs::metadata(root.join(&path)).map_or(kind, |meta| meta.file_type())
        } else {
            kind
        };
        if kind.is_dir() {
            walk_into(root, &path, wanted, above, found)?;
        } else if wanted(&path) {
            found.push(path);
        }
    }
    above.pop();
    Ok(())
}

/// Whether a name ends in exactly `.mid`, as the text encoding's data sets have it.
#[must_use]
pub fn is_mid(path: &Path) -> bool {
    ends_with(path, ".mid")
}

/// Whether a name ends in `.mid` or `.midi`, in capitals or not.
#[must_use]
pub fn is_midi(path: &Path) -> bool {
    path.extension().is_some_and(|e| e.eq_ignore_ascii_case("mid") || e.eq_ignore_ascii_case("midi"))
}

/// Whether a file name ends in exactly `suffix`.
#[must_use]
pub fn ends_with(path: &Path, suffix: &str) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().ends_with(suffix.as_bytes()))
}

/// Reads a whole file of bounded size.
///
/// # Errors
/// Names the file and why it cannot be read.
pub fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut room = Vec::new();
    let length = read_into(path, &mut room)?.len();
    room.truncate(length);
    Ok(room)
}

/// How much room a file is given at first.
const ROOM: usize = 64 << 10;

/// Reads a whole file of bounded size into room that other files have had before,
/// and that grows as it has to.
///
/// # Errors
/// Names the file and why it cannot be read.
pub fn read_into<'a>(path: &Path, room: &'a mut Vec<u8>) -> anyhow::Result<&'a [u8]> {
    let place = || format!("cannot read {}", path.display());
    let mut file = fs::File::open(path).with_context(place)?;
    let mut length = 0;
    // What a file says of its length is one more question, and not always true.
    loop {
        if length == room.len() {
            room.resize((2 * length).max(ROOM), 0);
        }
        match file.read(&mut room[length..]) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::IsADirectory => {
                bail!("{} is a folder; name a file", path.display())
            }
            Err(error) => return Err(error).with_context(place),
        }
        if length as u64 > MAX_FILE_BYTES {
            bail!("{} has {length} bytes or more; more than {MAX_FILE_BYTES} are not read", path.display());
        }
    }
    Ok(&room[..length])
}

/// When a written file is safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Safe {
    /// From a program that is killed, at once. Where the power fails, it may be
    /// empty until the system has written it.
    FromKilling,
    /// From a power cut too. The disk is waited for, some milliseconds.
    FromPowerCuts,
}

/// Writes a whole file, making its folder where needed: a reader sees the old
/// file or the new one, never half of it, also after a power cut. A link is
/// followed, and what is no plain file (a device, a pipe) is written into.
///
/// # Errors
/// Names the file that cannot be written.
pub fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let place = || format!("cannot write {}", path.display());
    match fs::metadata(path) {
        Ok(meta) if meta.is_file() => {
            write_safe(&path.canonicalize().with_context(place)?, bytes, Safe::FromPowerCuts)
        }
        Ok(_) => fs::OpenOptions::new()
            .write(true)
            .open(path)
            .and_then(|mut file| file.write_all(bytes))
            .with_context(place),
        Err(_) => write_safe(path, bytes, Safe::FromPowerCuts),
    }
}

/// Writes a whole file as [`write()`] does, as safely as it is worth.
///
/// # Errors
/// Names the file that cannot be written.
pub fn write_safe(path: &Path, bytes: &[u8], safe: Safe) -> anyhow::Result<()> {
    #[cfg(target_os = "linux")]
    if safe == Safe::FromKilling && unnamed::write(path, bytes).is_ok() {
        return Ok(());
    }
    let temporary = beside(path);
    let written = create(&temporary)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            if safe == Safe::FromPowerCuts { file.sync_all() } else { Ok(()) }
        })
        .and_then(|()| fs::rename(&temporary, path));
    if written.is_err() {
        // Nothing half-written stays; the first error is the one to tell.
        let _ = fs::remove_file(&temporary);
    }
    written.with_context(|| format!("cannot write {}", path.display()))
}

/// Creates a file, and its folder if that is what is missing.
fn create(path: &Path) -> std::io::Result<fs::File> {
    fs::File::create(path).or_else(|error| match path.parent() {
        Some(folder) if error.kind() == ErrorKind::NotFound => {
            fs::create_dir_all(folder)?;
            fs::File::create(path)
        }
        _ => Err(error),
    })
}

/// Whether two paths lead to one file that exists.
#[must_use]
pub fn same(a: &Path, b: &Path) -> bool {
    a.canonicalize().is_ok_and(|a| b.canonicalize().is_ok_and(|b| a == b))
}

/// A name in the same folder that nothing else has: hidden, and not one that
/// [`walk`] is ever asked for.
#[must_use]
pub fn beside(path: &Path) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    static PROCESS: LazyLock<u32> = LazyLock::new(std::process::id);
    let unique = NEXT.fetch_add(1, Ordering::Relaxed);
    path.with_file_name(format!(".continuo-{}-{unique}.tmp", *PROCESS))
}

/// Whether a name is one that [`beside`] gives, by whatever process.
#[must_use]
pub fn is_beside(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    name.starts_with(b".continuo-") && name.ends_with(b".tmp")
}

/// FNV-1a, 64 bits: the same on every machine and in every version, so what is
/// decided by it stays decided.
#[must_use]
pub fn fnv1a(bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes
        .into_iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_makes_the_folder_and_replaces_the_file_and_leaves_nothing_else() -> anyhow::Result<()> {
        let root = tempfile::tempdir()?;
        let path = root.path().join("a/b/song.ids");
        for safe in [Safe::FromKilling, Safe::FromPowerCuts, Safe::FromKilling] {
            for bytes in [&b"1 16 2"[..], b"", b"longer than it was before"] {
                write_safe(&path, bytes, safe)?;
                assert_eq!(fs::read(&path)?, bytes, "{safe:?}");
                assert_eq!(walk(root.path(), &|_| true)?, [Path::new("a/b/song.ids")]);
            }
        }
        Ok(())
    }

    #[test]
    fn a_read_gives_the_file_and_nothing_of_the_one_before() -> anyhow::Result<()> {
        let root = tempfile::tempdir()?;
        let path = root.path().join("file");
        let mut room = Vec::new();
        for length in [ROOM + 1, 3, 0, ROOM, 5 * ROOM] {
            let bytes: Vec<u8> = (0..=255).cycle().take(length).collect();
            fs::write(&path, &bytes)?;
            assert_eq!(read_into(&path, &mut room)?, bytes, "{length} bytes");
            assert_eq!(read(&path)?, bytes, "{length} bytes");
        }
        assert!(read(root.path()).is_err_and(|error| error.to_string().contains("is a folder")));
        Ok(())
    }
}
