//! The anticipation encoding read id by id: pieces, answers, and answers that go
//! with other notes.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::fs;
use std::path::Path;

use continuo_codec::anticipation::vocab::{ANTICIPATE, AUTOREGRESS, CONTROL, REST, SEPARATOR, VOCAB_SIZE};
use continuo_codec::anticipation::{Span, encode_midi, ops, prompt};
use continuo_codec::{
    Anticipation, Clock, Continuation, Encoding, EncodingError, Event, IdSet, Instrument, Limits, Note,
    Score, Stream, Tempo, TimedNote, Window, midi,
};

/// A generator of choices.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(0x1234_5678_9ABC_DEF1))
    }

    /// A number below `end`.
    fn below(&mut self, end: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u32::try_from(((self.0 >> 32) * u64::from(end)) >> 32).unwrap()
    }

    fn byte(&mut self, end: u32) -> u8 {
        u8::try_from(self.below(end)).unwrap()
    }

    fn instrument(&mut self) -> Instrument {
        Instrument::program(self.byte(129)).unwrap_or(Instrument::DRUMS)
    }

    /// Any id that may come next, all equally likely; where it is `near` one of
    /// the first that may, so that times do not run away.
    fn next(&mut self, stream: &dyn Stream, near: bool) -> u32 {
        let ids = allowed(stream);
        assert!(!ids.is_empty(), "nothing may follow");
        assert!(ids.ranges().iter().all(|range| range.end <= VOCAB_SIZE));
        let many = u32::try_from(ids.len()).unwrap();
        let place = self.below(if near && ids.ranges()[0].end <= 10_000 { many.min(120) } else { many });
        ids.ranges().iter().cloned().flatten().nth(place as usize).unwrap()
    }

    /// A score of some beats.
    fn score(&mut self) -> Score {
        let resolutions = [1, 24, 96, 480, 32767];
        let mut score = Score::new(resolutions[self.below(5) as usize]);
        let per_beat = u32::from(score.ticks_per_beat);
        let span = per_beat * (1 + self.below(60));
        let players: Vec<_> = (0..=self.below(4)).map(|_| self.instrument()).collect();
        for _ in 0..self.below(300) {
            score.notes.push(Note {
                start: self.below(span),
                instrument: players[self.below(u32::try_from(players.len()).unwrap()) as usize],
                pitch: self.byte(128),
                duration: self.below(per_beat * 2),
                velocity: 1 + self.byte(127),
            });
        }
        for _ in 0..self.below(4) {
            let micros_per_beat = 100_000 + self.below(1_000_000);
            score.tempos.push(Tempo { tick: self.below(span), micros_per_beat });
        }
        score.normalize();
        score
    }
}

fn allowed(stream: &dyn Stream) -> IdSet {
    let mut ids = IdSet::default();
    stream.allowed(&mut ids);
    ids
}

fn notes(events: &[Event]) -> Vec<TimedNote> {
    events.iter().filter_map(|event| if let Event::Note(note) = event { Some(*note) } else { None }).collect()
}

/// Draws an answer to its end: every event of it, and the ids.
fn answer(random: &mut Random, stream: &mut dyn Stream) -> (Vec<Event>, Vec<u32>) {
    let (mut events, mut ids) = (Vec::new(), Vec::new());
    while !stream.finished() {
        let id = random.next(stream, true);
        stream.push(id, &mut events).unwrap();
        ids.push(id);
        assert!(ids.len() < 200_000, "the answer does not end");
    }
    assert!(allowed(stream).is_empty(), "a finished answer goes on");
    (events, ids)
}

/// Seconds of a time in beats, told another way than the encoding does.
fn seconds(score: &Score, beats: f64) -> f64 {
    let (mut at, mut seconds, mut micros) = (0.0, 0.0, 500_000);
    for tempo in score.tempos.iter().filter(|tempo| score.beats(tempo.tick) <= beats) {
        let beat = score.beats(tempo.tick);
        seconds += (beat - at) * f64::from(micros) / 1e6;
        (at, micros) = (beat, tempo.micros_per_beat);
    }
    seconds + (beats - at) * f64::from(micros) / 1e6
}

