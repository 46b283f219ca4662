//! Seconds to text, in the seed's arithmetic.

use std::fmt::Write as _;

/// Appends a note as text, after a space where it is not the first.
pub(super) fn spell(text: &mut String, pitch: u8, start: f64, duration: f64, velocity: u8) {
    if !text.is_empty() {
        text.push(' ');
    }
    let _ = write!(text, "{pitch}_");
    number(text, start);
    text.push('_');
    number(text, duration);
    let _ = write!(text, "_{velocity}.0");
}

/// Two decimals, of which the last is left out where it is 0.
pub(super) fn number(text: &mut String, seconds: f64) {
    let _ = write!(text, "{seconds:.2}");
    if text.ends_with('0') {
        text.pop();
    }
}
