//! Seconds to text, in the seed's arithmetic.

use std::fmt::Write as _;

/// Appends a note as text, after a space where it is not the first.
pub(super) fn spell(text: &mut String, pitch: u8, start: f64, duration: f64, velocity: u8) {
    let Some((from, length)) = hundredths(start).zip(hundredths(duration)) else {
        return spell_slowly(text, pitch, start, duration, velocity);
    };
    // From its end to its beginning, as digits come.
    let mut note = Backwards::default();
    note.bytes(b"0.");
    note.integer(velocity.into());
    note.bytes(b"_");
    note.hundredths(length);
    note.bytes(b"_");
    note.hundredths(from);
    note.bytes(b"_");
    note.integer(pitch.into());
    if !text.is_empty() {
        note.bytes(b" ");
    }
    text.push_str(note.as_str());
}

fn spell_slowly(text: &mut String, pitch: u8, start: f64, duration: f64, velocity: u8) {
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

/// A number rounded to whole hundredths, an exact middle to the even one, as
/// formatting to two decimals does; `None` where it is negative or large.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "what is cast is below 10^9 and not negative"
)]
fn hundredths(seconds: f64) -> Option<u32> {
    let scaled = seconds * 100.0;
    if !(seconds.is_sign_positive() && scaled < 1e9) {
        return None;
    }
    let below = scaled as u32;
    let middle = f64::from(below) + 0.5;
    let mut beyond = scaled - middle;
    // The product is off by 2^-24 at most. Where that matters it is taken exactly.
    if beyond.abs() < 1e-6 {
        beyond = seconds.mul_add(100.0, -middle);
    }
    Some(below + u32::from(beyond > 0.0 || (beyond == 0.0 && below % 2 == 1)))
}

/// The longest note that is spelled at once: two numbers of ten characters, two
/// of three, and seven between.
const WIDEST: usize = 40;

/// A note's text, written from its end.
struct Backwards {
    text: [u8; WIDEST],
    /// Where it begins so far.
    begin: usize,
}

impl Default for Backwards {
    fn default() -> Self {
        Self { text: [0; WIDEST], begin: WIDEST }
    }
}

impl Backwards {
    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.text[self.begin..]).unwrap_or_default()
    }

    /// Bytes that are backwards too.
    fn bytes(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.begin -= 1;
            self.text[self.begin] = byte;
        }
    }

    fn digit(&mut self, number: u32) {
        self.bytes(&[b"0123456789"[(number % 10) as usize]]);
    }

    fn integer(&mut self, mut number: u32) {
        loop {
            self.digit(number);
            number /= 10;
            if number == 0 {
                return;
            }
        }
    }

    fn hundredths(&mut self, number: u32) {
        if !number.is_multiple_of(10) {
            self.digit(number);
        }
        self.digit(number / 10);
        self.bytes(b".");
        self.integer(number / 100);
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
