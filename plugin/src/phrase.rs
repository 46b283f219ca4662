//! What the player played, on the inference thread's side: notes gathered from the
//! audio thread's events, and the request they make when an answer is wanted.

use continuo_codec::{Instrument, Meter as ScoreMeter, Note, Score, Tempo, Window};
use serde::{Deserialize, Serialize};

use crate::ask::{Ask, ENDLESS_BARS};
use crate::clock::Meter;
use crate::link::ToWorker;
use crate::number;

/// Resolution of the scores made from phrases.
const TICKS_PER_BEAT: u16 = 960;
/// The most notes of a phrase that are kept; the oldest go first.
const MOST_NOTES: usize = 4096;
/// The drum channel, counted from 0.
pub const DRUM_CHANNEL: u8 = 9;
/// A note so little before a bar line, in beats, belongs to the bar that begins there.
pub const EARLY: f64 = 0.125;

/// A note that was played.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlayedNote {
    /// Onset in beats.
    pub start: f64,
    /// End in beats; `None` while the key is down.
    pub end: Option<f64>,
    /// MIDI channel, 0..=15.
    pub channel: u8,
    /// MIDI key, 0..=127.
    pub key: u8,
    /// MIDI velocity, 1..=127.
    pub velocity: u8,
    /// The channel's General MIDI program at the time.
    pub program: u8,
}

impl PlayedNote {
    /// Whether all fields are in their ranges.
    #[must_use]
    pub fn is_sane(&self) -> bool {
        let times = self.start.is_finite() && self.end.is_none_or(|e| e.is_finite() && e >= self.start);
        let bytes = self.channel < 16 && self.key < 128 && self.program < 128;
        times && bytes && (1..128).contains(&self.velocity)
    }

    /// Who plays it, all being drums or not.
    #[must_use]
    pub fn instrument(&self, drums: bool) -> Instrument {
        if drums || self.channel == DRUM_CHANNEL {
            Instrument::DRUMS
        } else {
            Instrument::program(self.program).unwrap_or(Instrument::PIANO)
        }
    }
}

/// A phrase as it grows, after what was played before it.
#[derive(Clone, Debug, Default)]
pub struct Phrase {
    /// All notes that are remembered, in the order they were played.
    notes: Vec<PlayedNote>,
    /// What else is known of each of them.
    marks: Vec<Mark>,
    /// Where among them the phrase begins.
    first: usize,
    programs: [u8; 16],
    /// The channels whose sustain pedal is down, a bit each.
    pedals: u16,
    /// How many beats of playing there were before beat 0, jumps left out.
    moved: f64,
    /// How many answers were given to these very notes.
    answers: u64,
}

/// What is known of a note but not kept.
#[derive(Clone, Copy, Debug, Default)]
struct Mark {
    /// Its onset in beats of playing, which no jump interrupts.
    run: f64,
    /// Its key is up, but the pedal holds it.
    sustained: bool,
}

/// What a phrase asks of the engine, and how its answer gets back to the timeline.
#[derive(Clone, Debug, PartialEq)]
pub struct Prompt {
    /// The phrase; tick 0 is a bar line.
    pub score: Score,
    /// Where the answer lies in the score, in beats.
    pub window: Window,
    /// Add this to the score's beats to get the timeline's.
    pub offset: f64,
    /// How often the same notes were answered before.
    pub again: u64,
    /// The notes it was made of, where they would have been played just now.
    pub notes: Vec<PlayedNote>,
}

impl Phrase {
    /// A phrase out of a saved state that so many answers were given to. Notes that
    /// make no sense are dropped.
    #[must_use]
    pub fn restored(notes: &[PlayedNote], answers: u64) -> Self {
        let notes: Vec<_> = notes.iter().filter(|n| n.is_sane()).take(MOST_NOTES).copied().collect();
        let marks = notes.iter().map(|note| Mark { run: note.start, sustained: false }).collect();
        Self { notes, marks, answers, ..Self::default() }
    }

