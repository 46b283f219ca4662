//! Names of repositories: `owner/name`, and `owner/name@revision` for another state of it
//! than the newest.

use std::fmt;
use std::str::FromStr;

/// What a repository holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A model.
    Model,
    /// A data set.
    Dataset,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Model => "model",
            Self::Dataset => "data set",
        })
    }
}

/// The longest that owner, name or revision can be; the hub's own limit is 96.
const LONGEST: usize = 96;

/// The name of a repository.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RepoName {
    owner: String,
    name: String,
    revision: Option<String>,
}

impl RepoName {
    /// Whom it belongs to.
    #[must_use]
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// What the owner calls it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The branch, tag or commit that is meant, if not the newest of the main branch.
    #[must_use]
    pub fn revision(&self) -> Option<&str> {
        self.revision.as_deref()
    }

    /// `owner/name`, without a revision.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }
}

impl fmt::Display for RepoName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)?;
        self.revision.iter().try_for_each(|revision| write!(f, "@{revision}"))
    }
}

/// Why a text is no name of a repository.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no name on the hub; write owner/name, or owner/name@revision")]
pub struct NoName(String);

impl FromStr for RepoName {
    type Err = NoName;

    /// Also takes the address of a repository's page, as it is copied from a browser.
    fn from_str(text: &str) -> Result<Self, NoName> {
        parse(text.trim()).ok_or_else(|| NoName(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<RepoName> {
    let text = match text.strip_prefix("https://") {
        Some(address) => address.split_once('/')?.1.trim_end_matches('/'),
        None => text,
    };
    let text = text.strip_prefix("datasets/").unwrap_or(text);
    let (id, revision) = match text.split_once('@') {
        Some((id, revision)) => (id, Some(revision)),
        None => (text, None),
    };
    let (owner, name) = id.split_once('/')?;
    [Some(owner), Some(name), revision].into_iter().flatten().all(is_word).then(|| RepoName {
        owner: owner.to_owned(),
        name: name.to_owned(),
        revision: revision.map(str::to_owned),
    })
}

/// Whether the hub takes this as a part of a name. It is also safe as the name of a folder
/// anywhere.
fn is_word(word: &str) -> bool {
    let inside = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let edge = |c: Option<char>| c.is_some_and(|c| c != '-' && c != '.');
    !word.is_empty()
        && word.len() <= LONGEST
        && word.chars().all(inside)
        && edge(word.chars().next())
        && edge(word.chars().next_back())
        && !word.contains("..")
        && !word.contains("--")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_the_hub_spells_them() {
        for (text, owner, name, revision) in [
            ("sander/piano", "sander", "piano", None),
            (" a-b/gpt2_music.v1 ", "a-b", "gpt2_music.v1", None),
            ("a/b@v1.0", "a", "b", Some("v1.0")),
            ("https://huggingface.co/a/b/", "a", "b", None),
            ("https://huggingface.co/datasets/a/b", "a", "b", None),
        ] {
            let read: RepoName = text.parse().unwrap();
            assert_eq!((read.owner(), read.name(), read.revision()), (owner, name, revision), "{text}");
        }
        let read: RepoName = "a/b@v1".parse().unwrap();
        assert_eq!((read.to_string(), read.id()), ("a/b@v1".to_owned(), "a/b".to_owned()));
    }

    #[test]
    fn paths_and_what_would_leave_the_folder_are_no_names() {
        for text in [
            "",
            "model",
            "./model",
            "../model",
            "/music/model",
            "a/b/c",
            "a/..",
            "a/.b",
            "a//b",
            "a/b@",
            "a\\b",
            "a/b c",
            "~/model",
            "a/-b",
            "a/b--c",
            "C:/model",
            "https://huggingface.co",
            "a/b.",
        ] {
            assert!(text.parse::<RepoName>().is_err(), "{text}");
        }
    }
}
