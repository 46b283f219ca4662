//! The host: loads the built plugin, rolls a transport, sends and hears messages.
//!
//! Everything runs on the calling thread, block by block, as fast as the plugin
//! allows ([`Pacing::Free`]) or no faster than the music ([`Pacing::Realtime`]).
//! Blocks end where the tempo, the meter or the loop changes, as hosts have it.

use crate::instance::{self, Callbacks, Instance};
pub use crate::instance::{NotePort, Param};
use crate::message::{Dialect, Message};
use crate::notes::{Heard, Played, answered, played};
use crate::timeline::Timeline;
use anyhow::{Context, Result, bail};
use clack_extensions::render::RenderMode;
use clack_host::events::event_types::{ParamValueEvent, TransportEvent, TransportFlags};
use clack_host::events::{EventFlags, EventHeader};
use clack_host::prelude::*;
use clack_host::utils::FixedPoint;
use std::collections::BTreeMap;
use std::ffi::CString;
use std::path::Path;
use std::time::{Duration, Instant};

/// The audio ports asked of the plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Audio {
    /// Stereo in, stereo out.
    #[default]
    Stereo,
    /// No audio at all.
    None,
}

/// What the plugin is told about time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Render {
    /// A bounce: the plugin may take its time.
    #[default]
    Offline,
    /// Playing: it may not.
    Realtime,
}

/// How fast the host runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Pacing {
    /// As fast as the plugin allows.
    #[default]
    Free,
    /// No faster than the music.
    Realtime,
}

/// How a host is set up.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The sizes of the blocks in samples, used in turn.
    pub blocks: Vec<u32>,
    /// Audio ports.
    pub audio: Audio,
    /// Offline or real time, as told to the plugin.
    pub render: Render,
    /// How fast the host runs.
    pub pacing: Pacing,
    /// How notes are sent.
    pub dialect: Dialect,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            blocks: vec![512],
            audio: Audio::Stereo,
            render: Render::Offline,
            pacing: Pacing::Free,
            dialect: Dialect::Clap,
        }
    }
}

/// A loaded `.clap` file.
pub struct Bundle {
    entry: PluginEntry,
    id: CString,
    name: String,
}

impl Bundle {
    /// Loads a `.clap` file and takes its first plugin.
    ///
    /// # Errors
    /// When the file cannot be loaded or holds no plugin.
    pub fn load(path: &Path) -> Result<Self> {
        // SAFETY: loading runs the file's own initialisers; it is the plugin that
        // was built from this workspace, which has none that misbehave.
        let entry = unsafe { PluginEntry::load(path) }
            .with_context(|| format!("{} cannot be loaded as a CLAP plugin", path.display()))?;
        let factory = entry.get_plugin_factory().context("the bundle has no plugin factory")?;
        let descriptor = factory.plugin_descriptors().next().context("the bundle holds no plugin")?;
        let id = descriptor.id().context("the plugin has no id")?.to_owned();
        let name = descriptor.name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Ok(Self { entry, id, name })
    }

    /// The plugin's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A host with one new instance, active, its transport stopped at beat 0.
    ///
    /// # Errors
    /// When the plugin cannot be created or refuses the settings.
    pub fn host(&self, settings: Settings, timeline: Timeline) -> Result<Host> {
        let info = HostInfo::new("Continuo test host", "Continuo", "", env!("CARGO_PKG_VERSION"))?;
        let mut instance =
            Instance::new(|_| Default::default(), |_| Default::default(), &self.entry, &self.id, &info)
                .context("the plugin cannot be created")?;
        let channels = if settings.audio == Audio::Stereo { 2 } else { 0 };
        instance::select_layout(&mut instance, channels)?;
        let render =
            if settings.render == Render::Offline { RenderMode::Offline } else { RenderMode::Realtime };
        instance::set_render(&mut instance, render)?;
        let params = instance::params(&mut instance);
        let mut host = Host {
            processor: None,
            instance,
            params,
            largest: settings.blocks.iter().copied().max().unwrap_or(1).max(1),
            settings,
            timeline,
            transport: Transport::default(),
            clock: 0,
            turn: 0,
            began: None,
            inputs: BTreeMap::new(),
            releases: Vec::new(),
            heard: Vec::new(),
            pressed: None,
            answered: None,
            clean: true,
        };
        host.activate()?;
        Ok(host)
    }
}

