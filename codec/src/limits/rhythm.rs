//! The rhythm of a phrase: when its notes begin and how long they last.

use crate::encoding::EncodingError;
use crate::score::Score;

/// Onsets nearer than this are one, in quarter notes: players do not strike the
/// notes of a chord at quite the same time.
const TOGETHER: f64 = 1.0 / 16.0;

/// One onset of a rhythm, in quarter notes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Beat {
    /// Since the rhythm's beginning.
    pub at: f64,
    /// How long its notes last, above 0.
    pub duration: f64,
}

/// Onsets and lengths that repeat. An answer begins with the rhythm's beginning.
#[derive(Clone, Debug, PartialEq)]
pub struct Rhythm {
    beats: Vec<Beat>,
    period: f64,
}

impl Rhythm {
    /// A rhythm of some onsets, repeated every `period` quarter notes.
    ///
    /// # Errors
    /// [`EncodingError::Limits`] where there is no onset, one outside
    /// `0..period`, or a length that is not above 0.
    pub fn new(mut beats: Vec<Beat>, period: f64) -> Result<Self, EncodingError> {
        let error = |what: &str| Err(EncodingError::Limits(format!("the rhythm {what}")));
        if beats.is_empty() {
            return error("has no note; play one, or leave the rhythm free");
        }
        if !(period > 0.0 && period.is_finite()) {
            return error("lasts no time");
        }
        if beats.iter().any(|beat| !(0.0..period).contains(&beat.at)) {
            return error("has a note outside of its length");
        }
        if beats.iter().any(|beat| !(beat.duration > 0.0 && beat.duration.is_finite())) {
            return error("has a note without length");
        }
        beats.sort_by(|a, b| a.at.total_cmp(&b.at));
        beats.dedup_by(|later, kept| {
            let together = later.at - kept.at < TOGETHER;
            if together {
                kept.duration = kept.duration.max(later.duration);
            }
            together
        });
        Ok(Self { beats, period })
    }

    /// The rhythm of a phrase's notes between two times, in quarter notes since
    /// its tick 0. Notes that begin together last as long as the longest of them.
    ///
    /// # Errors
    /// As [`Rhythm::new`].
    pub fn of(phrase: &Score, from: f64, until: f64) -> Result<Self, EncodingError> {
        let notes = phrase.notes.iter().map(|note| {
            let duration = phrase.beats(note.duration.max(1));
            Beat { at: phrase.beats(note.start) - from, duration }
        });
        let period = until - from;
        Self::new(notes.filter(|beat| (0.0..period).contains(&beat.at)).collect(), period)
    }

    /// Its onsets in order.
    #[must_use]
    pub fn beats(&self) -> &[Beat] {
        &self.beats
    }

    /// How long it is before it repeats, in quarter notes.
    #[must_use]
    pub const fn period(&self) -> f64 {
        self.period
    }

    /// All its onsets from its beginning on, without end.
    pub(crate) fn unrolled(&self) -> impl Iterator<Item = Beat> + '_ {
        let starts = std::iter::successors(Some(0.0_f64), |round| Some(round + 1.0));
        starts.flat_map(move |round| {
            self.beats.iter().map(move |beat| Beat { at: round * self.period + beat.at, ..*beat })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::{Instrument, Note};

    #[test]
    fn a_phrase_gives_its_onsets_and_longest_lengths() {
        let mut phrase = Score::new(480);
        let note = |start, duration| Note {
            start,
            instrument: Instrument::PIANO,
            pitch: 60,
            duration,
            velocity: 80,
        };
        // A chord struck unevenly, a note before and one after.
        phrase.notes = vec![note(0, 480), note(1920, 240), note(1930, 480), note(2880, 0), note(3840, 9)];
        let rhythm = Rhythm::of(&phrase, 4.0, 8.0).unwrap();
        let beats = [Beat { at: 0.0, duration: 1.0 }, Beat { at: 2.0, duration: 1.0 / 480.0 }];
        assert_eq!(rhythm.beats(), beats);
        let unrolled: Vec<f64> = rhythm.unrolled().map(|beat| beat.at).take(5).collect();
        assert_eq!(unrolled, [0.0, 2.0, 4.0, 6.0, 8.0]);
    }

    #[test]
    fn impossible_rhythms_are_refused() {
        let beat = |at, duration| Beat { at, duration };
        for (beats, period) in [
            (vec![], 4.0),
            (vec![beat(0.0, 1.0)], 0.0),
            (vec![beat(4.0, 1.0)], 4.0),
            (vec![beat(f64::NAN, 1.0)], 4.0),
            (vec![beat(0.0, 0.0)], 4.0),
            (vec![beat(0.0, 1.0)], f64::INFINITY),
        ] {
            assert!(matches!(Rhythm::new(beats, period), Err(EncodingError::Limits(_))));
        }
    }
}
