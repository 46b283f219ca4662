//! Continuations: the answer fills its window and nothing else.

use std::collections::BTreeSet;

use continuo_codec::beat::vocab::{BAR, END, NUMERATOR, POSITION, TEMPO_HIGH};
use continuo_codec::{
    Beat, Continuation, Encoding, EncodingError, Event, IdSet, Instrument, Limits, Meter, Note, Placement,
    Score, Stream, Tempo, TimedNote, Window,
};

use crate::random::Random;

/// The grid point that is not before a time.
fn on_grid(beats: f64) -> f64 {
    (beats * 24.0 - 1e-4).ceil() / 24.0
}

fn continued(phrase: &Score, from: f64, until: f64) -> Continuation {
    Beat.continuation(phrase, Window { from, until }, 512).unwrap()
}

/// Draws an answer to its end; every event of it, and the ids.
fn answer(random: &mut Random, stream: &mut dyn Stream, kinds: bool) -> (Vec<Event>, Vec<u32>) {
    let (mut events, mut ids) = (Vec::new(), Vec::new());
    while !stream.finished() {
        let id = random.next(stream, kinds);
        stream.push(id, &mut events).unwrap();
        ids.push(id);
        assert!(ids.len() < 200_000, "the answer does not end");
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
fn an_answer_fills_its_window_in_the_phrase_s_time() {
    for seed in 0..300 {
        let mut random = Random::new(seed);
        let phrase = random.score();
        let from = f64::from(random.below(40 * 24)) / 24.0;
        let until = from + f64::from(1 + random.below(16 * 24)) / 24.0;
        let prompt = continued(&phrase, from, until);
        assert!(prompt.ids.len() <= 512);
        let mut stream = prompt.stream;
        let (events, ids) = answer(&mut random, &mut *stream, seed % 2 == 0);
        let sounded = notes(&events);
        assert_eq!(sounded[0].start, from, "seed {seed}");
        let players: Vec<_> = if phrase.notes.is_empty() {
            vec![Instrument::PIANO]
        } else {
            phrase.notes.iter().map(|n| n.instrument).collect()
        };
        for note in &sounded {
            assert!((from..until).contains(&note.start), "seed {seed}: {note:?} in {from}..{until}");
            assert!(players.contains(&note.instrument), "seed {seed}: {note:?}");
        }
        let timed = |e: &Event| matches!(e, Event::Tempo { .. } | Event::Meter { .. });
        assert!(!events.iter().any(timed), "seed {seed}: the answer changes tempo or meter");
        assert!(!ids.contains(&END));
        let mut empty = 0;
        for window in ids.windows(2) {
            empty = if window == [BAR, BAR] { empty + 1 } else { 0 };
            assert!(empty <= 2, "seed {seed}: a third empty bar");
        }
    }
}

#[test]
fn the_whole_of_phrase_and_answer_is_a_piece() {
    for seed in 0..100 {
        let mut random = Random::new(seed);
        let phrase = random.score();
        let from = f64::from(random.below(40));
        let Continuation { ids, mut stream } = continued(&phrase, from, from + 8.0);
        let (events, answered) = answer(&mut random, &mut *stream, true);
        let whole = Beat.decode(&[ids.as_slice(), &answered].concat()).unwrap();
        let prompt = Beat.decode(&ids).unwrap();
        assert_eq!(whole.notes.len(), prompt.notes.len() + notes(&events).len());
        assert_eq!(whole.meters, prompt.meters);
        assert_eq!(whole.tempos, prompt.tempos);
    }
}

#[test]
fn a_window_off_the_grid_begins_at_the_next_step() {
    let phrase = Score::new(480);
    for (from, until) in [(3.99, 8.01), (4.000_001, 7.999_999), (1.0 / 3.0, 0.7)] {
        let mut stream = continued(&phrase, from, until).stream;
        let (events, _) = answer(&mut Random::new(1), &mut *stream, false);
        let sounded = notes(&events);
        assert_eq!(sounded[0].start, on_grid(from));
        assert!(sounded.iter().all(|n| n.start < on_grid(until)));
    }
}

#[test]
fn the_prompt_holds_the_notes_before_the_window_and_its_time() {
    let mut phrase = Score::new(480);
    let note =
        |start, pitch| Note { start, instrument: Instrument::PIANO, pitch, duration: 480, velocity: 66 };
    // The last of the three is a hair early, and nearest to the window's first step.
    phrase.notes = vec![note(0, 60), note(480, 62), note(1435, 64), note(1440, 65), note(2000, 67)];
    phrase.tempos =
        vec![Tempo { tick: 1440, micros_per_beat: 600_000 }, Tempo { tick: 1500, micros_per_beat: 400_000 }];
    phrase.meters = vec![
        Meter { tick: 0, numerator: 3, denominator: 4 },
        Meter { tick: 2880, numerator: 5, denominator: 8 },
    ];
    let Continuation { ids, stream } = continued(&phrase, 3.0, 6.0);
    let prompt = Beat.decode(&ids).unwrap();
    let pitches: Vec<_> = prompt.notes.iter().map(|n| (n.start, n.pitch)).collect();
    assert_eq!(pitches, [(0, 60), (24, 62), (71, 64)]);
    assert_eq!(prompt.meters, [Meter { tick: 0, numerator: 3, denominator: 4 }]);
    let tempos: Vec<_> = prompt.tempos.iter().map(|t| (t.tick, t.micros_per_beat)).collect();
    assert_eq!(tempos, [(0, 500_000), (72, 600_000)]);
    let mut set = IdSet::default();
    stream.allowed(&mut set);
    assert!(set.ranges().iter().all(|r| r.start >= 489), "only a note may come first: {set:?}");
}

#[test]
fn a_change_of_meter_after_the_window_begins_is_not_foreseen() {
    let mut phrase = Score::new(24);
    phrase.meters = vec![Meter { tick: 96 + 48, numerator: 3, denominator: 4 }];
    let mut stream = continued(&phrase, 4.0, 20.0).stream;
    let (events, _) = answer(&mut Random::new(3), &mut *stream, true);
    // Bars of four beats, not one of two.
    for event in events {
        if let Event::Reached(at) = event {
            assert!((4.0..=20.0).contains(&at));
        }
    }
    let mut stream = continued(&phrase, 4.0, 20.0).stream;
    let mut events = Vec::new();
    let mut set = IdSet::default();
    stream.allowed(&mut set);
    for id in [521, 777, BAR] {
        stream.push(id, &mut events).unwrap();
    }
    assert_eq!(events.last(), Some(&Event::Reached(8.0)));
}

#[test]
fn a_phrase_far_into_a_project_needs_no_bars_before_it() {
    let mut phrase = Score::new(480);
    let start = 480 * 4 * 20_000;
    phrase.notes =
        vec![Note { start, instrument: Instrument::PIANO, pitch: 60, duration: 480, velocity: 66 }];
    // 99.83 beats a minute: a prompt says whole ones.
    phrase.tempos = vec![Tempo { tick: 480, micros_per_beat: 601_000 }];
    let Continuation { ids, mut stream } = continued(&phrase, 80_004.0, 80_008.0);
    assert_eq!(ids, [1, BAR, NUMERATOR + 3, 116, POSITION, TEMPO_HIGH + 6, 156, 581, 800, BAR, POSITION]);
    let (events, _) = answer(&mut Random::new(5), &mut *stream, false);
    assert_eq!(notes(&events)[0].start, 80_004.0);
}

#[test]
fn a_phrase_without_notes_is_answered_on_the_piano() {
    let mut stream = continued(&Score::new(96), 0.0, 4.0).stream;
    let (events, _) = answer(&mut Random::new(2), &mut *stream, false);
    assert!(notes(&events).iter().all(|n| n.instrument == Instrument::PIANO));
}

#[test]
fn an_instrument_heard_only_after_the_window_begins_may_answer() {
    let mut phrase = Score::new(96);
    phrase.notes =
        vec![Note { start: 96 * 8, instrument: Instrument::DRUMS, pitch: 36, duration: 10, velocity: 100 }];
    let mut stream = continued(&phrase, 4.0, 12.0).stream;
    let (events, _) = answer(&mut Random::new(2), &mut *stream, true);
    assert!(notes(&events).iter().all(|n| n.instrument == Instrument::DRUMS));
}

#[test]
fn impossible_windows_are_refused() {
    let phrase = Score::new(96);
    let windows = [
        (4.0, 4.0),
        (4.0, 3.0),
        (-1.0, 4.0),
        (f64::NAN, 4.0),
        (0.0, f64::NAN),
        (0.0, f64::INFINITY),
        (1e300, 2e300),
        (4.01, 4.02),
    ];
    for (from, until) in windows {
        let refused = Beat.continuation(&phrase, Window { from, until }, 512);
        assert!(matches!(refused, Err(EncodingError::Window(_))), "{from}..{until}");
    }
    let window = Window { from: 4.0, until: 8.0 };
    assert!(matches!(Beat.continuation(&phrase, window, 31), Err(EncodingError::Window(_))));
    assert!(Beat.continuation(&phrase, window, 32).is_ok());
}

#[test]
fn a_silence_beyond_all_bounds_before_the_answer_is_refused() {
    let mut phrase = Score::new(24);
    phrase.notes =
        vec![Note { start: 0, instrument: Instrument::PIANO, pitch: 60, duration: 24, velocity: 66 }];
    let far = Window { from: 4.0 * 5000.0, until: 4.0 * 5001.0 };
    let refused = Beat.continuation(&phrase, far, 512).err().unwrap();
    assert!(refused.to_string().contains("4096 silent bars"), "{refused}");
    let farther = Window { from: 9e7, until: 9.1e7 };
    assert!(matches!(Beat.continuation(&phrase, farther, 512), Err(EncodingError::Score(_))));
}

#[test]
fn long_phrases_are_shortened_to_what_fits() {
    for seed in 0..100 {
        let mut random = Random::new(seed);
        let phrase = random.score();
        let window = Window { from: 41.0, until: 44.0 };
        let limit = 64 + random.below(200) as usize;
        let mut continuation = Beat.continuation(&phrase, window, limit).unwrap();
        assert!(continuation.ids.len() <= limit);
        assert!(Beat.decode(&continuation.ids).is_ok());
        let (events, _) = answer(&mut random, &mut *continuation.stream, true);
        assert_eq!(notes(&events)[0].start, 41.0);
    }
}

#[test]
fn an_answer_over_the_phrase_is_spelled_with_it() {
    for seed in 0..100 {
        let mut random = Random::new(seed);
        let phrase = random.score();
        let limits = Limits { placement: Placement::Over, ..Limits::default() };
        let window = Window { from: 4.0, until: 12.0 };
        let answered = Beat.continuation_within(&phrase, window, &limits, 100_000).unwrap();
        let mut stream = answered.stream;
        let (events, drawn) = answer(&mut random, &mut *stream, seed % 2 == 0);
        let whole = Beat.decode(&[answered.ids.as_slice(), &drawn].concat()).unwrap();
        let parts = |score: &Score| -> BTreeSet<(u32, Instrument, u8)> {
            score.notes.iter().map(|n| (n.start, n.instrument, n.pitch)).collect()
        };
        // The phrase alone, what comes before the window a step before it at the latest.
        let alone = phrase.notes.iter().map(|note| {
            let beats = phrase.beats(note.start);
            let step: u32 = format!("{}", (beats * 24.0 + 0.5 + 1e-9).floor()).parse().unwrap();
            (if beats < 4.0 { step.min(95) } else { step }, note.instrument, note.pitch)
        });
        let mut expected: BTreeSet<_> = alone.filter(|&(start, ..)| start < 12 * 24).collect();
        for note in notes(&events) {
            let start = format!("{}", (note.start * 24.0).round()).parse().unwrap();
            assert!(expected.insert((start, note.instrument, note.pitch)), "seed {seed}: {note:?} doubled");
        }
        assert_eq!(parts(&whole), expected, "seed {seed}");
    }
}
