//! MidiTok's MIDILike tokens, as MIDI Gen AI's second generation of models reads them.

mod config;
mod encode;
mod file;
mod vocab;
mod writer;

use std::sync::Arc;

use config::Config;
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
