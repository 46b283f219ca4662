//! The phrase's notes that sound along with an answer.

use std::collections::BTreeMap;

use super::sounding::Key;
use super::writer::{Act, Happening};

/// What the phrase does while the answer is written. It is spelled along with the
/// answer, each beginning and end at its step.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard {
    /// What is still to come, the last first.
    coming: Vec<Happening>,
    /// The keys the phrase holds, each with how many of its notes.
    down: BTreeMap<Key, usize>,
}

impl Heard {
    /// What happens, in order.
    pub(super) fn new(mut happenings: Vec<Happening>) -> Self {
        happenings.reverse();
        Self { coming: happenings, down: BTreeMap::new() }
    }

    /// The step at which something happens next.
    pub(super) fn next(&self) -> Option<u32> {
        self.coming.last().map(|happening| happening.at)
    }

    /// Whether nothing sounds.
    pub(super) fn is_silent(&self) -> bool {
        self.down.is_empty()
    }

    /// The pitches of an instrument that the phrase holds, a bit each.
    pub(super) fn down(&self, instrument: u8) -> u128 {
        let keys = self.down.range((instrument, 0)..=(instrument, u8::MAX));
        keys.fold(0, |mask, (&(_, pitch), _)| mask | 1 << pitch)
    }

    /// The pitches of an instrument that begin at a step, a bit each.
    pub(super) fn begins(&self, now: u32, instrument: u8) -> u128 {
        self.mask(now, |h| h.instrument == instrument && h.act != Act::Off)
    }

    /// The pitches of an instrument that end at a step, a bit each.
    pub(super) fn ends(&self, now: u32, instrument: u8) -> u128 {
        self.mask(now, |h| h.instrument == instrument && h.act == Act::Off)
    }

    /// Whether a note is still to begin at a step.
    pub(super) fn any_begins(&self, now: u32) -> bool {
        self.mask(now, |h| h.act != Act::Off) != 0
    }

    fn mask(&self, now: u32, is: impl Fn(&Happening) -> bool) -> u128 {
        self.here(now).filter(|&happening| is(happening)).fold(0, |mask, h| mask | 1 << h.pitch)
    }

    fn here(&self, now: u32) -> impl Iterator<Item = &Happening> {
        self.coming.iter().rev().take_while(move |happening| happening.at == now)
    }

    /// The velocity of a note that begins at a step.
    pub(super) fn velocity(&self, now: u32, key: Key) -> Option<u8> {
        self.here(now).find_map(|h| match h.act {
            Act::On(velocity) if (h.instrument, h.pitch) == key => Some(velocity),
            _ => None,
        })
    }

    /// The step at which the phrase strikes a key next.
    pub(super) fn strikes(&self, key: Key) -> Option<u32> {
        let strikes = |h: &&Happening| (h.instrument, h.pitch) == key && h.act != Act::Off;
        self.coming.iter().rev().find(strikes).map(|happening| happening.at)
    }

    /// Takes the beginning of a note; whether it is the phrase's.
    pub(super) fn begin(&mut self, now: u32, key: Key) -> bool {
        let taken = self.take(now, |h| (h.instrument, h.pitch) == key && h.act != Act::Off);
        if taken {
            *self.down.entry(key).or_default() += 1;
        }
        taken
    }

    /// Takes the end of a note; whether it is the phrase's.
    pub(super) fn end(&mut self, now: u32, key: Key) -> bool {
        let taken = self.take(now, |h| (h.instrument, h.pitch) == key && h.act == Act::Off);
        if let Some(count) = self.down.get_mut(&key).filter(|_| taken) {
            *count -= 1;
            if *count == 0 {
                self.down.remove(&key);
            }
        }
        taken
    }

    fn take(&mut self, now: u32, is: impl Fn(&Happening) -> bool) -> bool {
        let here = self.here(now).position(is);
        if let Some(back) = here {
            self.coming.remove(self.coming.len() - 1 - back);
        }
        here.is_some()
    }
}