    /// The notes so far, without those before the phrase.
    #[must_use]
    pub fn notes(&self) -> &[PlayedNote] {
        &self.notes[self.first..]
    }

    /// Takes an event of the player's; answers and clears are others' business.
    pub fn hear(&mut self, event: ToWorker) {
        match event {
            ToWorker::On { beat, channel, key, velocity, fresh } => {
                if fresh {
                    self.first = self.notes.len();
                    self.answers = 0;
                }
                self.on(beat, channel, key, velocity);
            }
            ToWorker::Off { beat, channel, key } => self.off(beat, channel, key),
            ToWorker::Program { channel, program } => {
                if let Some(slot) = self.programs.get_mut(usize::from(channel)) {
                    *slot = program.min(127);
                }
            }
            ToWorker::Pedal { beat, channel, down } => self.pedal(beat, channel, down),
            ToWorker::Break { beat, to } => {
                self.end_where(beat, |_, _| true);
                self.moved += beat - to;
            }
            _ => {}
        }
    }

    /// Some notes were answered so often by now; it counts if they are this phrase.
    pub fn answered(&mut self, notes: &[PlayedNote], again: u64) {
        if self.notes() == notes {
            self.answers = self.answers.max(again + 1);
        }
    }

    /// Forgets the notes, not the sounds chosen.
    pub fn clear(&mut self) {
        self.notes.clear();
        self.marks.clear();
        (self.first, self.answers) = (0, 0);
    }

    fn on(&mut self, start: f64, channel: u8, key: u8, velocity: u8) {
        self.end_where(start, |note, _| note.channel == channel && note.key == key);
        if self.notes.len() == MOST_NOTES {
            self.notes.remove(0);
            self.marks.remove(0);
            self.first = self.first.saturating_sub(1);
        }
        let program = self.programs.get(usize::from(channel)).copied().unwrap_or(0);
        self.notes.push(PlayedNote { start, end: None, channel, key, velocity, program });
        self.marks.push(Mark { run: start + self.moved, sustained: false });
    }

    /// A key goes up. While the pedal is down the note sounds on.
    fn off(&mut self, beat: f64, channel: u8, key: u8) {
        let open = |n: &PlayedNote| n.end.is_none() && n.channel == channel && n.key == key;
        let held = self.notes.iter_mut().zip(&mut self.marks).rev().find(|(n, m)| open(n) && !m.sustained);
        if let Some((note, mark)) = held {
            if self.pedals & (1 << (channel & 15)) != 0 {
                mark.sustained = true;
            } else {
                note.end = Some(beat.max(note.start));
            }
        }
    }

    fn pedal(&mut self, beat: f64, channel: u8, down: bool) {
        let bit = 1 << (channel & 15);
        if down {
            self.pedals |= bit;
        } else {
            self.pedals &= !bit;
            self.end_where(beat, |note, mark| note.channel == channel && mark.sustained);
        }
    }

    /// Ends those notes that sound of which something holds.
    fn end_where(&mut self, beat: f64, which: impl Fn(&PlayedNote, &Mark) -> bool) {
        for (note, mark) in self.notes.iter_mut().zip(&self.marks).filter(|(n, _)| n.end.is_none()) {
            if which(note, mark) {
                note.end = Some(beat.max(note.start));
            }
        }
    }

    /// What an answer is to follow: the phrase, or the last bars, wherever they were
    /// played, as if the transport had run on without a jump.
    fn selected(&self, ask: &Ask) -> Vec<PlayedNote> {
        if ask.wish.listen == 0 {
            return self.notes().to_vec();
        }
        let bar = ask.meter.bar();
        let bars = ((ask.at - ask.bar_line) / bar - 1e-6).ceil() - f64::from(ask.wish.listen);
        let from = ask.bar_line + bars * bar - EARLY;
        let now = ask.at + self.moved;
        let placed = self.notes.iter().zip(&self.marks).map(|(note, mark)| {
            let start = ask.at - (now - mark.run);
            PlayedNote { start, end: note.end.map(|end| start + end - note.start), ..*note }
        });
        placed.filter(|note| note.start >= from && note.start <= ask.at).collect()
    }

