//! Causal attention. Probabilities are never kept: the backward pass computes
//! them again, a block of queries at a time, from the sum that normalised them.
//! Keys after a block's last query are not touched at all.
//!
//! `qkv` holds `(batch, t, 3 h d)`, outputs `(batch, t, h d)`.

use rayon::prelude::*;

use super::matmul::{Onto, Threads, View, ViewMut, matmul};
use crate::math;

/// Queries that are worked on together; their scores stay in the second-level cache.
const BLOCK: usize = 64;

/// The sizes of one call.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    /// Ids in a sequence.
    pub(crate) t: usize,
    /// Attention heads.
    pub(crate) heads: usize,
    /// Width of a head.
    pub(crate) width: usize,
    /// What scores are multiplied by.
    pub(crate) scale: f32,
}

impl Shape {
    fn c(self) -> usize {
        self.heads * self.width
    }

    /// The part of `qkv` that sequence and head number `index` reads: 0 queries, 1 keys, 2 values.
    fn part(self, qkv: &[f32], index: usize, part: usize) -> View<'_> {
        let stride = 3 * self.c();
        let start = index / self.heads * self.t * stride + part * self.c() + index % self.heads * self.width;
        View::strided(&qkv[start..], self.t, self.width, stride)
    }

    fn output(self, y: &[f32], index: usize) -> View<'_> {
        let start = index / self.heads * self.t * self.c() + index % self.heads * self.width;
        View::strided(&y[start..], self.t, self.width, self.c())
    }

    fn blocks(self) -> impl Iterator<Item = (usize, usize)> {
        (0..self.t).step_by(BLOCK).map(move |start| (start, self.t.min(start + BLOCK)))
    }
}

/// Writes the attended values to `y` and the logarithm of each query's
/// normalising sum to `sums`, `(batch, h, t)`.
pub(crate) fn forward(y: &mut [f32], sums: &mut [f32], qkv: &[f32], shape: Shape) {
    let tiles = ViewMut::tiles(y, shape.c(), shape.t, shape.width);
    let scratch = || vec![0.0; BLOCK * shape.t];
    tiles.into_par_iter().zip(sums.par_chunks_exact_mut(shape.t)).enumerate().for_each_init(
        scratch,
        |scores, (index, (mut y, sums))| {
            let [q, k, v] = [0, 1, 2].map(|part| shape.part(qkv, index, part));
            for (start, end) in shape.blocks() {
                let scores = &mut scores[..(end - start) * end];
                let (q, k, v) = (q.rows(start, end), k.rows(0, end), v.rows(0, end));
                matmul(ViewMut::new(scores, end), Onto::Nothing, q, k.t(), shape.scale, Threads::Here);
                softmax(scores, &mut sums[start..end], start, end);
                matmul(y.rows(start, end), Onto::Nothing, View::new(scores, end), v, 1.0, Threads::Here);
            }
        },
    );
}

math::vectorised_fn! {
    /// Turns the scores of the queries `start..end` into probabilities.
    fn softmax<'a>(scores: &'a mut [f32], sums: &'a mut [f32], start: usize, end: usize) -> () {
        for (i, (row, log_sum)) in scores.chunks_exact_mut(end).zip(sums).enumerate() {
            let (seen, unseen) = row.split_at_mut(start + i + 1);
            let max = math::max(seen);
            for x in seen.iter_mut() {
                *x = math::exp(*x - max);
            }
            let sum = math::sum(seen, |x| x);
            let factor = 1.0 / sum;
            for x in seen.iter_mut() {
                *x *= factor;
            }
            unseen.fill(0.0);
            *log_sum = max + sum.ln();
        }
    }
}

/// What the backward pass reads.
#[derive(Clone, Copy)]
pub(crate) struct Saved<'a> {
    /// The input of the forward pass.
    pub(crate) qkv: &'a [f32],
    /// Its output.
    pub(crate) y: &'a [f32],
    /// Its normalising sums.
    pub(crate) sums: &'a [f32],
}

