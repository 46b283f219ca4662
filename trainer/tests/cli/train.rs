//! `train`, `eval` and `model info` on tiny models.

use std::fs;
use std::path::Path;

use continuo_codec::midi;

use super::{check, files_below, melody, write_midi};

/// Twenty short pieces, a copy in another key, one that is too short, one that is
/// no MIDI file.
fn music(root: &Path) {
    for seed in 0..20 {
        write_midi(&root.join(format!("music/part{}/piece{seed}.mid", seed % 2)), &melody(seed, 90));
    }
    let mut moved = melody(3, 90);
    for note in &mut moved.notes {
        note.pitch += 4;
    }
    write_midi(&root.join("music/part1/copy.mid"), &moved);
    write_midi(&root.join("music/part1/short.mid"), &melody(77, 10));
    fs::write(root.join("music/part1/broken.mid"), b"MThd, but not really").unwrap();
    let lines: String = (0..20)
        .map(|seed| {
            format!("{{\"file\": \"part{}/piece{seed}.mid\", \"license\": \"CC0-1.0\", \"source\": \"a test\"}}\n", seed % 2)
        })
        .collect();
    fs::write(root.join("music/MANIFEST.jsonl"), lines).unwrap();
}

const TINY: &[&str] = &[
    "train",
    "music",
    "--size",
    "nano",
    "--layers",
    "1",
    "--width",
    "16",
    "--context",
    "64",
    "--batch",
    "2",
    "--held-out",
    "0.2",
    "--eval-every",
    "4",
    "--checkpoint-every",
    "3",
    "--warmup",
    "2",
    "--dropout",
    "0.1",
];

fn train(root: &Path, more: &[&str]) -> String {
    check(root, &[TINY, more].concat(), 0)
}

#[test]
fn a_tiny_model_is_trained_measured_described_and_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    music(root);
    let said = train(root, &["--out", "model", "--steps", "8", "--manifest", "music/MANIFEST.jsonl"]);
    assert!(said.contains("1 unreadable, 1 with fewer than 32 notes, 1 repeating another"), "{said}");
    for name in
        ["config.json", "model.safetensors", "continuo.json", "README.md", "metrics.jsonl", "refused.jsonl"]
    {
        assert!(root.join("model").join(name).exists(), "{name}");
    }
    let card = fs::read_to_string(root.join("model/README.md")).unwrap();
    for part in ["| part0 | CC0-1.0 | 10 |", "interpolated 5-gram", "nats a token", "8 steps"] {
        assert!(card.contains(part), "{part}:\n{card}");
    }
    assert!(said.contains("bits a note"), "{said}");
    let description = fs::read_to_string(root.join("model/continuo.json")).unwrap();
    assert!(description.contains("\"beat\""), "{description}");

    let info = check(root, &["model", "info", "model", "--json"], 0);
    let info: serde_json::Value = serde_json::from_str(&info).unwrap();
    assert_eq!((&info["encoding"], &info["layers"], &info["width"]), (&"beat".into(), &1.into(), &16.into()));
    for shown in ["loss.png", "events.out.tfevents.0000000000.continuo"] {
        assert!(root.join("model").join(shown).metadata().unwrap().len() > 100, "{shown}");
    }
    let samples: Vec<_> = files_below(&root.join("model/samples"));
    assert!(samples.iter().any(|file| file.extension().is_some_and(|ending| ending == "png")), "{samples:?}");
    let sample = samples.iter().find(|file| file.extension().is_some_and(|ending| ending == "mid")).unwrap();
    let sample = midi::read(&fs::read(root.join("model/samples").join(sample)).unwrap()).unwrap();
    assert!(!sample.notes.is_empty());
    let measured = check(root, &["eval", "model", "music/part0", "--ngram", "music/part1", "--json"], 0);
    let lines: Vec<serde_json::Value> =
        measured.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert_eq!(lines.len(), 3, "{measured}");
    assert_eq!(lines[0]["ids"], lines[1]["ids"], "both are measured on the same ids");
    let polyphony = |n: usize| lines[n]["measures"]["polyphony"]["mean"].as_f64();
    assert_eq!(
        (polyphony(1), polyphony(2)),
        (None, Some(1.0)),
        "a 5-gram answers nothing, a melody is one voice"
    );
    assert!(polyphony(0).is_some(), "{measured}");
}

