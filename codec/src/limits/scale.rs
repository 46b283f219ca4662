//! Scales by name: a tonic and a mode, as musicians write them.

use std::fmt;
use std::str::FromStr;

/// The pitch classes a melody may use.
///
/// ```
/// use continuo_codec::limits::Scale;
/// let scale: Scale = "Bb minor".parse()?;
/// assert!(scale.contains(58) && scale.contains(61) && !scale.contains(62));
/// assert_eq!(scale, "a# natural-minor".parse()?);
/// # Ok::<(), continuo_codec::limits::ScaleError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    /// Bit 0 for C, bit 1 for C sharp, and so on.
    classes: u16,
}

/// The modes: names, and the degrees in semitones above the tonic.
const MODES: [(&[&str], &[u8]); 15] = [
    (&["major", "ionian", ""], &[0, 2, 4, 5, 7, 9, 11]),
    (&["minor", "natural minor", "aeolian", "m"], &[0, 2, 3, 5, 7, 8, 10]),
    (&["harmonic minor"], &[0, 2, 3, 5, 7, 8, 11]),
    (&["melodic minor"], &[0, 2, 3, 5, 7, 9, 11]),
    (&["dorian"], &[0, 2, 3, 5, 7, 9, 10]),
    (&["phrygian"], &[0, 1, 3, 5, 7, 8, 10]),
    (&["lydian"], &[0, 2, 4, 6, 7, 9, 11]),
    (&["mixolydian"], &[0, 2, 4, 5, 7, 9, 10]),
    (&["locrian"], &[0, 1, 3, 5, 6, 8, 10]),
    (&["major pentatonic", "pentatonic"], &[0, 2, 4, 7, 9]),
    (&["minor pentatonic"], &[0, 3, 5, 7, 10]),
    (&["blues"], &[0, 3, 5, 6, 7, 10]),
    (&["whole tone"], &[0, 2, 4, 6, 8, 10]),
    (&["diminished"], &[0, 2, 3, 5, 6, 8, 9, 11]),
    (&["chromatic"], &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
];

impl Scale {
    /// A scale of some pitch classes, 0 for C to 11 for B; `None` where there is
    /// none, or one above 11.
    #[must_use]
    pub fn of(classes: &[u8]) -> Option<Self> {
        let known = !classes.is_empty() && classes.iter().all(|&class| class < 12);
        known.then(|| Self { classes: classes.iter().fold(0, |set, class| set | 1 << class) })
    }

    /// Whether a pitch belongs to it.
    #[must_use]
    pub const fn contains(self, pitch: u8) -> bool {
        self.classes >> (pitch % 12) & 1 == 1
    }

    /// The names of all modes, for help texts.
    pub fn modes() -> impl Iterator<Item = &'static str> {
        MODES.iter().map(|(names, _)| names[0])
    }
}

/// Why a name is no scale.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no scale; write a tonic and a mode, as in `C major`, `F# dorian` or `Bb minor pentatonic`")]
pub struct ScaleError(String);

impl FromStr for Scale {
    type Err = ScaleError;

    fn from_str(name: &str) -> Result<Self, ScaleError> {
        parse(name).ok_or_else(|| ScaleError(name.to_owned()))
    }
}

/// The pitch class of a note's letter, in capitals or not: 0 for C to 11 for B.
#[must_use]
pub const fn natural(letter: char) -> Option<u8> {
    Some(match letter.to_ascii_uppercase() {
        'C' => 0,
        'D' => 2,
        'E' => 4,
        'F' => 5,
        'G' => 7,
        'A' => 9,
        'B' => 11,
        _ => return None,
    })
}

fn parse(name: &str) -> Option<Scale> {
    let name = name.trim();
    let mut rest = name.chars();
    let mut tonic = natural(rest.next()?)?;
    let accidental = rest.as_str();
    let mode = if let Some(mode) = accidental.strip_prefix(['#', '♯']) {
        tonic += 1;
        mode
    } else if let Some(mode) = accidental.strip_prefix(['b', '♭']) {
        // "B blues" has a space before its b; only a letter beside the tonic
        // is an accidental.
        tonic += 11;
        mode
    } else {
        accidental
    };
    let mode = mode.to_lowercase().replace(['-', '_'], " ");
    let words: Vec<&str> = mode.split_whitespace().collect();
    let mode = words.join(" ");
    let (_, degrees) = MODES.iter().find(|(names, _)| names.contains(&mode.as_str()))?;
    let classes: Vec<u8> = degrees.iter().map(|degree| (tonic + degree) % 12).collect();
    Scale::of(&classes)
}

impl fmt::Display for Scale {
    /// Its pitch classes, from C up.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"];
        let classes = names.iter().enumerate().filter(|(class, _)| self.classes >> class & 1 == 1);
        f.write_str(&classes.map(|(_, name)| *name).collect::<Vec<_>>().join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, expected: &str) {
        assert_eq!(name.parse::<Scale>().unwrap().to_string(), expected, "{name}");
    }

    #[test]
    fn scales_are_read_as_musicians_write_them() {
        check("C major", "C D E F G A B");
        check("c", "C D E F G A B");
        check("Am", "C D E F G A B");
        check("F# dorian", "C# D# E F# G# A B");
        check("B blues", "D E F F# A B");
        check("Bb minor pentatonic", "C# D# F G# A#");
        check("Cb major", "C# D# E F# G# A# B");
        check("E\u{266d} harmonic_minor", "D D# F F# G# A# B");
        check("  g   melodic-minor ", "C D E F# G A A#");
    }

    #[test]
    fn what_is_no_scale_is_refused_with_an_example() {
        for name in ["", "H major", "C sharp", "major", "C majorr"] {
            let error = name.parse::<Scale>().unwrap_err().to_string();
            assert!(error.contains("F# dorian"), "{error}");
        }
        assert_eq!(Scale::of(&[]), None);
        assert_eq!(Scale::of(&[12]), None);
    }

    #[test]
    fn every_mode_begins_on_its_tonic() {
        for mode in Scale::modes() {
            assert!(format!("D {mode}").parse::<Scale>().unwrap().contains(62), "{mode}");
        }
    }
}
