//! What may come in which place of a triplet.
//!
//! Times are absolute here, in ticks: an id's time counts from an offset that
//! moves on when the oldest music is dropped. The three questions asked of the
//! rules are [`Rules::onsets`], [`Rules::durations`] and [`Rules::notes`].

use std::collections::VecDeque;
use std::ops::Range;

use super::decode::player;
use super::ops::{is_due, time};
use super::players::Players;
use super::vocab::{ANTICIPATE, AUTOREGRESS, DURATION, DURATIONS, PITCHES, REST, TIMES};
use crate::encoding::IdSet;
use crate::limits::ledger::{Ledger, Voices, runs};
use crate::score::Instrument;

/// How many events of an answer may have one time, so that it moves on.
const MOST_AT_ONCE: u32 = 16;

/// A note as it was spelled; times are absolute, in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spelled {
    pub(super) start: u32,
    pub(super) duration: u32,
    pub(super) instrument: Instrument,
    pub(super) pitch: u8,
}

/// What an id completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing that matters.
    Inside,
    /// An event's time.
    Time(u32),
    /// A note.
    Note(Spelled),
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// The first id of a piece.
    Begin,
    /// The time of an event or of a control.
    Time,
    /// The duration of an event at this time.
    Duration(u32),
    /// The note of an event with this time and duration.
    Note(u32, u32),
    /// The duration of the next control.
    ControlDuration,
    /// The note of the next control.
    ControlNote,
    /// Nothing.
    End,
}

/// Where an answer lies, in ticks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    /// Its first note begins here.
    pub(super) first: u32,
    /// A time that is not before this ends it.
    pub(super) end: u32,
}

/// What is asked of the music besides being spelled right.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    /// Anything goes where it is none.
    pub(super) answer: Option<Answer>,
    pub(super) players: Players,
    /// Who has sounded.
    pub(super) sounded: Players,
    /// The time of the last event.
    now: u32,
    /// How many events of the answer have that time.
    at_once: u32,
    /// Whether a note of the answer has come.
    said: bool,
    /// The limits on an answer.
    pub(super) ledger: Option<Box<Ledger>>,
}

impl Rules {
    pub(super) const fn new(answer: Option<Answer>, players: Players, sounded: Players, now: u32) -> Self {
        Self { answer, players, sounded, now, at_once: 0, said: false, ledger: None }
    }

    /// Calls back with the times an event may have; they ascend. That of an
    /// answer's end is among them as soon as it may end.
    fn onsets(&self, call: &mut dyn FnMut(Range<u32>)) {
        let now = self.now;
        match self.answer {
            Some(Answer { first, .. }) if !self.said => {
                let first = self.next(first);
                call(first..first + 1);
            }
            Some(answer) => self.later(now + u32::from(self.at_once >= MOST_AT_ONCE), answer.end, call),
            None => call(now..u32::MAX),
        }
    }

    /// Calls back with the times from one on, and with the end if no onset is due
    /// before it.
    fn later(&self, from: u32, end: u32, call: &mut dyn FnMut(Range<u32>)) {
        let Some(ledger) = self.ledger.as_deref().filter(|ledger| !ledger.timeless()) else {
            return call(from..u32::MAX);
        };
        let due = ledger.due(self.now + 1, self.voices());
        let mut at = self.next(from);
        while at < end && at <= due {
            call(at..at + 1);
            at = self.next(at + 1);
        }
        if due >= end {
            call(at.max(end)..u32::MAX);
        }
    }

    /// The first time from one on at which somebody may begin a note.
    pub(super) fn next(&self, from: u32) -> u32 {
        self.ledger.as_deref().map_or(from, |ledger| ledger.next(from, self.voices()))
    }

    fn voices(&self) -> Voices {
        let players = self.may_play();
        Voices { melodic: players.any(false), drums: players.any(true) }
    }

    /// Calls back with the durations an event at `time` may have, 0 first if it
    /// may be a rest.
    fn durations(&self, time: u32, call: &mut dyn FnMut(Range<u32>)) {
        if let Some(asked) = self.ledger.as_deref().and_then(|ledger| ledger.slot(time)?.duration) {
            let asked = asked.min(DURATIONS - 1);
            return call(asked..asked + 1);
        }
        let silent = self.answer.is_none() || self.may_rest(time);
        call(u32::from(!silent)..DURATIONS);
    }

