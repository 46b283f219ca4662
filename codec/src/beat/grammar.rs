//! The order ids come in: which may follow, and what each completes.

use std::ops::Range;

use super::frame::Frame;
use super::meter::Signature;
use super::vocab::{
    BAR, DENOMINATOR, DRUM, DRUMS, DURATION, DURATION_IDS, END, FAR, FAR_PARTS, FARTHEST, INSTRUMENTS, LEVEL,
    NUMERATOR, PARTS, PITCH, POSITION, POSITIONS, PROGRAM, SLOWEST, START, TEMPO_FAR, TEMPO_HIGH, TEMPO_LOW,
    TEMPO_PART, UNUSED, VELOCITY, byte, one,
};
use crate::encoding::IdSet;
use crate::limits::ledger::runs;

/// Index of the drum kit among the instruments.
pub(super) const KIT: u8 = 128;

/// Most bars that may pass without a note or a change.
pub(super) const SILENCE: u32 = 4096;

/// Most bars of a piece.
pub(super) const BARS: u32 = 1 << 19;

/// A note as ids have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Sound {
    pub(super) instrument: u8,
    pub(super) pitch: u8,
    /// Index into the durations; 0 for drums.
    pub(super) duration: u8,
    pub(super) level: u8,
}

/// What an id completed. Where it lies is the grammar's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing yet.
    Pending,
    Bar,
    Meter(Signature),
    Position,
    /// In parts, sixteenths of a beat a minute.
    Tempo(u32),
    Note(Sound),
    /// A note of the phrase that sounds along with the answer.
    Heard(Sound),
    End,
}

/// What the last id was, as far as it decides what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Begin,
    Start,
    Bar,
    Numerator,
    Meter,
    Far,
    Position,
    TempoExtra,
    TempoHigh,
    /// A tempo or a note is complete: anything may begin.
    Open,
    Instrument,
    Velocity,
    Pitch,
    End,
}

/// The state after some ids.
#[derive(Clone, Debug)]
pub(super) struct Grammar {
    pub(super) place: Place,
    /// Where the bar begins, in steps since tick 0.
    pub(super) start: u32,
    /// `None` until the first meter is complete.
    pub(super) meter: Option<Signature>,
    /// In parts; 0 until the first tempo is complete.
    pub(super) tempo: u32,
    /// What stands before the halves of a tempo that is not complete, in parts.
    pub(super) tempo_extra: u32,
    /// The first half of a meter or a tempo.
    pub(super) half: u32,
    pub(super) bars: u32,
    /// How many bars just before this one are empty.
    pub(super) silent: u32,
    /// Whether the bar holds anything yet.
    pub(super) used: bool,
    /// Sum of the FARs that wait for their position.
    pub(super) far: u32,
    /// Of the notes, in steps since the bar line.
    pub(super) position: u32,
    /// The first position of the bar that is still to come.
    pub(super) next_position: u32,
    pub(super) instrument: u8,
    /// The instrument that was playing when the position began.
    pub(super) lead: u8,
    /// One more that may not play here: the lead of a shortened history.
    pub(super) barred: u8,
    /// Instruments below this have had their turn at this position.
    pub(super) floor: u8,
    /// The lowest pitch that may still come from this instrument here.
    pub(super) next_pitch: u8,
    pub(super) levels: [u8; INSTRUMENTS as usize],
    /// What holds an answer; none around a piece.
    pub(super) frame: Option<Box<Frame>>,
}

impl Grammar {
    /// Before the first id.
    pub(super) const fn new() -> Self {
        Self {
            place: Place::Begin,
            start: 0,
            meter: None,
            tempo: 0,
            tempo_extra: 0,
            half: 0,
            bars: 0,
            silent: 0,
            used: false,
            far: 0,
            position: 0,
            next_position: 0,
            instrument: 0,
            lead: 0,
            barred: 0,
            floor: 0,
            next_pitch: 0,
            levels: [LEVEL; INSTRUMENTS as usize],
            frame: None,
        }
    }

