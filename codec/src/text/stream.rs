//! The text read id by id, as a whole piece or as the answer to a phrase.

use std::ops::RangeInclusive;

use super::grammar::{Grammar, LAST_TIME, Spelled, Step};
use super::held::Held;
use super::seconds;
use super::tokens::{END_OF_TEXT, from_ids, ids, number, spelled};
use crate::encoding::{EncodingError, Event, IdSet, Stream, TimedNote};
use crate::score::Instrument;

/// How many notes of an answer may begin at one time, so that it moves on.
const MOST_AT_ONCE: u32 = 12;
/// The shortest note, in hundredths of a second: the text rounds shorter ones to
/// nothing.
const SHORTEST: u32 = 1;
/// The longest note of an answer, in hundredths of a second.
const LONGEST: u32 = 1000;
/// How far past its end an answer may place a note, which then ends it, in
/// hundredths of a second. It leaves a model the choice to rest until then.
const SLACK: u32 = 1000;
/// The vocabulary in words of 64 bits.
const WORDS: usize = 50_257_usize.div_ceil(64);

/// See [`Stream`].
#[derive(Clone, Debug)]
pub(super) struct TextStream {
    grammar: Grammar,
    answer: Option<Answer>,
    instrument: Instrument,
    /// Whether a note has come.
    said: bool,
    finished: bool,
    /// How many ids have come.
    taken: usize,
}

/// Where an answer lies. Seconds count from the phrase's tick 0, hundredths from
/// the time that the text calls 0.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    /// Seconds at the text's 0, in hundredths.
    zero: f64,
    /// Seconds at which it begins.
    from: f64,
    /// Seconds at which it is over.
    until: f64,
    /// Where it begins, in hundredths; below 0 once the text begins later.
    first: i64,
    /// How many notes begin where the last one does.
    at_once: u32,
}

impl Answer {
    /// An answer between two times in seconds, in a text that calls `zero`
    /// hundredths of a second 0. `None` where the text cannot count as far.
    pub(super) fn new(zero: f64, from: f64, until: f64) -> Option<Self> {
        let first = hundredths(from * 100.0 - zero)?;
        let last = hundredths((until * 100.0 - zero).ceil())?;
        (last <= LAST_TIME - SLACK).then_some(Self { zero, from, until, first: first.into(), at_once: 0 })
    }

    /// Seconds since the phrase's tick 0.
    fn seconds(&self, time: u32) -> f64 {
        if i64::from(time) <= self.first { self.from } else { (self.zero + f64::from(time)) / 100.0 }
    }

    /// Where its first note begins, in hundredths.
    pub(super) fn first_start(&self) -> u32 {
        u32::try_from(self.first).unwrap_or(0)
    }

    /// The first start that is no longer the answer's, in hundredths.
    pub(super) fn end(&self) -> u32 {
        let first = self.first_start();
        hundredths((self.until * 100.0 - self.zero).ceil()).unwrap_or(first).max(first)
    }

    /// Whether a note there would no longer belong to the answer.
    fn is_over(&self, time: u32) -> bool {
        i64::from(time) > self.first && self.seconds(time) >= self.until
    }

    /// The last start that may be spelled.
    fn last(&self) -> u32 {
        self.end() + SLACK
    }

    /// Calls this time 0 from now on.
    fn shift(&mut self, by: u32) {
        self.zero += f64::from(by);
        self.first -= i64::from(by);
    }
}

/// The nearest whole number of hundredths, where it is one that can be spelled.
fn hundredths(number: f64) -> Option<u32> {
    let rounded = number.round();
    let fits = (0.0..=f64::from(LAST_TIME)).contains(&rounded);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within 0..=999,999")]
    fits.then_some(rounded as u32)
}

impl TextStream {
    /// Stands before the first id of a piece.
    pub(super) fn piece() -> Self {
        let grammar = Grammar::new(0..=LAST_TIME, 0..=LAST_TIME, false);
        Self { grammar, answer: None, instrument: Instrument::PIANO, said: false, finished: false, taken: 0 }
    }

