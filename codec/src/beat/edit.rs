//! Pieces cut and varied for training, ids to ids.

use super::grammar::{Grammar, Sound, Step};
use super::meter::Signature;
use super::vocab::{self, DRUM, PARTS, PITCH, TEMPO_FAR};
use super::writer::Writer;

/// Cuts a piece at its bar lines into pieces of at most `max` ids, each as long as
/// can be and each beginning with START, BAR, meter and tempo. A bar that is longer
/// than `max` is cut too, between its positions where that can be; its later parts
/// begin as it does. What has no note is left out. Reading stops at the first id that
/// is out of place.
///
/// ```
/// use continuo_codec::{Beat, Encoding, Instrument, Note, Score, beat};
/// let mut score = Score::new(24);
/// score.notes = (0..100)
///     .map(|i| Note { start: i * 24, instrument: Instrument::PIANO, pitch: 60, duration: 24, velocity: 66 })
///     .collect();
/// let chunks = beat::chunks(&Beat.encode(&score)?, 64);
/// assert!(chunks.iter().all(|chunk| chunk.len() <= 64));
/// assert_eq!(Beat.decode(&chunks[0])?.notes, score.notes[..16]);
/// # Ok::<(), continuo_codec::EncodingError>(())
/// ```
#[must_use]
pub fn chunks(ids: &[u32], max: usize) -> Vec<Vec<u32>> {
    let mut cutter = Cutter { max, chunks: Vec::new(), writer: None, fits: 0 };
    let mut grammar = Grammar::new();
    let mut bar: Option<Bar> = None;
    for &id in ids {
        match grammar.push(id) {
            None => break,
            Some(Step::Pending | Step::Position) => {}
            Some(Step::Bar) => {
                if let Some(bar) = bar.take() {
                    cutter.add(&bar);
                }
                bar =
                    Some(Bar { meter: grammar.signature(), tempo: grammar.tempo.max(1), steps: Vec::new() });
            }
            Some(step) => bar.iter_mut().for_each(|bar| bar.steps.push((step, grammar.position))),
        }
    }
    if let Some(bar) = bar {
        cutter.add(&bar);
    }
    cutter.close();
    cutter.chunks
}

/// What happens in a bar, with its positions.
struct Bar {
    /// In force just before it.
    meter: Signature,
    tempo: u32,
    steps: Vec<(Step, u32)>,
}

impl Bar {
    fn writer(&self, max: usize) -> Writer {
        Writer::new(self.meter, self.tempo, max + 64)
    }

    fn write(&self, writer: &mut Writer) {
        writer.bar();
        for &(step, position) in &self.steps {
            writer.take(step, position);
        }
        writer.settle();
    }
}

/// Fills one chunk after the other.
struct Cutter {
    max: usize,
    chunks: Vec<Vec<u32>>,
    writer: Option<Writer>,
    /// How many of the writer's ids are whole bars within `max`.
    fits: usize,
}

impl Cutter {
    fn add(&mut self, bar: &Bar) {
        if let Some(writer) = &mut self.writer {
            bar.write(writer);
            if writer.ids.len() <= self.max {
                self.fits = writer.ids.len();
                return;
            }
            self.close();
        }
        let mut writer = bar.writer(self.max);
        bar.write(&mut writer);
        if writer.ids.len() <= self.max {
            self.fits = writer.ids.len();
            self.writer = Some(writer);
        } else {
            self.add_parts(bar);
        }
    }

    /// Makes chunks of a bar that is too long, each as long as can be.
    fn add_parts(&mut self, bar: &Bar) {
        let (mut meter, mut tempo, mut rest) = (bar.meter, bar.tempo, bar.steps.as_slice());
        while !rest.is_empty() {
            let write = |steps: &[(Step, u32)]| {
                let part = Bar { meter, tempo, steps: steps.to_vec() };
                let mut writer = part.writer(self.max);
                part.write(&mut writer);
                writer
            };
            // Each step is an id or more, so no more than `max` can fit.
            let lengths: Vec<usize> = (1..=rest.len().min(self.max)).collect();
            let fit = lengths.partition_point(|&n| write(&rest[..n]).ids.len() <= self.max);
            // Between two positions rather than within one.
            let between = |&n: &usize| rest.get(n).is_none_or(|next| next.1 != rest[n - 1].1);
            let cut = (1..=fit).rev().find(between).unwrap_or(fit);
            if cut > 0 {
                let writer = write(&rest[..cut]);
                self.fits = writer.ids.len();
                self.writer = Some(writer);
                self.close();
            }
            let (done, left) = rest.split_at(cut.max(1));
            for (step, _) in done {
                match *step {
                    Step::Meter(new) => meter = new,
                    Step::Tempo(new) => tempo = new,
                    _ => {}
                }
            }
            rest = left;
        }
    }

    fn close(&mut self) {
        if let Some(writer) = self.writer.take() {
            let mut ids = writer.ids;
            ids.truncate(self.fits);
            if ids.iter().any(|id| (PITCH..TEMPO_FAR).contains(id)) {
                self.chunks.push(ids);
            }
        }
        self.fits = 0;
    }
}

/// Moves every note but the drums by `semitones`; `None` where a pitch would leave
/// 0..=127.
#[must_use]
pub fn transpose(ids: &[u32], semitones: i8) -> Option<Vec<u32>> {
    let moved = |id: u32| {
        if !(PITCH..DRUM).contains(&id) {
            return Some(id);
        }
        id.checked_add_signed(i32::from(semitones)).filter(|id| (PITCH..DRUM).contains(id))
    };
    ids.iter().map(|&id| moved(id)).collect()
}

/// Moves every note's velocity by `steps` levels, within the levels there are.
/// Reading stops at the first id that is out of place; a note that is not complete
/// is left out.
#[must_use]
pub fn scale_velocity(ids: &[u32], steps: i8) -> Vec<u32> {
    spelled_anew(ids, |step| match step {
        Step::Note(sound) => Step::Note(Sound { level: louder(sound.level, steps), ..sound }),
        step => step,
    })
}

/// A piece as version 1 of the vocabulary spelled it, for models that know no other
/// tempos: whole beats a minute up to 511. Reading stops as in [`scale_velocity`].
#[must_use]
pub fn whole_tempos(ids: &[u32]) -> Vec<u32> {
    spelled_anew(ids, |step| match step {
        Step::Tempo(tempo) => Step::Tempo(vocab::whole(tempo)),
        step => step,
    })
}

fn spelled_anew(ids: &[u32], change: impl Fn(Step) -> Step) -> Vec<u32> {
    let mut grammar = Grammar::new();
    let mut writer = Writer::new(grammar.signature(), 120 * PARTS, ids.len() + 16);
    for &id in ids {
        let Some(step) = grammar.push(id) else { break };
        writer.take(change(step), grammar.position);
    }
    writer.settle();
    writer.ids
}

fn louder(level: u8, steps: i8) -> u8 {
    level.saturating_add_signed(steps).min(31)
}
