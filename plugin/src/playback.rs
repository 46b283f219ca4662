//! The answer on the timeline: which of its notes sound in a block, to the sample,
//! and which must be silenced. Lives on the audio thread: no memory is asked for
//! after construction.
//!
//! Invariant: every note-on sent is followed by its note-off, whatever the
//! transport, the parameters and the player do in between. All ways out lead
//! through [`Playback::silence`] or a voice's own end.

use std::sync::Arc;

use crate::ask::Ask;
use crate::clock::{Span, Timeline};
use crate::link::{AnswerId, Grid, KeptNotes, PlayNote, ToPlayer};
use crate::takes::Takes;

/// Notes of an answer that can sound at once.
const MOST_VOICES: usize = 256;

/// A note event for the host, at a sample of the span that is being rendered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sound {
    /// Sample, counted from the beginning of the span.
    pub sample: u32,
    /// MIDI channel.
    pub channel: u8,
    /// MIDI key.
    pub key: u8,
    /// Velocity of a note-on; `None` is a note-off.
    pub velocity: Option<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Voice {
    channel: u8,
    key: u8,
    /// Where it ends, on the playing timeline.
    end: f64,
    /// Whether it is a kept take's: what ends the answer does not end it.
    kept: bool,
}

impl Voice {
    fn off(&self, sample: u32) -> Sound {
        Sound { sample, channel: self.channel, key: self.key, velocity: None }
    }
}

/// The answer that is there and the kept takes, and what of them sounds.
#[derive(Debug)]
pub struct Playback {
    takes: Takes,
    id: AnswerId,
    /// Where the answer stands; nowhere if there is none or it is only shown.
    timeline: Option<Timeline>,
    grid: Grid,
    /// By how many beats the answer came too late and was moved.
    shift: f64,
    /// Whether `shift` is settled.
    placed: bool,
    /// The answer begins after this loop's next wrap.
    wrap: Option<(f64, f64)>,
    /// Where it was to begin, before it was moved.
    start: f64,
    /// Where it was stopped, before it was moved: nothing of it begins or sounds from here on.
    cut: f64,
    /// The kept takes. The inference thread holds the same, so letting go frees nothing.
    kept: Option<Arc<KeptNotes>>,
    audible: usize,
    voices: Vec<Voice>,
    /// The player's keys that were passed on to the host, a bit a key.
    passed: [u128; 16],
    /// Beats before this have been rendered.
    done: f64,
    loaded: u64,
    /// The state load since which nothing from before it is here.
    replaced: u64,
}

impl Default for Playback {
    fn default() -> Self {
        Self {
            takes: Takes::default(),
            id: AnswerId::default(),
            timeline: None,
            grid: Grid::Any,
            shift: 0.0,
            placed: true,
            wrap: None,
            start: 0.0,
            cut: f64::INFINITY,
            kept: None,
            audible: 0,
            voices: Vec::with_capacity(MOST_VOICES),
            passed: [0; 16],
            done: f64::NEG_INFINITY,
            loaded: 0,
            replaced: 0,
        }
    }
}

impl Playback {
    /// The answer that is there.
    #[must_use]
    pub fn id(&self) -> AnswerId {
        self.id
    }

    /// By how many beats the answer was moved, once that is settled. Nothing where there is
    /// no answer: then it is the one before that was moved, as far as others know.
    #[must_use]
    pub fn shift(&self) -> Option<f64> {
        (self.placed && self.timeline.is_some()).then_some(self.shift)
    }

    /// Up to which state load the answer is known.
    #[must_use]
    pub fn loaded(&self) -> u64 {
        self.loaded
    }

    /// Where the answer lies, if it does.
    #[must_use]
    pub fn place(&self) -> Option<(Timeline, f64)> {
        self.timeline.map(|timeline| (timeline, self.start + self.shift))
    }

    /// The take that is heard, counted from 0.
    #[must_use]
    pub fn audible(&self) -> usize {
        self.audible
    }

    /// How many takes the answer has.
    #[must_use]
    pub fn takes(&self) -> usize {
        self.takes.count()
    }

