//! `encode` and `decode`, held to the golden files of the text encoding.

use std::fs;
use std::path::{Path, PathBuf};

use continuo_codec::midi::{self, Track};
use continuo_codec::{Instrument, Note, Score};

use super::{check, files_below, melody, write_midi};

/// Folders of MIDI files with the text the seed makes of them, or its refusal.
fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../codec/tests/fixtures/text")
}

#[test]
fn a_golden_folder_becomes_its_golden_texts_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    let input = golden();
    let said =
        check(folder.path(), &["encode", input.to_str().unwrap(), "out", "--report", "refused.jsonl"], 1);
    let mut refused = 0;
    for file in files_below(&input).iter().filter(|f| f.extension().is_some_and(|e| e == "mid")) {
        if file.starts_with("decode") {
            continue;
        }
        let ours = fs::read(folder.path().join("out").join(file).with_extension("txt")).ok();
        let expected = fs::read(input.join(file).with_extension("txt")).ok();
        assert!(ours == expected, "{} differs from the golden text", file.display());
        refused += usize::from(expected.is_none());
    }
    assert!(refused > 10, "the golden folder has files that are refused");
    let report = fs::read_to_string(folder.path().join("refused.jsonl")).unwrap();
    assert!(report.lines().count() >= refused, "{report}");
    for line in report.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(line["offset"].is_u64() && line["reason"].is_string() && line["file"].is_string(), "{line}");
    }
    assert!(said.contains("refused"), "{said}");
}

#[test]
fn texts_become_the_golden_midi_files() {
    let folder = tempfile::tempdir().unwrap();
    let cases = golden().join("decode");
    let manifest: serde_json::Value =
        serde_json::from_slice(&fs::read(cases.join("manifest.json")).unwrap()).unwrap();
    let mut checked = 0;
    // A spread of them: each is a process.
    for case in manifest.as_array().unwrap().iter().step_by(9) {
        let text = cases.join(case["txt"].as_str().unwrap());
        let instrument = case["instrument"].as_str().unwrap_or("piano").replace(' ', "-");
        if !["piano", "electric-piano", "bass", "drums"].contains(&instrument.as_str()) {
            continue;
        }
        let arguments = ["decode", text.to_str().unwrap(), "out.mid", "--instrument", &instrument];
        if case["status"] == "ok" {
            check(folder.path(), &arguments, 0);
            let expected = fs::read(cases.join(case["mid"].as_str().unwrap())).unwrap();
            assert!(fs::read(folder.path().join("out.mid")).unwrap() == expected, "{case}");
        } else {
            check(folder.path(), &arguments, 1);
        }
        checked += 1;
    }
    assert!(checked > 5, "{checked} cases");
}

#[test]
fn a_folder_keeps_its_shape_and_is_not_converted_twice() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write_midi(&root.join("in/a.mid"), &melody(1, 8));
    write_midi(&root.join("in/deep/er/b.mid"), &melody(2, 8));
    write_midi(&root.join("in/deep/c.MID"), &melody(3, 8));
    fs::write(root.join("in/notes.txt"), "not music").unwrap();
    check(root, &["encode", "in", "out", "--jobs", "2"], 0);
    assert_eq!(files_below(&root.join("out")), ["a.txt", "deep/er/b.txt"].map(PathBuf::from));

    // What is there is left alone, so an interrupted run can be repeated.
    fs::write(root.join("out/a.txt"), "mine").unwrap();
    let said = check(root, &["encode", "in", "out"], 0);
    assert!(said.contains("2 there already"), "{said}");
    assert_eq!(fs::read_to_string(root.join("out/a.txt")).unwrap(), "mine");
    check(root, &["encode", "in", "out", "--force"], 0);
    assert_ne!(fs::read_to_string(root.join("out/a.txt")).unwrap(), "mine");
}

#[test]
fn beat_ids_come_back_as_the_same_ids() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write_midi(&root.join("in/a.mid"), &melody(1, 40));
    check(root, &["encode", "in", "ids", "--encoding", "beat"], 0);
    check(root, &["decode", "ids", "midi", "--encoding", "beat"], 0);
    check(root, &["encode", "midi", "again", "--encoding", "beat"], 0);
    let ids = |folder: &str| fs::read_to_string(root.join(folder).join("a.ids")).unwrap();
    assert!(ids("ids").split(' ').count() > 80);
    assert_eq!(ids("ids"), ids("again"));
}

#[test]
fn ids_of_every_encoding_come_back_as_the_same_music() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let song = melody(1, 40);
    write_midi(&root.join("in/a.mid"), &song);
    for encoding in ["beat", "anticipation", "midilike"] {
        let (ids, midi) = (format!("ids-{encoding}"), format!("midi-{encoding}"));
        check(root, &["encode", "in", &ids, "--encoding", encoding], 0);
        check(root, &["decode", &ids, &midi, "--encoding", encoding], 0);
        let back = midi::read(&fs::read(root.join(&midi).join("a.mid")).unwrap()).unwrap();
        let parts = |score: &Score| -> Vec<(f64, u8)> {
            score.notes.iter().map(|note| (score.beats(note.start), note.pitch)).collect()
        };
        assert_eq!(parts(&back), parts(&song), "{encoding}");
    }
}

