//! Music in several spellings: MIDI files, [`Score`]s, and the encodings a model
//! reads. Pure: bytes and values in, bytes and values out; no files, no model.
//!
//! - [`score`]: the score all conversions pass through.
//! - [`midi`]: standard MIDI files to scores and back.
//! - [`encoding`]: the trait every encoding keeps, and what a model needs of it.
//! - [`beat`]: Continuo's own encoding, in bars and beats.
//! - [`midilike`]: MidiTok's MIDILike tokens, those of MIDI Gen AI's later models.
//! - [`text`]: MIDI Gen AI's text encoding, byte for byte.
#![forbid(unsafe_code)]

pub mod beat;
pub mod encoding;
pub mod midi;
pub mod midilike;
pub mod score;
pub mod text;

pub use beat::Beat;
pub use encoding::{Clock, Continuation, Encoding, EncodingError, Event, IdSet, Stream, TimedNote, Window};
pub use midilike::MidiLike;
pub use score::{Instrument, Meter, Note, Score, Tempo};
pub use text::Text;
