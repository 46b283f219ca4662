//! What may follow what within a note, token by token.
//!
//! A note is seven runs of digits with a separator after each:
//! `pitch_start.start_duration.duration_velocity.0`. Only GPT-2's own split of a
//! run into tokens is allowed, since a model has seen no other, and only splits
//! of numbers that are within bounds, so no choice ever leads astray. Times are
//! counted in hundredths of a second, and are spelled as Python prints them.

use std::ops::RangeInclusive;
use std::sync::LazyLock;

use super::held::Held;
use super::tokens::{POINT, UNDERSCORE, number};

/// The last time that four digits before the point can spell, in hundredths.
pub(super) const LAST_TIME: u32 = 999_999;

/// The tokens of a number of at most four digits, in place: they are searched
/// through often.
#[derive(Clone, Copy, Default)]
struct Digits {
    tokens: [u32; 4],
    length: usize,
}

impl Digits {
    fn of(text: &str) -> Self {
        let mut digits = Self::default();
        for (place, id) in digits.tokens.iter_mut().zip(number(text)) {
            *place = id;
            digits.length += 1;
        }
        digits
    }

    /// What comes after these tokens, where they are the first.
    fn after(&self, run: &[u32]) -> Option<&[u32]> {
        self.tokens[..self.length].strip_prefix(run)
    }
}

/// The tokens of every number that can occur.
struct Spellings {
    /// 0 to 9999.
    plain: Vec<Digits>,
    /// 0 to 127 after a space.
    spaced: Vec<Digits>,
    /// 0 to 99 hundredths after a point, without a last 0 that would be idle.
    fractions: Vec<Digits>,
}

static SPELLINGS: LazyLock<Spellings> = LazyLock::new(|| Spellings {
    plain: (0..=LAST_TIME / 100).map(|n| Digits::of(&n.to_string())).collect(),
    spaced: (0..=127).map(|n| Digits::of(&format!(" {n}"))).collect(),
    fractions: (0..100)
        .map(|n| Digits::of(&if n % 10 == 0 { (n / 10).to_string() } else { format!("{n:02}") }))
        .collect(),
});

/// A run of digits in a note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slot {
    Pitch,
    StartWhole,
    StartFraction,
    DurationWhole,
    DurationFraction,
    Velocity,
    /// Always 0; the note ends with it.
    VelocityFraction,
}

impl Slot {
    const fn next(self) -> Self {
        match self {
            Self::Pitch => Self::StartWhole,
            Self::StartWhole => Self::StartFraction,
            Self::StartFraction => Self::DurationWhole,
            Self::DurationWhole => Self::DurationFraction,
            Self::DurationFraction => Self::Velocity,
            Self::Velocity => Self::VelocityFraction,
            Self::VelocityFraction => Self::Pitch,
        }
    }

    /// What follows the run.
    const fn separator(self) -> u32 {
        match self {
            Self::StartWhole | Self::DurationWhole | Self::Velocity => POINT,
            _ => UNDERSCORE,
        }
    }
}

/// A note as it was spelled; times are hundredths of a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Spelled {
    pub(super) pitch: u32,
    pub(super) start: u32,
    pub(super) duration: u32,
    pub(super) velocity: u32,
}

/// What a token completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing yet.
    Inside,
    /// The start's digits before the point have begun; it is this at least.
    StartFrom(u32),
    /// The start.
    Start(u32),
    /// A note.
    Note(Spelled),
}

/// Where in a note the text stands.
#[derive(Clone, Debug)]
pub(super) struct Grammar {
    /// Which starts are allowed, in hundredths of a second.
    pub(super) starts: RangeInclusive<u32>,
    /// Which durations are.
    pub(super) durations: RangeInclusive<u32>,
    /// Whether a note stands before this one, so that a space comes first.
    pub(super) spaced: bool,
    /// The limits on an answer.
    pub(super) held: Option<Box<Held>>,
    slot: Slot,
    /// The tokens of the run so far.
    run: Vec<u32>,
    note: Spelled,
}

impl Grammar {
    pub(super) const fn new(
        starts: RangeInclusive<u32>,
        durations: RangeInclusive<u32>,
        spaced: bool,
    ) -> Self {
        let note = Spelled { pitch: 0, start: 0, duration: 0, velocity: 0 };
        Self { starts, durations, spaced, held: None, slot: Slot::Pitch, run: Vec::new(), note }
    }