    /// Calls back with the notes, a rest among them, that an event may have; they
    /// ascend.
    fn notes(&self, time: u32, duration: u32, call: &mut dyn FnMut(Range<u32>)) {
        if self.answer.is_none() || duration > 0 {
            self.may_play().each(|first| self.pitches(time, first, call));
        }
        if duration == 0 && self.may_rest(time) {
            call(REST..REST + 1);
        }
    }

    /// Calls back with the notes of the instrument whose ids begin at `first`.
    fn pitches(&self, time: u32, first: u32, call: &mut dyn FnMut(Range<u32>)) {
        let Some(ledger) = self.ledger.as_deref() else { return call(first..first + PITCHES) };
        let drums = player(first).0.is_drums();
        if ledger.may_begin(time, drums) {
            runs(ledger.pitches(drums), |run| call(first + run.start..first + run.end));
        }
    }

    fn may_play(&self) -> Players {
        self.players.after(&self.sounded)
    }

    /// A rest moves on, and an answer does not begin with one.
    fn may_rest(&self, time: u32) -> bool {
        self.answer.is_none() || (self.said && time > self.now)
    }

    /// An event is complete.
    fn hear(&mut self, triplet: [u32; 3]) {
        let [time, _, note] = triplet;
        self.at_once = if time == self.now { self.at_once + 1 } else { 1 };
        self.now = time;
        self.said |= note != REST;
        self.sounded.hear(triplet);
    }
}

/// Where in a sequence it stands.
#[derive(Clone, Debug)]
pub(super) struct Grammar {
    pub(super) rules: Rules,
    /// Controls still to come, with absolute times.
    pending: VecDeque<[u32; 3]>,
    /// The time that ids call 0.
    pub(super) offset: u32,
    place: Place,
}

impl Grammar {
    /// Before the first id of a piece.
    pub(super) const fn piece() -> Self {
        let rules = Rules::new(None, Players::ALL, Players::NONE, 0);
        Self { rules, pending: VecDeque::new(), offset: 0, place: Place::Begin }
    }

    /// Before the first event of an answer, or the next control, if it is due.
    pub(super) fn answer(rules: Rules, pending: &[[u32; 3]], offset: u32) -> Self {
        Self { rules, pending: pending.iter().copied().collect(), offset, place: Place::Time }
    }

    pub(super) const fn finished(&self) -> bool {
        matches!(self.place, Place::End)
    }

