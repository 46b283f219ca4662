//! Models as they are written: read back by candle's own reader of GGUF, and by ours of
//! safetensors.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use candle_core::Device;
use candle_core::quantized::GgmlDType;
use candle_core::quantized::gguf_file::{Content, Value};
use continuo_model::export::{
    About, Numbers, Q8_0_BLOCK, Tensors, Vocabulary, gguf, quantize_q8_0, safetensors,
};
use continuo_model::{Activation, Config, Gpt2, ModelError, ModelFiles};
use serde::Deserialize;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// A model that is made up: every number tells its tensor and its place.
struct MadeUp(Config);

impl Tensors for MadeUp {
    fn config(&self) -> &Config {
        &self.0
    }

    fn file(&self) -> &Path {
        Path::new("made-up")
    }

    fn tensor(&self, name: &str) -> Result<Vec<f32>, ModelError> {
        let Config { vocab_size, n_positions, n_embd: c, .. } = self.0;
        let inner = self.0.inner();
        let count = match name.rsplit_once("h.0.").map_or(name, |(_, rest)| rest) {
            "wte.weight" | "lm_head.weight" => vocab_size * c,
            "wpe.weight" => n_positions * c,
            "attn.c_attn.weight" => 3 * c * c,
            "attn.c_attn.bias" => 3 * c,
            "attn.c_proj.weight" => c * c,
            "mlp.c_fc.weight" | "mlp.c_proj.weight" => c * inner,
            "mlp.c_fc.bias" => inner,
            _ => c,
        };
        let seed = name.bytes().fold(0, |seed: u32, byte| seed.wrapping_mul(31) + u32::from(byte));
        #[expect(clippy::cast_precision_loss, reason = "small")]
        let number = |i: usize| ((i * 37 + seed as usize % 101) % 211) as f32 / 211.0 - 0.5;
        Ok((0..count).map(number).collect())
    }
}

/// A block of width 32 and one of an inner width that q8_0 cannot have.
fn made_up() -> MadeUp {
    MadeUp(Config {
        vocab_size: 7,
        n_positions: 5,
        n_embd: 32,
        n_layer: 1,
        n_head: 2,
        n_inner: Some(48),
        ..Config::default()
    })
}

fn write(source: &dyn Tensors, numbers: Numbers, folder: &Path) -> (Content, File) {
    let path = folder.join("model.gguf");
    let about = About { name: "a name".to_owned(), encoding: Some(("beat".to_owned(), 3)), vocabulary: None };
    let bytes = gguf::write(source, &about, numbers, &path, &mut |_, _| true).unwrap().unwrap();
    let mut file = File::open(path).unwrap();
    assert_eq!(file.metadata().unwrap().len(), bytes);
    (Content::read(&mut file).unwrap(), file)
}

/// A tensor's shape and numbers in the order of the file.
fn read(content: &Content, file: &mut File, name: &str) -> (GgmlDType, Vec<usize>, Vec<f32>) {
    let tensor = content.tensor(file, name, &Device::Cpu).unwrap();
    let values = tensor.dequantize(&Device::Cpu).unwrap();
    (tensor.dtype(), values.dims().to_vec(), values.flatten_all().unwrap().to_vec1().unwrap())
}

fn transposed(values: &[f32], columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|column| values.iter().skip(column).step_by(columns).copied()).collect()
}

#[track_caller]
fn close(a: &[f32], b: &[f32], distance: f32) {
    assert_eq!(a.len(), b.len());
    let far = a.iter().zip(b).position(|(a, b)| (a - b).abs() > distance);
    assert_eq!(far, None);
}

#[test]
fn q8_0_is_the_bytes_that_ggml_writes() {
    #[derive(Deserialize)]
    struct Golden {
        values: Vec<f32>,
        bytes: String,
    }
    let golden: Golden = serde_json::from_slice(&fs::read(fixture("q8_0.json")).unwrap()).unwrap();
    for (number, block) in golden.values.chunks(Q8_0_BLOCK).enumerate() {
        let mut bytes = Vec::new();
        quantize_q8_0(block, &mut bytes);
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, golden.bytes[68 * number..][..68], "block {number}");
    }
}

