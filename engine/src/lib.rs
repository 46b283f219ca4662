//! Phrase in, takes out: where the encodings meet the model. Plugin and command
//! line ask this crate alone for music.
//!
//! - [`device`]: what a model runs on.
//! - [`engine`]: a model with its encoding, shared by all who use it.
//! - [`feel`]: an answer played as the player plays.
//! - [`fingerprint`]: tells models apart.
//! - [`generation`]: one request, from phrase to notes as they complete.
//! - [`source`]: where models come from: embedded, or a folder.
//! - [`time`]: seconds to beats, for encodings that count in seconds.
//! - [`worker`]: the thread that answers while somebody plays.

pub mod device;
pub mod engine;
pub mod feel;
pub mod fingerprint;
pub mod generation;
pub mod source;
pub mod time;
pub mod worker;

pub use continuo_codec::limits;
pub use continuo_codec::{Instrument, Limits, Meter, Note, Score, Tempo, Window};
pub use continuo_model::Sampling;
pub use device::DeviceChoice;
pub use engine::{Engine, EngineError};
pub use feel::{Feel, Follower};
pub use generation::{BeatNote, Ending, Pace, Reading, Request, TakeEvent};
