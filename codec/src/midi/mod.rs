//! Standard MIDI files to scores and back.
//!
//! [`read`] takes what a DAW would take: files of any type, bare or wrapped in
//! RIFF, and those that are damaged but can be salvaged. [`write()`] and
//! [`write_tracks`] give type 1 files.
//!
//! What reading decides:
//! - Tempo and meter count from whichever track holds them; of several on one
//!   tick the last counts. A tempo of 0, a numerator of 0 and a denominator
//!   above 128 are passed over.
//! - Tracks sound together, also those of a type 2 file or of a type there is not.
//! - A note-off ends the oldest open note of its track, channel and pitch; a
//!   note that is never closed ends with its track.
//! - A note's instrument is the drum kit on channel 10, elsewhere the program its
//!   own track last set on the channel, or else the one any other track set.
//! - Where the file counts in SMPTE frames, a beat is half a second: ticks are
//!   doubled, so that the resolution `frames * subframes` is whole, and tempo
//!   events do not count. 29.97 frames a second are 30 at 500,500 microseconds a
//!   beat, which is exact.

mod events;
mod names;
mod open;
mod read;
mod write;

pub(crate) use events::quick;
pub use read::read;
pub(crate) use read::{order, read_unordered};
pub use write::{Track, write, write_tracks};

/// The drum channel, counting from 0.
pub(crate) const DRUM_CHANNEL: u8 = 9;

/// Why bytes cannot be read as a MIDI file. Offsets count bytes from the start of
/// the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MidiError {
    /// No MIDI header where one has to be.
    #[error("not a MIDI file: no `MThd` header at byte {offset}")]
    NoHeader {
        /// Where it was looked for.
        offset: usize,
    },
    /// A RIFF file that wraps something else.
    #[error("a RIFF file without MIDI inside (no `RMID` form with a `data` chunk, at byte {offset})")]
    NotRmid {
        /// Where it was looked for.
        offset: usize,
    },
    /// The header ends before its three numbers.
    #[error("the MIDI header at byte {offset} is cut off: it needs 14 bytes and has {found}")]
    ShortHeader {
        /// Where the header begins.
        offset: usize,
        /// How many bytes it has.
        found: usize,
    },
    /// A resolution of 0, or SMPTE frames at a rate there is none of.
    #[error("the time division {division:#06x} (byte {offset}) means no number of ticks a beat")]
    Division {
        /// Where the division stands.
        offset: usize,
        /// The division as it stands.
        division: u16,
    },
    /// A header and nothing more.
    #[error("the MIDI file has no track: no `MTrk` chunk from byte {offset} on")]
    NoTracks {
        /// Where the first was looked for.
        offset: usize,
    },
    /// Music further from its beginning than a score can count.
    #[error(
        "track {track}, byte {offset}: an event at tick {tick}, beyond the last that can be held, 4294967295"
    )]
    TooLong {
        /// The track, counting from 0.
        track: usize,
        /// Where the event begins.
        offset: usize,
        /// Its tick.
        tick: u64,
    },
}