/// It ended as if all were well.
#[test]
fn a_model_that_learned_nothing_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    music(root);
    let wild = train(root, &["--out", "wild", "--steps", "4", "--lr", "1", "--schedule", "constant"]);
    assert!(wild.contains("no better than chance") && wild.contains("--lr"), "{wild}");
    let tame = train(root, &["--out", "tame", "--steps", "8", "--lr", "0.01"]);
    assert!(!tame.contains("chance"), "{tame}");
}

#[test]
fn a_model_is_fine_tuned_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    music(root);
    train(root, &["--out", "base", "--steps", "2"]);
    // Encoding, shape and context are the base model's without being repeated.
    check(
        root,
        &["train", "music/part0", "--base", "base", "--out", "tuned", "--steps", "1", "--batch", "2"],
        0,
    );
    let config = |model: &str| fs::read_to_string(root.join(model).join("config.json")).unwrap();
    assert_eq!(config("base"), config("tuned"));
    let card = fs::read_to_string(root.join("tuned/README.md")).unwrap();
    assert!(card.contains("1 layers, 2 heads and width 16") && card.contains("Fine-tuned from"), "{card}");
}

#[test]
fn an_adapted_model_is_a_whole_one_and_keeps_what_is_not_adapted() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    music(root);
    train(root, &["--out", "base", "--steps", "2"]);
    let tune = ["train", "music", "--base", "base", "--out", "tuned", "--lora", "2", "--steps", "6"];
    let often =
        ["--batch", "2", "--accumulate", "1", "--lr", "0.01", "--eval-every", "3", "--checkpoint-every", "3"];
    check(root, &[&tune[..], &often].concat(), 0);
    let read = |model: &str| fs::read(root.join(model).join("model.safetensors")).unwrap();
    let (base, tuned) = (read("base"), read("tuned"));
    let (adapted, kept) = ("transformer.h.0.attn.c_attn.weight", "transformer.wte.weight");
    assert!(tensor(&base, adapted) != tensor(&tuned, adapted));
    assert!(tensor(&base, kept) == tensor(&tuned, kept));
    check(root, &["model", "info", "tuned"], 0);
    // Stopped after the third step, it goes on to the same.
    fs::remove_dir_all(root.join("tuned/checkpoints/step-00000006")).unwrap();
    check(root, &["train", "--resume", "--out", "tuned"], 0);
    assert!(read("tuned") == tuned);
    let said = check(root, &["train", "music", "--base", "base", "--out", "o", "--lora", "17"], 1);
    assert!(said.contains("--lora must be 1 to the model's width"), "{said}");
}

/// A GPT-2 of words is one of other ids: its blocks are of use, its embeddings are not.
#[test]
fn another_vocabulary_keeps_the_blocks_and_learns_the_ids_anew() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    music(root);
    train(root, &["--out", "base", "--steps", "2"]);
    fs::remove_file(root.join("base/continuo.json")).unwrap();
    let tune = ["train", "music/part0", "--base", "base", "--out", "tuned", "--encoding", "beat"];
    let said = check(root, &tune, 1);
    assert!(said.contains("--fresh-vocabulary"), "{said}");
    // So slowly that what is kept is seen to be kept.
    let slowly = ["--lr", "1e-9", "--steps", "1", "--batch", "2", "--accumulate", "1"];
    let midilike = ["train", "music", "--base", "base", "--out", "tuned", "--encoding", "midilike"];
    check(root, &[&midilike[..], &["--fresh-vocabulary"], &slowly].concat(), 0);
    let read = |model: &str| fs::read(root.join(model).join("model.safetensors")).unwrap();
    let (base, tuned) = (read("base"), read("tuned"));
    for name in ["transformer.h.0.attn.c_attn.weight", "transformer.wpe.weight", "transformer.ln_f.bias"] {
        assert!(tensor(&base, name) == tensor(&tuned, name), "{name}");
    }
    let ids = "transformer.wte.weight";
    assert_ne!(tensor(&base, ids).0, tensor(&tuned, ids).0);
    let described: serde_json::Value =
        serde_json::from_slice(&fs::read(root.join("tuned/continuo.json")).unwrap()).unwrap();
    assert_eq!(described["encoding"], "midilike");
}

