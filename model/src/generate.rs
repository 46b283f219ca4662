//! Generation: one prompt, several takes, one id a take and round. What may be said is
//! the guide's business; this module only asks it.

use std::ops::Range;

use crate::sampling::{Sampler, Sampling};
use crate::{KvCache, ModelError, Network, Part, Prompt};

/// Leads one take: says which ids may come next and hears which one came.
pub trait Guide: Send {
    /// Replaces `ids` with the sorted ranges that may come next. Leaving it empty
    /// ends the take.
    fn allowed(&mut self, ids: &mut Vec<Range<u32>>);

    /// Hears the id that was chosen.
    fn accept(&mut self, id: u32);

    /// The model's window is full: what of `history` (all ids so far) the model shall read
    /// instead, at most `max` ids and at least one. The guide goes on from these.
    fn shorten(&mut self, history: &[u32], max: usize) -> Vec<u32>;

    /// What [`shorten`](Self::shorten) would give; the guide goes on as before.
    fn shortened(&self, history: &[u32], max: usize) -> Vec<u32>;

    /// How soon the next id is wanted, on a scale that all who generate at the same time
    /// share; the lowest goes first. `None` comes after all others.
    fn due(&self) -> Option<u64> {
        None
    }
}

/// How a generation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Every guide ended its take.
    Complete,
    /// `cancelled` said so.
    Cancelled,
}

/// Where those begin that are in no hurry, the least far on first.
const NO_HURRY: u64 = 1 << 62;

/// One take on its way.
struct Take<'a, G, C> {
    guide: &'a mut G,
    sampler: Sampler,
    cache: C,
    /// Which ids may come next; none where the take is over.
    allowed: Vec<Range<u32>>,
    logits: Vec<f32>,
    history: Vec<u32>,
    /// What is read to take the place of `history` before the window is full.
    successor: Option<Successor<C>>,
}

/// A shorter history to go on from in a fresh window, as it looks so far. It is read some
/// ids at a time beside the steps of the takes, which costs little, as the weights pass by
/// anyway: no step is late. One take after the other does so, as each needs the memory of
/// two meanwhile.
struct Successor<C> {
    /// How long the history was when this one was begun.
    since: usize,
    ids: Vec<u32>,
    prompt: Prompt<C>,
}

/// Ids of a successor that are read with every step.
const BESIDE: usize = 16;

/// How much of a window is left when the first successor is begun: a quarter. What seven have
/// to read, half a window each and what comes in the meantime, fits into the steps left.
const LEFT: usize = 4;

/// How many ids are chosen before a successor is looked at again.
const AGAIN: usize = 16;

/// Continues `ids` once for every guide, one id a take in turn, so that all takes become
/// audible together. `prompt` holds what has been read of them so far, or of something
/// like them, and is brought up to all but the last. `cancelled` is asked before every id,
/// and all along while the prompt is read.
///
/// # Errors
/// What [`Network::read`] returns, and [`ModelError::NoChoice`] where the logits
/// leave nothing to choose (weights that are not numbers, ids past the
/// vocabulary).
pub fn generate<N: Network, G: Guide>(
    model: &N,
    prompt: &mut Prompt<N::Cache>,
    ids: &[u32],
    guides: &mut [G],
    sampling: &Sampling,
    cancelled: &(dyn Fn() -> bool + Sync),
) -> Result<Ending, ModelError> {
    model.run(async {
        let mut rounds = 0;
        model.due(urgency(guides.iter(), rounds));
        let (_, first) = ids.split_last().ok_or(ModelError::NoIds)?;
        if prompt.follow(model, first, cancelled).await? == Ending::Cancelled {
            return Ok(Ending::Cancelled);
        }
        let numbered = guides.iter_mut().enumerate();
        let takes =
            numbered.map(|(index, guide)| Take::new(guide, Sampler::new(sampling, index), prompt, ids));
        let mut takes: Vec<_> = takes.collect();
        takes.iter_mut().for_each(|take| take.guide.allowed(&mut take.allowed));
        takes.retain(|take| !take.allowed.is_empty());
        while !takes.is_empty() {
            step(model, &mut takes).await?;
            for take in &mut takes {
                if cancelled() {
                    return Ok(Ending::Cancelled);
                }
                take.choose()?;
            }
            takes.retain(|take| !take.allowed.is_empty());
            let mut may_begin = takes.iter().all(|take| take.successor.is_none());
            for take in &mut takes {
                if take.make_room(model, may_begin, cancelled).await? == Ending::Cancelled {
                    return Ok(Ending::Cancelled);
                }
                may_begin &= take.successor.is_none();
            }
            takes.retain(|take| !take.allowed.is_empty());
            rounds += 1;
            model.due(urgency(takes.iter().map(|take| &*take.guide), rounds));
        }
        Ok(Ending::Complete)
    })
}

