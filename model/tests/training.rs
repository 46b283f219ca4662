//! The trainer from outside: it learns, stops and goes on without a trace,
//! exports what it trained, and refuses what it cannot work with.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::fs;
use std::path::Path;

use continuo_model::train::{Batch, TrainConfig, Trainer};
use continuo_model::{Activation, Config, Gpt2, ModelError};

const IGNORED: u32 = u32::MAX;

fn config() -> Config {
    Config { vocab_size: 41, n_positions: 24, n_embd: 40, n_layer: 2, n_head: 2, ..Config::default() }
}

fn settings() -> TrainConfig {
    TrainConfig {
        batch: 2,
        context: 16,
        steps: 150,
        learning_rate: 1e-2,
        warmup_steps: 5,
        ..TrainConfig::default()
    }
}

/// A batch without a pattern: it can only be learnt by heart.
fn batch(sequences: usize, context: usize) -> Batch {
    let ids: Vec<u32> =
        (0u32..).take(sequences * context).map(|i| (i * i * 7 + i * 3 + i / 5) % 41).collect();
    let mut targets = ids.clone();
    targets.rotate_left(1);
    targets[3] = IGNORED;
    Batch { ids, targets, batch: sequences, context }
}

fn trainer() -> Trainer {
    Trainer::new(config(), settings()).unwrap()
}

#[test]
fn learns_a_batch_by_heart() {
    for dropout in [0.0, 0.1] {
        let mut trainer = Trainer::new(config(), TrainConfig { dropout, ..settings() }).unwrap();
        let batch = batch(2, 16);
        let first = trainer.step(&batch).unwrap();
        assert!((first.loss - 41f64.ln()).abs() < 0.3, "{first:?}");
        assert_eq!((first.step, first.targets), (1, 31));
        for _ in 1..150 {
            trainer.step(&batch).unwrap();
        }
        let (loss, targets) = trainer.evaluate(&batch).unwrap();
        assert_eq!(targets, 31);
        assert!(loss / 31.0 < 0.02, "dropout {dropout}: {}", loss / 31.0);
    }
}

#[test]
fn an_ignored_target_has_no_say() {
    let (mut one, mut other) = (batch(2, 16), batch(2, 16));
    one.targets[16..].fill(IGNORED);
    other.targets[16..].fill(IGNORED);
    other.ids[16..].fill(9);
    let (mut a, mut b) = (trainer(), trainer());
    assert_eq!(a.step(&one).unwrap(), b.step(&other).unwrap());
    assert_eq!(a.evaluate(&batch(2, 16)).unwrap(), b.evaluate(&batch(2, 16)).unwrap());
}

#[test]
fn accumulated_batches_make_the_same_step_as_a_large_one() {
    let large = TrainConfig { batch: 4, accumulation: 1, ..settings() };
    let small = TrainConfig { batch: 1, accumulation: 4, ..settings() };
    let mut large = Trainer::new(config(), large).unwrap();
    let mut small = Trainer::new(config(), small).unwrap();
    let batch = batch(4, 16);
    for _ in 0..5 {
        let (a, b) = (large.step(&batch).unwrap(), small.step(&batch).unwrap());
        assert!((a.loss - b.loss).abs() < 1e-4, "{a:?} {b:?}");
        assert!((a.gradient_norm / b.gradient_norm - 1.0).abs() < 1e-3, "{a:?} {b:?}");
        assert_eq!((a.targets, a.learning_rate), (b.targets, b.learning_rate));
    }
}

#[test]
fn a_resumed_run_goes_on_bit_by_bit() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("deep").join("run");
    let settings = TrainConfig { dropout: 0.1, seed: 9, ..settings() };
    let mut straight = Trainer::new(config(), settings.clone()).unwrap();
    let batch = batch(2, 16);
    for _ in 0..3 {
        straight.step(&batch).unwrap();
    }
    straight.save_checkpoint(&dir).unwrap();
    straight.step(&batch).unwrap();
    straight.save_checkpoint(&dir).unwrap();
    let mut resumed = Trainer::resume(&dir).unwrap();
    assert_eq!(resumed.step_number(), 4);
    assert_eq!((resumed.config(), resumed.train_config()), (&config(), &settings));
    for _ in 0..3 {
        assert_eq!(straight.step(&batch).unwrap(), resumed.step(&batch).unwrap());
    }
    assert_eq!(straight.evaluate(&batch).unwrap(), resumed.evaluate(&batch).unwrap());
    let files: Vec<_> = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(files, ["checkpoint.safetensors"], "no temporary file is left behind");
}

/// The mean loss of a batch by the inference code's logits.
fn loss_by_inference(model: &Gpt2, batch: &Batch) -> f64 {
    let (mut loss, mut counted) = (0.0, 0.0);
    for (ids, targets) in batch.ids.chunks(batch.context).zip(batch.targets.chunks(batch.context)) {
        let mut cache = model.cache();
        for (&id, &target) in ids.iter().zip(targets) {
            let logits = model.forward(&[id], &mut cache).unwrap();
            if target == IGNORED {
                continue;
            }
            let sum: f64 = logits.iter().map(|&x| f64::from(x).exp()).sum();
            loss += sum.ln() - f64::from(logits[usize::try_from(target).unwrap()]);
            counted += 1.0;
        }
    }
    loss / counted
}

