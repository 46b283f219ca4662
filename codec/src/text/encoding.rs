//! The text as an [`Encoding`].

use super::held::Held;
use super::note::{self, Seen};
use super::seconds::Spelling;
use super::stream::{Answer, TextStream};
use super::tokens::{END_OF_TEXT, ids, spelled};
use crate::encoding::{Clock, Continuation, Encoding, EncodingError, Stream, Window};
use crate::limits::ledger::{Ledger, Units};
use crate::limits::{Limits, Placement};
use crate::score::{Instrument, Note, Score};
use crate::seconds::Seconds;

/// Ticks a beat of a decoded score: ten ticks are a hundredth of a second.
const TICKS_PER_BEAT: u16 = 500;
/// A decoded score's ticks a second, at 120 beats a minute.
const TICKS_PER_SECOND: f64 = 1000.0;
/// The text counts to this many seconds.
const MOST_SECONDS: f64 = 9999.99;
/// A prompt begins at most this long before the end of the answer, in seconds.
const LONGEST_SPAN: f64 = 9900.0;
/// Where a phrase's first note is later than this, in seconds, a prompt counts
/// its time from there: music in this text begins at 0.
const LONGEST_SILENCE: f64 = 60.0;

/// The seed's text in GPT-2's tokens.
///
/// The text does not say who plays: notes of an answer are given to the
/// instrument that plays most of the phrase, and a decoded piece to the piano.
///
/// A prompt holds the phrase's notes in the order in which they end, whoever
/// plays them, so that it leads up to the answer. An answer's notes come in the
/// order in which they begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Text;

impl Encoding for Text {
    fn name(&self) -> &'static str {
        "text"
    }

    fn vocab_size(&self) -> usize {
        50_257
    }

    fn clock(&self) -> Clock {
        Clock::Seconds
    }

    /// As [`super::encode_midi`] spells a file: instruments follow each other in
    /// the order of their first finished note, and an instrument's notes in the
    /// order in which they end. A note longer than the text can count is cut.
    fn encode(&self, score: &Score) -> Result<Vec<u32>, EncodingError> {
        let seconds = Seconds::of(score);
        let notes = by_end(score.notes.iter().copied());
        let mut instruments: Vec<Instrument> = Vec::new();
        for note in &notes {
            if !instruments.contains(&note.instrument) {
                instruments.push(note.instrument);
            }
        }
        let mut text = Spelling::default();
        for instrument in instruments {
            for note in notes.iter().filter(|note| note.instrument == instrument) {
                spell_note(&mut text, note, &seconds, 0.0)?;
            }
        }
        to_ids(text)
    }

    fn stream(&self) -> Box<dyn Stream> {
        Box::new(TextStream::piece())
    }

    fn continuation_within(
        &self,
        phrase: &Score,
        window: Window,
        limits: &Limits,
        max_ids: usize,
    ) -> Result<Continuation, EncodingError> {
        if !(window.from >= 0.0 && window.until > window.from && window.until.is_finite()) {
            let reason = format!("from beat {} to beat {}", window.from, window.until);
            return Err(EncodingError::Window(reason));
        }
        if max_ids == 0 {
            return Err(EncodingError::Window("a prompt of no ids".to_owned()));
        }
        let seconds = Seconds::of(phrase);
        let beats = |beats: f64| seconds.at(beats * f64::from(phrase.ticks_per_beat));
        let (from, until) = (beats(window.from), beats(window.until));
        let heard = match limits.placement {
            Placement::After => window.from,
            Placement::Over => window.until,
        };
        let before = phrase.notes.iter().copied().filter(|note| phrase.beats(note.start) < heard);
        let recent = before.filter(|note| seconds.at(f64::from(note.start)) > until - LONGEST_SPAN);
        let mut prompt = Prompt::new(&by_end(recent), &seconds, from, max_ids)?;
        let Some(answer) = Answer::new(prompt.zero, from, until) else {
            let reason = format!("{:.0} seconds; the text counts to {LONGEST_SPAN}", until - from);
            return Err(EncodingError::Window(reason));
        };
        let instrument = usual_instrument(phrase);
        let hundredths = |time: f64| hundredth(beats(time) * 100.0 - prompt.zero);
        let units = Units { unit: &hundredths, time: &beats, until: answer.end() };
        let ledger = Ledger::new(limits, window, &units)?;
        let held = Held::new(ledger, instrument.is_drums(), answer.end());
        if held.next(answer.first_start()) >= answer.end() {
            return Err(EncodingError::Limits("they leave no room for a note in the answer's place".into()));
        }
        let stream = TextStream::answer(answer, instrument, prompt.has_notes, held);
        Ok(Continuation { ids: std::mem::take(&mut prompt.ids), stream: Box::new(stream) })
    }

    /// Reads a piece that may be cut off within its last note, which is left out
    /// then. It may begin and end with the end-of-text id.
    fn decode(&self, ids: &[u32]) -> Result<Score, EncodingError> {
        let mut score = Score::new(TICKS_PER_BEAT);
        let begin = usize::from(ids.first() == Some(&END_OF_TEXT));
        let end = ids.iter().skip(begin).position(|&id| id == END_OF_TEXT).map_or(ids.len(), |at| at + begin);
        let unexpected = |position: usize, reason| {
            let id = ids.get(position).copied().unwrap_or(END_OF_TEXT);
            EncodingError::UnexpectedId { id, position, reason }
        };
        if end + 1 < ids.len() {
            return Err(unexpected(end + 1, "the piece is over"));
        }
        // The text, and where in it each id ends.
        let (mut text, mut ends) = (String::new(), Vec::new());
        for (position, &id) in ids.iter().enumerate().take(end).skip(begin) {
            text += spelled(id).ok_or_else(|| unexpected(position, "it does not spell music"))?;
            ends.push(text.len());
        }
        let mut at = 0;
        for piece in text.split(' ').filter(|_| !text.is_empty()) {
            match note::read(piece) {
                Ok(seen) => score.notes.push(on_grid(seen)),
                Err(place) if place == piece.len() && at + place == text.len() && end == ids.len() => {}
                Err(place) => {
                    let position = begin + ends.partition_point(|&id_end| id_end <= at + place);
                    return Err(unexpected(position, "no note goes on like this"));
                }
            }
            at += piece.len() + 1;
        }
        score.normalize();
        Ok(score)
    }
}

