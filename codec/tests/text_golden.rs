//! The text against the seed's own output: every golden file in both directions,
//! refusals included, and the token ids of the texts.
//!
//! Where `CONTINUO_SHARED` names a folder with more golden sets in
//! `golden/shared_only`, these are held to the same.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::fs;
use std::path::{Path, PathBuf};

use continuo_codec::text::{TextError, TextInstrument, decode_midi, encode_midi};
use serde_json::Value;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/text")
}

/// The folders of golden files: those here, and those of the shared folder.
fn sets() -> Vec<PathBuf> {
    let names = ["synthetic", "freedoom_bsd3", "mutopia_pd", "pianobooster_ccby"];
    let mut sets: Vec<PathBuf> = names.iter().map(|name| fixtures().join(name)).collect();
    if let Some(shared) = std::env::var_os("CONTINUO_SHARED") {
        let more = fs::read_dir(Path::new(&shared).join("golden/shared_only")).unwrap();
        sets.extend(more.map(|entry| entry.unwrap().path()));
    }
    sets
}

fn files(set: &Path, extension: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(set).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == extension));
    files.sort();
    files
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn every_golden_file_is_spelled_or_refused_as_the_seed_does() {
    for set in sets() {
        let midis = files(&set, "mid");
        assert!(!midis.is_empty(), "{} is empty", set.display());
        for path in midis {
            let text = encode_midi(&fs::read(&path).unwrap());
            match fs::read_to_string(path.with_extension("txt")) {
                Ok(expected) => assert_eq!(text.as_deref(), Ok(expected.as_str()), "{}", path.display()),
                Err(_) => {
                    assert!(path.with_extension("err").exists(), "{}", path.display());
                    assert!(text.is_err(), "{} is refused by the seed", path.display());
                }
            }
        }
    }
}

