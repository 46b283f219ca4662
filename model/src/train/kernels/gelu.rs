//! GELU by its tanh approximation. `tanh` is had from one exponential:
//! `gelu(x) = x * sigmoid(2 u)` with `u = sqrt(2 / pi) * (x + 0.044715 x^3)`.

use rayon::prelude::*;

use crate::math;

const TWICE_SQRT_2_OVER_PI: f32 = 1.595_769;
const CUBIC: f32 = 0.044_715;
/// Elements that are one piece of work.
const PIECE: usize = 1 << 14;

#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + math::exp(-x))
}

/// Writes GELU of `x` to `y`.
pub(crate) fn forward(y: &mut [f32], x: &[f32]) {
    y.par_chunks_mut(PIECE).zip(x.par_chunks(PIECE)).for_each(|(y, x)| forward_piece(y, x));
}

math::vectorised_fn! {
    fn forward_piece<'a>(y: &'a mut [f32], x: &'a [f32]) -> () {
        for (y, &x) in y.iter_mut().zip(x) {
            *y = x * sigmoid(TWICE_SQRT_2_OVER_PI * (x + CUBIC * x * x * x));
        }
    }
}

/// Multiplies the gradient of the output, in `d`, by the slope at `x`.
pub(crate) fn backward(d: &mut [f32], x: &[f32]) {
    d.par_chunks_mut(PIECE).zip(x.par_chunks(PIECE)).for_each(|(d, x)| backward_piece(d, x));
}

math::vectorised_fn! {
    fn backward_piece<'a>(d: &'a mut [f32], x: &'a [f32]) -> () {
        for (d, &x) in d.iter_mut().zip(x) {
            let s = sigmoid(TWICE_SQRT_2_OVER_PI * (x + CUBIC * x * x * x));
            let inner = TWICE_SQRT_2_OVER_PI * (1.0 + 3.0 * CUBIC * x * x);
            *d *= s + x * s * (1.0 - s) * inner;
        }
    }
}
