//! What generation needs of a model.

use std::future::Future;
use std::ops::Range;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use crate::{Cache, Config, Gpt2, ModelError};

/// A model that reads ids and says what may follow them.
pub trait Network: Send + Sync {
    /// What it has read of one sequence.
    type Cache: KvCache;

    /// The shape of the model.
    fn config(&self) -> &Config;

    /// A cache that holds no ids.
    fn cache(&self) -> Self::Cache;

    /// Appends ids to each of some sequences, and gives the logits of the id to follow
    /// each. The sequences are worked on together, and do not depend on each other.
    ///
    /// # Errors
    /// If a part has no ids, one is outside of the vocabulary, they exceed the window,
    /// or a cache is another model's. The caches are then as they were.
    ///
    /// Who drops the future before it is over truncates the caches to what they held.
    fn read(
        &self,
        parts: &mut [Part<'_, Self::Cache>],
    ) -> impl Future<Output = Result<(), ModelError>> + Send;

    /// Sees through something that reads. All [`read`](Self::read) is done in here; what
    /// goes on in between may go on on any thread, but never on two at once.
    fn run<T: Send>(&self, work: impl Future<Output = T> + Send) -> T {
        let mut work = pin!(work);
        let mut context = Context::from_waker(Waker::noop());
        loop {
            if let Poll::Ready(result) = work.as_mut().poll(&mut context) {
                return result;
            }
        }
    }

    /// Says how soon what runs here is wanted, the lowest first: of several that use the
    /// same threads, the soonest goes on alone.
    fn due(&self, _when: u64) {}

    /// Appends ids to one sequence and returns all logits of the id to follow them.
    ///
    /// # Errors
    /// Those of [`Network::read`].
    fn read_one(&self, ids: &[u32], cache: &mut Self::Cache) -> Result<Vec<f32>, ModelError> {
        let mut logits = Vec::new();
        #[expect(clippy::single_range_in_vec_init, reason = "a set of one range")]
        let wanted = [0..u32::try_from(self.config().vocab_size).unwrap_or(u32::MAX)];
        self.run(async {
            self.read(&mut [Part { ids, cache, wanted: &wanted, logits: &mut logits }]).await
        })?;
        Ok(logits)
    }
}

/// The keys and values of a sequence. A clone goes on by itself.
pub trait KvCache: Clone + Send {
    /// How many ids it holds.
    fn len(&self) -> usize;

    /// Whether it holds none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets all but the first `len` ids. Does nothing if there are no more.
    fn truncate(&mut self, len: usize);
}

/// One sequence's part in a step.
pub struct Part<'a, C> {
    /// What comes next in it.
    pub ids: &'a [u32],
    /// What came before.
    pub cache: &'a mut C,
    /// Of which ids the logits are asked for; none where others follow at once.
    pub wanted: &'a [Range<u32>],
    /// Gets one logit for each id of the vocabulary, of which only those wanted count.
    pub logits: &'a mut Vec<f32>,
}

impl Network for Gpt2 {
    type Cache = Cache;

    fn config(&self) -> &Config {
        self.config()
    }

    fn cache(&self) -> Cache {
        self.cache()
    }

    async fn read(&self, parts: &mut [Part<'_, Cache>]) -> Result<(), ModelError> {
        self.read_parts(parts)
    }
}

impl KvCache for Cache {
    fn len(&self) -> usize {
        self.len()
    }

    fn truncate(&mut self, len: usize) {
        self.truncate(len);
    }
}
