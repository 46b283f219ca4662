//! What host and musician can set.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};

use continuo_engine::DeviceChoice;
use nice_plug::prelude::*;
use parking_lot::RwLock;

use crate::link::Shared;
use crate::state::Saved;

/// When an answer is given.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// When it is asked for.
    #[id = "trigger"]
    #[name = "Trigger only"]
    Trigger,
    /// When it is asked for, and when the player pauses.
    #[id = "reply"]
    #[name = "Reply after pause"]
    Reply,
}

/// Where an answer begins.
#[derive(Enum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// As soon as it is known.
    #[id = "now"]
    Now,
    /// On the next beat.
    #[id = "beat"]
    #[name = "Next beat"]
    Beat,
    /// On the next bar line.
    #[id = "bar"]
    #[name = "Next bar"]
    Bar,
}

/// All parameters, and what is saved beside them.
#[derive(Params)]
pub struct ContinuoParams {
    /// Asks for an answer whenever it goes from off to on.
    #[id = "trigger"]
    pub trigger: BoolParam,
    /// Stops and forgets phrase and answer whenever it goes from off to on.
    #[id = "clear"]
    pub clear: BoolParam,
    /// Lets everything through and keeps the answer silent.
    #[id = "bypass"]
    pub bypass: BoolParam,
    /// When an answer is given.
    #[id = "mode"]
    pub mode: EnumParam<Mode>,
    /// How long a pause is answered in [`Mode::Reply`], in beats.
    #[id = "pause"]
    pub pause: FloatParam,
    /// Where an answer begins.
    #[id = "start"]
    pub start: EnumParam<Start>,
    /// How many bars an answer has.
    #[id = "bars"]
    pub bars: IntParam,
    /// How many takes an answer has.
    #[id = "takes"]
    pub takes: IntParam,
    /// Which take is heard, counted from 1.
    #[id = "take"]
    pub take: IntParam,
    /// How daring the choice of notes is.
    #[id = "temperature"]
    pub temperature: FloatParam,
    /// Among how many ids the model chooses; 0 is all.
    #[id = "top_k"]
    pub top_k: IntParam,
    /// Among which share of probability the model chooses; 1 is all.
    #[id = "top_p"]
    pub top_p: FloatParam,
    /// What is less likely than this share of the likeliest is left out; 0 leaves out nothing.
    #[id = "min_p"]
    pub min_p: FloatParam,
    /// So many ids in a row are never said twice; 0 lets them be.
    #[id = "no_repeat"]
    pub no_repeat: IntParam,
    /// The same seed gives the same answer to the same phrase; 0 is a new one each time.
    #[id = "seed"]
    pub seed: IntParam,
    /// Whether what the player plays is passed on.
    #[id = "through"]
    pub through: BoolParam,

    /// Phrase and takes.
    #[persist = "session"]
    pub saved: Saved,
    /// A model folder to use in place of the embedded model; empty for the latter.
    #[persist = "model_path"]
    pub model_path: RwLock<String>,
    /// What the model shall run on. No parameter: loading takes too long to automate.
    #[persist = "device"]
    pub device: RwLock<DeviceChoice>,

    /// How often `trigger` and `clear` went on. Counted, because a host may switch
    /// them on and off again before the audio thread looks.
    pub presses: Arc<Presses>,
}

/// How often the momentary parameters were switched on.
#[derive(Debug, Default)]
pub struct Presses {
    trigger: AtomicU32,
    clear: AtomicU32,
}

impl Presses {
    /// So far: triggers, clears.
    pub fn counts(&self) -> (u32, u32) {
        (self.trigger.load(Ordering::Acquire), self.clear.load(Ordering::Acquire))
    }
}

