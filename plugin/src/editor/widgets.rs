//! Controls bound to parameters: every change goes to the host as a gesture, so
//! that it can be recorded and undone there.

use egui::{
    Align2, Color32, CursorIcon, FontId, Id, Key, Label, Rect, Response, RichText, Sense, TextEdit, Ui, Vec2,
    pos2, vec2,
};
use nice_plug::prelude::*;

use super::theme;

/// A wider button than this is the one that matters.
const LARGE: f32 = 100.0;
/// The height of fields and buttons.
const HEIGHT: f32 = 26.0;
/// Dragging over so many points goes through the whole range.
const DRAG_POINTS: f32 = 220.0;
/// With shift, so much finer.
const FINE: f32 = 0.1;

/// The field that is being typed in.
#[derive(Default)]
pub(super) struct Typing {
    field: Option<(Id, String)>,
}

/// A muted caption above a control.
pub(super) fn captioned<R>(ui: &mut Ui, caption: &str, add: impl FnOnce(&mut Ui) -> R) -> R {
    ui.vertical(|ui| {
        ui.spacing_mut().item_spacing.y = 3.0;
        ui.add(Label::new(RichText::new(caption).small().color(theme::MUTED)).truncate());
        add(ui)
    })
    .inner
}

/// A number: drag it, click to type, double-click for its default.
pub(super) fn number<P: Param>(
    ui: &mut Ui,
    typing: &mut Typing,
    setter: &ParamSetter<'_>,
    param: &P,
    width: f32,
    help: &str,
) {
    captioned(ui, param.name(), |ui| {
        let (rect, response) = ui.allocate_exact_size(vec2(width, HEIGHT), Sense::click_and_drag());
        let id = response.id;
        if typing.field.as_ref().is_some_and(|(field, _)| *field == id) {
            type_in(ui, typing, setter, param, rect);
            return;
        }
        drag(ui, setter, param, &response);
        if response.double_clicked() {
            set(setter, param, param.default_normalized_value());
        } else if response.clicked() {
            typing.field =
                Some((id, param.normalized_value_to_string(param.unmodulated_normalized_value(), false)));
        }
        paint_number(ui, param, rect, response.hovered() || response.dragged());
        response.on_hover_cursor(CursorIcon::ResizeHorizontal).on_hover_text(help);
    });
}

fn drag<P: Param>(ui: &Ui, setter: &ParamSetter<'_>, param: &P, response: &Response) {
    // The exact place: whole numbers must not swallow small movements.
    let place = response.id.with("place");
    if response.drag_started() {
        setter.begin_set_parameter(param);
        ui.data_mut(|d| d.insert_temp(place, param.unmodulated_normalized_value()));
    }
    if response.dragged() {
        let fine = if ui.input(|i| i.modifiers.shift) { FINE } else { 1.0 };
        let from: f32 = ui.data(|d| d.get_temp(place)).unwrap_or(0.0);
        let to = (from + response.drag_delta().x / DRAG_POINTS * fine).clamp(0.0, 1.0);
        ui.data_mut(|d| d.insert_temp(place, to));
        let value = param.preview_plain(to);
        if value != param.unmodulated_plain_value() {
            setter.set_parameter(param, value);
        }
    }
    if response.drag_stopped() {
        setter.end_set_parameter(param);
    }
}

fn type_in<P: Param>(ui: &mut Ui, typing: &mut Typing, setter: &ParamSetter<'_>, param: &P, rect: Rect) {
    let Some((_, text)) = &mut typing.field else { return };
    let edit = TextEdit::singleline(text).margin(vec2(6.0, 5.0)).desired_width(rect.width());
    let response = ui.put(rect, edit);
    if !response.has_focus() && !response.lost_focus() {
        response.request_focus();
    }
    if response.lost_focus() {
        let cancelled = ui.input(|i| i.key_pressed(Key::Escape));
        if !cancelled && let Some(value) = param.string_to_normalized_value(text) {
            set(setter, param, value);
        }
        typing.field = None;
    }
}

