//! A tokenizer's settings, and how they stand in MidiTok's `tokenizer.json`.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use super::MidiLikeError;
use super::vocab::KIT;

/// Most parts a beat may be divided into, and most beats a token may span.
const MOST: u32 = 256;

/// The settings that decide the vocabulary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Config {
    /// The tokens that are no music, in the order of their ids.
    pub(super) special: Vec<String>,
    pub(super) pitches: RangeInclusive<u8>,
    pub(super) num_velocities: u8,
    /// From which beat to which how many parts a beat has.
    pub(super) beat_res: Vec<(u32, u32, u32)>,
    /// The same for rests, where there are any.
    pub(super) beat_res_rest: Option<Vec<(u32, u32, u32)>>,
    /// The pitches of the drum kit, where it has ids of its own.
    pub(super) drums: Option<RangeInclusive<u8>>,
    /// The instruments in the order of their ids.
    pub(super) programs: Vec<u8>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            special: ["PAD", "BOS", "EOS", "SEP"].map(|name| format!("{name}_None")).to_vec(),
            pitches: 0..=127,
            num_velocities: 32,
            beat_res: vec![(0, 4, 8), (4, 12, 4)],
            beat_res_rest: Some(vec![(0, 1, 8), (1, 2, 4), (2, 12, 2)]),
            drums: Some(27..=88),
            programs: (0..=KIT).collect(),
        }
    }
}

impl Config {
    /// Steps of the grid a beat has: its most parts.
    pub(super) fn resolution(&self) -> u32 {
        self.beat_res.first().map_or(1, |&(_, _, parts)| parts)
    }

    /// Reads `tokenizer.json`.
    pub(super) fn from_json(json: &str) -> Result<Self, MidiLikeError> {
        let file: Value = serde_json::from_str(json).map_err(|e| MidiLikeError::Json(e.to_string()))?;
        if file.get("tokenization").and_then(Value::as_str) != Some("MIDILike") {
            return Err(setting("tokenization", "only `MIDILike` can be read"));
        }
        for key in ["_model", "_vocab_base", "_vocab_base_byte_to_token"] {
            if file.get(key).is_some_and(|value| !value.is_null()) {
                return Err(setting(key, "a trained tokenizer (BPE, Unigram, WordPiece) cannot be read"));
            }
        }
        let config = file.get("config").and_then(Value::as_object);
        let settings = Settings(config.ok_or_else(|| setting("config", "it is missing"))?);
        settings.refuse_what_is_not_kept()?;
        settings.read()
    }
}

fn setting(name: &str, reason: &str) -> MidiLikeError {
    MidiLikeError::Setting { name: name.to_owned(), reason: reason.to_owned() }
}

/// The `config` of the file.
struct Settings<'a>(&'a Map<String, Value>);

