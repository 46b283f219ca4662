//! Prompts: the music before an answer, and the notes the answer has to go with.

use super::clock::hundredths;
use super::encode::spelled;
use super::grammar::{Answer, Grammar, Rules};
use super::ops::{anticipate_from, is_control, pad_from, take_due, time, triplets};
use super::players::Players;
use super::stream::{AnticipationStream, Edges};
use super::vocab::{ANTICIPATE, AUTOREGRESS, CONTROL, LEAD, TIMES};
use crate::encoding::{Continuation, EncodingError, Window};
use crate::limits::Limits;
use crate::limits::ledger::{Ledger, Units};
use crate::score::{Instrument, Note, Score};
use crate::seconds::Seconds;

/// The longest answer, in ticks: its times, those of the controls that come
/// before its end and some music before it have to fit a window's 10,000.
const LONGEST_ANSWER: u32 = 9_000;
/// The last second an answer may reach.
const LAST_SECOND: f64 = 40_000_000.0;

/// Where an answer lies, in seconds since the time that its events call 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// The answer's first note sounds here.
    pub from: f64,
    /// No note of the answer begins at or after this. At most 90 seconds later.
    pub until: f64,
}

impl Span {
    /// The span as ticks.
    fn answer(self) -> Result<Answer, EncodingError> {
        let Self { from, until } = self;
        let error = |what: String| Err(EncodingError::Window(what));
        if !(from >= 0.0 && until > from && until <= LAST_SECOND) {
            return error(format!("from second {from} to second {until}"));
        }
        let first = hundredths(from).unwrap_or_default();
        let nearest = hundredths(until).unwrap_or_default();
        // The first tick that is not before the end.
        let end = if f64::from(nearest) / 100.0 >= until { nearest } else { nearest + 1 };
        let answer = Answer { first, end: end.max(first + 1) };
        if answer.end - first > LONGEST_ANSWER {
            let most = LONGEST_ANSWER / 100;
            return error(format!("{:.0} seconds; {most} can be counted at once", until - from));
        }
        Ok(answer)
    }
}

/// Makes a prompt of at most `max_ids` ids, and a stream whose notes fill `span`.
///
/// `past` are events before the answer, `controls` are controls that the answer
/// has to go with, both sorted by time: other instruments' notes for an
/// accompaniment, notes after the answer to lead up to. The stream asks for each
/// control when its turn comes by allowing nothing else, and gives no note for it.
/// Only `players` play; the piano where there are none. What is of the other kind
/// in `past` or `controls` is passed over.
///
/// Rests are put in as the original does ([`super::ops::pad`]), the prompt ends
/// with the controls that are due, and music more than 100 seconds before what
/// may still come is left out.
///
/// # Errors
/// [`EncodingError::Window`] for an impossible span, or a `max_ids` of 0.
///
/// # Examples
/// ```
/// use continuo_codec::anticipation::{Span, prompt};
/// use continuo_codec::{IdSet, Instrument};
/// // A note of the piano, and one of the bass that begins with the answer.
/// let (past, control) = ([0, 10_050, 11_060], [27_613, 37_563, 42_647]);
/// let span = Span { from: 1.0, until: 2.0 };
/// let continuation = prompt(&past, &control, span, &[Instrument::PIANO], 1024)?;
/// assert_eq!(continuation.ids, [55_027, 27_613, 37_563, 42_647, 0, 10_050, 11_060]);
/// let mut allowed = IdSet::default();
/// continuation.stream.allowed(&mut allowed);
/// assert_eq!(allowed.ranges(), [100..101]);
/// # Ok::<(), continuo_codec::EncodingError>(())
/// ```
pub fn prompt(
    past: &[u32],
    controls: &[u32],
    span: Span,
    players: &[Instrument],
    max_ids: usize,
) -> Result<Continuation, EncodingError> {
    prompt_within(past, controls, span, players, max_ids, None)
}

