//! The audio thread's work of a block: what the player does goes through and into
//! the phrase, the answer's notes join it, everything leaves in order of time.
//!
//! Invariants: nothing here allocates, locks or makes a system call, except that
//! the host's offline rendering waits for the inference thread, so that a bounce
//! is the same every time.

use std::sync::Arc;
use std::time::Duration;

use nice_plug::midi::{Channel, Key, VoiceID};
use nice_plug::prelude::*;
use rtrb::{Consumer, Producer};

use crate::ask::{Ask, Kind};
use crate::capture::Capture;
use crate::clock::{Clock, HostTime, Span};
use crate::link::{Grid, RESERVED, Shared, ToPlayer, ToWorker};
use crate::number;
use crate::params::{Mode, Start};
use crate::playback::{Playback, Sound};
use crate::settings::{Pressed, Settings};

/// How long an offline render sleeps before it looks again.
const OFFLINE_NAP: Duration = Duration::from_micros(200);

/// A note event as this plugin takes and gives it.
pub type Event = NoteEvent<()>;

/// Where events come from and go to.
pub trait Port {
    /// The host's next event.
    fn next(&mut self) -> Option<Event>;
    /// Gives the host an event; times never decrease.
    fn send(&mut self, event: Event);
}

/// The state of the audio thread.
pub struct Performer {
    clock: Clock,
    capture: Capture,
    playback: Playback,
    shared: Arc<Shared>,
    to_worker: Producer<ToWorker>,
    from_worker: Consumer<ToPlayer>,
    /// An answer or clear the ring had no room for.
    pending: Option<ToWorker>,
    presses: Pressed,
    /// Whether the host renders offline, so that waiting is right.
    offline: bool,
}

impl Performer {
    /// A performer at rest between two rings.
    #[must_use]
    pub fn new(shared: Arc<Shared>, to_worker: Producer<ToWorker>, from_worker: Consumer<ToPlayer>) -> Self {
        Self {
            clock: Clock::default(),
            capture: Capture::default(),
            playback: Playback::default(),
            shared,
            to_worker,
            from_worker,
            pending: None,
            presses: Pressed::default(),
            offline: false,
        }
    }

    /// Sets what the host fixes before processing.
    pub fn configure(&mut self, sample_rate: f32, offline: bool) {
        self.clock.set_sample_rate(sample_rate);
        self.offline = offline;
    }

    /// Processing was interrupted. What sounds is ended in the next block.
    pub fn reset(&mut self) {
        self.clock.restart();
    }

    /// Processes a block.
    pub fn block(&mut self, host: &HostTime, samples: u32, settings: &Settings, port: &mut impl Port) {
        let spans = self.clock.advance(host, samples);
        let mut event = port.next();
        for (index, span) in spans.iter().flatten().enumerate() {
            let last = index == 1 || spans[1].is_none();
            self.enter(span, settings, port);
            let (mut at, mut heard) = (0, false);
            while let Some(e) = event.take_if(|e| last || e.timing() < span.offset + span.samples) {
                // Blocks are split where parameters change; an event at that very
                // place may still come with the block before.
                let sample = e.timing().saturating_sub(span.offset).clamp(at, span.samples.max(at));
                self.run(span, at, sample, settings, port);
                at = sample;
                self.input(e, span, at, settings, port);
                heard = true;
                event = port.next();
            }
            self.run(span, at, span.samples, settings, port);
            if heard && self.capture.open() && !settings.bypass {
                let (ask, _) = self.ask(span, span.samples, settings);
                self.tell(ToWorker::Coming(ask));
            }
            self.shared.set_playhead(span.timeline, span.end());
        }
        if let Some(shift) = self.playback.shift() {
            self.shared.set_shift(self.playback.id(), shift);
        }
        self.shared.set_phrase_open(self.capture.open());
    }

