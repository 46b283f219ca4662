//! Keeping, discarding, undoing, varying and making again, with the whole plugin but the
//! framework and the model.

use std::collections::HashMap;

use nice_plug::params::Params as _;

use super::tests::Rig;
use crate::acts::Act;
use crate::params::Press;
use crate::state::Session;

/// A phrase on beats 0 to 1, answered from beat 4 on, all takes known.
fn answered() -> Rig {
    let mut rig = Rig::new();
    rig.play(0.0, 1.0, 60);
    rig.run_to(2.0, 480);
    rig.trigger();
    rig.run_to(2.1, 480);
    complete(&rig);
    rig
}

fn session(rig: &Rig) -> Session {
    rig.params.saved.placed()
}

fn complete(rig: &Rig) {
    rig.settle(|rig| {
        !rig.status.lock().thinking
            && session(rig).answer.is_some_and(|a| a.takes.iter().all(|t| !t.is_empty()))
    });
}

fn done(rig: &Rig, act: Act, settled: impl Fn(&Session) -> bool) {
    rig.params.acts.ask(act);
    rig.settle(|rig| settled(&session(rig)));
}

/// Beats since the rig was made.
fn begin_of(rig: &Rig) -> f64 {
    f64::from(u32::try_from(rig.time).unwrap()) / 24_000.0
}

/// The transport goes back to the beginning, and all that is there is heard.
fn replay(rig: &mut Rig) -> Vec<(f64, u8)> {
    rig.host.beats = Some(0.0);
    let (before, begin) = (rig.ons().len(), begin_of(rig));
    rig.run_to(begin + 9.0, 480);
    rig.ons()[before..].iter().map(|(beat, key)| (((beat - begin) * 1e6).round() / 1e6, *key)).collect()
}

#[test]
fn a_kept_take_stays_when_another_answer_comes_and_undo_takes_it_back() {
    let mut rig = answered();
    let take_1 = [4.0, 5.0, 6.0, 7.0].map(|beat| (beat, 73));
    rig.shared.turn_by(1);
    rig.run_to(2.2, 480);
    done(&rig, Act::Keep, |s| s.kept.len() == 1 && s.answer.is_none());
    assert_eq!((session(&rig).kept[0].take, session(&rig).kept[0].recipe.seed), (1, 1));
    assert_eq!(replay(&mut rig), take_1);
    rig.trigger();
    rig.run_to(begin_of(&rig) + 0.1, 480);
    complete(&rig);
    assert_eq!(session(&rig).kept.len(), 1);
    // Back to before the answer, then to before the take was kept.
    done(&rig, Act::Undo, |s| s.answer.is_none());
    assert_eq!(replay(&mut rig), take_1);
    done(&rig, Act::Undo, |s| s.kept.is_empty() && s.answer.is_some());
    done(&rig, Act::Redo, |s| s.kept.len() == 1);
    assert_eq!(replay(&mut rig), take_1);
    done(&rig, Act::Drop(0), |s| s.kept.is_empty());
    assert_eq!(replay(&mut rig), []);
}

#[test]
fn kept_takes_are_saved_and_sound_in_a_project_opened_anew() {
    let mut rig = answered();
    done(&rig, Act::Keep, |s| s.kept.len() == 1);
    let heard = replay(&mut rig);
    let fields = rig.params.serialize_fields();
    let fields: std::collections::BTreeMap<_, _> = fields.into_iter().collect();
    let mut other = Rig::new();
    other.params.deserialize_fields(&fields);
    other.run_to(9.0, 333);
    assert_eq!((other.ons(), heard.len()), (heard, 4));
    assert_eq!(session(&other), session(&rig));
}

#[test]
fn parameters_do_what_the_editor_does() {
    let rig = answered();
    rig.params.presses.press(Press::Discard);
    rig.settle(|rig| session(rig).answer.is_none());
    rig.params.presses.press(Press::Undo);
    rig.settle(|rig| session(rig).answer.is_some());
    rig.params.presses.press(Press::Redo);
    rig.settle(|rig| session(rig).answer.is_none());
    rig.params.presses.press(Press::Keep);
    rig.settle(|rig| rig.status.lock().notice.is_some());
    assert!(rig.status.lock().notice.as_ref().unwrap().contains("no answer to keep"));
}

