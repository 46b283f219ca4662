//! Learning on a graphics card: weights, moments and passes stay there, and only ids, losses and
//! what is saved cross over. The weights that are learned and what AdamW does to them are f32;
//! the passes ([`network`]) make their products of f32, bf16 or f16 (mixed precision, after
//! Micikevicius and others, 2018).
//!
//! The least gradients of f16 would be lost, so the loss is multiplied there by as much as the
//! largest can bear: halved where one can not, doubled again every so many steps.

mod network;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use candle_core::{DType, Tensor};
use serde::{Deserialize, Serialize};

use super::adamw::{Moments, Rates};
use super::lora::{Places, Target};
use super::parameters::{Layout, Slot};
use super::{Batch, Learned, Pass, State, TrainConfig, counted, passes, small};
use crate::{Config, Gpu, ModelError};
use network::{Gradients, Network};

type Result<T> = candle_core::Result<T>;

/// The highest factor of the loss, where there is one.
pub(super) const HIGHEST_SCALE: f32 = 65_536.0;
/// Steps until a factor that had to be halved is doubled again.
const SCALE_RISES: u64 = 1000;

/// The numbers that matrix products are made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32 bits.
    #[default]
    F32,
    /// 16 bits with the range of f32: NVIDIA's cards since Ampere, Apple's.
    Bf16,
    /// 16 bits with more places and less range: older cards too.
    F16,
}

impl Precision {
    pub(super) const fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::Bf16 => DType::BF16,
            Self::F16 => DType::F16,
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.dtype().as_str())
    }
}

/// What is learned, on a card.
pub(super) struct OnGpu {
    gpu: Gpu,
    precision: Precision,
    config: Config,
    layout: Arc<Layout>,
    pub(super) recompute: bool,
    adapters: Option<Adapters>,
    /// What is learned, in the order of the slots.
    values: Vec<Tensor>,
    first: Vec<Tensor>,
    second: Vec<Tensor>,
    gradients: Vec<Tensor>,
    network: Network,
    loss_scale: f32,
}

/// What is learned in place of the weights.
struct Adapters {
    places: Places,
    /// The weights as they were, by where they begin in the layout.
    base: Weights,
}

/// Weights by where they begin in the layout.
type Weights = HashMap<usize, Tensor>;

impl OnGpu {
    pub(super) fn new(
        gpu: &Gpu,
        precision: Precision,
        config: &Config,
        layout: &Arc<Layout>,
        train: &TrainConfig,
        state: &State<'_>,
    ) -> std::result::Result<Self, ModelError> {
        let assemble = || {
            let all = |slots: &[Slot], values: &[f32]| -> Result<Vec<Tensor>> {
                slots.iter().map(|slot| up(gpu, slot, values)).collect()
            };
            let base = all(&layout.slots, &state.parameters)?;
            let places = train.lora.map(|lora| Places::new(lora, layout));
            let slots = places.as_ref().map_or(&layout.slots, |places| &places.slots);
            let values = match &state.adapters {
                Some(values) => all(slots, values)?,
                None => base.clone(),
            };
            let (first, second) = (all(slots, &state.moments.first)?, all(slots, &state.moments.second)?);
            let adapters = places.map(|places| Adapters { places, base: by_start(layout, &base) });
            let weights = weights(layout, adapters.as_ref(), &values)?;
            let network = Network::new(config, layout, precision.dtype(), |start| &weights[&start])?;
            Ok(Self {
                gpu: gpu.clone(),
                precision,
                config: config.clone(),
                layout: Arc::clone(layout),
                recompute: train.recompute,
                adapters,
                values,
                first,
                second,
                gradients: Vec::new(),
                network,
                loss_scale: state.loss_scale,
            })
        };
        assemble().map_err(|error| gpu.failed(&error))
    }

