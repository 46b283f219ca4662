//! Seven numbers about some bars of music, as the field has them, and how far a model's are
//! from a human's.
//!
//! Pitch-class entropy, scale consistency, polyphony and pitch range are those of `MusPy` (Dong
//! and others, 2020, `muspy.metrics`); drums have no pitch and are left out of them. The others
//! have no one definition: theirs stand with [`Measure`].

use std::collections::{BTreeMap, BTreeSet, HashSet};

use continuo_codec::Note;
use continuo_engine::Window;

/// One of the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Entropy of the pitch classes, in bits: 0 to 3.58.
    PitchClassEntropy,
    /// The share of notes in the major or minor scale that has most of them.
    ScaleConsistency,
    /// How many notes sound together, where any does.
    Polyphony,
    /// Notes that begin in a beat, drums too.
    NoteDensity,
    /// From the lowest to the highest pitch, in semitones.
    PitchRange,
    /// The share of runs of four steps from note to note (interval and time between) that were
    /// there before.
    Repetition,
    /// Entropy of the times between neighbouring onsets, in steps of a 24th of a beat, in bits.
    InterOnsetEntropy,
}

impl Measure {
    /// All, in the order they are told.
    pub const ALL: [Self; 7] = [
        Self::PitchClassEntropy,
        Self::ScaleConsistency,
        Self::Polyphony,
        Self::NoteDensity,
        Self::PitchRange,
        Self::Repetition,
        Self::InterOnsetEntropy,
    ];

    /// Its name, for people and in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PitchClassEntropy => "pitch-class entropy",
            Self::ScaleConsistency => "scale consistency",
            Self::Polyphony => "polyphony",
            Self::NoteDensity => "note density",
            Self::PitchRange => "pitch range",
            Self::Repetition => "n-gram repetition",
            Self::InterOnsetEntropy => "inter-onset entropy",
        }
    }

    /// What it counts in.
    #[must_use]
    pub const fn unit(self) -> &'static str {
        match self {
            Self::PitchClassEntropy | Self::InterOnsetEntropy => "bits",
            Self::ScaleConsistency | Self::Repetition => "share",
            Self::Polyphony => "notes",
            Self::NoteDensity => "notes a beat",
            Self::PitchRange => "semitones",
        }
    }
}

/// Steps a beat that onsets and lengths are counted in.
const STEPS: f64 = 24.0;
/// Semitones of a major scale above its first; a minor one has those of another major.
const MAJOR: [u8; 7] = [0, 2, 4, 5, 7, 9, 11];
/// How many steps from note to note make a run.
const RUN: usize = 4;

/// A note on the grid.
struct Step {
    from: u64,
    to: u64,
    pitch: u8,
}

/// The numbers of the notes in a window, in the order of [`Measure::ALL`]; none where too few
/// notes leave nothing to measure.
#[must_use]
pub fn of(notes: &[Note], ticks_per_beat: u16, window: Window) -> [Option<f64>; 7] {
    let all = steps(notes.iter(), ticks_per_beat);
    let pitched = steps(notes.iter().filter(|note| !note.instrument.is_drums()), ticks_per_beat);
    let classes = pitched.iter().map(|step| u64::from(step.pitch % 12));
    let onsets: BTreeSet<u64> = all.iter().map(|step| step.from).collect();
    let between = onsets.iter().zip(onsets.iter().skip(1)).map(|(a, b)| b - a);
    [
        entropy(classes),
        scale_consistency(&pitched),
        polyphony(&pitched),
        Some(float(all.len()) / (window.until - window.from)),
        range(&pitched),
        repetition(&all),
        entropy(between),
    ]
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "never negative, and far below")]
fn steps<'a>(notes: impl Iterator<Item = &'a Note>, ticks_per_beat: u16) -> Vec<Step> {
    let at = |tick: u32| (f64::from(tick) * STEPS / f64::from(ticks_per_beat)).round() as u64;
    let mut steps: Vec<Step> = notes
        .map(|note| {
            let from = at(note.start);
            let to = at(note.start.saturating_add(note.duration)).max(from + 1);
            Step { from, to, pitch: note.pitch }
        })
        .collect();
    steps.sort_by_key(|step| (step.from, step.pitch));
    steps
}

/// Of a distribution, in bits; nothing of an empty one.
fn entropy(values: impl Iterator<Item = u64>) -> Option<f64> {
    let mut counts = BTreeMap::new();
    values.for_each(|value| *counts.entry(value).or_insert(0_usize) += 1);
    let all = float(counts.values().sum());
    let bits = counts.values().map(|&count| float(count) / all).map(|share| -share * share.log2());
    (all > 0.0).then(|| bits.sum())
}

fn scale_consistency(notes: &[Step]) -> Option<f64> {
    let within = |key: u8| {
        let fits = |step: &&Step| MAJOR.contains(&((step.pitch + 12 - key) % 12));
        notes.iter().filter(fits).count()
    };
    let most = (0..12).map(within).max()?;
    (!notes.is_empty()).then(|| float(most) / float(notes.len()))
}

fn polyphony(notes: &[Step]) -> Option<f64> {
    let mut sounding: BTreeMap<u64, HashSet<u8>> = BTreeMap::new();
    for note in notes {
        (note.from..note.to).for_each(|step| {
            sounding.entry(step).or_default().insert(note.pitch);
        });
    }
    let together: usize = sounding.values().map(HashSet::len).sum();
    (!sounding.is_empty()).then(|| float(together) / float(sounding.len()))
}

