//! The text as an encoding: pieces and answers read id by id.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use continuo_codec::text::{END_OF_TEXT, Text, from_ids, ids};
use continuo_codec::{
    Clock, Encoding, EncodingError, Event, IdSet, Instrument, Note, Score, Stream, Tempo, TimedNote, Window,
    midi,
};

fn golden() -> Vec<(PathBuf, String)> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/text");
    let mut texts = Vec::new();
    for set in ["synthetic", "freedoom_bsd3", "mutopia_pd", "pianobooster_ccby"] {
        for entry in fs::read_dir(fixtures.join(set)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|e| e == "txt") && path.with_extension("mid").exists() {
                texts.push((path.clone(), fs::read_to_string(path).unwrap()));
            }
        }
    }
    texts.sort();
    texts
}

/// Start, duration, pitch and velocity of every note of a text.
fn spelled(text: &str) -> Vec<(f64, f64, u8, u8)> {
    let notes = text.split(' ').filter(|piece| !piece.is_empty());
    notes
        .map(|piece| {
            let parts: Vec<f64> = piece.split('_').map(|part| part.parse().unwrap()).collect();
            let small = |number: f64| (0..128).find(|&n| f64::from(n) == number).unwrap();
            (parts[1], parts[2], small(parts[0]), small(parts[3]))
        })
        .collect()
}

fn push_all(stream: &mut dyn Stream, ids: &[u32]) -> Vec<Event> {
    let mut events = Vec::new();
    for &id in ids {
        stream.push(id, &mut events).unwrap();
    }
    events
}

fn notes(events: &[Event]) -> Vec<TimedNote> {
    events.iter().filter_map(|event| if let Event::Note(note) = event { Some(*note) } else { None }).collect()
}

fn allowed(stream: &dyn Stream) -> IdSet {
    let mut ids = IdSet::default();
    stream.allowed(&mut ids);
    ids
}

/// A generator of choices.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    fn id(&mut self, ids: &IdSet) -> u32 {
        let mut place = self.below(ids.len());
        for range in ids.ranges() {
            if place < range.len() {
                return range.start + u32::try_from(place).unwrap();
            }
            place -= range.len();
        }
        unreachable!("the place is below the length");
    }
}

fn note(start: u32, duration: u32, pitch: u8) -> Note {
    Note { start, duration, pitch, velocity: 70, instrument: Instrument::PIANO }
}

/// Notes of half a beat, one a beat.
fn phrase(beats: u32) -> Score {
    let mut score = Score::new(480);
    score.notes =
        (0..beats).map(|beat| note(beat * 480, 240, 60 + u8::try_from(beat % 12).unwrap())).collect();
    score
}

const NO_LIMIT: usize = 1 << 20;

#[test]
fn it_says_what_it_is() {
    assert_eq!((Text.name(), Text.vocab_size(), Text.clock()), ("text", 50_257, Clock::Seconds));
}

#[test]
fn golden_texts_pass_the_grammar_and_give_their_notes() {
    for (path, text) in golden() {
        let expected = spelled(&text);
        if expected.iter().any(|note| note.0.max(note.1) >= 10_000.0) {
            continue;
        }
        let ids = ids(&text).unwrap();
        let mut stream = Text.stream();
        let seen: Vec<_> = notes(&push_all(stream.as_mut(), &ids))
            .iter()
            .map(|note| (note.start, note.duration, note.pitch, note.velocity))
            .collect();
        let audible: Vec<_> = expected.iter().map(|n| (n.0, n.1.max(0.01), n.2, n.3)).collect();
        assert_eq!(seen, audible, "{}", path.display());

        let mut decoded: Vec<_> = Text.decode(&ids).unwrap().notes;
        decoded.sort();
        let tick = |seconds: f64| format!("{:.0}", seconds * 1000.0).parse::<u32>().unwrap();
        let mut expected: Vec<_> =
            expected.iter().map(|n| Note { velocity: n.3, ..note(tick(n.0), tick(n.1), n.2) }).collect();
        expected.sort();
        assert_eq!(decoded, expected, "{}", path.display());
    }
}