#[derive(Clone, Debug, Default)]
struct Transport {
    playing: bool,
    /// Samples from beat 0.
    position: u64,
    /// In samples: from, to.
    looped: Option<(u64, u64)>,
}

#[derive(Clone, Debug)]
enum Input {
    Message(Message),
    Param(ClapId, f64),
}

/// One instance of the plugin and everything around it.
///
/// Dropping it destroys the instance at once, whatever it is doing.
pub struct Host {
    // Dropped before the instance, which cannot go while this is there.
    processor: Option<PluginAudioProcessor<Callbacks>>,
    instance: Instance,
    params: Vec<Param>,
    settings: Settings,
    largest: u32,
    timeline: Timeline,
    transport: Transport,
    clock: u64,
    turn: usize,
    began: Option<(Instant, u64)>,
    inputs: BTreeMap<u64, Vec<Input>>,
    /// Parameters that were pressed and go back in the next block.
    releases: Vec<ClapId>,
    heard: Vec<Heard>,
    pressed: Option<Instant>,
    answered: Option<Instant>,
    clean: bool,
}

/// Parameters.
impl Host {
    /// All parameters, in the plugin's order.
    #[must_use]
    pub fn params(&self) -> &[Param] {
        &self.params
    }

    /// The parameter called `name`; see [`Param::is_called`].
    ///
    /// # Errors
    /// When there is none.
    pub fn param(&self, name: &str) -> Result<Param> {
        self.params.iter().find(|param| param.is_called(name)).cloned().with_context(|| {
            let names: Vec<_> = self.params.iter().map(|param| param.name.as_str()).collect();
            format!("the plugin has no parameter `{name}`; it has {}", names.join(", "))
        })
    }

    /// A parameter's value.
    ///
    /// # Errors
    /// When there is no such parameter.
    pub fn value(&mut self, name: &str) -> Result<f64> {
        let param = self.param(name)?;
        instance::value(&mut self.instance, &param)
    }

    /// A parameter's value as the plugin shows it.
    ///
    /// # Errors
    /// When there is no such parameter.
    pub fn text(&mut self, name: &str) -> Result<String> {
        let value = self.value(name)?;
        self.text_of(name, value)
    }

    /// How the plugin would show `value` for a parameter.
    ///
    /// # Errors
    /// When there is no such parameter.
    pub fn text_of(&mut self, name: &str, value: f64) -> Result<String> {
        let param = self.param(name)?;
        instance::value_to_text(&mut self.instance, &param, value)
    }

    /// The value that the plugin reads in `text` for a parameter.
    ///
    /// # Errors
    /// When there is no such parameter or the plugin cannot read the text.
    pub fn value_of(&mut self, name: &str, text: &str) -> Result<f64> {
        let param = self.param(name)?;
        instance::text_to_value(&mut self.instance, &param, text)
    }

    /// Sets a parameter as a user would type it, from the next block on.
    ///
    /// # Errors
    /// When there is no such parameter or the plugin cannot read the text.
    pub fn set(&mut self, name: &str, text: &str) -> Result<()> {
        let value = self.value_of(name, text)?;
        self.set_value(name, value)
    }

    /// Sets a stepped parameter to the first of its values whose text has `word` in
    /// it, heedless of case: `bar` chooses `Next bar`.
    ///
    /// # Errors
    /// When there is no such parameter or no such value.
    pub fn choose(&mut self, name: &str, word: &str) -> Result<()> {
        let param = self.param(name)?;
        let (mut value, mut seen) = (param.min, Vec::new());
        while value <= param.max {
            let text = self.text_of(name, value)?;
            if text.to_lowercase().contains(&word.to_lowercase()) {
                return self.set_value(name, value);
            }
            seen.push(text);
            value += 1.0;
        }
        bail!("`{}` has no value like {word:?}; it has {}", param.name, seen.join(", "))
    }

