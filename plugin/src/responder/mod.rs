//! The inference thread's side of the plugin: hears the player, asks the engine,
//! sends the answer to playback, and keeps the session and the status up to date.
//!
//! - [`status`]: what the editor is shown.
//! - `takes`: what is done to takes.
//! - `model`: which model is wanted.

mod model;
pub mod status;
mod takes;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use continuo_engine::worker::{Client, ModelState, Ready, Source};
use continuo_engine::{BeatNote, DeviceChoice, Ending, Feel, Follower, Pace, Request, TakeEvent};
use nice_plug::prelude::*;
use rtrb::{Consumer, Producer};

use crate::acts::Pressed;
use crate::ask::{Ask, Kind, Wish};
use crate::clock::Timeline;
use crate::history::History;
use crate::link::{AnswerId, KeptNotes, MOST_TAKES, PlayNote, Shared, ToPlayer, ToWorker};
use crate::params::ContinuoParams;
use crate::phrase::{Phrase, Prompt};
use crate::state::{Answer, Recipe};
pub use status::{Status, View};

/// An answer wanted or in the making.
struct Job {
    id: AnswerId,
    recipe: Recipe,
    /// Add this to the request's beats to get the timeline's.
    offset: f64,
    /// When it was asked for; gone once the first note is there.
    since: Option<Instant>,
    /// When its beats sound, if somebody waits for them.
    pace: Option<Pace>,
    /// How it is played.
    follower: Follower,
    /// Up to which of the timeline's beats each take is known.
    reached: [f64; MOST_TAKES],
}

impl Job {
    fn new(id: AnswerId, mut recipe: Recipe, pace: Option<Pace>) -> Self {
        if recipe.seed == 0 {
            recipe.seed = fresh_seed();
        }
        let (since, follower) = (Some(Instant::now()), Follower::default());
        Self { id, recipe, offset: 0.0, since, pace, follower, reached: [f64::NEG_INFINITY; MOST_TAKES] }
    }
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
    /// The newest answer wanted.
    wanted: Option<Job>,
    job: Option<Job>,
    /// Which takes of the newest answer are complete, a bit each.
    done: u32,
    /// Which answer was stopped, and where, before playback moved it.
    cut: Option<(AnswerId, f64)>,
    /// What would be asked now, if that has not been looked at.
    coming: Option<Ask>,
    /// The newest answer this side knows of.
    newest: AnswerId,
    loads: u64,
    history: History,
    pressed: Pressed,
    /// The take that is to be kept when it is complete.
    keeping: Option<(AnswerId, usize)>,
    /// Kept notes the audio thread may still hold; see [`KeptNotes`].
    handed: Vec<Arc<KeptNotes>>,
    model: model::Wanted,
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
            done: 0,
            cut: None,
            coming: None,
            newest: AnswerId::default(),
            loads: 0,
            history: History::default(),
            pressed: Pressed::default(),
            keeping: None,
            handed: Vec::new(),
            model: model::Wanted::default(),
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
                ToWorker::Cut { id, beat } => self.cut(id, beat),
                event => self.phrase.hear(event),
            }
        }
        if heard {
            let notes = self.phrase.notes().to_vec();
            self.params.saved.with(|session| session.phrase = notes);
        }
    }

    /// The recipe is made at once: what is played next belongs to the next phrase.
    fn want(&mut self, ask: Ask) {
        self.newest = ask.id;
        self.coming = None;
        let answer = self.params.saved.placed().answer.filter(|_| ask.kind != Kind::Answer);
        let recipe = match answer {
            Some(answer) => self.another(&ask, &answer),
            None => {
                let Prompt { notes, again, .. } = self.phrase.prompt(&ask);
                Recipe::of(&ask, notes, again)
            }
        };
        if let Some(missed) = self.wanted.replace(Job::new(ask.id, recipe, Some(pace(&ask)))) {
            self.send(ToPlayer::Finished(missed.id));
        }
    }

    /// Another answer to what an answer answered, maybe with its beginning.
    fn another(&mut self, ask: &Ask, answer: &Answer) -> Recipe {
        let again = answer.recipe.again + 1;
        self.phrase.answered(&answer.recipe.phrase, again);
        let recipe = Recipe {
            kind: ask.kind,
            on_host: ask.timeline == Timeline::Host,
            start: ask.start,
            seed: ask.wish.seed,
            again,
            wish: ask.wish,
            ..answer.recipe.clone()
        };
        if ask.kind != Kind::Vary && recipe.front_beats <= 0.0 {
            return recipe;
        }
        let wish = Wish { bars: answer.recipe.wish.bars, over: answer.recipe.wish.over, ..recipe.wish };
        let recipe = Recipe { wish, ..recipe };
        if ask.kind == Kind::Vary { recipe.varied(answer, ask.heard) } else { recipe }
    }

    fn clear(&mut self, id: AnswerId) {
        self.remember();
        self.newest = id;
        (self.wanted, self.coming, self.keeping) = (None, None, None);
        self.phrase.clear();
        self.params.saved.with(|session| {
            session.phrase.clear();
            session.answer = None;
        });
    }

    /// An answer was stopped, or is to stop at a beat.
    fn cut(&mut self, id: AnswerId, beat: f64) {
        self.cut = Some((id, beat));
        self.params.saved.with(|session| {
            if let Some(answer) = session.answer.as_mut().filter(|answer| answer.id == id) {
                answer.cut(beat);
            }
        });
    }

    /// The beat at which an answer was stopped.
    fn cut_of(&self, id: AnswerId) -> f64 {
        self.cut.filter(|(of, _)| *of == id).map_or(f64::INFINITY, |(_, beat)| beat)
    }

    /// Takes over a state that was loaded: phrase, answer and kept takes.
    fn restore(&mut self) {
        let loads = self.shared.loads();
        if loads == self.loads {
            return;
        }
        self.loads = loads;
        let session = self.params.saved.with(|session| session.clone());
        let answers = session.answer.map_or(0, |answer| answer.recipe.again.saturating_add(1));
        self.phrase = Phrase::restored(&session.phrase, answers);
        self.history.forget();
        self.show();
        self.send(ToPlayer::Loaded(loads));
        self.shared.set_restored(loads);
    }

    /// Opens the session's new answer and makes the engine's request for it.
    ///
    /// # Errors
    /// In words for the user, where what is wished for cannot be had.
    fn open(&mut self, mut job: Job) -> Result<Request, String> {
        let (request, offset) = job.recipe.request(job.pace)?;
        let model = self.ready();
        (job.recipe.model, job.recipe.fingerprint) = (model.name, model.fingerprint);
        (job.offset, self.done) = (offset, 0);
        let Recipe { bar_line, front_beats, wish, .. } = job.recipe;
        let played = job.recipe.phrase.iter().map(|note| (note.start - bar_line, note.velocity));
        let from = request.window.from;
        job.follower = Follower::new(Feel::of(played), wish.feel.velocity, wish.feel.timing, from);
        self.remember();
        let start = from - front_beats + offset;
        let answer = Answer {
            id: job.id,
            recipe: job.recipe.clone(),
            start,
            end: (request.window.until + offset).min(self.cut_of(job.id)).max(start),
            takes: vec![Vec::new(); request.takes],
        };
        self.params.saved.with(|session| session.answer = Some(answer));
        let mut status = self.view.status.lock();
        (status.thinking, status.error, status.latency) = (true, None, None);
        drop(status);
        let front: Vec<_> = job.recipe.front_notes(start).collect();
        self.job = Some(job);
        for take in 0..request.takes {
            front.iter().for_each(|note| self.play(take, *note));
        }
        Ok(request)
    }

    /// The model in use, if there is one.
    fn ready(&self) -> Ready {
        match &self.view.status.lock().model {
            Some(ModelState::Ready(ready)) => ready.clone(),
            _ => Ready::default(),
        }
    }

    fn note(&mut self, take: usize, note: BeatNote) {
        let Some(job) = &mut self.job else { return };
        let note = job.follower.play(take, note);
        let start = note.start + job.offset;
        let channel = job.recipe.channel_of(note.instrument);
        let (key, velocity) = (note.pitch, note.velocity);
        self.play(take, PlayNote { start, end: start + note.duration.max(1e-6), channel, key, velocity });
    }

    /// A note of a take is known.
    fn play(&mut self, take: usize, mut note: PlayNote) {
        let Some(job) = &mut self.job else { return };
        let (id, since) = (job.id, job.since.take());
        if let Some(since) = since {
            self.view.status.lock().latency = Some(since.elapsed());
        }
        let cut = self.cut_of(id);
        if note.start >= cut {
            return;
        }
        note.end = note.end.min(cut);
        self.params.saved.with(|session| {
            if let Some(answer) = session.answer.as_mut().filter(|a| a.id == id) {
                answer.push(take, note);
            }
        });
        self.send(ToPlayer::Note { id, take, note });
    }

    /// No answer, and why.
    fn fail(&mut self, id: AnswerId, error: String) {
        nice_error!("No answer: {error}");
        self.view.status.lock().error = Some(error);
        self.send(ToPlayer::Finished(id));
    }
}