#[test]
fn again_gives_others_at_the_same_place_and_vary_keeps_the_beginning() {
    let mut rig = answered();
    rig.settings.presses.asks[1] += 1;
    rig.run_to(2.3, 480);
    rig.settle(|rig| session(rig).answer.is_some_and(|a| a.recipe.again == 1 && a.takes[1].len() == 4));
    let answer = session(&rig).answer.unwrap();
    assert_eq!((answer.start, answer.end, answer.takes[0][0].3), (4.0, 8.0, 74));
    // One bar: its first half stays.
    rig.settings.presses.asks[2] += 1;
    rig.run_to(2.5, 480);
    rig.settle(|rig| session(rig).answer.is_some_and(|a| a.recipe.again == 2 && a.takes[1].len() == 4));
    let varied = session(&rig).answer.unwrap();
    let keys = |take: usize| varied.takes[take].iter().map(|n| (n.0, n.3)).collect::<Vec<_>>();
    assert_eq!(keys(0), [(4.0, 74), (5.0, 74), (6.0, 76), (7.0, 76)]);
    assert_eq!(keys(1), [(4.0, 74), (5.0, 74), (6.0, 77), (7.0, 77)]);
    assert_eq!((varied.start, varied.end, varied.recipe.front_beats), (4.0, 8.0, 2.0));
    assert_eq!(replay(&mut rig), keys(0));
}

#[test]
fn every_take_can_be_made_again_from_what_was_saved_with_it() {
    let mut rig = answered();
    rig.settings.presses.asks[2] += 1;
    rig.run_to(2.3, 480);
    rig.settle(|rig| session(rig).answer.is_some_and(|a| a.recipe.front_beats > 0.0));
    complete(&rig);
    let made = session(&rig).answer.unwrap();
    let recipe = serde_json::from_str(&serde_json::to_string(&made.recipe).unwrap()).unwrap();
    done(&rig, Act::Discard, |s| s.answer.is_none());
    rig.play(2.5, 0.2, 30);
    rig.run_to(3.0, 480);
    rig.params.acts.ask(Act::MakeAgain(Box::new(recipe)));
    rig.settle(|rig| session(rig).answer.is_some());
    complete(&rig);
    let again = session(&rig).answer.unwrap();
    assert_eq!((again.takes, again.recipe), (made.takes, made.recipe));
}

#[test]
fn a_take_is_kept_as_soon_as_it_is_complete() {
    let mut rig = Rig::new();
    rig.settings.wish.bars = 64;
    rig.play(0.0, 1.0, 60);
    rig.run_to(2.0, 480);
    rig.trigger();
    rig.run_to(2.1, 480);
    rig.settle(|rig| session(rig).answer.is_some());
    done(&rig, Act::Keep, |s| s.kept.len() == 1);
    assert_eq!(session(&rig).kept[0].notes.len(), 256);
    assert!(!rig.status.lock().keeping);
}

#[test]
fn what_was_made_in_a_stopped_host_is_kept_and_said_not_to_be_played() {
    let mut rig = Rig::new();
    rig.host.playing = false;
    rig.play(0.0, 1.0, 60);
    rig.run_to(2.0, 480);
    rig.trigger();
    rig.run_to(2.1, 480);
    complete(&rig);
    done(&rig, Act::Keep, |s| s.kept.len() == 1);
    assert!(rig.status.lock().notice.as_ref().unwrap().contains("not played"));
    rig.host.playing = true;
    let keys: HashMap<u8, usize> = replay(&mut rig).iter().fold(HashMap::new(), |mut all, on| {
        *all.entry(on.1).or_default() += 1;
        all
    });
    assert_eq!(keys, HashMap::new());
}

#[test]
fn a_stopped_answer_is_saved_as_far_as_it_was_heard() {
    let mut rig = answered();
    rig.run_to(5.25, 480);
    rig.settings.presses.stop += 1;
    rig.run_to(6.0, 480);
    rig.settle(|rig| session(rig).answer.is_some_and(|a| a.end < 6.0));
    let answer = session(&rig).answer.unwrap();
    assert_eq!(answer.takes[0].iter().map(|n| n.0).collect::<Vec<_>>(), [4.0, 5.0]);
    assert!((answer.end - 5.26).abs() < 0.02 && answer.takes[0][1].1 <= answer.end);
}

#[test]
fn clearing_leaves_what_was_kept_and_can_be_undone() {
    let mut rig = answered();
    done(&rig, Act::Keep, |s| s.kept.len() == 1);
    rig.trigger();
    rig.run_to(2.3, 480);
    complete(&rig);
    rig.settings.presses.clear += 1;
    rig.run_to(2.5, 480);
    rig.settle(|rig| session(rig).answer.is_none());
    assert_eq!(session(&rig).kept.len(), 1);
    done(&rig, Act::Undo, |s| s.answer.is_some());
}
