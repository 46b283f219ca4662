//! `encode` and `decode`, held to the golden files of the text encoding.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use continuo_codec::midi;
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
    assert!(said.contains("refused files are listed in refused.jsonl"), "{said}");
    // Without a report, that there could be one is told.
    let said = check(folder.path(), &["encode", input.to_str().unwrap(), "out", "--keep-going"], 1);
    assert!(said.contains("--report FILE.jsonl"), "{said}");
}

#[test]
fn the_first_refusal_ends_a_run_that_fails_fast() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::create_dir_all(root.join("in")).unwrap();
    fs::write(root.join("in/a.mid"), "not music").unwrap();
    write_midi(&root.join("in/b.mid"), &melody(1, 8));
    for option in ["--fail-fast", "--no-keep-going"] {
        let said = check(root, &["encode", "in", "out", option, "--jobs", "1"], 1);
        assert!(
            said.contains("1 refused, 1 left; the same command goes on, past what is refused without"),
            "{said}"
        );
        assert!(!root.join("out/b.txt").exists());
    }
    check(root, &["encode", "in", "out", "--fail-fast", "--keep-going"], 2);
    let said = check(root, &["encode", "in", "out"], 1);
    assert!(said.contains("1 converted, 0 there already, 1 refused"), "{said}");
    assert!(root.join("out/b.txt").exists());
}

#[test]
fn two_names_never_become_one() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for (seed, name) in ["song.midi", "song.MID", "song.mid", "other.Midi"].iter().enumerate() {
        write_midi(&root.join("in").join(name), &melody(u32::try_from(seed).unwrap(), 8));
    }
    let arguments = ["encode", "in", "out", "--encoding", "beat", "--report", "refused.jsonl"];
    let said = check(root, &arguments, 1);
    assert!(said.contains("2 converted, 0 there already, 2 refused"), "{said}");
    assert!(said.contains("as in/song.mid is; rename one"), "{said}");
    assert_eq!(files_below(&root.join("out")), ["other.ids", "song.ids"].map(PathBuf::from));
    let report = fs::read_to_string(root.join("refused.jsonl")).unwrap();
    let named = |name: &str| report.lines().any(|line| line.contains(&format!("\"file\":\"{name}\"")));
    assert!(named("in/song.MID") && named("in/song.midi"), "{report}");
    // And they stay refused when the other is there already.
    let said = check(root, &arguments, 1);
    assert!(said.contains("0 converted, 2 there already, 2 refused"), "{said}");
    // The one whose name ends as it should is the one that was taken.
    check(root, &["encode", "in/song.mid", "single.ids", "--encoding", "beat"], 0);
    let ids = |path: &str| fs::read(root.join(path)).unwrap();
    assert_eq!(ids("out/song.ids"), ids("single.ids"));
}

#[cfg(target_os = "linux")]
#[test]
fn names_that_are_not_utf_8_stay_apart() {
    use std::os::unix::ffi::OsStrExt as _;
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for byte in [0xfe, 0xff] {
        let name = [b'a', byte, b'.', b'm', b'i', b'd'];
        write_midi(&root.join("in").join(std::ffi::OsStr::from_bytes(&name)), &melody(byte.into(), 8));
    }
    let said = check(root, &["encode", "in", "out"], 0);
    assert!(said.contains("2 converted"), "{said}");
    assert_eq!(files_below(&root.join("out")).len(), 2);
}

#[test]
fn what_a_killed_run_left_is_cleared_away_and_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write_midi(&root.join("in/a.mid"), &melody(1, 8));
    write_midi(&root.join("in/deep/b.mid"), &melody(2, 8));
    check(root, &["encode", "in", "expected"], 0);
    fs::create_dir_all(root.join("out/deep")).unwrap();
    // A lock that nobody holds, a file half written, and one that a power cut emptied.
    fs::write(root.join("out/.continuo-lock"), "").unwrap();
    fs::write(root.join("out/deep/.continuo-4000000-7.tmp"), "60_0.0_").unwrap();
    fs::write(root.join("out/a.txt"), "").unwrap();
    let said = check(root, &["encode", "in", "out"], 0);
    assert!(said.contains("2 converted"), "{said}");
    assert_eq!(files_below(&root.join("out")), files_below(&root.join("expected")));
    assert_eq!(fs::read(root.join("out/a.txt")).unwrap(), fs::read(root.join("expected/a.txt")).unwrap());
}

