//! The piano roll: the phrase, the take heard with the others behind it, kept takes, bar
//! lines, whose turn it is, the playhead. The wheel goes through time, with the command key
//! it shows more or less of it; a double click shows all there is.

use egui::{Align2, Color32, FontId, Painter, Rect, Response, Sense, Stroke, Ui, Vec2, pos2, vec2};

use super::theme;
use crate::clock::Timeline;
use crate::link::PlayNote;
use crate::params::text::key_name;
use crate::state::Session;

/// At least so many keys are shown, so that one note is not a wall.
const LEAST_KEYS: f32 = 25.0;
/// An answer further away than this many bars from what is being played is not shown.
const FAR_BARS: f64 = 24.0;
/// Room for the names of the octaves.
const GUTTER: f32 = 18.0;
/// Room for the numbers of the bars.
const RULER: f32 = 12.0;
/// Bars shown when there is nothing to show.
const EMPTY_BARS: f64 = 8.0;

/// What is to be seen.
pub(super) struct View<'a> {
    /// Phrase and answer.
    pub(super) session: &'a Session,
    /// The take heard, counted from 0.
    pub(super) take: usize,
    /// Where playback stands.
    pub(super) playhead: (Timeline, f64),
    /// Whether the phrase is newer than the answer.
    pub(super) open: bool,
    /// In trading: where the running turn ends, and whether it is the plugin's.
    pub(super) turn: Option<(f64, bool)>,
}

/// How far the picture was moved and enlarged by hand; all there is at first.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sight {
    /// In beats.
    moved: f64,
    /// 1 is all there is.
    zoom: f64,
}

impl Default for Sight {
    fn default() -> Self {
        Self { moved: 0.0, zoom: 1.0 }
    }
}

impl Sight {
    /// The beats seen of those there are.
    fn seen(self, (from, until): (f64, f64)) -> (f64, f64) {
        let beats = (until - from) / self.zoom;
        let middle = f64::midpoint(from, until) + self.moved;
        (middle - beats / 2.0, middle + beats / 2.0)
    }

    /// What mouse and wheel ask for.
    fn follow(&mut self, ui: &Ui, response: &Response, points_per_beat: f64) {
        if response.double_clicked() {
            *self = Self::default();
        }
        if response.dragged() {
            self.moved -= f64::from(response.drag_delta().x) / points_per_beat;
        }
        if response.hovered() {
            let (scrolled, zoomed) = ui.input(|i| (i.smooth_scroll_delta(), i.zoom_delta()));
            self.moved -= f64::from(scrolled.x + scrolled.y) / points_per_beat;
            self.zoom = (self.zoom * f64::from(zoomed)).clamp(0.25, 16.0);
        }
    }
}

/// A note to paint: start, end, key, velocity, colour.
type Bar = (f64, f64, u8, u8, Color32);

/// Paints the roll over all the room there is.
pub(super) fn show(ui: &mut Ui, size: Vec2, view: &View<'_>, sight: &mut Sight) {
    let (rect, response) = ui.allocate_exact_size(size, Sense::click_and_drag());
    let painter = ui.painter_at(rect);
    painter.rect_filled(rect, theme::ROUND, theme::CARD);
    let bars = notes(view);
    let bar = view.session.answer.as_ref().map_or(4.0, |a| a.recipe.meter().bar());
    let (from, until) = sight.seen(range(view, &bars, bar));
    let mut inner = rect.shrink2(vec2(10.0, 8.0));
    inner.min.x += GUTTER;
    inner.min.y += RULER;
    let frame = Frame::new(inner, from, until, &bars);
    sight.follow(ui, &response, f64::from(frame.points_per_beat));
    frame.grid(&painter, bar, view);
    frame.turn(&painter, bar, view);
    if bars.is_empty() {
        let hint = "Play a phrase";
        painter.text(rect.center(), Align2::CENTER_CENTER, hint, FontId::proportional(17.0), theme::MUTED);
    }
    let seen = |note: &&Bar| note.1 >= from && note.0 <= until;
    for note in bars.iter().filter(seen) {
        frame.note(&painter, note);
    }
    frame.playhead(&painter, view);
    if let Some(pointer) = response.hover_pos()
        && let Some(note) = bars.iter().rev().find(|note| frame.rect_of(note).expand(1.0).contains(pointer))
    {
        let (start, _, key, velocity, _) = *note;
        let words = format!("{}, velocity {velocity}, beat {:.2}", key_name(key), start);
        response.on_hover_text_at_pointer(words);
    }
}

