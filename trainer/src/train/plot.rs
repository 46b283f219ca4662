//! The curve of a run: the loss of every tenth step, its running mean, and that of held-out
//! music.

use continuo_paint::{Align, Canvas, Ink};

use crate::train::metrics::Line;

const SIZE: (f32, f32) = (1000.0, 560.0);
/// Room left of, above, right of and below the curve.
const MARGIN: (f32, f32, f32, f32) = (70.0, 56.0, 24.0, 48.0);
const PAPER: [u8; 3] = [0xff, 0xff, 0xff];
const TEXT: Ink = Ink([0x22, 0x25, 0x2c], 1.0);
const GRID: Ink = Ink([0x22, 0x25, 0x2c], 0.12);
const RAW: Ink = Ink([0x2f, 0x8f, 0x9d], 0.25);
const SMOOTHED: Ink = Ink([0x2f, 0x8f, 0x9d], 1.0);
const HELD_OUT: Ink = Ink([0xd1, 0x49, 0x5b], 1.0);

/// Draws the curve; the bytes of a PNG file.
///
/// # Errors
/// Where there is no memory for it.
pub fn curve(lines: &[Line]) -> anyhow::Result<Vec<u8>> {
    let series = |name: &str| -> Vec<(f64, f64)> {
        #[expect(clippy::cast_precision_loss, reason = "a place in a picture")]
        let point = |line: &Line| Some((line.step as f64, line.value(name)?));
        lines.iter().filter_map(point).filter(|(_, loss)| loss.is_finite()).collect()
    };
    let all = [
        ("loss", series("loss"), RAW, 1.0),
        ("running mean", series("smoothed"), SMOOTHED, 2.0),
        ("held out", series("held_out_loss"), HELD_OUT, 2.0),
    ];
    let mut canvas = Canvas::new(1000, 560, PAPER)?;
    let frame = Frame::around(all.iter().flat_map(|(_, points, ..)| points).copied());
    canvas.text("Loss in nats a token, by steps", MARGIN.0, 34.0, 20.0, Align::Left, TEXT);
    frame.grid(&mut canvas);
    let mut x = SIZE.0 - MARGIN.2;
    for (name, points, ink, width) in all.iter().rev() {
        let places: Vec<(f32, f32)> = points.iter().map(|point| frame.place(*point)).collect();
        canvas.line(&places, *width, *ink);
        if *ink == HELD_OUT {
            places.iter().for_each(|(x, y)| canvas.rounded(x - 3.0, y - 3.0, 6.0, 6.0, 3.0, *ink));
        }
        x -= canvas.text(name, x, 34.0, 15.0, Align::Right, TEXT);
        canvas.rounded(x - 22.0, 23.0, 16.0, 10.0, 3.0, *ink);
        x -= 44.0;
    }
    canvas.png()
}

/// The steps and losses that are shown.
struct Frame {
    last: f64,
    low: f64,
    high: f64,
}

impl Frame {
    fn around(points: impl Iterator<Item = (f64, f64)>) -> Self {
        let empty = Self { last: 1.0, low: f64::INFINITY, high: f64::NEG_INFINITY };
        let frame = points.fold(empty, |frame, (step, loss)| Self {
            last: frame.last.max(step),
            low: frame.low.min(loss),
            high: frame.high.max(loss),
        });
        if frame.low > frame.high {
            return Self { low: 0.0, high: 1.0, ..frame };
        }
        let room = ((frame.high - frame.low) * 0.05).max(0.01);
        Self { low: frame.low - room, high: frame.high + room, ..frame }
    }

    #[expect(clippy::cast_possible_truncation, reason = "a place in a picture")]
    fn place(&self, (step, loss): (f64, f64)) -> (f32, f32) {
        let (left, top, right, bottom) = MARGIN;
        let part = (self.high - loss) / (self.high - self.low);
        let x = left + (step / self.last) as f32 * (SIZE.0 - left - right);
        (x, top + part as f32 * (SIZE.1 - top - bottom))
    }

    fn grid(&self, canvas: &mut Canvas) {
        let (low, high, last) = (self.low, self.high, self.last);
        for loss in ticks(low, high) {
            let (left, y) = self.place((0.0, loss));
            canvas.rect(left, y, SIZE.0 - left - MARGIN.2, 1.0, GRID);
            canvas.text(&short(loss), left - 8.0, y + 5.0, 14.0, Align::Right, TEXT);
        }
        for step in ticks(0.0, last) {
            let (x, bottom) = self.place((step, low));
            canvas.rect(x, MARGIN.1, 1.0, bottom - MARGIN.1, GRID);
            canvas.text(&short(step), x - 4.0, bottom + 20.0, 14.0, Align::Left, TEXT);
        }
    }
}

/// Round numbers between two others, some five to ten.
fn ticks(low: f64, high: f64) -> impl Iterator<Item = f64> {
    let rough = (high - low) / 8.0;
    let unit = 10.0_f64.powf(rough.log10().floor());
    let step =
        [1.0, 2.0, 5.0, 10.0].into_iter().map(|n| n * unit).find(|step| *step >= rough).unwrap_or(rough);
    let first = (low / step).ceil();
    (0..20_u8).map(move |n| (first + f64::from(n)) * step).take_while(move |tick| *tick <= high)
}

/// A number without the noise of its last digits.
fn short(number: f64) -> String {
    let text = format!("{number:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_numbers_are_told_at_the_sides() {
        let told = |low, high| ticks(low, high).map(short).collect::<Vec<_>>();
        assert_eq!(told(0.0, 100.0), ["0", "20", "40", "60", "80", "100"]);
        assert_eq!(told(1.93, 2.31), ["1.95", "2", "2.05", "2.1", "2.15", "2.2", "2.25", "2.3"]);
    }

    #[test]
    fn a_run_without_numbers_yet_has_a_picture_too() {
        let line = |step, name: &str, value| Line { step, time: 0.0, values: vec![(name.to_owned(), value)] };
        assert!(!curve(&[]).unwrap().is_empty());
        assert!(!curve(&[line(10, "loss", 3.0)]).unwrap().is_empty());
        let some = curve(&[line(10, "loss", 3.0), line(20, "loss", 2.0)]).unwrap();
        let held_out = curve(&[line(10, "loss", 3.0), line(20, "loss", 2.0), line(20, "held_out_loss", 2.5)]);
        assert_ne!(some, held_out.unwrap());
    }
}
