//! `model info`, `model convert` and `model quantize` on a tiny model.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use continuo_codec::midi;

use super::{check, files_below, interrupt, melody};

/// A folder with a tiny model in `model`.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model");
    let tiny = Path::new(env!("CARGO_MANIFEST_DIR")).join("../model/tests/fixtures/plain");
    fs::create_dir(&model).unwrap();
    for name in ["config.json", "model.safetensors"] {
        fs::copy(tiny.join(name), model.join(name)).unwrap();
    }
    fs::write(model.join("continuo.json"), "{\"encoding\": \"beat\", \"version\": 3}").unwrap();
    fs::write(model.join("README.md"), "# A tiny model\n").unwrap();
    fs::write(model.join("checkpoint.safetensors"), "not for others").unwrap();
    folder
}

fn json(said: &str) -> serde_json::Value {
    serde_json::from_str(said).unwrap()
}

/// Whether bytes hold others somewhere.
fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// Runs what must fail, change nothing, and say all of `parts` in one line.
#[track_caller]
fn refused(root: &Path, arguments: &[&str], parts: &[&str]) {
    let before = contents(root);
    let said = check(root, &[&["model"], arguments].concat(), 1);
    for part in parts {
        assert!(said.contains(part), "no {part:?} in: {said}");
    }
    assert_eq!(said.lines().count(), 1, "{said}");
    assert_eq!(contents(root), before);
}

fn contents(root: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    files_below(root).into_iter().map(|path| (path.clone(), fs::read(root.join(path)).unwrap())).collect()
}

#[test]
fn a_model_becomes_a_gguf_file_that_says_how_its_ids_are_meant() {
    let folder = folder();
    let root = folder.path();
    let said = check(root, &["model", "convert", "model", "out/tiny.gguf"], 0);
    assert!(said.contains("out/tiny.gguf") && said.contains("(gguf, f32)"), "{said}");
    let bytes = fs::read(root.join("out/tiny.gguf")).unwrap();
    assert!(bytes.starts_with(b"GGUF\x03\0\0\0"));
    assert!(holds(&bytes, b"continuo.encoding") && holds(&bytes, b"beat"));

    let small = json(&check(root, &["model", "quantize", "model", "small.gguf", "--json"], 0));
    assert_eq!((&small["format"], &small["numbers"]), (&"gguf".into(), &"q8_0".into()));
    assert_eq!(small["output"], "small.gguf");
    assert_eq!(small["bytes"], fs::metadata(root.join("small.gguf")).unwrap().len());
    assert!(fs::metadata(root.join("small.gguf")).unwrap().len() < bytes.len() as u64);
    assert_eq!(files_below(root).len(), 5 + 2);
}

#[test]
fn a_model_becomes_a_folder_and_what_describes_it_comes_along() {
    let folder = folder();
    let root = folder.path();
    let half = json(&check(root, &["model", "convert", "model", "half", "--to", "f16", "--json"], 0));
    assert_eq!((&half["format"], &half["numbers"]), (&"safetensors".into(), &"f16".into()));
    let names: Vec<_> = files_below(&root.join("half"));
    let expected = ["README.md", "config.json", "continuo.json", "model.safetensors"];
    assert_eq!(names, expected.map(PathBuf::from));
    let config = json(&fs::read_to_string(root.join("half/config.json")).unwrap());
    assert_eq!((&config["torch_dtype"], &config["n_embd"]), (&"float16".into(), &24.into()));

    let info = json(&check(root, &["model", "info", "half", "--json"], 0));
    assert_eq!((&info["format"], &info["numbers"]), (&"safetensors".into(), &"f16".into()));
    assert_eq!((&info["encoding"], &info["name"]), (&"beat".into(), &"half".into()));
    let info = check(root, &["model", "info", "model/model.safetensors"], 0);
    assert!(info.contains("(safetensors, f32)"), "{info}");

    // From half precision and back nothing more is lost.
    check(root, &["model", "convert", "half/model.safetensors", "whole"], 0);
    check(root, &["model", "convert", "whole", "again", "--to", "f16"], 0);
    let weights = |name: &str| fs::read(root.join(name).join("model.safetensors")).unwrap();
    assert!(weights("half") == weights("again"));
}

#[test]
fn only_force_replaces_what_is_there_and_nothing_replaces_the_model_itself() {
    let folder = folder();
    let root = folder.path();
    check(root, &["model", "quantize", "model", "tiny.gguf"], 0);
    check(root, &["model", "convert", "model", "other"], 0);
    refused(root, &["quantize", "model", "tiny.gguf"], &["tiny.gguf exists", "--force"]);
    refused(root, &["convert", "model", "other", "--to", "f16"], &["other exists", "--force"]);
    fs::write(root.join("other/mine.txt"), "mine").unwrap();
    fs::remove_file(root.join("model/continuo.json")).unwrap();
    check(root, &["model", "convert", "model", "other", "--to", "f16", "--force"], 0);
    check(root, &["model", "convert", "model", "tiny.gguf", "--force"], 0);
    assert!(root.join("other/mine.txt").exists() && !root.join("other/continuo.json").exists());

    for same in [["model", "model"], ["model", "./other/../model"], ["model/model.safetensors", "model"]] {
        let [input, output] = same;
        refused(root, &["convert", input, output, "--force"], &["is the model to be read", "another place"]);
    }
    fs::create_dir(root.join("folder.gguf")).unwrap();
    refused(root, &["quantize", "model", "folder.gguf", "--force"], &["is a folder", "model.gguf"]);
    fs::write(root.join("file"), "mine").unwrap();
    refused(root, &["convert", "model", "file", "--force"], &["file is a file", ".gguf"]);
    for (output, named) in [("file/a.gguf", "file/a.gguf"), ("file/out", "file/out/model.safetensors")] {
        refused(root, &["convert", "model", output], &[&format!("error: {named}: "), "choose a place"]);
    }
}

