//! Every form that weights come in, against the logits of another program
//! (`reference/forms.py`) and against the same weights in another form.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::fs;
use std::path::{Path, PathBuf};

use continuo_model::cpu::{Cpu, Precision};
use continuo_model::export::Tensors as _;
use continuo_model::train::{TrainConfig, Trainer};
use continuo_model::{Activation, FileFormat, Gpt2, ModelFiles, Network};
use serde::Deserialize;

#[derive(Deserialize)]
struct Expected {
    ids: Vec<u32>,
    logits: Vec<Vec<f32>>,
}

/// The forms of the model `plain`.
const PLAIN: [&str; 4] = ["forms/sharded", "forms/pickle", "forms/sharded-pickle", "forms/gguf"];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn expected(folder: &str) -> Expected {
    serde_json::from_slice(&fs::read(fixture(folder).join("expected.json")).unwrap()).unwrap()
}

fn distance(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// Every position's logits of both decoders.
#[track_caller]
fn check(name: &str, expected: &Expected) {
    let candle = Gpt2::open(&fixture(name)).unwrap();
    let cpu = Cpu::open(&fixture(name), Precision::F32).unwrap();
    let mut growing = cpu.cache();
    for (position, logits) in expected.logits.iter().enumerate() {
        let ids = &expected.ids[..=position];
        let off = distance(&candle.forward(ids, &mut candle.cache()).unwrap(), logits);
        assert!(off < 1e-4, "{name}, candle, position {position}: {off}");
        let off = distance(&cpu.read_one(ids, &mut cpu.cache()).unwrap(), logits);
        assert!(off < 1e-4, "{name}, position {position}: {off}");
        let off = distance(&cpu.read_one(&ids[position..], &mut growing).unwrap(), logits);
        assert!(off < 1e-4, "{name}, cached position {position}: {off}");
    }
}

fn logits(path: &Path, precision: Precision) -> Vec<f32> {
    let model = Cpu::open(path, precision).unwrap();
    model.read_one(&[3, 17, 0, 36, 5, 21], &mut model.cache()).unwrap()
}

/// Bit by bit.
#[track_caller]
fn same(a: &Path, b: &Path) {
    for precision in [Precision::F32, Precision::Int8] {
        let (a, b) = (logits(a, precision), logits(b, precision));
        assert!(a.iter().zip(&b).all(|(a, b)| a.to_bits() == b.to_bits()), "{precision}: {a:?} {b:?}");
    }
}

/// A folder with these files, each by its name there and the fixture it is.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, from) in files {
        fs::copy(fixture(from), dir.path().join(name)).unwrap();
    }
    dir
}

#[test]
fn relu_an_inner_width_and_scores_scaled_by_block_equal_the_reference() {
    check("forms/relu", &expected("forms/relu"));
    check("forms/relu.gguf", &expected("forms/relu"));
}

#[test]
fn silu_and_tensors_that_lie_otherwise_in_a_pickle_equal_the_reference() {
    check("forms/silu", &expected("forms/silu"));
}

#[test]
fn exact_gelu_and_a_separate_head_in_shards_equal_the_reference() {
    check("forms/gelu", &expected("forms/gelu"));
}

#[test]
fn blocks_of_bytes_equal_the_reference() {
    check("forms/q8", &expected("forms/q8"));
}

#[test]
fn every_form_of_the_plain_model_equals_transformers() {
    for form in PLAIN {
        check(form, &expected("plain"));
    }
}

#[test]
fn the_same_weights_in_another_form_give_the_same_bits() {
    for form in PLAIN {
        same(&fixture(form), &fixture("plain"));
    }
    same(&fixture("forms/relu.gguf"), &fixture("forms/relu"));
}

#[test]
fn a_file_is_as_good_as_its_folder() {
    for file in [
        "plain/model.safetensors",
        "forms/sharded/model.safetensors.index.json",
        "forms/pickle/pytorch_model.bin",
        "forms/sharded-pickle/pytorch_model.bin.index.json",
        "forms/gguf/plain.gguf",
    ] {
        same(&fixture(file), &fixture("plain"));
    }
    // Whatever it is called.
    let named = folder(&[("blob", "forms/gguf/plain.gguf")]);
    same(&named.path().join("blob"), &fixture("plain"));
}