/// What a model reads before an answer.
struct Prompt {
    ids: Vec<u32>,
    /// What the text calls 0, in hundredths of a second.
    zero: f64,
    has_notes: bool,
}

impl Prompt {
    /// Spells as many of the notes that end last as `max_ids` ids hold.
    fn new(notes: &[Note], seconds: &Seconds, from: f64, max_ids: usize) -> Result<Self, EncodingError> {
        let mut kept = notes;
        while !kept.is_empty() {
            let zero = zero(kept, seconds, kept.len() < notes.len()).min((from * 100.0).floor());
            let mut text = Spelling::default();
            for note in kept {
                spell_note(&mut text, note, seconds, zero / 100.0)?;
            }
            let ids = to_ids(text)?;
            if ids.len() <= max_ids {
                return Ok(Self { ids, zero, has_notes: true });
            }
            // Other times may take other numbers of ids, so it may not be enough.
            let begins_note = |&id: &u32| spelled(id).is_some_and(|text| text.starts_with(' '));
            let dropped = ids[..=ids.len() - max_ids].iter().filter(|id| begins_note(id)).count().max(1);
            kept = &kept[dropped..];
        }
        let zero = if from > LONGEST_SILENCE { (from * 100.0).floor() } else { 0.0 };
        Ok(Self { ids: vec![END_OF_TEXT], zero, has_notes: false })
    }
}

/// What the text of these notes is to call 0, in hundredths of a second.
fn zero(notes: &[Note], seconds: &Seconds, shortened: bool) -> f64 {
    let first = notes.iter().map(|note| note.start).min().unwrap_or(0);
    let first = seconds.at(f64::from(first));
    if shortened || first > LONGEST_SILENCE { (first * 100.0).floor() } else { 0.0 }
}

/// Notes in the order in which they end.
fn by_end(notes: impl Iterator<Item = Note>) -> Vec<Note> {
    let mut notes: Vec<Note> = notes.collect();
    notes.sort_by_key(|note| (note.start.saturating_add(note.duration), *note));
    notes
}

/// Who plays most notes; the piano where there are none.
fn usual_instrument(phrase: &Score) -> Instrument {
    let mut counts = [0_usize; 256];
    for note in &phrase.notes {
        counts[usize::from(note.instrument.index())] += 1;
    }
    let most = phrase.notes.iter().max_by_key(|note| {
        let index = note.instrument.index();
        (counts[usize::from(index)], std::cmp::Reverse(index))
    });
    most.map_or(Instrument::PIANO, |note| note.instrument)
}

fn spell_note(text: &mut Spelling, note: &Note, seconds: &Seconds, zero: f64) -> Result<(), EncodingError> {
    let refuse = |what: String| Err(EncodingError::Score(what));
    if note.pitch > 127 || !(1..=127).contains(&note.velocity) {
        return refuse(format!("a note of pitch {} and velocity {}", note.pitch, note.velocity));
    }
    let start = seconds.at(f64::from(note.start));
    let end = seconds.at(f64::from(note.start) + f64::from(note.duration));
    // Rounding may leave the first note a hair before the text's 0.
    let place = if start > zero { start - zero } else { 0.0 };
    if place > MOST_SECONDS {
        return refuse(format!("a note at {place:.0} seconds; the text counts to {MOST_SECONDS}"));
    }
    text.push(note.pitch, place, (end - start).min(MOST_SECONDS), note.velocity);
    Ok(())
}

/// The nearest whole number of hundredths of a second.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
fn hundredth(number: f64) -> u32 {
    number.round() as u32
}

fn to_ids(text: Spelling) -> Result<Vec<u32>, EncodingError> {
    ids(&text.finish()).map_err(|error| EncodingError::Score(error.to_string()))
}

fn on_grid(seen: Seen) -> Note {
    Note {
        start: ticks(seen.start),
        instrument: Instrument::PIANO,
        pitch: seen.pitch,
        duration: ticks(seen.duration),
        velocity: seen.velocity,
    }
}

/// Seconds below 10,000 as ticks of a decoded score.
fn ticks(seconds: f64) -> u32 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within 0..=10,000,000")]
    let ticks = (seconds * TICKS_PER_SECOND).round() as u32;
    ticks
}