#[test]
fn an_error_is_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let said = check(folder.path(), &["model", "info", "nowhere"], 1);
    assert_eq!(said.matches("No such file").count(), 1, "{said}");
    assert!(said.starts_with("error: nowhere"), "{said}");
}

#[test]
fn a_resumed_run_ends_in_the_same_weights_bit_by_bit() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    music(root);
    train(root, &["--out", "whole", "--steps", "6"]);
    train(root, &["--out", "halved", "--steps", "6"]);
    // As if the second had been stopped after its third step.
    fs::remove_dir_all(root.join("halved/checkpoints/step-00000006")).unwrap();
    fs::remove_file(root.join("halved/model.safetensors")).unwrap();
    // How blocks are computed is no part of what is learned.
    check(root, &["train", "--resume", "--out", "halved", "--gradient-checkpointing"], 0);
    let read = |path: &str| fs::read(root.join(path)).unwrap();
    assert!(read("whole/model.safetensors") == read("halved/model.safetensors"));
    let checkpoint = "checkpoints/step-00000006/checkpoint.safetensors";
    let weights = |run: &str| read(&format!("{run}/{checkpoint}"));
    assert_eq!(weights("whole").len(), weights("halved").len());
    assert!(tensors(&weights("whole")) == tensors(&weights("halved")));
}

#[cfg(unix)]
#[test]
fn ctrl_c_saves_and_ends_with_130() {
    use std::io::{BufRead as _, BufReader};
    use std::process::{Command, Stdio};
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    music(root);
    let mut run = Command::new(env!("CARGO_BIN_EXE_continuo"))
        .args([TINY, &["--out", "run", "--steps", "1000000"]].concat())
        .current_dir(root)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(run.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains("held-out loss")), "training began");
    let sent = Command::new("kill").args(["-INT", &run.id().to_string()]).status().unwrap();
    assert!(sent.success());
    let rest: Vec<String> = lines.collect();
    assert_eq!(run.wait().unwrap().code(), Some(130), "{rest:?}");
    assert!(rest.iter().any(|line| line.contains("continuo train --resume --out run")), "{rest:?}");
    let checkpoints = fs::read_dir(root.join("run/checkpoints")).unwrap();
    let names: Vec<String> =
        checkpoints.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(!names.is_empty() && names.len() <= 2, "{names:?}");
    assert!(names.iter().all(|name| name.starts_with("step-")), "nothing half-written: {names:?}");
}

/// A disk that is full is one that a file may not grow on; to the program both are an error in
/// writing.
#[cfg(unix)]
#[test]
fn a_full_disk_is_told_and_nothing_is_lost() {
    use std::process::Command;
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    music(root);
    train(root, &["--out", "whole", "--steps", "6"]);
    train(root, &["--out", "full", "--steps", "6"]);
    fs::remove_dir_all(root.join("full/checkpoints/step-00000006")).unwrap();
    let resume = "trap '' XFSZ; ulimit -f 100; exec \"$0\" train --resume --out full";
    let output = Command::new("sh")
        .args(["-c", resume, env!("CARGO_BIN_EXE_continuo")])
        .current_dir(root)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("error: ") && said.contains("full/") && said.contains("too large"), "{said}");
    check(root, &["model", "info", "full"], 0);
    check(root, &["train", "--resume", "--out", "full"], 0);
    let read = |run: &str| fs::read(root.join(run).join("model.safetensors")).unwrap();
    assert!(read("whole") == read("full"));
}

