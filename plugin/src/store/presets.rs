//! Presets: values of parameters by their ids, as texts that the parameters read. The
//! factory's are in the program, the musician's own are files.

use std::collections::BTreeMap;
use std::path::Path;

use nice_plug::context::gui::GuiContext;
use nice_plug::params::Params;
use serde::{Deserialize, Serialize};

use crate::params::ContinuoParams;

/// The folder of the musician's own.
const FOLDER: &str = "presets";
/// The parameters a preset sets. Not among them: what is pressed, what belongs to the place
/// a plugin has in a project, and the take heard.
pub const PRESETABLE: [&str; 25] = [
    "mode",
    "pause",
    "turn",
    "start",
    "bars",
    "yield",
    "listen",
    "takes",
    "root",
    "scale",
    "low",
    "high",
    "polyphony",
    "density",
    "grid",
    "keep_rhythm",
    "drums",
    "temperature",
    "top_k",
    "top_p",
    "min_p",
    "no_repeat",
    "seed",
    "follow_velocity",
    "follow_timing",
];

/// A name, and values of parameters by their ids. Those not named get their defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preset {
    /// What it is called.
    pub name: String,
    /// Texts as the parameters read them.
    pub values: BTreeMap<String, String>,
}

/// The factory's presets: name, and what differs from the defaults.
const FACTORY: [(&str, &[(&str, &str)]); 11] = [
    (
        "Call and response",
        &[
            ("mode", "Reply"),
            ("pause", "1.5"),
            ("start", "Next beat"),
            ("bars", "2"),
            ("yield", "Stops at once"),
        ],
    ),
    ("Trade fours", &[("mode", "Trade"), ("takes", "1"), ("seed", "New each time")]),
    ("Trade twos", &[("mode", "Trade"), ("turn", "2"), ("takes", "1"), ("seed", "New each time")]),
    ("Second voice", &[("mode", "Accompany"), ("polyphony", "1"), ("keep_rhythm", "On"), ("takes", "4")]),
    (
        "Bass below",
        &[
            ("mode", "Accompany"),
            ("polyphony", "1"),
            ("low", "E1"),
            ("high", "G3"),
            ("grid", "1/8"),
            ("takes", "4"),
        ],
    ),
    (
        "Solo in blues",
        &[
            ("root", "A"),
            ("scale", "Blues"),
            ("polyphony", "1"),
            ("low", "C4"),
            ("high", "C6"),
            ("temperature", "1.1"),
            ("takes", "4"),
        ],
    ),
    (
        "Drum fills",
        &[("drums", "On"), ("bars", "1"), ("grid", "1/16"), ("takes", "8"), ("temperature", "1.05")],
    ),
    ("Sparse", &[("density", "1"), ("polyphony", "2"), ("bars", "8")]),
    ("As I play", &[("follow_velocity", "100"), ("follow_timing", "100"), ("listen", "8")]),
    (
        "Jam until I play",
        &[
            ("mode", "Reply"),
            ("bars", "Until I play"),
            ("yield", "Stops at once"),
            ("takes", "1"),
            ("no_repeat", "24"),
        ],
    ),
    (
        "Daring",
        &[
            ("temperature", "1.3"),
            ("top_p", "Off"),
            ("min_p", "0.02"),
            ("takes", "8"),
            ("seed", "New each time"),
        ],
    ),
];

/// The presets that come with the program, plain defaults first.
pub fn factory() -> impl Iterator<Item = Preset> {
    let plain = Preset { name: "Plain".to_owned(), ..Preset::default() };
    std::iter::once(plain).chain(FACTORY.iter().map(|(name, values)| Preset {
        name: (*name).to_owned(),
        values: values.iter().map(|(id, text)| ((*id).to_owned(), (*text).to_owned())).collect(),
    }))
}

/// The musician's own in a folder by name, and sentences about files that are none.
#[must_use]
pub fn own(home: &Path) -> (Vec<Preset>, Vec<String>) {
    let (mut presets, mut problems) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(home.join(FOLDER)).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|ending| ending != "json") {
            continue;
        }
        let read = std::fs::read_to_string(&path).map_err(|error| error.to_string());
        match read.and_then(|text| serde_json::from_str(&text).map_err(|error| error.to_string())) {
            Ok(preset) => presets.push(preset),
            Err(error) => problems.push(format!("{} is no preset ({error}); remove it", path.display())),
        }
    }
    presets.sort_by(|a: &Preset, b| a.name.cmp(&b.name));
    (presets, problems)
}

