//! Continuo's own encoding: bars, positions in the bar, notes.
//!
//! # Vocabulary
//!
//! Version 2, 896 ids. The constants are in [`vocab`].
//!
//! | ids | name | meaning |
//! |---|---|---|
//! | 0 | PAD | fills up a batch |
//! | 1 | START | begins a piece |
//! | 2 | END | ends it |
//! | 3 | MASK | a bar to be filled in (reserved) |
//! | 4, 5 | FILL, FILL_END | around the filling (reserved) |
//! | 6..=15 | | reserved |
//! | 16 | BAR | begins a bar |
//! | 17 | FAR | adds 192 to the next POSITION; may be repeated |
//! | 18..=25 | DENSITY | 8 levels (reserved) |
//! | 26..=33 | POLYPHONY | 8 levels (reserved) |
//! | 34..=41 | LOWEST | lowest pitch, 8 levels (reserved) |
//! | 42..=49 | HIGHEST | highest pitch, 8 levels (reserved) |
//! | 50..=113 | NUMERATOR | of the meter, 1..=64 |
//! | 114..=119 | DENOMINATOR | 1, 2, 4, 8, 16, 32 |
//! | 120..=151 | TEMPO_HIGH | whole beats a minute / 16, 0..=31 |
//! | 152..=167 | TEMPO_LOW | whole beats a minute % 16, 0..=15 |
//! | 168..=359 | POSITION | steps since the bar line, 0..=191 |
//! | 360..=487 | PROGRAM | General MIDI program 0..=127 |
//! | 488 | DRUMS | the drum kit |
//! | 489..=520 | VELOCITY | level 0..=31: velocity / 4, read back as level * 4 + 2 |
//! | 521..=648 | PITCH | 0..=127 |
//! | 649..=776 | DRUM | a pitch of the drum kit, 0..=127 |
//! | 777..=860 | DURATION | [`DURATIONS`](vocab::DURATIONS): 1..=48, to 96 by 4, to 192 by 12, to 384 by 24, to 768 by 48 |
//! | 861 | TEMPO_FAR | adds 512 beats a minute to the tempo that follows; up to nine |
//! | 862..=876 | TEMPO_PART | adds 1..=15 sixteenths of a beat a minute to it |
//! | 877..=895 | | unused |
//!
//! # Order
//!
//! A quarter note has 24 steps. A piece is START, its bars, END. A bar is BAR, the
//! meter (NUMERATOR DENOMINATOR) if it is a new one, and positions in ascending
//! order. A position is POSITION, after one FAR for each whole 192 steps, then the
//! tempo (TEMPO_HIGH TEMPO_LOW) if it is a new one, then notes. Before TEMPO_HIGH
//! stands TEMPO_PART where the tempo is no whole number, or, from 512 beats a minute
//! on, where all are whole, a TEMPO_FAR for each 512. The first bar always says its
//! meter, and the tempo at its POSITION 0; any other position has a tempo or a note.
//!
//! A note is PITCH DURATION. Before it stands the instrument (PROGRAM or DRUMS) if
//! it is not the one that played last (at first the piano), and then VELOCITY
//! if the level is not that of this instrument's last note (at first 16). The drum
//! kit's notes are DRUM alone and 6 steps long, or up to the next onset of the same
//! drum. At one position the instrument that played last comes first and the others
//! follow, ascending; each instrument's pitches ascend.
//!
//! A piece has at most 524,288 bars, no more than 4,096 empty ones in a row. END
//! follows a bar that is not empty. So every score has one spelling, and every
//! piece the grammar lets through is the spelling of what it means.
//!
//! ```
//! use continuo_codec::{Beat, Encoding, Instrument, Note, Score};
//!
//! let mut score = Score::new(480);
//! let bass = Instrument::program(32).unwrap_or_default();
//! score.notes = vec![
//!     Note { start: 0, instrument: Instrument::PIANO, pitch: 60, duration: 480, velocity: 64 },
//!     Note { start: 0, instrument: bass, pitch: 36, duration: 960, velocity: 80 },
//!     Note { start: 960, instrument: Instrument::DRUMS, pitch: 38, duration: 10, velocity: 64 },
//!     Note { start: 1920, instrument: bass, pitch: 43, duration: 240, velocity: 81 },
//! ];
//! let ids = [
//!     1, // START
//!     16, 53, 116, // BAR, 4/4
//!     168, 127, 160, // POSITION 0, 7 * 16 + 8 beats a minute
//!     581, 800, // PITCH 60, DURATION 24; the piano at level 16 as nothing else is said
//!     392, 509, 557, 824, // PROGRAM 32, VELOCITY 20, PITCH 36, DURATION 48
//!     216, 488, 687, // POSITION 48, DRUMS, DRUM 38
//!     16, 168, // BAR, POSITION 0
//!     392, 564, 788, // PROGRAM 32, still at level 20, PITCH 43, DURATION 12
//!     2, // END
//! ];
//! assert_eq!(Beat.encode(&score)?, ids);
//! assert_eq!(Beat.decode(&ids)?.notes[3].start, 96);
//! # Ok::<(), continuo_codec::EncodingError>(())
//! ```
//!
//! The prompt of an answer says whole tempos up to 511, as version 1 did.
//!
//! # What is not kept
//!
//! - Onsets go to the nearest step, the later of two equally near; durations to the
//!   nearest that has an id, 1 step at least and 768 at most. Of one instrument's
//!   notes of one pitch at one step the longest and loudest stands for all.
//! - Tempos go to the nearest sixteenth of a beat a minute, from 512 on to the nearest
//!   whole. They begin at 3 9/16, the slowest of a MIDI file, and end at 5,119. Of
//!   several at one step the last counts.
//! - A meter the vocabulary lacks becomes the nearest it has: thirty-seconds in
//!   place of smaller parts, and numerators above 64 halved along with their
//!   denominators until they fit, rounding up.
//! - A change of meter within a bar ends the bar there. What there is of it is
//!   written as a bar with a meter of its own, of the same denominator or the next
//!   finer that measures it. Where none does, the change moves to the nearer bar line.
//! - Nothing is said of what follows the last note, tempo and meter.