    /// Finds the loss of a batch and the gradient of what is learned.
    pub(super) fn learn(
        &mut self,
        batch: &Batch,
        train: &TrainConfig,
        step: u64,
    ) -> std::result::Result<Learned, ModelError> {
        if step > 0 && step.is_multiple_of(SCALE_RISES) {
            self.loss_scale = (self.loss_scale * 2.0).min(HIGHEST_SCALE);
        }
        loop {
            let learned = self.try_learn(batch, train, step).map_err(|error| self.gpu.failed(&error))?;
            let too_large = learned.loss.is_finite() && !learned.norm.is_finite();
            if !too_large || self.factor() <= 1.0 {
                return Ok(learned);
            }
            self.loss_scale /= 2.0;
        }
    }

    /// What the loss is multiplied by.
    fn factor(&self) -> f32 {
        if self.precision == Precision::F16 { self.loss_scale } else { 1.0 }
    }

    fn try_learn(&mut self, batch: &Batch, train: &TrainConfig, step: u64) -> Result<Learned> {
        let scale = f64::from(self.factor()) / f64::from(small(counted(batch)));
        let mut gradients = Gradients::default();
        let mut losses = Vec::new();
        for pass in passes(batch, train, step) {
            losses.push(self.network.train(&pass, &mut gradients, scale, self.recompute)?);
        }
        self.gradients = match &self.adapters {
            Some(adapters) => adapters.project(&self.values, &gradients)?,
            None => {
                let of = |slot: &Slot| gradients.of(slot.range.start).cloned();
                self.layout.slots.iter().map(of).collect::<Result<_>>()?
            }
        };
        let squares = self.gradients.iter().map(|gradient| gradient.sqr()?.sum_all());
        let squares = Tensor::stack(&squares.collect::<Result<Vec<_>>>()?, 0)?.to_vec1::<f32>()?;
        let norm = squares.iter().map(|&square| f64::from(square)).sum::<f64>().sqrt();
        Ok(Learned { loss: sum(&losses)?, norm: norm / f64::from(self.factor()) })
    }

    /// Makes one update along the gradient.
    pub(super) fn update(
        &mut self,
        train: &TrainConfig,
        rates: Rates,
    ) -> std::result::Result<(), ModelError> {
        self.try_update(train, rates).map_err(|error| self.gpu.failed(&error))
    }

    fn try_update(&mut self, train: &TrainConfig, rates: Rates) -> Result<()> {
        let slots = self.adapters.as_ref().map_or(&self.layout.slots, |adapters| &adapters.places.slots);
        for (i, slot) in slots.iter().enumerate() {
            let update = rates.update(train, slot);
            let (beta1, beta2) = (f64::from(update.beta1), f64::from(update.beta2));
            let gradient = (&self.gradients[i] * f64::from(update.gradient_scale / self.factor()))?;
            self.first[i] = ((&self.first[i] * beta1)? + (&gradient * (1.0 - beta1))?)?;
            self.second[i] = ((&self.second[i] * beta2)? + (gradient.sqr()? * (1.0 - beta2))?)?;
            let root =
                self.second[i].sqrt()?.affine(update.second_correction.into(), update.epsilon.into())?;
            let step = (&self.first[i] * f64::from(update.rate))?.div(&root)?;
            self.values[i] = ((&self.values[i] * f64::from(update.keep))? - step)?;
        }
        self.gradients.clear();
        let weights = weights(&self.layout, self.adapters.as_ref(), &self.values)?;
        let products = self.precision.dtype();
        self.network = Network::new(&self.config, &self.layout, products, |start| &weights[&start])?;
        Ok(())
    }

    /// The summed loss of a pass, in nats.
    pub(super) fn evaluate(&self, pass: &Pass<'_>) -> std::result::Result<f64, ModelError> {
        let loss = self.network.evaluate(pass).and_then(|loss| sum(&[loss]));
        loss.map_err(|error| self.gpu.failed(&error))
    }

    /// The weights of the model, copied.
    pub(super) fn weights(&self) -> std::result::Result<Vec<f32>, ModelError> {
        let weights = weights(&self.layout, self.adapters.as_ref(), &self.values)
            .and_then(|weights| down(in_order(&self.layout, &weights)));
        weights.map_err(|error| self.gpu.failed(&error))
    }