    /// Sets a parameter to a value in its range, from the next block on (at once
    /// while the instance is not active).
    ///
    /// # Errors
    /// When there is no such parameter.
    pub fn set_value(&mut self, name: &str, value: f64) -> Result<()> {
        let id = self.param(name)?.clap_id();
        if self.processor.is_some() {
            self.inputs.entry(self.clock).or_default().push(Input::Param(id, value));
            return Ok(());
        }
        let mut events = EventBuffer::new();
        events.push(&ParamValueEvent::new(0, id, Pckn::match_all(), value));
        instance::flush(&mut self.instance, &events)
    }

    /// Presses a momentary parameter now: its greatest value at the start of the
    /// next block, its least a block later.
    ///
    /// # Errors
    /// When there is no such parameter.
    pub fn press(&mut self, name: &str) -> Result<()> {
        self.press_at(name, self.clock)
    }

    /// Presses a momentary parameter at a sample of [`Self::clock`].
    ///
    /// # Errors
    /// When there is no such parameter.
    pub fn press_at(&mut self, name: &str, clock: u64) -> Result<()> {
        let param = self.param(name)?;
        let press = Input::Param(param.clap_id(), param.max);
        self.inputs.entry(clock.max(self.clock)).or_default().push(press);
        self.releases.push(param.clap_id());
        Ok(())
    }

    /// The wall-clock time from the call that delivered the last press to the
    /// end of the call that put out the first note after it that was not sent.
    #[must_use]
    pub fn press_to_answer(&self) -> Option<Duration> {
        Some(self.answered?.saturating_duration_since(self.pressed?))
    }
}

/// Transport.
impl Host {
    /// Rolls from where the transport stands.
    pub fn play(&mut self) {
        self.transport.playing = true;
    }

    /// Stops where the transport stands.
    pub fn stop(&mut self) {
        self.transport.playing = false;
    }

    /// Jumps to the sample nearest to `beat`.
    pub fn seek(&mut self, beat: f64) {
        self.transport.position = frames(self.timeline.sample_at(beat).round());
    }

    /// Loops from `from` to `to` (beats).
    pub fn loop_between(&mut self, from: f64, to: f64) {
        let sample = |beat| frames(self.timeline.sample_at(beat).round());
        self.transport.looped = Some((sample(from), sample(to)));
    }

    /// Loops no more.
    pub fn loop_off(&mut self) {
        self.transport.looped = None;
    }

    /// The tempo and meter map.
    #[must_use]
    pub fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// Another tempo and meter map; the transport keeps its beat.
    pub fn set_timeline(&mut self, timeline: Timeline) {
        let beat = self.beat();
        self.timeline = timeline;
        self.seek(beat);
    }

    /// Where the transport stands, in beats.
    #[must_use]
    pub fn beat(&self) -> f64 {
        self.timeline.beat_at(float(self.transport.position))
    }

    /// Where the transport stands, in samples from beat 0.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.transport.position
    }

    /// Samples since the host was made, rolling or not.
    #[must_use]
    pub fn clock(&self) -> u64 {
        self.clock
    }

    /// The clock at which the transport, if it rolls straight on, reaches the
    /// sample nearest to `beat`; now, if that has passed.
    #[must_use]
    pub fn clock_at_beat(&self, beat: f64) -> u64 {
        let target = frames(self.timeline.sample_at(beat).round());
        self.clock + target.saturating_sub(self.transport.position)
    }
}

/// Messages.
impl Host {
    /// Sends a message at a sample of [`Self::clock`]; now, if that has passed.
    pub fn send(&mut self, clock: u64, message: Message) {
        self.inputs.entry(clock.max(self.clock)).or_default().push(Input::Message(message));
    }

    /// Sends a message when the transport, rolling straight on, reaches `beat`.
    pub fn send_at_beat(&mut self, beat: f64, message: Message) {
        self.send(self.clock_at_beat(beat), message);
    }

