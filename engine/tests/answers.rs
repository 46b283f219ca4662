//! The embedded model answers whatever it is given: on the boundary, inside the
//! window, the same every time.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use continuo_engine::limits::{Placement, Scale};
use continuo_engine::{
    BeatNote, Ending, Engine, EngineError, Instrument, Limits, Meter, Note, Pace, Request, Sampling, Score,
    TakeEvent, Tempo, Window,
};

const SAMPLING: Sampling =
    Sampling { temperature: 0.95, top_k: 0, top_p: 0.97, min_p: 0.0, no_repeat: 0, seed: 1 };

fn note(start: u32, duration: u32, pitch: u8, instrument: Instrument) -> Note {
    Note { start, instrument, pitch, duration, velocity: 80 }
}

/// A phrase of quarter notes, ascending and descending.
fn phrase(notes: u32, instrument: Instrument) -> Score {
    let mut score = Score::new(480);
    for n in 0..notes {
        let pitch = u8::try_from(40 + n % 24).unwrap();
        score.notes.push(note(n * 480, 480, pitch, instrument));
    }
    score.normalize();
    score
}

fn request(phrase: Score, from: f64, until: f64) -> Request {
    let window = Window { from, until };
    Request { phrase, window, takes: 2, sampling: SAMPLING, limits: Limits::default(), pace: None }
}

fn events(request: &Request) -> Vec<TakeEvent> {
    let mut events = Vec::new();
    let engine = Engine::embedded().unwrap();
    let ending = engine.generate(request, &|| false, &mut |event| events.push(event)).unwrap();
    assert_eq!(ending, Ending::Complete);
    events
}

/// Every promise an answer keeps, whatever the phrase.
fn check(request: &Request) {
    let Window { from, until } = request.window;
    let events = events(request);
    for wanted in 0..request.takes {
        let mut last = None;
        let mut reached = f64::NEG_INFINITY;
        let mut done = false;
        for event in &events {
            match *event {
                TakeEvent::Note { take, note } if take == wanted => {
                    // In order, and the first one exactly on the boundary.
                    let expected = last.unwrap_or(from);
                    assert!(note.start >= expected.max(reached), "take {take}: {note:?} after {expected}");
                    assert!(last.is_some() || note.start - from < 1e-9, "take {take} begins with {note:?}");
                    assert!(note.start < until && note.duration > 0.0, "take {take}: {note:?}");
                    last = Some(note.start);
                }
                TakeEvent::Reached { take, beat } if take == wanted => reached = reached.max(beat),
                TakeEvent::Done { take } if take == wanted => done = true,
                _ => {}
            }
        }
        assert!(last.is_some(), "take {wanted} has no note");
        assert!(done, "take {wanted} is not done");
    }
}

#[test]
fn the_first_note_falls_on_the_boundary() {
    for (from, until) in [(8.0, 16.0), (5.0, 7.0), (4.25, 8.0), (12.0, 13.0)] {
        check(&request(phrase(8, Instrument::PIANO), from, until));
    }
}

#[test]
fn limits_hold_what_the_model_would_have_played() {
    let played = |limits: Limits| -> Vec<BeatNote> {
        let (from, until) = if limits.placement == Placement::Over { (0.0, 8.0) } else { (8.0, 16.0) };
        let request = Request { limits, ..request(phrase(8, Instrument::PIANO), from, until) };
        events(&request)
            .iter()
            .filter_map(|event| if let TakeEvent::Note { note, .. } = event { Some(*note) } else { None })
            .collect()
    };
    let scale: Scale = "C# minor pentatonic".parse().unwrap();
    let notes = played(Limits { scale: Some(scale), range: 60..=72, grid: Some(2), ..Limits::default() });
    assert!(!notes.is_empty());
    for note in notes {
        assert!(scale.contains(note.pitch) && (60..=72).contains(&note.pitch), "{note:?}");
        assert!((note.start * 2.0).fract() == 0.0, "{note:?}");
    }
    // The phrase's own notes are heard by the model, and are not the answer's.
    let over = played(Limits { placement: Placement::Over, range: 80..=100, ..Limits::default() });
    assert!(!over.is_empty() && over.iter().all(|note| note.pitch >= 80), "{over:?}");
}

#[test]
fn an_empty_phrase_is_answered() {
    check(&request(phrase(0, Instrument::PIANO), 4.0, 8.0));
}

#[test]
fn one_note_is_answered() {
    check(&request(phrase(1, Instrument::PIANO), 4.0, 8.0));
}

#[test]
fn ten_thousand_notes_are_answered() {
    check(&request(phrase(10_000, Instrument::PIANO), 10_000.0, 10_004.0));
    // All in one bar: nothing can be dropped at a bar line.
    let mut dense = Score::new(480);
    dense.notes =
        (0..10_000).map(|n| note(n % 1900, 24, u8::try_from(n % 128).unwrap(), Instrument::PIANO)).collect();
    dense.normalize();
    check(&request(dense, 4.0, 8.0));
}

