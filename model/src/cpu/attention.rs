//! One head of one id looks at what came before it.

use super::cache::{CpuCache, Stretch};
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

/// What is looked for, `scale` times.
struct Query<'a> {
    values: &'a [f32],
    /// The same, rounded to bytes and divided by what `scale` has more.
    bytes: &'a [i8],
    scale: f32,
}

impl Look<'_> {
    /// The attention to the first `scores.len()` positions, to `y`. `bytes` is room to
    /// work in; it and `y` are as wide as a head.
    pub(super) fn attend(&self, bytes: &mut [i8], scores: &mut [f32], y: &mut [f32]) {
        attend(self, bytes, scores, y);
    }
}

math::vectorised_fn! {
    fn attend<'a>(look: &'a Look<'a>, bytes: &'a mut [i8], scores: &'a mut [f32], y: &'a mut [f32]) -> () {
        let count = scores.len();
        let stretches = || look.cache.stretches(look.layer, look.head, count);
        let mut query = Query { values: look.query, bytes: &[], scale: look.scale };
        if look.cache.is_int8() {
            query.scale *= round(look.query, bytes);
            query.bytes = bytes;
        }
        let mut at = 0;
        for (keys, _, used) in stretches() {
            score(&query, keys, &mut scores[at..at + used]);
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
            gather(&scores[at..at + used], values, y);
            at += used;
        }
        y.iter_mut().for_each(|y| *y *= factor);
    }
}

#[inline(always)]
fn score(query: &Query<'_>, keys: Stretch<'_>, scores: &mut [f32]) {
    let width = query.values.len();
    match keys {
        Stretch::Int8 { bytes, scales } => {
            // Whole numbers may be added in any order, which f32 may not: that is faster
            // by more than rounding the query takes.
            for ((score, key), scale) in scores.iter_mut().zip(bytes.chunks_exact(width)).zip(scales) {
                let products = query.bytes.iter().zip(key).map(|(&q, &k)| i32::from(q) * i32::from(k));
                *score = query.scale * scale * whole(products.sum());
            }
        }
        Stretch::F32(values) => {
            for (score, key) in scores.iter_mut().zip(values.chunks_exact(width)) {
                *score = query.scale * math::sum2(query.values, key, |query, key| query * key);
            }
        }
    }
}

/// Exact as long as a head is narrower than a thousand.
#[expect(clippy::cast_precision_loss, reason = "see above")]
#[inline(always)]
fn whole(sum: i32) -> f32 {
    sum as f32
}

/// Numbers of a vector that are added up side by side.
const SIDE: usize = 32;

#[inline(always)]
fn gather(weights: &[f32], values: Stretch<'_>, y: &mut [f32]) {
    let width = y.len();
    for (at, y) in (0..).step_by(SIDE).zip(y.chunks_mut(SIDE)) {
        match <&mut [f32; SIDE]>::try_from(&mut *y) {
            Ok(y) => gather_side(weights, values, width, at, y),
            Err(_) => gather_rest(weights, values, width, at, y),
        }
    }
}

#[inline(always)]
fn gather_side(weights: &[f32], values: Stretch<'_>, width: usize, at: usize, y: &mut [f32; SIDE]) {
    let mut sums = *y;
    match values {
        Stretch::Int8 { bytes, scales } => {
            for ((weight, value), scale) in weights.iter().zip(bytes.chunks_exact(width)).zip(scales) {
                let (weight, value) = (weight * scale, &value[at..at + SIDE]);
                for (sum, &value) in sums.iter_mut().zip(value) {
                    *sum = weight.mul_add(f32::from(value), *sum);
                }
            }
        }
        Stretch::F32(values) => {
            for (weight, value) in weights.iter().zip(values.chunks_exact(width)) {
                for (sum, value) in sums.iter_mut().zip(&value[at..at + SIDE]) {
                    *sum = weight.mul_add(*value, *sum);
                }
            }
        }
    }
    *y = sums;
}

#[inline(always)]
fn gather_rest(weights: &[f32], values: Stretch<'_>, width: usize, at: usize, y: &mut [f32]) {
    for (place, weight) in weights.iter().enumerate() {
        let from = place * width + at;
        for (k, y) in y.iter_mut().enumerate() {
            let value = match values {
                Stretch::Int8 { bytes, scales } => scales[place] * f32::from(bytes[from + k]),
                Stretch::F32(values) => values[from + k],
            };
            *y = weight.mul_add(value, *y);
        }
    }
}
