//! The events of a track, in one pass over its bytes.
//!
//! Damage is read as players read it: running status outlives meta events,
//! real-time bytes count for nothing, a number of variable length ends after four
//! bytes, and what the end of the track cuts off is as long as it still is.

/// What happens, as far as a score depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A channel message: its status and one or two data bytes, each below 128.
    Message { status: u8, data: [u8; 2] },
    /// Microseconds a beat.
    Tempo(u32),
    /// The numerator, and the denominator as a power of two.
    Meter { numerator: u8, exponent: u8 },
    /// The track says that it ends.
    End,
    /// Only its pause counts.
    Other,
}

/// Reads a track's events one by one.
pub(super) struct Events<'a> {
    body: &'a [u8],
    at: usize,
    /// The last status of a channel message.
    running: u8,
}

impl<'a> Events<'a> {
    pub(super) const fn new(body: &'a [u8]) -> Self {
        Self { body, at: 0, running: 0 }
    }

    /// Where the next event begins in the track's body.
    pub(super) const fn position(&self) -> usize {
        self.at
    }

    /// The pause in ticks and the event after it; `None` where the track ends or
    /// cannot be read any further.
    #[inline]
    pub(super) fn next(&mut self) -> Option<(u32, Event)> {
        let delta = self.number();
        let &status = self.body.get(self.at)?;
        if status < 0x80 {
            return Some((delta, self.message(self.running)?));
        }
        self.at += 1;
        if status >= 0xf0 {
            return Some((delta, self.system(status)?));
        }
        self.running = status;
        Some((delta, self.message(status)?))
    }

    /// A channel message. `None` also where there is no running status.
    #[inline]
    fn message(&mut self, status: u8) -> Option<Event> {
        let rest = self.body.get(self.at..)?;
        if status & 0xe0 == 0xc0 {
            let &data @ 0..0x80 = rest.first()? else { return None };
            self.at += 1;
            return Some(Event::Message { status, data: [data, 0] });
        }
        let &[first, second, ..] = rest else { return None };
        if (first | second | !status) & 0x80 != 0 {
            return None;
        }
        self.at += 2;
        Some(Event::Message { status, data: [first, second] })
    }

    fn system(&mut self, status: u8) -> Option<Event> {
        match status {
            0xff => return self.meta(),
            0xf0 | 0xf7 => {
                self.data();
            }
            0xf1 | 0xf3 => self.pass_over(1)?,
            0xf2 => self.pass_over(2)?,
            _ => {}
        }
        Some(Event::Other)
    }

    fn meta(&mut self) -> Option<Event> {
        let &kind = self.body.get(self.at)?;
        self.at += 1;
        Some(match (kind, self.data()) {
            (0x2f, _) => Event::End,
            (0x51, &[a, b, c, ..]) => Event::Tempo(u32::from_be_bytes([0, a, b, c])),
            (0x58, &[numerator, exponent, _, _, ..]) => Event::Meter { numerator, exponent },
            _ => Event::Other,
        })
    }

    fn pass_over(&mut self, bytes: usize) -> Option<()> {
        self.at += bytes;
        (self.at <= self.body.len()).then_some(())
    }

    /// The data of a meta or system exclusive event.
    fn data(&mut self) -> &'a [u8] {
        let length = usize::try_from(self.number()).unwrap_or(usize::MAX);
        let rest = self.body.get(self.at..).unwrap_or_default();
        let data = &rest[..length.min(rest.len())];
        self.at += data.len();
        data
    }

    /// A number of variable length.
    #[inline]
    fn number(&mut self) -> u32 {
        let mut number = 0;
        for _ in 0..4 {
            let Some(&byte) = self.body.get(self.at) else { break };
            self.at += 1;
            number = number << 7 | u32::from(byte & 0x7f);
            if byte < 0x80 {
                break;
            }
        }
        number
    }
}
