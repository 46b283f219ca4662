//! Training. The passes are written out by hand: on the processor (`host`, `network`) over fused
//! kernels, with all weights in one slice (`parameters`), on a graphics card (`gpu`) over candle's
//! operations. [`Trainer`] is the optimizer's loop body, its caller the loop.

mod adamw;
mod checkpoint;
mod export;
mod gpu;
mod host;
mod kernels;
mod lora;
mod network;
mod parameters;
mod schedule;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Activation, Config, Gpu, ModelError, ModelFiles};
use adamw::{Moments, Rates};
use gpu::OnGpu;
use host::OnHost;
use kernels::cross_entropy::IGNORED;
use lora::Places;
use network::Pass;
use parameters::Layout;

pub use gpu::Precision;
pub use lora::Lora;
pub use schedule::learning_rate;

/// How a model is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TrainConfig {
    /// Sequences worked on at a time.
    pub batch: usize,
    /// The longest sequence, in ids; at most the model's `n_positions`.
    pub context: usize,
    /// Length of the run in optimizer steps; decides how the learning rate falls.
    pub steps: u64,
    /// The highest learning rate.
    pub learning_rate: f32,
    /// What share of it is left at the end.
    pub min_learning_rate_factor: f32,
    /// Steps over which the learning rate rises.
    pub warmup_steps: u64,
    /// Decay of the blocks' matrices, per step and learning rate.
    pub weight_decay: f32,
    /// How much of the gradient's running mean a step keeps.
    pub beta1: f32,
    /// How much of the running mean of its square a step keeps.
    pub beta2: f32,
    /// Keeps the optimizer from dividing by zero.
    pub epsilon: f32,
    /// The norm that longer gradients are shortened to; 0 to leave them.
    pub clip: f32,
    /// Probability of dropping an element of the embeddings and of what the
    /// blocks add to them.
    pub dropout: f32,
    /// Decides fresh weights and what is dropped.
    pub seed: u64,
    /// How many times `batch` sequences make one optimizer step.
    pub accumulation: usize,
    /// Whether each block is computed again for its backward pass in place of keeping what that
    /// needs: some seven times less memory for activations, a third more work, and the same
    /// numbers bit by bit (gradient checkpointing).
    pub recompute: bool,
    /// What is learned in place of the weights; none learns these.
    pub lora: Option<Lora>,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            batch: 8,
            context: 512,
            steps: 1000,
            learning_rate: 1e-3,
            min_learning_rate_factor: 0.1,
            warmup_steps: 100,
            weight_decay: 0.1,
            beta1: 0.9,
            beta2: 0.95,
            epsilon: 1e-8,
            clip: 1.0,
            dropout: 0.0,
            seed: 0,
            accumulation: 1,
            recompute: false,
            lora: None,
        }
    }
}

/// Sequences of ids and what should follow each of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// `batch` sequences of `context` ids, one after the other.
    pub ids: Vec<u32>,
    /// The id to follow each, or `u32::MAX` where none is asked for.
    pub targets: Vec<u32>,
    /// How many sequences.
    pub batch: usize,
    /// How many ids in each.
    pub context: usize,
}

/// What one optimizer step did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepReport {
    /// The number of the step, from 1.
    pub step: u64,
    /// Mean loss of the targets before the step, in nats.
    pub loss: f64,
    /// Norm of the gradient before clipping.
    pub gradient_norm: f64,
    /// The learning rate it was made with.
    pub learning_rate: f32,
    /// How many targets counted.
    pub targets: usize,
}

/// A model in training: weights, optimizer, and the buffers to go on with.
pub struct Trainer {
    config: Config,
    train: TrainConfig,
    layout: Arc<Layout>,
    learner: Learner,
    step: u64,
}

/// Where it is learned.
enum Learner {
    Host(OnHost),
    Gpu(OnGpu),
}

/// All that is learned: what a checkpoint holds beside the settings.
struct State<'a> {
    /// The weights; where there are adapters, those that these are added to.
    parameters: Cow<'a, [f32]>,
    /// The moments of what is learned.
    moments: Cow<'a, Moments>,
    /// What is learned in place of the weights.
    adapters: Option<Cow<'a, [f32]>>,
    /// What the loss is multiplied by on a card in f16; the processor only keeps it.
    loss_scale: f32,
}

/// What a learner found out about a batch.
struct Learned {
    /// The summed loss of the targets, in nats.
    loss: f64,
    /// The norm of the gradient of their mean.
    norm: f64,
}

