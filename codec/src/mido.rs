//! MIDI bytes as mido 1.3.3 reads them, the parser of two of the programs whose
//! encodings are kept here to the byte: strictly where it is strict, and with its
//! oddities.
//!
//! Its oddities: the type, the track count and the division are signed, a track
//! ends only where its declared size is met exactly, `F0` to `FE` become running
//! status like any other, and numbers of variable length have no longest.

use crate::midi::quick;

/// Why mido refuses a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// Where in the file, in bytes.
    pub(crate) offset: usize,
    /// What was found there.
    pub(crate) reason: &'static str,
}

/// A meta or system exclusive event longer than this is refused.
const LONGEST_EVENT: u64 = 1_000_000;
/// Meta events other than these lose their pause.
const KNOWN_META: [u8; 17] = [0, 1, 2, 3, 4, 5, 6, 7, 9, 0x20, 0x21, 0x2f, 0x51, 0x54, 0x58, 0x59, 0x7f];
/// Exponents of two whose logarithm to base 2, as the quotient of natural
/// logarithms in double precision, is not whole.
const CROOKED_EXPONENTS: [u8; 51] = [
    29, 31, 39, 47, 51, 55, 58, 59, 62, 78, 93, 94, 95, 101, 102, 109, 110, 116, 117, 118, 124, 125, 141,
    156, 171, 179, 186, 187, 188, 189, 190, 201, 202, 203, 204, 205, 217, 218, 219, 220, 221, 232, 233, 234,
    235, 236, 247, 248, 249, 250, 251,
];

/// Where the header's numbers stand, in bytes from the start of the file.
pub(crate) const TYPE_AT: usize = 8;
/// See [`TYPE_AT`].
pub(crate) const TRACK_COUNT_AT: usize = 10;
/// See [`TYPE_AT`].
pub(crate) const DIVISION_AT: usize = 12;

/// What a file says of itself.
pub(crate) struct Header {
    /// 0, 1 or 2 as a rule.
    pub(crate) format: i16,
    /// Ticks a beat; negative where the file counts in frames, and maybe 0.
    pub(crate) division: i16,
}

/// Hears a file's tracks one after another.
pub(crate) trait Listener {
    /// A track begins. Its first event stands at `offset` in the file, or would.
    fn track(&mut self, offset: usize);

    /// The next event of the track. Worth inlining: an event that goes through
    /// memory is written in parts and read as a whole, and waits in between.
    fn event(&mut self, event: Event);
}

/// Something that happens.
#[derive(Clone, Copy)]
pub(crate) struct Event {
    /// Since the start of the track.
    pub(crate) tick: u64,
    /// Where it stands in the file.
    pub(crate) offset: usize,
    pub(crate) kind: Kind,
}

/// What happens.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    On {
        channel: u8,
        pitch: u8,
        velocity: u8,
    },
    Off {
        channel: u8,
        pitch: u8,
    },
    Program {
        channel: u8,
        program: u8,
    },
    Tempo {
        micros: u32,
    },
    Meter {
        numerator: u8,
        exponent: u8,
    },
    Key,
    /// The end of a track, which need not be its last event.
    End,
    Other,
}

/// Reads a file. What is heard before it is refused counts for nothing.
pub(crate) fn read(bytes: &[u8], listener: &mut impl Listener) -> Result<Header, Refusal> {
    let mut reader = Reader { bytes, at: 0 };
    let (id, size) = reader.chunk()?;
    if id != *b"MThd" {
        return refuse(0, "no `MThd` header: not a MIDI file");
    }
    let end = reader.at.saturating_add(size).min(bytes.len());
    let [a, b, c, d, e, f, ..] = bytes[reader.at..end] else {
        return refuse(end, "the header ends early");
    };
    reader.at = end;
    for _ in 0..i16::from_be_bytes([c, d]) {
        track(&mut reader, listener)?;
    }
    Ok(Header { format: i16::from_be_bytes([a, b]), division: i16::from_be_bytes([e, f]) })
}

fn refuse<T>(offset: usize, reason: &'static str) -> Result<T, Refusal> {
    Err(Refusal { offset, reason })
}