impl Client for Responder {
    fn source(&mut self) -> Source {
        self.model.source(self.params.model_folder())
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
        self.act();
        self.flush();
        self.view.repaint.request_repaint();
    }

    fn next(&mut self) -> Option<Request> {
        let job = self.wanted.take()?;
        let id = job.id;
        match self.open(job) {
            Ok(request) => Some(request),
            Err(error) => {
                self.fail(id, error);
                None
            }
        }
    }

    fn coming(&mut self) -> Option<Request> {
        let ask = self.coming.take()?;
        // What is held now need not end now.
        let Prompt { notes, again, .. } = self.phrase.clone().prompt(&ask);
        let recipe = Recipe { wish: Wish { takes: 1, ..ask.wish }, ..Recipe::of(&ask, notes, again) };
        recipe.request(None).ok().map(|(request, _)| request)
    }

    fn waiting(&mut self) -> bool {
        self.wanted.is_some() || self.shared.latest() > self.newest
    }

    fn cancelled(&mut self) -> bool {
        let Some(job) = &self.job else { return true };
        let cut = self.cut_of(job.id);
        let stopped = job.reached.iter().take(job.recipe.wish.takes).all(|beat| *beat >= cut);
        job.id != self.newest || self.shared.latest() > self.newest || stopped
    }

    fn event(&mut self, event: TakeEvent) {
        let Some(job) = &mut self.job else { return };
        let id = job.id;
        match event {
            TakeEvent::Note { take, note } => self.note(take, note),
            TakeEvent::Reached { take, beat } => {
                let beat = job.follower.beat(beat) + job.offset;
                if let Some(reached) = job.reached.get_mut(take) {
                    *reached = beat;
                }
                self.send(ToPlayer::Reached { id, take, beat });
            }
            TakeEvent::Done { take } => {
                self.done |= 1 << take.min(31);
                self.send(ToPlayer::Done { id, take });
            }
        }
    }

    fn ended(&mut self, result: Result<Ending, String>) {
        self.view.status.lock().thinking = false;
        let Some(job) = self.job.take() else { return };
        match result {
            Ok(_) => self.send(ToPlayer::Finished(job.id)),
            Err(error) => self.fail(job.id, error),
        }
    }
}

/// When an answer sounds that is asked for now.
fn pace(ask: &Ask) -> Pace {
    let since = Instant::now();
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
