//! The passes against PyTorch's gradients (`tests/reference/fixtures.py`) and
//! against finite differences.

use std::fs;
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
pub(super) struct Expected {
    ids: Vec<u32>,
    targets: Vec<u32>,
    pub(super) loss: f64,
    pub(super) norm: f64,
    steps: Vec<f64>,
}

pub(super) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

pub(super) fn expected(name: &str) -> (Expected, Batch) {
    let text = fs::read(fixture(name).join("training.json")).unwrap();
    let expected: Expected = serde_json::from_slice(&text).unwrap();
    let (ids, targets) = (expected.ids.clone(), expected.targets.clone());
    (expected, Batch { ids, targets, batch: 2, context: 8 })
}

/// As in the program that made the expected numbers.
pub(super) fn settings() -> TrainConfig {
    TrainConfig {
        batch: 2,
        context: 8,
        steps: 5,
        learning_rate: 0.01,
        min_learning_rate_factor: 1.0,
        warmup_steps: 0,
        ..TrainConfig::default()
    }
}

fn on_host(trainer: &mut Trainer) -> &mut OnHost {
    match &mut trainer.learner {
        Learner::Host(learner) => learner,
        Learner::Gpu(_) => panic!("it learns on a card"),
    }
}

/// Finds the gradient of the mean loss, and that loss.
fn gradient(trainer: &mut Trainer, batch: &Batch) -> f64 {
    let (train, step) = (trainer.train.clone(), trainer.step);
    on_host(trainer).learn(batch, &train, step).loss / f64::from(small(counted(batch)))
}

#[track_caller]
fn check_gradients(name: &str) {
    let (expected, batch) = expected(name);
    let mut trainer = Trainer::from_model(&fixture(name), settings()).unwrap();
    let loss = gradient(&mut trainer, &batch);
    assert!((loss - expected.loss).abs() < 1e-5, "{loss} {}", expected.loss);
    let learner = on_host(&mut trainer);
    assert!((adamw::norm(&learner.gradient) / expected.norm - 1.0).abs() < 1e-5);
    let bytes = fs::read(fixture(name).join("gradients.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(file.len(), learner.network.layout.slots.len());
    for slot in &learner.network.layout.slots {
        let view = file.tensor(&slot.name).unwrap();
        let theirs = view.data().as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes));
        for (i, (ours, theirs)) in learner.gradient[slot.range.clone()].iter().zip(theirs).enumerate() {
            assert!((ours - theirs).abs() < 2e-5, "{name}: {} at {i}: {ours} {theirs}", slot.name);
        }
    }
}

#[test]
fn gradients_equal_pytorchs() {
    check_gradients("plain");
}

#[test]
fn gradients_with_odd_widths_and_a_separate_head_equal_pytorchs() {
    check_gradients("odd");
}

#[track_caller]
fn check_steps(name: &str) {
    let (expected, batch) = expected(name);
    let mut trainer = Trainer::from_model(&fixture(name), settings()).unwrap();
    for (step, loss) in expected.steps.iter().enumerate() {
        let report = trainer.step(&batch).unwrap();
        assert!((report.loss - loss).abs() < 2e-4, "{name}, step {step}: {} {loss}", report.loss);
    }
}

#[test]
fn clipped_and_decayed_steps_equal_pytorchs() {
    check_steps("plain");
    check_steps("odd");
}

/// Step `step` of the long run that PyTorch made too: each id follows from the one before,
/// but for one in eleven.
pub(super) fn long_batch(step: u32) -> Batch {
    let (sequences, context) = (4, 16);
    let (mut ids, mut targets) = (Vec::new(), Vec::new());
    for row in 0..sequences {
        let mut id = (step * 5 + row * 13) % 37;
        for place in 0..context {
            ids.push(id);
            let odd = u32::from((step * 31 + row * 17 + place * 7).is_multiple_of(11));
            id = (3 * id + 7 + odd) % 37;
            targets.push(id);
        }
    }
    Batch { ids, targets, batch: 4, context: 16 }
}

