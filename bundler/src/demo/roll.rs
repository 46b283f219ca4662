//! The piano roll: a lane a take, each with the phrase it answers before it.

use super::phrase::Phrase;
use super::session::Session;
use anyhow::Result;
use continuo_codec::{Note, Score};
use continuo_paint::{Align, Canvas, Ink};
use continuo_tests::timeline::Timeline;

const WIDTH: f32 = 1600.0;
const LEFT: f32 = 118.0;
const RIGHT: f32 = 28.0;
const TOP: f32 = 108.0;
const BOTTOM: f32 = 26.0;
const GAP: f32 = 14.0;
/// How much of a long phrase is shown before the answer, in bars.
const BARS_BEFORE: f64 = 8.0;
/// Fewer semitones than this are not spread over a lane.
const LEAST_PITCHES: u8 = 19;

const PAPER: [u8; 3] = [250, 249, 246];
const LANE: Ink = Ink([255, 255, 255], 1.0);
const BLACK_KEYS: Ink = Ink([244, 242, 236], 1.0);
const BEAT: Ink = Ink([232, 229, 221], 1.0);
const BAR: Ink = Ink([190, 185, 172], 1.0);
const TEXT: Ink = Ink([52, 50, 46], 1.0);
const FAINT: Ink = Ink([130, 126, 116], 1.0);
const MARK: Ink = Ink([20, 20, 20], 1.0);
const PHRASE: [u8; 3] = [84, 96, 117];
const TAKES: [[u8; 3]; 8] = [
    [209, 73, 91],
    [0, 121, 140],
    [217, 140, 20],
    [106, 76, 147],
    [46, 133, 64],
    [186, 85, 40],
    [48, 102, 190],
    [122, 92, 68],
];

/// Draws phrase and takes; the bytes of a PNG file.
pub(crate) fn draw(phrase: &Phrase, session: &Session) -> Result<Vec<u8>> {
    let roll = Roll::new(phrase, session);
    let mut canvas = Canvas::new(whole(WIDTH), whole(roll.height()), PAPER)?;
    roll.header(&mut canvas, phrase, session);
    for lane in 0..session.takes.len() {
        roll.lane(&mut canvas, lane, &session.takes[lane].notes);
    }
    roll.bar_numbers(&mut canvas);
    roll.boundary(&mut canvas);
    canvas.png()
}

struct Roll<'a> {
    score: &'a Score,
    timeline: &'a Timeline,
    lanes: usize,
    lane_height: f32,
    /// The beats shown.
    from: f64,
    to: f64,
    /// Where the answer starts.
    answer: f64,
    /// The pitches shown.
    low: u8,
    high: u8,
}

impl<'a> Roll<'a> {
    fn new(phrase: &'a Phrase, session: &Session) -> Self {
        let (score, timeline) = (&phrase.score, &phrase.timeline);
        let answer = session.answer().unwrap_or(session.trigger);
        let bar = timeline.bar_at(answer).length;
        let begun = score.notes.first().map_or(0.0, |note| score.beats(note.start)).max(session.from);
        let from = timeline.bar_at(begun.max(answer - BARS_BEFORE * bar)).start;
        let answers = || session.takes.iter().flat_map(|take| &take.notes);
        let end = |note: &Note| score.beats(note.start.saturating_add(note.duration));
        let last = answers().map(end).fold(session.trigger, f64::max);
        // A note that rings on need not be seen to its end.
        let rings = last > session.until + 0.5;
        let last = if rings { last.min(session.until + bar) } else { session.until };
        let to = timeline.bar_line_from(last - 1e-3).max(from + bar);
        let shown = score.notes.iter().filter(|note| end(note) > from).chain(answers());
        let (low, high) = range(shown.map(|note| note.pitch));
        let lanes = session.takes.len();
        let lane_height = [440.0, 330.0, 270.0, 230.0].get(lanes - 1).copied().unwrap_or(180.0);
        Self { score, timeline, lanes, lane_height, from, to, answer, low, high }
    }

    fn height(&self) -> f32 {
        self.lane_top(self.lanes) - GAP + BOTTOM
    }

    fn lane_top(&self, lane: usize) -> f32 {
        // A take's number is at most 8.
        TOP + f32::from(u8::try_from(lane).unwrap_or(8)) * (self.lane_height + GAP)
    }

