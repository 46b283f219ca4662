//! The inference thread: one for each who asks for music in real time, so that a
//! long generation of one blocks nobody else.
//!
//! The thread serves a [`Client`]. It never waits for the client's real-time side
//! and is never woken by it (waking is a system call, which an audio thread may
//! not make); it looks for work every [`INTERVAL`]. Dropping the [`Worker`] ends a
//! generation at its next token and joins the thread.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::{DeviceChoice, Ending, Engine, Reading, Request, TakeEvent};

/// How often an idle thread looks for work.
pub const INTERVAL: Duration = Duration::from_millis(2);

/// Where a model comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The model inside the program.
    Embedded,
    /// A model folder, a file, or a name on the hub that was pulled.
    Folder(PathBuf),
}

/// What answers requests: an [`Engine`], or something simpler in tests.
pub trait Composer {
    /// What it has read of a phrase.
    type Reading;

    /// The name users see.
    fn name(&self) -> &str;

    /// What it runs on, in words for users; empty where that says nothing.
    fn device(&self) -> &str {
        ""
    }

    /// Why it does not run on what was wanted, if so.
    fn fallback(&self) -> Option<&str> {
        None
    }

    /// Tells models apart that have the same name; empty where that is not known.
    fn fingerprint(&self) -> &str {
        ""
    }

    /// A reading of nothing yet.
    fn reading(&self) -> Self::Reading;

    /// As [`Engine::read_ahead`]. What goes wrong goes wrong again when the answer is
    /// asked for.
    fn read_ahead(
        &self,
        request: &Request,
        reading: &mut Self::Reading,
        cancelled: &(dyn Fn() -> bool + Sync),
    );

    /// As [`Engine::answer`]; the error is for the user.
    ///
    /// # Errors
    /// What went wrong, in words.
    fn compose(
        &self,
        request: &Request,
        reading: &mut Self::Reading,
        cancelled: &(dyn Fn() -> bool + Sync),
        on: &mut (dyn FnMut(TakeEvent) + Send),
    ) -> Result<Ending, String>;
}

impl Composer for Engine {
    type Reading = Reading;

    fn name(&self) -> &str {
        Self::name(self)
    }

    fn device(&self) -> &str {
        Self::device(self)
    }

    fn fallback(&self) -> Option<&str> {
        Self::fallback(self)
    }

    fn fingerprint(&self) -> &str {
        Self::fingerprint(self)
    }

    fn reading(&self) -> Reading {
        Self::reading(self)
    }

    fn read_ahead(&self, request: &Request, reading: &mut Reading, cancelled: &(dyn Fn() -> bool + Sync)) {
        // Nobody waits for it.
        let _ = Self::read_ahead(self, request, reading, cancelled);
    }

    fn compose(
        &self,
        request: &Request,
        reading: &mut Reading,
        cancelled: &(dyn Fn() -> bool + Sync),
        on: &mut (dyn FnMut(TakeEvent) + Send),
    ) -> Result<Ending, String> {
        self.answer(request, reading, cancelled, on).map_err(|error| error.to_string())
    }
}

/// A model that can be asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ready {
    /// Its name.
    pub name: String,
    /// What it runs on, in words.
    pub device: String,
    /// Why it does not run on what was wanted, if so.
    pub fallback: Option<String>,
    /// Tells it from others of its name.
    pub fingerprint: String,
}

/// How the model is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelState {
    /// Its weights are being read.
    Loading,
    /// It can be asked.
    Ready(Ready),
    /// It cannot be used, and why.
    Failed(String),
}

