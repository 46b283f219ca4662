//! Pieces cut for training.

use super::ops::{time, triplets};
use super::vocab::{AUTOREGRESS, TIMES};

/// Cuts a piece's events into chunks of at most `max` ids, each to be understood by
/// itself: AUTOREGRESS, then whole events, their times counted from the chunk's
/// earliest. A chunk ends before a time that it could not count to.
///
/// ```
/// use continuo_codec::anticipation::chunks;
/// let piece = [100, 10_050, 11_060, 150, 10_050, 11_062, 200, 10_050, 11_064];
/// let cut = chunks(&piece, 7);
/// assert_eq!(cut[0], [55_026, 0, 10_050, 11_060, 50, 10_050, 11_062]);
/// assert_eq!(cut[1], [55_026, 0, 10_050, 11_064]);
/// ```
#[must_use]
pub fn chunks(ids: &[u32], max: usize) -> Vec<Vec<u32>> {
    let most = max.saturating_sub(1) / 3;
    let mut events = triplets(ids);
    let mut chunks = Vec::new();
    while most > 0 && !events.is_empty() {
        let first = time(events[0]);
        let fits = |event: &&[u32; 3]| (first..first.saturating_add(TIMES)).contains(&time(**event));
        let (chunk, rest) = events.split_at(events.iter().take(most).take_while(fits).count());
        events = rest;
        let counted = chunk.iter().flat_map(|&[at, rest @ ..]| [at - first, rest[0], rest[1]]);
        chunks.push([AUTOREGRESS].into_iter().chain(counted).collect());
    }
    chunks
}
