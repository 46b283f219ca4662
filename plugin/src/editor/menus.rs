//! The menus in the header: presets, models, settings, help.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use continuo_engine::DeviceChoice;
use continuo_hub::places::{self, Located};
use continuo_hub::{Kind, RepoName};
use egui::{RichText, TextEdit, Ui};
use nice_plug::context::gui::GuiContext;
use parking_lot::Mutex;

use super::{Window, theme};
use crate::acts::Act;
use crate::pulling::{Ended, Pull};
use crate::store::presets::{self, Preset};

/// The sizes the editor can have.
const SCALES: [(f32, &str); 5] =
    [(1.0, "100 %"), (1.25, "125 %"), (1.5, "150 %"), (1.75, "175 %"), (2.0, "200 %")];

/// What is typed and chosen in the menus.
#[derive(Default)]
pub(super) struct Menus {
    /// A model as it is being typed.
    model: String,
    /// A preset's name as it is being typed.
    preset: String,
    /// The musician's own presets, read when the menu opens.
    own: Vec<Preset>,
    /// A folder or file that a dialog came back with.
    picked: Arc<Mutex<Option<PathBuf>>>,
}

impl Window {
    pub(super) fn menus(&mut self, ui: &mut Ui, gui: &GuiContext) {
        self.settings_menu(ui);
        self.model_menu(ui);
        self.preset_menu(ui, gui);
        ui.add_space(8.0);
        if ui.button("Redo").on_hover_text("Does again what was undone (Shift+U)").clicked() {
            self.params.acts.ask(Act::Redo);
        }
        if ui.button("Undo").on_hover_text("Undoes what was done to takes (U)").clicked() {
            self.params.acts.ask(Act::Undo);
        }
    }

    fn preset_menu(&mut self, ui: &mut Ui, gui: &GuiContext) {
        let opened = ui.menu_button("Presets", |ui| {
            ui.set_min_width(190.0);
            for preset in presets::factory() {
                if ui.button(&preset.name).clicked() {
                    presets::apply(&self.params, &preset, gui);
                    ui.close();
                }
            }
            ui.separator();
            for preset in self.menus.own.clone() {
                ui.horizontal(|ui| {
                    if ui.button(&preset.name).clicked() {
                        presets::apply(&self.params, &preset, gui);
                        ui.close();
                    }
                    if ui.small_button("x").on_hover_text("Remove it").clicked() {
                        self.with_home(|home| presets::remove(home, &preset.name));
                        self.read_presets();
                    }
                });
            }
            ui.horizontal(|ui| {
                ui.add(TextEdit::singleline(&mut self.menus.preset).hint_text("name").desired_width(110.0));
                if ui.button("Save").clicked() {
                    let preset = presets::capture(&self.params, &self.menus.preset);
                    self.with_home(|home| presets::save(home, &preset));
                    self.read_presets();
                }
            });
        });
        if opened.response.clicked() {
            self.read_presets();
        }
    }

    fn read_presets(&mut self) {
        if let Some(home) = &self.home {
            let (own, problems) = presets::own(home);
            self.menus.own = own;
            self.problem = problems.into_iter().next();
        }
    }

    fn model_menu(&mut self, ui: &mut Ui) {
        ui.menu_button("Model", |ui| {
            ui.set_min_width(280.0);
            let chosen = self.params.model_path.read().clone();
            if ui.selectable_label(chosen.is_empty(), "Built in").clicked() {
                self.choose_model("");
                ui.close();
            }
            for model in self.settings.models.clone() {
                if ui.selectable_label(chosen == model, &model).clicked() {
                    self.want_model(&model);
                    ui.close();
                }
            }
            ui.separator();
            if ui.button("Add a folder...").clicked() {
                self.pick(|dialog| Box::pin(dialog.pick_folder()));
                ui.close();
            }
            if ui.button("Add a GGUF file...").clicked() {
                self.pick(|dialog| Box::pin(dialog.add_filter("GGUF", &["gguf"]).pick_file()));
                ui.close();
            }
            let hint = "a path, or owner/name on the hub";
            let edit = TextEdit::singleline(&mut self.menus.model).hint_text(hint).desired_width(260.0);
            let typed = ui.add(edit).on_hover_text(
                "A model of the Hugging Face Hub is downloaded once, and found by its name from then on",
            );
            if typed.lost_focus() && !self.menus.model.trim().is_empty() {
                let model = std::mem::take(&mut self.menus.model);
                self.want_model(model.trim());
                ui.close();
            }
            if let Located::Path(_) = self.locate(&chosen)
                && let Ok(name) = chosen.parse::<RepoName>()
                && ui
                    .button(format!("Update {name}"))
                    .on_hover_text("Looks for a newer one on the hub")
                    .clicked()
            {
                self.pull_model(name);
                ui.close();
            }
            ui.separator();
            self.device_menu(ui);
        });
    }

