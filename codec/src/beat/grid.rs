//! Ticks of a score to steps of the grid.

use super::vocab::STEPS_PER_BEAT;

/// The grid as a score's ticks see it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grid {
    ticks_per_beat: u64,
    /// 2 to the 64, divided by twice the ticks a beat, rounded up.
    reciprocal: u64,
}

impl Grid {
    /// `ticks_per_beat` is not 0.
    pub(super) const fn new(ticks_per_beat: u16) -> Self {
        let ticks_per_beat = ticks_per_beat as u64;
        Self { ticks_per_beat, reciprocal: u64::MAX / (2 * ticks_per_beat) + 1 }
    }

    /// The nearest step, the later of two that are equally near.
    pub(super) const fn step(self, ticks: u32) -> u64 {
        let doubled = 2 * STEPS_PER_BEAT as u64;
        let dividend = ticks as u64 * doubled + self.ticks_per_beat;
        // A product in place of a division, of which two a note take their time.
        // The reciprocal is too large by less than 1, what it gives hence by less
        // than 2^38 / 2^64; the next whole number is 1 / 2^17 away at least.
        ((dividend as u128 * self.reciprocal as u128) >> 64) as u64
    }
}

/// The first step that is not before a time in beats. A time this little past a
/// step (a host's arithmetic) is that step.
///
/// `beats` is finite, not negative, and at most [`LATEST`].
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "callers keep within 0..=LATEST, which is far inside u32"
)]
pub(super) fn step_at_or_after(beats: f64) -> u32 {
    (beats * f64::from(STEPS_PER_BEAT) - 1e-4).ceil().max(0.0) as u32
}

/// Latest time a window may have, in beats.
pub(super) const LATEST: f64 = 1e8;

/// A step in beats.
pub(super) fn beats(step: u32) -> f64 {
    f64::from(step) / f64::from(STEPS_PER_BEAT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_product_is_the_quotient() {
        for ticks_per_beat in (1..=u16::MAX).filter(|n| n % 97 == 1 || n.is_power_of_two() || *n > 65_500) {
            let grid = Grid::new(ticks_per_beat);
            let per_beat = u64::from(ticks_per_beat);
            // Around every kind of half step, at both ends of time.
            let near = (0..=2000).map(|n| n * u32::from(ticks_per_beat) / 48);
            for ticks in near.chain(0..50).chain(u32::MAX - 50..=u32::MAX) {
                for ticks in [ticks.saturating_sub(1), ticks, ticks.saturating_add(1)] {
                    let exact = (u64::from(ticks) * 48 + per_beat) / (2 * per_beat);
                    assert_eq!(grid.step(ticks), exact, "{ticks} ticks at {ticks_per_beat} a beat");
                }
            }
        }
    }
}
