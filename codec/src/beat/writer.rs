//! Spells bars, tempos and notes in the one order the grammar knows.

use super::grammar::{KIT, Sound, Step};
use super::meter::Signature;
use super::vocab::{
    BAR, DENOMINATOR, DRUM, DURATION, END, FAR, FAR_PARTS, INSTRUMENTS, LEVEL, NUMERATOR, PARTS, PITCH,
    POSITION, POSITIONS, PROGRAM, START, TEMPO_FAR, TEMPO_HIGH, TEMPO_LOW, TEMPO_PART, VELOCITY,
};

/// Writes ids. Bars, positions and, at each position, tempo before notes come in
/// order; the notes of one position may come in any.
pub(super) struct Writer {
    pub(super) ids: Vec<u32>,
    meter: Signature,
    tempo: u32,
    /// Whether the first bar still waits for what its header says.
    heading: bool,
    /// Length of the header: START, BAR, meter, POSITION 0 and tempo. 0 before it is
    /// written.
    header: usize,
    /// The last position written in this bar.
    position: Option<u32>,
    pub(super) instrument: u8,
    pub(super) levels: [u8; INSTRUMENTS as usize],
    /// Notes of one position that are not written yet.
    pub(super) group: Vec<Sound>,
    pub(super) group_position: u32,
    /// Room to put the notes of a position in order.
    order: Vec<u64>,
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
            header: 0,
            position: None,
            instrument: 0,
            levels: [LEVEL; INSTRUMENTS as usize],
            group: Vec::new(),
            group_position: 0,
            order: Vec::new(),
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

    /// The tempo from a position on, in parts.
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
            self.header = self.ids.len();
        }
        if self.group.is_empty() {
            return;
        }
        let mut group = std::mem::take(&mut self.group);
        self.spell_chord(self.group_position, group.iter().copied());
        group.clear();
        self.group = group;
    }

    /// All notes of a position, in any order.
    #[inline]
    pub(super) fn chord(&mut self, position: u32, sounds: impl ExactSizeIterator<Item = Sound> + Clone) {
        // Asked here, so that chord after chord makes no call that finds nothing to do.
        if self.heading || !self.group.is_empty() {
            self.settle();
        }
        self.spell_chord(position, sounds);
    }

    #[inline]
    fn spell_chord(&mut self, position: u32, sounds: impl ExactSizeIterator<Item = Sound> + Clone) {
        self.go(position);
        let current = self.instrument;
        let ranks = sounds.clone().map(|sound| rank(sound, current));
        // Chords of one instrument mostly arrive in order.
        if ranks.clone().is_sorted_by(|&a, &b| a < b && !doubles(a, b)) {
            sounds.for_each(|sound| self.spell(sound));
        } else {
            self.order_and_spell(ranks);
        }
    }

    #[inline(never)]
    fn order_and_spell(&mut self, ranks: impl ExactSizeIterator<Item = u64>) {
        let waiting = ranks.len();
        let mut order = std::mem::take(&mut self.order);
        order.extend(ranks);
        order.sort_unstable();
        order.dedup_by(|next, kept| {
            let doubled = doubles(*kept, *next);
            if doubled {
                *kept = longer_and_louder(*kept, *next);
            }
            doubled
        });
        self.doubled += waiting - order.len();
        order.drain(..).for_each(|rank| self.spell(Sound::unpacked(rank)));
        self.order = order;
    }

    /// Writes a note of the position that is gone to.
    #[inline]
    pub(super) fn spell(&mut self, sound: Sound) {
        self.prepare(sound.instrument, sound.level);
        if sound.instrument == KIT {
            self.ids.push(DRUM + u32::from(sound.pitch));
        } else {
            self.ids.push(PITCH + u32::from(sound.pitch));
            self.ids.push(DURATION + u32::from(sound.duration));
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
        self.position == Some(0) && self.ids.len() == self.header
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
        self.push_tempo_extra(self.tempo / FAR_PARTS * FAR_PARTS + self.tempo % PARTS);
        let whole = self.tempo % FAR_PARTS / PARTS;
        self.ids.push(TEMPO_HIGH + whole / 16);
        self.ids.push(TEMPO_LOW + whole % 16);
    }

    /// What stands before a tempo's halves and adds this many parts to it.
    pub(super) fn push_tempo_extra(&mut self, parts: u32) {
        self.ids.extend((0..parts / FAR_PARTS).map(|_| TEMPO_FAR));
        if let Some(part) = (parts % FAR_PARTS).checked_sub(1) {
            self.ids.push(TEMPO_PART + part);
        }
    }
}

/// What sorts the notes of a position: those of the instrument that played last come
/// first, then instruments and pitches from the lowest. The lower half is the note.
fn rank(sound: Sound, current: u8) -> u64 {
    u64::from(sound.instrument != current) << 32 | u64::from(sound.packed())
}

/// How many bits of a rank say how a note sounds, not which it is.
const HOW: u32 = 16;

/// Whether two notes are the same one twice.
fn doubles(a: u64, b: u64) -> bool {
    a >> HOW == b >> HOW
}

/// Of notes doubled the longest and loudest stands for all.
fn longer_and_louder(a: u64, b: u64) -> u64 {
    let (length, level) = ((a & 0xff00).max(b & 0xff00), (a & 0xff).max(b & 0xff));
    a >> HOW << HOW | length | level
}
