//! MIDI bytes to a score.

use std::collections::{BTreeMap, VecDeque};

use midly::{EventIter, MetaMessage, MidiMessage, TrackEventKind};

use super::MidiError;
use crate::score::{Instrument, Meter, Note, Score, Tempo};

/// The drum channel, counting from 0.
const DRUM_CHANNEL: u8 = 9;

/// Reads a standard MIDI file: all tracks merged, sorted. See the
/// [module](super) for what counts.
///
/// Damage inside a track ends that track, and what came before it counts. Time
/// and memory grow with the bytes there are, not with what the file claims.
///
/// # Errors
/// [`MidiError`] where the bytes are no MIDI file, or one without a track, or
/// reach past the ticks a [`Score`] can count.
pub fn read(bytes: &[u8]) -> Result<Score, MidiError> {
    let (start, end) = midi_span(bytes)?;
    let file = &bytes[..end];
    let header = Header::read(file, start)?;
    let mut reader = Reader::new(header.grid);
    let mut tracks = 0;
    let mut at = header.end;
    while let Some((id, body)) = chunk(file, at) {
        if id == b"MTrk" {
            reader.track(tracks, &file[body.clone()], body.start)?;
            tracks += 1;
        }
        at = body.end;
    }
    if tracks == 0 {
        return Err(MidiError::NoTracks { offset: header.end });
    }
    Ok(reader.finish())
}

/// Where the MIDI file lies: everywhere, or in the data chunk of a RIFF file.
fn midi_span(bytes: &[u8]) -> Result<(usize, usize), MidiError> {
    if !bytes.starts_with(b"RIFF") {
        return Ok((0, bytes.len()));
    }
    if bytes.get(8..12) != Some(b"RMID") {
        return Err(MidiError::NotRmid { offset: 8 });
    }
    let mut at = 12;
    while let Some(head) = bytes.get(at..at + 8) {
        let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
        let start = at + 8;
        let end = start.saturating_add(to_usize(length)).min(bytes.len());
        if head.starts_with(b"data") {
            return Ok((start, end));
        }
        // Chunks begin on even bytes.
        at = end + (end & 1);
    }
    Err(MidiError::NotRmid { offset: at })
}

/// The chunk at `at`: its id and where its body lies, cut at the end of the file.
fn chunk(file: &[u8], at: usize) -> Option<(&[u8], std::ops::Range<usize>)> {
    let head = file.get(at..at.checked_add(8)?)?;
    let length = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
    let start = at + 8;
    Some((&head[..4], start..start.saturating_add(to_usize(length)).min(file.len())))
}

fn to_usize(n: u32) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

/// How the file counts time.
#[derive(Clone, Copy)]
struct Grid {
    ticks_per_beat: u16,
    /// Ticks of the score for each of the file.
    scale: u64,
    /// The one tempo of a file that counts in seconds.
    fixed_tempo: Option<u32>,
}

struct Header {
    grid: Grid,
    end: usize,
}

impl Header {
    fn read(file: &[u8], start: usize) -> Result<Self, MidiError> {
        let file_from = file.get(start..).unwrap_or_default();
        if !file_from.starts_with(b"MThd") {
            return Err(MidiError::NoHeader { offset: start });
        }
        let short = MidiError::ShortHeader { offset: start, found: file_from.len().min(14) };
        let Some((_, body)) = chunk(file, start) else { return Err(short) };
        // A length below 6 is a slip that players forgive.
        let Some(data) = file.get(start + 8..start + 14) else { return Err(short) };
        // The type is not looked at: it only says how tracks relate, and they sound
        // together whatever it says.
        let division = u16::from_be_bytes([data[4], data[5]]);
        let grid = Grid::of(division).ok_or(MidiError::Division { offset: start + 12, division })?;
        Ok(Self { grid, end: body.end.max(start + 14) })
    }
}

