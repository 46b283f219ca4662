//! NVIDIA's toolkit: where it is, and what the crates that compile with it must be told.

use anyhow::{Context, Result};
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The cards code is made for where none is at hand to ask: Ampere, and all since.
const USUAL_CAPABILITY: &str = "80";

/// Variables by which the crates that compile for CUDA look for the toolkit.
const PLACES: [&str; 4] = ["CUDA_HOME", "CUDA_PATH", "CUDA_ROOT", "CUDA_TOOLKIT_ROOT_DIR"];

/// A toolkit that has a compiler.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Toolkit {
    root: PathBuf,
}

impl Toolkit {
    /// Looks where toolkits are: in what the environment names, on the path, and in the
    /// usual folder.
    pub(crate) fn find() -> Option<Self> {
        let path = env::var_os("PATH").unwrap_or_default();
        let named = ["CUDA_HOME", "CUDA_PATH"].into_iter().filter_map(env::var_os).map(PathBuf::from);
        let on_path = env::split_paths(&path).filter_map(|bin| bin.parent().map(Path::to_path_buf));
        let usual = PathBuf::from("/usr/local/cuda");
        Self::among(named.chain(on_path).chain([usual]))
    }

    /// Fails where there is none.
    pub(crate) fn need() -> Result<Self> {
        Self::find().context(
            "NVIDIA's CUDA toolkit is not here (no nvcc through CUDA_HOME, CUDA_PATH, PATH, or in \
             /usr/local/cuda); install it, or leave out --cuda",
        )
    }

    fn among(mut roots: impl Iterator<Item = PathBuf>) -> Option<Self> {
        let nvcc = format!("nvcc{}", env::consts::EXE_SUFFIX);
        roots.find(|root| root.join("bin").join(&nvcc).is_file()).map(|root| Self { root })
    }

    /// Where it is.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Tells a command where it is.
    pub(crate) fn equip<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        for place in PLACES {
            command.env(place, &self.root);
        }
        command.env("PATH", self.path());
        if env::var_os("CUDA_COMPUTE_CAP").is_none() && !a_card_answers() {
            command.env("CUDA_COMPUTE_CAP", USUAL_CAPABILITY);
        }
        command
    }

    /// The path with its programs first.
    fn path(&self) -> OsString {
        let path = env::var_os("PATH").unwrap_or_default();
        let all = std::iter::once(self.root.join("bin")).chain(env::split_paths(&path));
        env::join_paths(all).unwrap_or(path)
    }
}

/// Whether a card can be asked what it is.
fn a_card_answers() -> bool {
    let asked = Command::new("nvidia-smi").stdout(Stdio::null()).stderr(Stdio::null()).status();
    asked.is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_toolkit_is_where_its_compiler_is() {
        let folder = tempfile::tempdir().unwrap();
        let (empty, whole) = (folder.path().join("empty"), folder.path().join("whole"));
        fs::create_dir_all(empty.join("bin")).unwrap();
        fs::create_dir_all(whole.join("bin")).unwrap();
        assert_eq!(Toolkit::among([empty.clone(), whole.clone()].into_iter()), None);
        fs::write(whole.join("bin").join(format!("nvcc{}", env::consts::EXE_SUFFIX)), "").unwrap();
        let found = Toolkit::among([empty, whole.clone()].into_iter()).unwrap();
        assert_eq!(found.root(), whole);
        let mut command = Command::new("cargo");
        found.equip(&mut command);
        for place in PLACES {
            assert!(
                command.get_envs().any(|(name, value)| name == place && value == Some(whole.as_os_str()))
            );
        }
    }
}