    /// Everything heard so far, in the plugin's order.
    #[must_use]
    pub fn heard(&self) -> &[Heard] {
        &self.heard
    }

    /// All notes heard so far.
    #[must_use]
    pub fn played(&self) -> Vec<Played> {
        played(&self.heard)
    }

    /// The notes the plugin added so far.
    #[must_use]
    pub fn answered(&self) -> Vec<Played> {
        answered(&self.heard)
    }

    /// Forgets what was heard.
    pub fn forget(&mut self) {
        self.heard.clear();
    }

    /// Whether every audio sample so far was a number.
    #[must_use]
    pub fn audio_is_clean(&self) -> bool {
        self.clean
    }

    /// The note ports the plugin reads or writes.
    #[must_use]
    pub fn note_ports(&mut self, inputs: bool) -> Vec<NotePort> {
        instance::note_ports(&mut self.instance, inputs)
    }
}

/// Running.
impl Host {
    /// Runs for so many samples.
    ///
    /// # Errors
    /// When the plugin reports an error or the instance is not active.
    pub fn run(&mut self, samples: u64) -> Result<()> {
        let end = self.clock + samples;
        while self.clock < end {
            self.block(end - self.clock)?;
        }
        Ok(())
    }

    /// Runs until the transport, rolling straight on, reaches `beat`.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn run_to_beat(&mut self, beat: f64) -> Result<()> {
        self.run(self.clock_at_beat(beat) - self.clock)
    }

    /// Runs block by block until `done`, or for `limit` samples at the most;
    /// tells whether it was done.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn run_until(&mut self, limit: u64, mut done: impl FnMut(&Self) -> bool) -> Result<bool> {
        let end = self.clock + limit;
        while self.clock < end {
            if done(self) {
                return Ok(true);
            }
            self.block(end - self.clock)?;
        }
        Ok(done(self))
    }

    fn block(&mut self, limit: u64) -> Result<()> {
        self.answer_requests()?;
        let frames = self.next_length(limit);
        self.pace();
        let (events, sent) = self.gather(frames);
        let transport = self.transport_event();
        let mut output = EventBuffer::with_capacity(256);
        self.process(frames, &events, &mut output, &transport)?;
        self.collect(&output, &sent);
        self.advance(frames);
        Ok(())
    }

    /// What the plugin asked of the main thread since the last block.
    fn answer_requests(&mut self) -> Result<()> {
        if self.instance.access_shared_handler(|shared| shared.take_callback()) {
            self.instance.call_on_main_thread_callback();
        }
        if self.instance.access_shared_handler(|shared| shared.take_restart()) && self.processor.is_some() {
            self.deactivate();
            self.activate()?;
        }
        Ok(())
    }

    /// The next block's length: its turn's size, cut where something changes.
    fn next_length(&mut self, limit: u64) -> u32 {
        let sizes = &self.settings.blocks;
        let size = sizes.get(self.turn % sizes.len().max(1)).copied().unwrap_or(1).max(1);
        self.turn += 1;
        let mut frames = u64::from(size).min(limit);
        if self.transport.playing {
            let position = self.transport.position;
            let end = self.transport.looped.map(|(_, end)| end).filter(|&end| end > position);
            for cut in [self.timeline.next_change(position), end].into_iter().flatten() {
                frames = frames.min(cut - position);
            }
        }
        // PANIC: no longer than `size`, which is a u32.
        u32::try_from(frames).unwrap_or(size)
    }

    fn pace(&mut self) {
        let (start, clock) = *self.began.get_or_insert((Instant::now(), self.clock));
        if self.settings.pacing == Pacing::Realtime {
            let due = Duration::from_secs_f64(float(self.clock - clock) / self.timeline.sample_rate());
            std::thread::sleep(due.saturating_sub(start.elapsed()));
        }
    }

    /// The block's input events, and the messages among them with their clocks.
    fn gather(&mut self, frames: u32) -> (EventBuffer, Vec<(u64, Message)>) {
        let end = self.clock + u64::from(frames);
        let later = self.inputs.split_off(&end);
        let now = std::mem::replace(&mut self.inputs, later);
        let (mut events, mut sent) = (EventBuffer::new(), Vec::new());
        let mut pressed = false;
        for (clock, inputs) in now {
            // PANIC: within the block, whose length is a u32.
            let time = u32::try_from(clock - self.clock).unwrap_or(0);
            for input in inputs {
                match input {
                    Input::Message(message) => {
                        message.push(time, self.settings.dialect, &mut events);
                        sent.push((clock, message));
                    }
                    Input::Param(id, value) => {
                        pressed |= self.releases.contains(&id) && value > 0.0;
                        events.push(&ParamValueEvent::new(time, id, Pckn::match_all(), value));
                    }
                }
            }
        }
        if pressed {
            let releases = self.releases.drain(..).map(|id| Input::Param(id, 0.0));
            self.inputs.entry(end).or_default().extend(releases);
            (self.pressed, self.answered) = (Some(Instant::now()), None);
        }
        (events, sent)
    }

    fn process(
        &mut self,
        frames: u32,
        events: &EventBuffer,
        output: &mut EventBuffer,
        transport: &TransportEvent,
    ) -> Result<()> {
        let processor = self.processor.as_mut().context("the instance is not active")?;
        let processor = processor.as_started_mut().context("the instance is not processing")?;
        let (events, mut output, clock) = (events.as_input(), output.as_output(), Some(self.clock));
        if self.settings.audio == Audio::None {
            // SAFETY: there are no buffers that could be shorter than `frames`.
            let inputs = unsafe { InputAudioBuffers::from_raw_buffers(&[], frames) };
            let mut outputs = OutputAudioBuffers::empty();
            processor.process(&inputs, &mut outputs, &events, &mut output, clock, Some(transport))?;
            return Ok(());
        }
        let length = frames as usize;
        let mut silence = [vec![0.0f32; length], vec![0.0f32; length]];
        // What the plugin leaves unwritten shows as not a number.
        let mut audio = [vec![f32::NAN; length], vec![f32::NAN; length]];
        let (mut input_ports, mut output_ports) =
            (AudioPorts::with_capacity(2, 1), AudioPorts::with_capacity(2, 1));
        let inputs = input_ports.with_input_buffers([AudioPortBuffer {
            latency: 0,
            channels: AudioPortBufferType::f32_input_only(silence.iter_mut().map(InputChannel::constant)),
        }]);
        let mut outputs = output_ports.with_output_buffers([AudioPortBuffer {
            latency: 0,
            channels: AudioPortBufferType::f32_output_only(audio.iter_mut().map(Vec::as_mut_slice)),
        }]);
        processor.process(&inputs, &mut outputs, &events, &mut output, clock, Some(transport))?;
        self.clean &= audio.iter().flatten().all(|sample| sample.is_finite());
        Ok(())
    }

    fn collect(&mut self, output: &EventBuffer, sent: &[(u64, Message)]) {
        let mut sent = sent.to_vec();
        for event in output {
            let Some(message) = Message::from_event(event) else { continue };
            let time = u64::from(event.header().time());
            let clock = self.clock + time;
            let position = self.transport.position + if self.transport.playing { time } else { 0 };
            let same = sent.iter().position(|&input| input == (clock, message));
            let thru = same.map(|index| sent.swap_remove(index)).is_some();
            if !thru && matches!(message, Message::On { .. }) {
                self.answered.get_or_insert_with(Instant::now);
            }
            let beat = self.timeline.beat_at(float(position));
            self.heard.push(Heard { clock, beat, message, thru });
        }
    }

    fn advance(&mut self, frames: u32) {
        self.clock += u64::from(frames);
        if !self.transport.playing {
            return;
        }
        self.transport.position += u64::from(frames);
        if let Some((from, to)) = self.transport.looped
            && self.transport.position == to
        {
            self.transport.position = from;
        }
    }

    fn transport_event(&self) -> TransportEvent {
        let position = float(self.transport.position);
        let beat = self.timeline.beat_at(position);
        let bar = self.timeline.bar_at(beat);
        let seconds = |samples: f64| FixedPoint::from_float(samples / self.timeline.sample_rate());
        let (from, to) = self.transport.looped.unwrap_or((0, 0));
        let mut flags = TransportFlags::HAS_TEMPO
            | TransportFlags::HAS_BEATS_TIMELINE
            | TransportFlags::HAS_SECONDS_TIMELINE
            | TransportFlags::HAS_TIME_SIGNATURE;
        flags.set(TransportFlags::IS_PLAYING, self.transport.playing);
        flags.set(TransportFlags::IS_LOOP_ACTIVE, self.transport.looped.is_some());
        TransportEvent {
            header: EventHeader::new_core(0, EventFlags::empty()),
            flags,
            song_pos_beats: FixedPoint::from_float(beat),
            song_pos_seconds: seconds(position),
            tempo: self.timeline.tempo_at(position),
            tempo_inc: 0.0,
            loop_start_beats: FixedPoint::from_float(self.timeline.beat_at(float(from))),
            loop_end_beats: FixedPoint::from_float(self.timeline.beat_at(float(to))),
            loop_start_seconds: seconds(float(from)),
            loop_end_seconds: seconds(float(to)),
            bar_start: FixedPoint::from_float(bar.start),
            bar_number: i32::try_from(bar.index).unwrap_or(i32::MAX),
            time_signature_numerator: bar.numerator,
            time_signature_denominator: bar.denominator,
        }
    }
}

