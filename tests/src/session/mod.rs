//! Random sessions: what musicians and hosts do to the plugin, drawn from a seed, played
//! through the [`Host`](crate::host::Host) and held to what must be true of any session.
//!
//! - `script`: what happens, step by step.
//! - `play`: a script is played, and what was heard is judged.

mod play;
mod script;

pub use play::{Outcome, play};
pub use script::{Step, script};
