//! What a project keeps beside the parameters: phrase, takes and how they came
//! about. Re-opened, it plays the same answer without generating anything.
//!
//! The state is JSON with a version. What cannot be read is left alone with a line
//! in the log; a newer version's state is not guessed at.

use std::sync::Arc;

use nice_plug::params::persist::PersistentField;
use nice_plug::prelude::*;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clock::Timeline;
use crate::link::{AnswerId, MOST_NOTES, MOST_TAKES, PlayNote, Shared};
use crate::phrase::PlayedNote;

/// The version written. Version 1 is the first.
const VERSION: u32 = 1;

/// A note as it is saved: start, end, channel, key, velocity.
type SavedNote = (f64, f64, u8, u8, u8);

/// An answer and how it came about.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// Its name in this session.
    #[serde(skip)]
    pub id: AnswerId,
    /// Whether it stands on the host's timeline.
    pub on_host: bool,
    /// Where it begins, in beats.
    pub start: f64,
    /// Where it ends, in beats.
    pub end: f64,
    /// The length of a bar in beats.
    pub bar: f64,
    /// A bar line.
    pub bar_line: f64,
    /// The seed it was made with.
    pub seed: u64,
    /// How often the same phrase had been answered before.
    pub again: u64,
    /// Sampling temperature.
    pub temperature: f32,
    /// Ids sampled among; 0 is all.
    pub top_k: usize,
    /// Probability mass sampled among.
    pub top_p: f32,
    /// The share of the likeliest below which ids were left out; 0 is none, as in old states.
    #[serde(default)]
    pub min_p: f32,
    /// How many ids in a row were not to be said twice; 0 is off, as in old states.
    #[serde(default)]
    pub no_repeat: usize,
    /// The model's name.
    pub model: String,
    /// The notes of each take.
    pub takes: Vec<Vec<SavedNote>>,
}

impl Answer {
    /// Adds a note to a take.
    pub fn push(&mut self, take: usize, note: PlayNote) {
        if let Some(notes) = self.takes.get_mut(take).filter(|n| n.len() < MOST_NOTES) {
            notes.push((note.start, note.end, note.channel, note.key, note.velocity));
        }
    }

    /// The notes of a take.
    pub fn notes(&self, take: usize) -> impl Iterator<Item = PlayNote> {
        self.takes.get(take).into_iter().flatten().map(|n| {
            let (start, end, channel, key, velocity) = *n;
            PlayNote { start, end, channel, key, velocity }
        })
    }

    /// The timeline it stands on.
    #[must_use]
    pub fn timeline(&self) -> Timeline {
        if self.on_host { Timeline::Host } else { Timeline::Free }
    }

    fn shift(&mut self, beats: f64) {
        self.start += beats;
        self.end += beats;
        for note in self.takes.iter_mut().flatten() {
            note.0 += beats;
            note.1 += beats;
        }
    }

    /// Drops what could not have been written by [`Saved`].
    fn sanitize(&mut self) {
        self.takes.truncate(MOST_TAKES);
        for take in &mut self.takes {
            take.truncate(MOST_NOTES);
            take.retain(|n| {
                n.0.is_finite() && n.1 > n.0 && n.1.is_finite() && n.2 < 16 && n.3 < 128 && n.4 < 128
            });
        }
        if !(self.bar.is_finite() && self.bar > 0.0) {
            self.bar = 4.0;
        }
        if !(self.start.is_finite() && self.end.is_finite() && self.bar_line.is_finite()) {
            *self = Self::default();
        }
    }
}

/// Phrase and answer as they are now; the editor shows it and the project keeps it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// What was played.
    pub phrase: Vec<PlayedNote>,
    /// The answer to it, if there is one.
    pub answer: Option<Answer>,
}

#[derive(Serialize, Deserialize)]
struct Versioned {
    version: u32,
    #[serde(flatten)]
    session: Session,
}

/// The session, shared by the inference thread (which changes it), the host (which
/// saves and loads it) and the editor. The audio thread never touches it.
#[derive(Debug, Default)]
pub struct Saved {
    session: Mutex<Session>,
    shared: Arc<Shared>,
}

impl Saved {
    /// A session that reports its loads to `shared`.
    #[must_use]
    pub fn new(shared: Arc<Shared>) -> Self {
        Self { session: Mutex::default(), shared }
    }

    /// Changes the session or reads from it.
    pub fn with<R>(&self, f: impl FnOnce(&mut Session) -> R) -> R {
        f(&mut self.session.lock())
    }

