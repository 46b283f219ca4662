//! The row of things to do: ask, stop, choose among takes, keep, save.

use egui::{Align, Layout, Ui, vec2};
use nice_plug::prelude::ParamSetter;

use super::{Window, saving, theme, widgets};
use crate::acts::Act;
use crate::state::Session;
use crate::store::feedback::Opinion;

/// The height of the row.
pub(super) const HEIGHT: f32 = 44.0;

impl Window {
    pub(super) fn actions(&mut self, ui: &mut Ui, setter: &ParamSetter<'_>, session: &Session) {
        ui.horizontal(|ui| {
            let params = &self.params;
            let help = "Answers what was just played (Space)";
            widgets::press(
                ui,
                setter,
                &params.trigger,
                vec2(132.0, HEIGHT),
                theme::ANSWER,
                theme::GROUND,
                help,
            );
            ui.spacing_mut().item_spacing.x = 4.0;
            ui.spacing_mut().button_padding.x = 5.0;
            let plain = |ui: &mut Ui, param, width, help| {
                widgets::press(ui, setter, param, vec2(width, HEIGHT), theme::FIELD, theme::TEXT, help);
            };
            plain(ui, &params.again, 62.0, "Other takes of the same phrase, at the same place");
            plain(ui, &params.vary, 56.0, "Takes that begin like the one you hear and go on otherwise");
            plain(ui, &params.stop, 56.0, "Ends the answer that sounds (Esc)");
            ui.add_space(9.0);
            self.takes(ui, setter, session);
            ui.add_space(9.0);
            self.keeping(ui, session);
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                ui.spacing_mut().item_spacing.x = 4.0;
                let help = "Stops, and forgets phrase and answer; kept takes stay";
                widgets::press(
                    ui,
                    setter,
                    &self.params.clear,
                    vec2(58.0, HEIGHT),
                    theme::FIELD,
                    theme::MUTED,
                    help,
                );
                self.files(ui, session);
                self.thumbs(ui, session);
            });
        });
    }

    /// The takes of the answer, the one heard among them.
    fn takes(&mut self, ui: &mut Ui, setter: &ParamSetter<'_>, session: &Session) {
        let there = session.answer.as_ref().map_or(0, |answer| answer.takes.len());
        let heard = self.shared.audible();
        ui.spacing_mut().item_spacing.x = 2.0;
        if widgets::button(ui, there > 1, "<", vec2(22.0, HEIGHT), "The take before (Left)") {
            self.shared.turn_by(-1);
        }
        for take in 0..there.max(1) {
            let name = (take + 1).to_string();
            let chosen = there > 0 && take == heard;
            if widgets::chip(ui, there > 0, chosen, &name, vec2(26.0, HEIGHT), "Hear this take") {
                self.choose(setter, take);
            }
        }
        if widgets::button(ui, there > 1, ">", vec2(22.0, HEIGHT), "The next take (Right)") {
            self.shared.turn_by(1);
        }
    }

    /// A take is chosen by its parameter, so that the host knows.
    pub(super) fn choose(&self, setter: &ParamSetter<'_>, take: usize) {
        let take = i32::try_from(take).unwrap_or(0) + 1;
        setter.begin_set_parameter(&self.params.take);
        setter.set_parameter(&self.params.take, take);
        setter.end_set_parameter(&self.params.take);
        self.shared.turn_back();
    }

    fn keeping(&mut self, ui: &mut Ui, session: &Session) {
        let there = session.answer.is_some();
        ui.spacing_mut().item_spacing.x = 4.0;
        let help = "Makes this take part of the timeline: it sounds whenever the transport passes (K)";
        if widgets::strong(ui, there, "Keep", vec2(60.0, HEIGHT), theme::KEPT, help) {
            self.keep(session);
        }
        let acts = &self.params.acts;
        if widgets::button(ui, there, "Discard", vec2(66.0, HEIGHT), "Drops the answer (D)") {
            acts.ask(Act::Discard);
        }
    }

    /// Keeps the take heard, and notes down that it was the one.
    pub(super) fn keep(&mut self, session: &Session) {
        self.params.acts.ask(Act::Keep);
        self.opinion(session, Opinion::Kept);
    }

    fn thumbs(&mut self, ui: &mut Ui, session: &Session) {
        if !self.settings.feedback {
            return;
        }
        let there = session.answer.is_some();
        let where_to = "noted down on this machine only";
        if widgets::button(ui, there, "-1", vec2(34.0, HEIGHT), &format!("Not this one ({where_to})")) {
            self.opinion(session, Opinion::Disliked);
        }
        if widgets::button(ui, there, "+1", vec2(34.0, HEIGHT), &format!("I like it ({where_to})")) {
            self.opinion(session, Opinion::Liked);
        }
    }

    fn files(&mut self, ui: &mut Ui, session: &Session) {
        let take = self.shared.audible();
        let there = session.answer.as_ref().filter(|answer| take < answer.takes.len());
        ui.add_enabled_ui(there.is_some(), |ui| {
            let button = egui::Button::new("Save").min_size(vec2(54.0, HEIGHT)).fill(theme::FIELD);
            egui::containers::menu::MenuButton::from_button(button).ui(ui, |ui| {
                let Some(answer) = there else { return };
                let take = saving::Piece::of_take(answer, take);
                self.saver.menu(ui, &take, &self.settings);
            });
        });
    }
}
