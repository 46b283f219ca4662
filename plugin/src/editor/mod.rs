//! The window: status, the piano roll, and the parameters. It reads what the
//! inference thread writes and never touches what the audio thread needs.

mod roll;
mod theme;
mod widgets;

use std::sync::Arc;
use std::time::Duration;

use continuo_engine::DeviceChoice;
use continuo_engine::worker::ModelState;
use egui::{Align, Color32, Frame, Layout, Margin, RichText, TextEdit, Ui, vec2};
use nice_plug::context::gui::GuiContext;
use nice_plug::editor::SizeConstraints;
use nice_plug::editor::dpi::LogicalSize;
use nice_plug::prelude::*;
use nice_plug_egui::baseview::HandlerError;
use nice_plug_egui::{
    EguiEditor, EguiEditorState, EguiNiceSettings, Frame as WindowFrame, NiceEguiApp, create_egui_editor,
};
use parking_lot::Mutex;

use crate::link::Shared;
use crate::params::{ContinuoParams, Mode, Start};
use crate::responder::{Status, View};
use crate::state::Session;

/// The plugin's editor.
pub type ContinuoEditor = EguiEditor<Window>;

/// The window's size at first, and the least it can have.
const SIZE: (f32, f32) = (840.0, 450.0);
/// The room below the roll.
const CONTROLS: f32 = 160.0;
/// The width of the choice of what the model runs on.
const DEVICE: f32 = 118.0;
/// Between two pictures.
const FRAME_TIME: Duration = Duration::from_millis(33);

/// What the window shows and remembers.
pub struct Window {
    params: Arc<ContinuoParams>,
    shared: Arc<Shared>,
    status: Arc<Mutex<Status>>,
    gui: Option<GuiContext>,
    typing: widgets::Typing,
    /// The model folder as it is being typed.
    folder: String,
}

/// An editor for a plugin instance.
#[must_use]
pub fn create(params: Arc<ContinuoParams>, shared: Arc<Shared>, view: View) -> Option<ContinuoEditor> {
    let size = LogicalSize::new(SIZE.0, SIZE.1);
    let mut resize = ResizeHint::RESIZABLE;
    resize.size_constraints = SizeConstraints::Logical { min_size: Some(size), max_size: None };
    let settings = EguiNiceSettings::new()
        .with_tile("Continuo")
        .with_resize_hint(resize)
        .with_repaint_poll_interval(FRAME_TIME);
    let View { status, repaint } = view;
    let typing = widgets::Typing::default();
    let window = Window { params, shared, status, gui: None, typing, folder: String::new() };
    create_egui_editor(EguiEditorState::from_size(size.cast::<f64>(), 1.0), repaint, settings, window)
}

impl NiceEguiApp for Window {
    fn build(
        &mut self,
        ctx: egui::Context,
        gui: GuiContext,
        frame: &mut WindowFrame,
    ) -> Result<(), HandlerError> {
        theme::apply(&ctx);
        frame.set_clear_color(theme::GROUND.into());
        self.gui = Some(gui);
        self.folder.clone_from(&self.params.model_path.read());
        Ok(())
    }

    fn ui(&mut self, ui: &mut Ui, _frame: &mut WindowFrame) {
        let Some(gui) = self.gui.clone() else { return };
        let setter = gui.param_setter();
        let ground = Frame::NONE.fill(theme::GROUND).inner_margin(Margin::same(14));
        egui::CentralPanel::default().frame(ground).show(ui, |ui| {
            let status = self.status.lock().clone();
            let session = self.params.saved.placed();
            self.header(ui, &status, &session);
            ui.add_space(4.0);
            let view = roll::View {
                session: &session,
                take: crate::number::to_usize(self.params.take.value() - 1),
                playhead: self.shared.playhead(),
                open: self.shared.phrase_open(),
            };
            let height = (ui.available_height() - CONTROLS).max(80.0);
            roll::show(ui, vec2(ui.available_width(), height), &view);
            ui.add_space(4.0);
            self.actions(ui, &setter, &session);
            ui.add_space(4.0);
            self.shape(ui, &setter);
            ui.add_space(2.0);
            self.chance(ui, &setter);
        });
        // Should the inference thread not run, which asks for new pictures otherwise.
        ui.request_repaint_after(8 * FRAME_TIME);
    }

    fn editor_closed(&mut self) {
        self.gui = None;
    }
}

