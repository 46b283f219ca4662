//! MidiTok's MIDILike tokens: note-ons, note-offs and time shifts, as MIDI Gen AI's
//! later models read them.
//!
//! # Vocabulary
//!
//! That of [`MidiLike::default`], 641 ids. [`MidiLike::from_tokenizer_json`] makes
//! others of the same kind.
//!
//! | ids | name | meaning |
//! |---|---|---|
//! | 0 | PAD | fills up a batch |
//! | 1 | BOS | may begin a piece |
//! | 2 | EOS | may end it |
//! | 3 | SEP | unused |
//! | 4..=131 | NoteOn | a note begins; pitch 0..=127 |
//! | 132..=259 | NoteOff | it ends |
//! | 260..=291 | Velocity | 3, 7, 11, ... 127 |
//! | 292..=355 | TimeShift | 1..=31 steps, then 32..=96 by 2 |
//! | 356..=417 | DrumOn | a note of the drum kit begins; pitch 27..=88 |
//! | 418..=479 | DrumOff | it ends |
//! | 480..=511 | Rest | 1..=7 steps, 8..=14 by 2, 16..=96 by 4 |
//! | 512..=639 | Program | General MIDI program 0..=127 |
//! | 640 | Program_-1 | the drum kit |
//!
//! # Order
//!
//! A quarter note has 8 steps. At each step instruments take turns, one each; within
//! a turn notes end before others begin. Program stands where another instrument
//! plays than before, and before the first note. After each beginning stands its
//! Velocity. An end is that of the oldest note of its instrument and pitch.
//!
//! Between two steps time is spelled with the longest ids that fit, one after the
//! other: Rests where no note sounds, TimeShifts where any does. Something happens
//! after time has passed, so a piece ends with the end of a note.
//!
//! C, E and G for a beat, the C above for half a beat, two beats of rest, and D:
//!
//! ```
//! use continuo_codec::{Encoding, Instrument, MidiLike, Note, Score};
//!
//! let note = |start, pitch, duration, velocity| {
//!     Note { start, instrument: Instrument::PIANO, pitch, duration, velocity }
//! };
//! let mut score = Score::new(480);
//! score.notes = vec![
//!     note(0, 60, 480, 90),
//!     note(0, 64, 480, 80),
//!     note(0, 67, 480, 70),
//!     note(480, 72, 240, 100),
//!     note(1680, 74, 120, 1),
//! ];
//! let ids = [
//!     512, // Program_0
//!     64, 282, 68, 279, 71, 277, // NoteOn_60 Velocity_91, NoteOn_64 Velocity_79, NoteOn_67 Velocity_71
//!     299, 192, 196, 199, // TimeShift_1.0.8, NoteOff_60, NoteOff_64, NoteOff_67
//!     76, 284, 295, 204, // NoteOn_72 Velocity_99, TimeShift_0.4.8, NoteOff_72
//!     491, 78, 260, 293, 206, // Rest_2.0.2, NoteOn_74 Velocity_3, TimeShift_0.2.8, NoteOff_74
//! ];
//! let encoding = MidiLike::default();
//! assert_eq!(encoding.encode(&score)?, ids);
//! assert_eq!(encoding.name_of(491).as_deref(), Some("Rest_2.0.2"));
//! assert_eq!(encoding.decode(&ids)?.notes[4].start, 28);
//! # Ok::<(), continuo_codec::EncodingError>(())
//! ```
//!
//! # Answers
//!
//! The prompt is BOS and the phrase up to the answer, its notes ended there at the
//! latest. In an answer no key is struck while it is down, a note lasts at most 16
//! beats, and silence at most 8. Its window closes the notes that are open at its
//! end; EOS does not come. Since a note is known only when it ends, and one that
//! began before others may end after them, notes do not come in the order of their
//! onsets; [`Event::Reached`](crate::Event::Reached) waits for the oldest open one.
//!
//! [`Limits`] are kept on the grid of steps: onsets of grid and rhythm, ends of notes
//! of a rhythm and stretches of the density go to the nearest step each, the later of
//! two equally near. A note of a rhythm ends where the rhythm says, but: a key that
//! the phrase strikes is let go then, and where a rhythm finds all keys down it
//! strikes one again, which then is not let go before its earlier note would be.
//! Notes of the phrase that sound along are spelled between those of the answer,
//! each beginning and end at its step; the answer does not strike a key that the
//! phrase holds.
//!
//! # What is not kept
//!
//! - Tempo, meter, pedals and whatever else is not a note.
//! - Onsets and lengths go to the nearest step each, the later of two equally near;
//!   a note is a step long at least. Velocities go to the nearest there is.
//! - Drums below 27 and above 88.
//! - Of overlapping notes of one instrument and pitch, which ends first: the one
//!   that began first does.
//! - What follows the last note's end.
//! - Music beyond 2,097,152 beats is refused.
//! - MidiTok spells notes without length where a file has just 8 ticks a beat; its
//!   ids are the same here, but the grammar does not let them through.

