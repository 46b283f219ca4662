//! What is done to takes: keep, discard, drop, undo, redo, make again.

use std::sync::Arc;

use super::{Job, Responder};
use crate::acts::Act;
use crate::history::Memento;
use crate::link::{AnswerId, KeptNotes, ToPlayer};
use crate::state::{Answer, Kept, MOST_KEPT, Recipe};

impl Responder {
    /// Does what waits to be done.
    pub(super) fn act(&mut self) {
        self.pressed.collect(&self.params.presses, &self.params.acts);
        while let Some(act) = self.params.acts.next() {
            self.notice(None);
            match act {
                Act::Keep => self.keep(),
                Act::Discard => self.discard(),
                Act::Undo => self.step("undo", |history, now| history.undo(now)),
                Act::Redo => self.step("do again", |history, now| history.redo(now)),
                Act::Drop(index) => self.drop_kept(index),
                Act::MakeAgain(recipe) => self.make_again(*recipe),
            }
        }
        self.keep_if_due();
        // What the audio thread has let go of.
        self.handed.retain(|notes| Arc::strong_count(notes) > 1);
    }

    fn notice(&self, words: Option<&str>) {
        self.view.status.lock().notice = words.map(str::to_owned);
    }

    /// The take heard is kept, now or as soon as it is complete.
    fn keep(&mut self) {
        let answer = self.params.saved.with(|session| session.answer.as_ref().map(|answer| answer.id));
        let Some(id) = answer else {
            return self.notice(Some("There is no answer to keep: ask for one first"));
        };
        self.keeping = Some((id, self.shared.audible()));
        self.keep_if_due();
        self.view.status.lock().keeping = self.keeping.is_some();
    }

    fn keep_if_due(&mut self) {
        let Some((id, take)) = self.keeping else { return };
        let making = self.job.as_ref().is_some_and(|job| job.id == id);
        if making && self.done & (1 << take) == 0 {
            return;
        }
        self.keeping = None;
        self.view.status.lock().keeping = false;
        let Some(answer) = self.params.saved.placed().answer.filter(|answer| answer.id == id) else { return };
        self.keep_take(&answer, take);
    }

    fn keep_take(&mut self, answer: &Answer, take: usize) {
        let take = take.min(answer.takes.len().saturating_sub(1));
        if self.params.saved.with(|session| session.kept.len()) >= MOST_KEPT {
            return self
                .notice(Some("The project keeps 512 takes already: drop some, or save them as files"));
        }
        self.remember();
        let on_host = answer.recipe.on_host;
        self.params.saved.with(|session| {
            session.kept.push(Kept::of(answer, take));
            if on_host {
                session.answer = None;
            }
        });
        if on_host {
            self.hand_kept(answer.id);
            self.stop_making();
        } else {
            self.notice(Some("Kept, but not played: it was made while the transport stood still"));
        }
    }

    fn discard(&mut self) {
        if self.params.saved.with(|session| session.answer.is_none()) {
            return self.notice(Some("There is no answer to discard"));
        }
        self.remember();
        self.params.saved.with(|session| session.answer = None);
        self.show();
    }

    fn drop_kept(&mut self, index: usize) {
        self.remember();
        self.params.saved.with(|session| {
            if index < session.kept.len() {
                session.kept.remove(index);
            }
        });
        self.hand_kept(AnswerId::default());
    }

    fn step(
        &mut self,
        what: &str,
        step: impl FnOnce(&mut crate::history::History, Memento) -> Option<Memento>,
    ) {
        let now = Memento::of(&self.params.saved.placed());
        match step(&mut self.history, now) {
            Some(memento) => {
                self.params.saved.with(|session| memento.restore(session));
                self.show();
            }
            None => self.notice(Some(&format!("There is nothing to {what}"))),
        }
    }

    /// Takes are made again where they were.
    fn make_again(&mut self, recipe: Recipe) {
        self.newest = self.newest.next_restored();
        let (on_host, start) = (recipe.on_host, recipe.start);
        let (id, takes, load) = (self.newest, recipe.wish.takes, self.loads);
        self.send(ToPlayer::Replace { id, takes, on_host, start, load });
        let model = self.ready();
        if !recipe.fingerprint.is_empty() && recipe.fingerprint != model.fingerprint {
            self.notice(Some(&format!(
                "It was made with another model ({}), so it will not be the same",
                recipe.model
            )));
        }
        self.wanted = Some(Job::new(self.newest, recipe, None));
    }

    /// What is done next can be undone.
    pub(super) fn remember(&mut self) {
        self.history.record(Memento::of(&self.params.saved.placed()));
    }

    /// The answer being made is wanted no more.
    fn stop_making(&mut self) {
        self.newest = self.newest.next_restored();
        self.keeping = None;
    }

    /// Gives playback the session's answer and kept takes in place of what it has.
    pub(super) fn show(&mut self) {
        self.stop_making();
        self.wanted = None;
        let id = self.newest;
        let answer = self.params.saved.with(|session| {
            if let Some(answer) = &mut session.answer {
                answer.id = id;
            }
            session.answer.clone().unwrap_or_default()
        });
        self.outbox.clear();
        let (takes, on_host, start) = (answer.takes.len(), answer.recipe.on_host, answer.start);
        self.outbox.push_back(ToPlayer::Replace { id, takes, on_host, start, load: self.loads });
        for take in 0..takes {
            self.outbox.extend(answer.notes(take).map(|note| ToPlayer::Note { id, take, note }));
        }
        self.outbox.push_back(ToPlayer::Finished(id));
        self.hand_kept(AnswerId::default());
    }

    /// Gives playback the notes of all kept takes. `taken` is the answer that became one.
    fn hand_kept(&mut self, taken: AnswerId) {
        let notes = self.params.saved.with(|session| {
            let on_host = session.kept.iter().filter(|kept| kept.recipe.on_host);
            Arc::new(KeptNotes::new(on_host.flat_map(Kept::notes).collect()))
        });
        self.handed.push(Arc::clone(&notes));
        self.send(ToPlayer::Kept { notes, taken });
    }
}
