//! Folders that are not what they should be: every one gives an error that
//! names the file and says what to do, and none a panic.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use continuo_model::{Config, Gpt2, ModelFiles};
use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensors, serialize};

fn fixture(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)).unwrap()
}

/// The error of opening a folder with these files, `None` for an absent one.
fn open(config: Option<&[u8]>, weights: Option<&[u8]>) -> String {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in [("config.json", config), ("model.safetensors", weights)] {
        if let Some(bytes) = bytes {
            fs::write(dir.path().join(name), bytes).unwrap();
        }
    }
    Gpt2::open(dir.path()).unwrap_err().to_string()
}

#[track_caller]
fn check(error: &str, words: &[&str]) {
    for word in words {
        assert!(error.contains(word), "{error:?} lacks {word:?}");
    }
}

/// The error of the plain model with one field of its configuration replaced.
fn with(field: &str, value: serde_json::Value) -> String {
    let mut config: serde_json::Value = serde_json::from_slice(&fixture("plain/config.json")).unwrap();
    config[field] = value;
    open(Some(config.to_string().as_bytes()), Some(&fixture("plain/model.safetensors")))
}

/// The plain model's weights with one tensor replaced, added or (by `None`) left out.
fn weights_with(name: &str, tensor: Option<(Dtype, Vec<usize>)>) -> Vec<u8> {
    let bytes = fixture("plain/model.safetensors");
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut tensors: HashMap<String, TensorView<'_>> = file.tensors().into_iter().collect();
    tensors.remove(name);
    let zeros = vec![0; 1 << 16];
    if let Some((dtype, shape)) = tensor {
        let length = shape.iter().product::<usize>() * dtype.bitsize() / 8;
        tensors.insert(name.to_owned(), TensorView::new(dtype, shape, &zeros[..length]).unwrap());
    }
    serialize(tensors, None).unwrap()
}

fn with_weights(weights: &[u8]) -> String {
    open(Some(&fixture("plain/config.json")), Some(weights))
}

#[test]
fn missing_files_are_named() {
    check(&open(None, None), &["config.json", "a model is a folder"]);
    check(&open(Some(&fixture("plain/config.json")), None), &["model.safetensors", "a model is a folder"]);
}

/// It was told as a missing `config.json`, as if the folder were there.
#[test]
fn a_model_that_is_not_there_is_named_itself() {
    let nowhere = tempfile::tempdir().unwrap().path().join("nope");
    let error = ModelFiles::open(&nowhere).unwrap_err().to_string();
    check(&error, &["nope: ", "a model is a folder"]);
}

#[test]
fn weights_cut_anywhere_are_refused() {
    let whole = fixture("plain/model.safetensors");
    for length in [0, 1, 7, 8, 9, 100, 1000, whole.len() / 2, whole.len() - 1] {
        let error = with_weights(&whole[..length]);
        check(&error, &["model.safetensors", "again"]);
    }
    let longer = [&whole[..], b"more"].concat();
    check(&with_weights(&longer), &["model.safetensors", "again"]);
}

