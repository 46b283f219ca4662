//! The takes of one answer, in memory that was reserved beforehand.

use crate::link::{MOST_NOTES, MOST_TAKES, PlayNote};

/// One take: its notes by onset, and how far it is known.
#[derive(Debug)]
pub struct Take {
    notes: Vec<PlayNote>,
    /// No later note begins before this beat.
    reached: f64,
    last_end: f64,
}

impl Take {
    /// The notes in order of their onsets.
    #[must_use]
    pub fn notes(&self) -> &[PlayNote] {
        &self.notes
    }

    /// Up to which beat (not included) all notes are known.
    #[must_use]
    pub fn reached(&self) -> f64 {
        self.reached
    }

    /// Where the last of its notes so far ends.
    #[must_use]
    pub fn last_end(&self) -> f64 {
        self.last_end
    }

    /// The index of the first note that begins at or after a beat.
    #[must_use]
    pub fn from(&self, beat: f64) -> usize {
        self.notes.partition_point(|n| n.start < beat)
    }
}

/// Up to eight takes of an answer.
#[derive(Debug)]
pub struct Takes {
    all: Vec<Take>,
    count: usize,
}

impl Default for Takes {
    fn default() -> Self {
        let take = || Take {
            notes: Vec::with_capacity(MOST_NOTES),
            reached: f64::NEG_INFINITY,
            last_end: f64::NEG_INFINITY,
        };
        Self { all: (0..MOST_TAKES).map(|_| take()).collect(), count: 0 }
    }
}

impl Takes {
    /// Empties all takes; of the next answer nothing is known from `start` on.
    pub fn begin(&mut self, count: usize, start: f64) {
        self.count = count.min(MOST_TAKES);
        for take in &mut self.all {
            take.notes.clear();
            take.reached = start;
            take.last_end = f64::NEG_INFINITY;
        }
    }

    /// How many takes there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// A take; the last one where there are fewer.
    #[must_use]
    pub fn get(&self, take: usize) -> Option<&Take> {
        self.all[..self.count].get(take.min(self.count.saturating_sub(1)))
    }

    /// Keeps a note in its place. What is not a note, or one too many, is dropped.
    pub fn insert(&mut self, take: usize, note: PlayNote) {
        let Some(take) = self.all[..self.count].get_mut(take) else { return };
        if !note.is_sane() || take.notes.len() >= MOST_NOTES {
            return;
        }
        // Takes grow in time, so the place is nearly always the end.
        let place = take.notes.partition_point(|n| n.start <= note.start);
        take.notes.insert(place, note);
        take.last_end = take.last_end.max(note.end);
    }

    /// A take is known up to a beat.
    pub fn reach(&mut self, take: usize, beat: f64) {
        if let Some(take) = self.all[..self.count].get_mut(take) {
            take.reached = take.reached.max(beat);
        }
    }

    /// Nothing more will come.
    pub fn finish(&mut self) {
        for take in &mut self.all {
            take.reached = f64::INFINITY;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(start: f64) -> PlayNote {
        PlayNote { start, end: start + 1.0, channel: 0, key: 60, velocity: 90 }
    }

    #[test]
    fn notes_stand_in_order_whatever_the_order_they_come_in() {
        let mut takes = Takes::default();
        takes.begin(2, 4.0);
        for start in [5.0, 4.0, 6.0, 4.5] {
            takes.insert(1, note(start));
        }
        let starts: Vec<_> = takes.get(1).unwrap().notes().iter().map(|n| n.start).collect();
        assert_eq!(starts, [4.0, 4.5, 5.0, 6.0]);
        assert_eq!(takes.get(1).unwrap().from(4.5), 1);
        // The last take stands in for one that does not exist.
        assert_eq!(takes.get(7).unwrap().notes().len(), 4);
    }

    #[test]
    fn too_much_and_nonsense_are_dropped_and_memory_does_not_grow() {
        let mut takes = Takes::default();
        assert!(takes.get(0).is_none());
        takes.begin(1, 0.0);
        takes.insert(3, note(0.0));
        takes.insert(0, note(f64::NAN));
        takes.insert(0, PlayNote { channel: 16, ..note(0.0) });
        assert!(takes.get(0).unwrap().notes().is_empty());
        for _ in 0..MOST_NOTES + 5 {
            takes.insert(0, note(1.0));
        }
        assert_eq!(takes.get(0).unwrap().notes.capacity(), MOST_NOTES);
    }
}
