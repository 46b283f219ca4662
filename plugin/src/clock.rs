//! Musical time: which beats a block of samples covers.
//!
//! While the host's transport rolls, its position and tempo are the clock. While
//! it stands still (or there is none) a clock of our own runs on at the host's
//! tempo, so that the plugin answers in a stopped host too. A [`Span`] is a piece
//! of a block without a jump in it; everything else in this crate computes with
//! spans and never asks for seconds.

/// Beats a minute where the host names no tempo.
const DEFAULT_TEMPO: f64 = 120.0;
/// Smaller differences between where a block was expected and where the host says
/// it is are drift (a tempo ramp, rounding), not a jump.
const DRIFT_BEATS: f64 = 1.0 / 64.0;
/// Pushes exact halves of a sample to one side whatever the last bits of the
/// host's position are, so that the block size never decides where a note falls.
const TIE_SAMPLES: f64 = 1.0 / 1024.0;
/// A bar line this far ahead of the position is none of a host's split blocks.
const AHEAD_BEATS: f64 = 0.5;
/// A host that so many blocks in a row told of bar lines ahead does not know them.
const AHEAD_BLOCKS: u32 = 8;
/// Ticks a beat of hosts that tell their position in whole ticks (Ardour).
const HOST_TICKS: f64 = 1920.0;
/// How far our own clock moves on when the transport has been rolling in between:
/// far enough that no answer given before sounds again.
const FREE_GAP_BARS: f64 = 4096.0;

/// Whose beats are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timeline {
    /// The host's, while its transport rolls.
    Host,
    /// Our own, while it does not.
    Free,
}

/// A time signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meter {
    /// Upper number, 1..=255.
    pub numerator: u8,
    /// Lower number, a power of two up to 128.
    pub denominator: u8,
}

impl Meter {
    /// What is assumed where the host names no meter.
    pub const COMMON: Self = Self { numerator: 4, denominator: 4 };

    /// A meter from what a host says; 4/4 where that makes no sense.
    #[must_use]
    pub fn new(numerator: Option<i32>, denominator: Option<i32>) -> Self {
        let upper = numerator.and_then(|n| u8::try_from(n).ok()).filter(|n| *n > 0);
        let lower = denominator.and_then(|d| u8::try_from(d).ok()).filter(|d| d.is_power_of_two());
        match (upper, lower) {
            (Some(numerator), Some(denominator)) => Self { numerator, denominator },
            _ => Self::COMMON,
        }
    }

    /// The length of a bar in beats (quarter notes).
    #[must_use]
    pub fn bar(self) -> f64 {
        f64::from(self.numerator) * 4.0 / f64::from(self.denominator)
    }
}

/// What the host tells of its transport at the beginning of a block.
#[derive(Clone, Copy, Debug, Default)]
pub struct HostTime {
    /// Whether the transport rolls.
    pub playing: bool,
    /// Position in beats.
    pub beats: Option<f64>,
    /// Position in samples, where the host tells it beside the beats.
    pub samples: Option<i64>,
    /// By how many samples `beats` may be too late: the framework adds the place of
    /// a split to positions that already are the split's.
    pub doubt: u32,
    /// Beats a minute.
    pub tempo: Option<f64>,
    /// Upper number of the meter.
    pub numerator: Option<i32>,
    /// Lower number of the meter.
    pub denominator: Option<i32>,
    /// The bar line at or before `beats`; not every host is right about it.
    pub bar_line: Option<f64>,
    /// Beginning and end of the active loop in beats.
    pub cycle: Option<(f64, f64)>,
}

/// A break in time at the beginning of a span.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Jump {
    /// Where time would have gone on, on the timeline that was left.
    pub from: f64,
    /// The timeline that was left.
    pub left: Timeline,
}

