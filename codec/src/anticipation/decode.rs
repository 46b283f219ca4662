//! Ids back to scores and MIDI files.

use super::vocab::{ANTICIPATE, AUTOREGRESS, CONTROL, DURATION, NOTE, PITCHES, REST, SEPARATOR, VELOCITY};
use crate::encoding::EncodingError;
use crate::midi;
use crate::score::{Instrument, Note, Score};

/// Ticks a beat of a decoded score: at 120 beats a minute a tick is a hundredth
/// of a second.
const TICKS_PER_BEAT: u16 = 50;

/// Writes a sequence as a MIDI file: one track an instrument, every note at
/// velocity 72, drums on channel 10. Controls sound like events, and pieces
/// follow one another.
///
/// The notes are the original's. Where two of one instrument and pitch overlap
/// the earlier ends where the later begins, as everywhere in this crate.
///
/// # Errors
/// [`EncodingError::UnexpectedId`] names the first id that is out of place.
pub fn decode_midi(ids: &[u32]) -> Result<Vec<u8>, EncodingError> {
    decode(ids).map(|score| midi::write(&score))
}

/// See [`crate::Encoding::decode`].
pub(super) fn decode(ids: &[u32]) -> Result<Score, EncodingError> {
    let mut score = Score::new(TICKS_PER_BEAT);
    let begin = usize::from(matches!(ids.first(), Some(&(AUTOREGRESS | ANTICIPATE))));
    // Where the piece begins, and where it is over.
    let (mut start, mut end) = (0_u32, 0_u32);
    let (triplets, rest) = ids.get(begin..).unwrap_or_default().as_chunks::<3>();
    for (number, &triplet) in triplets.iter().enumerate() {
        let position = begin + 3 * number;
        let unexpected = |(place, reason): (usize, &'static str)| EncodingError::UnexpectedId {
            id: triplet[place],
            position: position + place,
            reason,
        };
        match read(triplet).map_err(unexpected)? {
            Triplet::Rest => {}
            Triplet::Separator => start = end,
            Triplet::Note(note) => {
                let late = || unexpected((0, "beyond the last tick of a score"));
                let onset = start.checked_add(note.start).ok_or_else(late)?;
                end = end.max(onset.checked_add(note.duration).ok_or_else(late)?);
                score.notes.push(Note { start: onset, ..note });
            }
        }
    }
    check_rest(rest, ids.len() - rest.len())?;
    score.normalize();
    Ok(score)
}

/// What is left of a triplet that was cut off is left out, but must be one's.
fn check_rest(rest: &[u32], position: usize) -> Result<(), EncodingError> {
    let &[time, ref duration @ ..] = rest else { return Ok(()) };
    let base = if time >= CONTROL && time != SEPARATOR { CONTROL } else { 0 };
    match *duration {
        [id] if !is_duration(id) && !is_duration(id.wrapping_sub(base)) && id != SEPARATOR => {
            Err(EncodingError::UnexpectedId { id, position: position + 1, reason: NO_DURATION })
        }
        _ => Ok(()),
    }
}

const NO_DURATION: &str = "a duration has to be here";

enum Triplet {
    Note(Note),
    Rest,
    Separator,
}

/// Reads a triplet, or tells which of its ids is wrong.
fn read([time, duration, note]: [u32; 3]) -> Result<Triplet, (usize, &'static str)> {
    if note == SEPARATOR {
        let [time, duration] = [time, duration].map(|id| id == SEPARATOR);
        return match (time, duration) {
            (true, true) => Ok(Triplet::Separator),
            (true, false) => Err((1, "a separator has to be here")),
            _ => Err((0, "a separator has to be here")),
        };
    }
    let (base, sound) = match note {
        NOTE..=REST => (0, note),
        CONTROL.. if (NOTE..REST).contains(&(note - CONTROL)) => (CONTROL, note - CONTROL),
        _ => return Err((2, "a note has to be here")),
    };
    let start = time.checked_sub(base).ok_or((0, "a control's time has to be here"))?;
    let duration = duration.checked_sub(base).filter(|&id| is_duration(id)).ok_or((1, NO_DURATION))?;
    if sound == REST {
        return Ok(Triplet::Rest);
    }
    let (instrument, pitch) = player(sound);
    let duration = duration - DURATION;
    Ok(Triplet::Note(Note { start, instrument, pitch, duration, velocity: VELOCITY }))
}

fn is_duration(id: u32) -> bool {
    (DURATION..NOTE).contains(&id)
}

/// Who plays which pitch in an event's note.
pub(super) fn player(note: u32) -> (Instrument, u8) {
    let sound = note.saturating_sub(NOTE);
    let program = u8::try_from(sound / PITCHES).unwrap_or(u8::MAX);
    let pitch = u8::try_from(sound % PITCHES).unwrap_or_default();
    (Instrument::program(program).unwrap_or(Instrument::DRUMS), pitch)
}
