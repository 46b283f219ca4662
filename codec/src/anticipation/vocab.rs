//! The numbers of the vocabulary and of the sequences made of it.
//!
//! All as in `config.py` and `vocab.py` of jthickstun/anticipation.

/// How many ids there are.
pub const VOCAB_SIZE: u32 = 55_028;

/// Ticks a second: times and durations are counted in hundredths of a second.
pub const TICKS_PER_SECOND: u32 = 100;

/// First id of the times.
pub const TIME: u32 = 0;
/// How many times there are.
pub const TIMES: u32 = 10_000;

/// First id of the durations, which is that of duration 0.
pub const DURATION: u32 = TIME + TIMES;
/// How many durations there are.
pub const DURATIONS: u32 = 1_000;
/// The duration of a note that is never closed, in ticks.
pub const UNKNOWN_DURATION: u32 = 25;

/// First id of the notes: `NOTE + PITCHES * instrument + pitch`.
pub const NOTE: u32 = DURATION + DURATIONS;
/// How many pitches an instrument has.
pub const PITCHES: u32 = 128;
/// How many instruments there are; the last is the drum kit.
pub const INSTRUMENTS: u32 = 129;
/// Stands in a note's place where nothing sounds.
pub const REST: u32 = NOTE + PITCHES * INSTRUMENTS;

/// What is added to an event's ids to make them a control's.
pub const CONTROL: u32 = REST + 1;

/// Three of these stand before every piece.
pub const SEPARATOR: u32 = CONTROL + REST;
/// Begins a sequence without controls.
pub const AUTOREGRESS: u32 = SEPARATOR + 1;
/// Begins a sequence with controls.
pub const ANTICIPATE: u32 = SEPARATOR + 2;

/// How far ahead of the music a control stands, in ticks.
pub const LEAD: u32 = 5 * TICKS_PER_SECOND;
/// The longest pause between two events, in ticks: rests fill longer ones.
pub const LONGEST_PAUSE: u32 = TICKS_PER_SECOND;
/// Triplets in a window of 1,024 ids, after its first id.
pub const WINDOW_TRIPLETS: usize = 341;
/// From this many instruments on no other joins.
pub const MOST_INSTRUMENTS: usize = 15;
/// The velocity of every note that is read back.
pub const VELOCITY: u8 = 72;
