//! What host and musician can set.
//!
//! - [`choices`]: parameters that are a choice among names.
//! - [`pages`]: what hardware controllers show together.
//! - [`presses`]: momentary parameters.
//! - [`text`]: how values are shown and read.

pub mod choices;
pub mod pages;
pub mod presses;
pub mod text;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

use continuo_engine::DeviceChoice;
use nice_plug::prelude::*;
use parking_lot::RwLock;

pub use choices::{GridChoice, Mode, Root, ScaleChoice, Start, Yield};
pub use presses::{Press, Presses};

use crate::acts::Acts;
use crate::link::Shared;
use crate::state::Saved;

/// Whether this is the program of its own, where nothing else makes a sound: the preview is
/// on from the beginning.
pub static STANDALONE: AtomicBool = AtomicBool::new(false);

/// All parameters, and what is saved beside them.
#[derive(Params)]
pub struct ContinuoParams {
    /// Asks for an answer whenever it goes from off to on.
    #[id = "trigger"]
    pub trigger: BoolParam,
    /// Asks for other takes of the same phrase at the same place.
    #[id = "again"]
    pub again: BoolParam,
    /// Asks for takes that begin as the one heard and go on otherwise.
    #[id = "vary"]
    pub vary: BoolParam,
    /// Ends the answer that sounds.
    #[id = "stop"]
    pub stop: BoolParam,
    /// Stops and forgets phrase and answer.
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
    /// How long a turn is in [`Mode::Trade`], in bars.
    #[id = "turn"]
    pub turn: IntParam,
    /// Where an answer begins.
    #[id = "start"]
    pub start: EnumParam<Start>,
    /// How many bars an answer has; 0 goes on until the player plays.
    #[id = "bars"]
    pub bars: IntParam,
    /// What becomes of an answer when the player plays into it.
    #[id = "yield"]
    pub yields: EnumParam<Yield>,
    /// How many bars back the phrase reaches; 0 is what was played since the last answer.
    #[id = "listen"]
    pub listen: IntParam,
    /// A MIDI key that asks for an answer; -1 is none.
    #[id = "trigger_note"]
    pub trigger_note: IntParam,
    /// A MIDI controller that asks for an answer; -1 is none.
    #[id = "trigger_cc"]
    pub trigger_cc: IntParam,

    /// How many takes an answer has.
    #[id = "takes"]
    pub takes: IntParam,
    /// Which take is heard, counted from 1.
    #[id = "take"]
    pub take: IntParam,
    /// Goes to the next take.
    #[id = "next"]
    pub next: BoolParam,
    /// Goes to the take before.
    #[id = "previous"]
    pub previous: BoolParam,
    /// Makes the take heard part of the timeline.
    #[id = "keep"]
    pub keep: BoolParam,
    /// Drops the answer.
    #[id = "discard"]
    pub discard: BoolParam,
    /// Undoes what was done last to takes.
    #[id = "undo"]
    pub undo: BoolParam,
    /// Does again what was undone last.
    #[id = "redo"]
    pub redo: BoolParam,

    /// The tonic of the scale.
    #[id = "root"]
    pub root: EnumParam<Root>,
    /// The scale an answer keeps to.
    #[id = "scale"]
    pub scale: EnumParam<ScaleChoice>,
    /// The lowest pitch.
    #[id = "low"]
    pub low: IntParam,
    /// The highest pitch.
    #[id = "high"]
    pub high: IntParam,
    /// How many notes sound at once at most; 0 is as many as there are.
    #[id = "polyphony"]
    pub polyphony: IntParam,
    /// How many notes a beat has at most; 0 is as many as there are.
    #[id = "density"]
    pub density: FloatParam,
    /// Where notes may begin.
    #[id = "grid"]
    pub grid: EnumParam<GridChoice>,
    /// Whether the answer has the phrase's rhythm.
    #[id = "keep_rhythm"]
    pub keep_rhythm: BoolParam,
    /// Whether what is played is drums, whatever its channel.
    #[id = "drums"]
    pub drums: BoolParam,

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

    /// How much the answer's velocities follow the player's.
    #[id = "follow_velocity"]
    pub follow_velocity: FloatParam,
    /// How much the answer's timing follows the player's.
    #[id = "follow_timing"]
    pub follow_timing: FloatParam,

    /// Whether what the player plays is passed on.
    #[id = "through"]
    pub through: BoolParam,
    /// Whether what is sent is also heard as a simple sound on the audio output.
    #[id = "preview"]
    pub preview: BoolParam,
    /// How loud that sound is, as a gain.
    #[id = "preview_level"]
    pub preview_level: FloatParam,

