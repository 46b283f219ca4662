//! Answers within limits, as far as only this encoding spells them so: ends of
//! notes, and the phrase's notes between those of the answer.

use continuo_codec::limits::{Density, Limits, Placement, Rhythm, RhythmBeat};
use continuo_codec::{Encoding, EncodingError, Event, Instrument, MidiLike, Note, Score, TimedNote, Window};

use crate::random::Random;

/// A phrase of four bars on the sixteenths, chords and notes struck again included.
fn phrase(random: &mut Random) -> Score {
    let mut score = Score::new(480);
    for _ in 0..60 {
        score.notes.push(Note {
            start: 120 * random.below(64),
            instrument: [Instrument::PIANO, Instrument::DRUMS][random.below(2) as usize],
            pitch: 55 + u8::try_from(random.below(12)).unwrap(),
            duration: 60 + 60 * random.below(20),
            velocity: 1 + u8::try_from(random.below(127)).unwrap(),
        });
    }
    score.normalize();
    score
}

/// Draws an answer; its notes and its ids, those of who played last before it.
fn answer(
    random: &mut Random,
    phrase: &Score,
    window: Window,
    limits: &Limits,
) -> (Vec<TimedNote>, Vec<u32>) {
    let begun = MidiLike::default().continuation_within(phrase, window, limits, 512).unwrap();
    let program = begun.ids.into_iter().rfind(|id| (512..641).contains(id));
    let (mut stream, mut events, mut ids) = (begun.stream, Vec::new(), Vec::from_iter(program));
    let kinds = random.below(2) == 0;
    while !stream.finished() {
        let id = random.next(&*stream, kinds);
        stream.push(id, &mut events).unwrap();
        ids.push(id);
    }
    let notes = events.into_iter().filter_map(|e| if let Event::Note(note) = e { Some(note) } else { None });
    (notes.collect(), ids)
}

#[test]
fn a_rhythm_says_how_long_notes_last() {
    let beat = |at, duration| RhythmBeat { at, duration };
    let beats = vec![beat(0.0, 0.5), beat(0.5, 0.125), beat(0.75, 2.0), beat(1.5, 0.3), beat(3.0, 1.0)];
    let rhythm = Rhythm::new(beats.clone(), 4.0).unwrap();
    let limits = Limits { rhythm: Some(rhythm), ..Limits::default() };
    for seed in 0..50 {
        let mut random = Random::new(seed);
        let window = Window { from: 16.0, until: 24.0 };
        let (notes, _) = answer(&mut random, &phrase(&mut Random::new(seed)), window, &limits);
        for round in [16.0, 20.0] {
            for beat in &beats {
                let here: Vec<_> = notes.iter().filter(|n| n.start == round + beat.at).collect();
                assert!(!here.is_empty(), "seed {seed}: nothing at {}", round + beat.at);
                let end = ((round + beat.at + beat.duration) * 8.0).round() / 8.0;
                assert!(here.iter().all(|n| n.start + n.duration == end.min(24.0)), "seed {seed}: {here:?}");
            }
        }
        assert!(notes.iter().all(|n| beats.iter().any(|b| b.at == n.start % 4.0)), "seed {seed}");
    }
}

#[test]
fn a_rhythm_is_kept_where_a_single_key_is_left() {
    let beat = |at| RhythmBeat { at, duration: 1.25 };
    let rhythm = Rhythm::new(vec![beat(0.0), beat(0.5)], 1.0).unwrap();
    let limits = Limits { rhythm: Some(rhythm), range: 60..=60, ..Limits::default() };
    let (mut notes, _) =
        answer(&mut Random::new(1), &Score::new(96), Window { from: 0.0, until: 4.0 }, &limits);
    notes.sort_by(|a, b| a.start.total_cmp(&b.start));
    let onsets: Vec<f64> = notes.iter().map(|n| n.start).collect();
    assert_eq!(onsets, [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5]);
    assert!(notes.iter().all(|n| n.duration == f64::min(1.25, 4.0 - n.start)), "{notes:?}");
}

