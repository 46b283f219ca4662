//! Messages: notes and controllers as MIDI has them, in either of the dialects
//! that a CLAP note port speaks.

use clack_host::events::event_types::{MidiEvent, NoteExpressionType, NoteOffEvent, NoteOnEvent};
use clack_host::events::io::EventBuffer;
use clack_host::events::spaces::CoreEventSpace;
use clack_host::events::{Match, Pckn, UnknownEvent};

/// How notes are sent to the plugin. Everything else is always raw MIDI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Dialect {
    /// CLAP note events.
    #[default]
    Clap,
    /// Raw MIDI bytes.
    Midi,
}

/// A channel message. Channels count from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Message {
    /// A note ends.
    Off {
        /// 0..=15.
        channel: u8,
        /// 0..=127.
        key: u8,
    },
    /// A note begins.
    On {
        /// 0..=15.
        channel: u8,
        /// 0..=127.
        key: u8,
        /// 1..=127.
        velocity: u8,
    },
    /// Any other channel message: its status and data bytes.
    Raw([u8; 3]),
}

impl Message {
    /// A note begins.
    #[must_use]
    pub const fn on(channel: u8, key: u8, velocity: u8) -> Self {
        Self::On { channel, key, velocity }
    }

    /// A note ends.
    #[must_use]
    pub const fn off(channel: u8, key: u8) -> Self {
        Self::Off { channel, key }
    }

    /// A control change.
    #[must_use]
    pub const fn control(channel: u8, controller: u8, value: u8) -> Self {
        Self::Raw([0xB0 | channel, controller, value])
    }

    /// A program change.
    #[must_use]
    pub const fn program(channel: u8, program: u8) -> Self {
        Self::Raw([0xC0 | channel, program, 0])
    }

    /// A pitch bend, -8192..=8191.
    #[must_use]
    pub fn bend(channel: u8, bend: i16) -> Self {
        let [low, high] = (bend.clamp(-8192, 8191) + 8192).unsigned_abs().to_le_bytes();
        Self::Raw([0xE0 | channel, low & 0x7F, (high << 1) | (low >> 7)])
    }

    /// The channel it is for.
    #[must_use]
    pub const fn channel(&self) -> u8 {
        match self {
            Self::Off { channel, .. } | Self::On { channel, .. } => *channel,
            Self::Raw(bytes) => bytes[0] & 0x0F,
        }
    }

    /// From raw MIDI bytes; a note-on of velocity 0 is a note-off.
    #[must_use]
    pub const fn from_midi(bytes: [u8; 3]) -> Self {
        let channel = bytes[0] & 0x0F;
        match (bytes[0] & 0xF0, bytes[2]) {
            (0x80, _) | (0x90, 0) => Self::off(channel, bytes[1]),
            (0x90, velocity) => Self::on(channel, bytes[1], velocity),
            _ => Self::Raw(bytes),
        }
    }

    /// As raw MIDI bytes.
    #[must_use]
    pub const fn to_midi(&self) -> [u8; 3] {
        match *self {
            Self::Off { channel, key } => [0x80 | channel, key, 0],
            Self::On { channel, key, velocity } => [0x90 | channel, key, velocity],
            Self::Raw(bytes) => bytes,
        }
    }

    /// Appends the event to what the plugin gets, `time` samples into the block.
    pub(crate) fn push(&self, time: u32, dialect: Dialect, events: &mut EventBuffer) {
        let pckn = |channel: u8, key: u8| Pckn::new(0u16, u16::from(channel), u16::from(key), Match::All);
        match (dialect, *self) {
            (Dialect::Clap, Self::On { channel, key, velocity }) => {
                events.push(&NoteOnEvent::new(time, pckn(channel, key), f64::from(velocity) / 127.0));
            }
            (Dialect::Clap, Self::Off { channel, key }) => {
                events.push(&NoteOffEvent::new(time, pckn(channel, key), 0.0));
            }
            _ => events.push(&MidiEvent::new(time, 0, self.to_midi())),
        }
    }

    /// Reads an event of the plugin's; `None` for one that is no channel message.
    /// A choke ends its note, a note's pressure is MIDI's polyphonic pressure.
    pub(crate) fn from_event(event: &UnknownEvent) -> Option<Self> {
        match event.as_core_event()? {
            CoreEventSpace::NoteOn(on) => {
                let (channel, key) = channel_and_key(on.pckn())?;
                Some(Self::on(channel, key, seven_bits(on.velocity() * 127.0)))
            }
            CoreEventSpace::NoteOff(off) => {
                channel_and_key(off.pckn()).map(|(channel, key)| Self::off(channel, key))
            }
            CoreEventSpace::NoteChoke(choke) => {
                channel_and_key(choke.pckn()).map(|(channel, key)| Self::off(channel, key))
            }
            CoreEventSpace::NoteExpression(expression)
                if expression.expression_type() == Some(NoteExpressionType::Pressure) =>
            {
                let (channel, key) = channel_and_key(expression.pckn())?;
                Some(Self::Raw([0xA0 | (channel & 0x0F), key, seven_bits(expression.value() * 127.0)]))
            }
            CoreEventSpace::Midi(midi) => Some(Self::from_midi(midi.data())),
            _ => None,
        }
    }
}

fn channel_and_key(pckn: Pckn) -> Option<(u8, u8)> {
    let channel = pckn.channel.into_specific()?;
    let key = pckn.key.into_specific()?;
    Some((u8::try_from(channel).ok()?, u8::try_from(key).ok()?))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=127")]
fn seven_bits(value: f64) -> u8 {
    value.round().clamp(0.0, 127.0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_survives_both_dialects() {
        let mut messages = vec![Message::control(3, 64, 127), Message::program(15, 5)];
        messages.extend([-8192, -1, 0, 1, 8191].map(|bend| Message::bend(2, bend)));
        messages.extend((1..=127).map(|velocity| Message::on(9, velocity, velocity)));
        messages.extend((0..=127).map(|key| Message::off(0, key)));
        for dialect in [Dialect::Clap, Dialect::Midi] {
            let mut events = EventBuffer::new();
            for message in &messages {
                message.push(7, dialect, &mut events);
            }
            let back: Vec<_> = events.iter().filter_map(Message::from_event).collect();
            assert_eq!(back, messages, "{dialect:?}");
        }
    }

    #[test]
    fn bend_has_its_centre_at_64() {
        assert_eq!(Message::bend(0, 0), Message::Raw([0xE0, 0, 64]));
        assert_eq!(Message::bend(0, 8191), Message::Raw([0xE0, 127, 127]));
        assert_eq!(Message::bend(0, -8192), Message::Raw([0xE0, 0, 0]));
    }

    #[test]
    fn a_note_on_of_velocity_zero_is_an_off() {
        assert_eq!(Message::from_midi([0x91, 60, 0]), Message::off(1, 60));
    }
}
