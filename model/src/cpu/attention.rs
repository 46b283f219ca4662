//! One head of one id looks at what came before it.

use super::cache::{CpuCache, SHEET, Stretch};
use super::kernel::{self, Isa};
use super::matrix::round;
use crate::math;

/// What one head of one id looks with, and at what.
pub(super) struct Look<'a> {
    pub(super) cache: &'a CpuCache,
    pub(super) layer: usize,
    pub(super) head: usize,
    /// What products of queries and keys are multiplied by.
    pub(super) scale: f32,
    /// As wide as a head.
    pub(super) query: &'a [f32],
}

impl Look<'_> {
    /// The attention to the first `scores.len()` positions, to `y`, which is as wide as
    /// a head.
    pub(super) fn attend(&self, isa: Isa, room: &mut Room, y: &mut [f32]) {
        attend(self, isa, room, y);
    }
}

/// Memory to work in.
pub(super) struct Room {
    /// The query in bytes, filled up to a multiple of four.
    query: Vec<i8>,
    /// One for each position that is looked at.
    pub(super) scores: Vec<f32>,
    /// Sums of products for each number of a value, filled up to a multiple of 16.
    sums: Vec<i32>,
}

impl Room {
    /// Room for heads of a width.
    pub(super) fn new(width: usize) -> Self {
        let filled = |to: usize| width.div_ceil(to) * to;
        Self { query: vec![0; filled(4)], scores: Vec::new(), sums: vec![0; filled(16)] }
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
                        *score = scale * key_scale * whole(product);
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
                        *y = scale.mul_add(whole(sum), *y);
                    }
                }
                Stretch::F32(values) => gather(weights, values, y),
            }
            at += used;
        }
        y.iter_mut().for_each(|y| *y *= factor);
    }
}

/// Exact as long as a head is narrower than a thousand.
#[expect(clippy::cast_precision_loss, reason = "see above")]
#[inline(always)]
fn whole(sum: i32) -> f32 {
    sum as f32
}

#[inline(always)]
fn gather(weights: &[f32], values: &[f32], y: &mut [f32]) {
    for (weight, value) in weights.iter().zip(values.chunks_exact(y.len())) {
        for (y, value) in y.iter_mut().zip(value) {
            *y = weight.mul_add(*value, *y);
        }
    }
}
