//! The vocabulary: what each id stands for. Models are trained on these numbers,
//! so none of them changes within a [`VERSION`].

use std::ops::Range;

/// Counts changes of the vocabulary or of the order ids come in; model folders
/// name the version they were trained on.
pub const VERSION: u32 = 1;

/// How many ids there are, the unused ones at the end included.
pub const VOCAB_SIZE: u32 = 896;

/// Steps of the grid in a quarter note.
pub const STEPS_PER_BEAT: u32 = 24;

/// Fills up a batch; never part of a piece.
pub const PAD: u32 = 0;
/// Begins every piece.
pub const START: u32 = 1;
/// Ends a piece.
pub const END: u32 = 2;
/// Stands for a bar that is to be filled in. Reserved.
pub const MASK: u32 = 3;
/// Begins the filling of a masked bar. Reserved.
pub const FILL: u32 = 4;
/// Ends the filling of a masked bar. Reserved.
pub const FILL_END: u32 = 5;
/// Begins a bar.
pub const BAR: u32 = 16;
/// Adds 192 steps to the position that follows.
pub const FAR: u32 = 17;
/// How dense a bar is, 8 levels. Reserved.
pub const DENSITY: u32 = 18;
/// How many notes sound at once, 8 levels. Reserved.
pub const POLYPHONY: u32 = 26;
/// Lowest pitch of a bar, 8 levels. Reserved.
pub const LOWEST: u32 = 34;
/// Highest pitch of a bar, 8 levels. Reserved.
pub const HIGHEST: u32 = 42;
/// Meter numerator 1; `NUMERATOR + n - 1` is `n`, up to 64.
pub const NUMERATOR: u32 = 50;
/// Meter denominator 1; `DENOMINATOR + k` is 2 to the `k`, up to 32.
pub const DENOMINATOR: u32 = 114;
/// Beats a minute divided by 16, 0..=31.
pub const TEMPO_HIGH: u32 = 120;
/// Beats a minute modulo 16, 0..=15.
pub const TEMPO_LOW: u32 = 152;
/// Position 0 of a bar; 192 of them, in steps.
pub const POSITION: u32 = 168;
/// General MIDI program 0; the drum kit comes after program 127.
pub const PROGRAM: u32 = 360;
/// The drum kit.
pub const DRUMS: u32 = PROGRAM + 128;
/// Velocity level 0; 32 of them, 4 velocities each.
pub const VELOCITY: u32 = 489;
/// Pitch 0 of an instrument that is not the drum kit.
pub const PITCH: u32 = 521;
/// Drum pitch 0; a drum has no duration.
pub const DRUM: u32 = 649;
/// Duration of 1 step, the first of [`DURATIONS`].
pub const DURATION: u32 = 777;
/// The first id that stands for nothing.
pub const UNUSED: u32 = 861;

/// Positions that have an id of their own.
pub(super) const POSITIONS: u32 = 192;
/// Instruments: the programs and the drum kit.
pub(super) const INSTRUMENTS: u32 = 129;
/// Velocity level of every instrument that has not sounded.
pub(super) const LEVEL: u8 = 16;
/// Fastest tempo that can be spelled, in beats a minute.
pub(super) const FASTEST: u32 = 511;
/// Length of a drum note in steps.
pub(super) const DRUM_STEPS: u32 = 6;
/// The duration ids.
pub(super) const DURATION_IDS: Range<u32> = DURATION..UNUSED;

/// Durations in steps, in the order of their ids.
pub const DURATIONS: [u16; 84] = durations();

const fn durations() -> [u16; 84] {
    // How many entries, and what each adds to the one before.
    let runs: [(usize, u16); 5] = [(48, 1), (12, 4), (8, 12), (8, 24), (8, 48)];
    let mut table = [0; 84];
    let (mut run, mut filled, mut steps) = (0, 0, 0);
    while run < runs.len() {
        let mut i = 0;
        while i < runs[run].0 {
            steps += runs[run].1;
            table[filled] = steps;
            filled += 1;
            i += 1;
        }
        run += 1;
    }
    table
}

