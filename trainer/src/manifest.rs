//! Licence and origin of music files, as a list beside them tells it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Deserialize;

use crate::files;

/// A line of a manifest; what else it says is passed over.
#[derive(Clone, Debug, Deserialize)]
pub struct Origin {
    file: PathBuf,
    /// The licence, best as SPDX names it.
    pub license: String,
    /// Where the file comes from.
    #[serde(default)]
    pub source: String,
}

/// Licence and origin by file.
#[derive(Debug, Default)]
pub struct Manifest(BTreeMap<PathBuf, Origin>);

impl Manifest {
    /// Reads lines of `{"file", "license", "source"}`; files are named relative to the
    /// manifest.
    ///
    /// # Errors
    /// Names the line that is something else.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let folder = path.parent().unwrap_or(Path::new(""));
        let text = String::from_utf8(files::read(path)?)
            .with_context(|| format!("{} is not UTF-8", path.display()))?;
        let mut manifest = BTreeMap::new();
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let line: Origin = serde_json::from_str(line).with_context(|| {
                format!(
                    "line {} of {} is not {{\"file\", \"license\", \"source\"}}",
                    number + 1,
                    path.display()
                )
            })?;
            manifest.insert(same_name(&folder.join(&line.file)), line);
        }
        Ok(Self(manifest))
    }

    /// What is told of a file.
    #[must_use]
    pub fn get(&self, file: &Path) -> Option<&Origin> {
        if self.0.is_empty() { None } else { self.0.get(&same_name(file)) }
    }
}

/// One name for a file, however it is reached.
fn same_name(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_path_buf())
}
