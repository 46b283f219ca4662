//! Which model is wanted, and where it is.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use continuo_engine::worker::Source;
use continuo_hub::Kind;
use continuo_hub::places::{self, Located};

/// How often a model is looked for that is on the hub only: it may be pulled at any time, by
/// the editor, another instance or the command line.
const LOOK: Duration = Duration::from_secs(1);

/// The model that was wanted last.
pub(super) struct Wanted {
    /// Where what was pulled is.
    home: Option<PathBuf>,
    look: Duration,
    named: Option<PathBuf>,
    /// What it is, and when that was found out.
    found: Option<(Located, Instant)>,
}

impl Default for Wanted {
    fn default() -> Self {
        Self::new(places::home().ok(), LOOK)
    }
}

impl Wanted {
    fn new(home: Option<PathBuf>, look: Duration) -> Self {
        Self { home, look, named: None, found: None }
    }

    /// Where the model comes from that goes by a path or a name; none is the embedded one.
    /// Asked hundreds of times a second, so the disk is looked at only where that can change
    /// something.
    pub(super) fn source(&mut self, named: Option<PathBuf>) -> Source {
        let Some(named) = named else { return Source::Embedded };
        if self.named.as_ref() != Some(&named) {
            (self.named, self.found) = (Some(named.clone()), None);
        }
        let is_old =
            |found: &(Located, Instant)| matches!(found.0, Located::Hub(_)) && found.1.elapsed() >= self.look;
        if self.found.as_ref().is_none_or(is_old) {
            self.found = Some((places::locate(Kind::Model, &named, self.home.as_deref()), Instant::now()));
        }
        match &self.found {
            Some((Located::Path(path), _)) => Source::Folder(path.clone()),
            _ => Source::Folder(named),
        }
    }
}

#[cfg(test)]
mod tests {
    use continuo_hub::RepoName;

    use super::*;

    #[test]
    fn a_model_that_is_pulled_meanwhile_is_found() {
        let home = tempfile::tempdir().unwrap();
        let mut wanted = Wanted::new(Some(home.path().to_owned()), Duration::ZERO);
        assert_eq!(wanted.source(None), Source::Embedded);
        let name: RepoName = "owner/tune-of-nobody".parse().unwrap();
        let named = Some(PathBuf::from(name.to_string()));
        assert_eq!(wanted.source(named.clone()), Source::Folder(name.to_string().into()));
        let folder = places::folder(home.path(), Kind::Model, &name);
        std::fs::create_dir_all(&folder).unwrap();
        assert_eq!(wanted.source(named), Source::Folder(folder));
        assert_eq!(wanted.source(Some("/a/folder".into())), Source::Folder("/a/folder".into()));
    }
}
