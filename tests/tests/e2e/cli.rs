//! The command line: what a user types, what comes back.

use continuo_codec::{Score, midi};
use continuo_tests::locate;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn continuo<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Output {
    let cli = locate::cli().unwrap_or_else(|error| panic!("{error:#}"));
    Command::new(cli).args(args).env_remove("CONTINUO_MODEL").output().unwrap()
}

fn shown(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("{}\n--- stdout\n{out}\n--- stderr\n{err}", output.status)
}

fn succeed<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Output {
    let output = continuo(args);
    assert!(output.status.success(), "{}", shown(&output));
    output
}

/// Exit code 1 and one sentence that names `named`.
fn refused<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>, named: &Path) {
    let output = continuo(args);
    assert_eq!(output.status.code(), Some(1), "{}", shown(&output));
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.trim();
    assert_eq!(said.lines().count(), 1, "{}", shown(&output));
    assert!(said.contains(named.to_str().unwrap()), "{}", shown(&output));
    assert!(!said.contains("panicked"), "{}", shown(&output));
}

fn phrase(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    root.join("assets").join("phrases").join(name)
}

fn read(path: &Path) -> Score {
    midi::read(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn help_shows_every_subcommand_and_an_example() {
    let output = succeed(["--help"]);
    let help = String::from_utf8_lossy(&output.stdout).into_owned();
    for word in ["encode", "decode", "generate", "continuo generate"] {
        assert!(help.contains(word), "{help}");
    }
    for command in ["encode", "decode", "generate"] {
        let output = succeed([command, "--help"]);
        assert!(String::from_utf8_lossy(&output.stdout).contains("EXAMPLES"), "{command}");
    }
}

#[test]
fn a_wrong_command_is_wrong_usage() {
    let output = continuo(["compose"]);
    assert_eq!(output.status.code(), Some(2), "{}", shown(&output));
}

#[test]
fn beat_ids_give_the_phrase_back() {
    let folder = tempfile::tempdir().unwrap();
    let (ids, back) = (folder.path().join("piano.ids"), folder.path().join("back.mid"));
    let own = phrase("piano.mid");
    succeed([OsStr::new("encode"), own.as_ref(), ids.as_ref(), "--encoding".as_ref(), "beat".as_ref()]);
    let words = fs::read_to_string(&ids).unwrap();
    assert!(words.split(' ').all(|word| word.parse::<u32>().is_ok()), "{words}");
    succeed([OsStr::new("decode"), ids.as_ref(), back.as_ref(), "--encoding".as_ref(), "beat".as_ref()]);
    let (own, back) = (read(&own), read(&back));
    // The grid of the encoding: 24 a beat.
    let onsets = |score: &Score| -> Vec<(u64, u8, u8)> {
        let place = |tick: u32| (score.beats(tick) * 24.0).round().to_bits();
        score.notes.iter().map(|note| (place(note.start), note.instrument.index(), note.pitch)).collect()
    };
    assert_eq!(onsets(&own), onsets(&back));
}

#[test]
fn text_has_four_numbers_a_note() {
    let folder = tempfile::tempdir().unwrap();
    let (text, back) = (folder.path().join("waltz.txt"), folder.path().join("back.mid"));
    let own = phrase("waltz.mid");
    succeed([OsStr::new("encode"), own.as_ref(), text.as_ref()]);
    let words = fs::read_to_string(&text).unwrap();
    let notes = words.split_whitespace().filter(|word| word.split('_').count() == 4).count();
    assert_eq!(notes, read(&own).notes.len(), "{words}");
    succeed([OsStr::new("decode"), text.as_ref(), back.as_ref()]);
    assert_eq!(read(&back).notes.len(), notes);
}

#[test]
fn generate_answers_on_the_bar_line_and_repeats_itself() {
    let folder = tempfile::tempdir().unwrap();
    let own = phrase("drums.mid");
    let generate = |name: &str, seed: &str| {
        let to = folder.path().join(name);
        succeed([
            OsStr::new("generate"),
            own.as_ref(),
            "-o".as_ref(),
            to.as_ref(),
            "--takes".as_ref(),
            "2".as_ref(),
            "--bars".as_ref(),
            "2".as_ref(),
            "--seed".as_ref(),
            seed.as_ref(),
            "--answer-only".as_ref(),
        ]);
        fs::read(to).unwrap()
    };
    let once = generate("once.mid", "7");
    assert_eq!(once, generate("again.mid", "7"));
    assert_ne!(once, generate("other.mid", "8"));
    let score = midi::read(&once).unwrap();
    let first = score.notes.first().expect("the answer has notes");
    assert!((score.beats(first.start) - 16.0).abs() < 1e-9, "{first:?}");
    assert!(score.notes.iter().all(|note| score.beats(note.start) < 24.0), "two bars were asked for");
}

#[test]
fn bench_decode_tells_figures_and_refuses_what_does_not_fit() {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/model");
    let bench = |more: &[&str]| {
        let args = ["bench", "decode", "--tokens", "20", "--json", "--model"].map(OsStr::new);
        continuo(args.into_iter().chain([model.as_os_str()]).chain(more.iter().map(OsStr::new)))
    };
    for more in [&["--takes", "3", "--encoding", "beat"][..], &["--precision", "f32", "--threads", "1"]] {
        let output = bench(more);
        assert!(output.status.success(), "{}", shown(&output));
        let figures: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        for name in ["prefill_tokens_per_second", "decode_tokens_per_second", "first_token_ms", "load_ms"] {
            assert!(figures[name].as_f64().is_some_and(|figure| figure > 0.0), "{name} in {figures}");
        }
        assert!(figures["device"].is_string(), "{figures}");
        assert!(!cfg!(target_os = "linux") || figures["peak_memory_bytes"].as_u64() > Some(5_000_000));
    }
    for (more, named) in [(["--prompt", "500"], "window of 512"), (["--encoding", "text"], "50257 ids")] {
        let output = bench(&more);
        assert_eq!(output.status.code(), Some(1), "{}", shown(&output));
        assert!(String::from_utf8_lossy(&output.stderr).contains(named), "{}", shown(&output));
    }
}

#[test]
fn a_wrong_model_folder_is_one_clear_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let (own, to) = (phrase("piano.mid"), folder.path().join("answer.mid"));
    fs::create_dir(folder.path().join("empty")).unwrap();
    for model in ["absent", "empty"].map(|name| folder.path().join(name)) {
        let args = [OsStr::new("generate"), own.as_ref(), "-o".as_ref(), to.as_ref(), "--model".as_ref()];
        refused(args.into_iter().chain([model.as_ref()]), &model);
    }
    assert!(!to.exists());
}

#[test]
fn a_file_that_is_no_midi_is_one_clear_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let (noise, to) = (folder.path().join("noise.mid"), folder.path().join("out.txt"));
    fs::write(&noise, b"RIFF of another kind").unwrap();
    refused([OsStr::new("generate"), noise.as_ref(), "-o".as_ref(), to.as_ref()], &noise);
    refused(
        [OsStr::new("generate"), folder.path().join("none.mid").as_ref(), "-o".as_ref(), to.as_ref()],
        &folder.path().join("none.mid"),
    );
    assert!(!to.exists());
}
