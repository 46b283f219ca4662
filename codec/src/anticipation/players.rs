//! Sets of instruments.

use super::decode::player;
use super::ops::is_control;
use super::vocab::{CONTROL, INSTRUMENTS, MOST_INSTRUMENTS, NOTE, PITCHES, REST};
use crate::score::Instrument;

/// Some of the 129 instruments.
#[derive(Clone, Debug)]
pub(super) struct Players([bool; INSTRUMENTS as usize]);

impl Players {
    pub(super) const NONE: Self = Self([false; INSTRUMENTS as usize]);
    pub(super) const ALL: Self = Self([true; INSTRUMENTS as usize]);

    /// These; the piano where there are none.
    pub(super) fn of(instruments: impl IntoIterator<Item = Instrument>) -> Self {
        let mut players = Self::NONE;
        for instrument in instruments {
            players.add(instrument);
        }
        if players.count() == 0 {
            players.add(Instrument::PIANO);
        }
        players
    }

    pub(super) fn add(&mut self, instrument: Instrument) {
        if let Some(plays) = self.0.get_mut(usize::from(instrument.index())) {
            *plays = true;
        }
    }

    /// Adds who plays an event or control; rests are played by nobody.
    pub(super) fn hear(&mut self, triplet: [u32; 3]) {
        let note = triplet[2];
        let sound = if is_control(triplet) { note - CONTROL } else { note };
        if (NOTE..REST).contains(&sound) {
            self.add(player(sound).0);
        }
    }

    /// Whether the drum kit, or anybody else, is among them.
    pub(super) fn any(&self, drums: bool) -> bool {
        let kit = usize::from(Instrument::DRUMS.index());
        self.0.iter().enumerate().any(|(index, &plays)| plays && (index == kit) == drums)
    }

    pub(super) fn count(&self) -> usize {
        self.0.iter().filter(|&&plays| plays).count()
    }

    /// Who of these may play after `sounded` have: once those are many, no other,
    /// unless that would leave nobody.
    pub(super) fn after(&self, sounded: &Self) -> Self {
        let mut both = Self::NONE;
        for (both, (&may, &has)) in both.0.iter_mut().zip(self.0.iter().zip(&sounded.0)) {
            *both = may && has;
        }
        if sounded.count() >= MOST_INSTRUMENTS && both.count() > 0 { both } else { self.clone() }
    }

    /// Calls back with the first note id of each, in ascending order.
    pub(super) fn each(&self, mut call: impl FnMut(u32)) {
        for (first, &plays) in (NOTE..).step_by(PITCHES as usize).zip(&self.0) {
            if plays {
                call(first);
            }
        }
    }
}
