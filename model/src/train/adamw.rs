//! AdamW with decoupled weight decay, and the gradient's norm.

use rayon::prelude::*;

use super::TrainConfig;
use super::parameters::Slot;
use crate::math;

/// Elements that are one piece of work.
const PIECE: usize = 1 << 14;

/// Running means of the gradient and of its square.
#[derive(Clone)]
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

/// The numbers that one update applies to every element of a slot.
#[derive(Clone, Copy)]
pub(super) struct Update {
    pub(super) gradient_scale: f32,
    pub(super) beta1: f32,
    pub(super) beta2: f32,
    /// The learning rate, by how much of the first moment is there yet.
    pub(super) rate: f32,
    pub(super) second_correction: f32,
    pub(super) epsilon: f32,
    /// What decay leaves of an element.
    pub(super) keep: f32,
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

impl Rates {
    /// What is done to the elements of a slot.
    pub(super) fn update(self, config: &TrainConfig, slot: &Slot) -> Update {
        let count = i32::try_from(self.count).unwrap_or(i32::MAX);
        Update {
            gradient_scale: self.gradient_scale,
            beta1: config.beta1,
            beta2: config.beta2,
            rate: self.learning_rate / (1.0 - config.beta1.powi(count)),
            second_correction: 1.0 / (1.0 - config.beta2.powi(count)).sqrt(),
            epsilon: config.epsilon,
            keep: if slot.decays { 1.0 - self.learning_rate * config.weight_decay } else { 1.0 },
        }
    }
}

/// Makes one update of `parameters`.
pub(super) fn update(
    config: &TrainConfig,
    slots: &[Slot],
    parameters: &mut [f32],
    moments: &mut Moments,
    gradient: &[f32],
    rates: Rates,
) {
    for slot in slots {
        let update = rates.update(config, slot);
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