/// `curve.json` was made by PyTorch 2.15 and transformers in f32: the same weights, batches,
/// AdamW, decay, clipping and schedule.
#[test]
fn the_losses_of_300_steps_are_within_a_hundredth_of_pytorchs() {
    let text = fs::read(fixture("plain").join("curve.json")).unwrap();
    let theirs: Vec<f64> = serde_json::from_slice(&text).unwrap();
    assert_eq!(theirs.len(), 300);
    let settings = TrainConfig {
        batch: 4,
        context: 16,
        steps: 300,
        learning_rate: 3e-3,
        warmup_steps: 20,
        ..TrainConfig::default()
    };
    let mut trainer = Trainer::from_model(&fixture("plain"), settings).unwrap();
    for (step, theirs) in (0_u32..).zip(theirs) {
        let ours = trainer.step(&long_batch(step)).unwrap().loss;
        assert!((ours / theirs - 1.0).abs() < 0.01, "step {step}: {ours} {theirs}");
    }
}

/// Moves along the gradient change the loss by the gradient's square, dropout
/// and blocks of queries that are not full included.
#[test]
fn gradients_equal_finite_differences() {
    let config = Config {
        vocab_size: 50,
        n_positions: 150,
        n_embd: 48,
        n_layer: 2,
        n_head: 2,
        n_inner: Some(40),
        initializer_range: 0.15,
        ..Config::default()
    };
    for dropout in [0.0, 0.2] {
        let train = TrainConfig { batch: 2, context: 150, dropout, seed: 3, ..TrainConfig::default() };
        let mut trainer = Trainer::new(config.clone(), train).unwrap();
        let ids: Vec<u32> = (0..260u32).map(|i| i * i % 47 + i % 3).collect();
        let targets = ids.iter().rev().copied().collect();
        let batch = Batch { ids, targets, batch: 2, context: 130 };
        gradient(&mut trainer, &batch);
        let learner = on_host(&mut trainer);
        let (start, direction) = (learner.parameters.clone(), learner.gradient.clone());
        let layout = Arc::clone(&learner.network.layout);
        for slot in &layout.slots {
            let range = slot.range.clone();
            let along: f64 = direction[range.clone()].iter().map(|&g| f64::from(g).powi(2)).sum();
            // A step that changes the loss by about 1e-3 in each direction.
            let step = 1e-3 / along;
            let mut moved = |sign: f64| {
                #[expect(clippy::cast_possible_truncation, reason = "parameters are f32")]
                for i in range.clone() {
                    on_host(&mut trainer).parameters[i] =
                        (f64::from(start[i]) + sign * step * f64::from(direction[i])) as f32;
                }
                gradient(&mut trainer, &batch)
            };
            let slope = (moved(1.0) - moved(-1.0)) / (2.0 * step);
            on_host(&mut trainer).parameters.copy_from_slice(&start);
            let name = &slot.name;
            assert!((slope / along - 1.0).abs() < 0.02, "{name}, dropout {dropout}: {slope} {along}");
        }
    }
}

/// Sums are cut into pieces of fixed size, so threads must not matter.
#[test]
fn the_number_of_threads_does_not_change_a_bit() {
    let config =
        Config { vocab_size: 300, n_positions: 256, n_embd: 64, n_layer: 2, n_head: 4, ..Config::default() };
    let train = TrainConfig { batch: 2, context: 256, dropout: 0.1, ..TrainConfig::default() };
    let ids: Vec<u32> = (0..512u32).map(|i| i * 37 % 300).collect();
    let batch = Batch { targets: ids.clone(), ids, batch: 2, context: 256 };
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut trainer = Trainer::new(config.clone(), train.clone()).unwrap();
            for _ in 0..2 {
                trainer.step(&batch).unwrap();
            }
            on_host(&mut trainer).parameters.clone()
        })
    };
    assert!(run(1) == run(3));
}

/// A vocabulary so large that the logits of a pass are not held all at once.
#[test]
fn a_head_worked_off_in_pieces_learns_what_it_learns_from_each_sequence() {
    let config =
        Config { vocab_size: 8500, n_positions: 256, n_embd: 16, n_layer: 1, n_head: 2, ..Config::default() };
    let ids: Vec<u32> = (0..771u32).map(|i| i * 37 % 8500).collect();
    let batch = Batch { targets: ids[1..=768].to_vec(), ids: ids[..768].to_vec(), batch: 3, context: 256 };
    let run = |batch_size| {
        let train = TrainConfig {
            batch: batch_size,
            accumulation: 3 / batch_size,
            context: 256,
            ..TrainConfig::default()
        };
        let mut trainer = Trainer::new(config.clone(), train).unwrap();
        let loss = gradient(&mut trainer, &batch);
        (loss, on_host(&mut trainer).gradient.clone())
    };
    let ((whole, gradient), (apart, expected)) = (run(3), run(1));
    assert!((whole - apart).abs() < 1e-6, "{whole} and {apart}");
    let scale = expected.iter().fold(0.0, |most: f32, x| most.max(x.abs()));
    for (index, (&found, &expected)) in gradient.iter().zip(&expected).enumerate() {
        assert!((found - expected).abs() < 1e-5 * scale, "{index}: {found} and {expected}");
    }
}

