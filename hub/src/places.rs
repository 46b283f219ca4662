//! Where what was pulled lies: plain folders, as they would be copied from elsewhere.
//!
//! ```text
//! <the user's data>/continuo/models/<owner>/<name>/
//! <the user's data>/continuo/datasets/<owner>/<name>/
//! ```
//!
//! A revision that was asked for stands in the folder's name, after an `@`.

use std::path::{Path, PathBuf};

use etcetera::BaseStrategy as _;

use crate::name::{Kind, RepoName};

/// The variable that names another folder than the usual one.
const VARIABLE: &str = "CONTINUO_HOME";

/// Where Continuo keeps what belongs to the user: what `CONTINUO_HOME` says, else the user's
/// data folder.
///
/// # Errors
/// A sentence where the system names no such folder.
pub fn home() -> Result<PathBuf, String> {
    if let Some(home) = std::env::var_os(VARIABLE).filter(|home| !home.is_empty()) {
        return Ok(home.into());
    }
    let strategy = etcetera::choose_base_strategy().map_err(|error| {
        format!("there is no folder for this user's data ({error}); set {VARIABLE} to one")
    })?;
    Ok(strategy.data_dir().join("continuo"))
}

/// The folder of what has a name on the hub, whether it was pulled or not.
#[must_use]
pub fn folder(home: &Path, kind: Kind, name: &RepoName) -> PathBuf {
    let shelf = match kind {
        Kind::Model => "models",
        Kind::Dataset => "datasets",
    };
    let last = name.revision().map_or_else(|| name.name().to_owned(), |rev| format!("{}@{rev}", name.name()));
    home.join(shelf).join(name.owner()).join(last)
}

/// What a model or a data set that was named turns out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Located {
    /// It is there, or what was named can only be a path.
    Path(PathBuf),
    /// It has a name on the hub, and was not pulled yet.
    Hub(RepoName),
}

/// Finds a model or a data set by what a user wrote: a path, or a name on the hub. What
/// exists as a path is meant as one.
#[must_use]
pub fn locate(kind: Kind, written: &Path, home: Option<&Path>) -> Located {
    let name = written.to_str().and_then(|written| written.parse::<RepoName>().ok());
    let (false, Some(name), Some(home)) = (written.exists(), name, home) else {
        return Located::Path(written.to_owned());
    };
    let pulled = folder(home, kind, &name);
    if pulled.is_dir() { Located::Path(pulled) } else { Located::Hub(name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_a_path_before_it_is_a_name() {
        let home = tempfile::tempdir().unwrap();
        let there = home.path().join("there");
        std::fs::create_dir(&there).unwrap();
        assert_eq!(locate(Kind::Model, &there, Some(home.path())), Located::Path(there.clone()));
        let nowhere = Path::new("/not/there");
        assert_eq!(locate(Kind::Model, nowhere, Some(home.path())), Located::Path(nowhere.to_owned()));
    }

    #[test]
    fn a_name_is_a_folder_once_it_was_pulled() {
        let home = tempfile::tempdir().unwrap();
        for written in ["owner/model-of-nobody", "owner/model-of-nobody@v1"] {
            let name: RepoName = written.parse().unwrap();
            let written = Path::new(written);
            assert_eq!(locate(Kind::Model, written, Some(home.path())), Located::Hub(name.clone()));
            let pulled = folder(home.path(), Kind::Model, &name);
            std::fs::create_dir_all(&pulled).unwrap();
            assert_eq!(locate(Kind::Model, written, Some(home.path())), Located::Path(pulled));
        }
        assert!(home.path().join("models/owner/model-of-nobody@v1").is_dir());
    }
}