/// A safetensors file without its header, whose entries come in any order.
fn tensors(file: &[u8]) -> &[u8] {
    let header = u64::from_le_bytes(file[..8].try_into().unwrap());
    &file[8 + usize::try_from(header).unwrap()..]
}

/// Shape and bytes of a tensor in a safetensors file.
fn tensor(file: &[u8], name: &str) -> (serde_json::Value, Vec<u8>) {
    let begin = file.len() - tensors(file).len();
    let header: serde_json::Value = serde_json::from_slice(&file[8..begin]).unwrap();
    let entry = &header[name];
    let at = |n: usize| usize::try_from(entry["data_offsets"][n].as_u64().unwrap()).unwrap();
    (entry["shape"].clone(), tensors(file)[at(0)..at(1)].to_vec())
}

#[test]
fn what_cannot_be_trained_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    music(root);
    fs::create_dir(root.join("empty")).unwrap();
    train(root, &["--out", "there", "--steps", "1"]);
    let cases: &[(&[&str], &str)] = &[
        (&["train", "--out", "o"], "name at least one folder"),
        (&["train", "nowhere", "--out", "o"], "nowhere does not exist"),
        (&["train", "empty", "--out", "o"], "no file ending in .mid"),
        (&["train", "music/part0/piece0.mid", "--out", "o"], "is a file; name the folder"),
        (&["train", "music", "--out", "there"], "holds a run already"),
        (&["train", "music", "--out", "o", "--resume"], "has no checkpoint"),
        (&["train", "--out", "there", "--resume", "--context", "128"], "--context is not what this run"),
        (&["train", "music", "--out", "o", "--width", "30", "--heads", "4"], "multiple of --heads"),
        (&["train", "music", "--out", "o", "--held-out", "1.5"], "--held-out must be"),
        (&["train", "music", "--out", "o", "--base", "empty"], "config.json"),
        (
            &["train", "music", "--out", "o", "--device", "cpu", "--precision", "bf16"],
            "processor learns in f32",
        ),
        (&["train", "--out", "there", "--resume", "--device", "cpu", "--precision", "f16"], "leave it out"),
        (&["bench", "train", "--model", "there", "--device", "cpu", "--precision", "f16"], "leave it out"),
    ];
    for (arguments, expected) in cases {
        let said = check(root, arguments, 1);
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
    if cfg!(not(feature = "cuda")) {
        let said = check(root, &["train", "music", "--out", "o", "--device", "cuda"], 1);
        assert!(said.contains("build with `--features cuda`") && said.contains("processor (cpu)"), "{said}");
    }
    // Other music than the run was started with is noticed.
    fs::remove_dir_all(root.join("music/part0")).unwrap();
    let said = check(root, &["train", "--resume", "--out", "there"], 1);
    assert!(said.contains("no longer hold the music"), "{said}");
}

#[test]
fn a_bad_manifest_is_told_before_the_training() {
    let folder = tempfile::tempdir().unwrap();
    music(folder.path());
    fs::write(folder.path().join("bad.jsonl"), "not JSON\n").unwrap();
    let said =
        check(folder.path(), &[TINY, &["--out", "m", "--steps", "4", "--manifest", "bad.jsonl"]].concat(), 1);
    assert!(said.contains("bad.jsonl") && said.contains("license"), "{said}");
    assert!(!folder.path().join("m/checkpoints").exists(), "{said}");
}

/// The steps and losses of a run.
fn losses(run: &Path) -> Vec<(u64, f64)> {
    let metrics = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
    metrics
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter_map(|line| Some((line["step"].as_u64()?, line["loss"].as_f64()?)))
        .collect()
}

