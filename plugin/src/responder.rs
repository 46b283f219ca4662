//! The inference thread's side of the plugin: hears the player, asks the engine,
//! sends the answer to playback, and keeps the session and the status up to date.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use continuo_engine::worker::{Client, ModelState, Source};
use continuo_engine::{BeatNote, DeviceChoice, Ending, Limits, Pace, Request, TakeEvent};
use nice_plug::prelude::*;
use nice_plug_egui::RepaintNotifier;
use parking_lot::Mutex;
use rtrb::{Consumer, Producer};

use crate::ask::Ask;
use crate::link::{AnswerId, MOST_TAKES, PlayNote, Shared, ToPlayer, ToWorker};
use crate::params::ContinuoParams;
use crate::phrase::{Phrase, Prompt};
use crate::state::{Answer, Recipe, Session};

/// What the inference thread is at, for the editor.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// How the model is doing; `None` before the host has activated the plugin.
    pub model: Option<ModelState>,
    /// Whether an answer is being made.
    pub thinking: bool,
    /// Why the last answer failed, if it did.
    pub error: Option<String>,
    /// From the trigger to the first note of the last answer.
    pub latency: Option<Duration>,
}

/// What the inference thread shows the editor.
pub struct View {
    /// In words and numbers.
    pub status: Arc<Mutex<Status>>,
    /// Asks for a new picture. The window looks at this on a timer of its own, so
    /// it goes on even where the window system loses a request to redraw.
    pub repaint: RepaintNotifier,
}

/// An answer wanted or in the making.
struct Job {
    ask: Ask,
    /// Add this to the prompt's beats to get the timeline's.
    offset: f64,
    /// When it was asked for; gone once the first note is there.
    since: Option<Instant>,
    /// Who played what where.
    phrase: Phrase,
}

/// Everything the inference thread has of the plugin's.
pub struct Responder {
    params: Arc<ContinuoParams>,
    shared: Arc<Shared>,
    view: View,
    inbox: Consumer<ToWorker>,
    ring: Producer<ToPlayer>,
    /// What the ring had no room for yet.
    outbox: VecDeque<ToPlayer>,
    phrase: Phrase,
    /// The newest answer wanted, and its prompt.
    wanted: Option<(Job, Prompt)>,
    job: Option<Job>,
    /// What would be asked now, if that has not been looked at.
    coming: Option<Ask>,
    /// The newest answer this side knows of.
    newest: AnswerId,
    loads: u64,
}

impl Responder {
    /// One that takes up what the session holds.
    #[must_use]
    pub fn new(
        params: Arc<ContinuoParams>,
        shared: Arc<Shared>,
        view: View,
        inbox: Consumer<ToWorker>,
        ring: Producer<ToPlayer>,
    ) -> Self {
        Self {
            params,
            shared,
            view,
            inbox,
            ring,
            outbox: VecDeque::new(),
            phrase: Phrase::default(),
            wanted: None,
            job: None,
            coming: None,
            newest: AnswerId::default(),
            loads: 0,
        }
    }

    fn send(&mut self, message: ToPlayer) {
        self.outbox.push_back(message);
        self.flush();
    }

    fn flush(&mut self) {
        while let Some(message) = self.outbox.pop_front() {
            if let Err(rtrb::PushError::Full(message)) = self.ring.push(message) {
                self.outbox.push_front(message);
                return;
            }
        }
    }

    /// Hears what the player did since the last time.
    fn listen(&mut self) {
        let mut heard = false;
        while let Ok(event) = self.inbox.pop() {
            heard = true;
            match event {
                ToWorker::Answer(ask) => self.want(ask),
                ToWorker::Coming(ask) => self.coming = Some(ask),
                ToWorker::Clear(id) => self.clear(id),
                event => self.phrase.hear(event),
            }
        }
        if heard {
            let notes = self.phrase.notes().to_vec();
            self.params.saved.with(|session| session.phrase = notes);
        }
    }

    /// The prompt is made at once: what is played next belongs to the next phrase.
    fn want(&mut self, ask: Ask) {
        self.newest = ask.id;
        self.coming = None;
        let prompt = self.phrase.prompt(&ask);
        let (offset, phrase) = (prompt.offset, self.phrase.clone());
        let job = Job { ask, offset, since: Some(Instant::now()), phrase };
        if let Some((missed, _)) = self.wanted.replace((job, prompt)) {
            self.send(ToPlayer::Finished(missed.ask.id));
        }
    }

    fn clear(&mut self, id: AnswerId) {
        self.newest = id;
        self.wanted = None;
        self.coming = None;
        self.phrase.clear();
        self.params.saved.with(|session| *session = Session::default());
    }

    /// Takes over a state that was loaded, phrase and answer.
    fn restore(&mut self) {
        let loads = self.shared.loads();
        if loads == self.loads {
            return;
        }
        self.loads = loads;
        self.newest = self.newest.next_restored();
        self.wanted = None;
        let id = self.newest;
        let session = self.params.saved.with(|session| {
            if let Some(answer) = &mut session.answer {
                answer.id = id;
            }
            session.clone()
        });
        let answers = session.answer.as_ref().map_or(0, |a| a.recipe.again.saturating_add(1));
        self.phrase = Phrase::restored(&session.phrase, answers);
        let answer = session.answer.unwrap_or_default();
        let (takes, on_host, start) = (answer.takes.len(), answer.recipe.on_host, answer.start);
        self.outbox.clear();
        self.outbox.push_back(ToPlayer::Replace { id, takes, on_host, start });
        for take in 0..takes {
            self.outbox.extend(answer.notes(take).map(|note| ToPlayer::Note { id, take, note }));
        }
        self.outbox.push_back(ToPlayer::Finished(id));
        self.outbox.push_back(ToPlayer::Loaded(loads));
        self.flush();
    }

