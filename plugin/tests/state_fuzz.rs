//! Damaged states: never a crash, a sentence each, and what is taken is sane.

use std::sync::Arc;

use continuo_plugin::clock::Timeline;
use continuo_plugin::link::{MOST_NOTES, MOST_TAKES, PlayNote, Shared};
use continuo_plugin::phrase::PlayedNote;
use continuo_plugin::state::{Answer, Kept, MOST_KEPT, Recipe, Saved, Session};
use nice_plug::params::persist::PersistentField as _;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

/// Damaged states tried.
const CASES: u64 = 100_000;

fn sample() -> String {
    let note = |n: u8| PlayedNote {
        start: f64::from(n),
        end: Some(f64::from(n) + 0.5),
        channel: n % 16,
        key: 60 + n,
        velocity: 90,
        program: n,
    };
    let phrase: Vec<_> = (0..4).map(note).collect();
    let recipe = Recipe { on_host: true, phrase: phrase.clone(), front_beats: 2.0, ..Recipe::default() };
    let mut answer = Answer { recipe, start: 4.0, end: 8.0, takes: vec![vec![]; 2], ..Answer::default() };
    for n in 0..3 {
        let start = 4.0 + f64::from(n);
        answer.push(1, PlayNote { start, end: start + 0.5, channel: 0, key: 64 + n, velocity: 80 });
    }
    let kept = vec![Kept::of(&answer, 1)];
    let saved = Saved::new(Arc::default());
    saved.with(|session| *session = Session { phrase, answer: Some(answer), kept });
    saved.map(Value::to_string)
}

/// Some damage: bytes flipped, cut, doubled, digits made huge, words exchanged.
fn damaged(text: &str, rng: &mut ChaCha8Rng) -> String {
    const WORDS: [&str; 12] = [
        "null",
        "-1",
        "1e999",
        "99999999999999999999",
        "[]",
        "{}",
        "\"\"",
        "true",
        "0.0",
        "-0.0",
        "1e-320",
        "4294967296",
    ];
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..rng.random_range(1..6) {
        let at = rng.random_range(0..bytes.len());
        match rng.random_range(0..5) {
            0 => bytes[at] = rng.random(),
            1 => bytes.truncate(at.max(1)),
            2 => {
                let piece = bytes[at..(at + 40).min(bytes.len())].to_vec();
                let _ = bytes.splice(at..at, piece);
            }
            _ => {
                let number = |b: &u8| b.is_ascii_digit() || b"-.".contains(b);
                let from = bytes[at..].iter().position(number).map_or(at, |n| at + n);
                let until = bytes[from..].iter().position(|b| !number(b)).map_or(bytes.len(), |n| from + n);
                let word = WORDS.choose(rng).copied().unwrap_or("null");
                let _ = bytes.splice(from..until, word.bytes());
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn assert_sane(session: &Session) {
    assert!(session.phrase.iter().all(PlayedNote::is_sane));
    assert!(session.kept.len() <= MOST_KEPT);
    let answers = session.answer.iter().flat_map(|answer| {
        assert!(answer.takes.len() <= MOST_TAKES && answer.start.is_finite() && answer.end.is_finite());
        answer.takes.iter()
    });
    for notes in answers.chain(session.kept.iter().map(|kept| &kept.notes)) {
        assert!(notes.len() <= MOST_NOTES);
        assert!(notes.iter().all(|n| n.0.is_finite() && n.1 > n.0 && n.2 < 16 && n.3 < 128 && n.4 < 128));
    }
    // What was taken can be asked again, or says why it cannot.
    if let Some(answer) = &session.answer {
        assert!(answer.recipe.meter().bar() > 0.0 && answer.recipe.tempo > 0.0);
        let _ = (answer.recipe.request(None), answer.timeline() == Timeline::Host);
    }
}

#[test]
fn a_hundred_thousand_damaged_states_do_no_harm() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let whole = sample();
    let (mut taken, mut refused) = (0_u32, 0_u32);
    for _ in 0..CASES {
        let Ok(value) = serde_json::from_str::<Value>(&damaged(&whole, &mut rng)) else { continue };
        let saved = Saved::new(Arc::<Shared>::default());
        match saved.load(value) {
            Ok(()) => taken += 1,
            Err(error) => {
                assert!(error.len() > 8, "no sentence: {error:?}");
                refused += 1;
            }
        }
        assert_sane(&saved.placed());
    }
    println!("{taken} taken, {refused} refused, the rest no JSON");
    assert!(taken > 1000 && refused > 1000);
}