    /// Makes the request for an answer. Keys still down end where it was asked for,
    /// for good: the same notes asked again make the same prompt.
    pub fn prompt(&mut self, ask: &Ask) -> Prompt {
        self.end_where(ask.at, |_, _| true);
        let notes = self.selected(ask);
        let bar = ask.meter.bar();
        let first = notes.iter().map(|n| n.start).reduce(f64::min).unwrap_or(ask.start);
        let early = if ask.wish.over { EARLY } else { 1e-9 };
        let origin = ask.bar_line + ((first + early - ask.bar_line) / bar).floor() * bar;
        let score = score(&notes, origin, ask);
        let window = window(&score, ask, origin);
        let again = self.answers;
        self.answers += 1;
        Prompt { score, window, offset: ask.start - window.from, again, notes }
    }
}

fn score(notes: &[PlayedNote], origin: f64, ask: &Ask) -> Score {
    let mut score = Score::new(TICKS_PER_BEAT);
    score.notes.extend(notes.iter().map(|note| {
        let start = ticks(note.start - origin);
        let end = ticks(note.end.unwrap_or(note.start) - origin);
        let (instrument, pitch, velocity) = (note.instrument(ask.wish.drums), note.key, note.velocity);
        Note { start, instrument, pitch, duration: end.saturating_sub(start).max(1), velocity }
    }));
    score.tempos.push(Tempo { tick: 0, micros_per_beat: number::to_u32(60e6 / ask.tempo).max(1) });
    let Meter { numerator, denominator } = ask.meter;
    score.meters.push(ScoreMeter { tick: 0, numerator, denominator });
    score.normalize();
    score
}

/// Where in the score the answer lies: after the phrase, or over all its bars.
fn window(score: &Score, ask: &Ask, origin: f64) -> Window {
    let (bar, end) = (ask.meter.bar(), score.beats(score.end()));
    if ask.wish.over {
        let bars = ((end - EARLY) / bar).ceil().clamp(1.0, f64::from(ENDLESS_BARS));
        return Window { from: 0.0, until: bars * bar };
    }
    let from = answer_from(end, ask.start - origin, bar);
    Window { from, until: from + f64::from(ask.wish.bars) * bar }
}

/// Where in the score an answer that follows begins: at the same place in a bar as on the
/// timeline, and less than a bar after the phrase. That is where it really lies
/// when the phrase was just played; when it was played long ago, or elsewhere, the
/// model need not look across the silence in between.
fn answer_from(phrase_end: f64, start: f64, bar: f64) -> f64 {
    let mut gap = (start - phrase_end).rem_euclid(bar);
    if bar - gap < 1e-6 {
        gap = 0.0;
    }
    let from = phrase_end + gap;
    // Bar lines and beats are whole ticks; sums of floats need not be.
    let grid = f64::from(TICKS_PER_BEAT);
    (from * grid).round() / grid
}