#[test]
fn the_unfinished_files_of_a_run_that_lives_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write_midi(&root.join("in/a.mid"), &melody(1, 8));
    fs::create_dir_all(root.join("out")).unwrap();
    let lock = fs::File::create(root.join("out/.continuo-lock")).unwrap();
    lock.lock_shared().unwrap();
    fs::write(root.join("out/.continuo-4000000-7.tmp"), "60_0.0_").unwrap();
    check(root, &["encode", "in", "out"], 0);
    assert!(root.join("out/.continuo-4000000-7.tmp").exists());
    assert!(root.join("out/.continuo-lock").exists());
}

#[test]
fn what_beat_does_not_keep_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let mut score = melody(1, 10);
    let mut doubled = score.notes[0];
    // A tick later, too short for a step, and again longer than any duration.
    (doubled.start, doubled.duration, doubled.pitch) = (1, 1, 20);
    score.notes.push(doubled);
    (doubled.start, doubled.duration) = (2, 40 * 480);
    score.notes.push(doubled);
    score.normalize();
    write_midi(&root.join("in/a.mid"), &score);
    let said = check(root, &["encode", "in", "out", "--encoding", "beat"], 0);
    let expected =
        "12 notes; 1 doubled another at one grid point, 1 lengthened to the shortest, 1 cut to the longest";
    assert!(said.contains(expected), "{said}");
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

/// `*.mid` is two names where a folder has two files: the second was replaced once.
#[test]
fn a_second_midi_file_is_not_taken_for_a_result() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write_midi(&root.join("a.mid"), &melody(1, 8));
    write_midi(&root.join("b.mid"), &melody(2, 8));
    let before = fs::read(root.join("b.mid")).unwrap();
    let said = check(root, &["encode", "a.mid", "b.mid"], 1);
    assert!(said.contains("b.mid, is there already") && said.contains("--force"), "{said}");
    assert_eq!(fs::read(root.join("b.mid")).unwrap(), before);
    check(root, &["encode", "a.mid", "a.txt"], 0);
    fs::copy(root.join("a.txt"), root.join("b.txt")).unwrap();
    check(root, &["decode", "a.txt", "b.txt"], 1);
    check(root, &["encode", "a.mid", "b.txt"], 0);
    check(root, &["encode", "a.mid", "b.mid", "--force"], 0);
    assert_eq!(fs::read(root.join("b.mid")).unwrap(), fs::read(root.join("a.txt")).unwrap());
}

#[test]
fn ids_that_are_none_are_reported_with_their_byte() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::create_dir(root.join("in")).unwrap();
    for (name, ids) in
        [("a", " \n"), ("b", "1  16 53 x"), ("c", "1 16  53 2"), ("d", "1 16 53 116 168 127 160 2")]
    {
        fs::write(root.join("in").join(name).with_extension("ids"), ids).unwrap();
    }
    #[cfg(unix)]
    std::os::unix::fs::symlink("nowhere", root.join("in/e.ids")).unwrap();
    let said = check(root, &["decode", "in", "out", "--encoding", "beat", "--report", "r.jsonl"], 1);
    assert!(said.contains("1 converted"), "{said}");
    let report = fs::read_to_string(root.join("r.jsonl")).unwrap();
    let rows: Vec<serde_json::Value> =
        report.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let offsets: Vec<_> = rows.iter().map(|row| row["offset"].as_u64()).collect();
    assert_eq!(offsets[..3], [Some(2), Some(9), Some(9)], "{report}");
    for (row, part) in rows.iter().zip(["no token id", "word 4 is \"x\"", "--encoding", "cannot read"]) {
        assert!(row["reason"].as_str().unwrap().contains(part), "{row}");
    }
    assert_eq!(rows.len(), if cfg!(unix) { 4 } else { 3 });
}

