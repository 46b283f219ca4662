//! A shortened history stands alone and means the same at its end.

use continuo_codec::beat::vocab::BAR;
use continuo_codec::{Beat, Encoding, Event, IdSet, Note, Score, Stream, TimedNote, Window};

use crate::random::{Random, draw};

/// Reads a history from nothing.
fn read(history: &[u32]) -> (Box<dyn Stream>, Vec<Event>) {
    let (mut stream, mut events) = (Beat.stream(), Vec::new());
    for &id in history {
        stream.push(id, &mut events).unwrap();
    }
    (stream, events)
}

/// Shortens a history of a stream and checks what is left.
fn check(random: &mut Random, stream: &mut dyn Stream, history: &mut Vec<u32>, max: usize) {
    let mut before = IdSet::default();
    stream.allowed(&mut before);
    let short = stream.shorten(history, max);
    assert!(short.len() <= max.max(1), "{} ids where {max} fit", short.len());
    let whole = Beat.decode(history).unwrap();
    let left = Beat.decode(&short).unwrap();
    check_notes(&whole, &left, last_bar(history) - last_bar(&short));
    assert_eq!(whole.tempos.last().map(|t| t.micros_per_beat), left.tempos.last().map(|t| t.micros_per_beat));
    let meter = |s: &Score| s.meters.last().map(|m| (m.numerator, m.denominator));
    assert_eq!(meter(&whole), meter(&left));
    go_on(random, stream, &short);
    *history = short;
}

/// Where the last bar of a history begins, in steps.
fn last_bar(history: &[u32]) -> u32 {
    let end = history.iter().rposition(|&id| id == BAR).unwrap();
    let (_, events) = read(&history[..=end]);
    let Some(Event::Reached(at)) = events.last() else { panic!("no bar") };
    format!("{}", at * 24.0).parse().unwrap()
}

/// What is left are the last notes: same sound, same distances.
fn check_notes(whole: &Score, left: &Score, shift: u32) {
    let moved: Vec<_> = left.notes.iter().map(|n| Note { start: n.start + shift, ..*n }).collect();
    let Some(first) = moved.first().map(|n| n.start) else { return };
    let sound = |n: &&Note| (n.start, n.instrument, n.pitch);
    for note in &moved {
        let same = whole.notes.iter().find(|n| sound(n) == sound(&note)).unwrap();
        assert_eq!((same.duration, same.velocity), (note.duration, note.velocity));
    }
    // None is missing between the first that is left and the last position.
    let last = whole.notes.iter().map(|n| n.start).max().unwrap();
    let between = |n: &&Note| n.start > first && n.start < last;
    assert_eq!(whole.notes.iter().filter(between).count(), moved.iter().filter(between).count());
}

/// A copy of the stream and a reader of what is left go on alike.
fn go_on(random: &mut Random, stream: &dyn Stream, short: &[u32]) {
    let mut stream = stream.boxed_clone();
    let (mut reader, mut read_events) = read(short);
    let (mut set, mut events) = (IdSet::default(), Vec::new());
    read_events.clear();
    for _ in 0..40 {
        if stream.finished() {
            break;
        }
        stream.allowed(&mut set);
        assert!(!set.is_empty(), "nothing may follow");
        let id = random.next(&*stream, true);
        stream.push(id, &mut events).unwrap();
        reader.push(id, &mut read_events).unwrap();
    }
    assert_eq!(events.len(), read_events.len());
    let mut shift = None;
    for (here, there) in events.iter().zip(&read_events) {
        let (here, there) = (parts(here), parts(there));
        let distance = here.0 - there.0;
        assert!((*shift.get_or_insert(distance) - distance).abs() < 1e-9);
        assert_eq!(here.1, there.1);
    }
}

/// Time and rest of an event.
fn parts(event: &Event) -> (f64, String) {
    match *event {
        Event::Note(note) => (note.start, format!("{:?}", TimedNote { start: 0.0, ..note })),
        Event::Reached(at) => (at, String::new()),
        Event::Tempo { at, micros_per_beat } => (at, format!("{micros_per_beat}")),
        Event::Meter { at, numerator, denominator } => (at, format!("{numerator}/{denominator}")),
    }
}

#[test]
fn a_piece_is_shortened_at_any_point() {
    for seed in 0..1500 {
        let mut random = Random::new(seed);
        let mut stream = Beat.stream();
        let length = 8 + random.below(400) as usize;
        let mut history = draw(&mut random, &mut *stream, length, seed % 4 != 0);
        if stream.finished() {
            continue;
        }
        for _ in 0..4 {
            let max = 64 + random.below(100) as usize;
            check(&mut random, &mut *stream, &mut history, max);
            if stream.finished() {
                break;
            }
            let more = random.below(120) as usize;
            history.extend(draw(&mut random, &mut *stream, more, true));
            if stream.finished() {
                break;
            }
        }
    }
}

#[test]
fn an_answer_is_shortened_at_any_point_and_keeps_its_window() {
    for seed in 0..400 {
        let mut random = Random::new(seed);
        let phrase = random.score();
        let from = f64::from(random.below(160)) / 4.0;
        let window = Window { from, until: from + 30.0 };
        let limit = 64 + random.below(100) as usize;
        let prompt = Beat.continuation(&phrase, window, limit).unwrap();
        let (mut history, mut stream) = (prompt.ids, prompt.stream);
        let mut reached = from;
        while !stream.finished() {
            let mut events = Vec::new();
            let id = random.next(&*stream, true);
            stream.push(id, &mut events).unwrap();
            history.push(id);
            for event in &events {
                let at = parts(event).0;
                assert!(at >= reached, "time goes back");
                reached = at;
                if let Event::Note(note) = event {
                    assert!((from..from + 30.0).contains(&note.start));
                }
            }
            if history.len() >= limit + 40 {
                check(&mut random, &mut *stream, &mut history, limit);
            }
        }
        assert!(reached >= from + 30.0 - 1e-9, "seed {seed}: ended at {reached}");
    }
}

#[test]
fn one_huge_bar_loses_its_oldest_notes() {
    // A bar of 64 whole notes with a chord of all instruments at every step.
    let mut random = Random::new(9);
    let mut stream = Beat.stream();
    let mut history = vec![1, 16, 50 + 63, 114, 168, 127, 160];
    for &id in &history {
        stream.push(id, &mut Vec::new()).unwrap();
    }
    let mut set = IdSet::default();
    while history.len() < 4000 {
        stream.allowed(&mut set);
        let id = loop {
            let id = random.of(&set);
            if id > 16 {
                break id;
            }
        };
        stream.push(id, &mut Vec::new()).unwrap();
        history.push(id);
        if history.len() % 97 == 0 {
            let mut copy = stream.boxed_clone();
            check(&mut random, &mut *copy, &mut history.clone(), 80);
        }
    }
}

#[test]
fn what_fits_is_left_alone() {
    let mut random = Random::new(4);
    let mut stream = Beat.stream();
    let history = draw(&mut random, &mut *stream, 60, false);
    assert_eq!(stream.shorten(&history, 60), history);
}
