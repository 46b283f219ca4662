//! Seconds to text, in the seed's arithmetic.

use std::fmt::Write as _;

/// Notes as text, as it grows.
#[derive(Default)]
pub(super) struct Spelling {
    /// The text, and room for more.
    bytes: Vec<u8>,
    end: usize,
}

impl Spelling {
    /// Text of about so many bytes.
    pub(super) fn with_room(bytes: usize) -> Self {
        Self { bytes: vec![0; bytes], end: 0 }
    }

    /// Appends a note, after a space where it is not the first.
    pub(super) fn push(&mut self, pitch: u8, start: f64, duration: f64, velocity: u8) {
        let Some((from, length)) = hundredths(start).zip(hundredths(duration)) else {
            return self.push_slowly(pitch, start, duration, velocity);
        };
        if self.bytes.len() - self.end < WIDEST {
            self.bytes.resize(2 * self.bytes.len() + WIDEST, 0);
        }
        let first = self.end == 0;
        let Some(room) = self.bytes[self.end..].first_chunk_mut() else { return };
        let mut note = Line { room, end: 0 };
        if !first {
            note.byte(b' ');
        }
        note.integer(pitch.into());
        note.byte(b'_');
        note.hundredths(from);
        note.byte(b'_');
        note.hundredths(length);
        note.byte(b'_');
        note.integer(velocity.into());
        note.byte(b'.');
        note.byte(b'0');
        self.end += note.end;
    }

    fn push_slowly(&mut self, pitch: u8, start: f64, duration: f64, velocity: u8) {
        // A small list that grows takes the lock of the thread whose memory it came from.
        let mut note = String::with_capacity(2 * WIDEST);
        if self.end > 0 {
            note.push(' ');
        }
        let _ = write!(note, "{pitch}_");
        number(&mut note, start);
        note.push('_');
        number(&mut note, duration);
        let _ = write!(note, "_{velocity}.0");
        self.bytes.truncate(self.end);
        self.bytes.extend_from_slice(note.as_bytes());
        self.end = self.bytes.len();
    }

    /// It is looked over once here, and not note by note.
    pub(super) fn finish(mut self) -> String {
        self.bytes.truncate(self.end);
        String::from_utf8(self.bytes).unwrap_or_default()
    }
}

/// Two decimals, of which the last is left out where it is 0.
pub(super) fn number(text: &mut String, seconds: f64) {
    let _ = write!(text, "{seconds:.2}");
    if text.ends_with('0') {
        text.pop();
    }
}

/// A number rounded to whole hundredths, an exact middle to the even one, as
/// formatting to two decimals does; `None` where it is negative or has more than three
/// digits before the point.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "what is cast is below 10^5 and not negative"
)]
fn hundredths(seconds: f64) -> Option<u32> {
    let scaled = seconds * 100.0;
    if !(seconds.is_sign_positive() && scaled < 99_999.0) {
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

/// More than the longest note that is spelled at once: a space, two numbers of six
/// characters, two of three, and five between and after them.
const WIDEST: usize = 32;

/// A note's text as it grows.
struct Line<'a> {
    room: &'a mut [u8; WIDEST],
    end: usize,
}

impl Line<'_> {
    fn byte(&mut self, byte: u8) {
        self.room[self.end] = byte;
        self.end += 1;
    }

    /// Below 1000. Three bytes are written at any rate: what follows overwrites
    /// those too many.
    fn integer(&mut self, number: u32) {
        let (digits, length) = INTEGERS[number as usize];
        self.room[self.end..self.end + 3].copy_from_slice(&digits);
        self.end += usize::from(length);
    }

    fn hundredths(&mut self, number: u32) {
        self.integer(number / 100);
        self.byte(b'.');
        let hundredths = number % 100;
        self.byte(b'0' + (hundredths / 10) as u8);
        self.byte(b'0' + (hundredths % 10) as u8);
        // A last 0 is left out.
        self.end -= usize::from(hundredths.is_multiple_of(10));
    }
}

/// The digits of the numbers of up to three, and how many they are.
static INTEGERS: [([u8; 3], u8); 1000] = integers();

#[expect(clippy::cast_possible_truncation, reason = "digits are below 10")]
const fn integers() -> [([u8; 3], u8); 1000] {
    let mut integers = [([b'0'; 3], 1); 1000];
    let mut number = 0;
    while number < 1000 {
        let digits =
            [b'0' + (number / 100) as u8, b'0' + (number / 10 % 10) as u8, b'0' + (number % 10) as u8];
        integers[number] = match number {
            0..10 => ([digits[2], b' ', b' '], 1),
            10..100 => ([digits[1], digits[2], b' '], 2),
            _ => (digits, 3),
        };
        number += 1;
    }
    integers
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
        let far = [
            9.999_999e6,
            1e7,
            999.984,
            999.99,
            999.995,
            1e3,
            1e9,
            1e15,
            1e300,
            0.004_999_999,
            0.005,
            0.994_999_999_999,
            0.995,
            -0.0,
            -1.0,
        ];
        let values: Vec<f64> = halves.chain(eighths).chain(odd).chain(far).collect();
        for (n, &value) in values.iter().enumerate() {
            // The neighbours of each, where rounding may turn.
            for value in [value, value.next_up(), value.next_down()] {
                let pitch = u8::try_from(n % 128).unwrap_or(0);
                let spelled = |start, duration| {
                    let mut text = Spelling::default();
                    text.push(pitch, start, duration, 127 - pitch);
                    text.push(pitch, start, duration, 1);
                    text.finish()
                };
                for (start, duration) in [(value, 0.25), (1.5, value)] {
                    let notes = [127 - pitch, 1].map(|velocity| slow(pitch, start, duration, velocity));
                    assert_eq!(spelled(start, duration), notes.join(" "));
                }
            }
        }
    }
}
