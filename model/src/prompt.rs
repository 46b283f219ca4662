//! What a model has read of a prompt, kept from one request to the next: who plays on
//! changes the end of what was read, and only that is read anew.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use crate::{Ending, KvCache, ModelError, Network, Part};

/// Ids of a prompt that are read at once.
const PIECE: usize = 64;

/// Ids that were read, with their keys and values.
#[derive(Clone, Debug)]
pub struct Prompt<C> {
    ids: Vec<u32>,
    cache: C,
}

impl<C: KvCache> Prompt<C> {
    /// One of which nothing has been read.
    pub fn new<N: Network<Cache = C>>(model: &N) -> Self {
        Self { ids: Vec::new(), cache: model.cache() }
    }

    /// The keys and values alone.
    pub(crate) fn into_cache(self) -> C {
        self.cache
    }

    /// How many ids have been read.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether nothing has been read.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The keys and values of what has been read.
    pub fn cache(&self) -> &C {
        &self.cache
    }

    /// Reads so that `ids` is what has been read: goes back to where it differs from
    /// what there is, and reads on from there. `cancelled` is asked all along; what has
    /// been read by then is kept.
    ///
    /// # Errors
    /// Those of [`Network::read`].
    pub fn read<N: Network<Cache = C>>(
        &mut self,
        model: &N,
        ids: &[u32],
        cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Result<Ending, ModelError> {
        model.run(self.follow(model, ids, cancelled))
    }

    /// Goes back to where what has been read differs from `ids`.
    pub(crate) fn go_back_to(&mut self, ids: &[u32]) {
        let common = self.ids.iter().zip(ids).take_while(|(old, new)| old == new).count();
        self.ids.truncate(common);
        self.cache.truncate(common);
    }

    /// The next of `ids`, which begin with what has been read, as part of a step; at most
    /// so many, and not the last. They count as read.
    pub(crate) fn part<'a>(
        &'a mut self,
        ids: &'a [u32],
        most: usize,
        logits: &'a mut Vec<f32>,
    ) -> Option<Part<'a, C>> {
        let end = (self.len() + most).min(ids.len().saturating_sub(1));
        let ids = ids.get(self.len()..end).filter(|ids| !ids.is_empty())?;
        self.ids.extend_from_slice(ids);
        Some(Part { ids, cache: &mut self.cache, wanted: &[], logits })
    }

    /// As [`read`](Self::read), within [`Network::run`].
    pub(crate) async fn follow<N: Network<Cache = C>>(
        &mut self,
        model: &N,
        ids: &[u32],
        cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Result<Ending, ModelError> {
        self.go_back_to(ids);
        for piece in ids[self.len()..].chunks(PIECE) {
            let part = Part { ids: piece, cache: &mut self.cache, wanted: &[], logits: &mut Vec::new() };
            let read = unless(cancelled, model.read(&mut [part])).await;
            if !matches!(read, Some(Ok(()))) {
                self.cache.truncate(self.ids.len());
            }
            match read {
                Some(result) => result?,
                None => return Ok(Ending::Cancelled),
            }
            self.ids.extend_from_slice(piece);
        }
        Ok(Ending::Complete)
    }
}

/// What a future gives; nothing where somebody cancelled in the meantime.
async fn unless<T>(cancelled: &(dyn Fn() -> bool + Sync), future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    poll_fn(move |context| {
        if cancelled() {
            return Poll::Ready(None);
        }
        future.as_mut().poll(context).map(Some)
    })
    .await
}
