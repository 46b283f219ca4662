//! Work in pieces that any thread may do, and any other may do again.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use super::pool;

/// Work in pieces, each of which gives some numbers: the same whoever does it.
pub(super) trait Work: Send + Sync + 'static {
    /// How many pieces there are.
    fn pieces(&self) -> usize;

    /// Does one.
    fn piece(&self, index: usize) -> Vec<f32>;
}

/// Work, and how far it is.
pub(super) struct Job {
    work: Box<dyn Work>,
    /// The next piece nobody has taken.
    next: AtomicUsize,
    /// How many are not done.
    left: AtomicUsize,
    results: Vec<OnceLock<Vec<f32>>>,
}

impl Job {
    pub(super) fn new(work: impl Work) -> Self {
        let results: Vec<_> = (0..work.pieces()).map(|_| OnceLock::new()).collect();
        let left = AtomicUsize::new(results.len());
        Self { work: Box::new(work), next: AtomicUsize::new(0), left, results }
    }

    /// Does pieces until all are taken.
    pub(super) fn help(&self) {
        loop {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(result) = self.results.get(index) else { return };
            self.finish(index, result);
        }
    }

    /// Does the first piece again that was taken and has not been brought back.
    pub(super) fn mend(&self) {
        let missing = |(_, result): &(usize, &OnceLock<_>)| result.get().is_none();
        if let Some((index, result)) = self.results.iter().enumerate().find(missing) {
            self.finish(index, result);
        }
    }

    fn finish(&self, index: usize, result: &OnceLock<Vec<f32>>) {
        if result.set(self.work.piece(index)).is_ok() {
            self.left.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// Whether all of it is done.
    pub(super) fn complete(&self) -> bool {
        self.left.load(Ordering::Acquire) == 0
    }

    /// Whether there is something for several threads to do.
    fn shareable(&self) -> bool {
        self.results.len() > 1
    }

    /// Each piece's numbers, in order. Complete only if the job is.
    pub(super) fn numbers(&self) -> impl Iterator<Item = &[f32]> {
        self.results.iter().filter_map(|result| result.get().map(Vec::as_slice))
    }
}

/// Has work done by whoever is there, and gives it back complete.
pub(super) fn done(work: impl Work) -> Done {
    Done { job: Arc::new(Job::new(work)), offered: false }
}

/// A job on its way.
pub(super) struct Done {
    job: Arc<Job>,
    /// Whether it was put before others.
    offered: bool,
}

impl Future for Done {
    type Output = Arc<Job>;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Arc<Job>> {
        let offered = std::mem::replace(&mut self.offered, true);
        if !(offered || self.job.shareable() && pool::offer(&self.job)) {
            self.job.help();
        }
        if self.job.complete() { Poll::Ready(Arc::clone(&self.job)) } else { Poll::Pending }
    }
}
