//! What passes between the audio thread and the inference thread: messages in two
//! single-producer rings, and the few numbers both look at.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicU64, Ordering};

use crate::ask::Ask;
use crate::clock::Timeline;

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
    /// Not at all: what is known too late is not heard.
    Fixed,
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
    /// The player's sustain pedal.
    Pedal {
        /// Where.
        beat: f64,
        /// MIDI channel.
        channel: u8,
        /// Whether it went down.
        down: bool,
    },
    /// Time jumped: what is held ends here.
    Break {
        /// Where time would have gone on.
        beat: f64,
        /// Where it goes on instead.
        to: f64,
    },
    /// An answer is wanted.
    Answer(Ask),
    /// What would be asked if an answer were wanted now.
    Coming(Ask),
    /// The answer was stopped: nothing of it from this beat on, counted as the answer came,
    /// before playback moved it.
    Cut {
        /// Which answer.
        id: AnswerId,
        /// Where it ends.
        beat: f64,
    },
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

impl PlayNote {
    /// Whether all fields are in their ranges.
    #[must_use]
    pub fn is_sane(&self) -> bool {
        let times = self.start.is_finite() && self.end.is_finite();
        times && self.channel < 16 && self.key < 128
    }
}

/// From the inference thread to the audio thread.
#[derive(Clone, Debug, PartialEq)]
pub enum ToPlayer {
    /// An answer out of a saved state takes the place of what there is.
    Replace {
        /// Its name.
        id: AnswerId,
        /// How many takes it has.
        takes: usize,
        /// Whether it stands on the host's timeline; if not it is only shown.
        on_host: bool,
        /// Where it begins.
        start: f64,
        /// Up to which state load this is known.
        load: u64,
    },
    /// The takes that were kept are these. The answer of this name is one of them now and
    /// no longer there by itself; what sounds of it sounds on.
    Kept {
        /// All their notes.
        notes: Arc<KeptNotes>,
        /// The answer that was kept; none for the others.
        taken: AnswerId,
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

/// The notes of all kept takes on the host's timeline, in order of their onsets.
///
/// Made by the inference thread, which holds on to it until the audio thread has let go:
/// so the memory is never given back on the audio thread.
#[derive(Debug, Default, PartialEq)]
pub struct KeptNotes(Vec<PlayNote>);

impl KeptNotes {
    /// From notes in any order; what is no note is left out.
    #[must_use]
    pub fn new(mut notes: Vec<PlayNote>) -> Self {
        notes.retain(PlayNote::is_sane);
        notes.sort_by(|a, b| a.start.total_cmp(&b.start));
        Self(notes)
    }

    /// The notes that begin at a beat or later.
    #[must_use]
    pub fn from(&self, beat: f64) -> &[PlayNote] {
        &self.0[self.0.partition_point(|n| n.start < beat)..]
    }
}

/// Numbers that several threads look at and none waits for.
#[derive(Debug, Default)]
pub struct Shared {
    /// The newest answer or clear; a generation for an older one ends.
    latest: AtomicU64,
    /// How often a state was loaded.
    loads: AtomicU64,
    /// The load that was handed over to playback last.
    restored: AtomicU64,
    /// Which answer `shift` is about.
    shifted: AtomicU64,
    shift: AtomicU64,
    /// Where the block began that was played last.
    playhead: AtomicU64,
    on_host: AtomicBool,
    phrase_open: AtomicBool,
    /// How many takes next and previous went on from the one chosen.
    turned: AtomicI32,
    /// The take that is heard.
    audible: AtomicU64,
    /// Whose turn it is: nobody's, the player's, the plugin's.
    turn: AtomicU8,
    /// Where it ends.
    turn_end: AtomicU64,
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

    /// Whether what was loaded last has been handed over to playback.
    pub fn is_restored(&self) -> bool {
        self.restored.load(Ordering::Acquire) >= self.loads()
    }

    /// A load was handed over to playback.
    pub fn set_restored(&self, load: u64) {
        self.restored.store(load, Ordering::Release);
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

    /// How many takes next and previous went on from the one chosen.
    pub fn turned(&self) -> i32 {
        self.turned.load(Ordering::Relaxed)
    }

    /// Goes on by a take, or back.
    pub fn turn_by(&self, takes: i32) {
        self.turned.fetch_add(takes, Ordering::Relaxed);
    }

    /// The take chosen is heard, as it was chosen anew.
    pub fn turn_back(&self) {
        self.turned.store(0, Ordering::Relaxed);
    }

    /// The take that is heard, counted from 0.
    pub fn audible(&self) -> usize {
        usize::try_from(self.audible.load(Ordering::Relaxed)).unwrap_or(0)
    }

    /// Tells which take is heard, counted from 0.
    pub fn set_audible(&self, take: usize) {
        self.audible.store(u64::try_from(take).unwrap_or(0), Ordering::Relaxed);
    }

    /// In trading: where the running turn ends, and whether it is the plugin's.
    pub fn turn(&self) -> Option<(f64, bool)> {
        let turn = self.turn.load(Ordering::Relaxed);
        (turn > 0).then(|| (f64::from_bits(self.turn_end.load(Ordering::Relaxed)), turn == 2))
    }

    /// Tells whose turn it is until when.
    pub fn set_turn(&self, turn: Option<(f64, bool)>) {
        if let Some((end, _)) = turn {
            self.turn_end.store(end.to_bits(), Ordering::Relaxed);
        }
        self.turn.store(turn.map_or(0, |(_, own)| if own { 2 } else { 1 }), Ordering::Relaxed);
    }
}
