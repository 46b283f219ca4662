//! What can go wrong between here and the hub, each as a sentence with a remedy.

use std::io;
use std::path::PathBuf;

use hf_hub::HFError;

use crate::name::{Kind, RepoName};

/// Why something was not pulled or pushed. What had come already is kept.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// The user wanted it to stop.
    #[error("stopped; pull again to go on where it was")]
    Cancelled,
    /// The hub is not reached, or does not go on.
    #[error(
        "the hub at {endpoint} {what}; check the connection{remedy}, then try again: what came so far is kept"
    )]
    Down {
        /// The address used.
        endpoint: String,
        /// What it does instead of answering.
        what: String,
        /// What else to check.
        remedy: &'static str,
    },
    /// The hub wants to know who asks, or refuses who does.
    #[error(
        "the hub does not let this machine {doing} `{name}` ({why}); log in with `hf auth login`, or set \
         HF_TOKEN to a token that may, as made at https://huggingface.co/settings/tokens"
    )]
    Refused {
        /// What was being done.
        doing: &'static str,
        /// With what.
        name: RepoName,
        /// What the hub says.
        why: String,
    },
    /// There is no such repository.
    #[error(
        "the hub has no {kind} `{name}`, or it is private; check the name, or set HF_TOKEN to a token that may \
         read it"
    )]
    Missing {
        /// What it would hold.
        kind: Kind,
        /// The name asked for.
        name: RepoName,
    },
    /// The hub holds something else than was hoped for.
    #[error("`{name}` {what}")]
    Unfit {
        /// The repository.
        name: RepoName,
        /// What is wrong with it, and the remedy.
        what: String,
    },
    /// A folder here holds something else than was hoped for.
    #[error("{} {what}", .folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What is wrong with it, and the remedy.
        what: String,
    },
    /// Nothing more can be written, or nothing be read.
    #[error("{} cannot be {doing}: {source}; {remedy}", .path.display())]
    Disk {
        /// The file or folder.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// Why not.
        source: io::Error,
        /// What helps.
        remedy: &'static str,
    },
    /// Anything else that the hub or its library says.
    #[error("the hub does not do it: {0}")]
    Other(String),
}

/// What was being done when an error came, for its words.
#[derive(Clone, Copy)]
pub(crate) struct Doing<'a> {
    pub(crate) endpoint: &'a str,
    pub(crate) kind: Kind,
    pub(crate) name: &'a RepoName,
    pub(crate) what: &'static str,
}

impl Doing<'_> {
    /// The library's error in our words.
    pub(crate) fn failed(&self, error: HFError) -> HubError {
        match error {
            HFError::AuthRequired { context } | HFError::Forbidden { context } => {
                self.refused(&context.server_message)
            }
            HFError::RepoNotFound { .. } => self.missing(),
            HFError::RevisionNotFound { .. } if self.name.revision().is_none() => self.missing(),
            HFError::RevisionNotFound { revision, .. } => {
                self.unfit(&format!("has no revision `{revision}`; leave it away for the newest"))
            }
            HFError::EntryNotFound { path, .. } => {
                self.unfit(&format!("lists the file {path} but does not give it; try again later"))
            }
            HFError::RateLimited { retry_after, .. } => {
                let when = retry_after.map_or_else(String::new, |time| format!(" for {} s", time.as_secs()));
                self.down(&format!("wants fewer requests{when}"), "")
            }
            HFError::Request { source, .. } => self.down(
                &format!("cannot be reached ({})", innermost(&source)),
                " and the variable HF_ENDPOINT",
            ),
            HFError::Http { context } if context.status.is_server_error() => {
                self.down(&format!("answers with an error ({})", context.status), "")
            }
            HFError::Http { context } if context.status.as_u16() == 404 => self.missing(),
            HFError::Json(error) => self.down(
                &format!("does not answer as the Hugging Face Hub does ({error})"),
                " and the variable HF_ENDPOINT",
            ),
            HFError::Io(source) => HubError::Disk {
                path: PathBuf::from(self.name.to_string()),
                doing: "read or written",
                source,
                remedy: "see that it can be",
            },
            other => HubError::Other(other.to_string()),
        }
    }

    pub(crate) fn down(&self, what: &str, remedy: &'static str) -> HubError {
        HubError::Down { endpoint: self.endpoint.to_owned(), what: what.to_owned(), remedy }
    }

    pub(crate) fn unfit(&self, what: &str) -> HubError {
        HubError::Unfit { name: self.name.clone(), what: what.to_owned() }
    }

    fn missing(&self) -> HubError {
        HubError::Missing { kind: self.kind, name: self.name.clone() }
    }

    fn refused(&self, said: &Option<String>) -> HubError {
        let why = said.as_deref().filter(|said| !said.trim().is_empty());
        let why = why.unwrap_or("it gives no reason").trim_end_matches('.').to_owned();
        HubError::Refused { doing: self.what, name: self.name.clone(), why }
    }
}

/// The cause of all causes, which names what failed.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
