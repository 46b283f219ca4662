//! A script is played, and what was heard is judged.
//!
//! What must be true of any session: every note-on gets its note-off and none comes twice;
//! messages leave in order of time; the audio is made of numbers; and on the host's
//! timeline every note the plugin adds lies, to the sample, where an answer or a kept take
//! of the saved state has it. The state is looked at every tenth of a beat, because
//! answers come and go.

use std::collections::HashMap;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use super::script::Step;
use crate::host::{Bundle, Host, Pacing, Render, Settings};
use crate::message::Message;
use crate::notes::Heard;
use crate::timeline::Timeline;

/// How often the state is looked at, in beats.
const LOOK: f64 = 0.1;
/// So long after a press nothing else has happened yet, in beats.
const SOON: f64 = 1.0 / 256.0;
/// Rounding of beats in the state and of samples in the host.
const SLACK_SAMPLES: f64 = 1.01;

/// A CLAP plugin's state begins with its length, a VST3 plugin's does not.
const LENGTH: usize = 8;

/// What came of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Notes the plugin added.
    pub added: usize,
    /// Those of them whose place was judged.
    pub judged: usize,
}

/// Plays a script.
///
/// # Errors
/// What is not as it must be.
pub fn play(bundle: &Bundle, script: &[Step], seed: u64) -> Result<Outcome> {
    // In real time notes may be late, and then are left out; they may not be elsewhere.
    let render = if seed.is_multiple_of(5) { Render::Realtime } else { Render::Offline };
    let settings = Settings { blocks: vec![512], render, pacing: Pacing::Free, ..Settings::default() };
    let host = bundle.host(settings, Timeline::new(48_000.0).with_tempo(0.0, 120.0))?;
    let mut session = Session {
        host,
        playing: false,
        known: HashMap::new(),
        down: HashMap::new(),
        outcome: Outcome::default(),
        blocks: vec![512],
    };
    for step in script {
        session.step(step).with_context(|| format!("at {step:?}"))?;
    }
    session.end()
}

struct Session {
    host: Host,
    playing: bool,
    /// Onsets in beats of notes that answers had: by channel, key and velocity.
    known: HashMap<(u8, u8, u8), Vec<f64>>,
    /// The player's keys that are down, and until when by the host's clock.
    down: HashMap<(u8, u8), u64>,
    outcome: Outcome,
    blocks: Vec<u32>,
}

impl Session {
    fn step(&mut self, step: &Step) -> Result<()> {
        match step {
            Step::Run(beats) => return self.run(*beats),
            Step::Reactivate(blocks, rate) => {
                self.blocks.clone_from(blocks);
                let tempo = self.host.timeline().tempo_at(0.0);
                self.host.reactivate(blocks, Timeline::new(*rate).with_tempo(0.0, tempo))?;
            }
            Step::Tempo(tempos, meter) => self.tempo(tempos, *meter),
            Step::Play => {
                self.host.play();
                self.playing = true;
            }
            Step::Stop => {
                self.host.stop();
                self.playing = false;
            }
            Step::Seek(beat) => self.host.seek(*beat),
            Step::Loop(from, to) => self.host.loop_between(*from, *to),
            Step::LoopOff => self.host.loop_off(),
            Step::Reset => self.host.reset(),
            Step::Reload => {
                let state = self.host.save()?;
                self.host.load(&state)?;
            }
            Step::Set(index, place) => self.set(*index, *place)?,
            Step::Named(name, "") => {
                self.host.press(name)?;
                // The mode may ask for another answer soon after: look in between.
                return self.run(SOON);
            }
            Step::Named(name, value) => self.host.set(name, value)?,
            Step::Note(channel, key, velocity, at, long) => self.note(*channel, *key, *velocity, *at, *long),
            Step::Control(channel, number, value, at) => {
                self.host.send(self.clock_in(*at), Message::control(*channel, *number, *value));
            }
            Step::Bend(channel, amount, at) => {
                self.host.send(self.clock_in(*at), Message::bend(*channel, *amount))
            }
        }
        Ok(())
    }

    /// The clock so many beats from now, at the present tempo.
    fn clock_in(&self, beats: f64) -> u64 {
        self.host.clock() + self.samples(beats)
    }

    fn samples(&self, beats: f64) -> u64 {
        let timeline = self.host.timeline();
        let tempo = timeline.tempo_at(timeline.sample_at(self.host.beat()));
        crate::host::frames(beats * 60.0 / tempo * timeline.sample_rate())
    }

    /// A note, unless its key is still down.
    fn note(&mut self, channel: u8, key: u8, velocity: u8, at: f64, long: f64) {
        let (on, off) = (self.clock_in(at), self.clock_in(at + long).max(self.clock_in(at) + 1));
        if self.down.get(&(channel, key)).is_some_and(|until| *until >= on) {
            return;
        }
        self.down.insert((channel, key), off);
        self.host.send(on, Message::on(channel, key, velocity));
        self.host.send(off, Message::off(channel, key));
    }

    /// A ramp of tempos, a beat each, from the present beat on.
    fn tempo(&mut self, tempos: &[f64], (upper, lower): (u16, u16)) {
        let rate = self.host.timeline().sample_rate();
        let first = tempos.first().copied().unwrap_or(120.0);
        let mut timeline = Timeline::new(rate).with_tempo(0.0, first).with_meter(0.0, upper, lower);
        let here = self.host.beat().ceil();
        for (tempo, beat) in tempos.iter().skip(1).zip(1_u32..) {
            timeline = timeline.with_tempo(here + f64::from(beat), *tempo);
        }
        self.host.set_timeline(timeline);
    }