impl Grid {
    fn of(division: u16) -> Option<Self> {
        if division == 0 {
            return None;
        }
        if division < 0x8000 {
            return Some(Self { ticks_per_beat: division, scale: 1, fixed_tempo: None });
        }
        let [rate, subframes] = division.to_be_bytes();
        let (frames, tempo) = match rate.wrapping_neg() {
            29 => (30, 500_500),
            frames @ (24 | 25 | 30) => (u16::from(frames), 500_000),
            _ => return None,
        };
        let ticks_per_beat = frames * u16::from(subframes);
        (ticks_per_beat > 0).then_some(Self { ticks_per_beat, scale: 2, fixed_tempo: Some(tempo) })
    }
}

/// What has been read so far, over all tracks.
struct Reader {
    score: Score,
    grid: Grid,
    /// Program changes of the whole file: channel, tick, program, in file order.
    programs: Vec<(u8, u32, u8)>,
    /// Notes before which their own track set no program: index, channel.
    unset: Vec<(usize, u8)>,
}

/// What a track remembers while it is read.
#[derive(Default)]
struct TrackState {
    tick: u32,
    programs: [Option<u8>; 16],
    /// Open notes by channel and pitch, oldest first, as indices of the score's.
    open: BTreeMap<(u8, u8), VecDeque<usize>>,
}

impl Reader {
    fn new(grid: Grid) -> Self {
        let mut score = Score::new(grid.ticks_per_beat);
        let fixed = grid.fixed_tempo.map(|micros_per_beat| Tempo { tick: 0, micros_per_beat });
        score.tempos.extend(fixed);
        Self { score, grid, programs: Vec::new(), unset: Vec::new() }
    }

    fn track(&mut self, number: usize, body: &[u8], offset: usize) -> Result<(), MidiError> {
        let mut state = TrackState::default();
        let mut ticks = 0_u64;
        let mut events = Events::new(body);
        loop {
            let at = offset + body.len() - events.unread();
            let Some((delta, kind)) = events.next() else { break };
            ticks += u64::from(delta) * self.grid.scale;
            state.tick = u32::try_from(ticks).map_err(|_| MidiError::TooLong {
                track: number,
                offset: at,
                tick: ticks,
            })?;
            match kind {
                Some(TrackEventKind::Meta(MetaMessage::EndOfTrack)) => break,
                Some(TrackEventKind::Meta(meta)) => self.meta(meta, state.tick),
                Some(TrackEventKind::Midi { channel, message }) => {
                    self.message(&mut state, channel.as_int(), message);
                }
                _ => {}
            }
        }
        for index in state.open.into_values().flatten() {
            let note = &mut self.score.notes[index];
            note.duration = (state.tick - note.start).max(1);
        }
        Ok(())
    }

    fn meta(&mut self, meta: MetaMessage<'_>, tick: u32) {
        match meta {
            MetaMessage::Tempo(micros) if micros.as_int() > 0 && self.grid.fixed_tempo.is_none() => {
                self.score.tempos.push(Tempo { tick, micros_per_beat: micros.as_int() });
            }
            MetaMessage::TimeSignature(numerator @ 1.., exponent @ 0..8, ..) => {
                self.score.meters.push(Meter { tick, numerator, denominator: 1 << exponent });
            }
            _ => {}
        }
    }

    fn message(&mut self, state: &mut TrackState, channel: u8, message: MidiMessage) {
        match message {
            MidiMessage::NoteOn { key, vel } if vel.as_int() > 0 => {
                self.note_on(state, channel, key.as_int(), vel.as_int());
            }
            MidiMessage::NoteOn { key, .. } | MidiMessage::NoteOff { key, .. } => {
                let open = state.open.get_mut(&(channel, key.as_int()));
                if let Some(index) = open.and_then(VecDeque::pop_front) {
                    let note = &mut self.score.notes[index];
                    note.duration = state.tick - note.start;
                }
            }
            MidiMessage::ProgramChange { program } => {
                state.programs[usize::from(channel)] = Some(program.as_int());
                self.programs.push((channel, state.tick, program.as_int()));
            }
            _ => {}
        }
    }

