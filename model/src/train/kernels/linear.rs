//! `y = x W + b` for many rows at once.

use rayon::prelude::*;

use super::matmul::{Onto, Threads, View, ViewMut, matmul};
use crate::math;

/// Rows that are filled as one piece of work.
const ROWS: usize = 64;

/// Writes `x W + b` to `y`.
pub(crate) fn forward(y: &mut [f32], x: &[f32], weight: &[f32], bias: &[f32]) {
    let (outputs, inputs) = (bias.len(), weight.len() / bias.len());
    y.par_chunks_mut(ROWS * outputs).for_each(|rows| {
        rows.chunks_exact_mut(outputs).for_each(|row| row.copy_from_slice(bias));
    });
    let (y, x, weight) = (ViewMut::new(y, outputs), View::new(x, inputs), View::new(weight, outputs));
    matmul(y, Onto::Sum, x, weight, 1.0, Threads::All);
}

/// Adds the gradients of the weights and biases, given that of the output.
pub(crate) fn backward_parameters(weight: &mut [f32], bias: &mut [f32], x: &[f32], dy: &[f32]) {
    let (outputs, inputs) = (bias.len(), weight.len() / bias.len());
    let (x, dy_view) = (View::new(x, inputs), View::new(dy, outputs));
    matmul(ViewMut::new(weight, outputs), Onto::Sum, x.t(), dy_view, 1.0, Threads::All);
    math::reduce_rows(dy.len() / outputs, bias, |rows, partial| {
        math::vectorised(|| rows.for_each(|row| math::add(partial, dy_view.row(row))));
    });
}

/// Writes the gradient of the input to `dx`.
pub(crate) fn backward_input(dx: &mut [f32], weight: &[f32], dy: &[f32], outputs: usize) {
    let inputs = weight.len() / outputs;
    let (dx, dy, weight) = (ViewMut::new(dx, inputs), View::new(dy, outputs), View::new(weight, outputs));
    matmul(dx, Onto::Nothing, dy, weight.t(), 1.0, Threads::All);
}
