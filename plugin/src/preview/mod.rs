//! A simple sound of what the plugin sends, so that an answer is heard before anything is
//! routed anywhere: a soft electric piano, and a small drum kit on channel 10.
//!
//! Lives on the audio thread: all memory is there from the beginning. Events are gathered
//! while a block is processed and rendered to the sample at its end; every sample is computed
//! by itself, so the block size changes nothing.
//!
//! - `voice`: one note of the piano, or one drum.

mod voice;

use nice_plug::midi::Key;
use nice_plug::prelude::*;

use voice::Voice;

use crate::performer::Event;
use crate::phrase::DRUM_CHANNEL;

/// Notes that sound at once; the softest makes room for another.
const VOICES: usize = 32;
/// Events of a block that are remembered; more are not heard here.
const EVENTS: usize = 1024;
/// How fast the sound comes and goes when it is switched, in seconds.
const FADE: f32 = 0.005;
/// All voices together before the soft limit.
const HEADROOM: f32 = 0.35;

/// What is played at a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Played {
    On { channel: u8, key: u8, velocity: f32 },
    Off { channel: u8, key: u8 },
    Pedal { channel: u8, down: bool },
    Quiet { channel: u8 },
}

/// The instrument.
#[derive(Debug)]
pub struct Preview {
    voices: Vec<Voice>,
    events: Vec<(u32, Played)>,
    /// The channels whose sustain pedal is down, a bit each.
    pedals: u16,
    rate: f32,
    /// The level that is reached, on its way to the one wanted.
    level: f32,
}

impl Default for Preview {
    fn default() -> Self {
        Self {
            voices: Vec::with_capacity(VOICES),
            events: Vec::with_capacity(EVENTS),
            pedals: 0,
            rate: 48_000.0,
            level: 0.0,
        }
    }
}

impl Preview {
    /// Sets the sample rate in Hertz. What sounds ends.
    pub fn configure(&mut self, rate: f32) {
        if rate.is_finite() && rate > 0.0 {
            self.rate = rate;
        }
        self.reset();
    }

    /// Everything falls silent at once.
    pub fn reset(&mut self) {
        self.voices.clear();
        self.events.clear();
        self.pedals = 0;
    }

    /// Hears an event that the plugin sends in this block.
    pub fn hear(&mut self, event: &Event) {
        let played = match *event {
            NoteEvent::NoteOn { channel, key: Key::Number(key), velocity, .. } => {
                Played::On { channel: channel.number().unwrap_or(0), key, velocity }
            }
            NoteEvent::NoteOff { channel, key: Key::Number(key), .. }
            | NoteEvent::Choke { channel, key: Key::Number(key), .. } => {
                Played::Off { channel: channel.number().unwrap_or(0), key }
            }
            NoteEvent::MidiCC { channel, cc: 64, value, .. } => Played::Pedal { channel, down: value >= 0.5 },
            NoteEvent::MidiCC { channel, cc: 120 | 123, .. } => Played::Quiet { channel },
            _ => return,
        };
        if self.events.len() < EVENTS {
            self.events.push((event.timing(), played));
        }
    }

    /// Adds the sound of this block's events to what is in its channels. `level` is a gain,
    /// 0 for silence.
    pub fn render(&mut self, channels: &mut [&mut [f32]], level: f32) {
        let samples = channels.first().map_or(0, |channel| channel.len());
        let silent = self.voices.is_empty() && self.events.is_empty();
        if samples == 0 || (silent && self.level == level) {
            self.events.clear();
            return;
        }
        let step = 1.0 - (-1.0 / (FADE * self.rate)).exp();
        let mut next = 0;
        for sample in 0..samples {
            while let Some(&(timing, played)) = self.events.get(next)
                && usize::try_from(timing).is_ok_and(|timing| timing <= sample)
            {
                self.play(played);
                next += 1;
            }
            self.level += (level - self.level) * step;
            let sum: f32 = self.voices.iter_mut().map(Voice::sample).sum();
            let sound = soft(sum * HEADROOM) * self.level;
            for channel in channels.iter_mut() {
                if let Some(out) = channel.get_mut(sample) {
                    *out += sound;
                }
            }
            if sample % 64 == 0 {
                self.voices.retain(Voice::sounds);
            }
        }
        for index in next..self.events.len() {
            self.play(self.events[index].1);
        }
        self.events.clear();
        if (self.level - level).abs() < 1e-6 {
            self.level = level;
        }
    }

    fn play(&mut self, played: Played) {
        match played {
            Played::On { channel, key, velocity } => self.begin(channel, key, velocity),
            Played::Off { channel, key } => {
                let held = self.pedals & (1 << (channel & 15)) != 0;
                self.voices.iter_mut().filter(|v| v.is(channel, key)).for_each(|v| v.release(held));
            }
            Played::Pedal { channel, down } => {
                let bit = 1 << (channel & 15);
                self.pedals = if down { self.pedals | bit } else { self.pedals & !bit };
                if !down {
                    self.voices.iter_mut().filter(|v| v.on(channel)).for_each(Voice::lift);
                }
            }
            Played::Quiet { channel } => {
                self.voices.iter_mut().filter(|v| v.on(channel)).for_each(|v| v.release(false));
            }
        }
    }

