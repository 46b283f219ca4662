//! A history without its oldest music.

use std::collections::{BTreeMap, VecDeque};

use super::grammar::Grammar;
use super::vocab::{Token, Vocab};
use super::writer::{Act, Happening, Writer};

/// See [`Stream::shorten`](crate::Stream::shorten): the notes that begin before
/// some step are left out, ends and all; those that still sound begin there instead.
pub(super) fn shorten(grammar: &mut Grammar, history: &[u32], max: usize) -> Vec<u32> {
    if history.len() <= max {
        return history.to_vec();
    }
    let vocab = grammar.vocab.clone();
    let past = Past::read(&vocab, history);
    let mut cuts: Vec<u32> = past.notes.iter().map(|note| note.start).collect();
    cuts.push(past.now);
    cuts.dedup();
    // A later cut leaves less; where restated notes make it more, the next is tried.
    let first = cuts.partition_point(|&cut| past.spell(&vocab, cut, usize::MAX).0.len() > max);
    let fitting =
        cuts.get(first..).unwrap_or_default().iter().map(|&cut| past.spell(&vocab, cut, usize::MAX));
    let spelled = fitting.into_iter().find(|(ids, _)| ids.len() <= max);
    let (ids, program) = spelled.unwrap_or_else(|| past.spell_within(&vocab, max));
    grammar.restate(program);
    ids
}

/// A note of the past.
struct Note {
    start: u32,
    instrument: u8,
    pitch: u8,
    velocity: u8,
    ended: bool,
}

/// What is half said at the end.
enum Half {
    Nothing,
    Program(u8),
    On(u8, u8),
}

/// A history as it was played.
struct Past {
    begin: Option<u32>,
    notes: Vec<Note>,
    /// What happened, with the note it happened to.
    happenings: Vec<(usize, Happening)>,
    now: u32,
    half: Half,
}

impl Past {
    fn read(vocab: &Vocab, history: &[u32]) -> Self {
        let begin = history.first().copied().filter(|&id| Some(id) == vocab.begin());
        let mut past = Self { begin, notes: Vec::new(), happenings: Vec::new(), now: 0, half: Half::Nothing };
        let mut open: BTreeMap<(u8, u8), VecDeque<usize>> = BTreeMap::new();
        let mut program = 0;
        for token in history.iter().filter_map(|&id| vocab.token(id)) {
            let before = std::mem::replace(&mut past.half, Half::Nothing);
            match token {
                Token::Special(_) => {}
                Token::Shift(steps) | Token::Rest(steps) => past.now = past.now.saturating_add(steps),
                Token::Program(instrument) => {
                    program = instrument;
                    past.half = Half::Program(instrument);
                }
                Token::On(pitch) => past.half = Half::On(program, pitch),
                Token::Velocity(velocity) => {
                    if let Half::On(instrument, pitch) = before {
                        open.entry((instrument, pitch)).or_default().push_back(past.notes.len());
                        past.happen(past.notes.len(), instrument, pitch, Act::On(velocity));
                        let start = past.now;
                        past.notes.push(Note { start, instrument, pitch, velocity, ended: false });
                    }
                }
                Token::Off(pitch) => {
                    if let Some(index) = open.get_mut(&(program, pitch)).and_then(VecDeque::pop_front) {
                        past.happen(index, program, pitch, Act::Off);
                        past.notes[index].ended = true;
                    }
                }
            }
        }
        past
    }

    fn happen(&mut self, note: usize, instrument: u8, pitch: u8, act: Act) {
        self.happenings.push((note, Happening { at: self.now, instrument, pitch, act }));
    }

    /// The ids from a step on, and who plays at their end. At most `most` notes, the
    /// newest, begin at that step.
    fn spell(&self, vocab: &Vocab, cut: u32, most: usize) -> (Vec<u32>, Option<u8>) {
        let held = self.notes.iter().filter(|note| note.start < cut && !note.ended);
        let mut first: Vec<Happening> = held
            .map(|note| Happening {
                at: cut,
                instrument: note.instrument,
                pitch: note.pitch,
                act: Act::On(note.velocity),
            })
            .collect();
        let kept = self.happenings.iter().filter(|(note, _)| self.notes[*note].start >= cut);
        let kept: Vec<Happening> = kept.map(|&(_, happening)| happening).collect();
        let at_cut = kept.partition_point(|happening| happening.at <= cut);
        first.extend_from_slice(&kept[..at_cut]);
        first.drain(..first.len().saturating_sub(most));
        let last = self.playing();
        // One turn for each instrument, the last for the one that plays on.
        first.sort_by_key(|h| (cut == self.now && Some(h.instrument) == last, h.instrument));
        let mut writer = Writer::new(vocab, self.begin.into_iter().collect(), cut);
        first.into_iter().chain(kept[at_cut..].iter().copied()).for_each(|happening| writer.take(happening));
        writer.go(self.now);
        match self.half {
            Half::Nothing => {}
            Half::Program(program) => writer.play(program),
            Half::On(program, pitch) => {
                writer.play(program);
                writer.ids.push(vocab.on_id(program, pitch));
            }
        }
        (writer.ids, writer.program)
    }

    /// Who plays at the end.
    fn playing(&self) -> Option<u8> {
        match self.half {
            Half::Program(program) | Half::On(program, _) => Some(program),
            Half::Nothing => self.happenings.last().map(|(_, happening)| happening.instrument),
        }
    }

    /// As many of the sounding notes as fit.
    fn spell_within(&self, vocab: &Vocab, max: usize) -> (Vec<u32>, Option<u8>) {
        // A note takes three ids at most, the beginning and what is half said three.
        let (mut ids, program) = self.spell(vocab, self.now, max.saturating_sub(3) / 3);
        if ids.len() > max {
            ids.drain(..ids.len() - max);
        }
        (ids, program)
    }
}