    fn x(&self, beat: f64) -> f32 {
        let part = ((beat - self.from) / (self.to - self.from)).clamp(0.0, 1.0);
        LEFT + single(part) * (WIDTH - LEFT - RIGHT)
    }

    fn row(&self) -> f32 {
        self.lane_height / (f32::from(self.high) - f32::from(self.low) + 1.0)
    }

    fn y(&self, lane: usize, pitch: u8) -> f32 {
        self.lane_top(lane) + f32::from(self.high.saturating_sub(pitch)) * self.row()
    }

    fn header(&self, canvas: &mut Canvas, phrase: &Phrase, session: &Session) {
        let title = canvas.text("Continuo", LEFT, 42.0, 30.0, Align::Left, TEXT);
        let name = phrase.path.file_name().unwrap_or_default().to_string_lossy();
        canvas.text(&format!("answers {name}"), LEFT + title + 10.0, 42.0, 18.0, Align::Left, FAINT);
        let mut x = WIDTH - RIGHT;
        for lane in (0..=session.takes.len()).rev() {
            let (name, color) = match lane.checked_sub(1) {
                None => ("Phrase".to_owned(), PHRASE),
                Some(take) => (format!("Take {lane}"), TAKES[take % TAKES.len()]),
            };
            x -= canvas.text(&name, x, 40.0, 18.0, Align::Right, TEXT);
            canvas.rounded(x - 26.0, 27.0, 18.0, 14.0, 3.0, Ink(color, 1.0));
            x -= 52.0;
        }
    }

    fn lane(&self, canvas: &mut Canvas, lane: usize, answer: &[Note]) {
        self.background(canvas, lane);
        let color = TAKES[lane % TAKES.len()];
        let middle = self.lane_top(lane) + self.lane_height / 2.0;
        canvas.text(&format!("Take {}", lane + 1), 22.0, middle - 3.0, 17.0, Align::Left, Ink(color, 1.0));
        let count = format!("{} note{}", answer.len(), if answer.len() == 1 { "" } else { "s" });
        canvas.text(&count, 22.0, middle + 17.0, 13.5, Align::Left, FAINT);
        for note in &self.score.notes {
            self.note(canvas, lane, note, PHRASE);
        }
        for note in answer {
            self.note(canvas, lane, note, color);
        }
    }

    fn background(&self, canvas: &mut Canvas, lane: usize) {
        let (top, width) = (self.lane_top(lane), WIDTH - LEFT - RIGHT);
        canvas.rect(LEFT, top, width, self.lane_height, LANE);
        for pitch in self.low..=self.high {
            if [1, 3, 6, 8, 10].contains(&(pitch % 12)) {
                canvas.rect(LEFT, self.y(lane, pitch), width, self.row(), BLACK_KEYS);
            }
            if pitch % 12 == 0 {
                let bottom = self.y(lane, pitch) + self.row();
                canvas.rect(LEFT, bottom - 0.5, width, 1.0, BEAT);
                let name = format!("C{}", i16::from(pitch / 12) - 1);
                canvas.text(&name, LEFT - 7.0, bottom - self.row() / 2.0 + 4.0, 12.0, Align::Right, FAINT);
            }
        }
        for (beat, is_bar) in self.lines() {
            let (ink, width) = if is_bar { (BAR, 1.4) } else { (BEAT, 1.0) };
            canvas.rect(self.x(beat) - width / 2.0, top, width, self.lane_height, ink);
        }
    }

    fn note(&self, canvas: &mut Canvas, lane: usize, note: &Note, color: [u8; 3]) {
        let start = self.score.beats(note.start);
        let end = self.score.beats(note.start.saturating_add(note.duration));
        if end <= self.from || start >= self.to {
            return;
        }
        let row = (self.y(lane, note.pitch), self.row());
        canvas.note((self.x(start), self.x(end)), row, color, note.velocity);
    }

    /// All bar lines and, while there is room for them, beats.
    fn lines(&self) -> Vec<(f64, bool)> {
        let mut lines = Vec::new();
        let mut bar = self.timeline.bar_at(self.from);
        while bar.start <= self.to + 1e-6 {
            let next = self.timeline.bar_line_from(bar.start + 1e-3);
            let step = 4.0 / f64::from(bar.denominator);
            let mut beat = bar.start + step;
            while self.x(self.from + step) - LEFT > 9.0 && beat < next - 1e-6 && beat < self.to {
                lines.push((beat, false));
                beat += step;
            }
            lines.push((bar.start, true));
            bar = self.timeline.bar_at(next);
        }
        lines
    }

