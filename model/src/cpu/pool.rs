//! Threads that carry computations forward together, on a machine that has other
//! things to do.
//!
//! A computation is a future. Whenever it has work to share out it waits for a job, and
//! whoever brings the last piece of the job goes on with the future itself, up to the
//! next job: there is none that all depend on. If the system takes the core away from
//! one thread, the others do its piece again and go on; the one that asked is as good as
//! any. So nobody ever waits for a thread that does not run, but for the short while in
//! which it holds the future.
//!
//! Of several computations the most urgent is worked on alone. Threads look for one
//! between two jobs.

use std::any::Any;
use std::cell::RefCell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak};
use std::task::{Context, Waker};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};

use super::job::Job;
use super::priority::{Standing, give_way};

/// How long somebody looks out for more to do before going to sleep: longer than any
/// future is held, as a rule.
const LOOK_OUT: Duration = Duration::from_micros(200);

/// How long a sleeper sleeps at most.
const NAP: Duration = Duration::from_millis(2);

/// Times somebody looks out for work before the clock is looked at.
const GLANCES: usize = 16;

/// How long a piece that is taken may take before it is done again.
const PATIENCE: Duration = Duration::from_micros(30);

/// Two where there are as many: one core reads most of what memory gives, and others
/// are left to the host.
fn usual_threads() -> usize {
    thread::available_parallelism().map_or(1, |cores| cores.get().min(2))
}

/// Threads that help those that have something to compute.
pub(super) struct Pool {
    shared: Arc<Shared>,
    helpers: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    tasks: Mutex<Vec<Arc<Task>>>,
    /// How many tasks there are.
    crowd: AtomicUsize,
    /// Whether helpers may be asleep, to be woken.
    asleep: AtomicUsize,
    helpers: Mutex<Vec<Thread>>,
    stop: AtomicBool,
}

/// A computation that any of the threads may carry on.
struct Task {
    /// `None` once it is over.
    future: Mutex<Option<Pin<Box<dyn Future<Output = ()> + Send>>>>,
    /// What it waits for.
    job: Mutex<Option<Arc<Job>>>,
    /// Counts jobs.
    jobs: AtomicU64,
    over: AtomicBool,
    /// The lower, the sooner it is wanted.
    due: AtomicU64,
    /// Who asked for it.
    owner: Thread,
    /// What it panicked with.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    shared: Weak<Shared>,
}

thread_local! {
    /// The task whose future this thread carries on just now.
    static CURRENT: RefCell<Option<Arc<Task>>> = const { RefCell::new(None) };
}

/// What is in a lock, whatever became of who held it: nothing here is left half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Puts a job before all threads, and says whether there is a task it belongs to. The
/// future that offers it is gone on with when it is complete.
pub(super) fn offer(job: &Arc<Job>) -> bool {
    CURRENT.with_borrow(|task| {
        let Some(task) = task else { return false };
        *lock(&task.job) = Some(Arc::clone(job));
        task.jobs.fetch_add(1, Ordering::Release);
        if let Some(shared) = task.shared.upgrade() {
            shared.wake();
        }
        true
    })
}

/// Says how soon the computation that goes on here is wanted, the lowest first.
pub(super) fn due(when: u64) {
    CURRENT.with_borrow(|task| {
        let Some(task) = task else { return };
        task.due.store(when, Ordering::Release);
        if let Some(shared) = task.shared.upgrade().filter(|shared| shared.crowded()) {
            shared.call_on_the_next();
        }
    });
}

impl Pool {
    /// The pool of all models of the process. It lasts as long as somebody has it.
    pub(super) fn common() -> Arc<Self> {
        static COMMON: Mutex<Weak<Pool>> = Mutex::new(Weak::new());
        let mut common = lock(&COMMON);
        common.upgrade().unwrap_or_else(|| {
            let pool = Arc::new(Self::new(usual_threads()));
            *common = Arc::downgrade(&pool);
            pool
        })
    }

    /// A pool of so many threads, of which one is whoever has something to compute.
    /// Where the system allows no more threads there are fewer.
    pub(super) fn new(threads: usize) -> Self {
        let shared = Arc::new(Shared::default());
        let spawn = |_| {
            let shared = Arc::clone(&shared);
            thread::Builder::new().name("continuo-helper".to_owned()).spawn(move || serve(&shared)).ok()
        };
        let helpers: Vec<_> = (1..threads).map_while(spawn).collect();
        *lock(&shared.helpers) = helpers.iter().map(|helper| helper.thread().clone()).collect();
        Self { shared, helpers }
    }

