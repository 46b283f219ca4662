//! What the grammar lets through is music, and nothing but what it lists stands.

use std::collections::{BTreeMap, BTreeSet};

use continuo_codec::{Encoding, Event, IdSet, MidiLike, Stream, Window};
use serde_json::{Value, json};

use crate::random::{Random, draw};

const END: u32 = 2;

#[test]
fn a_hundred_thousand_ids_are_music() {
    let encoding = MidiLike::default();
    let (mut drawn, mut seed) = (0, 0);
    while drawn < 100_000 {
        let mut random = Random::new(seed);
        let mut stream = encoding.stream();
        let mut ids = draw(&mut random, &mut *stream, 2_000, seed % 2 == 0);
        drawn += ids.len();
        finish(&mut random, &mut *stream, &mut ids);
        check(&encoding, &ids);
        seed += 1;
    }
}

/// Ends what sounds, and the piece.
fn finish(random: &mut Random, stream: &mut dyn Stream, ids: &mut Vec<u32>) {
    let mut allowed = IdSet::default();
    while !stream.finished() {
        stream.allowed(&mut allowed);
        let sounding = sounding(ids);
        let players = sounding.iter().copied();
        let end = (END..=END).chain(132..260).chain(418..480).chain(players).chain(292..356);
        let id = end.into_iter().find(|&id| allowed.contains(id));
        let id = id.unwrap_or_else(|| random.next(stream, true));
        stream.push(id, &mut Vec::new()).unwrap();
        ids.push(id);
    }
}

/// The ids of those who have notes sounding.
fn sounding(ids: &[u32]) -> BTreeSet<u32> {
    let (mut player, mut counts) = (0, BTreeMap::new());
    for &id in ids {
        let count: &mut i32 = counts.entry(player).or_default();
        match id {
            512.. => player = id,
            4..132 | 356..418 => *count += 1,
            132..260 | 418..480 => *count -= 1,
            _ => {}
        }
    }
    counts.into_iter().filter(|&(_, count)| count > 0).map(|(player, _)| player).collect()
}

/// A finished piece: every note ends, and spelling it again changes nothing but
/// the order at a step.
fn check(encoding: &MidiLike, ids: &[u32]) {
    let score = encoding.decode(ids).unwrap();
    let begun = ids.iter().filter(|id| (260..292).contains(*id)).count();
    assert_eq!(score.notes.len(), begun, "every note ends");
    assert!(score.notes.iter().all(|note| note.duration > 0));
    let again = encoding.encode(&score).unwrap();
    let read = encoding.decode(&again).unwrap();
    assert_eq!(read, score);
    assert_eq!(encoding.encode(&read).unwrap(), again);
    // As many ids but those that say who plays, and those around the piece.
    let but_programs = |ids: &[u32]| ids.iter().filter(|id| (3..512).contains(*id)).count();
    assert_eq!(but_programs(ids), but_programs(&again));
}

#[test]
fn what_is_not_allowed_is_refused() {
    let encoding = MidiLike::default();
    let mut random = Random::new(5);
    let mut stream = encoding.stream();
    for _ in 0..2_000 {
        let mut allowed = IdSet::default();
        stream.allowed(&mut allowed);
        for id in (0..643).filter(|&id| !allowed.contains(id)) {
            assert!(stream.push(id, &mut Vec::new()).is_err(), "{id}");
        }
        // Refusing changed nothing.
        let mut after = IdSet::default();
        stream.allowed(&mut after);
        assert_eq!(after, allowed);
        let id = random.next(&*stream, true);
        if id != END {
            stream.push(id, &mut Vec::new()).unwrap();
        }
    }
}

