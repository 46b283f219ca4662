//! How values are shown, and read when typed.

use std::sync::Arc;

use nice_plug::prelude::*;

/// The names of the twelve pitch classes.
const PITCHES: [&str; 12] = ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"];

/// A whole number, one value of which is a word.
pub(super) fn whole_or(
    name: &str,
    default: i32,
    (min, max): (i32, i32),
    at: i32,
    word: &'static str,
) -> IntParam {
    IntParam::new(name, default, IntRange::Linear { min, max })
        .with_value_to_string(Arc::new(move |n| if n == at { word.to_owned() } else { n.to_string() }))
        .with_string_to_value(Arc::new(move |s| word_or(s, word, at)))
}

/// A number of bars; 0 is a word.
pub(super) fn bars(name: &str, default: i32, max: i32, word: &'static str) -> IntParam {
    let bars = |n| if n == 1 { "1 bar".to_owned() } else { format!("{n} bars") };
    IntParam::new(name, default, IntRange::Linear { min: 0, max })
        .with_value_to_string(Arc::new(move |n| if n == 0 { word.to_owned() } else { bars(n) }))
        .with_string_to_value(Arc::new(move |s| {
            let number = s.trim().trim_end_matches(char::is_alphabetic);
            word_or(if is_word(s, word) { s } else { number }, word, 0)
        }))
}

/// A number with two digits, one value of which is "Off".
pub(super) fn fraction_or_off(name: &str, default: f32, (min, max): (f32, f32), off: f32) -> FloatParam {
    FloatParam::new(name, default, FloatRange::Linear { min, max })
        .with_step_size(0.01)
        .with_value_to_string(Arc::new(move |p| {
            if (p - off).abs() < 0.005 { "Off".to_owned() } else { format!("{p:.2}") }
        }))
        .with_string_to_value(Arc::new(move |s| if is_word(s, "off") { Some(off) } else { finite(s, "") }))
}

/// A number of notes a beat; 0 is any.
pub(super) fn density(name: &str) -> FloatParam {
    FloatParam::new(name, 0.0, FloatRange::Linear { min: 0.0, max: 16.0 })
        .with_step_size(0.25)
        .with_value_to_string(Arc::new(
            |n| {
                if n < 0.125 { "Any".to_owned() } else { format!("{n:.2} a beat") }
            },
        ))
        .with_string_to_value(Arc::new(|s| if is_word(s, "any") { Some(0.0) } else { finite(s, "a beat") }))
}

/// A share, shown in percent.
pub(super) fn percent(name: &str, default: f32) -> FloatParam {
    FloatParam::new(name, default, FloatRange::Linear { min: 0.0, max: 1.0 })
        .with_step_size(0.01)
        .with_unit(" %")
        .with_value_to_string(Arc::new(|p| format!("{:.0}", p * 100.0)))
        .with_string_to_value(Arc::new(|s| finite(s, "%").map(|p| p / 100.0)))
}

/// A MIDI key by its name; `off` is a value that stands for none.
pub(super) fn key(name: &str, default: i32, off: Option<&'static str>) -> IntParam {
    let min = if off.is_some() { -1 } else { 0 };
    IntParam::new(name, default, IntRange::Linear { min, max: 127 })
        .with_value_to_string(Arc::new(move |n| match (u8::try_from(n), off) {
            (Ok(n), _) => key_name(n),
            (Err(_), off) => off.unwrap_or_default().to_owned(),
        }))
        .with_string_to_value(Arc::new(move |s| match off {
            Some(word) if is_word(s, word) => Some(-1),
            _ => read_key(s),
        }))
}

/// A MIDI key's name; 60 is C4, as most sequencers have it.
#[must_use]
pub fn key_name(key: u8) -> String {
    format!("{}{}", PITCHES[usize::from(key % 12)], i32::from(key / 12) - 1)
}

/// Reads a key's name, in sharps or flats, or its number.
fn read_key(text: &str) -> Option<i32> {
    let text = text.trim();
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let split = text.find(|c: char| c.is_ascii_digit() || c == '-')?;
    let (name, octave) = text.split_at(split);
    let octave: i32 = octave.parse().ok()?;
    let mut letters = name.chars();
    let natural = i32::from(continuo_codec::limits::natural(letters.next()?)?);
    let accidental = match letters.as_str() {
        "" => 0,
        "#" => 1,
        "b" => -1,
        _ => return None,
    };
    Some(octave.checked_add(1)?.checked_mul(12)? + natural + accidental).filter(|key| (0..128).contains(key))
}

/// Reads a whole number, or the word that stands for one.
fn word_or(text: &str, word: &str, value: i32) -> Option<i32> {
    if is_word(text, word) { Some(value) } else { text.trim().parse().ok() }
}

fn is_word(text: &str, word: &str) -> bool {
    text.trim().eq_ignore_ascii_case(word)
}

/// Reads a number with or without its unit; "NaN" is none.
pub(super) fn finite(text: &str, unit: &str) -> Option<f32> {
    let text = text.trim();
    let number = text.strip_suffix(unit).unwrap_or(text).trim();
    number.parse().ok().filter(|n: &f32| n.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", "NaN", "inf", "off", "beats"] {
            assert_eq!(finite(text, "beats"), None, "{text}");
        }
        assert_eq!((finite(" 2.5 beats", "beats"), finite("3", "beats")), (Some(2.5), Some(3.0)));
        assert_eq!(
            (word_or("OFF ", "off", 0), word_or("7", "off", 0), word_or("x", "off", 0)),
            (Some(0), Some(7), None)
        );
    }

    #[test]
    fn keys_are_read_as_they_are_written() {
        for key in 0..128_u8 {
            assert_eq!(read_key(&key_name(key)), Some(i32::from(key)));
        }
        assert_eq!((read_key("Bb3"), read_key("60"), read_key("c-1")), (Some(58), Some(60), Some(0)));
        for text in ["", "H4", "C", "Cx4", "C99999999999", "G#9"] {
            assert_eq!(read_key(text), None, "{text}");
        }
    }
}
