//! Music in several spellings: MIDI files, [`Score`]s, and the encodings a model
//! reads. Pure: bytes and values in, bytes and values out; no files, no model.
//!
//! - [`score`]: the score all conversions pass through.
//! - [`midi`]: standard MIDI files to scores and back.
//! - [`encoding`]: the trait every encoding keeps, and what a model needs of it.
//! - [`limits`]: what an answer is held to: scale, range, grid and their like.
//! - [`beat`]: Continuo's own encoding, in bars and beats.
//! - [`midilike`]: MidiTok's MIDILike tokens, those of MIDI Gen AI's later models.
//! - [`text`]: MIDI Gen AI's text encoding, byte for byte.
//! - [`anticipation`]: the Anticipatory Music Transformer's encoding, id for id.
#![forbid(unsafe_code)]

pub mod anticipation;
pub mod beat;
pub mod encoding;
pub mod limits;
pub mod midi;
pub mod midilike;
mod mido;
pub mod score;
mod seconds;
pub mod text;

pub use anticipation::Anticipation;
pub use beat::Beat;
pub use encoding::{Clock, Continuation, Encoding, EncodingError, Event, IdSet, Stream, TimedNote, Window};
pub use limits::{Density, Limits, Placement, Rhythm, Scale};
pub use midilike::MidiLike;
pub use score::{Instrument, Meter, Note, Score, Tempo};
pub use text::Text;