/// Who asks for music. Methods are called one at a time: on the inference thread, and
/// while an answer is made on those that help it.
pub trait Client: Send + 'static {
    /// The model that is wanted now; when it changes, that one is loaded.
    fn source(&mut self) -> Source;

    /// What it is wanted on; when that changes, it is loaded anew.
    fn device(&mut self) -> DeviceChoice {
        DeviceChoice::Auto
    }

    /// How the model is doing, whenever that changes.
    fn model(&mut self, state: ModelState);

    /// Looks after the client's own business, loading or not: called at every
    /// [`INTERVAL`] and before every token.
    fn tend(&mut self);

    /// The next request, if one is waiting.
    fn next(&mut self) -> Option<Request>;

    /// What a request would be now, if that has changed since the last time and none is
    /// waiting: the model reads it ahead.
    fn coming(&mut self) -> Option<Request>;

    /// Whether a request is waiting.
    fn waiting(&mut self) -> bool;

    /// Whether the request being answered is no longer wanted.
    fn cancelled(&mut self) -> bool;

    /// What became known of the answer.
    fn event(&mut self, event: TakeEvent);

    /// The answer is over: complete, cancelled, or failed for the given reason.
    fn ended(&mut self, result: Result<Ending, String>);
}

/// A running inference thread.
#[derive(Debug)]
pub struct Worker {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts a thread that serves a client with real engines.
    ///
    /// # Errors
    /// The system's, if it allows no more threads.
    pub fn spawn(client: impl Client) -> std::io::Result<Self> {
        Self::spawn_with(client, |source, device| {
            Engine::load_or_cpu(source, device).map_err(|error| error.to_string())
        })
    }

    /// Starts a thread that serves a client with what `load` opens.
    ///
    /// # Errors
    /// The system's, if it allows no more threads.
    pub fn spawn_with<C: Composer>(
        client: impl Client,
        load: impl Fn(&Source, DeviceChoice) -> Result<C, String> + Send + 'static,
    ) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("continuo-inference".to_owned())
            .spawn(move || serve(client, &load, &seen))?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A panic outside of what is caught has been reported by its hook.
            let _ = thread.join();
        }
    }
}

/// The model in use with what it has read, or why there is none.
type Loaded<C> = Option<((Source, DeviceChoice), Result<(C, <C as Composer>::Reading), String>)>;

fn serve<C: Composer>(
    mut client: impl Client,
    load: &dyn Fn(&Source, DeviceChoice) -> Result<C, String>,
    stop: &AtomicBool,
) {
    continuo_model::cpu::give_way(continuo_model::cpu::Standing::Asking);
    let mut loaded: Loaded<C> = None;
    while !stop.load(Ordering::Acquire) {
        client.tend();
        let wanted = (client.source(), client.device());
        if loaded.as_ref().is_none_or(|(of, _)| *of != wanted) {
            drop(loaded.take());
            let opened = open(&mut client, &wanted, load).map(|composer| {
                let reading = composer.reading();
                (composer, reading)
            });
            loaded = Some((wanted, opened));
        }
        match (client.next(), &mut loaded) {
            (Some(request), Some((_, Ok((composer, reading))))) => {
                let shared = Mutex::new(&mut client);
                let result = answer(&shared, composer, reading, &request, stop);
                if result.is_err() {
                    // It may have been left in the middle of something.
                    *reading = composer.reading();
                }
                client.ended(result);
            }
            (Some(_), Some((_, Err(error)))) => client.ended(Err(error.clone())),
            (None, Some((_, Ok((composer, reading))))) => match client.coming() {
                Some(request) => read_ahead(&Mutex::new(&mut client), composer, reading, &request, stop),
                None => std::thread::park_timeout(INTERVAL),
            },
            (Some(_), None) | (None, _) => std::thread::park_timeout(INTERVAL),
        }
    }
}

