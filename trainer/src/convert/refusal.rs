//! Why a file is not converted, and where in it that was seen.

use std::fmt;

use continuo_codec::midi::MidiError;
use continuo_codec::text::TextError;

/// Why one file could not be converted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// One sentence.
    pub reason: String,
    /// The byte in the file where it was noticed, where that is known.
    pub offset: Option<usize>,
}

impl Refusal {
    pub(super) fn new(reason: impl fmt::Display) -> Self {
        Self { reason: reason.to_string(), offset: None }
    }
}

impl From<TextError> for Refusal {
    fn from(error: TextError) -> Self {
        let offset = match &error {
            TextError::Midi { offset, .. }
            | TextError::Note { offset, .. }
            | TextError::Character { offset, .. }
            | TextError::Run { offset } => Some(*offset),
            _ => None,
        };
        Self { reason: error.to_string(), offset }
    }
}

impl From<MidiError> for Refusal {
    fn from(error: MidiError) -> Self {
        let offset = match &error {
            MidiError::NoHeader { offset }
            | MidiError::NotRmid { offset }
            | MidiError::ShortHeader { offset, .. }
            | MidiError::Division { offset, .. }
            | MidiError::NoTracks { offset }
            | MidiError::TooLong { offset, .. } => Some(*offset),
            _ => None,
        };
        Self { reason: error.to_string(), offset }
    }
}