fn track(reader: &mut Reader<'_>, listener: &mut impl Listener) -> Result<(), Refusal> {
    let head = reader.at;
    let (id, size) = reader.chunk()?;
    if id != *b"MTrk" {
        return refuse(head, "no `MTrk` where a track begins");
    }
    let body = reader.at;
    listener.track(body);
    let mut running = None;
    let mut tick = 0_u64;
    while reader.at - body != size {
        let offset = reader.at;
        if let Some(event) = quick(reader.bytes, offset, running.unwrap_or(0)) {
            reader.at = event.end;
            running = Some(event.status);
            tick = tick.saturating_add(event.delta.into());
            listener.event(Event { tick, offset, kind: message(event.status, event.data) });
            continue;
        }
        let delta = reader.number()?;
        let status = reader.status(&mut running)?;
        let (kind, pauses) = match status {
            0xff => reader.meta()?,
            0xf0 | 0xf7 => (reader.exclusive()?, true),
            _ => (reader.message(status)?, true),
        };
        tick = tick.saturating_add(if pauses { delta } else { 0 });
        listener.event(Event { tick, offset, kind });
    }
    Ok(())
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Refusal> {
        let taken = self.at.checked_add(length).and_then(|end| self.bytes.get(self.at..end));
        let Some(taken) = taken else {
            return refuse(self.bytes.len(), "the file ends early");
        };
        self.at += length;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, Refusal> {
        Ok(self.take(1)?[0])
    }

    /// A chunk's id and size.
    fn chunk(&mut self) -> Result<([u8; 4], usize), Refusal> {
        let head = self.take(8)?;
        let size = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
        Ok(([head[0], head[1], head[2], head[3]], usize::try_from(size).unwrap_or(usize::MAX)))
    }

    /// A number of variable length; what no longer fits is as good as infinite.
    fn number(&mut self) -> Result<u64, Refusal> {
        let byte = self.byte()?;
        let mut number = u64::from(byte & 0x7f);
        if byte < 0x80 {
            return Ok(number);
        }
        loop {
            let byte = self.byte()?;
            number = number.saturating_mul(128).saturating_add(u64::from(byte & 0x7f));
            if byte < 0x80 {
                return Ok(number);
            }
        }
    }

    /// The data of a meta or system exclusive event.
    fn data(&mut self) -> Result<&'a [u8], Refusal> {
        let offset = self.at;
        let length = self.number()?;
        if length > LONGEST_EVENT {
            return refuse(offset, "an event of more than 1,000,000 bytes");
        }
        self.take(usize::try_from(length).unwrap_or(usize::MAX))
    }

    /// The status that governs what follows. A data byte is left where it is.
    fn status(&mut self, running: &mut Option<u8>) -> Result<u8, Refusal> {
        let offset = self.at;
        let byte = self.byte()?;
        if byte >= 0x80 {
            if byte != 0xff {
                *running = Some(byte);
            }
            return Ok(byte);
        }
        let Some(status) = *running else {
            return refuse(offset, "a data byte where a status byte has to be");
        };
        // An exclusive event has no use for the byte, and it is lost.
        if !matches!(status, 0xf0 | 0xf7) {
            self.at = offset;
            // A message without data cannot be meant by a data byte.
            if data_length(status) == Some(0) {
                return refuse(offset, "a data byte after a status that has none");
            }
        }
        Ok(status)
    }

    fn message(&mut self, status: u8) -> Result<Kind, Refusal> {
        let offset = self.at;
        let Some(length) = data_length(status) else {
            return refuse(offset.saturating_sub(1), "a status byte that MIDI does not define");
        };
        let data = self.take(length)?;
        if !data.is_ascii() {
            let place = data.iter().position(|&byte| byte > 127).unwrap_or(0);
            return refuse(offset + place, "a data byte above 127");
        }
        Ok(match *data {
            [first, second] => message(status, [first, second]),
            [program] if status >> 4 == 12 => Kind::Program { channel: status & 15, program },
            _ => Kind::Other,
        })
    }

    fn exclusive(&mut self) -> Result<Kind, Refusal> {
        let data = self.data()?;
        let end = self.at;
        let stripped = data.strip_prefix(&[0xf0]).unwrap_or(data);
        let stripped = stripped.strip_suffix(&[0xf7]).unwrap_or(stripped);
        if stripped.iter().any(|&byte| byte > 127) {
            return refuse(end - data.len(), "a system exclusive event with a byte above 127");
        }
        Ok(Kind::Other)
    }

    /// A meta event, and whether the pause before it counts.
    fn meta(&mut self) -> Result<(Kind, bool), Refusal> {
        let offset = self.at;
        let id = self.byte()?;
        let data = self.data()?;
        let kind = match meta_kind(id, data) {
            Ok(kind) => kind,
            Err(reason) => return refuse(offset, reason),
        };
        Ok((kind, KNOWN_META.contains(&id)))
    }
}

/// A channel message of two data bytes.
fn message(status: u8, [first, second]: [u8; 2]) -> Kind {
    let channel = status & 15;
    match status >> 4 {
        9 if second > 0 => Kind::On { channel, pitch: first, velocity: second },
        8 | 9 => Kind::Off { channel, pitch: first },
        _ => Kind::Other,
    }
}

/// How many data bytes a status has; `None` where it is undefined.
fn data_length(status: u8) -> Option<usize> {
    Some(match status {
        0xc0..=0xdf | 0xf1 | 0xf3 => 1,
        0x80..=0xef | 0xf2 => 2,
        0xf6 | 0xf8 | 0xfa..=0xfc | 0xfe => 0,
        _ => return None,
    })
}

fn meta_kind(id: u8, data: &[u8]) -> Result<Kind, &'static str> {
    match (id, data) {
        (0x00, [_]) => Err("a sequence number of one byte"),
        (0x2f, _) => Ok(Kind::End),
        (0x20, []) => Err("a channel prefix without a channel"),
        (0x51, &[a, b, c, ..]) => Ok(Kind::Tempo { micros: u32::from_be_bytes([0, a, b, c]) }),
        (0x51, _) => Err("a tempo shorter than 3 bytes"),
        (0x54, &[rate, minutes, seconds, _, subframes, ..]) => {
            let fits = rate >> 5 <= 3 && minutes <= 59 && seconds <= 59 && subframes <= 99;
            fits.then_some(Kind::Other).ok_or("an SMPTE offset that is no time of day")
        }
        (0x54, _) => Err("an SMPTE offset shorter than 5 bytes"),
        (0x58, &[numerator, exponent, _, _, ..]) => {
            let straight = !CROOKED_EXPONENTS.contains(&exponent);
            let meter = Kind::Meter { numerator, exponent };
            straight.then_some(meter).ok_or("a meter whose denominator is not taken for a power of two")
        }
        (0x58, _) => Err("a meter shorter than 4 bytes"),
        (0x59, &[sharps, mode, ..]) => {
            let known = (-7..=7).contains(&i8::from_be_bytes([sharps])) && mode <= 1;
            known.then_some(Kind::Key).ok_or("a key signature there is none of")
        }
        (0x59, _) => Err("a key signature shorter than 2 bytes"),
        _ => Ok(Kind::Other),
    }
}