fn range(notes: &[Step]) -> Option<f64> {
    let pitches = || notes.iter().map(|note| note.pitch);
    Some(f64::from(pitches().max()? - pitches().min()?))
}

fn repetition(notes: &[Step]) -> Option<f64> {
    let moves: Vec<(i16, u64)> = notes
        .windows(2)
        .map(|pair| (i16::from(pair[1].pitch) - i16::from(pair[0].pitch), pair[1].from - pair[0].from))
        .collect();
    let runs = moves.windows(RUN);
    let (all, distinct) = (runs.len(), runs.collect::<HashSet<_>>().len());
    (all > 0).then(|| float(all - distinct) / float(all))
}

/// The mean of some numbers; none of none.
#[must_use]
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / float(values.len()))
}

/// How far two lots of numbers are from each other: how much on average one's have to be moved
/// to be as the other's (the Wasserstein distance), in the unit of the numbers.
#[must_use]
pub fn distance(a: &[f64], b: &[f64]) -> Option<f64> {
    if a.is_empty() || b.is_empty() {
        return None;
    }
    let sorted = |values: &[f64]| {
        let mut values = values.to_vec();
        values.sort_by(f64::total_cmp);
        values
    };
    let (a, b) = (sorted(a), sorted(b));
    // Both are steps of one height each: the area between them, piece by piece.
    let (mut i, mut j, mut reached, mut sum) = (0, 0, 0.0, 0.0);
    while i < a.len() && j < b.len() {
        let (next_a, next_b) = (float(i + 1) / float(a.len()), float(j + 1) / float(b.len()));
        let next = next_a.min(next_b);
        sum += (next - reached) * (a[i] - b[j]).abs();
        reached = next;
        i += usize::from(next_a <= next + 1e-12);
        j += usize::from(next_b <= next + 1e-12);
    }
    Some(sum)
}

#[expect(clippy::cast_precision_loss, reason = "counts of notes")]
fn float(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use continuo_codec::Instrument;

    use super::*;

    fn notes(of: &[(u32, u32, u8)]) -> Vec<Note> {
        let note = |&(start, duration, pitch): &(u32, u32, u8)| Note {
            start,
            duration,
            pitch,
            velocity: 80,
            instrument: Instrument::PIANO,
        };
        of.iter().map(note).collect()
    }

    /// Two bars in C with one F sharp; the first four and the fifth are `MusPy` 0.5.0's figures
    /// at 24 steps a beat (`pitch_class_entropy`, `scale_consistency`, `polyphony`, `pitch_range`).
    #[test]
    fn the_measures_are_those_of_muspy() {
        let of_two_bars = notes(&[
            (0, 24, 60),
            (0, 48, 64),
            (24, 24, 67),
            (48, 12, 66),
            (60, 12, 67),
            (72, 24, 72),
            (96, 96, 48),
            (96, 24, 60),
            (120, 24, 64),
            (144, 24, 67),
        ]);
        let found = of(&of_two_bars, 24, Window { from: 0.0, until: 8.0 });
        let expected = [MUSPY[0], MUSPY[1], MUSPY[2], 10.0 / 8.0, MUSPY[3]];
        for (n, (found, expected)) in found.iter().zip(expected).enumerate() {
            assert!((found.unwrap() - expected).abs() < 1e-9, "{n}: {found:?} for {expected}");
        }
        // Seven times between onsets: five beats and two halves.
        let share = |n: f64| -(n / 7.0) * (n / 7.0).log2();
        assert!((found[6].unwrap() - share(5.0) - share(2.0)).abs() < 1e-9);
    }

    const MUSPY: [f64; 4] = [1.846_439_344_671_015_4, 1.0, 1.625, 24.0];

    #[test]
    fn what_comes_again_in_another_key_is_a_repetition() {
        let bar = [(0, 60), (24, 62), (36, 64), (48, 65), (72, 60)];
        let again = |by: u8, from: u32| bar.map(|(start, pitch)| (start + from, 12, pitch + by));
        let window = Window { from: 0.0, until: 8.0 };
        let repetition = |of: &[(u32, u32, u8)]| super::of(&notes(of), 24, window)[5];
        assert_eq!(repetition(&again(0, 0)), Some(0.0));
        let twice = [again(0, 0), again(5, 96)].concat();
        // Six runs of four, of which the last is the first.
        assert_eq!(repetition(&twice), Some(1.0 / 6.0));
        assert_eq!(repetition(&twice[..4]), None);
    }

    #[test]
    fn nothing_has_no_measure_but_that_there_is_nothing() {
        let none = of(&[], 24, Window { from: 0.0, until: 16.0 });
        assert_eq!(none, [None, None, None, Some(0.0), None, None, None]);
    }

    #[test]
    fn the_distance_is_how_far_the_numbers_have_to_be_moved() {
        assert_eq!(distance(&[1.0, 2.0], &[2.0, 1.0]), Some(0.0));
        assert_eq!(distance(&[0.0, 1.0], &[5.0, 6.0]), Some(5.0));
        // scipy.stats.wasserstein_distance([0, 1, 3], [5, 6, 8, 9])
        assert!((distance(&[0.0, 1.0, 3.0], &[5.0, 6.0, 8.0, 9.0]).unwrap() - 17.0 / 3.0).abs() < 1e-12);
        assert_eq!(distance(&[], &[1.0]), None);
    }
}
