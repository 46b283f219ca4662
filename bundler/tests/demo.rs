//! The demo as a user runs it, with the plugin that was built before.

#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

use continuo_codec::{Score, midi};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn demo(args: &[&str], out: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_continuo-bundler"));
    command.args(["demo", "--no-build", "--out"]).arg(out).args(args).output().unwrap()
}

fn said(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("{}\n--- stdout\n{out}\n--- stderr\n{err}", output.status)
}

fn answered(args: &[&str], out: &Path) -> (Vec<u8>, Vec<u8>, String) {
    let output = demo(args, out);
    let said = said(&output);
    assert!(output.status.success(), "{said}");
    let read =
        |name: &str| fs::read(out.join(name)).unwrap_or_else(|error| panic!("{name}: {error}\n{said}"));
    (read("continuation.mid"), read("continuation.png"), said)
}

fn own(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", "assets", "phrases", name].iter().collect()
}

fn phrase(name: &str) -> Score {
    midi::read(&fs::read(own(name)).unwrap()).unwrap()
}

#[test]
fn the_same_seed_gives_the_same_files_and_another_seed_others() {
    let folder = tempfile::tempdir().unwrap();
    let run = |name: &str, seed: &str| answered(&["--takes", "2", "--seed", seed], &folder.path().join(name));
    let (midi, png, _) = run("once", "5");
    let (again, png_again, _) = run("again", "5");
    assert!(midi == again && png == png_again, "two runs differ");
    let (other, ..) = run("other", "6");
    assert_ne!(midi, other);
}

#[test]
fn the_file_holds_the_phrase_as_it_was_and_every_take_on_a_track() {
    let folder = tempfile::tempdir().unwrap();
    let waltz = own("waltz.mid");
    let args = ["--phrase", waltz.to_str().unwrap(), "--takes", "3", "--bars", "2"];
    let (bytes, _, said) = answered(&args, folder.path());
    for name in ["Phrase", "Take 1", "Take 2", "Take 3"] {
        assert!(bytes.windows(name.len()).any(|window| window == name.as_bytes()), "no track {name}");
    }
    let (whole, phrase) = (midi::read(&bytes).unwrap(), phrase("waltz.mid"));
    assert_eq!((&whole.tempos, &whole.meters), (&phrase.tempos, &phrase.meters));
    assert!(phrase.notes.iter().all(|note| whole.notes.contains(note)), "the phrase has changed");
    // Eight bars of 3/4, then two bars of answers.
    let answers: Vec<_> = whole.notes.iter().filter(|note| !phrase.notes.contains(note)).collect();
    assert!(!answers.is_empty());
    assert!(answers.iter().all(|note| (24.0..30.0).contains(&whole.beats(note.start))), "{answers:?}");
    for words in ["bar 9, beat 1", "exact to the sample", "after the trigger", "all ended"] {
        assert!(said.contains(words), "{words:?} is missing from:\n{said}");
    }
}

#[test]
fn another_tempo_changes_when_and_not_where() {
    let folder = tempfile::tempdir().unwrap();
    let drums = own("drums.mid");
    let args = ["--phrase", drums.to_str().unwrap(), "--tempo", "187.5", "--takes", "1"];
    let (bytes, _, said) = answered(&args, folder.path());
    let tempos = midi::read(&bytes).unwrap().tempos;
    assert_eq!(tempos.iter().map(|tempo| tempo.micros_per_beat).collect::<Vec<_>>(), [320_000]);
    assert!(said.contains("bar 5, beat 1") && said.contains("exact to the sample"), "{said}");
}

#[test]
fn a_phrase_without_notes_is_no_error() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.mid");
    fs::write(&empty, midi::write(&Score::new(480))).unwrap();
    let (.., said) = answered(&["--phrase", empty.to_str().unwrap()], &folder.path().join("out"));
    assert!(said.contains("no notes"), "{said}");
}

#[test]
fn what_cannot_be_read_is_one_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let noise = folder.path().join("noise.mid");
    fs::write(&noise, b"no music at all").unwrap();
    for path in [&noise, &folder.path().join("absent.mid"), &folder.path().to_path_buf()] {
        let output = demo(&["--phrase", path.to_str().unwrap()], &folder.path().join("out"));
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert_eq!(error.trim().lines().count(), 1, "{error}");
        assert!(error.contains(path.to_str().unwrap()), "{error}");
    }
}
