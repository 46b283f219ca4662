//! `generate` with an untrained model folder: what it says is no music, but where
//! and how it is written is decided here.

use std::fs;
use std::path::Path;

use continuo_codec::{Instrument, Meter, Note, Score, Tempo, midi};
use continuo_model::Config;
use continuo_model::train::{TrainConfig, Trainer};

use super::{check, melody, write_midi};

/// A model folder with fresh weights.
fn model(root: &Path) {
    let config =
        Config { vocab_size: 896, n_positions: 128, n_embd: 16, n_layer: 1, n_head: 2, ..Config::default() };
    let train = TrainConfig { batch: 1, context: 128, ..TrainConfig::default() };
    Trainer::new(config, train).unwrap().export(&root.join("model"), true).unwrap();
    fs::write(root.join("model/continuo.json"), r#"{"encoding":"beat","version":1}"#).unwrap();
}

/// Generates from a phrase and reads what was written.
#[track_caller]
fn answer(root: &Path, phrase: &Score, more: &[&str]) -> Score {
    write_midi(&root.join("phrase.mid"), phrase);
    let arguments = [&["generate", "phrase.mid", "-o", "out.mid", "--model", "model"], more].concat();
    check(root, &arguments, 0);
    midi::read(&fs::read(root.join("out.mid")).unwrap()).unwrap()
}

#[test]
fn the_answer_lies_in_the_bars_after_the_phrase() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    model(root);
    // 7/8 at 400 beats a minute; eight eighths are a bar and an eighth.
    let mut phrase = melody(1, 8);
    phrase.meters = vec![Meter { tick: 0, numerator: 7, denominator: 8 }];
    phrase.tempos = vec![Tempo { tick: 0, micros_per_beat: 150_000 }];
    let answer = answer(root, &phrase, &["--bars", "2", "--takes", "2", "--answer-only"]);
    assert_eq!((answer.meters.clone(), answer.tempos.clone()), (phrase.meters, phrase.tempos));
    assert!(!answer.notes.is_empty());
    for note in &answer.notes {
        let beat = answer.beats(note.start);
        assert!((7.0..14.0).contains(&beat), "a note at beat {beat}");
    }
}

#[test]
fn an_answer_has_as_many_notes_as_it_shall_and_of_drums_where_it_shall() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    model(root);
    let phrase = melody(2, 16);
    let whole = answer(root, &phrase, &["--answer-only"]);
    let short = answer(root, &phrase, &["--answer-only", "--max-notes", "5"]);
    assert!(whole.notes.len() > 5, "{} notes", whole.notes.len());
    // In the file, a key that is struck again ends its note before.
    let onsets = |score: &Score| score.notes.iter().map(|n| (n.start, n.pitch)).take(5).collect::<Vec<_>>();
    assert_eq!((short.notes.len(), onsets(&short)), (5, onsets(&whole)));
    let longer = answer(root, &phrase, &["--answer-only", "--bars", "1", "--min-notes", "40"]);
    assert!((40..400).contains(&longer.notes.len()), "{} notes", longer.notes.len());
    let drums = answer(root, &phrase, &["--drums"]);
    assert!(drums.notes.iter().all(|note| note.instrument.is_drums()));
    let three = answer(root, &phrase, &["--answer-only", "--max-notes", "5", "--takes", "3"]);
    assert_eq!(three.notes.len(), 15);
}

#[test]
fn limits_are_kept_as_they_are_typed() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    model(root);
    let phrase = melody(4, 16);
    let limits = ["--key", "Eb major", "--range", "C4-72", "--polyphony", "1", "--density", "1.5"];
    let held = answer(root, &phrase, &[&limits[..], &["--grid", "3", "--answer-only"]].concat());
    assert!(held.notes.len() > 2);
    for (i, note) in held.notes.iter().enumerate() {
        assert!(
            (60..=72).contains(&note.pitch) && ![1, 4, 6, 9, 11].contains(&(note.pitch % 12)),
            "{note:?}"
        );
        let thirds = held.beats(note.start) * 3.0;
        assert!((thirds - thirds.round()).abs() < 1e-6, "a note at {thirds} thirds of a beat");
        let next = held.notes.get(i + 1).map_or(u32::MAX, |next| next.start);
        assert!(note.start + note.duration <= next, "two notes at once: {note:?}");
    }
    // The melody is even eighths, for two bars.
    let over = answer(root, &phrase, &["--over", "--keep-rhythm", "--bars", "2", "--answer-only"]);
    assert!(over.notes.iter().all(|note| over.beats(note.start) < 8.0 && note.start % 240 == 0));
    let said = check(root, &["generate", "phrase.mid", "-o", "o.mid", "--key", "H major"], 2);
    assert!(said.contains("F# dorian"), "{said}");
    write_midi(&root.join("empty.mid"), &Score::new(480));
    let said = check(root, &["generate", "empty.mid", "-o", "o.mid", "--keep-rhythm", "--model", "model"], 1);
    assert!(said.contains("rhythm has no note"), "{said}");
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    model(root);
    let bytes = |seed: &str| {
        answer(root, &melody(5, 20), &["--seed", seed, "--bars", "1"]);
        fs::read(root.join("out.mid")).unwrap()
    };
    assert!(bytes("7") == bytes("7"));
    assert!(bytes("7") != bytes("8"));
}