    /// Opens the session's new answer and makes the engine's request for it.
    fn request(&mut self, job: Job, prompt: Prompt) -> Request {
        let ask = job.ask;
        let seed = if ask.wish.seed == 0 { fresh_seed() } else { ask.wish.seed };
        let takes = ask.wish.takes.clamp(1, MOST_TAKES);
        let mut recipe = Recipe::of(&ask, seed);
        (recipe.again, recipe.model) = (prompt.again, self.model_name());
        recipe.phrase = job.phrase.notes().to_vec();
        let answer = Answer {
            id: ask.id,
            recipe,
            start: prompt.window.from + prompt.offset,
            end: prompt.window.until + prompt.offset,
            takes: vec![Vec::new(); takes],
        };
        self.params.saved.with(|session| session.answer = Some(answer));
        let mut status = self.view.status.lock();
        (status.thinking, status.error, status.latency) = (true, None, None);
        drop(status);
        let pace = job.since.map(|since| pace(&ask, since));
        self.job = Some(job);
        // Asked again, the same phrase and seed give another answer, but the same
        // other answer every time.
        let sampling = ask.wish.chance.sampling(seed | (prompt.again << 32));
        let limits = Limits::default();
        Request { phrase: prompt.score, window: prompt.window, takes, sampling, limits, pace }
    }

    fn model_name(&self) -> String {
        match &self.view.status.lock().model {
            Some(ModelState::Ready(ready)) => ready.name.clone(),
            _ => String::new(),
        }
    }

    fn note(&mut self, take: usize, note: BeatNote) {
        let Some(job) = &mut self.job else { return };
        let start = note.start + job.offset;
        let channel = job.phrase.channel_of(note.instrument);
        let (key, velocity) = (note.pitch, note.velocity);
        let note = PlayNote { start, end: start + note.duration.max(1e-6), channel, key, velocity };
        let (id, since) = (job.ask.id, job.since.take());
        if let Some(since) = since {
            self.view.status.lock().latency = Some(since.elapsed());
        }
        self.params.saved.with(|session| {
            if let Some(answer) = session.answer.as_mut().filter(|a| a.id == id) {
                answer.push(take, note);
            }
        });
        self.send(ToPlayer::Note { id, take, note });
    }
}

impl Client for Responder {
    fn source(&mut self) -> Source {
        self.params.model_folder().map_or(Source::Embedded, Source::Folder)
    }

    fn device(&mut self) -> DeviceChoice {
        *self.params.device.read()
    }

    fn model(&mut self, state: ModelState) {
        match &state {
            ModelState::Failed(error) => nice_error!("The model cannot be used: {error}"),
            ModelState::Ready(ready) => {
                nice_log!("Answering with {} on {}", ready.name, ready.device);
                if let Some(reason) = &ready.fallback {
                    nice_error!("The model runs on the processor: {reason}");
                }
            }
            ModelState::Loading => {}
        }
        self.view.status.lock().model = Some(state);
    }

    fn tend(&mut self) {
        self.restore();
        self.listen();
        self.flush();
        self.view.repaint.request_repaint();
    }

    fn next(&mut self) -> Option<Request> {
        let (job, prompt) = self.wanted.take()?;
        Some(self.request(job, prompt))
    }

    fn coming(&mut self) -> Option<Request> {
        let ask = self.coming.take()?;
        // What is held now need not end now.
        let Prompt { score, window, .. } = self.phrase.clone().prompt(&ask);
        let (sampling, limits) = (ask.wish.chance.sampling(ask.wish.seed), Limits::default());
        Some(Request { phrase: score, window, takes: 1, sampling, limits, pace: None })
    }

    fn waiting(&mut self) -> bool {
        self.wanted.is_some() || self.shared.latest() > self.newest
    }

    fn cancelled(&mut self) -> bool {
        let id = self.job.as_ref().map(|job| job.ask.id);
        id != Some(self.newest) || self.shared.latest() > self.newest
    }

    fn event(&mut self, event: TakeEvent) {
        let Some(job) = &self.job else { return };
        let (id, offset) = (job.ask.id, job.offset);
        match event {
            TakeEvent::Note { take, note } => self.note(take, note),
            TakeEvent::Reached { take, beat } => {
                self.send(ToPlayer::Reached { id, take, beat: beat + offset })
            }
            TakeEvent::Done { take } => self.send(ToPlayer::Done { id, take }),
        }
    }

    fn ended(&mut self, result: Result<Ending, String>) {
        let mut status = self.view.status.lock();
        status.thinking = false;
        if let Err(error) = result {
            nice_error!("No answer: {error}");
            status.error = Some(error);
        }
        drop(status);
        if let Some(job) = self.job.take() {
            self.send(ToPlayer::Finished(job.ask.id));
        }
    }
}

/// When an answer sounds that was asked for at a moment.
fn pace(ask: &Ask, since: Instant) -> Pace {
    let beat = Duration::try_from_secs_f64(60.0 / ask.tempo).unwrap_or_default();
    let ahead = (ask.start - ask.at).max(0.0) * beat.as_secs_f64();
    let ahead = Duration::try_from_secs_f64(ahead).unwrap_or_default();
    Pace { from: since.checked_add(ahead).unwrap_or(since), beat }
}

/// A seed the user can type in again: 1 to 9999.
fn fresh_seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    // Spreads the last digits, which are the ones that differ.
    let mixed = u64::from(now.subsec_nanos()).wrapping_add(now.as_secs()).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> 32) % 9999 + 1
}