mod bounds;
mod config;
mod encode;
mod file;
mod grammar;
mod heard;
mod prompt;
mod shorten;
mod sounding;
mod stream;
mod vocab;
mod writer;

use std::sync::Arc;

use crate::encoding::{Clock, Continuation, Encoding, EncodingError, Stream, Window};
use crate::limits::Limits;
use crate::score::{Note, Score};
use config::Config;
use grammar::Step;
use stream::MidiLikeStream;
use vocab::Vocab;

/// Why a file or a tokenizer cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MidiLikeError {
    /// Bytes that symusic refuses.
    #[error("the MIDI file cannot be read: {reason} (byte {offset})")]
    Midi {
        /// Where in the file, in bytes.
        offset: usize,
        /// What was found there.
        reason: &'static str,
    },
    /// Music that goes on for too long.
    #[error("the MIDI file is too long: beyond byte {offset} it reaches further than 2,097,152 beats")]
    TooLong {
        /// The event that is too late, in bytes; 0 where a note ends too late.
        offset: usize,
    },
    /// Settings that are no JSON.
    #[error("tokenizer.json cannot be read: {0}")]
    Json(String),
    /// A setting that leads to other tokens than those of this encoding.
    #[error("tokenizer.json, `{name}`: {reason}")]
    Setting {
        /// The setting.
        name: String,
        /// What it has to be.
        reason: String,
    },
}

/// A tokenizer.
#[derive(Clone, Debug)]
pub struct MidiLike {
    vocab: Arc<Vocab>,
}

impl Default for MidiLike {
    fn default() -> Self {
        Self { vocab: Arc::new(Vocab::new(Config::default())) }
    }
}

impl MidiLike {
    /// Reads MidiTok's `tokenizer.json`.
    ///
    /// # Errors
    /// [`MidiLikeError::Setting`] names the first setting that cannot be kept,
    /// [`MidiLikeError::Json`] where it is no JSON.
    pub fn from_tokenizer_json(json: &str) -> Result<Self, MidiLikeError> {
        Ok(Self { vocab: Arc::new(Vocab::new(Config::from_json(json)?)) })
    }

    /// MidiTok's name of an id, `NoteOn_60` or the like; `None` for an id there is not.
    #[must_use]
    pub fn name_of(&self, id: u32) -> Option<String> {
        self.vocab.name(id)
    }

    /// Spells a MIDI file, as MidiTok 3.1.0 does with symusic 0.6.0.
    ///
    /// # Errors
    /// [`MidiLikeError::Midi`] where symusic refuses the file, and
    /// [`MidiLikeError::TooLong`] where it reaches too far.
    pub fn encode_midi(&self, bytes: &[u8]) -> Result<Vec<u32>, MidiLikeError> {
        let file = file::read(bytes)?;
        encode::file(&self.vocab, file.ticks_per_beat, &file.parts)
    }
}

/// Spells a MIDI file in the 641 ids of [`MidiLike::default`].
///
/// # Errors
/// Those of [`MidiLike::encode_midi`].
pub fn encode_midi(bytes: &[u8]) -> Result<Vec<u32>, MidiLikeError> {
    MidiLike::default().encode_midi(bytes)
}

impl Encoding for MidiLike {
    fn name(&self) -> &'static str {
        "midilike"
    }

    fn vocab_size(&self) -> usize {
        usize::try_from(self.vocab.size).unwrap_or(usize::MAX)
    }

    fn clock(&self) -> Clock {
        Clock::Beats
    }

    /// The ids of the MIDI file that [`midi::write`](crate::midi::write()) makes of the
    /// score. Only notes that overlap another of their pitch, which have tracks of their
    /// own there, stand later in that file's chords.
    fn encode(&self, score: &Score) -> Result<Vec<u32>, EncodingError> {
        encode::score(&self.vocab, score)
    }

    fn stream(&self) -> Box<dyn Stream> {
        Box::new(MidiLikeStream::new(Arc::clone(&self.vocab)))
    }

    fn continuation_within(
        &self,
        phrase: &Score,
        window: Window,
        limits: &Limits,
        max_ids: usize,
    ) -> Result<Continuation, EncodingError> {
        prompt::continuation(&self.vocab, phrase, window, limits, max_ids)
    }

    /// The score has as many ticks a beat as the grid has steps. A note that has
    /// not ended at the end of `ids` is left out.
    fn decode(&self, ids: &[u32]) -> Result<Score, EncodingError> {
        let mut score = Score::new(u16::try_from(self.vocab.resolution()).unwrap_or(u16::MAX));
        let mut stream = MidiLikeStream::new(Arc::clone(&self.vocab));
        for &id in ids {
            if let Step::Note(sound) = stream.step(id)? {
                score.notes.push(Note {
                    start: sound.start,
                    instrument: vocab::instrument(sound.instrument),
                    pitch: sound.pitch,
                    duration: sound.end - sound.start,
                    velocity: sound.velocity,
                });
            }
        }
        score.normalize();
        Ok(score)
    }
}
