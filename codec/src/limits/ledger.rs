//! Keeps account of an answer's notes, so that a grammar can ask what the limits
//! still allow. Time is counted in whole units of the encoding (steps,
//! hundredths of a second), from where the encoding counts.

use std::ops::Range;
use std::sync::Arc;

use super::Limits;
use crate::encoding::{EncodingError, Window};

/// Most onsets and stretches that are laid out in advance.
const MOST_SLOTS: usize = 1 << 20;

/// The end of a note that has not ended.
const OPEN: u32 = u32::MAX;

/// All pitches, a bit each.
const ALL_PITCHES: u128 = u128::MAX;

/// Who may still play.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Voices {
    /// Any instrument but the drum kit.
    pub(crate) melodic: bool,
    /// The drum kit.
    pub(crate) drums: bool,
}

/// An onset that grid or rhythm names.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Slot {
    /// In units.
    pub(crate) at: u32,
    /// The same, exactly, on the encoding's clock.
    pub(crate) time: f64,
    /// Length of the notes there in units, where the rhythm gives it.
    pub(crate) duration: Option<u32>,
}

/// How an encoding counts time. Both functions take quarter notes since tick 0, and
/// neither ever falls.
pub(crate) struct Units<'a> {
    /// The nearest unit.
    pub(crate) unit: &'a dyn Fn(f64) -> u32,
    /// The time on the encoding's clock.
    pub(crate) time: &'a dyn Fn(f64) -> f64,
    /// The first unit that is outside of the window.
    pub(crate) until: u32,
}

/// See the [module](self). Cloned once a take.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    /// Where the answer is over.
    until: u32,
    /// The pitches scale and range leave, a bit each.
    pitches: u128,
    polyphony: usize,
    /// The onsets there are; all where there is neither grid nor rhythm.
    slots: Option<Arc<[Slot]>>,
    /// Whether each slot has to have a note.
    bound: bool,
    /// Where the stretches of the density begin, and how many notes each may have.
    stretches: Arc<[u32]>,
    density: u32,
    /// Ends of the melodic notes that may still sound.
    ends: Vec<u32>,
    /// The onset of the last note, and how many began in its stretch.
    last: u32,
    begun: u32,
}

impl Ledger {
    /// For an answer in a window.
    pub(crate) fn new(limits: &Limits, window: Window, units: &Units<'_>) -> Result<Self, EncodingError> {
        check(limits)?;
        let stretches = match limits.density {
            None => Vec::new(),
            Some(density) => {
                let begins = |k: u32| window.from + f64::from(k) * density.beats;
                laid_out((0..).map(begins), window)?.into_iter().map(units.unit).collect()
            }
        };
        Ok(Self {
            until: units.until,
            pitches: pitches(limits)?,
            polyphony: limits.polyphony.map_or(usize::MAX, usize::from),
            slots: slots(limits, window, units)?.map(Into::into),
            bound: limits.rhythm.is_some(),
            stretches: stretches.into(),
            density: limits.density.map_or(u32::MAX, |density| density.notes),
            ends: Vec::new(),
            last: 0,
            begun: 0,
        })
    }

    /// Whether any moment is as good as any other, whatever has sounded.
    pub(crate) fn timeless(&self) -> bool {
        self.slots.is_none() && self.polyphony == usize::MAX && self.density == u32::MAX
    }

    /// Whether a note has to begin at each onset there is.
    pub(crate) const fn bound(&self) -> bool {
        self.bound
    }

    /// Whether a note of one kind may begin at a time.
    pub(crate) fn may_begin(&self, at: u32, drums: bool) -> bool {
        self.timeless() || self.next(at, Voices { melodic: !drums, drums }) == at
    }

    /// The pitches an instrument may play, a bit each, lowest first.
    pub(crate) const fn pitches(&self, drums: bool) -> u128 {
        if drums { ALL_PITCHES } else { self.pitches }
    }

