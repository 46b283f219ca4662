//! Text to notes, strictly: what [`Encoding::decode`](crate::Encoding::decode)
//! reads. [`super::decode_midi`] is the lenient one.

/// A note with its times in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Seen {
    pub(super) pitch: u8,
    pub(super) start: f64,
    pub(super) duration: f64,
    pub(super) velocity: u8,
}

/// Reads `pitch_start_duration_velocity`, or tells where it stops being one: the
/// length of the text where it only ends too early.
pub(super) fn read(text: &str) -> Result<Seen, usize> {
    let mut reader = Reader { text, at: 0 };
    let pitch = reader.integer(0..=127)?;
    reader.expect(b'_')?;
    let start = reader.time()?;
    reader.expect(b'_')?;
    let duration = reader.time()?;
    reader.expect(b'_')?;
    let velocity = reader.integer(1..=127)?;
    reader.expect(b'.')?;
    reader.expect(b'0')?;
    if reader.at == text.len() { Ok(Seen { pitch, start, duration, velocity }) } else { Err(reader.at) }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn expect(&mut self, byte: u8) -> Result<(), usize> {
        let found = self.text.as_bytes().get(self.at) == Some(&byte);
        self.at += usize::from(found);
        if found { Ok(()) } else { Err(self.at) }
    }

    /// One to four digits.
    fn digits(&mut self) -> Result<&'a str, usize> {
        let rest = &self.text[self.at..];
        let length = rest.bytes().take_while(u8::is_ascii_digit).count();
        if length == 0 || length > 4 {
            return Err(self.at + length.min(4));
        }
        self.at += length;
        Ok(&rest[..length])
    }

    fn integer(&mut self, range: std::ops::RangeInclusive<u8>) -> Result<u8, usize> {
        let number = self.digits()?.parse().ok().filter(|number| range.contains(number));
        number.ok_or(self.at - 1)
    }

    fn time(&mut self) -> Result<f64, usize> {
        let from = self.at;
        self.digits()?;
        self.expect(b'.')?;
        self.digits()?;
        self.text[from..self.at].parse().map_err(|_| from)
    }
}
