//! How takes came about: all that is needed to make them again, note for note.

use continuo_codec::{Instrument, Note};
use continuo_engine::{Pace, Request};
use serde::{Deserialize, Serialize};

use super::answer::{Answer, SavedNote, is_sane, played, saved};
use crate::ask::{Ask, Kind, Wish};
use crate::clock::{Meter, Timeline};
use crate::link::{AnswerId, MOST_TAKES, PlayNote};
use crate::number;
use crate::phrase::{DRUM_CHANNEL, Phrase, PlayedNote, Prompt};

/// Where an answer goes when nothing was played.
const DEFAULT_CHANNEL: u8 = 0;

/// All that is needed to make takes again, note for note.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Recipe {
    /// What kind of answer it was.
    pub kind: Kind,
    /// Whether it stands on the host's timeline.
    pub on_host: bool,
    /// Where it was asked for, in beats.
    pub at: f64,
    /// Where it was to begin, in beats.
    pub start: f64,
    /// Upper and lower number of the meter.
    pub meter: (u8, u8),
    /// A bar line.
    pub bar_line: f64,
    /// Beats a minute.
    pub tempo: f64,
    /// How it was to be.
    pub wish: Wish,
    /// The seed it was made with; never 0.
    pub seed: u64,
    /// How often the same phrase had been answered before.
    pub again: u64,
    /// The model's name.
    pub model: String,
    /// The model's fingerprint; empty where it is not known.
    pub fingerprint: String,
    /// What it is an answer to.
    pub phrase: Vec<PlayedNote>,
    /// What all takes begin with, where an older take was varied; beats count from the
    /// answer's beginning.
    pub front: Vec<SavedNote>,
    /// How many beats of it there are.
    pub front_beats: f64,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            kind: Kind::default(),
            on_host: false,
            at: 0.0,
            start: 0.0,
            meter: (4, 4),
            bar_line: 0.0,
            tempo: 120.0,
            wish: Wish::default(),
            seed: 1,
            again: 0,
            model: String::new(),
            fingerprint: String::new(),
            phrase: Vec::new(),
            front: Vec::new(),
            front_beats: 0.0,
        }
    }
}

impl Recipe {
    /// Of an answer to some notes that is asked for now. Its seed is the one wished for.
    #[must_use]
    pub fn of(ask: &Ask, phrase: Vec<PlayedNote>, again: u64) -> Self {
        Self {
            kind: ask.kind,
            on_host: ask.timeline == Timeline::Host,
            at: ask.at,
            start: ask.start,
            meter: (ask.meter.numerator, ask.meter.denominator),
            bar_line: ask.bar_line,
            tempo: ask.tempo,
            wish: ask.wish,
            seed: ask.wish.seed,
            again,
            phrase,
            ..Self::default()
        }
    }

    /// The same, but that all takes begin as a take of an answer does, for the front half
    /// of its bars.
    #[must_use]
    pub fn varied(mut self, answer: &Answer, take: usize) -> Self {
        let bar = self.meter().bar();
        let beats = answer.end - answer.start;
        let bars = (beats / bar / 2.0 + 1e-6).floor();
        self.front_beats = if bars < 1.0 { beats / 2.0 } else { bars * bar };
        let notes = answer.notes(take).filter(|note| note.start < answer.start + self.front_beats);
        let moved = notes.map(|note| PlayNote {
            start: note.start - answer.start,
            end: note.end.min(answer.start + self.front_beats) - answer.start,
            ..note
        });
        self.front = moved.map(saved).collect();
        self
    }

    /// What all takes begin with, of an answer that begins at a beat.
    pub fn front_notes(&self, start: f64) -> impl Iterator<Item = PlayNote> {
        let moved =
            move |note: PlayNote| PlayNote { start: start + note.start, end: start + note.end, ..note };
        self.front.iter().copied().map(played).map(moved)
    }

    /// What was asked for. The phrase stands as it is.
    fn ask(&self) -> Ask {
        Ask {
            id: AnswerId::default(),
            kind: self.kind,
            timeline: self.timeline(),
            at: self.at,
            start: self.start,
            meter: self.meter(),
            bar_line: self.bar_line,
            tempo: self.tempo,
            heard: 0,
            wish: Wish { listen: 0, ..self.wish },
        }
    }

    /// What the engine is asked, and how its answer gets back to the timeline.
    ///
    /// # Errors
    /// In words for the user, where what is wished for cannot be had.
    pub fn request(&self, pace: Option<Pace>) -> Result<(Request, f64), String> {
        let Prompt { mut score, mut window, offset, .. } =
            Phrase::restored(&self.phrase, self.again).prompt(&self.ask());
        let beat = f64::from(score.ticks_per_beat);
        for note in self.front.iter().copied().map(played) {
            let start = number::to_u32((window.from + note.start) * beat);
            let end = number::to_u32((window.from + note.end) * beat);
            score.notes.push(Note {
                start,
                instrument: self.instrument_of(note.channel),
                pitch: note.key,
                duration: end.saturating_sub(start).max(1),
                velocity: note.velocity,
            });
        }
        score.normalize();
        window.from += self.front_beats;
        let limits = self.wish.bounds.limits(&score, window, self.wish.over)?;
        // Asked again, the same phrase and seed give another answer, but the same other
        // answer every time.
        let sampling = self.wish.chance.sampling(self.seed | (self.again << 32));
        let takes = self.wish.takes.clamp(1, MOST_TAKES);
        Ok((Request { phrase: score, window, takes, sampling, limits, pace }, offset))
    }

