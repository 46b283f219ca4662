//! The window: status, the piano roll, and the parameters. It reads what the
//! inference thread writes and never touches what the audio thread needs.
//!
//! - `words`: the status in words.
//! - `roll`: the piano roll.
//! - `actions`: what is done to takes; `kept`: those that were kept; `saving`: as files.
//! - `controls`: the parameters in groups; `widgets`: what they are made of.
//! - `menus`: presets, models, settings. `keys`: the keyboard.
//! - `theme`: colours and sizes.

mod actions;
mod controls;
mod kept;
mod keys;
mod menus;
mod roll;
mod saving;
mod theme;
mod widgets;
mod words;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use continuo_engine::worker::ModelState;
use egui::{Align, Frame, Layout, Margin, RichText, Ui, vec2};
use nice_plug::context::gui::GuiContext;
use nice_plug::editor::SizeConstraints;
use nice_plug::editor::dpi::LogicalSize;
use nice_plug::prelude::*;
use nice_plug_egui::baseview::HandlerError;
use nice_plug_egui::{
    EguiEditor, EguiEditorState, EguiNiceSettings, Frame as WindowFrame, NiceEguiApp, create_egui_editor,
};
use parking_lot::Mutex;

pub use controls::Group;

use crate::link::Shared;
use crate::params::{ContinuoParams, Mode};
use crate::pulling::Pull;
use crate::responder::{Status, View};
use crate::state::Session;
use crate::store;
use crate::store::feedback::{self, Opinion};
use crate::store::settings::Settings;

/// The plugin's editor.
pub type ContinuoEditor = EguiEditor<Window>;

/// The window's size at first, and the least it can have, at a scale of 1.
pub const SIZE: (f32, f32) = (1000.0, 600.0);
/// Between two pictures.
const FRAME_TIME: Duration = Duration::from_millis(33);

/// What the window shows and remembers.
pub struct Window {
    params: Arc<ContinuoParams>,
    shared: Arc<Shared>,
    status: Arc<Mutex<Status>>,
    gui: Option<GuiContext>,
    typing: widgets::Typing,
    /// The group of parameters that is shown.
    pub group: Group,
    /// Whether the list of keys is shown.
    pub help: bool,
    roll: roll::Sight,
    menus: menus::Menus,
    saver: saving::Saver,
    settings: Settings,
    /// Where settings, presets and feedback are kept.
    home: Option<PathBuf>,
    /// What went wrong with one of these.
    problem: Option<String>,
    /// A model on its way from the hub.
    pub pull: Option<Pull>,
}

/// An editor for a plugin instance.
#[must_use]
pub fn create(params: Arc<ContinuoParams>, shared: Arc<Shared>, view: View) -> Option<ContinuoEditor> {
    let window = Window::new(params, shared, Arc::clone(&view.status), store::home());
    let size = LogicalSize::new(SIZE.0, SIZE.1);
    let scale = window.settings.scale;
    let mut resize = ResizeHint::RESIZABLE;
    resize.size_constraints = SizeConstraints::Logical { min_size: Some(size), max_size: None };
    let settings = EguiNiceSettings::new()
        .with_tile("Continuo")
        .with_resize_hint(resize)
        .with_repaint_poll_interval(FRAME_TIME);
    create_egui_editor(EguiEditorState::from_size(size.cast::<f64>(), scale), view.repaint, settings, window)
}

impl NiceEguiApp for Window {
    fn build(
        &mut self,
        ctx: egui::Context,
        gui: GuiContext,
        frame: &mut WindowFrame,
    ) -> Result<(), HandlerError> {
        Self::dress(&ctx);
        frame.set_clear_color(theme::GROUND.into());
        self.gui = Some(gui);
        Ok(())
    }

    fn ui(&mut self, ui: &mut Ui, _frame: &mut WindowFrame) {
        let Some(gui) = self.gui.clone() else { return };
        self.show(ui, &gui);
        // Should the inference thread not run, which asks for new pictures otherwise.
        ui.request_repaint_after(8 * FRAME_TIME);
    }

    fn editor_closed(&mut self) {
        self.gui = None;
    }
}

impl Window {
    /// A window on a plugin instance; `home` is where settings and presets are kept.
    #[must_use]
    pub fn new(
        params: Arc<ContinuoParams>,
        shared: Arc<Shared>,
        status: Arc<Mutex<Status>>,
        home: Result<PathBuf, String>,
    ) -> Self {
        let loaded = home.as_ref().map_err(Clone::clone).and_then(|home| Settings::load(home));
        let (settings, problem) = match loaded {
            Ok(settings) => (settings, None),
            Err(problem) => (Settings::default(), Some(problem)),
        };
        Self {
            params,
            shared,
            status,
            gui: None,
            typing: widgets::Typing::default(),
            group: Group::default(),
            help: false,
            roll: roll::Sight::default(),
            menus: menus::Menus::default(),
            saver: saving::Saver::default(),
            settings,
            home: home.ok(),
            problem,
            pull: None,
        }
    }

    /// What went wrong with settings or presets has been seen.
    pub fn forget_problem(&mut self) {
        self.problem = None;
    }

    /// Gives a new window its look.
    pub fn dress(ctx: &egui::Context) {
        theme::apply(ctx);
    }