    /// Phrase and takes.
    #[persist = "session"]
    pub saved: Saved,
    /// A model to use in place of the embedded one: a folder, a file or a hub's name; empty
    /// for the latter.
    #[persist = "model_path"]
    pub model_path: RwLock<String>,
    /// What the model shall run on. No parameter: loading takes too long to automate.
    #[persist = "device"]
    pub device: RwLock<DeviceChoice>,

    /// How often the momentary parameters were pressed.
    pub presses: Arc<Presses>,
    /// What else is to be done to takes.
    pub acts: Acts,
}

impl ContinuoParams {
    /// Parameters at their defaults.
    #[must_use]
    pub fn new(shared: Arc<Shared>) -> Self {
        let presses = Arc::new(Presses::default());
        let momentary = |name, press| presses::momentary(name, &presses, press);
        let audible = Arc::clone(&shared);
        Self {
            trigger: momentary("Answer", Press::Answer),
            again: momentary("Again", Press::Again),
            vary: momentary("Vary", Press::Vary),
            stop: momentary("Stop", Press::Stop),
            clear: momentary("Clear", Press::Clear),
            bypass: BoolParam::new("Bypass", false).make_bypass(),
            mode: EnumParam::new("Mode", Mode::Trigger),
            pause: FloatParam::new("Pause", 2.0, FloatRange::Linear { min: 0.25, max: 16.0 })
                .with_step_size(0.25)
                .with_unit(" beats")
                .with_value_to_string(formatters::v2s_f32_rounded(2))
                .with_string_to_value(Arc::new(|s| text::finite(s, "beats"))),
            turn: IntParam::new("Turn", 4, IntRange::Linear { min: 1, max: 16 }).with_unit(" bars"),
            start: EnumParam::new("Start", Start::Bar),
            bars: text::bars("Length", 4, 16, "Until I play"),
            yields: EnumParam::new("When I play", Yield::Never),
            listen: text::bars("Listen", 0, 32, "Since the answer"),
            trigger_note: text::key("Trigger note", -1, Some("Off")),
            trigger_cc: text::whole_or("Trigger CC", -1, (-1, 119), -1, "Off"),
            takes: IntParam::new("Takes", 2, IntRange::Linear { min: 1, max: 8 }),
            take: IntParam::new("Take", 1, IntRange::Linear { min: 1, max: 8 })
                .with_callback(Arc::new(move |_| audible.turn_back())),
            next: presses::turning("Next take", &shared, 1),
            previous: presses::turning("Previous take", &shared, -1),
            keep: momentary("Keep", Press::Keep),
            discard: momentary("Discard", Press::Discard),
            undo: momentary("Undo", Press::Undo),
            redo: momentary("Redo", Press::Redo),
            root: EnumParam::new("Key", Root::C),
            scale: EnumParam::new("Scale", ScaleChoice::Off),
            low: text::key("Lowest", 0, None),
            high: text::key("Highest", 127, None),
            polyphony: text::whole_or("Voices", 0, (0, 16), 0, "Any"),
            density: text::density("Density"),
            grid: EnumParam::new("Grid", GridChoice::Off),
            keep_rhythm: BoolParam::new("Keep rhythm", false),
            drums: BoolParam::new("Drums", false),
            temperature: FloatParam::new("Temperature", 0.95, FloatRange::Linear { min: 0.1, max: 2.0 })
                .with_step_size(0.01)
                .with_value_to_string(formatters::v2s_f32_rounded(2))
                .with_string_to_value(Arc::new(|s| text::finite(s, ""))),
            top_k: text::whole_or("Top k", 0, (0, 200), 0, "Off"),
            top_p: text::fraction_or_off("Top p", 0.97, (0.1, 1.0), 1.0),
            min_p: text::fraction_or_off("Min p", 0.0, (0.0, 0.5), 0.0),
            no_repeat: text::whole_or("No repeat", 0, (0, 64), 0, "Off"),
            seed: text::whole_or("Seed", 1, (0, 9999), 0, "New each time"),
            follow_velocity: text::percent("Follow velocity", 0.0),
            follow_timing: text::percent("Follow timing", 0.0),
            through: BoolParam::new("Pass through", true),
            preview: BoolParam::new("Preview sound", STANDALONE.load(Ordering::Relaxed)),
            preview_level: FloatParam::new(
                "Preview level",
                util::db_to_gain(-12.0),
                FloatRange::Skewed {
                    min: util::db_to_gain(-48.0),
                    max: util::db_to_gain(0.0),
                    factor: FloatRange::gain_skew_factor(-48.0, 0.0),
                },
            )
            .with_unit(" dB")
            .with_value_to_string(formatters::v2s_f32_gain_to_db(1))
            .with_string_to_value(formatters::s2v_f32_gain_to_db()),
            saved: Saved::new(shared),
            model_path: RwLock::new(String::new()),
            device: RwLock::default(),
            presses,
            acts: Acts::default(),
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

#[cfg(test)]
mod tests {
    use super::*;

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
