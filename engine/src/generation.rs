//! One request: the phrase becomes a prompt, the encoding's grammar leads the
//! model, and notes leave as they complete, in beats.

use std::ops::Range;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use continuo_codec::{
    Clock, Continuation, Encoding, EncodingError, Event, IdSet, Instrument, Limits, Score, Stream, Window,
};
use continuo_model::{DecoderCache, Guide, Prompt, Sampling};

pub use continuo_model::Ending;

use crate::engine::{Engine, EngineError};
use crate::time::TempoMap;

/// The most takes one request may ask for.
pub const MOST_TAKES: usize = 8;

/// What is wanted.
#[derive(Clone, Debug)]
pub struct Request {
    /// What was played; tick 0 is a bar line.
    pub phrase: Score,
    /// Where the answer lies, in beats since the phrase's tick 0.
    pub window: Window,
    /// How many answers, 1 to [`MOST_TAKES`].
    pub takes: usize,
    /// How ids are chosen.
    pub sampling: Sampling,
    /// What the notes are held to.
    pub limits: Limits,
    /// When the answer is heard, if somebody waits for it. Of several requests in one
    /// process the one whose next note is due first goes on first.
    pub pace: Option<Pace>,
}

/// When an answer sounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// When the window begins.
    pub from: Instant,
    /// How long a beat lasts.
    pub beat: Duration,
}

impl Pace {
    /// When something sounds that lies so many beats after the window's beginning, in
    /// microseconds that all of the process count from the same moment.
    fn due(&self, beats: f64) -> u64 {
        static BEGIN: OnceLock<Instant> = OnceLock::new();
        let begin = *BEGIN.get_or_init(Instant::now);
        let beats = Duration::try_from_secs_f64(self.beat.as_secs_f64() * beats).unwrap_or(Duration::MAX);
        let when = self.from.saturating_duration_since(begin).saturating_add(beats);
        u64::try_from(when.as_micros()).unwrap_or(u64::MAX)
    }
}

/// What a model has read of a phrase that is being played: kept, so that the answer need
/// not wait for the reading. It belongs to the [`Engine`] it comes from.
#[derive(Clone, Debug)]
pub struct Reading(Prompt<DecoderCache>);

/// A note in beats since tick 0 of the phrase.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BeatNote {
    /// Onset.
    pub start: f64,
    /// Length, above 0.
    pub duration: f64,
    /// MIDI pitch, 0..=127.
    pub pitch: u8,
    /// MIDI velocity, 1..=127.
    pub velocity: u8,
    /// Who plays it.
    pub instrument: Instrument,
}

/// What became known of a take, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TakeEvent {
    /// A note is determined. Notes come in the order of their onsets.
    Note {
        /// Which take.
        take: usize,
        /// The note.
        note: BeatNote,
    },
    /// No later note of the take begins before this beat.
    Reached {
        /// Which take.
        take: usize,
        /// Beats since tick 0 of the phrase.
        beat: f64,
    },
    /// The take is complete.
    Done {
        /// Which take.
        take: usize,
    },
}

impl Engine {
    /// A reading of nothing yet.
    #[must_use]
    pub fn reading(&self) -> Reading {
        Reading(Prompt::new(self.model()))
    }

