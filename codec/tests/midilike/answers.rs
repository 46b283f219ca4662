//! Continuations: the answer fills its window and nothing else.

use continuo_codec::{
    Continuation, Encoding, EncodingError, Event, IdSet, Instrument, MidiLike, Note, Score, Stream,
    TimedNote, Window,
};

use crate::random::Random;

fn continued(phrase: &Score, from: f64, until: f64, max: usize) -> Continuation {
    MidiLike::default().continuation(phrase, Window { from, until }, max).unwrap()
}

/// Draws an answer to its end; every event of it, and the ids.
fn answer(random: &mut Random, stream: &mut dyn Stream, kinds: bool) -> (Vec<Event>, Vec<u32>) {
    let (mut events, mut ids) = (Vec::new(), Vec::new());
    while !stream.finished() {
        let id = random.next(stream, kinds);
        stream.push(id, &mut events).unwrap();
        ids.push(id);
        assert!(ids.len() < 400_000, "the answer does not end");
    }
    let mut set = IdSet::default();
    stream.allowed(&mut set);
    assert!(set.is_empty(), "a finished answer goes on");
    (events, ids)
}

fn notes(events: &[Event]) -> Vec<TimedNote> {
    events.iter().filter_map(|e| if let Event::Note(note) = e { Some(*note) } else { None }).collect()
}

#[test]
fn an_answer_fills_its_window() {
    for seed in 0..300 {
        let mut random = Random::new(seed);
        let phrase = random.score();
        let from = f64::from(random.below(40 * 8)) / 8.0;
        let until = from + f64::from(1 + random.below(16 * 8)) / 8.0;
        let prompt = continued(&phrase, from, until, 512);
        assert!(prompt.ids.len() <= 512);
        assert_eq!(prompt.ids[0], 1, "BOS");
        let mut stream = prompt.stream;
        let (events, ids) = answer(&mut random, &mut *stream, seed % 2 == 0);
        assert!(ids.iter().all(|&id| id > 3), "seed {seed}: only music is sampled");
        let sounded = notes(&events);
        let first = sounded.iter().map(|note| note.start).fold(f64::INFINITY, f64::min);
        assert_eq!(first, from, "seed {seed}");
        let begun = ids.iter().filter(|id| (260..292).contains(*id)).count();
        assert_eq!(sounded.len(), begun, "seed {seed}: every note that began has ended");
        let players: Vec<_> = phrase.notes.iter().map(|n| n.instrument).collect();
        for note in &sounded {
            assert!((from..until).contains(&note.start), "seed {seed}: {note:?} in {from}..{until}");
            assert!(note.start + note.duration <= until, "seed {seed}: {note:?} in {from}..{until}");
            assert!(note.duration > 0.0 && note.duration <= 16.0, "seed {seed}: {note:?}");
            let player = note.instrument == Instrument::PIANO || players.contains(&note.instrument);
            assert!(player, "seed {seed}: {note:?}");
        }
        for (i, a) in sounded.iter().enumerate() {
            let overlap = |b: &&TimedNote| {
                (a.instrument, a.pitch) == (b.instrument, b.pitch)
                    && a.start < b.start + b.duration
                    && b.start < a.start + a.duration
            };
            assert_eq!(sounded[i + 1..].iter().find(overlap), None, "seed {seed}: a key struck twice");
        }
        assert_silence(&sounded, seed);
    }
}

/// Nothing is silent for more than eight beats.
fn assert_silence(notes: &[TimedNote], seed: u64) {
    let mut sorted = notes.to_vec();
    sorted.sort_by(|a, b| a.start.total_cmp(&b.start));
    let mut end = sorted[0].start;
    for note in sorted {
        assert!(note.start - end <= 8.0, "seed {seed}: silent from {end} to {}", note.start);
        end = end.max(note.start + note.duration);
    }
}

#[test]
fn the_prompt_is_the_phrase_led_in_time() {
    let mut phrase = Score::new(480);
    let note =
        |start, pitch, duration| Note { start, instrument: Instrument::PIANO, pitch, duration, velocity: 64 };
    // The second is held beyond the answer's beginning, the third comes after it.
    phrase.notes = vec![note(0, 60, 480), note(480, 64, 9600), note(1920, 65, 480)];
    let begun = continued(&phrase, 4.0, 8.0, 512);
    assert_eq!(begun.ids, [1, 512, 64, 275, 299, 192, 68, 275, 315, 196]);
    phrase.notes[1].duration = 480;
    let begun = continued(&phrase, 4.0, 8.0, 512);
    assert_eq!(begun.ids, [1, 512, 64, 275, 299, 192, 68, 275, 299, 196, 491]);
    // A window between grid points begins at the next.
    let mut stream = continued(&phrase, 3.9, 8.0, 512).stream;
    let (events, _) = answer(&mut Random::new(1), &mut *stream, true);
    assert_eq!(notes(&events).iter().map(|n| n.start).fold(f64::INFINITY, f64::min), 4.0);
}

#[test]
fn a_phrase_without_notes_has_an_answer() {
    let prompt = continued(&Score::new(96), 16.0, 24.0, 64);
    assert_eq!(prompt.ids, [1]);
    let mut allowed = IdSet::default();
    prompt.stream.allowed(&mut allowed);
    assert!(allowed.len() == 1 && allowed.contains(512), "the piano begins");
}

#[test]
fn a_phrase_from_far_away_makes_a_short_prompt() {
    let mut phrase = Score::new(1);
    let note = |start| Note {
        start,
        instrument: Instrument::PIANO,
        pitch: 60,
        duration: u32::MAX - start,
        velocity: 1,
    };
    phrase.notes = vec![note(0), note(900_000)];
    let prompt = continued(&phrase, 950_000.0, 950_004.0, 512);
    assert!(prompt.ids.len() < 512);
    let mut stream = prompt.stream;
    let (events, _) = answer(&mut Random::new(3), &mut *stream, false);
    assert!(notes(&events).iter().all(|note| (950_000.0..950_004.0).contains(&note.start)));
}

#[test]
fn impossible_windows_are_refused() {
    let phrase = Score::new(96);
    let encoding = MidiLike::default();
    for (from, until, max) in [
        (4.0, 4.0, 512),
        (4.0, 2.0, 512),
        (-1.0, 2.0, 512),
        (f64::NAN, 2.0, 512),
        (0.0, f64::INFINITY, 512),
        (0.01, 0.02, 512),
        (0.0, 4.0, 31),
    ] {
        let refused = encoding.continuation(&phrase, Window { from, until }, max);
        assert!(matches!(refused.map(|_| ()), Err(EncodingError::Window(_))), "{from}..{until}, {max}");
    }
}
