//! Which id is which token.

use std::fmt::Write as _;
use std::ops::Range;

use super::config::Config;
use crate::score::Instrument;

/// The drum kit's number among the instruments.
pub(super) const KIT: u8 = 128;

/// How many instruments there are, the drum kit included.
pub(super) const INSTRUMENTS: usize = 129;

/// A stretch of time with an id, as MidiTok names it: beats and parts of a beat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    beats: u32,
    part: u32,
    parts: u32,
    /// The same in steps of the grid.
    pub(super) steps: u32,
}

/// What an id means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// One that is no music, by its index.
    Special(u32),
    /// A note of the instrument that plays begins; the pitch.
    On(u8),
    /// A note of the instrument that plays ends; the pitch.
    Off(u8),
    /// How loud the note is that has just begun.
    Velocity(u8),
    /// Time passes while something sounds, in steps.
    Shift(u32),
    /// Time passes in silence, in steps.
    Rest(u32),
    /// Who plays from here on.
    Program(u8),
}

/// The vocabulary of one tokenizer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Vocab {
    config: Config,
    velocities: Vec<u8>,
    /// Time shifts, ascending.
    pub(super) shifts: Vec<Span>,
    /// Rests, ascending; none where silence is shifted over as well.
    pub(super) rests: Vec<Span>,
    /// The id of each instrument.
    program_ids: Vec<Option<u32>>,
    /// Where each kind of token begins.
    on: u32,
    off: u32,
    velocity: u32,
    shift: u32,
    drum_on: u32,
    drum_off: u32,
    rest: u32,
    program: u32,
    /// How many ids there are.
    pub(super) size: u32,
}

impl Vocab {
    /// The vocabulary of a tokenizer with these settings.
    pub(super) fn new(config: Config) -> Self {
        let shifts = spans(&config.beat_res, config.resolution());
        let rests = config.beat_res_rest.as_deref().map_or(Vec::new(), |r| spans(r, config.resolution()));
        let velocities = velocities(config.num_velocities);
        let pitches = count(&config.pitches);
        let drums = config.drums.as_ref().map_or(0, count);
        let on = length(&config.special);
        let off = on + pitches;
        let velocity = off + pitches;
        let shift = velocity + length(&velocities);
        let drum_on = shift + length(&shifts);
        let drum_off = drum_on + drums;
        let rest = drum_off + drums;
        let program = rest + length(&rests);
        let size = program + length(&config.programs);
        let mut program_ids = vec![None; INSTRUMENTS];
        for (&instrument, id) in config.programs.iter().zip(program..) {
            program_ids[usize::from(instrument)] = Some(id);
        }
        Self {
            config,
            velocities,
            shifts,
            rests,
            program_ids,
            on,
            off,
            velocity,
            shift,
            drum_on,
            drum_off,
            rest,
            program,
            size,
        }
    }

    /// Steps of the grid a beat has.
    pub(super) fn resolution(&self) -> u32 {
        self.config.resolution()
    }

    /// What an id means; `None` for one there is not.
    pub(super) fn token(&self, id: u32) -> Option<Token> {
        let index = |from: u32| usize::try_from(id - from).ok();
        let byte = |from: u32, low: u8| u8::try_from(id - from).ok().map(|n| n + low);
        let (low, drum_low) = (*self.config.pitches.start(), self.drum_low());
        match id {
            _ if id < self.on => Some(Token::Special(id)),
            _ if id < self.off => byte(self.on, low).map(Token::On),
            _ if id < self.velocity => byte(self.off, low).map(Token::Off),
            _ if id < self.shift => self.velocities.get(index(self.velocity)?).map(|&v| Token::Velocity(v)),
            _ if id < self.drum_on => self.shifts.get(index(self.shift)?).map(|s| Token::Shift(s.steps)),
            _ if id < self.drum_off => byte(self.drum_on, drum_low).map(Token::On),
            _ if id < self.rest => byte(self.drum_off, drum_low).map(Token::Off),
            _ if id < self.program => self.rests.get(index(self.rest)?).map(|s| Token::Rest(s.steps)),
            _ => self.config.programs.get(index(self.program)?).map(|&p| Token::Program(p)),
        }
    }

    /// MidiTok's name of an id.
    pub(super) fn name(&self, id: u32) -> Option<String> {
        let drums = (self.drum_on..self.rest).contains(&id);
        let mut name = match self.token(id)? {
            Token::Special(index) => return self.config.special.get(usize::try_from(index).ok()?).cloned(),
            Token::On(pitch) if drums => format!("DrumOn_{pitch}"),
            Token::Off(pitch) if drums => format!("DrumOff_{pitch}"),
            Token::On(pitch) => format!("NoteOn_{pitch}"),
            Token::Off(pitch) => format!("NoteOff_{pitch}"),
            Token::Velocity(velocity) => format!("Velocity_{velocity}"),
            Token::Shift(_) => "TimeShift_".to_owned(),
            Token::Rest(_) => "Rest_".to_owned(),
            Token::Program(KIT) => "Program_-1".to_owned(),
            Token::Program(program) => format!("Program_{program}"),
        };
        let spans = [(self.shift, &self.shifts), (self.rest, &self.rests)];
        for (base, spans) in spans {
            let index = id.checked_sub(base).and_then(|i| usize::try_from(i).ok());
            if let Some(span) = index.and_then(|i| spans.get(i)) {
                let written = write!(name, "{}.{}.{}", span.beats, span.part, span.parts);
                debug_assert!(written.is_ok(), "a String takes every write");
            }
        }
        Some(name)
    }

