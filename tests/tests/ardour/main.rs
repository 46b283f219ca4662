//! The built VST3 in Ardour 7, headless: a track with a phrase and the plugin, whose output
//! another track records. Linux only. Where Ardour or the bundle is missing this is not
//! checked, and that is said.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

mod session;

use session::{Session, Take};

/// The phrase: onset and length in beats, key.
const PHRASE: [(f64, f64, u8); 7] = [
    (0.0, 0.45, 62),
    (0.5, 0.45, 65),
    (1.0, 0.45, 69),
    (1.5, 0.45, 72),
    (2.0, 0.45, 70),
    (2.5, 0.45, 69),
    (3.0, 0.4, 65),
];
/// A controller that must pass: beat and value of the sustain pedal.
const PEDAL: [(f64, u8); 2] = [(0.25, 127), (0.75, 0)];
/// Where the answer begins: the phrase ends at 3.4, the pause is 2 beats, then the next bar.
const ANSWER: f64 = 8.0;
/// Up to here all recordings reach, however fast the transport rolls when it is stopped.
const HEARD: f64 = 16.0;
/// Mode "Reply", as the parameter's plain value.
const REPLY: &str = "Mode=1";
const ANSWER_ONLY: &str = "Mode=0";

fn near(a: f64, b: f64) -> bool {
    // A recorded beat is one of 1,920 ticks.
    (a - b).abs() <= 1.0 / 1920.0 + 1e-9
}

/// What a recorded take has of the phrase must be the phrase; the rest is the answer.
fn answer_of(take: &Take) -> Vec<(f64, f64, u8)> {
    for (start, length, key) in PHRASE {
        let there = |n: &&(f64, f64, u8)| near(n.0, start) && near(n.1, length) && n.2 == key;
        assert!(take.notes.iter().any(|n| there(&n)), "{start} {key} did not pass: {:?}", take.notes);
    }
    let pedal: Vec<_> = take.controls.iter().filter(|c| c.1 == 64).map(|c| (c.0, c.2)).collect();
    assert!(
        pedal.len() >= 2
            && PEDAL.iter().zip(&pedal).all(|(sent, came)| near(sent.0, came.0) && sent.1 == came.1),
        "the pedal did not pass: {pedal:?}"
    );
    take.notes.iter().filter(|n| n.0 > 4.0 && n.0 + n.1 <= HEARD).copied().collect()
}

fn assert_same(one: &[(f64, f64, u8)], other: &[(f64, f64, u8)], what: &str) {
    let same = one.len() == other.len()
        && one.iter().zip(other).all(|(a, b)| near(a.0, b.0) && near(a.1, b.1) && a.2 == b.2);
    assert!(same, "{what}:\n{one:?}\n{other:?}");
}

#[test]
fn a_phrase_is_answered_on_the_bar_saved_and_played_again_in_ardour() {
    let Some(session) = Session::new(&PHRASE, &PEDAL) else { return };
    let made = answer_of(&session.roll("Normal Speed", 9.0, &[REPLY]));
    assert!(made.len() > 4, "hardly an answer: {made:?}");
    assert!(near(made[0].0, ANSWER), "the answer begins at {}, not on the bar", made[0].0);
    // Every note lies on the grid of 24 a beat.
    for note in &made {
        assert!(near(note.0, (note.0 * 24.0).round() / 24.0), "off the grid: {note:?}");
    }
    // Re-opened, nothing is made anew, and each time it is the same.
    let again = answer_of(&session.roll("50x Speed", 9.0, &[ANSWER_ONLY]));
    assert_same(&made, &again, "played again it is another");
    let third = answer_of(&session.roll("50x Speed", 9.0, &[]));
    assert_same(&made, &third, "the second time it is another");
    // At another tempo the beats stay.
    session.set_tempo(97.0);
    let slower = answer_of(&session.roll("50x Speed", 11.0, &[]));
    assert_same(&made, &slower, "at another tempo it lies elsewhere");
}