impl Learner {
    fn learn(&mut self, batch: &Batch, train: &TrainConfig, step: u64) -> Result<Learned, ModelError> {
        match self {
            Self::Host(learner) => Ok(learner.learn(batch, train, step)),
            Self::Gpu(learner) => learner.learn(batch, train, step),
        }
    }

    fn update(&mut self, train: &TrainConfig, rates: Rates) -> Result<(), ModelError> {
        match self {
            Self::Host(learner) => {
                learner.update(train, rates);
                Ok(())
            }
            Self::Gpu(learner) => learner.update(train, rates),
        }
    }

    fn evaluate(&mut self, pass: &Pass<'_>) -> Result<f64, ModelError> {
        match self {
            Self::Host(learner) => Ok(learner.evaluate(pass)),
            Self::Gpu(learner) => learner.evaluate(pass),
        }
    }

    /// The weights of the model; sums where there are adapters.
    fn weights(&self) -> Result<Cow<'_, [f32]>, ModelError> {
        match self {
            Self::Host(learner) => Ok((&learner.parameters).into()),
            Self::Gpu(learner) => learner.weights().map(Cow::Owned),
        }
    }

    fn state(&self) -> Result<State<'_>, ModelError> {
        match self {
            Self::Host(learner) => Ok(learner.state()),
            Self::Gpu(learner) => learner.state(),
        }
    }
}

impl Trainer {
    /// A trainer of fresh weights, distributed as GPT-2's.
    ///
    /// # Errors
    /// If either configuration cannot be worked with.
    pub fn new(config: Config, train: TrainConfig) -> Result<Self, ModelError> {
        config.check("the configuration given")?;
        check_settings(&config, &train)?;
        let layout = Layout::new(&config);
        let parameters = layout.initialise(train.seed);
        Ok(Self::begin(config, train, layout, parameters))
    }

    /// A trainer that goes on from the weights of a model, a folder or a file as
    /// [`ModelFiles`] finds them.
    ///
    /// # Errors
    /// If there is no model (see [`crate::Gpt2::open`]), or `train` does not suit it.
    pub fn from_model(path: &Path, train: TrainConfig) -> Result<Self, ModelError> {
        let (config, weights) = ModelFiles::open(path)?.into_parts();
        check_settings(&config, &train)?;
        let layout = Layout::new(&config);
        let parameters = layout.read(&weights)?;
        Ok(Self::begin(config, train, layout, parameters))
    }

    /// A trainer that goes on from a model's blocks and positions, with fresh embeddings for
    /// `vocab_size` ids that mean something else than the model's did.
    ///
    /// # Errors
    /// As [`Self::from_model`].
    pub fn with_fresh_ids(path: &Path, vocab_size: usize, train: TrainConfig) -> Result<Self, ModelError> {
        let (config, weights) = ModelFiles::open(path)?.into_parts();
        let config = Config { vocab_size, ..config };
        config.check("the configuration with another vocabulary")?;
        check_settings(&config, &train)?;
        let layout = Layout::new(&config);
        let parameters = layout.read_but_ids(&weights, train.seed)?;
        Ok(Self::begin(config, train, layout, parameters))
    }

    /// A trainer as it was when [`Trainer::save_checkpoint`] wrote the folder
    /// `checkpoint`: it goes on bit by bit as the saved one would have.
    ///
    /// # Errors
    /// If the folder holds no checkpoint, or a damaged one.
    pub fn resume(checkpoint: &Path) -> Result<Self, ModelError> {
        let saved = checkpoint::read(checkpoint)?;
        let layout = Layout::new(&saved.config);
        Ok(Self::assemble(saved.config, saved.train, layout, saved.state, saved.step))
    }

    fn begin(config: Config, train: TrainConfig, layout: Layout, parameters: Vec<f32>) -> Self {
        let adapters = train.lora.map(|lora| Places::new(lora, &layout).initialise(&parameters, train.seed));
        let learned = adapters.as_ref().map_or(parameters.len(), Vec::len);
        let state = State {
            parameters: parameters.into(),
            moments: Cow::Owned(Moments::new(learned)),
            adapters: adapters.map(Cow::Owned),
            loss_scale: gpu::HIGHEST_SCALE,
        };
        Self::assemble(config, train, layout, state, 0)
    }

