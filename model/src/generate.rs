//! Generation: one prefill, several takes, one id a take and round. What may be
//! said is the guide's business; this module only asks it.

use std::ops::Range;

use crate::sampling::{Sampler, Sampling};
use crate::{ModelError, Network, Part};

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

/// Ids of a prompt that are read at once: few enough for a word in between.
const PIECE: usize = 64;

/// One take on its way.
struct Take<'a, G, C> {
    guide: &'a mut G,
    sampler: Sampler,
    cache: C,
    /// Which ids may come next; none where the take is over.
    allowed: Vec<Range<u32>>,
    logits: Vec<f32>,
    history: Vec<u32>,
}

/// Continues `prompt` once for every guide, one id a take in turn, so that all
/// takes become audible together. `cancelled` is asked before every id.
///
/// # Errors
/// What [`Network::read`] returns, and [`ModelError::NoChoice`] where the logits
/// leave nothing to choose (weights that are not numbers, ids past the
/// vocabulary).
pub fn generate<N: Network, G: Guide>(
    model: &N,
    prompt: &[u32],
    guides: &mut [G],
    sampling: &Sampling,
    cancelled: &dyn Fn() -> bool,
) -> Result<Ending, ModelError> {
    let mut takes: Vec<Take<'_, G, N::Cache>> = Vec::with_capacity(guides.len());
    let mut cache = model.cache();
    let Some(rest) = read_all_but_one(model, prompt, &mut cache, cancelled)? else {
        return Ok(Ending::Cancelled);
    };
    for (index, guide) in guides.iter_mut().enumerate() {
        let mut allowed = Vec::new();
        guide.allowed(&mut allowed);
        takes.push(Take {
            guide,
            sampler: Sampler::new(sampling, index),
            cache: cache.clone(),
            allowed,
            logits: Vec::new(),
            history: prompt.to_vec(),
        });
    }
    drop(cache);
    takes.retain(|take| !take.allowed.is_empty());
    let mut next: Vec<u32> = vec![rest; takes.len()];
    while !takes.is_empty() {
        step(model, &mut takes, &next)?;
        next.clear();
        let mut index = 0;
        while index < takes.len() {
            if cancelled() {
                return Ok(Ending::Cancelled);
            }
            takes[index].choose()?;
            if takes[index].allowed.is_empty() {
                takes.remove(index);
            } else if takes[index].make_room(model, cancelled)? {
                next.extend(takes[index].history.last());
                index += 1;
            } else {
                return Ok(Ending::Cancelled);
            }
        }
    }
    Ok(Ending::Complete)
}

/// Reads ids but the last, which is given back: it is read together with those of
/// other takes. `None` where somebody cancelled.
fn read_all_but_one<N: Network>(
    model: &N,
    ids: &[u32],
    cache: &mut N::Cache,
    cancelled: &dyn Fn() -> bool,
) -> Result<Option<u32>, ModelError> {
    let (&last, ids) = ids.split_last().ok_or(ModelError::NoIds)?;
    for ids in ids.chunks(PIECE) {
        if cancelled() {
            return Ok(None);
        }
        model.read(&mut [Part { ids, cache: &mut *cache, wanted: &[], logits: &mut Vec::new() }])?;
    }
    Ok(Some(last))
}

/// Each take reads one id.
fn step<N: Network, G>(
    model: &N,
    takes: &mut [Take<'_, G, N::Cache>],
    next: &[u32],
) -> Result<(), ModelError> {
    let parts = takes.iter_mut().zip(next).map(|(take, id)| Part {
        ids: std::slice::from_ref(id),
        cache: &mut take.cache,
        wanted: &take.allowed,
        logits: &mut take.logits,
    });
    model.read(&mut parts.collect::<Vec<_>>())
}

impl<G: Guide, C> Take<'_, G, C> {
    /// Chooses an id, and hears from the guide which may follow it.
    fn choose(&mut self) -> Result<(), ModelError> {
        let id =
            self.sampler.sample(&self.logits, &self.allowed, &self.history).ok_or(ModelError::NoChoice)?;
        self.history.push(id);
        self.guide.accept(id);
        self.guide.allowed(&mut self.allowed);
        Ok(())
    }

    /// Sees to it that one more id fits into the window; false where somebody
    /// cancelled.
    fn make_room<N: Network<Cache = C>>(
        &mut self,
        model: &N,
        cancelled: &dyn Fn() -> bool,
    ) -> Result<bool, ModelError> {
        let window = model.config().n_positions;
        if self.history.len() <= window {
            return Ok(true);
        }
        // Positions are absolute in GPT-2, so a moved window is read afresh; half a
        // window at once keeps that rare.
        self.history = self.guide.shorten(&self.history, window / 2);
        self.cache = model.cache();
        Ok(read_all_but_one(model, &self.history, &mut self.cache, cancelled)?.is_some())
    }
}
