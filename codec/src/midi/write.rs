//! A score to MIDI bytes.

use std::collections::BTreeMap;

use midly::num::{u4, u7, u15, u24, u28};
use midly::{Format, Header, MetaMessage, MidiMessage, Smf, Timing, TrackEvent, TrackEventKind};

use super::names;
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
/// Every note-off closes exactly one note: of notes of one instrument and pitch
/// that overlap, the earlier ends where the later begins, and of those that begin
/// together the longest is kept. A note without length is written one tick long.
#[must_use]
pub fn write(score: &Score) -> Vec<u8> {
    let mut tracks: Vec<Track> = Vec::new();
    let mut places = BTreeMap::new();
    for note in &score.notes {
        let place = *places.entry(note.instrument).or_insert_with(|| {
            tracks.push(Track { name: names::of(note.instrument).to_owned(), notes: Vec::new() });
            tracks.len() - 1
        });
        tracks[place].notes.push(*note);
    }
    write_tracks(score, &tracks)
}

/// Writes tracks as a type 1 MIDI file, with the resolution, tempo and meter of
/// `frame`, whose notes do not count. At most 65,534 tracks are written.
///
/// Overlaps are cut within a track as in [`write()`]. Channels are given to
/// instruments in order of appearance, 10 to the drum kit; from the sixteenth
/// instrument on they are shared.
#[must_use]
pub fn write_tracks(frame: &Score, tracks: &[Track]) -> Vec<u8> {
    let channels = Channels::of(tracks);
    let mut smf = Smf::new(Header::new(
        Format::Parallel,
        Timing::Metrical(u15::from(frame.ticks_per_beat.clamp(1, 0x7fff))),
    ));
    smf.tracks.push(finish(maps(frame)));
    let played = tracks.iter().take(MOST_TRACKS);
    smf.tracks.extend(played.map(|track| finish(track_events(track, &channels))));
    let mut bytes = Vec::new();
    // PANIC: a Vec takes every write; tracks are counted above, and no chunk
    // reaches 4 GB before memory ends.
    smf.write(&mut bytes).expect("a MIDI file fits its counters");
    bytes
}

/// Which channel each instrument plays on.
struct Channels(BTreeMap<Instrument, u8>);

impl Channels {
    fn of(tracks: &[Track]) -> Self {
        let mut channels = BTreeMap::new();
        let mut melodic = (0..16_u8).filter(|&channel| channel != 9).cycle();
        for note in tracks.iter().flat_map(|track| &track.notes) {
            channels.entry(note.instrument).or_insert_with(|| {
                if note.instrument.is_drums() { 9 } else { melodic.next().unwrap_or_default() }
            });
        }
        Self(channels)
    }

    fn get(&self, instrument: Instrument) -> u8 {
        self.0.get(&instrument).copied().unwrap_or_default()
    }
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

fn track_events<'a>(track: &'a Track, channels: &Channels) -> Vec<Timed<'a>> {
    let name = TrackEventKind::Meta(MetaMessage::TrackName(track.name.as_bytes()));
    let mut events = vec![(0, 0, name)];
    let notes = disjoint(track, channels);
    let mut programs: BTreeMap<u8, Instrument> = BTreeMap::new();
    for note in &notes {
        programs.entry(channels.get(note.instrument)).or_insert(note.instrument);
    }
    events.extend(programs.iter().map(|(&channel, &instrument)| (0, 1, program(channel, instrument))));
    for note in &notes {
        let channel = channels.get(note.instrument);
        // Only where more instruments than channels share a track.
        if programs.insert(channel, note.instrument) != Some(note.instrument) {
            events.push((note.start, 3, program(channel, note.instrument)));
        }
        let (key, vel) = (u7::from(note.pitch), u7::from(note.velocity.clamp(1, 127)));
        events.push((note.start, 3, midi(channel, MidiMessage::NoteOn { key, vel })));
        let off = MidiMessage::NoteOff { key, vel: u7::from(64) };
        events.push((note.start.saturating_add(note.duration), 2, midi(channel, off)));
    }
    events
}

/// The track's notes in order, each at least a tick long, none reaching into the
/// next of its channel and pitch.
fn disjoint(track: &Track, channels: &Channels) -> Vec<Note> {
    let mut notes: Vec<Note> = track.notes.clone();
    for note in &mut notes {
        note.pitch = note.pitch.min(127);
        note.duration = note.duration.max(1);
        note.start = note.start.min(u32::MAX - 1);
    }
    // The longest of those that begin together comes first, and stays.
    notes.sort_by_key(|n| (n.start, n.instrument, n.pitch, std::cmp::Reverse((n.duration, n.velocity))));
    let mut latest: BTreeMap<(u8, u8), usize> = BTreeMap::new();
    let mut kept: Vec<Note> = Vec::with_capacity(notes.len());
    for note in notes {
        let key = (channels.get(note.instrument), note.pitch);
        if let Some(before) = latest.get(&key).and_then(|&i| kept.get_mut(i)) {
            let gap = note.start - before.start;
            if gap == 0 {
                continue;
            }
            before.duration = before.duration.min(gap);
        }
        latest.insert(key, kept.len());
        kept.push(note);
    }
    kept
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
