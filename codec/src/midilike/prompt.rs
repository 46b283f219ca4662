//! Phrases made ready for a model.

use std::ops::Range;
use std::sync::Arc;

use super::bounds::Bounds;
use super::encode::{GridNote, LAST_STEP, happenings, voices};
use super::heard::Heard;
use super::stream::MidiLikeStream;
use super::vocab::Vocab;
use super::writer::Writer;
use crate::encoding::{Continuation, EncodingError, Stream, Window};
use crate::limits::ledger::{Ledger, Units};
use crate::limits::{Limits, Placement};
use crate::score::{Note, Score};

/// Fewest ids a prompt may be limited to.
const SHORTEST_PROMPT: usize = 32;

/// How far back a prompt may reach, in beats.
const PAST: u32 = 1 << 13;

/// Most beats of silence before the first note of a prompt, and after its last.
const PAUSE: u32 = 24;

/// See [`Encoding::continuation_within`](crate::Encoding::continuation_within).
pub(super) fn continuation(
    vocab: &Arc<Vocab>,
    phrase: &Score,
    window: Window,
    limits: &Limits,
    max_ids: usize,
) -> Result<Continuation, EncodingError> {
    let (from, until) = steps(vocab, window)?;
    if max_ids < SHORTEST_PROMPT {
        return Err(EncodingError::Window(format!(
            "a prompt of {max_ids} ids is too short; allow {SHORTEST_PROMPT} or more"
        )));
    }
    let playing = |instrument| phrase.notes.iter().any(|note| note.instrument.index() == instrument);
    let bounds = Bounds::answer(vocab, until, ledger(vocab, limits, from..until)?, playing);
    let heard = heard(vocab, phrase, limits.placement, window, from..until)?;
    let mut stream = MidiLikeStream::new(Arc::clone(vocab));
    let Some(first) = bounds.next(from, bounds.voices(vocab, |_| 0)) else {
        return Err(EncodingError::Limits("they leave no room for a note in the answer's place".into()));
    };
    let first = heard.next().map_or(first, |heard| heard.min(first));
    let ids = prompt(vocab, phrase, window.from, from..first)?;
    for &id in &ids {
        stream.step(id)?;
    }
    let ids = stream.shorten(&ids, max_ids);
    stream.grammar.open(first, bounds, heard);
    Ok(Continuation { ids, stream: Box::new(stream) })
}

/// The limits on the grid.
fn ledger(vocab: &Vocab, limits: &Limits, steps: Range<u32>) -> Result<Ledger, EncodingError> {
    let resolution = f64::from(vocab.resolution());
    let beats = |step: u32| f64::from(step) / resolution;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    let nearest = |beats: f64| (beats * resolution + 0.5).floor() as u32;
    let units = Units { unit: &nearest, time: &|beats| beats, until: steps.end };
    Ledger::new(limits, Window { from: beats(steps.start), until: beats(steps.end) }, &units)
}

/// What the phrase does inside the window, where it sounds along. The end of the
/// window ends its notes.
fn heard(
    vocab: &Vocab,
    phrase: &Score,
    placement: Placement,
    window: Window,
    steps: Range<u32>,
) -> Result<Heard, EncodingError> {
    if placement == Placement::After {
        return Ok(Heard::default());
    }
    let along = phrase.notes.iter().filter(|n| (window.from..window.until).contains(&phrase.beats(n.start)));
    let notes = along.map(|&note| ended(phrase, note, window.until)).collect();
    let mut voices = voices(vocab, &Score { notes, ..Score::new(phrase.ticks_per_beat.max(1)) })?;
    for (_, notes) in &mut voices {
        // A note that the grid moves before the window is heard at its beginning.
        notes.iter_mut().for_each(|note| note.start = note.start.max(steps.start));
    }
    let mut happenings = happenings(vocab, &voices);
    happenings.retain(|happening| happening.at < steps.end);
    Ok(Heard::new(happenings))
}

/// The notes of a phrase that begin before the answer, ended at its beginning and led
/// in time to the end of `silent`, where something happens again.
fn prompt(vocab: &Vocab, phrase: &Score, before: f64, silent: Range<u32>) -> Result<Vec<u32>, EncodingError> {
    let Range { start: from, end: reached } = silent;
    let oldest = from.saturating_sub(PAST * vocab.resolution());
    let notes = phrase.notes.iter().filter(|note| phrase.beats(note.start) < before);
    let notes = notes.map(|&note| ended(phrase, note, before)).collect();
    let mut voices = voices(vocab, &Score { notes, ..Score::new(phrase.ticks_per_beat.max(1)) })?;
    for (_, notes) in &mut voices {
        notes.retain(|note| note.start >= oldest);
        notes.iter_mut().for_each(|note| clip(note, from));
    }
    let mut happenings = happenings(vocab, &voices);
    let pause = PAUSE * vocab.resolution();
    let first = happenings.first().map_or(reached, |happening| happening.at);
    let origin = if happenings.is_empty() { reached } else { oldest.max(first.saturating_sub(pause)) };
    happenings.iter_mut().for_each(|happening| happening.at -= origin);
    let mut writer = Writer::new(vocab, vocab.begin().into_iter().collect(), 0);
    let last = happenings.last().map_or(0, |happening| happening.at);
    happenings.into_iter().for_each(|happening| writer.take(happening));
    writer.go((reached - origin).min(last + pause));
    Ok(writer.ids)
}

/// A note that ends when the answer begins, if it does not end before.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a conversion that saturates is right here: the clipping only has to be late enough"
)]
fn ended(phrase: &Score, note: Note, before: f64) -> Note {
    // A beat more, as the grid decides where exactly.
    let end = ((before + 1.0) * f64::from(phrase.ticks_per_beat)).ceil() as u32;
    Note { duration: note.duration.min(end.saturating_sub(note.start)), ..note }
}

/// Clips a note on the grid to what lies before a step. A note that the grid moves
/// onto the step or beyond is heard just before it.
fn clip(note: &mut GridNote, from: u32) {
    let end = (note.start + note.duration).min(from.max(1));
    note.start = note.start.min(end - 1);
    note.duration = end - note.start;
}

/// A window on the grid: each end at the first step that is not before it.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "both are checked to lie within LAST_STEP"
)]
fn steps(vocab: &Vocab, window: Window) -> Result<(u32, u32), EncodingError> {
    let Window { from, until } = window;
    let error =
        |what: &str| EncodingError::Window(format!("it goes from beat {from} until beat {until}; {what}"));
    // A beat less than can be spelled, for a note that the answer cuts.
    let latest = f64::from(LAST_STEP / vocab.resolution() - 2);
    if !(0.0..=latest).contains(&from) || !(0.0..=latest).contains(&until) {
        return Err(error(&format!("both must lie within 0 and {latest}")));
    }
    // A time this little past a step (a host's arithmetic) is that step.
    let step = |beats: f64| (beats * f64::from(vocab.resolution()) - 1e-4).ceil().max(0.0) as u32;
    let (from, until) = (step(from), step(until));
    if until <= from { Err(error("it must hold a step of the grid")) } else { Ok((from, until)) }
}
