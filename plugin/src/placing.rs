//! Where an answer is to begin, by the kind of answer, the mode and the settings.

use crate::ask::{Ask, Kind, Wish};
use crate::capture::Capture;
use crate::clock::{Span, Timeline};
use crate::link::Grid;
use crate::params::{Mode, Start};
use crate::phrase::EARLY;
use crate::playback::Playback;
use crate::settings::Settings;

/// What is asked for at a sample, and how far it may be moved should it come late.
#[must_use]
pub fn ask(
    kind: Kind,
    span: &Span,
    sample: u32,
    settings: &Settings,
    playback: &Playback,
    capture: &Capture,
) -> (Ask, Grid) {
    let at = span.beat(sample);
    let ask = plain(kind, span, at, settings, playback);
    if kind != Kind::Answer
        && let Some((timeline, start)) = same_place(span, at, playback)
    {
        let at = if timeline == span.timeline { at } else { start };
        return (Ask { timeline, start, at, ..ask }, Grid::Fixed);
    }
    if settings.mode == Mode::Accompany
        && let Some(start) = capture.first().and_then(|first| next_round(span, at, first))
    {
        return (Ask { start, ..ask }, Grid::Fixed);
    }
    let unit = 4.0 / f64::from(span.meter.denominator);
    match settings.start {
        Start::Now => (ask, Grid::Any),
        Start::Beat => (Ask { start: next_line(span, at, unit), ..ask }, Grid::Beats(unit)),
        Start::Bar => {
            let bar = span.meter.bar();
            (Ask { start: next_line(span, at, bar), ..ask }, Grid::Beats(bar))
        }
    }
}

/// What is asked for, at a sample, to begin with the plugin's turn.
#[must_use]
pub fn traded(start: f64, span: &Span, sample: u32, settings: &Settings, playback: &Playback) -> Ask {
    let ask = plain(Kind::Answer, span, span.beat(sample), settings, playback);
    Ask { start, wish: Wish { bars: settings.turn, over: false, ..ask.wish }, ..ask }
}

/// Asked for and to begin at a beat.
fn plain(kind: Kind, span: &Span, at: f64, settings: &Settings, playback: &Playback) -> Ask {
    Ask {
        id: playback.id().next_trigger(),
        kind,
        timeline: span.timeline,
        at,
        start: at,
        meter: span.meter,
        bar_line: span.bar_line,
        tempo: span.tempo,
        heard: playback.audible(),
        wish: settings.wish,
    }
}

/// Where the answer before lies, if it can still be heard there: on the host's timeline
/// while the transport stands, ahead, in the loop, or while it sounds.
fn same_place(span: &Span, at: f64, playback: &Playback) -> Option<(Timeline, f64)> {
    let (timeline, start) = playback.place()?;
    let looped = span.cycle.is_some_and(|(a, b)| (a..b).contains(&start));
    let stopped = timeline == Timeline::Host && span.timeline == Timeline::Free;
    let heard = timeline == span.timeline && (looped || start >= at || playback.sounds(timeline, at));
    (stopped || heard).then_some((timeline, start))
}

/// In a loop: where the bar comes round again in which the phrase began.
fn next_round(span: &Span, at: f64, first: f64) -> Option<f64> {
    let (begin, end) =
        span.cycle.filter(|(a, b)| (*a..*b).contains(&at) && (*a - EARLY..*b).contains(&first))?;
    let bar = span.meter.bar();
    let line = span.bar_line + ((first + EARLY - span.bar_line) / bar).floor() * bar;
    let line = line.max(begin);
    // Behind the loop's end: playback takes it for behind its beginning.
    Some(if line > at { line } else { line + end - begin })
}

/// The first beat after `beat`, to half a sample, that is whole units from a bar line.
#[must_use]
pub fn next_line(span: &Span, beat: f64, unit: f64) -> f64 {
    let units = (beat + span.step / 2.0 - span.bar_line) / unit;
    span.bar_line + (units.floor() + 1.0) * unit
}