#[test]
fn blocks_that_are_computed_again_learn_the_same_bit_by_bit() {
    let config =
        Config { vocab_size: 300, n_positions: 96, n_embd: 64, n_layer: 3, n_head: 4, ..Config::default() };
    let ids: Vec<u32> = (0..384u32).map(|i| i * 37 % 300).collect();
    let batch = Batch { targets: ids.clone(), ids, batch: 4, context: 96 };
    let run = |recompute| {
        let train = TrainConfig {
            batch: 2,
            accumulation: 2,
            context: 96,
            dropout: 0.1,
            recompute,
            ..TrainConfig::default()
        };
        let mut trainer = Trainer::new(config.clone(), train).unwrap();
        let losses: Vec<f64> = (0..3).map(|_| trainer.step(&batch).unwrap().loss).collect();
        (losses, trainer.evaluate(&batch).unwrap(), on_host(&mut trainer).parameters.clone())
    };
    assert!(run(false) == run(true));
}

/// The gradient of what is learned is that of the loss, and a run goes on from a checkpoint bit
/// by bit.
#[test]
fn adapters_learn_alone_along_their_gradient_and_are_resumed() {
    let config =
        Config { vocab_size: 60, n_positions: 40, n_embd: 32, n_layer: 2, n_head: 2, ..Config::default() };
    let lora = Some(Lora { rank: 3, alpha: 6.0, embeddings: false });
    let train = TrainConfig {
        batch: 2,
        context: 40,
        learning_rate: 1e-2,
        warmup_steps: 0,
        lora,
        ..TrainConfig::default()
    };
    let ids: Vec<u32> = (0..80u32).map(|i| i * i % 47).collect();
    let batch = Batch { targets: ids.iter().rev().copied().collect(), ids, batch: 2, context: 40 };
    let mut trainer = Trainer::new(config, train).unwrap();
    let before = on_host(&mut trainer).parameters.clone();
    let first = trainer.step(&batch).unwrap().loss;
    trainer.step(&batch).unwrap();

    gradient(&mut trainer, &batch);
    let adapters = on_host(&mut trainer).adapters.as_ref().unwrap();
    let (start, direction) = (adapters.values.clone(), adapters.gradient.clone());
    let along: f64 = direction.iter().map(|&g| f64::from(g).powi(2)).sum();
    let step = 1e-3 / along;
    let mut moved = |sign: f64| {
        let learner = on_host(&mut trainer);
        let adapters = learner.adapters.as_mut().unwrap();
        #[expect(clippy::cast_possible_truncation, reason = "parameters are f32")]
        for ((value, &start), &by) in adapters.values.iter_mut().zip(&start).zip(&direction) {
            *value = (f64::from(start) + sign * step * f64::from(by)) as f32;
        }
        adapters.merge(&mut learner.parameters);
        gradient(&mut trainer, &batch)
    };
    let slope = (moved(1.0) - moved(-1.0)) / (2.0 * step);
    assert!((slope / along - 1.0).abs() < 0.02, "{slope} {along}");
    moved(0.0);

    let folder = tempfile::tempdir().unwrap();
    trainer.save_checkpoint(folder.path()).unwrap();
    let mut resumed = Trainer::resume(folder.path()).unwrap();
    assert!(on_host(&mut resumed).parameters == on_host(&mut trainer).parameters);
    let (a, b) = (trainer.step(&batch).unwrap(), resumed.step(&batch).unwrap());
    assert_eq!(a, b);
    assert!(on_host(&mut resumed).parameters == on_host(&mut trainer).parameters);

    for _ in 0..20 {
        trainer.step(&batch).unwrap();
    }
    assert!(trainer.step(&batch).unwrap().loss < first - 0.1);
    let learner = on_host(&mut trainer);
    assert!(learner.moments.first.len() < learner.parameters.len() / 3);
    for slot in &learner.network.layout.slots {
        let same = before[slot.range.clone()] == learner.parameters[slot.range.clone()];
        assert_eq!(same, !slot.decays, "{}", slot.name);
    }
}