    /// What a checkpoint holds, copied.
    pub(super) fn state(&self) -> std::result::Result<State<'static>, ModelError> {
        let state = || {
            let values = down(&self.values)?;
            let (parameters, adapters) = match &self.adapters {
                Some(adapters) => (down(in_order(&self.layout, &adapters.base))?, Some(Cow::Owned(values))),
                None => (values, None),
            };
            let moments = Moments { first: down(&self.first)?, second: down(&self.second)? };
            Ok(State {
                parameters: Cow::Owned(parameters),
                moments: Cow::Owned(moments),
                adapters,
                loss_scale: self.loss_scale,
            })
        };
        state().map_err(|error: candle_core::Error| self.gpu.failed(&error))
    }
}

impl Adapters {
    /// The sums of what was and what is learned.
    fn merged(&self, values: &[Tensor]) -> Result<Weights> {
        let mut weights = self.base.clone();
        for target in &self.places.targets {
            match target {
                Target::Thin { weight, a, b, .. } => {
                    let product = self.value(values, a)?.matmul(self.value(values, b)?)?;
                    let base = &self.base[&weight.start];
                    weights.insert(weight.start, (base + (product * f64::from(self.places.scale))?)?);
                }
                Target::Whole { weight, value } => {
                    weights.insert(weight.start, self.value(values, value)?.clone());
                }
            }
        }
        Ok(weights)
    }

    /// The gradients of what is learned, from those of the sums.
    fn project(&self, values: &[Tensor], of_sums: &Gradients) -> Result<Vec<Tensor>> {
        let mut gradients = HashMap::new();
        for target in &self.places.targets {
            match target {
                Target::Thin { weight, a, b, .. } => {
                    let dw = (of_sums.of(weight.start)? * f64::from(self.places.scale))?;
                    gradients.insert(a.start, dw.matmul(&self.value(values, b)?.t()?)?);
                    gradients.insert(b.start, self.value(values, a)?.t()?.matmul(&dw)?);
                }
                Target::Whole { weight, value } => {
                    gradients.insert(value.start, of_sums.of(weight.start)?.clone());
                }
            }
        }
        Ok(self.places.slots.iter().filter_map(|slot| gradients.remove(&slot.range.start)).collect())
    }

    fn value<'a>(&self, values: &'a [Tensor], place: &Range<usize>) -> Result<&'a Tensor> {
        match self.places.slots.iter().position(|slot| slot.range == *place) {
            Some(slot) => Ok(&values[slot]),
            None => candle_core::bail!("nothing is learned at {place:?}"),
        }
    }
}

/// The weights of the model that `values` have become; sums where there are adapters.
fn weights(layout: &Layout, adapters: Option<&Adapters>, values: &[Tensor]) -> Result<Weights> {
    adapters.map_or_else(|| Ok(by_start(layout, values)), |adapters| adapters.merged(values))
}

fn by_start(layout: &Layout, tensors: &[Tensor]) -> Weights {
    layout.slots.iter().zip(tensors).map(|(slot, tensor)| (slot.range.start, tensor.clone())).collect()
}

fn in_order<'a>(layout: &'a Layout, weights: &'a Weights) -> impl Iterator<Item = &'a Tensor> {
    layout.slots.iter().map(|slot| &weights[&slot.range.start])
}

/// A slot's numbers on a card.
fn up(gpu: &Gpu, slot: &Slot, values: &[f32]) -> Result<Tensor> {
    Tensor::from_slice(&values[slot.range.clone()], slot.shape.as_slice(), gpu.device())
}

/// Numbers from a card, one tensor after the other.
fn down<'a>(tensors: impl IntoIterator<Item = &'a Tensor>) -> Result<Vec<f32>> {
    let mut values = Vec::new();
    for tensor in tensors {
        values.extend(tensor.flatten_all()?.to_vec1::<f32>()?);
    }
    Ok(values)
}

/// The sum of some tensors of one number.
fn sum(tensors: &[Tensor]) -> Result<f64> {
    Ok(Tensor::stack(tensors, 0)?.to_vec1::<f32>()?.iter().map(|&x| f64::from(x)).sum())
}
