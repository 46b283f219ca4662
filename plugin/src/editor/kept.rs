//! The list of takes that were kept.

use egui::{RichText, ScrollArea, Ui, vec2};

use super::{Window, saving, theme};
use crate::acts::Act;
use crate::state::{Kept, Session};

/// The list's width.
pub(super) const WIDTH: f32 = 210.0;
/// The height of an entry.
const ROW: f32 = 38.0;

impl Window {
    pub(super) fn kept(&mut self, ui: &mut Ui, session: &Session, height: f32) {
        let card = egui::Frame::NONE.fill(theme::CARD).corner_radius(theme::ROUND).inner_margin(10);
        card.show(ui, |ui| {
            ui.set_min_size(vec2(WIDTH - 20.0, height - 20.0));
            ui.set_max_size(vec2(WIDTH - 20.0, height - 20.0));
            ui.vertical(|ui| self.entries(ui, session));
        });
    }

    fn entries(&mut self, ui: &mut Ui, session: &Session) {
        let title = format!("Kept takes: {}", session.kept.len());
        ui.label(RichText::new(title).small().color(theme::MUTED));
        ScrollArea::vertical().auto_shrink(false).show_rows(ui, ROW, session.kept.len(), |ui, rows| {
            for index in rows {
                if let Some(kept) = session.kept.get(index) {
                    self.entry(ui, index, kept);
                }
            }
        });
    }

    fn entry(&mut self, ui: &mut Ui, index: usize, kept: &Kept) {
        ui.horizontal(|ui| {
            ui.vertical(|ui| {
                ui.spacing_mut().item_spacing.y = 1.0;
                let bar = (kept.start - kept.recipe.bar_line) / kept.recipe.meter().bar() + 1.0;
                let place = if kept.recipe.on_host {
                    format!("Bar {}", bar.floor())
                } else {
                    "Not placed".to_owned()
                };
                ui.label(RichText::new(format!("{place}, take {}", kept.take + 1)).color(theme::KEPT));
                let details = format!("seed {}, {} notes", kept.recipe.seed, kept.notes.len());
                ui.label(RichText::new(details).small().color(theme::MUTED));
            });
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                ui.menu_button("...", |ui| {
                    self.saver.menu(ui, &saving::Piece::of_kept(kept), &self.settings);
                    if ui.button("Make its takes again").clicked() {
                        self.params.acts.ask(Act::MakeAgain(Box::new(kept.recipe.clone())));
                        ui.close();
                    }
                    if ui.button("Drop it").clicked() {
                        self.params.acts.ask(Act::Drop(index));
                        ui.close();
                    }
                });
            });
        });
    }
}
