//! What every encoding offers: scores to ids, ids to notes as they complete, and
//! the ids that may come next, so that nothing sampled is ever wasted.
//!
//! A model is continued in three steps. [`Encoding::continuation`] turns the
//! phrase into prompt ids and a [`Stream`] that stands where the answer begins;
//! each sampled id is one of [`Stream::allowed`] and is handed to
//! [`Stream::push`], which gives back what it completed; the take is over when
//! [`Stream::finished`] says so. Where the model's window fills up,
//! [`Stream::shorten`] drops the oldest music.

use std::ops::Range;

use crate::limits::Limits;
use crate::score::{Instrument, Score};

/// What the times of an encoding's notes are counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// Quarter notes since tick 0 of the score.
    Beats,
    /// Seconds since tick 0 of the score.
    Seconds,
}

/// A note with its times in the encoding's [`Clock`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TimedNote {
    /// Onset.
    pub start: f64,
    /// Length, above 0.
    pub duration: f64,
    /// MIDI pitch, 0..=127.
    pub pitch: u8,
    /// MIDI velocity, 1..=127.
    pub velocity: u8,
    /// Who plays it.
    pub instrument: Instrument,
}

/// What an id completed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event {
    /// A note is determined.
    Note(TimedNote),
    /// No later note will begin before this time.
    Reached(f64),
    /// The tempo from this time on, in microseconds a beat.
    Tempo {
        /// Where it begins.
        at: f64,
        /// Microseconds a quarter note.
        micros_per_beat: u32,
    },
    /// The meter from this time on.
    Meter {
        /// Where it begins.
        at: f64,
        /// Upper number.
        numerator: u8,
        /// Lower number.
        denominator: u8,
    },
}

/// A set of token ids: sorted, disjoint, non-empty ranges.
///
/// ```
/// use continuo_codec::IdSet;
/// let mut set = IdSet::default();
/// set.add(4..6);
/// set.add(9..10);
/// assert!(set.contains(5) && !set.contains(6));
/// assert_eq!(set.len(), 3);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdSet {
    ranges: Vec<Range<u32>>,
}

impl IdSet {
    /// Empties the set and keeps its memory.
    pub fn clear(&mut self) {
        self.ranges.clear();
    }

    /// Adds ids; a range must begin at or after the end of the last one added.
    pub fn add(&mut self, ids: Range<u32>) {
        if ids.is_empty() {
            return;
        }
        match self.ranges.last_mut() {
            Some(last) if last.end == ids.start => last.end = ids.end,
            last => {
                debug_assert!(last.is_none_or(|l| l.end < ids.start), "ranges come in order");
                self.ranges.push(ids);
            }
        }
    }

    /// Whether an id is in the set.
    #[must_use]
    pub fn contains(&self, id: u32) -> bool {
        let after = self.ranges.partition_point(|r| r.end <= id);
        self.ranges.get(after).is_some_and(|r| r.contains(&id))
    }

    /// How many ids the set has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ranges.iter().map(ExactSizeIterator::len).sum()
    }

    /// Whether no id is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The ranges in ascending order.
    #[must_use]
    pub fn ranges(&self) -> &[Range<u32>] {
        &self.ranges
    }
}

/// Where an answer lies, in beats since tick 0 of the phrase's score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    /// The answer's first note sounds here.
    pub from: f64,
    /// No note of the answer begins at or after this.
    pub until: f64,
}

/// A phrase made ready for a model.
pub struct Continuation {
    /// The prompt: what the model reads before the first sampled id.
    pub ids: Vec<u32>,
    /// Takes it from there. Clone it once a take.
    pub stream: Box<dyn Stream>,
}

/// Why a score or ids cannot be converted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodingError {
    /// An id that may not stand where it stands.
    #[error("id {id} at position {position} cannot stand there: {reason}")]
    UnexpectedId {
        /// The id.
        id: u32,
        /// Its index in what was decoded.
        position: usize,
        /// What was wrong with it.
        reason: &'static str,
    },
    /// A score that the encoding cannot hold.
    #[error("the score cannot be encoded: {0}")]
    Score(String),
    /// A window that ends before it begins, or a prompt too short for any phrase.
    #[error("the answer's place is impossible: {0}")]
    Window(String),
    /// Limits that leave nothing to play.
    #[error("the limits cannot be kept: {0}")]
    Limits(String),
}

/// Reads ids one at a time.
pub trait Stream: Send {
    /// Takes the next id and appends what it completed to `events`.
    ///
    /// # Errors
    /// [`EncodingError::UnexpectedId`] for an id outside [`Stream::allowed`]; the
    /// stream is unchanged then.
    fn push(&mut self, id: u32, events: &mut Vec<Event>) -> Result<(), EncodingError>;

    /// Replaces `ids` with those that may come next; empty only when finished.
    fn allowed(&self, ids: &mut IdSet);

    /// Whether the music is over: the window is full or an end id was pushed.
    fn finished(&self) -> bool;

    /// Shortens a history (the prompt and all ids pushed since) to at most `max`
    /// ids by dropping the oldest music. What remains is valid and means the same
    /// at its end, so the model can be given it in place of the whole.
    fn shorten(&mut self, history: &[u32], max: usize) -> Vec<u32>;

    /// A copy in the same state, for another take.
    fn boxed_clone(&self) -> Box<dyn Stream>;
}

/// A way to spell music in token ids.
pub trait Encoding: Send + Sync {
    /// The name users see and model folders store.
    fn name(&self) -> &'static str;

    /// How many ids there are; a model's output has as many rows.
    fn vocab_size(&self) -> usize;

    /// What the times of a stream's events are counted in.
    fn clock(&self) -> Clock;

    /// Spells a score.
    ///
    /// # Errors
    /// [`EncodingError::Score`] where the encoding cannot hold it.
    fn encode(&self, score: &Score) -> Result<Vec<u32>, EncodingError>;

    /// A stream that stands before the first id of a piece.
    fn stream(&self) -> Box<dyn Stream>;

    /// Makes a prompt of at most `max_ids` ids from a phrase, and a stream whose
    /// notes fill the window: the first exactly at its beginning (or where the
    /// limits first leave room for one), none before, none at or after its end, tempo
    /// and meter left as the phrase has them, every limit kept. Works for a phrase
    /// without notes too.
    ///
    /// # Errors
    /// [`EncodingError::Window`] where window or length are impossible,
    /// [`EncodingError::Limits`] where the limits leave nothing to play, and
    /// [`EncodingError::Score`] where the phrase cannot be held.
    fn continuation_within(
        &self,
        phrase: &Score,
        window: Window,
        limits: &Limits,
        max_ids: usize,
    ) -> Result<Continuation, EncodingError>;

    /// [`Encoding::continuation_within`] no limits.
    ///
    /// # Errors
    /// As that.
    fn continuation(
        &self,
        phrase: &Score,
        window: Window,
        max_ids: usize,
    ) -> Result<Continuation, EncodingError> {
        self.continuation_within(phrase, window, &Limits::default(), max_ids)
    }

    /// Reads a whole piece back.
    ///
    /// # Errors
    /// [`EncodingError::UnexpectedId`] names the first id that is out of place.
    fn decode(&self, ids: &[u32]) -> Result<Score, EncodingError>;
}
