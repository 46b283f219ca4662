//! MIDI bytes to a score.

use super::events::{Event, Events};
use super::open::OpenNotes;
use super::{DRUM_CHANNEL, MidiError};
use crate::score::{Instrument, Meter, Note, Score, Tempo};

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
    let mut score = read_unordered(bytes)?;
    order(&mut score.notes);
    Ok(score)
}

/// What [`read`] gives, but for the notes: they come track by track.
pub(crate) fn read_unordered(bytes: &[u8]) -> Result<Score, MidiError> {
    let (start, end) = midi_span(bytes)?;
    let file = &bytes[..end];
    let header = Header::read(file, start)?;
    let mut reader = Reader::new(header.grid, file.len());
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
    scale: u32,
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

/// Bytes of a file there are for each note, at the least common of files.
const BYTES_A_NOTE: usize = 8;

/// What has been read so far, over all tracks.
struct Reader {
    score: Score,
    grid: Grid,
    /// The open notes of the track that is read.
    open: OpenNotes,
    /// Program changes of the whole file: channel, tick, program, in file order.
    programs: Vec<(u8, u32, u8)>,
    /// Notes before which their own track set no program: index, channel.
    unset: Vec<(usize, u8)>,
}

/// Who plays on each channel, where the track has said so.
type Players = [Option<Instrument>; 16];

impl Reader {
    /// `bytes` is how long the file is.
    fn new(grid: Grid, bytes: usize) -> Self {
        let mut score = Score::new(grid.ticks_per_beat);
        score.notes.reserve(bytes / BYTES_A_NOTE);
        let fixed = grid.fixed_tempo.map(|micros_per_beat| Tempo { tick: 0, micros_per_beat });
        score.tempos.extend(fixed);
        Self { score, grid, open: OpenNotes::default(), programs: Vec::new(), unset: Vec::new() }
    }

    fn track(&mut self, number: usize, body: &[u8], offset: usize) -> Result<(), MidiError> {
        let mut players: Players = [None; 16];
        players[usize::from(DRUM_CHANNEL)] = Some(Instrument::DRUMS);
        let mut tick = 0_u32;
        let mut events = Events::new(body);
        loop {
            let at = events.position();
            // A pause has 28 bits, so its double has room.
            let after = |delta: u32| {
                let pause = delta * self.grid.scale;
                tick.checked_add(pause).ok_or_else(|| MidiError::TooLong {
                    track: number,
                    offset: offset + at,
                    tick: u64::from(tick) + u64::from(pause),
                })
            };
            // Heard at once, and not first made one of the kinds that are told apart below.
            if let Some((delta, status, data)) = events.quick() {
                tick = after(delta)?;
                self.message(&mut players, tick, status, data);
                continue;
            }
            let Some((delta, event)) = events.next() else { break };
            tick = after(delta)?;
            match event {
                Event::Message { status, data } => self.message(&mut players, tick, status, data),
                Event::Tempo(micros_per_beat) => self.tempo(Tempo { tick, micros_per_beat }),
                Event::Meter { numerator, exponent } => self.meter(tick, numerator, exponent),
                Event::End => break,
                Event::Other => {}
            }
        }
        self.open.close_all(&mut self.score.notes, tick);
        Ok(())
    }

    fn tempo(&mut self, tempo: Tempo) {
        if tempo.micros_per_beat > 0 && self.grid.fixed_tempo.is_none() {
            self.score.tempos.push(tempo);
        }
    }

    fn meter(&mut self, tick: u32, numerator: u8, exponent: u8) {
        if numerator > 0 && exponent < 8 {
            self.score.meters.push(Meter { tick, numerator, denominator: 1 << exponent });
        }
    }

    #[inline(always)]
    fn message(&mut self, players: &mut Players, tick: u32, status: u8, [first, second]: [u8; 2]) {
        let channel = status & 15;
        // Nearly all are notes, and asked for first.
        if status & 0xe0 == 0x80 {
            if status & 0x10 == 0 || second == 0 {
                return self.open.close(&mut self.score.notes, channel, first, tick);
            }
            let player = players[usize::from(channel)];
            if player.is_none() {
                self.unset.push((self.score.notes.len(), channel));
            }
            let instrument = player.unwrap_or_default();
            let note = Note { start: tick, instrument, pitch: first, duration: 0, velocity: second };
            self.open.begin(&mut self.score.notes, channel, note);
        } else if status & 0xf0 == 0xc0 && channel != DRUM_CHANNEL {
            players[usize::from(channel)] = Instrument::program(first);
            self.programs.push((channel, tick, first));
        }
    }

    fn finish(mut self) -> Score {
        self.borrow_programs();
        let mut score = self.score;
        score.tempos.sort_by_key(|tempo| tempo.tick);
        score.meters.sort_by_key(|meter| meter.tick);
        keep_last(&mut score.tempos, |tempo| tempo.tick);
        keep_last(&mut score.meters, |meter| meter.tick);
        score
    }

    /// Notes whose own track set no program play what other tracks set.
    fn borrow_programs(&mut self) {
        if self.programs.is_empty() {
            return;
        }
        self.programs.sort_by_key(|&(channel, tick, _)| (channel, tick));
        for &(index, channel) in &self.unset {
            let Some(note) = self.score.notes.get_mut(index) else { continue };
            let after = self.programs.partition_point(|&(c, tick, _)| (c, tick) <= (channel, note.start));
            if let Some(&(c, _, program)) = after.checked_sub(1).and_then(|i| self.programs.get(i))
                && c == channel
            {
                note.instrument = Instrument::program(program).unwrap_or_default();
            }
        }
    }
}

/// Fewer notes than that are sorted at once.
const FEW: usize = 64;

/// Sorts notes as [`Score::normalize`] does, faster where tracks come one after
/// another, each in its own order.
pub(crate) fn order(notes: &mut Vec<Note>) {
    if notes.len() < FEW {
        notes.sort_unstable_by_key(rank);
    } else if notes.is_sorted_by_key(|note| note.start) {
        order_parts(notes.chunk_by_mut(|a, b| a.start == b.start));
    } else {
        order_spread(notes);
    }
}

/// Deals notes out to spans of equal length, about as many as there are notes,
/// and sorts each span.
fn order_spread(notes: &mut Vec<Note>) {
    let latest = notes.iter().map(|note| note.start).max().unwrap_or_default();
    // As many bits less as spans have to be less than ticks.
    let shift = (latest.checked_ilog2().unwrap_or_default()).saturating_sub(notes.len().ilog2());
    let span = |note: &Note| usize::try_from(note.start >> shift).unwrap_or_default();
    // Where the next note of each span goes.
    let mut next = vec![0_usize; (usize::try_from(latest >> shift).unwrap_or_default()) + 1];
    for note in notes.iter() {
        next[span(note)] += 1;
    }
    let mut sum = 0;
    for place in &mut next {
        sum += std::mem::replace(place, sum);
    }
    let mut dealt = notes.clone();
    for note in notes.iter() {
        let place = &mut next[span(note)];
        dealt[*place] = *note;
        *place += 1;
    }
    order_parts(dealt.chunk_by_mut(|a, b| span(a) == span(b)));
    *notes = dealt;
}

/// Sorts each of some short parts.
fn order_parts<'a>(parts: impl Iterator<Item = &'a mut [Note]>) {
    for part in parts {
        if part.len() > 1 {
            part.sort_unstable_by_key(rank);
        }
    }
}

/// The order of notes as one number.
#[inline]
fn rank(note: &Note) -> u128 {
    let place = u64::from(note.start) << 16 | u64::from(note.instrument.index()) << 8 | u64::from(note.pitch);
    let length = u64::from(note.duration) << 8 | u64::from(note.velocity);
    u128::from(place) << 64 | u128::from(length)
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