/// Longest duration in steps.
const LONGEST: usize = 768;

/// For every length in steps, the index of the nearest duration; the longer of
/// two that are equally near.
static NEAREST: [u8; LONGEST + 1] = nearest();

#[expect(clippy::cast_possible_truncation, reason = "there are 84 durations")]
const fn nearest() -> [u8; LONGEST + 1] {
    let mut table = [0; LONGEST + 1];
    let (mut steps, mut index) = (1, 0);
    while steps <= LONGEST {
        while index + 1 < DURATIONS.len()
            && 2 * steps >= DURATIONS[index] as usize + DURATIONS[index + 1] as usize
        {
            index += 1;
        }
        table[steps] = index as u8;
        steps += 1;
    }
    table
}

/// Index of the duration nearest to a length in steps; longer ones clamp.
pub(super) fn nearest_duration(steps: u64) -> u8 {
    let steps = usize::try_from(steps).unwrap_or(LONGEST).min(LONGEST);
    NEAREST[steps]
}

/// Integer beats a minute, as far as they can be spelled.
pub(super) fn beats_per_minute(micros_per_beat: u32) -> u32 {
    let micros = micros_per_beat.max(1);
    60_000_000_u32.saturating_add(micros / 2).checked_div(micros).unwrap_or(FASTEST).clamp(1, FASTEST)
}

/// Microseconds a beat, rounded. `bpm` is not 0.
pub(super) const fn micros_per_beat(bpm: u32) -> u32 {
    (60_000_000 + bpm / 2) / bpm
}

/// The set of one id.
pub(super) const fn one(id: u32) -> Range<u32> {
    id..id + 1
}

/// Something below 256 as a byte: a count the vocabulary bounds.
#[expect(clippy::cast_possible_truncation, reason = "every block of the vocabulary is shorter")]
pub(super) const fn byte(value: u32) -> u8 {
    debug_assert!(value < 256);
    value as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_follow_one_another() {
        let sizes = [
            (BAR, 1, FAR),
            (FAR, 1, DENSITY),
            (DENSITY, 8, POLYPHONY),
            (POLYPHONY, 8, LOWEST),
            (LOWEST, 8, HIGHEST),
            (HIGHEST, 8, NUMERATOR),
            (NUMERATOR, 64, DENOMINATOR),
            (DENOMINATOR, 6, TEMPO_HIGH),
            (TEMPO_HIGH, 32, TEMPO_LOW),
            (TEMPO_LOW, 16, POSITION),
            (POSITION, POSITIONS, PROGRAM),
            (PROGRAM, INSTRUMENTS, VELOCITY),
            (VELOCITY, 32, PITCH),
            (PITCH, 128, DRUM),
            (DRUM, 128, DURATION),
            (DURATION, 84, UNUSED),
        ];
        for (block, size, next) in sizes {
            assert_eq!(block + size, next);
        }
        assert_eq!(UNUSED.next_multiple_of(64), VOCAB_SIZE);
    }

    #[test]
    fn durations_are_those_of_the_table() {
        let expected: Vec<u16> = (1..=48)
            .chain((52..=96).step_by(4))
            .chain((108..=192).step_by(12))
            .chain((216..=384).step_by(24))
            .chain((432..=768).step_by(48))
            .collect();
        assert_eq!(DURATIONS.as_slice(), expected);
        for steps in 1..2000_u64 {
            let chosen = u64::from(DURATIONS[usize::from(nearest_duration(steps))]);
            let best = expected.iter().map(|&d| u64::from(d).abs_diff(steps)).min().unwrap();
            assert_eq!(chosen.abs_diff(steps), best, "{steps} steps");
        }
    }

    #[test]
    fn integer_tempos_survive() {
        for bpm in 1..=FASTEST {
            assert_eq!(beats_per_minute(micros_per_beat(bpm)), bpm);
        }
        assert_eq!(beats_per_minute(0), FASTEST);
        assert_eq!(beats_per_minute(u32::MAX), 1);
    }
}