#[test]
fn refusals_say_what_is_wrong_and_where() {
    for (name, offset, reason) in [
        ("clock_running_status", 25, "a status that has none"),
        ("err_alien_chunk", 14, "no `MTrk`"),
        ("err_cc_value_high", 25, "a data byte above 127"),
        ("err_channel_prefix_len0", 24, "channel prefix"),
        ("err_division_zero", 12, "division is 0"),
        ("err_empty_track_chunk", 61, "a track without events"),
        ("err_key_mode2", 24, "key signature"),
        ("err_more_tracks_than_present", 53, "ends early"),
        ("err_not_midi", 0, "not a MIDI file"),
        ("err_running_status_first", 23, "data byte where a status"),
        ("err_tempo_zero", 22, "a tempo of 0"),
        ("err_timesig_num0", 22, "a meter of 0"),
        ("err_timesig_denom_2p32_track0", 22, "2^30"),
        ("err_undefined_f4", 23, "does not define"),
        ("err_zero_bytes", 0, "ends early"),
        ("ntracks_negative", 10, "no tracks"),
        ("smpte_division_25x40", 12, "SMPTE"),
    ] {
        let bytes = fs::read(fixtures().join("synthetic").join(name).with_extension("mid")).unwrap();
        match encode_midi(&bytes) {
            Err(TextError::Midi { offset: o, reason: r }) => {
                assert!(r.contains(reason), "{name}: {r}");
                assert_eq!(o, offset, "{name}: {r}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
}

/// A type 0 file of one track.
fn file(division: [u8; 2], track: &[u8]) -> Vec<u8> {
    let length = u32::try_from(track.len()).unwrap().to_be_bytes();
    [b"MThd\0\0\0\x06\0\0\0\x01", &division[..], b"MTrk", &length, track].concat()
}

#[test]
fn ticks_count_to_ten_billion() {
    // 9,999,999,999 in base 128, and one more.
    for (high, low, refused) in [(71, 127, false), (72, 0, true)] {
        let pause = [0x80 | 37, 0x80 | 32, 0x80 | 47, 0x80 | high, low];
        let text = encode_midi(&file([0, 96], &[&pause[..], &[0xf8]].concat()));
        assert_eq!(text.is_err(), refused, "{text:?}");
    }
}

#[test]
fn a_key_after_the_start_of_an_smpte_file_is_refused() {
    // Time runs backwards there, and a key has no place before 0.
    let at = |tick| file([0xe7, 40], &[tick, 0xff, 0x59, 2, 0, 0, 0, 0xff, 0x2f, 0]);
    assert_eq!(encode_midi(&at(0)).as_deref(), Ok(""));
    assert!(matches!(encode_midi(&at(1)), Err(TextError::Midi { offset: 22, .. })));
}

#[test]
fn every_text_is_decoded_or_refused_as_the_seed_does() {
    let folder = fixtures().join("decode");
    for case in json(&folder.join("manifest.json")).as_array().unwrap() {
        let text = fs::read_to_string(folder.join(case["txt"].as_str().unwrap())).unwrap();
        let instrument = case["instrument"].as_str().unwrap_or_default().parse().unwrap();
        let midi = decode_midi(&text, instrument);
        match case["mid"].as_str() {
            Some(expected) => {
                let expected = fs::read(folder.join(expected)).unwrap();
                assert!(midi.as_ref() == Ok(&expected), "{case}: {midi:?}\n{expected:?}");
            }
            None => assert!(midi.is_err(), "{case}"),
        }
    }
}

#[test]
fn impossible_notes_are_named_by_their_place() {
    let decode = |text| decode_midi(text, TextInstrument::Piano).unwrap_err();
    for text in ["", " ", "57_0.0_0.5", "57.0_0.0_0.5_70.0 57_0.0_0.5_nan"] {
        assert_eq!(decode(text), TextError::NoNotes, "{text}");
    }
    for (text, reason) in [
        ("57_0.0_0.5_70.0 57_1.0_-0.5_70.0", "duration"),
        ("57_0.0_0.5_70.0 128_1.0_0.5_70.0", "pitch"),
        ("57_0.0_0.5_70.0 57_1.0_0.5_128.0", "velocity"),
        ("57_0.0_0.5_70.0 57_nan_0.5_7.0", "finite"),
        ("57_0.0_0.5_70.0 57_1.0_inf_7.0", "finite"),
    ] {
        match decode(text) {
            TextError::Note { offset: 16, reason: r } => assert!(r.contains(reason), "{text}: {r}"),
            other => panic!("{text}: {other:?}"),
        }
    }
}

#[test]
fn times_beyond_all_counting_are_written_exactly() {
    // 440 ticks a second: 440 * 2^1000 = 440 * 2^6 * 128^142, and
    // 440 * 2^6 = 28,160 = 1 * 128^2 + 92 * 128 + 0.
    let text = format!("60_0.0_{:e}_64.0", 2_f64.powi(1000));
    let midi = decode_midi(&text, TextInstrument::Piano).unwrap();
    let mut end = vec![0x81, 0x80 | 92];
    end.extend([0x80; 142]);
    end.extend([0, 60, 0, 1, 0xff, 0x2f, 0]);
    assert!(midi.ends_with(&end), "{midi:?}");
}

#[test]
fn damage_anywhere_is_survived() {
    let original = fs::read(fixtures().join("pianobooster_ccby/02-LavendersBlue.mid")).unwrap();
    let mut state = 9_u64;
    let mut random = |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(state >> 33).unwrap() % bound
    };
    let mut spelled = 0;
    for _ in 0..5000 {
        let mut bytes = original.clone();
        for _ in 0..=random(3) {
            bytes[random(original.len())] = u8::try_from(random(256)).unwrap();
        }
        if let Ok(text) = encode_midi(&bytes) {
            spelled += 1;
            if !text.is_empty() {
                decode_midi(&text, TextInstrument::Bass).unwrap();
            }
        }
    }
    assert!(spelled > 1000, "{spelled}");
}
