//! Seconds to text, in the seed's arithmetic.

use std::fmt::Write as _;

/// Appends a note as text, after a space where it is not the first.
pub(super) fn spell(text: &mut String, pitch: u8, start: f64, duration: f64, velocity: u8) {
    if !text.is_empty() {
        text.push(' ');
    }
    let mut digits = Digits::default();
    if let (Some(start), Some(duration)) = (hundredths(start), hundredths(duration)) {
        digits.integer(pitch.into());
        digits.byte(b'_');
        digits.hundredths(start);
        digits.byte(b'_');
        digits.hundredths(duration);
        digits.byte(b'_');
        digits.integer(velocity.into());
        text.push_str(digits.as_str());
        text.push_str(".0");
        return;
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

/// A number rounded to whole hundredths, where plain arithmetic is exact enough
/// to tell which: far from the middle between two.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "what is cast is whole, not negative, and below 10^9"
)]
fn hundredths(seconds: f64) -> Option<u32> {
    let scaled = seconds * 100.0;
    if !(seconds.is_sign_positive() && scaled < 1e9) {
        return None;
    }
    let below = scaled.floor();
    let above_half = scaled - below - 0.5;
    // The product is off by 2^-24 at most.
    (above_half.abs() > 1e-6).then_some(below as u32 + u32::from(above_half > 0.0))
}

/// The longest note that is spelled at once: two numbers of seven digits and a
/// half, two of three digits, and what is between.
const WIDEST: usize = 40;

/// A note's text in the making.
struct Digits {
    bytes: [u8; WIDEST],
    length: usize,
}

impl Default for Digits {
    fn default() -> Self {
        Self { bytes: [0; WIDEST], length: 0 }
    }
}

impl Digits {
    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }

    fn byte(&mut self, byte: u8) {
        self.bytes[self.length] = byte;
        self.length += 1;
    }

    fn digit(&mut self, digit: u32) {
        self.byte(b"0123456789"[(digit % 10) as usize]);
    }

    fn integer(&mut self, number: u32) {
        let mut unit = 1;
        while number / unit >= 10 {
            unit *= 10;
        }
        while unit > 0 {
            self.digit(number / unit);
            unit /= 10;
        }
    }

    fn hundredths(&mut self, number: u32) {
        self.integer(number / 100);
        self.byte(b'.');
        self.digit(number / 10);
        if !number.is_multiple_of(10) {
            self.digit(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the formatter of the standard library makes of it, which rounds the
    /// exact value.
    fn slow(pitch: u8, start: f64, duration: f64, velocity: u8) -> String {
        let mut text = format!("{pitch}_");
        number(&mut text, start);
        text.push('_');
        number(&mut text, duration);
        text + &format!("_{velocity}.0")
    }

    #[test]
    fn numbers_are_spelled_as_their_exact_values_round() {
        let halves = (0..4000_u32).map(|n| f64::from(n) / 200.0);
        let eighths = (0..4000_u32).map(|n| f64::from(n) / 8.0);
        let odd = (0..4000_u32).map(|n| f64::from(n) * f64::from(n) * 0.37 / 3.0);
        let far =
            [9.999_999e6, 1e7, 1e9, 1e15, 1e300, 0.004_999_999, 0.005, 0.994_999_999_999, 0.995, -0.0, -1.0];
        let values: Vec<f64> = halves.chain(eighths).chain(odd).chain(far).collect();
        for (n, &value) in values.iter().enumerate() {
            // The neighbours of each, where rounding may turn.
            for value in [value, value.next_up(), value.next_down()] {
                let pitch = u8::try_from(n % 128).unwrap_or(0);
                let mut text = String::new();
                spell(&mut text, pitch, value, 0.25, 127 - pitch);
                assert_eq!(text, slow(pitch, value, 0.25, 127 - pitch));
                text.clear();
                spell(&mut text, pitch, 1.5, value, 1);
                assert_eq!(text, slow(pitch, 1.5, value, 1));
            }
        }
    }
}
