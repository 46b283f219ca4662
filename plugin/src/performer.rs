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
use crate::params::{Mode, Yield};
use crate::placing;
use crate::playback::{Playback, Sound};
use crate::settings::{Pressed, Settings};
use crate::trade::{Step, Trade};

/// How long an offline render sleeps before it looks again.
const OFFLINE_NAP: Duration = Duration::from_micros(200);

/// Messages of the inference thread that are heard for each sample of a block, while
/// somebody listens: its time is short, and many more notes than sound in it can be waiting.
const NEWS_A_SAMPLE: u32 = 4;

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
    trade: Trade,
    shared: Arc<Shared>,
    to_worker: Producer<ToWorker>,
    from_worker: Consumer<ToPlayer>,
    /// An answer or clear the ring had no room for.
    pending: Option<ToWorker>,
    presses: Pressed,
    /// Whether the controller that asks for answers is down.
    trigger_down: bool,
    /// The keys that asked for an answer and are still down, a bit each for each channel:
    /// their releases are nobody's business either.
    triggers: [u128; 16],
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
            trade: Trade::default(),
            shared,
            to_worker,
            from_worker,
            pending: None,
            presses: Pressed::default(),
            trigger_down: false,
            triggers: [0; 16],
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
                let (ask, _) =
                    placing::ask(Kind::Answer, span, span.samples, settings, &self.playback, &self.capture);
                self.tell(ToWorker::Coming(ask));
            }
            self.shared.set_playhead(span.timeline, span.end());
        }
        if let Some(shift) = self.playback.shift() {
            self.shared.set_shift(self.playback.id(), shift);
        }
        self.shared.set_phrase_open(self.capture.open());
        self.shared.set_turn(self.trade.turn());
    }

    /// The beginning of a span: jumps, news from the inference thread, presses.
    fn enter(&mut self, span: &Span, settings: &Settings, port: &mut impl Port) {
        self.receive(span, 0, port);
        self.playback.outdated(self.shared.loads(), &mut |sound| emit(port, span, sound));
        if let Some(jump) = span.jump {
            self.playback.jump(span, &mut |sound| emit(port, span, sound));
            self.trade.jump(jump, span.timeline, span);
            let message = self.capture.jump(jump, span.timeline, span.start);
            self.tell(message);
        }
        if settings.mode != Mode::Trade || settings.bypass {
            self.trade.rest();
        }
        self.choose_take(span, settings, port);
        self.pressed(span, settings, port);
    }

    /// The take chosen, and how far next and previous went on from it, around all takes.
    fn choose_take(&mut self, span: &Span, settings: &Settings, port: &mut impl Port) {
        let takes = i64::try_from(self.playback.takes().max(1)).unwrap_or(1);
        let chosen = i64::try_from(settings.take).unwrap_or(0).min(takes - 1);
        let take = (chosen + i64::from(self.shared.turned())).rem_euclid(takes);
        let take = usize::try_from(take).unwrap_or(0);
        self.playback.set_take(take, 0, &mut |sound| emit(port, span, sound));
        self.shared.set_audible(take);
    }

    /// What momentary parameters ask for.
    fn pressed(&mut self, span: &Span, settings: &Settings, port: &mut impl Port) {
        let before = std::mem::replace(&mut self.presses, settings.presses);
        let now = settings.presses;
        if now.clear != before.clear {
            self.clear(span, port);
        }
        if now.stop != before.stop {
            self.stop(span.start, span);
        }
        for (kind, asked) in [Kind::Answer, Kind::Again, Kind::Vary].into_iter().zip(0..) {
            if now.asks[asked] != before.asks[asked] && !settings.bypass {
                self.answer(kind, span, 0, settings, port);
            }
        }
    }

    /// Time passes from a sample to another; an answer may become due.
    fn run(&mut self, span: &Span, from: u32, to: u32, settings: &Settings, port: &mut impl Port) {
        let mut from = from;
        while let Some(beat) = self.due(settings).filter(|beat| *beat < span.limit(to)) {
            let at = span.sample(beat, from);
            self.render(span, from, at, settings, port);
            self.fall_due(span, at, settings, port);
            from = at;
        }
        self.render(span, from, to, settings, port);
    }

    /// The beat at which the mode asks for something next.
    fn due(&self, settings: &Settings) -> Option<f64> {
        match settings.mode {
            Mode::Reply if !settings.bypass => self.capture.reply_at(settings.pause),
            Mode::Trade if !settings.bypass => self.trade.due(),
            _ => None,
        }
    }

    fn fall_due(&mut self, span: &Span, at: u32, settings: &Settings, port: &mut impl Port) {
        if settings.mode == Mode::Reply {
            return self.answer(Kind::Answer, span, at, settings, port);
        }
        match self.trade.step(span, settings.turn, self.capture.open()) {
            Step::Ask(start) => {
                let ask = placing::traded(start, span, at, settings, &self.playback);
                self.give(ask, Grid::Fixed, span, at, port);
            }
            Step::Fresh => self.capture.answered(),
            Step::On => {}
        }
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

    /// An answer of a kind is wanted, asked for at a sample.
    fn answer(&mut self, kind: Kind, span: &Span, sample: u32, settings: &Settings, port: &mut impl Port) {
        let (ask, grid) = placing::ask(kind, span, sample, settings, &self.playback, &self.capture);
        self.give(ask, grid, span, sample, port);
    }

    fn give(&mut self, mut ask: Ask, grid: Grid, span: &Span, sample: u32, port: &mut impl Port) {
        self.playback.silence_answer(sample, &mut |sound| emit(port, span, sound));
        ask.start = self.playback.begin(&ask, grid, span);
        self.shared.announce(ask.id);
        if ask.kind == Kind::Answer {
            self.capture.answered();
        }
        self.tell(ToWorker::Answer(ask));
    }

    /// The answer ends at a beat, if it is one of this timeline.
    fn stop(&mut self, beat: f64, span: &Span) {
        if self.playback.place().is_none_or(|(timeline, _)| timeline != span.timeline) {
            return;
        }
        let beat = self.playback.stop(beat);
        self.tell(ToWorker::Cut { id: self.playback.id(), beat });
    }

    /// The player plays into the answer: it may have to give way.
    fn give_way(&mut self, beat: f64, span: &Span, settings: &Settings) {
        if settings.yields == Yield::Never || !self.playback.sounds(span.timeline, beat) {
            return;
        }
        let at_bar = settings.yields == Yield::Bar;
        let end = if at_bar { placing::next_line(span, beat, span.meter.bar()) } else { beat };
        self.stop(end, span);
        if settings.mode == Mode::Trade && !at_bar {
            self.trade.taken(beat, span, settings.turn);
        }
    }

    fn clear(&mut self, span: &Span, port: &mut impl Port) {
        self.playback.silence_answer(0, &mut |sound| emit(port, span, sound));
        let id = self.playback.id().next_trigger();
        self.playback.clear(id);
        self.shared.announce(id);
        self.capture.answered();
        self.trade.rest();
        self.tell(ToWorker::Clear(id));
    }

    /// An event of the player's.
    fn input(&mut self, event: Event, span: &Span, at: u32, settings: &Settings, port: &mut impl Port) {
        let beat = span.beat(at);
        let mut pass = settings.through || settings.bypass;
        self.playback.release(span, at, &mut |sound| emit(port, span, sound));
        if self.is_trigger(&event, settings) {
            return self.triggered(&event, span, at, settings, port);
        }
        match event {
            NoteEvent::NoteOn { channel, key: Key::Number(key), velocity, .. } => {
                let channel = channel.number().unwrap_or(0);
                self.play(beat, span, (channel, key, number::velocity(velocity)), settings);
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
            NoteEvent::MidiCC { channel, cc, value, .. } => pass |= self.control(beat, channel, cc, value),
            _ => {}
        }
        if pass {
            port.send(event);
        }
    }

    /// The player presses a key.
    fn play(&mut self, beat: f64, span: &Span, (channel, key, velocity): (u8, u8, u8), settings: &Settings) {
        if !settings.bypass {
            self.give_way(beat, span, settings);
        }
        let message = self.capture.on(beat, channel, key, velocity, span.meter);
        self.tell(message);
        if settings.mode == Mode::Trade && !settings.bypass {
            self.trade.played(beat, span, settings.turn);
        }
    }

    /// A controller that means something here. Whether it must be passed on whatever the
    /// settings.
    fn control(&mut self, beat: f64, channel: u8, cc: u8, value: f32) -> bool {
        let down = value >= 0.5;
        match cc {
            64 => {
                let message = self.capture.pedal(beat, channel, down);
                self.tell(message);
                // It must come up even if passing through ended while it was down.
                !down
            }
            66 | 69 => !down,
            // All sound off, all notes off.
            120 | 123 => self.release(beat, Channel::Number(channel), Key::Wildcard),
            // All controllers back.
            121 => {
                let message = self.capture.pedal(beat, channel, false);
                self.tell(message);
                true
            }
            _ => false,
        }
    }

    /// Whether this is what asks for an answer, or its release. It is neither passed on nor
    /// a phrase's.
    fn is_trigger(&mut self, event: &Event, settings: &Settings) -> bool {
        match *event {
            NoteEvent::NoteOn { channel, key: Key::Number(key), .. } => {
                let asks = !settings.bypass && settings.trigger_note == Some(key);
                if asks && let Some(keys) = self.triggers.get_mut(usize::from(channel.number().unwrap_or(0)))
                {
                    *keys |= 1 << (key & 127);
                }
                asks
            }
            NoteEvent::NoteOff { channel, key: Key::Number(key), .. } => {
                let keys = self.triggers.get_mut(usize::from(channel.number().unwrap_or(0)));
                keys.is_some_and(|keys| {
                    let was = *keys & (1 << (key & 127)) != 0;
                    *keys &= !(1 << (key & 127));
                    was
                })
            }
            NoteEvent::MidiCC { cc, .. } => !settings.bypass && settings.trigger_cc == Some(cc),
            _ => false,
        }
    }

    fn triggered(&mut self, event: &Event, span: &Span, at: u32, settings: &Settings, port: &mut impl Port) {
        let asks = match *event {
            NoteEvent::MidiCC { value, .. } => {
                let before = std::mem::replace(&mut self.trigger_down, value >= 0.5);
                !before && value >= 0.5
            }
            NoteEvent::NoteOn { .. } => true,
            _ => false,
        };
        if asks {
            self.answer(Kind::Answer, span, at, settings, port);
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
        let most = if self.offline { u32::MAX } else { span.samples.saturating_mul(NEWS_A_SAMPLE) };
        for _ in 0..most {
            let Ok(message) = self.from_worker.pop() else { return };
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
pub(crate) mod tests;

#[cfg(test)]
#[path = "mode_tests.rs"]
mod mode_tests;

#[cfg(test)]
#[path = "take_tests.rs"]
mod take_tests;