    /// Reads ahead what a request would have to: as the player plays, each time with what
    /// the request would be just then. What has changed since the last time is read anew.
    ///
    /// # Errors
    /// As [`Engine::generate`].
    pub fn read_ahead(
        &self,
        request: &Request,
        reading: &mut Reading,
        cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Result<Ending, EngineError> {
        check(request)?;
        let ids = self.continuation(request)?.ids;
        let (_, before) = ids.split_last().unwrap_or((&0, &[]));
        Ok(reading.0.read(self.model(), before, cancelled)?)
    }

    /// Answers a phrase, of which nothing has been read. See [`Engine::answer`].
    ///
    /// # Errors
    /// Those of [`Engine::answer`].
    pub fn generate(
        &self,
        request: &Request,
        cancelled: &(dyn Fn() -> bool + Sync),
        on: &mut (dyn FnMut(TakeEvent) + Send),
    ) -> Result<Ending, EngineError> {
        self.answer(request, &mut self.reading(), cancelled, on)
    }

    /// Answers a phrase. `on` hears every event as it happens, on whatever thread it
    /// happens, one at a time; `cancelled` is asked before every id.
    ///
    /// The same request gives the same events on every run, whatever has been read of it
    /// before.
    ///
    /// # Errors
    /// [`EngineError::Request`] for an impossible request; otherwise what model
    /// and encoding report.
    pub fn answer(
        &self,
        request: &Request,
        reading: &mut Reading,
        cancelled: &(dyn Fn() -> bool + Sync),
        on: &mut (dyn FnMut(TakeEvent) + Send),
    ) -> Result<Ending, EngineError> {
        check(request)?;
        let continuation = self.continuation(request)?;
        let clock = BeatClock::new(self.encoding(), &request.phrase);
        let shared = Mutex::new(Listener { on, error: None });
        let mut guides: Vec<StreamGuide<'_, '_>> = (0..request.takes)
            .map(|take| StreamGuide {
                take,
                stream: continuation.stream.boxed_clone(),
                clock: &clock,
                listener: &shared,
                set: IdSet::default(),
                events: Vec::new(),
                ids_left: longest_take(request.window),
                done: false,
                pace: request.pace,
                from: request.window.from,
                reached: request.window.from,
            })
            .collect();
        let ids = &continuation.ids;
        let sampling = &request.sampling;
        let ending =
            continuo_model::generate(self.model(), &mut reading.0, ids, &mut guides, sampling, cancelled)?;
        drop(guides);
        match shared.into_inner().unwrap_or_else(PoisonError::into_inner).error {
            Some(error) => Err(error.into()),
            None => Ok(ending),
        }
    }

    /// The prompt and the stream of its answer. A phrase that does not fit is cut off
    /// at the front, a good piece at once: so its beginning stays the same while some more
    /// notes are played, and what was read of it holds. Where it is cut depends on the
    /// phrase alone.
    fn continuation(&self, request: &Request) -> Result<Continuation, EncodingError> {
        let Request { phrase, window, limits, .. } = request;
        let within = |most| self.encoding().continuation_within(phrase, *window, limits, most);
        let most = self.longest_prompt();
        let all = within(usize::MAX)?;
        let Some(over) = all.ids.len().checked_sub(most + 1) else { return Ok(all) };
        let piece = (most / PIECES).max(1);
        // Windows of a few notes leave no room for pieces.
        within(all.ids.len() - (over / piece + 1) * piece).or_else(|_| within(most))
    }

    /// Five eighths of the window: room for the answer before it has to move.
    fn longest_prompt(&self) -> usize {
        self.context() * 5 / 8
    }
}

/// How many pieces the longest prompt has; a longer one is cut by so many whole ones.
const PIECES: usize = 4;

fn check(request: &Request) -> Result<(), EngineError> {
    let Sampling { temperature, top_p, min_p, .. } = request.sampling;
    if !(1..=MOST_TAKES).contains(&request.takes) {
        return Err(EngineError::Request(format!(
            "{} takes asked for; 1 to {MOST_TAKES} are possible",
            request.takes
        )));
    }
    if !(temperature.is_finite() && temperature >= 0.0) {
        return Err(EngineError::Request(format!(
            "a temperature of {temperature} makes no sense; use 0 to 2"
        )));
    }
    if !(top_p > 0.0 && top_p <= 1.0) {
        return Err(EngineError::Request(format!("top_p is {top_p}; it must lie above 0 and not above 1")));
    }
    if !(0.0..=1.0).contains(&min_p) {
        return Err(EngineError::Request(format!("min_p is {min_p}; it must lie between 0 and 1")));
    }
    Ok(())
}

/// A bound no music reaches (over ten notes on each of 24 steps a beat): a model
/// that never moves on would otherwise hold its listener for ever.
fn longest_take(window: Window) -> usize {
    let beats = (window.until - window.from).clamp(1.0, 4096.0).ceil();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 to 4096")]
    let beats = beats as usize;
    beats * 24 * 32
}

/// Turns an encoding's clock into beats.
struct BeatClock {
    map: Option<TempoMap>,
}

impl BeatClock {
    fn new(encoding: &dyn Encoding, phrase: &Score) -> Self {
        Self { map: (encoding.clock() == Clock::Seconds).then(|| TempoMap::new(phrase)) }
    }