#[test]
fn notes_come_when_they_end_and_never_before_what_was_reached() {
    let encoding = MidiLike::default();
    let mut random = Random::new(9);
    let mut stream = encoding.stream();
    let ids = draw(&mut random, &mut *stream, 5_000, true);
    let (mut stream, mut notes, mut reached) = (encoding.stream(), 0, 0.0);
    for id in ids {
        let mut events = Vec::new();
        stream.push(id, &mut events).unwrap();
        for event in events {
            match event {
                Event::Note(note) => {
                    assert!((132..260).contains(&id) || (418..480).contains(&id));
                    assert!(note.start >= reached);
                    notes += 1;
                }
                Event::Reached(time) => {
                    assert!(time > reached);
                    reached = time;
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert!(notes > 300 && reached > 0.0, "{notes} notes until {reached}");
}

#[test]
fn what_miditok_never_spells_is_refused() {
    let encoding = MidiLike::default();
    for (ids, at) in [
        (&[64, 275, 299, 192][..], 0),       // nobody plays
        (&[512, 64, 299], 2),                // no velocity
        (&[512, 64, 275, 192], 3),           // no length
        (&[512, 64, 275, 299, 193], 4),      // it does not sound
        (&[512, 64, 275, 487], 3),           // a rest while a note sounds
        (&[512, 64, 275, 299, 192, 299], 5), // a shift in silence
        (&[512, 64, 275, 292, 292], 4),      // 1/8 and 1/8 is 2/8
        (&[480, 2], 1),                      // a rest at the end
        (&[512, 64, 275, 2], 3),             // a note still sounds
        (&[512, 517], 1),                    // nothing in between
        (&[640, 64], 1),                     // the drum kit has ids of its own
        (&[0], 0),
        (&[3], 0),
        (&[641], 0),
        (&[1, 1], 1),
        (&[512, 64, 275, 299, 192, 2, 512], 6),
    ] {
        match encoding.decode(ids) {
            Err(continuo_codec::EncodingError::UnexpectedId { position, .. }) => {
                assert_eq!(position, at, "{ids:?}");
            }
            other => panic!("{ids:?}: {other:?}"),
        }
    }
    // Longer times are spelled with the longest first.
    for ids in [&[511, 511, 511, 480, 512][..], &[504, 482, 512], &[512, 64, 275, 324, 292, 192]] {
        assert!(encoding.decode(ids).is_ok(), "{ids:?}");
    }
}

/// Tokenizers of other resolutions, instruments and pitches.
fn others() -> Vec<MidiLike> {
    let file = include_str!("../fixtures/midilike/tokenizer.json");
    let settings = [
        json!({"use_rests": false, "use_pitchdrum_tokens": false, "programs": [0, 33, -1]}),
        json!({"beat_res": {"0_1": 12, "1_16": 4}, "beat_res_rest": {"0_1": 4, "1_8": 2}, "programs": [5]}),
        json!({"drums_pitch_range": [80, 83], "programs": [-1, 3], "num_velocities": 1}),
    ];
    let changed = |settings: &Value| {
        let mut file: Value = serde_json::from_str(file).unwrap();
        for (name, value) in settings.as_object().unwrap() {
            file["config"][name] = value.clone();
        }
        MidiLike::from_tokenizer_json(&file.to_string()).unwrap()
    };
    settings.iter().map(changed).collect()
}

#[test]
fn other_tokenizers_let_music_through_too() {
    for (seed, encoding) in (0..).zip(others()) {
        let mut random = Random::new(seed);
        for kinds in [false, true] {
            let mut stream = encoding.stream();
            let ids = draw(&mut random, &mut *stream, 5_000, kinds);
            let score = encoding.decode(&ids).unwrap();
            let again = encoding.encode(&score).unwrap();
            assert_eq!(encoding.decode(&again).unwrap(), score);
            let phrase = random.score();
            for from in [0.0, 3.0, 40.0] {
                let window = Window { from, until: from + 8.0 };
                let answer = encoding.continuation(&phrase, window, 64).unwrap();
                assert!(answer.ids.len() <= 64);
                let mut stream = answer.stream;
                draw(&mut random, &mut *stream, 100_000, kinds);
                assert!(stream.finished(), "the answer does not end");
            }
        }
    }
}

#[test]
fn bytes_that_are_no_music_are_no_trouble() {
    let mut random = Random::new(11);
    let file = include_bytes!("../fixtures/text/synthetic/type0_multichannel_drums.mid");
    for _ in 0..20_000 {
        let mut bytes = file.to_vec();
        for _ in 0..=random.below(3) {
            let at = 8 + random.below(u32::try_from(bytes.len()).unwrap() - 8) as usize;
            bytes[at] = u8::try_from(random.below(256)).unwrap();
        }
        if let Ok(ids) = continuo_codec::midilike::encode_midi(&bytes) {
            assert!(ids.iter().all(|&id| (4..641).contains(&id)));
            assert!(ids.len() < 400_000, "{} ids", ids.len());
        }
    }
}
