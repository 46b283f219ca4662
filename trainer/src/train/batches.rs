//! From pieces to batches: pieces cut into chunks, short chunks packed into rows,
//! rows shuffled every epoch, music varied as it is drawn.
//!
//! Everything random is drawn from the seed and the step's number, so a run that
//! is resumed sees what it would have seen.

use std::collections::BTreeMap;

use anyhow::bail;
use continuo_codec::{anticipation, beat};
use continuo_model::train::Batch;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::encodings::EncodingName;

/// Marks a position nothing is to be learned from.
pub const IGNORED: u32 = u32::MAX;

/// How often a chunk is played louder or softer as a whole.
const LOUDNESS_PROBABILITY: f64 = 0.5;

/// By how many of the 32 velocity levels at most.
const LOUDNESS: i8 = 4;

/// How music is varied each time it is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variation {
    /// Up to so many semitones up or down; drums stay.
    pub transpose: u8,
    /// Whether it is played louder or softer now and then.
    pub loudness: bool,
}

impl Variation {
    /// Nothing is varied.
    pub const NONE: Self = Self { transpose: 0, loudness: false };
}

/// Cuts a piece into chunks of at most `max` ids, each to be understood by itself.
#[must_use]
pub fn cut(encoding: EncodingName, ids: &[u32], max: usize) -> Vec<Vec<u32>> {
    match encoding {
        EncodingName::Beat => beat::chunks(ids, max),
        EncodingName::Anticipation => anticipation::chunks(ids, max),
        EncodingName::Text | EncodingName::Midilike => ids.chunks(max).map(<[u32]>::to_vec).collect(),
    }
}

/// All batches of a run.
pub struct Batches {
    chunks: Vec<Vec<u32>>,
    /// Which chunks share a row.
    rows: Vec<Vec<usize>>,
    batch: usize,
    context: usize,
    seed: u64,
    variation: Variation,
    /// The order of the rows in the epoch last asked for.
    shuffled: Option<(u64, Vec<usize>)>,
}

impl Batches {
    /// Packs chunks of up to `context + 1` ids into rows of `context` positions.
    ///
    /// # Errors
    /// If there is no chunk with a position to learn from.
    pub fn new(
        mut chunks: Vec<Vec<u32>>,
        batch: usize,
        context: usize,
        seed: u64,
        variation: Variation,
    ) -> anyhow::Result<Self> {
        chunks.retain(|chunk| chunk.len() > 1 && chunk.len() <= context + 1);
        if chunks.is_empty() {
            bail!("there is nothing to train on; give more music or a longer --context");
        }
        let rows = pack(&chunks, context, seed);
        Ok(Self { chunks, rows, batch, context, seed, variation, shuffled: None })
    }

    /// How many rows an epoch has.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// The chunks, as they are before they are varied.
    #[must_use]
    pub fn chunks(&self) -> &[Vec<u32>] {
        &self.chunks
    }

    /// The share of positions that something is learned from.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a number for people")]
    pub fn filled(&self) -> f64 {
        self.targets() as f64 / (self.rows.len() * self.context) as f64
    }

    /// How many ids an epoch learns to predict.
    #[must_use]
    pub fn targets(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.len() - 1).sum()
    }

    /// How many epochs `steps` steps are.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "numbers for people")]
    pub fn epochs(&self, steps: u64) -> f64 {
        steps as f64 * self.batch as f64 / self.rows.len() as f64
    }

    /// The batch of a step, counted from 0.
    pub fn batch(&mut self, step: u64) -> Batch {
        let rows = self.rows.len() as u64;
        let mut batch = Batch {
            ids: Vec::with_capacity(self.batch * self.context),
            targets: Vec::with_capacity(self.batch * self.context),
            batch: self.batch,
            context: self.context,
        };
        let first = step * self.batch as u64;
        for drawn in first..first + self.batch as u64 {
            let row = self.shuffled(drawn / rows)[usize::try_from(drawn % rows).unwrap_or(0)];
            // A stream of its own for every row ever drawn; stream 0 is for shuffling.
            let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
            rng.set_stream(drawn + 1);
            for &chunk in &self.rows[row] {
                let varied = vary(&self.chunks[chunk], self.variation, &mut rng);
                append(&mut batch, &varied, self.chunks[chunk].len() - 1);
            }
            fill(&mut batch);
        }
        batch
    }

    /// The order of an epoch's rows.
    fn shuffled(&mut self, epoch: u64) -> &[usize] {
        if self.shuffled.as_ref().is_none_or(|s| s.0 != epoch) {
            let mut order: Vec<usize> = (0..self.rows.len()).collect();
            order.shuffle(&mut ChaCha8Rng::seed_from_u64(self.seed ^ (epoch + 1).rotate_left(32)));
            self.shuffled = Some((epoch, order));
        }
        self.shuffled.as_ref().map_or(&[], |s| &s.1)
    }
}

