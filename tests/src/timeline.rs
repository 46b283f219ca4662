//! The host's timeline: a tempo map and a meter map over samples.
//!
//! A beat is a quarter note. Positions in samples are fractional here, because a
//! beat seldom falls on a whole sample; the host rounds where it must.

/// A tempo from a beat on.
#[derive(Clone, Copy, Debug, PartialEq)]
struct TempoPoint {
    beat: f64,
    sample: f64,
    bpm: f64,
}

/// A meter from a bar line on.
#[derive(Clone, Copy, Debug, PartialEq)]
struct MeterPoint {
    beat: f64,
    bar: u32,
    numerator: u16,
    denominator: u16,
}

impl MeterPoint {
    fn bar_length(&self) -> f64 {
        f64::from(self.numerator) * 4.0 / f64::from(self.denominator)
    }
}

/// One bar of the timeline.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bar {
    /// Counted from 0.
    pub index: u32,
    /// The beat of its first bar line.
    pub start: f64,
    /// Its length in beats, as its meter has it.
    pub length: f64,
    /// The meter's upper number.
    pub numerator: u16,
    /// The meter's lower number.
    pub denominator: u16,
}

/// Sample rate, tempo map and meter map.
///
/// ```
/// use continuo_tests::timeline::Timeline;
/// let timeline = Timeline::new(48_000.0).with_tempo(0.0, 60.0).with_tempo(4.0, 120.0);
/// assert_eq!(timeline.sample_at(5.0), 4.0 * 48_000.0 + 24_000.0);
/// assert_eq!(timeline.beat_at(timeline.sample_at(5.0)), 5.0);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Timeline {
    sample_rate: f64,
    tempos: Vec<TempoPoint>,
    meters: Vec<MeterPoint>,
}

/// A position this close (in beats) to a bar line is on it: a millionth of a
/// beat is far below a sample at any tempo a sequencer offers.
const ON_THE_LINE: f64 = 1e-6;

impl Timeline {
    /// 120 beats a minute in 4/4.
    #[must_use]
    pub fn new(sample_rate: f64) -> Self {
        Self {
            sample_rate,
            tempos: vec![TempoPoint { beat: 0.0, sample: 0.0, bpm: 120.0 }],
            meters: vec![MeterPoint { beat: 0.0, bar: 0, numerator: 4, denominator: 4 }],
        }
    }

    /// Samples a second.
    #[must_use]
    pub fn sample_rate(&self) -> f64 {
        self.sample_rate
    }

    /// The same timeline with another tempo (beats a minute) from `beat` on.
    /// Points must be added in order; one at an earlier point's beat replaces it.
    #[must_use]
    pub fn with_tempo(mut self, beat: f64, bpm: f64) -> Self {
        self.tempos.retain(|point| point.beat < beat);
        let sample = if self.tempos.is_empty() { 0.0 } else { self.sample_at(beat) };
        self.tempos.push(TempoPoint { beat: if self.tempos.is_empty() { 0.0 } else { beat }, sample, bpm });
        self
    }

    /// The same timeline with another meter from `beat` on, which becomes a bar
    /// line (a bar cut short by it counts as a bar). Points must be added in order.
    #[must_use]
    pub fn with_meter(mut self, beat: f64, numerator: u16, denominator: u16) -> Self {
        self.meters.retain(|point| point.beat < beat);
        let bar = if self.meters.is_empty() { 0 } else { self.bars_before(beat) };
        let beat = if self.meters.is_empty() { 0.0 } else { beat };
        self.meters.push(MeterPoint { beat, bar, numerator, denominator });
        self
    }

    /// The sample at which `beat` begins.
    #[must_use]
    pub fn sample_at(&self, beat: f64) -> f64 {
        let point = self.last_tempo(|point| point.beat <= beat);
        point.sample + (beat - point.beat) * self.sample_rate * 60.0 / point.bpm
    }

    /// The beat that sounds at `sample`.
    #[must_use]
    pub fn beat_at(&self, sample: f64) -> f64 {
        let point = self.last_tempo(|point| point.sample <= sample);
        point.beat + (sample - point.sample) / (self.sample_rate * 60.0 / point.bpm)
    }

