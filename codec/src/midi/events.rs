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

    /// The pause in ticks, status and data of the next event, if it is [`quick`].
    /// Otherwise nothing is read.
    #[inline(always)]
    pub(super) fn quick(&mut self) -> Option<(u32, u8, [u8; 2])> {
        let event = quick(self.body, self.at, self.running)?;
        self.running = event.status;
        self.at = event.end;
        Some((event.delta, event.status, event.data))
    }

    /// The pause in ticks and the event after it; `None` where the track ends or
    /// cannot be read any further.
    #[inline]
    pub(super) fn next(&mut self) -> Option<(u32, Event)> {
        // The usual pause is one byte long.
        let (delta, at) = match self.body.get(self.at) {
            Some(&delta @ 0..0x80) => (u32::from(delta), self.at + 1),
            _ => number(self.body, self.at),
        };
        let &first = self.body.get(at)?;
        let (event, at) = if first < 0x80 {
            message(self.body, at, self.running)?
        } else if first < 0xf0 {
            self.running = first;
            message(self.body, at + 1, first)?
        } else {
            system(self.body, at + 1, first)?
        };
        self.at = at;
        Some((delta, event))
    }
}

/// An event as nearly all are.
pub(crate) struct Quick {
    /// The pause before it, in ticks.
    pub(crate) delta: u32,
    pub(crate) status: u8,
    pub(crate) data: [u8; 2],
    /// Where the next event begins.
    pub(crate) end: usize,
}

/// The event at a place if it is what nearly all are: a channel message of two data
/// bytes, each below 128, after a pause of one byte or two.
///
/// `running` is the status that governs where none is said. Every parser reads these
/// the same way, whatever it makes of the others.
#[inline(always)]
pub(crate) fn quick(bytes: &[u8], at: usize, running: u8) -> Option<Quick> {
    // The longest such event has 5 bytes; what ends sooner need not be told apart here. The
    // lengths are numbers and not reckoned, so that a processor that guesses which it is can
    // go on with the next event before it knows.
    match *bytes.get(at..)?.first_chunk()? {
        [pause @ 0..0x80, status @ 0x80..=0xff, a, b, _] => plain(u32::from(pause), status, [a, b], at + 4),
        [pause @ 0..0x80, a, b, _, _] => plain(u32::from(pause), running, [a, b], at + 3),
        [high, low @ 0..0x80, status @ 0x80..=0xff, a, b] => plain(pause(high, low), status, [a, b], at + 5),
        [high, low @ 0..0x80, a, b, _] => plain(pause(high, low), running, [a, b], at + 4),
        _ => None,
    }
}

/// A pause of two bytes, the first above 127.
#[inline(always)]
fn pause(high: u8, low: u8) -> u32 {
    u32::from(high & 0x7f) << 7 | u32::from(low)
}

#[inline(always)]
fn plain(delta: u32, status: u8, data: [u8; 2], end: usize) -> Option<Quick> {
    // 0x80..=0xbf: notes, pressure of keys, controllers.
    let plain = (data[0] | data[1]) < 0x80 && status & 0xc0 == 0x80;
    plain.then_some(Quick { delta, status, data, end })
}

// What follows takes the place and gives back the next, so that a track's place
// need not be kept in memory.

/// A channel message from its data on. `None` also where there is no running
/// status.
#[inline]
fn message(body: &[u8], at: usize, status: u8) -> Option<(Event, usize)> {
    let rest = body.get(at..)?;
    if status & 0xe0 == 0xc0 {
        let &data @ 0..0x80 = rest.first()? else { return None };
        return Some((Event::Message { status, data: [data, 0] }, at + 1));
    }
    let &[first, second, ..] = rest else { return None };
    if (first | second | !status) & 0x80 != 0 {
        return None;
    }
    Some((Event::Message { status, data: [first, second] }, at + 2))
}

/// What is no channel message.
#[inline(never)]
fn system(body: &[u8], at: usize, status: u8) -> Option<(Event, usize)> {
    let after = match status {
        0xff => return meta(body, at),
        0xf0 | 0xf7 => data(body, at).1,
        0xf1 | 0xf3 => at + 1,
        0xf2 => at + 2,
        _ => at,
    };
    (after <= body.len()).then_some((Event::Other, after))
}

fn meta(body: &[u8], at: usize) -> Option<(Event, usize)> {
    let &kind = body.get(at)?;
    let (data, after) = data(body, at + 1);
    let event = match (kind, data) {
        (0x2f, _) => Event::End,
        (0x51, &[a, b, c, ..]) => Event::Tempo(u32::from_be_bytes([0, a, b, c])),
        (0x58, &[numerator, exponent, _, _, ..]) => Event::Meter { numerator, exponent },
        _ => Event::Other,
    };
    Some((event, after))
}

/// The data of a meta or system exclusive event, and the place after it.
fn data(body: &[u8], at: usize) -> (&[u8], usize) {
    let (length, at) = number(body, at);
    let rest = body.get(at..).unwrap_or_default();
    let length = usize::try_from(length).unwrap_or(usize::MAX).min(rest.len());
    (&rest[..length], at + length)
}

/// A number of variable length, and the place after it.
fn number(body: &[u8], at: usize) -> (u32, usize) {
    let mut number = 0;
    for place in at..at + 4 {
        let Some(&byte) = body.get(place) else { return (number, place) };
        number = number << 7 | u32::from(byte & 0x7f);
        if byte < 0x80 {
            return (number, place + 1);
        }
    }
    (number, at + 4)
}
