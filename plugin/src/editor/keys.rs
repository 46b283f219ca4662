//! The keyboard, while nothing is being typed.

use egui::{Align2, Key, RichText, Ui};
use nice_plug::prelude::*;

use super::{Window, theme};
use crate::acts::Act;
use crate::state::Session;

/// What the keys do, for the list of them.
const LIST: [(&str, &str); 9] = [
    ("Space", "Answer"),
    ("A / V", "Again / Vary"),
    ("Esc", "Stop the answer"),
    ("Left / Right", "The take before / the next take"),
    ("1 to 8", "Hear that take"),
    ("K", "Keep the take"),
    ("D", "Discard the answer"),
    ("U / Shift+U", "Undo / redo"),
    ("?", "This list"),
];

impl Window {
    pub(super) fn keys(&mut self, ui: &Ui, setter: &ParamSetter<'_>, session: &Session) {
        if ui.memory(|memory| memory.focused().is_some()) {
            return;
        }
        let pressed = |key| ui.input(|input| input.key_pressed(key));
        let shift = ui.input(|input| input.modifiers.shift);
        let params = &self.params;
        for (key, param) in [
            (Key::Space, &params.trigger),
            (Key::Enter, &params.trigger),
            (Key::A, &params.again),
            (Key::V, &params.vary),
            (Key::Escape, &params.stop),
        ] {
            if pressed(key) {
                press(setter, param);
            }
        }
        for (key, by) in [(Key::ArrowLeft, -1), (Key::ArrowRight, 1)] {
            if pressed(key) {
                self.shared.turn_by(by);
            }
        }
        let numbers =
            [Key::Num1, Key::Num2, Key::Num3, Key::Num4, Key::Num5, Key::Num6, Key::Num7, Key::Num8];
        if let Some(take) = numbers.into_iter().position(pressed) {
            self.choose(setter, take);
        }
        if pressed(Key::D) {
            params.acts.ask(Act::Discard);
        }
        if pressed(Key::U) {
            params.acts.ask(if shift { Act::Redo } else { Act::Undo });
        }
        if pressed(Key::K) {
            self.keep(session);
        }
        if pressed(Key::Questionmark) || (shift && pressed(Key::Slash)) {
            self.help = !self.help;
        }
    }

    /// The list of keys, over everything.
    pub(super) fn key_list(&mut self, ui: &Ui) {
        let frame = egui::Frame::NONE.fill(theme::CARD).corner_radius(theme::ROUND).inner_margin(18);
        let frame = frame.stroke(egui::Stroke::new(1.0, theme::LEVEL));
        egui::Area::new(egui::Id::unique("keys")).anchor(Align2::CENTER_CENTER, [0.0, 0.0]).show(
            ui.ctx(),
            |ui| {
                frame.show(ui, |ui| {
                    ui.label(RichText::new("Keys").heading());
                    egui::Grid::new("list").num_columns(2).spacing([24.0, 6.0]).show(ui, |ui| {
                        for (key, what) in LIST {
                            ui.label(RichText::new(key).color(theme::ANSWER));
                            ui.label(what);
                            ui.end_row();
                        }
                    });
                    if ui.button("Close").clicked() {
                        self.help = false;
                    }
                });
            },
        );
    }
}

/// Presses a momentary parameter and lets it go.
fn press(setter: &ParamSetter<'_>, param: &BoolParam) {
    setter.begin_set_parameter(param);
    setter.set_parameter(param, true);
    setter.set_parameter(param, false);
    setter.end_set_parameter(param);
}