    /// The beginning of a span: jumps, news from the inference thread, presses.
    fn enter(&mut self, span: &Span, settings: &Settings, port: &mut impl Port) {
        self.receive(span, 0, port);
        if let Some(jump) = span.jump {
            self.playback.jump(span, &mut |sound| emit(port, span, sound));
            let message = self.capture.jump(jump, span.timeline, span.start);
            self.tell(message);
        }
        self.playback.set_take(settings.take, 0, &mut |sound| emit(port, span, sound));
        let before = std::mem::replace(&mut self.presses, settings.presses);
        if settings.presses.clear != before.clear {
            self.clear(span, port);
        }
        if settings.presses.asks != before.asks && !settings.bypass {
            self.answer(span, 0, settings, port);
        }
    }

    /// Time passes from a sample to another; a pause may become long enough.
    fn run(&mut self, span: &Span, from: u32, to: u32, settings: &Settings, port: &mut impl Port) {
        let mut from = from;
        let replies = settings.mode == Mode::Reply && !settings.bypass;
        if replies
            && let Some(beat) = self.capture.reply_at(settings.pause)
            && beat < span.limit(to)
        {
            let at = span.sample(beat, from);
            self.render(span, from, at, settings, port);
            self.answer(span, at, settings, port);
            from = at;
        }
        self.render(span, from, to, settings, port);
    }

    fn render(&mut self, span: &Span, from: u32, to: u32, settings: &Settings, port: &mut impl Port) {
        if settings.bypass {
            self.playback.silence(from, &mut |sound| emit(port, span, sound));
            self.playback.skip(span, to);
            return;
        }
        if self.offline {
            self.await_answer(span, from, to, port);
        }
        self.playback.render(span, from, to, &mut |sound| emit(port, span, sound));
    }

    /// What is asked for at a sample, and how far it may be moved.
    fn ask(&self, span: &Span, sample: u32, settings: &Settings) -> (Ask, Grid) {
        let at = span.beat(sample);
        let unit = 4.0 / f64::from(span.meter.denominator);
        let (start, grid) = match settings.start {
            Start::Now => (at, Grid::Any),
            Start::Beat => (next_line(span, at, unit), Grid::Beats(unit)),
            Start::Bar => (next_line(span, at, span.meter.bar()), Grid::Beats(span.meter.bar())),
        };
        let ask = Ask {
            id: self.playback.id().next_trigger(),
            kind: Kind::Answer,
            timeline: span.timeline,
            at,
            start,
            meter: span.meter,
            bar_line: span.bar_line,
            tempo: span.tempo,
            heard: settings.take,
            wish: settings.wish,
        };
        (ask, grid)
    }

    /// An answer is wanted, asked for at a sample.
    fn answer(&mut self, span: &Span, sample: u32, settings: &Settings, port: &mut impl Port) {
        self.playback.silence(sample, &mut |sound| emit(port, span, sound));
        let (mut ask, grid) = self.ask(span, sample, settings);
        ask.start = self.playback.begin(&ask, grid, span);
        self.shared.announce(ask.id);
        self.capture.answered();
        self.tell(ToWorker::Answer(ask));
    }

    fn clear(&mut self, span: &Span, port: &mut impl Port) {
        self.playback.silence(0, &mut |sound| emit(port, span, sound));
        let id = self.playback.id().next_trigger();
        self.playback.clear(id);
        self.shared.announce(id);
        self.capture.clear();
        self.tell(ToWorker::Clear(id));
    }

    /// An event of the player's.
    fn input(&mut self, event: Event, span: &Span, at: u32, settings: &Settings, port: &mut impl Port) {
        let beat = span.beat(at);
        let mut pass = settings.through || settings.bypass;
        self.playback.release(span, at, &mut |sound| emit(port, span, sound));
        match event {
            NoteEvent::NoteOn { channel, key: Key::Number(key), velocity, .. } => {
                let channel = channel.number().unwrap_or(0);
                let message = self.capture.on(beat, channel, key, number::velocity(velocity), span.meter);
                self.tell(message);
                if pass {
                    self.playback.player_on(channel, key, at, &mut |sound| emit(port, span, sound));
                }
            }
            NoteEvent::NoteOff { channel, key, .. } | NoteEvent::Choke { channel, key, .. } => {
                pass |= self.release(beat, channel, key);
            }
            NoteEvent::MidiProgramChange { channel, program, .. } => {
                self.tell(ToWorker::Program { channel, program });
            }
            NoteEvent::MidiCC { channel, cc: 120 | 123, .. } => {
                pass |= self.release(beat, Channel::Number(channel), Key::Wildcard);
            }
            // A pedal must come up even if passing through ended while it was down.
            NoteEvent::MidiCC { cc: 64 | 66 | 69, value, .. } => pass |= value < 0.5,
            _ => {}
        }
        if pass {
            port.send(event);
        }
    }