    /// The id that begins a piece.
    pub(super) fn begin(&self) -> Option<u32> {
        self.special("BOS_None")
    }

    /// The id that ends a piece.
    pub(super) fn end(&self) -> Option<u32> {
        self.special("EOS_None")
    }

    fn special(&self, name: &str) -> Option<u32> {
        (0..).zip(&self.config.special).find(|(_, special)| *special == name).map(|(id, _)| id)
    }

    /// Who an instrument's notes may be: its lowest and highest pitch, and the ids
    /// of the lowest note's beginning and end.
    fn voice(&self, instrument: u8) -> (u8, u8, u32, u32) {
        match &self.config.drums {
            Some(drums) if instrument == KIT => (*drums.start(), *drums.end(), self.drum_on, self.drum_off),
            _ => (*self.config.pitches.start(), *self.config.pitches.end(), self.on, self.off),
        }
    }

    /// Whether an instrument has a pitch.
    pub(super) fn has(&self, instrument: u8, pitch: u8) -> bool {
        let (low, high, ..) = self.voice(instrument);
        self.program_ids.get(usize::from(instrument)).is_some_and(Option::is_some)
            && (low..=high).contains(&pitch)
    }

    /// Whether a note's ids are those of the drum kit.
    pub(super) fn is_drum(&self, id: u32) -> bool {
        (self.drum_on..self.rest).contains(&id)
    }

    /// The pitches of an instrument.
    pub(super) fn pitches(&self, instrument: u8) -> std::ops::RangeInclusive<u8> {
        let (low, high, ..) = self.voice(instrument);
        low..=high
    }

    /// The id that begins a note. The instrument has the pitch.
    pub(super) fn on_id(&self, instrument: u8, pitch: u8) -> u32 {
        let (low, _, on, _) = self.voice(instrument);
        on + u32::from(pitch.saturating_sub(low))
    }

    /// The id that ends a note. The instrument has the pitch.
    pub(super) fn off_id(&self, instrument: u8, pitch: u8) -> u32 {
        let (low, _, _, off) = self.voice(instrument);
        off + u32::from(pitch.saturating_sub(low))
    }

    /// All velocities.
    pub(super) const fn velocity_ids(&self) -> Range<u32> {
        self.velocity..self.shift
    }

    /// The velocity nearest to one, the louder of two that are equally near.
    pub(super) fn velocity_id(&self, velocity: u8) -> u32 {
        let nearest = (0..).zip(&self.velocities).min_by_key(|&(index, &v)| (v.abs_diff(velocity), -index));
        self.velocity + nearest.map_or(0, |(index, _): (i32, _)| index.unsigned_abs())
    }

    /// The id of the time shift with an index.
    pub(super) const fn shift_id(&self, index: u32) -> u32 {
        self.shift + index
    }

    /// The id of the rest with an index.
    pub(super) const fn rest_id(&self, index: u32) -> u32 {
        self.rest + index
    }

    /// The id that makes an instrument play, where it may.
    pub(super) fn program_id(&self, instrument: u8) -> Option<u32> {
        self.program_ids.get(usize::from(instrument)).copied().flatten()
    }

    /// The instruments in the order of their ids.
    pub(super) fn programs(&self) -> &[u8] {
        &self.config.programs
    }

    fn drum_low(&self) -> u8 {
        self.config.drums.as_ref().map_or(0, |drums| *drums.start())
    }
}

/// Who an instrument's number is.
pub(super) fn instrument(number: u8) -> Instrument {
    Instrument::program(number).unwrap_or(Instrument::DRUMS)
}

/// The stretches that ranges of beats divided into parts make: every part of every
/// beat but the first, and the end of the longest range.
fn spans(ranges: &[(u32, u32, u32)], resolution: u32) -> Vec<Span> {
    let span =
        |beats, part, parts| Span { beats, part, parts, steps: (beats * parts + part) * resolution / parts };
    let mut spans = Vec::new();
    for &(from, until, parts) in ranges {
        spans.extend((from..until).flat_map(|beat| (0..parts).map(move |part| span(beat, part, parts))));
    }
    spans.extend(ranges.last().map(|&(_, until, parts)| span(until, 0, parts)));
    spans.retain(|span| span.steps > 0);
    spans
}

/// `count` velocities evenly spaced up to 127, rounded down.
fn velocities(count: u8) -> Vec<u8> {
    let at = |i: u8| u16::from(i) * 127 / u16::from(count.max(1));
    (1..=count).filter_map(|i| u8::try_from(at(i)).ok()).collect()
}

fn count(range: &std::ops::RangeInclusive<u8>) -> u32 {
    u32::from(*range.end()) - u32::from(*range.start()) + 1
}

fn length<T>(items: &[T]) -> u32 {
    u32::try_from(items.len()).unwrap_or(u32::MAX)
}
