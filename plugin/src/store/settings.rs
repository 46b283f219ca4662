//! What the musician chose once for all projects, in a small JSON file.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The file's name.
const FILE: &str = "settings.json";
/// Models that are remembered.
const MOST_MODELS: usize = 32;

/// The choices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// How large the editor is, 1 being as designed.
    pub scale: f32,
    /// Whether takes that were kept, liked or not are noted down.
    pub feedback: bool,
    /// Where MIDI files were saved last.
    pub folder: Option<PathBuf>,
    /// Models that were added: folders, files, hub names.
    pub models: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { scale: 1.0, feedback: true, folder: None, models: Vec::new() }
    }
}

impl Settings {
    /// The settings in a folder; the usual ones where there are none.
    ///
    /// # Errors
    /// A sentence with the file's name, where it cannot be read.
    pub fn load(home: &Path) -> Result<Self, String> {
        let file = home.join(FILE);
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(format!("{} cannot be read: {error}", file.display())),
        };
        let mut settings: Self = serde_json::from_str(&text)
            .map_err(|error| format!("{} is damaged ({error}); correct or remove it", file.display()))?;
        settings.scale = if settings.scale.is_finite() { settings.scale.clamp(1.0, 2.0) } else { 1.0 };
        settings.models.truncate(MOST_MODELS);
        Ok(settings)
    }

    /// Keeps them in a folder.
    ///
    /// # Errors
    /// A sentence with the file's name.
    pub fn save(&self, home: &Path) -> Result<(), String> {
        let text = serde_json::to_string_pretty(self).map_err(|error| error.to_string())?;
        super::write(&home.join(FILE), text.as_bytes())
    }

    /// Remembers a model, the newest first.
    pub fn add_model(&mut self, name: &str) {
        self.models.retain(|model| model != name);
        self.models.insert(0, name.to_owned());
        self.models.truncate(MOST_MODELS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_loaded_and_damage_is_said() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(Settings::load(home.path()), Ok(Settings::default()));
        let mut settings = Settings { scale: 1.5, feedback: false, ..Settings::default() };
        for model in ["a/b", "/models/c", "a/b"] {
            settings.add_model(model);
        }
        settings.save(home.path()).unwrap();
        assert_eq!(Settings::load(home.path()), Ok(settings));
        std::fs::write(home.path().join(FILE), "{\"scale\": ").unwrap();
        assert!(Settings::load(home.path()).unwrap_err().contains("settings.json is damaged"));
        std::fs::write(home.path().join(FILE), "{\"scale\": 99, \"later\": true}").unwrap();
        assert_eq!(Settings::load(home.path()).unwrap().scale, 2.0);
    }
}
