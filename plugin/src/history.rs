//! Undo and redo of what was done to takes.

use crate::state::{Answer, Kept, Session};

/// How many steps back are remembered.
const MOST_STEPS: usize = 64;

/// Answer and kept takes at one time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memento {
    answer: Option<Answer>,
    kept: Vec<Kept>,
}

impl Memento {
    /// Of a session; the phrase is the player's business.
    #[must_use]
    pub fn of(session: &Session) -> Self {
        Self { answer: session.answer.clone(), kept: session.kept.clone() }
    }

    /// Gives a session back what it had.
    pub fn restore(self, session: &mut Session) {
        session.answer = self.answer;
        session.kept = self.kept;
    }
}

/// What was, and what was undone.
#[derive(Debug, Default)]
pub struct History {
    past: Vec<Memento>,
    future: Vec<Memento>,
}

impl History {
    /// Something is about to change.
    pub fn record(&mut self, before: Memento) {
        self.future.clear();
        if self.past.last() == Some(&before) {
            return;
        }
        if self.past.len() == MOST_STEPS {
            self.past.remove(0);
        }
        self.past.push(before);
    }

    /// What was before now, if anything was.
    pub fn undo(&mut self, now: Memento) -> Option<Memento> {
        let before = self.past.pop()?;
        self.future.push(now);
        Some(before)
    }

    /// What was undone last, if nothing was done since.
    pub fn redo(&mut self, now: Memento) -> Option<Memento> {
        let after = self.future.pop()?;
        self.past.push(now);
        Some(after)
    }

    /// Another project.
    pub fn forget(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_kept(takes: usize) -> Memento {
        Memento { answer: None, kept: vec![Kept::default(); takes] }
    }

    #[test]
    fn undo_and_redo_go_back_and_forth_and_something_new_ends_redo() {
        let mut history = History::default();
        assert!(history.undo(with_kept(0)).is_none());
        history.record(with_kept(0));
        history.record(with_kept(1));
        assert_eq!(history.undo(with_kept(2)), Some(with_kept(1)));
        assert_eq!(history.undo(with_kept(1)), Some(with_kept(0)));
        assert_eq!(history.redo(with_kept(0)), Some(with_kept(1)));
        history.record(with_kept(1));
        assert!(history.redo(with_kept(3)).is_none());
        assert_eq!(history.undo(with_kept(3)), Some(with_kept(1)));
    }

    #[test]
    fn memory_is_bounded() {
        let mut history = History::default();
        (0..100).for_each(|takes| history.record(with_kept(takes)));
        let back = std::iter::from_fn(|| history.undo(with_kept(0)));
        assert_eq!(back.last(), Some(with_kept(100 - MOST_STEPS)));
    }
}
