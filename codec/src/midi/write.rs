//! A score to MIDI bytes.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use midly::num::{u4, u7, u15, u24, u28};
use midly::{Format, Header, MetaMessage, MidiMessage, Smf, Timing, TrackEvent, TrackEventKind};

use super::{DRUM_CHANNEL, names};
use crate::score::{Instrument, Note, Score};

/// The longest pause one event can hold, in ticks.
const LONGEST_DELTA: u32 = (1 << 28) - 1;
/// Tracks a file can count, besides the one of tempo and meter.
const MOST_TRACKS: usize = 0xffff - 1;

/// The notes of a track to be written. Their order does not matter, and they may
/// be of several instruments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Track {
    /// The name DAWs show.
    pub name: String,
    /// What it plays, in ticks of the score it is written with.
    pub notes: Vec<Note>,
}

/// Writes a score as a type 1 MIDI file: tempo and meter in the first track, then
/// one track an instrument in order of appearance, named after it.
///
/// Every note-off closes exactly one note: a note that begins while another of its
/// instrument and pitch sounds goes to a further track of that instrument, on a
/// channel of its own while there are any. Of those that begin together the longest
/// is kept. A note without length is written one tick long.
#[must_use]
pub fn write(score: &Score) -> Vec<u8> {
    let mut instruments: Vec<(Instrument, Vec<Note>)> = Vec::new();
    let mut places = BTreeMap::new();
    for note in &score.notes {
        let place = *places.entry(note.instrument).or_insert_with(|| {
            instruments.push((note.instrument, Vec::new()));
            instruments.len() - 1
        });
        instruments[place].1.push(*note);
    }
    let tracks: Vec<(usize, Track)> =
        instruments.into_iter().flat_map(|(instrument, notes)| layers(instrument, notes)).collect();
    let parts: Vec<Part> = tracks.iter().map(|(layer, track)| Part { layer: *layer, track }).collect();
    write_parts(score, &parts)
}

/// The tracks of one instrument, numbered, in none of which a note begins while
/// another of its pitch sounds.
fn layers(instrument: Instrument, mut notes: Vec<Note>) -> Vec<(usize, Track)> {
    notes.iter_mut().for_each(tidy);
    notes.sort_by_key(by_start);
    notes.dedup_by_key(|note| (note.start, note.pitch));
    let name = names::of(instrument);
    let mut tracks: Vec<(usize, Track)> = Vec::new();
    let mut taken: BTreeMap<u8, Taken> = BTreeMap::new();
    for note in notes {
        let layer = taken.entry(note.pitch).or_default().free(note.start, end(&note));
        if layer == tracks.len() {
            let name = if layer == 0 { name.to_owned() } else { format!("{name} ({})", layer + 1) };
            tracks.push((layer, Track { name, notes: Vec::new() }));
        }
        tracks[layer].1.notes.push(note);
    }
    tracks
}

/// Which layers one pitch sounds in.
#[derive(Default)]
struct Taken {
    /// Those that sound, by when they end.
    until: BTreeSet<(u32, usize)>,
    /// Those that sounded and ended.
    free: BTreeSet<usize>,
}

impl Taken {
    /// Takes the lowest layer that is silent at a tick, until another.
    fn free(&mut self, start: u32, end: u32) -> usize {
        while let Some(over) = self.until.first().copied().filter(|&(end, _)| end <= start) {
            self.until.remove(&over);
            self.free.insert(over.1);
        }
        let layer = self.free.pop_first().unwrap_or(self.until.len());
        self.until.insert((end, layer));
        layer
    }
}

/// Writes tracks as a type 1 MIDI file, with the resolution, tempo and meter of
/// `frame`, whose notes do not count. At most 65,534 tracks are written.
///
/// Of notes of one instrument and pitch that overlap within a track, the earlier ends
/// where the later begins, and of those that begin together the longest is kept.
/// Channels are given to instruments in order of appearance, 10 to the drum kit; from
/// the sixteenth instrument on they are shared, and each note follows its program.
#[must_use]
pub fn write_tracks(frame: &Score, tracks: &[Track]) -> Vec<u8> {
    let parts: Vec<Part> = tracks.iter().map(|track| Part { layer: 0, track }).collect();
    write_parts(frame, &parts)
}

/// A track to be written.
struct Part<'a> {
    /// Parts that play one instrument in several layers are heard apart.
    layer: usize,
    track: &'a Track,
}

