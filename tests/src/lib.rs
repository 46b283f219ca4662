//! A small CLAP and VST3 host that runs inside the process, and the end-to-end tests that
//! use it. `cargo demo` plays its phrase through the same host.
//!
//! - [`locate`]: where the built plugin and the built command line are.
//! - [`timeline`]: samples to beats and bars, and back.
//! - [`message`]: what goes in and comes out, as MIDI has it.
//! - [`host`]: the host: transport, parameters, blocks, state.
//! - [`notes`]: what was heard, as notes with their ends.
//! - [`smf`]: messages as a MIDI file, and back.
//! - [`ardour`]: a real sequencer without a screen, for the built VST3.
//! - [`phrase`]: a score as messages, and messages as a score's notes.
//!
//! ```no_run
//! use continuo_tests::host::{Bundle, Settings};
//! use continuo_tests::message::Message;
//! use continuo_tests::timeline::Timeline;
//!
//! # fn main() -> anyhow::Result<()> {
//! let bundle = Bundle::load(&continuo_tests::locate::bundle()?)?;
//! let mut host = bundle.host(Settings::default(), Timeline::new(48_000.0))?;
//! host.choose("start", "bar")?;
//! host.play();
//! host.send_at_beat(0.0, Message::on(0, 60, 100));
//! host.send_at_beat(1.0, Message::off(0, 60));
//! host.run_to_beat(1.0)?;
//! host.press("trigger")?;
//! host.run_to_beat(12.0)?;
//! let answer = host.heard().iter().find(|heard| !heard.thru);
//! # let _ = answer;
//! # Ok(())
//! # }
//! ```

mod clap_host;
mod format;
mod instance;
mod vst3_host;

pub mod ardour;
pub mod host;
pub mod locate;
pub mod message;
pub mod notes;
pub mod phrase;
pub mod session;
pub mod smf;
pub mod timeline;