#[test]
fn a_gguf_file_has_every_tensor_in_its_place() {
    let (source, folder) = (made_up(), tempfile::tempdir().unwrap());
    let cases = [
        (Numbers::F32, GgmlDType::F32, GgmlDType::F32, 0.0),
        (Numbers::F16, GgmlDType::F16, GgmlDType::F16, 3e-4),
        (Numbers::Q8_0, GgmlDType::Q8_0, GgmlDType::F16, 3e-3),
    ];
    for (numbers, matrices, uneven, distance) in cases {
        let (content, mut file) = write(&source, numbers, folder.path());
        assert_eq!(content.tensor_infos.len(), 5 + 12);
        for (name, gguf, shape, kind) in [
            ("wte.weight", "token_embd.weight", vec![7, 32], matrices),
            ("wte.weight", "output.weight", vec![7, 32], matrices),
            ("wpe.weight", "position_embd.weight", vec![5, 32], GgmlDType::F32),
            ("ln_f.bias", "output_norm.bias", vec![32], GgmlDType::F32),
            ("h.0.ln_2.weight", "blk.0.ffn_norm.weight", vec![32], GgmlDType::F32),
            ("h.0.attn.c_attn.weight", "blk.0.attn_qkv.weight", vec![96, 32], matrices),
            ("h.0.attn.c_attn.bias", "blk.0.attn_qkv.bias", vec![96], GgmlDType::F32),
            ("h.0.attn.c_proj.weight", "blk.0.attn_output.weight", vec![32, 32], matrices),
            ("h.0.mlp.c_fc.weight", "blk.0.ffn_up.weight", vec![48, 32], matrices),
            ("h.0.mlp.c_proj.weight", "blk.0.ffn_down.weight", vec![32, 48], uneven),
        ] {
            let (dtype, dims, values) = read(&content, &mut file, gguf);
            assert_eq!((dtype, &dims), (kind, &shape), "{gguf}");
            let expected = source.tensor(name).unwrap();
            let turned = name.contains(".c_") && name.ends_with("weight");
            close(&values, &if turned { transposed(&expected, shape[0]) } else { expected }, distance);
        }
    }
}

#[test]
fn a_gguf_file_says_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (content, _) = write(&made_up(), Numbers::Q8_0, folder.path());
    let number = |key: &str| content.metadata[key].to_u32().unwrap();
    let text = |key: &str| content.metadata[key].to_string().unwrap().clone();
    assert_eq!(text("general.architecture"), "gpt2");
    assert_eq!(text("general.name"), "a name");
    assert_eq!(number("general.file_type"), 7);
    assert_eq!((number("gpt2.block_count"), number("gpt2.attention.head_count")), (1, 2));
    assert_eq!((number("gpt2.embedding_length"), number("gpt2.feed_forward_length")), (32, 48));
    assert_eq!(number("gpt2.context_length"), 5);
    assert_eq!((text("continuo.encoding"), number("continuo.encoding_version")), ("beat".to_owned(), 3));
    assert_eq!(text("continuo.activation_function"), "gelu_new");
    let tokens = content.metadata["tokenizer.ggml.tokens"].to_vec().unwrap();
    assert_eq!(tokens.len(), 7);
    assert!(matches!(&tokens[6], Value::String(token) if token == "t6"));
}

#[test]
fn what_llama_cpp_does_not_scale_by_is_in_the_queries() {
    let folder = tempfile::tempdir().unwrap();
    let MadeUp(config) = made_up();
    let plain = MadeUp(Config { n_layer: 3, n_inner: None, ..config });
    let unscaled = Config { scale_attn_weights: false, ..plain.0.clone() };
    let by_layer = Config { scale_attn_by_inverse_layer_idx: true, ..plain.0.clone() };
    let read = |config: Config| {
        let names = ["weight", "bias"].map(|part| format!("blk.2.attn_qkv.{part}"));
        let (content, mut file) = write(&Layers(config), Numbers::F32, folder.path());
        let as_written = |key: &str| content.metadata[key].to_bool().unwrap();
        assert!(as_written("continuo.scale_attn_weights"));
        assert!(!as_written("continuo.scale_attn_by_inverse_layer_idx"));
        names.map(|name| read(&content, &mut file, &name).2)
    };
    let expected = read(plain.0.clone());
    for (config, factor) in [(unscaled, 4.0), (by_layer, 1.0 / 3.0)] {
        for (expected, values) in expected.iter().zip(read(config)) {
            let queries = values.len() / 3;
            let scaled: Vec<f32> = expected[..queries].iter().map(|value| value * factor).collect();
            close(&values[..queries], &scaled, 1e-6);
            assert_eq!(values[queries..], expected[queries..]);
        }
    }
}

/// A model whose blocks are all the first one of [`MadeUp`].
struct Layers(Config);

impl Tensors for Layers {
    fn config(&self) -> &Config {
        &self.0
    }

    fn file(&self) -> &Path {
        Path::new("made-up")
    }

    fn tensor(&self, name: &str) -> Result<Vec<f32>, ModelError> {
        let first = name.strip_prefix("h.").and_then(|rest| rest.split_once('.'));
        let name = first.map_or(name.to_owned(), |(_, rest)| format!("h.0.{rest}"));
        MadeUp(self.0.clone()).tensor(&name)
    }
}