fn set<P: Param>(setter: &ParamSetter<'_>, param: &P, normalized: f32) {
    setter.begin_set_parameter(param);
    setter.set_parameter(param, param.preview_plain(normalized));
    setter.end_set_parameter(param);
}

fn paint_number<P: Param>(ui: &Ui, param: &P, rect: Rect, lit: bool) {
    let painter = ui.painter_at(rect);
    let ground = if lit { theme::FIELD_HOVER } else { theme::FIELD };
    painter.rect_filled(rect, theme::ROUND_FIELD, ground);
    let share = param.unmodulated_normalized_value().clamp(0.0, 1.0);
    let bar = Rect::from_min_max(
        pos2(rect.left(), rect.bottom() - 3.0),
        pos2(rect.left() + rect.width() * share, rect.bottom()),
    );
    painter.rect_filled(bar, 1, theme::LEVEL);
    let text = param.normalized_value_to_string(param.unmodulated_normalized_value(), true);
    painter.text(
        rect.center() - vec2(0.0, 1.0),
        Align2::CENTER_CENTER,
        text,
        FontId::proportional(13.5),
        theme::TEXT,
    );
}

/// One of a few choices, side by side.
pub(super) fn choice<T: Enum + PartialEq + Copy + 'static>(
    ui: &mut Ui,
    setter: &ParamSetter<'_>,
    param: &EnumParam<T>,
    choices: &[(T, &str, &str)],
) {
    captioned(ui, param.name(), |ui| {
        let current = param.value();
        let picked =
            segments(ui, choices.iter().map(|(value, name, help)| (*value == current, true, *name, *help)));
        if let Some((value, ..)) = picked.and_then(|index| choices.get(index)) {
            setter.begin_set_parameter(param);
            setter.set_parameter(param, *value);
            setter.end_set_parameter(param);
        }
    });
}

/// Buttons that belong together: chosen, enabled, name, help. The one clicked.
pub(super) fn segments<'a>(
    ui: &mut Ui,
    items: impl Iterator<Item = (bool, bool, &'a str, &'a str)>,
) -> Option<usize> {
    let mut picked = None;
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 2.0;
        for (index, (chosen, enabled, name, help)) in items.enumerate() {
            let color = if chosen { theme::GROUND } else { theme::TEXT };
            let fill = if chosen { theme::ANSWER } else { theme::FIELD };
            let button =
                egui::Button::new(RichText::new(name).color(color)).fill(fill).min_size(vec2(26.0, HEIGHT));
            let response = ui.add_enabled(enabled, button);
            if response.clicked() {
                picked = Some(index);
            }
            if !help.is_empty() {
                response.on_hover_text(help);
            }
        }
    });
    picked
}

/// A plain button. Whether it was clicked.
/// A bar that is full by a share.
pub(super) fn share(ui: &mut Ui, share: f32, size: Vec2) {
    let (all, _) = ui.allocate_exact_size(size, egui::Sense::hover());
    let done = egui::Rect::from_min_size(all.min, vec2(size.x * share.clamp(0.0, 1.0), size.y));
    ui.painter().rect_filled(all, size.y / 2.0, theme::FIELD);
    ui.painter().rect_filled(done, size.y / 2.0, theme::ANSWER);
}

pub(super) fn button(ui: &mut Ui, enabled: bool, name: &str, size: Vec2, help: &str) -> bool {
    colored(ui, enabled, name, size, (theme::FIELD, theme::TEXT), help)
}

/// A button that stands out.
pub(super) fn strong(ui: &mut Ui, enabled: bool, name: &str, size: Vec2, fill: Color32, help: &str) -> bool {
    let colors = if enabled { (fill, theme::GROUND) } else { (theme::FIELD, theme::TEXT) };
    colored(ui, enabled, name, size, colors, help)
}

/// One of several, chosen or not.
pub(super) fn chip(ui: &mut Ui, enabled: bool, chosen: bool, name: &str, size: Vec2, help: &str) -> bool {
    let colors = if chosen { (theme::ANSWER, theme::GROUND) } else { (theme::FIELD, theme::TEXT) };
    colored(ui, enabled, name, size, colors, help)
}

