//! What the player does, seen from the audio thread: which keys are down, when a
//! phrase begins, and when a pause is long enough to be answered. The notes
//! themselves go to the inference thread (see [`crate::phrase`]).

use crate::clock::{Jump, Meter, Timeline};
use crate::link::ToWorker;

/// A pause longer than this many bars ends a phrase.
const PHRASE_PAUSE_BARS: f64 = 8.0;

/// The player's keys and phrase.
#[derive(Debug)]
pub struct Capture {
    /// A bit a key, for each channel.
    held: [u128; 16],
    /// The channels whose sustain pedal is down, a bit each.
    pedals: u16,
    /// Where the last key was released, or the pedal that held it.
    last_off: f64,
    /// Where the phrase began.
    first: Option<f64>,
    /// Whether the next note begins a new phrase.
    fresh: bool,
    /// Whether notes were played that nothing answered.
    open: bool,
    /// Whether the pause since the last note may be answered.
    armed: bool,
}

impl Default for Capture {
    fn default() -> Self {
        Self {
            held: [0; 16],
            pedals: 0,
            last_off: f64::NEG_INFINITY,
            first: None,
            fresh: true,
            open: false,
            armed: false,
        }
    }
}

impl Capture {
    /// A key goes down.
    pub fn on(&mut self, beat: f64, channel: u8, key: u8, velocity: u8, meter: Meter) -> ToWorker {
        let paused = self.quiet() && beat - self.last_off > PHRASE_PAUSE_BARS * meter.bar();
        let fresh = self.fresh || paused;
        if let Some(keys) = self.held.get_mut(usize::from(channel)) {
            *keys |= 1 << (key & 127);
        }
        if fresh {
            self.first = Some(beat);
        }
        self.fresh = false;
        self.open = true;
        self.armed = true;
        ToWorker::On { beat, channel, key, velocity, fresh }
    }

    /// A key goes up; nothing where it was not down.
    pub fn off(&mut self, beat: f64, channel: u8, key: u8) -> Option<ToWorker> {
        let keys = self.held.get_mut(usize::from(channel))?;
        let bit = 1 << (key & 127);
        if *keys & bit == 0 {
            return None;
        }
        *keys &= !bit;
        self.last_off = beat;
        Some(ToWorker::Off { beat, channel, key })
    }

    /// A sustain pedal goes down or up. While it is down the phrase is not over.
    pub fn pedal(&mut self, beat: f64, channel: u8, down: bool) -> ToWorker {
        let bit = 1 << (channel & 15);
        let was = self.pedals & bit != 0;
        self.pedals = if down { self.pedals | bit } else { self.pedals & !bit };
        if was && !down {
            self.last_off = self.last_off.max(beat);
        }
        ToWorker::Pedal { beat, channel, down }
    }

    /// Where the phrase began, on the timeline that plays.
    #[must_use]
    pub fn first(&self) -> Option<f64> {
        self.first
    }

    /// Whether notes were played that nothing answered.
    #[must_use]
    pub fn open(&self) -> bool {
        self.open
    }

    /// The beat at which a pause of so many beats is to be answered, if there is one.
    #[must_use]
    pub fn reply_at(&self, pause: f64) -> Option<f64> {
        (self.armed && self.quiet()).then_some(self.last_off + pause)
    }

    /// An answer was asked for: what is played from now on is a new phrase.
    pub fn answered(&mut self) {
        self.fresh = true;
        self.open = false;
        self.armed = false;
    }

    /// Time jumped: the next note begins a new phrase. A pause goes on where the
    /// transport only looped or was moved, not where it was stopped or started.
    pub fn jump(&mut self, jump: Jump, timeline: Timeline, to: f64) -> ToWorker {
        self.fresh = true;
        if jump.left == timeline {
            self.last_off += to - jump.from;
        } else {
            self.armed = false;
            self.last_off = f64::NEG_INFINITY;
            self.first = None;
        }
        ToWorker::Break { beat: jump.from, to }
    }

    fn quiet(&self) -> bool {
        self.pedals == 0 && self.held.iter().all(|keys| *keys == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh(message: ToWorker) -> bool {
        matches!(message, ToWorker::On { fresh: true, .. })
    }

    #[test]
    fn a_phrase_begins_with_the_first_note_after_an_answer_a_jump_or_a_long_pause() {
        let mut capture = Capture::default();
        assert!(fresh(capture.on(0.0, 0, 60, 90, Meter::COMMON)));
        assert!(!fresh(capture.on(1.0, 0, 62, 90, Meter::COMMON)));
        capture.answered();
        assert!(!capture.open());
        assert!(fresh(capture.on(2.0, 0, 64, 90, Meter::COMMON)));
        capture.jump(Jump { from: 3.0, left: Timeline::Host }, Timeline::Host, 0.0);
        assert!(fresh(capture.on(0.5, 0, 65, 90, Meter::COMMON)));
        // Keys still down are no pause, however long.
        assert!(!fresh(capture.on(90.0, 0, 66, 90, Meter::COMMON)));
        capture.off(91.0, 0, 65);
        capture.off(91.0, 0, 66);
        capture.off(91.0, 0, 60);
        capture.off(91.0, 0, 62);
        capture.off(91.0, 0, 64);
        assert!(!fresh(capture.on(91.0 + 32.0, 0, 67, 90, Meter::COMMON)));
        capture.off(124.0, 0, 67);
        assert!(fresh(capture.on(124.0 + 32.1, 0, 67, 90, Meter::COMMON)));
    }

    #[test]
    fn a_pause_is_answered_once_and_only_when_no_key_is_down() {
        let mut capture = Capture::default();
        assert_eq!(capture.reply_at(2.0), None);
        capture.on(0.0, 0, 60, 90, Meter::COMMON);
        capture.on(0.0, 1, 60, 90, Meter::COMMON);
        capture.off(1.0, 0, 60);
        assert_eq!(capture.reply_at(2.0), None);
        capture.off(1.5, 1, 60);
        assert_eq!(capture.reply_at(2.0), Some(3.5));
        capture.answered();
        assert_eq!(capture.reply_at(2.0), None);
    }

    #[test]
    fn a_pause_goes_on_around_a_loop_but_not_over_a_stop() {
        let mut capture = Capture::default();
        capture.on(6.0, 0, 60, 90, Meter::COMMON);
        capture.off(7.0, 0, 60);
        capture.jump(Jump { from: 8.0, left: Timeline::Host }, Timeline::Host, 0.0);
        assert_eq!(capture.reply_at(2.0), Some(1.0));
        capture.jump(Jump { from: 0.5, left: Timeline::Host }, Timeline::Free, 0.0);
        assert_eq!(capture.reply_at(2.0), None);
    }

    #[test]
    fn a_pause_under_the_pedal_is_none() {
        let mut capture = Capture::default();
        capture.pedal(0.0, 0, true);
        capture.on(0.0, 0, 60, 90, Meter::COMMON);
        capture.off(1.0, 0, 60);
        assert_eq!(capture.reply_at(2.0), None);
        capture.pedal(4.0, 0, false);
        assert_eq!(capture.reply_at(2.0), Some(6.0));
        // One that was up already changes nothing.
        capture.pedal(5.0, 0, false);
        assert_eq!(capture.reply_at(2.0), Some(6.0));
    }

    #[test]
    fn a_release_without_a_press_is_nothing() {
        let mut capture = Capture::default();
        assert_eq!(capture.off(1.0, 0, 60), None);
        assert_eq!(capture.off(1.0, 200, 60), None);
    }
}