#[test]
fn a_safetensors_file_answers_as_the_one_it_was_made_of() {
    for name in ["plain", "odd", "other"] {
        let (folder, source) = (tempfile::tempdir().unwrap(), ModelFiles::open(&fixture(name)).unwrap());
        let path = folder.path().join("model.safetensors");
        safetensors::write(&source, Numbers::F32, &path, &mut |_, _| true).unwrap().unwrap();
        let config = safetensors::describe(source.config(), Numbers::F32, None).unwrap();
        fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
        let answer = |folder: &Path| {
            let model = Gpt2::open(folder).unwrap();
            model.forward(&[3, 17, 0], &mut model.cache()).unwrap()
        };
        close(&answer(folder.path()), &answer(&fixture(name)), 0.0);
        let half = folder.path().join("half/model.safetensors");
        let bytes = safetensors::write(&source, Numbers::F16, &half, &mut |_, _| true).unwrap();
        assert!(bytes.unwrap() < fs::metadata(&path).unwrap().len());
        fs::write(half.with_file_name("config.json"), config.to_string()).unwrap();
        close(&answer(&folder.path().join("half")), &answer(&fixture(name)), 0.02);
        assert_eq!(ModelFiles::open(&half).unwrap().number_formats()[0].to_lowercase(), "f16");
    }
}

/// [`MadeUp`] with numbers that have room in f32 alone.
struct Large(MadeUp);

impl Tensors for Large {
    fn config(&self) -> &Config {
        &self.0.0
    }

    fn file(&self) -> &Path {
        Path::new("large")
    }

    fn tensor(&self, name: &str) -> Result<Vec<f32>, ModelError> {
        let mut values = self.0.tensor(name)?;
        values[0] = 1e38;
        Ok(values)
    }
}

#[test]
fn what_is_stopped_or_fails_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    let (about, large) = (About::default(), Large(made_up()));
    for last in 0..18 {
        let mut calls = 0;
        let mut watch = |_, _| {
            calls += 1;
            calls <= last
        };
        assert_eq!(gguf::write(&made_up(), &about, Numbers::Q8_0, &path, &mut watch).unwrap(), None);
    }
    for numbers in [Numbers::F16, Numbers::Q8_0] {
        let error = gguf::write(&large, &about, numbers, &path, &mut |_, _| true).unwrap_err().to_string();
        assert!(error.contains("large") && error.contains("write the model as f32"), "{error}");
    }
    assert!(safetensors::write(&large, Numbers::F16, &path, &mut |_, _| true).is_err());
    assert!(safetensors::write(&large, Numbers::Q8_0, &path, &mut |_, _| true).is_err());
    let relu = MadeUp(Config { activation_function: Activation::Relu, ..made_up().0 });
    let error = gguf::write(&relu, &about, Numbers::F32, &path, &mut |_, _| true).unwrap_err().to_string();
    assert!(error.contains("relu") && error.contains("gelu_new"), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

const TOKENIZER: &str = r#"{
    "added_tokens": [{"id": 5, "content": "<|endoftext|>", "special": true}],
    "pre_tokenizer": {"type": "ByteLevel"},
    "model": {"vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}
}"#;

#[test]
fn the_tokens_of_a_text_model_are_taken_along() {
    let folder = tempfile::tempdir().unwrap();
    let beside = |ids| Vocabulary::beside(folder.path(), ids);
    assert_eq!(beside(7).unwrap(), None);
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("vocab.json", r#"{"a": 0, "b": 1, "ab": 2, "<|endoftext|>": 5}"#);
    write("merges.txt", "#version: 0.2\na b\n");
    let words = beside(7).unwrap();
    write("tokenizer.json", TOKENIZER);
    assert_eq!(beside(7).unwrap(), words);
    write("tokenizer.json", &TOKENIZER.replace(r#""a b""#, r#"["a", "b"]"#));
    assert_eq!(beside(7).unwrap(), words);
    assert_eq!(beside(5).unwrap(), None, "more tokens than ids");

    let about = About { vocabulary: words, ..About::default() };
    let path = folder.path().join("model.gguf");
    gguf::write(&made_up(), &about, Numbers::F32, &path, &mut |_, _| true).unwrap().unwrap();
    let content = Content::read(&mut File::open(path).unwrap()).unwrap();
    let list = |key: &str| content.metadata[key].to_vec().unwrap().clone();
    let tokens =
        list("tokenizer.ggml.tokens").iter().map(|t| t.to_string().unwrap().clone()).collect::<Vec<_>>();
    assert_eq!(tokens, ["a", "b", "ab", "[PAD3]", "[PAD4]", "<|endoftext|>", "[PAD6]"]);
    let kinds = list("tokenizer.ggml.token_type").iter().map(|k| k.to_i32().unwrap()).collect::<Vec<_>>();
    assert_eq!(kinds, [1, 1, 1, 5, 5, 3, 5]);
    assert_eq!(content.metadata["tokenizer.ggml.eos_token_id"].to_u32().unwrap(), 5);

    write("tokenizer.json", "<html>");
    assert!(beside(7).is_err_and(|error| error.to_string().contains("tokenizer.json")));
}
