//! The transport, what is sent along it, and what was heard.

use super::{Host, Input, float, frames};
use crate::instance::NotePort;
use crate::message::Message;
use crate::notes::{Heard, Played, answered, played};
use crate::timeline::Timeline;

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

    /// From now on each block says that it is rendered offline, whatever the plugin was set
    /// up for, or no longer does. Of the formats VST3 alone has a word for it.
    pub fn freewheel(&mut self, freewheeling: bool) {
        self.freewheeling = freewheeling;
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
        self.instance.note_ports(inputs)
    }
}
