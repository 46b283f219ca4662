//! Saving takes as MIDI files: through a dialog, or into the folder chosen last. Dialogs
//! run on a thread of their own.

use std::path::PathBuf;
use std::sync::Arc;

use egui::Ui;
use parking_lot::Mutex;

use crate::state::{Answer, Kept};
use crate::store::midi_file;
use crate::store::settings::Settings;

/// A take that can be saved.
pub(super) struct Piece {
    name: String,
    bytes: Vec<u8>,
}

impl Piece {
    pub(super) fn of_take(answer: &Answer, take: usize) -> Self {
        Self { name: midi_file::name(&answer.recipe, take), bytes: midi_file::of_take(answer, take) }
    }

    pub(super) fn of_kept(kept: &Kept) -> Self {
        Self { name: midi_file::name(&kept.recipe, kept.take), bytes: midi_file::of_kept(kept) }
    }
}

/// What became of the last save.
type Outcome = Arc<Mutex<Option<Result<PathBuf, String>>>>;

/// Saves, and remembers what became of it.
#[derive(Default)]
pub(super) struct Saver {
    outcome: Outcome,
    /// The file written last.
    last: Option<PathBuf>,
}

impl Saver {
    /// What became of a save since the last look: the file, or why there is none.
    pub(super) fn take(&mut self) -> Option<Result<PathBuf, String>> {
        let outcome = self.outcome.lock().take()?;
        if let Ok(path) = &outcome {
            self.last = Some(path.clone());
        }
        Some(outcome)
    }

    /// The ways to save a take.
    pub(super) fn menu(&mut self, ui: &mut Ui, piece: &Piece, settings: &Settings) {
        if ui.button("Save as MIDI file...").clicked() {
            self.ask(piece, settings.folder.clone());
            ui.close();
        }
        if let Some(folder) = &settings.folder
            && ui.button(format!("Save into {}", folder.display())).clicked()
        {
            *self.outcome.lock() = Some(midi_file::save_in(folder, &piece.name, &piece.bytes));
            ui.close();
        }
        if let Some(last) = &self.last
            && ui.button("Copy the last file's path").clicked()
        {
            ui.copy_text(last.display().to_string());
            ui.close();
        }
    }

    fn ask(&self, piece: &Piece, folder: Option<PathBuf>) {
        let mut dialog = rfd::AsyncFileDialog::new()
            .set_title("Save the take")
            .add_filter("MIDI file", &["mid"])
            .set_file_name(format!("{}.mid", piece.name));
        if let Some(folder) = folder {
            dialog = dialog.set_directory(folder);
        }
        let (file, bytes, outcome) = (dialog.save_file(), piece.bytes.clone(), Arc::clone(&self.outcome));
        std::thread::spawn(move || {
            if let Some(file) = pollster::block_on(file) {
                let path = file.path().to_owned();
                *outcome.lock() = Some(midi_file::save_as(&path, &bytes).map(|()| path));
            }
        });
    }
}
