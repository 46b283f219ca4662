//! Ids to events one at a time, and histories cut short.

use super::grammar::{Grammar, Spelled, Step};
use super::ops::{time, triplets};
use super::vocab::{AUTOREGRESS, VELOCITY};
use crate::encoding::{EncodingError, Event, IdSet, Stream, TimedNote};

/// When an answer begins and is over, in seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edges {
    pub(super) from: f64,
    pub(super) until: f64,
}

/// See [`Stream`].
#[derive(Clone, Debug)]
pub(super) struct AnticipationStream {
    pub(super) grammar: Grammar,
    edges: Option<Edges>,
    /// How many ids have come.
    taken: usize,
}

impl AnticipationStream {
    /// Before the first id of a piece.
    pub(super) const fn piece() -> Self {
        Self { grammar: Grammar::piece(), edges: None, taken: 0 }
    }

    /// Where an answer begins.
    pub(super) const fn answer(grammar: Grammar, edges: Edges) -> Self {
        Self { grammar, edges: Some(edges), taken: 0 }
    }

    /// When a tick is. An answer begins exactly where it was asked to, and lies
    /// exactly on its grid or rhythm.
    fn seconds(&self, tick: u32) -> f64 {
        let first = self.grammar.rules.answer.map(|answer| answer.first);
        if let Some(slot) = self.grammar.rules.ledger.as_deref().and_then(|ledger| ledger.slot(tick)) {
            return slot.time;
        }
        match self.edges {
            Some(edges) if first == Some(tick) => edges.from,
            _ => f64::from(tick) / 100.0,
        }
    }

    fn timed(&self, note: Spelled) -> TimedNote {
        let (start, length) = (self.seconds(note.start), note.duration.max(1));
        let ledger = self.grammar.rules.ledger.as_deref();
        // A note on grid or rhythm may end on it too.
        let slotted = ledger.is_some_and(|ledger| ledger.slot(note.start).is_some());
        let exact = slotted.then(|| self.seconds(note.start.saturating_add(length)) - start);
        TimedNote {
            start,
            duration: exact.unwrap_or_else(|| f64::from(length) / 100.0),
            pitch: note.pitch,
            velocity: VELOCITY,
            instrument: note.instrument,
        }
    }

    /// What is left of a history from the triplet `cut` on, and the earliest time
    /// in it or after it.
    fn tail(&self, history: &[u32], begin: usize, cut: usize) -> (Vec<u32>, u32) {
        let kept = &history[(begin + 3 * cut).min(history.len())..];
        let offset = self.grammar.offset;
        let times = triplets(kept).iter().map(|triplet| time(*triplet).saturating_add(offset));
        let earliest = times.fold(self.grammar.earliest(), u32::min);
        let mut ids = history[..begin].to_vec();
        ids.extend(kept);
        (ids, earliest)
    }
}

impl Stream for AnticipationStream {
    fn push(&mut self, id: u32, events: &mut Vec<Event>) -> Result<(), EncodingError> {
        let step = self.grammar.push(id).ok_or_else(|| EncodingError::UnexpectedId {
            id,
            position: self.taken,
            reason: self.grammar.reason(),
        })?;
        self.taken += 1;
        match (step, self.edges) {
            (Step::Inside, _) => {}
            (Step::Time(_), Some(edges)) if self.grammar.finished() => {
                events.push(Event::Reached(edges.until));
            }
            (Step::Time(time), _) => events.push(Event::Reached(self.seconds(time))),
            (Step::Note(note), _) => events.push(Event::Note(self.timed(note))),
        }
        Ok(())
    }

    fn allowed(&self, ids: &mut IdSet) {
        self.grammar.allowed(ids);
    }

    fn finished(&self) -> bool {
        self.grammar.finished()
    }

    /// Drops the oldest triplets, keeps the first id, and counts times from the
    /// earliest that is left. Where `max` is too small for any history the
    /// shortest is returned.
    fn shorten(&mut self, history: &[u32], max: usize) -> Vec<u32> {
        if history.len() <= max || self.finished() {
            return history[history.len() - history.len().min(max)..].to_vec();
        }
        let begin = usize::from(history.first().is_some_and(|&id| id >= AUTOREGRESS));
        let whole = (history.len() - begin).saturating_sub(self.grammar.begun()) / 3;
        let cut = (history.len() - max).div_ceil(3).min(whole);
        let (mut ids, earliest) = self.tail(history, begin, cut);
        let by = earliest.saturating_sub(self.grammar.offset);
        // What stands first in each triplet is a time.
        for id in ids.iter_mut().skip(begin).step_by(3) {
            *id = id.saturating_sub(by);
        }
        self.grammar.offset += by;
        ids
    }

    fn boxed_clone(&self) -> Box<dyn Stream> {
        Box::new(self.clone())
    }
}