    /// The meter in force.
    pub(super) fn signature(&self) -> Signature {
        self.meter.unwrap_or(Signature::COMMON)
    }

    /// Where the notes lie, in steps since tick 0.
    pub(super) const fn step(&self) -> u32 {
        self.start + self.position
    }

    /// Whether notes or an instrument have come at this position.
    pub(super) const fn sounding(&self) -> bool {
        self.floor > 0 || self.next_pitch > 0
    }

    pub(super) fn finished(&self) -> bool {
        let full = |frame: &Frame| self.place == Place::Bar && self.start >= frame.until;
        self.place == Place::End || self.frame.as_deref().is_some_and(full)
    }

    /// Replaces `ids` with those that may come next.
    pub(super) fn allowed(&self, ids: &mut IdSet) {
        ids.clear();
        self.each(|range| ids.add(range));
    }

    /// Whether an id may come next.
    pub(super) fn allows(&self, id: u32) -> bool {
        let mut found = false;
        self.each(|range| found |= range.contains(&id));
        found
    }

    /// Calls `add` with what may come next, in ascending order.
    fn each(&self, mut add: impl FnMut(Range<u32>)) {
        if self.finished() {
            return;
        }
        match self.place {
            Place::Begin => add(one(START)),
            Place::Start => add(one(BAR)),
            Place::Bar if self.meter.is_none() => add(NUMERATOR..DENOMINATOR),
            Place::Meter if self.tempo == 0 => add(one(POSITION)),
            Place::Bar | Place::Meter => self.each_in_time(&mut add),
            Place::Numerator => self.each_denominator(&mut add),
            Place::Far => {
                add(self.far());
                self.each_position(&mut add);
            }
            Place::Position => {
                let timed = self.frame.is_none();
                if timed {
                    add(TEMPO_HIGH..TEMPO_LOW);
                }
                if self.tempo > 0 {
                    self.each_sound(&mut add);
                }
                if timed {
                    add(TEMPO_FAR..UNUSED);
                }
            }
            Place::TempoExtra => {
                add(TEMPO_HIGH..TEMPO_LOW);
                if (FAR_PARTS..FARTHEST).contains(&self.tempo_extra) {
                    add(one(TEMPO_FAR));
                }
            }
            Place::TempoHigh => self.each_tempo_low(&mut add),
            Place::Open => {
                self.each_in_time(&mut add);
                self.each_sound(&mut add);
            }
            Place::Instrument => {
                self.each_level(&mut add);
                self.each_pitch(&mut add);
            }
            Place::Velocity => self.each_pitch(&mut add),
            Place::Pitch => self.each_duration(&mut add),
            Place::End => {}
        }
    }

    /// The ids that go on in time, up to the positions.
    fn each_in_time(&self, add: &mut impl FnMut(Range<u32>)) {
        if self.place == Place::Open && self.pending().is_some() {
            return;
        }
        if self.used && self.frame.is_none() {
            add(one(END));
        }
        if self.may_end_bar() {
            add(one(BAR));
        }
        // FAR stands before the numerators, the positions after them.
        add(self.far());
        if self.place == Place::Bar && self.frame.is_none() {
            add(NUMERATOR..DENOMINATOR);
        }
        self.each_position(add);
    }

    fn may_end_bar(&self) -> bool {
        let Some(frame) = self.frame.as_deref() else {
            return self.bars < BARS && (self.used || self.silent < SILENCE);
        };
        let line = (self.start + self.signature().steps()).min(frame.until);
        let from = self.unsettled();
        frame.due(from) >= line && (self.used || self.silent < frame.silence || frame.next(from) >= line)
    }

    /// FAR, if there is a position behind it.
    fn far(&self) -> Range<u32> {
        if self.moment(self.far + POSITIONS, self.length()).is_some() { one(FAR) } else { FAR..FAR }
    }

