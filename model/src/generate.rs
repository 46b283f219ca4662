//! Generation: one prefill, several takes, one id a take and round. What may be
//! said is the guide's business; this module only asks it.

use std::ops::Range;

use crate::ModelError;
use crate::gpt2::{Cache, Gpt2};
use crate::sampling::{Sampler, Sampling};

/// Leads one take: says which ids may come next and hears which one came.
pub trait Guide {
    /// Replaces `ids` with the sorted ranges that may come next. Leaving it empty
    /// ends the take.
    fn allowed(&mut self, ids: &mut Vec<Range<u32>>);

    /// Hears the id that was chosen.
    fn accept(&mut self, id: u32);

    /// The model's window is full: what of `history` (all ids so far) the model
    /// shall read instead, at most `max` ids and at least one.
    fn shorten(&mut self, history: &[u32], max: usize) -> Vec<u32>;
}

/// How a generation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Every guide ended its take.
    Complete,
    /// `cancelled` said so.
    Cancelled,
}

/// One take on its way.
struct Take<'a, G> {
    guide: &'a mut G,
    sampler: Sampler,
    cache: Cache,
    logits: Vec<f32>,
    history: Vec<u32>,
}

/// Continues `prompt` once for every guide, one id a take in turn, so that all
/// takes become audible together. `cancelled` is asked before every id.
///
/// # Errors
/// What [`Gpt2::forward`] returns, and [`ModelError::NoChoice`] where the logits
/// leave nothing to choose (weights that are not numbers, ids past the
/// vocabulary).
pub fn generate<G: Guide>(
    model: &Gpt2,
    prompt: &[u32],
    guides: &mut [G],
    sampling: &Sampling,
    cancelled: &dyn Fn() -> bool,
) -> Result<Ending, ModelError> {
    if cancelled() {
        return Ok(Ending::Cancelled);
    }
    let mut cache = model.cache();
    let logits = model.forward(prompt, &mut cache)?;
    let mut takes: Vec<Take<'_, G>> = guides
        .iter_mut()
        .enumerate()
        .map(|(index, guide)| Take {
            guide,
            sampler: Sampler::new(sampling, index),
            cache: cache.fork(),
            logits: logits.clone(),
            history: prompt.to_vec(),
        })
        .collect();
    let mut allowed = Vec::new();
    while !takes.is_empty() {
        let mut index = 0;
        while index < takes.len() {
            if cancelled() {
                return Ok(Ending::Cancelled);
            }
            if takes[index].advance(model, &mut allowed)? {
                index += 1;
            } else {
                takes.remove(index);
            }
        }
    }
    Ok(Ending::Complete)
}

impl<G: Guide> Take<'_, G> {
    /// Chooses one id and reads it; false once the guide has ended the take.
    fn advance(&mut self, model: &Gpt2, allowed: &mut Vec<Range<u32>>) -> Result<bool, ModelError> {
        self.guide.allowed(allowed);
        if allowed.is_empty() {
            return Ok(false);
        }
        let id = self.sampler.sample(&self.logits, allowed).ok_or(ModelError::NoChoice)?;
        self.history.push(id);
        self.guide.accept(id);
        self.logits = if self.cache.len() < model.config().n_positions {
            model.forward(&[id], &mut self.cache)?
        } else {
            // Positions are absolute in GPT-2, so a moved window is read afresh;
            // half a window at once keeps that rare.
            self.history = self.guide.shorten(&self.history, model.config().n_positions / 2);
            self.cache.truncate(0);
            model.forward(&self.history, &mut self.cache)?
        };
        Ok(true)
    }
}
