//! What a project keeps beside the parameters. Re-opened, it plays the same without
//! generating anything.
//!
//! - [`answer`]: what there is to keep.
//! - [`recipe`]: how takes came about.
//! - `migrate`: what older versions wrote.
//!
//! The state is JSON with a version. What cannot be read is left alone with a line
//! in the log; a newer version's state is not guessed at.

pub mod answer;
mod migrate;
pub mod recipe;

use std::sync::Arc;

use nice_plug::params::persist::PersistentField;
use nice_plug::prelude::*;
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::Value;

pub use answer::{Answer, Kept, MOST_KEPT, SavedNote, Session};
pub use recipe::Recipe;

use crate::link::Shared;

/// The name under which a plugin's state keeps the session.
pub const SESSION: &str = "session";

/// The version written. Version 1 had one answer and no kept takes.
const VERSION: u32 = 2;

#[derive(Serialize)]
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
        let mut session = migrate::read(value)?;
        session.sanitize();
        *self.session.lock() = session;
        self.shared.count_load();
        Ok(())
    }
}

impl PersistentField<'_, Value> for Saved {
    fn set(&self, value: Value) {
        // The parameters have their values by now.
        crate::params::presses::set_loading(false);
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
    use crate::link::{AnswerId, PlayNote};
    use crate::phrase::PlayedNote;

    fn session() -> Session {
        let note = PlayedNote { start: 1.0, end: Some(2.0), channel: 0, key: 60, velocity: 90, program: 0 };
        let mut answer = Answer { start: 4.0, end: 8.0, takes: vec![vec![]; 2], ..Answer::default() };
        answer.push(1, PlayNote { start: 4.0, end: 4.1, channel: 2, key: 64, velocity: 80 });
        Session { phrase: vec![note], answer: Some(answer), ..Session::default() }
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
    fn the_first_version_is_read_with_all_it_had() {
        // As version 1 wrote it, which knew neither min_p nor no_repeat at first.
        let value = json!({
            "version": 1,
            "phrase": [{"start": 1.0, "end": 2.0, "channel": 0, "key": 60, "velocity": 90, "program": 0}],
            "answer": {
                "on_host": true, "start": 6.0, "end": 12.0, "bar": 3.0, "bar_line": 0.0, "seed": 7, "again": 2,
                "temperature": 0.5, "top_k": 4, "top_p": 0.75, "model": "Old",
                "takes": [[], [[6.0, 6.5, 2, 64, 80]]],
            },
        });
        let loaded = Saved::default();
        loaded.load(value).unwrap();
        let session = loaded.placed();
        let answer = session.answer.unwrap();
        let Recipe { wish, seed, again, on_host, ref phrase, .. } = answer.recipe;
        assert_eq!((session.phrase.len(), phrase.len(), seed, again, on_host), (1, 1, 7, 2, true));
        assert_eq!((answer.start, answer.end, answer.recipe.meter().bar(), wish.bars), (6.0, 12.0, 3.0, 2));
        assert_eq!((wish.chance.temperature, wish.chance.top_k, wish.chance.top_p), (0.5, 4, 0.75));
        assert_eq!((wish.chance.min_p, wish.chance.no_repeat, wish.takes), (0.0, 0, 2));
        assert_eq!(answer.takes[1], [(6.0, 6.5, 2, 64, 80)]);
        assert!(session.kept.is_empty());
    }

    #[test]
    fn a_newer_version_is_not_guessed_at() {
        let error = Saved::default().load(json!({"version": 3, "phrase": []})).unwrap_err();
        assert!(error.contains("update Continuo"), "{error}");
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
            json!({"version": 2, "phrase": 7}),
            json!({"version": 3, "phrase": []}),
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
