//! Meters as the vocabulary has them, and bar lines on the grid.

use super::grid::Grid;
use crate::score::Meter;

/// A meter that can be spelled: 1..=64 over 1, 2, 4, 8, 16 or 32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Signature {
    pub(super) numerator: u8,
    /// The denominator is 2 to this power.
    pub(super) power: u8,
}

impl Signature {
    pub(super) const COMMON: Self = Self { numerator: 4, power: 2 };

    /// Length of its bar in steps: a multiple of 3, at most 6,144.
    pub(super) const fn steps(self) -> u32 {
        self.numerator as u32 * (96 >> self.power)
    }

    pub(super) const fn denominator(self) -> u8 {
        1 << self.power
    }

    /// The nearest that can be spelled: thirty-second notes where the denominator
    /// is larger, halved until the numerator fits, ties upward. `None` where
    /// this is no meter.
    pub(super) fn approximate(numerator: u8, denominator: u8) -> Option<Self> {
        if numerator == 0 || !denominator.is_power_of_two() {
            return None;
        }
        let (mut numerator, mut power) = (numerator, denominator.trailing_zeros());
        while power > 5 || (numerator > 64 && power > 0) {
            numerator = numerator.div_ceil(2);
            power -= 1;
        }
        Some(Self { numerator: numerator.min(64), power: super::vocab::byte(power) })
    }

    /// The meter of a bar of this kind that ends early, after `steps`: its own
    /// denominator where that divides the length, else the next finer that does.
    fn cut(self, steps: u32) -> Option<Self> {
        (self.power..=5).find_map(|power| {
            let unit = 96 >> power;
            let numerator = u8::try_from(steps / unit).ok().filter(|n| (1..=64).contains(n))?;
            steps.is_multiple_of(unit).then_some(Self { numerator, power })
        })
    }
}

/// One bar, in steps since the beginning of the score.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bar {
    pub(super) start: u64,
    pub(super) signature: Signature,
}

impl Bar {
    /// Where the next bar begins.
    pub(super) fn end(&self) -> u64 {
        self.start + u64::from(self.signature.steps())
    }
}

/// Walks from bar line to bar line.
#[derive(Clone)]
pub(super) struct Bars<'a> {
    grid: Grid,
    meters: &'a [Meter],
    /// Where the next bar begins.
    next: u64,
    signature: Signature,
}

impl<'a> Bars<'a> {
    /// `meters` are sorted, and each can be approximated.
    pub(super) const fn new(grid: Grid, meters: &'a [Meter]) -> Self {
        Self { grid, meters, next: 0, signature: Signature::COMMON }
    }

    /// Whether no change of meter lies ahead.
    pub(super) const fn steady(&self) -> bool {
        self.meters.is_empty()
    }

    /// The next bar. A change in its middle ends it there if what is left of it
    /// can be spelled; otherwise the change goes to the nearer bar line.
    pub(super) fn advance(&mut self) -> Bar {
        let mut bar = Bar { start: self.next, signature: self.signature };
        while let Some((meter, rest)) = self.meters.split_first() {
            let change = self.grid.step(meter.tick);
            if change >= bar.end() {
                break;
            }
            let into = u32::try_from(change.saturating_sub(bar.start)).unwrap_or(u32::MAX);
            if let Some(cut) = self.signature.cut(into) {
                bar.signature = cut;
                break;
            }
            if into > self.signature.steps() / 2 {
                break;
            }
            self.signature =
                Signature::approximate(meter.numerator, meter.denominator).unwrap_or(self.signature);
            bar.signature = self.signature;
            self.meters = rest;
        }
        self.next = bar.end();
        bar
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn approximated(numerator: u8, denominator: u8) -> Option<(u8, u8)> {
        Signature::approximate(numerator, denominator).map(|s| (s.numerator, s.denominator()))
    }

    #[test]
    fn meters_out_of_reach_are_approximated() {
        assert_eq!(approximated(6, 8), Some((6, 8)));
        assert_eq!(approximated(64, 32), Some((64, 32)));
        assert_eq!(approximated(12, 64), Some((6, 32)));
        assert_eq!(approximated(3, 64), Some((2, 32)));
        assert_eq!(approximated(1, 128), Some((1, 32)));
        assert_eq!(approximated(65, 32), Some((33, 16)));
        assert_eq!(approximated(255, 1), Some((64, 1)));
        assert_eq!(approximated(0, 4), None);
        assert_eq!(approximated(4, 0), None);
        assert_eq!(approximated(4, 3), None);
    }

    #[test]
    fn a_bar_cut_short_has_its_own_meter() {
        let meters = [
            Meter { tick: 0, numerator: 4, denominator: 4 },
            Meter { tick: 96 + 48, numerator: 3, denominator: 4 },
            Meter { tick: 96 + 48 + 72 + 30, numerator: 3, denominator: 4 },
            // 20 and 40 steps into a bar: no meter is that long.
            Meter { tick: 96 + 48 + 72 + 30 + 20, numerator: 2, denominator: 4 },
            Meter { tick: 96 + 48 + 72 + 30 + 48 + 40, numerator: 4, denominator: 4 },
            // A change upon a change, a step late.
            Meter { tick: 96 + 48 + 72 + 30 + 96 + 1, numerator: 1, denominator: 4 },
        ];
        let mut bars = Bars::new(Grid::new(24), &meters);
        let spelled: Vec<_> = (0..7)
            .map(|_| {
                let bar = bars.advance();
                (bar.start, bar.signature.numerator, bar.signature.denominator())
            })
            .collect();
        assert_eq!(
            spelled,
            [(0, 4, 4), (96, 2, 4), (144, 3, 4), (216, 5, 16), (246, 2, 4), (294, 2, 4), (342, 1, 4)]
        );
    }
}