/// A piece of a block in which time runs evenly.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// Whose beats these are.
    pub timeline: Timeline,
    /// The beat of sample 0 of the span.
    pub start: f64,
    /// Beats a sample.
    pub step: f64,
    /// The first sample of the span, counted from the beginning of the block.
    pub offset: u32,
    /// Length in samples.
    pub samples: u32,
    /// Set where time does not go on from the span before.
    pub jump: Option<Jump>,
    /// Beats a minute.
    pub tempo: f64,
    /// The meter.
    pub meter: Meter,
    /// A bar line; all others are whole bars away from it.
    pub bar_line: f64,
    /// The host's active loop.
    pub cycle: Option<(f64, f64)>,
}

impl Span {
    /// The beat of a sample of the span.
    #[must_use]
    pub fn beat(&self, sample: u32) -> f64 {
        self.start + f64::from(sample) * self.step
    }

    /// Beats at or after this and before `limit(sample + 1)` belong to `sample`.
    #[must_use]
    pub fn limit(&self, sample: u32) -> f64 {
        self.start + (f64::from(sample) - 0.5 - TIE_SAMPLES) * self.step
    }

    /// The sample nearest to a beat, not before `least` and not past the span's end.
    #[must_use]
    pub fn sample(&self, beat: f64, least: u32) -> u32 {
        let nearest = ((beat - self.start) / self.step + 0.5 + TIE_SAMPLES).floor();
        let clamped = nearest.clamp(f64::from(least), f64::from(self.samples.max(least)));
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped to u32 just above"
        )]
        let sample = clamped as u32;
        sample
    }

    /// Where the span ends, in beats.
    #[must_use]
    pub fn end(&self) -> f64 {
        self.beat(self.samples)
    }
}

/// Turns what the host says into [`Span`]s.
#[derive(Debug)]
pub struct Clock {
    sample_rate: f64,
    tempo: f64,
    meter: Meter,
    /// A bar line of the host's, less than a bar from beat 0.
    bar_line: f64,
    /// How many blocks in a row the host's bar line lay ahead, up to [`AHEAD_BLOCKS`]:
    /// from then on it is not listened to.
    ahead: u32,
    /// Where our own clock stands.
    free: f64,
    /// Where the last span ended.
    last: Option<(Timeline, f64)>,
    /// Whether the next span is a jump wherever it begins.
    restarted: bool,
    /// By how many beats the host's position was too late in this block.
    excess: f64,
}

impl Default for Clock {
    fn default() -> Self {
        Self {
            sample_rate: 48_000.0,
            tempo: DEFAULT_TEMPO,
            meter: Meter::COMMON,
            bar_line: 0.0,
            ahead: 0,
            free: 0.0,
            last: None,
            restarted: false,
            excess: 0.0,
        }
    }
}

impl Clock {
    /// Sets the sample rate in Hertz.
    pub fn set_sample_rate(&mut self, rate: f32) {
        if rate.is_finite() && rate > 0.0 {
            self.sample_rate = f64::from(rate);
        }
    }

    /// The host interrupted processing: whatever comes next is a jump.
    pub fn restart(&mut self) {
        self.restarted = true;
    }

    /// The spans of the next `samples` samples: one, or two where the host's loop
    /// ends inside the block (not every host splits its blocks there).
    pub fn advance(&mut self, host: &HostTime, samples: u32) -> [Option<Span>; 2] {
        let whole = self.span(host, samples);
        let spans = match wrap_point(&whole) {
            Some((at, to)) => {
                let first = Span { samples: at, ..whole };
                let rest = whole.samples - at;
                let jump = Some(Jump { from: first.end(), left: whole.timeline });
                [Some(first), Some(Span { start: to, offset: at, samples: rest, jump, ..whole })]
            }
            None => [Some(whole), None],
        };
        let end = spans[1].unwrap_or(whole).end();
        self.last = Some((whole.timeline, end));
        if whole.timeline == Timeline::Free {
            self.free = end;
        }
        spans
    }