/// All notes in view, the phrase where it lies or right before its answer.
fn notes(view: &View<'_>) -> Vec<Bar> {
    let shift = phrase_shift(view);
    let now = view.playhead.1;
    let phrase = view.session.phrase.iter().map(|n| {
        let end = n.end.unwrap_or_else(|| now.max(n.start));
        (n.start + shift, end + shift, n.key, n.velocity, theme::PHRASE)
    });
    let colored = |color: Color32| move |n: PlayNote| (n.start, n.end, n.key, n.velocity, color);
    let answer = visible_answer(view);
    let heard = view.take.min(answer.map_or(0, |a| a.takes.len().saturating_sub(1)));
    let others = (0..answer.map_or(0, |a| a.takes.len())).filter(|take| *take != heard);
    let others = others.flat_map(|take| answer.into_iter().flat_map(move |a| a.notes(take)));
    let ghost = theme::ANSWER.gamma_multiply(0.22);
    let kept =
        view.session.kept.iter().filter(|kept| kept.recipe.on_host && view.playhead.0 == Timeline::Host);
    let mut bars: Vec<Bar> = kept.flat_map(|kept| kept.notes().map(colored(theme::KEPT))).collect();
    bars.extend(others.map(colored(ghost)));
    bars.extend(phrase);
    bars.extend(answer.into_iter().flat_map(|a| a.notes(heard)).map(colored(theme::ANSWER)));
    bars
}

/// Brings a phrase played elsewhere to the bar before its answer.
fn phrase_shift(view: &View<'_>) -> f64 {
    let (Some(answer), false) = (&view.session.answer, view.open) else { return 0.0 };
    let Some(end) = view.session.phrase.iter().filter_map(|n| n.end).reduce(f64::max) else { return 0.0 };
    answer.start - (answer.start - end).rem_euclid(answer.recipe.meter().bar()) - end
}

fn visible_answer<'a>(view: &View<'a>) -> Option<&'a crate::state::Answer> {
    let answer = view.session.answer.as_ref()?;
    let start = view.session.phrase.first().map_or(answer.start, |n| n.start);
    let near =
        (answer.start - start).abs().min((answer.end - start).abs()) < FAR_BARS * answer.recipe.meter().bar();
    (!view.open || (near && answer.timeline() == view.playhead.0)).then_some(answer)
}

/// The beats from the left edge to the right one: whole bars.
fn range(view: &View<'_>, notes: &[Bar], bar: f64) -> (f64, f64) {
    let ends = visible_answer(view).map(|a| (a.start, a.end));
    let first = notes.iter().map(|n| n.0).chain(ends.map(|e| e.0)).reduce(f64::min);
    let last = notes.iter().map(|n| n.1).chain(ends.map(|e| e.1)).reduce(f64::max);
    let now = (view.playhead.1 / bar).floor() * bar;
    let (Some(first), Some(last)) = (first, last) else { return (now, now + EMPTY_BARS * bar) };
    let line = view.session.answer.as_ref().map_or(0.0, |a| a.recipe.bar_line);
    let from = line + ((first - line + 1e-6) / bar).floor() * bar;
    let until = line + ((last - line - 1e-6) / bar).ceil() * bar;
    (from, until.max(from + 2.0 * bar))
}

/// Where beats and keys lie on the screen.
struct Frame {
    rect: Rect,
    from: f64,
    points_per_beat: f32,
    low: f32,
    points_per_key: f32,
}

impl Frame {
    fn new(rect: Rect, from: f64, until: f64, notes: &[Bar]) -> Self {
        let low = notes.iter().map(|n| f32::from(n.2)).reduce(f32::min).unwrap_or(48.0);
        let high = notes.iter().map(|n| f32::from(n.2)).reduce(f32::max).unwrap_or(72.0);
        let keys = (high - low + 3.0).max(LEAST_KEYS);
        let low = (low + high) / 2.0 - keys / 2.0;
        Self {
            rect,
            from,
            points_per_beat: rect.width() / narrow(until - from),
            low,
            points_per_key: rect.height() / keys,
        }
    }

    fn x(&self, beat: f64) -> f32 {
        self.rect.left() + narrow(beat - self.from) * self.points_per_beat
    }

    fn y(&self, key: u8) -> f32 {
        self.rect.bottom() - (f32::from(key) - self.low) * self.points_per_key
    }

    fn grid(&self, painter: &Painter, bar: f64, view: &View<'_>) {
        self.octaves(painter);
        self.lines(painter, bar, view);
        if let Some(answer) = visible_answer(view) {
            let x = |beat| self.x(beat).clamp(self.rect.left(), self.rect.right());
            let band = Rect::from_x_y_ranges(x(answer.start)..=x(answer.end), self.rect.y_range());
            painter.rect_filled(band, 3, theme::ANSWER.gamma_multiply(0.06));
            painter.vline(
                x(answer.start),
                self.rect.y_range(),
                Stroke::new(1.5, theme::ANSWER.gamma_multiply(0.55)),
            );
        }
    }

