//! Momentary parameters: what matters is how often they went on. They are counted,
//! because a host may switch one on and off again before anybody looks.
//!
//! A state that was saved while one was on is loaded as it is, and asks for nothing.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use nice_plug::prelude::*;

use crate::link::Shared;

/// What a momentary parameter asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Press {
    /// An answer to what was played.
    Answer,
    /// Other takes for the same phrase at the same place.
    Again,
    /// Takes that begin as the one heard and go on otherwise.
    Vary,
    /// The end of the answer that sounds.
    Stop,
    /// Silence, and phrase and answer forgotten.
    Clear,
    /// The take heard becomes part of the timeline.
    Keep,
    /// The answer goes.
    Discard,
    /// What was done last to takes is undone.
    Undo,
    /// What was undone last is done again.
    Redo,
}

const PRESSES: usize = Press::Redo as usize + 1;

/// How often each momentary parameter went on.
#[derive(Debug, Default)]
pub struct Presses([AtomicU32; PRESSES]);

impl Presses {
    /// So often until now.
    pub fn count(&self, press: Press) -> u32 {
        self.0[press as usize].load(Ordering::Acquire)
    }

    /// Once more.
    pub fn press(&self, press: Press) {
        self.0[press as usize].fetch_add(1, Ordering::AcqRel);
    }
}

thread_local! {
    /// Whether this thread is giving the parameters the values of a state.
    static LOADING: Cell<bool> = const { Cell::new(false) };
}

/// This thread begins or ends loading a state: what goes on meanwhile is no press.
pub fn set_loading(loading: bool) {
    LOADING.set(loading);
}

fn is_loading() -> bool {
    LOADING.get()
}

/// A parameter that counts its presses.
pub(super) fn momentary(name: &str, presses: &Arc<Presses>, press: Press) -> BoolParam {
    let presses = Arc::clone(presses);
    BoolParam::new(name, false).with_callback(Arc::new(move |on| {
        if on && !is_loading() {
            presses.press(press);
        }
    }))
}

/// A parameter that goes on by takes from the one chosen.
pub(super) fn turning(name: &str, shared: &Arc<Shared>, takes: i32) -> BoolParam {
    let shared = Arc::clone(shared);
    BoolParam::new(name, false).with_callback(Arc::new(move |on| {
        if on && !is_loading() {
            shared.turn_by(takes);
        }
    }))
}
