//! The seed's text to MIDI files.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use super::{TextError, python};

/// Seconds a tick of the files that are written: 220 ticks a beat at 120 beats a
/// minute.
const SECONDS_A_TICK: f64 = 60.0 / (120.0 * 220.0);

/// Who plays a decoded text, which does not say so itself.
///
/// Parsing never fails: what is not one of the four names is the piano.
/// ```
/// use continuo_codec::text::TextInstrument;
/// assert_eq!("electric piano".parse(), Ok(TextInstrument::ElectricPiano));
/// assert_eq!("kazoo".parse(), Ok(TextInstrument::Piano));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TextInstrument {
    /// `piano`: program 0.
    #[default]
    Piano,
    /// `electric piano`: program 4.
    ElectricPiano,
    /// `bass`: program 33.
    Bass,
    /// `drums`: channel 10.
    Drums,
}

impl TextInstrument {
    /// Channel, counting from 0, and program.
    const fn place(self) -> (u8, u8) {
        match self {
            Self::Piano => (0, 0),
            Self::ElectricPiano => (0, 4),
            Self::Bass => (0, 33),
            Self::Drums => (9, 0),
        }
    }
}

impl FromStr for TextInstrument {
    type Err = Infallible;

    fn from_str(name: &str) -> Result<Self, Infallible> {
        Ok(match name {
            "electric piano" => Self::ElectricPiano,
            "bass" => Self::Bass,
            "drums" => Self::Drums,
            _ => Self::Piano,
        })
    }
}

impl fmt::Display for TextInstrument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Piano => "piano",
            Self::ElectricPiano => "electric piano",
            Self::Bass => "bass",
            Self::Drums => "drums",
        })
    }
}

/// Makes a MIDI file of a text, to the byte as the seed does.
///
/// Pieces between spaces that are no note, or lack a part, are passed over.
///
/// # Errors
/// [`TextError::NoNotes`] where nothing is left, [`TextError::Note`] where a note
/// is impossible: the seed fails on both.
pub fn decode_midi(text: &str, instrument: TextInstrument) -> Result<Vec<u8>, TextError> {
    let mut presses = Vec::new();
    let mut offset = 0;
    for piece in text.split(' ') {
        if let Some(note) = Spelled::read(piece) {
            note.press(offset, &mut presses)?;
        }
        offset += piece.len() + 1;
    }
    if presses.is_empty() {
        return Err(TextError::NoNotes);
    }
    // All ticks are whole and none is NaN.
    presses.sort_by(|a, b| a.tick.total_cmp(&b.tick).then((a.pitch, a.velocity).cmp(&(b.pitch, b.velocity))));
    Ok(file(&presses, instrument))
}

/// How many pieces of a text [`decode_midi`] passes over: whatever is between spaces and no
/// note. Line breaks and tabs are no spaces to the seed.
#[must_use]
pub fn passed_over(text: &str) -> usize {
    text.split(' ').filter(|piece| !piece.is_empty() && Spelled::read(piece).is_none()).count()
}

/// A note as it was spelled; it may be impossible.
struct Spelled {
    pitch: i32,
    start: f64,
    end: f64,
    velocity: i32,
}

impl Spelled {
    fn read(piece: &str) -> Option<Self> {
        let mut parts = piece.split('_');
        let (pitch, start, duration, velocity) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let pitch = python::int(pitch)?;
        let start = python::float(start)?;
        let end = start + python::float(duration)?;
        let velocity = python::float(velocity).filter(|velocity| velocity.is_finite())?;
        // A number that its field cannot hold stops the seed while it fills the
        // fields in, and the note stays as it is.
        Some(match pitch {
            None => Self { pitch: 0, start: 0.0, end: 0.0, velocity: 0 },
            Some(pitch) => Self { pitch, start, end, velocity: truncate(velocity).unwrap_or(0) },
        })
    }

