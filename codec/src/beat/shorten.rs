//! Drops the oldest music of a history and spells the rest anew, so that it
//! stands alone: meter, tempo, instruments and velocities are said again.

use super::grammar::{Grammar, Place, Step};
use super::vocab::{FAR, NUMERATOR, PITCH, POSITIONS, TEMPO_HIGH};
use super::writer::Writer;

/// Shortens the ids that led to `grammar`, which is then at the end of what is
/// left. Where `max` is too small for any history the shortest is returned.
pub(super) fn shorten(grammar: &mut Grammar, history: &[u32], max: usize) -> Vec<u32> {
    if history.len() <= max {
        return history.to_vec();
    }
    let cuts = cuts(history);
    let Some(&Cut { at: last, .. }) = cuts.last() else {
        return history.to_vec();
    };
    let bars: Vec<usize> = cuts.iter().filter(|c| c.bar).map(|c| c.at).collect();
    let inside: Vec<usize> = cuts.iter().rev().take_while(|c| !c.bar).map(|c| c.at).collect();
    let inside: Vec<usize> = inside.into_iter().rev().collect();
    let tail = first_fit(&bars, history, max)
        .or_else(|| first_fit(&inside, history, max))
        .unwrap_or_else(|| Tail::new(history, last));
    tail.resume(grammar);
    tail.writer.ids
}

/// The longest tail that fits.
fn first_fit(cuts: &[usize], history: &[u32], max: usize) -> Option<Tail> {
    let fits = |cut: usize| Tail::new(history, cut).writer.ids.len() <= max;
    let first = cuts.partition_point(|&cut| !fits(cut));
    // A later cut is rarely, but sometimes, an id longer.
    cuts[first..].iter().map(|&cut| Tail::new(history, cut)).find(|tail| tail.writer.ids.len() <= max)
}

/// A place where a history may be cut.
struct Cut {
    /// Index of the first id kept.
    at: usize,
    /// Whether that is just after a BAR.
    bar: bool,
}

/// Where a history may be cut, in ascending order.
fn cuts(history: &[u32]) -> Vec<Cut> {
    let mut grammar = Grammar::new();
    let mut cuts = Vec::new();
    for (index, &id) in history.iter().enumerate() {
        match grammar.push(id) {
            Some(Step::Bar) => cuts.push(Cut { at: index + 1, bar: true }),
            Some(Step::Note(_) | Step::Tempo(_)) => cuts.push(Cut { at: index + 1, bar: false }),
            Some(_) => {}
            None => break,
        }
    }
    match grammar.place {
        // Something must be left of the position the history ends at.
        Place::Open => {
            cuts.pop();
        }
        // A header has meter and tempo already; what is half said must come later.
        Place::Numerator | Place::TempoExtra | Place::TempoHigh if grammar.position == 0 => {
            while cuts.pop().is_some_and(|c| !c.bar) {}
        }
        _ => {}
    }
    cuts
}

/// The tail of a history, spelled to stand alone.
struct Tail {
    writer: Writer,
    /// The instrument that plays when the position at its end begins.
    lead: u8,
}

impl Tail {
    fn new(history: &[u32], cut: usize) -> Self {
        let mut grammar = Grammar::new();
        let (before, after) = history.split_at(cut);
        for &id in before {
            grammar.push(id);
        }
        let mut writer = Writer::new(grammar.signature(), grammar.tempo.max(1), after.len() + 16);
        writer.bar();
        for &id in after {
            let Some(step) = grammar.push(id) else { break };
            writer.take(step, grammar.position);
        }
        let lead = end(&mut writer, &grammar);
        Self { writer, lead }
    }

    /// Makes a grammar that stands at the end of the history stand at the end of
    /// the tail.
    fn resume(&self, grammar: &mut Grammar) {
        grammar.levels = self.writer.levels;
        if grammar.finished() {
            return;
        }
        if grammar.sounding() {
            if self.lead != grammar.lead {
                // Only what comes after the playing instrument in both orders.
                grammar.floor = grammar.instrument + 1;
                grammar.barred = self.lead;
                grammar.give_up_heard();
            }
            return;
        }
        grammar.instrument = self.writer.instrument;
        grammar.begin_notes();
        if self.writer.at_header() {
            match grammar.place {
                // Position 0 is said already: notes follow.
                Place::Bar | Place::Meter => {
                    grammar.next_position = 1;
                    grammar.place = Place::Open;
                }
                Place::Position if grammar.frame.is_none() => grammar.place = Place::Open,
                _ => {}
            }
        }
    }
}

/// Writes what waits and what is only half said. Returns the instrument that
/// plays when the last position begins.
fn end(writer: &mut Writer, grammar: &Grammar) -> u8 {
    if !grammar.sounding() || writer.group.is_empty() || writer.group_position != grammar.position {
        writer.settle();
    }
    let lead = writer.instrument;
    let mut group = std::mem::take(&mut writer.group);
    if lead != grammar.lead {
        // Another order than that of the notes so far: the order is kept by
        // keeping the instrument that is playing.
        group.retain(|s| s.instrument == grammar.instrument);
    }
    if !group.is_empty() {
        writer.go(writer.group_position);
        group.iter().for_each(|&sound| writer.spell(sound));
    }
    match grammar.place {
        Place::Numerator => writer.ids.push(NUMERATOR + grammar.half - 1),
        Place::Far => (0..grammar.far / POSITIONS).for_each(|_| writer.ids.push(FAR)),
        Place::Position => writer.go(grammar.position),
        Place::TempoExtra => {
            writer.go(grammar.position);
            writer.push_tempo_extra(grammar.tempo_extra);
        }
        Place::TempoHigh => {
            writer.go(grammar.position);
            writer.push_tempo_extra(grammar.tempo_extra);
            writer.ids.push(TEMPO_HIGH + grammar.half);
        }
        Place::Instrument => {
            writer.go(grammar.position);
            writer.play(grammar.instrument);
        }
        Place::Velocity | Place::Pitch => {
            writer.go(grammar.position);
            writer.prepare(grammar.instrument, grammar.levels[usize::from(grammar.instrument)]);
            if grammar.place == Place::Pitch {
                writer.ids.push(PITCH + u32::from(grammar.next_pitch) - 1);
            }
        }
        Place::Begin | Place::Start | Place::Bar | Place::Meter | Place::Open | Place::End => {}
    }
    lead
}
