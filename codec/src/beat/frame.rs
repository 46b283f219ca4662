//! What holds an answer within its window and its limits, and the phrase's notes
//! that sound along with it.

use super::grammar::{KIT, Sound};
use super::vocab::{INSTRUMENTS, nearest_duration};
use crate::limits::ledger::{Ledger, Voices};

/// A frame around an answer. Times are steps since tick 0 of the phrase.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    /// No position at or after this step.
    pub(super) until: u32,
    /// Which instruments may play.
    pub(super) instruments: [bool; INSTRUMENTS as usize],
    /// Most bars in a row without a note.
    pub(super) silence: u32,
    pub(super) ledger: Ledger,
    /// Notes of the phrase that sound along and are still to come, the last first.
    pub(super) heard: Vec<(u32, Sound)>,
}

impl Frame {
    /// Whether any step is as good as any other.
    pub(super) fn is_open(&self) -> bool {
        self.ledger.timeless() && self.heard.is_empty()
    }

    fn voices(&self) -> Voices {
        let (melodic, kit) = self.instruments.split_at(usize::from(KIT));
        Voices { melodic: melodic.contains(&true), drums: kit.contains(&true) }
    }

    /// The first step from one on at which a note may begin, or has to.
    pub(super) fn next(&self, from: u32) -> u32 {
        let free = self.ledger.next(from, self.voices());
        self.next_heard().filter(|&step| step >= from).map_or(free, |step| free.min(step))
    }

    /// The step that may not be passed over, where nothing began from one on.
    pub(super) fn due(&self, from: u32) -> u32 {
        let due = self.ledger.due(from, self.voices());
        self.next_heard().map_or(due, |step| due.min(step))
    }

    fn next_heard(&self) -> Option<u32> {
        self.heard.last().map(|&(step, _)| step)
    }

    /// Whether an instrument may begin a note of the answer at a step.
    pub(super) fn may_play(&self, instrument: u8, step: u32) -> bool {
        self.instruments[usize::from(instrument)] && self.ledger.may_begin(step, instrument == KIT)
    }

    /// The phrase's note that has to sound before the answer leaves a step: the first
    /// in the order of the notes there, which `lead` begins.
    pub(super) fn pending(&self, step: u32, lead: u8) -> Option<Sound> {
        self.here(step).min_by_key(|s| (s.instrument != lead, s.instrument, s.pitch)).copied()
    }

    fn here(&self, step: u32) -> impl Iterator<Item = &Sound> {
        self.heard.iter().rev().take_while(move |&&(at, _)| at == step).map(|(_, sound)| sound)
    }

    /// Takes a note that begins at a step; whether it is the phrase's.
    pub(super) fn take(&mut self, step: u32, sound: Sound) -> bool {
        let same = |&(at, s): &(u32, Sound)| {
            at == step && (s.instrument, s.pitch) == (sound.instrument, sound.pitch)
        };
        if let Some(index) = self.heard.iter().rposition(same) {
            self.heard.remove(index);
            return true;
        }
        self.ledger.add(step, sound.steps(), sound.instrument == KIT);
        false
    }

    /// Gives up those of the phrase's notes at a step that can no longer be spelled
    /// there.
    pub(super) fn give_up(&mut self, step: u32, reachable: impl Fn(Sound) -> bool) {
        self.heard.retain(|&(at, sound)| at != step || reachable(sound));
    }

    /// The duration id's index that a rhythm asks for at a step.
    pub(super) fn duration(&self, step: u32) -> Option<u8> {
        let steps = self.ledger.slot(step)?.duration?;
        Some(nearest_duration(u64::from(steps)))
    }
}