#[test]
fn drums_are_answered_by_drums() {
    let request = request(phrase(16, Instrument::DRUMS), 16.0, 20.0);
    check(&request);
    for event in events(&request) {
        if let TakeEvent::Note { note, .. } = event {
            assert!(note.instrument.is_drums());
        }
    }
}

#[test]
fn odd_meters_and_tempos_are_answered() {
    for micros_per_beat in [150_000, 3_000_000] {
        let mut score = phrase(7, Instrument::PIANO);
        score.tempos.push(Tempo { tick: 0, micros_per_beat });
        score.meters.push(Meter { tick: 0, numerator: 7, denominator: 8 });
        check(&request(score, 7.0, 14.0));
    }
}

#[test]
fn a_long_answer_outlasts_the_models_window() {
    let mut long = request(phrase(32, Instrument::PIANO), 32.0, 160.0);
    long.takes = 1;
    check(&long);
}

#[test]
fn the_same_request_gives_the_same_events() {
    let first = request(phrase(8, Instrument::PIANO), 8.0, 16.0);
    let mut other = first.clone();
    other.sampling.seed = 2;
    assert_eq!(events(&first), events(&first));
    assert_ne!(events(&first), events(&other));
}

/// Whatever was read before, and however much of it was taken back.
#[test]
fn an_answer_does_not_depend_on_what_was_read_ahead() {
    let engine = Engine::embedded().unwrap();
    // The second is longer than the model's window.
    for notes in [24, 700] {
        let bar_line = |notes: u32| f64::from(notes.div_ceil(4) * 4);
        let whole = request(phrase(notes, Instrument::PIANO), bar_line(notes), bar_line(notes) + 8.0);
        let expected = events(&whole);
        let mut reading = engine.reading();
        for so_far in (1..=notes).step_by(usize::try_from(notes).unwrap() / 23) {
            let mut coming = whole.clone();
            coming.phrase.notes.truncate(usize::try_from(so_far).unwrap());
            // The last key is still down.
            coming.phrase.notes.last_mut().unwrap().duration = 17;
            coming.window = Window { from: bar_line(so_far), until: bar_line(so_far) + 4.0 };
            assert_eq!(engine.read_ahead(&coming, &mut reading, &|| false).unwrap(), Ending::Complete);
        }
        for _ in 0..2 {
            let mut events = Vec::new();
            engine.answer(&whole, &mut reading, &|| false, &mut |event| events.push(event)).unwrap();
            assert_eq!(events, expected, "{notes} notes");
        }
    }
}

#[test]
fn several_who_ask_at_once_get_what_they_would_get_alone() {
    let ask = |notes| Request {
        pace: Some(Pace { from: Instant::now(), beat: Duration::from_millis(u64::from(notes)) }),
        ..request(phrase(notes, Instrument::PIANO), 8.0, 24.0)
    };
    let alone: Vec<_> = (4..12).map(|notes| events(&ask(notes))).collect();
    std::thread::scope(|scope| {
        let asked: Vec<_> = (4..12).map(|notes| scope.spawn(move || events(&ask(notes)))).collect();
        for (asked, alone) in asked.into_iter().zip(alone) {
            assert_eq!(asked.join().unwrap(), alone);
        }
    });
}

#[test]
fn cancelling_ends_a_generation() {
    let engine = Engine::embedded().unwrap();
    let request = request(phrase(8, Instrument::PIANO), 8.0, 72.0);
    let heard = AtomicUsize::new(0);
    let ending = engine.generate(&request, &|| heard.load(Ordering::Relaxed) > 3, &mut |event| {
        if matches!(event, TakeEvent::Note { .. }) {
            heard.fetch_add(1, Ordering::Relaxed);
        }
    });
    assert_eq!(ending.unwrap(), Ending::Cancelled);
    assert_eq!(heard.load(Ordering::Relaxed), 4);
}

#[test]
fn impossible_requests_are_refused() {
    let engine = Engine::embedded().unwrap();
    let good = request(phrase(8, Instrument::PIANO), 8.0, 16.0);
    let cases = [
        Request { takes: 0, ..good.clone() },
        Request { takes: 9, ..good.clone() },
        Request { sampling: Sampling { temperature: f32::NAN, ..SAMPLING }, ..good.clone() },
        Request { sampling: Sampling { top_p: 0.0, ..SAMPLING }, ..good.clone() },
        Request { sampling: Sampling { min_p: 1.1, ..SAMPLING }, ..good.clone() },
        Request { sampling: Sampling { min_p: f32::NAN, ..SAMPLING }, ..good.clone() },
        Request { window: Window { from: 8.0, until: 8.0 }, ..good.clone() },
        Request { window: Window { from: f64::NAN, until: 8.0 }, ..good.clone() },
        Request { window: Window { from: 8.0, until: f64::INFINITY }, ..good },
    ];
    for case in cases {
        let result = engine.generate(&case, &|| false, &mut |_| ());
        assert!(
            matches!(result, Err(EngineError::Request(_) | EngineError::Encoding(_))),
            "{:?} {:?} gave {result:?}",
            case.window,
            case.sampling
        );
    }
}
