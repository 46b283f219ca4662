//! How well held-out music is predicted, by a model and by an n-gram.

use std::path::Path;

use anyhow::Result;
use continuo_model::train::{TrainConfig, Trainer};

use crate::interrupt;
use crate::ngram::NGram;
use crate::progress::Progress;
use crate::train::batches;

/// A sum over held-out ids.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Measured {
    /// Negative log-likelihood.
    pub nats: f64,
    /// Ids predicted.
    pub targets: usize,
}

impl Measured {
    /// The mean loss, in nats a token.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    pub fn loss(self) -> f64 {
        self.nats / self.targets.max(1) as f64
    }

    /// The loss in bits a note; unlike nats a token it compares encodings.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    pub fn bits_per_note(self, notes: usize) -> f64 {
        self.nats / std::f64::consts::LN_2 / notes.max(1) as f64
    }
}

/// A model of a folder or a file, to be measured so many rows of so many ids at a time.
///
/// # Errors
/// If it cannot be read, or its window is shorter.
pub fn open(path: &Path, rows: usize, context: usize) -> Result<Trainer> {
    // Nothing is learned, so no block has to keep anything.
    let config = TrainConfig { batch: rows, context, recompute: true, ..TrainConfig::default() };
    Ok(Trainer::from_model(path, config)?)
}

/// Measures a model; `None` where the user interrupted it.
///
/// # Errors
/// If the model fails.
pub fn model(trainer: &mut Trainer, chunks: &[Vec<u32>], rows: usize) -> Result<Option<Measured>> {
    let batches = batches::plain(chunks, rows);
    let progress = Progress::new("held-out batches", batches.len() as u64);
    let mut measured = Measured::default();
    for batch in &batches {
        if interrupt::requested() {
            progress.finish();
            return Ok(None);
        }
        let (nats, targets) = trainer.evaluate(batch)?;
        measured.nats += nats;
        measured.targets += targets;
        progress.advance();
    }
    progress.finish();
    Ok(Some(measured))
}

/// Measures an n-gram model on the same ids.
#[must_use]
pub fn ngram(model: &NGram, chunks: &[Vec<u32>]) -> Measured {
    chunks.iter().fold(Measured::default(), |sum, chunk| {
        let (nats, targets) = model.evaluate(chunk);
        Measured { nats: sum.nats + nats, targets: sum.targets + targets }
    })
}

/// A part of the chunks with about `targets` ids to predict, spread over all of
/// them, always the same.
#[must_use]
pub fn sample(chunks: &[Vec<u32>], targets: usize) -> Vec<Vec<u32>> {
    let all: usize = chunks.iter().map(Vec::len).sum();
    let every = all.div_ceil(targets.max(1)).max(1);
    chunks.iter().step_by(every).cloned().collect()
}
