//! One head of one id looks at what came before it.

use super::cache::{CpuCache, SHEET, Stretch, View};
use super::job::{Work, done};
use super::kernel::{self, Isa};
use super::matrix::round;

use crate::math;

/// What one head of one id looks with, and at what.
struct Look<'a> {
    cache: &'a CpuCache,
    layer: usize,
    head: usize,
    /// What products of queries and keys are multiplied by.
    scale: f32,
    /// As wide as a head.
    query: &'a [f32],
}

/// The attention of some ids, each to what came before it in its own sequence.
pub(super) struct Attention {
    pub(super) isa: Isa,
    pub(super) layer: usize,
    pub(super) heads: usize,
    pub(super) scale: f32,
    /// `(t, 3c)`: queries are the first third.
    pub(super) qkv: Vec<f32>,
    pub(super) views: Vec<View>,
    /// Which of the views is that of an id, and how many positions it sees.
    pub(super) places: Vec<(usize, usize)>,
}

/// Pieces that the heads of an id are shared out to, where ids are few.
const SHARES: usize = 4;

impl Attention {
    /// Heads of a piece: all of an id, or a part if there would be too few pieces.
    fn share(&self) -> usize {
        if self.places.len() < 2 * SHARES { self.heads.div_ceil(SHARES) } else { self.heads }
    }

    /// Works all out: `(t, c)`.
    pub(super) async fn run(self) -> Vec<f32> {
        let mut y = Vec::with_capacity(self.qkv.len() / 3);
        // The heads of an id are one after another, in whatever pieces.
        done(self).await.numbers().for_each(|numbers| y.extend_from_slice(numbers));
        y
    }
}

impl Work for Attention {
    fn pieces(&self) -> usize {
        self.places.len() * self.heads.div_ceil(self.share())
    }

    fn piece(&self, index: usize) -> Vec<f32> {
        let (share, c) = (self.share(), self.qkv.len() / self.places.len() / 3);
        let (parts, width) = (self.heads.div_ceil(share), c / self.heads);
        let (id, first) = (index / parts, index % parts * share);
        let (view, count) = self.places[id];
        // Who comes so late that the cache has gone on is not waited for any more.
        let Some(cache) = self.views[view].open() else { return Vec::new() };
        let heads = first..(first + share).min(self.heads);
        let mut room = Room::new(width, count);
        let mut y = vec![0.0; heads.len() * width];
        let queries = &self.qkv[3 * c * id..][..c];
        for (head, y) in heads.zip(y.chunks_exact_mut(width)) {
            let query = &queries[head * width..][..width];
            let look = Look { cache: &cache, layer: self.layer, head, scale: self.scale, query };
            attend(&look, self.isa, &mut room, y);
        }
        y
    }
}

/// Memory to work in.
struct Room {
    /// The query in bytes, filled up to a multiple of four.
    query: Vec<i8>,
    /// One for each position that is looked at.
    scores: Vec<f32>,
    /// Sums of products for each number of a value, filled up to a multiple of 16.
    sums: Vec<i32>,
}

impl Room {
    /// Room for heads of a width that see so many positions.
    fn new(width: usize, count: usize) -> Self {
        let filled = |to: usize| width.div_ceil(to) * to;
        Self { query: vec![0; filled(4)], scores: vec![0.0; count], sums: vec![0; filled(16)] }
    }
}

math::vectorised_fn! {
    fn attend<'a>(look: &'a Look<'a>, isa: Isa, room: &'a mut Room, y: &'a mut [f32]) -> () {
        let Room { query, scores, sums } = room;
        let count = scores.len();
        let stretches = || look.cache.stretches(look.layer, look.head, count);
        // Rounding all of a query is exact enough, and whole numbers are added up faster.
        let scale = look.scale * round(look.query, query);
        let sum = -128 * query.iter().map(|&byte| i32::from(byte)).sum::<i32>();
        let mut at = 0;
        for (keys, _, used) in stretches() {
            let scores = &mut scores[at..at + used];
            match keys {
                Stretch::Int8 { lines, scales } => {
                    let mut products = [sum; SHEET];
                    kernel::scores(isa, lines, query, &mut products);
                    for ((score, product), key_scale) in scores.iter_mut().zip(products).zip(scales) {
                        *score = scale * key_scale * kernel::whole(product);
                    }
                }
                Stretch::F32(values) => {
                    for (score, key) in scores.iter_mut().zip(values.chunks_exact(look.query.len())) {
                        *score = look.scale * math::sum2(look.query, key, |query, key| query * key);
                    }
                }
            }
            at += used;
        }
        let max = math::max(scores);
        for score in scores.iter_mut() {
            *score = math::exp(*score - max);
        }
        let factor = 1.0 / math::sum(scores, |score| score);
        y.fill(0.0);
        at = 0;
        for (_, values, used) in stretches() {
            let weights = &scores[at..at + used];
            match values {
                Stretch::Int8 { lines, scales } => {
                    let mut scaled = [0.0; SHEET];
                    for (scaled, (weight, scale)) in scaled.iter_mut().zip(weights.iter().zip(scales)) {
                        *scaled = weight * scale;
                    }
                    let mut bytes = [0; SHEET];
                    let scale = round(&scaled, &mut bytes);
                    kernel::gather(isa, lines, &bytes, sums);
                    for (y, &sum) in y.iter_mut().zip(sums.iter()) {
                        *y = scale.mul_add(kernel::whole(sum), *y);
                    }
                }
                Stretch::F32(values) => gather(weights, values, y),
            }
            at += used;
        }
        y.iter_mut().for_each(|y| *y *= factor);
    }
}

#[inline(always)]
fn gather(weights: &[f32], values: &[f32], y: &mut [f32]) {
    for (weight, value) in weights.iter().zip(values.chunks_exact(y.len())) {
        for (y, value) in y.iter_mut().zip(value) {
            *y = weight.mul_add(*value, *y);
        }
    }
}