/// Writes the gradient of `qkv` to `dqkv`, given that of the output.
pub(crate) fn backward(dqkv: &mut [f32], dy: &[f32], saved: Saved<'_>, shape: Shape) {
    let heads = shape.heads;
    // Sequence by sequence, the tiles come as queries of all heads, keys of all, values of all.
    let mut tiles: Vec<_> =
        ViewMut::tiles(dqkv, 3 * shape.c(), shape.t, shape.width).into_iter().map(Some).collect();
    let mut take =
        |index: usize, part: usize| tiles[index / heads * 3 * heads + part * heads + index % heads].take();
    let jobs: Vec<_> = (0..saved.sums.len() / shape.t)
        .filter_map(|index| Some((index, [take(index, 0)?, take(index, 1)?, take(index, 2)?])))
        .collect();
    let scratch = || (vec![0.0; BLOCK * shape.t], vec![0.0; BLOCK * shape.t]);
    jobs.into_par_iter().for_each_init(scratch, |(p, dp), (index, targets)| {
        backward_head(targets, dy, saved, shape, index, p, dp);
    });
}

fn backward_head(
    [mut dq, mut dk, mut dv]: [ViewMut<'_>; 3],
    dy: &[f32],
    saved: Saved<'_>,
    shape: Shape,
    index: usize,
    p: &mut [f32],
    dp: &mut [f32],
) {
    let [q, k, v] = [0, 1, 2].map(|part| shape.part(saved.qkv, index, part));
    let (y, dy) = (shape.output(saved.y, index), shape.output(dy, index));
    let sums = &saved.sums[index * shape.t..][..shape.t];
    for row in 0..shape.t {
        dk.row(row).fill(0.0);
        dv.row(row).fill(0.0);
    }
    for (start, end) in shape.blocks() {
        let (p, dp) = (&mut p[..(end - start) * end], &mut dp[..(end - start) * end]);
        let (q, y, dy) = (q.rows(start, end), y.rows(start, end), dy.rows(start, end));
        let (k, v) = (k.rows(0, end), v.rows(0, end));
        matmul(ViewMut::new(p, end), Onto::Nothing, q, k.t(), shape.scale, Threads::Here);
        matmul(ViewMut::new(dp, end), Onto::Nothing, dy, v.t(), 1.0, Threads::Here);
        softmax_backward(p, dp, &sums[start..end], y, dy, start);
        let (p, dp) = (View::new(p, end), View::new(dp, end));
        matmul(dv.rows(0, end), Onto::Sum, p.t(), dy, 1.0, Threads::Here);
        matmul(dq.rows(start, end), Onto::Nothing, dp, k, shape.scale, Threads::Here);
        matmul(dk.rows(0, end), Onto::Sum, dp.t(), q, shape.scale, Threads::Here);
    }
}

math::vectorised_fn! {
    /// Turns the scores of the queries from `start` on into probabilities, and the gradient
    /// of the probabilities into that of the scores.
    fn softmax_backward<'a>(
        p: &'a mut [f32],
        dp: &'a mut [f32],
        log_sums: &'a [f32],
        y: View<'a>,
        dy: View<'a>,
        start: usize,
    ) -> () {
        let end = p.len() / log_sums.len();
        let rows = p.chunks_exact_mut(end).zip(dp.chunks_exact_mut(end)).zip(log_sums);
        for (i, ((p, dp), &log_sum)) in rows.enumerate() {
            let own = math::sum2(y.row(i), dy.row(i), |y, dy| y * dy);
            let seen = start + i + 1;
            for (p, dp) in p[..seen].iter_mut().zip(&mut dp[..seen]) {
                *p = math::exp(*p - log_sum);
                *dp = *p * (*dp - own);
            }
            p[seen..].fill(0.0);
            dp[seen..].fill(0.0);
        }
    }
}
