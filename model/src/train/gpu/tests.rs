//! Passes and updates held to PyTorch's numbers and to those of the processor's own passes. The
//! card is the processor: the same operations, to be had everywhere; bf16 it cannot multiply.

use std::fs;

use safetensors::SafeTensors;

use super::super::tests::{expected, fixture, long_batch, settings};
use super::super::{Learner, Lora, Trainer};
use super::*;

fn stand_in() -> Gpu {
    Gpu::stand_in(DType::F32)
}

fn on_gpu(trainer: &mut Trainer) -> &mut OnGpu {
    match &mut trainer.learner {
        Learner::Gpu(learner) => learner,
        Learner::Host(_) => panic!("it learns on the processor"),
    }
}

fn open(name: &str, train: TrainConfig, precision: Precision) -> Trainer {
    Trainer::from_model(&fixture(name), train).unwrap().on(&stand_in(), precision).unwrap()
}

#[track_caller]
fn check_gradients(name: &str, precision: Precision, most: f32) {
    let (expected, batch) = expected(name);
    let mut trainer = open(name, settings(), precision);
    let train = trainer.train.clone();
    let learner = on_gpu(&mut trainer);
    let learned = learner.learn(&batch, &train, 0).unwrap();
    let loss = learned.loss / f64::from(small(counted(&batch)));
    assert!((loss - expected.loss).abs() < f64::from(most), "{loss} {}", expected.loss);
    assert!((learned.norm / expected.norm - 1.0).abs() < f64::from(most), "{}", learned.norm);
    let bytes = fs::read(fixture(name).join("gradients.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(file.len(), learner.gradients.len());
    for (slot, ours) in learner.layout.slots.iter().zip(&learner.gradients) {
        let view = file.tensor(&slot.name).unwrap();
        let theirs = view.data().as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes));
        let ours = ours.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        for (i, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
            let ours = ours / learner.factor();
            assert!((ours - theirs).abs() < most, "{name}: {} at {i}: {ours} {theirs}", slot.name);
        }
    }
}

#[test]
fn gradients_equal_pytorchs() {
    check_gradients("plain", Precision::F32, 2e-5);
    check_gradients("odd", Precision::F32, 2e-5);
}

#[test]
fn gradients_of_f16_are_near_pytorchs() {
    check_gradients("plain", Precision::F16, 5e-3);
    check_gradients("odd", Precision::F16, 5e-3);
}

#[test]
fn the_losses_of_300_steps_are_within_a_hundredth_of_pytorchs() {
    let text = fs::read(fixture("plain").join("curve.json")).unwrap();
    let theirs: Vec<f64> = serde_json::from_slice(&text).unwrap();
    for precision in [Precision::F32, Precision::F16] {
        let settings = TrainConfig {
            batch: 2,
            accumulation: 2,
            context: 16,
            steps: 300,
            learning_rate: 3e-3,
            warmup_steps: 20,
            ..TrainConfig::default()
        };
        let mut trainer = open("plain", settings, precision);
        for (step, theirs) in (0_u32..).zip(&theirs) {
            let ours = trainer.step(&long_batch(step)).unwrap().loss;
            assert!((ours / theirs - 1.0).abs() < 0.01, "{precision:?}, step {step}: {ours} {theirs}");
        }
    }
}

fn config() -> Config {
    Config { vocab_size: 60, n_positions: 40, n_embd: 32, n_layer: 3, n_head: 4, ..Config::default() }
}

fn busy() -> TrainConfig {
    TrainConfig {
        batch: 2,
        accumulation: 2,
        context: 40,
        learning_rate: 1e-2,
        warmup_steps: 0,
        dropout: 0.2,
        ..TrainConfig::default()
    }
}

/// Some targets do not count.
fn batch() -> Batch {
    let ids: Vec<u32> = (0..160_u32).map(|i| i * i % 47).collect();
    let target = |id: &u32| if id.is_multiple_of(5) { u32::MAX } else { *id };
    Batch { targets: ids.iter().rev().map(target).collect(), ids, batch: 4, context: 40 }
}

#[track_caller]
fn check_near(ours: &[f32], theirs: &[f32], most: f32) {
    assert_eq!(ours.len(), theirs.len());
    let distance = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(distance < most, "{distance}");
}

/// AdamW divides by the root of what it has seen, so where that is next to nothing a rounding
/// decides about a step: the losses are compared, and the weights but roughly.
#[track_caller]
fn check_as_on_the_processor(train: TrainConfig) {
    let mut host = Trainer::new(config(), train.clone()).unwrap();
    let mut gpu = Trainer::new(config(), train).unwrap().on(&stand_in(), Precision::F32).unwrap();
    for _ in 0..4 {
        let (a, b) = (host.step(&batch()).unwrap(), gpu.step(&batch()).unwrap());
        assert!((a.loss - b.loss).abs() < 1e-4, "{a:?} {b:?}");
        assert!((a.gradient_norm - b.gradient_norm).abs() < 1e-3, "{a:?} {b:?}");
    }
    let (a, b) = (host.evaluate(&batch()).unwrap(), gpu.evaluate(&batch()).unwrap());
    assert!((a.0 - b.0).abs() < 0.02 && a.1 == b.1, "{a:?} {b:?}");
    check_near(&host.learner.weights().unwrap(), &gpu.learner.weights().unwrap(), 1e-2);
}