mod answer;
mod edit;
mod encode;
mod frame;
mod grammar;
mod grid;
mod meter;
mod shorten;
mod stream;
pub mod vocab;
mod writer;

pub use edit::{chunks, scale_velocity, transpose, whole_tempos};
pub use encode::{Losses, SpellError, Spelled, encode_counted, encode_midi};
pub use vocab::{VERSION, VOCAB_SIZE};

use crate::encoding::{Clock, Continuation, Encoding, EncodingError, Stream, Window};
use crate::limits::Limits;
use crate::score::{Meter, Note, Score, Tempo};
use grammar::Step;
use stream::BeatStream;

/// Continuo's own encoding. Windows go to the grid: the answer begins at the first
/// step that is not before its window.
#[derive(Clone, Copy, Debug, Default)]
pub struct Beat;

impl Encoding for Beat {
    fn name(&self) -> &'static str {
        "beat"
    }

    fn vocab_size(&self) -> usize {
        VOCAB_SIZE as usize
    }

    fn clock(&self) -> Clock {
        Clock::Beats
    }

    fn encode(&self, score: &Score) -> Result<Vec<u32>, EncodingError> {
        encode_counted(score).map(|(ids, _)| ids)
    }

    fn stream(&self) -> Box<dyn Stream> {
        Box::new(BeatStream::new())
    }

    fn continuation_within(
        &self,
        phrase: &Score,
        window: Window,
        limits: &Limits,
        max_ids: usize,
    ) -> Result<Continuation, EncodingError> {
        answer::continuation(phrase, window, limits, max_ids)
    }

    /// The score has 24 ticks a beat. A note that is not complete at the end of
    /// `ids` is left out.
    fn decode(&self, ids: &[u32]) -> Result<Score, EncodingError> {
        let mut score = Score::new(24);
        let mut stream = BeatStream::new();
        // The last note of each drum: it ends where the drum is struck again.
        let mut struck: [Option<usize>; 128] = [None; 128];
        for &id in ids {
            let step = stream.step(id)?;
            let (bar, position) = (stream.bar_start(), stream.position());
            match step {
                Step::Pending | Step::Bar | Step::Position | Step::Heard(_) | Step::End => {}
                Step::Meter(meter) => score.meters.push(Meter {
                    tick: bar,
                    numerator: meter.numerator,
                    denominator: meter.denominator(),
                }),
                Step::Tempo(tempo) => score
                    .tempos
                    .push(Tempo { tick: position, micros_per_beat: vocab::micros_per_beat(tempo) }),
                Step::Note(sound) => {
                    let instrument = sound.player();
                    if instrument.is_drums() {
                        let last = &mut struck[usize::from(sound.pitch)];
                        if let Some(note) = last.and_then(|index| score.notes.get_mut(index)) {
                            note.duration = note.duration.min(position - note.start);
                        }
                        *last = Some(score.notes.len());
                    }
                    score.notes.push(Note {
                        start: position,
                        instrument,
                        pitch: sound.pitch,
                        duration: sound.steps(),
                        velocity: sound.velocity(),
                    });
                }
            }
        }
        score.normalize();
        Ok(score)
    }
}