fn write_parts(frame: &Score, parts: &[Part]) -> Vec<u8> {
    let parts = parts.get(..MOST_TRACKS).unwrap_or(parts);
    let channels = Channels::of(parts);
    let mut smf = Smf::new(Header::new(
        Format::Parallel,
        Timing::Metrical(u15::from(frame.ticks_per_beat.clamp(1, 0x7fff))),
    ));
    smf.tracks.push(finish(maps(frame)));
    let mut played: Vec<Vec<Played>> = parts.iter().map(|part| channels.played(part)).collect();
    if channels.shared() {
        mark_turns(&mut played);
    }
    let tracks = parts.iter().zip(&played).map(|(part, notes)| finish(track_events(part.track, notes)));
    smf.tracks.extend(tracks);
    let mut bytes = Vec::new();
    // PANIC: a Vec takes every write; tracks are counted above, and no chunk
    // reaches 4 GB before memory ends.
    smf.write(&mut bytes).expect("a MIDI file fits its counters");
    bytes
}

/// A note and the channel it is played on.
#[derive(Clone, Copy)]
struct Played {
    channel: u8,
    note: Note,
    /// Whether the channel turns to its instrument just before it.
    turn: bool,
}

/// Which channel each layer of each instrument plays on.
struct Channels(BTreeMap<(usize, Instrument), u8>);

impl Channels {
    fn of(parts: &[Part]) -> Self {
        let mut channels = BTreeMap::new();
        let melodic = || (0..16_u8).filter(|&channel| channel != DRUM_CHANNEL);
        let (mut free, mut shared) = (melodic(), melodic().cycle());
        let players = |further: bool| {
            let parts = parts.iter().filter(move |part| (part.layer > 0) == further);
            parts.flat_map(|part| part.track.notes.iter().map(|note| (part.layer, note.instrument)))
        };
        for (layer, instrument) in players(false) {
            channels.entry((layer, instrument)).or_insert_with(|| match instrument.is_drums() {
                true => DRUM_CHANNEL,
                false => free.next().or_else(|| shared.next()).unwrap_or_default(),
            });
        }
        // What is left of the channels when every instrument has one.
        for (layer, instrument) in players(true) {
            let first = channels.get(&(0, instrument)).copied().unwrap_or_default();
            channels.entry((layer, instrument)).or_insert_with(|| match instrument.is_drums() {
                true => DRUM_CHANNEL,
                false => free.next().unwrap_or(first),
            });
        }
        Self(channels)
    }

    fn get(&self, part: &Part, instrument: Instrument) -> u8 {
        self.0.get(&(part.layer, instrument)).copied().unwrap_or_default()
    }

    /// Whether two instruments play on one channel.
    fn shared(&self) -> bool {
        let mut players = [None; 16];
        self.0.iter().any(|(&(_, instrument), &channel)| {
            players[usize::from(channel)].replace(instrument).is_some_and(|other| other != instrument)
        })
    }

    /// A part's notes in order, each at least a tick long, none reaching into the next
    /// of its channel and pitch.
    fn played(&self, part: &Part) -> Vec<Played> {
        let mut notes = part.track.notes.clone();
        notes.iter_mut().for_each(tidy);
        notes.sort_by_key(by_start);
        let mut latest: BTreeMap<(u8, u8), usize> = BTreeMap::new();
        let mut kept: Vec<Played> = Vec::with_capacity(notes.len());
        for note in notes {
            let channel = self.get(part, note.instrument);
            let key = (channel, note.pitch);
            if let Some(before) = latest.get(&key).and_then(|&i| kept.get_mut(i)) {
                let gap = note.start - before.note.start;
                if gap == 0 {
                    continue;
                }
                before.note.duration = before.note.duration.min(gap);
            }
            latest.insert(key, kept.len());
            kept.push(Played { channel, note, turn: false });
        }
        kept
    }
}

