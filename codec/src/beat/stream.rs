//! Ids to events one at a time, and prompts.

use super::grammar::{Grammar, KIT, Limits, Place, Sound, Step};
use super::grid::{LATEST, beats, step_at_or_after};
use super::vocab::{DRUM_STEPS, DURATIONS, INSTRUMENTS, micros_per_beat};
use super::{encode, shorten};
use crate::encoding::{Continuation, EncodingError, Event, IdSet, Stream, TimedNote, Window};
use crate::score::{Instrument, Score};

/// Most bars in a row that an answer may leave empty.
const ANSWER_SILENCE: u32 = 2;

/// Fewest ids a prompt may be limited to.
const SHORTEST_PROMPT: usize = 32;

/// Reads ids one at a time.
#[derive(Clone)]
pub(super) struct BeatStream {
    grammar: Grammar,
    /// How many ids it has taken.
    taken: usize,
}

impl BeatStream {
    /// Before the first id of a piece.
    pub(super) const fn new() -> Self {
        Self { grammar: Grammar::new(), taken: 0 }
    }

    /// After some ids.
    fn after(ids: &[u32]) -> Result<Self, EncodingError> {
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
            Step::Pending | Step::End => None,
            Step::Bar => Some(Event::Reached(bar)),
            Step::Position => Some(Event::Reached(position)),
            Step::Meter(meter) => {
                Some(Event::Meter { at: bar, numerator: meter.numerator, denominator: meter.denominator() })
            }
            Step::Tempo(bpm) => Some(Event::Tempo { at: position, micros_per_beat: micros_per_beat(bpm) }),
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

/// See [`Encoding::continuation`](crate::Encoding::continuation).
pub(super) fn continuation(
    phrase: &Score,
    window: Window,
    max_ids: usize,
) -> Result<Continuation, EncodingError> {
    let (from, until) = steps(window)?;
    if max_ids < SHORTEST_PROMPT {
        return Err(EncodingError::Window(format!(
            "a prompt of {max_ids} ids is too short; allow {SHORTEST_PROMPT} or more"
        )));
    }
    let prompt = encode::prompt(phrase, window.from, from)?;
    let mut stream = BeatStream::after(&prompt.ids)?;
    stream.grammar.start += prompt.origin;
    // The position is given, and its tempo too; the answer begins with a note.
    stream.grammar.place = Place::Position;
    stream.grammar.limits =
        Some(Box::new(Limits { until, instruments: instruments(phrase), silence: ANSWER_SILENCE }));
    let ids = stream.shorten(&prompt.ids, max_ids);
    if ids.len() > max_ids {
        return Err(EncodingError::Window(format!(
            "the shortest prompt takes {} ids, more than the {max_ids} allowed",
            ids.len()
        )));
    }
    Ok(Continuation { ids, stream: Box::new(stream) })
}

/// A window on the grid.
fn steps(window: Window) -> Result<(u32, u32), EncodingError> {
    let Window { from, until } = window;
    let error =
        |what: &str| EncodingError::Window(format!("it goes from beat {from} until beat {until}; {what}"));
    if !(0.0..=LATEST).contains(&from) || !(0.0..=LATEST).contains(&until) {
        return Err(error("both must lie within 0 and 100,000,000"));
    }
    if until <= from {
        return Err(error("it must end after it begins"));
    }
    let (from, until) = (step_at_or_after(from), step_at_or_after(until));
    if until <= from {
        return Err(error("it must hold a twenty-fourth of a beat"));
    }
    Ok((from, until))
}

/// Which instruments a phrase uses; the piano if none.
fn instruments(phrase: &Score) -> [bool; INSTRUMENTS as usize] {
    let mut used = [false; INSTRUMENTS as usize];
    used[0] = phrase.notes.is_empty();
    for note in &phrase.notes {
        used[usize::from(note.instrument.index())] = true;
    }
    used
}