/// Life cycle and state.
impl Host {
    /// Activates the instance and starts processing; nothing if it is active.
    ///
    /// # Errors
    /// When the plugin refuses.
    pub fn activate(&mut self) -> Result<()> {
        if self.processor.is_some() {
            return Ok(());
        }
        let configuration = PluginAudioConfiguration {
            sample_rate: self.timeline.sample_rate(),
            min_frames_count: 1,
            max_frames_count: self.largest,
        };
        let stopped =
            self.instance.activate(|_, _| (), configuration).context("the plugin refuses to be activated")?;
        let mut processor = PluginAudioProcessor::from(stopped);
        if processor.start_processing().is_err() {
            bail!("the plugin refuses to start processing");
        }
        self.processor = Some(processor);
        Ok(())
    }

    /// Stops processing and deactivates the instance.
    pub fn deactivate(&mut self) {
        if let Some(processor) = self.processor.take() {
            self.instance.deactivate(processor.into_stopped());
        }
    }

    /// Deactivates, and activates with other blocks and another timeline (and so
    /// another sample rate); the transport keeps its beat.
    ///
    /// # Errors
    /// When the plugin refuses.
    pub fn reactivate(&mut self, blocks: &[u32], timeline: Timeline) -> Result<()> {
        self.deactivate();
        self.settings.blocks = blocks.to_vec();
        self.largest = blocks.iter().copied().max().unwrap_or(1).max(1);
        self.began = None;
        self.set_timeline(timeline);
        self.activate()
    }

    /// Resets the instance: all voices cease, nothing is forgotten.
    pub fn reset(&mut self) {
        if let Some(processor) = &mut self.processor {
            processor.reset();
        }
    }

    /// The instance's state.
    ///
    /// # Errors
    /// When the plugin cannot save it.
    pub fn save(&mut self) -> Result<Vec<u8>> {
        instance::save(&mut self.instance)
    }

    /// Gives the instance a saved state.
    ///
    /// # Errors
    /// When the plugin refuses it.
    pub fn load(&mut self, state: &[u8]) -> Result<()> {
        instance::load(&mut self.instance, state)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.deactivate();
    }
}

/// A position as a whole number of samples; negative ones are 0.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates, as wanted")]
pub(crate) fn frames(position: f64) -> u64 {
    position as u64
}

/// Exact for 2^53 samples: five thousand years at 48 kHz.
#[expect(clippy::cast_precision_loss, reason = "exact for every reachable position")]
fn float(samples: u64) -> f64 {
    samples as f64
}
