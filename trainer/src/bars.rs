//! Bar lines and beats of a score, in ticks.

use continuo_codec::{Meter, Score};

/// Steps a beat the notes of an answer lie on.
const GRID: u16 = 24;

/// A note held into the next bar by less than a beat divided by this does not
/// carry the phrase into it: players are not that exact.
const HELD_OVER: u16 = 8;

/// The score at a resolution that holds every step of the grid exactly.
#[must_use]
pub fn on_grid(score: Score) -> Score {
    let factor = GRID / common_divisor(score.ticks_per_beat, GRID);
    scaled(&score, factor).unwrap_or(score)
}

fn common_divisor(a: u16, b: u16) -> u16 {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

/// `None` where a number would leave its range.
fn scaled(score: &Score, factor: u16) -> Option<Score> {
    let by = |tick: u32| tick.checked_mul(u32::from(factor));
    let ticks_per_beat = score.ticks_per_beat.checked_mul(factor).filter(|ticks| *ticks <= 0x7fff)?;
    let mut scaled = Score { ticks_per_beat, ..score.clone() };
    for note in &mut scaled.notes {
        (note.start, note.duration) = (by(note.start)?, by(note.duration)?);
    }
    for tempo in &mut scaled.tempos {
        tempo.tick = by(tempo.tick)?;
    }
    for meter in &mut scaled.meters {
        meter.tick = by(meter.tick)?;
    }
    Some(scaled)
}

/// Where a phrase ends for the ear: the end of its last note, a little holding
/// over taken off, but never before its last note begins.
#[must_use]
pub fn end(score: &Score) -> u64 {
    let tolerance = u64::from(score.ticks_per_beat / HELD_OVER);
    let last_onset = score.notes.iter().map(|n| u64::from(n.start) + 1).max().unwrap_or(0);
    let end = score.notes.iter().map(|n| u64::from(n.start) + u64::from(n.duration)).max().unwrap_or(0);
    end.saturating_sub(tolerance).max(last_onset)
}

/// Where a phrase's first note begins; 0 without notes.
#[must_use]
pub fn begin(score: &Score) -> u64 {
    score.notes.iter().map(|n| u64::from(n.start)).min().unwrap_or(0)
}

/// The last bar line at or before a tick.
#[must_use]
pub fn line_at_or_before(score: &Score, tick: u64) -> u64 {
    bar_at(score, tick).0
}

/// The first bar line at or after a tick.
#[must_use]
pub fn line_at_or_after(score: &Score, tick: u64) -> u64 {
    let (line, length) = bar_at(score, tick);
    let next = if line == tick { line } else { line + length };
    // A meter begins a bar wherever it begins.
    let meter = score.meters.iter().map(|m| u64::from(m.tick)).find(|&begin| begin >= tick);
    meter.map_or(next, |begin| begin.min(next))
}

/// The first beat (quarter note, counted from the bar line) at or after a tick.
#[must_use]
pub fn beat_at_or_after(score: &Score, tick: u64) -> u64 {
    let (line, _) = bar_at(score, tick);
    let beat = line + (tick - line).next_multiple_of(u64::from(score.ticks_per_beat.max(1)));
    beat.min(line_at_or_after(score, tick))
}

/// The bar line at or before a tick, and the length of the bar.
fn bar_at(score: &Score, tick: u64) -> (u64, u64) {
    let meter = in_force(score, tick);
    let (begin, length) = (u64::from(meter.tick), bar_length(score, meter));
    (tick - (tick - begin.min(tick)) % length, length)
}

/// The length of the bar that begins at a tick.
#[must_use]
pub fn length_at(score: &Score, tick: u64) -> u64 {
    bar_length(score, in_force(score, tick))
}

const COMMON: Meter = Meter { tick: 0, numerator: 4, denominator: 4 };

fn in_force(score: &Score, tick: u64) -> Meter {
    score.meters.iter().rev().find(|meter| u64::from(meter.tick) <= tick).copied().unwrap_or(COMMON)
}

fn bar_length(score: &Score, meter: Meter) -> u64 {
    let whole = u64::from(score.ticks_per_beat) * 4;
    (whole * u64::from(meter.numerator) / u64::from(meter.denominator.max(1))).max(1)
}

#[cfg(test)]
mod tests {
    use continuo_codec::{Instrument, Note};

    use super::*;

    fn score(ticks_per_beat: u16, meters: &[(u32, u8, u8)], last: (u32, u32)) -> Score {
        let mut score = Score::new(ticks_per_beat);
        score.meters = meters
            .iter()
            .map(|&(tick, numerator, denominator)| Meter { tick, numerator, denominator })
            .collect();
        let (start, duration) = last;
        score.notes = vec![Note { start, instrument: Instrument::PIANO, pitch: 60, duration, velocity: 90 }];
        score
    }

    #[track_caller]
    fn check(meters: &[(u32, u8, u8)], last: (u32, u32), bar: u64, beat: u64) {
        let score = score(480, meters, last);
        assert_eq!(line_at_or_after(&score, end(&score)), bar, "bar");
        assert_eq!(beat_at_or_after(&score, end(&score)), beat, "beat");
    }

    #[test]
    fn the_next_bar_follows_the_meter_map() {
        check(&[], (0, 480), 1920, 480);
        check(&[], (1440, 480), 1920, 1920);
        check(&[(0, 3, 4)], (1000, 480), 2880 - 1440, 1440);
        check(&[(0, 7, 8)], (1700, 480), 3360, 1680 + 480);
        // 4/4 for one bar, then 7/8; and a meter that cuts a bar short.
        check(&[(0, 4, 4), (1920, 7, 8)], (2000, 200), 3600, 2400);
        check(&[(0, 4, 4), (960, 3, 4)], (0, 600), 960, 960);
    }

    #[test]
    fn a_note_held_over_by_a_hair_does_not_cost_a_bar() {
        check(&[], (1440, 530), 1920, 1920);
        check(&[], (1440, 600), 3840, 2400);
        // A short note on the bar line itself is in the next bar.
        check(&[], (1920, 10), 3840, 2400);
    }

    #[test]
    fn every_resolution_becomes_one_that_holds_the_grid() {
        for ticks in [1, 24, 96, 100, 220, 384, 480, 1000] {
            let scaled = on_grid(score(ticks, &[(0, 3, 4)], (u32::from(ticks) * 3, u32::from(ticks))));
            assert_eq!(scaled.ticks_per_beat % 24, 0, "{ticks}");
            assert!((scaled.beats(scaled.notes[0].start) - 3.0).abs() < 1e-9);
        }
        // What cannot be scaled stays as it is.
        assert_eq!(on_grid(score(32_767, &[], (5, 5))).ticks_per_beat, 32_767);
    }
}