    fn assemble(
        config: Config,
        train: TrainConfig,
        layout: Layout,
        state: State<'static>,
        step: u64,
    ) -> Self {
        let layout = Arc::new(layout);
        let learner = Learner::Host(OnHost::new(&config, &layout, &train, state));
        Self { config, train, layout, learner, step }
    }

    /// Takes the training to a graphics card, to go on there with matrix products of `precision`.
    /// A checkpoint remembers neither.
    ///
    /// # Errors
    /// If the card cannot compute in `precision`, or has no room.
    pub fn on(self, gpu: &Gpu, precision: Precision) -> Result<Self, ModelError> {
        gpu.check(precision.dtype())?;
        let state = self.learner.state()?;
        let learner = OnGpu::new(gpu, precision, &self.config, &self.layout, &self.train, &state)?;
        drop(state);
        Ok(Self { learner: Learner::Gpu(learner), ..self })
    }

    /// Has each block computed again for its backward pass from here on
    /// ([`TrainConfig::recompute`]).
    #[must_use]
    pub fn recomputing(mut self) -> Self {
        self.train.recompute = true;
        match &mut self.learner {
            Learner::Host(learner) => learner.buffers = learner.network.buffers(&self.train),
            Learner::Gpu(learner) => learner.recompute = true,
        }
        self
    }

    /// Makes one optimizer step on `batch`, which holds `batch * accumulation`
    /// sequences of at most `context` ids.
    ///
    /// # Errors
    /// If the batch has another size, ids outside of the vocabulary, or no
    /// targets; or if the loss is no number any more. Nothing has then changed. Or if the graphics
    /// card fails: the last checkpoint is then what can be gone on from.
    pub fn step(&mut self, batch: &Batch) -> Result<StepReport, ModelError> {
        self.check_batch(batch)?;
        let expected = self.train.batch * self.train.accumulation;
        if batch.batch != expected {
            return Err(ModelError::Training(format!(
                "the batch holds {} sequences, but batch * accumulation = {expected} make a step",
                batch.batch
            )));
        }
        let targets = counted(batch);
        if targets == 0 {
            return Err(ModelError::Training("the batch holds no target to learn from".to_owned()));
        }
        let Learned { loss, norm: gradient_norm } = self.learner.learn(batch, &self.train, self.step)?;
        let loss = loss / f64::from(small(targets));
        if !(loss.is_finite() && gradient_norm.is_finite()) {
            return Err(ModelError::Training(format!(
                "at step {} the loss or its gradient is no longer a number; \
                 go on from an earlier checkpoint with a lower learning rate",
                self.step + 1
            )));
        }
        let learning_rate = learning_rate(&self.train, self.step);
        let clip = f64::from(self.train.clip);
        #[expect(clippy::cast_possible_truncation, reason = "a factor between 0 and 1")]
        let gradient_scale =
            if clip > 0.0 && gradient_norm > clip { (clip / gradient_norm) as f32 } else { 1.0 };
        let rates = Rates { gradient_scale, learning_rate, count: self.step + 1 };
        self.learner.update(&self.train, rates)?;
        self.step += 1;
        Ok(StepReport { step: self.step, loss, gradient_norm, learning_rate, targets })
    }

    /// The summed loss of `batch`, in nats, and the number of targets that
    /// counted. Any number of sequences will do; nothing is dropped.
    ///
    /// # Errors
    /// If the sequences are longer than `context`, or hold ids outside of the vocabulary; or if the
    /// graphics card fails.
    pub fn evaluate(&mut self, batch: &Batch) -> Result<(f64, usize), ModelError> {
        self.check_batch(batch)?;
        let mut loss = 0.0;
        for start in (0..batch.batch).step_by(self.train.batch) {
            let pass = Pass::new(batch, start..batch.batch.min(start + self.train.batch));
            loss += self.learner.evaluate(&pass)?;
        }
        Ok((loss, counted(batch)))
    }

    /// Writes a checkpoint to the folder `dir`, which is made if need be. An
    /// earlier one there is replaced, in one go at the very end.
    ///
    /// # Errors
    /// If the folder cannot be written to.
    pub fn save_checkpoint(&self, dir: &Path) -> Result<(), ModelError> {
        checkpoint::write(self, dir)
    }

    /// Writes the model to the folder `dir` as Hugging Face keeps it: config.json,
    /// generation_config.json and model.safetensors, in f16 if `half`, else f32.
    ///
    /// # Errors
    /// If the folder cannot be written to, or a weight exceeds the range of f16.
    pub fn export(&self, dir: &Path, half: bool) -> Result<(), ModelError> {
        export::write(&self.config, &self.layout, &self.learner.weights()?, dir, half)
    }

