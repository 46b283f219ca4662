//! What there is to keep: the phrase, the answer with its takes, the takes that were
//! kept, and of each how it came about.

use serde::{Deserialize, Serialize};

use super::recipe::Recipe;
use crate::clock::Timeline;
use crate::link::{AnswerId, MOST_NOTES, MOST_TAKES, PlayNote};
use crate::phrase::PlayedNote;

/// The most takes a project keeps.
pub const MOST_KEPT: usize = 512;

/// A note as it is saved: start, end, channel, key, velocity.
pub type SavedNote = (f64, f64, u8, u8, u8);

pub(super) fn saved(note: PlayNote) -> SavedNote {
    (note.start, note.end, note.channel, note.key, note.velocity)
}

pub(super) fn played((start, end, channel, key, velocity): SavedNote) -> PlayNote {
    PlayNote { start, end, channel, key, velocity }
}

pub(super) fn is_sane(note: &SavedNote) -> bool {
    played(*note).is_sane() && note.1 > note.0 && note.4 < 128
}

/// An answer: its takes, where they lie, and how they came about.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// Its name in this session.
    #[serde(skip)]
    pub id: AnswerId,
    /// How it came about.
    pub recipe: Recipe,
    /// Where it begins, in beats.
    pub start: f64,
    /// Where it ends, in beats.
    pub end: f64,
    /// The notes of each take.
    pub takes: Vec<Vec<SavedNote>>,
}

impl Answer {
    /// Adds a note to a take.
    pub fn push(&mut self, take: usize, note: PlayNote) {
        if let Some(notes) = self.takes.get_mut(take).filter(|n| n.len() < MOST_NOTES) {
            notes.push(saved(note));
        }
    }

    /// The notes of a take.
    pub fn notes(&self, take: usize) -> impl Iterator<Item = PlayNote> {
        self.takes.get(take).into_iter().flatten().copied().map(played)
    }

    /// The timeline it stands on.
    #[must_use]
    pub fn timeline(&self) -> Timeline {
        self.recipe.timeline()
    }

    /// Ends it at a beat: what would begin there or later is gone.
    pub fn cut(&mut self, beat: f64) {
        for take in &mut self.takes {
            take.retain(|note| note.0 < beat);
            for note in take {
                note.1 = note.1.min(beat);
            }
        }
        self.end = self.end.min(beat).max(self.start);
    }

    /// Moves it.
    pub fn shift(&mut self, beats: f64) {
        self.start += beats;
        self.end += beats;
        for note in self.takes.iter_mut().flatten() {
            note.0 += beats;
            note.1 += beats;
        }
    }

    fn sanitize(&mut self) -> bool {
        self.takes.truncate(MOST_TAKES);
        for take in &mut self.takes {
            take.truncate(MOST_NOTES);
            take.retain(is_sane);
        }
        self.recipe.sanitize() && self.start.is_finite() && self.end.is_finite()
    }
}

/// A take that was kept: part of the timeline.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// How it came about.
    pub recipe: Recipe,
    /// Which of its answer's takes it was, counted from 0.
    pub take: usize,
    /// Where it begins, in beats.
    pub start: f64,
    /// Where it ends, in beats.
    pub end: f64,
    /// Its notes.
    pub notes: Vec<SavedNote>,
}

impl Kept {
    /// A take of an answer.
    #[must_use]
    pub fn of(answer: &Answer, take: usize) -> Self {
        let notes = answer.takes.get(take).cloned().unwrap_or_default();
        Self { recipe: answer.recipe.clone(), take, start: answer.start, end: answer.end, notes }
    }

    /// Its notes.
    pub fn notes(&self) -> impl Iterator<Item = PlayNote> {
        self.notes.iter().copied().map(played)
    }

    fn sanitize(&mut self) -> bool {
        self.notes.truncate(MOST_NOTES);
        self.notes.retain(is_sane);
        self.recipe.sanitize() && self.start.is_finite() && self.end.is_finite()
    }
}

/// Phrase, answer and kept takes as they are now; the editor shows it and the project
/// keeps it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// What was played.
    pub phrase: Vec<PlayedNote>,
    /// The answer to it, if there is one.
    pub answer: Option<Answer>,
    /// What was kept, oldest first.
    #[serde(default)]
    pub kept: Vec<Kept>,
}

impl Session {
    /// Drops what could not have been written by this plugin.
    pub(super) fn sanitize(&mut self) {
        self.phrase.retain(PlayedNote::is_sane);
        if !self.answer.as_mut().is_some_and(Answer::sanitize) {
            self.answer = None;
        }
        self.kept.truncate(MOST_KEPT);
        self.kept.retain_mut(Kept::sanitize);
    }
}