    /// The positions that may come before a FAR.
    fn each_position(&self, add: &mut impl FnMut(Range<u32>)) {
        let length = self.length();
        let last = length.min(self.far + POSITIONS);
        let mut next = self.next_position.max(self.far);
        if self.frame.as_deref().is_none_or(Frame::is_open) {
            let first = next.min(last);
            return add(POSITION + first - self.far..POSITION + last.max(self.far) - self.far);
        }
        while let Some(position) = self.moment(next, length).filter(|&position| position < last) {
            add(one(POSITION + position - self.far));
            next = position + 1;
        }
    }

    /// The first position from one on that may come, before the end of what may be
    /// used of the bar.
    fn moment(&self, from: u32, end: u32) -> Option<u32> {
        let from = from.max(self.next_position);
        let next = self.frame.as_deref().map_or(from, |frame| frame.next(self.start + from) - self.start);
        (next < end).then_some(next)
    }

    /// Steps of the bar that may be used.
    fn length(&self) -> u32 {
        let whole = self.signature().steps();
        self.frame.as_deref().map_or(whole, |frame| {
            let due = frame.due(self.unsettled()) + 1;
            whole.min(frame.until.min(due).saturating_sub(self.start))
        })
    }

    /// The first step at which a note may still be due.
    fn unsettled(&self) -> u32 {
        let here = self.place == Place::Open && !self.sounding();
        self.start + if here { self.position } else { self.next_position }
    }

    fn each_denominator(&self, add: &mut impl FnMut(Range<u32>)) {
        let same = self.meter.filter(|m| u32::from(m.numerator) == self.half);
        each_but(DENOMINATOR..TEMPO_HIGH, same.map(|m| DENOMINATOR + u32::from(m.power)), add);
    }

    fn each_tempo_low(&self, add: &mut impl FnMut(Range<u32>)) {
        let least = self.tempo_extra + self.half * 16 * PARTS;
        let lowest = TEMPO_LOW + SLOWEST.saturating_sub(least).div_ceil(PARTS);
        let same = self.tempo.checked_sub(least).filter(|more| more.is_multiple_of(PARTS));
        each_but(lowest..POSITION, same.map(|more| TEMPO_LOW + more / PARTS), add);
    }

    /// The ids a note may begin with at this position.
    fn each_sound(&self, add: &mut impl FnMut(Range<u32>)) {
        self.each_program(add);
        self.each_level(add);
        self.each_pitch(add);
    }

    fn each_program(&self, add: &mut impl FnMut(Range<u32>)) {
        let first = PROGRAM + u32::from(self.floor);
        let (low, high) = (self.lead.min(self.barred), self.lead.max(self.barred));
        let (low, high) = (PROGRAM + u32::from(low), PROGRAM + u32::from(high));
        for run in [first..low, low + 1..high, high + 1..VELOCITY] {
            let run = run.start.max(first)..run.end;
            match &self.frame {
                None => add(run),
                Some(_) => {
                    run.filter(|&id| self.may_turn_to(byte(id - PROGRAM))).for_each(|id| add(one(id)));
                }
            }
        }
    }

    /// Whether an instrument may have its turn, the phrase's notes still in reach.
    fn may_turn_to(&self, instrument: u8) -> bool {
        match self.pending() {
            Some(heard) if heard.instrument == instrument => true,
            Some(heard) if heard.instrument == self.instrument || heard.instrument < instrument => false,
            _ => self.may_play(instrument),
        }
    }

    fn each_level(&self, add: &mut impl FnMut(Range<u32>)) {
        let same = self.levels[usize::from(self.instrument)];
        if self.free_pitches() != 0 {
            each_but(VELOCITY..PITCH, Some(VELOCITY + u32::from(same)), add);
        } else if let Some(heard) = self.pending_here().filter(|heard| heard.level != same) {
            add(one(VELOCITY + u32::from(heard.level)));
        }
    }

