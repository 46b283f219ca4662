//! One sounding note: a sine bent by another (two-operator phase modulation, as in
//! J. Chowning, "The Synthesis of Complex Audio Spectra by Means of Frequency Modulation",
//! 1973), or filtered noise with a falling tone for drums.

use std::f32::consts::TAU;

/// Below this a voice is over.
const SILENCE: f32 = 1e-4;
/// How long a note takes to its full loudness, in seconds, so that it does not click.
const ATTACK: f32 = 0.003;
/// How fast a released note falls, in seconds to a third.
const RELEASE: f32 = 0.07;

/// A note or a drum.
#[derive(Clone, Copy, Debug)]
pub(super) struct Voice {
    channel: u8,
    key: u8,
    /// Turns, and turns a sample.
    phase: f32,
    step: f32,
    /// What the step is multiplied by each sample: drums fall.
    fall: f32,
    /// How much the second sine bends the first; it falls with the loudness.
    bend: f32,
    /// The share of noise, its last value and how much of a new one it takes.
    noise: f32,
    last: f32,
    bright: f32,
    random: u32,
    /// Loudness: as it is, what it is multiplied by each sample, and of a release.
    loud: f32,
    decay: f32,
    release: f32,
    attack: f32,
    rise: f32,
    released: bool,
    /// The key is up, but the pedal is down.
    held: bool,
}

/// What a value is multiplied by each sample to be a third after so many seconds.
fn falling(seconds: f32, rate: f32) -> f32 {
    (-1.0 / (seconds * rate)).exp()
}

impl Voice {
    /// A note of the piano.
    pub(super) fn piano(channel: u8, key: u8, velocity: f32, rate: f32) -> Self {
        let velocity = velocity.clamp(0.0, 1.0);
        let hertz = 440.0 * ((f32::from(key) - 69.0) / 12.0).exp2();
        // High notes are shorter and plainer.
        let height = (f32::from(key) / 127.0).min(1.0);
        Self {
            channel,
            key,
            phase: 0.0,
            step: hertz / rate,
            fall: 1.0,
            bend: (0.25 + 1.1 * velocity) * (1.0 - 0.8 * height),
            noise: 0.0,
            last: 0.0,
            bright: 1.0,
            random: 1,
            loud: 0.15 + 0.85 * velocity * velocity,
            decay: falling(1.6 - 1.3 * height, rate),
            release: falling(RELEASE, rate),
            attack: 0.0,
            rise: 1.0 / (ATTACK * rate),
            released: false,
            held: false,
        }
    }

    /// A drum of General MIDI's kit, by kind.
    pub(super) fn drum(key: u8, velocity: f32, rate: f32) -> Self {
        // Hertz, how it falls in a second to a third, seconds, share of noise, its brightness.
        let (hertz, fall, seconds, noise, bright) = match key {
            35 | 36 => (120.0, 0.06, 0.14, 0.02, 0.2),
            37 | 39 => (900.0, 10.0, 0.04, 0.8, 0.7),
            38 | 40 => (190.0, 0.5, 0.11, 0.6, 0.6),
            42 | 44 => (5000.0, 10.0, 0.03, 1.0, 1.0),
            46 | 26 => (5000.0, 10.0, 0.18, 1.0, 1.0),
            41 | 43 => (90.0, 0.3, 0.22, 0.05, 0.3),
            45 | 47 => (130.0, 0.3, 0.2, 0.05, 0.3),
            48 | 50 => (180.0, 0.3, 0.18, 0.05, 0.3),
            49 | 51..=53 | 55 | 57 | 59 => (4000.0, 10.0, 0.6, 0.95, 0.9),
            _ => (600.0, 1.0, 0.08, 0.4, 0.6),
        };
        let piano = Self::piano(9, 60, velocity, rate);
        Self {
            key,
            step: hertz / rate,
            fall: falling(fall, rate),
            bend: 0.0,
            noise,
            bright,
            random: u32::from(key) * 2_654_435 + 1,
            decay: falling(seconds, rate),
            rise: 1.0,
            ..piano
        }
    }

    pub(super) fn is(&self, channel: u8, key: u8) -> bool {
        self.channel == channel && self.key == key && !self.released
    }

    pub(super) fn on(&self, channel: u8) -> bool {
        self.channel == channel
    }

    /// The key goes up; with the pedal down the note sounds on. Drums sound out.
    pub(super) fn release(&mut self, pedal: bool) {
        if pedal {
            self.held = true;
        } else {
            self.released = true;
        }
    }

    /// The pedal goes up.
    pub(super) fn lift(&mut self) {
        self.released |= self.held;
    }

    pub(super) fn loudness(&self) -> f32 {
        self.loud
    }

    pub(super) fn sounds(&self) -> bool {
        self.loud > SILENCE
    }

    /// The next sample.
    pub(super) fn sample(&mut self) -> f32 {
        if !self.sounds() {
            return 0.0;
        }
        let bent = self.phase + self.bend * self.loud * (TAU * self.phase).sin() / TAU;
        let mut sound = (TAU * bent).sin();
        if self.noise > 0.0 {
            self.last += (self.white() - self.last) * self.bright;
            sound = sound * (1.0 - self.noise) + self.last * self.noise;
        }
        self.phase = (self.phase + self.step).fract();
        self.step *= self.fall;
        self.attack = (self.attack + self.rise).min(1.0);
        let sound = sound * self.loud * self.attack;
        let drum = self.noise > 0.0;
        self.loud *= if self.released && !drum { self.release } else { self.decay };
        sound
    }

    /// Noise between -1 and 1 (xorshift, G. Marsaglia, "Xorshift RNGs", 2003).
    fn white(&mut self) -> f32 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        f32::from(i16::from_le_bytes([self.random.to_le_bytes()[1], self.random.to_le_bytes()[2]])) / 32_768.0
    }
}