#[test]
fn scores_are_spelled_as_the_seed_spells_their_files() {
    // Files that lose nothing on their way through a score, so that the notes are
    // the same; their order within chords may differ.
    let mut compared = 0;
    for (path, text) in golden() {
        let folder = path.parent().unwrap().file_name().unwrap().to_str().unwrap();
        if !["mutopia_pd", "pianobooster_ccby"].contains(&folder) {
            continue;
        }
        let score = midi::read(&fs::read(path.with_extension("mid")).unwrap()).unwrap();
        let ids = Text.encode(&score).unwrap();
        let sorted = |text: &str| {
            let mut pieces: Vec<String> = text.split(' ').map(str::to_owned).collect();
            pieces.sort();
            pieces
        };
        assert_eq!(sorted(&from_ids(&ids).unwrap()), sorted(&text), "{}", path.display());
        compared += 1;
    }
    assert!(compared >= 19, "{compared}");
}

#[test]
fn encoding_orders_instruments_by_first_end_and_notes_by_end() {
    let mut score = Score::new(480);
    let flute = Instrument::program(73).unwrap();
    score.notes = vec![
        note(0, 1920, 40),
        note(0, 480, 60),
        Note { instrument: flute, ..note(0, 240, 72) },
        Note { instrument: flute, ..note(480, 480, 74) },
    ];
    score.tempos.push(Tempo { tick: 480, micros_per_beat: 1_000_000 });
    score.normalize();
    let text = from_ids(&Text.encode(&score).unwrap()).unwrap();
    assert_eq!(text, "72_0.0_0.25_70.0 74_0.5_1.0_70.0 60_0.0_0.5_70.0 40_0.0_3.5_70.0");
}

#[test]
fn what_the_text_cannot_hold_is_refused() {
    let mut late = Score::new(1);
    late.notes.push(note(20_001, 1, 60));
    assert!(matches!(Text.encode(&late), Err(EncodingError::Score(_))));
    let mut silent = phrase(1);
    silent.notes[0].velocity = 0;
    assert!(matches!(Text.encode(&silent), Err(EncodingError::Score(_))));
    let mut endless = Score::new(1);
    endless.notes.push(note(0, u32::MAX, 60));
    assert_eq!(from_ids(&Text.encode(&endless).unwrap()).unwrap(), "60_0.0_9999.99_70.0");
}

/// Every id that has a place in the text.
fn alphabet() -> Vec<u32> {
    (0..50_258).filter(|&id| id == END_OF_TEXT || from_ids(&[id]).is_ok()).collect()
}

#[test]
fn what_is_allowed_is_taken_and_nothing_else() {
    let candidates = alphabet();
    let answer = Text.continuation(&phrase(8), Window { from: 8.0, until: 12.5 }, NO_LIMIT).unwrap();
    let mut random = Random(3);
    for mut stream in [Text.stream(), answer.stream] {
        for _ in 0..40 {
            if stream.finished() {
                break;
            }
            let allowed = allowed(stream.as_ref());
            let taken: BTreeSet<u32> = candidates
                .iter()
                .copied()
                .filter(|&id| stream.boxed_clone().push(id, &mut Vec::new()).is_ok())
                .collect();
            let ranges: BTreeSet<u32> = allowed.ranges().iter().cloned().flatten().collect();
            assert_eq!(ranges, taken);
            stream.push(random.id(&allowed), &mut Vec::new()).unwrap();
        }
    }
}