    /// How many optimizer steps were made.
    pub fn step_number(&self) -> u64 {
        self.step
    }

    /// The shape of the model.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// How it is trained.
    pub fn train_config(&self) -> &TrainConfig {
        &self.train
    }

    /// How many numbers the model has.
    pub fn parameter_count(&self) -> usize {
        self.layout.len()
    }

    fn check_batch(&self, batch: &Batch) -> Result<(), ModelError> {
        let Batch { ids, targets, batch: sequences, context } = batch;
        let wrong = |problem: String| Err(ModelError::Training(problem));
        let size = sequences.saturating_mul(*context);
        if ids.len() != size || targets.len() != size {
            let (ids, targets) = (ids.len(), targets.len());
            return wrong(format!(
                "a batch of {sequences} times {context} has {ids} ids and {targets} targets"
            ));
        }
        if size == 0 || *context > self.train.context {
            let most = self.train.context;
            return wrong(format!(
                "{sequences} sequences of {context} ids; 1 to {most} ids can be trained on"
            ));
        }
        let vocabulary = self.config.vocab_size;
        let outside = |&id: &u32| id as usize >= vocabulary;
        if let Some(position) = ids.iter().position(outside) {
            return Err(ModelError::Id { id: ids[position], position, vocabulary });
        }
        match targets.iter().position(|target| *target != IGNORED && outside(target)) {
            Some(position) => Err(ModelError::Id { id: targets[position], position, vocabulary }),
            None => Ok(()),
        }
    }
}

impl std::fmt::Debug for Trainer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trainer")
            .field("config", &self.config)
            .field("train", &self.train)
            .field("step", &self.step)
            .finish_non_exhaustive()
    }
}

/// The passes that make a step of `batch`, so many sequences each.
fn passes<'a>(batch: &'a Batch, train: &'a TrainConfig, step: u64) -> impl Iterator<Item = Pass<'a>> {
    let parts = (step * train.accumulation as u64)..;
    (0..batch.batch).step_by(train.batch).zip(parts).map(|(start, part)| Pass {
        dropout: train.dropout,
        keys: [train.seed, part],
        ..Pass::new(batch, start..start + train.batch)
    })
}

/// How many targets of a batch count.
fn counted(batch: &Batch) -> usize {
    batch.targets.iter().filter(|&&target| target != IGNORED).count()
}

#[expect(clippy::cast_precision_loss, reason = "batches hold fewer than 2^24 targets")]
fn small(n: usize) -> f32 {
    n as f32
}

/// The most rows one pass may have; more would not fit any machine.
const MAX_ROWS: usize = 1 << 20;

fn check_settings(config: &Config, train: &TrainConfig) -> Result<(), ModelError> {
    let in_unit = |x: f32| (0.0..1.0).contains(&x);
    let rows = train.batch.saturating_mul(train.context);
    let problem = if config.activation_function != Activation::GeluNew {
        "only models with activation_function gelu_new can be trained".to_owned()
    } else if train.context > config.n_positions {
        format!("context is {}, but the model's window only {}", train.context, config.n_positions)
    } else if rows == 0 || rows > MAX_ROWS || train.accumulation == 0 || train.accumulation > MAX_ROWS {
        format!("batch, context and accumulation must be at least 1, batch * context at most {MAX_ROWS}")
    } else if !(in_unit(train.beta1) && in_unit(train.beta2) && in_unit(train.dropout)) {
        "beta1, beta2 and dropout must lie between 0 and 1".to_owned()
    } else if train
        .lora
        .is_some_and(|lora| lora.rank == 0 || lora.rank > config.n_embd || !lora.alpha.is_finite())
    {
        format!("the rank of an adaptation must be 1 to {}, the model's width", config.n_embd)
    } else if !(0.0..=1.0).contains(&train.min_learning_rate_factor) {
        "min_learning_rate_factor must lie between 0 and 1".to_owned()
    } else if ![train.learning_rate, train.weight_decay, train.epsilon, train.clip]
        .iter()
        .all(|x| x.is_finite() && *x >= 0.0)
    {
        "learning_rate, weight_decay, epsilon and clip must be positive numbers".to_owned()
    } else {
        return Ok(());
    };
    Err(ModelError::Training(problem))
}