    /// Computes something, on this thread and all others.
    pub(super) fn run<T: Send>(&self, work: impl Future<Output = T> + Send) -> T {
        let mut result = None;
        {
            let place = &mut result;
            let future: Pin<Box<dyn Future<Output = ()> + Send + '_>> =
                Box::pin(async move { *place = Some(work.await) });
            // SAFETY: nobody reaches the future but through its lock, and `entered` takes it
            // out of there before this scope ends, however it ends: what it borrows outlives it.
            let future: Pin<Box<dyn Future<Output = ()> + Send + 'static>> =
                unsafe { std::mem::transmute(future) };
            let entered = self.shared.enter(future);
            entered.see_through();
        }
        // PANIC: the future of a task is over when it gave its result, or panicked, which
        // went on from `see_through`.
        result.expect("a future that is over has a result")
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

impl Shared {
    fn enter(self: &Arc<Self>, future: Pin<Box<dyn Future<Output = ()> + Send>>) -> Entered<'_> {
        let task = Arc::new(Task {
            future: Mutex::new(Some(future)),
            job: Mutex::new(None),
            jobs: AtomicU64::new(0),
            over: AtomicBool::new(false),
            due: AtomicU64::new(0),
            owner: thread::current(),
            panic: Mutex::new(None),
            shared: Arc::downgrade(self),
        });
        let mut tasks = lock(&self.tasks);
        tasks.push(Arc::clone(&task));
        self.crowd.store(tasks.len(), Ordering::Release);
        Entered { shared: self, task }
    }

    /// Whether there are tasks to choose from.
    fn crowded(&self) -> bool {
        self.crowd.load(Ordering::Acquire) > 1
    }

    /// The task that is wanted soonest; of equals the one that was there first.
    fn next(&self) -> Option<Arc<Task>> {
        lock(&self.tasks).iter().min_by_key(|task| task.due.load(Ordering::Acquire)).cloned()
    }

    /// Wakes the owner of the task that is wanted soonest.
    fn call_on_the_next(&self) {
        if let Some(task) = self.next() {
            task.owner.unpark();
        }
    }

    /// Wakes helpers that sleep.
    fn wake(&self) {
        if self.asleep.load(Ordering::SeqCst) > 0 {
            lock(&self.helpers).iter().for_each(Thread::unpark);
        }
    }
}

/// A task in its pool, until dropped.
struct Entered<'a> {
    shared: &'a Shared,
    task: Arc<Task>,
}

impl Entered<'_> {
    /// Works on the task until it is over, as long as no other is wanted sooner.
    fn see_through(&self) {
        let task = &self.task;
        while !task.over() {
            if self.shared.crowded() && self.shared.next().is_some_and(|next| !Arc::ptr_eq(&next, task)) {
                self.shared.call_on_the_next();
                thread::park_timeout(NAP);
            } else {
                task.carry_on();
            }
        }
        if let Some(panic) = lock(&task.panic).take() {
            resume_unwind(panic);
        }
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        let mut tasks = lock(&self.shared.tasks);
        tasks.retain(|task| !Arc::ptr_eq(task, &self.task));
        self.shared.crowd.store(tasks.len(), Ordering::Release);
        drop(tasks);
        self.task.over.store(true, Ordering::Release);
        // Waits for who may be about to go on with it.
        drop(lock(&self.task.future).take());
        if self.shared.crowd.load(Ordering::Acquire) > 0 {
            self.shared.call_on_the_next();
        }
    }
}

impl Task {
    fn over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// Does what there is to do of the present job and goes on with the future, or sees
    /// to it that others do.
    fn carry_on(self: &Arc<Self>) {
        let jobs = self.jobs.load(Ordering::Acquire);
        let job = lock(&self.job).clone();
        if let Some(job) = job {
            job.help();
            if !wait(PATIENCE, || job.complete()) {
                // Whoever took it may not run just now.
                job.mend();
                return;
            }
        }
        if !self.advance() {
            // Somebody else is at it, for a few microseconds if it runs.
            let moved = || self.over() || self.jobs.load(Ordering::Acquire) != jobs;
            if !wait(LOOK_OUT, moved) {
                drop(lock(&self.future));
            }
        }
    }

    /// Goes on with the future unless somebody else is at it.
    fn advance(self: &Arc<Self>) -> bool {
        let mut place = match self.future.try_lock() {
            Ok(place) => place,
            Err(TryLockError::Poisoned(place)) => place.into_inner(),
            Err(TryLockError::WouldBlock) => return false,
        };
        // It may have gone on since.
        if lock(&self.job).as_ref().is_some_and(|job| !job.complete()) {
            return true;
        }
        let Some(future) = place.as_mut() else { return true };
        let mut context = Context::from_waker(Waker::noop());
        let before = CURRENT.replace(Some(Arc::clone(self)));
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut context)));
        CURRENT.set(before);
        match polled {
            Ok(poll) if poll.is_pending() => return true,
            Ok(_) => {}
            Err(panic) => *lock(&self.panic) = Some(panic),
        }
        *place = None;
        *lock(&self.job) = None;
        self.over.store(true, Ordering::Release);
        self.owner.unpark();
        true
    }
}

