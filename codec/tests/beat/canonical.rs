//! Every piece the grammar lets through is the one spelling of what it means.

use continuo_codec::beat::encode_midi;
use continuo_codec::beat::vocab::{BAR, END, START};
use continuo_codec::{Beat, Encoding, EncodingError, Event, IdSet, Stream, midi};

use crate::random::{Random, draw};

/// Ends a piece as soon as that is possible.
fn finish(random: &mut Random, stream: &mut dyn Stream, ids: &mut Vec<u32>) {
    let mut set = IdSet::default();
    while !stream.finished() {
        stream.allowed(&mut set);
        let id = if set.contains(END) { END } else { random.next(stream, true) };
        stream.push(id, &mut Vec::new()).unwrap();
        ids.push(id);
    }
}

#[test]
fn what_the_grammar_allows_is_spelled_the_same_again() {
    let mut drawn = 0;
    for seed in 0.. {
        if drawn >= 300_000 {
            break;
        }
        let mut random = Random::new(seed);
        let mut stream = Beat.stream();
        let length = 1 + random.below(1500) as usize;
        let mut ids = draw(&mut random, &mut *stream, length, seed % 3 == 0);
        drawn += ids.len();
        finish(&mut random, &mut *stream, &mut ids);
        let score = Beat.decode(&ids).unwrap();
        let again = Beat.encode(&score).unwrap();
        let same = ids.iter().zip(&again).take_while(|(a, b)| a == b).count();
        assert_eq!(again, ids, "seed {seed}, from id {same} on");
        // By way of a file too, whose notes have to keep apart.
        let spelled = encode_midi(&midi::write(&score)).unwrap();
        assert_eq!(spelled.ids, ids, "seed {seed}");
    }
}

#[test]
fn a_piece_cut_at_a_bar_line_is_spelled_the_same_again() {
    for seed in 0..200 {
        let mut random = Random::new(seed);
        let mut stream = Beat.stream();
        let mut ids = draw(&mut random, &mut *stream, 400, true);
        let Some(cut) = ids.iter().rposition(|&id| id == BAR).filter(|&cut| cut > 1) else { continue };
        // The bars before the line, but for empty ones at the end.
        ids.truncate(cut);
        while ids.last() == Some(&BAR) {
            ids.pop();
        }
        let score = Beat.decode(&ids).unwrap();
        ids.push(END);
        assert_eq!(Beat.encode(&score).unwrap(), ids, "seed {seed}");
    }
}

#[test]
fn the_stream_gives_the_notes_and_times_that_decoding_gives() {
    for seed in 0..200 {
        let mut random = Random::new(seed);
        let mut drawing = Beat.stream();
        let ids = draw(&mut random, &mut *drawing, 600, true);
        let (mut stream, mut events) = (Beat.stream(), Vec::new());
        for &id in &ids {
            stream.push(id, &mut events).unwrap();
        }
        let score = Beat.decode(&ids).unwrap();
        let (mut notes, mut reached) = (Vec::new(), 0.0);
        for event in events {
            match event {
                Event::Reached(at) => {
                    assert!(at >= reached);
                    reached = at;
                }
                Event::Note(note) => {
                    assert_eq!(note.start, reached);
                    notes.push(note);
                }
                Event::Tempo { at, .. } | Event::Meter { at, .. } => assert_eq!(at, reached),
            }
        }
        notes.sort_by(|a, b| a.start.total_cmp(&b.start).then(a.instrument.cmp(&b.instrument)));
        assert_eq!(notes.len(), score.notes.len());
        for (streamed, decoded) in notes.iter().zip(&score.notes) {
            assert_eq!(streamed.start, score.beats(decoded.start));
            assert_eq!(streamed.instrument, decoded.instrument);
            assert_eq!((streamed.pitch, streamed.velocity), (decoded.pitch, decoded.velocity));
            let length = score.beats(decoded.duration);
            assert!(streamed.duration == length || decoded.instrument.is_drums() && length < 0.25);
        }
    }
}

#[test]
fn an_id_out_of_place_is_named_and_changes_nothing() {
    let vocabulary = u32::try_from(Beat.vocab_size()).unwrap();
    let mut random = Random::new(1);
    let mut stream = Beat.stream();
    let (mut before, mut after) = (IdSet::default(), IdSet::default());
    for position in 0..2000 {
        stream.allowed(&mut before);
        for id in (0..vocabulary + 10).filter(|&id| !before.contains(id)).step_by(7) {
            let refused = stream.push(id, &mut Vec::new()).unwrap_err();
            let EncodingError::UnexpectedId { id: named, position: at, .. } = refused else {
                panic!("{refused}");
            };
            assert_eq!((named, at), (id, position));
        }
        stream.allowed(&mut after);
        assert_eq!(before, after);
        let id = random.next(&*stream, true);
        if id == END {
            break;
        }
        stream.push(id, &mut Vec::new()).unwrap();
    }
}

#[test]
fn a_piece_begins_with_a_bar_and_does_not_end_before() {
    let mut stream = Beat.stream();
    let mut set = IdSet::default();
    for id in [START, BAR] {
        stream.allowed(&mut set);
        assert_eq!(set.len(), 1);
        stream.push(id, &mut Vec::new()).unwrap();
    }
    stream.allowed(&mut set);
    assert!(!set.contains(END));
    assert!(Beat.decode(&[END]).is_err());
}
