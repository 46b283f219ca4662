//! Ticks of a score to steps of the grid.

use super::vocab::STEPS_PER_BEAT;

/// The grid as a score's ticks see it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grid {
    ticks_per_beat: u64,
}

impl Grid {
    /// `ticks_per_beat` is not 0.
    pub(super) const fn new(ticks_per_beat: u16) -> Self {
        Self { ticks_per_beat: ticks_per_beat as u64 }
    }

    /// The nearest step, the later of two that are equally near.
    pub(super) const fn step(self, ticks: u32) -> u64 {
        let doubled = 2 * STEPS_PER_BEAT as u64;
        (ticks as u64 * doubled + self.ticks_per_beat) / (2 * self.ticks_per_beat)
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