    /// What the model shall run on.
    fn device_menu(&mut self, ui: &mut Ui) {
        let wanted = *self.params.device.read();
        ui.label(RichText::new("Runs on").small().color(theme::MUTED));
        let there = |choice: &DeviceChoice| choice.is_built() || *choice == wanted;
        for choice in DeviceChoice::ALL.into_iter().filter(there) {
            let name = device_name(choice);
            let help = "The same seed may give other notes on another device";
            if ui.selectable_label(choice == wanted, name).on_hover_text(help).clicked() {
                *self.params.device.write() = choice;
            }
        }
    }

    /// Takes a model, and remembers it.
    pub(super) fn choose_model(&mut self, model: &str) {
        model.clone_into(&mut self.params.model_path.write());
        if !model.is_empty() {
            self.settings.add_model(model);
            self.save_settings();
        }
    }

    /// Takes a model, or pulls it first if it is on the hub only.
    fn want_model(&mut self, model: &str) {
        match self.locate(model) {
            Located::Path(_) => self.choose_model(model),
            Located::Hub(name) => self.pull_model(name),
        }
    }

    /// What a model's path or name means on this machine.
    fn locate(&self, model: &str) -> Located {
        places::locate(Kind::Model, Path::new(model), self.home.as_deref())
    }

    /// The model of this project that is on the hub only.
    pub(super) fn absent(&self) -> Option<RepoName> {
        match self.locate(self.params.model_path.read().trim()) {
            Located::Hub(name) => Some(name),
            Located::Path(_) => None,
        }
    }

    /// Begins to pull a model.
    pub(super) fn pull_model(&mut self, name: RepoName) {
        let Some(home) = &self.home else { return };
        self.problem = None;
        let into = places::folder(home, Kind::Model, &name);
        self.pull = Some(Pull::begin(name, into));
    }

    /// Takes note of a pull that has ended.
    pub(super) fn take_pulled(&mut self) {
        let Some((ended, name)) =
            self.pull.as_ref().and_then(|pull| Some((pull.ended()?, pull.name().clone())))
        else {
            return;
        };
        self.pull = None;
        match ended {
            Ended::Here => {
                self.choose_model(&name.to_string());
                self.status.lock().notice = Some(format!("{name} is here"));
            }
            Ended::Stopped => {
                self.status.lock().notice =
                    Some(format!("Stopped; what came of {name} is kept for the next time"));
            }
            Ended::Failed(why) => self.problem = Some(why),
        }
    }

    fn pick(
        &self,
        ask: impl FnOnce(
            rfd::AsyncFileDialog,
        ) -> std::pin::Pin<Box<dyn Future<Output = Option<rfd::FileHandle>> + Send>>,
    ) {
        let (file, picked) = (ask(rfd::AsyncFileDialog::new()), Arc::clone(&self.menus.picked));
        std::thread::spawn(move || {
            *picked.lock() = pollster::block_on(file).map(|file| file.path().to_owned())
        });
    }

    /// Takes what a dialog came back with.
    pub(super) fn take_picked(&mut self) {
        let picked = self.menus.picked.lock().take();
        if let Some(path) = picked {
            self.choose_model(&path.display().to_string());
        }
    }

    fn settings_menu(&mut self, ui: &mut Ui) {
        ui.menu_button("Settings", |ui| {
            ui.set_min_width(230.0);
            ui.label(RichText::new("Size").small().color(theme::MUTED));
            ui.horizontal(|ui| {
                for (scale, name) in SCALES {
                    if ui.selectable_label((self.settings.scale - scale).abs() < 0.01, name).clicked() {
                        self.settings.scale = scale;
                        ui.set_zoom(scale);
                        self.save_settings();
                    }
                }
            });
            ui.separator();
            let noted = "Note down which takes I keep and like";
            if ui
                .checkbox(&mut self.settings.feedback, noted)
                .on_hover_text(
                    "On this machine only, in a file for training models on your taste; never sent anywhere",
                )
                .changed()
            {
                self.save_settings();
            }
            if let Some(home) = &self.home {
                ui.label(RichText::new(home.display().to_string()).small().color(theme::MUTED));
            }
            ui.separator();
            if ui.button("Keys (?)").clicked() {
                self.help = true;
                ui.close();
            }
        });
    }

    fn with_home(&mut self, work: impl FnOnce(&std::path::Path) -> Result<(), String>) {
        self.problem = match &self.home {
            Some(home) => work(home).err(),
            None => Some("There is no folder for this user's data; set CONTINUO_HOME to one".to_owned()),
        };
    }

    pub(super) fn save_settings(&mut self) {
        let settings = self.settings.clone();
        self.with_home(|home| settings.save(home));
    }
}

/// A choice as it is shown.
const fn device_name(choice: DeviceChoice) -> &'static str {
    match choice {
        DeviceChoice::Auto => "Automatic",
        DeviceChoice::Cpu => "Processor",
        DeviceChoice::Cuda => "CUDA",
        DeviceChoice::Metal => "Metal",
    }
}

/// Changes the size of everything.
trait Zoom {
    fn set_zoom(&self, scale: f32);
}

impl Zoom for Ui {
    fn set_zoom(&self, scale: f32) {
        self.ctx().set_zoom_factor(scale);
    }
}