    fn each_pitch(&self, add: &mut impl FnMut(Range<u32>)) {
        let level = self.levels[usize::from(self.instrument)];
        let heard = self.pending_here().filter(|heard| heard.level == level);
        let pitches = self.free_pitches() | heard.map_or(0, |heard| 1 << heard.pitch);
        let first = if self.instrument == KIT { DRUM } else { PITCH };
        runs(pitches, |run| add(first + run.start..first + run.end));
    }

    /// The pitches this instrument may play next, a bit each; those beyond the next
    /// of the phrase's notes have to wait for it.
    fn free_pitches(&self) -> u128 {
        let Some(frame) = self.frame.as_deref() else { return from_bit(self.next_pitch) };
        if !self.may_play(self.instrument) {
            return 0;
        }
        let before = self.pending_here().map_or(u128::MAX, |heard| !from_bit(heard.pitch));
        frame.ledger.pitches(self.instrument == KIT) & from_bit(self.next_pitch) & before
    }

    fn may_play(&self, instrument: u8) -> bool {
        self.frame.as_deref().is_none_or(|frame| frame.may_play(instrument, self.step()))
    }

    /// The note of the phrase that has to sound here before anything later.
    fn pending(&self) -> Option<Sound> {
        self.frame.as_deref()?.pending(self.step(), self.lead)
    }

    /// The same, if it is the playing instrument's.
    fn pending_here(&self) -> Option<Sound> {
        self.pending().filter(|heard| heard.instrument == self.instrument)
    }

    fn each_duration(&self, add: &mut impl FnMut(Range<u32>)) {
        let pitch = self.next_pitch - 1;
        let heard = self.pending_here().filter(|heard| heard.pitch == pitch);
        let asked = self.frame.as_deref().and_then(|frame| frame.duration(self.step()));
        match heard.map(|heard| heard.duration).or(asked) {
            Some(duration) => add(one(DURATION + u32::from(duration))),
            None => add(DURATION_IDS),
        }
    }

    /// Gives up the phrase's notes at this position that its order leaves no place.
    pub(super) fn give_up_heard(&mut self) {
        let (step, instrument) = (self.step(), self.instrument);
        let (next_pitch, floor, lead, barred) = (self.next_pitch, self.floor, self.lead, self.barred);
        if let Some(frame) = &mut self.frame {
            frame.give_up(step, |sound| {
                if sound.instrument == instrument {
                    return sound.pitch >= next_pitch;
                }
                sound.instrument >= floor && sound.instrument != lead && sound.instrument != barred
            });
        }
    }

