//! The encoding of the Anticipatory Music Transformer, id for id.
//!
//! Its published models read and write exactly this: notes as triplets of time,
//! duration and note, in the order in which they begin, and among them notes
//! known in advance, so that an answer can lead up to what follows it or
//! accompany what others play. The reference is `jthickstun/anticipation`.
//!
//! # Vocabulary
//!
//! 55,028 ids; a tick is a hundredth of a second. The constants are in [`vocab`].
//!
//! | ids | meaning |
//! |---|---|
//! | 0..=9999 | time since the sequence's beginning |
//! | 10000..=10999 | duration |
//! | 11000..=27511 | note: 11000 + 128 * instrument + pitch, instrument 128 being the drum kit |
//! | 27512 | a rest, in a note's place |
//! | 27513..=37512 | a control's time |
//! | 37513..=38512 | a control's duration |
//! | 38513..=55024 | a control's note |
//! | 55025 | SEPARATOR; three stand before every piece |
//! | 55026 | AUTOREGRESS: begins a sequence without controls |
//! | 55027 | ANTICIPATE: begins one with controls |
//!
//! # Order
//!
//! A sequence is AUTOREGRESS or ANTICIPATE, then triplets, as many as fit a
//! model's window of 1,024 ids: 341. An *event* is (time, duration, note). Events
//! are sorted by time; those of one time stand as they stood in the file. Where
//! nothing begins for more than a second a rest is put in, (time, 10000, 27512),
//! every second. A *control* is an event's ids with 27,513 added to each. It
//! stands after the first event that is no more than five seconds before it,
//! counting 0 as an event. Times count from the sequence's earliest.
//!
//! ```
//! use continuo_codec::{Anticipation, Encoding, Instrument, Note, Score};
//!
//! // Ticks of a hundredth of a second.
//! let mut score = Score::new(50);
//! let piano = |start, duration, pitch| Note {
//!     start, instrument: Instrument::PIANO, pitch, duration, velocity: 64,
//! };
//! score.notes = vec![
//!     piano(0, 50, 60), piano(0, 50, 64), piano(0, 50, 67),
//!     piano(51, 12, 72),
//!     piano(1563, 1500, 74),
//!     Note { instrument: Instrument::DRUMS, ..piano(3063, 6, 36) },
//! ];
//! let ids = [
//!     0, 10050, 11060, // time 0, half a second, piano, pitch 60
//!     0, 10050, 11064,
//!     0, 10050, 11067,
//!     51, 10012, 11072,
//!     1563, 10999, 11074, // no note is longer than 9.99 seconds
//!     3063, 10006, 27420, // drum kit, pitch 36
//! ];
//! assert_eq!(Anticipation.encode(&score)?, ids);
//! assert_eq!(Anticipation.decode(&ids)?.notes[4].duration, 999);
//! # Ok::<(), continuo_codec::EncodingError>(())
//! ```
//!
//! # What is not kept
//!
//! - Velocity: every note is read back at 72. Pedal and other controllers, names.
//! - Tempo and meter: time is in seconds.
//! - Onsets and durations go to the nearest tick, halves to the even one. No
//!   duration is more than 999 ticks.
//!
//! # Where this differs from the original
//!
//! - A rest cannot be drawn in the place of a time or a duration, an answer's
//!   first event is a note, a rest lasts 0 ticks and moves on, and a note lasts
//!   at least one; the original leaves these to chance.
//! - Controls of the first 0.05 seconds are not dropped.
//! - Reading back, an event later than 275.13 seconds keeps its time; the original
//!   takes it for a control's.

mod clock;
mod decode;
mod encode;
mod grammar;
pub mod ops;
mod players;
mod prompt;
mod stream;
mod training;
pub mod vocab;

pub use decode::decode_midi;
pub use encode::encode_midi;
pub use prompt::{Span, prompt};
pub use training::chunks;

use crate::encoding::{Clock, Continuation, Encoding, EncodingError, Stream, Window};
use crate::limits::{Limits, Placement};
use crate::mido::Refusal;
use crate::score::{Instrument, Note, Score};
use stream::AnticipationStream;

/// Why a MIDI file cannot be spelled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnticipationError {
    /// The original refuses this file.
    #[error("byte {offset} of the MIDI file: {reason}")]
    Midi {
        /// Where in the file, in bytes.
        offset: usize,
        /// What was found there.
        reason: &'static str,
    },
    /// The original has no spelling for silence.
    #[error("the MIDI file has no note")]
    NoNotes,
}

impl From<Refusal> for AnticipationError {
    fn from(Refusal { offset, reason }: Refusal) -> Self {
        Self::Midi { offset, reason }
    }
}

/// The Anticipatory Music Transformer's encoding.
///
/// An answer is played by the instruments of its phrase, the piano where it has
/// none, and lasts at most 90 seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Anticipation;

impl Anticipation {
    /// As [`Encoding::continuation_within`], with notes the answer has to go with: of
    /// the phrase's notes that begin in the window or after it those that `kept`
    /// picks. All of those before the window are its past. The placement in the
    /// limits says nothing here.
    ///
    /// Keep the other instruments' notes for an accompaniment by `players`; those
    /// after the window to fill a gap; those in the window to play over them.
    ///
    /// # Errors
    /// As [`Encoding::continuation_within`].
    pub fn around(
        &self,
        phrase: &Score,
        window: Window,
        limits: &Limits,
        max_ids: usize,
        kept: &dyn Fn(&Note) -> bool,
        players: &[Instrument],
    ) -> Result<Continuation, EncodingError> {
        prompt::around(phrase, window, limits, max_ids, kept, players)
    }
}

impl Encoding for Anticipation {
    fn name(&self) -> &'static str {
        "anticipation"
    }

    fn vocab_size(&self) -> usize {
        vocab::VOCAB_SIZE as usize
    }

    fn clock(&self) -> Clock {
        Clock::Seconds
    }

    /// Events without rests, as [`encode_midi`] spells the file that
    /// [`crate::midi::write()`] makes of the score, except that notes may overlap.
    /// Notes that begin together stand in the score's order. Times count from
    /// the score's beginning and may go past the vocabulary, see there.
    fn encode(&self, score: &Score) -> Result<Vec<u32>, EncodingError> {
        Ok(encode::spelled(score)?.into_iter().flat_map(|(_, event)| event).collect())
    }

    /// Reads events and rests of one piece, up to 100 seconds of it; a first id
    /// AUTOREGRESS or ANTICIPATE may stand before them.
    fn stream(&self) -> Box<dyn Stream> {
        Box::new(AnticipationStream::piece())
    }

    /// Over the phrase, its notes in the window are controls.
    fn continuation_within(
        &self,
        phrase: &Score,
        window: Window,
        limits: &Limits,
        max_ids: usize,
    ) -> Result<Continuation, EncodingError> {
        let players: Vec<Instrument> = phrase.notes.iter().map(|note| note.instrument).collect();
        let along =
            |note: &Note| limits.placement == Placement::Over && phrase.beats(note.start) < window.until;
        prompt::around(phrase, window, limits, max_ids, &along, &players)
    }

    /// Reads any sequence: controls sound like events, pieces follow one another,
    /// and what is incomplete at its end is left out.
    fn decode(&self, ids: &[u32]) -> Result<Score, EncodingError> {
        decode::decode(ids)
    }
}