    fn span(&mut self, host: &HostTime, samples: u32) -> Span {
        if let Some(tempo) = host.tempo.filter(|t| t.is_finite() && (1.0..=10_000.0).contains(t)) {
            self.tempo = tempo;
        }
        let old_meter = self.meter;
        if host.numerator.is_some() {
            self.meter = Meter::new(host.numerator, host.denominator);
        }
        let beats = host.beats.filter(|b| b.is_finite() && host.playing);
        let timeline = if beats.is_some() { Timeline::Host } else { Timeline::Free };
        if timeline == Timeline::Free && matches!(self.last, Some((Timeline::Host, _))) {
            let bar = self.meter.bar();
            self.free = ((self.free / bar).ceil() + FREE_GAP_BARS) * bar;
        }
        let step = self.tempo / 60.0 / self.sample_rate;
        let start = beats.map_or(self.free, |beats| {
            let beats = self.undoubted(beats, f64::from(host.doubt) * step);
            self.unrounded(beats, host, step)
        });
        let restarted = std::mem::take(&mut self.restarted);
        let jump = match self.last {
            Some((left, from)) if restarted || left != timeline || (from - start).abs() > DRIFT_BEATS => {
                Some(Jump { from, left })
            }
            Some(_) => None,
            None => Some(Jump { from: start, left: timeline }),
        };
        if timeline == Timeline::Host {
            let known = match jump {
                _ if old_meter == self.meter => self.bar_line,
                None => changed_at(start, self.bar_line, old_meter).rem_euclid(self.meter.bar()),
                Some(_) => 0.0,
            };
            let goes_on = jump.is_none() && old_meter == self.meter;
            self.bar_line = self.find_bar_line(start, host.bar_line, known, goes_on);
        }
        Span {
            timeline,
            start,
            step,
            offset: 0,
            samples,
            jump,
            tempo: self.tempo,
            meter: self.meter,
            bar_line: if timeline == Timeline::Host { self.bar_line } else { 0.0 },
            cycle: host.cycle.filter(|(a, b)| timeline == Timeline::Host && a.is_finite() && b > a),
        }
    }

    /// A bar line, reduced to less than a bar from beat 0: the host's if it can be
    /// one and the host has not shown that it does not know; else the one known.
    fn find_bar_line(&mut self, beat: f64, told: Option<f64>, known: f64, goes_on: bool) -> f64 {
        let bar = self.meter.bar();
        let told = told.filter(|line| line.is_finite());
        if self.ahead < AHEAD_BLOCKS {
            self.ahead = if told.is_some_and(|line| line > beat + AHEAD_BEATS) { self.ahead + 1 } else { 0 };
        }
        let possible = told.filter(|line| self.ahead < AHEAD_BLOCKS && (-1e-6..bar).contains(&(beat - line)));
        let Some(line) = possible else { return known };
        let line = line.rem_euclid(bar);
        let line = if bar - line < 1e-6 { 0.0 } else { line };
        // Inside a block the framework guesses, counting bars from beat 0.
        if goes_on && line < 1e-6 { known } else { line }
    }

    /// Some hosts round their position to whole ticks, which is many samples. As long as one
    /// tempo holds from the beginning on, their position in samples is the exact one; else,
    /// where time goes on, our own count within the tick is the better one.
    fn unrounded(&self, beats: f64, host: &HostTime, step: f64) -> f64 {
        let whole = |beats: f64| (beats * HOST_TICKS - (beats * HOST_TICKS).round()).abs() < 1e-6;
        // Inside a block the framework has added what has passed of it.
        if !whole(beats) && !whole(beats - f64::from(host.doubt) * step) {
            return beats;
        }
        let half = 0.5 / HOST_TICKS;
        #[expect(clippy::cast_precision_loss, reason = "exact for some thousand years")]
        let exact = host.samples.map(|samples| samples as f64 * step);
        if let Some(exact) = exact.filter(|exact| (exact - beats).abs() < half + step) {
            return exact;
        }
        match self.last {
            Some((Timeline::Host, expected))
                if !self.restarted && (beats - expected).abs() <= DRIFT_BEATS =>
            {
                expected.clamp(beats - half, beats + half)
            }
            _ => beats,
        }
    }

