//! The order ids come in: which may follow, and what each completes.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use super::bounds::{Bounds, Scope};
use super::vocab::{INSTRUMENTS, KIT, Span, Token, Vocab};
use crate::encoding::IdSet;

/// A note, times in steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sound {
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) instrument: u8,
    pub(super) pitch: u8,
    pub(super) velocity: u8,
}

/// What an id completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing yet.
    Pending,
    /// Time has passed.
    Moved,
    Note(Sound),
    End,
}

/// What the last id was, as far as it decides what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Begin,
    /// The id that begins a piece has come.
    Begun,
    /// A note has begun or ended: anything may follow.
    Open,
    /// Time has passed: something has to happen.
    Timed,
    Program,
    /// A note of this pitch has begun, how loud is not said yet.
    On(u8),
    End,
}

/// A note that has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sounding {
    start: u32,
    velocity: u8,
}

/// The state after some ids.
#[derive(Clone, Debug)]
pub(super) struct Grammar {
    pub(super) vocab: Arc<Vocab>,
    pub(super) place: Place,
    /// In steps.
    pub(super) now: u32,
    /// Who plays, once it was said.
    program: Option<u8>,
    /// Who has had a turn at this step.
    turns: [bool; INSTRUMENTS],
    /// Whether a note has begun in the turn: none ends in it any more.
    begun: bool,
    /// By instrument and pitch, oldest first.
    sounding: BTreeMap<(u8, u8), VecDeque<Sounding>>,
    /// How many of the sounding notes began at a step.
    starts: BTreeMap<u32, usize>,
    /// Most steps that may still pass before something happens.
    slack: u32,
    /// Whether the silence is shifted over by now, after its rests.
    shifted: bool,
    /// Whether an answer has not begun yet: its first note comes next.
    opening: bool,
    pub(super) bounds: Bounds,
}

impl Grammar {
    /// Before the first id of a piece.
    pub(super) fn new(vocab: Arc<Vocab>) -> Self {
        Self {
            bounds: Bounds::piece(&vocab),
            vocab,
            place: Place::Begin,
            now: 0,
            program: None,
            turns: [false; INSTRUMENTS],
            begun: false,
            sounding: BTreeMap::new(),
            starts: BTreeMap::new(),
            slack: 0,
            shifted: false,
            opening: false,
        }
    }

    /// Makes an answer begin at a step. Nothing sounds.
    pub(super) fn open(&mut self, from: u32, bounds: Bounds) {
        self.now = from;
        self.bounds = bounds;
        self.opening = true;
        self.place = Place::Open;
        self.turns = [false; INSTRUMENTS];
        self.begun = false;
    }

    /// The step before which no later note will begin: the onset of the oldest that
    /// is not complete, or now.
    pub(super) fn reached(&self) -> u32 {
        self.starts.keys().next().map_or(self.now, |&start| start.min(self.now))
    }

    pub(super) fn finished(&self) -> bool {
        self.place == Place::End || self.bounds.over(self.now)
    }

    /// Says who plays, as a shortened history has it.
    pub(super) fn restate(&mut self, program: Option<u8>) {
        if self.program != program && !matches!(self.place, Place::Program | Place::On(_)) {
            if let Some(old) = self.program {
                self.turns[usize::from(old)] = false;
            }
            self.program = program;
            self.begun = false;
        }
    }

    /// Ends all notes at the end of the window.
    pub(super) fn close(&mut self) -> Vec<Sound> {
        let end = self.bounds.until;
        let mut sounds: Vec<Sound> = Vec::new();
        for ((instrument, pitch), notes) in std::mem::take(&mut self.sounding) {
            sounds.extend(notes.into_iter().filter(|note| note.start < end).map(|note| {
                let Sounding { start, velocity } = note;
                Sound { start, end, instrument, pitch, velocity }
            }));
        }
        self.starts.clear();
        sounds.sort_by_key(|sound| sound.start);
        sounds
    }

    /// Replaces `ids` with those that may come next.
    pub(super) fn allowed(&self, ids: &mut IdSet) {
        ids.clear();
        self.each(|range| ids.add(range));
    }

    /// Whether an id may come next.
    fn allows(&self, id: u32) -> bool {
        let Some(token) = self.vocab.token(id) else { return false };
        if self.finished() {
            return false;
        }
        if matches!(self.place, Place::On(_)) {
            return matches!(token, Token::Velocity(_));
        }
        match token {
            Token::Special(_) => self.special().contains(&Some(id)),
            Token::Velocity(_) => false,
            Token::On(pitch) => self
                .program
                .is_some_and(|p| self.vocab.on_id(p, pitch) == id && self.on_mask(p) >> pitch & 1 == 1),
            Token::Off(pitch) => self
                .program
                .is_some_and(|p| self.vocab.off_id(p, pitch) == id && self.off_mask(p) >> pitch & 1 == 1),
            Token::Shift(steps) | Token::Rest(steps) => self.may_pass() && self.passes(token, steps),
            Token::Program(program) => self.may_change() && self.may_play(program),
        }
    }

