//! `pull` and `push`, of models and of data sets: to and from the Hugging Face Hub.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::anyhow;
use clap::Args;
use continuo_hub::{Hub, HubError, Kind, Progress as Moved, RepoName, Watch, places};

use crate::progress::{Progress, bytes};
use crate::{Outcome, interrupt};

/// What pulling can be told.
#[derive(Debug, Args)]
pub struct PullArgs {
    /// Its name on the hub: owner/name, or owner/name@revision
    #[arg(value_name = "REPO")]
    pub name: RepoName,
    /// Where to put it [default: where Continuo finds it by its name]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// What pushing can be told.
#[derive(Debug, Args)]
pub struct PushArgs {
    /// The name it shall have on the hub: owner/name
    #[arg(value_name = "REPO")]
    pub name: RepoName,
    /// The folder to push
    #[arg(long, value_name = "DIR")]
    pub from: PathBuf,
    /// If the repository is new, let nobody else see it
    #[arg(long)]
    pub private: bool,
}

/// Pulls a model or a data set.
///
/// # Errors
/// One sentence with the remedy; what came so far is kept for the next time.
pub fn pull(kind: Kind, args: &PullArgs) -> anyhow::Result<Outcome> {
    let into = match &args.out {
        Some(out) => out.clone(),
        None => places::folder(&places::home().map_err(|why| anyhow!(why))?, kind, &args.name),
    };
    let hub = Hub::from_environment()?;
    let shown = Shown::new();
    let pulled = hub.pull(kind, &args.name, &into, &shown);
    let Some(pulled) = shown.end(pulled, "pull again to go on where it was")? else {
        return Ok(Outcome::Interrupted);
    };
    let size = bytes(pulled.bytes);
    let state = if pulled.was_there { "is there already, as the hub has it" } else { "is here" };
    crate::print(&format!("{} {state}: {} ({} files, {size})\n", args.name, into.display(), pulled.files));
    if kind == Kind::Model && args.out.is_none() && !pulled.was_there {
        crate::print(&format!("continuo generate phrase.mid -o answer.mid --model {}\n", args.name));
    }
    Ok(Outcome::Done)
}

/// Pushes a model or a data set.
///
/// # Errors
/// One sentence with the remedy; the hub then has what it had before.
pub fn push(kind: Kind, args: &PushArgs) -> anyhow::Result<Outcome> {
    let hub = Hub::from_environment()?;
    let shown = Shown::new();
    let pushed = hub.push(kind, &args.name, &args.from, args.private, &shown);
    let Some(pushed) = shown.end(pushed, "the hub has what it had before")? else {
        return Ok(Outcome::Interrupted);
    };
    crate::print(&format!("{} files ({}) are at {}\n", pushed.files, bytes(pushed.bytes), pushed.address));
    Ok(Outcome::Done)
}

/// Shows progress, and stops at Ctrl-C.
struct Shown {
    bar: Progress,
    begin: Instant,
}

impl Shown {
    fn new() -> Self {
        Self { bar: Progress::percent("%"), begin: Instant::now() }
    }

    /// What came of it; `None` where the user interrupted it, who is told what that means.
    fn end<T>(&self, outcome: Result<T, HubError>, stopped: &str) -> Result<Option<T>, HubError> {
        self.bar.finish();
        match outcome {
            Err(HubError::Cancelled) => {
                crate::tell!("interrupted; {stopped}");
                Ok(None)
            }
            outcome => outcome.map(Some),
        }
    }
}

impl Watch for Shown {
    fn progress(&self, moved: &Moved) {
        let percent = (100 * moved.done).checked_div(moved.total).unwrap_or(100);
        let spent = self.begin.elapsed().as_secs_f64().max(0.001);
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_sign_loss,
            clippy::cast_possible_truncation,
            reason = "shown only"
        )]
        let pace = (moved.done as f64 / spent) as u64;
        let file = &moved.file;
        self.bar.set(percent, &format!("of {}, {}/s {file}", bytes(moved.total), bytes(pace)));
    }

    fn is_cancelled(&self) -> bool {
        interrupt::requested()
    }
}