/// Something that happens: its step, the id, and the instrument's id.
type Happening = (u32, u32, u32);

/// What ids say, from a step on.
fn spelled(ids: &[u32], from: u32) -> Vec<Happening> {
    let encoding = MidiLike::default();
    let (mut now, mut program, mut happenings) = (from, 0, Vec::new());
    for &id in ids {
        let name = encoding.name_of(id).unwrap();
        match name.split_once('_').unwrap() {
            ("TimeShift" | "Rest", time) => {
                let parts: Vec<u32> = time.split('.').map(|n| n.parse().unwrap()).collect();
                now += parts[0] * 8 + parts[1] * 8 / parts[2];
            }
            ("Program", _) => program = id,
            ("Velocity", _) => happenings.push((now, id, 0)),
            _ => happenings.push((now, id, program)),
        }
    }
    happenings
}

/// What a score's notes say within some steps.
fn played(notes: &[TimedNote], until: u32) -> Vec<Happening> {
    let mut score = Score::new(8);
    let step = |beats: f64| u32::try_from((0..4096).find(|&n| f64::from(n) >= beats * 8.0).unwrap()).unwrap();
    score.notes = notes
        .iter()
        .map(|n| Note {
            start: step(n.start),
            instrument: n.instrument,
            pitch: n.pitch,
            duration: step(n.duration),
            velocity: n.velocity,
        })
        .collect();
    score.normalize();
    let mut happenings = spelled(&MidiLike::default().encode(&score).unwrap(), 0);
    happenings.retain(|&(at, ..)| at < until);
    happenings
}

#[test]
fn the_phrase_sounds_along_at_its_steps_and_nowhere_else() {
    for seed in 0..200 {
        let mut random = Random::new(seed);
        let phrase = phrase(&mut random);
        let (from, until) = [(0, 160), (36, 100), (50, 90)][random.below(3) as usize];
        let window = Window { from: f64::from(from) / 8.0, until: f64::from(until) / 8.0 };
        let mut limits = Limits { placement: Placement::Over, ..Limits::default() };
        limits.density = [None, Density::per_beat(2.0)][random.below(2) as usize];
        limits.rhythm =
            [None, Some(Rhythm::of(&phrase, 0.0, 16.0).unwrap())][random.below(2) as usize].clone();
        limits.polyphony = [None, Some(2)][random.below(2) as usize];
        let (mut notes, ids) = answer(&mut random, &phrase, window, &limits);
        let start = spelled(&ids, 0).first().map_or(0, |&(at, ..)| at);
        assert_eq!(start, 0, "seed {seed}: the prompt leads up to what comes first");
        let heard = phrase.notes.iter().map(|n| TimedNote {
            start: phrase.beats(n.start),
            duration: phrase.beats(n.duration),
            pitch: n.pitch,
            velocity: n.velocity,
            instrument: n.instrument,
        });
        notes.extend(heard.filter(|n| n.start >= window.from));
        let mut expected = played(&notes, until);
        let first = expected.iter().map(|&(at, ..)| at).min().unwrap();
        let mut actual = spelled(&ids, first);
        expected.sort_unstable();
        actual.sort_unstable();
        assert_eq!(actual, expected, "seed {seed}");
    }
}

#[test]
fn a_rhythm_outside_of_the_window_is_refused() {
    let rhythm = Rhythm::new(vec![RhythmBeat { at: 3.0, duration: 1.0 }], 4.0).unwrap();
    let limits = Limits { rhythm: Some(rhythm), ..Limits::default() };
    let window = Window { from: 0.0, until: 2.0 };
    let refused = MidiLike::default().continuation_within(&Score::new(96), window, &limits, 64);
    assert!(matches!(refused.map(|_| ()), Err(EncodingError::Limits(_))));
}
