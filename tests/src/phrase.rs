//! A score as the messages that play it, and messages as the notes of a score.

use crate::message::Message;
use crate::timeline::Timeline;
use continuo_codec::{Instrument, Score};
use std::collections::HashMap;

/// The channel of the drum kit, counting from 0.
const DRUM_CHANNEL: u8 = 9;

/// The score's tempo and meter maps on a timeline. A meter change within a bar
/// begins a new bar.
#[must_use]
pub fn timeline(score: &Score, sample_rate: f64) -> Timeline {
    let mut timeline = Timeline::new(sample_rate);
    for tempo in &score.tempos {
        let bpm = 60_000_000.0 / f64::from(tempo.micros_per_beat.max(1));
        timeline = timeline.with_tempo(score.beats(tempo.tick), bpm);
    }
    for meter in &score.meters {
        let (upper, lower) = (u16::from(meter.numerator.max(1)), u16::from(meter.denominator.max(1)));
        timeline = timeline.with_meter(score.beats(meter.tick), upper, lower);
    }
    timeline
}

/// The messages that play a score, with their beats, in the order to send them:
/// at one beat offs come first, then program changes, then ons. Every instrument
/// has a channel of its own while there are enough, and the drums theirs.
#[must_use]
pub fn messages(score: &Score) -> Vec<(f64, Message)> {
    let channels = channels(score);
    let mut events: Vec<(u32, u8, Message, Instrument)> = Vec::with_capacity(score.notes.len() * 2);
    for note in &score.notes {
        let channel = channels[&note.instrument];
        let end = note.start.saturating_add(note.duration.max(1));
        let velocity = note.velocity.clamp(1, 127);
        events.push((note.start, 1, Message::on(channel, note.pitch, velocity), note.instrument));
        events.push((end, 0, Message::off(channel, note.pitch), note.instrument));
    }
    events.sort_by_key(|&(tick, rank, message, _)| (tick, rank, message));
    with_programs(score, events)
}

/// Adds a program change wherever a channel's program is not the note's.
fn with_programs(score: &Score, events: Vec<(u32, u8, Message, Instrument)>) -> Vec<(f64, Message)> {
    let mut rig = Rig::default();
    let mut messages = Vec::with_capacity(events.len());
    for (tick, rank, message, instrument) in events {
        let (beat, channel) = (score.beats(tick), message.channel());
        if rank == 1 && !instrument.is_drums() && rig.program[usize::from(channel)] != Some(instrument) {
            let change = Message::program(channel, instrument.index());
            rig.follow(change);
            messages.push((beat, change));
        }
        messages.push((beat, message));
    }
    messages
}

/// Instruments in the order of their first notes take channels 0 to 15, past the
/// drums'; a sixteenth instrument shares the first one's, and so on.
fn channels(score: &Score) -> HashMap<Instrument, u8> {
    let mut channels = HashMap::new();
    let mut free = (0..16u8).filter(|&channel| channel != DRUM_CHANNEL).cycle();
    for note in &score.notes {
        channels.entry(note.instrument).or_insert_with(|| {
            if note.instrument.is_drums() { DRUM_CHANNEL } else { free.next().unwrap_or(0) }
        });
    }
    channels
}

/// Which instrument each channel plays, by the program changes so far.
#[derive(Clone, Debug, Default)]
pub struct Rig {
    program: [Option<Instrument>; 16],
}

impl Rig {
    /// Notes a program change; any other message changes nothing.
    pub fn follow(&mut self, message: Message) {
        if let Message::Raw([status, program, _]) = message
            && status & 0xF0 == 0xC0
        {
            self.program[usize::from(status & 0x0F)] = Instrument::program(program);
        }
    }

    /// The instrument of a channel: the drums on theirs, the piano where nothing
    /// was said.
    #[must_use]
    pub fn instrument(&self, channel: u8) -> Instrument {
        if channel == DRUM_CHANNEL {
            return Instrument::DRUMS;
        }
        self.program[usize::from(channel & 0x0F)].unwrap_or(Instrument::PIANO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use continuo_codec::{Meter, Note, Tempo};

    fn note(start: u32, instrument: Instrument, pitch: u8) -> Note {
        Note { start, instrument, pitch, duration: 24, velocity: 90 }
    }

    #[test]
    fn instruments_come_back_from_their_channels() {
        let mut score = Score::new(24);
        score.notes =
            (0..128).map(|p: u8| note(u32::from(p) * 24, Instrument::program(p).unwrap(), 60)).collect();
        score.notes.push(note(0, Instrument::DRUMS, 36));
        score.normalize();
        let mut rig = Rig::default();
        let mut back = Vec::new();
        for (beat, message) in messages(&score) {
            rig.follow(message);
            if let Message::On { channel, key, .. } = message {
                back.push((beat, rig.instrument(channel), key));
            }
        }
        let expected: Vec<_> =
            score.notes.iter().map(|n| (score.beats(n.start), n.instrument, n.pitch)).collect();
        back.sort_by(|a, b| a.partial_cmp(b).unwrap());
        assert_eq!(back, expected);
    }

    #[test]
    fn a_repeated_note_ends_before_it_begins_again() {
        let mut score = Score::new(24);
        score.notes = vec![note(0, Instrument::PIANO, 60), note(24, Instrument::PIANO, 60)];
        let messages: Vec<_> = messages(&score).into_iter().map(|(_, message)| message).collect();
        assert_eq!(messages[2], Message::off(0, 60));
        assert_eq!(messages[3], Message::on(0, 60, 90));
    }

    #[test]
    fn maps_reach_the_timeline() {
        let mut score = Score::new(480);
        score.tempos = vec![Tempo { tick: 0, micros_per_beat: 600_000 }];
        score.meters = vec![Meter { tick: 0, numerator: 7, denominator: 8 }];
        let timeline = timeline(&score, 44_100.0);
        assert_eq!(timeline.sample_at(1.0), 26_460.0);
        assert_eq!(timeline.bar_at(3.5).index, 1);
    }
}
