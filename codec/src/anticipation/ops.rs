//! What is done to sequences of events and controls, as the original does it.
//!
//! A sequence is a slice of ids, three an event; what is left over at its end is
//! passed over. Times are in ticks of a hundredth of a second.

use super::vocab::{CONTROL, DURATION, LEAD, LONGEST_PAUSE, REST, SEPARATOR, TICKS_PER_SECOND};
use crate::encoding::EncodingError;

/// The latest time [`pad`] fills up to: an hour, past which the original has no
/// pieces either.
pub const LONGEST_PIECE: u32 = 3600 * TICKS_PER_SECOND;

/// The triplets of a sequence.
pub(super) fn triplets(ids: &[u32]) -> &[[u32; 3]] {
    ids.as_chunks().0
}

/// Whether a triplet is a control.
pub(super) const fn is_control(triplet: [u32; 3]) -> bool {
    triplet[2] >= CONTROL && triplet[2] < SEPARATOR
}

/// When an event or a control sounds.
pub(super) const fn time(triplet: [u32; 3]) -> u32 {
    if is_control(triplet) { triplet[0].saturating_sub(CONTROL) } else { triplet[0] }
}

const fn is_separator(triplet: [u32; 3]) -> bool {
    triplet[2] == SEPARATOR
}

/// Puts rests into events, so that none is more than a second after the one
/// before it, the first counted from 0; then on to the time `until`, where that
/// is later than the last event.
///
/// # Errors
/// [`EncodingError::Score`] for a time past [`LONGEST_PIECE`].
///
/// # Examples
/// ```
/// use continuo_codec::anticipation::ops::pad;
/// let padded = pad(&[150, 10_050, 11_060], 300)?;
/// assert_eq!(padded, [100, 10_000, 27_512, 150, 10_050, 11_060, 250, 10_000, 27_512]);
/// # Ok::<(), continuo_codec::EncodingError>(())
/// ```
pub fn pad(events: &[u32], until: u32) -> Result<Vec<u32>, EncodingError> {
    let latest = triplets(events).iter().map(|event| event[0]).fold(until, u32::max);
    if latest > LONGEST_PIECE {
        let reason = format!("a piece of {} seconds; an hour is the most", latest / TICKS_PER_SECOND);
        return Err(EncodingError::Score(reason));
    }
    Ok(pad_from(triplets(events), 0, until).into_flattened())
}

/// As [`pad`], the first event counted from `from`.
pub(super) fn pad_from(events: &[[u32; 3]], from: u32, until: u32) -> Vec<[u32; 3]> {
    let mut padded = Vec::with_capacity(events.len());
    let mut last = from;
    for &event in events {
        rest_until(&mut padded, last, event[0]);
        padded.push(event);
        last = event[0];
    }
    rest_until(&mut padded, last, until);
    padded
}

/// Rests from one time to another.
fn rest_until(padded: &mut Vec<[u32; 3]>, from: u32, until: u32) {
    let mut now = from;
    while until.saturating_sub(now) > LONGEST_PAUSE {
        now += LONGEST_PAUSE;
        padded.push([now, DURATION, REST]);
    }
}

/// Takes the rests out.
#[must_use]
pub fn unpad(ids: &[u32]) -> Vec<u32> {
    filtered(ids, |triplet| triplet[2] != REST)
}

/// Puts controls among events: each after the first event that is no more than
/// five seconds before it. Gives the sequence, and the controls that are still to
/// come after its last event.
#[must_use]
pub fn anticipate(events: &[u32], controls: &[u32]) -> (Vec<u32>, Vec<u32>) {
    let (tokens, rest) = anticipate_from(triplets(events), triplets(controls), 0);
    (tokens.into_flattened(), rest.concat())
}

/// As [`anticipate`], of music that begins at `from`.
pub(super) fn anticipate_from<'a>(
    events: &[[u32; 3]],
    controls: &'a [[u32; 3]],
    from: u32,
) -> (Vec<[u32; 3]>, &'a [[u32; 3]]) {
    let mut tokens = Vec::with_capacity(events.len() + controls.len());
    let (mut now, mut rest) = (from, controls);
    for &event in events {
        rest = take_due(&mut tokens, rest, now);
        now = event[0];
        tokens.push(event);
    }
    (tokens, rest)
}

/// Takes the controls that are due once the music has come to `now`.
pub(super) fn take_due<'a>(tokens: &mut Vec<[u32; 3]>, controls: &'a [[u32; 3]], now: u32) -> &'a [[u32; 3]] {
    let count = controls.iter().take_while(|control| is_due(**control, now)).count();
    let (due, rest) = controls.split_at(count);
    tokens.extend(due);
    rest
}

/// Whether a control's turn has come.
pub(super) const fn is_due(control: [u32; 3], now: u32) -> bool {
    now.saturating_add(LEAD) >= time(control)
}

/// Parts events from controls.
#[must_use]
pub fn split(ids: &[u32]) -> (Vec<u32>, Vec<u32>) {
    (filtered(ids, |triplet| triplet[2] < CONTROL), filtered(ids, |triplet| triplet[2] >= CONTROL))
}

/// Sorts events, or controls, by time; those of one time stay as they are.
#[must_use]
pub fn sort(ids: &[u32]) -> Vec<u32> {
    let mut sorted = triplets(ids).to_vec();
    sorted.sort_by_key(|triplet| triplet[0]);
    sorted.into_flattened()
}

/// What sounds from `from` until `until`, both included, at its full length.
#[must_use]
pub fn clip(ids: &[u32], from: u32, until: u32) -> Vec<u32> {
    filtered(ids, |triplet| (from..=until).contains(&time(triplet)))
}

/// The earliest time of the first piece of a sequence, 0 where it has none.
#[must_use]
pub fn min_time(ids: &[u32]) -> u32 {
    let piece = triplets(ids).iter().take_while(|triplet| !is_separator(**triplet));
    piece.map(|triplet| time(*triplet)).min().unwrap_or(0)
}

/// The latest time of all pieces of a sequence, 0 where it has none.
#[must_use]
pub fn max_time(ids: &[u32]) -> u32 {
    let sounding = triplets(ids).iter().filter(|triplet| !is_separator(**triplet));
    sounding.map(|triplet| time(*triplet)).max().unwrap_or(0)
}

/// Moves the first piece of a sequence in time; `None` where a time would be
/// below 0 or beyond all counting.
#[must_use]
pub fn translate(ids: &[u32], by: i64) -> Option<Vec<u32>> {
    let mut by = by;
    let mut moved = Vec::with_capacity(ids.len());
    for &triplet in triplets(ids) {
        if is_separator(triplet) {
            by = 0;
            moved.extend(triplet);
            continue;
        }
        u32::try_from(i64::from(time(triplet)) + by).ok()?;
        let id = u32::try_from(i64::from(triplet[0]) + by).ok()?;
        moved.extend([id, triplet[1], triplet[2]]);
    }
    Some(moved)
}

fn filtered(ids: &[u32], keep: impl Fn([u32; 3]) -> bool) -> Vec<u32> {
    triplets(ids).iter().copied().filter(|triplet| keep(*triplet)).flatten().collect()
}
