//! The decoder made for the processor against transformers' numbers and against
//! candle: alone and with others, in pieces, on shared caches, with every kind of
//! instruction there is here.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use continuo_model::cpu::{Cpu, CpuCache, Isa, Precision};
use continuo_model::train::{TrainConfig, Trainer};
use continuo_model::{Config, Ending, Gpt2, ModelError, Network, Part, Prompt};
use half::f16;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde::Deserialize;
use tempfile::TempDir;

#[derive(Deserialize)]
struct Expected {
    ids: Vec<u32>,
    logits: Vec<Vec<f32>>,
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn distance(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// A model with fresh weights, several pages of positions, and widths that fill no
/// block or panel.
fn fresh() -> (TempDir, Gpt2) {
    let config = Config {
        vocab_size: 301,
        n_positions: 320,
        n_embd: 90,
        n_layer: 2,
        n_head: 3,
        initializer_range: 0.1,
        ..Config::default()
    };
    let dir = tempfile::tempdir().unwrap();
    let settings = TrainConfig { context: 64, ..TrainConfig::default() };
    Trainer::new(config, settings).unwrap().export(dir.path(), false).unwrap();
    let candle = Gpt2::open(dir.path()).unwrap();
    (dir, candle)
}

fn ids(count: u32) -> Vec<u32> {
    (0..count).map(|n| (n * n * 7 + n * 13) % 301).collect()
}

#[test]
fn f32_equals_transformers_at_every_position() {
    for name in ["plain", "odd", "other"] {
        let expected: Expected =
            serde_json::from_slice(&fs::read(fixture(name).join("expected.json")).unwrap()).unwrap();
        let model = Cpu::open(&fixture(name), Precision::F32).unwrap();
        let mut growing = model.cache();
        for (position, logits) in expected.logits.iter().enumerate() {
            let whole = model.read_one(&expected.ids[..=position], &mut model.cache()).unwrap();
            assert!(distance(&whole, logits) < 1e-4, "{name}, position {position}: {whole:?} {logits:?}");
            let one = model.read_one(&expected.ids[position..=position], &mut growing).unwrap();
            assert!(distance(&one, logits) < 1e-4, "{name}, cached position {position}: {one:?} {logits:?}");
        }
    }
}

#[test]
fn f32_equals_candle_over_pages_and_panels() {
    let (dir, candle) = fresh();
    let model = Cpu::open(dir.path(), Precision::F32).unwrap();
    let ids = ids(300);
    let (mut ours, mut theirs) = (model.cache(), candle.cache());
    for (from, to) in [(0, 70), (70, 71), (71, 130), (130, 290), (290, 300)] {
        let a = model.read_one(&ids[from..to], &mut ours).unwrap();
        let b = candle.forward(&ids[from..to], &mut theirs).unwrap();
        assert!(distance(&a, &b) < 1e-4, "{from}..{to}: {}", distance(&a, &b));
    }
}

/// The root of the mean square.
fn size(values: &[f32]) -> f32 {
    let sum: f32 = values.iter().map(|x| x * x).sum();
    (sum / values.iter().map(|_| 1.0).sum::<f32>()).sqrt()
}

/// Weights that are f16 already are as good in f16 as in f32.
#[test]
fn halves_are_as_f32_with_the_weights_rounded() {
    let (dir, candle) = fresh();
    let ids = ids(200);
    let exact = candle.forward(&ids, &mut candle.cache()).unwrap();
    let halved = tempfile::tempdir().unwrap();
    let bytes = fs::read(dir.path().join("model.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let round = |bytes: &[u8]| -> Vec<u8> {
        let values = bytes.as_chunks::<4>().0.iter().map(|four| f16::from_f32(f32::from_le_bytes(*four)));
        values.flat_map(f16::to_le_bytes).collect()
    };
    let rounded: Vec<_> =
        tensors.iter().map(|(name, view)| (name, view.shape().to_vec(), round(view.data()))).collect();
    let views = rounded
        .iter()
        .map(|(name, shape, bytes)| (name, TensorView::new(Dtype::F16, shape.clone(), bytes).unwrap()));
    safetensors::serialize_to_file(views, None, &halved.path().join("model.safetensors")).unwrap();
    fs::copy(dir.path().join("config.json"), halved.path().join("config.json")).unwrap();
    let logits = |dir: &Path, precision| {
        let model = Cpu::open(dir, precision).unwrap();
        model.read_one(&ids, &mut model.cache()).unwrap()
    };
    let ours = logits(halved.path(), Precision::F16);
    assert!(ours == logits(halved.path(), Precision::F32));
    // Biases and norms are rounded there too.
    assert!(distance(&logits(dir.path(), Precision::F16), &exact) < 5e-3);
}

#[test]
fn bytes_are_near_f32() {
    let (dir, candle) = fresh();
    let model = Cpu::open(dir.path(), Precision::Int8).unwrap();
    let ids = ids(200);
    let exact = candle.forward(&ids, &mut candle.cache()).unwrap();
    let ours = model.read_one(&ids, &mut model.cache()).unwrap();
    let off: Vec<f32> = exact.iter().zip(&ours).map(|(a, b)| a - b).collect();
    assert!(size(&off) < 0.03 * size(&exact), "{} of {}", size(&off), size(&exact));
}

#[test]
fn every_kind_of_instruction_gives_the_same() {
    let (dir, _) = fresh();
    let ids = ids(200);
    let logits = |isa| {
        let model = Cpu::open(dir.path(), Precision::Int8).unwrap().with_isa(isa);
        let mut cache = model.cache();
        let whole = model.read_one(&ids[..199], &mut cache).unwrap();
        [whole, model.read_one(&ids[199..], &mut cache).unwrap()].concat()
    };
    let plain = logits(Isa::Plain);
    for isa in Isa::available() {
        // Rounding to bytes may tip over where sums differ in the last bit.
        let off: Vec<f32> = logits(isa).iter().zip(&plain).map(|(a, b)| a - b).collect();
        assert!(size(&off) < 0.02 * size(&plain), "{isa:?}: {} of {}", size(&off), size(&plain));
    }
}

#[test]
fn any_number_of_threads_gives_the_same() {
    let (dir, _) = fresh();
    for precision in [Precision::F32, Precision::F16, Precision::Int8] {
        let logits = |threads| {
            let model = Cpu::open(dir.path(), precision).unwrap().with_threads(threads);
            let mut cache = model.cache();
            let mut all = model.read_one(&ids(99), &mut cache).unwrap();
            // Long enough for helpers to come late now and then.
            for id in ids(200) {
                all.extend(model.read_one(&[id], &mut cache).unwrap());
            }
            all
        };
        let one = logits(1);
        for threads in [2, 3, 7] {
            assert!(logits(threads) == one, "{precision:?}, {threads} threads");
        }
    }
}

fn read(model: &Cpu, parts: &mut [Part<'_, CpuCache>]) {
    model.run(async { model.read(parts).await }).unwrap();
}

/// What each of some sequences says, worked on together.
fn together(model: &Cpu, sequences: &[&[u32]], caches: &mut [CpuCache]) -> Vec<Vec<f32>> {
    let mut logits = vec![Vec::new(); sequences.len()];
    #[expect(clippy::single_range_in_vec_init, reason = "a set of one range")]
    let wanted = [0..301];
    let parts = sequences.iter().zip(caches).zip(&mut logits);
    let parts = parts.map(|((ids, cache), logits)| Part { ids, cache, wanted: &wanted, logits });
    read(model, &mut parts.collect::<Vec<_>>());
    logits
}

#[test]
fn takes_together_are_as_they_are_alone() {
    let (dir, _) = fresh();
    for precision in [Precision::F32, Precision::F16, Precision::Int8] {
        let model = Cpu::open(dir.path(), precision).unwrap();
        let ids = ids(200);
        for count in [1, 2, 3, 5, 8, 13] {
            let mut root = model.cache();
            model.read_one(&ids[..150], &mut root).unwrap();
            let mut caches = vec![root.clone(); count];
            let mut alone: Vec<_> = caches.clone();
            for step in 0..3 {
                let next: Vec<Vec<u32>> = (0..count).map(|take| vec![ids[150 + 3 * take + step]]).collect();
                let sequences: Vec<&[u32]> = next.iter().map(Vec::as_slice).collect();
                let all = together(&model, &sequences, &mut caches);
                for (take, logits) in all.iter().enumerate() {
                    let one = model.read_one(&next[take], &mut alone[take]).unwrap();
                    assert!(one == *logits, "{precision:?}, take {take} of {count}");
                }
            }
            assert_eq!(root.len(), 150, "what the takes share stays as it is");
        }
    }
}

#[test]
fn a_cache_cut_and_shared_remembers_what_it_should() {
    let (dir, _) = fresh();
    let model = Cpu::open(dir.path(), Precision::F32).unwrap();
    let ids = ids(120);
    let anew = |ids: &[u32]| model.read_one(ids, &mut model.cache()).unwrap();
    let mut first = model.cache();
    model.read_one(&ids[..50], &mut first).unwrap();
    let mut second = first.clone();
    first.truncate(33);
    second.truncate(45);
    let a = model.read_one(&ids[60..70], &mut first).unwrap();
    let b = model.read_one(&ids[80..100], &mut second).unwrap();
    assert!(distance(&a, &anew(&[&ids[..33], &ids[60..70]].concat())) < 1e-4);
    assert!(distance(&b, &anew(&[&ids[..45], &ids[80..100]].concat())) < 1e-4);
    drop(second);
    first.truncate(40);
    let a = model.read_one(&ids[..30], &mut first).unwrap();
    assert!(distance(&a, &anew(&[&ids[..33], &ids[60..67], &ids[..30]].concat())) < 1e-4);
    first.truncate(0);
    assert!(first.is_empty());
    assert!(distance(&model.read_one(&ids[..9], &mut first).unwrap(), &anew(&ids[..9])) < 1e-4);
}

#[test]
fn a_prompt_read_bit_by_bit_and_taken_back_is_as_one_read_at_once() {
    let (dir, _) = fresh();
    for precision in [Precision::F32, Precision::F16, Precision::Int8] {
        let model = Cpu::open(dir.path(), precision).unwrap();
        let ids = ids(250);
        let mut once = Prompt::new(&model);
        once.read(&model, &ids[..249], &|| false).unwrap();
        let mut prompt = Prompt::new(&model);
        for (until, then) in [(3, 7), (40, 1), (130, 9), (127, 0), (200, 60), (129, 2), (249, 0)] {
            // Some ids that are taken back the next time.
            let now = [&ids[..until], &vec![300; then]].concat();
            assert_eq!(prompt.read(&model, &now, &|| false).unwrap(), Ending::Complete);
            assert_eq!(prompt.len(), until + then);
        }
        let next =
            |prompt: &Prompt<CpuCache>| model.read_one(&ids[249..], &mut prompt.cache().clone()).unwrap();
        assert!(next(&prompt) == next(&once), "{precision:?}");
    }
}

#[test]
fn reading_ends_when_cancelled_and_keeps_what_it_has() {
    let (dir, _) = fresh();
    let model = Cpu::open(dir.path(), Precision::Int8).unwrap();
    let ids = ids(250);
    let mut prompt = Prompt::new(&model);
    let asked = AtomicUsize::new(0);
    let cancelled = || asked.fetch_add(1, Ordering::Relaxed) == 2;
    assert_eq!(prompt.read(&model, &ids, &cancelled).unwrap(), Ending::Cancelled);
    assert!(prompt.len() < 250 && prompt.cache().len() == prompt.len());
    assert_eq!(prompt.read(&model, &ids[..249], &|| false).unwrap(), Ending::Complete);
    let mut once = Prompt::new(&model);
    once.read(&model, &ids[..249], &|| false).unwrap();
    let next = |prompt: &Prompt<CpuCache>| model.read_one(&ids[249..], &mut prompt.cache().clone()).unwrap();
    assert!(next(&prompt) == next(&once));
}

#[test]
fn only_what_is_wanted_is_worked_out() {
    let (dir, _) = fresh();
    for precision in [Precision::F32, Precision::F16, Precision::Int8] {
        let model = Cpu::open(dir.path(), precision).unwrap();
        let all = model.read_one(&ids(20), &mut model.cache()).unwrap();
        let wanted: [Range<u32>; 3] = [3..4, 17..60, 300..301];
        let mut logits = Vec::new();
        let part = Part { ids: &ids(20), cache: &mut model.cache(), wanted: &wanted, logits: &mut logits };
        read(&model, &mut [part]);
        for (id, (some, all)) in logits.iter().zip(&all).enumerate() {
            let id = u32::try_from(id).unwrap();
            let expected = if wanted.iter().any(|range| range.contains(&id)) { *all } else { 0.0 };
            assert_eq!(*some, expected, "{precision:?}, id {id}");
        }
    }
}

#[test]
fn what_cannot_be_read_is_refused_and_costs_nothing() {
    let model = Cpu::open(&fixture("plain"), Precision::Int8).unwrap();
    let mut cache = model.cache();
    model.read_one(&[1; 12], &mut cache).unwrap();
    let error = model.read_one(&[0; 5], &mut cache).unwrap_err();
    assert!(matches!(error, ModelError::Window { asked: 5, used: 12, window: 16 }), "{error}");
    let error = model.read_one(&[36, 37], &mut cache).unwrap_err();
    assert!(matches!(error, ModelError::Id { id: 37, position: 1, vocabulary: 37 }), "{error}");
    assert!(matches!(model.read_one(&[], &mut cache), Err(ModelError::NoIds)));
    assert_eq!(cache.len(), 12);
    model.read_one(&[0; 4], &mut cache).unwrap();
    let other = Cpu::open(&fixture("plain"), Precision::F32).unwrap();
    assert!(matches!(model.read_one(&[1], &mut other.cache()), Err(ModelError::ForeignCache)));
}

#[test]
fn weights_that_are_no_numbers_leave_nothing_to_choose() {
    let config: Config = serde_json::from_slice(&fs::read(fixture("plain/config.json")).unwrap()).unwrap();
    let bytes = fs::read(fixture("plain/model.safetensors")).unwrap();
    let weights = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    for name in ["transformer.wte.weight", "transformer.h.1.mlp.c_proj.weight"] {
        let data = weights.tensor(name).unwrap().data();
        let at = data.as_ptr().addr() - bytes.as_ptr().addr() + data.len() / 2;
        for broken in [f32::NAN, f32::INFINITY] {
            let mut bytes = bytes.clone();
            bytes[at..at + 4].copy_from_slice(&broken.to_le_bytes());
            for precision in [Precision::F32, Precision::F16, Precision::Int8] {
                let model = Cpu::from_bytes(config.clone(), &bytes, precision).unwrap();
                let ids: Vec<u32> = (0..16).map(|n| n * 2).collect();
                let logits = model.read_one(&ids, &mut model.cache()).unwrap();
                assert!(logits.iter().any(|logit| logit.is_nan()), "{name}, {broken}, {precision:?}");
            }
        }
    }
}
