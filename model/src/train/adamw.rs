//! AdamW with decoupled weight decay, and the gradient's norm.

use rayon::prelude::*;

use super::TrainConfig;
use super::parameters::Slot;
use crate::math;

/// Elements that are one piece of work.
const PIECE: usize = 1 << 14;

/// Running means of the gradient and of its square.
pub(super) struct Moments {
    pub(super) first: Vec<f32>,
    pub(super) second: Vec<f32>,
}

impl Moments {
    pub(super) fn new(len: usize) -> Self {
        Self { first: vec![0.0; len], second: vec![0.0; len] }
    }
}

/// The Euclidean norm of the whole gradient.
pub(super) fn norm(gradient: &[f32]) -> f64 {
    let pieces = gradient.par_chunks(PIECE);
    let squares: Vec<f64> =
        pieces.map(|piece| f64::from(math::vectorised(|| math::sum(piece, |x| x * x)))).collect();
    squares.iter().sum::<f64>().sqrt()
}

/// The numbers that one update applies to every element.
#[derive(Clone, Copy)]
struct Update {
    gradient_scale: f32,
    beta1: f32,
    beta2: f32,
    rate: f32,
    second_correction: f32,
    epsilon: f32,
    keep: f32,
}

/// What differs from one update to the next.
#[derive(Clone, Copy)]
pub(super) struct Rates {
    /// What the gradient is multiplied by.
    pub(super) gradient_scale: f32,
    pub(super) learning_rate: f32,
    /// The number of the update, from 1.
    pub(super) count: u64,
}

/// Makes one update of `parameters`.
pub(super) fn update(
    config: &TrainConfig,
    slots: &[Slot],
    parameters: &mut [f32],
    moments: &mut Moments,
    gradient: &[f32],
    Rates { gradient_scale, learning_rate: rate, count }: Rates,
) {
    let count = i32::try_from(count).unwrap_or(i32::MAX);
    let update = Update {
        gradient_scale,
        beta1: config.beta1,
        beta2: config.beta2,
        rate: rate / (1.0 - config.beta1.powi(count)),
        second_correction: 1.0 / (1.0 - config.beta2.powi(count)).sqrt(),
        epsilon: config.epsilon,
        keep: 1.0,
    };
    for slot in slots {
        let keep = if slot.decays { 1.0 - rate * config.weight_decay } else { 1.0 };
        let update = Update { keep, ..update };
        let range = slot.range.clone();
        let pieces = parameters[range.clone()]
            .par_chunks_mut(PIECE)
            .zip(moments.first[range.clone()].par_chunks_mut(PIECE))
            .zip(moments.second[range.clone()].par_chunks_mut(PIECE))
            .zip(gradient[range].par_chunks(PIECE));
        pieces.for_each(|(((p, m), v), g)| apply(update, p, m, v, g));
    }
}

math::vectorised_fn! {
    fn apply<'a>(
        by: Update,
        parameters: &'a mut [f32],
        first: &'a mut [f32],
        second: &'a mut [f32],
        gradient: &'a [f32],
    ) -> () {
        let moments = first.iter_mut().zip(second.iter_mut());
        for ((p, &g), (m, v)) in parameters.iter_mut().zip(gradient).zip(moments) {
            let g = g * by.gradient_scale;
            *m = by.beta1 * *m + (1.0 - by.beta1) * g;
            *v = by.beta2 * *v + (1.0 - by.beta2) * g * g;
            *p = *p * by.keep - by.rate * *m / (v.sqrt() * by.second_correction + by.epsilon);
        }
    }
}