#[test]
fn a_refused_id_changes_nothing_and_is_named() {
    let mut stream = Text.stream();
    let mut events = Vec::new();
    push_all(stream.as_mut(), &ids("57_0").unwrap());
    let before = allowed(stream.as_ref());
    match stream.push(END_OF_TEXT, &mut events) {
        Err(EncodingError::UnexpectedId { id: END_OF_TEXT, position: 3, .. }) => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(allowed(stream.as_ref()), before);
    assert_eq!(events, []);
    // 0.0, not 00.0.
    assert!(before.len() == 1 && before.contains(ids(".").unwrap()[0]), "{before:?}");
}

#[test]
fn numbers_are_spelled_as_python_prints_them() {
    // After each beginning, may this come?
    for (beginning, next, may) in [
        ("", "128", false),
        ("", "127", true),
        ("", " 60", false),
        ("60_1.0_1.0_1.0", " 60", true),
        ("60_1.0_1.0_1.0", "60", false),
        ("60_", "007", false),
        ("60_", "10000", false),
        ("60_", "9999", true),
        ("60_0.", "50", false),
        ("60_0.", "00", false),
        ("60_0.", "05", true),
        ("60_0.", "0", true),
        ("60_0.", "123", false),
        ("60_0.0_0.5_", "0", false),
        ("60_0.0_0.5_", "128", false),
        ("60_0.0_0.5_", "64", true),
        ("60_0.0_0.5_64.", "5", false),
        ("60_0.0_0.5_64.", "0", true),
    ] {
        let mut stream = Text.stream();
        push_all(stream.as_mut(), &ids(beginning).unwrap());
        let id = ids(next).unwrap()[0];
        assert_eq!(allowed(stream.as_ref()).contains(id), may, "{beginning} then {next}");
    }
}

#[test]
fn a_piece_may_end_between_notes_once_something_was_said() {
    let mut stream = Text.stream();
    assert!(!allowed(stream.as_ref()).contains(END_OF_TEXT));
    push_all(stream.as_mut(), &ids("57_0.0_0.75_70.0").unwrap());
    assert!(allowed(stream.as_ref()).contains(END_OF_TEXT));
    assert!(!stream.finished());
    stream.push(END_OF_TEXT, &mut Vec::new()).unwrap();
    assert!(stream.finished() && allowed(stream.as_ref()).is_empty());
    assert!(stream.push(15, &mut Vec::new()).is_err());
}

/// Draws ids uniformly until the answer is over; all that was pushed, and events.
fn draw(stream: &mut dyn Stream, random: &mut Random, most: usize) -> (Vec<u32>, Vec<Event>) {
    let (mut pushed, mut events) = (Vec::new(), Vec::new());
    while !stream.finished() && pushed.len() < most {
        let allowed = allowed(stream);
        assert!(!allowed.is_empty(), "a dead end after {pushed:?}");
        let id = random.id(&allowed);
        stream.push(id, &mut events).unwrap();
        pushed.push(id);
    }
    (pushed, events)
}

/// Whether every note is preceded by the promise that none begins before it, and
/// no promise is broken. The ends of the window are known to a nanosecond.
fn assert_in_order(events: &[Event], from: f64, until: f64) {
    let mut reached = from;
    for event in events {
        match event {
            Event::Note(note) => {
                assert!(
                    note.start >= reached - 1e-9 && note.start < until + 1e-9,
                    "{note:?} in {from}..{until}"
                );
                assert!(note.duration > 0.0 && note.duration <= 10.0, "{note:?}");
            }
            Event::Reached(time) => {
                assert!(*time >= reached - 1e-9 && *time <= until + 1e-9, "{time} in {from}..{until}");
                reached = *time;
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn any_choice_gives_music_within_the_window() {
    let mut random = Random(11);
    let mut drawn = 0;
    while drawn < 20_000 {
        let mut phrase = phrase(u32::try_from(random.below(60)).unwrap());
        for tick in [0, 960, 4800] {
            let micros_per_beat = u32::try_from(200_000 + random.below(900_000)).unwrap();
            phrase.tempos.push(Tempo { tick, micros_per_beat });
        }
        let from = f64::from(u32::try_from(random.below(4000)).unwrap()) / 37.0;
        let window =
            Window { from, until: from + 0.01 + f64::from(u32::try_from(random.below(90)).unwrap()) / 3.0 };
        let limit = 1 + random.below(600);
        let mut answer = Text.continuation(&phrase, window, limit).unwrap();
        assert!(!answer.ids.is_empty() && answer.ids.len() <= limit);
        let (pushed, events) = draw(answer.stream.as_mut(), &mut random, 3000);
        drawn += pushed.len();

        let seconds = |beat: f64| seconds(&phrase, beat);
        assert_in_order(&events, seconds(window.from), seconds(window.until));
        let notes = notes(&events);
        let first = notes.first().unwrap();
        assert!(first.start == notes.iter().map(|n| n.start).fold(f64::INFINITY, f64::min));
        assert!((first.start - seconds(window.from)).abs() < 1e-9, "{first:?}");

        let whole = [answer.ids.as_slice(), &pushed].concat();
        let decoded = Text.decode(&whole).unwrap();
        let prompted = Text.decode(&answer.ids).unwrap().notes.len();
        assert_eq!(decoded.notes.len(), prompted + notes.len());
        let spoken: Vec<u32> = whole.iter().copied().filter(|&id| id != END_OF_TEXT).collect();
        assert_eq!(ids(&from_ids(&spoken).unwrap()).unwrap(), spoken, "GPT-2 splits the text like this");
    }
}

/// Seconds at a beat, by adding up the spans between tempos.
fn seconds(score: &Score, beat: f64) -> f64 {
    let (mut total, mut at, mut beat_length) = (0.0, 0.0, 0.5);
    for tempo in &score.tempos {
        let place = score.beats(tempo.tick).min(beat);
        total += (place - at) * beat_length;
        at = place;
        if score.beats(tempo.tick) <= beat {
            beat_length = f64::from(tempo.micros_per_beat) / 1e6;
        }
    }
    total + (beat - at) * beat_length
}

#[test]
fn a_prompt_is_the_phrase_in_the_order_of_its_ends() {
    let mut phrase = Score::new(480);
    phrase.notes = vec![note(0, 960, 40), note(0, 240, 60), note(480, 960, 62), note(960, 480, 64)];
    phrase.notes[1].instrument = Instrument::DRUMS;
    phrase.normalize();
    // The note that begins with the answer is not part of the prompt.
    let answer = Text.continuation(&phrase, Window { from: 2.0, until: 4.0 }, NO_LIMIT).unwrap();
    assert_eq!(from_ids(&answer.ids).unwrap(), "60_0.0_0.25_70.0 40_0.0_1.0_70.0 62_0.5_1.0_70.0");
}

#[test]
fn the_answer_begins_exactly_where_the_window_does() {
    let mut phrase = phrase(8);
    phrase.tempos.push(Tempo { tick: 0, micros_per_beat: 333_333 });
    let window = Window { from: 8.0, until: 16.0 };
    let mut answer = Text.continuation(&phrase, window, NO_LIMIT).unwrap();
    let from = 8.0 * 0.333_333;
    let events =
        push_all(answer.stream.as_mut(), &ids(" 60_2.67_0.5_64.0 62_2.67_0.5_64.0 64_3.0_1.0_1.0").unwrap());
    let starts: Vec<f64> = notes(&events).iter().map(|note| note.start).collect();
    assert!((starts[0] - from).abs() < 1e-9 && starts[1] == starts[0], "{starts:?}");
    assert_eq!(starts[2], 3.0);
    assert_eq!(events[0], Event::Reached(starts[0]));
}

#[test]
fn no_later_note_begins_before_an_earlier_one() {
    let mut answer = Text.continuation(&phrase(4), Window { from: 4.0, until: 24.0 }, NO_LIMIT).unwrap();
    let stream = answer.stream.as_mut();
    push_all(stream, &ids(" 60_2.0_0.5_64.0 60_3.5_0.5_64.0 60_").unwrap());
    let may = |stream: &dyn Stream, text: &str| allowed(stream).contains(ids(text).unwrap()[0]);
    assert!(!may(stream, "2") && may(stream, "3"));
    push_all(stream, &ids("3.").unwrap());
    assert!(!may(stream, "49") && may(stream, "5") && may(stream, "51"));
}

#[test]
fn a_start_at_the_end_of_the_window_ends_the_answer() {
    let window = Window { from: 4.0, until: 8.0 };
    for (rest, over) in [("3.99_0.1_64.0", false), ("3.99_", false), ("4", true), ("9", true)] {
        let mut answer = Text.continuation(&phrase(4), window, NO_LIMIT).unwrap();
        let said = format!(" 60_2.0_0.5_64.0 60_{rest}");
        let events = push_all(answer.stream.as_mut(), &ids(&said).unwrap());
        assert_eq!(answer.stream.finished(), over, "{said}");
        assert_eq!(events.contains(&Event::Reached(4.0)), over, "{said}");
    }
    // Where the end lies between whole seconds, the fraction decides.
    let window = Window { from: 4.0, until: 8.5 };
    for (rest, over) in [("4.24_", false), ("4.25_", true)] {
        let mut answer = Text.continuation(&phrase(4), window, NO_LIMIT).unwrap();
        push_all(answer.stream.as_mut(), &ids(&format!(" 60_2.0_0.5_64.0 60_{rest}")).unwrap());
        assert_eq!(answer.stream.finished(), over, "{rest}");
    }
}

#[test]
fn an_answer_does_not_stay_in_one_place() {
    let mut answer = Text.continuation(&phrase(4), Window { from: 4.0, until: 8.0 }, NO_LIMIT).unwrap();
    for _ in 0..12 {
        push_all(answer.stream.as_mut(), &ids(" 60_2.0_0.5_64.0").unwrap());
    }
    push_all(answer.stream.as_mut(), &ids(" 60_2.").unwrap());
    assert!(!allowed(answer.stream.as_ref()).contains(ids("0").unwrap()[0]));
}

#[test]
fn a_tight_limit_drops_the_oldest_notes_and_shifts_the_rest() {
    let phrase = phrase(100);
    let window = Window { from: 100.0, until: 104.0 };
    let whole = Text.continuation(&phrase, window, NO_LIMIT).unwrap().ids;
    for limit in [whole.len() - 1, 200, 26, 13] {
        let mut answer = Text.continuation(&phrase, window, limit).unwrap();
        assert!(answer.ids.len() <= limit && answer.ids.len() + 14 > limit, "{limit}");
        let text = from_ids(&answer.ids).unwrap();
        let kept = u32::try_from(spelled(&text).len()).unwrap();
        // The last notes, a beat of half a second apart, the first at 0.
        for (i, note) in (0..).zip(spelled(&text)) {
            assert_eq!(
                (note.0, note.2),
                (f64::from(i) * 0.5, 60 + u8::try_from((100 - kept + i) % 12).unwrap())
            );
        }
        let events = push_all(
            answer.stream.as_mut(),
            &ids(&format!(" 60_{:.1}_0.5_64.0", f64::from(kept) * 0.5)).unwrap(),
        );
        assert_eq!(notes(&events)[0].start, 50.0, "{limit}");
    }
}

#[test]
fn an_empty_phrase_is_continued_too() {
    for from in [0.0, 3.0, 100_000.0] {
        let window = Window { from, until: from + 4.0 };
        let mut answer = Text.continuation(&Score::new(96), window, 10).unwrap();
        assert_eq!(answer.ids, [END_OF_TEXT]);
        let (_, events) = draw(answer.stream.as_mut(), &mut Random(5), 2000);
        let first = notes(&events)[0];
        assert_eq!((first.start, first.instrument), (from * 0.5, Instrument::PIANO));
    }
}

#[test]
fn an_answer_is_played_by_the_phrases_usual_instrument() {
    let mut phrase = phrase(5);
    for note in &mut phrase.notes[..3] {
        note.instrument = Instrument::DRUMS;
    }
    let mut answer = Text.continuation(&phrase, Window { from: 5.0, until: 9.0 }, NO_LIMIT).unwrap();
    let (_, events) = draw(answer.stream.as_mut(), &mut Random(9), 2000);
    assert!(notes(&events).iter().all(|note| note.instrument == Instrument::DRUMS));
}

#[test]
fn impossible_windows_and_limits_are_refused() {
    let continuation =
        |from, until, limit| Text.continuation(&phrase(4), Window { from, until }, limit).err();
    for (from, until, limit) in [
        (4.0, 4.0, 99),
        (4.0, 3.0, 99),
        (-1.0, 3.0, 99),
        (f64::NAN, 3.0, 99),
        (4.0, f64::INFINITY, 99),
        (4.0, 8.0, 0),
        (4.0, 40_000.0, 99),
        (0.0, 1e300, 99),
    ] {
        let error = continuation(from, until, limit);
        assert!(matches!(error, Some(EncodingError::Window(_))), "{from} {until} {limit}: {error:?}");
    }
}

/// The whole notes of a text that may be cut off.
fn whole_notes(text: &str) -> Vec<(f64, f64, u8, u8)> {
    let whole = |piece: &&str| piece.matches('_').count() == 3 && piece.ends_with(".0");
    spelled(&text.split(' ').filter(whole).collect::<Vec<_>>().join(" "))
}

/// Lets two streams finish the note they are in, with the same ids.
fn finish_note(streams: &mut [Box<dyn Stream>; 2], random: &mut Random) -> [Vec<Event>; 2] {
    let mut events = [Vec::new(), Vec::new()];
    while !streams[0].finished() && !events[0].iter().any(|event| matches!(event, Event::Note(_))) {
        let may = allowed(streams[0].as_ref());
        assert_eq!(may, allowed(streams[1].as_ref()));
        let id = random.id(&may);
        for (stream, events) in streams.iter_mut().zip(&mut events) {
            stream.push(id, events).unwrap();
        }
    }
    events
}

fn close(a: &[Event], b: &[Event]) -> bool {
    a.len() == b.len()
        && a.iter().zip(b).all(|pair| match pair {
            (Event::Note(a), Event::Note(b)) => {
                (a.start - b.start).abs() < 1e-9 && TimedNote { start: a.start, ..*b } == *a
            }
            (Event::Reached(a), Event::Reached(b)) => (a - b).abs() < 1e-9,
            _ => false,
        })
}

#[test]
fn shortening_drops_whole_notes_and_goes_on_as_before() {
    let window = Window { from: 20.0, until: 60.0 };
    let answer = Text.continuation(&phrase(20), window, NO_LIMIT).unwrap();
    let mut random = Random(21);
    let mut shifts = BTreeSet::new();
    for most in 0..120 {
        let mut long = answer.stream.boxed_clone();
        let (pushed, _) = draw(long.as_mut(), &mut random, most);
        if long.finished() {
            continue;
        }
        let history = [answer.ids.as_slice(), &pushed].concat();
        for max in [20, 30, 100, 200, history.len()] {
            let mut short = long.boxed_clone();
            let rest = short.shorten(&history, max);
            assert!(rest.len() <= max && rest.len() + 15 > max.min(history.len()), "{rest:?}");
            let (text, new) = (from_ids(&history).unwrap(), from_ids(&rest).unwrap());
            assert_eq!(ids(&new).unwrap(), rest);
            // What is left are the last notes, all shifted alike.
            let (old, new) = (whole_notes(&text), whole_notes(&new));
            let kept = &old[old.len() - new.len()..];
            let shift = kept.first().map_or(0.0, |note| note.0) - new.first().map_or(0.0, |note| note.0);
            for (old, new) in kept.iter().zip(&new) {
                assert!((old.0 - new.0 - shift).abs() < 1e-9);
                assert_eq!((old.1, old.2, old.3), (new.1, new.2, new.3));
            }
            shifts.insert(format!("{shift:.2}"));
            // Both go on alike, but for the name of the time.
            if new.is_empty() {
                continue;
            }
            let mut streams = [long.boxed_clone(), short];
            let last = text.rsplit(' ').next().unwrap();
            if whole_notes(last).is_empty() {
                // Within a pitch the next start is still to come, and differs.
                if !last.contains('_') {
                    continue;
                }
                let [a, b] = finish_note(&mut streams, &mut random);
                assert!(close(&a, &b), "{a:?} {b:?}");
            }
            if streams[0].finished() {
                continue;
            }
            let start = if pushed.is_empty() { 10.0 } else { 29.99 };
            let later = |shift: f64| format!(" 60_{:?}_0.5_64.0", ((start - shift) * 100.0).round() / 100.0);
            let a = push_all(streams[0].as_mut(), &ids(&later(0.0)).unwrap());
            let b = push_all(streams[1].as_mut(), &ids(&later(shift)).unwrap());
            assert!(close(&a, &b) && a.len() == 2, "{a:?} {b:?}");
        }
    }
    assert!(shifts.len() > 5, "{shifts:?}");
    // Nothing fits: the text begins anew.
    let mut stream = answer.stream.boxed_clone();
    assert_eq!(stream.shorten(&answer.ids, 5), [END_OF_TEXT]);
    assert!(allowed(stream.as_ref()).contains(ids("60").unwrap()[0]));
}

#[test]
fn a_piece_cut_off_is_decoded_without_its_last_note() {
    let whole = "57_0.0_0.75_70.0 61_0.38_0.75_52.0";
    for length in 0..=whole.len() {
        let cut = ids(&whole[..length]).unwrap();
        let notes = if length == whole.len() { 2 } else { usize::from(length >= 16) };
        assert_eq!(Text.decode(&cut).unwrap().notes.len(), notes, "{}", &whole[..length]);
    }
    let ended = [&[END_OF_TEXT], ids(whole).unwrap().as_slice(), &[END_OF_TEXT]].concat();
    assert_eq!(Text.decode(&ended).unwrap().notes.len(), 2);
}

#[test]
fn what_is_out_of_place_is_named_by_its_position() {
    let position = |ids: &[u32]| match Text.decode(ids) {
        Err(EncodingError::UnexpectedId { id, position, .. }) => {
            assert_eq!(ids[position], id);
            position
        }
        other => panic!("{other:?}"),
    };
    let of = |text: &str| ids(text).unwrap();
    assert_eq!(position(&of("57_0.0_0.75_70.0 61_0.38_0.75_52.5")), 25);
    assert_eq!(position(&of("57_0.0 61_0.38_0.75_52.0")), 5);
    assert_eq!(position(&of("128_0.0")), 0);
    assert_eq!(position(&of("57 61")), 1);
    assert_eq!(position(&of("57_0.0_0.75_0.0")), 10);
    assert_eq!(position(&[3553, 0]), 1);
    assert_eq!(position(&[END_OF_TEXT, 3553, END_OF_TEXT, 3553]), 3);
    assert_eq!(position(&[&[END_OF_TEXT], of("57_0.0_0.75").as_slice(), &[62, END_OF_TEXT]].concat()), 11);
}

#[test]
fn a_score_comes_back_within_a_hundredth() {
    let mut random = Random(2);
    for _ in 0..50 {
        let mut score = Score::new(480);
        for _ in 0..random.below(50) {
            let mut tick = |bound| u32::try_from(random.below(bound)).unwrap();
            score.notes.push(Note {
                velocity: 1 + u8::try_from(tick(127)).unwrap(),
                ..note(tick(100_000), 1 + tick(3000), u8::try_from(tick(128)).unwrap())
            });
        }
        score.normalize();
        let decoded = Text.decode(&Text.encode(&score).unwrap()).unwrap();
        assert_eq!(decoded.notes.len(), score.notes.len());
        let key = |score: &Score, note: &Note| {
            (score.beats(note.start) * 0.5, score.beats(note.duration) * 0.5, note.pitch, note.velocity)
        };
        let mut open: Vec<_> = score.notes.iter().map(|note| key(&score, note)).collect();
        for note in &decoded.notes {
            let seen = key(&decoded, note);
            let close = |a: f64, b: f64| (a - b).abs() < 0.005_001;
            let twin = open
                .iter()
                .position(|n| close(n.0, seen.0) && close(n.1, seen.1) && (n.2, n.3) == (seen.2, seen.3));
            open.swap_remove(twin.unwrap_or_else(|| panic!("{seen:?}")));
        }
    }
}
