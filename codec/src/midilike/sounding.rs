//! The notes that have begun and not ended.

use std::collections::{BTreeMap, VecDeque};

/// An instrument and a pitch of it.
pub(super) type Key = (u8, u8);

/// A note that has begun. Times are in steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sounding {
    pub(super) start: u32,
    pub(super) velocity: u8,
    /// It may not end before this.
    pub(super) soonest: u32,
    /// It must have ended by then.
    pub(super) due: u32,
}

/// How often each of some times occurs.
#[derive(Clone, Debug, Default)]
struct Times(BTreeMap<u32, usize>);

impl Times {
    fn add(&mut self, time: u32) {
        *self.0.entry(time).or_default() += 1;
    }

    fn remove(&mut self, time: u32) {
        if let Some(count) = self.0.get_mut(&time) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&time);
            }
        }
    }

    fn first(&self) -> Option<u32> {
        self.0.keys().next().copied()
    }
}

/// All that sound.
#[derive(Clone, Debug, Default)]
pub(super) struct Sounds {
    /// By instrument and pitch, oldest first. Those of a key are due in that order.
    keys: BTreeMap<Key, VecDeque<Sounding>>,
    starts: Times,
    soonest: Times,
    dues: Times,
}

impl Sounds {
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The onset of the oldest.
    pub(super) fn oldest(&self) -> Option<u32> {
        self.starts.first()
    }

    /// The first step at which one may end.
    pub(super) fn soonest(&self) -> Option<u32> {
        self.soonest.first()
    }

    /// The step by which one must have ended.
    pub(super) fn due(&self) -> Option<u32> {
        self.dues.first()
    }

    /// The oldest note of each pitch of an instrument.
    pub(super) fn of(&self, instrument: u8) -> impl Iterator<Item = (u8, Sounding)> {
        let notes = self.keys.range((instrument, 0)..=(instrument, u8::MAX));
        notes.filter_map(|(&(_, pitch), notes)| notes.front().map(|&note| (pitch, note)))
    }

    /// Takes a note, and gives it back as it was taken: where its key is down it ends
    /// no sooner than the notes before it, as these end first.
    pub(super) fn begin(&mut self, key: Key, mut note: Sounding) -> Sounding {
        let notes = self.keys.entry(key).or_default();
        if let Some(last) = notes.back() {
            note.soonest = note.soonest.max(last.soonest);
            note.due = note.due.max(last.due);
        }
        notes.push_back(note);
        self.starts.add(note.start);
        self.soonest.add(note.soonest);
        self.dues.add(note.due);
        note
    }

    /// Ends the oldest note of a key.
    pub(super) fn end(&mut self, key: Key) -> Option<Sounding> {
        let notes = self.keys.get_mut(&key)?;
        let note = notes.pop_front()?;
        if notes.is_empty() {
            self.keys.remove(&key);
        }
        self.starts.remove(note.start);
        self.soonest.remove(note.soonest);
        self.dues.remove(note.due);
        Some(note)
    }

    /// Ends all notes.
    pub(super) fn close(&mut self) -> impl Iterator<Item = (Key, Sounding)> {
        let Self { keys, .. } = std::mem::take(self);
        keys.into_iter().flat_map(|(key, notes)| notes.into_iter().map(move |note| (key, note)))
    }
}
