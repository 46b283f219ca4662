//! Learning on the processor: the passes of [`network`](super::network), and all numbers in
//! slices of one layout.

use std::borrow::Cow;
use std::sync::Arc;

use super::adamw::{self, Moments, Rates};
use super::lora::{Adapters, Places};
use super::network::{Buffers, Network, Pass};
use super::parameters::Layout;
use super::{Batch, Learned, State, TrainConfig, counted, passes, small};
use crate::Config;

/// What is learned, on the processor.
pub(super) struct OnHost {
    pub(super) network: Network,
    pub(super) buffers: Buffers,
    /// The weights; sums where there are adapters.
    pub(super) parameters: Vec<f32>,
    pub(super) gradient: Vec<f32>,
    pub(super) moments: Moments,
    /// What is learned in place of the weights.
    pub(super) adapters: Option<Adapters>,
    loss_scale: f32,
}

impl OnHost {
    pub(super) fn new(
        config: &Config,
        layout: &Arc<Layout>,
        train: &TrainConfig,
        state: State<'static>,
    ) -> Self {
        let network = Network::new(config, layout);
        let mut parameters = state.parameters.into_owned();
        let adapters = train.lora.zip(state.adapters).map(|(lora, values)| {
            let adapters = Adapters::new(Places::new(lora, layout), parameters.clone(), values.into_owned());
            adapters.merge(&mut parameters);
            adapters
        });
        Self {
            buffers: network.buffers(train),
            network,
            gradient: vec![0.0; parameters.len()],
            parameters,
            moments: state.moments.into_owned(),
            adapters,
            loss_scale: state.loss_scale,
        }
    }

    /// Finds the loss of a batch and the gradient of what is learned.
    pub(super) fn learn(&mut self, batch: &Batch, train: &TrainConfig, step: u64) -> Learned {
        let scale = 1.0 / small(counted(batch));
        self.gradient.fill(0.0);
        let mut loss = 0.0;
        for pass in passes(batch, train, step) {
            loss += self.network.train(&mut self.buffers, &self.parameters, &mut self.gradient, &pass, scale);
        }
        let gradient = match &mut self.adapters {
            Some(adapters) => {
                adapters.project(&self.gradient);
                &adapters.gradient
            }
            None => &self.gradient,
        };
        Learned { loss, norm: adamw::norm(gradient) }
    }

    /// Makes one update along the gradient.
    pub(super) fn update(&mut self, train: &TrainConfig, rates: Rates) {
        match &mut self.adapters {
            Some(adapters) => {
                let Adapters { values, gradient, places, .. } = adapters;
                adamw::update(train, &places.slots, values, &mut self.moments, gradient, rates);
                adapters.merge(&mut self.parameters);
            }
            None => {
                let (slots, values) = (&self.network.layout.slots, &mut self.parameters);
                adamw::update(train, slots, values, &mut self.moments, &self.gradient, rates);
            }
        }
    }

    /// The summed loss of a pass, in nats.
    pub(super) fn evaluate(&mut self, pass: &Pass<'_>) -> f64 {
        self.network.evaluate(&mut self.buffers, &self.parameters, pass)
    }

    /// What a checkpoint holds.
    pub(super) fn state(&self) -> State<'_> {
        let parameters = self.adapters.as_ref().map_or(&self.parameters, |adapters| &adapters.base);
        State {
            parameters: parameters.into(),
            moments: Cow::Borrowed(&self.moments),
            adapters: self.adapters.as_ref().map(|adapters| Cow::from(&adapters.values)),
            loss_scale: self.loss_scale,
        }
    }
}