    /// Why only what is allowed is allowed.
    pub(super) const fn reason(&self) -> &'static str {
        match self.place {
            Place::Begin => "a piece begins with START",
            Place::Start => "a bar follows START",
            Place::Bar if self.meter.is_none() => "the first bar begins with its meter",
            Place::Bar => "a bar goes on with a new meter, a position or the next bar",
            Place::Numerator => "a denominator that makes a new meter follows a numerator",
            Place::Meter => "a position or the next bar follows a meter",
            Place::Far => "a position within the bar follows FAR",
            Place::Position => "a new tempo or a note follows a position",
            Place::TempoExtra => "a tempo's first half follows what is added to it",
            Place::TempoHigh => "a tempo's second half that makes a new tempo follows its first",
            Place::Open => "a later note, position or bar follows a note or a tempo",
            Place::Instrument => "a note follows an instrument",
            Place::Velocity => "a higher pitch follows a velocity",
            Place::Pitch => "a duration follows a pitch",
            Place::End => "nothing follows the end",
        }
    }

    /// Takes the next id; `None`, and nothing changes, for one that is not allowed.
    pub(super) fn push(&mut self, id: u32) -> Option<Step> {
        self.allows(id).then(|| self.take(id))
    }

    /// Takes an id that is allowed.
    fn take(&mut self, id: u32) -> Step {
        let (place, step) = match id {
            START => (Place::Start, Step::Pending),
            END => (Place::End, Step::End),
            BAR => {
                self.begin_bar();
                (Place::Bar, Step::Bar)
            }
            FAR => {
                self.far += POSITIONS;
                (Place::Far, Step::Pending)
            }
            NUMERATOR..DENOMINATOR => {
                self.half = id - NUMERATOR + 1;
                (Place::Numerator, Step::Pending)
            }
            DENOMINATOR..TEMPO_HIGH => {
                let meter = Signature { numerator: byte(self.half), power: byte(id - DENOMINATOR) };
                self.meter = Some(meter);
                self.used = true;
                (Place::Meter, Step::Meter(meter))
            }
            TEMPO_HIGH..TEMPO_LOW => {
                self.half = id - TEMPO_HIGH;
                (Place::TempoHigh, Step::Pending)
            }
            TEMPO_LOW..POSITION => {
                self.tempo = self.tempo_extra + (self.half * 16 + id - TEMPO_LOW) * PARTS;
                self.tempo_extra = 0;
                (Place::Open, Step::Tempo(self.tempo))
            }
            TEMPO_FAR => {
                self.tempo_extra += FAR_PARTS;
                (Place::TempoExtra, Step::Pending)
            }
            TEMPO_PART..UNUSED => {
                self.tempo_extra = id - TEMPO_PART + 1;
                (Place::TempoExtra, Step::Pending)
            }
            POSITION..PROGRAM => {
                self.begin_position(self.far + id - POSITION);
                (Place::Position, Step::Position)
            }
            PROGRAM..=DRUMS => {
                self.instrument = byte(id - PROGRAM);
                self.floor = self.instrument + 1;
                self.next_pitch = 0;
                (Place::Instrument, Step::Pending)
            }
            VELOCITY..PITCH => {
                self.levels[usize::from(self.instrument)] = byte(id - VELOCITY);
                (Place::Velocity, Step::Pending)
            }
            PITCH..DRUM => {
                self.next_pitch = byte(id - PITCH) + 1;
                (Place::Pitch, Step::Pending)
            }
            DRUM..DURATION => {
                self.next_pitch = byte(id - DRUM) + 1;
                (Place::Open, self.sound(0))
            }
            _ => (Place::Open, self.sound(byte(id - DURATION))),
        };
        self.place = place;
        step
    }

    fn begin_bar(&mut self) {
        if self.bars > 0 {
            self.start += self.signature().steps();
            self.silent = if self.used { 0 } else { self.silent + 1 };
        }
        self.bars += 1;
        self.used = false;
        self.far = 0;
        self.position = 0;
        self.next_position = 0;
        self.begin_notes();
    }

    const fn begin_position(&mut self, position: u32) {
        self.position = position;
        self.next_position = position + 1;
        self.far = 0;
        self.used = true;
        self.begin_notes();
    }

    pub(super) const fn begin_notes(&mut self) {
        self.lead = self.instrument;
        self.barred = self.instrument;
        self.floor = 0;
        self.next_pitch = 0;
    }

    fn sound(&mut self, duration: u8) -> Step {
        self.used = true;
        let (step, instrument) = (self.step(), self.instrument);
        let level = self.levels[usize::from(instrument)];
        let sound = Sound { instrument, pitch: self.next_pitch - 1, duration, level };
        let heard = self.frame.as_mut().is_some_and(|frame| frame.take(step, sound));
        if heard { Step::Heard(sound) } else { Step::Note(sound) }
    }
}

/// All pitches from one on, a bit each; none from 128 on.
const fn from_bit(pitch: u8) -> u128 {
    if pitch < 128 { u128::MAX << pitch } else { 0 }
}

/// Adds a range without one of its ids.
fn each_but(ids: Range<u32>, without: Option<u32>, add: &mut impl FnMut(Range<u32>)) {
    match without.filter(|id| ids.contains(id)) {
        None => add(ids),
        Some(id) => {
            add(ids.start..id);
            add(id + 1..ids.end);
        }
    }
}