    fn bar_numbers(&self, canvas: &mut Canvas) {
        let mut taken = f32::MIN;
        for (beat, is_bar) in self.lines() {
            let x = self.x(beat);
            if is_bar && x > taken && beat < self.to - 1e-6 {
                let number = (self.timeline.bar_at(beat).index + 1).to_string();
                taken = x + canvas.text(&number, x + 4.0, TOP - 8.0, 14.0, Align::Left, FAINT) + 12.0;
            }
        }
    }

    /// Marks where the answer starts, through all lanes.
    fn boundary(&self, canvas: &mut Canvas) {
        let (x, bottom) = (self.x(self.answer), self.height() - BOTTOM);
        let mut y = TOP - 26.0;
        while y < bottom {
            canvas.rect(x - 1.0, y, 2.0, 7.0_f32.min(bottom - y), MARK);
            y += 11.0;
        }
        let label = "the answer starts here";
        let align = if x + canvas.width(label, 14.0) + 8.0 < WIDTH { Align::Left } else { Align::Right };
        let shift = if align == Align::Left { 6.0 } else { -6.0 };
        canvas.text(label, x + shift, TOP - 27.0, 14.0, align, MARK);
    }
}

/// The pitches to show: those there are and two more on both sides.
fn range(pitches: impl Iterator<Item = u8>) -> (u8, u8) {
    let (low, high) = pitches.fold((127, 0), |(low, high): (u8, u8), p| (low.min(p), high.max(p)));
    let (low, high) = if low > high { (60, 60) } else { (low, high) };
    let spread = LEAST_PITCHES.saturating_sub(high - low + 1).div_ceil(2).max(2);
    (low.saturating_sub(spread), high.saturating_add(spread).min(127))
}

#[expect(clippy::cast_possible_truncation, reason = "a part of a picture's width")]
fn single(value: f64) -> f32 {
    value as f32
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a picture's size")]
fn whole(value: f32) -> u32 {
    value.round() as u32
}

#[cfg(test)]
mod tests {
    use super::super::session::Take;
    use super::*;

    /// A session over the repository's own waltz, each take the phrase again, shifted.
    fn session(takes: u8) -> (Phrase, Session) {
        let path: std::path::PathBuf =
            [env!("CARGO_MANIFEST_DIR"), "..", "assets", "phrases", "waltz.mid"].iter().collect();
        let phrase = Phrase::read(&path, None).unwrap();
        let later = 24 * u32::from(phrase.score.ticks_per_beat);
        let take = |index: u8| {
            let notes = phrase.score.notes.iter().map(|note| Note {
                start: note.start + later,
                pitch: note.pitch - 3 + index,
                ..*note
            });
            Take { notes: notes.step_by(1 + usize::from(index % 3)).collect(), first: Some(24.0), hanging: 0 }
        };
        let takes = (0..takes).map(take).collect();
        let session = Session { from: 0.0, trigger: 23.5, until: 48.0, latency: None, takes };
        (phrase, session)
    }

    #[test]
    fn pictures_are_drawn_alike_and_grow_with_the_takes() {
        let mut heights = Vec::new();
        for takes in [1, 3, 8] {
            let (phrase, session) = session(takes);
            let png = draw(&phrase, &session).unwrap();
            assert_eq!(png, draw(&phrase, &session).unwrap());
            let picture = tiny_skia::Pixmap::decode_png(&png).unwrap();
            assert_eq!(picture.width(), 1600);
            heights.push(picture.height());
        }
        assert!(heights.is_sorted(), "{heights:?}");
    }

    #[test]
    fn a_silent_session_is_drawn_too() {
        let (mut phrase, mut session) = session(1);
        phrase.score.notes.clear();
        session.takes[0] = Take { notes: Vec::new(), first: None, hanging: 0 };
        assert!(!draw(&phrase, &session).unwrap().is_empty());
    }

    #[test]
    fn narrow_and_empty_ranges_are_spread() {
        assert_eq!(range([60, 64].into_iter()), (53, 71));
        assert_eq!(range([0, 127].into_iter()), (0, 127));
        let (low, high) = range(std::iter::empty());
        assert!(low < 60 && high > 60);
    }
}
