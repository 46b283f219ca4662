//! How fast a training step is, after making sure that it learns.
//!
//! ```text
//! cargo run --release --package continuo-model --example train_speed -- [layers width heads batch context]
//! ```

use std::time::Instant;

use continuo_model::train::{Batch, TrainConfig, Trainer};
use continuo_model::{Config, ModelError};

/// Ids of the default model, more or less.
const VOCABULARY: u32 = 830;
const STEPS: u32 = 6;

fn main() -> Result<(), ModelError> {
    let mut sizes = [6, 256, 8, 8, 512];
    for (size, text) in sizes.iter_mut().zip(std::env::args().skip(1)) {
        *size = text.parse().map_err(|_| ModelError::Training(format!("{text} is not a size")))?;
    }
    let [n_layer, n_embd, n_head, batch, context] = sizes;
    let config =
        Config { vocab_size: 830, n_positions: context, n_embd, n_layer, n_head, ..Config::default() };
    let train = TrainConfig { batch, context, warmup_steps: 0, ..TrainConfig::default() };
    let mut trainer = Trainer::new(config, train)?;
    let ids: Vec<u32> = (0u32..).take(batch * context).map(|i| (i * i + i / 7) % VOCABULARY).collect();
    let mut targets = ids.clone();
    targets.rotate_left(1);
    let batch = Batch { ids, targets, batch, context };

    let first = trainer.step(&batch)?;
    assert!((first.loss - f64::from(VOCABULARY).ln()).abs() < 0.5, "fresh weights know something: {first:?}");
    let start = Instant::now();
    let mut last = first;
    let mut best = f64::INFINITY;
    for _ in 0..STEPS {
        let step = Instant::now();
        last = trainer.step(&batch)?;
        best = best.min(step.elapsed().as_secs_f64());
    }
    let all = start.elapsed().as_secs_f64() / f64::from(STEPS);
    assert!(last.loss < first.loss, "the loss does not fall: {first:?} {last:?}");

    let tokens = f64::from(u32::try_from(batch.ids.len()).unwrap_or(u32::MAX));
    println!(
        "{n_layer} layers, width {n_embd}, {} parameters: {:.0} tokens/s (best step {:.0})",
        trainer.parameter_count(),
        tokens / all,
        tokens / best
    );
    Ok(())
}
