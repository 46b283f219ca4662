//! The vocabulary: what each id stands for. Models are trained on these numbers,
//! so none of them changes within a [`VERSION`].

use std::ops::Range;

/// Counts changes of the vocabulary or of the order ids come in; model folders
/// name the version they were trained on. Version 2 added [`TEMPO_FAR`] and
/// [`TEMPO_PART`]; what version 1 spelled means the same in it, but that tempos slower
/// than a MIDI file can say are none.
pub const VERSION: u32 = 2;

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
/// Adds 512 beats a minute to the tempo that follows.
pub const TEMPO_FAR: u32 = 861;
/// Adds a sixteenth of a beat a minute to the tempo that follows; 15 of them.
pub const TEMPO_PART: u32 = 862;
/// The first id that stands for nothing.
pub const UNUSED: u32 = 877;

/// Positions that have an id of their own.
pub(super) const POSITIONS: u32 = 192;
/// Instruments: the programs and the drum kit.
pub(super) const INSTRUMENTS: u32 = 129;
/// Velocity level of every instrument that has not sounded.
pub(super) const LEVEL: u8 = 16;
/// What a tempo is counted in, in a beat a minute: tempos up to 512 beats a minute
/// are said to the nearest.
pub(super) const PARTS: u32 = 16;
/// What [`TEMPO_FAR`] adds, in parts.
pub(super) const FAR_PARTS: u32 = 512 * PARTS;
/// Most [`TEMPO_FAR`]s of a tempo. Above 5,119 beats a minute a MIDI file's whole
/// microseconds no longer tell one whole beat a minute from the next.
const FARS: u32 = 9;
/// The largest sum of [`TEMPO_FAR`]s, in parts.
pub(super) const FARTHEST: u32 = FARS * FAR_PARTS;
/// Slowest tempo, in parts: a beat of a MIDI file takes 16,777,215 microseconds at most.
pub(super) const SLOWEST: u32 = 57;
/// Fastest tempo that can be spelled, in parts.
const FASTEST: u32 = FARTHEST + FAR_PARTS - PARTS;
/// Length of a drum note in steps.
pub(super) const DRUM_STEPS: u32 = 6;
/// The duration ids.
pub(super) const DURATION_IDS: Range<u32> = DURATION..TEMPO_FAR;

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

/// Microseconds that a beat at one part of a beat a minute takes.
const MICROS: u32 = 60_000_000 * PARTS;

/// The nearest tempo that can be spelled, in parts: whole beats a minute from 512 on.
pub(super) fn tempo(micros_per_beat: u32) -> u32 {
    let nearest = |unit: u32| {
        let (micros, one) = (u64::from(micros_per_beat.max(1)), u64::from(MICROS / unit));
        u32::try_from((one + micros / 2) / micros).unwrap_or(u32::MAX).saturating_mul(unit)
    };
    let parts = nearest(1);
    if parts < FAR_PARTS { parts.max(SLOWEST) } else { nearest(PARTS).min(FASTEST) }
}

/// The nearest tempo that version 1 could spell: whole beats a minute up to 511.
pub(super) const fn whole(tempo: u32) -> u32 {
    let nearest = (tempo + PARTS / 2) / PARTS * PARTS;
    if nearest < FAR_PARTS { nearest } else { FAR_PARTS - PARTS }
}

/// Microseconds a beat, rounded, of a tempo in parts that is not 0.
pub(super) const fn micros_per_beat(tempo: u32) -> u32 {
    (MICROS + tempo / 2) / tempo
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
            (DURATION, 84, TEMPO_FAR),
            (TEMPO_FAR, 1, TEMPO_PART),
            (TEMPO_PART, PARTS - 1, UNUSED),
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
    fn tempos_survive() {
        let whole = (FAR_PARTS..=FASTEST).step_by(16);
        for parts in (SLOWEST..FAR_PARTS).chain(whole) {
            assert_eq!(tempo(micros_per_beat(parts).min(0xff_ffff)), parts);
        }
        assert_eq!(tempo(0), FASTEST);
        assert_eq!(tempo(u32::MAX), SLOWEST);
    }
}