#[test]
fn web_pages_and_pointers_are_recognised() {
    let page = b"\n<!DOCTYPE html><html><body>404 Not Found</body></html>";
    check(&with_weights(page), &["model.safetensors", "web page", "download the file itself"]);
    check(&open(Some(page), None), &["config.json", "web page"]);
    check(
        &with_weights(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"),
        &["git lfs pull"],
    );
    check(&with_weights(b"PK\x03\x04rest"), &["pickled"]);
    check(&with_weights(b"GGUF\x03\0\0\0"), &["GGUF"]);
}

#[test]
fn headers_that_lie_are_refused() {
    for header in [
        r#"{"transformer.wte.weight":{"dtype":"F32","shape":[37,24],"data_offsets":[0,99999999]}}"#,
        r#"{"transformer.wte.weight":{"dtype":"F32","shape":[4294967296,4294967296,4294967296],"data_offsets":[0,4]}}"#,
        r#"{"transformer.wte.weight":{"dtype":"F32","shape":[37,24],"data_offsets":[4,0]}}"#,
        r#"{"a":"#,
        "[]",
        "{}",
    ] {
        let mut bytes = u64::try_from(header.len()).unwrap().to_le_bytes().to_vec();
        bytes.extend_from_slice(header.as_bytes());
        check(&with_weights(&bytes), &["model.safetensors"]);
    }
    check(&with_weights(&[0xff; 64]), &["model.safetensors", "safetensors"]);
}

#[test]
fn absurd_configurations_are_refused() {
    for (field, value) in [
        ("n_head", 0u64),
        ("n_layer", 0),
        ("n_embd", 0),
        ("vocab_size", 0),
        ("n_positions", 0),
        ("n_inner", 0),
        ("n_positions", 1 << 60),
        ("n_embd", 1 << 62),
        ("n_layer", 1 << 40),
        ("n_inner", 1 << 50),
    ] {
        check(&with(field, value.into()), &["config.json", field, "must lie between"]);
    }
    check(&with("n_head", 5.into()), &["config.json", "24", "5 heads"]);
    check(&with("n_positions", (1 << 20).into()), &["transformer.wpe.weight", "[1048576, 24]", "[16, 24]"]);
    check(&with("n_layer", (-1).into()), &["config.json", "-1"]);
    check(&with("n_layer", "two".into()), &["config.json", "two"]);
    check(&with("activation_function", "sine".into()), &["config.json", "sine", "gelu_new"]);
    check(&with("layer_norm_epsilon", (-1.0).into()), &["config.json", "layer_norm_epsilon"]);
    check(&with("add_cross_attention", true.into()), &["config.json", "cross-attention"]);
    check(&open(Some(b"{"), None), &["config.json"]);
    check(&open(Some(b""), None), &["config.json"]);
}

#[test]
fn memory_for_a_cache_is_bounded() {
    let config = Config { n_layer: 1024, n_embd: 1 << 15, n_positions: 1 << 20, ..Config::default() };
    let error = Gpt2::from_bytes(Config { n_head: 1, ..config }, &[]).unwrap_err().to_string();
    check(&error, &["n_positions", "GB"]);
}

#[test]
fn tensors_that_do_not_fit_are_named_with_both_shapes() {
    let name = "transformer.h.1.mlp.c_fc.weight";
    let error = with_weights(&weights_with(name, Some((Dtype::F32, vec![96, 24]))));
    check(&error, &["model.safetensors", name, "[24, 96]", "[96, 24]", "same model"]);
    check(&with_weights(&weights_with(name, None)), &["model.safetensors", name, "missing"]);
    check(&with_weights(&weights_with(name, Some((Dtype::I64, vec![24, 96])))), &[name, "I64", "F32"]);
    check(&with("vocab_size", 38.into()), &["transformer.wte.weight", "[38, 24]", "[37, 24]"]);
}

#[test]
fn weights_of_another_model_are_refused() {
    check(&with("n_layer", 1.into()), &["h.1.", "n_layer = 1"]);
    check(&with("n_layer", 3.into()), &["transformer.h.2.", "missing"]);
    check(&with("tie_word_embeddings", false.into()), &["lm_head.weight", "tie_word_embeddings"]);
    let cross =
        weights_with("transformer.h.0.crossattention.q_attn.weight", Some((Dtype::F32, vec![24, 24])));
    check(&with_weights(&cross), &["crossattention", "another architecture"]);
    let zeros = [0; 4];
    let tensors = [("model.embed_tokens.weight", TensorView::new(Dtype::F32, vec![1], &zeros).unwrap())];
    check(&with_weights(&serialize(tensors, None).unwrap()), &["model.embed_tokens.weight", "not GPT-2"]);
}

#[test]
fn what_a_model_does_not_need_is_ignored() {
    let config =
        Config { vocab_size: 37, n_positions: 16, n_embd: 24, n_head: 3, n_layer: 2, ..Config::default() };
    let extra = weights_with("score.weight", Some((Dtype::I64, vec![2, 24])));
    Gpt2::from_bytes(config, &extra).unwrap();
}