#[test]
fn anticipation_and_midilike_ids_are_those_of_the_golden_files() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let fixtures = golden().join("..");
    let song = fixtures.join("anticipation/amt_syn.mid");
    check(root, &["encode", song.to_str().unwrap(), "a.ids", "--encoding", "anticipation"], 0);
    let expected =
        "0 10050 11060 0 10050 11064 0 10050 11067 51 10012 11072 1563 10999 11074 3063 10006 27420";
    assert_eq!(fs::read_to_string(root.join("a.ids")).unwrap(), expected);
    // C, E, G and the C above, a rest, and D: MidiTok's own example.
    let note = |start, pitch, duration, velocity| Note {
        start,
        instrument: Instrument::PIANO,
        pitch,
        duration,
        velocity,
    };
    let mut chord = Score::new(480);
    chord.notes = vec![
        note(0, 60, 480, 90),
        note(0, 64, 480, 80),
        note(0, 67, 480, 70),
        note(480, 72, 240, 100),
        note(1680, 74, 120, 1),
    ];
    write_midi(&root.join("chord.mid"), &chord);
    check(root, &["encode", "chord.mid", "m.ids", "--encoding", "midilike"], 0);
    let expected = "512 64 282 68 279 71 277 299 192 196 199 76 284 295 204 491 78 260 293 206";
    assert_eq!(fs::read_to_string(root.join("m.ids")).unwrap(), expected);
}

#[test]
fn a_run_stops_at_the_first_refusal_if_asked_to() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for number in 0..40 {
        fs::create_dir_all(root.join("in")).unwrap();
        fs::write(root.join(format!("in/{number}.mid")), "no music").unwrap();
    }
    let said = check(root, &["encode", "in", "out", "--fail-fast", "--jobs", "1"], 1);
    assert!(said.contains("39 left"), "{said}");
    let said = check(root, &["encode", "in", "out", "--keep-going"], 1);
    assert!(said.contains("40 refused") && said.contains("... and 20 more"), "{said}");
    check(root, &["encode", "in", "out", "--keep-going", "--fail-fast"], 2);
}

#[test]
fn two_files_never_become_one() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write_midi(&root.join("in/a.mid"), &melody(1, 8));
    write_midi(&root.join("in/a.midi"), &melody(2, 8));
    let said = check(root, &["encode", "in", "out", "--encoding", "beat"], 1);
    assert!(said.contains("a.midi") && said.contains("rename one of them"), "{said}");
    assert_eq!(files_below(&root.join("out")), [PathBuf::from("a.ids")]);
}

#[test]
fn what_a_killed_run_left_is_swept_up() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write_midi(&root.join("in/a.mid"), &melody(1, 8));
    fs::create_dir(root.join("out")).unwrap();
    fs::write(root.join("out/.continuo-lock"), "").unwrap();
    fs::write(root.join("out/.continuo-77-1.tmp"), "half").unwrap();
    check(root, &["encode", "in", "out"], 0);
    assert_eq!(files_below(&root.join("out")), [PathBuf::from("a.txt")]);
}

#[test]
fn notes_the_grid_doubles_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let mut song = melody(1, 8);
    let first = song.notes[0];
    // A tick later: the same step, the same pitch.
    song.notes.push(Note { start: first.start + 1, ..first });
    let track = |notes| Track { name: String::new(), notes };
    let twice = midi::write_tracks(&song, &[track(song.notes[..8].to_vec()), track(vec![song.notes[8]])]);
    fs::create_dir(root.join("in")).unwrap();
    fs::write(root.join("in/a.mid"), twice).unwrap();
    let said = check(root, &["encode", "in", "out", "--encoding", "beat"], 0);
    assert!(said.contains("9 notes; 1 doubled another at one grid point"), "{said}");
}

#[test]
fn beginners_are_told_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::create_dir(root.join("empty")).unwrap();
    fs::write(root.join("file.txt"), "60_0.0_1.0_90.0").unwrap();
    write_midi(&root.join("in/a.mid"), &melody(1, 8));
    let cases: &[(&[&str], &str)] = &[
        (&["encode", "nowhere", "out"], "nowhere does not exist"),
        (&["encode", "empty", "out"], "no file whose name ends in exactly .mid"),
        (&["encode", "in", "file.txt"], "file.txt is a file; name a folder"),
        (&["encode", "in/a.mid", "empty"], "empty is a folder"),
        (&["encode", "in/a.mid", "in/../in/a.mid"], "would be overwritten"),
        (&["encode", "file.txt", "out.txt"], "is it the right file?"),
        (&["decode", "in/a.mid", "out.mid"], "in/a.mid"),
        (&["decode", "file.txt", "out.mid", "--encoding", "beat"], "not a token id"),
    ];
    for (arguments, expected) in cases {
        let said = check(root, arguments, 1);
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
    assert!(!root.join("out.txt").exists() && !root.join("out.mid").exists());
    // A single file goes to the exact name, whose folders are made.
    check(root, &["encode", "in/a.mid", "new/folder/song.text"], 0);
    assert!(root.join("new/folder/song.text").exists());
}
