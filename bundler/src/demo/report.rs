//! What the demo says.

use super::phrase::Phrase;
use super::session::{Session, Take, off_the_line};
use super::{Args, Start};
use continuo_tests::timeline::Timeline;
use std::collections::BTreeSet;
use std::path::Path;

/// Rounding to whole samples moves a note by half of one at the most.
const EXACT: f64 = 0.51;

/// A beat heard at a whole sample may lie so much before the line it stands on.
const ROUNDED: f64 = 1e-3;

fn line(label: &str, text: &str) {
    println!("{label:<12}{text}");
}

fn plural(count: usize, word: &str) -> String {
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}

/// Bar and beat as musicians count them.
fn place(timeline: &Timeline, beat: f64) -> String {
    let bar = timeline.bar_at(beat + ROUNDED);
    let shown = format!("{:.3}", (beat - bar.start).max(0.0) + 1.0);
    let shown = shown.trim_end_matches('0').trim_end_matches('.');
    format!("bar {}, beat {shown}", bar.index + 1)
}

/// Tells what the phrase is.
pub(crate) fn phrase(phrase: &Phrase) {
    line("Phrase", &format!("{}: {}", phrase.path.display(), summary(phrase)));
}

fn summary(phrase: &Phrase) -> String {
    let notes = &phrase.score.notes;
    if notes.is_empty() {
        return "no notes at all; the plugin is asked to begin from nothing".to_owned();
    }
    let instruments: BTreeSet<_> = notes.iter().map(|note| note.instrument).collect();
    let bars = usize::try_from(phrase.timeline.bar_at(phrase.end() - ROUNDED).index).unwrap_or(0) + 1;
    let first = phrase.timeline.bar_at(0.0);
    let changes = |count: usize| if count > 1 { " (changing)" } else { "" };
    format!(
        "{}, {}, {} of {}/{}{}, {} beats a minute{}",
        plural(notes.len(), "note"),
        plural(instruments.len(), "instrument"),
        plural(bars, "bar"),
        first.numerator,
        first.denominator,
        changes(phrase.score.meters.len()),
        rounded(phrase.timeline.tempo_at(0.0)),
        changes(phrase.score.tempos.len()),
    )
}

fn rounded(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Tells which plugin plays.
pub(crate) fn plugin(name: &str, path: &Path) {
    line("Plugin", &format!("{name}, loaded from {}", path.display()));
}

/// Tells what happened.
pub(crate) fn session(phrase: &Phrase, session: &Session, args: &Args) {
    let timeline = &phrase.timeline;
    if session.from > 0.0 {
        line("Joined", &format!("at {}: the phrase is very long", place(timeline, session.from)));
    }
    line("Trigger", &place(timeline, session.trigger));
    let Some(answer) = session.answer() else {
        line("Answer", "none: the plugin played no note");
        return;
    };
    if let Some(latency) = session.latency {
        let waited = if args.realtime { "wait for its place included" } else { "wall clock" };
        line("First note", &format!("{} after the trigger ({waited})", duration(latency.as_secs_f64())));
    }
    line("Answer", &format!("starts at {}, {}", place(timeline, answer), exactness(phrase, args, answer)));
    for (index, take) in session.takes.iter().enumerate() {
        line(&format!("Take {}", index + 1), &described(phrase, take));
    }
}

fn exactness(phrase: &Phrase, args: &Args, answer: f64) -> String {
    let line = match args.start {
        Start::Bar => "bar line",
        Start::Beat => "beat",
        Start::Now => return "as soon as it was there".to_owned(),
    };
    let off = off_the_line(phrase, args.start, answer);
    if off.abs() <= EXACT {
        format!("on the {line}, exact to the sample")
    } else {
        format!("{off:+.1} samples off the {line}")
    }
}

fn duration(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.0} ms", seconds * 1000.0) } else { format!("{seconds:.2} s") }
}

fn described(phrase: &Phrase, take: &Take) -> String {
    let notes = plural(take.notes.len(), "note");
    let Some(first) = take.first else { return notes };
    let end = take.notes.iter().map(|note| note.start + note.duration).max().unwrap_or(0);
    let last = phrase.timeline.bar_at(phrase.score.beats(end) - ROUNDED).index + 1;
    let ended = match take.hanging {
        0 => "all ended".to_owned(),
        hanging => format!("{hanging} NEVER ENDED"),
    };
    format!("{notes}, bars {} to {last}, {ended}", phrase.timeline.bar_at(first + ROUNDED).index + 1)
}

/// Tells of a file that was written.
pub(crate) fn file(path: &Path) {
    line("Wrote", &path.display().to_string());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_rounded_to_before_its_line_is_told_on_it() {
        let timeline = Timeline::new(48_000.0);
        assert_eq!(place(&timeline, 4.0 - 1e-5), "bar 2, beat 1");
        assert_eq!(place(&timeline, 4.0), "bar 2, beat 1");
        assert_eq!(place(&timeline, 3.9), "bar 1, beat 4.9");
    }
}