impl Settings<'_> {
    fn get(&self, name: &str) -> Result<&Value, MidiLikeError> {
        self.0.get(name).ok_or_else(|| setting(name, "it is missing"))
    }

    fn flag(&self, name: &str) -> Result<bool, MidiLikeError> {
        self.get(name)?.as_bool().ok_or_else(|| setting(name, "it is neither true nor false"))
    }

    /// What would make other ids than those of this family.
    fn refuse_what_is_not_kept(&self) -> Result<(), MidiLikeError> {
        for name in ["use_programs", "one_token_stream_for_programs", "program_changes", "use_velocities"] {
            if !self.flag(name)? {
                return Err(setting(name, "it must be true"));
            }
        }
        for name in [
            "use_chords",
            "use_tempos",
            "use_time_signatures",
            "use_key_signatures",
            "use_sustain_pedals",
            "use_pitch_bends",
            "use_control_changes",
            "use_pitch_intervals",
            "remove_duplicated_notes",
            "sustain_pedal_duration",
        ] {
            // Older versions of MidiTok know fewer settings; what is not there is off.
            if self.0.contains_key(name) && self.flag(name)? {
                return Err(setting(name, "it must be false"));
            }
        }
        let more = self.0.get("additional_params").and_then(|more| more.get("max_duration"));
        if more.is_some_and(|value| !value.is_null()) {
            return Err(setting("additional_params.max_duration", "it must not be set"));
        }
        Ok(())
    }

    fn read(&self) -> Result<Config, MidiLikeError> {
        let num_velocities = self.get("num_velocities")?.as_u64().and_then(|n| u8::try_from(n).ok());
        let beat_res = self.resolutions("beat_res")?;
        let beat_res_rest = match self.flag("use_rests")? {
            true => Some(self.resolutions("beat_res_rest")?),
            false => None,
        };
        let drums = match self.flag("use_pitchdrum_tokens")? {
            true => Some(self.pitches("drums_pitch_range")?),
            false => None,
        };
        let config = Config {
            special: self.special()?,
            pitches: self.pitches("pitch_range")?,
            num_velocities: num_velocities
                .filter(|n| (1..=127).contains(n))
                .ok_or_else(|| setting("num_velocities", "it must lie within 1 and 127"))?,
            beat_res,
            beat_res_rest,
            drums,
            programs: self.programs("programs")?,
        };
        let rests = config.beat_res_rest.iter().flatten();
        if rests.clone().any(|&(_, _, parts)| !config.resolution().is_multiple_of(parts)) {
            return Err(setting("beat_res_rest", "its parts must divide those of `beat_res`"));
        }
        let ended = self.programs("use_note_duration_programs")?;
        if config.programs.iter().any(|program| !ended.contains(program)) {
            return Err(setting("use_note_duration_programs", "it must name every program"));
        }
        Ok(config)
    }

    fn special(&self) -> Result<Vec<String>, MidiLikeError> {
        let wrong =
            || setting("special_tokens", "it must be a list of different names, BOS and EOS among them");
        let names = self.get("special_tokens")?.as_array().ok_or_else(wrong)?;
        let mut special: Vec<String> = Vec::new();
        for name in names {
            let name = name.as_str().ok_or_else(wrong)?;
            // MidiTok adds the value that a name lacks.
            let name = if name.contains('_') { name.to_owned() } else { format!("{name}_None") };
            if special.contains(&name) {
                return Err(wrong());
            }
            special.push(name);
        }
        let has = |name: &str| special.iter().any(|special| special == name);
        if has("PAD_None") && has("BOS_None") && has("EOS_None") { Ok(special) } else { Err(wrong()) }
    }

    fn pitches(&self, name: &str) -> Result<RangeInclusive<u8>, MidiLikeError> {
        let end = |index: usize| {
            let pitch = self.get(name).ok()?.get(index)?.as_u64()?;
            u8::try_from(pitch).ok().filter(|&pitch| pitch < 128)
        };
        match (end(0), end(1)) {
            (Some(low), Some(high)) if low < high => Ok(low..=high),
            _ => Err(setting(name, "it must be two pitches, the lower first")),
        }
    }

    /// Ranges of beats with the parts of a beat in each: `{"0_4": 8, "4_12": 4}`.
    fn resolutions(&self, name: &str) -> Result<Vec<(u32, u32, u32)>, MidiLikeError> {
        let wrong = || {
            let reason = "it must map ranges of beats that follow each other from 0 on to a beat's parts, each \
                          dividing those before";
            setting(name, reason)
        };
        let mut ranges = Vec::new();
        for (range, parts) in self.get(name)?.as_object().ok_or_else(wrong)? {
            let (from, until) = range.split_once('_').ok_or_else(wrong)?;
            let parts = parts.as_u64().and_then(|parts| u32::try_from(parts).ok()).ok_or_else(wrong)?;
            ranges.push((from.parse().map_err(|_| wrong())?, until.parse().map_err(|_| wrong())?, parts));
        }
        ranges.sort_unstable();
        let (mut end, mut last) = (0, None);
        for &(from, until, parts) in &ranges {
            let divides = last.is_none_or(|last: u32| last.is_multiple_of(parts.max(1)));
            if from != end || !(from + 1..=MOST).contains(&until) || !(1..=MOST).contains(&parts) || !divides
            {
                return Err(wrong());
            }
            (end, last) = (until, Some(parts));
        }
        if ranges.is_empty() { Err(wrong()) } else { Ok(ranges) }
    }

    fn programs(&self, name: &str) -> Result<Vec<u8>, MidiLikeError> {
        let wrong = || setting(name, "it must be a list of different programs, -1 to 127");
        let mut programs = Vec::new();
        for program in self.get(name)?.as_array().ok_or_else(wrong)? {
            let number = match program.as_i64() {
                Some(-1) => KIT,
                Some(program) => u8::try_from(program).ok().filter(|&p| p < KIT).ok_or_else(wrong)?,
                None => return Err(wrong()),
            };
            if programs.contains(&number) {
                return Err(wrong());
            }
            programs.push(number);
        }
        if programs.is_empty() { Err(wrong()) } else { Ok(programs) }
    }
}