    /// Beats a minute at `sample`.
    #[must_use]
    pub fn tempo_at(&self, sample: f64) -> f64 {
        self.last_tempo(|point| point.sample <= sample).bpm
    }

    /// The bar that `beat` lies in.
    #[must_use]
    pub fn bar_at(&self, beat: f64) -> Bar {
        let point = self.last_meter(beat);
        let length = point.bar_length();
        let bars = whole((beat - point.beat + ON_THE_LINE) / length);
        Bar {
            index: point.bar + bars,
            start: point.beat + f64::from(bars) * length,
            length,
            numerator: point.numerator,
            denominator: point.denominator,
        }
    }

    /// The first bar line at or after `beat`.
    #[must_use]
    pub fn bar_line_from(&self, beat: f64) -> f64 {
        let bar = self.bar_at(beat);
        if (beat - bar.start).abs() <= ON_THE_LINE {
            return bar.start;
        }
        let next = bar.start + bar.length;
        // A change of meter cuts a bar short.
        self.meters.iter().map(|point| point.beat).find(|&at| at > beat && at < next).unwrap_or(next)
    }

    /// The first whole sample after `sample` where tempo or meter changes.
    #[must_use]
    pub fn next_change(&self, sample: u64) -> Option<u64> {
        let tempos = self.tempos.iter().map(|point| point.sample);
        let meters = self.meters.iter().map(|point| self.sample_at(point.beat));
        tempos.chain(meters).map(|at| crate::host::frames(at.ceil())).filter(|&at| at > sample).min()
    }

    fn last_tempo(&self, keep: impl Fn(&TempoPoint) -> bool) -> TempoPoint {
        let index = self.tempos.partition_point(keep).max(1) - 1;
        self.tempos[index]
    }

    fn last_meter(&self, beat: f64) -> MeterPoint {
        let index = self.meters.partition_point(|point| point.beat <= beat + ON_THE_LINE).max(1) - 1;
        self.meters[index]
    }

    fn bars_before(&self, beat: f64) -> u32 {
        let point = self.last_meter(beat);
        point.bar + whole(((beat - point.beat) / point.bar_length() - ON_THE_LINE).ceil())
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates, as wanted")]
fn whole(value: f64) -> u32 {
    value as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beats_and_samples_are_inverse_across_tempo_changes() {
        let timeline =
            Timeline::new(44_100.0).with_tempo(0.0, 97.0).with_tempo(3.5, 20.0).with_tempo(9.0, 400.0);
        for step in 0..400 {
            let beat = f64::from(step) / 16.0;
            assert!((timeline.beat_at(timeline.sample_at(beat)) - beat).abs() < 1e-9, "{beat}");
        }
    }

    #[test]
    fn bars_follow_the_meter_map() {
        let timeline = Timeline::new(48_000.0).with_meter(0.0, 7, 8).with_meter(7.0, 3, 4);
        assert_eq!(timeline.bar_at(3.4).index, 0);
        assert_eq!(timeline.bar_at(3.5).index, 1);
        assert_eq!(timeline.bar_at(7.0).index, 2);
        assert_eq!(timeline.bar_at(10.0).start, 10.0);
        assert_eq!(timeline.bar_line_from(3.5), 3.5);
        assert_eq!(timeline.bar_line_from(3.6), 7.0);
        assert_eq!(timeline.bar_line_from(7.1), 10.0);
    }

    #[test]
    fn a_meter_change_cuts_a_bar_short() {
        let timeline = Timeline::new(48_000.0).with_meter(0.0, 4, 4).with_meter(6.0, 3, 4);
        assert_eq!(timeline.bar_line_from(4.5), 6.0);
        assert_eq!(timeline.bar_at(6.0).index, 2);
        assert_eq!(timeline.bar_at(9.0).index, 3);
    }

    #[test]
    fn changes_are_found_in_order() {
        let timeline = Timeline::new(48_000.0).with_tempo(4.0, 90.0).with_meter(8.0, 3, 4);
        let first = timeline.next_change(0).unwrap();
        assert_eq!(first, 96_000);
        assert_eq!(timeline.next_change(first), Some(96_000 + 128_000));
        assert_eq!(timeline.next_change(96_000 + 128_000), None);
    }
}