#[test]
fn an_exported_model_has_the_trainers_loss() {
    for tie_word_embeddings in [true, false] {
        let config = Config { tie_word_embeddings, scale_attn_by_inverse_layer_idx: true, ..config() };
        let mut trainer = Trainer::new(config.clone(), settings()).unwrap();
        let batch = batch(2, 16);
        for _ in 0..10 {
            trainer.step(&batch).unwrap();
        }
        let (sum, targets) = trainer.evaluate(&batch).unwrap();
        let expected = sum / f64::from(u32::try_from(targets).unwrap());
        for (half, tolerance) in [(false, 1e-4), (true, 1e-2)] {
            let dir = tempfile::tempdir().unwrap();
            trainer.export(dir.path(), half).unwrap();
            let model = Gpt2::open(dir.path()).unwrap();
            assert_eq!(model.config(), &config);
            let loss = loss_by_inference(&model, &batch);
            assert!((loss - expected).abs() < tolerance, "half {half}: {loss} {expected}");
            let mut again = Trainer::from_model(dir.path(), settings()).unwrap();
            let (sum, _) = again.evaluate(&batch).unwrap();
            assert!((sum / f64::from(u32::try_from(targets).unwrap()) - expected).abs() < tolerance);
        }
    }
}

#[test]
fn shorter_and_fewer_sequences_can_be_evaluated() {
    let mut trainer = trainer();
    let whole = batch(5, 16);
    let (sum, targets) = trainer.evaluate(&whole).unwrap();
    let mut parts = (0.0, 0);
    for row in 0..5 {
        let rows = row * 16..(row + 1) * 16;
        let (ids, targets) = (whole.ids[rows.clone()].to_vec(), whole.targets[rows].to_vec());
        let (sum, targets) = trainer.evaluate(&Batch { ids, targets, batch: 1, context: 16 }).unwrap();
        parts = (parts.0 + sum, parts.1 + targets);
    }
    assert_eq!(targets, parts.1);
    assert!((sum - parts.0).abs() < 1e-3);
    assert_eq!(trainer.evaluate(&batch(5, 1)).unwrap().1, 4);
}

#[track_caller]
fn check(error: &ModelError, words: &[&str]) {
    for word in words {
        assert!(error.to_string().contains(word), "{error} lacks {word:?}");
    }
}

#[test]
fn batches_that_do_not_fit_are_refused() {
    let mut trainer = trainer();
    check(&trainer.step(&batch(3, 16)).unwrap_err(), &["3 sequences", "= 2"]);
    check(&trainer.step(&batch(2, 17)).unwrap_err(), &["17 ids", "16"]);
    check(&trainer.evaluate(&batch(2, 17)).unwrap_err(), &["17 ids"]);
    check(&trainer.step(&Batch { context: 15, ..batch(2, 16) }).unwrap_err(), &["32 ids"]);
    check(&trainer.step(&Batch { batch: usize::MAX, ..batch(2, 16) }).unwrap_err(), &["ids"]);
    let empty = Batch { ids: vec![], targets: vec![], batch: 0, context: 16 };
    check(&trainer.evaluate(&empty).unwrap_err(), &["0 sequences"]);
    let mut outside = batch(2, 16);
    outside.ids[5] = 41;
    check(&trainer.step(&outside).unwrap_err(), &["id 41", "position 5"]);
    let mut outside = batch(2, 16);
    outside.targets[6] = 1000;
    check(&trainer.step(&outside).unwrap_err(), &["id 1000", "position 6"]);
    let silent = Batch { targets: vec![IGNORED; 32], ..batch(2, 16) };
    check(&trainer.step(&silent).unwrap_err(), &["no target"]);
    assert_eq!(trainer.step_number(), 0);
    assert_eq!(trainer.evaluate(&silent).unwrap(), (0.0, 0));
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let check = |train: TrainConfig, word: &str| check(&Trainer::new(config(), train).unwrap_err(), &[word]);
    check(TrainConfig { context: 25, ..settings() }, "window only 24");
    check(TrainConfig { batch: 0, ..settings() }, "at least 1");
    check(TrainConfig { batch: usize::MAX, ..settings() }, "at most");
    check(TrainConfig { accumulation: 0, ..settings() }, "accumulation");
    check(TrainConfig { dropout: 1.0, ..settings() }, "dropout");
    check(TrainConfig { beta1: f32::NAN, ..settings() }, "beta1");
    check(TrainConfig { learning_rate: f32::NAN, ..settings() }, "learning_rate");
    let relu = Config { activation_function: Activation::Relu, ..config() };
    let error = Trainer::new(relu, settings()).unwrap_err();
    assert!(error.to_string().contains("gelu_new"), "{error}");
}

#[test]
fn a_loss_that_is_no_number_stops_the_run_and_spares_the_weights() {
    let mut trainer = Trainer::new(config(), TrainConfig { learning_rate: 1e30, ..settings() }).unwrap();
    let batch = batch(2, 16);
    let error = (0..20).find_map(|_| trainer.step(&batch).err()).unwrap();
    check(&error, &["no longer a number", "lower learning rate"]);
}

#[test]
fn damaged_checkpoints_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    check(&Trainer::resume(dir.path()).unwrap_err(), &["checkpoint.safetensors", "a checkpoint is a folder"]);
    trainer().save_checkpoint(dir.path()).unwrap();
    let file = dir.path().join("checkpoint.safetensors");
    let whole = fs::read(&file).unwrap();
    for length in [0, 8, 100, whole.len() / 2, whole.len() - 1] {
        fs::write(&file, &whole[..length]).unwrap();
        check(&Trainer::resume(dir.path()).unwrap_err(), &["checkpoint.safetensors", "damaged"]);
    }
    let weights = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/plain/model.safetensors");
    fs::copy(weights, &file).unwrap();
    check(&Trainer::resume(dir.path()).unwrap_err(), &["checkpoint.safetensors", "not a checkpoint"]);
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let blocked = dir.path().join("file");
    fs::write(&blocked, "in the way").unwrap();
    check(&trainer().save_checkpoint(&blocked).unwrap_err(), &["file", "can be written to"]);
    check(&trainer().export(&blocked, true).unwrap_err(), &["file", "can be written to"]);
}
