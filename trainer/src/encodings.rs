//! The encodings by name.

use clap::ValueEnum;
use continuo_codec::Encoding;
use serde::{Deserialize, Serialize};

/// An encoding, as it is typed and as model folders store it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EncodingName {
    /// MIDI Gen AI's `pitch_start_duration_velocity`, times in seconds
    Text,
    /// Bars, positions on a grid of 24 a beat, programs, drums, meter and tempo
    Beat,
    /// The Anticipatory Music Transformer's: time, duration and note, in hundredths of a second
    Anticipation,
    /// MidiTok's MIDILike as MIDI Gen AI's later models have it: note-ons, note-offs, time shifts
    Midilike,
}

impl EncodingName {
    /// The encoding of a name, as model folders and data sets store it.
    ///
    /// # Errors
    /// Tells the names there are.
    pub fn named(name: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_value(serde_json::Value::String(name.to_owned()))
    }

    /// As it is typed.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Beat => "beat",
            Self::Anticipation => "anticipation",
            Self::Midilike => "midilike",
        }
    }

    /// Counts changes of the vocabulary or its order; model folders store it.
    #[must_use]
    pub const fn version(self) -> u32 {
        match self {
            Self::Text | Self::Anticipation | Self::Midilike => 1,
            Self::Beat => continuo_codec::beat::VERSION,
        }
    }

    /// The encoding itself.
    #[must_use]
    pub fn encoding(self) -> Box<dyn Encoding> {
        match self {
            Self::Text => Box::new(continuo_codec::text::Text),
            Self::Beat => Box::new(continuo_codec::beat::Beat),
            Self::Anticipation => Box::new(continuo_codec::Anticipation),
            Self::Midilike => Box::new(continuo_codec::MidiLike::default()),
        }
    }
}