/// Beats as ticks, to the nearest; halves go up whatever their last bits.
fn ticks(beats: f64) -> u32 {
    number::to_u32((beats * f64::from(TICKS_PER_BEAT) + 0.5 + 1e-4).floor())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ask::{Kind, Wish};
    use crate::clock::Timeline;
    use crate::link::AnswerId;

    fn ask(at: f64, start: f64) -> Ask {
        Ask {
            id: AnswerId::default().next_trigger(),
            kind: Kind::Answer,
            timeline: Timeline::Host,
            at,
            start,
            meter: Meter::COMMON,
            bar_line: 0.0,
            tempo: 120.0,
            heard: 0,
            wish: Wish { bars: 2, ..Wish::default() },
        }
    }

    fn on(beat: f64, channel: u8, key: u8, fresh: bool) -> ToWorker {
        ToWorker::On { beat, channel, key, velocity: 100, fresh }
    }

    fn off(beat: f64, channel: u8, key: u8) -> ToWorker {
        ToWorker::Off { beat, channel, key }
    }

    #[test]
    fn a_phrase_just_played_keeps_its_place_before_the_answer() {
        let mut phrase = Phrase::default();
        for event in [on(17.0, 0, 60, true), off(18.0, 0, 60), on(18.5, 9, 36, false)] {
            phrase.hear(event);
        }
        let prompt = phrase.prompt(&ask(19.0, 20.0));
        assert_eq!(prompt.window, Window { from: 4.0, until: 12.0 });
        assert_eq!(prompt.offset, 16.0);
        let [piano, drum] = prompt.score.notes[..] else { panic!("{:?}", prompt.score) };
        assert_eq!((piano.start, piano.duration, piano.instrument), (960, 960, Instrument::PIANO));
        // The key still down ends where the answer was asked for.
        assert_eq!((drum.start, drum.duration, drum.instrument), (2400, 480, Instrument::DRUMS));
        assert_eq!(prompt.score.tempos[0].micros_per_beat, 500_000);
    }

    #[test]
    fn asking_again_makes_the_same_prompt_at_another_place() {
        let mut phrase = Phrase::default();
        phrase.hear(on(0.0, 0, 60, true));
        let first = phrase.prompt(&ask(3.0, 4.0));
        phrase.hear(off(3.5, 0, 60));
        let second = phrase.prompt(&ask(21.0, 24.0));
        assert_eq!((&first.score, first.window), (&second.score, second.window));
        assert_eq!((first.again, second.again, second.offset), (0, 1, 20.0));
        // Another phrase counts anew.
        phrase.hear(on(26.0, 0, 60, true));
        assert_eq!(phrase.prompt(&ask(27.0, 28.0)).again, 0);
    }

    #[test]
    fn a_phrase_from_elsewhere_is_answered_at_the_same_place_in_the_bar() {
        let mut phrase = Phrase::default();
        phrase.hear(on(100.0, 0, 60, true));
        phrase.hear(ToWorker::Break { beat: 102.5, to: 0.0 });
        let prompt = phrase.prompt(&ask(1.2, 2.0));
        assert_eq!((prompt.window.from, prompt.offset), (6.0, -4.0));
    }

    #[test]
    fn tick_0_is_one_of_the_hosts_bar_lines() {
        let mut phrase = Phrase::default();
        phrase.hear(on(4.0, 0, 60, true));
        let prompt = phrase.prompt(&Ask { bar_line: 3.5, ..ask(6.9, 7.5) });
        assert_eq!((prompt.offset, prompt.window.from, prompt.score.notes[0].start), (3.5, 4.0, 480));
    }

    #[test]
    fn nothing_played_is_a_phrase_too() {
        let prompt = Phrase::default().prompt(&ask(5.0, 6.0));
        assert!(prompt.score.notes.is_empty());
        assert_eq!((prompt.window, prompt.offset), (Window { from: 2.0, until: 10.0 }, 4.0));
    }

    #[test]
    fn a_note_has_the_program_its_channel_had() {
        let mut phrase = Phrase::default();
        phrase.hear(ToWorker::Program { channel: 3, program: 40 });
        phrase.hear(ToWorker::Program { channel: 99, program: 200 });
        phrase.hear(on(0.0, 3, 60, true));
        let violin = Instrument::program(40).unwrap();
        assert_eq!(phrase.prompt(&ask(1.0, 4.0)).score.notes[0].instrument, violin);
    }

    #[test]
    fn a_key_struck_twice_without_release_is_two_notes() {
        let mut phrase = Phrase::default();
        for event in [on(0.0, 0, 60, true), on(1.0, 0, 60, false), off(2.0, 0, 60), off(3.0, 0, 60)] {
            phrase.hear(event);
        }
        let ends: Vec<_> = phrase.notes().iter().map(|n| n.end).collect();
        assert_eq!(ends, [Some(1.0), Some(2.0)]);
    }

    #[test]
    fn memory_is_bounded() {
        let mut phrase = Phrase::default();
        for n in 0..5000_u32 {
            phrase.hear(on(f64::from(n), 0, 60, n == 0));
        }
        assert_eq!(phrase.notes().len(), MOST_NOTES);
        assert_eq!(phrase.notes()[0].start, 904.0);
    }

    #[test]
    fn the_pedal_holds_notes_until_it_comes_up() {
        let mut phrase = Phrase::default();
        let pedal = |beat, channel, down| ToWorker::Pedal { beat, channel, down };
        for event in [
            on(0.0, 0, 60, true),
            pedal(0.5, 0, true),
            off(1.0, 0, 60),
            on(1.5, 0, 62, false),
            off(1.75, 0, 62),
            // Struck again, it ends; another channel's pedal is not ours.
            on(2.0, 0, 62, false),
            on(2.0, 1, 40, false),
            off(2.5, 1, 40),
            pedal(3.0, 0, false),
            off(3.5, 0, 62),
        ] {
            phrase.hear(event);
        }
        let ends: Vec<_> = phrase.notes().iter().map(|n| n.end).collect();
        assert_eq!(ends, [Some(3.0), Some(2.0), Some(3.5), Some(2.5)]);
    }

    #[test]
    fn the_last_bars_are_what_was_played_in_them_jumps_and_answers_or_not() {
        let mut phrase = Phrase::default();
        // A loop from 0 to 8: a bar played at 0, one at 4, and again at 0.
        for event in [
            on(0.0, 0, 60, true),
            off(1.0, 0, 60),
            on(4.0, 0, 62, true),
            off(5.0, 0, 62),
            ToWorker::Break { beat: 8.0, to: 0.0 },
            on(0.0, 0, 64, true),
            off(1.0, 0, 64),
        ] {
            phrase.hear(event);
        }
        let wish = |listen| Wish { listen, bars: 2, ..Wish::default() };
        let keys = |prompt: &Prompt| prompt.notes.iter().map(|n| (n.start, n.key)).collect::<Vec<_>>();
        let asked = |listen| Ask { wish: wish(listen), ..ask(4.0, 4.0) };
        assert_eq!(keys(&phrase.prompt(&asked(0))), [(0.0, 64)]);
        assert_eq!(keys(&phrase.prompt(&asked(1))), [(0.0, 64)]);
        let two = phrase.prompt(&asked(2));
        assert_eq!(keys(&two), [(-4.0, 62), (0.0, 64)]);
        assert_eq!((two.window, two.offset), (Window { from: 8.0, until: 16.0 }, -4.0));
        assert_eq!(keys(&phrase.prompt(&asked(3))), [(-8.0, 60), (-4.0, 62), (0.0, 64)]);
    }

    #[test]
    fn an_answer_over_the_phrase_has_its_bars() {
        let mut phrase = Phrase::default();
        // Begins a little early and ends in its second bar.
        for event in [on(15.95, 0, 60, true), off(17.0, 0, 60), on(21.0, 0, 64, false), off(22.0, 0, 64)] {
            phrase.hear(event);
        }
        let wish = Wish { over: true, ..Wish::default() };
        let prompt = phrase.prompt(&Ask { wish, ..ask(22.5, 24.0) });
        assert_eq!((prompt.window, prompt.offset), (Window { from: 0.0, until: 8.0 }, 24.0));
        assert_eq!(prompt.score.notes[0].start, 0);
    }

    #[test]
    fn drums_are_drums_on_any_channel() {
        let mut phrase = Phrase::default();
        phrase.hear(on(0.0, 2, 36, true));
        let wish = Wish { drums: true, ..Wish::default() };
        let prompt = phrase.prompt(&Ask { wish, ..ask(1.0, 4.0) });
        assert_eq!(prompt.score.notes[0].instrument, Instrument::DRUMS);
    }
}
