//! Low-rank adaptation (Hu and others, 2021): a model's matrices stay as they are, and what is
//! learned is a product `A B` of two thin ones that is added to each, `W + alpha / rank * A B`.
//! The optimizer then has some hundredths of the model to keep moments for, and can change it
//! only so far.
//!
//! The passes work on the sums, so they need not know: the gradient of a sum is that of both its
//! parts, which [`Adapters::project`] takes to the thin matrices.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::kernels::matmul::{Onto, Threads, View, ViewMut, matmul};
use super::parameters::{Layout, Slot, filled, thin};

/// What is learned in place of the weights.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lora {
    /// The width of the thin matrices.
    pub rank: usize,
    /// How much their product counts, `rank` times over.
    pub alpha: f32,
    /// Whether the embeddings are learned too, as a whole: those of a fresh vocabulary have to be.
    pub embeddings: bool,
}

/// A matrix of the model and what is learned of it.
pub(super) enum Target {
    /// `weight` (inputs, outputs) gets `a` (inputs, rank) times `b` (rank, outputs).
    Thin { weight: Range<usize>, outputs: usize, a: Range<usize>, b: Range<usize> },
    /// `weight` is learned as it is.
    Whole { weight: Range<usize>, value: Range<usize> },
}

/// What is learned of which matrices: of those of the blocks, and of the embeddings if wanted.
pub(super) struct Places {
    /// The places of the thin matrices, and of whole ones, one after the other.
    pub(super) slots: Vec<Slot>,
    pub(super) targets: Vec<Target>,
    pub(super) rank: usize,
    /// What a product is multiplied by.
    pub(super) scale: f32,
}

/// What is learned, and what it is added to.
pub(super) struct Adapters {
    /// The weights as they were.
    pub(super) base: Vec<f32>,
    /// The thin matrices, and whole ones.
    pub(super) values: Vec<f32>,
    pub(super) gradient: Vec<f32>,
    pub(super) places: Places,
}

impl Places {
    #[expect(clippy::cast_precision_loss, reason = "a rank is small")]
    pub(super) fn new(lora: Lora, layout: &Layout) -> Self {
        let (mut slots, mut targets, mut len) = (Vec::new(), Vec::new(), 0);
        let mut add = |name: String, shape: [usize; 2], random: bool, decays: bool| {
            let slot = thin(name, shape, len, random, decays);
            len = slot.range.end;
            let range = slot.range.clone();
            slots.push(slot);
            range
        };
        for slot in &layout.slots {
            let &[inputs, outputs] = slot.shape.as_slice() else { continue };
            let (name, weight) = (&slot.name, slot.range.clone());
            if slot.decays {
                let a = add(format!("{name}.lora_a"), [inputs, lora.rank], true, true);
                let b = add(format!("{name}.lora_b"), [lora.rank, outputs], false, true);
                targets.push(Target::Thin { weight, outputs, a, b });
            } else if lora.embeddings && (slot.range == layout.wte || slot.range == layout.head) {
                let value = add(name.clone(), [inputs, outputs], false, false);
                targets.push(Target::Whole { weight, value });
            }
        }
        Self { slots, targets, rank: lora.rank, scale: lora.alpha / lora.rank as f32 }
    }

    /// How many numbers are learned.
    pub(super) fn len(&self) -> usize {
        self.slots.last().map_or(0, |slot| slot.range.end)
    }

    /// Numbers that change nothing yet: each `B` is zero, each `A` the same for the same `seed`.
    pub(super) fn initialise(&self, base: &[f32], seed: u64) -> Vec<f32> {
        let mut values = filled(&self.slots, seed);
        for target in &self.targets {
            if let Target::Whole { weight, value } = target {
                values[value.clone()].copy_from_slice(&base[weight.clone()]);
            }
        }
        values
    }
}

impl Adapters {
    pub(super) fn new(places: Places, base: Vec<f32>, values: Vec<f32>) -> Self {
        let gradient = vec![0.0; values.len()];
        Self { base, values, gradient, places }
    }

    /// Takes the gradient of the sums to what is learned.
    pub(super) fn project(&mut self, of_sums: &[f32]) {
        let (rank, scale) = (self.places.rank, self.places.scale);
        for target in &self.places.targets {
            match target {
                Target::Thin { weight, outputs, a, b } => {
                    let dw = View::new(&of_sums[weight.clone()], *outputs);
                    let (va, vb) = (&self.values[a.clone()], &self.values[b.clone()]);
                    let (va, vb) = (View::new(va, rank), View::new(vb, *outputs));
                    let da = ViewMut::new(&mut self.gradient[a.clone()], rank);
                    matmul(da, Onto::Nothing, dw, vb.t(), scale, Threads::All);
                    let db = ViewMut::new(&mut self.gradient[b.clone()], *outputs);
                    matmul(db, Onto::Nothing, va.t(), dw, scale, Threads::All);
                }
                Target::Whole { weight, value } => {
                    self.gradient[value.clone()].copy_from_slice(&of_sums[weight.clone()]);
                }
            }
        }
    }

    /// Makes the sums anew.
    pub(super) fn merge(&self, sums: &mut [f32]) {
        let (rank, scale) = (self.places.rank, self.places.scale);
        for target in &self.places.targets {
            match target {
                Target::Thin { weight, outputs, a, b } => {
                    let sum = &mut sums[weight.clone()];
                    sum.copy_from_slice(&self.base[weight.clone()]);
                    let (va, vb) = (&self.values[a.clone()], &self.values[b.clone()]);
                    let (va, vb) = (View::new(va, rank), View::new(vb, *outputs));
                    matmul(ViewMut::new(sum, *outputs), Onto::Sum, va, vb, scale, Threads::All);
                }
                Target::Whole { weight, value } => {
                    sums[weight.clone()].copy_from_slice(&self.values[value.clone()]);
                }
            }
        }
    }
}
