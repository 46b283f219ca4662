//! MIDI files and scores to events.

use std::collections::{HashMap, VecDeque};

use super::AnticipationError;
use super::clock::{self, Clock, Timeline, hundredths};
use super::vocab::{DURATION, DURATIONS, NOTE, PITCHES, UNKNOWN_DURATION};
use crate::encoding::EncodingError;
use crate::midi::DRUM_CHANNEL;
use crate::mido::{self, DIVISION_AT, Event, Kind, Listener, TYPE_AT};
use crate::score::{Instrument, Note, Score};

/// Spells a MIDI file in events, id for id as the original does.
///
/// Times count from the file's beginning, so those of a piece longer than 100
/// seconds go past the vocabulary until [`super::ops::translate`] brings a part
/// of it back. The file is read as strictly as the original reads it: what it
/// drops is refused here. [`crate::midi::read`] takes more.
///
/// # Errors
/// [`AnticipationError`] where the original refuses the file; also where a note
/// is later than 42,949,672.95 seconds.
///
/// # Examples
/// ```
/// use continuo_codec::{Instrument, Note, Score, anticipation, midi};
/// let mut score = Score::new(480);
/// let instrument = Instrument::DRUMS;
/// score.notes.push(Note { start: 480, instrument, pitch: 36, duration: 96, velocity: 70 });
/// assert_eq!(anticipation::encode_midi(&midi::write(&score))?, [50, 10_010, 27_420]);
/// # Ok::<(), anticipation::AnticipationError>(())
/// ```
pub fn encode_midi(bytes: &[u8]) -> Result<Vec<u32>, AnticipationError> {
    // An event has three bytes or four as a rule.
    let mut events = Events(Vec::with_capacity(bytes.len() / 3));
    let header = mido::read(bytes, &mut events)?;
    if header.format == 2 {
        return refuse(TYPE_AT, "tracks that do not sound together (type 2)");
    }
    let events = events.merged();
    let mut clock = Clock::new(f64::from(header.division));
    // Most events are beginnings and ends of notes.
    let mut band = Band { notes: Vec::with_capacity(events.len() / 2), ..Band::default() };
    for (number, event) in events.iter().enumerate() {
        // Ends of tracks are no events, but the last one's pause counts.
        if event.kind == Kind::End && number + 1 < events.len() {
            continue;
        }
        if header.division == 0 && event.tick > 0 {
            return refuse(DIVISION_AT, "the division is 0");
        }
        if clock.advance(event.tick) < 0.0 {
            return refuse(DIVISION_AT, "a file that counts in SMPTE frames");
        }
        match event.kind {
            Kind::Tempo { micros } => clock.micros = micros,
            kind => band.hear(kind, clock.seconds, event.offset)?,
        }
    }
    if band.notes.is_empty() {
        return Err(AnticipationError::NoNotes);
    }
    Ok(band.notes.into_flattened())
}

fn refuse<T>(offset: usize, reason: &'static str) -> Result<T, AnticipationError> {
    Err(AnticipationError::Midi { offset, reason })
}

/// All tracks' events.
struct Events(Vec<Event>);

impl Listener for Events {
    fn track(&mut self, _: usize) {}

    #[inline(always)]
    fn event(&mut self, event: Event) {
        self.0.push(event);
    }
}

impl Events {
    /// In the order in which they happen; of those on one tick the first track's
    /// come first.
    fn merged(mut self) -> Vec<Event> {
        self.0.sort_by_key(|event| event.tick);
        self.0
    }
}

/// Who plays: an instrument's index, a pitch, a channel.
type Key = (u8, u8, u8);

/// What has been heard so far.
#[derive(Default)]
struct Band {
    programs: [u8; 16],
    notes: Vec<[u32; 3]>,
    /// Notes that sound: which they are and when they began, in seconds.
    open: HashMap<Key, VecDeque<(usize, f64)>>,
}

impl Band {
    fn hear(&mut self, kind: Kind, seconds: f64, offset: usize) -> Result<(), AnticipationError> {
        match kind {
            Kind::Program { channel, program } => self.programs[usize::from(channel)] = program,
            Kind::On { channel, pitch, .. } => {
                let Some(time) = hundredths(seconds) else {
                    return refuse(offset, "a note later than 42,949,672.95 seconds");
                };
                let key = self.key(channel, pitch);
                self.open.entry(key).or_default().push_back((self.notes.len(), seconds));
                self.notes.push([time, DURATION + UNKNOWN_DURATION, note_id(key.0, pitch)]);
            }
            Kind::Off { channel, pitch } => {
                // The program of this moment: after a change the note is not found.
                let key = self.key(channel, pitch);
                if let Some((note, start)) = self.open.get_mut(&key).and_then(VecDeque::pop_front) {
                    self.notes[note][1] = duration_id(seconds - start);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn key(&self, channel: u8, pitch: u8) -> Key {
        let drums = channel == DRUM_CHANNEL;
        let instrument = if drums { Instrument::DRUMS.index() } else { self.programs[usize::from(channel)] };
        (instrument, pitch, channel)
    }
}

fn note_id(instrument: u8, pitch: u8) -> u32 {
    NOTE + PITCHES * u32::from(instrument) + u32::from(pitch)
}

fn duration_id(seconds: f64) -> u32 {
    DURATION + hundredths(seconds).unwrap_or(u32::MAX).min(DURATIONS - 1)
}

/// The notes of a score beside the events that spell them, by onset.
///
/// Only notes with a possible pitch can be spelled.
pub(super) fn spelled(score: &Score) -> Result<Vec<(Note, [u32; 3])>, EncodingError> {
    let timeline = Timeline::of(score);
    let mut notes = score.notes.clone();
    notes.sort_by_key(|note| note.start);
    notes.into_iter().map(|note| Ok((note, event(&note, &timeline)?))).collect()
}

fn event(note: &Note, timeline: &Timeline) -> Result<[u32; 3], EncodingError> {
    if note.pitch > 127 {
        return Err(EncodingError::Score(format!("a note of pitch {}", note.pitch)));
    }
    let start = timeline.at(note.start);
    let time = hundredths(start).ok_or_else(|| {
        EncodingError::Score(format!("a note at {start:.0} seconds; 42,949,672 is the most"))
    })?;
    let end = timeline.at(clock::end(note.start, note.duration));
    Ok([time, duration_id(end - start), note_id(note.instrument.index(), note.pitch)])
}
