//! What happens before the first step: the trainer, the state, what is told about
//! the music.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::bail;
use continuo_model::train::{Lora, TrainConfig, Trainer};
use continuo_model::{Config, ModelFiles};
use serde_json::json;

use crate::device::Place;
use crate::encodings::EncodingName;
use crate::files;
use crate::train::batches::{Batches, Variation};
use crate::train::checkpoints::State;
use crate::train::corpus::Corpus;
use crate::train::settings::{Budget, Schedule, Settings};

/// Files of a model folder that are not replaced by those of another run.
const KEPT: [&str; 3] = ["config.json", "model.safetensors", "README.md"];

/// Adam's memory of gradients, and of their squares: shorter than its authors'
/// 0.999, as runs are short and gradients of small batches noisy.
const BETAS: (f32, f32) = (0.9, 0.95);
/// Keeps Adam from dividing by nothing; the usual value.
const EPSILON: f32 = 1e-8;
/// Gradients are cut to this length: a strange batch must not undo a thousand good ones.
const CLIP: f32 = 1.0;
/// How much an adaptation counts, a rank: twice is usual, and the rate then need not change with
/// the rank.
const ALPHA: f32 = 2.0;
/// Steps that are timed to plan a run of some minutes.
const TRIAL_STEPS: u32 = 10;
/// How much longer a step takes with the measurements and checkpoints between.
const MEASURING: f64 = 1.05;
/// The learning rate falls to this share of its highest.
const FINAL_RATE: f32 = 0.1;

/// A trainer with fresh weights, or those of the base model.
///
/// # Errors
/// If the base model cannot be read or spells music otherwise.
fn new_trainer(settings: &Settings, steps: u64) -> anyhow::Result<Trainer> {
    let config = train_config(settings, steps);
    let vocab_size = settings.encoding.encoding().vocab_size();
    if let Some(base) = &settings.base {
        let files = ModelFiles::open(base)?;
        let (shape, name) = (files.config(), base.display());
        if shape.n_positions < settings.context {
            bail!(
                "{name} has {} positions, but --context is {}; choose at most as many",
                shape.n_positions,
                settings.context
            );
        }
        if settings.fresh_vocabulary {
            return Ok(Trainer::with_fresh_ids(base, vocab_size, config)?);
        }
        if shape.vocab_size != vocab_size {
            bail!(
                "{name} has {} ids, but --encoding {} has {vocab_size}; choose the encoding of the base model, or \
                 give --fresh-vocabulary to learn the ids anew",
                shape.vocab_size,
                settings.encoding.as_str()
            );
        }
        return Ok(Trainer::from_model(base, config)?);
    }
    let shape = Config {
        vocab_size,
        n_positions: settings.context,
        n_embd: settings.shape.width,
        n_layer: settings.shape.layers,
        n_head: settings.shape.heads,
        ..Config::default()
    };
    Ok(Trainer::new(shape, config)?)
}

/// What the trainer is told of the settings.
fn train_config(settings: &Settings, steps: u64) -> TrainConfig {
    TrainConfig {
        batch: settings.batch,
        context: settings.context,
        steps,
        learning_rate: settings.learning_rate,
        min_learning_rate_factor: match settings.schedule {
            Schedule::Cosine => FINAL_RATE,
            Schedule::Constant => 1.0,
        },
        warmup_steps: settings.warmup,
        weight_decay: settings.weight_decay,
        beta1: BETAS.0,
        beta2: BETAS.1,
        epsilon: EPSILON,
        clip: CLIP,
        dropout: settings.dropout,
        seed: settings.seed,
        accumulation: settings.accumulate,
        recompute: settings.gradient_checkpointing,
        lora: settings.lora.map(|rank| {
            #[expect(clippy::cast_precision_loss, reason = "a rank is small")]
            let alpha = ALPHA * rank as f32;
            Lora { rank, alpha, embeddings: settings.fresh_vocabulary }
        }),
    }
}

/// A run that has not begun: its trainer and its state.
///
/// # Errors
/// If the base model cannot be read or spells music otherwise.
pub fn new_run(
    settings: Settings,
    music: u64,
    batches: &mut Batches,
    place: &Place,
) -> anyhow::Result<(Trainer, State)> {
    let total = match settings.budget {
        Budget::Steps(steps) => steps,
        Budget::Epochs(epochs) => ceil(epochs / batches.epochs(1)),
        Budget::Minutes(minutes) => ceil(minutes * 60.0 / seconds_a_step(&settings, batches, place)?),
    };
    let trainer = place.put(new_trainer(&settings, total)?)?;
    let state = State { settings, music, total, step: 0, elapsed: 0.0, smoothed: None, best: None };
    Ok((trainer, state))
}

