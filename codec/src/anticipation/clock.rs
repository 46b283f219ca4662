//! Ticks to seconds in the original's arithmetic: every pause between two events
//! is converted by itself, and the pauses are added up. The order of operations
//! matters to the last bit, because what comes out is rounded.

use crate::score::Score;

/// Microseconds a beat where nothing says otherwise.
const DEFAULT_MICROS: u32 = 500_000;

/// Goes through a piece from event to event.
pub(super) struct Clock {
    ticks_per_beat: f64,
    /// Microseconds a beat from here on.
    pub(super) micros: u32,
    tick: u64,
    /// The time of the event it stands at.
    pub(super) seconds: f64,
}

impl Clock {
    /// At tick 0.
    pub(super) const fn new(ticks_per_beat: f64) -> Self {
        Self { ticks_per_beat, micros: DEFAULT_MICROS, tick: 0, seconds: 0.0 }
    }

    /// Goes to an event that is not before this one and gives the pause.
    pub(super) fn advance(&mut self, tick: u64) -> f64 {
        if tick <= self.tick {
            return 0.0;
        }
        let scale = f64::from(self.micros) * 1e-6 / self.ticks_per_beat;
        let pause = as_f64(tick - self.tick) * scale;
        self.tick = tick;
        self.seconds += pause;
        pause
    }
}

/// The nearest number there is, halves to even, as Python converts.
fn as_f64(ticks: u64) -> f64 {
    ticks as f64
}

/// When each event of a score sounds, as its MIDI file would have it.
pub(super) struct Timeline(Vec<(u32, f64)>);

impl Timeline {
    pub(super) fn of(score: &Score) -> Self {
        let notes = score.notes.iter().flat_map(|note| [note.start, end(note.start, note.duration)]);
        let meters = score.meters.iter().map(|meter| meter.tick);
        let mut events: Vec<(u32, Option<u32>)> = notes.chain(meters).map(|tick| (tick, None)).collect();
        let micros = |micros: u32| micros.clamp(1, 0xff_ffff);
        events.extend(score.tempos.iter().map(|tempo| (tempo.tick, Some(micros(tempo.micros_per_beat)))));
        events.sort_by_key(|&(tick, _)| tick);
        let mut clock = Clock::new(f64::from(score.ticks_per_beat.max(1)));
        let mut times = Vec::with_capacity(events.len());
        for (tick, micros) in events {
            clock.advance(tick.into());
            clock.micros = micros.unwrap_or(clock.micros);
            times.push((tick, clock.seconds));
        }
        Self(times)
    }

    /// When an event's tick sounds.
    pub(super) fn at(&self, tick: u32) -> f64 {
        let place = self.0.partition_point(|&(event, _)| event < tick);
        self.0.get(place).or(self.0.last()).map_or(0.0, |&(_, seconds)| seconds)
    }
}

/// Where a note ends; none is shorter than a tick.
pub(super) fn end(start: u32, duration: u32) -> u32 {
    start.saturating_add(duration.max(1))
}

/// Seconds as hundredths, halves to even, where they can be counted.
pub(super) fn hundredths(seconds: f64) -> Option<u32> {
    let rounded = (100.0 * seconds).round_ties_even();
    let fits = (0.0..=f64::from(u32::MAX)).contains(&rounded);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within 0..=u32::MAX")]
    fits.then_some(rounded as u32)
}