    /// The ids that begin and end a piece, where they may stand.
    fn special(&self) -> [Option<u32>; 2] {
        [
            self.vocab.begin().filter(|_| self.place == Place::Begin),
            self.vocab.end().filter(|_| self.may_end()),
        ]
    }

    /// Calls `add` with what may come next, in ascending order.
    fn each(&self, mut add: impl FnMut(Range<u32>)) {
        if self.finished() {
            return;
        }
        if matches!(self.place, Place::On(_)) {
            add(self.vocab.velocity_ids());
            return;
        }
        let mut special = self.special();
        special.sort_unstable();
        special.into_iter().flatten().for_each(|id| add(id..id + 1));
        let drums = self.program.is_some_and(|p| self.vocab.is_drum(self.vocab.on_id(p, 0)));
        if !drums {
            self.each_note(&mut add);
        }
        let time = self.may_pass();
        if time {
            self.each_span(&self.vocab.shifts, Token::Shift, |index| self.vocab.shift_id(index), &mut add);
        }
        if drums {
            self.each_note(&mut add);
        }
        if time {
            self.each_span(&self.vocab.rests, Token::Rest, |index| self.vocab.rest_id(index), &mut add);
        }
        if self.may_change() {
            self.each_program(&mut add);
        }
    }

    fn may_end(&self) -> bool {
        self.place == Place::Open && self.bounds.scope == Scope::Piece && self.sounding.is_empty()
    }

    /// The beginnings and ends of notes of who plays.
    fn each_note(&self, add: &mut impl FnMut(Range<u32>)) {
        let Some(program) = self.program else { return };
        let (on, off) = (self.on_mask(program), self.off_mask(program));
        for pitch in self.vocab.pitches(program).filter(|pitch| on >> pitch & 1 == 1) {
            let id = self.vocab.on_id(program, pitch);
            add(id..id + 1);
        }
        for pitch in self.vocab.pitches(program).filter(|pitch| off >> pitch & 1 == 1) {
            let id = self.vocab.off_id(program, pitch);
            add(id..id + 1);
        }
    }

    /// The pitches an instrument may begin, a bit each.
    fn on_mask(&self, program: u8) -> u128 {
        if self.is_due(program) {
            return 0;
        }
        let pitches = self.vocab.pitches(program);
        let all = u128::MAX >> (127 - (pitches.end() - pitches.start())) << pitches.start();
        let mask = self.bounds.pitches(self.now, program, all);
        match self.bounds.scope {
            Scope::Piece => mask,
            Scope::Answer => self.of(program).fold(mask, |mask, (pitch, _)| mask & !(1 << pitch)),
        }
    }

    /// The pitches whose oldest note an instrument may end, a bit each.
    fn off_mask(&self, program: u8) -> u128 {
        if self.opening || (self.begun && self.program == Some(program)) {
            return 0;
        }
        let ending = self.of(program).filter(|(_, note)| note.start < self.now);
        ending.fold(0, |mask, (pitch, _)| mask | 1 << pitch)
    }

    /// The oldest sounding note of each pitch of an instrument.
    fn of(&self, program: u8) -> impl Iterator<Item = (u8, Sounding)> {
        let notes = self.sounding.range((program, 0)..=(program, u8::MAX));
        notes.filter_map(|(&(_, pitch), notes)| notes.front().map(|&note| (pitch, note)))
    }

    /// Whether an instrument has a note that must end now.
    fn is_due(&self, program: u8) -> bool {
        self.any_due() && self.of(program).any(|(_, note)| self.bounds.due(note.start) <= self.now)
    }

    fn any_due(&self) -> bool {
        self.due().is_some_and(|due| due <= self.now)
    }

    /// The step by which a sounding note must have ended.
    fn due(&self) -> Option<u32> {
        self.starts.keys().next().map(|&start| self.bounds.due(start))
    }

    /// The instruments that may play next.
    fn each_program(&self, add: &mut impl FnMut(Range<u32>)) {
        for &program in self.vocab.programs().iter().filter(|&&program| self.may_play(program)) {
            add(self.vocab.program_id(program).map_or(0..0, |id| id..id + 1));
        }
    }

    /// Whether another instrument may play next: not while a note has to end whose
    /// instrument would not have another turn.
    fn may_change(&self) -> bool {
        self.place != Place::Program
            && !self.program.is_some_and(|p| self.turns[usize::from(p)] && self.is_due(p))
    }

    /// Whether an instrument has not had its turn here, and has something to do.
    fn may_play(&self, program: u8) -> bool {
        self.program != Some(program)
            && !self.turns[usize::from(program)]
            && (self.on_mask(program) != 0 || self.off_mask(program) != 0)
    }

    /// Whether time may pass here.
    fn may_pass(&self) -> bool {
        !self.opening && self.place != Place::Program && !self.any_due()
    }

    /// The spans of one kind that may pass.
    fn each_span(
        &self,
        spans: &[Span],
        token: fn(u32) -> Token,
        id: impl Fn(u32) -> u32,
        add: &mut impl FnMut(Range<u32>),
    ) {
        for (index, span) in (0..).zip(spans) {
            if self.passes(token(span.steps), span.steps) {
                add(id(index)..id(index) + 1);
            }
        }
    }

