//! What an answer is held to, as it is typed.

use std::ops::RangeInclusive;

use clap::Args;
use continuo_codec::Score;
use continuo_codec::limits::{Density, Limits, Placement, Rhythm, Scale, natural};
use continuo_engine::Window;

use crate::bars;

/// Limits on the notes of an answer.
#[derive(Clone, Debug, Default, PartialEq, Args)]
#[command(next_help_heading = "Limits on the notes")]
pub struct LimitArgs {
    /// Pitches of this key or scale only, as in "C major", "F# dorian", "Bb minor pentatonic"
    #[arg(long, value_name = "SCALE")]
    pub key: Option<Scale>,
    /// Lowest and highest pitch, as numbers or names (60 and C4 are middle C)
    #[arg(long, value_name = "LOW-HIGH", value_parser = pitches)]
    pub range: Option<RangeInclusive<u8>>,
    /// At most so many notes at once; 1 gives a single line
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=32))]
    pub polyphony: Option<u8>,
    /// Onsets on so many places of a beat only: 1 quarters, 2 eighths, 3 triplets, 4 sixteenths
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=24))]
    pub grid: Option<u8>,
    /// At most so many notes a beat; 0.5 is one in two beats
    #[arg(long, value_name = "NOTES", value_parser = density)]
    pub density: Option<Density>,
    /// Take onsets and lengths from the phrase, new pitches only
    #[arg(long)]
    pub keep_rhythm: bool,
    /// Lay the answer over the phrase, from the phrase's first bar on, instead of after it
    #[arg(long)]
    pub over: bool,
}

impl LimitArgs {
    /// The limits on an answer to a phrase.
    ///
    /// # Errors
    /// Where the rhythm is to be kept of a phrase that has none.
    pub fn limits(&self, phrase: &Score, window: Window) -> anyhow::Result<Limits> {
        let free = Limits::default();
        Ok(Limits {
            scale: self.key,
            range: self.range.clone().unwrap_or(free.range),
            polyphony: self.polyphony,
            grid: self.grid,
            density: self.density,
            rhythm: self.keep_rhythm.then(|| rhythm(phrase, window)).transpose()?,
            placement: if self.over { Placement::Over } else { Placement::After },
        })
    }
}

/// The phrase's rhythm, from the bar its first note lies in to that of its last.
fn rhythm(phrase: &Score, window: Window) -> anyhow::Result<Rhythm> {
    let beats = |tick: u64| u32::try_from(tick).map_or(f64::MAX, |tick| phrase.beats(tick));
    let from = beats(bars::line_at_or_before(phrase, bars::begin(phrase)));
    let until = beats(bars::line_at_or_after(phrase, bars::end(phrase)));
    // An answer that begins within a bar takes up the rhythm as it would go on.
    let until = if window.from > from { window.from.min(until) } else { until };
    Ok(Rhythm::of(phrase, from, until)?)
}

fn density(text: &str) -> Result<Density, String> {
    let number = text.parse().ok().and_then(Density::per_beat);
    number.ok_or_else(|| "give a number of notes a beat above 0, for example 2 or 0.5".to_owned())
}

fn pitches(text: &str) -> Result<RangeInclusive<u8>, String> {
    let ends = text.split_once(['-', ':']).and_then(|(low, high)| Some((pitch(low)?, pitch(high)?)));
    match ends {
        Some((low, high)) if low <= high => Ok(low..=high),
        Some((low, high)) => Err(format!("{low} lies above {high}; the lower pitch comes first")),
        None => Err("give two pitches, for example 48-72 or C3-C5".to_owned()),
    }
}

/// A MIDI number, or a name with its octave; C4 is 60.
fn pitch(text: &str) -> Option<u8> {
    let text = text.trim();
    if let Ok(number) = text.parse::<u8>() {
        return (number < 128).then_some(number);
    }
    let mut letters = text.chars();
    let natural = i32::from(natural(letters.next()?)?);
    let rest = letters.as_str();
    let (shift, octave) = match rest.strip_prefix('#') {
        Some(octave) => (1, octave),
        None => rest.strip_prefix('b').map_or((0, rest), |octave| (-1, octave)),
    };
    let octave: i32 = octave.parse().ok().filter(|octave| (0..=9).contains(octave))?;
    u8::try_from((octave + 1) * 12 + natural + shift).ok().filter(|&pitch| pitch < 128)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pitches_are_numbers_or_names() {
        for (text, expected) in [
            ("48-72", 48..=72),
            ("C4-C5", 60..=72),
            ("bb0-G9", 22..=127),
            ("F#2:66", 42..=66),
            ("60-60", 60..=60),
        ] {
            assert_eq!(pitches(text), Ok(expected), "{text}");
        }
        for text in ["", "60", "72-48", "0-128", "H2-C4", "C-C5", "G#9-G9"] {
            assert!(pitches(text).is_err(), "{text}");
        }
    }
}
