//! A session: a track that a phrase is played on and the plugin answers, and one
//! that records what comes of it.

use super::Studio;
use super::edit::{PER_BEAT, Text};
use crate::message::Message;
use crate::smf;
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What Ardour is made to do, in its own language.
const SCRIPT: &str = include_str!("studio.lua");

/// What `timeout` says of a program that it ended.
const TIMED_OUT: i32 = 124;
/// How often an export is tried. Of 140 exports of a session without this plugin Ardour 7.3
/// hung in two (its exporter waits for its butler, and the butler for a lock), and ended itself
/// in four.
const TRIES: usize = 3;

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
        self.make("compose", name, piece)
    }

    /// Makes a session of one track, to be heard with the plugin's preview sound; its first
    /// `beats` are what is exported.
    ///
    /// # Errors
    /// When Ardour fails.
    pub fn compose_audible(&self, name: &str, piece: &Piece, beats: f64) -> Result<Session<'_>> {
        let session = self.make("play", name, piece)?;
        session.edit(|text| text.set_range(beats))?;
        Ok(session)
    }

    fn make(&self, verb: &str, name: &str, piece: &Piece) -> Result<Session<'_>> {
        let session = Session { studio: self, folder: self.place(name), bpm: piece.bpm };
        let mut parameters = String::new();
        for (name, value) in &piece.parameters {
            write!(parameters, "[{name:?}]={value},")?;
        }
        let press = piece.press.map(|beat| format!("press={beat},")).unwrap_or_default();
        session.perform(verb, &format!("plugin=\"Continuo\",{press}parameters={{{parameters}}},"))?;
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

    /// Opens the session, loops its first `beats` until it has come round `rounds`
    /// times, saves it and closes it: the notes that the second track recorded, on and
    /// on, as messages in the order of time.
    ///
    /// # Errors
    /// When Ardour fails or tells no notes.
    pub fn cycle(&self, beats: f64, rounds: u32, pass: &Pass) -> Result<Vec<(f64, Message)>> {
        self.edit(|text| text.set_loop(0.0, beats))?;
        told(&self.perform("cycle", &format!("rounds={rounds},{}", pass.lua()))?)
    }

    /// Opens the session, bounces the plugin's track with the plugin's answers over so
    /// many beats, saves it and closes it: the notes, as messages in the order of time.
    ///
    /// # Errors
    /// When Ardour fails.
    pub fn bounce(&self, beats: f64) -> Result<Vec<(f64, Message)>> {
        let samples = beats * RATE * 60.0 / self.bpm;
        told(&self.perform("bounce", &format!("samples={samples},manual=true"))?)
    }

    /// Exports what is heard with Ardour's own program for that, as fast as it goes: the left
    /// channel's samples. The session stays as it is.
    ///
    /// The right channel is none to rely on: in one export of some thirty, with this plugin or
    /// without it, the first sample of each of its blocks is a foreign number. Nor is a single
    /// export: 132 of 140 of a session without this plugin were the same, no three others were.
    /// One in some forty begins 16 samples into the music: note and sound both, so the plugin
    /// was given them earlier than the file begins.
    ///
    /// # Errors
    /// When Ardour fails, or does not get through time and again.
    pub fn export(&self) -> Result<Vec<f32>> {
        let file = self.folder.with_extension("wav");
        for _ in 0..TRIES {
            let mut command = Command::new("timeout");
            command.args(["--kill-after=5", "60", "ardour7-export", "--bitdepth", "float", "--output"]);
            command.arg(&file).arg(&self.folder).arg("session").stdin(Stdio::null());
            let output = self.studio.isolate(&mut command).output()?;
            // Without a code, a signal ended it.
            if output.status.code().is_none_or(|code| code == TIMED_OUT) {
                continue;
            }
            let said = String::from_utf8_lossy(&output.stderr);
            ensure!(output.status.success(), "Ardour's export failed ({}): {said}", output.status);
            let both = samples(&fs::read(file)?).context("Ardour's export is no WAV file")?;
            return Ok(both.into_iter().step_by(2).collect());
        }
        bail!("Ardour's export did not get through {TRIES} times")
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

/// The notes that Ardour tells, as messages in the order of time.
fn told(said: &str) -> Result<Vec<(f64, Message)>> {
    let mut messages = Vec::new();
    for line in said.lines().filter_map(|line| line.strip_prefix("note ")) {
        messages.extend(note(line).with_context(|| format!("Ardour tells no note: {line}"))?);
    }
    messages.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    Ok(messages)
}

/// The samples of a WAV file of floating-point numbers.
fn samples(wav: &[u8]) -> Option<Vec<f32>> {
    let mut rest = wav.get(12..)?;
    loop {
        let (name, size) = (rest.get(..4)?, u32::from_le_bytes(rest.get(4..8)?.try_into().ok()?));
        let body = rest.get(8..)?;
        let size = usize::try_from(size).ok()?;
        if name == b"data" {
            let numbers = body.get(..size)?.chunks_exact(4);
            return Some(numbers.map(|n| f32::from_le_bytes([n[0], n[1], n[2], n[3]])).collect());
        }
        rest = body.get(size + size % 2..)?;
    }
}

/// On and off of a note that Ardour tells: onset and length as `beats:ticks`, channel,
/// key, velocity.
fn note(line: &str) -> Option<[(f64, Message); 2]> {
    let mut words = line.split_whitespace();
    let (from, length) = (beat(words.next()?)?, beat(words.next()?)?);
    let mut byte = || words.next()?.parse::<u8>().ok();
    let (channel, key, velocity) = (byte()?, byte()?, byte()?);
    Some([(from, Message::on(channel, key, velocity)), (from + length, Message::off(channel, key))])
}

fn beat(text: &str) -> Option<f64> {
    let (beats, ticks) = text.split_once(':')?;
    Some(beats.parse::<f64>().ok()? + ticks.parse::<f64>().ok()? / PER_BEAT)
}

fn files(folder: &Path) -> Result<BTreeSet<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("{} cannot be read", folder.display()))?;
    entries.map(|entry| Ok(entry?.path())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_read_as_ardour_tells_them() {
        let [on, off] = note("15:1440 0:480 0 63 82").unwrap();
        assert_eq!(on, (15.75, Message::on(0, 63, 82)));
        assert_eq!(off, (16.0, Message::off(0, 63)));
        assert_eq!(note("15 0:480"), None);
    }
}