/// Refuses to start a run where it would replace what is there, or learn from itself.
///
/// # Errors
/// Names the file or folder that is in the way.
pub fn check_out(out: &Path, folders: &[PathBuf]) -> anyhow::Result<()> {
    if out.exists() && !out.is_dir() {
        bail!("{} is no folder; name one for the model with --out", out.display());
    }
    if let Some(file) = KEPT.into_iter().find(|file| out.join(file).exists()) {
        bail!(
            "{} holds a {file} that the training would replace; name another --out folder, or remove it",
            out.display()
        );
    }
    let place = std::path::absolute(out)?;
    match folders
        .iter()
        .find(|folder| std::path::absolute(folder).is_ok_and(|folder| place.starts_with(folder)))
    {
        Some(folder) => bail!(
            "--out {} lies in {}, where the music is, and its samples would be learned from; name another --out folder",
            out.display(),
            folder.display()
        ),
        None => Ok(()),
    }
}

/// A run that was begun, as it shall go on.
///
/// # Errors
/// If the graphics card cannot be used for it.
pub fn again(trainer: Trainer, settings: &Settings, place: &Place) -> anyhow::Result<Trainer> {
    let trainer = if settings.gradient_checkpointing { trainer.recomputing() } else { trainer };
    Ok(place.put(trainer)?)
}

/// How long a step takes here, measurements included, from a few steps of a trainer
/// that is thrown away.
fn seconds_a_step(settings: &Settings, batches: &mut Batches, place: &Place) -> anyhow::Result<f64> {
    let mut trainer = place.put(new_trainer(settings, 1)?)?;
    // The first is slower: memory is touched for the first time.
    trainer.step(&batches.batch(0))?;
    let begun = Instant::now();
    for step in 0..TRIAL_STEPS {
        trainer.step(&batches.batch(step.into()))?;
    }
    let each = begun.elapsed().as_secs_f64() / f64::from(TRIAL_STEPS);
    crate::tell!("a step takes {each:.2} s here");
    Ok(each * MEASURING)
}

/// A positive number of steps, rounded up, at least 1.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturates, and is never negative"
)]
fn ceil(steps: f64) -> u64 {
    steps.ceil().max(1.0) as u64
}

/// How music is varied in training: only `beat` can be transposed id by id.
#[must_use]
pub const fn variation(settings: &Settings) -> Variation {
    match settings.encoding {
        EncodingName::Beat => Variation { transpose: settings.transpose, loudness: true },
        EncodingName::Text | EncodingName::Anticipation | EncodingName::Midilike => Variation::NONE,
    }
}

/// Says what was found, and where it is learned.
pub fn tell(corpus: &Corpus, batches: &Batches, place: &Place) {
    let count = |held_out| match (corpus.part(held_out).count(), corpus.files(held_out)) {
        (rows, pieces) if rows == pieces => format!("{pieces} pieces"),
        (rows, pieces) => format!("{rows} rows of {pieces} pieces"),
    };
    crate::tell!(
        "{} to train on and {} held out ({}; {} near-duplicates moved to training)",
        count(false),
        count(true),
        corpus.left_out(),
        corpus.near_duplicates,
    );
    let rows = batches.rows();
    crate::tell!(
        "{} ids an epoch in {rows} rows, {:.1} % filled",
        batches.targets(),
        batches.filled() * 100.0
    );
    crate::tell!("learning on {place}");
}

/// Lists the files that could not be read, on the screen and in the folder.
///
/// # Errors
/// If the list cannot be written.
pub fn tell_refused(out: &Path, corpus: &Corpus) -> anyhow::Result<()> {
    if corpus.refused.is_empty() {
        return Ok(());
    }
    let mut list = String::new();
    for refusal in &corpus.refused {
        list += &json!({ "file": refusal.file, "reason": refusal.reason }).to_string();
        list.push('\n');
    }
    let path = out.join("refused.jsonl");
    files::write(&path, list.as_bytes())?;
    crate::tell!("{} files could not be read; {} says why", corpus.refused.len(), path.display());
    Ok(())
}
