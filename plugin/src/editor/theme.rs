//! Colours, sizes and the look of egui's own widgets.

use egui::{Color32, CornerRadius, FontFamily, FontId, Stroke, TextStyle, Theme, Visuals, vec2};

/// Behind everything.
pub(super) const GROUND: Color32 = Color32::from_rgb(0x15, 0x17, 0x1c);
/// Cards on the ground.
pub(super) const CARD: Color32 = Color32::from_rgb(0x1d, 0x20, 0x27);
/// Fields and buttons on cards.
pub(super) const FIELD: Color32 = Color32::from_rgb(0x2a, 0x2e, 0x38);
/// The same under the pointer.
pub(super) const FIELD_HOVER: Color32 = Color32::from_rgb(0x36, 0x3b, 0x47);
/// How far a field's value reaches.
pub(super) const LEVEL: Color32 = Color32::from_rgb(0x47, 0x50, 0x63);
/// What is to be read.
pub(super) const TEXT: Color32 = Color32::from_rgb(0xe8, 0xea, 0xf0);
/// What explains it.
pub(super) const MUTED: Color32 = Color32::from_rgb(0x97, 0x9e, 0xae);
/// The player.
pub(super) const PHRASE: Color32 = Color32::from_rgb(0x62, 0xc7, 0xd4);
/// Continuo.
pub(super) const ANSWER: Color32 = Color32::from_rgb(0xf5, 0xb2, 0x5c);
/// What was kept.
pub(super) const KEPT: Color32 = Color32::from_rgb(0xb7, 0x9c, 0xf2);
/// Something is wrong.
pub(super) const ALARM: Color32 = Color32::from_rgb(0xf0, 0x71, 0x6b);
/// All is well.
pub(super) const GOOD: Color32 = Color32::from_rgb(0x7f, 0xcf, 0x8b);

/// Corners of cards.
pub(super) const ROUND: u8 = 8;
/// Corners of fields.
pub(super) const ROUND_FIELD: u8 = 5;

/// Applies all of it.
pub(super) fn apply(ctx: &egui::Context) {
    ctx.set_theme(Theme::Dark);
    ctx.all_styles_mut(|style| {
        style.visuals = visuals();
        style.spacing.item_spacing = vec2(8.0, 6.0);
        style.spacing.button_padding = vec2(10.0, 5.0);
        let fonts = [
            (TextStyle::Small, 11.5),
            (TextStyle::Body, 13.5),
            (TextStyle::Button, 13.5),
            (TextStyle::Heading, 20.0),
        ];
        for (name, size) in fonts {
            style.text_styles.insert(name, FontId::new(size, FontFamily::Proportional));
        }
    });
}

fn visuals() -> Visuals {
    let mut visuals = Visuals::dark();
    visuals.panel_fill = GROUND;
    visuals.window_fill = CARD;
    visuals.extreme_bg_color = FIELD;
    visuals.override_text_color = Some(TEXT);
    visuals.selection.bg_fill = ANSWER.gamma_multiply(0.4);
    visuals.selection.stroke = Stroke::new(1.0, ANSWER);
    let widgets = &mut visuals.widgets;
    for (state, fill) in [
        (&mut widgets.noninteractive, CARD),
        (&mut widgets.inactive, FIELD),
        (&mut widgets.hovered, FIELD_HOVER),
        (&mut widgets.active, LEVEL),
        (&mut widgets.open, FIELD_HOVER),
    ] {
        state.bg_fill = fill;
        state.weak_bg_fill = fill;
        state.bg_stroke = Stroke::NONE;
        state.corner_radius = CornerRadius::same(ROUND_FIELD);
        state.expansion = 0.0;
    }
    visuals
}