#[test]
fn steps_are_those_of_the_processor_what_is_dropped_included() {
    check_as_on_the_processor(busy());
}

#[test]
fn logits_in_pieces_give_the_same_gradient() {
    let run = |rows: Option<usize>| {
        let mut trainer = Trainer::new(config(), busy()).unwrap().on(&stand_in(), Precision::F32).unwrap();
        let learner = on_gpu(&mut trainer);
        learner.network.logit_rows = rows.unwrap_or(learner.network.logit_rows);
        trainer.step(&batch()).unwrap()
    };
    let (whole, pieces) = (run(None), run(Some(7)));
    assert!((whole.loss - pieces.loss).abs() < 1e-5, "{whole:?} {pieces:?}");
    assert!((whole.gradient_norm - pieces.gradient_norm).abs() < 1e-5, "{whole:?} {pieces:?}");
}

#[test]
fn adapters_learn_as_on_the_processor() {
    for embeddings in [false, true] {
        check_as_on_the_processor(TrainConfig {
            lora: Some(Lora { rank: 3, alpha: 6.0, embeddings }),
            ..busy()
        });
    }
}

#[test]
fn blocks_that_are_computed_again_learn_the_same_bit_by_bit() {
    let run = |recompute| {
        let train = TrainConfig { recompute, ..busy() };
        let mut trainer = Trainer::new(config(), train).unwrap().on(&stand_in(), Precision::F16).unwrap();
        let losses: Vec<f64> = (0..3).map(|_| trainer.step(&batch()).unwrap().loss).collect();
        (losses, trainer.learner.weights().unwrap().into_owned())
    };
    assert!(run(false) == run(true));
}

#[test]
fn a_run_is_resumed_bit_by_bit_on_a_card_and_goes_on_on_the_processor() {
    for lora in [None, Some(Lora { rank: 3, alpha: 6.0, embeddings: true })] {
        let train = TrainConfig { lora, ..busy() };
        let mut trainer = Trainer::new(config(), train).unwrap().on(&stand_in(), Precision::F16).unwrap();
        on_gpu(&mut trainer).loss_scale = 512.0;
        for _ in 0..3 {
            trainer.step(&batch()).unwrap();
        }
        let folder = tempfile::tempdir().unwrap();
        trainer.save_checkpoint(folder.path()).unwrap();
        let host = Trainer::resume(folder.path()).unwrap();
        check_near(&host.learner.weights().unwrap(), &trainer.learner.weights().unwrap(), 1e-6);
        let mut host = host;
        let mut resumed = Trainer::resume(folder.path()).unwrap().on(&stand_in(), Precision::F16).unwrap();
        assert!((on_gpu(&mut resumed).loss_scale - 512.0).abs() < f32::EPSILON);
        let (a, b) = (trainer.step(&batch()).unwrap(), resumed.step(&batch()).unwrap());
        assert_eq!(a, b);
        assert!(trainer.learner.weights().unwrap() == resumed.learner.weights().unwrap());
        let c = host.step(&batch()).unwrap();
        assert!((a.loss - c.loss).abs() < 0.01, "{a:?} {c:?}");
    }
}

#[test]
fn a_gradient_that_f16_cannot_hold_is_found_again_with_a_smaller_factor() {
    let mut usual = Trainer::new(config(), busy()).unwrap().on(&stand_in(), Precision::F16).unwrap();
    let mut strained = Trainer::new(config(), busy()).unwrap().on(&stand_in(), Precision::F16).unwrap();
    on_gpu(&mut strained).loss_scale = 1e12;
    let (a, b) = (usual.step(&batch()).unwrap(), strained.step(&batch()).unwrap());
    assert!((a.gradient_norm / b.gradient_norm - 1.0).abs() < 0.01, "{a:?} {b:?}");
    assert!(on_gpu(&mut strained).loss_scale < 1e9);
}

#[test]
fn a_loss_that_is_no_number_ends_the_training_on_a_card_too() {
    let mut trainer = Trainer::new(config(), busy()).unwrap();
    let Learner::Host(host) = &mut trainer.learner else { panic!("it learns on a card") };
    host.parameters[0] = f32::NAN;
    let mut trainer = trainer.on(&stand_in(), Precision::F16).unwrap();
    let error = trainer.step(&batch()).unwrap_err().to_string();
    assert!(error.contains("no longer a number"), "{error}");
    assert_eq!(trainer.step_number(), 0);
}
