//! A canvas: rectangles, lines and text on a pixmap. Pure Rust, and the same bytes
//! on every run.
#![forbid(unsafe_code)]

use anyhow::{Context, Result};
use skrifa::instance::{LocationRef, Size};
use skrifa::outline::{DrawSettings, OutlinePen};
use skrifa::{FontRef, MetadataProvider};
use tiny_skia::{Color, FillRule, LineJoin, Paint, Path, PathBuilder, Pixmap, Rect, Stroke, Transform};

/// Red, green, blue, and how opaque.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ink(pub [u8; 3], pub f32);

impl Ink {
    fn paint(self) -> Paint<'static> {
        let Self([red, green, blue], alpha) = self;
        let mut color = Color::from_rgba8(red, green, blue, 255);
        color.set_alpha(alpha.clamp(0.0, 1.0));
        let mut paint = Paint { anti_alias: true, ..Paint::default() };
        paint.set_color(color);
        paint
    }
}

/// Where a text stands to its point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// To its right.
    Left,
    /// To its left.
    Right,
}

/// A canvas with a font.
pub struct Canvas {
    pixmap: Pixmap,
    font: FontRef<'static>,
}

impl Canvas {
    /// An empty canvas of one colour, in points.
    ///
    /// # Errors
    /// Where it has no size.
    pub fn new(width: u32, height: u32, background: [u8; 3]) -> Result<Self> {
        let mut pixmap = Pixmap::new(width, height).context("the picture has no size")?;
        let [red, green, blue] = background;
        pixmap.fill(Color::from_rgba8(red, green, blue, 255));
        let font = FontRef::new(epaint_default_fonts::UBUNTU_LIGHT).context("the font cannot be read")?;
        Ok(Self { pixmap, font })
    }

    /// A filled rectangle; one without area is left out.
    pub fn rect(&mut self, x: f32, y: f32, width: f32, height: f32, ink: Ink) {
        if let Some(rect) = Rect::from_xywh(x, y, width, height) {
            self.pixmap.fill_rect(rect, &ink.paint(), Transform::identity(), None);
        }
    }

    /// A filled rectangle with round corners.
    pub fn rounded(&mut self, x: f32, y: f32, width: f32, height: f32, radius: f32, ink: Ink) {
        let radius = radius.min(width / 2.0).min(height / 2.0);
        let (right, bottom) = (x + width, y + height);
        let mut path = PathBuilder::new();
        path.move_to(x + radius, y);
        path.line_to(right - radius, y);
        path.quad_to(right, y, right, y + radius);
        path.line_to(right, bottom - radius);
        path.quad_to(right, bottom, right - radius, bottom);
        path.line_to(x + radius, bottom);
        path.quad_to(x, bottom, x, bottom - radius);
        path.line_to(x, y + radius);
        path.quad_to(x, y, x + radius, y);
        path.close();
        self.fill(path.finish(), ink);
    }

    /// A note of a piano roll, from `x` to `end`, in a row from `y` on: the louder, the darker.
    /// However short it is, it is seen.
    pub fn note(&mut self, (x, end): (f32, f32), (y, row): (f32, f32), color: [u8; 3], velocity: u8) {
        let ink = Ink(color, 0.45 + 0.55 * f32::from(velocity) / 127.0);
        self.rounded(x, y, (end - x - 1.0).max(2.5), (row - 0.6).max(2.0), 3.0, ink);
    }

    /// A line through points; nothing with fewer than two.
    pub fn line(&mut self, points: &[(f32, f32)], width: f32, ink: Ink) {
        let mut path = PathBuilder::new();
        for (n, (x, y)) in points.iter().enumerate() {
            if n == 0 { path.move_to(*x, *y) } else { path.line_to(*x, *y) }
        }
        if let Some(path) = path.finish() {
            let stroke = Stroke { width, line_join: LineJoin::Round, ..Stroke::default() };
            self.pixmap.stroke_path(&path, &ink.paint(), &stroke, Transform::identity(), None);
        }
    }

    /// A line of text, its baseline at `y`; tells how wide it is.
    pub fn text(&mut self, text: &str, x: f32, y: f32, size: f32, align: Align, ink: Ink) -> f32 {
        let width = self.width(text, size);
        let mut x = match align {
            Align::Left => x,
            Align::Right => x - width,
        };
        let (glyphs, characters) = (self.font.outline_glyphs(), self.font.charmap());
        let metrics = self.font.glyph_metrics(Size::new(size), LocationRef::default());
        for character in text.chars() {
            let glyph = characters.map(character).unwrap_or_default();
            let mut pen = Pen { path: PathBuilder::new(), x, y };
            if let Some(outline) = glyphs.get(glyph) {
                let settings = DrawSettings::unhinted(Size::new(size), LocationRef::default());
                // A glyph that cannot be drawn leaves a gap.
                let _ = outline.draw(settings, &mut pen);
            }
            x += metrics.advance_width(glyph).unwrap_or(size / 2.0);
            self.fill(pen.path.finish(), ink);
        }
        width
    }

    /// The width of a line of text.
    #[must_use]
    pub fn width(&self, text: &str, size: f32) -> f32 {
        let characters = self.font.charmap();
        let metrics = self.font.glyph_metrics(Size::new(size), LocationRef::default());
        let advance = |character| metrics.advance_width(characters.map(character).unwrap_or_default());
        text.chars().map(|character| advance(character).unwrap_or(size / 2.0)).sum()
    }

    /// The picture as a PNG file.
    ///
    /// # Errors
    /// Where there is no memory for it.
    pub fn png(&self) -> Result<Vec<u8>> {
        self.pixmap.encode_png().context("the picture cannot be written")
    }

    fn fill(&mut self, path: Option<Path>, ink: Ink) {
        if let Some(path) = path {
            self.pixmap.fill_path(&path, &ink.paint(), FillRule::Winding, Transform::identity(), None);
        }
    }
}

/// Draws glyphs, whose y grows upwards, onto the canvas, whose y grows downwards.
struct Pen {
    path: PathBuilder,
    x: f32,
    y: f32,
}

impl OutlinePen for Pen {
    fn move_to(&mut self, x: f32, y: f32) {
        self.path.move_to(self.x + x, self.y - y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        self.path.line_to(self.x + x, self.y - y);
    }

    fn quad_to(&mut self, cx: f32, cy: f32, x: f32, y: f32) {
        self.path.quad_to(self.x + cx, self.y - cy, self.x + x, self.y - y);
    }

    fn curve_to(&mut self, cx0: f32, cy0: f32, cx1: f32, cy1: f32, x: f32, y: f32) {
        let (at, down) = (self.x, self.y);
        self.path.cubic_to(at + cx0, down - cy0, at + cx1, down - cy1, at + x, down - y);
    }

    fn close(&mut self) {
        self.path.close();
    }
}
