//! MIDI files as symusic 0.6.0 reads them, whose reading decides MidiTok's ids.
//!
//! It is stricter than [`midi::read`](crate::midi::read) with damaged files, and
//! differs where the standard leaves room:
//! - A track of the file is one part for each channel and program with a note, in
//!   the order of channels, then programs. Programs hold for their own track only.
//! - A note-off ends the oldest open note of its track, channel and pitch; notes
//!   that are never ended are dropped.
//! - After a system message, running status repeats that, as many bytes long.

use std::collections::{BTreeMap, VecDeque};

use super::MidiLikeError;
use super::vocab::KIT;
use crate::midi::DRUM_CHANNEL;

/// A note in ticks of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileNote {
    pub(super) start: u32,
    /// `None` until it ends.
    pub(super) duration: Option<u32>,
    pub(super) pitch: u8,
    pub(super) velocity: u8,
}

/// What one instrument plays in one track of the file.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// 0..=127, 128 for the drum kit.
    pub(super) instrument: u8,
    /// In the order in which they begin. All have ended.
    pub(super) notes: Vec<FileNote>,
}

/// A file's notes.
#[derive(Clone, Debug)]
pub(super) struct File {
    /// Never 0.
    pub(super) ticks_per_beat: u16,
    pub(super) parts: Vec<Part>,
}

fn damaged<T>(offset: usize, reason: &'static str) -> Result<T, MidiLikeError> {
    Err(MidiLikeError::Midi { offset, reason })
}

/// Reads a file.
pub(super) fn read(bytes: &[u8]) -> Result<File, MidiLikeError> {
    let (count, ticks_per_beat) = header(bytes)?;
    let mut parts = Vec::new();
    let mut at = 14;
    for _ in 0..count {
        if at >= bytes.len() {
            break;
        }
        let (start, end) = track_chunk(bytes, at)?;
        let mut track = Track::new(bytes, start, end);
        track.read()?;
        track.finish(&mut parts);
        at = end;
    }
    Ok(File { ticks_per_beat, parts })
}

/// How many tracks the header claims, and ticks a beat.
fn header(bytes: &[u8]) -> Result<(u16, u16), MidiLikeError> {
    let Some(&[m, t, h, d, l0, l1, l2, l3, f0, f1, n0, n1, d0, d1]) = bytes.first_chunk() else {
        return damaged(0, "the file is shorter than a MIDI header");
    };
    if &[m, t, h, d] != b"MThd" {
        return damaged(0, "not a MIDI file: it does not begin with `MThd`");
    }
    if [l0, l1, l2, l3] != [0, 0, 0, 6] {
        return damaged(4, "a header whose length is not 6");
    }
    if u16::from_be_bytes([f0, f1]) > 2 {
        return damaged(8, "a type above 2");
    }
    match u16::from_be_bytes([d0, d1]) {
        0 => damaged(12, "a division of 0 ticks a beat"),
        0x8000.. => damaged(12, "SMPTE frames in place of ticks a beat"),
        ticks => Ok((u16::from_be_bytes([n0, n1]), ticks)),
    }
}

/// Where the body of the next track lies, chunks of other kinds passed over.
fn track_chunk(bytes: &[u8], at: usize) -> Result<(usize, usize), MidiLikeError> {
    let mut at = at;
    loop {
        let Some(&[i0, i1, i2, i3, l0, l1, l2, l3]) = bytes.get(at..).and_then(|rest| rest.first_chunk())
        else {
            return damaged(at, "the file ends where a track should begin");
        };
        let length = usize::try_from(u32::from_be_bytes([l0, l1, l2, l3])).unwrap_or(usize::MAX);
        let start = at + 8;
        if length > bytes.len() - start {
            return damaged(at, "a chunk longer than what is left of the file");
        }
        if &[i0, i1, i2, i3] == b"MTrk" {
            return Ok((start, start + length));
        }
        at = start + length;
    }
}

/// A channel and a program.
type Key = (u8, u8);

/// What a channel and program have in a track so far.
#[derive(Default)]
struct Lane {
    notes: Vec<FileNote>,
    /// Whether it holds anything, be it only a controller. A lane without notes
    /// that does counts as a part when parts of one instrument are put together.
    used: bool,
}

/// A track while it is read.
struct Track<'a> {
    bytes: &'a [u8],
    at: usize,
    end: usize,
    tick: u32,
    /// The status running status repeats, and its length in bytes; 0 for none.
    status: u8,
    length: usize,
    programs: [u8; 16],
    lanes: BTreeMap<Key, Lane>,
    /// Whether anything stands in a channel before its lane is there.
    waiting: [bool; 16],
    open: BTreeMap<(u8, u8), VecDeque<(Key, usize)>>,
}

impl<'a> Track<'a> {
    fn new(bytes: &'a [u8], start: usize, end: usize) -> Self {
        Self {
            bytes,
            at: start,
            end,
            tick: 0,
            status: 0,
            length: 0,
            programs: [0; 16],
            lanes: BTreeMap::new(),
            waiting: [false; 16],
            open: BTreeMap::new(),
        }
    }

    fn read(&mut self) -> Result<(), MidiLikeError> {
        while self.at < self.end {
            let at = self.at;
            let delta = self.number()?;
            self.tick = self
                .tick
                .checked_add(delta)
                .filter(|&tick| tick <= i32::MAX.unsigned_abs())
                .ok_or(MidiLikeError::TooLong { offset: at })?;
            match self.byte(self.at)? {
                0xff => self.meta()?,
                0xf0 => self.system_exclusive()?,
                0x80.. => self.message()?,
                _ => self.running()?,
            }
        }
        Ok(())
    }