fn colored(
    ui: &mut Ui,
    enabled: bool,
    name: &str,
    size: Vec2,
    (fill, ink): (Color32, Color32),
    help: &str,
) -> bool {
    let button = egui::Button::new(RichText::new(name).color(ink)).fill(fill).min_size(size);
    let response = ui.add_enabled(enabled, button.corner_radius(theme::ROUND));
    let clicked = response.clicked();
    response.on_hover_text(help);
    clicked
}

/// The name of a group, underlined if it is the one shown.
pub(super) fn tab(ui: &mut Ui, chosen: bool, name: &str, help: &str) -> bool {
    let color = if chosen { theme::TEXT } else { theme::MUTED };
    let button = egui::Button::new(RichText::new(name).color(color)).fill(Color32::TRANSPARENT);
    let response = ui.add(button);
    if chosen {
        let rect = response.rect;
        let line =
            Rect::from_min_max(pos2(rect.left() + 8.0, rect.bottom() - 2.0), rect.max - vec2(8.0, 0.0));
        ui.painter().rect_filled(line, 1, theme::ANSWER);
    }
    let clicked = response.clicked();
    response.on_hover_text(help);
    clicked
}

/// One of many choices.
pub(super) fn combo<T: Enum + PartialEq + Copy + 'static>(
    ui: &mut Ui,
    setter: &ParamSetter<'_>,
    param: &EnumParam<T>,
    width: f32,
    help: &str,
) {
    captioned(ui, param.name(), |ui| {
        let current = param.value().to_index();
        let mut wanted = current;
        let combo = egui::ComboBox::from_id_salt(param.name()).selected_text(T::variants()[current]);
        let shown = combo.width(width).height(340.0).show_ui(ui, |ui| {
            for (index, name) in T::variants().iter().enumerate() {
                ui.selectable_value(&mut wanted, index, *name);
            }
        });
        if shown.response.double_clicked() {
            set(setter, param, param.default_normalized_value());
        } else if wanted != current {
            setter.begin_set_parameter(param);
            setter.set_parameter(param, T::from_index(wanted));
            setter.end_set_parameter(param);
        }
        shown.response.on_hover_text(help);
    });
}

/// Something that is on or off.
pub(super) fn toggle(ui: &mut Ui, setter: &ParamSetter<'_>, param: &BoolParam, help: &str) {
    captioned(ui, param.name(), |ui| {
        let on = param.value();
        let name = if on { "On" } else { "Off" };
        if segments(ui, [(on, true, name, help)].into_iter()).is_some() {
            setter.begin_set_parameter(param);
            setter.set_parameter(param, !on);
            setter.end_set_parameter(param);
        }
    });
}

/// A button that holds a momentary parameter down as long as it is held itself.
pub(super) fn press(
    ui: &mut Ui,
    setter: &ParamSetter<'_>,
    param: &BoolParam,
    size: Vec2,
    fill: Color32,
    ink: Color32,
    help: &str,
) {
    let (rect, response) = ui.allocate_exact_size(size, Sense::click_and_drag());
    let held = response.id.with("held");
    let was: bool = ui.data(|d| d.get_temp(held)).unwrap_or(false);
    let is = response.is_pointer_button_down_on();
    if is && !was {
        setter.begin_set_parameter(param);
        setter.set_parameter(param, true);
    } else if was && !is {
        setter.set_parameter(param, false);
        setter.end_set_parameter(param);
    }
    ui.data_mut(|d| d.insert_temp(held, is));
    let fill = if is {
        fill.gamma_multiply(0.75)
    } else if response.hovered() {
        fill.lerp_to_gamma(Color32::WHITE, 0.12)
    } else {
        fill
    };
    ui.painter().rect_filled(rect, theme::ROUND, fill);
    let font = FontId::proportional(if size.x > LARGE { 18.0 } else { 13.5 });
    ui.painter().text(rect.center(), Align2::CENTER_CENTER, param.name(), font, ink);
    response.on_hover_cursor(CursorIcon::PointingHand).on_hover_text(help);
}