    /// Whether the answer has begun before a beat, and is not over yet.
    #[must_use]
    pub fn sounds(&self, timeline: Timeline, beat: f64) -> bool {
        let Some(take) = self.takes.get(self.audible) else { return false };
        let here = self.timeline == Some(timeline) && self.placed && self.wrap.is_none();
        let begun = take.notes().first().is_some_and(|first| first.start + self.shift <= beat);
        let over = take.reached() == f64::INFINITY && take.last_end() + self.shift <= beat;
        here && begun && !over && beat < self.cut + self.shift
    }

    /// Stops the answer at a beat, now or later. Returns that beat as it was before the
    /// answer was moved.
    pub fn stop(&mut self, beat: f64) -> f64 {
        self.cut = self.cut.min(beat - self.shift);
        for voice in self.voices.iter_mut().filter(|voice| !voice.kept) {
            voice.end = voice.end.min(beat);
        }
        self.cut
    }

    /// Makes room for an answer that was just asked for. `ask.start` may lie past
    /// the end of the host's loop: then it begins behind the loop's start.
    ///
    /// Returns the answer's real start. Sounding notes of the one before must have ended.
    pub fn begin(&mut self, ask: &Ask, grid: Grid, span: &Span) -> f64 {
        self.wrap = span.cycle.filter(|(a, b)| (*a..*b).contains(&ask.at) && ask.start >= *b);
        let start = self.wrap.map_or(ask.start, |(a, b)| a + (ask.start - b).rem_euclid(b - a));
        self.reset(ask.id, ask.wish.takes, Some(ask.timeline), start);
        self.grid = grid;
        self.placed = false;
        start
    }

    /// Forgets the answer. Its sounding notes must have ended.
    pub fn clear(&mut self, id: AnswerId) {
        self.wrap = None;
        self.reset(id, 0, None, 0.0);
    }

    fn reset(&mut self, id: AnswerId, takes: usize, timeline: Option<Timeline>, start: f64) {
        self.takes.begin(takes, start);
        self.id = id;
        self.timeline = timeline;
        self.shift = 0.0;
        self.placed = true;
        (self.start, self.cut) = (start, f64::INFINITY);
    }

    /// Takes a message from the inference thread; what concerns an older answer is
    /// ignored. `out` gets the note-offs where another answer takes over.
    pub fn receive(&mut self, message: ToPlayer, sample: u32, out: &mut impl FnMut(Sound)) {
        if let ToPlayer::Replace { load, .. } = message {
            self.replaced = self.replaced.max(load);
        }
        match message {
            ToPlayer::Replace { id, takes, on_host, start, .. } if id > self.id => {
                self.silence_answer(sample, out);
                self.wrap = None;
                self.reset(id, takes, on_host.then_some(Timeline::Host), start);
            }
            ToPlayer::Kept { notes, taken } => self.keep(notes, taken),
            ToPlayer::Loaded(loads) => self.loaded = loads,
            ToPlayer::Note { id, take, note } if id == self.id => self.takes.insert(take, note),
            ToPlayer::Reached { id, take, beat } if id == self.id => self.takes.reach(take, beat),
            ToPlayer::Done { id, take } if id == self.id => self.takes.reach(take, f64::INFINITY),
            ToPlayer::Finished(id) if id == self.id => self.takes.finish(),
            _ => {}
        }
    }

    /// A state has been loaded, so many by now: what there was before is not heard any more,
    /// though what comes in its place may not be known yet.
    pub fn outdated(&mut self, loads: u64, out: &mut impl FnMut(Sound)) {
        if loads > self.replaced {
            self.replaced = loads;
            self.silence(0, out);
            self.clear(self.id);
            self.kept = None;
        }
    }

    /// The kept takes are these now. If the answer is one of them, what sounds of it sounds
    /// on, and what is to come of it comes from there.
    fn keep(&mut self, notes: Arc<KeptNotes>, taken: AnswerId) {
        self.kept = Some(notes);
        if taken == self.id {
            self.takes.begin(0, 0.0);
            self.timeline = None;
            self.voices.iter_mut().for_each(|voice| voice.kept = true);
        }
    }