    /// Finishes the parts of the track.
    fn finish(self, parts: &mut Vec<Part>) {
        for ((channel, program), mut lane) in self.lanes {
            if lane.used {
                lane.notes.retain(|note| note.duration.is_some());
                let instrument = if channel == DRUM_CHANNEL { KIT } else { program };
                parts.push(Part { instrument, notes: lane.notes });
            }
        }
    }

    fn byte(&self, at: usize) -> Result<u8, MidiLikeError> {
        match self.bytes.get(at) {
            Some(&byte) => Ok(byte),
            None => damaged(at, "the file ends within an event"),
        }
    }

    /// A number of variable length, four bytes at most.
    fn number(&mut self) -> Result<u32, MidiLikeError> {
        let mut number = 0;
        for _ in 0..4 {
            let byte = self.byte(self.at)?;
            self.at += 1;
            number = number << 7 | u32::from(byte & 0x7f);
            if byte < 0x80 {
                break;
            }
        }
        Ok(number)
    }

    /// The end of what begins here with this many bytes, if the track has them.
    fn within(&self, start: usize, length: usize) -> Result<usize, MidiLikeError> {
        match start.checked_add(length) {
            Some(end) if end <= self.end => Ok(end),
            _ => damaged(start, "an event longer than its track"),
        }
    }

    fn meta(&mut self) -> Result<(), MidiLikeError> {
        let start = self.at;
        let kind = self.byte(start + 1)?;
        self.at += 2;
        let length = usize::try_from(self.number()?).unwrap_or(usize::MAX);
        let body = self.at;
        self.at = self.within(body, length)?;
        match kind {
            0x2f => self.at = self.end,
            // A lyric makes a lane of the last channel, whatever channel it is for.
            0x05 => self.lane(15).used |= length > 0,
            _ => {}
        }
        Ok(())
    }

    fn system_exclusive(&mut self) -> Result<(), MidiLikeError> {
        let start = self.at;
        self.at += 1;
        let length = usize::try_from(self.number()?).unwrap_or(usize::MAX);
        self.at = self.within(self.at, length)?;
        (self.status, self.length) = (0xf0, self.at - start);
        Ok(())
    }

    fn message(&mut self) -> Result<(), MidiLikeError> {
        let start = self.at;
        self.status = self.byte(start)?;
        self.length = match self.status {
            0xc0..=0xdf | 0xf1 | 0xf3 => 2,
            0x80..=0xef | 0xf2 => 3,
            0xf6..=0xf8 | 0xfa..=0xfc | 0xfe => 1,
            _ => return damaged(start, "a status that MIDI does not define"),
        };
        self.at = self.within(start, self.length)?;
        self.act(start + 1)
    }

    fn running(&mut self) -> Result<(), MidiLikeError> {
        let start = self.at;
        if self.length == 0 {
            return damaged(start, "a data byte where a status has to be");
        }
        self.at = self.within(start, self.length - 1)?;
        self.act(start)
    }

    /// Does what the status says with the data from `data` on.
    fn act(&mut self, data: usize) -> Result<(), MidiLikeError> {
        let (kind, channel) = (self.status & 0xf0, self.status & 0x0f);
        if !matches!(kind, 0x80 | 0x90 | 0xb0 | 0xc0 | 0xe0) {
            return Ok(());
        }
        let first = self.byte(data)?;
        let second = if self.length > 2 { self.byte(data + 1)? } else { 0 };
        // Both bytes of a pitch bend make one number, which only the second puts
        // out of range.
        if (first > 127 && kind != 0xe0) || second > 127 {
            return damaged(data, "a data byte above 127");
        }
        match kind {
            0x90 if second > 0 => self.note_on(channel, first, second),
            0x80 | 0x90 => self.note_off(channel, first),
            0xc0 => self.programs[usize::from(channel)] = first,
            _ => match self.lanes.get_mut(&(channel, self.programs[usize::from(channel)])) {
                Some(lane) => lane.used = true,
                None => self.waiting[usize::from(channel)] = true,
            },
        }
        Ok(())
    }

    fn lane(&mut self, channel: u8) -> &mut Lane {
        let key = (channel, self.programs[usize::from(channel)]);
        let waiting = &mut self.waiting[usize::from(channel)];
        self.lanes.entry(key).or_insert_with(|| Lane { notes: Vec::new(), used: std::mem::take(waiting) })
    }

    fn note_on(&mut self, channel: u8, pitch: u8, velocity: u8) {
        let note = FileNote { start: self.tick, duration: None, pitch, velocity };
        let key = (channel, self.programs[usize::from(channel)]);
        let lane = self.lane(channel);
        lane.used = true;
        lane.notes.push(note);
        let index = lane.notes.len() - 1;
        self.open.entry((channel, pitch)).or_default().push_back((key, index));
    }

    fn note_off(&mut self, channel: u8, pitch: u8) {
        let oldest = self.open.get_mut(&(channel, pitch)).and_then(VecDeque::pop_front);
        if let Some((key, index)) = oldest
            && let Some(note) = self.lanes.get_mut(&key).and_then(|lane| lane.notes.get_mut(index))
        {
            note.duration = Some(self.tick - note.start);
        }
    }
}