#[test]
fn mistakes_are_named_with_their_remedy() {
    let folder = folder();
    let root = folder.path();
    refused(root, &["convert", "nowhere", "a.gguf"], &["nowhere", "name a model folder"]);
    refused(root, &["info", "nowhere"], &["nowhere", "name a model folder"]);
    refused(root, &["quantize", "model", "small"], &["small does not end in .gguf", "small.gguf"]);
    refused(root, &["convert", "model", "a.safetensors"], &["a.safetensors", "name a folder"]);
    fs::write(root.join("model/continuo.json"), "{\"encoding\": 3}").unwrap();
    refused(root, &["convert", "model", "a.gguf"], &["continuo.json", "correct or remove it"]);
    fs::remove_file(root.join("model/continuo.json")).unwrap();

    let config = fs::read_to_string(root.join("model/config.json")).unwrap();
    fs::write(root.join("model/config.json"), config.replace("gelu_new", "relu")).unwrap();
    refused(root, &["quantize", "model", "a.gguf"], &["relu", "keep it as a safetensors folder"]);
    fs::write(root.join("model/config.json"), config.replace("\"n_layer\": 2", "\"n_layer\": 3")).unwrap();
    refused(root, &["convert", "model", "a.gguf"], &["tensor `transformer.h.2", "is missing"]);
    refused(root, &["convert", "model", "folder"], &["tensor `transformer.h.2", "is missing"]);
    fs::remove_file(root.join("model/model.safetensors")).unwrap();
    refused(root, &["convert", "model", "a.gguf"], &["model.safetensors", "a model is a folder that holds"]);
    fs::remove_file(root.join("model/config.json")).unwrap();
    refused(root, &["convert", "model", "a.gguf"], &["config.json", "a model is a folder that holds"]);
    check(root, &["model", "convert", "model", "a.gguf", "--to", "q4_0"], 2);
    for command in ["info", "convert", "quantize"] {
        assert!(check(root, &["model", command, "--help"], 0).contains("EXAMPLES"));
    }
    let help = check(root, &["model", "convert", "--help"], 0);
    assert!(help.contains("llama.cpp") && help.contains("a name that ends in .gguf"), "{help}");
}

#[test]
fn a_gguf_file_is_read_again_and_says_the_same() {
    let folder = folder();
    let root = folder.path();
    check(root, &["model", "convert", "model", "straight"], 0);
    check(root, &["model", "convert", "model", "gguf/tiny.gguf"], 0);
    let info = json(&check(root, &["model", "info", "gguf/tiny.gguf", "--json"], 0));
    assert_eq!((&info["format"], &info["numbers"]), (&"gguf".into(), &"f32".into()));
    assert_eq!((&info["encoding"], &info["name"]), (&"beat".into(), &"tiny".into()));
    check(root, &["model", "convert", "gguf/tiny.gguf", "back"], 0);
    let read = |path: &str| fs::read(root.join(path)).unwrap();
    assert!(read("back/model.safetensors") == read("straight/model.safetensors"));
    assert_eq!(json(&String::from_utf8(read("back/continuo.json")).unwrap())["version"], 3);
    // A folder that holds the file is a model as well.
    check(root, &["model", "convert", "gguf", "again.gguf"], 0);
    assert!(read("again.gguf") == read("gguf/tiny.gguf"));
    refused(root, &["quantize", "gguf", "gguf/tiny.gguf", "--force"], &["is the model to be read"]);
    refused(root, &["quantize", "gguf/tiny.gguf", "gguf/tiny.gguf", "--force"], &["is the model to be read"]);
}

/// A GGUF file is measured as the folder it was made from.
#[test]
fn eval_takes_a_single_file() {
    let folder = tempfile::tempdir().unwrap();
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets");
    let (model, music) = (assets.join("model"), assets.join("phrases"));
    let (model, music) = (model.to_str().unwrap(), music.to_str().unwrap());
    check(folder.path(), &["model", "convert", model, "model.gguf"], 0);
    let about = json(&check(folder.path(), &["model", "info", "model.gguf", "--json"], 0));
    assert_eq!(about["encoding"], "beat");
    let eval = |model| check(folder.path(), &["eval", model, music, "--answers", "0", "--json"], 0);
    let loss = |said: &str| json(said)["nats_per_token"].as_f64().unwrap();
    assert!((loss(&eval("model.gguf")) - loss(&eval(model))).abs() < 1e-9);
}

/// A pipe stands for music that is long in coming: whoever fills it knows that the first
/// model was measured.
#[cfg(unix)]
#[test]
fn an_interrupted_eval_tells_what_it_measured() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets");
    let (model, music) = (assets.join("model"), assets.join("phrases"));
    fs::create_dir(root.join("slow")).unwrap();
    let pipe = root.join("slow/piece.mid");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut child = Command::new(env!("CARGO_BIN_EXE_continuo"))
        .arg("eval")
        .args([&model, &model, &music])
        .args(["--ngram", "slow", "--json"])
        .current_dir(root)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut opened = fs::File::options().write(true).open(&pipe).unwrap();
    interrupt(&child);
    // Until it says that it heard.
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(said.any(|line| line.unwrap().contains("stopping")));
    opened.write_all(&midi::write(&melody(1, 90))).unwrap();
    drop(opened);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    let rows: Vec<_> = String::from_utf8(output.stdout).unwrap().lines().map(json).collect();
    assert_eq!(rows.len(), 2, "{rows:?}");
    assert!(rows.iter().all(|row| row["nats_per_token"].as_f64().is_some()), "{rows:?}");
}