impl Window {
    fn header(&self, ui: &mut Ui, status: &Status, session: &Session) {
        ui.horizontal(|ui| {
            ui.label(RichText::new("Continuo").heading().strong());
            ui.add_space(10.0);
            let (color, words) = self.words(status, session);
            let (dot, _) = ui.allocate_exact_size(vec2(9.0, 9.0), egui::Sense::hover());
            ui.painter().circle_filled(dot.center(), 4.0, color);
            ui.add(egui::Label::new(RichText::new(&words)).truncate()).on_hover_text(&words);
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                if let Some(latency) = status.latency {
                    let text = format!("first note after {:.0} ms", latency.as_secs_f64() * 1000.0);
                    ui.label(RichText::new(text).small().color(theme::MUTED));
                }
            });
        });
    }

    /// The status in words, and its colour.
    fn words(&self, status: &Status, session: &Session) -> (Color32, String) {
        match &status.model {
            None => return (theme::MUTED, "Waiting for the host to start audio".to_owned()),
            Some(ModelState::Loading) => return (theme::ANSWER, "Loading the model".to_owned()),
            Some(ModelState::Failed(why)) => return (theme::ALARM, format!("No model: {why}")),
            Some(ModelState::Ready(_)) => {}
        }
        if status.thinking {
            return (theme::ANSWER, "Thinking".to_owned());
        }
        if let Some(error) = &status.error {
            return (theme::ALARM, format!("No answer: {error}"));
        }
        if self.params.bypass.value() {
            return (theme::MUTED, "Bypassed".to_owned());
        }
        match &session.answer {
            _ if self.shared.phrase_open() => (theme::PHRASE, "Listening".to_owned()),
            Some(answer) => {
                let again = if answer.recipe.again > 0 {
                    format!(", again {}", answer.recipe.again)
                } else {
                    String::new()
                };
                (theme::GOOD, format!("Answered (seed {}{again})", answer.recipe.seed))
            }
            None => match &status.model {
                Some(ModelState::Ready(ready)) if ready.fallback.is_some() => {
                    let why = ready.fallback.as_deref().unwrap_or_default();
                    (theme::ANSWER, format!("Ready, on the processor: {why}"))
                }
                _ => (theme::GOOD, "Ready: play a phrase".to_owned()),
            },
        }
    }

    fn actions(&mut self, ui: &mut Ui, setter: &ParamSetter<'_>, session: &Session) {
        ui.horizontal(|ui| {
            let params = &self.params;
            let help = "Answers what was just played; pressed again, gives another answer";
            widgets::press(
                ui,
                setter,
                &params.trigger,
                vec2(150.0, 46.0),
                theme::ANSWER,
                theme::GROUND,
                help,
            );
            let help = "Stops, and forgets phrase and answer";
            widgets::press(ui, setter, &params.clear, vec2(74.0, 46.0), theme::FIELD, theme::TEXT, help);
            ui.add_space(10.0);
            takes(ui, params, setter, session);
            ui.add_space(10.0);
            self.model(ui);
        });
    }

    fn model(&mut self, ui: &mut Ui) {
        let (name, device, fallback) = match &self.status.lock().model {
            Some(ModelState::Ready(ready)) => {
                (ready.name.clone(), ready.device.clone(), ready.fallback.clone())
            }
            _ => ("none".to_owned(), String::new(), None),
        };
        let width = (ui.available_width() - DEVICE - ui.spacing().item_spacing.x).clamp(60.0, 260.0);
        ui.scope(|ui| {
            ui.set_max_width(width);
            widgets::captioned(ui, &format!("Model: {name}"), |ui| {
                let edit = TextEdit::singleline(&mut self.folder)
                    .hint_text("built in, or type a folder")
                    .margin(vec2(8.0, 5.0))
                    .desired_width(width);
                let response = ui.add(edit);
                if response.lost_focus() {
                    self.folder.trim().clone_into(&mut self.params.model_path.write());
                } else if !response.has_focus() {
                    // A project may have been loaded.
                    self.folder.clone_from(&self.params.model_path.read());
                }
            });
        });
        self.device(ui, &device, fallback.as_deref());
    }

    /// What the model runs on: above as it is, below as it is wanted.
    fn device(&self, ui: &mut Ui, device: &str, fallback: Option<&str>) {
        let mut wanted = *self.params.device.read();
        let before = wanted;
        ui.scope(|ui| {
            ui.set_max_width(DEVICE);
            widgets::captioned(ui, device, |ui| {
                let combo = egui::ComboBox::from_id_salt("device").selected_text(device_name(wanted));
                let shown = combo.width(DEVICE).show_ui(ui, |ui| {
                    let there = |choice: &DeviceChoice| choice.is_built() || *choice == before;
                    for choice in DeviceChoice::ALL.into_iter().filter(there) {
                        ui.selectable_value(&mut wanted, choice, device_name(choice));
                    }
                });
                let help = "What the model runs on; the same seed may give other notes on another";
                shown.response.on_hover_text(fallback.unwrap_or(help));
            });
        });
        if wanted != before {
            *self.params.device.write() = wanted;
        }
    }

    fn shape(&mut self, ui: &mut Ui, setter: &ParamSetter<'_>) {
        let (params, typing) = (&self.params, &mut self.typing);
        ui.horizontal(|ui| {
            let modes = [
                (Mode::Trigger, "On trigger", "Answers when asked"),
                (Mode::Reply, "After a pause", "Answers when nothing was played for a while, too"),
            ];
            widgets::choice(ui, setter, &params.mode, &modes);
            let help = "How long a pause is answered, in beats";
            widgets::number(ui, typing, setter, &params.pause, 92.0, help);
            ui.add_space(10.0);
            let starts = [
                (Start::Now, "Now", "As soon as the first note is known"),
                (Start::Beat, "Beat", "On the next beat"),
                (Start::Bar, "Bar", "On the next bar line"),
            ];
            widgets::choice(ui, setter, &params.start, &starts);
            widgets::number(ui, typing, setter, &params.bars, 82.0, "How long an answer is");
            widgets::number(ui, typing, setter, &params.takes, 62.0, "How many answers to choose from");
        });
    }

    fn chance(&mut self, ui: &mut Ui, setter: &ParamSetter<'_>) {
        let (params, typing) = (&self.params, &mut self.typing);
        ui.horizontal(|ui| {
            let help = "Low is cautious, high is daring";
            widgets::number(ui, typing, setter, &params.temperature, 96.0, help);
            let help = "Chooses among so many of the likeliest continuations";
            widgets::number(ui, typing, setter, &params.top_k, 78.0, help);
            let help = "Chooses among the likeliest continuations of so much probability";
            widgets::number(ui, typing, setter, &params.top_p, 78.0, help);
            let help = "Leaves out what is less likely than this share of the likeliest";
            widgets::number(ui, typing, setter, &params.min_p, 78.0, help);
            let help = "Never says so many ids in a row twice; a note has about 3, 13 in text";
            widgets::number(ui, typing, setter, &params.no_repeat, 84.0, help);
            let help = "The same seed gives the same answers to the same phrase";
            widgets::number(ui, typing, setter, &params.seed, 120.0, help);
            ui.add_space(10.0);
            widgets::toggle(ui, setter, &params.through, "Whether what you play is heard");
            widgets::toggle(ui, setter, &params.bypass, "Everything through, nothing answered");
        });
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

/// The takes of the answer, the one heard among them.
fn takes(ui: &mut Ui, params: &ContinuoParams, setter: &ParamSetter<'_>, session: &Session) {
    widgets::captioned(ui, params.take.name(), |ui| {
        let chosen = params.take.value();
        let wanted = params.takes.value();
        let there =
            session.answer.as_ref().map_or(wanted, |a| i32::try_from(a.takes.len()).unwrap_or(wanted));
        let names: Vec<String> = (1..=there.max(1)).map(|n| n.to_string()).collect();
        let heard = chosen.min(there.max(1));
        let items = (1..).zip(&names).map(|(n, name)| (n == heard, true, name.as_str(), "Hear this take"));
        if let Some(index) = widgets::segments(ui, items) {
            let take = i32::try_from(index).unwrap_or(0) + 1;
            setter.begin_set_parameter(&params.take);
            setter.set_parameter(&params.take, take);
            setter.end_set_parameter(&params.take);
        }
    });
}

#[cfg(test)]
mod tests {
    use continuo_engine::worker::Ready;

    use super::*;

    #[test]
    fn why_the_model_is_not_where_it_was_wanted_is_said() {
        let shared = Arc::<Shared>::default();
        let window = Window {
            params: Arc::new(ContinuoParams::new(Arc::clone(&shared))),
            shared,
            status: Arc::default(),
            gui: None,
            typing: widgets::Typing::default(),
            folder: String::new(),
        };
        let mut ready = Ready { fallback: Some("no card".to_owned()), ..Ready::default() };
        let says = |ready: &Ready| {
            let status = Status { model: Some(ModelState::Ready(ready.clone())), ..Status::default() };
            window.words(&status, &Session::default()).1
        };
        assert_eq!(says(&ready), "Ready, on the processor: no card");
        ready.fallback = None;
        assert_eq!(says(&ready), "Ready: play a phrase");
    }
}
