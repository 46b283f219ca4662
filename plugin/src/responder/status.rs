//! What the inference thread shows the editor.

use std::sync::Arc;
use std::time::Duration;

use continuo_engine::worker::ModelState;
use nice_plug_egui::RepaintNotifier;
use parking_lot::Mutex;

/// What the inference thread is at.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// How the model is doing; `None` before the host has activated the plugin.
    pub model: Option<ModelState>,
    /// Whether an answer is being made.
    pub thinking: bool,
    /// Whether the take heard is kept as soon as it is complete.
    pub keeping: bool,
    /// Why the last answer failed, if it did.
    pub error: Option<String>,
    /// What became of the last thing that was done to takes, if that needs saying.
    pub notice: Option<String>,
    /// From the trigger to the first note of the last answer.
    pub latency: Option<Duration>,
}

/// What the inference thread shows the editor.
#[derive(Clone)]
pub struct View {
    /// In words and numbers.
    pub status: Arc<Mutex<Status>>,
    /// Asks for a new picture. The window looks at this on a timer of its own, so
    /// it goes on even where the window system loses a request to redraw.
    pub repaint: RepaintNotifier,
}