    fn note_on(&mut self, state: &mut TrackState, channel: u8, pitch: u8, velocity: u8) {
        let index = self.score.notes.len();
        let instrument = if channel == DRUM_CHANNEL {
            Instrument::DRUMS
        } else if let Some(program) = state.programs[usize::from(channel)] {
            Instrument::program(program).unwrap_or_default()
        } else {
            self.unset.push((index, channel));
            Instrument::PIANO
        };
        self.score.notes.push(Note { start: state.tick, instrument, pitch, duration: 0, velocity });
        state.open.entry((channel, pitch)).or_default().push_back(index);
    }

    fn finish(mut self) -> Score {
        self.borrow_programs();
        let mut score = self.score;
        score.normalize();
        keep_last(&mut score.tempos, |tempo| tempo.tick);
        keep_last(&mut score.meters, |meter| meter.tick);
        score
    }

    /// Notes whose own track set no program play what other tracks set.
    fn borrow_programs(&mut self) {
        self.programs.sort_by_key(|&(channel, tick, _)| (channel, tick));
        for &(index, channel) in &self.unset {
            let note = &mut self.score.notes[index];
            let after = self.programs.partition_point(|&(c, tick, _)| (c, tick) <= (channel, note.start));
            if let Some(&(c, _, program)) = after.checked_sub(1).and_then(|i| self.programs.get(i))
                && c == channel
            {
                note.instrument = Instrument::program(program).unwrap_or_default();
            }
        }
    }
}

/// Of sorted entries on one tick keeps the last.
fn keep_last<T: Copy>(entries: &mut Vec<T>, tick: impl Fn(&T) -> u32) {
    entries.dedup_by(|later, earlier| {
        let same = tick(later) == tick(earlier);
        if same {
            *earlier = *later;
        }
        same
    });
}

/// The events of a track, over the places where midly would give up.
///
/// Players let running status outlive a meta event, and step over real-time
/// bytes and meta events with impossible contents; so does this.
struct Events<'a> {
    events: EventIter<'a>,
    running: Option<u8>,
}

impl<'a> Events<'a> {
    fn new(body: &'a [u8]) -> Self {
        Self { events: EventIter::new(body), running: None }
    }

    /// How many bytes are left.
    fn unread(&self) -> usize {
        self.events.unread().len()
    }

    /// The next delta and event; no event where one was stepped over.
    fn next(&mut self) -> Option<(u32, Option<TrackEventKind<'a>>)> {
        let before = self.events.unread();
        let next = if let Some(Ok(event)) = self.events.next() {
            self.running = self.events.running_status().or(self.running);
            (event.delta.as_int(), Some(event.kind))
        } else {
            let (delta, rest) = step_over(before)?;
            self.events = EventIter::new(rest);
            (delta, None)
        };
        *self.events.running_status_mut() = self.running;
        Some(next)
    }
}

/// Steps over an event that cannot be read but whose length is known: its delta
/// and the bytes after it.
fn step_over(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (delta, rest) = variable_length(bytes)?;
    let (&status, rest) = rest.split_first()?;
    let rest = match status {
        0xff => {
            let (length, rest) = variable_length(rest.get(1..)?)?;
            rest.get(to_usize(length)..)?
        }
        0xf1 | 0xf3 => rest.get(1..)?,
        0xf2 => rest.get(2..)?,
        0xf4..=0xf6 | 0xf8..=0xfe => rest,
        _ => return None,
    };
    Some((delta, rest))
}

/// A variable-length number and the bytes after it.
fn variable_length(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let mut number = 0;
    for (i, &byte) in bytes.iter().enumerate().take(4) {
        number = number << 7 | u32::from(byte & 0x7f);
        if byte < 0x80 {
            return Some((number, &bytes[i + 1..]));
        }
    }
    None
}