    /// A copy with the answer where it was really played.
    #[must_use]
    pub fn placed(&self) -> Session {
        let mut session = self.session.lock().clone();
        if let Some(answer) = &mut session.answer {
            answer.shift(self.shared.shift_of(answer.id));
        }
        session
    }

    /// Takes over what a project kept.
    ///
    /// # Errors
    /// Why it cannot be read; nothing has changed then.
    pub fn load(&self, value: Value) -> Result<(), String> {
        if value.is_null() {
            return Ok(());
        }
        let version = value.get("version").and_then(Value::as_u64);
        if version != Some(u64::from(VERSION)) {
            return Err(format!("version {version:?} is not known; this build reads version {VERSION}"));
        }
        let Versioned { mut session, .. } =
            serde_json::from_value(value).map_err(|error| error.to_string())?;
        session.phrase.retain(PlayedNote::is_sane);
        if let Some(answer) = &mut session.answer {
            answer.sanitize();
        }
        *self.session.lock() = session;
        self.shared.count_load();
        Ok(())
    }
}

impl PersistentField<'_, Value> for Saved {
    fn set(&self, value: Value) {
        if let Err(error) = self.load(value) {
            nice_log!("The project's phrase and takes cannot be read and are left out: {error}");
        }
    }

    fn map<F, R>(&self, f: F) -> R
    where
        F: Fn(&Value) -> R,
    {
        let versioned = Versioned { version: VERSION, session: self.placed() };
        f(&serde_json::to_value(&versioned).unwrap_or(Value::Null))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn session() -> Session {
        let note = PlayedNote { start: 1.0, end: Some(2.0), channel: 0, key: 60, velocity: 90, program: 0 };
        let mut answer =
            Answer { start: 4.0, end: 8.0, bar: 4.0, takes: vec![vec![]; 2], ..Answer::default() };
        answer.push(1, PlayNote { start: 4.0, end: 4.1, channel: 2, key: 64, velocity: 80 });
        Session { phrase: vec![note], answer: Some(answer) }
    }

    fn saved(session: Session) -> Saved {
        let saved = Saved::default();
        saved.with(|s| *s = session);
        saved
    }

    #[test]
    fn what_is_saved_is_loaded() {
        let json = saved(session()).map(Clone::clone);
        let loaded = Saved::default();
        loaded.set(json);
        assert_eq!(loaded.placed(), session());
        assert_eq!(loaded.shared.loads(), 1);
    }

    #[test]
    fn an_older_state_was_made_without_what_it_does_not_name() {
        let mut value = saved(session()).map(Clone::clone);
        let answer = value["answer"].as_object_mut().unwrap();
        assert!(answer.remove("min_p").is_some() && answer.remove("no_repeat").is_some());
        let loaded = Saved::default();
        loaded.load(value).unwrap();
        assert_eq!(loaded.placed(), session());
    }

    #[test]
    fn an_answer_is_saved_where_it_was_played() {
        let saved = saved(session());
        let id = AnswerId::default().next_trigger();
        saved.with(|s| s.answer.as_mut().unwrap().id = id);
        saved.shared.set_shift(id, 4.0);
        let answer = saved.placed().answer.unwrap();
        assert_eq!((answer.start, answer.takes[1][0].0, answer.takes[1][0].1), (8.0, 8.0, 8.1));
    }

    #[test]
    fn damage_leaves_the_session_as_it_was() {
        for value in [
            json!(null),
            json!(7),
            json!("text"),
            json!({}),
            json!({"version": 2, "phrase": []}),
            json!({"version": 1, "phrase": "no"}),
            json!({"version": 1, "phrase": [], "answer": {"takes": [[[1]]]}}),
        ] {
            let saved = saved(session());
            saved.set(value.clone());
            assert_eq!(saved.placed(), session(), "{value}");
            assert_eq!(saved.shared.loads(), 0);
        }
    }

    #[test]
    fn impossible_notes_are_left_out() {
        let mut value = saved(session()).map(Clone::clone);
        value["phrase"][0]["key"] = json!(200);
        value["answer"]["takes"][1] =
            json!([[4.0, 4.0, 0, 60, 90], [4.0, 5.0, 16, 60, 90], [4.0, 5.0, 15, 60, 90]]);
        let loaded = Saved::default();
        loaded.load(value).unwrap();
        let session = loaded.placed();
        assert!(session.phrase.is_empty());
        assert_eq!(session.answer.unwrap().takes[1], [(4.0, 5.0, 15, 60, 90)]);
    }
}
