//! What a repository holds.

use futures_util::TryStreamExt as _;
use hf_hub::repository::RepoTreeEntry;

use super::{Hub, Watch, patiently};
use crate::error::HubError;
use crate::name::{Kind, RepoName};

/// A repository as it was at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listing {
    /// The commit, which never changes.
    pub(crate) commit: String,
    /// Its files, without folders, in order of their names.
    pub(crate) files: Vec<Listed>,
}

/// A file of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    /// Its path with `/` between folders.
    pub(crate) path: String,
    /// In bytes.
    pub(crate) size: u64,
    /// Whether it is stored as a large file, whose SHA-256 the hub knows.
    pub(crate) large: bool,
}

impl Hub {
    pub(super) async fn list(
        &self,
        kind: Kind,
        name: &RepoName,
        watch: &dyn Watch,
    ) -> Result<Listing, HubError> {
        let doing = self.doing(kind, name, "read");
        let commit = patiently(self.commit(kind, name), &doing, watch).await?;
        let commit =
            commit.ok_or_else(|| doing.unfit("has no commit yet, so nothing can be pulled from it"))?;
        let repository = self.repository(kind, name);
        let entries: Vec<RepoTreeEntry> = patiently(
            async { repository.list_tree().revision(&*commit).recursive(true).send()?.try_collect().await },
            &doing,
            watch,
        )
        .await?;
        let mut files: Vec<Listed> = entries.into_iter().filter_map(file).collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        if let Some(odd) = files.iter().find(|file| !is_plain(&file.path)) {
            return Err(
                doing.unfit(&format!("has a file of the odd name {:?}, which is not pulled", odd.path))
            );
        }
        Ok(Listing { commit, files })
    }

    /// The commit that a name means now.
    async fn commit(&self, kind: Kind, name: &RepoName) -> Result<Option<String>, hf_hub::HFError> {
        let revision = name.revision().map(str::to_owned);
        Ok(match kind {
            Kind::Model => {
                self.client.model(name.owner(), name.name()).info().maybe_revision(revision).send().await?.sha
            }
            Kind::Dataset => {
                self.client
                    .dataset(name.owner(), name.name())
                    .info()
                    .maybe_revision(revision)
                    .send()
                    .await?
                    .sha
            }
        })
    }
}

fn file(entry: RepoTreeEntry) -> Option<Listed> {
    match entry {
        RepoTreeEntry::File { path, size, lfs, .. } => Some(Listed { path, size, large: lfs.is_some() }),
        RepoTreeEntry::Directory { .. } => None,
    }
}

/// Whether a path stays below the folder it is put into, on any system.
fn is_plain(path: &str) -> bool {
    let odd = |part: &str| part.is_empty() || part == "." || part == ".." || part.contains(['\\', ':', '\0']);
    !path.split('/').any(odd)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_file_leaves_its_folder() {
        for path in ["config.json", "data/train-00000-of-00001.parquet", ".gitattributes"] {
            assert!(is_plain(path), "{path}");
        }
        for path in ["", "/etc/x", "../x", "a/../../x", "a\\..\\x", "C:/x", "a//b", "./x"] {
            assert!(!is_plain(path), "{path}");
        }
    }
}