fn open<C: Composer>(
    client: &mut impl Client,
    (source, device): &(Source, DeviceChoice),
    load: &dyn Fn(&Source, DeviceChoice) -> Result<C, String>,
) -> Result<C, String> {
    client.model(ModelState::Loading);
    let result = catch_unwind(AssertUnwindSafe(|| load(source, *device)))
        .unwrap_or_else(|panic| Err(format!("the model could not be loaded: {}", words(panic.as_ref()))));
    client.model(match &result {
        Ok(composer) => ModelState::Ready(Ready {
            name: composer.name().to_owned(),
            device: composer.device().to_owned(),
            fallback: composer.fallback().map(str::to_owned),
            fingerprint: composer.fingerprint().to_owned(),
        }),
        Err(error) => ModelState::Failed(error.clone()),
    });
    result
}

/// A client that threads take turns with.
type Turns<'a, C> = Mutex<&'a mut C>;

fn turn<'a, 'b, C>(client: &'a Turns<'b, C>) -> MutexGuard<'a, &'b mut C> {
    client.lock().unwrap_or_else(PoisonError::into_inner)
}

fn answer<C: Composer>(
    client: &Turns<'_, impl Client>,
    composer: &C,
    reading: &mut C::Reading,
    request: &Request,
    stop: &AtomicBool,
) -> Result<Ending, String> {
    let cancelled = || {
        let mut client = turn(client);
        client.tend();
        stop.load(Ordering::Acquire) || client.cancelled()
    };
    let mut on = |event| turn(client).event(event);
    catch_unwind(AssertUnwindSafe(|| composer.compose(request, reading, &cancelled, &mut on)))
        .unwrap_or_else(|panic| Err(format!("generation failed: {}", words(panic.as_ref()))))
}

fn read_ahead<C: Composer>(
    client: &Turns<'_, impl Client>,
    composer: &C,
    reading: &mut C::Reading,
    request: &Request,
    stop: &AtomicBool,
) {
    let cancelled = || {
        let mut client = turn(client);
        client.tend();
        stop.load(Ordering::Acquire) || client.waiting()
    };
    let read = || composer.read_ahead(request, reading, &cancelled);
    if catch_unwind(AssertUnwindSafe(read)).is_err() {
        *reading = composer.reading();
    }
}

