//! The host: loads the built plugin, rolls a transport, sends and hears messages.
//!
//! Everything runs on the calling thread, block by block, as fast as the plugin
//! allows ([`Pacing::Free`]) or no faster than the music ([`Pacing::Realtime`]).
//! Blocks end where the tempo, the meter or the loop changes, as hosts have it.

//!
//! A [`Host`]'s methods lie with what they are about: parameters, the transport and
//! its messages, running block by block, life cycle and state.

mod life;
mod params;
mod run;
mod transport;

use crate::clap_host::ClapFile;
use crate::format::{Instantiated, Setup};
pub use crate::instance::{NotePort, Param};
use crate::message::{Dialect, Message};
use crate::notes::Heard;
use crate::timeline::Timeline;
use crate::vst3_host::Vst3File;
use anyhow::Result;
use clack_host::utils::ClapId;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

/// The audio ports asked of the plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Audio {
    /// Stereo in, stereo out.
    #[default]
    Stereo,
    /// No audio at all.
    None,
}

/// What the plugin is told about time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Render {
    /// A bounce: the plugin may take its time.
    #[default]
    Offline,
    /// Playing: it may not.
    Realtime,
}

/// How fast the host runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Pacing {
    /// As fast as the plugin allows.
    #[default]
    Free,
    /// No faster than the music.
    Realtime,
}

/// How a host is set up.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The sizes of the blocks in samples, used in turn.
    pub blocks: Vec<u32>,
    /// Audio ports.
    pub audio: Audio,
    /// Offline or real time, as told to the plugin.
    pub render: Render,
    /// How fast the host runs.
    pub pacing: Pacing,
    /// How notes are sent.
    pub dialect: Dialect,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            blocks: vec![512],
            audio: Audio::Stereo,
            render: Render::Offline,
            pacing: Pacing::Free,
            dialect: Dialect::Clap,
        }
    }
}

/// A loaded `.clap` file or `.vst3` bundle.
pub struct Bundle {
    file: File,
    name: String,
}

enum File {
    Clap(ClapFile),
    Vst3(Vst3File),
}

impl Bundle {
    /// Loads a `.clap` file or a `.vst3` bundle and takes its first plugin.
    ///
    /// # Errors
    /// When it cannot be loaded or holds no plugin.
    pub fn load(path: &Path) -> Result<Self> {
        let (file, name) = if path.extension().is_some_and(|extension| extension == "vst3") {
            let file = Vst3File::load(path)?;
            let name = file.name();
            (File::Vst3(file), name)
        } else {
            let file = ClapFile::load(path)?;
            let name = file.name.clone();
            (File::Clap(file), name)
        };
        Ok(Self { file, name })
    }

    /// The plugin's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A host with one new instance, active, its transport stopped at beat 0.
    ///
    /// # Errors
    /// When the plugin cannot be created or refuses the settings.
    pub fn host(&self, settings: Settings, timeline: Timeline) -> Result<Host> {
        let channels = if settings.audio == Audio::Stereo { 2 } else { 0 };
        let setup = Setup { channels, render: settings.render };
        let mut instance: Box<dyn Instantiated> = match &self.file {
            File::Clap(file) => Box::new(file.instance(setup)?),
            File::Vst3(file) => Box::new(file.instance(setup)?),
        };
        let params = instance.params();
        let mut host = Host {
            instance,
            params,
            largest: settings.blocks.iter().copied().max().unwrap_or(1).max(1),
            settings,
            timeline,
            transport: Transport::default(),
            clock: 0,
            turn: 0,
            began: None,
            inputs: BTreeMap::new(),
            releases: Vec::new(),
            heard: Vec::new(),
            pressed: None,
            answered: None,
            clean: true,
            stopwatch: None,
            freewheeling: false,
        };
        host.activate()?;
        Ok(host)
    }
}

#[derive(Clone, Debug, Default)]
struct Transport {
    playing: bool,
    /// Samples from beat 0.
    position: u64,
    /// In samples: from, to.
    looped: Option<(u64, u64)>,
}

#[derive(Clone, Debug)]
enum Input {
    Message(Message),
    Param(ClapId, f64),
}

/// Measures what the plugin does in a block, without what the host does around it.
pub trait Stopwatch {
    /// The plugin is called now.
    fn start(&mut self);
    /// The plugin has returned.
    fn stop(&mut self);
}

/// One instance of the plugin and everything around it.
///
/// Dropping it destroys the instance at once, whatever it is doing.
pub struct Host {
    instance: Box<dyn Instantiated>,
    params: Vec<Param>,
    settings: Settings,
    largest: u32,
    timeline: Timeline,
    transport: Transport,
    clock: u64,
    turn: usize,
    began: Option<(Instant, u64)>,
    inputs: BTreeMap<u64, Vec<Input>>,
    /// Parameters that were pressed and go back in the next block.
    releases: Vec<ClapId>,
    heard: Vec<Heard>,
    pressed: Option<Instant>,
    answered: Option<Instant>,
    clean: bool,
    stopwatch: Option<Box<dyn Stopwatch>>,
    freewheeling: bool,
}

/// A position as a whole number of samples; negative ones are 0.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates, as wanted")]
pub(crate) fn frames(position: f64) -> u64 {
    position as u64
}

/// Exact for 2^53 samples: five thousand years at 48 kHz.
#[expect(clippy::cast_precision_loss, reason = "exact for every reachable position")]
fn float(samples: u64) -> f64 {
    samples as f64
}