/// Keeps one of the musician's own; one of its name is replaced.
///
/// # Errors
/// A sentence with the file's name.
pub fn save(home: &Path, preset: &Preset) -> Result<(), String> {
    let text = serde_json::to_string_pretty(preset).map_err(|error| error.to_string())?;
    super::write(&home.join(FOLDER).join(file_name(&preset.name)?), text.as_bytes())
}

/// Removes one of the musician's own.
///
/// # Errors
/// A sentence with the file's name.
pub fn remove(home: &Path, name: &str) -> Result<(), String> {
    let file = home.join(FOLDER).join(file_name(name)?);
    std::fs::remove_file(&file).map_err(|error| format!("{} cannot be removed: {error}", file.display()))
}

fn file_name(name: &str) -> Result<String, String> {
    let plain: String = name.trim().chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).collect();
    if plain.is_empty() { Err("a preset needs a name".to_owned()) } else { Ok(format!("{plain}.json")) }
}

/// The parameters as they are now, as a preset.
#[must_use]
pub fn capture(params: &ContinuoParams, name: &str) -> Preset {
    let mut values = BTreeMap::new();
    for (id, param, _) in params.param_map() {
        if PRESETABLE.contains(&id.as_str()) {
            // SAFETY: `params` outlives its own pointers.
            let text =
                unsafe { param.normalized_value_to_string(param.unmodulated_normalized_value(), false) };
            values.insert(id, text);
        }
    }
    Preset { name: name.trim().to_owned(), values }
}

/// Gives the parameters a preset's values, as gestures the host can undo.
pub fn apply(params: &ContinuoParams, preset: &Preset, gui: &GuiContext) {
    for (id, param, _) in params.param_map() {
        if !PRESETABLE.contains(&id.as_str()) {
            continue;
        }
        // SAFETY: `params` outlives its own pointers, and they are this plugin's.
        unsafe {
            let text = preset.values.get(&id).and_then(|text| param.string_to_normalized_value(text));
            let value = text.unwrap_or_else(|| param.default_normalized_value());
            gui.raw_begin_set_parameter(param);
            gui.raw_set_parameter_normalized(param, value);
            gui.raw_end_set_parameter(param);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn every_value_of_the_factory_is_one_that_its_parameter_reads() {
        let params = ContinuoParams::new(Arc::default());
        let map: BTreeMap<_, _> = params.param_map().into_iter().map(|(id, param, _)| (id, param)).collect();
        assert!(PRESETABLE.iter().all(|id| map.contains_key(*id)));
        for preset in factory() {
            for (id, text) in &preset.values {
                assert!(PRESETABLE.contains(&id.as_str()), "{}: {id}", preset.name);
                // SAFETY: `params` lives.
                let (value, default) =
                    unsafe { (map[id].string_to_normalized_value(text), map[id].default_normalized_value()) };
                let value = value.unwrap_or_else(|| panic!("{}: {id} = {text}", preset.name));
                assert!((0.0..=1.0).contains(&value) && value != default, "{}: {id} = {text}", preset.name);
            }
        }
    }

    #[test]
    fn own_presets_are_kept_and_what_is_none_is_named() {
        let home = tempfile::tempdir().unwrap();
        let params = ContinuoParams::new(Arc::default());
        let preset = capture(&params, " My / preset ");
        assert_eq!((preset.values.len(), preset.values["bars"].as_str()), (PRESETABLE.len(), "4 bars"));
        save(home.path(), &preset).unwrap();
        assert!(save(home.path(), &Preset { name: "../..".to_owned(), ..preset.clone() }).is_err());
        std::fs::write(home.path().join(FOLDER).join("broken.json"), "{").unwrap();
        let (presets, problems) = own(home.path());
        assert_eq!((presets, problems.len()), (vec![preset], 1));
        assert!(problems[0].contains("broken.json"));
        remove(home.path(), "My / preset").unwrap();
        assert!(own(home.path()).0.is_empty());
    }
}
