//! Softmax and cross-entropy of rows of logits, and their gradient in place.

use rayon::prelude::*;

use crate::math;

/// A target that counts for nothing.
pub(crate) const IGNORED: u32 = u32::MAX;

/// The summed loss of the rows, in nats. If `scale` is given, `logits` become
/// the gradient of `scale` times that sum.
pub(crate) fn forward(logits: &mut [f32], targets: &[u32], vocabulary: usize, scale: Option<f32>) -> f64 {
    let rows = logits.par_chunks_exact_mut(vocabulary).zip(targets);
    let losses: Vec<f64> = rows.map(|(row, &target)| row_loss(row, target, scale)).collect();
    losses.iter().sum()
}

math::vectorised_fn! {
    fn row_loss<'a>(logits: &'a mut [f32], target: u32, scale: Option<f32>) -> f64 {
        if target == IGNORED {
            if scale.is_some() {
                logits.fill(0.0);
            }
            return 0.0;
        }
        let target = target as usize;
        let max = math::max(logits);
        let loss = max - logits[target];
        let Some(scale) = scale else {
            return f64::from(math::sum(logits, |x| math::exp(x - max)).ln() + loss);
        };
        for x in logits.iter_mut() {
            *x = math::exp(*x - max);
        }
        let sum = math::sum(logits, |x| x);
        let factor = scale / sum;
        for x in logits.iter_mut() {
            *x *= factor;
        }
        logits[target] -= scale;
        f64::from(sum.ln() + loss)
    }
}
