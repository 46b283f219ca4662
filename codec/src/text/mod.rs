//! The text of MIDI Gen AI, the seed this project grew from, byte for byte in
//! both directions.
//!
//! A note is `pitch_start_duration_velocity`, times in seconds, and notes are
//! joined by one space: `57_0.0_0.75_70.0 61_0.38_0.75_52.0`. Models trained on
//! its published data read and write exactly this, so [`encode_midi`] and
//! [`decode_midi`] do what the seed's Python does, its refusals and oddities
//! included.

mod decode;
mod encode;
mod encoding;
mod grammar;
mod held;
mod note;
mod python;
mod seconds;
mod stream;
mod tokens;

pub use decode::{TextInstrument, decode_midi, passed_over};
pub use encode::encode_midi;
pub use encoding::Text;
pub use tokens::{END_OF_TEXT, from_ids, ids};

use crate::mido::Refusal;

/// Why something cannot become text, or text something else.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// The seed drops this MIDI file.
    #[error("byte {offset} of the MIDI file: {reason}")]
    Midi {
        /// Where in the file, in bytes.
        offset: usize,
        /// What was found there.
        reason: &'static str,
    },
    /// The text spells no note.
    #[error("the text has no note: notes are spelled like `57_0.0_0.75_70.0`, with a space between them")]
    NoNotes,
    /// A note that cannot be.
    #[error("the note at byte {offset} of the text is impossible: {reason}")]
    Note {
        /// Where the note begins in the text, in bytes.
        offset: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A character that the text does not have.
    #[error("{found:?} at byte {offset} of the text: it consists of digits, points, underscores and spaces")]
    Character {
        /// Where it stands, in bytes.
        offset: usize,
        /// The character.
        found: char,
    },
    /// A number, or whatever it is, without end.
    #[error("more than a thousand characters in one run at byte {offset} of the text")]
    Run {
        /// Where it begins, in bytes.
        offset: usize,
    },
    /// An id that spells something else than music.
    #[error("id {id} at position {position} does not spell music")]
    Id {
        /// The id.
        id: u32,
        /// Its index in what was decoded.
        position: usize,
    },
}

impl From<Refusal> for TextError {
    fn from(Refusal { offset, reason }: Refusal) -> Self {
        Self::Midi { offset, reason }
    }
}