    /// Stands where an answer begins, after other notes if `spaced`.
    pub(super) fn answer(answer: Answer, instrument: Instrument, spaced: bool, held: Held) -> Self {
        let first = held.next(answer.first_start());
        let mut grammar = Grammar::new(first..=first, SHORTEST..=LONGEST, spaced);
        grammar.held = Some(Box::new(held));
        Self { grammar, answer: Some(answer), instrument, said: false, finished: false, taken: 0 }
    }

    fn may_end(&self) -> bool {
        self.said && self.grammar.between_notes() && self.due().is_none()
    }

    /// The next start that may not be passed over.
    fn due(&self) -> Option<u32> {
        self.grammar.held.as_deref()?.due(*self.grammar.starts.start() + 1)
    }

    fn step(&mut self, step: Step, events: &mut Vec<Event>) {
        match step {
            Step::Inside => {}
            Step::StartFrom(least) => {
                if self.answer.as_ref().is_some_and(|answer| answer.is_over(least)) {
                    self.finish(events);
                }
            }
            Step::Start(start) => match &self.answer {
                Some(answer) if answer.is_over(start) => self.finish(events),
                Some(_) => {
                    events.push(Event::Reached(self.begins(start)));
                    self.grammar.durations = self.durations(start);
                }
                None => {}
            },
            Step::Note(note) => {
                self.said = true;
                events.push(Event::Note(self.timed(note)));
                if let Some(held) = &mut self.grammar.held {
                    held.add(note.start, note.duration);
                }
                self.move_on(note.start);
            }
        }
    }

    /// After a note of an answer, none begins before it.
    fn move_on(&mut self, start: u32) {
        let Some(answer) = &mut self.answer else { return };
        answer.at_once = if start == *self.grammar.starts.start() { answer.at_once + 1 } else { 1 };
        let crowded = answer.at_once >= MOST_AT_ONCE;
        if crowded {
            answer.at_once = 0;
        }
        self.grammar.starts = start + u32::from(crowded)..=answer.last();
        if let Some(due) = self.due() {
            self.grammar.starts = *self.grammar.starts.start()..=due;
        }
    }

    /// How long a note of an answer may last.
    fn durations(&self, start: u32) -> RangeInclusive<u32> {
        let asked = self.grammar.held.as_deref().and_then(|held| held.slot(start)?.duration);
        asked.map_or(SHORTEST..=LONGEST, |duration| duration.min(LAST_TIME)..=duration.min(LAST_TIME))
    }

    /// When a note begins, in seconds: exactly on grid and rhythm.
    fn begins(&self, start: u32) -> f64 {
        let plain = f64::from(start) / 100.0;
        let Some(answer) = &self.answer else { return plain };
        let slot = self.grammar.held.as_deref().and_then(|held| held.slot(start));
        slot.map_or_else(|| answer.seconds(start), |slot| slot.time)
    }

    /// Music begins at 0 in all that a model has read, so a history that lost its
    /// beginning is spelled anew from there. `None`, and no change, where it
    /// would not fit or is within a start just now.
    fn begin_at_zero(&mut self, history: &[u32], max: usize) -> Option<Vec<u32>> {
        let answer = self.answer.as_mut()?;
        let text = from_ids(history).ok()?;
        let by = text.split(' ').filter_map(start).min()?.min(*self.grammar.starts.start());
        let shifted: Vec<String> = text.split(' ').map(|piece| shift(piece, by)).collect();
        let ids = ids(&shifted.join(" ")).ok().filter(|ids| ids.len() <= max)?;
        self.grammar.shift(by)?;
        answer.shift(by);
        Some(ids)
    }

    fn finish(&mut self, events: &mut Vec<Event>) {
        self.finished = true;
        if let Some(answer) = &self.answer {
            events.push(Event::Reached(answer.until));
        }
    }