/// What a panic said.
fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("unknown reason")
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;
    use crate::{Limits, Sampling, Score, Window};

    /// Counts up to the number of takes asked for; panics at 7, and goes on until
    /// cancelled at 8.
    struct Counter;

    impl Composer for Counter {
        type Reading = ();

        fn name(&self) -> &str {
            "counter"
        }

        fn reading(&self) {}

        fn read_ahead(&self, _: &Request, (): &mut (), _: &(dyn Fn() -> bool + Sync)) {}

        fn compose(
            &self,
            request: &Request,
            (): &mut (),
            cancelled: &(dyn Fn() -> bool + Sync),
            on: &mut (dyn FnMut(TakeEvent) + Send),
        ) -> Result<Ending, String> {
            assert!(request.takes != 7, "seven");
            for take in 0..request.takes {
                on(TakeEvent::Done { take });
            }
            if request.takes < 8 {
                return Ok(Ending::Complete);
            }
            while !cancelled() {}
            Ok(Ending::Cancelled)
        }
    }

    #[derive(Debug, PartialEq)]
    enum Heard {
        Model(ModelState),
        Event(TakeEvent),
        Ended(Result<Ending, String>),
    }

    struct Probe {
        requests: Receiver<usize>,
        heard: Sender<Heard>,
        source: Source,
        cancel: Arc<AtomicBool>,
    }

    impl Client for Probe {
        fn source(&mut self) -> Source {
            self.source.clone()
        }
        fn model(&mut self, state: ModelState) {
            let _ = self.heard.send(Heard::Model(state));
        }
        fn tend(&mut self) {}
        fn next(&mut self) -> Option<Request> {
            let takes = self.requests.try_recv().ok()?;
            let sampling = Sampling::default();
            Some(Request {
                phrase: Score::new(960),
                window: Window { from: 0.0, until: 4.0 },
                takes,
                sampling,
                limits: Limits::default(),
                pace: None,
            })
        }
        fn coming(&mut self) -> Option<Request> {
            None
        }
        fn waiting(&mut self) -> bool {
            false
        }
        fn cancelled(&mut self) -> bool {
            self.cancel.load(Ordering::Acquire)
        }
        fn event(&mut self, event: TakeEvent) {
            let _ = self.heard.send(Heard::Event(event));
        }
        fn ended(&mut self, result: Result<Ending, String>) {
            let _ = self.heard.send(Heard::Ended(result));
        }
    }

    struct Setup {
        worker: Worker,
        ask: Sender<usize>,
        heard: Receiver<Heard>,
        cancel: Arc<AtomicBool>,
    }

    fn start(source: Source) -> Setup {
        let (ask, requests) = channel();
        let (tell, heard) = channel();
        let cancel = Arc::new(AtomicBool::new(false));
        let probe = Probe { requests, heard: tell, source, cancel: Arc::clone(&cancel) };
        let worker = Worker::spawn_with(probe, |source, _| match source {
            Source::Embedded => Ok(Counter),
            Source::Folder(dir) if dir.as_os_str().is_empty() => panic!("no path"),
            Source::Folder(dir) => Err(format!("{} is no model", dir.display())),
        })
        .unwrap();
        Setup { worker, ask, heard, cancel }
    }

    #[test]
    fn answers_arrive_in_order() {
        let setup = start(Source::Embedded);
        setup.ask.send(1).unwrap();
        let heard: Vec<_> = setup.heard.iter().take(4).collect();
        let expected = [
            Heard::Model(ModelState::Loading),
            Heard::Model(ModelState::Ready(Ready { name: "counter".to_owned(), ..Ready::default() })),
            Heard::Event(TakeEvent::Done { take: 0 }),
            Heard::Ended(Ok(Ending::Complete)),
        ];
        assert_eq!(heard, expected);
    }

    #[test]
    fn a_panic_becomes_an_error_and_the_thread_lives_on() {
        let setup = start(Source::Embedded);
        setup.ask.send(7).unwrap();
        setup.ask.send(0).unwrap();
        let heard: Vec<_> = setup.heard.iter().skip(2).take(2).collect();
        let Heard::Ended(Err(error)) = &heard[0] else { panic!("{heard:?}") };
        assert!(error.contains("seven"), "{error}");
        assert_eq!(heard[1], Heard::Ended(Ok(Ending::Complete)));
    }

    #[test]
    fn without_a_model_requests_fail_with_its_reason() {
        let setup = start(Source::Folder(PathBuf::from("here")));
        setup.ask.send(1).unwrap();
        let heard: Vec<_> = setup.heard.iter().skip(1).take(2).collect();
        let reason = "here is no model".to_owned();
        assert_eq!(heard, [Heard::Model(ModelState::Failed(reason.clone())), Heard::Ended(Err(reason))]);
    }

    #[test]
    fn a_loader_that_panics_is_a_model_that_failed() {
        let setup = start(Source::Folder(PathBuf::new()));
        let heard = setup.heard.iter().nth(1).unwrap();
        let Heard::Model(ModelState::Failed(error)) = heard else { panic!("{heard:?}") };
        assert!(error.contains("no path"), "{error}");
    }

    #[test]
    fn cancelling_and_dropping_end_an_endless_generation() {
        let setup = start(Source::Embedded);
        setup.cancel.store(true, Ordering::Release);
        setup.ask.send(8).unwrap();
        assert_eq!(setup.heard.iter().nth(10).unwrap(), Heard::Ended(Ok(Ending::Cancelled)));
        setup.cancel.store(false, Ordering::Release);
        setup.ask.send(8).unwrap();
        assert_eq!(setup.heard.iter().nth(7).unwrap(), Heard::Event(TakeEvent::Done { take: 7 }));
        drop(setup.worker);
        assert_eq!(setup.heard.iter().collect::<Vec<_>>(), [Heard::Ended(Ok(Ending::Cancelled))]);
    }
}
