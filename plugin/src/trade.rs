//! Trading: some bars are the player's, as many the plugin's, in turn and on the host's
//! bar lines.
//!
//! A round begins with the bar in which the player begins. The answer is asked for a
//! little before the turn ends, so that its first note is there on the bar line; what is
//! played in that little while is heard, but belongs to no phrase. A turn in which the
//! player was silent ends the round.

use crate::clock::{Jump, Span, Timeline};
use crate::phrase::EARLY;

/// How long before the end of a turn the answer is asked for, in beats.
const LEAD: f64 = 0.25;

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Turn {
    /// The player's, until a bar line.
    Player(f64),
    /// The player's still; the answer that begins on this bar line was asked for.
    Handing(f64),
    /// The plugin's, until a bar line.
    Own(f64),
}

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step {
    /// Ask for an answer that begins at this beat.
    Ask(f64),
    /// What is played from now on is a new phrase.
    Fresh,
    /// Nothing but another turn.
    On,
}

/// The round that goes on, if one does.
#[derive(Debug, Default)]
pub struct Trade {
    turn: Option<Turn>,
}

impl Trade {
    /// No round goes on.
    pub fn rest(&mut self) {
        self.turn = None;
    }

    /// Where the running turn ends, and whether it is the plugin's.
    #[must_use]
    pub fn turn(&self) -> Option<(f64, bool)> {
        self.turn.map(|turn| match turn {
            Turn::Player(end) | Turn::Handing(end) => (end, false),
            Turn::Own(end) => (end, true),
        })
    }

    /// The player pressed a key: a round begins, if none goes on.
    pub fn played(&mut self, beat: f64, span: &Span, bars: u16) {
        if self.turn.is_none() {
            self.turn = Some(Turn::Player(bar_of(beat, span) + length(span, bars)));
        }
    }

    /// The player took the turn from the plugin: it is the player's from this bar on.
    pub fn taken(&mut self, beat: f64, span: &Span, bars: u16) {
        self.turn = None;
        self.played(beat, span, bars);
    }

    /// The beat at which something is to be done next.
    #[must_use]
    pub fn due(&self) -> Option<f64> {
        self.turn.map(|turn| match turn {
            Turn::Player(end) => end - LEAD,
            Turn::Handing(end) | Turn::Own(end) => end,
        })
    }

    /// What is due is done. `open` tells whether there is a phrase to be answered.
    pub fn step(&mut self, span: &Span, bars: u16, open: bool) -> Step {
        let (next, step) = match self.turn {
            Some(Turn::Player(end)) if open => (Some(Turn::Handing(end)), Step::Ask(end)),
            Some(Turn::Player(_)) | None => (None, Step::On),
            Some(Turn::Handing(end)) => (Some(Turn::Own(end + length(span, bars))), Step::Fresh),
            Some(Turn::Own(end)) => (Some(Turn::Player(end + length(span, bars))), Step::On),
        };
        self.turn = next;
        step
    }

    /// Time jumped: around a loop of whole bars the round goes on, else it ends.
    pub fn jump(&mut self, jump: Jump, timeline: Timeline, span: &Span) {
        let by = span.start - jump.from;
        let bars = by / span.meter.bar();
        let whole = (bars - bars.round()).abs() < 1e-3;
        self.turn = self.turn.filter(|_| jump.left == timeline && whole).map(|turn| match turn {
            Turn::Player(end) => Turn::Player(end + by),
            Turn::Handing(end) => Turn::Handing(end + by),
            Turn::Own(end) => Turn::Own(end + by),
        });
    }
}

/// The bar line that the bar of a note begins with; one just before a bar line belongs to
/// the next bar.
fn bar_of(beat: f64, span: &Span) -> f64 {
    let bar = span.meter.bar();
    span.bar_line + ((beat + EARLY - span.bar_line) / bar).floor() * bar
}

fn length(span: &Span, bars: u16) -> f64 {
    f64::from(bars) * span.meter.bar()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Meter;

    fn span(start: f64) -> Span {
        Span {
            timeline: Timeline::Host,
            start,
            step: 1.0 / 24_000.0,
            offset: 0,
            samples: 512,
            jump: None,
            tempo: 120.0,
            meter: Meter::COMMON,
            bar_line: 0.0,
            cycle: None,
        }
    }

    #[test]
    fn turns_follow_each_other_until_the_player_is_silent() {
        let (mut trade, span) = (Trade::default(), span(0.0));
        trade.played(5.0, &span, 2);
        trade.played(9.0, &span, 2);
        assert_eq!((trade.turn(), trade.due()), (Some((12.0, false)), Some(11.75)));
        assert_eq!(trade.step(&span, 2, true), Step::Ask(12.0));
        assert_eq!((trade.turn(), trade.due()), (Some((12.0, false)), Some(12.0)));
        assert_eq!(trade.step(&span, 2, true), Step::Fresh);
        assert_eq!(trade.turn(), Some((20.0, true)));
        assert_eq!(trade.step(&span, 2, false), Step::On);
        assert_eq!(trade.turn(), Some((28.0, false)));
        assert_eq!(trade.step(&span, 2, false), Step::On);
        assert_eq!(trade.turn(), None);
    }

    #[test]
    fn a_note_just_before_the_bar_line_begins_the_round_on_it() {
        let mut trade = Trade::default();
        trade.played(7.9, &span(0.0), 1);
        assert_eq!(trade.turn(), Some((12.0, false)));
        trade.taken(10.0, &span(0.0), 1);
        assert_eq!(trade.turn(), Some((12.0, false)));
    }

    #[test]
    fn a_round_goes_on_around_a_loop_of_whole_bars_only() {
        let jump = |from| Jump { from, left: Timeline::Host };
        let mut trade = Trade::default();
        trade.played(6.0, &span(0.0), 2);
        trade.jump(jump(8.0), Timeline::Host, &span(0.0));
        assert_eq!(trade.turn(), Some((4.0, false)));
        trade.jump(jump(3.0), Timeline::Host, &span(0.0));
        assert_eq!(trade.turn(), None);
    }
}
