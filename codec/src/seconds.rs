//! Ticks to seconds, in the arithmetic of pretty_midi, which MIDI Gen AI uses.

use crate::score::Score;

/// Seconds a beat where nothing says otherwise, in microseconds.
const DEFAULT_MICROS: u32 = 500_000;

/// A tempo map that tells when a tick sounds.
///
/// The order of operations matters to the last bit, because what comes out is
/// rounded to two decimals.
pub(crate) struct Seconds {
    spans: Vec<Span>,
}

/// From a tick on, so many seconds each.
struct Span {
    tick: f64,
    start: f64,
    scale: f64,
}

impl Seconds {
    /// From a resolution, negative where the file counted in frames, and tempos
    /// by tick. A tempo at tick 0 replaces those before it, and a tempo that
    /// changes nothing is passed over.
    pub(crate) fn new(ticks_per_beat: f64, tempos: impl IntoIterator<Item = (f64, u32)>) -> Self {
        let scale = |micros: u32| 60.0 / (6e7 / f64::from(micros) * ticks_per_beat);
        let mut spans = vec![Span { tick: 0.0, start: 0.0, scale: scale(DEFAULT_MICROS) }];
        for (tick, micros) in tempos {
            let scale = scale(micros);
            if tick == 0.0 {
                spans.clear();
                spans.push(Span { tick, start: 0.0, scale });
            } else if let Some(last) = spans.last()
                && last.scale != scale
            {
                spans.push(Span { tick, start: last.time(tick), scale });
            }
        }
        Self { spans }
    }

    /// From the tempo map of a score.
    pub(crate) fn of(score: &Score) -> Self {
        let tempos = score.tempos.iter().filter(|tempo| tempo.micros_per_beat > 0);
        let tempos = tempos.map(|tempo| (f64::from(tempo.tick), tempo.micros_per_beat));
        Self::new(f64::from(score.ticks_per_beat.max(1)), tempos)
    }

    /// When a tick sounds.
    pub(crate) fn at(&self, tick: f64) -> f64 {
        self.spans.get(self.place(tick)).map_or(0.0, |span| span.time(tick))
    }

    /// Which span a tick lies in.
    fn place(&self, tick: f64) -> usize {
        self.spans.partition_point(|span| span.tick <= tick).saturating_sub(1)
    }

    /// For ticks of which most lie near the one before.
    pub(crate) const fn hand(&self) -> Hand<'_> {
        Hand { seconds: self, place: 0 }
    }
}

/// A tempo map, and where it was last asked.
pub(crate) struct Hand<'a> {
    seconds: &'a Seconds,
    place: usize,
}

impl Hand<'_> {
    /// What [`Seconds::at`] says.
    #[inline]
    pub(crate) fn at(&mut self, tick: f64) -> f64 {
        let spans = &self.seconds.spans;
        let here = |place: usize| {
            let span = spans.get(place).filter(|span| span.tick <= tick)?;
            let last = spans.get(place + 1).is_none_or(|next| tick < next.tick);
            last.then(|| span.time(tick))
        };
        here(self.place).unwrap_or_else(|| {
            self.place = self.seconds.place(tick);
            self.seconds.at(tick)
        })
    }
}

impl Span {
    fn time(&self, tick: f64) -> f64 {
        self.start + self.scale * (tick - self.tick)
    }
}