    /// Time jumped: what sounds ends here. Call at the beginning of such a span.
    pub fn jump(&mut self, span: &Span, out: &mut impl FnMut(Sound)) {
        self.silence(0, out);
        self.done = span.limit(0);
        if self.wrap.take().is_none() {
            // Lateness is measured in running time only; after a seek the answer
            // stays where it was asked for.
            self.placed = true;
        }
    }

    /// Chooses the take to be heard; the others run along unheard.
    pub fn set_take(&mut self, take: usize, sample: u32, out: &mut impl FnMut(Sound)) {
        if take != self.audible {
            self.audible = take;
            self.silence_answer(sample, out);
        }
    }

    /// Ends the sounding notes of the answer.
    pub fn silence_answer(&mut self, sample: u32, out: &mut impl FnMut(Sound)) {
        self.voices.retain(|voice| {
            if !voice.kept {
                out(voice.off(sample));
            }
            voice.kept
        });
    }

    /// Ends all sounding notes.
    pub fn silence(&mut self, sample: u32, out: &mut impl FnMut(Sound)) {
        for voice in self.voices.drain(..) {
            out(voice.off(sample));
        }
    }

    /// The player's key is about to be passed on: it takes over from the answer.
    pub fn player_on(&mut self, channel: u8, key: u8, sample: u32, out: &mut impl FnMut(Sound)) {
        self.end_voice(channel, key, sample, out);
        if let Some(keys) = self.passed.get_mut(usize::from(channel)) {
            *keys |= 1 << (key & 127);
        }
    }

    /// The player's key went up. Whether its press had been passed on, so that the
    /// release must be too.
    pub fn player_off(&mut self, channel: u8, key: u8) -> bool {
        let Some(keys) = self.passed.get_mut(usize::from(channel)) else { return false };
        let bit = 1 << (key & 127);
        let was = *keys & bit != 0;
        *keys &= !bit;
        was
    }

    /// Whether nothing can change any more about what sounds before a sample.
    #[must_use]
    pub fn determined(&self, span: &Span, until: u32) -> bool {
        if self.timeline != Some(span.timeline) || self.wrap.is_some() {
            return true;
        }
        let until = span.limit(until).min(self.cut + self.shift);
        self.takes.get(self.audible).is_none_or(|take| take.reached() + self.shift >= until)
    }

    /// Ends what is due at a sample or before. Call before passing on an event of the
    /// player's there: releases come first.
    pub fn release(&mut self, span: &Span, sample: u32, out: &mut impl FnMut(Sound)) {
        self.ends(span, sample, span.limit(sample + 1), out);
    }

    /// Renders samples `from..to` of a span, in order of time.
    pub fn render(&mut self, span: &Span, from: u32, to: u32, out: &mut impl FnMut(Sound)) {
        let until = span.limit(to);
        if self.timeline == Some(span.timeline) {
            self.settle(span, from);
        }
        self.notes(span, from, until, out);
        self.ends(span, from, until, out);
        self.done = self.done.max(until);
    }

    /// Lets time pass unheard up to a sample. Nothing must be sounding.
    pub fn skip(&mut self, span: &Span, to: u32) {
        self.done = self.done.max(span.limit(to));
    }

    /// Settles where the answer really begins, once its first note is known.
    fn settle(&mut self, span: &Span, from: u32) {
        if let Some((begin, end)) = self.wrap {
            if span.start < end {
                return;
            }
            // The loop was switched off before it wrapped: straight on instead.
            self.wrap = None;
            self.shift += end - begin;
        }
        if self.placed {
            return;
        }
        let Some(first) = self.takes.get(self.audible).and_then(|t| t.notes().first()) else { return };
        self.placed = true;
        let (start, now) = (first.start + self.shift, span.limit(from).max(self.done));
        if start >= now {
            return;
        }
        self.shift += match self.grid {
            Grid::Beats(beats) => ((now - start) / beats).ceil() * beats,
            Grid::Any => span.beat(from) - start,
            Grid::Fixed => 0.0,
        };
        // Past the end of a loop nothing is ever heard: go on behind its start.
        if let Some((begin, end)) = span.cycle
            && (begin..end).contains(&span.start)
            && first.start + self.shift >= end
        {
            self.shift -= end - begin;
            self.wrap = Some((begin, end));
        }
    }

