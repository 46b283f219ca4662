//! Scores that were not made of ids: what is kept, what is rounded, what is refused.

use std::collections::BTreeMap;

use continuo_codec::{Beat, Encoding, EncodingError, Instrument, Meter, Note, Score, Tempo};

use crate::random::Random;

fn piano(start: u32, pitch: u8, duration: u32, velocity: u8) -> Note {
    Note { start, instrument: Instrument::PIANO, pitch, duration, velocity }
}

fn back(score: &Score) -> Score {
    Beat.decode(&Beat.encode(score).unwrap()).unwrap()
}

fn refusal(score: &Score) -> String {
    match Beat.encode(score) {
        Err(EncodingError::Score(why)) => why,
        other => panic!("not refused: {other:?}"),
    }
}

/// The nearest step, ties up, in whole numbers.
fn step(score: &Score, ticks: u32) -> u32 {
    let (ticks, per_beat) = (u64::from(ticks), u64::from(score.ticks_per_beat));
    let below = ticks * 24 / per_beat;
    let up = ticks * 24 - below * per_beat;
    u32::try_from(if 2 * up >= per_beat { below + 1 } else { below }).unwrap()
}

#[test]
fn notes_keep_their_place_their_length_and_their_strength() {
    for seed in 0..500 {
        let score = Random::new(seed).score();
        // Longest length and highest velocity of the notes that meet at a step.
        let mut expected = BTreeMap::new();
        for note in &score.notes {
            let key = (step(&score, note.start), note.instrument, note.pitch);
            let most = expected.entry(key).or_insert((0, 0));
            *most = (note.duration.max(most.0), note.velocity.max(most.1));
        }
        let decoded = back(&score);
        assert_eq!(decoded.notes.len(), expected.len(), "seed {seed}");
        for (note, (key, (duration, velocity))) in decoded.notes.iter().zip(&expected) {
            assert_eq!(&(note.start, note.instrument, note.pitch), key, "seed {seed}");
            assert!(note.velocity.abs_diff(*velocity) <= 2, "seed {seed}: {note:?}");
            if note.instrument.is_drums() {
                assert!((1..=6).contains(&note.duration));
                continue;
            }
            let steps = step(&score, *duration).max(1);
            assert!(note.duration.abs_diff(steps) * 20 <= steps, "seed {seed}: {steps} as {}", note.duration);
        }
        assert_eq!(back(&decoded), decoded, "seed {seed}");
    }
}

#[test]
fn an_onset_between_two_steps_goes_to_the_later() {
    let mut score = Score::new(48);
    // Half a step before the second bar, half a step after it begins, and a whisker less.
    score.notes = vec![piano(191, 60, 48, 66), piano(193, 62, 48, 66)];
    let starts: Vec<_> = back(&score).notes.iter().map(|n| n.start).collect();
    assert_eq!(starts, [96, 97]);
    let mut finer = Score::new(480);
    finer.notes = vec![piano(9, 60, 9, 66), piano(10, 62, 10, 66), piano(29, 64, 29, 66)];
    let rounded: Vec<_> = back(&finer).notes.iter().map(|n| (n.start, n.duration)).collect();
    assert_eq!(rounded, [(0, 1), (1, 1), (1, 1)]);
}

#[test]
fn the_longest_and_loudest_of_doubled_notes_stands_for_all() {
    let mut score = Score::new(24);
    score.notes = vec![piano(0, 60, 48, 30), piano(0, 60, 24, 90), piano(0, 62, 12, 66)];
    score.normalize();
    assert_eq!(back(&score).notes, [piano(0, 60, 48, 90), piano(0, 62, 12, 66)]);
}

#[test]
fn a_drum_ends_where_it_is_struck_again() {
    let mut score = Score::new(24);
    let drum =
        |start, pitch, duration| Note { instrument: Instrument::DRUMS, ..piano(start, pitch, duration, 66) };
    score.notes = vec![drum(0, 42, 100), drum(2, 38, 1), drum(4, 42, 1), drum(24, 42, 90)];
    let lengths: Vec<_> = back(&score).notes.iter().map(|n| n.duration).collect();
    assert_eq!(lengths, [4, 6, 6, 6]);
}