    /// Who plays on a MIDI channel.
    #[must_use]
    pub fn instrument_of(&self, channel: u8) -> Instrument {
        let played = self.phrase.iter().find(|note| note.channel == channel);
        played.map_or_else(
            || if channel == DRUM_CHANNEL { Instrument::DRUMS } else { Instrument::PIANO },
            |note| note.instrument(self.wish.drums),
        )
    }

    /// The MIDI channel an instrument's notes belong on: the one the phrase used it
    /// on; for what the phrase did not use, the drum channel or the phrase's first.
    #[must_use]
    pub fn channel_of(&self, instrument: Instrument) -> u8 {
        let used = self.phrase.iter().find(|n| n.instrument(self.wish.drums) == instrument);
        if let Some(note) = used {
            return note.channel;
        }
        if instrument.is_drums() {
            return DRUM_CHANNEL;
        }
        let melodic = self.phrase.iter().find(|n| n.channel != DRUM_CHANNEL);
        melodic.map_or(DEFAULT_CHANNEL, |n| n.channel)
    }

    /// The timeline it stands on.
    #[must_use]
    pub fn timeline(&self) -> Timeline {
        if self.on_host { Timeline::Host } else { Timeline::Free }
    }

    /// The meter.
    #[must_use]
    pub fn meter(&self) -> Meter {
        Meter::new(Some(self.meter.0.into()), Some(self.meter.1.into()))
    }

    /// Makes sense of what was read; `false` where there is none.
    pub(super) fn sanitize(&mut self) -> bool {
        self.phrase.retain(PlayedNote::is_sane);
        self.front.retain(is_sane);
        self.meter = (self.meter().numerator, self.meter().denominator);
        self.tempo.is_finite()
            && self.tempo > 0.0
            && [self.at, self.start, self.bar_line, self.front_beats].iter().all(|beat| beat.is_finite())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(channel: u8, program: u8) -> PlayedNote {
        PlayedNote { start: 0.0, end: Some(1.0), channel, key: 60, velocity: 90, program }
    }

    #[test]
    fn programs_and_channels_go_both_ways() {
        let mut recipe = Recipe { phrase: vec![note(3, 40)], ..Recipe::default() };
        let violin = Instrument::program(40).unwrap();
        assert_eq!(recipe.instrument_of(3), violin);
        assert_eq!(recipe.channel_of(violin), 3);
        assert_eq!(recipe.channel_of(Instrument::DRUMS), 9);
        assert_eq!(recipe.channel_of(Instrument::PIANO), 3);
        assert_eq!(Recipe::default().channel_of(Instrument::PIANO), 0);
        // Drums on any channel go back to it.
        recipe.wish.drums = true;
        assert_eq!((recipe.channel_of(Instrument::DRUMS), recipe.instrument_of(3)), (3, Instrument::DRUMS));
    }

    #[test]
    fn a_variation_keeps_the_front_half_in_whole_bars() {
        let recipe = Recipe { phrase: vec![note(0, 0)], at: 1.0, start: 4.0, ..Recipe::default() };
        let mut answer = Answer { recipe: recipe.clone(), start: 4.0, end: 16.0, ..Answer::default() };
        answer.takes =
            vec![Vec::new(), vec![(4.0, 5.0, 0, 64, 80), (7.0, 9.0, 0, 65, 80), (8.0, 9.0, 0, 67, 80)]];
        let varied = Recipe { kind: Kind::Vary, ..recipe.clone() }.varied(&answer, 1);
        assert_eq!(
            (varied.front_beats, &varied.front[..]),
            (4.0, &[(0.0, 1.0, 0, 64, 80), (3.0, 4.0, 0, 65, 80)][..])
        );
        let (request, offset) = varied.request(None).unwrap();
        let (plain, plain_offset) = recipe.request(None).unwrap();
        assert_eq!(
            (request.window.from, request.window.until),
            (plain.window.from + 4.0, plain.window.until)
        );
        assert_eq!(offset, plain_offset);
        assert_eq!(request.phrase.notes.len(), 3);
        // One bar: half of it.
        let answer = Answer { start: 4.0, end: 8.0, ..answer };
        assert_eq!(recipe.varied(&answer, 1).front_beats, 2.0);
    }

    #[test]
    fn limits_that_cannot_be_kept_are_said() {
        let mut recipe = Recipe::default();
        recipe.wish.bounds.keep_rhythm = true;
        assert!(recipe.request(None).unwrap_err().contains("rhythm"));
    }
}