    /// Starts the notes that begin before `until`, the answer's and the kept ones in order
    /// of time, and ends those due before them.
    fn notes(&mut self, span: &Span, from: u32, until: f64, out: &mut impl FnMut(Sound)) {
        let heard = self.timeline == Some(span.timeline) && self.placed && self.wrap.is_none();
        let mut next = self.takes.get(self.audible).filter(|_| heard).map(|t| t.from(self.done - self.shift));
        let mut kept = 0;
        while let Some((note, is_kept)) = self.first_of(span, next, kept, until) {
            if is_kept {
                kept += 1;
            } else {
                next = next.map(|index| index + 1);
            }
            let sample = span.sample(note.start, from);
            self.ends(span, from, span.limit(sample + 1), out);
            self.start(note, is_kept, span, sample, out);
        }
    }

    /// The earlier of two notes that begin before `until`: the answer's next one, where it
    /// is played, and the kept one after so many in this block. Whether it is the latter.
    fn first_of(
        &self,
        span: &Span,
        next: Option<usize>,
        kept: usize,
        until: f64,
    ) -> Option<(PlayNote, bool)> {
        let answer = next.and_then(|index| self.takes.get(self.audible)?.notes().get(index));
        let answer = answer.filter(|note| note.start < self.cut).map(|note| PlayNote {
            start: note.start + self.shift,
            end: note.end.min(self.cut) + self.shift,
            ..*note
        });
        let on_host = self.kept.as_ref().filter(|_| span.timeline == Timeline::Host);
        let kept = on_host.and_then(|notes| notes.from(self.done).get(kept)).copied();
        let first = match (answer, kept) {
            (Some(answer), Some(kept)) if kept.start < answer.start => (kept, true),
            (Some(answer), _) => (answer, false),
            (None, Some(kept)) => (kept, true),
            (None, None) => return None,
        };
        (first.0.start < until).then_some(first)
    }

    /// A note begins; its beats are those of the playing timeline.
    fn start(&mut self, note: PlayNote, kept: bool, span: &Span, sample: u32, out: &mut impl FnMut(Sound)) {
        let PlayNote { channel, key, velocity, .. } = note;
        let passed = self.passed.get(usize::from(channel)).copied().unwrap_or(0);
        // The player's own note goes first: the answer leaves the key alone.
        if passed & (1 << (key & 127)) != 0 {
            return;
        }
        self.end_voice(channel, key, sample, out);
        if self.voices.len() < MOST_VOICES {
            // At least a sample long, so that no note-off meets its own note-on.
            let end = note.end.max(span.beat(sample + 1));
            self.voices.push(Voice { channel, key, end, kept });
            out(Sound { sample, channel, key, velocity: Some(velocity.clamp(1, 127)) });
        }
    }

    /// Ends voices that are due before a beat, earliest first.
    fn ends(&mut self, span: &Span, from: u32, until: f64, out: &mut impl FnMut(Sound)) {
        while let Some((index, voice)) = earliest(&self.voices)
            && voice.end < until
        {
            self.voices.swap_remove(index);
            let sample = span.sample(voice.end, from);
            out(voice.off(sample));
        }
    }

    fn end_voice(&mut self, channel: u8, key: u8, sample: u32, out: &mut impl FnMut(Sound)) {
        if let Some(index) = self.voices.iter().position(|v| v.channel == channel && v.key == key) {
            out(self.voices.swap_remove(index).off(sample));
        }
    }
}

fn earliest(voices: &[Voice]) -> Option<(usize, Voice)> {
    voices.iter().copied().enumerate().min_by(|a, b| a.1.end.total_cmp(&b.1.end))
}

#[cfg(test)]
#[path = "playback_tests.rs"]
mod tests;