/// What a helper does all its life.
fn serve(shared: &Shared) {
    give_way(Standing::Helping);
    let idle = || shared.crowd.load(Ordering::Acquire) == 0 && !shared.stop.load(Ordering::Acquire);
    while !shared.stop.load(Ordering::Acquire) {
        while let Some(task) = shared.next() {
            // A piece that panics does so again on the thread that asked for it.
            let _ = catch_unwind(AssertUnwindSafe(|| help(shared, &task)));
        }
        if !wait(LOOK_OUT, || !idle()) {
            shared.asleep.fetch_add(1, Ordering::SeqCst);
            if idle() {
                thread::park();
            }
            shared.asleep.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

/// Works on a task as long as there is no choice.
fn help(shared: &Shared, task: &Arc<Task>) {
    loop {
        task.carry_on();
        if task.over() || shared.crowded() {
            return;
        }
    }
}

/// Looks out for something; whether it came true in time.
fn wait(time: Duration, come_true: impl Fn() -> bool) -> bool {
    if come_true() {
        return true;
    }
    let since = Instant::now();
    loop {
        for _ in 0..GLANCES {
            if come_true() {
                return true;
            }
            std::hint::spin_loop();
        }
        if since.elapsed() > time {
            return come_true();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;
    use crate::cpu::job::{Work, done};

    /// Pieces that say who they are; others than the owner never bring back those of odd
    /// number.
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
    fn pieces_come_in_order_also_those_never_brought_back() {
        let pool = Pool::new(3);
        let gone = Arc::new(AtomicBool::new(false));
        let owner = thread::current().id();
        let heard = pool.run(async {
            let mut heard = Vec::new();
            for pieces in [0, 1, 2, 7, 100, 3, 5000] {
                let job = done(Roll { pieces, owner, gone: Arc::clone(&gone) }).await;
                heard.push(job.numbers().map(<[f32]>::to_vec).collect::<Vec<_>>());
            }
            heard
        });
        gone.store(true, Ordering::Release);
        for (pieces, heard) in [0_u16, 1, 2, 7, 100, 3, 5000].into_iter().zip(heard) {
            assert_eq!(heard, (0..pieces).map(|index| vec![f32::from(index); 2]).collect::<Vec<_>>());
        }
    }

    /// Pieces that are quickly done, but the last, which panics if it is to.
    struct Quick(bool);

    impl Work for Quick {
        fn pieces(&self) -> usize {
            8
        }

        fn piece(&self, index: usize) -> Vec<f32> {
            assert!(!self.0 || index < 7, "the eighth");
            Vec::new()
        }
    }

    #[test]
    fn a_panic_reaches_who_asked_and_the_pool_goes_on() {
        let pool = Pool::new(2);
        for _ in 0..20 {
            let piece = catch_unwind(AssertUnwindSafe(|| pool.run(async { drop(done(Quick(true)).await) })));
            assert!(piece.is_err());
            let between = catch_unwind(AssertUnwindSafe(|| {
                pool.run(async {
                    drop(done(Quick(false)).await);
                    panic!("in between");
                });
            }));
            assert!(between.is_err());
            assert_eq!(pool.run(async { done(Quick(false)).await.numbers().count() }), 8);
        }
    }

    /// Counts on its own until told to stop.
    async fn count(steps: &AtomicUsize, stop: &AtomicBool, when: u64) {
        due(when);
        while !stop.load(Ordering::Acquire) {
            drop(done(Quick(false)).await);
            steps.fetch_add(1, Ordering::AcqRel);
        }
    }

    #[test]
    fn what_is_wanted_sooner_goes_on_alone() {
        for threads in 1..4 {
            let pool = Pool::new(threads);
            let (steps, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
            let (tell, told) = channel();
            thread::scope(|scope| {
                scope.spawn(|| pool.run(count(&steps, &stop, 10)));
                scope.spawn(|| {
                    // The other one has begun.
                    while steps.load(Ordering::Acquire) == 0 {
                        thread::yield_now();
                    }
                    pool.run(async {
                        due(5);
                        let before = steps.load(Ordering::Acquire);
                        for _ in 0..1000 {
                            drop(done(Quick(false)).await);
                        }
                        tell.send(steps.load(Ordering::Acquire) - before).unwrap();
                    });
                    stop.store(true, Ordering::Release);
                });
            });
            // What was begun is brought to an end, by each of the threads.
            let others = told.recv().unwrap();
            assert!(others <= 2 * threads + 2, "{others} steps of the other with {threads} threads");
        }
    }

    #[test]
    fn several_at_once_are_all_seen_through() {
        let pool = Pool::new(2);
        thread::scope(|scope| {
            for owner in 0..6 {
                let pool = &pool;
                scope.spawn(move || {
                    for round in 0..50 {
                        pool.run(async {
                            due(owner % 3);
                            for _ in 0..round % 7 {
                                drop(done(Quick(false)).await);
                            }
                        });
                    }
                });
            }
        });
    }
}
