//! States of all versions, read as the newest.

use serde::Deserialize;
use serde_json::Value;

use super::VERSION;
use super::answer::{Answer, SavedNote, Session};
use super::recipe::Recipe;
use crate::ask::{Chance, Wish};
use crate::phrase::PlayedNote;

/// Reads a state of any version there has been.
///
/// # Errors
/// Why it cannot be read.
pub(super) fn read(value: Value) -> Result<Session, String> {
    let said = value.get("version").and_then(Value::as_u64);
    let said = said.ok_or("it names no version, so it is no state of this plugin")?;
    let session = match said {
        1 => serde_json::from_value::<First>(value).map(Session::from),
        version if version == u64::from(VERSION) => serde_json::from_value(value),
        newer => {
            return Err(format!(
                "it is of version {newer}, this build reads up to {VERSION}; update Continuo"
            ));
        }
    };
    session.map_err(|error| error.to_string())
}

/// Version 1.
#[derive(Deserialize)]
struct First {
    phrase: Vec<PlayedNote>,
    answer: Option<FirstAnswer>,
}

#[derive(Deserialize)]
struct FirstAnswer {
    on_host: bool,
    start: f64,
    end: f64,
    bar: f64,
    bar_line: f64,
    seed: u64,
    again: u64,
    temperature: f32,
    top_k: usize,
    top_p: f32,
    #[serde(default)]
    min_p: f32,
    #[serde(default)]
    no_repeat: usize,
    model: String,
    takes: Vec<Vec<SavedNote>>,
}

impl From<First> for Session {
    fn from(first: First) -> Self {
        let phrase = first.phrase.clone();
        let answer = first.answer.map(|answer| answer.migrate(first.phrase));
        Self { phrase, answer, ..Self::default() }
    }
}

impl FirstAnswer {
    fn migrate(self, phrase: Vec<PlayedNote>) -> Answer {
        let Self { temperature, top_k, top_p, min_p, no_repeat, .. } = self;
        let bars = crate::number::to_u32((self.end - self.start) / self.bar);
        let wish = Wish {
            bars: u16::try_from(bars).unwrap_or(1).max(1),
            takes: self.takes.len(),
            seed: self.seed,
            chance: Chance { temperature, top_k, top_p, min_p, no_repeat },
            ..Wish::default()
        };
        let recipe = Recipe {
            on_host: self.on_host,
            at: self.start,
            start: self.start,
            // The meter was not kept, but how long its bars were, in quarters.
            meter: (u8::try_from(crate::number::to_u32(self.bar * 2.0)).unwrap_or(8), 8),
            bar_line: self.bar_line,
            wish,
            seed: self.seed,
            again: self.again,
            model: self.model,
            phrase,
            ..Recipe::default()
        };
        Answer { recipe, start: self.start, end: self.end, takes: self.takes, ..Answer::default() }
    }
}