    /// Keys go up, one or all that match. Whether any of them had been passed on.
    fn release(&mut self, beat: f64, channel: Channel, key: Key) -> bool {
        let matches = |wanted: Option<u8>, number: u8| wanted.is_none_or(|w| w == number);
        let mut passed = false;
        for c in (0..16).filter(|c| matches(channel.number(), *c)) {
            for k in (0..128).filter(|k| matches(key.number(), *k)) {
                passed |= self.playback.player_off(c, k);
                if let Some(message) = self.capture.off(beat, c, k) {
                    self.tell(message);
                }
            }
        }
        passed
    }

    /// Hears the inference thread.
    fn receive(&mut self, span: &Span, sample: u32, port: &mut impl Port) {
        self.retry();
        while let Ok(message) = self.from_worker.pop() {
            if matches!(message, ToPlayer::Loaded(_)) {
                self.capture.answered();
            }
            self.playback.receive(message, sample, &mut |sound| emit(port, span, sound));
        }
    }

    /// Offline only: waits until it is known what sounds before a sample.
    fn await_answer(&mut self, span: &Span, from: u32, to: u32, port: &mut impl Port) {
        loop {
            let alone = self.from_worker.is_abandoned();
            self.receive(span, from, port);
            let loaded = self.playback.loaded() >= self.shared.loads();
            if alone || (loaded && self.pending.is_none() && self.playback.determined(span, to)) {
                return;
            }
            std::thread::sleep(OFFLINE_NAP);
        }
    }

    /// Tells the inference thread. If it does not keep up, notes are left out of the
    /// phrase; answers and clears are told as soon as there is room.
    fn tell(&mut self, message: ToWorker) {
        self.retry();
        while self.offline && self.to_worker.slots() <= RESERVED && !self.to_worker.is_abandoned() {
            std::thread::sleep(OFFLINE_NAP);
        }
        let expendable = matches!(message, ToWorker::On { .. } | ToWorker::Coming(_));
        if expendable && self.to_worker.slots() <= RESERVED {
            return;
        }
        let unsent = if self.pending.is_some() { Some(message) } else { self.push(message) };
        if let Some(message @ (ToWorker::Answer(_) | ToWorker::Clear(_))) = unsent {
            self.pending = Some(message);
        }
    }

    fn retry(&mut self) {
        if let Some(message) = self.pending.take() {
            self.pending = self.push(message);
        }
    }

    /// Gives a message back if there is no room.
    fn push(&mut self, message: ToWorker) -> Option<ToWorker> {
        match self.to_worker.push(message) {
            Ok(()) => None,
            Err(rtrb::PushError::Full(message)) => Some(message),
        }
    }
}

/// The first beat after `beat`, to half a sample, that is whole units from a bar line.
fn next_line(span: &Span, beat: f64, unit: f64) -> f64 {
    let units = (beat + span.step / 2.0 - span.bar_line) / unit;
    span.bar_line + (units.floor() + 1.0) * unit
}

fn emit(port: &mut impl Port, span: &Span, sound: Sound) {
    let timing = span.offset + sound.sample;
    let (voice_id, channel, key) =
        (VoiceID::Wildcard, Channel::Number(sound.channel), Key::Number(sound.key));
    port.send(match sound.velocity {
        Some(velocity) => {
            let velocity = f32::from(velocity) / 127.0;
            NoteEvent::NoteOn { timing, voice_id, channel, key, velocity }
        }
        None => NoteEvent::NoteOff { timing, voice_id, channel, key, velocity: 0.0 },
    });
}

#[cfg(test)]
#[path = "performer_tests.rs"]
mod tests;