    /// Whether one more note may begin at a time that is no earlier than the last
    /// note, were it the time of a slot.
    pub(crate) fn room(&self, at: u32, drums: bool) -> bool {
        let begun = if self.stretch(at) == self.stretch(self.last) { self.begun } else { 0 };
        begun < self.density && (drums || self.sounding(at) < self.polyphony)
    }

    /// The earliest time from `at` on at which one of the voices may begin a note;
    /// the window's end, or `at` if that is later, where there is none.
    pub(crate) fn next(&self, at: u32, voices: Voices) -> u32 {
        if self.timeless() {
            return at;
        }
        let mut at = at;
        while at < self.until {
            let slot = self.slot_from(at);
            let free = [(voices.melodic, false), (voices.drums, true)]
                .into_iter()
                .filter(|&(may, _)| may)
                .map(|(_, drums)| self.free_from(slot, drums))
                .min();
            match free {
                None => break,
                Some(free) if free == slot => return slot,
                Some(free) => at = free,
            }
        }
        at.max(self.until)
    }

    /// The time a note has to begin at, at the latest, where no note began from
    /// `at` on: the window's end without a rhythm.
    pub(crate) fn due(&self, at: u32, voices: Voices) -> u32 {
        if self.bound { self.next(at, voices) } else { self.until.max(at) }
    }

    /// The slot at a time, where grid or rhythm name it.
    pub(crate) fn slot(&self, at: u32) -> Option<Slot> {
        let slots = self.slots.as_deref()?;
        slots.binary_search_by_key(&at, |slot| slot.at).ok().and_then(|i| slots.get(i)).copied()
    }

    /// Takes a note of the answer. Notes come in the order of their onsets.
    pub(crate) fn add(&mut self, start: u32, duration: u32, drums: bool) {
        if self.stretch(start) != self.stretch(self.last) {
            self.begun = 0;
        }
        self.begun += 1;
        self.last = start;
        if !drums && self.polyphony < usize::MAX {
            self.ends.retain(|&end| end > start);
            self.ends.push(start.saturating_add(duration.max(1)));
        }
    }

    /// Takes a note of the answer that ends when [`Ledger::end`] says so.
    pub(crate) fn begin(&mut self, start: u32, drums: bool) {
        self.add(start, OPEN, drums);
    }

    /// Ends a melodic note that began without an end; which is all the same.
    pub(crate) fn end(&mut self, at: u32) {
        if let Some(end) = self.ends.iter_mut().find(|end| **end == OPEN) {
            *end = at;
        }
    }

    fn sounding(&self, at: u32) -> usize {
        self.ends.iter().filter(|&&end| end > at).count()
    }

    /// Counts stretches; 0 before the first and without a density.
    fn stretch(&self, at: u32) -> usize {
        self.stretches.partition_point(|&begin| begin <= at)
    }

    /// The first time from `at` on that grid and rhythm know.
    fn slot_from(&self, at: u32) -> u32 {
        let Some(slots) = self.slots.as_deref() else { return at };
        let next = slots.partition_point(|slot| slot.at < at);
        slots.get(next).map_or(self.until, |slot| slot.at)
    }

    /// The first time from `at` on at which density and polyphony have room.
    fn free_from(&self, at: u32, drums: bool) -> u32 {
        let mut at = at;
        if !self.room(at, true) {
            at = self.stretches.get(self.stretch(at)).copied().unwrap_or(self.until);
        }
        if !drums && self.sounding(at) >= self.polyphony {
            // So many have to end before there is room.
            let mut ends: Vec<u32> = self.ends.iter().copied().filter(|&end| end > at).collect();
            ends.sort_unstable();
            at = ends.get(ends.len() - self.polyphony).copied().unwrap_or(self.until);
        }
        at
    }
}

/// Calls back with the runs of set bits, in ascending order.
pub(crate) fn runs(mut bits: u128, mut call: impl FnMut(Range<u32>)) {
    let mut at = 0;
    while bits != 0 {
        let gap = bits.trailing_zeros();
        bits >>= gap;
        let run = bits.trailing_ones();
        call(at + gap..at + gap + run);
        at += gap + run;
        bits = bits.checked_shr(run).unwrap_or(0);
    }
}