fn files() -> Vec<Vec<u8>> {
    let text = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/text");
    let sets = ["synthetic", "freedoom_bsd3", "mutopia_pd", "pianobooster_ccby"];
    let entries = sets.iter().flat_map(|set| fs::read_dir(text.join(set)).unwrap());
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|e| e == "mid")).map(|p| fs::read(p).unwrap()).collect()
}

#[test]
fn it_says_what_it_is() {
    let (name, size) = (Anticipation.name(), Anticipation.vocab_size());
    assert_eq!((name, size, Anticipation.clock()), ("anticipation", 55_028, Clock::Seconds));
}

#[test]
fn pieces_pass_the_grammar_and_give_their_notes() {
    let mut compared = 0;
    for ids in files().iter().filter_map(|file| encode_midi(file).ok()) {
        let start = &ops::clip(&ids, 0, 9_999);
        let mut stream = Anticipation.stream();
        let mut events = Vec::new();
        for &id in start {
            stream.push(id, &mut events).unwrap();
        }
        let seen: Vec<_> = notes(&events)
            .iter()
            .map(|n| (n.start, n.duration, u32::from(n.instrument.index()) * 128 + u32::from(n.pitch)))
            .collect();
        let spelled = |t: &[u32; 3]| (f64::from(t[0]) / 100.0, duration(t[1]), t[2] - 11_000);
        assert_eq!(seen, start.as_chunks().0.iter().map(spelled).collect::<Vec<_>>());
        compared += seen.len();
    }
    assert!(compared > 10_000, "{compared}");
}

fn duration(id: u32) -> f64 {
    f64::from((id - 10_000).max(1)) / 100.0
}

#[test]
fn what_is_decoded_is_spelled_the_same_again() {
    for ids in files().iter().filter_map(|file| encode_midi(file).ok()) {
        let score = Anticipation.decode(&ids).unwrap();
        let again = Anticipation.encode(&score).unwrap();
        let in_score_order = |ids: &[u32], shortest: u32| {
            let mut triplets = ids.as_chunks::<3>().0.to_vec();
            triplets.iter_mut().for_each(|triplet| triplet[1] = triplet[1].max(10_000 + shortest));
            triplets.sort_unstable();
            triplets
        };
        // A note that ends where it begins takes up a tick in a score.
        assert!(in_score_order(&again, 0) == in_score_order(&ids, 1));
        let twice = Anticipation.encode(&Anticipation.decode(&again).unwrap()).unwrap();
        assert_eq!(twice, again);
    }
}

#[test]
fn scores_are_spelled_as_the_files_they_are_written_to() {
    for seed in 0..200 {
        let mut random = Random::new(seed);
        let mut score = random.score();
        // What the file can hold: no overlaps.
        let mut last = std::collections::HashMap::new();
        score.notes.retain(|note| {
            let end = note.start + note.duration.max(1);
            let free = last.get(&(note.instrument, note.pitch)).is_none_or(|&before| before < note.start);
            if free {
                last.insert((note.instrument, note.pitch), end);
            }
            free
        });
        if score.notes.is_empty() {
            continue;
        }
        let sorted = |ids: Vec<u32>| {
            let mut triplets = ids.as_chunks::<3>().0.to_vec();
            triplets.sort_unstable();
            triplets
        };
        let spelled = Anticipation.encode(&score).unwrap();
        assert_eq!(sorted(spelled), sorted(encode_midi(&midi::write(&score)).unwrap()), "seed {seed}");
    }
}