/// When the first of some guides wants its next id.
fn urgency<'a, G: Guide + 'a>(guides: impl Iterator<Item = &'a G>, rounds: u64) -> u64 {
    guides.filter_map(Guide::due).min().unwrap_or(NO_HURRY + rounds)
}

/// Each take reads one id, and its successor some.
async fn step<N: Network, G>(model: &N, takes: &mut [Take<'_, G, N::Cache>]) -> Result<(), ModelError> {
    let mut parts = Vec::with_capacity(2 * takes.len());
    let mut nothing = vec![Vec::new(); takes.len()];
    for (take, nothing) in takes.iter_mut().zip(&mut nothing) {
        let ids = &take.history[take.history.len() - 1..];
        parts.push(Part { ids, cache: &mut take.cache, wanted: &take.allowed, logits: &mut take.logits });
        if let Some(Successor { ids, prompt, .. }) = &mut take.successor {
            parts.extend(prompt.part(ids, BESIDE, nothing));
        }
    }
    model.read(&mut parts).await
}

impl<'a, G: Guide, C: KvCache> Take<'a, G, C> {
    fn new(guide: &'a mut G, sampler: Sampler, prompt: &Prompt<C>, ids: &[u32]) -> Self {
        let cache = prompt.cache().clone();
        let (allowed, logits, history) = (Vec::new(), Vec::new(), ids.to_vec());
        Self { guide, sampler, cache, allowed, logits, history, successor: None }
    }

    /// Chooses an id, and hears from the guide which may follow it.
    fn choose(&mut self) -> Result<(), ModelError> {
        let id =
            self.sampler.sample(&self.logits, &self.allowed, &self.history).ok_or(ModelError::NoChoice)?;
        self.history.push(id);
        self.guide.accept(id);
        self.guide.allowed(&mut self.allowed);
        Ok(())
    }

    /// Sees to it that one more id fits into the window: a successor is begun when it is
    /// nearly full, if that may be, and takes over when it is ready. Positions are absolute in
    /// GPT-2, so a moved window is read afresh; half a window at once keeps that rare.
    async fn make_room<N: Network<Cache = C>>(
        &mut self,
        model: &N,
        may_begin: bool,
        cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Result<Ending, ModelError> {
        let (window, len) = (model.config().n_positions, self.history.len());
        if may_begin && len + window / LEFT >= window {
            self.successor = Some(Successor { since: len, ids: Vec::new(), prompt: Prompt::new(model) });
        }
        let ready = self.look_ahead(window);
        if len <= window && !ready {
            return Ok(Ending::Complete);
        }
        let since = self.successor.as_ref().map_or(len, |successor| successor.since);
        self.history = self.guide.shorten(&self.history, window / 2 + len - since);
        // What led here is shorter now, and so may be what follows.
        self.guide.allowed(&mut self.allowed);
        let mut prompt = self.successor.take().map_or_else(|| Prompt::new(model), |it| it.prompt);
        let (_, before) = self.history.split_last().ok_or(ModelError::NoIds)?;
        let ending = prompt.follow(model, before, cancelled).await?;
        self.cache = prompt.into_cache();
        Ok(ending)
    }

    /// Brings the successor up to date now and then, and says whether it has been read.
    fn look_ahead(&mut self, window: usize) -> bool {
        let len = self.history.len();
        let Some(successor) = &mut self.successor else { return false };
        let read = !successor.ids.is_empty() && successor.prompt.len() + 1 >= successor.ids.len();
        if !read && (len - successor.since).is_multiple_of(AGAIN) {
            successor.ids = self.guide.shortened(&self.history, window / 2 + len - successor.since);
            successor.prompt.go_back_to(&successor.ids);
        }
        read
    }
}
