//! The score: notes, tempo map and meter map on a tick grid. Everything in this
//! crate converts to it or from it.

/// Who plays a note: a General MIDI program (0..=127) or the drum kit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instrument(u8);

impl Instrument {
    /// The drum kit (MIDI channel 10, written 9 counting from 0).
    pub const DRUMS: Self = Self(128);
    /// General MIDI program 0.
    pub const PIANO: Self = Self(0);

    /// A General MIDI program; `None` above 127.
    #[must_use]
    pub const fn program(program: u8) -> Option<Self> {
        if program < 128 { Some(Self(program)) } else { None }
    }

    /// 0..=127 for a program, 128 for the drum kit.
    #[must_use]
    pub const fn index(self) -> u8 {
        self.0
    }

    /// Whether this is the drum kit.
    #[must_use]
    pub const fn is_drums(self) -> bool {
        self.0 == 128
    }
}

/// One note. Times are in ticks of the score it belongs to.
///
/// The field order is the sort order of [`Score::normalize`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Note {
    /// Onset.
    pub start: u32,
    /// Who plays it.
    pub instrument: Instrument,
    /// MIDI pitch, 0..=127.
    pub pitch: u8,
    /// Length; 0 is allowed in a score and played as the shortest note.
    pub duration: u32,
    /// MIDI velocity, 1..=127.
    pub velocity: u8,
}

/// A tempo from a tick on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tempo {
    /// Where it begins.
    pub tick: u32,
    /// Microseconds a quarter note, as MIDI files have it (never 0).
    pub micros_per_beat: u32,
}

/// A meter from a tick on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meter {
    /// Where it begins: a bar line.
    pub tick: u32,
    /// Upper number (never 0).
    pub numerator: u8,
    /// Lower number: a power of two, 1..=128.
    pub denominator: u8,
}

/// Notes with their tempo and meter maps. A beat is a quarter note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Score {
    /// Ticks a quarter note, 1..=32767.
    pub ticks_per_beat: u16,
    /// Sorted by onset, then instrument, then pitch.
    pub notes: Vec<Note>,
    /// Sorted by tick; where it is silent the tempo is 120 beats a minute.
    pub tempos: Vec<Tempo>,
    /// Sorted by tick; where it is silent the meter is 4/4.
    pub meters: Vec<Meter>,
}

impl Score {
    /// A score without notes.
    #[must_use]
    pub const fn new(ticks_per_beat: u16) -> Self {
        Self { ticks_per_beat, notes: Vec::new(), tempos: Vec::new(), meters: Vec::new() }
    }

    /// Sorts notes and maps. Whoever builds a score by hand calls this last.
    pub fn normalize(&mut self) {
        self.notes.sort_unstable();
        self.tempos.sort_by_key(|t| t.tick);
        self.meters.sort_by_key(|m| m.tick);
    }

    /// The end of the last note in ticks, 0 without notes.
    #[must_use]
    pub fn end(&self) -> u32 {
        self.notes.iter().map(|n| n.start.saturating_add(n.duration)).max().unwrap_or(0)
    }

    /// Ticks as beats.
    #[must_use]
    pub fn beats(&self, ticks: u32) -> f64 {
        f64::from(ticks) / f64::from(self.ticks_per_beat)
    }
}