    /// Adds the note's two events.
    fn press(&self, offset: usize, presses: &mut Vec<Press>) -> Result<(), TextError> {
        let refuse = |reason| Err(TextError::Note { offset, reason });
        if self.end < self.start {
            return refuse("its duration is below 0");
        }
        let seven_bits = |number: i32| u8::try_from(number).ok().filter(|&number| number < 128);
        let Some(pitch) = seven_bits(self.pitch) else {
            return refuse("its pitch is not between 0 and 127");
        };
        let Some(velocity) = seven_bits(self.velocity) else {
            return refuse("its velocity is not between 0 and 127");
        };
        let (Some(start), Some(end)) = (tick(self.start), tick(self.end)) else {
            return refuse("its time is not finite");
        };
        presses.push(Press { tick: start, pitch, velocity });
        presses.push(Press { tick: end, pitch, velocity: 0 });
        Ok(())
    }
}

/// The whole part, where it fits.
fn truncate(number: f64) -> Option<i32> {
    let whole = number.trunc();
    let fits = f64::from(i32::MIN) <= whole && whole <= f64::from(i32::MAX);
    #[expect(clippy::cast_possible_truncation, reason = "it fits")]
    fits.then_some(whole as i32)
}

/// The nearest tick, ties to even: a whole number, however large.
fn tick(seconds: f64) -> Option<f64> {
    if seconds <= 0.0 {
        return Some(0.0);
    }
    let ticks = (seconds / SECONDS_A_TICK).round_ties_even();
    ticks.is_finite().then_some(ticks)
}

/// A note-on; with velocity 0 it is a note-off.
struct Press {
    tick: f64,
    pitch: u8,
    velocity: u8,
}

fn file(presses: &[Press], instrument: TextInstrument) -> Vec<u8> {
    let (channel, program) = instrument.place();
    let mut track = vec![0, 0xc0 | channel, program];
    let mut now = 0.0;
    for (i, press) in presses.iter().enumerate() {
        pause(&mut track, now, press.tick);
        if i == 0 {
            track.push(0x90 | channel);
        }
        track.extend([press.pitch, press.velocity]);
        now = press.tick;
    }
    track.extend([1, 0xff, 0x2f, 0]);
    let mut bytes = b"MThd\0\0\0\x06\0\x01\0\x02\0\xdc".to_vec();
    bytes.extend(b"MTrk\0\0\0\x13\0\xff\x51\x03\x07\xa1\x20\0\xff\x58\x04\x04\x02\x18\x08\x01\xff\x2f\0");
    bytes.extend(b"MTrk");
    bytes.extend(u32::try_from(track.len()).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend(track);
    bytes
}

/// Appends the ticks between two others as a number of variable length.
fn pause(track: &mut Vec<u8>, from: f64, to: f64) {
    let (from, to) = (septets(from), septets(to));
    // The difference, lowest seven bits first.
    let mut borrow = 0;
    let mut difference: Vec<u8> = Vec::with_capacity(to.len());
    for (i, &digit) in to.iter().enumerate() {
        let taken = from.get(i).copied().unwrap_or(0) + borrow;
        borrow = u8::from(digit < taken);
        difference.push(digit + borrow * 128 - taken);
    }
    let length = difference.iter().rposition(|&digit| digit > 0).unwrap_or(0) + 1;
    for (i, digit) in difference.iter().enumerate().take(length).rev() {
        track.push(if i == 0 { *digit } else { digit | 0x80 });
    }
}

/// A whole number in base 128, lowest digit first, at least one. Exact for every
/// finite number, the largest of which has 147 digits.
fn septets(mut number: f64) -> Vec<u8> {
    let mut digits = Vec::new();
    loop {
        let rest = number % 128.0;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 127")]
        digits.push(rest as u8);
        // Exact: the difference is a multiple of 128, and so has no more bits.
        number = (number - rest) / 128.0;
        if number == 0.0 {
            return digits;
        }
    }
}
