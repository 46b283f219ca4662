//! The phrase: a MIDI file as a score on a fine enough grid, and its timeline.

use super::Start;
use anyhow::{Context, Result, anyhow};
use continuo_codec::{Score, Tempo, midi};
use continuo_tests::timeline::Timeline;
use std::fs;
use std::path::{Path, PathBuf};

/// Samples a second in the demo's host.
pub(crate) const SAMPLE_RATE: f64 = 48_000.0;

/// A coarser grid would shift the answers' notes when they are written down.
const LEAST_TICKS: u16 = 480;

/// The quickest tempo a host offers, 960 beats a minute, in microseconds a beat. A
/// file may ask for millions, at which a bar is shorter than a sample.
const QUICKEST: u32 = 62_500;

/// A note that is held past a line by less than this many beats ends on it.
const HELD_OVER: f64 = 0.125;

/// How long before a line a player asks, in beats.
const MOMENT: f64 = 1.0 / 32.0;

/// A phrase, ready to be played.
pub(crate) struct Phrase {
    /// Where it came from.
    pub(crate) path: PathBuf,
    /// Its notes and maps.
    pub(crate) score: Score,
    /// Its maps on the host's samples.
    pub(crate) timeline: Timeline,
}

impl Phrase {
    /// Reads a MIDI file; `bpm` overrides its tempo.
    pub(crate) fn read(path: &Path, bpm: Option<f64>) -> Result<Self> {
        let bytes = fs::read(path)
            .with_context(|| format!("{} cannot be read; name a MIDI file with --phrase", path.display()))?;
        let score = midi::read(&bytes).map_err(|error| {
            anyhow!("{}: {error}; export the phrase again as a standard MIDI file", path.display())
        })?;
        Ok(Self::new(path, score, bpm))
    }

    fn new(path: &Path, score: Score, bpm: Option<f64>) -> Self {
        let mut score = refined(score);
        for tempo in &mut score.tempos {
            tempo.micros_per_beat = tempo.micros_per_beat.max(QUICKEST);
        }
        if let Some(bpm) = bpm {
            score.tempos = vec![Tempo { tick: 0, micros_per_beat: micros(bpm) }];
        }
        let timeline = continuo_tests::phrase::timeline(&score, SAMPLE_RATE);
        Self { path: path.to_path_buf(), score, timeline }
    }

    /// The beat at which to ask for an answer: where the last note ends. If that is
    /// a line where the answer may start, or a little past it, a player who wants to
    /// be answered there asks a moment before, and so does this.
    pub(crate) fn trigger(&self, start: Start) -> f64 {
        let end = self.end();
        let line = match start {
            Start::Now => return end,
            Start::Bar => self.timeline.bar_at(end).start,
            Start::Beat => {
                let bar = self.timeline.bar_at(end).start;
                bar + (end - bar + 1e-6).floor()
            }
        };
        let before = line - MOMENT;
        let last = self.score.notes.last().map_or(0.0, |note| self.score.beats(note.start));
        if end - line < HELD_OVER && before > last { before } else { end }
    }

    /// The beat at which the last note ends.
    pub(crate) fn end(&self) -> f64 {
        self.score.beats(self.score.end())
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a tempo from 10 BPM up")]
fn micros(bpm: f64) -> u32 {
    (60_000_000.0 / bpm).round() as u32
}

/// The same score on a grid of at least [`LEAST_TICKS`] a beat, nothing moved.
fn refined(mut score: Score) -> Score {
    let ticks = score.ticks_per_beat.max(1);
    let factor = LEAST_TICKS.div_ceil(ticks);
    let widest = score.end().max(score.tempos.last().map_or(0, |tempo| tempo.tick));
    if widest.checked_mul(u32::from(factor)).is_none() {
        return score;
    }
    score.ticks_per_beat = ticks * factor;
    let finer = |tick: &mut u32| *tick = tick.saturating_mul(u32::from(factor));
    for note in &mut score.notes {
        finer(&mut note.start);
        finer(&mut note.duration);
    }
    score.tempos.iter_mut().for_each(|tempo| finer(&mut tempo.tick));
    score.meters.iter_mut().for_each(|meter| finer(&mut meter.tick));
    score
}

#[cfg(test)]
mod tests {
    use super::*;
    use continuo_codec::{Instrument, Meter, Note};

    #[test]
    fn a_coarse_grid_is_refined_and_nothing_moves() {
        let mut score = Score::new(96);
        let (start, duration) = (96, 48);
        score.notes = vec![Note { start, duration, instrument: Instrument::PIANO, pitch: 60, velocity: 80 }];
        score.meters = vec![Meter { tick: 288, numerator: 3, denominator: 4 }];
        let phrase = Phrase::new(Path::new("x.mid"), score, Some(100.0));
        assert_eq!(phrase.score.ticks_per_beat, 480);
        assert_eq!((phrase.score.notes[0].start, phrase.end()), (480, 1.5));
        assert_eq!(phrase.timeline.bar_at(3.0).numerator, 3);
        assert_eq!(phrase.timeline.sample_at(1.0), 28_800.0);
    }

    #[test]
    fn a_tempo_of_millions_is_played_as_quickly_as_a_host_can() {
        let mut score = Score::new(480);
        score.tempos = vec![Tempo { tick: 0, micros_per_beat: 1 }];
        let phrase = Phrase::new(Path::new("x.mid"), score, None);
        assert_eq!(phrase.timeline.tempo_at(0.0), 960.0);
    }

    #[test]
    fn a_phrase_that_fills_its_bars_is_answered_where_it_ends() {
        let trigger = |length: u32, start| {
            let mut score = Score::new(480);
            let (instrument, pitch, velocity) = (Instrument::PIANO, 60, 80);
            score.notes = vec![Note { start: 0, duration: length, instrument, pitch, velocity }];
            Phrase::new(Path::new("x.mid"), score, None).trigger(start)
        };
        assert_eq!(trigger(4 * 480, Start::Bar), 4.0 - MOMENT);
        assert_eq!(trigger(4 * 480 + 30, Start::Bar), 4.0 - MOMENT);
        assert_eq!(trigger(4 * 480 - 60, Start::Bar), 3.875);
        assert_eq!(trigger(5 * 480, Start::Bar), 5.0);
        assert_eq!(trigger(5 * 480, Start::Beat), 5.0 - MOMENT);
        assert_eq!(trigger(4 * 480, Start::Now), 4.0);
        assert_eq!(trigger(0, Start::Bar), 0.0);
    }

    #[test]
    fn an_unreadable_phrase_is_named_with_place_and_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("noise.mid");
        fs::write(&path, b"this is no music").unwrap();
        for path in [path.as_path(), &folder.path().join("absent.mid")] {
            let error = Phrase::read(path, None).err().map(|error| format!("{error:#}")).unwrap();
            assert!(error.contains(path.to_str().unwrap()), "{error}");
            assert!(error.contains("--phrase") || error.contains("byte 0"), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }
}