    /// The host's position, less what it may be too late, if only that makes time go
    /// on evenly.
    fn undoubted(&mut self, beats: f64, doubt: f64) -> f64 {
        let known = if doubt > 0.0 { self.excess } else { 0.0 };
        self.excess = 0.0;
        let Some((Timeline::Host, expected)) = self.last else { return beats };
        let off = |excess: &f64| (beats - excess - expected).abs();
        // What was too much once is too much until the end of the host's block.
        let nearest = [0.0, known, doubt].into_iter().min_by(|a, b| off(a).total_cmp(&off(b)));
        self.excess = nearest.filter(|excess| off(excess) <= DRIFT_BEATS).unwrap_or(0.0);
        beats - self.excess
    }
}

/// Where the meter changed, which was noticed at `beat`: on a bar line of the old
/// meter, if that was just passed, else on one of its units.
fn changed_at(beat: f64, bar_line: f64, old: Meter) -> f64 {
    let unit = 4.0 / f64::from(old.denominator);
    let last = |step: f64| bar_line + ((beat - bar_line + 1e-3) / step).floor() * step;
    let line = last(old.bar());
    if beat - line < unit { line } else { last(unit) }
}

/// The sample at which a span runs over its loop's end, and the beat it goes on at.
fn wrap_point(span: &Span) -> Option<(u32, f64)> {
    let (begin, end) = span.cycle?;
    // A loop shorter than the block would wrap more than once: such a host splits.
    if span.start >= end || end - begin < f64::from(span.samples) * span.step {
        return None;
    }
    let at = span.sample(end, 0);
    if at == 0 || at >= span.samples {
        return None;
    }
    Some((at, begin + span.beat(at) - end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rolling(beats: f64) -> HostTime {
        HostTime { playing: true, beats: Some(beats), tempo: Some(120.0), ..HostTime::default() }
    }

    fn only(spans: [Option<Span>; 2]) -> Span {
        assert!(spans[1].is_none());
        spans[0].unwrap()
    }

    #[test]
    fn a_beat_falls_on_the_nearest_sample_and_on_one_block_only() {
        for block in [1_u32, 7, 64, 333, 4096] {
            let mut clock = Clock::default();
            let mut found = Vec::new();
            let mut position = 0_u32;
            while position < 50_000 {
                let span = only(clock.advance(&rolling(f64::from(position) / 24_000.0), block));
                for (name, beat) in
                    [(0, 0.0), (1, 1.0), (2, 1.5 / 24_000.0), (3, 4095.5 / 24_000.0), (4, 2.0)]
                {
                    if (span.limit(0)..span.limit(block)).contains(&beat) {
                        found.push((name, position + span.sample(beat, 0)));
                    }
                }
                position += block;
            }
            found.sort_unstable();
            assert_eq!(found, [(0, 0), (1, 24_000), (2, 2), (3, 4096), (4, 48_000)], "block {block}");
        }
    }

    #[test]
    fn going_on_is_no_jump_and_seeking_is_one() {
        let mut clock = Clock::default();
        assert!(only(clock.advance(&rolling(0.0), 2400)).jump.is_some());
        assert!(only(clock.advance(&rolling(0.1), 2400)).jump.is_none());
        assert!(only(clock.advance(&rolling(0.2 + 1e-6), 2400)).jump.is_none());
        let jump = only(clock.advance(&rolling(8.0), 2400)).jump.unwrap();
        assert!((jump.from - 0.3).abs() < 1e-5);
    }

    #[test]
    fn stopping_switches_to_a_clock_of_our_own_that_never_comes_back_to_old_beats() {
        let mut clock = Clock::default();
        let stopped = HostTime { playing: false, ..rolling(3.0) };
        let first = only(clock.advance(&stopped, 24_000));
        assert_eq!((first.timeline, first.start), (Timeline::Free, 0.0));
        assert_eq!(only(clock.advance(&stopped, 24_000)).start, 1.0);
        assert_eq!(only(clock.advance(&rolling(3.0), 64)).timeline, Timeline::Host);
        let again = only(clock.advance(&stopped, 64));
        assert!(again.jump.is_some() && again.start > 1000.0);
        assert_eq!(again.start % 4.0, 0.0);
    }

    #[test]
    fn a_block_across_the_loop_end_is_split_there() {
        let mut clock = Clock::default();
        let host = HostTime { cycle: Some((4.0, 8.0)), ..rolling(7.99) };
        let [first, second] = clock.advance(&host, 480);
        let (first, second) = (first.unwrap(), second.unwrap());
        assert_eq!((first.samples, second.offset, second.samples), (240, 240, 240));
        assert!(second.jump.is_some());
        assert!((second.start - 4.0).abs() < 1e-9);
        let on = HostTime { cycle: Some((4.0, 8.0)), ..rolling(4.01) };
        assert!(only(clock.advance(&on, 480)).jump.is_none());
    }

    #[test]
    fn bar_lines_are_the_hosts_where_they_can_be() {
        let mut clock = Clock::default();
        let mut line = |beats: f64, told: f64, numerator: i32| {
            let (numerator, denominator) = (Some(numerator), Some(4));
            let host = HostTime { bar_line: Some(told), numerator, denominator, ..rolling(beats) };
            only(clock.advance(&host, 2400)).bar_line
        };
        // Ardour tells of a bar line ahead.
        assert_eq!(line(0.0, 4.0, 4), 0.0);
        // A meter change in mid-bar made beat 9.5 a bar line.
        assert_eq!(line(9.5, 9.5, 3), 0.5);
        // The framework's guess inside a block, and a host that has gone silent.
        assert_eq!(line(9.6, 9.0, 3), 0.5);
        assert_eq!(line(9.7, 900.0, 3), 0.5);
        assert_eq!(line(9.8, 9.8, 4), 9.8_f64.rem_euclid(4.0));
        assert_eq!(line(80.0, 80.0, 4), 0.0);
    }

    #[test]
    fn a_split_added_twice_is_taken_off_again() {
        let mut clock = Clock::default();
        clock.advance(&rolling(0.0), 240);
        // A tempo change at sample 240 says 0.01 beats, the framework adds as much.
        let split = HostTime { doubt: 240, tempo: Some(60.0), ..rolling(0.01 + 0.005) };
        let span = only(clock.advance(&split, 240));
        assert!((span.start - 0.01).abs() < 1e-9, "{span:?}");
        // So it does with the rest of the block.
        let rest = HostTime { doubt: 480, tempo: Some(60.0), ..rolling(0.01 + 0.01) };
        let span = only(clock.advance(&rest, 240));
        assert!((span.start - 0.015).abs() < 1e-9, "{span:?}");
        // A position that fits is not doubted, nor one that would not fit either way.
        let fits = HostTime { doubt: 0, tempo: Some(60.0), ..rolling(0.02) };
        assert_eq!(only(clock.advance(&fits, 240)).start, 0.02);
        let seek = HostTime { doubt: 720, tempo: Some(60.0), ..rolling(4.0) };
        assert_eq!(only(clock.advance(&seek, 240)).start, 4.0);
    }

    #[test]
    fn a_host_that_does_not_know_its_bar_lines_is_counted_for() {
        // Ardour tells the bar's number times its length: 4/4 for a bar, then 3/4.
        let mut clock = Clock::default();
        for block in 0..400_u32 {
            let beat = f64::from(block) * 0.04;
            let (numerator, told) =
                if beat < 4.0 { (4, 4.0) } else { (3, (2.0 + ((beat - 4.0) / 3.0).floor()) * 3.0) };
            let (numerator, denominator) = (Some(numerator), Some(4));
            let host = HostTime { bar_line: Some(told), numerator, denominator, ..rolling(beat) };
            let span = only(clock.advance(&host, 960));
            let wanted = if beat < 4.0 { 0.0 } else { 1.0 };
            assert!((span.bar_line - wanted).abs() < 1e-6, "beat {beat}: {span:?}");
        }
    }

    #[test]
    fn a_position_rounded_to_ticks_is_counted_on_within_the_tick() {
        let (mut clock, step) = (Clock::default(), 97.0 / 60.0 / 48_000.0);
        let rounded = |beat: f64| (beat * 1920.0).round() / 1920.0;
        for block in 0..500_u32 {
            let beat = f64::from(block * 1024) * step;
            let host = HostTime { tempo: Some(97.0), ..rolling(rounded(beat)) };
            let span = only(clock.advance(&host, 1024));
            assert!((span.start - beat).abs() < step / 1024.0, "block {block}: {span:?}");
        }
        // What is more than a tick's rounding is the host's word again.
        let on = HostTime { tempo: Some(97.0), ..rolling(rounded(500.0 * 1024.0 * step) + 2.0 / 1920.0) };
        let span = only(clock.advance(&on, 1024));
        assert!((span.start - on.beats.unwrap()).abs() <= 0.5 / 1920.0 + 1e-12);
        let seek = HostTime { tempo: Some(97.0), ..rolling(2.0) };
        assert_eq!(only(clock.advance(&seek, 1024)).start, 2.0);
    }

    /// Ardour's export begins some blocks before the beginning, not always as many. The first
    /// block's rounding stayed, so that the answer was some samples off, and not always as many.
    #[test]
    fn a_position_in_samples_says_what_the_ticks_leave_out() {
        let step = 97.0 / 60.0 / 48_000.0;
        let (end, pieces) = (300 * 1024, [1023_u32, 1]);
        for first in [-768_i64, -4864, 0, 512] {
            let (mut clock, mut at) = (Clock::default(), first);
            while at < end {
                let told = (f64::from(i32::try_from(at).unwrap()) * step * 1920.0).round() / 1920.0;
                let mut doubt = 0;
                for samples in pieces {
                    let position = Some(at + i64::from(doubt));
                    let beats = told + f64::from(doubt) * step;
                    let host = HostTime { tempo: Some(97.0), samples: position, doubt, ..rolling(beats) };
                    let span = only(clock.advance(&host, samples));
                    let exact = f64::from(i32::try_from(at).unwrap() + i32::try_from(doubt).unwrap()) * step;
                    assert!((span.start - exact).abs() < 1e-9, "sample {at}: {span:?}");
                    doubt += samples;
                }
                at += 1024;
            }
        }
        // After a change of tempo the samples say something else, and the beats it is.
        let mut clock = Clock::default();
        let host = HostTime { samples: Some(1_000_000), ..rolling(12.0) };
        assert_eq!(only(clock.advance(&host, 64)).start, 12.0);
    }

    #[test]
    fn nonsense_from_the_host_is_replaced() {
        let mut clock = Clock::default();
        let host = HostTime {
            playing: true,
            beats: Some(f64::NAN),
            samples: Some(i64::MIN),
            doubt: 0,
            tempo: Some(0.0),
            numerator: Some(-3),
            denominator: Some(5),
            bar_line: Some(f64::INFINITY),
            cycle: Some((1.0, f64::NAN)),
        };
        let span = only(clock.advance(&host, 64));
        assert_eq!((span.timeline, span.tempo, span.meter), (Timeline::Free, 120.0, Meter::COMMON));
        assert!(span.cycle.is_none());
        assert_eq!(Meter::new(Some(6), Some(8)).bar(), 3.0);
    }
}
