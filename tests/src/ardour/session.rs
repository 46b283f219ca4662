//! A session: a track that a phrase is played on and the plugin answers, and one
//! that records what comes of it.

use super::Studio;
use super::edit::Text;
use crate::message::Message;
use crate::smf;
use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// What Ardour is made to do, in its own language.
const SCRIPT: &str = include_str!("studio.lua");

/// Samples a second in every session.
pub const RATE: f64 = 48_000.0;

/// How fast Ardour's silent backend runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Speed {
    /// As music does; for whatever has to be generated meanwhile.
    #[default]
    Normal,
    /// Fifty times as fast.
    Fast,
}

/// What a session is made of.
#[derive(Clone, Debug)]
pub struct Piece {
    /// Beats a minute.
    pub bpm: f64,
    /// The region on the plugin's track, with its beats.
    pub region: Vec<(f64, Message)>,
    /// The beat at which the automation lane presses the button that asks for an
    /// answer.
    pub press: Option<f64>,
    /// Parameters by the names that a user reads, and their values.
    pub parameters: Vec<(&'static str, f64)>,
}

/// How a session is played.
#[derive(Clone, Debug, Default)]
pub struct Pass {
    /// How fast.
    pub speed: Speed,
    /// Whether automation is off.
    pub manual: bool,
}

/// A session on disk; closed between any two of its passes.
pub struct Session<'a> {
    studio: &'a Studio,
    folder: PathBuf,
    bpm: f64,
}

impl Studio {
    /// Makes a session.
    ///
    /// # Errors
    /// When Ardour fails.
    pub fn compose(&self, name: &str, piece: &Piece) -> Result<Session<'_>> {
        let session = Session { studio: self, folder: self.place(name), bpm: piece.bpm };
        let mut parameters = String::new();
        for (name, value) in &piece.parameters {
            write!(parameters, "[{name:?}]={value},")?;
        }
        let press = piece.press.map(|beat| format!("press={beat},")).unwrap_or_default();
        session.perform("compose", &format!("plugin=\"Continuo\",{press}parameters={{{parameters}}},"))?;
        let region = session.midi_files()?.join("phrase.mid");
        fs::create_dir_all(region.parent().context("a file lies in a folder")?)?;
        fs::write(&region, smf::write(&piece.region)?)?;
        let last = piece.region.iter().map(|&(beat, _)| beat).fold(0.0, f64::max);
        session.edit(|text| {
            text.add_region("SRC", "phrase.mid", last.floor() + 1.0)?;
            text.set_tempo(piece.bpm)
        })?;
        Ok(session)
    }
}

impl Session<'_> {
    /// Changes the session's file.
    ///
    /// # Errors
    /// When it cannot be read, changed or written.
    pub fn edit(&self, change: impl FnOnce(&mut Text) -> Result<()>) -> Result<()> {
        let file = self.folder.join("session.ardour");
        let mut text = Text(fs::read_to_string(&file)?);
        change(&mut text)?;
        fs::write(&file, text.0).context("the session cannot be written")
    }

    /// Changes the tempo, in beats a minute, from the beginning on.
    ///
    /// # Errors
    /// As [`Self::edit`].
    pub fn set_tempo(&mut self, bpm: f64) -> Result<()> {
        self.bpm = bpm;
        self.edit(|text| text.set_tempo(bpm))
    }

    /// Opens the session, rolls from its beginning over so many beats, saves it and
    /// closes it: what the second track recorded.
    ///
    /// # Errors
    /// When Ardour fails or recorded nothing.
    pub fn record(&self, beats: f64, pass: &Pass) -> Result<Vec<(f64, Message)>> {
        let samples = beats * RATE * 60.0 / self.bpm;
        self.capture("record", &format!("samples={samples},{}", pass.lua()))
    }

    /// Opens the session, loops what its file says until it has come round `rounds`
    /// times, saves it and closes it: what the second track recorded, on and on.
    ///
    /// # Errors
    /// When Ardour fails or recorded nothing.
    pub fn cycle(&self, rounds: u32, pass: &Pass) -> Result<Vec<(f64, Message)>> {
        self.capture("cycle", &format!("rounds={rounds},{}", pass.lua()))
    }

    /// Opens the session and exports its sound over so many beats; the sound file.
    ///
    /// # Errors
    /// When Ardour fails.
    pub fn bounce(&self, name: &str, beats: f64, pass: &Pass) -> Result<Vec<u8>> {
        let samples = beats * RATE * 60.0 / self.bpm;
        self.perform("bounce", &format!("name=\"{name}\",samples={samples},{}", pass.lua()))?;
        let folder = self.folder.join("export");
        let file = files(&folder)?.into_iter().find(|file| file.to_string_lossy().contains(name));
        let file = file.context("Ardour exported nothing")?;
        fs::read(&file).with_context(|| format!("{} cannot be read", file.display()))
    }

    fn capture(&self, verb: &str, table: &str) -> Result<Vec<(f64, Message)>> {
        let folder = self.midi_files()?;
        let before = files(&folder)?;
        let said = self.perform(verb, table)?;
        let after = files(&folder)?;
        let taken = after.difference(&before).find(|file| file.to_string_lossy().contains("DST"));
        let taken = taken.with_context(|| format!("Ardour recorded nothing:\n{said}"))?;
        smf::read(&fs::read(taken)?)
    }

    fn perform(&self, verb: &str, table: &str) -> Result<String> {
        let folder = self.folder.display();
        self.studio.run(&format!("{SCRIPT}\n{verb}{{folder=\"{folder}\",{table}}}\n"))
    }

    fn midi_files(&self) -> Result<PathBuf> {
        let name = self.folder.file_name().context("a session has a name")?;
        Ok(self.folder.join("interchange").join(name).join("midifiles"))
    }
}

impl Pass {
    fn lua(&self) -> String {
        let speed = if self.speed == Speed::Fast { "50x Speed" } else { "Normal Speed" };
        format!("speed=\"{speed}\",manual={}", self.manual)
    }
}

fn files(folder: &Path) -> Result<BTreeSet<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))?;
    entries.map(|entry| Ok(entry?.path())).collect()
}
