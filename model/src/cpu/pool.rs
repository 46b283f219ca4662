//! Helping hands for one product after another, on a machine that has other things
//! to do.
//!
//! Who has work to do does it, and never waits for anybody: helpers take pieces off
//! it as long as they are there. A piece that a helper took and has not brought back
//! when all else is done (the system gave its core to somebody else) is simply done
//! again. Each piece is the same whoever does it, so how many help changes nothing.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, TryLockError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long somebody who helps looks out for more before going to sleep: the pause
/// between two products, as a rule.
const LOOK_OUT: Duration = Duration::from_micros(200);

/// Times somebody looks out for work before the clock is looked at.
const GLANCES: usize = 16;

/// How long a piece that is taken may take before it is done again.
const PATIENCE: Duration = Duration::from_micros(30);

/// Work in pieces, each of which gives some numbers.
pub(super) trait Work: Send + Sync + 'static {
    /// How many pieces there are.
    fn pieces(&self) -> usize;

    /// Does one.
    fn piece(&self, index: usize) -> Vec<f32>;
}

struct Job {
    work: Box<dyn Work>,
    /// The next piece nobody has taken.
    next: AtomicUsize,
    results: Vec<OnceLock<Vec<f32>>>,
}

impl Job {
    fn new(work: impl Work) -> Self {
        let results = (0..work.pieces()).map(|_| OnceLock::new()).collect();
        Self { work: Box::new(work), next: AtomicUsize::new(0), results }
    }

    /// Does pieces until all are taken.
    fn help(&self) {
        loop {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(result) = self.results.get(index) else { return };
            let _ = result.set(self.work.piece(index));
        }
    }

    /// Hands out the pieces' numbers in order, doing again what is missing.
    fn finish(&self, mut take: impl FnMut(usize, &[f32])) {
        for (index, result) in self.results.iter().enumerate() {
            if result.get().is_none() {
                let since = Instant::now();
                while result.get().is_none() && since.elapsed() < PATIENCE {
                    std::hint::spin_loop();
                }
            }
            take(index, result.get_or_init(|| self.work.piece(index)));
        }
    }
}

/// Threads that help.
pub(super) struct Pool {
    shared: Arc<Shared>,
    helpers: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    /// Counts jobs, and wakes who looks out.
    count: AtomicU64,
    job: Mutex<Option<Arc<Job>>>,
    stop: AtomicBool,
}

impl Pool {
    /// A pool of so many threads, of which one is whoever has work to do. Where the
    /// system allows no more threads there are fewer.
    pub(super) fn new(threads: usize) -> Self {
        let shared = Arc::new(Shared::default());
        let spawn = |_| {
            let shared = Arc::clone(&shared);
            thread::Builder::new().name("continuo-helper".to_owned()).spawn(move || serve(&shared)).ok()
        };
        let helpers = (1..threads).map_while(spawn).collect();
        Self { shared, helpers }
    }

    /// Does the work and hands out each piece's numbers, in order.
    pub(super) fn run(&self, work: impl Work, take: impl FnMut(usize, &[f32])) {
        let job = Arc::new(Job::new(work));
        if !self.helpers.is_empty() && job.results.len() > 1 {
            self.offer(&job);
        }
        job.help();
        job.finish(take);
    }

    fn offer(&self, job: &Arc<Job>) {
        match self.shared.job.try_lock() {
            Ok(mut place) => *place = Some(Arc::clone(job)),
            Err(TryLockError::Poisoned(place)) => *place.into_inner() = Some(Arc::clone(job)),
            // Somebody looks at the one before: not worth waiting for.
            Err(TryLockError::WouldBlock) => return,
        }
        self.shared.count.fetch_add(1, Ordering::Release);
        for helper in &self.helpers {
            helper.thread().unpark();
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        for helper in self.helpers.drain(..) {
            helper.thread().unpark();
            // A panic has been reported by its hook.
            let _ = helper.join();
        }
    }
}

fn serve(shared: &Shared) {
    let mut seen = 0;
    let mut since = Instant::now();
    while !shared.stop.load(Ordering::Acquire) {
        let count = shared.count.load(Ordering::Acquire);
        if count != seen {
            seen = count;
            let job = shared.job.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some(job) = job {
                job.help();
            }
            since = Instant::now();
        } else if since.elapsed() < LOOK_OUT {
            // The clock is looked at now and then.
            (0..GLANCES).for_each(|_| std::hint::spin_loop());
        } else {
            // What was worked on need not be kept any longer.
            if let Ok(mut job) = shared.job.try_lock() {
                *job = None;
            }
            thread::park();
            since = Instant::now();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pieces that say who they are; helpers never bring back those of odd number.
    struct Roll {
        pieces: usize,
        owner: thread::ThreadId,
        gone: Arc<AtomicBool>,
    }

    impl Work for Roll {
        fn pieces(&self) -> usize {
            self.pieces
        }

        #[expect(clippy::cast_precision_loss, reason = "few")]
        fn piece(&self, index: usize) -> Vec<f32> {
            if thread::current().id() != self.owner && index % 2 == 1 {
                while !self.gone.load(Ordering::Acquire) {
                    thread::yield_now();
                }
            }
            vec![index as f32; 2]
        }
    }

    #[test]
    fn pieces_come_in_order_and_once_also_those_never_brought_back() {
        let pool = Pool::new(3);
        let gone = Arc::new(AtomicBool::new(false));
        let counts = [0, 1, 2, 7, 100, 3, 5000];
        let heard = counts.map(|pieces| {
            let mut heard = Vec::new();
            let work = Roll { pieces, owner: thread::current().id(), gone: Arc::clone(&gone) };
            pool.run(work, |index, numbers| heard.push((index, numbers.to_vec())));
            heard
        });
        gone.store(true, Ordering::Release);
        for (pieces, heard) in counts.into_iter().zip(heard) {
            #[expect(clippy::cast_precision_loss, reason = "few")]
            let expected: Vec<_> = (0..pieces).map(|index| (index, vec![index as f32; 2])).collect();
            assert_eq!(heard, expected);
        }
    }
}
