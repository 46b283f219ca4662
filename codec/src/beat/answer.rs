//! Prompts, and the streams that answer them.

use std::ops::Range;

use super::encode::{self, Prompt};
use super::frame::Frame;
use super::grammar::{Place, Sound};
use super::grid::{Grid, LATEST, beats, step_at_or_after};
use super::stream::BeatStream;
use super::vocab::{INSTRUMENTS, STEPS_PER_BEAT};
use crate::encoding::{Continuation, EncodingError, Stream as _, Window};
use crate::limits::ledger::{Ledger, Units};
use crate::limits::{Limits, Placement};
use crate::score::{Instrument, Score};

/// Most bars in a row that an answer may leave empty.
const ANSWER_SILENCE: u32 = 2;

/// Fewest ids a prompt may be limited to.
const SHORTEST_PROMPT: usize = 32;

/// See [`Encoding::continuation_within`](crate::Encoding::continuation_within).
pub(super) fn continuation(
    phrase: &Score,
    window: Window,
    limits: &Limits,
    max_ids: usize,
) -> Result<Continuation, EncodingError> {
    let (from, until) = steps(window)?;
    if max_ids < SHORTEST_PROMPT {
        return Err(EncodingError::Window(format!(
            "a prompt of {max_ids} ids is too short; allow {SHORTEST_PROMPT} or more"
        )));
    }
    let on_grid = Window { from: beats(from), until: beats(until) };
    let units = Units { unit: &nearest_step, time: &|beats| beats, until };
    let frame = Frame {
        until,
        instruments: instruments(phrase),
        silence: ANSWER_SILENCE,
        ledger: Ledger::new(limits, on_grid, &units)?,
        heard: heard(phrase, limits.placement, window.from, from..until)?,
    };
    let first = frame.next(from);
    if first >= until {
        return Err(EncodingError::Limits("they leave no room for a note in the answer's place".into()));
    }
    let Prompt { ids: prompt, origin } = encode::prompt(phrase, window.from, first)?;
    let mut stream = BeatStream::after(&prompt)?;
    stream.grammar.start += origin;
    // The position is given, and its tempo too; the answer begins with a note.
    stream.grammar.place = Place::Position;
    stream.grammar.frame = Some(Box::new(frame));
    let ids = stream.shorten(&prompt, max_ids);
    if ids.len() > max_ids {
        return Err(EncodingError::Window(format!(
            "the shortest prompt takes {} ids, more than the {max_ids} allowed",
            ids.len()
        )));
    }
    Ok(Continuation { ids, stream: Box::new(stream) })
}

/// A window on the grid.
fn steps(window: Window) -> Result<(u32, u32), EncodingError> {
    let Window { from, until } = window;
    let error =
        |what: &str| EncodingError::Window(format!("it goes from beat {from} until beat {until}; {what}"));
    if !(0.0..=LATEST).contains(&from) || !(0.0..=LATEST).contains(&until) {
        return Err(error("both must lie within 0 and 100,000,000"));
    }
    if until <= from {
        return Err(error("it must end after it begins"));
    }
    let (from, until) = (step_at_or_after(from), step_at_or_after(until));
    if until <= from {
        return Err(error("it must hold a twenty-fourth of a beat"));
    }
    Ok((from, until))
}

/// The step nearest to a time in quarter notes, the later of two.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
fn nearest_step(beats: f64) -> u32 {
    (beats * f64::from(STEPS_PER_BEAT) + 0.5).floor() as u32
}

/// Which instruments a phrase uses; the piano if none.
fn instruments(phrase: &Score) -> [bool; INSTRUMENTS as usize] {
    let mut used = [false; INSTRUMENTS as usize];
    used[usize::from(Instrument::PIANO.index())] = phrase.notes.is_empty();
    for note in &phrase.notes {
        used[usize::from(note.instrument.index())] = true;
    }
    used
}

/// The phrase's notes that sound along with an answer, the last first.
fn heard(
    phrase: &Score,
    placement: Placement,
    from: f64,
    steps: Range<u32>,
) -> Result<Vec<(u32, Sound)>, EncodingError> {
    if placement == Placement::After {
        return Ok(Vec::new());
    }
    let score = encode::checked(phrase)?;
    let grid = Grid::new(score.ticks_per_beat);
    let step = |tick| u32::try_from(grid.step(tick)).unwrap_or(u32::MAX);
    // Those before the window are in the prompt, and just before it at the latest.
    let along = score.notes.iter().filter(|note| score.beats(note.start) >= from);
    let sounds =
        along.map(|note| (step(note.start).max(steps.start), Sound::of(note, grid.step(note.duration))));
    let mut heard: Vec<(u32, Sound)> = sounds.filter(|(at, _)| steps.contains(at)).collect();
    heard.sort_unstable_by_key(|&(at, s)| std::cmp::Reverse((at, s.instrument, s.pitch, s.duration)));
    heard.dedup_by_key(|&mut (at, s)| (at, s.instrument, s.pitch));
    Ok(heard)
}
