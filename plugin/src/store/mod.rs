//! What is kept on this machine beside projects: settings, presets, and, unless it is
//! switched off, which takes were liked. Nothing of it is ever sent anywhere.
//!
//! - [`settings`]: what the musician chose once for all projects.
//! - [`presets`]: factory presets, and the musician's own.
//! - [`feedback`]: takes that were kept, liked or not.
//! - [`midi_file`]: takes as MIDI files.

pub mod feedback;
pub mod midi_file;
pub mod presets;
pub mod settings;

use std::io::{self, Write as _};
use std::path::Path;

pub use continuo_hub::places::home;

/// Writes a file whole or not at all.
///
/// # Errors
/// A sentence with the file's name.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    replace(path, bytes).map_err(|error| format!("{} cannot be written: {error}", path.display()))
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}