#[test]
fn rows_that_come_in_turns_are_learned_from_as_all_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    music(root);
    let run = |out: &str, more: &[&str]| {
        let common =
            ["train", "music", "--size", "nano", "--context", "64", "--steps", "20", "--warmup", "2"];
        check(root, &[&common[..], more, &["--out", out]].concat(), 0);
        losses(&root.join(out))
    };
    let at_once = run("once", &["--batch", "4"]);
    let in_turns = run("turns", &["--batch", "1", "--accumulate", "4"]);
    assert_eq!(at_once.len(), 2);
    for ((step, once), (_, turns)) in at_once.iter().zip(&in_turns) {
        assert!((once / turns - 1.0).abs() < 1e-4, "step {step}: {once} {turns}");
    }
    let constant = run("constant", &["--batch", "4", "--schedule", "constant"]);
    assert_ne!(constant[1], at_once[1]);
}

#[test]
fn as_many_checkpoints_are_kept_as_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    music(root);
    let common = ["train", "music", "--size", "nano", "--context", "64", "--batch", "2", "--steps", "12"];
    check(root, &[&common[..], &["--checkpoint-every", "2", "--keep", "3", "--out", "run"]].concat(), 0);
    let kept = fs::read_dir(root.join("run/checkpoints")).unwrap().count();
    assert_eq!(kept, 3);
    let said = check(root, &["train", "--resume", "--out", "run", "--accumulate", "2"], 1);
    assert!(said.contains("--accumulate is not what this run was started with"), "{said}");
    let said = check(root, &[&common[..], &["--keep", "0", "--out", "other"]].concat(), 1);
    assert!(said.contains("--keep must be 1 to 1000"), "{said}");
}

#[test]
fn a_training_replaces_nothing_that_is_there_and_does_not_learn_from_itself() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    music(root);
    train(root, &["--out", "model", "--steps", "4"]);
    fs::remove_dir_all(root.join("model/checkpoints")).unwrap();
    let before = fs::read(root.join("model/model.safetensors")).unwrap();
    fs::create_dir(root.join("notes")).unwrap();
    fs::write(root.join("notes/README.md"), "mine").unwrap();
    fs::write(root.join("file"), "mine").unwrap();
    let cases: &[(&[&str], &str)] = &[
        (&["--out", "model", "--steps", "1"], "holds a config.json that the training would replace"),
        (&["--out", "notes", "--steps", "1"], "holds a README.md that the training would replace"),
        (&["--out", "file", "--steps", "1"], "file is no folder"),
        (&["--out", "music", "--steps", "1"], "its samples would be learned from"),
        (&["--out", "music/deep/model", "--steps", "1"], "its samples would be learned from"),
    ];
    for (arguments, expected) in cases {
        let said = check(root, &[TINY, arguments].concat(), 1);
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
    let said = check(root, &["train", "music", "--base", "model", "--out", "model", "--steps", "1"], 1);
    assert!(said.contains("would replace"), "{said}");
    assert!(before == fs::read(root.join("model/model.safetensors")).unwrap());
}

/// A size contradicts a base model, and where one is given clap lets pass that the other is missing.
#[test]
fn adapting_without_a_model_to_adapt_is_told_whatever_the_size() {
    let folder = tempfile::tempdir().unwrap();
    music(folder.path());
    for option in [&["--lora", "4"][..], &["--fresh-vocabulary"]] {
        let arguments = [TINY, &["--out", "o", "--steps", "1"], option].concat();
        let said = check(folder.path(), &arguments, 1);
        assert!(said.contains("name it with --base"), "{said}");
    }
}

#[test]
fn two_trainings_into_one_folder_are_one_too_many() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    music(root);
    train(root, &["--out", "model", "--steps", "4"]);
    let lock = fs::File::open(root.join("model/.lock")).unwrap();
    lock.lock().unwrap();
    let said = check(root, &["train", "--resume", "--out", "model"], 1);
    assert!(said.contains("another training writes to model"), "{said}");
    drop(lock);
    check(root, &["train", "--resume", "--out", "model"], 0);
}
