//! What an answer is held to while it is drawn: scale, range, polyphony, grid,
//! density, rhythm, and where it lies to the phrase.
//!
//! [`Limits`] is what is asked for. Each stands for itself and all can be had at
//! once, in every encoding: an id that would break one is never offered, and one
//! that could only lead to a break is not offered either. What cannot be had at
//! all is an [`EncodingError::Limits`](crate::EncodingError::Limits) before the
//! first id.
//!
//! - `scale`: keys and scales by name.
//! - `rhythm`: the onsets and lengths of a phrase.
//! - `ledger`: keeps account of an answer's notes, for the grammars.

pub(crate) mod ledger;
mod rhythm;
mod scale;

use std::ops::RangeInclusive;

pub use rhythm::{Beat as RhythmBeat, Rhythm};
pub use scale::{Scale, ScaleError, natural};

/// Limits on an answer's notes. [`Limits::default`] has none.
///
/// Scale, range and polyphony do not bind the drum kit, whose pitches are not
/// pitches and whose notes have no length.
///
/// ```
/// use continuo_codec::limits::{Limits, Scale};
/// let limits = Limits {
///     scale: Some("D dorian".parse::<Scale>()?),
///     range: 48..=72,
///     polyphony: Some(3),
///     grid: Some(4),
///     ..Limits::default()
/// };
/// assert!(!limits.none());
/// # Ok::<(), continuo_codec::limits::ScaleError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Pitches of this scale only.
    pub scale: Option<Scale>,
    /// Pitches from the lowest to the highest, MIDI numbers.
    pub range: RangeInclusive<u8>,
    /// At most so many notes sound at once, 1 or more.
    pub polyphony: Option<u8>,
    /// Onsets on every such part of a quarter note only, counted from tick 0 of
    /// the phrase: 1 for quarters, 2 for eighths, 3 for triplets, 4 for
    /// sixteenths; up to 24.
    pub grid: Option<u8>,
    /// How many notes may begin in a stretch of time.
    pub density: Option<Density>,
    /// A note at each onset of this rhythm and at no other, as long as it says.
    /// Where another limit leaves no room at an onset it is passed over, and a note
    /// of the phrase that sounds along there counts.
    pub rhythm: Option<Rhythm>,
    /// Where the answer lies to the phrase.
    pub placement: Placement,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            scale: None,
            range: 0..=127,
            polyphony: None,
            grid: None,
            density: None,
            rhythm: None,
            placement: Placement::After,
        }
    }
}

impl Limits {
    /// Whether an answer is as free as without them.
    #[must_use]
    pub fn none(&self) -> bool {
        *self == Self::default()
    }
}

/// Where an answer lies to the phrase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Placement {
    /// After it: what the phrase has from the window's beginning on is not heard.
    #[default]
    After,
    /// Over it: the phrase's notes inside the window sound along, and the model
    /// hears them. They are no notes of the answer.
    Over,
}

/// At most `notes` onsets in every `beats` quarter notes, counted from the
/// window's beginning.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Density {
    /// How many notes, 1 or more.
    pub notes: u32,
    /// How long a stretch is, in quarter notes, above 0.
    pub beats: f64,
}

impl Density {
    /// At most so many notes a quarter note; below 1, one note in a longer
    /// stretch. `None` where the number is not above 0.
    #[must_use]
    pub fn per_beat(notes: f64) -> Option<Self> {
        if !(notes > 0.0 && notes.is_finite()) {
            return None;
        }
        if notes < 1.0 {
            return Some(Self { notes: 1, beats: 1.0 / notes });
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
        let whole = notes.floor() as u32;
        Some(Self { notes: whole, beats: f64::from(whole) / notes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_density_is_as_many_notes_a_beat_as_asked_for() {
        for notes in [0.1, 0.25, 1.0, 1.5, 4.0, 7.7] {
            let density = Density::per_beat(notes).unwrap();
            assert!((f64::from(density.notes) / density.beats - notes).abs() < 1e-9, "{notes}");
        }
        for notes in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(Density::per_beat(notes), None);
        }
    }
}
