//! What can be done to takes, asked for by parameters or by the editor, done on the
//! inference thread.

use std::collections::VecDeque;

use parking_lot::Mutex;

use crate::params::{Press, Presses};
use crate::state::Recipe;

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// The take heard becomes part of the timeline.
    Keep,
    /// The answer goes.
    Discard,
    /// What was done last is undone.
    Undo,
    /// What was undone last is done again.
    Redo,
    /// A kept take goes; counted from 0.
    Drop(usize),
    /// Takes are made again as they were made once.
    MakeAgain(Box<Recipe>),
}

/// The presses that are acts.
const PRESSED: [(Press, Act); 4] = [
    (Press::Keep, Act::Keep),
    (Press::Discard, Act::Discard),
    (Press::Undo, Act::Undo),
    (Press::Redo, Act::Redo),
];

/// What waits to be done.
#[derive(Debug, Default)]
pub struct Acts(Mutex<VecDeque<Act>>);

impl Acts {
    /// Something is to be done.
    pub fn ask(&self, act: Act) {
        self.0.lock().push_back(act);
    }

    /// What is to be done next.
    pub fn next(&self) -> Option<Act> {
        self.0.lock().pop_front()
    }
}

/// Turns presses into acts.
#[derive(Debug, Default)]
pub struct Pressed([u32; PRESSED.len()]);

impl Pressed {
    /// Asks for what was pressed since the last time.
    pub fn collect(&mut self, presses: &Presses, acts: &Acts) {
        for ((press, act), seen) in PRESSED.iter().zip(&mut self.0) {
            let count = presses.count(*press);
            for _ in *seen..count {
                acts.ask(act.clone());
            }
            *seen = count;
        }
    }
}
