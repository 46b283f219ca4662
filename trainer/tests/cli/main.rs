//! The program as a user runs it: arguments in; files, messages and exit codes out.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod bench;
mod convert;
mod dataset;
mod generate;
mod hub;
mod model;
mod train;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use continuo_codec::{Instrument, Note, Score, midi};

/// Runs `continuo` in a folder.
fn continuo(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_continuo")).args(arguments).current_dir(folder).output().unwrap()
}

/// Runs `continuo`, which must end with `code`; gives what it printed on both
/// outputs.
#[track_caller]
fn check(folder: &Path, arguments: &[&str], code: i32) -> String {
    let output = continuo(folder, arguments);
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "continuo {}:\n{said}", arguments.join(" "));
    assert!(!said.contains("panicked"), "{said}");
    said
}

/// Asks a program to stop, as Ctrl-C does.
#[cfg(unix)]
fn interrupt(child: &std::process::Child) {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
}

/// All files below a folder, relative to it, in order.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    continuo::files::walk(folder, &|_| true).unwrap()
}

/// A melody of `notes` notes that differs from seed to seed.
fn melody(seed: u32, notes: u32) -> Score {
    let mut score = Score::new(480);
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12_345);
    for i in 0..notes {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let pitch = 48 + u8::try_from((state >> 16) % 30).unwrap();
        score.notes.push(Note {
            start: i * 240,
            instrument: Instrument::PIANO,
            pitch,
            duration: 240,
            velocity: 80,
        });
    }
    score.normalize();
    score
}

fn write_midi(path: &Path, score: &Score) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, midi::write(score)).unwrap();
}

/// What `--help` told first was lost once: what stood with a command's arguments, and not
/// with its name, was passed over.
#[test]
fn help_tells_what_a_command_does_at_length() {
    let folder = tempfile::tempdir().unwrap();
    for (command, part) in [
        (vec!["encode"], "byte for byte as its own data sets"),
        (vec!["decode"], "becomes NAME.mid"),
        (vec!["train"], "--resume goes on exactly where it stopped"),
        (vec!["eval"], "bits a note"),
        (vec!["generate"], "give the same file, byte for byte"),
        (vec!["bench", "decode"], "the best of three"),
        (vec!["bench", "train"], "That the loss falls"),
        (vec!["model", "convert"], "GGUF"),
        (vec!["dataset", "build"], "what is nearly the same in similar.jsonl"),
    ] {
        let help = check(folder.path(), &[&command[..], &["--help"]].concat(), 0);
        let flat = help.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flat.contains(part), "{command:?}: no {part:?} in {help}");
    }
}

#[test]
fn help_teaches_with_examples_and_wrong_usage_exits_with_2() {
    let folder = tempfile::tempdir().unwrap();
    for command in ["encode", "decode", "train", "eval", "generate"] {
        let help = check(folder.path(), &[command, "--help"], 0);
        assert!(help.contains("EXAMPLES"), "{help}");
        check(folder.path(), &[command, "--no-such-option"], 2);
    }
    check(folder.path(), &[], 2);
    check(folder.path(), &["generate", "a.mid", "-o", "b.mid", "--takes", "0"], 2);
}
