//! `continuo bench train`: how fast a model learns.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::ensure;
use clap::Args;
use continuo_engine::{DeviceChoice, source};
use continuo_model::train::{Batch, Precision, TrainConfig, Trainer};
use serde_json::json;

use crate::Outcome;
use crate::device::{LearningArgs, Place};

pub(super) const ABOUT: &str = "Measure how fast a model learns: whole steps (forward, backward, AdamW).\n\n\
    What is learned is no music, always the same, and thrown away: the model is not changed on disk. The fastest of the \
    steps after the first counts. That the loss falls is made sure of.";

pub(super) const EXAMPLES: &str = "EXAMPLES:\n  \
    continuo bench train --model model/\n  \
    continuo bench train --model gpt2/ --batch 1 --context 512 --threads 2 --json";

/// What `continuo bench train` can be told.
#[derive(Debug, Args)]
pub struct TrainArgs {
    /// A model whose shape and weights to begin with: a folder or a file
    #[arg(long, value_name = "DIR|FILE")]
    pub model: PathBuf,
    /// Rows a step
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..))]
    pub batch: u16,
    /// Ids a row [default: 512, or the model's window]
    #[arg(long, value_parser = clap::value_parser!(u32).range(2..))]
    pub context: Option<u32>,
    /// How many steps, 2 or more
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(2..))]
    pub steps: u16,
    /// How many threads, 1 to 64 [default: as many as there are cores]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub threads: Option<u16>,
    /// What it learns on
    #[command(flatten)]
    pub learning: LearningArgs,
    /// Compute blocks again in place of keeping what their backward pass needs
    #[arg(long)]
    pub gradient_checkpointing: bool,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Runs `continuo bench train`.
///
/// # Errors
/// One sentence that names the file or option and the remedy.
pub fn run(args: &TrainArgs) -> anyhow::Result<Outcome> {
    let place =
        Place::open(args.learning.device(DeviceChoice::Auto), args.learning.precision(Precision::F32))?;
    let threads = args.threads.map_or(0, usize::from);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    let (ids, fastest) = pool.install(|| measure(args, &place))?;
    #[expect(clippy::cast_precision_loss, reason = "a batch is small")]
    let rate = ids as f64 / fastest.as_secs_f64();
    let peak = super::peak_memory();
    if args.json {
        let figures = json!({
            "tokens_per_second": rate,
            "peak_memory_bytes": peak,
            "step_ms": 1000.0 * fastest.as_secs_f64(),
            "threads": pool.current_num_threads(),
            "device": place.to_string(),
        });
        crate::print(&format!("{figures}\n"));
        return Ok(Outcome::Done);
    }
    let threads = pool.current_num_threads();
    let mut said = format!("learning          {rate:8.1} ids a second on {threads} threads, {place}\n");
    if let Some(peak) = peak {
        #[expect(clippy::cast_precision_loss, reason = "a number for people")]
        let megabytes = peak as f64 / 1e6;
        said += &format!("memory            {megabytes:8.1} MB at most\n");
    }
    crate::print(&said);
    Ok(Outcome::Done)
}

/// How many ids a step has, and how long the fastest took.
fn measure(args: &TrainArgs, place: &Place) -> anyhow::Result<(usize, Duration)> {
    let path = source::find(&args.model)?;
    let window = continuo_model::ModelFiles::open(&path)?.config().n_positions;
    let context = match args.context {
        Some(context) => usize::try_from(context)?,
        None => window.min(512),
    };
    let batch = usize::from(args.batch);
    let config = TrainConfig {
        batch,
        context,
        warmup_steps: 0,
        learning_rate: 1e-4,
        recompute: args.gradient_checkpointing,
        ..TrainConfig::default()
    };
    let mut trainer = place.put(Trainer::from_model(&path, config)?)?;
    let vocabulary = u32::try_from(trainer.config().vocab_size)?;
    let ids: Vec<u32> =
        (0_u32..).take(batch * context).map(|n| (n.wrapping_mul(n) + n / 7) % vocabulary).collect();
    let mut targets = ids.clone();
    targets.rotate_left(1);
    let batch = Batch { ids, targets, batch, context };
    // Once for nothing: memory is touched, and the processor awake.
    let first = trainer.step(&batch)?;
    let (mut fastest, mut last) = (Duration::MAX, first);
    for _ in 1..args.steps {
        let begin = Instant::now();
        last = trainer.step(&batch)?;
        fastest = fastest.min(begin.elapsed());
    }
    ensure!(
        last.loss < first.loss,
        "the loss does not fall ({} to {}): these steps learn nothing",
        first.loss,
        last.loss
    );
    Ok((batch.ids.len(), fastest))
}