/// Batches that hold every chunk once and as it is, a chunk a row, each batch as
/// short as its longest chunk allows: to measure on.
#[must_use]
pub fn plain(chunks: &[Vec<u32>], batch: usize) -> Vec<Batch> {
    let mut order: Vec<&Vec<u32>> = chunks.iter().filter(|chunk| chunk.len() > 1).collect();
    order.sort_by_key(|chunk| chunk.len());
    order
        .chunks(batch.max(1))
        .map(|rows| {
            let context = rows.last().map_or(1, |longest| longest.len() - 1);
            let mut batch = Batch { ids: Vec::new(), targets: Vec::new(), batch: rows.len(), context };
            for row in rows {
                append(&mut batch, row, context);
                fill(&mut batch);
            }
            batch
        })
        .collect()
}

/// Puts chunks into rows, the longest first, each into the row it fills best.
fn pack(chunks: &[Vec<u32>], context: usize, seed: u64) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..chunks.len()).collect();
    // Chunks of equal length meet at random, not as they stand in a piece.
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    order.sort_by_key(|&chunk| std::cmp::Reverse(chunks[chunk].len()));
    let mut rows: Vec<Vec<usize>> = Vec::new();
    let mut by_room: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for chunk in order {
        let need = chunks[chunk].len() - 1;
        let best = by_room.range_mut(need..).find_map(|(&room, rows)| Some((room, rows.pop()?)));
        let (room, row) = best.unwrap_or_else(|| {
            rows.push(Vec::new());
            (context, rows.len() - 1)
        });
        rows[row].push(chunk);
        by_room.entry(room - need).or_default().push(row);
        by_room.retain(|_, rows| !rows.is_empty());
    }
    rows
}

/// A chunk in another key, louder or softer.
fn vary(chunk: &[u32], variation: Variation, rng: &mut ChaCha8Rng) -> Vec<u32> {
    let mut ids = chunk.to_vec();
    if variation.transpose > 0 {
        let most = i8::try_from(variation.transpose).unwrap_or(i8::MAX);
        // What would leave the keyboard stays in its key.
        ids = beat::transpose(&ids, rng.random_range(-most..=most)).unwrap_or(ids);
    }
    if variation.loudness && rng.random_bool(LOUDNESS_PROBABILITY) {
        ids = beat::scale_velocity(&ids, rng.random_range(-LOUDNESS..=LOUDNESS));
    }
    ids
}

/// Adds a chunk's positions: every id but the last, each with the one after it. A
/// varied chunk may have grown by an id or two: what the row has no room for, or
/// would reach into the next one's place, is left out.
fn append(batch: &mut Batch, chunk: &[u32], room: usize) {
    let positions = chunk.len().saturating_sub(1).min(room);
    batch.ids.extend_from_slice(&chunk[..positions]);
    batch.targets.extend_from_slice(&chunk[1..=positions]);
}

