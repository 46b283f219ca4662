//! Spells bars, tempos and notes in the one order the grammar knows.

use super::grammar::{KIT, Sound, Step};
use super::meter::Signature;
use super::vocab::{
    BAR, DENOMINATOR, DRUM, DURATION, END, FAR, INSTRUMENTS, LEVEL, NUMERATOR, PITCH, POSITION, POSITIONS,
    PROGRAM, START, TEMPO_HIGH, TEMPO_LOW, VELOCITY,
};

/// Writes ids. Bars, positions and, at each position, tempo before notes come in
/// order; the notes of one position may come in any.
pub(super) struct Writer {
    pub(super) ids: Vec<u32>,
    meter: Signature,
    tempo: u32,
    /// Whether the first bar still waits for what its header says.
    heading: bool,
    /// The last position written in this bar.
    position: Option<u32>,
    pub(super) instrument: u8,
    pub(super) levels: [u8; INSTRUMENTS as usize],
    /// Notes of one position that are not written yet.
    pub(super) group: Vec<Sound>,
    pub(super) group_position: u32,
    /// Notes for which another stands.
    pub(super) doubled: usize,
}

impl Writer {
    /// A piece whose first bar begins with this meter and tempo, unless
    /// [`Writer::meter`] or [`Writer::tempo`] say otherwise at its first position.
    pub(super) fn new(meter: Signature, tempo: u32, capacity: usize) -> Self {
        let mut ids = Vec::with_capacity(capacity);
        ids.push(START);
        Self {
            ids,
            meter,
            tempo,
            heading: false,
            position: None,
            instrument: 0,
            levels: [LEVEL; INSTRUMENTS as usize],
            group: Vec::new(),
            group_position: 0,
            doubled: 0,
        }
    }

    /// Begins a bar.
    pub(super) fn bar(&mut self) {
        let first = self.ids.len() == 1;
        self.settle();
        self.ids.push(BAR);
        self.position = None;
        self.heading = first;
    }

    /// The meter of the bar just begun.
    pub(super) fn meter(&mut self, meter: Signature) {
        if meter != self.meter && !self.heading {
            self.push_meter(meter);
        }
        self.meter = meter;
    }

    /// The tempo from a position on, in beats a minute.
    pub(super) fn tempo(&mut self, position: u32, tempo: u32) {
        if self.heading && position == 0 {
            self.tempo = tempo;
        }
        self.settle();
        if tempo != self.tempo {
            self.tempo = tempo;
            self.go(position);
            self.push_tempo();
        }
    }

    /// A note.
    pub(super) fn note(&mut self, position: u32, sound: Sound) {
        if self.group_position != position || self.heading {
            self.settle();
            self.group_position = position;
        }
        self.group.push(sound);
    }

    /// Writes what a grammar read at a position.
    pub(super) fn take(&mut self, step: Step, position: u32) {
        match step {
            Step::Pending | Step::Position | Step::Heard(_) => {}
            Step::Bar => self.bar(),
            Step::Meter(meter) => self.meter(meter),
            Step::Tempo(tempo) => self.tempo(position, tempo),
            Step::Note(sound) => self.note(position, sound),
            Step::End => self.end(),
        }
    }

    /// Writes what waits.
    pub(super) fn settle(&mut self) {
        if self.heading {
            self.heading = false;
            self.push_meter(self.meter);
            self.go(0);
            self.push_tempo();
        }
        if self.group.is_empty() {
            return;
        }
        let mut group = std::mem::take(&mut self.group);
        let current = self.instrument;
        if group.len() > 1 {
            let waiting = group.len();
            let rank = |s: &Sound| {
                let follows = u32::from(s.instrument != current);
                follows << 16 | u32::from(s.instrument) << 8 | u32::from(s.pitch)
            };
            // Chords of one instrument arrive in order.
            if !group.is_sorted_by_key(rank) {
                group.sort_unstable_by_key(rank);
            }
            // Of notes doubled the longest and loudest stands for all.
            group.dedup_by(|next, kept| {
                let doubled = next.instrument == kept.instrument && next.pitch == kept.pitch;
                if doubled {
                    kept.duration = kept.duration.max(next.duration);
                    kept.level = kept.level.max(next.level);
                }
                doubled
            });
            self.doubled += waiting - group.len();
        }
        self.spell(&group);
        group.clear();
        self.group = group;
    }

    /// Writes notes of the waiting group's position as they come.
    pub(super) fn spell(&mut self, sounds: &[Sound]) {
        self.go(self.group_position);
        for sound in sounds {
            self.prepare(sound.instrument, sound.level);
            if sound.instrument == KIT {
                self.ids.push(DRUM + u32::from(sound.pitch));
            } else {
                self.ids.push(PITCH + u32::from(sound.pitch));
                self.ids.push(DURATION + u32::from(sound.duration));
            }
        }
    }

    /// Makes instrument and level the ones in force.
    pub(super) fn prepare(&mut self, instrument: u8, level: u8) {
        self.play(instrument);
        let last = &mut self.levels[usize::from(instrument)];
        if *last != level {
            *last = level;
            self.ids.push(VELOCITY + u32::from(level));
        }
    }

    /// Makes an instrument the one that plays.
    pub(super) fn play(&mut self, instrument: u8) {
        if instrument != self.instrument {
            self.instrument = instrument;
            self.ids.push(PROGRAM + u32::from(instrument));
        }
    }

    /// Goes to a position of the bar, if not there already.
    pub(super) fn go(&mut self, position: u32) {
        if self.position != Some(position) {
            self.position = Some(position);
            for _ in 0..position / POSITIONS {
                self.ids.push(FAR);
            }
            self.ids.push(POSITION + position % POSITIONS);
        }
    }

    /// Whether the position is that of the first bar's header.
    pub(super) fn at_header(&self) -> bool {
        self.position == Some(0) && self.ids.len() == HEADER
    }

    /// Ends the piece.
    pub(super) fn end(&mut self) {
        self.settle();
        self.ids.push(END);
    }

    fn push_meter(&mut self, meter: Signature) {
        self.ids.push(NUMERATOR + u32::from(meter.numerator) - 1);
        self.ids.push(DENOMINATOR + u32::from(meter.power));
    }

    fn push_tempo(&mut self) {
        self.ids.push(TEMPO_HIGH + self.tempo / 16);
        self.ids.push(TEMPO_LOW + self.tempo % 16);
    }
}

/// Length of START, BAR, meter, POSITION 0 and tempo.
pub(super) const HEADER: usize = 7;