    /// Whose turn it is, in trading.
    fn turn(&self, painter: &Painter, bar: f64, view: &View<'_>) {
        let Some((end, own)) = view.turn else { return };
        let color = if own { theme::ANSWER } else { theme::PHRASE };
        let x = |beat| self.x(beat).clamp(self.rect.left(), self.rect.right());
        let strip = Rect::from_x_y_ranges(
            x((view.playhead.1 / bar).floor() * bar)..=x(end),
            self.rect.top() - 3.0..=self.rect.top(),
        );
        painter.rect_filled(strip, 1, color);
    }

    fn octaves(&self, painter: &Painter) {
        for octave in (0..=120_u8).step_by(12) {
            let y = self.y(octave) + self.points_per_key / 2.0;
            if self.rect.y_range().contains(y) {
                painter.hline(self.rect.x_range(), y, Stroke::new(1.0, theme::FIELD));
                painter.text(
                    pos2(self.rect.left() - 5.0, y),
                    Align2::RIGHT_CENTER,
                    format!("C{}", i16::from(octave) / 12 - 1),
                    FontId::proportional(10.0),
                    theme::MUTED.gamma_multiply(0.8),
                );
            }
        }
    }

    /// Bar lines with their numbers, and beats where there is room.
    fn lines(&self, painter: &Painter, bar: f64, view: &View<'_>) {
        let line = view.session.answer.as_ref().map_or(0.0, |a| a.recipe.bar_line);
        let every = (52.0 / (f64::from(self.points_per_beat) * bar)).ceil().max(1.0);
        let mut number = ((self.from - line) / bar).floor();
        while self.x(line + number * bar) <= self.rect.right() {
            let x = self.x(line + number * bar);
            if x >= self.rect.left() {
                painter.vline(x, self.rect.y_range(), Stroke::new(1.0, theme::FIELD_HOVER));
                if number.rem_euclid(every) < 0.5 {
                    let at = pos2(x + 3.0, self.rect.top() - 2.0);
                    let (font, color) = (FontId::proportional(10.0), theme::MUTED);
                    painter.text(at, Align2::LEFT_BOTTOM, format!("{}", number + 1.0), font, color);
                }
            }
            if self.points_per_beat > 18.0 {
                for beat in (1..).map(f64::from).take_while(|beat| *beat < bar) {
                    let x = self.x(line + number * bar + beat);
                    if self.rect.x_range().contains(x) {
                        painter.vline(
                            x,
                            self.rect.y_range(),
                            Stroke::new(1.0, theme::FIELD.gamma_multiply(0.7)),
                        );
                    }
                }
            }
            number += 1.0;
        }
    }

    fn rect_of(&self, note: &Bar) -> Rect {
        let (start, end, key, ..) = *note;
        let height = self.points_per_key.clamp(2.5, 12.0);
        let center = self.y(key);
        let right = self.x(end).max(self.x(start) + 3.0) - 1.0;
        Rect::from_min_max(pos2(self.x(start), center - height / 2.0), pos2(right, center + height / 2.0))
    }

    fn note(&self, painter: &Painter, note: &Bar) {
        let (.., velocity, color) = *note;
        let strength = 0.45 + 0.55 * f32::from(velocity) / 127.0;
        let rect = self.rect_of(note).intersect(self.rect);
        painter.rect_filled(rect, 2, color.gamma_multiply(strength));
    }

    fn playhead(&self, painter: &Painter, view: &View<'_>) {
        let (timeline, beat) = view.playhead;
        let there = view.session.answer.as_ref().is_none_or(|a| view.open || a.timeline() == timeline);
        let x = self.x(beat);
        if there && self.rect.x_range().contains(x) {
            painter.vline(x, self.rect.y_range(), Stroke::new(1.5, theme::TEXT));
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "screen coordinates of a few thousand points")]
fn narrow(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phrase::PlayedNote;
    use crate::state::{Answer, Recipe};

    fn session(phrase_start: f64) -> Session {
        let note = PlayedNote {
            start: phrase_start,
            end: Some(phrase_start + 3.0),
            channel: 0,
            key: 60,
            velocity: 9,
            program: 0,
        };
        let answer = Answer {
            recipe: Recipe { on_host: true, ..Recipe::default() },
            start: 104.0,
            end: 112.0,
            ..Answer::default()
        };
        Session { phrase: vec![note], answer: Some(answer), ..Session::default() }
    }

    #[test]
    fn a_phrase_from_elsewhere_is_shown_before_its_answer() {
        let far = session(8.0);
        let mut view =
            View { session: &far, take: 0, playhead: (Timeline::Host, 0.0), open: false, turn: None };
        let shown = notes(&view);
        assert_eq!((shown[0].0, shown[0].1), (100.0, 103.0));
        assert_eq!(range(&view, &shown, 4.0), (100.0, 112.0));
        // While it is being played it is shown where it is, without the old answer.
        view.open = true;
        let shown = notes(&view);
        assert_eq!(range(&view, &shown, 4.0), (8.0, 16.0));
    }
}
