//! Ids to events one at a time.

use super::grammar::{Grammar, KIT, Sound, Step};
use super::grid::beats;
use super::shorten;
use super::vocab::{DRUM_STEPS, DURATIONS, micros_per_beat};
use crate::encoding::{EncodingError, Event, IdSet, Stream, TimedNote};
use crate::score::Instrument;

/// Reads ids one at a time.
#[derive(Clone)]
pub(super) struct BeatStream {
    pub(super) grammar: Grammar,
    /// How many ids it has taken.
    taken: usize,
}

impl BeatStream {
    /// Before the first id of a piece.
    pub(super) const fn new() -> Self {
        Self { grammar: Grammar::new(), taken: 0 }
    }

    /// After some ids.
    pub(super) fn after(ids: &[u32]) -> Result<Self, EncodingError> {
        let mut stream = Self::new();
        for &id in ids {
            stream.step(id)?;
        }
        Ok(stream)
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

    /// Where the bar begins, in steps.
    pub(super) const fn bar_start(&self) -> u32 {
        self.grammar.start
    }

    /// Where the notes lie, in steps.
    pub(super) const fn position(&self) -> u32 {
        self.grammar.step()
    }
}

impl Stream for BeatStream {
    fn push(&mut self, id: u32, events: &mut Vec<Event>) -> Result<(), EncodingError> {
        let step = self.step(id)?;
        let (bar, position) = (beats(self.bar_start()), beats(self.position()));
        events.extend(match step {
            Step::Pending | Step::Heard(_) | Step::End => None,
            Step::Bar => Some(Event::Reached(bar)),
            Step::Position => Some(Event::Reached(position)),
            Step::Meter(meter) => {
                Some(Event::Meter { at: bar, numerator: meter.numerator, denominator: meter.denominator() })
            }
            Step::Tempo(tempo) => {
                Some(Event::Tempo { at: position, micros_per_beat: micros_per_beat(tempo) })
            }
            Step::Note(sound) => Some(Event::Note(TimedNote {
                start: position,
                duration: beats(sound.steps()),
                pitch: sound.pitch,
                velocity: sound.velocity(),
                instrument: sound.player(),
            })),
        });
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

impl Sound {
    /// Length in steps.
    pub(super) fn steps(self) -> u32 {
        if self.instrument == KIT { DRUM_STEPS } else { u32::from(DURATIONS[usize::from(self.duration)]) }
    }

    /// MIDI velocity: the middle of its level.
    pub(super) const fn velocity(self) -> u8 {
        self.level * 4 + 2
    }

    pub(super) fn player(self) -> Instrument {
        Instrument::program(self.instrument).unwrap_or(Instrument::DRUMS)
    }
}
