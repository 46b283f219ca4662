//! Histories shortened: what remains stands alone and goes on the same.

use continuo_codec::{Encoding, Event, MidiLike, Stream, Window};

use crate::random::{Random, draw};

/// The notes an answer completes with some ids.
fn play(stream: &mut dyn Stream, ids: &[u32]) -> Vec<Event> {
    let mut events = Vec::new();
    ids.iter().for_each(|&id| stream.push(id, &mut events).unwrap());
    events
}

#[test]
fn what_remains_is_a_piece_of_its_own() {
    let encoding = MidiLike::default();
    for seed in 0..300 {
        let mut random = Random::new(seed);
        let mut stream = encoding.stream();
        let ids = draw(&mut random, &mut *stream, 400, true);
        let max = 8 + random.below(200) as usize;
        let shortened = stream.boxed_clone().shorten(&ids, max);
        assert!(shortened.len() <= max);
        if ids.len() <= max {
            assert_eq!(shortened, ids);
        }
        // With little room, notes that sound may be left out, but never half.
        if max > 100 {
            let read = encoding.decode(&shortened);
            assert!(read.is_ok(), "seed {seed}: {read:?} {shortened:?}");
        }
    }
}

/// How many notes have begun, and how many ended.
fn counts(ids: &[u32]) -> (usize, usize) {
    let begun = ids.iter().filter(|id| (260..292).contains(*id)).count();
    (begun, ids.iter().filter(|id| (132..260).contains(*id) || (418..480).contains(*id)).count())
}

fn notes(events: &[Event]) -> usize {
    events.iter().filter(|event| matches!(event, Event::Note(_))).count()
}

#[test]
fn an_answer_goes_on_after_it_was_shortened() {
    let encoding = MidiLike::default();
    let mut shorter = 0;
    for seed in 0..200 {
        let mut random = Random::new(seed);
        let phrase = random.score();
        let window = Window { from: 8.0, until: 40.0 };
        let prompt = encoding.continuation(&phrase, window, 256).unwrap();
        let (mut history, mut stream) = (prompt.ids, prompt.stream);
        let ids = draw(&mut random, &mut *stream.boxed_clone(), 300, true);
        let mut events = play(&mut *stream, &ids);
        history.extend(&ids);
        let short = stream.shorten(&history, 200);
        assert!(short.len() <= 200, "seed {seed}");
        assert_eq!(short[0], 1, "BOS stays");
        let ((begun, ended), (short_begun, short_ended)) = (counts(&history), counts(&short));
        if short_begun - short_ended < 40 {
            assert_eq!(short_begun - short_ended, begun - ended, "seed {seed}: what sounds stays");
        }
        shorter += usize::from(short.len() < history.len());
        // The answer goes on to its end, and no note of it is lost.
        let mut rest = Vec::new();
        while !stream.finished() {
            let id = random.next(&*stream, true);
            stream.push(id, &mut events).unwrap();
            rest.push(id);
        }
        assert_eq!(notes(&events), counts(&ids).0 + counts(&rest).0, "seed {seed}");
    }
    assert!(shorter > 100, "{shorter} histories were too long");
}

#[test]
fn the_newest_music_stays_with_what_sounds() {
    let encoding = MidiLike::default();
    // Piano C held throughout; ten bass notes in the meantime.
    let mut ids = vec![1, 512, 64, 275, 545];
    for _ in 0..10 {
        ids.extend([44, 275, 299, 172]);
    }
    let mut stream = encoding.stream();
    play(&mut *stream, &ids);
    let shortened = stream.shorten(&ids, 14);
    assert_eq!(shortened, [1, 512, 64, 275, 545, 44, 275, 299, 172, 44, 275, 299, 172]);
    // The C ends as what it is, ten beats long.
    let events = play(&mut *stream, &[512, 192]);
    assert!(matches!(events[0], Event::Note(note) if note.start == 0.0 && note.duration == 10.0));
}
