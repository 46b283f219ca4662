//! The order ids come in: which may follow, and what each completes.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use super::bounds::{Bounds, Scope};
use super::vocab::{INSTRUMENTS, KIT, Span, Token, Vocab};
use super::writer::{Act, Happening};
use crate::encoding::IdSet;
use crate::limits::ledger::Ledger;

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
    /// Whether it is the phrase's, and sounds along.
    heard: bool,
    /// Where a rhythm has it end.
    end: Option<u32>,
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
    /// The last step at which a note began.
    struck: Option<u32>,
    /// What the phrase does that sounds along, and is still to come.
    heard: VecDeque<Happening>,
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
            struck: None,
            heard: VecDeque::new(),
        }
    }

    /// Makes an answer begin at a step, with a note unless something of the phrase
    /// sounds along. Nothing sounds yet.
    pub(super) fn open(&mut self, from: u32, bounds: Bounds, heard: Vec<Happening>) {
        self.now = from;
        self.bounds = bounds;
        self.opening = heard.is_empty();
        self.heard = heard.into();
        self.struck = None;
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
            let own = notes.into_iter().filter(|note| note.start < end && !note.heard);
            sounds.extend(own.map(|Sounding { start, velocity, .. }| Sound {
                start,
                end,
                instrument,
                pitch,
                velocity,
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
        if let Some(forced) = self.forced() {
            return id == forced;
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
            Token::Shift(steps) | Token::Rest(steps) => {
                (self.may_pass() && self.passes(token, steps))
                    || (Some(id) == self.way_out() && self.is_stuck())
            }
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
        if let Some(id) = self.forced().or_else(|| self.way_out().filter(|_| self.is_stuck())) {
            add(id..id + 1);
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
        let may_end = |note: &Sounding| !note.heard && note.end.is_none_or(|end| end <= self.now);
        let ending = self.of(program).filter(|(_, note)| note.start < self.now && may_end(note));
        ending.fold(0, |mask, (pitch, _)| mask | 1 << pitch)
    }

    /// The oldest sounding note of each pitch of an instrument.
    fn of(&self, program: u8) -> impl Iterator<Item = (u8, Sounding)> {
        let notes = self.sounding.range((program, 0)..=(program, u8::MAX));
        notes.filter_map(|(&(_, pitch), notes)| notes.front().map(|&note| (pitch, note)))
    }

    /// Whether an instrument has a note that must end now.
    fn is_due(&self, program: u8) -> bool {
        self.any_due() && self.of(program).any(|(_, note)| self.is_note_due(&note))
    }

    fn is_note_due(&self, note: &Sounding) -> bool {
        !note.heard && note.end.unwrap_or_else(|| self.bounds.due(note.start)) <= self.now
    }

    fn any_due(&self) -> bool {
        self.due().is_some_and(|due| due <= self.now)
    }

    /// The step by which a sounding note must have ended.
    fn due(&self) -> Option<u32> {
        let longest = self.starts.keys().next().map(|&start| self.bounds.due(start));
        if self.bounds.ledger.is_none() {
            return longest;
        }
        let ends = self.sounding.values().flatten().filter(|note| !note.heard).filter_map(|note| note.end);
        ends.chain(longest).min()
    }

    /// Whether a note of the answer may end whenever time has passed.
    fn may_end_later(&self) -> bool {
        let free = |note: &Sounding| !note.heard && note.end.is_none();
        match self.bounds.scope {
            Scope::Piece => !self.starts.is_empty(),
            Scope::Answer => self.sounding.values().flatten().any(free),
        }
    }

    /// The step by which a note has to begin, for the rhythm's sake.
    fn must(&self) -> Option<u32> {
        self.bounds.must(if self.struck == Some(self.now) { self.now + 1 } else { self.now })
    }

    /// Whether a note has to begin here before time passes, and can.
    fn owes(&self) -> bool {
        self.must() == Some(self.now) && self.vocab.programs().iter().any(|&program| self.may_begin(program))
    }

    /// Whether an instrument may still begin a note here.
    fn may_begin(&self, program: u8) -> bool {
        let turn = self.program == Some(program) || !self.turns[usize::from(program)];
        turn && self.on_mask(program) != 0
    }

    /// The one id that what sounds along leaves no choice about.
    fn forced(&self) -> Option<u32> {
        let next = self.heard.front().filter(|next| next.at <= self.now)?;
        let program = next.instrument;
        if let (Place::On(_), Act::On(velocity)) = (self.place, next.act) {
            return Some(self.vocab.velocity_id(velocity));
        }
        if self.program != Some(program)
            && let Some(id) = self.vocab.program_id(program)
        {
            return Some(id);
        }
        // The answer's notes that are due end in this turn too, and those that the
        // phrase strikes again.
        let ending = |pitch: u8, note: &Sounding| {
            !note.heard && (self.is_note_due(note) || self.is_struck_again(program, pitch))
        };
        let ends = self.of(program).find(|(pitch, note)| !self.begun && ending(*pitch, note));
        Some(match (ends, next.act) {
            (Some((pitch, _)), _) => self.vocab.off_id(program, pitch),
            (None, Act::Off) => self.vocab.off_id(program, next.pitch),
            (None, Act::On(_)) => self.vocab.on_id(program, next.pitch),
        })
    }

    /// Whether the phrase begins a note here.
    fn is_struck_again(&self, program: u8, pitch: u8) -> bool {
        let here = self.heard.iter().take_while(|happening| happening.at <= self.now);
        here.into_iter().any(|h| (h.instrument, h.pitch) == (program, pitch) && h.act != Act::Off)
    }

    /// Whether nothing may happen here, and no time pass as MidiTok would spell it:
    /// when the phrase's notes take every pitch the limits leave.
    fn is_stuck(&self) -> bool {
        let free = self.heard.is_empty() && self.bounds.ledger.as_deref().is_none_or(Ledger::timeless);
        if free || self.place != Place::Timed {
            return false;
        }
        let notes = self.program.is_some_and(|p| self.on_mask(p) != 0 || self.off_mask(p) != 0);
        let turns = self.may_change() && self.vocab.programs().iter().any(|&program| self.may_play(program));
        let shifts = self.vocab.shifts.iter().map(|span| Token::Shift(span.steps));
        let rests = self.vocab.rests.iter().map(|span| Token::Rest(span.steps));
        let mut spans = shifts.chain(rests);
        let passes = |token: Token| match token {
            Token::Shift(steps) | Token::Rest(steps) => self.passes(token, steps),
            _ => false,
        };
        !(notes || turns || self.may_pass() && spans.any(passes))
    }

    /// The shortest shift: the way on where there is no other.
    fn way_out(&self) -> Option<u32> {
        (!self.vocab.shifts.is_empty()).then(|| self.vocab.shift_id(0))
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
            && !self
                .program
                .is_some_and(|p| self.turns[usize::from(p)] && (self.is_due(p) || self.is_last(p)))
    }

    /// Whether nobody but this instrument can begin the note that is owed.
    fn is_last(&self, program: u8) -> bool {
        self.must() == Some(self.now)
            && self.may_begin(program)
            && !self.vocab.programs().iter().any(|&other| other != program && self.may_begin(other))
    }

    /// Whether an instrument has not had its turn here, and has something to do.
    fn may_play(&self, program: u8) -> bool {
        self.program != Some(program)
            && !self.turns[usize::from(program)]
            && (self.on_mask(program) != 0 || self.off_mask(program) != 0)
    }

    /// Whether time may pass here.
    fn may_pass(&self) -> bool {
        !self.opening && self.place != Place::Program && !self.any_due() && !self.owes()
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
        let heard = self.heard.front().map(|happening| happening.at);
        let latest = [self.due(), self.must(), heard].into_iter().flatten().min();
        if latest.is_some_and(|latest| at > latest) {
            return false;
        }
        if self.may_end_later() {
            return true;
        }
        let until = (self.bounds.scope == Scope::Answer).then_some(self.bounds.until);
        let goal = latest.into_iter().chain(self.bounds.next(at)).chain(until).min();
        goal.is_some_and(|goal| goal <= at.saturating_add(left))
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
            let start = self.now;
            let heard = self.heard.front().is_some_and(|next| next.at <= start);
            let end = self.bounds.length(start).filter(|_| !heard).map(|length| start + length);
            let note = Sounding { start, velocity, heard, end };
            self.sounding.entry((program, pitch)).or_default().push_back(note);
            self.struck = Some(start);
            if heard {
                self.heard.pop_front();
            } else {
                *self.starts.entry(start).or_default() += 1;
                if let Some(ledger) = &mut self.bounds.ledger {
                    ledger.add(start, end.map_or(u32::MAX, |end| end - start), program == KIT);
                }
            }
        }
        self.place = Place::Open;
    }

    /// Ends a note, and gives it if it is the answer's.
    fn end(&mut self, pitch: u8) -> Option<Sound> {
        let instrument = self.take_turn();
        self.place = Place::Open;
        let key = (instrument, pitch);
        let notes = self.sounding.get_mut(&key)?;
        let Sounding { start, velocity, heard, end } = notes.pop_front()?;
        if notes.is_empty() {
            self.sounding.remove(&key);
        }
        if heard {
            self.heard.pop_front();
            return None;
        }
        if let Some(count) = self.starts.get_mut(&start) {
            *count -= 1;
            if *count == 0 {
                self.starts.remove(&start);
            }
        }
        if let Some(ledger) = self.bounds.ledger.as_mut().filter(|_| end.is_none() && instrument != KIT) {
            ledger.end(self.now);
        }
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
