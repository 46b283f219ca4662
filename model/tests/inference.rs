//! The model against transformers' own numbers (`reference/fixtures.py`), and
//! the cache against computing everything anew.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::fs;
use std::path::{Path, PathBuf};

use continuo_model::{Gpt2, ModelError};
use serde::Deserialize;

#[derive(Deserialize)]
struct Expected {
    ids: Vec<u32>,
    logits: Vec<Vec<f32>>,
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn plain() -> (Gpt2, Vec<u32>) {
    let expected: Expected =
        serde_json::from_slice(&fs::read(fixture("plain/expected.json")).unwrap()).unwrap();
    (Gpt2::open(&fixture("plain")).unwrap(), expected.ids)
}

fn distance(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// Every position's logits, by prompts of every length and again id by id.
#[track_caller]
fn check(name: &str) {
    let expected: Expected =
        serde_json::from_slice(&fs::read(fixture(name).join("expected.json")).unwrap()).unwrap();
    let model = Gpt2::open(&fixture(name)).unwrap();
    let mut growing = model.cache();
    for (position, logits) in expected.logits.iter().enumerate() {
        let whole = model.forward(&expected.ids[..=position], &mut model.cache()).unwrap();
        assert!(distance(&whole, logits) < 1e-4, "{name}, position {position}: {whole:?} {logits:?}");
        let one = model.forward(&expected.ids[position..=position], &mut growing).unwrap();
        assert!(distance(&one, logits) < 1e-4, "{name}, cached position {position}: {one:?} {logits:?}");
    }
}

#[test]
fn plain_model_equals_transformers() {
    check("plain");
}

#[test]
fn odd_widths_separate_head_f16_and_mask_buffers_equal_transformers() {
    check("odd");
}

#[test]
fn other_activation_unscaled_attention_bf16_equal_transformers() {
    check("other");
}

#[test]
fn a_cache_filled_in_any_pieces_gives_the_same_logits() {
    let (model, ids) = plain();
    let whole = model.forward(&ids, &mut model.cache()).unwrap();
    for cut in 1..ids.len() {
        let mut cache = model.cache();
        model.forward(&ids[..cut], &mut cache).unwrap();
        assert_eq!(cache.len(), cut);
        let pieces = model.forward(&ids[cut..], &mut cache).unwrap();
        assert!(distance(&whole, &pieces) < 1e-4, "cut at {cut}");
    }
}

#[test]
fn a_fork_goes_its_own_way_and_leaves_the_original_alone() {
    let (model, ids) = plain();
    let mut original = model.cache();
    model.forward(&ids[..6], &mut original).unwrap();
    let mut fork = original.clone();
    model.forward(&[1, 2, 3], &mut fork).unwrap();
    let continued = model.forward(&[4], &mut fork).unwrap();
    let anew = [&ids[..6], &[1, 2, 3, 4]].concat();
    assert!(distance(&continued, &model.forward(&anew, &mut model.cache()).unwrap()) < 1e-4);
    let untouched = model.forward(&ids[6..], &mut original).unwrap();
    assert!(distance(&untouched, &model.forward(&ids, &mut model.cache()).unwrap()) < 1e-4);
}

#[test]
fn a_truncated_cache_has_forgotten_the_rest() {
    let (model, ids) = plain();
    let mut cache = model.cache();
    model.forward(&[9, 8, 7, 6, 5, 4, 3, 2], &mut cache).unwrap();
    cache.truncate(0);
    assert!(cache.is_empty());
    model.forward(&ids[..8], &mut cache).unwrap();
    cache.truncate(3);
    cache.truncate(5);
    assert_eq!(cache.len(), 3);
    let again = model.forward(&ids[3..], &mut cache).unwrap();
    assert!(distance(&again, &model.forward(&ids, &mut model.cache()).unwrap()) < 1e-4);
}

#[test]
fn a_full_window_is_an_error_and_costs_nothing() {
    let (model, ids) = plain();
    let mut cache = model.cache();
    model.forward(&ids, &mut cache).unwrap();
    let error = model.forward(&[0; 5], &mut cache).unwrap_err();
    assert!(matches!(error, ModelError::Window { asked: 5, used: 12, window: 16 }), "{error}");
    assert_eq!(cache.len(), 12);
    model.forward(&[0; 4], &mut cache).unwrap();
    assert!(matches!(model.forward(&[0], &mut cache), Err(ModelError::Window { .. })));
    assert!(matches!(model.forward(&[0; 17], &mut model.cache()), Err(ModelError::Window { .. })));
}

#[test]
fn ids_are_checked() {
    let (model, _) = plain();
    let mut cache = model.cache();
    assert!(matches!(model.forward(&[], &mut cache), Err(ModelError::NoIds)));
    let error = model.forward(&[36, 37], &mut cache).unwrap_err();
    assert!(matches!(error, ModelError::Id { id: 37, position: 1, vocabulary: 37 }), "{error}");
    let error = model.forward(&[u32::MAX], &mut cache).unwrap_err();
    assert!(matches!(error, ModelError::Id { .. }), "{error}");
    assert!(cache.is_empty());
}

#[test]
fn a_cache_of_another_model_is_refused() {
    let (model, _) = plain();
    let other = Gpt2::open(&fixture("odd")).unwrap();
    assert!(matches!(model.forward(&[1], &mut other.cache()), Err(ModelError::ForeignCache)));
}
