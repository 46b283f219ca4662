//! What the host asks of a plugin, whichever format it came in. Events speak CLAP's
//! language here; a format of another tongue translates.

use crate::host::Render;
use crate::instance::{NotePort, Param};
use anyhow::Result;
use clack_host::events::event_types::TransportEvent;
use clack_host::events::io::EventBuffer;

/// One block on its way through the plugin.
pub(crate) struct Block<'a> {
    /// Samples.
    pub(crate) frames: u32,
    /// Samples since the host was made.
    pub(crate) clock: u64,
    pub(crate) events: &'a EventBuffer,
    pub(crate) output: &'a mut EventBuffer,
    pub(crate) transport: &'a TransportEvent,
    /// The output's channels, each `frames` long; none without audio.
    pub(crate) audio: &'a mut [Vec<f32>],
    /// Whether the block itself says that it is rendered offline, which a VST3's can.
    pub(crate) freewheeling: bool,
}

/// One instance of the plugin.
pub(crate) trait Instantiated {
    fn params(&mut self) -> Vec<Param>;
    fn value(&mut self, param: &Param) -> Result<f64>;
    fn value_to_text(&mut self, param: &Param, value: f64) -> Result<String>;
    fn text_to_value(&mut self, param: &Param, text: &str) -> Result<f64>;
    /// Sends parameter changes while the plugin is not active.
    fn flush(&mut self, events: &EventBuffer) -> Result<()>;
    fn note_ports(&mut self, inputs: bool) -> Vec<NotePort>;
    fn is_active(&self) -> bool;
    /// Activates and starts processing blocks of at most `largest` samples.
    fn activate(&mut self, sample_rate: f64, largest: u32) -> Result<()>;
    fn deactivate(&mut self);
    fn reset(&mut self);
    fn save(&mut self) -> Result<Vec<u8>>;
    fn load(&mut self, state: &[u8]) -> Result<()>;
    /// Answers what the plugin asked of the main thread; whether it asked to be
    /// activated anew.
    fn wants_restart(&mut self) -> bool;
    fn process(&mut self, block: &mut Block<'_>) -> Result<()>;
}

/// How an instance is set up before it is activated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    /// Audio channels in and out: 2, or 0.
    pub(crate) channels: u32,
    pub(crate) render: Render,
}