#[test]
fn a_folder_with_several_forms_is_read_in_their_order() {
    let all = folder(&[
        ("config.json", "plain/config.json"),
        ("model.safetensors", "plain/model.safetensors"),
        ("model.safetensors.index.json", "forms/sharded/model.safetensors.index.json"),
        ("model-00001-of-00002.safetensors", "forms/sharded/model-00001-of-00002.safetensors"),
        ("model-00002-of-00002.safetensors", "forms/sharded/model-00002-of-00002.safetensors"),
        ("pytorch_model.bin", "forms/pickle/pytorch_model.bin"),
        ("pytorch_model.bin.index.json", "forms/sharded-pickle/pytorch_model.bin.index.json"),
        ("pytorch_model-00001-of-00002.bin", "forms/sharded-pickle/pytorch_model-00001-of-00002.bin"),
        ("pytorch_model-00002-of-00002.bin", "forms/sharded-pickle/pytorch_model-00002-of-00002.bin"),
        ("plain.gguf", "forms/gguf/plain.gguf"),
    ]);
    for (format, files, next) in [
        (FileFormat::Safetensors, 1, "model.safetensors"),
        (FileFormat::Safetensors, 2, "model.safetensors.index.json"),
        (FileFormat::Pickle, 1, "pytorch_model.bin"),
        (FileFormat::Pickle, 2, "pytorch_model.bin.index.json"),
    ] {
        let found = ModelFiles::open(all.path()).unwrap();
        assert_eq!((found.format(), found.files().count()), (format, files));
        fs::remove_file(all.path().join(next)).unwrap();
    }
    assert_eq!(ModelFiles::open(all.path()).unwrap().format(), FileFormat::Gguf);
    fs::copy(fixture("forms/relu.gguf"), all.path().join("other.gguf")).unwrap();
    let error = ModelFiles::open(all.path()).unwrap_err().to_string();
    assert!(error.contains("2 GGUF files; give one"), "{error}");
}

#[test]
fn files_tell_what_they_hold() {
    let gguf = ModelFiles::open(&fixture("forms/gguf")).unwrap();
    assert_eq!(gguf.config(), ModelFiles::open(&fixture("plain")).unwrap().config());
    assert_eq!(gguf.format().to_string(), "GGUF");
    assert_eq!(gguf.number_formats(), ["F32"]);
    assert_eq!(gguf.bytes() as u64, fs::metadata(fixture("forms/gguf/plain.gguf")).unwrap().len());
    assert_eq!(gguf.metadata("continuo.encoding"), Some("beat"));
    assert_eq!(gguf.metadata("continuo.encoding_version"), Some("1"));
    assert_eq!(gguf.metadata("continuo.other"), None);
    let relu = ModelFiles::open(&fixture("forms/relu.gguf")).unwrap();
    assert_eq!(relu.number_formats(), ["F16", "F32"]);
    let config = relu.config();
    assert_eq!((config.activation_function, config.n_inner), (Activation::Relu, Some(24)));
    assert!(config.scale_attn_by_inverse_layer_idx && config.scale_attn_weights);
    assert!(config.tie_word_embeddings);
    let q8 = ModelFiles::open(&fixture("forms/q8")).unwrap();
    assert_eq!(q8.number_formats()[0], "Q8_0");
    assert!(!q8.config().tie_word_embeddings);
    assert_eq!(q8.shape("lm_head.weight"), Some(&[37, 64][..]));
    let silu = ModelFiles::open(&fixture("forms/silu")).unwrap();
    assert_eq!((silu.format().to_string(), silu.number_formats()), ("pickle".to_owned(), vec!["F16"]));
}

#[test]
fn tensors_are_those_of_transformers_whatever_the_form() {
    let plain = ModelFiles::open(&fixture("plain")).unwrap();
    for form in PLAIN {
        let files = ModelFiles::open(&fixture(form)).unwrap();
        for name in plain.names() {
            let bare = name.strip_prefix("transformer.").unwrap();
            assert_eq!(plain.shape(name), files.shape(bare), "{form}, {name}");
            assert_eq!(plain.tensor(bare).unwrap(), files.tensor(name).unwrap(), "{form}, {name}");
        }
        let error = files.tensor("h.0.attn.c_q.weight").unwrap_err().to_string();
        assert!(error.contains("h.0.attn.c_q.weight") && error.contains("missing"), "{error}");
    }
}

#[test]
fn training_goes_on_from_every_form() {
    let settings = TrainConfig { context: 8, ..TrainConfig::default() };
    let export = |path: &Path| {
        let dir = tempfile::tempdir().unwrap();
        Trainer::from_model(path, settings.clone()).unwrap().export(dir.path(), false).unwrap();
        fs::read(dir.path().join("model.safetensors")).unwrap()
    };
    let plain = export(&fixture("plain"));
    for form in PLAIN {
        assert!(export(&fixture(form)) == plain, "{form}");
    }
}