    fn set(&mut self, index: usize, place: f64) -> Result<()> {
        let params = self.host.params();
        let param = params[index % params.len()].clone();
        // Endless answers of many takes take their time, and show nothing new.
        let slow = ["bars", "takes", "turn"].iter().any(|name| param.is_called(name));
        if slow {
            return Ok(());
        }
        let value = param.min + place * (param.max - param.min);
        self.host.set_value(&param.name, if param.stepped { value.round() } else { value })
    }

    fn run(&mut self, beats: f64) -> Result<()> {
        let end = self.host.clock() + self.samples(beats);
        while self.host.clock() < end {
            let before = self.host.heard().len();
            let first = self.look()?;
            let length = self.samples(LOOK).max(1).min(end - self.host.clock());
            self.host.run(length)?;
            let last = self.look()?;
            let heard = self.host.heard()[before..].to_vec();
            self.judge(&heard, first == last)?;
        }
        Ok(())
    }

    /// Learns where the notes of answers and kept takes lie. Tells which answer is there.
    fn look(&mut self) -> Result<Value> {
        let Some(session) = session_of(&self.host.save()?)? else { return Ok(Value::Null) };
        let takes = session["answer"]["takes"].as_array().into_iter().flatten();
        let kept = session["kept"].as_array().into_iter().flatten().map(|kept| &kept["notes"]);
        for note in takes.chain(kept).filter_map(Value::as_array).flatten() {
            let byte = |index: usize| note[index].as_u64().and_then(|byte| u8::try_from(byte).ok());
            if let (Some(start), Some(channel), Some(key), Some(velocity)) =
                (note[0].as_f64(), byte(2), byte(3), byte(4))
            {
                let starts = self.known.entry((channel, key, velocity)).or_default();
                if !starts.contains(&start) {
                    starts.push(start);
                }
            }
        }
        let recipe = &session["answer"]["recipe"];
        Ok(json!([
            session["kept"].as_array().map_or(0, Vec::len),
            recipe["at"],
            recipe["start"],
            recipe["again"]
        ]))
    }

    /// `settled` tells that the same answer was there all the time: what was made, heard and
    /// replaced between two looks is in no state.
    fn judge(&mut self, heard: &[Heard], settled: bool) -> Result<()> {
        ensure!(heard.is_sorted_by_key(|heard| heard.clock), "messages out of order: {heard:?}");
        let timeline = self.host.timeline().clone();
        for heard in heard.iter().filter(|heard| !heard.thru) {
            let Message::On { channel, key, velocity } = heard.message else { continue };
            self.outcome.added += 1;
            if !self.playing {
                continue;
            }
            let sample = timeline.sample_at(heard.beat);
            let starts = self.known.get(&(channel, key, velocity)).map(Vec::as_slice).unwrap_or_default();
            let near = |start: &&f64| (timeline.sample_at(**start) - sample).abs() <= SLACK_SAMPLES;
            let placed = starts.iter().any(|start| near(&start));
            self.outcome.judged += usize::from(placed);
            if !placed && settled {
                bail!("a note outside of its place: {heard:?}; such notes begin at {starts:?}");
            }
        }
        Ok(())
    }

    /// Everything ends, and must have ended.
    fn end(mut self) -> Result<Outcome> {
        self.run(3.0)?;
        self.host.stop();
        self.playing = false;
        // An answer of a stopped host goes on by itself.
        self.host.press("clear")?;
        for channel in 0..16 {
            self.host.send(self.host.clock(), Message::control(channel, 64, 0));
        }
        self.run(1.0)?;
        paired(self.host.heard())?;
        ensure!(self.host.audio_is_clean(), "audio that is no number");
        Ok(self.outcome)
    }
}

/// Every on has its off, and none comes while its key sounds.
fn paired(heard: &[Heard]) -> Result<()> {
    let mut sounding: HashMap<(u8, u8), Heard> = HashMap::new();
    for heard in heard {
        match heard.message {
            Message::On { channel, key, .. } => {
                if let Some(before) = sounding.insert((channel, key), *heard) {
                    bail!("a note begins while its key sounds: {before:?}, {heard:?}");
                }
            }
            Message::Off { channel, key } => drop(sounding.remove(&(channel, key))),
            Message::Raw(_) => {}
        }
    }
    match sounding.values().next() {
        Some(hanging) => bail!("a note hangs: {hanging:?}"),
        None => Ok(()),
    }
}

/// The session inside a saved state, if there is one.
fn session_of(state: &[u8]) -> Result<Option<Value>> {
    let length = state.first_chunk().map(|bytes: &[u8; LENGTH]| u64::from_le_bytes(*bytes));
    let prefixed = length.and_then(|length| usize::try_from(length).ok()) == state.len().checked_sub(LENGTH);
    let json = if prefixed { &state[LENGTH..] } else { state };
    let state: Value = serde_json::from_slice(json).context("the state is damaged")?;
    let Some(text) = state["fields"]["session"].as_str() else { return Ok(None) };
    Ok(Some(serde_json::from_str(text).context("the session is damaged")?))
}
