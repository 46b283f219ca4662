//! The anticipation encoding against the original's own output: ids of every
//! MIDI file of the fixtures, refusals, the way back, and what is done to
//! sequences.
//!
//! Where `CONTINUO_SHARED` names a folder with more golden files in
//! `golden/anticipation`, these are held to the same.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::fs;
use std::path::{Path, PathBuf};

use continuo_codec::anticipation::{AnticipationError, Span, decode_midi, encode_midi, ops, prompt};
use continuo_codec::{Anticipation, Encoding, Instrument, midi};
use serde_json::Value;
use sha2::{Digest, Sha256};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn json(name: &str) -> Value {
    serde_json::from_slice(&fs::read(fixtures().join("anticipation").join(name)).unwrap()).unwrap()
}

fn ids(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(number).collect()
}

fn number(value: &Value) -> u32 {
    u32::try_from(value.as_u64().unwrap()).unwrap()
}

/// The SHA-256 of ids joined by spaces.
fn hash(ids: &[u32]) -> String {
    let words: Vec<String> = ids.iter().map(u32::to_string).collect();
    Sha256::digest(words.join(" ")).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Events by time, duration and note.
fn sorted(ids: &[u32]) -> Vec<u32> {
    let mut events = ids.as_chunks::<3>().0.to_vec();
    events.sort_unstable();
    events.into_flattened()
}

#[test]
fn every_file_is_spelled_or_refused_as_the_original_does() {
    let expected = json("ids.json");
    let mut refused = 0;
    for (name, expected) in expected.as_object().unwrap() {
        let found = encode_midi(&fs::read(fixtures().join("text").join(name)).unwrap());
        if expected["error"] == true {
            assert!(found.is_err(), "{name}");
            refused += 1;
            continue;
        }
        let found = found.unwrap();
        assert_eq!((found.len(), hash(&found).as_str()), length_and_hash(expected), "{name}");
    }
    assert_eq!((expected.as_object().unwrap().len(), refused), (307, 33));
}

fn length_and_hash(expected: &Value) -> (usize, &str) {
    (usize::try_from(expected["n"].as_u64().unwrap()).unwrap(), expected["sha256"].as_str().unwrap())
}

#[test]
fn files_written_back_have_the_original_s_notes() {
    let expected = json("ids.json");
    let mut compared = 0;
    for (name, expected) in expected.as_object().unwrap() {
        // Files in which notes overlap are written in another way.
        let Some(back) = expected["back"].as_str() else { continue };
        let found = encode_midi(&fs::read(fixtures().join("text").join(name)).unwrap()).unwrap();
        let written = encode_midi(&decode_midi(&found).unwrap()).unwrap();
        assert_eq!(hash(&sorted(&written)), back, "{name}");
        compared += 1;
    }
    assert_eq!(compared, 153);
}

#[test]
fn scores_are_spelled_as_their_files() {
    // Files that lose nothing on their way through a score; the order of chords
    // may differ.
    let mut compared = 0;
    for name in json("ids.json").as_object().unwrap().keys() {
        if !name.starts_with("mutopia_pd") && !name.starts_with("pianobooster_ccby") {
            continue;
        }
        let bytes = fs::read(fixtures().join("text").join(name)).unwrap();
        let spelled = Anticipation.encode(&midi::read(&bytes).unwrap()).unwrap();
        assert_eq!(sorted(&spelled), sorted(&encode_midi(&bytes).unwrap()), "{name}");
        compared += 1;
    }
    assert!(compared >= 19, "{compared}");
}

#[test]
fn the_published_example_is_spelled() {
    let example = fs::read(fixtures().join("anticipation/amt_syn.mid")).unwrap();
    assert_eq!(encode_midi(&example).unwrap(), ids(&json("amt.json")["syn.mid"]));
    let Some(shared) = std::env::var_os("CONTINUO_SHARED") else { return };
    let strawberry = fs::read(Path::new(&shared).join("golden/anticipation/strawberry.mid")).unwrap();
    let found = encode_midi(&strawberry).unwrap();
    assert_eq!(found[..60], ids(&json("amt.json")["strawberry_first60"]));
    assert_eq!(found.len(), 3 * 2868);
    assert_eq!(hash(&found), "dde43893969c51e29505b294a8ea1f98dcd7151f39f123eaf73f99a0b10d789f");
}

#[test]
fn controls_are_put_among_events_as_the_original_does() {
    let case = &json("amt.json")["interleave"];
    let (tokens, rest) = ops::anticipate(&ids(&case["events"]), &ids(&case["controls"]));
    assert_eq!((tokens, rest), (ids(&case["tokens"]), ids(&case["rest"])));
}

#[test]
fn sequences_are_changed_as_the_original_changes_them() {
    let cases = json("ops.json");
    for case in cases.as_array().unwrap() {
        let (events, controls) = (ids(&case["events"]), ids(&case["controls"]));
        let padded = ops::pad(&events, number(&case["until"])).unwrap();
        assert_eq!(padded, ids(&case["padded"]));
        let (tokens, rest) = ops::anticipate(&padded, &controls);
        assert_eq!((&tokens, &rest), (&ids(&case["tokens"]), &ids(&case["rest"])));
        assert_eq!(ops::clip(&tokens, number(&case["lo"]), number(&case["hi"])), ids(&case["clip"]));
        assert_eq!(ops::unpad(&tokens), ids(&case["unpadded"]));
        let reversed: Vec<u32> = events.as_chunks::<3>().0.iter().rev().flatten().copied().collect();
        assert_eq!(ops::sort(&reversed), ids(&case["sorted"]));
        let (found, controlled) = ops::split(&tokens);
        assert_eq!((found, [controlled, rest].concat()), (padded, controls));

        let tail = &tokens[number(&case["k"]) as usize..];
        assert_eq!(ops::min_time(tail), number(&case["min"]));
        assert_eq!(ops::max_time(tail), number(&case["max"]));
        let moved = ops::translate(tail, -i64::from(ops::min_time(tail))).unwrap();
        assert_eq!(moved, ids(&case["moved"]));
    }
    assert_eq!(cases.as_array().unwrap().len(), 30);
}

#[test]
fn prompts_are_what_the_original_s_model_reads_first() {
    let cases = json("prompts.json");
    let mut full = 0;
    for case in cases.as_array().unwrap() {
        let (past, controls) = (ids(&case["past"]), ids(&case["controls"]));
        let span = Span { from: f64::from(number(&case["from"])), until: f64::from(number(&case["until"])) };
        let expected = ids(&case["prompt"]);
        // The original's prompts have room for the three ids that follow.
        let made = prompt(&past, &controls, span, &[Instrument::PIANO], 1018).unwrap();
        assert_eq!(made.ids, expected);
        full += u32::from(expected.len() == 1018);
    }
    assert_eq!((cases.as_array().unwrap().len(), full > 0), (24, true));
}

#[test]
fn a_sequence_is_not_moved_below_0_nor_filled_for_more_than_an_hour() {
    assert_eq!(ops::translate(&[5, 10_000, 27_512], -6), None);
    assert_eq!(ops::translate(&[27_518, 37_513, 38_513], -6), None);
    assert_eq!(ops::translate(&[5, 10_000, 27_512], i64::from(u32::MAX)), None);
    assert_eq!(ops::pad(&[], 360_000).unwrap().len(), 3 * 3599);
    assert!(ops::pad(&[], 360_001).is_err());
}

#[test]
fn refusals_say_what_is_wrong_and_where() {
    for (name, offset, reason) in [
        ("err_cc_value_high", 25, "a data byte above 127"),
        ("err_division_zero", 12, "division is 0"),
        ("err_not_midi", 0, "not a MIDI file"),
        ("err_timesig_denom_2p31_track1", 44, "denominator"),
        ("smpte_division_25x40", 12, "SMPTE"),
        ("type2_two_tracks", 8, "type 2"),
    ] {
        let file = fixtures().join("text/synthetic").join(name).with_extension("mid");
        match encode_midi(&fs::read(file).unwrap()) {
            Err(AnticipationError::Midi { offset: o, reason: r }) => {
                assert!(r.contains(reason), "{name}: {r}");
                assert_eq!(o, offset, "{name}: {r}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
    let empty = fs::read(fixtures().join("text/synthetic/empty_no_notes.mid")).unwrap();
    assert_eq!(encode_midi(&empty), Err(AnticipationError::NoNotes));
}

#[test]
fn what_the_text_s_reader_refuses_and_mido_does_not_is_spelled() {
    // A track without events, a tempo of 0, and a division of 0 where no time
    // passes.
    let file = |division: u8, track: &[u8]| {
        let length = u8::try_from(track.len()).unwrap();
        let head = [b"MThd\0\0\0\x06\0\x01\0\x02\0", &[division][..], b"MTrk\0\0\0\0MTrk\0\0\0", &[length]];
        [&head.concat(), track].concat()
    };
    let note = [0, 0x90, 60, 64, 0, 60, 0];
    assert_eq!(encode_midi(&file(0, &note)), Ok(vec![0, 10_000, 11_060]));
    assert!(encode_midi(&file(0, &[&note[..], &[1, 0xff, 0x2f, 0]].concat())).is_err());
    // The tempo stops time; the second note comes at once and is never closed.
    let still = [0, 0xff, 0x51, 3, 0, 0, 0, 50, 0x90, 60, 64, 50, 61, 64, 9, 0x80, 60, 0];
    assert_eq!(encode_midi(&file(96, &still)), Ok(vec![0, 10_000, 11_060, 0, 10_025, 11_061]));
}

#[test]
fn damage_anywhere_is_survived() {
    let original = fs::read(fixtures().join("text/pianobooster_ccby/02-LavendersBlue.mid")).unwrap();
    let mut state = 11_u64;
    let mut random = |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(state >> 33).unwrap() % bound
    };
    let mut spelled = 0;
    for _ in 0..3000 {
        let mut bytes = original.clone();
        for _ in 0..=random(3) {
            bytes[random(original.len())] = u8::try_from(random(256)).unwrap();
        }
        if let Ok(ids) = encode_midi(&bytes) {
            spelled += 1;
            decode_midi(&ids).unwrap();
        }
    }
    assert!(spelled > 500, "{spelled}");
}
