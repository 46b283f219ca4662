//! What a run keeps on disk: the last two checkpoints, its state beside them, and
//! the model folder that always holds the best model so far.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use continuo_model::train::Trainer;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::encodings::EncodingName;
use crate::files;
use crate::train::settings::Settings;

/// The folder in the model folder that holds them.
const FOLDER: &str = "checkpoints";

/// The state's file in a checkpoint.
const STATE: &str = "run.json";

/// The best model so far.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// When it was.
    pub step: u64,
    /// Its held-out loss in nats a token, on the sample measured during training.
    pub loss: f64,
}

/// What a run knows beside the trainer's weights and moments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// What the run was started with.
    pub settings: Settings,
    /// Identifies the training music: a resumed run must find the same.
    pub music: u64,
    /// Steps planned.
    pub total: u64,
    /// Steps done.
    pub step: u64,
    /// Seconds trained, over all sessions.
    pub elapsed: f64,
    /// The running mean of the loss.
    pub smoothed: Option<f64>,
    /// The best model so far.
    pub best: Option<Best>,
}

/// Saves a checkpoint and removes those no longer kept.
///
/// # Errors
/// Names the file that cannot be written.
pub fn save(out: &Path, trainer: &Trainer, state: &State) -> anyhow::Result<()> {
    let folder = out.join(FOLDER);
    let partial = folder.join(".partial");
    let named = folder.join(format!("step-{:08}", state.step));
    let place = || format!("cannot save a checkpoint in {}", folder.display());
    remove(&partial)?;
    fs::create_dir_all(&partial).with_context(place)?;
    trainer.save_checkpoint(&partial).with_context(place)?;
    files::write(&partial.join(STATE), serde_json::to_string_pretty(state)?.as_bytes())?;
    remove(&named)?;
    fs::rename(&partial, &named).with_context(place)?;
    for old in list(out)?.into_iter().rev().skip(state.settings.keep) {
        remove(&old)?;
    }
    Ok(())
}

/// Loads the last checkpoint, or the one before where that is damaged.
///
/// # Errors
/// If there is none, or none that can be read.
pub fn load(out: &Path) -> anyhow::Result<(Trainer, State)> {
    let mut problem = None;
    for folder in list(out)?.into_iter().rev() {
        match load_one(&folder) {
            Ok(loaded) => return Ok(loaded),
            Err(error) => {
                crate::tell!("note: the checkpoint {} cannot be used ({error:#})", folder.display());
                problem = Some(error);
            }
        }
    }
    match problem {
        Some(error) => {
            Err(error.context("no checkpoint can be read; start a new run in another --out folder"))
        }
        None => {
            bail!("{} has no checkpoint to resume; leave out --resume to start a run there", out.display())
        }
    }
}

fn load_one(folder: &Path) -> anyhow::Result<(Trainer, State)> {
    let state = folder.join(STATE);
    let state: State = serde_json::from_slice(&files::read(&state)?)
        .with_context(|| format!("{} is damaged", state.display()))?;
    let trainer = Trainer::resume(folder)?;
    if trainer.step_number() != state.step {
        bail!("{} mixes two steps", folder.display());
    }
    Ok((trainer, state))
}

/// Keeps other trainings out of a folder as long as what is returned is open; nothing where the
/// file system knows no locks.
///
/// # Errors
/// If another training writes there, or the folder cannot be made.
pub fn lock(out: &Path) -> anyhow::Result<Option<File>> {
    fs::create_dir_all(out).with_context(|| format!("cannot make the folder {}", out.display()))?;
    let path = out.join(".lock");
    let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => {
            bail!("another training writes to {}; wait for it, or name another --out folder", out.display())
        }
        Err(TryLockError::Error(_)) => Ok(None),
    }
}

/// Whether a folder holds a run already.
#[must_use]
pub fn exists(out: &Path) -> bool {
    list(out).is_ok_and(|found| !found.is_empty())
}

/// All checkpoints, the oldest first.
fn list(out: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let folder = out.join(FOLDER);
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let place = || format!("cannot list the folder {}", folder.display());
    let mut found: Vec<PathBuf> = fs::read_dir(&folder)
        .and_then(|entries| entries.map(|entry| entry.map(|e| e.path())).collect())
        .with_context(place)?;
    found.retain(|path| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with("step-")));
    found.sort();
    Ok(found)
}

/// Removes a folder, if it is there.
///
/// # Errors
/// If it cannot be removed.
pub fn remove(folder: &Path) -> anyhow::Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    Ok(())
}

/// Writes the model into a folder beside the model folder's files; [`publish`] or [`remove`]
/// is next.
///
/// # Errors
/// Names the file that cannot be written.
pub fn stage(out: &Path, trainer: &Trainer, encoding: EncodingName) -> anyhow::Result<PathBuf> {
    let staged = out.join(".export");
    remove(&staged)?;
    fs::create_dir_all(&staged).with_context(|| format!("cannot write to {}", out.display()))?;
    trainer.export(&staged, true)?;
    let description = json!({ "encoding": encoding.as_str(), "version": encoding.version() });
    files::write(&staged.join("continuo.json"), format!("{description:#}\n").as_bytes())?;
    Ok(staged)
}

/// Puts the model that was staged into the model folder, file by file in one move each.
///
/// # Errors
/// Names the file that cannot be written.
pub fn publish(out: &Path, staged: &Path) -> anyhow::Result<()> {
    let names: Vec<_> = fs::read_dir(staged)?.collect::<Result<_, _>>()?;
    for entry in names {
        let to = out.join(entry.file_name());
        fs::rename(entry.path(), &to).with_context(|| format!("cannot write {}", to.display()))?;
    }
    remove(staged)
}