    /// Whether the text stands between notes.
    pub(super) fn between_notes(&self) -> bool {
        self.slot == Slot::Pitch && self.run.is_empty()
    }

    /// Calls back with the tokens that may come next, some of them repeatedly.
    pub(super) fn allowed(&self, allow: &mut dyn FnMut(u32)) {
        let table = self.table();
        for number in self.numbers() {
            if let Some(rest) = table[index(number)].after(&self.run) {
                allow(rest.first().copied().unwrap_or(self.slot.separator()));
            }
        }
    }

    /// Takes a token; `None`, and no change, where it may not come.
    pub(super) fn push(&mut self, id: u32) -> Option<Step> {
        let table = self.table();
        if id == self.slot.separator() {
            let whole = |&number: &u32| table[index(number)].after(&self.run) == Some(&[]);
            let number = self.numbers().find(whole);
            return number.map(|number| self.fix(number));
        }
        let begins = |number: &u32| {
            let rest = table[index(*number)].after(&self.run);
            rest.and_then(<[u32]>::first) == Some(&id)
        };
        // Of the numbers that begin so, the first is the least.
        let least = self.numbers().find(begins)?;
        self.run.push(id);
        Some(match self.slot {
            Slot::StartWhole => Step::StartFrom(least * 100),
            Slot::VelocityFraction => self.fix(least),
            _ => Step::Inside,
        })
    }

    /// Counts times from later on; `None`, and no change, within a start.
    pub(super) fn shift(&mut self, by: u32) -> Option<()> {
        if matches!(self.slot, Slot::StartWhole | Slot::StartFraction) {
            return None;
        }
        self.starts = self.starts.start().saturating_sub(by)..=self.starts.end().saturating_sub(by);
        self.note.start = self.note.start.saturating_sub(by);
        if let Some(held) = &mut self.held {
            held.shift(by);
        }
        Some(())
    }

    /// The run is this number, and its separator has come.
    fn fix(&mut self, number: u32) -> Step {
        let slot = self.slot;
        self.slot = slot.next();
        self.run.clear();
        match slot {
            Slot::Pitch => self.note.pitch = number,
            Slot::StartWhole => self.note.start = number * 100,
            Slot::StartFraction => {
                self.note.start += number;
                return Step::Start(self.note.start);
            }
            Slot::DurationWhole => self.note.duration = number * 100,
            Slot::DurationFraction => self.note.duration += number,
            Slot::Velocity => self.note.velocity = number,
            Slot::VelocityFraction => {
                self.spaced = true;
                return Step::Note(self.note);
            }
        }
        Step::Inside
    }

    /// The numbers that the run can still become if their tokens begin as it does.
    fn numbers(&self) -> impl Iterator<Item = u32> {
        let range = match self.slot {
            Slot::Pitch => 0..=127,
            Slot::StartWhole => wholes(&self.starts),
            Slot::StartFraction => fractions(&self.starts, self.note.start),
            Slot::DurationWhole => wholes(&self.durations),
            Slot::DurationFraction => fractions(&self.durations, self.note.duration),
            Slot::Velocity => 1..=127,
            Slot::VelocityFraction => 0..=0,
        };
        range.filter(|&number| self.held.as_deref().is_none_or(|held| self.is_within(held, number)))
    }

    /// Whether a number keeps the limits, or may yet.
    fn is_within(&self, held: &Held, number: u32) -> bool {
        let first = match self.slot {
            Slot::Pitch => return held.fits(number),
            Slot::StartWhole => number * 100,
            Slot::StartFraction => self.note.start + number,
            _ => return true,
        };
        let last = if self.slot == Slot::StartWhole { first + 99 } else { first };
        held.next(first.max(*self.starts.start())) <= last.min(*self.starts.end())
    }

    fn table(&self) -> &'static [Digits] {
        match self.slot {
            Slot::Pitch if self.spaced => &SPELLINGS.spaced,
            Slot::StartFraction | Slot::DurationFraction | Slot::VelocityFraction => &SPELLINGS.fractions,
            _ => &SPELLINGS.plain,
        }
    }
}

/// The whole seconds of times.
fn wholes(times: &RangeInclusive<u32>) -> RangeInclusive<u32> {
    times.start() / 100..=times.end() / 100
}

/// The hundredths of those times that have these whole seconds.
fn fractions(times: &RangeInclusive<u32>, whole: u32) -> RangeInclusive<u32> {
    times.start().saturating_sub(whole)..=(times.end() - whole).min(99)
}

fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
