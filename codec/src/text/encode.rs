//! MIDI files to the seed's text.

use std::collections::HashMap;

use super::TextError;
use super::seconds::Spelling;
use crate::mido::{self, DIVISION_AT, Event, Kind, Listener, TRACK_COUNT_AT};
use crate::seconds::Seconds;

/// The last tick is below this.
const MOST_TICKS: u64 = 10_000_000_000;

/// About how long a note is, and the longest as a rule.
const NOTE_BYTES: usize = 24;

/// About how many bytes of a file begin a note and end it, and the fewest as a rule.
const TWO_EVENTS: usize = 6;

/// The tempos, meters and keys that room is made for.
const SIGNS: usize = 64;

/// The most notes that room is made for before there is one.
const MOST_ROOM: usize = 1 << 16;

/// Spells a MIDI file as the seed does, to the byte.
///
/// Instruments follow each other in the order of their first finished note, and
/// an instrument's notes in the order in which they end. A file without notes
/// gives an empty text. The file is read as strictly as the seed reads it: what
/// it drops is refused here. [`crate::midi::read`] takes more.
///
/// # Errors
/// [`TextError::Midi`] where the seed refuses the file, with the place.
///
/// # Examples
/// ```
/// use continuo_codec::{Instrument, Note, Score, midi, text};
/// let mut score = Score::new(480);
/// let instrument = Instrument::PIANO;
/// score.notes.push(Note { start: 0, instrument, pitch: 57, duration: 720, velocity: 70 });
/// let text = text::encode_midi(&midi::write(&score))?;
/// assert_eq!(text, "57_0.0_0.75_70.0");
/// # Ok::<(), text::TextError>(())
/// ```
pub fn encode_midi(bytes: &[u8]) -> Result<String, TextError> {
    let mut song = Song::with_room(bytes.len());
    let header = mido::read(bytes, &mut song)?;
    song.check(header.division)?;
    let seconds = tempo_map(header.division, &song.signs)?;
    let notes = song.instruments.notes();
    let mut text = Spelling::with_room(notes.len() * NOTE_BYTES);
    let (mut starts, mut ends) = (seconds.hand(), seconds.hand());
    for note in &notes {
        let (start, end) = (starts.at(as_f64(note.start)), ends.at(as_f64(note.end)));
        if end < start {
            let reason = "notes in a file that counts in SMPTE frames";
            return Err(TextError::Midi { offset: DIVISION_AT, reason });
        }
        text.push(note.pitch, start, end - start, note.velocity);
    }
    Ok(text.finish())
}

/// What is heard of a file.
struct Song {
    tracks: usize,
    /// Where the events of the track that is heard begin.
    offset: usize,
    /// Tick and place of its latest event.
    last: Option<(u64, usize)>,
    /// What is wrong with a track.
    refused: Option<TextError>,
    /// The first track's tempos, meters and keys.
    signs: Vec<Event>,
    instruments: Instruments,
}

impl Listener for Song {
    fn track(&mut self, offset: usize) {
        self.end_track();
        self.tracks += 1;
        (self.offset, self.last) = (offset, None);
        self.instruments.begin_track(self.tracks);
    }

    #[inline(always)]
    fn event(&mut self, event: Event) {
        self.last = Some((event.tick, event.offset));
        match event.kind {
            Kind::Tempo { .. } | Kind::Meter { .. } | Kind::Key if self.tracks == 1 => self.signs.push(event),
            kind => self.instruments.hear(event.tick, kind),
        }
    }
}

impl Song {
    /// A song to be heard from a file of so many bytes.
    fn with_room(bytes: usize) -> Self {
        Self {
            tracks: 0,
            offset: 0,
            last: None,
            refused: None,
            signs: Vec::with_capacity(SIGNS),
            instruments: Instruments::with_room(bytes),
        }
    }

    fn end_track(&mut self) {
        if self.tracks == 0 || self.refused.is_some() {
            return;
        }
        let wrong = match self.last {
            None => (self.offset, "a track without events"),
            Some((tick, offset)) if tick >= MOST_TICKS => (offset, "an event beyond tick 9,999,999,999"),
            Some(_) => return,
        };
        self.refused = Some(TextError::Midi { offset: wrong.0, reason: wrong.1 });
    }

    /// What the seed refuses of the files that can be read.
    fn check(&mut self, division: i16) -> Result<(), TextError> {
        self.end_track();
        let refuse = |offset, reason| Err(TextError::Midi { offset, reason });
        match self.refused.take() {
            Some(refused) => Err(refused),
            None if self.tracks == 0 => {
                refuse(TRACK_COUNT_AT, "the file has no tracks, or more than 32,767, which count as none")
            }
            None if division == 0 => refuse(DIVISION_AT, "the division is 0"),
            None => Ok(()),
        }
    }
}

/// Ticks stay below 10^10, so none is changed by this.
fn as_f64(tick: u64) -> f64 {
    tick as f64
}

