//! Files of every form that are not what they should be: each gives an error that says
//! what to do, and none a panic.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use continuo_model::cpu::{Cpu, Precision};
use continuo_model::{Gpt2, ModelFiles};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/forms").join(name)
}

/// A copy of a fixture's folder.
fn copy(name: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(fixture(name)).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
    }
    dir
}

/// A file in each form, by its folder.
const FILES: [(&str, &str); 4] = [
    ("gguf", "plain.gguf"),
    ("q8", "q8.gguf"),
    ("silu", "pytorch_model.bin"),
    ("sharded", "model-00002-of-00002.safetensors"),
];

fn open(file: &Path) -> File {
    OpenOptions::new().write(true).open(file).unwrap()
}

#[track_caller]
fn check(error: &str, words: &[&str]) {
    for word in words {
        assert!(error.contains(word), "{error:?} lacks {word:?}");
    }
}

/// The error of a folder after a change to one of its files.
fn changed(folder: &str, file: &str, change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> String {
    let dir = copy(folder);
    let path = dir.path().join(file);
    fs::write(&path, change(fs::read(&path).unwrap())).unwrap();
    let error = ModelFiles::open(dir.path()).unwrap_err().to_string();
    assert_eq!(Gpt2::open(dir.path()).unwrap_err().to_string(), error);
    error
}

/// `bytes` with the first `from` in them replaced by `to`, which is as long.
fn replaced(mut bytes: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = bytes.windows(from.len()).position(|window| window == from).unwrap();
    bytes[at..at + to.len()].copy_from_slice(to);
    bytes
}

#[test]
fn files_cut_anywhere_are_refused() {
    for (folder, name) in FILES {
        let dir = copy(folder);
        let path = dir.path().join(name);
        let file = open(&path);
        let whole = file.metadata().unwrap().len();
        for length in (0..whole).rev() {
            // Most of a file is numbers, and one place among them is as good as another.
            if (3000..whole - 3000).contains(&length) && length % 61 != 0 {
                continue;
            }
            file.set_len(length).unwrap();
            let result = ModelFiles::open(dir.path());
            // GGUF fills up the last tensor's place.
            assert!(result.is_err() || length + 32 > whole && name.ends_with("gguf"), "{name}, {length}");
            if let Err(error) = result {
                check(&error.to_string(), &[name]);
            }
        }
    }
}

#[test]
fn a_damaged_byte_is_no_panic() {
    for (folder, name) in FILES {
        let dir = copy(folder);
        let path = dir.path().join(name);
        let bytes = fs::read(&path).unwrap();
        let mut file = open(&path);
        let mut put = |at: usize, byte: u8| {
            file.seek(SeekFrom::Start(at as u64)).unwrap();
            file.write_all(&[byte]).unwrap();
        };
        let (begin, end) = (3000.min(bytes.len()), bytes.len().saturating_sub(3500));
        for at in (0..begin).chain(end.max(begin)..bytes.len()) {
            for flip in [0x01, 0x80, 0xff] {
                put(at, bytes[at] ^ flip);
                // What passes is computed with, at some places.
                if let Ok(files) = ModelFiles::open(dir.path())
                    && at % 16 == 0
                {
                    Cpu::from_files(files, Precision::Int8).unwrap();
                }
            }
            put(at, bytes[at]);
        }
    }
}

#[test]
fn headers_that_lie_are_refused() {
    let text = |text: &str| [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat();
    let gguf = |tensors: u64, keys: u64, rest: &[u8]| {
        let start = [&b"GGUF\x03\0\0\0"[..], &tensors.to_le_bytes(), &keys.to_le_bytes(), rest].concat();
        changed("gguf", "plain.gguf", |_| start)
    };
    let array = |kind: u32, count: u64| {
        [&text("key")[..], &9_u32.to_le_bytes(), &kind.to_le_bytes(), &count.to_le_bytes()].concat()
    };
    check(&gguf(u64::MAX, 0, &[]), &["plain.gguf", "damaged"]);
    check(&gguf(0, u64::MAX, &[]), &["plain.gguf", "damaged"]);
    check(&gguf(0, 1, &u64::MAX.to_le_bytes()), &["damaged"]);
    for kind in 0..14 {
        check(&gguf(0, 1, &array(kind, u64::MAX)), &["plain.gguf", "damaged"]);
    }
    // Arrays of arrays without end.
    let deep = [&array(9, 1)[..], &[9, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0].repeat(100_000)].concat();
    check(&gguf(0, 1, &deep), &["damaged"]);
    check(&gguf(0, 0, &[]), &["general.architecture", "missing"]);
}

#[test]
fn other_models_and_numbers_in_gguf_are_named() {
    let changed = |from: &[u8], to: &[u8]| changed("gguf", "plain.gguf", |bytes| replaced(bytes, from, to));
    check(&changed(b"gpt2", b"qwen"), &["plain.gguf", "general.architecture", "qwen"]);
    check(&changed(b"\x03\0\0\0", b"\x01\0\0\0"), &["version 1", "convert"]);
    check(&changed(b"\x03\0\0\0", b"\x00\0\0\x03"), &["big-endian"]);
    check(&changed(b"blk.1.attn_qkv.weight", b"blk.1.attn_q__.weight"), &["attn_q__", "architecture"]);
    check(&changed(b"blk.1.attn_qkv.weight", b"blk.9.attn_qkv.weight"), &["blk.9.", "gpt2.block_count is 2"]);
    check(&changed(b"output_norm.weight", b"output_nrom.weight"), &["`output_norm.weight` is missing"]);
    check(&changed(b"gpt2.block_count", b"gpt2.block_cuont"), &["gpt2.block_count is missing"]);
    check(&changed(b"token_embd.weight", b"token_emdb.weight"), &["token_embd.weight` is missing"]);
    // The first tensor's dimensions and kind come after its name.
    let kind = |bytes: Vec<u8>, kind: u8| {
        let name = b"blk.0.ffn_up.weight";
        let at = bytes.windows(name.len()).position(|window| window == name).unwrap() + name.len() + 20;
        let mut bytes = bytes;
        bytes[at] = kind;
        bytes
    };
    let error = self::changed("gguf", "plain.gguf", |bytes| kind(bytes, 12));
    check(&error, &["plain.gguf", "blk.0.ffn_up.weight", "Q4_K", "Q8_0"]);
    let error = self::changed("gguf", "plain.gguf", |bytes| kind(bytes, 8));
    check(&error, &["blk.0.ffn_up.weight", "blocks of 32"]);
}

#[test]
fn pickles_that_hold_something_else_are_told_apart() {
    let changed = |change: fn(Vec<u8>) -> Vec<u8>| changed("silu", "pytorch_model.bin", change);
    check(&changed(|_| b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.".to_vec()), &["1.6", "torch.save"]);
    check(&changed(|_| b"not a zip".to_vec()), &["pytorch_model.bin", "torch.save"]);
    check(&changed(|bytes| replaced(bytes, b"HalfStorage", b"LongStorage")), &["Long", "F32"]);
    check(&changed(|bytes| replaced(bytes, b"tensor_v2", b"tensor_v9")), &["_rebuild_tensor_v9"]);
    check(&changed(|bytes| replaced(bytes, b"wpe.weight", b"wpq.weight")), &["wpe.weight", "missing"]);
}

#[test]
fn indices_that_lie_are_refused() {
    let index = "model.safetensors.index.json";
    let error = changed("sharded", index, |_| b"{".to_vec());
    check(&error, &[index, "index"]);
    let error = changed("sharded", index, |_| br#"{"weight_map":{"a":"../model.safetensors"}}"#.to_vec());
    check(&error, &[index, "`../model.safetensors`"]);
    let error = changed("sharded", index, |bytes| replaced(bytes, b"wte.weight", b"wtq.weight"));
    check(&error, &[index, "wtq.weight", "same model"]);
    let error = changed("sharded", index, |_| br#"{"weight_map":{}}"#.to_vec());
    check(&error, &["missing"]);
    let dir = copy("sharded");
    fs::remove_file(dir.path().join("model-00001-of-00002.safetensors")).unwrap();
    let error = ModelFiles::open(dir.path()).unwrap_err().to_string();
    check(&error, &["model-00001-of-00002.safetensors", "a model is a folder"]);
    fs::copy(
        dir.path().join("model-00002-of-00002.safetensors"),
        dir.path().join("model-00001-of-00002.safetensors"),
    )
    .unwrap();
    check(&ModelFiles::open(dir.path()).unwrap_err().to_string(), &["twice"]);
}

#[test]
fn a_file_without_its_configuration_or_that_is_no_model_is_named() {
    let dir = copy("silu");
    fs::remove_file(dir.path().join("config.json")).unwrap();
    let file = dir.path().join("pytorch_model.bin");
    check(&ModelFiles::open(&file).unwrap_err().to_string(), &["config.json", "a model is a folder"]);
    fs::write(dir.path().join("notes.txt"), "words").unwrap();
    let error = ModelFiles::open(&dir.path().join("notes.txt")).unwrap_err().to_string();
    check(&error, &["notes.txt", "no model", "GGUF"]);
    let error = ModelFiles::open(&dir.path().join("absent.gguf")).unwrap_err().to_string();
    check(&error, &["absent.gguf", "GGUF"]);
}