#[test]
fn a_hundred_thousand_ids_are_music() {
    let (mut count, mut seed) = (0, 0);
    while count < 100_000 {
        let mut random = Random::new(seed);
        seed += 1;
        let near = !seed.is_multiple_of(3);
        let phrase = random.score();
        let from = f64::from(random.below(60));
        let window = Window { from, until: from + 1.0 + f64::from(random.below(60)) };
        let over = |note: &Note| note.instrument.index().is_multiple_of(2);
        let players = [random.instrument(), random.instrument()];
        let Continuation { ids, mut stream } = if seed.is_multiple_of(2) {
            Anticipation.continuation(&phrase, window, 640).unwrap()
        } else {
            Anticipation.around(&phrase, window, &Limits::default(), 640, &over, &players).unwrap()
        };
        let mut history = ids;
        let mut events = Vec::new();
        while !stream.finished() {
            let id = random.next(&*stream, near);
            stream.push(id, &mut events).unwrap();
            history.push(id);
            count += 1;
            if history.len() == 1024 {
                history = stream.shorten(&history, 512);
                assert!(history.len() <= 512 && history.len() > 500);
                assert!(history[0] >= AUTOREGRESS);
            }
        }
        let score = Anticipation.decode(&history).unwrap();
        assert!(history.iter().all(|&id| id < VOCAB_SIZE && id != SEPARATOR && id != REST + CONTROL));
        assert!(score.notes.iter().all(|note| note.pitch < 128 && note.duration < 1000));
        let mut reached = f64::NEG_INFINITY;
        for event in events {
            match event {
                Event::Reached(at) => {
                    assert!(at >= reached);
                    reached = at;
                }
                Event::Note(note) => {
                    assert_eq!(note.start, reached);
                    assert!(note.duration >= 0.01 && note.duration < 10.0 && note.velocity == 72);
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn a_piece_drawn_at_random_is_music() {
    let mut random = Random::new(4);
    let mut stream = Anticipation.stream();
    let (mut ids, mut events) = (Vec::new(), Vec::new());
    for _ in 0..9_000 {
        let id = random.next(&*stream, true);
        stream.push(id, &mut events).unwrap();
        ids.push(id);
    }
    let score = Anticipation.decode(&ids).unwrap();
    assert_eq!(score.notes.len(), notes(&events).len());
    assert!(!stream.finished());
}

#[test]
fn an_answer_fills_its_window_with_the_phrase_s_instruments() {
    for seed in 0..300 {
        let mut random = Random::new(seed);
        let phrase = random.score();
        let from = f64::from(random.below(70 * 24)) / 24.0;
        let until = from + f64::from(1 + random.below(16 * 24)) / 24.0;
        let Continuation { ids, mut stream } =
            Anticipation.continuation(&phrase, Window { from, until }, 640).unwrap();
        assert!(ids.len() <= 640 && ids[0] == AUTOREGRESS && ids.len() % 3 == 1);
        let (events, _) = answer(&mut random, &mut *stream);
        let sounded = notes(&events);
        let (begin, end) = (seconds(&phrase, from), seconds(&phrase, until));
        assert!((sounded[0].start - begin).abs() < 1e-6, "seed {seed}: {:?} at {begin}", sounded[0]);
        assert!(matches!(events.last(), Some(Event::Reached(at)) if (at - end).abs() < 1e-6));
        let players: Vec<_> = phrase.notes.iter().map(|n| n.instrument).collect();
        for note in &sounded {
            assert!(note.start >= sounded[0].start && note.start < end, "seed {seed}: {note:?}");
            let piano = players.is_empty() && note.instrument == Instrument::PIANO;
            assert!(piano || players.contains(&note.instrument), "seed {seed}: {note:?}");
        }
        let mut together = sounded.chunk_by(|a, b| a.start == b.start);
        assert!(together.all(|chord| chord.len() <= 17));
    }
}

#[test]
fn a_prompt_is_padded_and_counts_from_its_earliest() {
    let mut phrase = Score::new(50);
    let note =
        |start, pitch| Note { start, instrument: Instrument::PIANO, pitch, duration: 30, velocity: 64 };
    phrase.notes = vec![note(20, 60), note(50, 64), note(370, 67), note(400, 69), note(500, 71)];
    let window = Window { from: 8.0, until: 10.0 };
    let made = |max| Anticipation.continuation(&phrase, window, max).unwrap();
    let whole = [
        [0, 10_030, 11_060],
        [30, 10_030, 11_064],
        [130, 10_000, REST],
        [230, 10_000, REST],
        [330, 10_000, REST],
        [350, 10_030, 11_067],
    ];
    let Continuation { ids, stream } = made(19);
    assert_eq!(ids[1..].as_chunks::<3>().0, whole);
    assert_eq!(allowed(&*stream).ranges(), std::slice::from_ref(&(380..381)));
    // One id less, and the oldest note goes.
    let Continuation { ids, stream } = made(18);
    assert_eq!(ids[..7], [AUTOREGRESS, 0, 10_030, 11_064, 100, 10_000, REST]);
    assert_eq!(allowed(&*stream).ranges(), std::slice::from_ref(&(350..351)));
    // Nothing but the first id.
    let Continuation { ids, stream } = made(1);
    assert_eq!(ids, [AUTOREGRESS]);
    assert_eq!(allowed(&*stream).ranges(), std::slice::from_ref(&(0..1)));
}

#[test]
fn a_rest_moves_on_and_does_not_come_first() {
    let window = Window { from: 0.0, until: 8.0 };
    let mut stream = Anticipation.continuation(&Score::new(50), window, 640).unwrap().stream;
    let piano = 11_000..11_128;
    for (id, next) in [
        (0, 10_001..11_000),
        (10_010, piano.clone()),
        (11_060, 0..10_000),
        // At the same time again, only a note.
        (0, 10_001..11_000),
        (10_010, piano),
        (11_060, 0..10_000),
        (1, 10_000..11_000),
        (10_000, REST..REST + 1),
        (REST, 1..10_000),
    ] {
        assert!(stream.push(REST - id.min(1), &mut Vec::new()).is_err());
        stream.push(id, &mut Vec::new()).unwrap();
        assert_eq!(allowed(&*stream).ranges(), std::slice::from_ref(&next));
    }
}

#[test]
fn controls_come_when_the_original_has_them_come() {
    let mut compared = 0;
    for seed in 0..200 {
        let mut random = Random::new(seed);
        let phrase = random.score();
        let from = f64::from(random.below(30));
        let window = Window { from, until: from + f64::from(1 + random.below(30)) };
        let kept = |note: &Note| note.pitch.is_multiple_of(2);
        let made = Anticipation
            .around(&phrase, window, &Limits::default(), 100_000, &kept, &[Instrument::DRUMS])
            .unwrap();
        let Continuation { ids, mut stream } = made;
        let (events, drawn) = answer(&mut random, &mut *stream);
        assert!(notes(&events).iter().all(|note| note.instrument.is_drums()));
        let to_come = phrase.notes.iter().filter(|note| phrase.beats(note.start) >= from && kept(note));
        let to_come = to_come.count();
        assert_eq!(ids[0], if to_come > 0 { ANTICIPATE } else { AUTOREGRESS }, "seed {seed}");
        if seconds(&phrase, window.until) > 90.0 {
            // Some of the phrase is left out.
            continue;
        }
        // The last id is the time that ends the answer, the first event's that of
        // its beginning.
        let (&end, drawn) = drawn.split_last().unwrap();
        let first = ops::split(drawn).0[0];
        let offset = i64::from(tick(notes(&events)[0].start)) - i64::from(first);
        let whole = [&ids[1..], drawn, &[end, 10_000, REST]].concat();
        let whole = ops::translate(&whole, offset).unwrap();
        let (played, mut controls) = ops::split(&whole);
        let before = phrase.notes.iter().filter(|note| phrase.beats(note.start) < from).count();
        assert_eq!(ops::unpad(&played).len() / 3, before + notes(&events).len(), "a control sounds");
        // As many controls have come as the original has come, and where it does.
        assert!(controls.len() / 3 <= to_come);
        controls.extend([CONTROL + 60_000, CONTROL + 10_000, CONTROL + 11_000]);
        let (expected, rest) = ops::anticipate(&played, &controls);
        assert_eq!(whole, expected, "seed {seed}");
        assert_eq!(rest.len(), 3);
        compared += controls.len();
    }
    assert!(compared > 1000, "{compared}");
}

/// The nearest hundredth of a second.
fn tick(seconds: f64) -> u32 {
    format!("{:.0}", seconds * 100.0).parse().unwrap()
}

#[test]
fn a_control_is_the_only_choice_when_it_is_due() {
    // Two notes of a bass, one due at once and one from second 3 on.
    let control = |time: u32, pitch: u32| [CONTROL + time, CONTROL + 10_050, CONTROL + 11_000 + 4096 + pitch];
    let controls = [control(500, 36), control(800, 38)].concat();
    let span = Span { from: 1.0, until: 9.0 };
    let Continuation { ids, mut stream } =
        prompt(&[0, 10_050, 11_060], &controls, span, &[Instrument::PIANO], 640).unwrap();
    assert_eq!(ids, [&[ANTICIPATE], &control(500, 36)[..], &[0, 10_050, 11_060]].concat());
    let mut events = Vec::new();
    for id in [100, 10_010, 11_060, 299, 10_010, 11_062, 300, 10_010, 11_064] {
        stream.push(id, &mut events).unwrap();
    }
    let before = events.len();
    for id in control(800, 38) {
        assert_eq!(allowed(&*stream).ranges(), std::slice::from_ref(&(id..id + 1)));
        assert!(stream.push(id + 1, &mut events).is_err());
        stream.push(id, &mut events).unwrap();
    }
    assert_eq!(events.len(), before, "a control is no event");
    assert_eq!(allowed(&*stream).ranges(), std::slice::from_ref(&(300..10_000)));
}

#[test]
fn a_shortened_history_goes_on_as_the_whole() {
    for seed in 0..150 {
        let mut random = Random::new(seed);
        let phrase = random.score();
        let from = f64::from(random.below(60));
        let window = Window { from, until: from + 20.0 };
        let kept = |note: &Note| note.pitch < 40;
        let Continuation { ids, stream: mut whole } = Anticipation
            .around(&phrase, window, &Limits::default(), 1024, &kept, &[Instrument::PIANO])
            .unwrap();
        let (mut history, mut events) = (ids, Vec::new());
        for _ in 0..random.below(40) {
            if !whole.finished() {
                let id = random.next(&*whole, true);
                whole.push(id, &mut events).unwrap();
                history.push(id);
            }
        }
        if whole.finished() {
            continue;
        }
        let max = 4 + random.below(60) as usize;
        let mut short = whole.boxed_clone();
        let left = short.shorten(&history, max);
        assert!(left.len() <= max, "seed {seed}: {} of {max}", left.len());
        assert_eq!(left[0], history[0]);
        let tail = &left[1..];
        if left.len() < history.len() {
            assert_eq!((left.len() - 1) % 3, (history.len() - 1) % 3);
            let complete = &tail[..tail.len() / 3 * 3];
            assert!(tail.len() < 3 || ops::max_time(complete) < 10_000);
            // The same triplets, a constant earlier.
            let last = &history[history.len() - tail.len()..];
            for (place, (new, old)) in tail.iter().zip(last).enumerate() {
                assert!(place % 3 == 0 || new == old, "seed {seed}");
                assert!(place % 3 != 0 || old - new == last[0] - tail[0], "seed {seed}");
            }
        }
        // The same ids, but for times, give the same notes.
        let (mut a, mut b) = (Vec::new(), Vec::new());
        let by = |whole: &dyn Stream, short: &dyn Stream| {
            let (a, b) = (allowed(whole), allowed(short));
            a.ranges()[0].start - b.ranges()[0].start
        };
        while !whole.finished() {
            let id = random.next(&*whole, true);
            let moved = by(&*whole, &*short);
            whole.push(id, &mut a).unwrap();
            short.push(id - moved, &mut b).unwrap();
        }
        assert!(short.finished());
        assert_eq!(a, b, "seed {seed}");
    }
}

#[test]
fn music_long_before_the_answer_is_left_out() {
    let mut phrase = Score::new(50);
    let note = |start| Note { start, instrument: Instrument::PIANO, pitch: 60, duration: 30, velocity: 64 };
    phrase.notes = vec![note(0), note(50_000)];
    for from in [180.0, 210.0, 1000.5, 1150.0, 5000.0, 1e6] {
        let window = Window { from, until: from + 40.0 };
        let Continuation { ids, mut stream } = Anticipation.continuation(&phrase, window, 1024).unwrap();
        assert!(ids.iter().skip(1).step_by(3).all(|&time| time < 10_000));
        let (events, _) = answer(&mut Random::new(7), &mut *stream);
        assert_eq!(notes(&events)[0].start, from / 2.0);
    }
}

#[test]
fn impossible_windows_are_refused() {
    let phrase = Score::new(96);
    for (from, until) in [
        (4.0, 4.0),
        (4.0, 3.0),
        (-1.0, 4.0),
        (f64::NAN, 4.0),
        (0.0, f64::INFINITY),
        (1e300, 2e300),
        (0.0, 190.0),
    ] {
        let refused = Anticipation.continuation(&phrase, Window { from, until }, 512);
        assert!(matches!(refused, Err(EncodingError::Window(_))), "{from}..{until}");
    }
    let window = Window { from: 4.0, until: 184.0 };
    assert!(matches!(Anticipation.continuation(&phrase, window, 0), Err(EncodingError::Window(_))));
    assert!(Anticipation.continuation(&phrase, window, 1).is_ok());
}

#[test]
fn ids_out_of_place_are_named() {
    let note = [5, 10_010, 11_060];
    for (ids, position) in [
        (vec![10_000, 10_010, 10_010], 2),
        (vec![5, 5, 11_060], 1),
        (vec![5, 37_513, 11_060], 1),
        (vec![AUTOREGRESS, 5, 10_010, 11_060, 5, 10_010, SEPARATOR], 4),
        (vec![5, 10_010, 11_060, SEPARATOR, 10_010, SEPARATOR], 4),
        (vec![5, 10_010, 38_513], 0),
        (vec![5, 10_010, AUTOREGRESS], 2),
        (vec![5, 10_010, u32::MAX], 2),
        (vec![5, 10_010, 11_060, 6, 6], 4),
    ] {
        match Anticipation.decode(&ids) {
            Err(EncodingError::UnexpectedId { position: found, id, .. }) => {
                assert_eq!((found, id), (position, ids[position]), "{ids:?}");
            }
            other => panic!("{ids:?}: {other:?}"),
        }
    }
    // A cut-off triplet is left out; pieces follow one another; controls sound.
    let controlled = [[CONTROL + 7, CONTROL + 10_010, CONTROL + 11_062], note].concat();
    let whole =
        [&[ANTICIPATE, SEPARATOR, SEPARATOR, SEPARATOR], &controlled[..], &[SEPARATOR; 3], &note].concat();
    let starts =
        |ids: &[u32]| Anticipation.decode(ids).unwrap().notes.iter().map(|n| n.start).collect::<Vec<_>>();
    assert_eq!(starts(&whole), [5, 7, 22]);
    assert_eq!(starts(&whole[..whole.len() - 1]), [5, 7]);
    assert_eq!(starts(&[]), [0_u32; 0]);
}

#[test]
fn ids_at_random_are_survived() {
    let mut random = Random::new(21);
    let edges = [0, 1, 9_999, 10_000, 10_999, 11_000, 27_511, 27_512, 27_513, 37_513, 38_513, 55_024, 55_025];
    let (mut refused, mut answered) = (0, 0);
    for _ in 0..5_000 {
        let mut draw = |count| -> Vec<u32> {
            let mut one = || match random.below(8) {
                0 => random.below(u32::MAX),
                1 => random.below(60_000),
                _ => edges[random.below(13) as usize] + random.below(2),
            };
            (0..count).map(|_| one()).collect()
        };
        let (past, controls) = (draw(12), draw(9));
        refused += u32::from(Anticipation.decode(&past).is_err());
        let _ = (ops::pad(&past, 5_000), ops::anticipate(&past, &controls), ops::sort(&past));
        let _ =
            (ops::translate(&past, -7), ops::min_time(&past), ops::max_time(&controls), ops::split(&past));
        let span = Span { from: 200.0, until: 203.0 };
        let made = prompt(&past, &controls, span, &[Instrument::PIANO], 100).unwrap();
        let mut stream = made.stream;
        let (events, _) = answer(&mut random, &mut *stream);
        assert_eq!(notes(&events)[0].start, 200.0);
        answered += 1;
    }
    assert!(refused > 1_000 && answered == 5_000);
}