    fn timed(&self, note: Spelled) -> TimedNote {
        let small = |number: u32| u8::try_from(number).unwrap_or(127);
        let seconds = |time: u32| f64::from(time) / 100.0;
        let (start, length) = (self.begins(note.start), note.duration.max(SHORTEST));
        let slotted = self.grammar.held.as_deref().is_some_and(|held| held.slot(note.start).is_some());
        // A note on grid or rhythm may end on it too.
        let exact = slotted.then(|| self.begins(note.start + length) - start);
        TimedNote {
            start,
            duration: exact.unwrap_or_else(|| seconds(length)),
            pitch: small(note.pitch),
            velocity: small(note.velocity),
            instrument: self.instrument,
        }
    }
}

/// The start of a note, in hundredths of a second, where it is spelled in full.
fn start(piece: &str) -> Option<u32> {
    let mut parts = piece.splitn(3, '_');
    let (_, start, _) = (parts.next()?, parts.next()?, parts.next()?);
    hundredths(start.parse::<f64>().ok()? * 100.0)
}

/// A note, or its beginning, that begins earlier.
fn shift(piece: &str, by: u32) -> String {
    let mut parts = piece.splitn(3, '_');
    match (parts.next(), start(piece), parts.nth(1)) {
        (Some(pitch), Some(start), Some(rest)) => {
            let mut shifted = format!("{pitch}_");
            seconds::number(&mut shifted, f64::from(start.saturating_sub(by)) / 100.0);
            shifted + "_" + rest
        }
        _ => piece.to_owned(),
    }
}

impl Stream for TextStream {
    fn push(&mut self, id: u32, events: &mut Vec<Event>) -> Result<(), EncodingError> {
        let position = self.taken;
        let unexpected = |reason| EncodingError::UnexpectedId { id, position, reason };
        if self.finished {
            return Err(unexpected("the piece is over"));
        }
        if id == END_OF_TEXT {
            if !self.may_end() {
                return Err(unexpected("the piece cannot end here"));
            }
            self.finish(events);
        } else {
            let step = self.grammar.push(id).ok_or_else(|| unexpected("no note goes on like this"))?;
            self.step(step, events);
        }
        self.taken += 1;
        Ok(())
    }

    fn allowed(&self, ids: &mut IdSet) {
        ids.clear();
        if self.finished {
            return;
        }
        let mut words = [0_u64; WORDS];
        let mut allow = |id: u32| {
            if let Some(word) = usize::try_from(id / 64).ok().and_then(|i| words.get_mut(i)) {
                *word |= 1 << (id % 64);
            }
        };
        self.grammar.allowed(&mut allow);
        if self.may_end() {
            allow(END_OF_TEXT);
        }
        for (base, mut word) in (0..).step_by(64).zip(words) {
            while word != 0 {
                let id = base + word.trailing_zeros();
                ids.add(id..id + 1);
                word &= word - 1;
            }
        }
    }

    fn finished(&self) -> bool {
        self.finished
    }

    fn shorten(&mut self, history: &[u32], max: usize) -> Vec<u32> {
        if history.len() <= max {
            return history.to_vec();
        }
        let oldest = history.len() - max;
        let begins_note = |&place: &usize| spelled(history[place]).is_some_and(|text| text.starts_with(' '));
        if let Some(place) = (oldest..history.len()).find(begins_note) {
            // The pitch that now comes first has no space before it.
            let mut rest = spelled(history[place]).map_or_else(Vec::new, |pitch| number(&pitch[1..]));
            rest.extend(&history[place + 1..]);
            return self.begin_at_zero(&rest, max).unwrap_or(rest);
        }
        if self.grammar.between_notes() && max > 0 {
            self.grammar.spaced = false;
            return vec![END_OF_TEXT];
        }
        // Not even the note that is being spelled fits.
        history[oldest..].to_vec()
    }

    fn boxed_clone(&self) -> Box<dyn Stream> {
        Box::new(self.clone())
    }
}