impl ContinuoParams {
    /// Parameters at their defaults.
    #[must_use]
    pub fn new(shared: Arc<Shared>) -> Self {
        let presses = Arc::new(Presses::default());
        Self {
            trigger: momentary("Answer", &presses, |p| &p.trigger),
            clear: momentary("Clear", &presses, |p| &p.clear),
            bypass: BoolParam::new("Bypass", false).make_bypass(),
            mode: EnumParam::new("Mode", Mode::Trigger),
            pause: FloatParam::new("Pause", 2.0, FloatRange::Linear { min: 0.25, max: 16.0 })
                .with_step_size(0.25)
                .with_unit(" beats")
                .with_value_to_string(formatters::v2s_f32_rounded(2))
                .with_string_to_value(Arc::new(|s| finite(s, "beats"))),
            start: EnumParam::new("Start", Start::Bar),
            bars: IntParam::new("Length", 4, IntRange::Linear { min: 1, max: 16 }).with_unit(" bars"),
            takes: IntParam::new("Takes", 2, IntRange::Linear { min: 1, max: 8 }),
            take: IntParam::new("Take", 1, IntRange::Linear { min: 1, max: 8 }),
            temperature: FloatParam::new("Temperature", 0.95, FloatRange::Linear { min: 0.1, max: 2.0 })
                .with_step_size(0.01)
                .with_value_to_string(formatters::v2s_f32_rounded(2))
                .with_string_to_value(Arc::new(|s| finite(s, ""))),
            top_k: IntParam::new("Top k", 0, IntRange::Linear { min: 0, max: 200 })
                .with_value_to_string(Arc::new(|k| if k == 0 { "Off".to_owned() } else { k.to_string() }))
                .with_string_to_value(Arc::new(|s| word_or(s, "off", 0))),
            top_p: FloatParam::new("Top p", 0.97, FloatRange::Linear { min: 0.1, max: 1.0 })
                .with_step_size(0.01)
                .with_value_to_string(Arc::new(
                    |p| if p >= 1.0 { "Off".to_owned() } else { format!("{p:.2}") },
                ))
                .with_string_to_value(Arc::new(
                    |s| if is_word(s, "off") { Some(1.0) } else { finite(s, "") },
                )),
            min_p: FloatParam::new("Min p", 0.0, FloatRange::Linear { min: 0.0, max: 0.5 })
                .with_step_size(0.01)
                .with_value_to_string(Arc::new(
                    |p| if p <= 0.0 { "Off".to_owned() } else { format!("{p:.2}") },
                ))
                .with_string_to_value(Arc::new(
                    |s| if is_word(s, "off") { Some(0.0) } else { finite(s, "") },
                )),
            no_repeat: IntParam::new("No repeat", 0, IntRange::Linear { min: 0, max: 64 })
                .with_value_to_string(Arc::new(|n| if n == 0 { "Off".to_owned() } else { n.to_string() }))
                .with_string_to_value(Arc::new(|s| word_or(s, "off", 0))),
            seed: IntParam::new("Seed", 1, IntRange::Linear { min: 0, max: 9999 })
                .with_value_to_string(Arc::new(|s| {
                    if s == 0 { "New each time".to_owned() } else { s.to_string() }
                }))
                .with_string_to_value(Arc::new(|s| word_or(s, "new each time", 0))),
            through: BoolParam::new("Pass through", true),
            saved: Saved::new(shared),
            model_path: RwLock::new(String::new()),
            device: RwLock::default(),
            presses,
        }
    }

    /// The model folder wanted: the environment's, then the project's.
    #[must_use]
    pub fn model_folder(&self) -> Option<PathBuf> {
        static ENVIRONMENT: LazyLock<Option<PathBuf>> =
            LazyLock::new(|| std::env::var_os("CONTINUO_MODEL").filter(|p| !p.is_empty()).map(PathBuf::from));
        ENVIRONMENT.clone().or_else(|| {
            let path = self.model_path.read();
            (!path.trim().is_empty()).then(|| PathBuf::from(path.trim()))
        })
    }
}

