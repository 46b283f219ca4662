//! Ids to events one at a time.

use std::sync::Arc;

use super::grammar::{Grammar, Sound, Step};
use super::shorten;
use super::vocab::{Vocab, instrument};
use crate::encoding::{EncodingError, Event, IdSet, Stream, TimedNote};

/// Reads ids one at a time.
#[derive(Clone)]
pub(super) struct MidiLikeStream {
    pub(super) grammar: Grammar,
    /// How many ids it has taken.
    taken: usize,
    /// The last time that was said to be reached, in steps.
    reached: u32,
}

impl MidiLikeStream {
    /// Before the first id of a piece.
    pub(super) fn new(vocab: Arc<Vocab>) -> Self {
        Self { grammar: Grammar::new(vocab), taken: 0, reached: 0 }
    }

    /// Takes an id.
    pub(super) fn step(&mut self, id: u32) -> Result<Step, EncodingError> {
        let step = self.grammar.push(id).ok_or_else(|| EncodingError::UnexpectedId {
            id,
            position: self.taken,
            reason: self.grammar.reason(),
        })?;
        self.taken += 1;
        Ok(step)
    }

    fn beats(&self, step: u32) -> f64 {
        f64::from(step) / f64::from(self.grammar.vocab.resolution())
    }

    fn note(&self, sound: Sound) -> Event {
        Event::Note(TimedNote {
            start: self.beats(sound.start),
            duration: self.beats(sound.end - sound.start),
            pitch: sound.pitch,
            velocity: sound.velocity,
            instrument: instrument(sound.instrument),
        })
    }
}

impl Stream for MidiLikeStream {
    fn push(&mut self, id: u32, events: &mut Vec<Event>) -> Result<(), EncodingError> {
        let step = self.step(id)?;
        if let Step::Note(sound) = step {
            events.push(self.note(sound));
        }
        if step == Step::Moved && self.grammar.finished() {
            let rest = self.grammar.close();
            events.extend(rest.into_iter().map(|sound| self.note(sound)));
        }
        let reached = self.grammar.reached();
        if reached > self.reached {
            self.reached = reached;
            events.push(Event::Reached(self.beats(reached)));
        }
        Ok(())
    }

    fn allowed(&self, ids: &mut IdSet) {
        self.grammar.allowed(ids);
    }

    fn finished(&self) -> bool {
        self.grammar.finished()
    }

    fn shorten(&mut self, history: &[u32], max: usize) -> Vec<u32> {
        shorten::shorten(&mut self.grammar, history, max)
    }

    fn boxed_clone(&self) -> Box<dyn Stream> {
        Box::new(self.clone())
    }
}
