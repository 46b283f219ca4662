//! Running: block after block through the plugin.

use super::{Audio, Host, Input, Pacing, Stopwatch, float};
use crate::format::Block;
use crate::message::Message;
use crate::notes::Heard;
use anyhow::Result;
use clack_host::events::event_types::{ParamValueEvent, TransportEvent, TransportFlags};
use clack_host::events::{EventFlags, EventHeader};
use clack_host::prelude::*;
use clack_host::utils::FixedPoint;
use std::time::{Duration, Instant};

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

    /// Measures every call of the plugin from here on.
    pub fn measure(&mut self, stopwatch: Box<dyn Stopwatch>) {
        self.stopwatch = Some(stopwatch);
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
        if self.instance.wants_restart() && self.instance.is_active() {
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
        // What the plugin leaves unwritten shows as not a number.
        let channels = if self.settings.audio == Audio::Stereo { 2 } else { 0 };
        let mut audio = vec![vec![f32::NAN; frames as usize]; channels];
        let clock = self.clock;
        let audio_out = &mut audio;
        let freewheeling = self.freewheeling;
        let mut block = Block { frames, clock, events, output, transport, audio: audio_out, freewheeling };
        if let Some(stopwatch) = &mut self.stopwatch {
            stopwatch.start();
        }
        let outcome = self.instance.process(&mut block);
        if let Some(stopwatch) = &mut self.stopwatch {
            stopwatch.stop();
        }
        outcome?;
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