fn momentary(name: &str, presses: &Arc<Presses>, count: fn(&Presses) -> &AtomicU32) -> BoolParam {
    let presses = Arc::clone(presses);
    BoolParam::new(name, false).with_callback(Arc::new(move |on| {
        if on {
            count(&presses).fetch_add(1, Ordering::AcqRel);
        }
    }))
}

/// Reads a whole number, or the word that stands for one.
fn word_or(text: &str, word: &str, value: i32) -> Option<i32> {
    if is_word(text, word) { Some(value) } else { text.trim().parse().ok() }
}

fn is_word(text: &str, word: &str) -> bool {
    text.trim().eq_ignore_ascii_case(word)
}

/// Reads a number with or without its unit; "NaN" is none.
fn finite(text: &str, unit: &str) -> Option<f32> {
    let text = text.trim();
    let number = text.strip_suffix(unit).unwrap_or(text).trim();
    number.parse().ok().filter(|n: &f32| n.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", "NaN", "inf", "off", "beats"] {
            assert_eq!(finite(text, "beats"), None, "{text}");
        }
        assert_eq!((finite(" 2.5 beats", "beats"), finite("3", "beats")), (Some(2.5), Some(3.0)));
        assert_eq!(
            (word_or("OFF ", "off", 0), word_or("7", "off", 0), word_or("x", "off", 0)),
            (Some(0), Some(7), None)
        );
    }

    #[test]
    fn what_old_projects_do_not_know_is_off() {
        let params = ContinuoParams::new(Arc::default());
        assert_eq!((params.min_p.value(), params.no_repeat.value()), (0.0, 0));
        assert_eq!(*params.device.read(), DeviceChoice::Auto);
    }

    #[test]
    fn the_device_is_kept_with_the_project_and_an_older_one_leaves_it() {
        let params = ContinuoParams::new(Arc::default());
        *params.device.write() = DeviceChoice::Cuda;
        let mut kept = params.serialize_fields();
        assert_eq!(kept.get("device").map(String::as_str), Some("\"cuda\""));
        let other = ContinuoParams::new(Arc::default());
        other.deserialize_fields(&kept);
        assert_eq!(*other.device.read(), DeviceChoice::Cuda);
        kept.remove("device");
        other.deserialize_fields(&kept);
        assert_eq!(*other.device.read(), DeviceChoice::Cuda);
        kept.insert("device".to_owned(), "\"abacus\"".to_owned());
        other.deserialize_fields(&kept);
        assert_eq!(*other.device.read(), DeviceChoice::Auto);
    }

    #[test]
    fn values_read_back_as_they_are_written() {
        let params = ContinuoParams::new(Arc::default());
        for normalized in [0.0, 0.004, 0.5, 1.0] {
            for (value, back) in [
                (params.top_k.normalized_value_to_string(normalized, true), params.top_k.name()),
                (params.seed.normalized_value_to_string(normalized, true), params.seed.name()),
                (params.top_p.normalized_value_to_string(normalized, true), params.top_p.name()),
                (params.min_p.normalized_value_to_string(normalized, true), params.min_p.name()),
                (params.no_repeat.normalized_value_to_string(normalized, true), params.no_repeat.name()),
                (params.bars.normalized_value_to_string(normalized, true), params.bars.name()),
                (params.pause.normalized_value_to_string(normalized, true), params.pause.name()),
            ] {
                let read = match back {
                    "Top k" => params.top_k.string_to_normalized_value(&value),
                    "Seed" => params.seed.string_to_normalized_value(&value),
                    "Top p" => params.top_p.string_to_normalized_value(&value),
                    "Min p" => params.min_p.string_to_normalized_value(&value),
                    "No repeat" => params.no_repeat.string_to_normalized_value(&value),
                    "Length" => params.bars.string_to_normalized_value(&value),
                    _ => params.pause.string_to_normalized_value(&value),
                };
                let read = read.unwrap_or_else(|| panic!("{back}: {value:?} cannot be read"));
                assert!(
                    (read - normalized).abs() < 0.04,
                    "{back}: {normalized} became {value:?} became {read}"
                );
            }
        }
    }
}