    fn begin(&mut self, channel: u8, key: u8, velocity: f32) {
        let voice = if channel == DRUM_CHANNEL {
            Voice::drum(key, velocity, self.rate)
        } else {
            Voice::piano(channel, key, velocity, self.rate)
        };
        if self.voices.len() < VOICES {
            self.voices.push(voice);
            return;
        }
        let softest = self.voices.iter_mut().min_by(|a, b| a.loudness().total_cmp(&b.loudness()));
        if let Some(softest) = softest {
            *softest = voice;
        }
    }
}

/// Leaves soft sounds as they are and never goes above 1.
fn soft(sample: f32) -> f32 {
    sample.clamp(-8.0, 8.0).tanh()
}

#[cfg(test)]
mod tests {
    use nice_plug::midi::{Channel, VoiceID};

    use super::*;

    const RATE: f32 = 48_000.0;

    /// A sample, and the event there by its place in a block.
    type Timed = (u32, fn(u32) -> Event);

    fn on(timing: u32, channel: u8, key: u8) -> Event {
        let (voice_id, channel) = (VoiceID::Wildcard, Channel::Number(channel));
        NoteEvent::NoteOn { timing, voice_id, channel, key: Key::Number(key), velocity: 1.0 }
    }

    fn off(timing: u32, channel: u8, key: u8) -> Event {
        let (voice_id, channel) = (VoiceID::Wildcard, Channel::Number(channel));
        NoteEvent::NoteOff { timing, voice_id, channel, key: Key::Number(key), velocity: 0.0 }
    }

    /// Renders events at samples, in blocks.
    fn rendered(events: &[Timed], samples: u32, block: u32, level: f32) -> Vec<f32> {
        let mut preview = Preview::default();
        preview.configure(RATE);
        let mut sound = Vec::new();
        let mut at = 0;
        while at < samples {
            let length = block.min(samples - at);
            for (when, event) in events.iter().filter(|e| (at..at + length).contains(&e.0)) {
                preview.hear(&event(when - at));
            }
            let mut audio = vec![0.0; length as usize];
            preview.render(&mut [&mut audio], level);
            sound.extend(audio);
            at += length;
        }
        sound
    }

    fn loudest(sound: &[f32]) -> f32 {
        sound.iter().fold(0.0, |most, sample| most.max(sample.abs()))
    }

    #[test]
    fn an_a_is_440_hertz() {
        let sound = rendered(&[(0, |at| on(at, 0, 69))], 48_000, 512, 1.0);
        // The lag of the strongest correlation of a second half with itself, near a period.
        let tail = &sound[24_000..36_000];
        let like = |lag: usize| tail[lag..].iter().zip(tail).map(|(a, b)| a * b).sum::<f32>();
        let best = (60..200).max_by(|a, b| like(*a).total_cmp(&like(*b))).unwrap();
        assert_eq!(best, 109, "{}", RATE / 440.0);
    }

    #[test]
    fn block_sizes_change_nothing() {
        let events: [Timed; 5] = [
            (3, |at| on(at, 0, 60)),
            (700, |at| on(at, 9, 38)),
            (1500, |at| on(at, 9, 36)),
            (2001, |at| off(at, 0, 60)),
            (2500, |at| on(at, 3, 72)),
        ];
        let whole = rendered(&events, 9000, 9000, 0.5);
        assert!(loudest(&whole) > 0.01);
        for block in [64, 128, 4096] {
            assert_eq!(rendered(&events, 9000, block, 0.5), whole, "block {block}");
        }
    }

    #[test]
    fn notes_end_and_what_is_off_is_silent() {
        let events: [Timed; 2] = [(0, |at| on(at, 0, 60)), (4800, |at| off(at, 0, 60))];
        let sound = rendered(&events, 96_000, 256, 1.0);
        assert!(loudest(&sound[2000..4000]) > 0.02);
        assert_eq!(loudest(&sound[90_000..]), 0.0);
        assert_eq!(loudest(&rendered(&events, 48_000, 256, 0.0)), 0.0);
    }

    #[test]
    fn the_pedal_holds_and_lets_go() {
        let pedal = |at, value| NoteEvent::MidiCC { timing: at, channel: 0, cc: 64, value };
        let mut preview = Preview::default();
        let mut render = |events: &[Event]| {
            events.iter().for_each(|event| preview.hear(event));
            let mut audio = vec![0.0; 24_000];
            preview.render(&mut [&mut audio], 1.0);
            loudest(&audio[20_000..])
        };
        assert!(render(&[pedal(0, 1.0), on(1, 0, 48), off(100, 0, 48)]) > 0.01);
        render(&[pedal(0, 0.0)]);
        assert_eq!(render(&[]), 0.0);
    }

    #[test]
    fn many_loud_voices_stay_below_full_scale_and_are_numbers() {
        let mut preview = Preview::default();
        for key in 0..100 {
            preview.hear(&on(0, if key % 4 == 0 { 9 } else { 0 }, 20 + key));
        }
        let (mut left, mut right) = (vec![0.0; 48_000], vec![0.25; 48_000]);
        preview.render(&mut [&mut left, &mut right], 1.0);
        assert!(left.iter().all(|s| s.is_finite() && s.abs() <= 1.0));
        assert!(right.iter().zip(&left).all(|(r, l)| (r - l - 0.25).abs() < 1e-6));
        assert!(preview.voices.len() <= VOICES);
    }
}