/// Marks the notes before which their channel has to turn to their instrument, as
/// the tracks sound together.
fn mark_turns(parts: &mut [Vec<Played>]) {
    let mut order: Vec<(u32, usize, usize)> = Vec::new();
    for (part, notes) in parts.iter().enumerate() {
        order.extend(notes.iter().enumerate().map(|(place, played)| (played.note.start, part, place)));
    }
    order.sort_unstable();
    let mut heard: [Option<Instrument>; 16] = [None; 16];
    // A track alone has to make sense too: it begins with what it plays first.
    let mut said: BTreeMap<(usize, u8), Instrument> = BTreeMap::new();
    for (_, part, place) in order {
        let played = &mut parts[part][place];
        let instrument = played.note.instrument;
        let heard = heard[usize::from(played.channel)].replace(instrument);
        let said = said.insert((part, played.channel), instrument).unwrap_or(instrument);
        played.turn = heard != Some(instrument) || said != instrument;
    }
}

/// The note as a file can hold it.
fn tidy(note: &mut Note) {
    note.pitch = note.pitch.min(127);
    note.duration = note.duration.max(1);
    note.start = note.start.min(u32::MAX - 1);
}

/// Sorts notes; the longest of those that begin together comes first.
fn by_start(note: &Note) -> (u32, Instrument, u8, Reverse<(u32, u8)>) {
    (note.start, note.instrument, note.pitch, Reverse((note.duration, note.velocity)))
}

const fn end(note: &Note) -> u32 {
    note.start.saturating_add(note.duration)
}

/// An event's tick, its place among those on the same tick, and the event.
type Timed<'a> = (u32, u8, TrackEventKind<'a>);

fn maps(frame: &Score) -> Vec<Timed<'static>> {
    let tempos = frame.tempos.iter().map(|tempo| {
        let micros = u24::from(tempo.micros_per_beat.clamp(1, 0xff_ffff));
        (tempo.tick, 1, TrackEventKind::Meta(MetaMessage::Tempo(micros)))
    });
    let meters = frame.meters.iter().map(|meter| {
        let exponent = u8::try_from(meter.denominator.max(1).ilog2()).unwrap_or_default();
        let signature = MetaMessage::TimeSignature(meter.numerator, exponent, 24, 8);
        (meter.tick, 0, TrackEventKind::Meta(signature))
    });
    meters.chain(tempos).collect()
}

fn track_events<'a>(track: &'a Track, notes: &[Played]) -> Vec<Timed<'a>> {
    let name = TrackEventKind::Meta(MetaMessage::TrackName(track.name.as_bytes()));
    let mut events = vec![(0, 0, name)];
    let mut programs: BTreeMap<u8, Instrument> = BTreeMap::new();
    for played in notes {
        programs.entry(played.channel).or_insert(played.note.instrument);
    }
    events.extend(programs.iter().map(|(&channel, &instrument)| (0, 1, program(channel, instrument))));
    for &Played { channel, note, turn } in notes {
        if turn {
            events.push((note.start, 3, program(channel, note.instrument)));
        }
        let (key, vel) = (u7::from(note.pitch), u7::from(note.velocity.clamp(1, 127)));
        events.push((note.start, 3, midi(channel, MidiMessage::NoteOn { key, vel })));
        let off = MidiMessage::NoteOff { key, vel: u7::from(64) };
        events.push((end(&note), 2, midi(channel, off)));
    }
    events
}

fn program<'a>(channel: u8, instrument: Instrument) -> TrackEventKind<'a> {
    // The drum kit's index, 128, becomes program 0: the standard kit.
    midi(channel, MidiMessage::ProgramChange { program: u7::from(instrument.index()) })
}

fn midi<'a>(channel: u8, message: MidiMessage) -> TrackEventKind<'a> {
    TrackEventKind::Midi { channel: u4::from(channel), message }
}

/// Sorts events, turns ticks into pauses and ends the track.
fn finish(mut events: Vec<Timed<'_>>) -> Vec<TrackEvent<'_>> {
    events.sort_by_key(|&(tick, rank, _)| (tick, rank));
    let mut track = Vec::with_capacity(events.len() + 1);
    let mut now = 0;
    for (tick, _, kind) in events {
        let mut pause: u32 = tick - now;
        while pause > LONGEST_DELTA {
            let filler = TrackEventKind::Meta(MetaMessage::Text(b""));
            track.push(TrackEvent { delta: u28::from(LONGEST_DELTA), kind: filler });
            pause -= LONGEST_DELTA;
        }
        track.push(TrackEvent { delta: u28::from(pause), kind });
        now = tick;
    }
    let end = TrackEventKind::Meta(MetaMessage::EndOfTrack);
    track.push(TrackEvent { delta: u28::from(0), kind: end });
    track
}