    /// What has to be here.
    pub(super) const fn reason(&self) -> &'static str {
        match self.place {
            Place::Begin | Place::Time => "a time has to be here, no earlier than the last",
            Place::Duration(_) => "a duration has to be here",
            Place::Note(..) => "a note has to be here, of who may play",
            Place::ControlDuration | Place::ControlNote => "the next control has to be here",
            Place::End => "the music is over",
        }
    }

    /// The control that has to come now, if one has to.
    fn due(&self) -> Option<[u32; 3]> {
        self.pending.front().copied().filter(|control| is_due(*control, self.rules.now))
    }

    /// The one id that a control leaves no choice about.
    fn forced(&self) -> Option<u32> {
        let front = self.pending.front();
        match self.place {
            Place::Time => self.due().map(|control| control[0] - self.offset),
            Place::ControlDuration => front.map(|control| control[1]),
            Place::ControlNote => front.map(|control| control[2]),
            _ => None,
        }
    }

    /// Replaces `ids` with those that may come next.
    pub(super) fn allowed(&self, ids: &mut IdSet) {
        ids.clear();
        if let Some(id) = self.forced() {
            ids.add(id..id + 1);
            return;
        }
        match self.place {
            Place::Begin => {
                self.times(ids);
                ids.add(AUTOREGRESS..ANTICIPATE + 1);
            }
            Place::Time => self.times(ids),
            Place::Duration(time) => {
                self.rules.durations(time, &mut |range| ids.add(DURATION + range.start..DURATION + range.end))
            }
            Place::Note(time, duration) => self.rules.notes(time, duration, &mut |range| ids.add(range)),
            Place::ControlDuration | Place::ControlNote | Place::End => {}
        }
    }

    fn times(&self, ids: &mut IdSet) {
        let id = |time: u32| time.saturating_sub(self.offset).min(TIMES);
        self.rules.onsets(&mut |range| ids.add(id(range.start)..id(range.end)));
    }

    /// Takes an id; `None`, and no change, where it may not come.
    pub(super) fn push(&mut self, id: u32) -> Option<Step> {
        if let Some(forced) = self.forced() {
            return (id == forced).then(|| self.take_control());
        }
        match self.place {
            Place::Begin if matches!(id, AUTOREGRESS | ANTICIPATE) => {
                self.place = Place::Time;
                Some(Step::Inside)
            }
            Place::Begin | Place::Time => self.take_time(id),
            Place::Duration(time) => {
                let duration = id.checked_sub(DURATION)?;
                let mut fits = false;
                self.rules.durations(time, &mut |range| fits |= range.contains(&duration));
                fits.then(|| {
                    self.place = Place::Note(time, duration);
                    Step::Inside
                })
            }
            Place::Note(time, duration) => {
                let mut fits = false;
                self.rules.notes(time, duration, &mut |range| fits |= range.contains(&id));
                fits.then(|| self.take_note(time, duration, id))
            }
            Place::ControlDuration | Place::ControlNote | Place::End => None,
        }
    }

    fn take_control(&mut self) -> Step {
        self.place = match self.place {
            Place::Time => Place::ControlDuration,
            Place::ControlDuration => Place::ControlNote,
            _ => {
                if let Some(control) = self.pending.pop_front() {
                    self.rules.sounded.hear(control);
                }
                Place::Time
            }
        };
        Step::Inside
    }

    fn take_time(&mut self, id: u32) -> Option<Step> {
        let time = (id < TIMES).then(|| self.offset.saturating_add(id))?;
        let mut fits = false;
        self.rules.onsets(&mut |range| fits |= range.contains(&time));
        fits.then(|| {
            let over = self.rules.answer.is_some_and(|answer| time >= answer.end);
            self.place = if over { Place::End } else { Place::Duration(time) };
            Step::Time(time)
        })
    }

    fn take_note(&mut self, time: u32, duration: u32, note: u32) -> Step {
        self.place = Place::Time;
        self.rules.hear([time, DURATION + duration, note]);
        if note == REST {
            return Step::Inside;
        }
        let (instrument, pitch) = player(note);
        if let Some(ledger) = &mut self.rules.ledger {
            ledger.add(time, duration, instrument.is_drums());
        }
        Step::Note(Spelled { start: time, duration, instrument, pitch })
    }

    /// How many ids of the triplet that is being spelled have come.
    pub(super) const fn begun(&self) -> usize {
        match self.place {
            Place::Begin | Place::Time | Place::End => 0,
            Place::Duration(_) | Place::ControlDuration => 1,
            Place::Note(..) | Place::ControlNote => 2,
        }
    }

    /// The earliest time that what comes next may speak of.
    pub(super) fn earliest(&self) -> u32 {
        let event = match self.rules.answer {
            Some(answer) if !self.rules.said => answer.first,
            _ => self.rules.now,
        };
        self.pending.front().map_or(event, |control| event.min(time(*control)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(grammar: &Grammar) -> Vec<(u32, u32)> {
        let mut ids = IdSet::default();
        grammar.allowed(&mut ids);
        ids.ranges().iter().map(|range| (range.start, range.end)).collect()
    }

    #[test]
    fn each_place_of_a_triplet_has_its_slice() {
        let mut grammar = Grammar::piece();
        assert_eq!(allowed(&grammar), [(0, 10_000), (55_026, 55_028)]);
        for (id, next) in [(7, (10_000, 11_000)), (10_000, (11_000, 27_513)), (27_512, (7, 10_000))] {
            assert!(grammar.push(id).is_some());
            assert_eq!(allowed(&grammar), [next]);
        }
    }

    #[test]
    fn once_fifteen_instruments_have_sounded_no_other_joins() {
        let mut grammar = Grammar::piece();
        for instrument in 0..15 {
            for id in [0, 10_010, 11_000 + 128 * 2 * instrument] {
                assert!(grammar.push(id).is_some());
            }
        }
        grammar.push(0);
        grammar.push(10_010);
        let notes = allowed(&grammar);
        assert_eq!(notes.len(), 15);
        assert_eq!((notes[0], notes[14]), ((11_000, 11_128), (14_584, 14_712)));
        assert_eq!(grammar.push(11_128), None);
    }
}
