//! MidiTok's MIDILike tokens, by their properties.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod answers;
mod canonical;
mod limits;
#[path = "../beat/random.rs"]
mod random;
mod shortening;