#[test]
fn tempos_go_to_a_sixteenth_and_the_last_of_a_step_counts() {
    let mut score = Score::new(480);
    let at = |tick, micros_per_beat| Tempo { tick, micros_per_beat };
    score.tempos = vec![
        at(0, 500_000),
        at(3, 666_667),
        at(480, 666_000),
        at(960, 600_000),
        at(1440, 1),
        at(1920, u32::MAX),
        at(2400, 12_500),
        at(2880, 117_000),
    ];
    let tempos: Vec<_> = back(&score).tempos.iter().map(|t| (t.tick, t.micros_per_beat)).collect();
    // 666,000 microseconds are nearest to 90 1/16 beats a minute, 117,000 to 513 whole ones.
    let expected = [
        (0, 666_667),
        (24, 666_204),
        (48, 600_000),
        (72, 11_721),
        (96, 16_842_105),
        (120, 12_500),
        (144, 116_959),
    ];
    assert_eq!(tempos, expected);
}

#[test]
fn meters_without_notes_are_kept() {
    let mut score = Score::new(24);
    score.meters = vec![
        Meter { tick: 0, numerator: 6, denominator: 8 },
        Meter { tick: 72 * 3, numerator: 7, denominator: 16 },
        Meter { tick: 72 * 3 + 42, numerator: 64, denominator: 1 },
    ];
    assert_eq!(back(&score).meters, score.meters);
}

#[test]
fn an_empty_score_is_a_bar_of_common_time() {
    let score = back(&Score::new(480));
    assert!(score.notes.is_empty());
    assert_eq!(score.meters, [Meter { tick: 0, numerator: 4, denominator: 4 }]);
    assert_eq!(score.tempos, [Tempo { tick: 0, micros_per_beat: 500_000 }]);
}

#[test]
fn a_score_out_of_order_is_sorted_first() {
    let mut score = Random::new(11).score();
    let ids = Beat.encode(&score).unwrap();
    score.notes.reverse();
    score.tempos.reverse();
    assert_eq!(Beat.encode(&score).unwrap(), ids);
}

#[test]
fn a_note_at_the_end_of_time_does_not_fill_the_memory() {
    let mut score = Score::new(1);
    score.notes = vec![piano(0, 60, 1, 66), piano(u32::MAX, 60, u32::MAX, 66)];
    let why = refusal(&score);
    assert!(why.contains("4096 silent bars before the note at tick 4294967295"), "{why}");
    // Never silent for long, but without end.
    score.notes = (0..1_000_000).map(|i| piano(i * 4000, 60, 1, 66)).collect();
    let why = refusal(&score);
    assert!(why.contains("524288 bars"), "{why}");
}

#[test]
fn changes_long_after_the_last_note_are_left_out() {
    let mut score = Score::new(480);
    score.notes = vec![piano(0, 60, 480, 66)];
    let ids = Beat.encode(&score).unwrap();
    score.tempos = vec![Tempo { tick: u32::MAX, micros_per_beat: 400_000 }];
    score.meters = vec![Meter { tick: u32::MAX, numerator: 3, denominator: 4 }];
    assert_eq!(Beat.encode(&score).unwrap(), ids);
}

#[test]
fn a_million_changes_and_notes_take_linear_work() {
    let mut score = Score::new(960);
    score.tempos =
        (0..1_000_000).map(|i| Tempo { tick: i * 7, micros_per_beat: 300_000 + i % 1000 * 500 }).collect();
    score.meters = (0..1_000_000)
        .map(|i| Meter { tick: i * 5, numerator: 1 + u8::try_from(i % 200).unwrap(), denominator: 8 })
        .collect();
    score.notes = (0..1_000_000).map(|i| piano(i % 2, u8::try_from(i % 128).unwrap(), i, 66)).collect();
    score.normalize();
    let ids = Beat.encode(&score).unwrap();
    assert!(ids.len() < 2_000_000);
    assert_eq!(Beat.decode(&ids).unwrap().notes.len(), 128);
}

#[test]
fn what_is_no_music_is_refused_with_its_place() {
    let mut score = Score::new(0);
    assert!(refusal(&score).contains("0 ticks a beat"));
    score.ticks_per_beat = 96;
    score.notes = vec![piano(5, 128, 1, 1)];
    assert!(refusal(&score).contains("note at tick 5"));
    score.notes = vec![piano(6, 127, 1, 200)];
    assert!(refusal(&score).contains("note at tick 6"));
    score.notes.clear();
    for (numerator, denominator) in [(0, 4), (4, 0), (4, 5)] {
        score.meters = vec![Meter { tick: 7, numerator, denominator }];
        assert!(refusal(&score).contains("meter at tick 7"));
    }
}