/// [`prompt`], within limits.
fn prompt_within(
    past: &[u32],
    controls: &[u32],
    span: Span,
    players: &[Instrument],
    max_ids: usize,
    ledger: Option<Ledger>,
) -> Result<Continuation, EncodingError> {
    let answer = span.answer()?;
    let Some(room) = max_ids.checked_sub(1).map(|ids| ids / 3) else {
        return Err(EncodingError::Window("a prompt of no ids".to_owned()));
    };
    let z = if triplets(controls).is_empty() { AUTOREGRESS } else { ANTICIPATE };
    let lead = if z == ANTICIPATE { LEAD } else { 0 };
    // Ids count from here at the earliest, or they would not reach the end.
    let horizon = (answer.end + lead).saturating_sub(TIMES - 1);
    let past = between(past, horizon, answer.first, |triplet| triplet[2] < CONTROL);
    let controls = between(controls, horizon, answer.end + lead, is_control);

    let padded = pad_from(&past, horizon, answer.first);
    let now = padded.last().map_or(horizon, |event| event[0]);
    let (mut tokens, rest) = anticipate_from(&padded, &controls, horizon);
    let rest = take_due(&mut tokens, rest, now);

    let mut sounded = Players::NONE;
    tokens.iter().for_each(|triplet| sounded.hear(*triplet));
    let kept = &tokens[tokens.len() - tokens.len().min(room)..];
    let mut rules = Rules::new(Some(answer), Players::of(players.iter().copied()), sounded, now);
    rules.ledger = ledger.map(Box::new);
    if rules.next(answer.first) >= answer.end {
        return Err(EncodingError::Limits("they leave no room for a note in the answer's place".into()));
    }
    let mut grammar = Grammar::answer(rules, rest, 0);
    grammar.offset = kept.iter().map(|triplet| time(*triplet)).fold(grammar.earliest(), u32::min);
    let mut ids = vec![z];
    ids.extend(kept.iter().flat_map(|&[id, duration, note]| [id - grammar.offset, duration, note]));
    let edges = Edges { from: span.from, until: span.until };
    Ok(Continuation { ids, stream: Box::new(AnticipationStream::answer(grammar, edges)) })
}

/// Triplets of a kind with a time within bounds, both included, by time.
fn between(ids: &[u32], from: u32, until: u32, kind: impl Fn([u32; 3]) -> bool) -> Vec<[u32; 3]> {
    let within = |triplet: &&[u32; 3]| (from..=until).contains(&time(**triplet)) && kind(**triplet);
    let mut triplets: Vec<_> = triplets(ids).iter().filter(within).copied().collect();
    triplets.sort_by_key(|triplet| time(*triplet));
    triplets
}

/// A phrase made ready. Its notes before the window are the past; of the others
/// those that `kept` picks are controls.
pub(super) fn around(
    phrase: &Score,
    window: Window,
    limits: &Limits,
    max_ids: usize,
    kept: &dyn Fn(&Note) -> bool,
    players: &[Instrument],
) -> Result<Continuation, EncodingError> {
    if !(window.from >= 0.0 && window.until > window.from && window.until.is_finite()) {
        let reason = format!("from beat {} to beat {}", window.from, window.until);
        return Err(EncodingError::Window(reason));
    }
    let seconds = Seconds::of(phrase);
    let at = |beats: f64| seconds.at(beats * f64::from(phrase.ticks_per_beat));
    let span = Span { from: at(window.from), until: at(window.until) };
    let answer = span.answer()?;
    let first = answer.first;
    let unit = |beats: f64| hundredths(at(beats)).unwrap_or(u32::MAX);
    let ledger = Ledger::new(limits, window, &Units { unit: &unit, time: &at, until: answer.end })?;
    let (mut past, mut controls) = (Vec::new(), Vec::new());
    for (note, [time, duration, sound]) in spelled(phrase)? {
        if phrase.beats(note.start) < window.from {
            past.extend([time.min(first), duration, sound]);
        } else if kept(&note) {
            controls.extend([time.saturating_add(CONTROL), duration + CONTROL, sound + CONTROL]);
        }
    }
    prompt_within(&past, &controls, span, players, max_ids, Some(ledger))
}