    /// Everything.
    pub fn show(&mut self, ui: &mut Ui, gui: &GuiContext) {
        self.take_saved();
        self.take_picked();
        self.take_pulled();
        let setter = gui.param_setter();
        let ground = Frame::NONE.fill(theme::GROUND).inner_margin(Margin::same(14));
        egui::CentralPanel::default().frame(ground).show(ui, |ui| {
            let status = self.status.lock().clone();
            let session = self.params.saved.placed();
            self.header(ui, &setter, gui);
            self.state(ui, &status, &session);
            ui.add_space(2.0);
            let below = actions::HEIGHT + controls::HEIGHT + 30.0;
            let height = (ui.available_height() - below).max(80.0);
            self.music(ui, &session, height);
            ui.add_space(4.0);
            self.actions(ui, &setter, &session);
            ui.add_space(4.0);
            self.controls(ui, &setter);
            self.keys(ui, &setter, &session);
        });
        if self.help {
            self.key_list(ui);
        }
    }

    fn header(&mut self, ui: &mut Ui, setter: &ParamSetter<'_>, gui: &GuiContext) {
        ui.horizontal(|ui| {
            ui.label(RichText::new("Continuo").heading().strong());
            ui.add_space(14.0);
            let modes = [
                (Mode::Trigger, "Answer", "You play, then ask for an answer"),
                (Mode::Reply, "Reply", "You play and pause; it answers by itself"),
                (Mode::Trade, "Trade", "You and it play the same number of bars in turn"),
                (Mode::Accompany, "Accompany", "It plays along with the phrase you played"),
            ];
            let current = self.params.mode.value();
            let items = modes.iter().map(|(mode, name, help)| (*mode == current, true, *name, *help));
            if let Some((mode, ..)) = widgets::segments(ui, items).and_then(|index| modes.get(index)) {
                setter.begin_set_parameter(&self.params.mode);
                setter.set_parameter(&self.params.mode, *mode);
                setter.end_set_parameter(&self.params.mode);
            }
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| self.menus(ui, gui));
        });
    }

    /// The status line.
    fn state(&mut self, ui: &mut Ui, status: &Status, session: &Session) {
        let now = self.shared.playhead().1;
        let scene = words::Scene {
            session,
            mode: self.params.mode.value(),
            open: self.shared.phrase_open(),
            bypass: self.params.bypass.value(),
            turn: self.shared.turn().map(|(end, own)| (end - now, own)),
        };
        let (color, words) = match (&self.pull, &self.problem) {
            (Some(pull), _) => (theme::ANSWER, pull.words()),
            (None, Some(problem)) => (theme::ALARM, problem.clone()),
            (None, None) => words::of(status, &scene),
        };
        ui.horizontal(|ui| {
            let (dot, _) = ui.allocate_exact_size(vec2(9.0, 18.0), egui::Sense::hover());
            ui.painter().circle_filled(dot.center(), 4.0, color);
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                self.beside(ui, status);
                ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                    ui.add(egui::Label::new(RichText::new(&words)).truncate()).on_hover_text(&words);
                });
            });
        });
    }

    /// What the model is; or, where it is on its way or must be pulled, that.
    fn beside(&mut self, ui: &mut Ui, status: &Status) {
        if let Some(pull) = &self.pull {
            if ui.small_button("Stop").on_hover_text("What came so far is kept for the next time").clicked() {
                pull.stop();
            }
            widgets::share(ui, pull.share(), vec2(220.0, 8.0));
        } else if let Some(ModelState::Failed(_)) = &status.model
            && let Some(name) = self.absent()
        {
            if ui.small_button(format!("Download {name}")).clicked() {
                self.pull_model(name);
            }
        } else {
            ui.label(RichText::new(machine(status)).small().color(theme::MUTED));
        }
    }

    /// The roll, and beside it what was kept.
    fn music(&mut self, ui: &mut Ui, session: &Session, height: f32) {
        ui.horizontal(|ui| {
            let kept = if session.kept.is_empty() { 0.0 } else { kept::WIDTH + ui.spacing().item_spacing.x };
            let view = roll::View {
                session,
                take: self.shared.audible(),
                playhead: self.shared.playhead(),
                open: self.shared.phrase_open(),
                turn: self.shared.turn(),
            };
            roll::show(ui, vec2(ui.available_width() - kept, height), &view, &mut self.roll);
            if kept > 0.0 {
                self.kept(ui, session, height);
            }
        });
    }

    /// What was thought of the take heard is noted down, unless that is switched off.
    fn opinion(&mut self, session: &Session, opinion: Opinion) {
        let (true, Some(home), Some(answer)) = (self.settings.feedback, &self.home, &session.answer) else {
            return;
        };
        self.problem = feedback::note(home, opinion, answer, self.shared.audible()).err();
    }

    /// Takes note of what became of a file.
    fn take_saved(&mut self) {
        match self.saver.take() {
            Some(Ok(path)) => {
                self.settings.folder = path.parent().map(std::path::Path::to_owned);
                self.save_settings();
                self.status.lock().notice = Some(format!("Saved as {}", path.display()));
            }
            Some(Err(problem)) => self.problem = Some(problem),
            None => {}
        }
    }
}

/// What the model is, what it runs on, and how long the last answer took.
fn machine(status: &Status) -> String {
    let Some(ModelState::Ready(ready)) = &status.model else { return String::new() };
    let mut words = vec![ready.name.clone(), ready.device.clone()];
    if let Some(latency) = status.latency {
        words.push(format!("first note after {:.0} ms", latency.as_secs_f64() * 1000.0));
    }
    words.retain(|word| !word.is_empty());
    words.join("  |  ")
}