/// Fills the row at the end with positions nothing is learned from.
fn fill(batch: &mut Batch) {
    let whole = batch.ids.len().next_multiple_of(batch.context);
    batch.ids.resize(whole, 0);
    batch.targets.resize(whole, IGNORED);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunks(lengths: &[usize]) -> Vec<Vec<u32>> {
        let mut next = 0;
        let mut id = || {
            next += 1;
            next
        };
        lengths.iter().map(|&length| (0..length).map(|_| id()).collect()).collect()
    }

    fn batches(lengths: &[usize], seed: u64) -> Batches {
        Batches::new(chunks(lengths), 2, 8, seed, Variation::NONE).unwrap()
    }

    /// All pairs of an id and the one to learn after it.
    fn pairs(batch: &Batch) -> Vec<(u32, u32)> {
        let learned = |(&id, &target): (&u32, &u32)| (target != IGNORED).then_some((id, target));
        batch.ids.iter().zip(&batch.targets).filter_map(learned).collect()
    }

    #[test]
    fn an_epoch_has_every_pair_of_neighbours_once_and_none_across_chunks() {
        let lengths = [9, 9, 5, 5, 3, 2, 4, 9];
        let mut batches = batches(&lengths, 3);
        let mut expected: Vec<(u32, u32)> = chunks(&lengths)
            .iter()
            .flat_map(|c| c.windows(2).map(|w| (w[0], w[1])).collect::<Vec<_>>())
            .collect();
        expected.sort_unstable();
        assert_eq!(batches.rows() % 2, 1, "the last batch of an epoch goes on into the next");
        for epoch in 0..2 {
            let rows = batches.rows() as u64;
            let mut seen = Vec::new();
            for step in 0..rows {
                let batch = batches.batch(step);
                assert_eq!((batch.ids.len(), batch.targets.len()), (16, 16));
                for row in 0..2 {
                    if (step * 2 + row) / rows == epoch {
                        let place = usize::try_from(row).unwrap() * 8;
                        let (ids, targets) = (&batch.ids[place..place + 8], &batch.targets[place..place + 8]);
                        let row =
                            Batch { ids: ids.to_vec(), targets: targets.to_vec(), batch: 1, context: 8 };
                        seen.extend(pairs(&row));
                    }
                }
            }
            seen.sort_unstable();
            assert_eq!(seen, expected, "epoch {epoch}");
        }
    }

    #[test]
    fn a_step_has_the_same_batch_however_one_comes_to_it() {
        let lengths = [9; 40];
        let (mut forward, mut jumped) = (batches(&lengths, 5), batches(&lengths, 5));
        let there: Vec<Batch> = (0..60).map(|step| forward.batch(step)).collect();
        assert_eq!(jumped.batch(59), there[59]);
        assert_eq!(jumped.batch(3), there[3]);
        assert_ne!(batches(&lengths, 6).batch(3), there[3]);
        assert_ne!(there[0], there[20], "the second epoch has another order");
    }

    #[test]
    fn measuring_sees_every_chunk_once() {
        let lengths = [9, 2, 5, 5, 3, 1];
        let plain = plain(&chunks(&lengths), 2);
        let targets: usize = plain.iter().map(|batch| pairs(batch).len()).sum();
        assert_eq!(targets, 8 + 1 + 4 + 4 + 2);
        assert!(plain.iter().all(|b| b.ids.len() == b.batch * b.context));
    }

    #[test]
    fn varied_music_stays_in_its_row() {
        use continuo_codec::{Encoding as _, Instrument, Note, Score};
        let mut score = Score::new(24);
        score.notes = (0..200_u8)
            .map(|i| Note {
                start: u32::from(i) * 12,
                instrument: Instrument::PIANO,
                pitch: 40 + i % 50,
                duration: 12,
                velocity: 1 + i % 120,
            })
            .collect();
        score.normalize();
        let ids = beat::Beat.encode(&score).unwrap();
        let chunks = cut(EncodingName::Beat, &ids, 65);
        let variation = Variation { transpose: 5, loudness: true };
        let mut varied = Batches::new(chunks.clone(), 2, 64, 1, variation).unwrap();
        let mut plain = Batches::new(chunks, 2, 64, 1, Variation::NONE).unwrap();
        let steps = 20;
        assert!((0..steps).any(|step| varied.batch(step) != plain.batch(step)));
        for step in 0..steps {
            let batch = varied.batch(step);
            assert_eq!((batch.ids.len(), batch.targets.len()), (128, 128));
        }
    }
}
