//! Seconds to beats through a score's tempo map, for encodings that count in
//! seconds.

use continuo_codec::Score;

/// A tempo from one moment on.
struct Segment {
    /// Where it begins, in seconds and in beats.
    seconds: f64,
    beats: f64,
    seconds_per_beat: f64,
}

/// A score's tempo map, read from seconds.
pub struct TempoMap {
    segments: Vec<Segment>,
}

impl TempoMap {
    /// The map of a score; 120 beats a minute where it says nothing.
    #[must_use]
    pub fn new(score: &Score) -> Self {
        let mut segments = vec![Segment { seconds: 0.0, beats: 0.0, seconds_per_beat: 0.5 }];
        for tempo in &score.tempos {
            let beats = score.beats(tempo.tick);
            let last = &segments[segments.len() - 1];
            let seconds = last.seconds + (beats - last.beats) * last.seconds_per_beat;
            let seconds_per_beat = f64::from(tempo.micros_per_beat) / 1e6;
            segments.push(Segment { seconds, beats, seconds_per_beat });
        }
        Self { segments }
    }

    /// The beat at a moment.
    #[must_use]
    pub fn beat(&self, seconds: f64) -> f64 {
        let after = self.segments.partition_point(|s| s.seconds <= seconds);
        let segment = &self.segments[after.saturating_sub(1)];
        segment.beats + (seconds - segment.seconds) / segment.seconds_per_beat
    }
}

#[cfg(test)]
mod tests {
    use continuo_codec::Tempo;

    use super::*;

    #[test]
    fn beats_follow_the_tempo() {
        let mut score = Score::new(480);
        // 60 a minute for four beats, then 120.
        score.tempos = vec![
            Tempo { tick: 0, micros_per_beat: 1_000_000 },
            Tempo { tick: 1920, micros_per_beat: 500_000 },
        ];
        let map = TempoMap::new(&score);
        for (seconds, beat) in [(0.0, 0.0), (2.5, 2.5), (4.0, 4.0), (5.0, 6.0)] {
            assert!((map.beat(seconds) - beat).abs() < 1e-12, "{seconds} s");
        }
    }
}
