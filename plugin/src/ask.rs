//! What an answer was asked to be: where, how long, and by which settings. All of it is
//! plain values, so that it can pass between threads and be kept in a project.

use continuo_codec::limits::{Density, Rhythm, Scale};
use continuo_engine::limits::Placement;
use continuo_engine::{Limits, Sampling, Score, Window};
use serde::{Deserialize, Serialize};

use crate::clock::{Meter, Timeline};
use crate::link::AnswerId;
use crate::params::{GridChoice, Root, ScaleChoice};

/// Bars of an answer that goes on until the player plays: more than anybody waits for.
pub const ENDLESS_BARS: u16 = 64;

/// What kind of answer is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// One to what was played.
    #[default]
    Answer,
    /// Others to the same phrase at the same place.
    Again,
    /// Others that begin as the take heard and go on otherwise.
    Vary,
}

/// What an answer was asked to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ask {
    /// Its name.
    pub id: AnswerId,
    /// What kind.
    pub kind: Kind,
    /// Whose beats `at` and `start` are.
    pub timeline: Timeline,
    /// Where it was asked for.
    pub at: f64,
    /// Where it is to begin.
    pub start: f64,
    /// Meter there.
    pub meter: Meter,
    /// A bar line.
    pub bar_line: f64,
    /// Tempo there, beats a minute.
    pub tempo: f64,
    /// The take heard, counted from 0: what [`Kind::Vary`] varies.
    pub heard: usize,
    /// How it is to be.
    pub wish: Wish,
}

/// How an answer is to be, wherever it is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Wish {
    /// Length in bars; where `over` is set it is the phrase's.
    pub bars: u16,
    /// How many takes.
    pub takes: usize,
    /// Seed; 0 asks for a new one.
    pub seed: u64,
    /// Over the phrase instead of after it.
    pub over: bool,
    /// How many bars back the phrase reaches; 0 is to the last answer.
    pub listen: u8,
    /// Whether everything played is drums.
    pub drums: bool,
    /// How ids are chosen.
    pub chance: Chance,
    /// What the notes are held to.
    pub bounds: Bounds,
    /// How much they are played as the player plays.
    pub feel: Feel,
}

impl Default for Wish {
    fn default() -> Self {
        Self {
            bars: 4,
            takes: 1,
            seed: 1,
            over: false,
            listen: 0,
            drums: false,
            chance: Chance::default(),
            bounds: Bounds::default(),
            feel: Feel::default(),
        }
    }
}

/// How ids are chosen; see [`Sampling`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Chance {
    /// Sampling temperature.
    pub temperature: f32,
    /// Sampling among so many ids; 0 is all.
    pub top_k: usize,
    /// Sampling among the likeliest ids of this mass; 1 is all.
    pub top_p: f32,
    /// Leaving out what is less likely than this share of the likeliest; 0 is nothing.
    pub min_p: f32,
    /// Never saying so many ids in a row twice; 0 is off.
    pub no_repeat: usize,
}

impl Default for Chance {
    fn default() -> Self {
        Self { temperature: 1.0, top_k: 0, top_p: 1.0, min_p: 0.0, no_repeat: 0 }
    }
}

impl Chance {
    /// As the engine takes it.
    #[must_use]
    pub fn sampling(self, seed: u64) -> Sampling {
        let Self { temperature, top_k, top_p, min_p, no_repeat } = self;
        Sampling { temperature, top_k, top_p, min_p, no_repeat, seed }
    }
}

/// What the notes of an answer are held to; see [`Limits`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Bounds {
    /// The scale's tonic.
    pub root: Root,
    /// The scale.
    pub scale: ScaleChoice,
    /// The lowest pitch.
    pub low: u8,
    /// The highest pitch.
    pub high: u8,
    /// Notes at once; 0 is any number.
    pub polyphony: u8,
    /// Notes a beat; 0 is any number.
    pub density: f64,
    /// Where notes begin.
    pub grid: GridChoice,
    /// Whether the rhythm is the phrase's.
    pub keep_rhythm: bool,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            root: Root::default(),
            scale: ScaleChoice::default(),
            low: 0,
            high: 127,
            polyphony: 0,
            density: 0.0,
            grid: GridChoice::default(),
            keep_rhythm: false,
        }
    }
}

impl Bounds {
    /// As the engine takes them, for an answer to a phrase. Lowest and highest are taken
    /// either way round.
    ///
    /// # Errors
    /// In words for the user, where the rhythm cannot be kept.
    pub fn limits(&self, phrase: &Score, window: Window, over: bool) -> Result<Limits, String> {
        let scale = self.scale.name().map(|mode| format!("{} {mode}", self.root.name()).parse::<Scale>());
        let rhythm = self.keep_rhythm.then(|| {
            let from = if over { window.from } else { 0.0 };
            Rhythm::of(phrase, from, if over { window.until } else { window.from })
        });
        Ok(Limits {
            scale: scale.transpose().map_err(|error| error.to_string())?,
            range: self.low.min(self.high)..=self.low.max(self.high),
            polyphony: (self.polyphony > 0).then_some(self.polyphony),
            grid: self.grid.per_beat(),
            density: Density::per_beat(self.density),
            rhythm: rhythm.transpose().map_err(|error| error.to_string())?,
            placement: if over { Placement::Over } else { Placement::After },
        })
    }
}

/// How much an answer is played as the player plays: 0 as the model has it, 1 wholly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Feel {
    /// In how loud.
    pub velocity: f32,
    /// In when.
    pub timing: f32,
}