/// 352 of 3,389 files did not: `decode` cut notes that overlap one of their pitch.
#[test]
fn notes_that_overlap_come_back_by_way_of_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::write(root.join("a.ids"), "1 16 53 116 168 127 160 509 581 836 192 581 788 2").unwrap();
    check(root, &["decode", "a.ids", "a.mid", "--encoding", "beat"], 0);
    check(root, &["encode", "a.mid", "b.ids", "--encoding", "beat"], 0);
    assert_eq!(fs::read(root.join("b.ids")).unwrap(), fs::read(root.join("a.ids")).unwrap());
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
fn beginners_are_told_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::create_dir(root.join("empty")).unwrap();
    fs::write(root.join("file.txt"), "60_0.0_1.0_90.0").unwrap();
    write_midi(&root.join("in/a.mid"), &melody(1, 8));
    let cases: &[(&[&str], &str)] = &[
        (&["encode", "nowhere", "out"], "nowhere does not exist"),
        (&["encode", "empty", "out"], "no file whose name ends in exactly .mid"),
        (&["decode", "in", "out"], "with --encoding whose they are"),
        (&["encode", "in", "file.txt"], "file.txt is a file; name a folder"),
        (&["encode", "in/a.mid", "empty"], "empty is a folder"),
        (&["encode", "in/a.mid", "in/../in/a.mid"], "would be overwritten"),
        (&["encode", "file.txt", "out.txt"], "is it the right file?"),
        (&["decode", "in/a.mid", "out.mid"], "in/a.mid"),
        (&["decode", "file.txt", "out.mid", "--encoding", "beat"], "not a token id"),
        (&["encode", "in", "out", "--report", "in/a.mid"], "write over in/a.mid"),
        (&["encode", "in/a.mid", "out.text", "--report", "out.text"], "write over out.text"),
        (&["encode", "in", "made", "--report", "made/a.txt"], "write over made/a.txt"),
    ];
    for (arguments, expected) in cases {
        let said = check(root, arguments, 1);
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
    assert!(!root.join("out.txt").exists() && !root.join("out.mid").exists());
    assert!(midi::read(&fs::read(root.join("in/a.mid")).unwrap()).is_ok(), "the music is as it was");
    assert!(fs::read_to_string(root.join("made/a.txt")).unwrap().starts_with(char::is_numeric));
    // A report is replaced by the next, also one of no refusals, whatever its name.
    for _ in 0..2 {
        check(root, &["encode", "in", "out", "--report", "refused.txt"], 0);
    }
    // A single file goes to the exact name, whose folders are made.
    check(root, &["encode", "in/a.mid", "new/folder/song.text"], 0);
    assert!(root.join("new/folder/song.text").exists());
}

/// It was taken for the file, and the music was never converted.
#[test]
fn a_folder_where_a_file_belongs_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write_midi(&root.join("in/a.mid"), &melody(1, 8));
    fs::create_dir_all(root.join("out/a.txt")).unwrap();
    let said = check(root, &["encode", "in", "out"], 1);
    assert!(said.contains("cannot write out/a.txt") && said.contains("1 refused"), "{said}");
}

/// Notes on lines of their own were lost without a word.
#[test]
fn what_is_no_note_of_a_text_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::create_dir(root.join("in")).unwrap();
    fs::write(root.join("in/lines.txt"), "60_0.0_1.0_90.0\n61_1.0_1.0_90.0\n62_2.0_1.0_90.0 63_3_1_9")
        .unwrap();
    fs::write(root.join("in/spaces.txt"), "60_0.0_1.0_90.0 61_1.0_1.0_90.0").unwrap();
    for (from, to) in [("in", "out"), ("in/lines.txt", "out.mid")] {
        let said = check(root, &["decode", from, to], 0);
        assert!(said.contains("note: 1 passed over that are no notes"), "{said}");
    }
    let said = check(root, &["decode", "in/spaces.txt", "spaces.mid"], 0);
    assert!(!said.contains("passed over"), "{said}");
}

/// As many threads were started, whatever there was for them to do.
#[test]
fn there_are_no_more_threads_than_files() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write_midi(&root.join("in/a.mid"), &melody(1, 8));
    check(root, &["encode", "in", "out", "--jobs", &usize::MAX.to_string()], 0);
    check(root, &["encode", "in", "out", "--jobs", "0"], 2);
}

/// A folder that lies in itself by a link gave its files time and again, two of them without
/// an end.
#[cfg(unix)]
#[test]
fn links_that_lead_back_are_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write_midi(&root.join("in/a/one.mid"), &melody(1, 8));
    write_midi(&root.join("in/b/two.mid"), &melody(2, 8));
    for (link, to) in [("in/a/self", "."), ("in/a/other", "../b"), ("in/b/other", "../a"), ("in/b/all", "..")]
    {
        std::os::unix::fs::symlink(to, root.join(link)).unwrap();
    }
    check(root, &["encode", "in", "out"], 0);
    let found = files_below(&root.join("out"));
    for expected in ["a/one.txt", "a/other/two.txt", "b/two.txt", "b/other/one.txt"] {
        assert!(found.iter().any(|file| file == Path::new(expected)), "{found:?}");
    }
    assert_eq!(found.len(), 4, "{found:?}");
}

/// It ended in a panic, and without its report.
#[test]
fn a_reader_of_messages_that_goes_away_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write_midi(&root.join("in/a.mid"), &melody(1, 8));
    fs::write(root.join("in/b.mid"), "not music").unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = Command::new(env!("CARGO_BIN_EXE_continuo"));
    command.args(["encode", "in", "out", "--report", "refused.jsonl"]).current_dir(root).stderr(writer);
    assert_eq!(command.status().unwrap().code(), Some(1));
    assert_eq!(fs::read_to_string(root.join("refused.jsonl")).unwrap().lines().count(), 1);
    assert!(root.join("out/a.txt").exists());
}