#[test]
fn any_phrase_gets_an_answer() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    model(root);
    let one = melody(1, 1);
    let long = melody(2, 10_000);
    let mut slow = melody(3, 12);
    slow.tempos = vec![Tempo { tick: 0, micros_per_beat: 3_000_000 }];
    let mut drums = melody(4, 32);
    for note in &mut drums.notes {
        note.instrument = Instrument::DRUMS;
        note.pitch = 36 + note.pitch % 4;
    }
    let mut odd = Score::new(7);
    odd.notes = vec![Note { start: 0, instrument: Instrument::PIANO, pitch: 60, duration: 7, velocity: 90 }];
    for phrase in [Score::new(480), one, long, slow, drums, odd] {
        let written = answer(root, &phrase, &["--bars", "1"]);
        assert!(written.notes.len() >= phrase.notes.len(), "the phrase is in the file");
    }
}

#[test]
fn tracks_are_named_and_the_summary_can_be_read_by_programs() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    model(root);
    write_midi(&root.join("phrase.mid"), &melody(1, 16));
    let said = check(
        root,
        &[
            "generate",
            "phrase.mid",
            "-o",
            "deep/out.mid",
            "--model",
            "model",
            "--takes",
            "3",
            "--bars",
            "1",
            "--json",
        ],
        0,
    );
    let line = said.lines().find(|line| line.starts_with('{')).unwrap();
    let about: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(about["take_notes"].as_array().unwrap().len(), 3);
    let time = |name: &str| about[name].as_f64().unwrap();
    assert!(time("loading_ms") > 0.0 && time("first_note_ms") <= time("answering_ms"), "{about}");
    assert_eq!((about["from_beat"].as_f64(), about["until_beat"].as_f64()), (Some(8.0), Some(12.0)));
    let bytes = fs::read(root.join("deep/out.mid")).unwrap();
    for name in ["Phrase", "Take 1", "Take 2", "Take 3"] {
        assert!(bytes.windows(name.len()).any(|window| window == name.as_bytes()), "{name}");
    }
}

#[test]
fn mistakes_are_told_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    model(root);
    write_midi(&root.join("phrase.mid"), &melody(1, 16));
    fs::write(root.join("text.mid"), "hello").unwrap();
    let cases: &[(&[&str], &str)] = &[
        (&["generate", "nowhere.mid", "-o", "out.mid"], "nowhere.mid"),
        (&["generate", "text.mid", "-o", "out.mid"], "text.mid cannot be read as a MIDI file"),
        (&["generate", "phrase.mid", "-o", "phrase.mid"], "name another file"),
        (&["generate", "phrase.mid", "-o", "out.mid", "--model", "nowhere"], "nowhere"),
        (&["generate", "phrase.mid", "-o", "out.mid", "--temperature", "-1"], "--temperature"),
        (&["generate", "phrase.mid", "-o", "out.mid", "--top-p", "0"], "--top-p"),
        (&["generate", "phrase.mid", "-o", "out.mid", "--device", "abacus"], "auto, cpu, cuda, metal"),
        (&["bench", "decode", "--model", "model", "--device", "cuda", "--threads", "1"], "use --device cpu"),
    ];
    for (arguments, expected) in cases {
        let output = super::continuo(root, arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code().is_some_and(|code| code == 1 || code == 2), "{arguments:?}: {said}");
        assert!(said.contains(expected), "{arguments:?}: {said}");
        assert!(!root.join("out.mid").exists());
    }
}

#[test]
fn a_device_that_is_not_there_is_told_with_a_remedy_and_the_one_in_use_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    model(root);
    write_midi(&root.join("phrase.mid"), &melody(1, 8));
    let generate = ["generate", "phrase.mid", "-o", "out.mid", "--model", "model", "--bars", "1"];
    let bench = ["bench", "decode", "--model", "model", "--prompt", "4", "--tokens", "4"];
    for command in [&generate[..], &bench] {
        for gpu in continuo_model::GpuKind::ALL.into_iter().filter(|gpu| !gpu.is_built()) {
            let name = gpu.name().to_lowercase();
            let said = check(root, &[command, &["--device", &name]].concat(), 1);
            let expected = format!(
                "{} cannot be used: this build is without it; build with `--features {name}`, or choose the \
                 processor (cpu)",
                gpu.name()
            );
            assert!(said.contains(&expected), "{said}");
        }
        let said = check(root, &[command, &["--device", "cpu"]].concat(), 0);
        assert!(said.contains("CPU, "), "{said}");
    }
    let said = check(root, &[&generate[..], &["--device", "cpu", "--json"]].concat(), 0);
    assert!(said.contains(r#""device":"CPU, "#), "{said}");
}

#[test]
#[cfg(unix)]
fn a_link_to_the_output_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    model(root);
    fs::write(root.join("real.mid"), "old").unwrap();
    std::os::unix::fs::symlink("real.mid", root.join("out.mid")).unwrap();
    answer(root, &melody(1, 8), &["--bars", "1"]);
    assert!(root.join("out.mid").is_symlink());
    assert!(fs::read(root.join("real.mid")).unwrap().starts_with(b"MThd"));
}
