//! Repeatable random numbers, and scores and ids made of them.

use continuo_codec::{IdSet, Instrument, Meter, Note, Score, Stream, Tempo};

/// A linear congruential generator; the upper half of its state is good enough.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(0x1234_5678_9ABC_DEF1))
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u32::try_from(((self.0 >> 32) * u64::from(end)) >> 32).unwrap()
    }

    fn byte(&mut self, end: u32) -> u8 {
        u8::try_from(self.below(end)).unwrap()
    }

    /// Any id of a set, all equally likely.
    pub(crate) fn of(&mut self, set: &IdSet) -> u32 {
        let index = self.below(u32::try_from(set.len()).unwrap());
        set.ranges().iter().cloned().flatten().nth(index as usize).unwrap()
    }

    /// An id that may come next. In `kinds` every range is equally likely instead
    /// of every id, so that bars and positions are as frequent as pitches.
    pub(crate) fn next(&mut self, stream: &dyn Stream, kinds: bool) -> u32 {
        let mut set = IdSet::default();
        stream.allowed(&mut set);
        assert!(!set.is_empty(), "nothing may follow");
        if !kinds {
            return self.of(&set);
        }
        let ranges = set.ranges();
        let range = ranges[self.below(u32::try_from(ranges.len()).unwrap()) as usize].clone();
        range.start + self.below(range.end - range.start)
    }

    pub(crate) fn instrument(&mut self) -> Instrument {
        Instrument::program(self.byte(129)).unwrap_or(Instrument::DRUMS)
    }

    /// A score of some bars, on a grid of its own.
    pub(crate) fn score(&mut self) -> Score {
        let resolutions = [1, 24, 96, 100, 480, 960, 32767];
        let mut score = Score::new(resolutions[self.below(7) as usize]);
        let per_beat = u32::from(score.ticks_per_beat);
        let span = per_beat * (1 + self.below(40));
        let players: Vec<_> = (0..=self.below(4)).map(|_| self.instrument()).collect();
        for _ in 0..self.below(200) {
            score.notes.push(Note {
                start: self.below(span),
                instrument: players[self.below(u32::try_from(players.len()).unwrap()) as usize],
                pitch: self.byte(128),
                duration: self.below(per_beat * 2),
                velocity: 1 + self.byte(127),
            });
        }
        for _ in 0..self.below(4) {
            let micros_per_beat = 100_000 + self.below(1_000_000);
            score.tempos.push(Tempo { tick: self.below(span), micros_per_beat });
        }
        for _ in 0..self.below(4) {
            let (numerator, denominator) = (1 + self.byte(9), 1 << self.below(5));
            score.meters.push(Meter { tick: self.below(span), numerator, denominator });
        }
        score.normalize();
        score
    }
}

/// Draws ids until `count` are drawn or the stream is finished.
pub(crate) fn draw(random: &mut Random, stream: &mut dyn Stream, count: usize, kinds: bool) -> Vec<u32> {
    let mut ids = Vec::new();
    while ids.len() < count && !stream.finished() {
        let id = random.next(stream, kinds);
        stream.push(id, &mut Vec::new()).unwrap();
        ids.push(id);
    }
    ids
}
