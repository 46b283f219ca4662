//! The order ids come in: which may follow, and what each completes.

use std::ops::Range;
use std::sync::Arc;

use super::bounds::{Bounds, Scope};
use super::heard::Heard;
use super::sounding::{Key, Sounding, Sounds};
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
    sounding: Sounds,
    /// The phrase's notes that sound along with an answer.
    heard: Heard,
    /// The step of the last onset, the phrase's included.
    struck: Option<u32>,
    /// Most steps that may still pass before something happens.
    slack: u32,
    /// Whether the silence is shifted over by now, after its rests.
    shifted: bool,
    /// Whether an answer has not begun yet: its first note comes as soon as it may.
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
            sounding: Sounds::default(),
            heard: Heard::default(),
            struck: None,
            slack: 0,
            shifted: false,
            opening: false,
        }
    }

    /// Makes an answer begin at a step, with what the phrase does meanwhile. Nothing
    /// sounds.
    pub(super) fn open(&mut self, from: u32, bounds: Bounds, heard: Heard) {
        self.now = from;
        self.bounds = bounds;
        self.heard = heard;
        self.struck = None;
        self.opening = true;
        self.place = Place::Open;
        self.turns = [false; INSTRUMENTS];
        self.begun = false;
    }

    /// The step before which no later note will begin: the onset of the oldest that
    /// is not complete, or now.
    pub(super) fn reached(&self) -> u32 {
        self.sounding.oldest().map_or(self.now, |start| start.min(self.now))
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

    /// Ends all notes of the answer at the end of the window.
    pub(super) fn close(&mut self) -> Vec<Sound> {
        let end = self.bounds.until;
        let left = self.sounding.close().filter(|(_, note)| note.start < end);
        let sound = |((instrument, pitch), note): (Key, Sounding)| {
            let Sounding { start, velocity, .. } = note;
            Sound { start, end, instrument, pitch, velocity }
        };
        let mut sounds: Vec<Sound> = left.map(sound).collect();
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
        if let Place::On(pitch) = self.place {
            return self.velocities(pitch).contains(&id);
        }
        match token {
            Token::Special(_) => self.special().contains(&Some(id)),
            Token::Velocity(_) => false,
            Token::On(pitch) => self
                .program
                .is_some_and(|p| self.vocab.on_id(p, pitch) == id && self.begins(p) >> pitch & 1 == 1),
            Token::Off(pitch) => self
                .program
                .is_some_and(|p| self.vocab.off_id(p, pitch) == id && self.ends(p) >> pitch & 1 == 1),
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
        if let Place::On(pitch) = self.place {
            add(self.velocities(pitch));
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

    /// How loud the note of a pitch that has just begun may be.
    fn velocities(&self, pitch: u8) -> Range<u32> {
        let heard = self.program.and_then(|program| self.heard.velocity(self.now, (program, pitch)));
        heard.map_or(self.vocab.velocity_ids(), |velocity| {
            let id = self.vocab.velocity_id(velocity);
            id..id + 1
        })
    }

    /// The beginnings and ends of notes of who plays.
    fn each_note(&self, add: &mut impl FnMut(Range<u32>)) {
        let Some(program) = self.program else { return };
        let (on, off) = (self.begins(program), self.ends(program));
        for pitch in self.vocab.pitches(program).filter(|pitch| on >> pitch & 1 == 1) {
            let id = self.vocab.on_id(program, pitch);
            add(id..id + 1);
        }
        for pitch in self.vocab.pitches(program).filter(|pitch| off >> pitch & 1 == 1) {
            let id = self.vocab.off_id(program, pitch);
            add(id..id + 1);
        }
    }

    /// The pitches an instrument may begin, a bit each: the answer's and the phrase's.
    fn begins(&self, program: u8) -> u128 {
        if self.must_end(program) != 0 {
            return 0;
        }
        self.strikes(program) | self.heard.begins(self.now, program)
    }

    /// The pitches an instrument may begin for the answer once what must end has
    /// ended, a bit each.
    fn strikes(&self, program: u8) -> u128 {
        if !self.bounds.may_begin(self.now, program) {
            return 0;
        }
        let all = self.keys(program) & !self.heard.begins(self.now, program);
        match self.bounds.scope {
            Scope::Piece => all,
            Scope::Answer => {
                let free = self.sounding.of(program).fold(all, |mask, (pitch, _)| mask & !(1 << pitch));
                // The rhythm strikes a key that is down rather than miss an onset.
                if free == 0 && self.bounds.bound() && !self.struck_here() { all } else { free }
            }
        }
    }

    /// The pitches of an instrument that the limits and the phrase leave, a bit each.
    fn keys(&self, program: u8) -> u128 {
        self.bounds.pitches(&self.vocab, program) & !self.heard.down(program)
    }

    /// The pitches whose oldest note an instrument may end, a bit each.
    fn ends(&self, program: u8) -> u128 {
        if self.begun && self.program == Some(program) {
            return 0;
        }
        let ending = self.sounding.of(program).filter(|(_, note)| note.soonest <= self.now);
        ending.fold(self.heard.ends(self.now, program), |mask, (pitch, _)| mask | 1 << pitch)
    }

    /// The pitches whose oldest note an instrument must end now, a bit each.
    fn must_end(&self, program: u8) -> u128 {
        let heard = self.heard.ends(self.now, program);
        if self.sounding.due().is_none_or(|due| due > self.now) {
            return heard;
        }
        let due = self.sounding.of(program).filter(|(_, note)| note.due <= self.now);
        due.fold(heard, |mask, (pitch, _)| mask | 1 << pitch)
    }

    /// Whether an instrument has something to do before time passes.
    fn is_due(&self, program: u8) -> bool {
        (self.must_end(program) | self.heard.begins(self.now, program)) != 0
    }

    /// Whether any has.
    fn any_due(&self) -> bool {
        self.sounding.due().is_some_and(|due| due <= self.now) || self.heard.next() == Some(self.now)
    }

    /// Whether a note begins at this step, be it the phrase's.
    fn struck_here(&self) -> bool {
        self.struck == Some(self.now) || self.heard.any_begins(self.now)
    }

    /// Whether the answer has to begin a note at this step, where it can.
    fn owes(&self) -> bool {
        self.opening || (self.bounds.bound() && !self.struck_here())
    }

    /// Whether an instrument other than one can begin a note of the answer here.
    fn can_strike(&self, but: Option<u8>) -> bool {
        let turn = |p: u8| self.program == Some(p) || !self.turns[usize::from(p)];
        let mut others = self.vocab.programs().iter().filter(|&&p| Some(p) != but && turn(p));
        others.any(|&p| self.strikes(p) != 0)
    }

    /// The first step from `at` on at which the answer may begin a note. It looks
    /// ahead to the next of what the phrase does.
    fn next_onset(&self, at: u32) -> Option<u32> {
        self.bounds.next(at, self.bounds.voices(&self.vocab, |program| self.heard.down(program)))
    }

    /// The instruments that may play next.
    fn each_program(&self, add: &mut impl FnMut(Range<u32>)) {
        for &program in self.vocab.programs().iter().filter(|&&program| self.may_play(program)) {
            add(self.vocab.program_id(program).map_or(0..0, |id| id..id + 1));
        }
    }

    /// Whether another instrument may play next: not while something is to be done
    /// by the one that plays that could not be done in another turn.
    fn may_change(&self) -> bool {
        if self.place == Place::Program {
            return false;
        }
        let Some(program) = self.program.filter(|&p| self.turns[usize::from(p)]) else { return true };
        let needed = self.owes() && self.strikes(program) != 0 && !self.can_strike(Some(program));
        !needed && !self.is_due(program)
    }

    /// Whether an instrument has not had its turn here, and has something to do.
    fn may_play(&self, program: u8) -> bool {
        self.program != Some(program)
            && !self.turns[usize::from(program)]
            && (self.begins(program) != 0 || self.ends(program) != 0)
    }

    /// Whether time may pass here.
    fn may_pass(&self) -> bool {
        self.place != Place::Program && !self.any_due() && !(self.owes() && self.can_strike(None))
    }

    /// The last step time may pass to now.
    fn latest(&self) -> u32 {
        if self.bounds.scope == Scope::Piece {
            return self.bounds.until;
        }
        let owed = self.opening || self.bounds.bound();
        let onset = if owed { self.next_onset(self.now + 1) } else { None };
        let all = [self.sounding.due(), self.heard.next(), onset];
        // What is due after the window is not.
        all.into_iter().flatten().filter(|&at| at < self.bounds.until).min().unwrap_or(u32::MAX)
    }

    /// The first step from `at` on at which something can happen, if only the end.
    fn next(&self, at: u32) -> Option<u32> {
        let end = (self.bounds.scope == Scope::Answer).then_some(self.bounds.until);
        let soonest = self.sounding.soonest();
        if soonest.is_some_and(|soonest| soonest <= at) {
            return Some(at);
        }
        let all = [soonest, self.heard.next(), self.next_onset(at), end];
        all.into_iter().flatten().min().map(|next| next.max(at))
    }

    /// Most steps of silence from now on: long enough for what comes next.
    fn silence(&self) -> u32 {
        let next = self.next(self.now + 1).unwrap_or(self.now);
        self.bounds.silence.max(next - self.now)
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
        let silent = self.sounding.is_empty() && self.heard.is_silent();
        let slack = match self.place {
            Place::Timed => self.slack,
            _ if silent => self.silence(),
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
        at <= self.latest() && self.next(at).is_some_and(|next| next <= at.saturating_add(left))
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
                self.place = Place::On(pitch);
            }
            Token::Velocity(velocity) => self.begin(velocity),
            Token::Off(pitch) => return Some(self.end(pitch).map_or(Step::Pending, Step::Note)),
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
            let key = (program, pitch);
            if !self.heard.begin(self.now, key) {
                let cut = self.heard.strikes(key).unwrap_or(u32::MAX);
                let note = self.sounding.begin(key, self.bounds.sounding(self.now, velocity, cut));
                self.bounds.begin(note, program);
                self.opening = false;
            }
            self.struck = Some(self.now);
        }
        self.place = Place::Open;
    }

    /// Ends a note: the answer's is given back.
    fn end(&mut self, pitch: u8) -> Option<Sound> {
        let instrument = self.take_turn();
        self.place = Place::Open;
        let key = (instrument, pitch);
        if self.heard.end(self.now, key) {
            return None;
        }
        let Sounding { start, velocity, .. } = self.sounding.end(key)?;
        self.bounds.end(self.now, instrument);
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
