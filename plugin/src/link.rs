//! What passes between the audio thread and the inference thread: messages in two
//! single-producer rings, and the few numbers both look at.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::clock::{Meter, Timeline};

/// Notes of a take that playback keeps.
pub const MOST_NOTES: usize = 8192;
/// Takes an answer can have.
pub const MOST_TAKES: usize = 8;
/// Events the player's ring holds: minutes of dense playing.
pub const TO_WORKER: usize = 16_384;
/// Places in the player's ring kept for what must not be lost.
pub const RESERVED: usize = 512;
/// Messages the answer's ring holds.
pub const TO_PLAYER: usize = 8192;

/// Names an answer. Later ones are greater; 0 is none.
///
/// The audio thread counts triggers and clears in the upper bits, the inference
/// thread counts restored answers in the lower ones, so neither has to ask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct AnswerId(u64);

impl AnswerId {
    /// The next one the audio thread gives out.
    #[must_use]
    pub const fn next_trigger(self) -> Self {
        Self(((self.0 >> 16) + 1) << 16)
    }

    /// The next one for an answer out of a saved state.
    #[must_use]
    pub const fn next_restored(self) -> Self {
        Self(self.0 + 1)
    }

    /// As a plain number, for an atomic.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }

    /// From [`AnswerId::number`].
    #[must_use]
    pub const fn from_number(number: u64) -> Self {
        Self(number)
    }
}

/// How far an answer that comes too late may be moved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Grid {
    /// By whole multiples of this many beats.
    Beats(f64),
    /// To the very sample at which it is known.
    Any,
}

/// What an answer was asked to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ask {
    /// Its name.
    pub id: AnswerId,
    /// Whose beats `at` and `start` are.
    pub timeline: Timeline,
    /// Where it was asked for.
    pub at: f64,
    /// Where it is to begin.
    pub start: f64,
    /// Meter there.
    pub meter: Meter,
    /// A bar line.
    pub bar_line: f64,
    /// Tempo there, beats a minute.
    pub tempo: f64,
    /// Length in bars.
    pub bars: u8,
    /// How many takes.
    pub takes: usize,
    /// Sampling temperature.
    pub temperature: f32,
    /// Sampling among so many ids; 0 is all.
    pub top_k: usize,
    /// Sampling among the likeliest ids of this mass; 1 is all.
    pub top_p: f32,
    /// Leaving out what is less likely than this share of the likeliest; 0 is nothing.
    pub min_p: f32,
    /// Never saying so many ids in a row twice; 0 is off.
    pub no_repeat: usize,
    /// Seed; 0 asks for a new one.
    pub seed: u64,
}

/// From the audio thread to the inference thread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ToWorker {
    /// The player pressed a key.
    On {
        /// Where.
        beat: f64,
        /// MIDI channel, 0..=15.
        channel: u8,
        /// MIDI key, 0..=127.
        key: u8,
        /// MIDI velocity, 1..=127.
        velocity: u8,
        /// Whether a new phrase begins with this note.
        fresh: bool,
    },
    /// The player released a key.
    Off {
        /// Where.
        beat: f64,
        /// MIDI channel.
        channel: u8,
        /// MIDI key.
        key: u8,
    },
    /// The player chose a sound.
    Program {
        /// MIDI channel.
        channel: u8,
        /// General MIDI program.
        program: u8,
    },
    /// Time jumped: what is held ends here.
    Break {
        /// Where time would have gone on.
        beat: f64,
    },
    /// An answer is wanted.
    Answer(Ask),
    /// What would be asked if an answer were wanted now.
    Coming(Ask),
    /// Forget phrase and answer.
    Clear(AnswerId),
}

/// A note of an answer on its timeline.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlayNote {
    /// Onset in beats.
    pub start: f64,
    /// End in beats, after `start`.
    pub end: f64,
    /// MIDI channel, 0..=15.
    pub channel: u8,
    /// MIDI key, 0..=127.
    pub key: u8,
    /// MIDI velocity, 1..=127.
    pub velocity: u8,
}

/// From the inference thread to the audio thread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ToPlayer {
    /// An answer out of a saved state takes the place of what there is.
    Replace {
        /// Its name.
        id: AnswerId,
        /// How many takes it has.
        takes: usize,
        /// Whether it stands on the host's timeline; if not it is only shown.
        on_host: bool,
    },
    /// A saved state has been taken over up to this load.
    Loaded(u64),
    /// A note is determined.
    Note {
        /// Whose.
        id: AnswerId,
        /// Of which take.
        take: usize,
        /// The note.
        note: PlayNote,
    },
    /// No later note of the take begins before this beat.
    Reached {
        /// Whose.
        id: AnswerId,
        /// Which take.
        take: usize,
        /// Beats.
        beat: f64,
    },
    /// A take is complete.
    Done {
        /// Whose.
        id: AnswerId,
        /// Which take.
        take: usize,
    },
    /// Nothing more will come.
    Finished(AnswerId),
}

/// Numbers that several threads look at and none waits for.
#[derive(Debug, Default)]
pub struct Shared {
    /// The newest answer or clear; a generation for an older one ends.
    latest: AtomicU64,
    /// How often a state was loaded.
    loads: AtomicU64,
    /// Which answer `shift` is about.
    shifted: AtomicU64,
    shift: AtomicU64,
    /// Where the block began that was played last.
    playhead: AtomicU64,
    on_host: AtomicBool,
    phrase_open: AtomicBool,
}

impl Shared {
    /// The newest answer asked for or cleared.
    pub fn latest(&self) -> AnswerId {
        AnswerId(self.latest.load(Ordering::Acquire))
    }

    /// Announces a newer answer; older generations end at their next token.
    pub fn announce(&self, id: AnswerId) {
        self.latest.store(id.0, Ordering::Release);
    }

    /// How often a state was loaded.
    pub fn loads(&self) -> u64 {
        self.loads.load(Ordering::Acquire)
    }

    /// Counts a loaded state.
    pub fn count_load(&self) {
        self.loads.fetch_add(1, Ordering::AcqRel);
    }

    /// By how many beats playback had to move an answer.
    pub fn shift_of(&self, id: AnswerId) -> f64 {
        if self.shifted.load(Ordering::Acquire) == id.0 {
            f64::from_bits(self.shift.load(Ordering::Acquire))
        } else {
            0.0
        }
    }

    /// Tells by how many beats an answer was moved.
    pub fn set_shift(&self, id: AnswerId, beats: f64) {
        self.shift.store(beats.to_bits(), Ordering::Release);
        self.shifted.store(id.0, Ordering::Release);
    }

    /// Where playback stands, and on which timeline.
    pub fn playhead(&self) -> (Timeline, f64) {
        let timeline = if self.on_host.load(Ordering::Relaxed) { Timeline::Host } else { Timeline::Free };
        (timeline, f64::from_bits(self.playhead.load(Ordering::Relaxed)))
    }

    /// Tells where playback stands.
    pub fn set_playhead(&self, timeline: Timeline, beat: f64) {
        self.on_host.store(timeline == Timeline::Host, Ordering::Relaxed);
        self.playhead.store(beat.to_bits(), Ordering::Relaxed);
    }

    /// Whether keys have been played that no answer was given to yet.
    pub fn phrase_open(&self) -> bool {
        self.phrase_open.load(Ordering::Relaxed)
    }

    /// Tells whether keys have been played that no answer was given to yet.
    pub fn set_phrase_open(&self, open: bool) {
        self.phrase_open.store(open, Ordering::Relaxed);
    }
}
