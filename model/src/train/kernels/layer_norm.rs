//! Layer normalisation: `y = (x - mean) / deviation * gain + bias` over a row.

use rayon::prelude::*;

use crate::math;

/// Rows that are one piece of work.
const ROWS: usize = 64;

/// The learned part.
#[derive(Clone, Copy)]
pub(crate) struct Norm<'a> {
    pub(crate) gain: &'a [f32],
    pub(crate) bias: &'a [f32],
    pub(crate) epsilon: f32,
}

/// What the backward pass needs of a row: its mean and one over its deviation.
pub(crate) type Moments = [f32; 2];

#[inline(always)]
#[expect(clippy::cast_precision_loss, reason = "widths of models are exact in f32")]
fn moments(x: &[f32], epsilon: f32) -> Moments {
    let n = x.len() as f32;
    let mean = math::sum(x, |x| x) / n;
    let variance = math::sum(x, |x| (x - mean) * (x - mean)) / n;
    [mean, 1.0 / (variance + epsilon).sqrt()]
}

/// Normalises the rows of `x` into `y`.
pub(crate) fn forward(y: &mut [f32], rows: &mut [Moments], x: &[f32], norm: Norm<'_>) {
    let width = norm.gain.len();
    let pieces =
        y.par_chunks_mut(ROWS * width).zip(x.par_chunks(ROWS * width)).zip(rows.par_chunks_mut(ROWS));
    pieces.for_each(|((y, x), rows)| forward_rows(y, rows, x, norm));
}

math::vectorised_fn! {
    fn forward_rows<'a>(y: &'a mut [f32], rows: &'a mut [Moments], x: &'a [f32], norm: Norm<'a>) -> () {
        let width = norm.gain.len();
        for ((y, x), row) in y.chunks_exact_mut(width).zip(x.chunks_exact(width)).zip(rows) {
            *row = moments(x, norm.epsilon);
            let [mean, scale] = *row;
            for (((y, &x), &gain), &bias) in y.iter_mut().zip(x).zip(norm.gain).zip(norm.bias) {
                *y = (x - mean) * scale * gain + bias;
            }
        }
    }
}

/// Adds the gradient of the input to `dx`, given that of the output.
pub(crate) fn backward_input(dx: &mut [f32], dy: &[f32], x: &[f32], rows: &[Moments], gain: &[f32]) {
    let width = gain.len();
    let piece = ROWS * width;
    let pieces = dx.par_chunks_mut(piece).zip(dy.par_chunks(piece)).zip(x.par_chunks(piece));
    pieces.zip(rows.par_chunks(ROWS)).for_each(|(((dx, dy), x), rows)| backward_rows(dx, dy, x, rows, gain));
}

math::vectorised_fn! {
    fn backward_rows<'a>(
        dx: &'a mut [f32],
        dy: &'a [f32],
        x: &'a [f32],
        rows: &'a [Moments],
        gain: &'a [f32],
    ) -> () {
        let width = gain.len();
        let each = dx.chunks_exact_mut(width).zip(dy.chunks_exact(width)).zip(x.chunks_exact(width));
        for (((dx, dy), x), row) in each.zip(rows) {
            backward_row(dx, dy, x, row, gain);
        }
    }
}

#[inline(always)]
#[expect(clippy::cast_precision_loss, reason = "widths of models are exact in f32")]
fn backward_row(dx: &mut [f32], dy: &[f32], x: &[f32], &[mean, scale]: &Moments, gain: &[f32]) {
    let n = x.len() as f32;
    let direct = math::sum2(dy, gain, |dy, gain| dy * gain) / n;
    let mut along = 0.0;
    let mut lanes = [0.0; 16];
    let (dys, gains, xs) = (dy.chunks_exact(16), gain.chunks_exact(16), x.chunks_exact(16));
    let rest = dys.remainder().iter().zip(gains.remainder()).zip(xs.remainder());
    along += rest.map(|((&dy, &gain), &x)| dy * gain * (x - mean)).sum::<f32>();
    for ((dy, gain), x) in dys.zip(gains).zip(xs) {
        for i in 0..16 {
            lanes[i] += dy[i] * gain[i] * (x[i] - mean);
        }
    }
    along = (along + lanes.iter().sum::<f32>()) * scale / n;
    for (((dx, &dy), &x), &gain) in dx.iter_mut().zip(dy).zip(x).zip(gain) {
        *dx += scale * (dy * gain - direct - (x - mean) * scale * along);
    }
}

/// Adds the gradients of gain and bias, given that of the output.
pub(crate) fn backward_parameters(
    gain: &mut [f32],
    bias: &mut [f32],
    dy: &[f32],
    x: &[f32],
    rows: &[Moments],
) {
    let width = gain.len();
    let mut both = vec![0.0; 2 * width];
    math::reduce_rows(rows.len(), &mut both, |range, partial| {
        let of = range.start * width..range.end * width;
        parameters_of_rows(partial, &dy[of.clone()], &x[of], &rows[range]);
    });
    math::add(gain, &both[..width]);
    math::add(bias, &both[width..]);
}

math::vectorised_fn! {
    /// Adds what some rows give to gain and bias, which lie behind each other.
    fn parameters_of_rows<'a>(both: &'a mut [f32], dy: &'a [f32], x: &'a [f32], rows: &'a [Moments]) -> () {
        let width = both.len() / 2;
        let (gain, bias) = both.split_at_mut(width);
        for ((dy, x), &[mean, scale]) in dy.chunks_exact(width).zip(x.chunks_exact(width)).zip(rows) {
            for (((gain, bias), &dy), &x) in gain.iter_mut().zip(bias.iter_mut()).zip(dy).zip(x) {
                *gain += dy * (x - mean) * scale;
                *bias += dy;
            }
        }
    }
}