/// The tempo map of the first track, which also has to have possible meters.
fn tempo_map(division: i16, signs: &[Event]) -> Result<Seconds, TextError> {
    let refuse = |event: &Event, reason| Err(TextError::Midi { offset: event.offset, reason });
    let mut tempos = Vec::with_capacity(signs.len());
    for event in signs {
        match event.kind {
            Kind::Tempo { micros: 0 } => return refuse(event, "a tempo of 0"),
            Kind::Tempo { micros } => tempos.push((as_f64(event.tick), micros)),
            Kind::Meter { numerator: 0, .. } => return refuse(event, "a meter of 0"),
            Kind::Meter { exponent: 31.., .. } => return refuse(event, "a meter's denominator beyond 2^30"),
            _ => {}
        }
    }
    let seconds = Seconds::new(f64::from(division), tempos);
    for event in signs {
        let placed = matches!(event.kind, Kind::Meter { .. } | Kind::Key);
        if placed && seconds.at(as_f64(event.tick)) < 0.0 {
            return refuse(event, "a meter or key after the start of a file that counts in SMPTE frames");
        }
    }
    Ok(seconds)
}

/// A finished note, in ticks.
struct Finished {
    pitch: u8,
    velocity: u8,
    /// Who plays it; in the order of their first.
    instrument: u32,
    start: u64,
    end: u64,
}

/// Channels by pitches.
const PLACES: usize = 16 * 128;

/// No note.
const NONE: usize = usize::MAX;

/// A note that sounds, and the next of its channel and pitch.
struct Open {
    start: u64,
    velocity: u8,
    next: usize,
}

/// Open notes of a channel and pitch, the oldest first.
#[derive(Clone, Copy)]
struct Queue {
    first: usize,
    last: usize,
}

const EMPTY: Queue = Queue { first: NONE, last: NONE };

/// Finished notes of all instruments.
struct Instruments {
    notes: Vec<Finished>,
    /// Which instrument a program, channel and track are.
    places: HashMap<(u8, u8, usize), u32>,
    /// What is heard of the track.
    track: usize,
    channels: [Channel; 16],
    begun: Vec<Open>,
    queues: Box<[Queue; PLACES]>,
}

/// A channel of a track.
#[derive(Clone, Copy, Default)]
struct Channel {
    program: u8,
    /// Whether it has notes.
    used: bool,
    /// Who plays its program, once that is known.
    instrument: Option<u32>,
}

impl Instruments {
    /// Room for the notes of a file of so many bytes: lists that grow step by step are moved each
    /// time, and keep threads that do so waiting for each other.
    fn with_room(bytes: usize) -> Self {
        let notes = (bytes / TWO_EVENTS).min(MOST_ROOM);
        Self {
            notes: Vec::with_capacity(notes),
            places: HashMap::new(),
            track: 0,
            channels: Default::default(),
            begun: Vec::with_capacity(notes),
            queues: Box::new([EMPTY; PLACES]),
        }
    }

    /// The notes by instrument.
    fn notes(mut self) -> Vec<Finished> {
        self.notes.sort_by_key(|note| note.instrument);
        self.notes
    }

    fn begin_track(&mut self, track: usize) {
        self.track = track;
        self.begun.clear();
        let channels = std::mem::take(&mut self.channels);
        let used = self.queues.chunks_mut(128).zip(channels).filter(|(_, channel)| channel.used);
        used.for_each(|(queues, _)| queues.fill(EMPTY));
    }

    #[inline(always)]
    fn hear(&mut self, tick: u64, kind: Kind) {
        match kind {
            Kind::Program { channel, program } => {
                let state = &mut self.channels[usize::from(channel & 15)];
                (state.program, state.instrument) = (program, None);
            }
            Kind::On { channel, pitch, velocity } => {
                self.channels[usize::from(channel & 15)].used = true;
                self.on(channel, pitch, Open { start: tick, velocity, next: NONE });
            }
            Kind::Off { channel, pitch } => self.off(channel, pitch, tick),
            _ => {}
        }
    }

    fn on(&mut self, channel: u8, pitch: u8, note: Open) {
        let queue = &mut self.queues[place(channel, pitch)];
        let index = self.begun.len();
        if queue.first == NONE {
            queue.first = index;
        } else if let Some(last) = self.begun.get_mut(queue.last) {
            last.next = index;
        }
        queue.last = index;
        self.begun.push(note);
    }

    /// Ends the open notes of a pitch. Those that begin on the same tick stay open
    /// if there are others, else they are lost.
    fn off(&mut self, channel: u8, pitch: u8, end: u64) {
        let queue = &mut self.queues[place(channel, pitch)];
        // Ticks ascend, so those of the same tick are the last.
        let Some(oldest) = self.begun.get(queue.first).filter(|note| note.start < end) else {
            queue.first = NONE;
            return;
        };
        let state = &mut self.channels[usize::from(channel & 15)];
        let instrument = *state.instrument.get_or_insert_with(|| {
            // Each takes several bytes of the file, so there are never so many.
            let next = u32::try_from(self.places.len()).unwrap_or(u32::MAX);
            *self.places.entry((state.program, channel, self.track)).or_insert(next)
        });
        let mut ended = Some(oldest);
        while let Some(note) = ended {
            let Open { start, velocity, next } = *note;
            self.notes.push(Finished { pitch, velocity, instrument, start, end });
            queue.first = next;
            ended = self.begun.get(next).filter(|note| note.start < end);
        }
    }
}

fn place(channel: u8, pitch: u8) -> usize {
    usize::from(channel & 15) << 7 | usize::from(pitch & 127)
}
