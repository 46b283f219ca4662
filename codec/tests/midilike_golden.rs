//! MidiTok's own output: its ids for every golden file, its vocabulary, and the
//! files it refuses.
//!
//! Where `CONTINUO_SHARED` names a folder with more golden sets in
//! `golden/shared_only`, these are held to the same.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use continuo_codec::midilike::{MidiLikeError, encode_midi};
use continuo_codec::{Encoding, MidiLike, midi};
use serde_json::Value;

const SETS: [&str; 4] = ["synthetic", "freedoom_bsd3", "mutopia_pd", "pianobooster_ccby"];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn text(name: &str) -> String {
    fs::read_to_string(fixtures().join("midilike").join(name)).unwrap()
}

/// Folders of MIDI files, each with what MidiTok made of them.
fn sets() -> Vec<(PathBuf, Value)> {
    let here = SETS.map(|set| {
        let ids = fixtures().join("midilike").join(set).with_extension("json");
        (fixtures().join("text").join(set), json(&ids))
    });
    let mut sets = here.to_vec();
    if let Some(shared) = std::env::var_os("CONTINUO_SHARED") {
        for entry in fs::read_dir(Path::new(&shared).join("golden/shared_only")).unwrap() {
            let folder = entry.unwrap().path();
            let ids = json(&folder.join("miditok_v2.json"));
            sets.push((folder, ids));
        }
    }
    sets
}

/// Every golden file with its ids, or without them where it is refused.
fn files() -> Vec<(PathBuf, Option<Vec<u32>>)> {
    let mut files = Vec::new();
    for (folder, set) in sets() {
        for (name, made) in set.as_object().unwrap() {
            let ids = made.get("ids").map(|ids| serde_json::from_value(ids.clone()).unwrap());
            assert_ne!(ids.is_some(), made.get("error").is_some(), "{name}");
            files.push((folder.join(name), ids));
        }
    }
    files
}

#[test]
fn every_golden_file_is_spelled_or_refused_as_miditok_does() {
    let files = files();
    assert!(files.len() >= 152, "{} golden files", files.len());
    for (path, expected) in files {
        let ids = encode_midi(&fs::read(&path).unwrap());
        match expected {
            Some(expected) => assert_eq!(ids.as_ref(), Ok(&expected), "{}", path.display()),
            None => assert!(ids.is_err(), "{} is refused by MidiTok", path.display()),
        }
    }
}