    fn beat(&self, time: f64) -> f64 {
        self.map.as_ref().map_or(time, |map| map.beat(time))
    }
}

/// Who hears the events of all takes, and the first error of any.
struct Listener<'a> {
    on: &'a mut (dyn FnMut(TakeEvent) + Send),
    error: Option<EncodingError>,
}

/// Lets an encoding's stream lead a take.
struct StreamGuide<'a, 'b> {
    take: usize,
    stream: Box<dyn Stream>,
    clock: &'a BeatClock,
    listener: &'a Mutex<Listener<'b>>,
    set: IdSet,
    events: Vec<Event>,
    ids_left: usize,
    done: bool,
    pace: Option<Pace>,
    /// The window's beginning, and how far the take is, in beats.
    from: f64,
    reached: f64,
}

impl<'b> StreamGuide<'_, 'b> {
    fn listener(&self) -> MutexGuard<'_, Listener<'b>> {
        self.listener.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&mut self, event: TakeEvent) {
        match event {
            TakeEvent::Note { note, .. } => self.reached = self.reached.max(note.start),
            TakeEvent::Reached { beat, .. } => self.reached = self.reached.max(beat),
            TakeEvent::Done { .. } => {}
        }
        (self.listener().on)(event);
    }

    fn translate(&self, event: Event) -> Option<TakeEvent> {
        let take = self.take;
        match event {
            Event::Note(note) => {
                let start = self.clock.beat(note.start);
                let duration = self.clock.beat(note.start + note.duration) - start;
                let (pitch, velocity, instrument) = (note.pitch, note.velocity, note.instrument);
                Some(TakeEvent::Note {
                    take,
                    note: BeatNote { start, duration, pitch, velocity, instrument },
                })
            }
            Event::Reached(time) => Some(TakeEvent::Reached { take, beat: self.clock.beat(time) }),
            // The answer keeps the phrase's tempo and meter.
            Event::Tempo { .. } | Event::Meter { .. } => None,
        }
    }
}

impl Guide for StreamGuide<'_, '_> {
    fn allowed(&mut self, ids: &mut Vec<Range<u32>>) {
        ids.clear();
        let failed = self.listener().error.is_some();
        if !(self.stream.finished() || failed || self.ids_left == 0) {
            self.stream.allowed(&mut self.set);
            ids.extend_from_slice(self.set.ranges());
        }
        if ids.is_empty() && !self.done {
            self.done = true;
            self.tell(TakeEvent::Done { take: self.take });
        }
    }

    fn accept(&mut self, id: u32) {
        self.ids_left -= 1;
        self.events.clear();
        match self.stream.push(id, &mut self.events) {
            Ok(()) => {
                for event in std::mem::take(&mut self.events) {
                    if let Some(event) = self.translate(event) {
                        self.tell(event);
                    }
                }
            }
            Err(error) => self.listener().error = Some(error),
        }
    }

    fn shortened(&self, history: &[u32], max: usize) -> Vec<u32> {
        self.stream.boxed_clone().shorten(history, max)
    }

    fn shorten(&mut self, history: &[u32], max: usize) -> Vec<u32> {
        self.stream.shorten(history, max)
    }

    fn due(&self) -> Option<u64> {
        self.pace.map(|pace| pace.due(self.reached - self.from))
    }
}
