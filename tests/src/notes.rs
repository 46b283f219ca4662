//! What was heard, as notes: every on with its off.

use crate::message::Message;
use std::collections::{HashMap, VecDeque};

/// A message the plugin put out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Heard {
    /// Samples since the host was made.
    pub clock: u64,
    /// The beat of the timeline at that sample.
    pub beat: f64,
    /// What came.
    pub message: Message,
    /// Whether the host had sent this very message at this very sample.
    pub thru: bool,
}

/// A note: an on, and its off where it came.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Played {
    /// The on.
    pub on: Heard,
    /// The off; `None` for a note that hangs.
    pub off: Option<Heard>,
    /// The channel, 0..=15.
    pub channel: u8,
    /// The pitch, 0..=127.
    pub key: u8,
    /// The velocity, 1..=127.
    pub velocity: u8,
}

/// All notes in the order of their onsets. An off ends the oldest sounding note
/// of its key and channel; an off with nothing to end is left out.
#[must_use]
pub fn played(heard: &[Heard]) -> Vec<Played> {
    let mut notes: Vec<Played> = Vec::new();
    let mut sounding: HashMap<(u8, u8), VecDeque<usize>> = HashMap::new();
    for &heard in heard {
        match heard.message {
            Message::On { channel, key, velocity } => {
                sounding.entry((channel, key)).or_default().push_back(notes.len());
                notes.push(Played { on: heard, off: None, channel, key, velocity });
            }
            Message::Off { channel, key } => {
                let oldest = sounding.get_mut(&(channel, key)).and_then(VecDeque::pop_front);
                if let Some(index) = oldest {
                    notes[index].off = Some(heard);
                }
            }
            Message::Raw(_) => {}
        }
    }
    notes
}

/// The notes the plugin added, without those it passed through.
#[must_use]
pub fn answered(heard: &[Heard]) -> Vec<Played> {
    played(heard).into_iter().filter(|note| !note.on.thru).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(clock: u64, message: Message) -> Heard {
        Heard { clock, beat: 0.0, message, thru: false }
    }

    #[test]
    fn offs_end_the_oldest_note_of_their_key() {
        let notes = played(&[
            heard(0, Message::on(0, 60, 1)),
            heard(1, Message::on(0, 60, 2)),
            heard(2, Message::off(0, 60)),
            heard(3, Message::off(1, 60)),
        ]);
        assert_eq!(notes[0].off.map(|off| off.clock), Some(2));
        assert_eq!(notes[1].off, None);
    }
}
