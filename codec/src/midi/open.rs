//! The notes of a track that sound, by channel and pitch.

use crate::score::Note;

/// No note.
const NONE: u32 = u32::MAX;

/// Notes that wait for their note-off, the oldest of each channel and pitch first.
///
/// A queue is threaded through the notes themselves: as long as a note is open,
/// its `duration` is the index of the next of its queue. So any number of them
/// costs no memory, and each is begun and closed in one step.
pub(super) struct OpenNotes {
    queues: Box<[Queue; PLACES]>,
    /// Channels that may have open notes, a bit each.
    channels: u16,
}

/// Indices of the oldest and the newest.
#[derive(Clone, Copy)]
struct Queue {
    first: u32,
    last: u32,
}

/// Channels by pitches.
const PLACES: usize = 16 * 128;

const EMPTY: Queue = Queue { first: NONE, last: NONE };

impl Default for OpenNotes {
    fn default() -> Self {
        Self { queues: Box::new([EMPTY; PLACES]), channels: 0 }
    }
}

impl OpenNotes {
    /// Adds a note that sounds from here on.
    #[inline]
    pub(super) fn begin(&mut self, notes: &mut Vec<Note>, channel: u8, note: Note) {
        // More notes than that are no music; they keep no length.
        let Some(index) = u32::try_from(notes.len()).ok().filter(|&index| index != NONE) else { return };
        notes.push(Note { duration: NONE, ..note });
        let queue = &mut self.queues[place(channel, note.pitch)];
        if queue.first == NONE {
            queue.first = index;
        } else if let Some(newest) = at(notes, queue.last) {
            newest.duration = index;
        }
        queue.last = index;
        self.channels |= 1 << (channel & 15);
    }

    /// Ends the oldest open note of a channel and pitch, if there is one.
    #[inline]
    pub(super) fn close(&mut self, notes: &mut [Note], channel: u8, pitch: u8, tick: u32) {
        let queue = &mut self.queues[place(channel, pitch)];
        if queue.first != NONE
            && let Some(note) = at(notes, queue.first)
        {
            queue.first = note.duration;
            note.duration = tick - note.start;
        }
    }

    /// Ends whatever is open where the track ends, a tick after it began at least.
    pub(super) fn close_all(&mut self, notes: &mut [Note], tick: u32) {
        let channels = std::mem::take(&mut self.channels);
        for channel in (0..16).filter(|channel| channels >> channel & 1 == 1) {
            for queue in &mut self.queues[channel * 128..][..128] {
                while let Some(note) = at(notes, queue.first) {
                    queue.first = note.duration;
                    note.duration = (tick - note.start).max(1);
                }
            }
        }
    }
}

#[inline]
fn place(channel: u8, pitch: u8) -> usize {
    usize::from(channel & 15) << 7 | usize::from(pitch & 127)
}

/// The note of an index, none for [`NONE`].
#[inline]
fn at(notes: &mut [Note], index: u32) -> Option<&mut Note> {
    notes.get_mut(usize::try_from(index).ok()?)
}
