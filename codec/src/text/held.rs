//! The limits an answer is held to, in the text's times.

use crate::limits::ledger::{Ledger, Slot, Voices};

/// A ledger as the text sees it: times are hundredths of a second since what the
/// text calls 0.
#[derive(Clone, Debug)]
pub(super) struct Held {
    ledger: Ledger,
    /// Whether the answer is the drum kit's.
    drums: bool,
    /// Where the answer is over, as the ledger counts.
    until: u32,
    /// What the text calls 0, as the ledger counts.
    zero: u32,
}

impl Held {
    /// A ledger that counts as the text does now.
    pub(super) const fn new(ledger: Ledger, drums: bool, until: u32) -> Self {
        Self { ledger, drums, until, zero: 0 }
    }

    const fn voices(&self) -> Voices {
        Voices { melodic: !self.drums, drums: self.drums }
    }

    /// Whether a pitch may be played.
    pub(super) fn fits(&self, pitch: u32) -> bool {
        self.ledger.pitches(self.drums) >> pitch.min(127) & 1 == 1
    }

    /// The first start from a time on; any time is one once the answer is over.
    pub(super) fn next(&self, at: u32) -> u32 {
        self.ledger.next(at + self.zero, self.voices()) - self.zero
    }

    /// The last start, if no note begins from a time on; `None` where the answer may
    /// end.
    pub(super) fn due(&self, at: u32) -> Option<u32> {
        let due = self.ledger.due(at + self.zero, self.voices());
        (due < self.until).then(|| due - self.zero)
    }

    /// What grid or rhythm say of a start.
    pub(super) fn slot(&self, at: u32) -> Option<Slot> {
        self.ledger.slot(at + self.zero)
    }

    pub(super) fn add(&mut self, start: u32, duration: u32) {
        self.ledger.add(start + self.zero, duration, self.drums);
    }

    /// The text calls this time 0 from now on.
    pub(super) const fn shift(&mut self, by: u32) {
        self.zero += by;
    }
}