fn check(limits: &Limits) -> Result<(), EncodingError> {
    let error = |what: String| Err(EncodingError::Limits(what));
    if limits.polyphony == Some(0) {
        return error("a polyphony of 0 leaves no note; 1 is one at a time".into());
    }
    if let Some(grid) = limits.grid.filter(|grid| !(1..=24).contains(grid)) {
        return error(format!("a grid of {grid} a quarter note; it may be 1 to 24, and 4 is sixteenths"));
    }
    if let Some(density) = limits.density.filter(|d| d.notes == 0 || !(d.beats > 0.0 && d.beats.is_finite()))
    {
        return error(format!("a density of {} notes in {} quarter notes", density.notes, density.beats));
    }
    Ok(())
}

fn pitches(limits: &Limits) -> Result<u128, EncodingError> {
    let allowed = |pitch: u8| limits.range.contains(&pitch) && limits.scale.is_none_or(|s| s.contains(pitch));
    let pitches = (0..128).filter(|&pitch| allowed(pitch)).fold(0, |set, pitch| set | 1_u128 << pitch);
    if pitches == 0 {
        let (low, high) = (limits.range.start(), limits.range.end());
        return Err(EncodingError::Limits(format!("no pitch from {low} to {high} is left; widen the range")));
    }
    Ok(pitches)
}

/// The onsets of rhythm and grid, in ascending order, each once.
fn slots(limits: &Limits, window: Window, units: &Units<'_>) -> Result<Option<Vec<Slot>>, EncodingError> {
    let on_grid = |beats: f64| match limits.grid {
        None => beats,
        Some(grid) => (beats * f64::from(grid)).round() / f64::from(grid),
    };
    let mut slots: Vec<Slot> = match (&limits.rhythm, limits.grid) {
        (None, None) => return Ok(None),
        (Some(rhythm), _) => {
            let beats = rhythm.unrolled().map(|beat| (on_grid(window.from + beat.at), beat.duration));
            let laid: Vec<(f64, f64)> = laid_out(beats, window)?;
            let slot = |(beats, duration): (f64, f64)| {
                let (at, end) = ((units.unit)(beats), (units.unit)(beats + duration));
                Slot { at, time: (units.time)(beats), duration: Some(end.saturating_sub(at).max(1)) }
            };
            laid.into_iter().map(slot).collect()
        }
        (None, Some(grid)) => {
            let first = (window.from * f64::from(grid) - 1e-6).ceil();
            let beats = (0..).map(|k: u32| (first + f64::from(k)) / f64::from(grid));
            let slot = |beats| Slot { at: (units.unit)(beats), time: (units.time)(beats), duration: None };
            laid_out(beats, window)?.into_iter().map(slot).collect()
        }
    };
    let from = (units.unit)(window.from);
    slots.retain(|slot| slot.at >= from && slot.at < units.until);
    slots.dedup_by_key(|slot| slot.at);
    if slots.is_empty() {
        return Err(EncodingError::Limits("no onset of grid or rhythm lies in the answer's place".into()));
    }
    Ok(Some(slots))
}

/// A time in quarter notes, alone or with what belongs to it.
trait Begins {
    fn begins(&self) -> f64;
}

impl Begins for f64 {
    fn begins(&self) -> f64 {
        *self
    }
}

impl Begins for (f64, f64) {
    fn begins(&self) -> f64 {
        self.0
    }
}

/// What begins before the window's end.
fn laid_out<T: Begins>(times: impl Iterator<Item = T>, window: Window) -> Result<Vec<T>, EncodingError> {
    let laid: Vec<T> = times.take_while(|time| time.begins() < window.until).take(MOST_SLOTS).collect();
    if laid.len() == MOST_SLOTS {
        return Err(EncodingError::Limits(format!(
            "more than {MOST_SLOTS} onsets to keep; ask for a shorter answer"
        )));
    }
    Ok(laid)
}
