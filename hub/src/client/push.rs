//! From this machine to the hub, in one commit.

use std::path::Path;
use std::sync::Mutex;
use std::sync::{Arc, PoisonError};
use std::{fs, io};

use hf_hub::progress::{ProgressEvent, ProgressHandler, UploadEvent};
use hf_hub::repository::{CommitOperation, RepoTypeAny};

use super::choose::wanted;
use super::listing::Listed;
use super::{Hub, Progress, Watch, patiently};
use crate::error::HubError;
use crate::name::{Kind, RepoName};

/// What was pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// The page it has on the hub.
    pub address: String,
    /// How many files went.
    pub files: usize,
    /// How many bytes these have.
    pub bytes: u64,
}

impl Hub {
    /// Puts a model or a data set on the hub, in one commit, making the repository if there
    /// is none; a new one is private if that is wanted. What is pushed of a folder is what
    /// would be pulled of it; other files on the hub stay.
    ///
    /// # Errors
    /// [`HubError`]; the hub then has what it had before.
    pub fn push(
        &self,
        kind: Kind,
        name: &RepoName,
        folder: &Path,
        private: bool,
        watch: &dyn Watch,
    ) -> Result<Pushed, HubError> {
        let doing = self.doing(kind, name, "write");
        if name.revision().is_some() {
            return Err(
                doing.unfit("names a revision; pushed is always to the main branch, so leave it away")
            );
        }
        let files = files_of(kind, folder)?;
        let bytes = files.iter().map(|file| file.size).sum();
        let operations: Vec<_> = files
            .iter()
            .map(|file| CommitOperation::add_file(&*file.path, folder.join(&file.path)))
            .collect();
        let (repository, seen) = (self.repository(kind, name), Arc::new(Seen::default()));
        let kind = match kind {
            Kind::Model => RepoTypeAny::Model,
            Kind::Dataset => RepoTypeAny::Dataset,
        };
        let (id, message) = (name.id(), format!("Push {} with Continuo", name.name()));
        self.runtime.block_on(async {
            let make =
                self.client.create_repository().repo_id(&id).repo_type(kind).private(private).exist_ok(true);
            patiently(make.send(), &doing, watch).await?;
            let commit = repository
                .create_commit()
                .operations(operations)
                .commit_message(message)
                .progress(Arc::clone(&seen) as Arc<dyn ProgressHandler>);
            let shown = Shown { seen: &seen, total: bytes, watch };
            patiently(commit.send(), &doing, &shown).await
        })?;
        let address = format!(
            "{}/{}{id}",
            self.endpoint(),
            if kind == RepoTypeAny::Dataset { "datasets/" } else { "" }
        );
        Ok(Pushed { address, files: files.len(), bytes })
    }
}

/// What of a folder is pushed.
fn files_of(kind: Kind, folder: &Path) -> Result<Vec<Listed>, HubError> {
    let failed = |source| HubError::Disk {
        path: folder.to_owned(),
        doing: "read",
        source,
        remedy: "name the folder of a model or a data set",
    };
    let mut all = Vec::new();
    walk(folder, "", &mut all).map_err(failed)?;
    all.sort_by(|a, b| a.path.cmp(&b.path));
    wanted(kind, &all).map_err(|what| HubError::Folder { folder: folder.to_owned(), what })
}

/// The files below a folder, with `/` between folders; hidden ones are nobody's business.
fn walk(folder: &Path, above: &str, all: &mut Vec<Listed>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let (path, about) = (format!("{above}{name}"), fs::metadata(entry.path())?);
        if name.starts_with('.') {
        } else if about.is_dir() {
            walk(&entry.path(), &format!("{path}/"), all)?;
        } else {
            all.push(Listed { path, size: about.len(), large: false });
        }
    }
    Ok(())
}

/// What the library told last.
#[derive(Default)]
struct Seen(Mutex<u64>);

impl ProgressHandler for Seen {
    fn on_progress(&self, event: &ProgressEvent) {
        if let ProgressEvent::Upload(UploadEvent::Progress { bytes_completed, .. }) = event {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = *bytes_completed;
        }
    }
}

/// Shows progress whenever it is asked whether to go on.
struct Shown<'a> {
    seen: &'a Seen,
    total: u64,
    watch: &'a dyn Watch,
}

impl Watch for Shown<'_> {
    fn progress(&self, progress: &Progress) {
        self.watch.progress(progress);
    }

    fn is_cancelled(&self) -> bool {
        let done = *self.seen.0.lock().unwrap_or_else(PoisonError::into_inner);
        self.progress(&Progress { done, total: self.total, ..Progress::default() });
        self.watch.is_cancelled()
    }
}