    /// Whether a span may pass.
    fn passes(&self, token: Token, steps: u32) -> bool {
        self.slack_after(token).is_some_and(|left| self.leads_on(steps, left))
    }

    /// How many steps may pass after a span; `None` where it may not pass, be it
    /// because MidiTok would have spelled the time otherwise.
    fn slack_after(&self, token: Token) -> Option<u32> {
        let silent = self.sounding.is_empty();
        let slack = match self.place {
            Place::Timed => self.slack,
            _ if silent => self.bounds.silence(self.now),
            _ => u32::MAX,
        };
        let shifted = self.place == Place::Timed && self.shifted;
        let shortest = self.vocab.rests.first().map(|rest| rest.steps);
        let (steps, spans, slack) = match (token, shortest) {
            (Token::Rest(steps), _) if silent && !shifted => (steps, &self.vocab.rests, slack),
            // In silence only what is too short for a rest is shifted over.
            (Token::Shift(steps), Some(rest)) if silent => (steps, &self.vocab.shifts, slack.min(rest - 1)),
            (Token::Shift(steps), _) => (steps, &self.vocab.shifts, slack),
            _ => return None,
        };
        let longer = spans.get(spans.partition_point(|span| span.steps <= steps));
        let room = longer.map_or(u32::MAX, |longer| longer.steps - steps - 1);
        Some(slack.checked_sub(steps)?.min(room))
    }

    /// Whether something can happen after a span, or after more time that may still
    /// pass.
    fn leads_on(&self, steps: u32, left: u32) -> bool {
        let at = self.now.saturating_add(steps);
        match (self.due(), self.bounds.next(at)) {
            (Some(due), _) => at <= due,
            (None, Some(next)) => next <= at.saturating_add(left),
            (None, None) => {
                self.bounds.scope == Scope::Answer && self.bounds.until <= at.saturating_add(left)
            }
        }
    }

    /// Takes an id and says what it completed; `None` where it may not stand, and
    /// then nothing changes.
    pub(super) fn push(&mut self, id: u32) -> Option<Step> {
        if !self.allows(id) {
            return None;
        }
        match self.vocab.token(id)? {
            Token::Special(_) if self.place == Place::Begin => self.place = Place::Begun,
            Token::Special(_) => {
                self.place = Place::End;
                return Some(Step::End);
            }
            Token::Program(program) => {
                self.program = Some(program);
                self.turns[usize::from(program)] = true;
                self.begun = false;
                self.place = Place::Program;
            }
            Token::On(pitch) => {
                self.take_turn();
                self.begun = true;
                self.opening = false;
                self.place = Place::On(pitch);
            }
            Token::Velocity(velocity) => self.begin(velocity),
            Token::Off(pitch) => return self.end(pitch).map(Step::Note),
            token @ (Token::Shift(steps) | Token::Rest(steps)) => {
                self.pass(token, steps);
                return Some(Step::Moved);
            }
        }
        Some(Step::Pending)
    }

    fn take_turn(&mut self) -> u8 {
        let program = self.program.unwrap_or(KIT);
        self.turns[usize::from(program)] = true;
        program
    }

    fn begin(&mut self, velocity: u8) {
        if let (Place::On(pitch), Some(program)) = (self.place, self.program) {
            let note = Sounding { start: self.now, velocity };
            self.sounding.entry((program, pitch)).or_default().push_back(note);
            *self.starts.entry(self.now).or_default() += 1;
        }
        self.place = Place::Open;
    }

    fn end(&mut self, pitch: u8) -> Option<Sound> {
        let instrument = self.take_turn();
        let key = (instrument, pitch);
        let notes = self.sounding.get_mut(&key)?;
        let Sounding { start, velocity } = notes.pop_front()?;
        if notes.is_empty() {
            self.sounding.remove(&key);
        }
        if let Some(count) = self.starts.get_mut(&start) {
            *count -= 1;
            if *count == 0 {
                self.starts.remove(&start);
            }
        }
        self.place = Place::Open;
        Some(Sound { start, end: self.now, instrument, pitch, velocity })
    }

    fn pass(&mut self, token: Token, steps: u32) {
        self.slack = self.slack_after(token).unwrap_or_default();
        self.shifted = matches!(token, Token::Shift(_));
        self.now = self.now.saturating_add(steps);
        self.turns = [false; INSTRUMENTS];
        self.begun = false;
        self.place = Place::Timed;
    }

    /// What is wrong with an id that may not stand.
    pub(super) fn reason(&self) -> &'static str {
        match self.place {
            _ if self.finished() => "the music is over",
            Place::Begin | Place::Begun => "a piece begins with a rest or with who plays",
            Place::On(_) => "after the beginning of a note comes its velocity",
            Place::Program => "after who plays comes a note of that instrument",
            Place::Open => "no note can begin or end like that, or time pass, here",
            Place::Timed => "after time has passed something begins or ends",
            Place::End => "the music is over",
        }
    }
}
