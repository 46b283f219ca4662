//! Pieces cut and varied for training.

use continuo_codec::beat::vocab::{BAR, END, START, TEMPO_FAR, UNUSED};
use continuo_codec::beat::{chunks, scale_velocity, transpose, whole_tempos};
use continuo_codec::{Beat, Encoding, Note, Score};

use crate::random::{Random, draw};

/// A piece of the grammar, complete, with its score.
fn piece(seed: u64) -> (Vec<u32>, Score) {
    let mut stream = Beat.stream();
    let ids = draw(&mut Random::new(seed), &mut *stream, 1500, true);
    let score = Beat.decode(&ids).unwrap();
    (Beat.encode(&score).unwrap(), score)
}

fn sounds(score: &Score) -> Vec<(u8, u8, u8)> {
    score.notes.iter().map(|n| (n.instrument.index(), n.pitch, n.velocity)).collect()
}

#[test]
fn chunks_hold_all_notes_in_pieces_of_their_own() {
    for seed in 0..100 {
        let (ids, score) = piece(seed);
        let longest = ids.split(|&id| id == BAR).map(<[u32]>::len).max().unwrap();
        // Room for the longest bar with its header and all it may have to say again.
        for max in [longest + 270, 2000] {
            let cut = chunks(&ids, max);
            let mut all = Vec::new();
            for chunk in &cut {
                assert!(chunk.len() <= max && chunk.starts_with(&[START, BAR]));
                let part = Beat.decode(chunk).unwrap();
                let mut whole = Beat.encode(&part).unwrap();
                // A chunk ends where a bar does, and may end in silence.
                let end = chunk.iter().rposition(|&id| id != BAR && id != END).unwrap();
                assert_eq!(whole.pop(), Some(END));
                assert_eq!(whole, chunk[..=end], "seed {seed}");
                all.extend(sounds(&part));
            }
            assert_eq!(all, sounds(&score), "seed {seed}");
            if ids.len() <= max && !score.notes.is_empty() {
                assert_eq!(cut, std::slice::from_ref(&ids));
            }
        }
    }
}

#[test]
fn chunks_are_as_full_as_can_be() {
    let (ids, _) = piece(1);
    let cut = chunks(&ids, 700);
    for pair in cut.windows(2) {
        // The next chunk's first bar, less its header, would not have fitted.
        let bar = pair[1][2..].split(|&id| id == BAR).next().unwrap();
        assert!(pair[0].len() + bar.len() + 1 > 700);
    }
}

#[test]
fn a_bar_too_long_for_a_chunk_is_cut_between_its_positions() {
    let mut score = Score::new(24);
    let note = |start, pitch| Note {
        start,
        instrument: continuo_codec::Instrument::PIANO,
        pitch,
        duration: 24,
        velocity: 66,
    };
    score.notes = (0..95).flat_map(|i| [note(i, 60), note(i, 64)]).chain([note(96, 72)]).collect();
    let cut = chunks(&Beat.encode(&score).unwrap(), 40);
    assert!(cut.iter().all(|c| c.len() <= 40 && c.starts_with(&[START, BAR])));
    let parts: Vec<_> = cut.iter().map(|c| Beat.decode(c).unwrap().notes).collect();
    assert_eq!(parts.concat()[..190], score.notes[..190]);
    assert!(parts[..parts.len() - 1].iter().all(|part| part.len() % 2 == 0));
    assert_eq!(parts[parts.len() - 1], [note(0, 72)]);
    assert!(chunks(&Beat.encode(&score).unwrap(), 0).is_empty());
    assert!(chunks(&[5, 6, 7], 40).is_empty());
}

/// What was learned from and measured once lost the rest of a bar that was longer than the
/// context.
#[test]
fn no_note_is_lost_however_short_a_chunk() {
    for seed in 0..50 {
        let (ids, score) = piece(seed);
        for max in [64, 100, 300] {
            let cut = chunks(&ids, max);
            assert!(cut.iter().all(|chunk| chunk.len() <= max && chunk.starts_with(&[START, BAR])));
            let all: Vec<_> = cut.iter().flat_map(|chunk| sounds(&Beat.decode(chunk).unwrap())).collect();
            assert_eq!(all, sounds(&score), "seed {seed}, {max}");
        }
    }
}

#[test]
fn transposing_moves_all_but_the_drums() {
    let mut moved_some = false;
    for seed in 0..50 {
        let (ids, score) = piece(seed);
        for semitones in [-6, 0, 5, 127, -128] {
            let expected: Option<Vec<_>> = score
                .notes
                .iter()
                .map(|n| match n.instrument.is_drums() {
                    true => Some(*n),
                    false => n
                        .pitch
                        .checked_add_signed(semitones)
                        .filter(|p| *p < 128)
                        .map(|pitch| Note { pitch, ..*n }),
                })
                .collect();
            let moved = transpose(&ids, semitones);
            assert_eq!(moved.is_some(), expected.is_some());
            if let (Some(moved), Some(expected)) = (moved, expected) {
                let decoded = Beat.decode(&moved).unwrap();
                assert_eq!(decoded.notes, expected);
                assert_eq!(Beat.encode(&decoded).unwrap(), moved);
                moved_some |= semitones != 0;
            }
        }
    }
    assert!(moved_some);
}

#[test]
fn scaling_velocities_leaves_the_rest() {
    for seed in 0..50 {
        let (ids, score) = piece(seed);
        for steps in [-40, -3, 0, 1, 127] {
            let scaled = scale_velocity(&ids, steps);
            let decoded = Beat.decode(&scaled).unwrap();
            assert_eq!(Beat.encode(&decoded).unwrap(), scaled, "not canonical");
            let mut expected = score.clone();
            for note in &mut expected.notes {
                let level = (i32::from(note.velocity / 4) + i32::from(steps)).clamp(0, 31);
                note.velocity = u8::try_from(level * 4 + 2).unwrap();
            }
            assert_eq!(decoded, expected);
        }
        assert_eq!(scale_velocity(&ids, 0), ids);
    }
}

/// Models of version 1 were never shown the ids that version 2 added.
#[test]
fn whole_tempos_are_spelled_with_the_ids_of_version_1() {
    let (mut changed, mut tempos) = (0, 0);
    for seed in 0..100 {
        let (ids, score) = piece(seed);
        let whole = whole_tempos(&ids);
        assert!(!whole.iter().any(|id| (TEMPO_FAR..UNUSED).contains(id)), "seed {seed}");
        let back = Beat.decode(&whole).unwrap();
        assert_eq!((&back.notes, &back.meters), (&score.notes, &score.meters), "seed {seed}");
        let bpm = |micros: u32| 60e6 / f64::from(micros);
        for tempo in &score.tempos {
            let kept = back.tempos.iter().rfind(|kept| kept.tick <= tempo.tick).unwrap();
            let (was, is) = (bpm(tempo.micros_per_beat), bpm(kept.micros_per_beat));
            assert!((is - is.round()).abs() < 0.01 && is < 511.1, "seed {seed}: {is}");
            assert!((was.min(511.0) - is).abs() <= 0.51, "seed {seed}: {was} as {is}");
            tempos += 1;
        }
        changed += usize::from(whole != ids);
    }
    assert!(changed > 50 && tempos > 100, "{changed} of {tempos}");
}