#[test]
fn refusals_say_what_is_wrong_and_where() {
    for (name, at, what) in [
        ("clock_running_status", 28, "a data byte above 127"),
        ("err_cc_value_high", 24, "a data byte above 127"),
        ("err_division_zero", 12, "a division of 0"),
        ("err_not_midi", 0, "not a MIDI file"),
        ("err_running_status_first", 23, "where a status has to be"),
        ("err_track_size_long", 14, "longer than what is left of the file"),
        ("err_track_size_short", 32, "longer than its track"),
        ("err_undefined_f4", 23, "does not define"),
        ("header_len_10", 4, "length is not 6"),
        ("smpte_division_25x40", 12, "SMPTE"),
        ("type9_header", 8, "a type above 2"),
    ] {
        let bytes = fs::read(fixtures().join("text/synthetic").join(name).with_extension("mid")).unwrap();
        match encode_midi(&bytes) {
            Err(MidiLikeError::Midi { offset, reason }) => {
                assert!(reason.contains(what), "{name}: {reason}");
                assert_eq!(offset, at, "{name}: {reason}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn what_miditok_spells_is_read_back_and_spelled_the_same() {
    let encoding = MidiLike::default();
    for (path, ids) in files() {
        let Some(ids) = ids else { continue };
        let score = encoding.decode(&ids).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let again = encoding.encode(&score).unwrap();
        assert_eq!(encoding.decode(&again).unwrap(), score, "{}", path.display());
        let ons = |ids: &[u32]| ids.iter().filter(|&&id| (260..292).contains(&id)).count();
        assert_eq!((ons(&again), score.notes.len()), (ons(&ids), ons(&ids)), "{}", path.display());
    }
}

#[test]
fn a_score_has_the_ids_of_its_file() {
    let encoding = MidiLike::default();
    let (mut same, mut all) = (0, 0);
    for (path, ids) in files() {
        let (Some(ids), Ok(score)) = (ids, midi::read(&fs::read(&path).unwrap())) else { continue };
        let written = midi::write(&score);
        // Writing leaves out notes that begin together with a longer one of their pitch.
        let score_as_written = midi::read(&written).unwrap();
        let mut spelled = encoding.encode(&score_as_written).unwrap();
        let mut from_file = encode_midi(&written).unwrap();
        let instruments: BTreeSet<_> = score_as_written.notes.iter().map(|note| note.instrument).collect();
        if usize::from(written[11]) > instruments.len() + 1 {
            // Notes that overlap have tracks of their own, which stand later in chords.
            spelled.sort_unstable();
            from_file.sort_unstable();
        }
        assert_eq!(from_file, spelled, "{}", path.display());
        all += 1;
        same += usize::from(encoding.encode(&score).unwrap() == ids);
    }
    // The others have chords in another order than a score has, or what symusic and
    // a score read differently.
    println!("{same} of {all} files have the ids of their score");
    assert!(same * 2 > all, "{same} of {all}");
}

#[test]
fn the_examples_are_what_they_say() {
    let encoding = MidiLike::default();
    let examples = text("examples.txt");
    let mut lines = examples.lines();
    let mut read = 0;
    while let (Some(ids), Some(names)) = (lines.next(), lines.next()) {
        let Some((_, ids)) = ids.split_once('[') else { break };
        let ids: Vec<u32> = ids.trim_end_matches(']').split(", ").map(|id| id.parse().unwrap()).collect();
        let names = names.trim().trim_matches(['[', ']']).split(", ").map(|name| name.trim_matches('\''));
        let named: Vec<_> = ids.iter().filter_map(|&id| encoding.name_of(id)).collect();
        assert!(named.iter().eq(names), "{named:?}");
        let score = encoding.decode(&ids).unwrap();
        assert_eq!(encoding.encode(&score).unwrap(), ids);
        read += 1;
    }
    assert_eq!(read, 5);
}

#[test]
fn the_vocabulary_is_miditok_s() {
    for encoding in [MidiLike::default(), MidiLike::from_tokenizer_json(&text("tokenizer.json")).unwrap()] {
        let vocab: Value = serde_json::from_str(&text("vocab.json")).unwrap();
        let vocab = vocab.as_object().unwrap();
        assert_eq!((vocab.len(), encoding.vocab_size()), (641, 641));
        for (name, id) in vocab {
            let id = u32::try_from(id.as_u64().unwrap()).unwrap();
            assert_eq!(encoding.name_of(id).as_ref(), Some(name));
        }
        assert_eq!(encoding.name_of(641), None);
    }
}

/// The tokenizer with some settings changed.
fn changed(changes: &[(&str, Value)]) -> Result<MidiLike, MidiLikeError> {
    let mut file: Value = serde_json::from_str(&text("tokenizer.json")).unwrap();
    for (name, value) in changes {
        match file["config"].get_mut(name) {
            Some(setting) => *setting = value.clone(),
            None => file[name] = value.clone(),
        }
    }
    MidiLike::from_tokenizer_json(&file.to_string())
}

#[test]
fn a_setting_that_cannot_be_kept_is_named() {
    for (name, value) in [
        ("tokenization", Value::from("REMI")),
        ("_model", Value::from("{}")),
        ("use_tempos", Value::from(true)),
        ("use_chords", Value::from(true)),
        ("use_time_signatures", Value::from(true)),
        ("use_programs", Value::from(false)),
        ("program_changes", Value::from(false)),
        ("remove_duplicated_notes", Value::from(true)),
        ("num_velocities", Value::from(0)),
        ("num_velocities", Value::from("many")),
        ("pitch_range", serde_json::json!([100, 20])),
        ("drums_pitch_range", serde_json::json!([27])),
        ("beat_res", serde_json::json!({"0_4": 8, "5_12": 4})),
        ("beat_res", serde_json::json!({"0_4": 4, "4_12": 8})),
        ("beat_res", serde_json::json!({"0_4": 0})),
        ("beat_res_rest", serde_json::json!({"0_4": 3})),
        ("programs", serde_json::json!([0, 0])),
        ("programs", serde_json::json!([128])),
        ("use_note_duration_programs", serde_json::json!([0])),
        ("special_tokens", serde_json::json!(["PAD"])),
    ] {
        match changed(&[(name, value.clone())]) {
            Err(error @ MidiLikeError::Setting { .. }) => {
                assert!(error.to_string().contains(&format!("`{name}`")), "{error}");
            }
            other => panic!("{name} {value}: {other:?}"),
        }
    }
    assert!(matches!(MidiLike::from_tokenizer_json("{"), Err(MidiLikeError::Json(_))));
}

/// MidiTok 3.1.0's vocabulary and ids with other settings, made with MidiTok itself.
#[test]
fn other_settings_make_other_ids() {
    let others = json(&fixtures().join("midilike/other_settings.json"));
    for other in others.as_array().unwrap() {
        let changes: Vec<_> = other["settings"].as_object().unwrap().iter().collect();
        let changes: Vec<_> = changes.iter().map(|(name, value)| (name.as_str(), (*value).clone())).collect();
        let encoding = changed(&changes).unwrap();
        let names: Vec<String> = serde_json::from_value(other["vocab"].clone()).unwrap();
        let own: Vec<_> = (0..).map_while(|id| encoding.name_of(id)).collect();
        assert_eq!(own, names, "{changes:?}");
        for (file, ids) in other["files"].as_object().unwrap() {
            let bytes = fs::read(fixtures().join("text").join(file)).unwrap();
            let ids: Vec<u32> = serde_json::from_value(ids.clone()).unwrap();
            assert_eq!(encoding.encode_midi(&bytes), Ok(ids.clone()), "{file} {changes:?}");
            let score = encoding.decode(&ids).unwrap();
            assert_eq!(encoding.decode(&encoding.encode(&score).unwrap()).unwrap(), score, "{file}");
        }
    }
}
