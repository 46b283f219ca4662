//! Messages with their beats as a MIDI file, and back.
//!
//! The codec's files hold music; these hold every message, as a sequencer's do.

use crate::message::Message;
use anyhow::{Context, Result, bail};
use midly::live::LiveEvent;
use midly::num::u28;
use midly::{Format, Header, Smf, Timing, TrackEvent, TrackEventKind};

/// Ticks a beat: as many as Ardour's own.
const PER_BEAT: u16 = 1920;

/// A file of one track. `messages` need not be in order; those at one tick keep theirs.
///
/// # Errors
/// When a message is none or lies farther than a file reaches.
pub fn write(messages: &[(f64, Message)]) -> Result<Vec<u8>> {
    let mut timed: Vec<_> = messages.iter().map(|&(beat, message)| (tick(beat), message)).collect();
    timed.sort_by_key(|&(tick, _)| tick);
    let mut smf = Smf::new(Header::new(Format::SingleTrack, Timing::Metrical(PER_BEAT.into())));
    let bytes: Vec<_> = timed.iter().map(|(_, message)| message.to_midi()).collect();
    let (mut track, mut now) = (Vec::new(), 0);
    for (&(tick, _), bytes) in timed.iter().zip(&bytes) {
        let delta = u28::try_from(tick - now).context("a message lies too far in a MIDI file")?;
        let length = if matches!(bytes[0] & 0xF0, 0xC0 | 0xD0) { 2 } else { 3 };
        let Ok(LiveEvent::Midi { channel, message }) = LiveEvent::parse(&bytes[..length]) else {
            bail!("{bytes:?} is no channel message");
        };
        track.push(TrackEvent { delta, kind: TrackEventKind::Midi { channel, message } });
        now = tick;
    }
    track.push(TrackEvent { delta: 0.into(), kind: TrackEventKind::Meta(midly::MetaMessage::EndOfTrack) });
    smf.tracks.push(track);
    let mut file = Vec::new();
    // Writing to memory cannot fail.
    let _ = smf.write(&mut file);
    Ok(file)
}

/// The channel messages of all tracks, with their beats, track after track.
///
/// # Errors
/// When it is no MIDI file that counts in beats.
pub fn read(file: &[u8]) -> Result<Vec<(f64, Message)>> {
    let smf = Smf::parse(file).ok().context("this is no MIDI file")?;
    let Timing::Metrical(per_beat) = smf.header.timing else { bail!("the MIDI file counts in seconds") };
    let mut messages = Vec::new();
    for track in &smf.tracks {
        let mut now = 0u32;
        for event in track {
            now += event.delta.as_int();
            if let TrackEventKind::Midi { channel, message } = event.kind {
                let mut bytes = Vec::with_capacity(3);
                let _ = LiveEvent::Midi { channel, message }.write(&mut bytes);
                bytes.resize(3, 0);
                let beat = f64::from(now) / f64::from(per_beat.as_int());
                messages.push((beat, Message::from_midi([bytes[0], bytes[1], bytes[2]])));
            }
        }
    }
    Ok(messages)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates, as wanted")]
fn tick(beat: f64) -> u32 {
    (beat * f64::from(PER_BEAT)).round() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_back_in_the_order_of_time() {
        let messages = [
            (1.5, Message::off(3, 60)),
            (0.0, Message::program(3, 12)),
            (0.0, Message::on(3, 60, 99)),
            (0.25, Message::control(3, 64, 127)),
            (1.0, Message::bend(3, -77)),
        ];
        let back = read(&write(&messages).unwrap()).unwrap();
        let order = [1, 2, 3, 4, 0].map(|index| messages[index]);
        assert_eq!(back, order);
    }

    #[test]
    fn what_is_no_file_is_refused() {
        assert!(read(b"RIFF").is_err());
    }
}
