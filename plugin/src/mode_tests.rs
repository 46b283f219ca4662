//! The modes, and what becomes of an answer when the player plays on.

use std::sync::Arc;

use nice_plug::midi::Key;
use nice_plug::prelude::*;

use super::Event;
use super::tests::{Rig, note_off, note_on, sample};
use crate::link::{KeptNotes, PlayNote, ToPlayer};
use crate::params::{Mode, Yield};

fn control(cc: u8, value: f32) -> Event {
    NoteEvent::MidiCC { timing: 0, channel: 0, cc, value }
}

fn trading(bars: u16) -> Rig {
    let mut rig = Rig::new();
    (rig.settings.mode, rig.settings.turn) = (Mode::Trade, bars);
    rig
}

/// Every note-on is followed by its note-off, and none comes twice.
fn assert_paired(rig: &Rig) {
    let mut down = [0_i32; 128];
    for (time, event) in &rig.heard {
        let (key, by) = match event {
            NoteEvent::NoteOn { key: Key::Number(key), .. } => (*key, 1),
            NoteEvent::NoteOff { key: Key::Number(key), .. } => (*key, -1),
            _ => continue,
        };
        down[usize::from(key)] += by;
        assert!((0..=1).contains(&down[usize::from(key)]), "key {key} at {time}: {:?}", rig.heard);
    }
    assert_eq!(down, [0; 128]);
}

#[test]
fn bars_are_traded_on_the_bar_line_until_the_player_is_silent() {
    for block in [64, 480, 8192] {
        let mut rig = trading(1);
        rig.play(0.5, 1.0, 60);
        rig.play(9.0, 1.0, 50);
        rig.run_to(32.0, block);
        let turns = [(4.0, 72), (5.0, 72), (6.0, 72), (7.0, 72)];
        let second = [(12.0, 62), (13.0, 62), (14.0, 62), (15.0, 62)];
        let heard = rig.ons();
        assert_eq!(heard[1..5], turns, "block {block}");
        assert_eq!(heard[6..], second, "block {block}");
        assert_eq!(rig.shared.turn(), None);
        assert_paired(&rig);
    }
}

#[test]
fn trading_goes_on_around_a_loop() {
    let mut rig = trading(2);
    rig.host.cycle = Some((0.0, 8.0));
    rig.play(1.0, 0.5, 60);
    // The player's turn ends where the loop does: the answer begins at its beginning.
    rig.run_to(8.0, 500);
    rig.host.beats = Some(0.0);
    rig.run_to(16.0, 500);
    let answer: Vec<f64> = rig.ons()[1..].iter().map(|on| on.0).collect();
    assert_eq!(answer, [8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0]);
}

#[test]
fn an_answer_in_trade_that_comes_late_keeps_its_bars() {
    let mut rig = trading(1);
    rig.performer.configure(48_000.0, false);
    rig.play(0.5, 1.0, 60);
    // Nothing is received until beat 5.25, as if the model had been slow.
    rig.run_to(3.76, 480);
    rig.settle(|rig| rig.params.saved.with(|s| s.answer.as_ref().is_some_and(|a| a.takes[1].len() == 4)));
    rig.time = sample(5.25);
    rig.host.beats = Some(5.25);
    rig.run_to(9.0, 480);
    assert_eq!(rig.ons()[1..], [(6.0, 72), (7.0, 72)]);
}

#[test]
fn the_answer_gives_way_at_once_or_at_the_bar() {
    for (yields, last, end) in [(Yield::Now, 5.0, 5.25), (Yield::Bar, 7.0, 7.5), (Yield::Never, 11.0, 11.5)] {
        let mut rig = Rig::new();
        (rig.settings.yields, rig.settings.wish.bars) = (yields, 2);
        rig.play(0.0, 1.0, 60);
        rig.play(5.25, 0.5, 40);
        rig.run_to(2.0, 512);
        rig.trigger();
        rig.run_to(14.0, 512);
        let answered: Vec<_> = rig.ons().into_iter().filter(|on| on.1 == 72).collect();
        assert_eq!(answered.last(), Some(&(last, 72)), "{yields:?}");
        let off =
            rig.heard.iter().rev().find(|e| matches!(e.1, NoteEvent::NoteOff { key: Key::Number(72), .. }));
        assert_eq!(off.map(|e| e.0), Some(sample(end)), "{yields:?}");
        assert_paired(&rig);
        // Played before an answer begins, notes are no reason to stop it.
        rig.play(14.5, 0.5, 41);
        rig.trigger();
        rig.run_to(26.0, 512);
        assert!(rig.ons().iter().any(|on| on.0 == 16.0), "{yields:?}");
    }
}

#[test]
fn stop_ends_the_answer_and_a_loop_does_not_bring_it_back() {
    let mut rig = Rig::new();
    rig.play(0.0, 1.0, 60);
    rig.run_to(2.0, 512);
    rig.trigger();
    rig.run_to(5.25, 512);
    rig.settings.presses.stop += 1;
    rig.run_to(8.0, 512);
    rig.host.beats = Some(3.0);
    rig.run_to(13.0, 512);
    // Beat 4 and 5 again, at 9 and 10, and no further.
    assert_eq!(rig.ons()[1..], [(4.0, 72), (5.0, 72), (9.0, 72), (10.0, 72)]);
    assert_paired(&rig);
}

#[test]
fn an_answer_over_a_loop_lies_on_the_phrase() {
    let mut rig = Rig::new();
    (rig.settings.mode, rig.settings.wish.over) = (Mode::Accompany, true);
    rig.host.cycle = Some((0.0, 8.0));
    rig.play(4.0, 1.0, 60);
    rig.play(6.0, 1.0, 62);
    rig.run_to(7.5, 512);
    rig.trigger();
    rig.run_to(8.0, 512);
    rig.host.beats = Some(0.0);
    rig.run_to(16.0, 512);
    // The phrase lay at 4 in the loop, which is 12 now.
    assert_eq!(rig.ons()[2..], [(12.0, 72), (13.0, 72), (14.0, 72), (15.0, 72)]);
}

#[test]
fn a_key_or_a_controller_asks_and_is_neither_heard_nor_learnt() {
    let mut rig = Rig::new();
    (rig.settings.trigger_note, rig.settings.trigger_cc) = (Some(24), Some(80));
    rig.play(0.0, 1.0, 60);
    for (beat, event) in
        [(2.0, note_on(24)), (2.5, note_off(24)), (9.0, control(80, 1.0)), (9.1, control(80, 0.0))]
    {
        rig.score.push_back((sample(beat), event));
    }
    rig.run_to(18.0, 512);
    let expected =
        [(4.0, 72), (5.0, 72), (6.0, 72), (7.0, 72), (12.0, 74), (13.0, 74), (14.0, 74), (15.0, 74)];
    assert_eq!(rig.ons()[1..], expected);
    assert!(rig.heard.iter().all(|e| !matches!(e.1, NoteEvent::MidiCC { .. })));
    assert_paired(&rig);
}

#[test]
fn a_pause_under_the_pedal_gets_no_reply() {
    let mut rig = Rig::new();
    (rig.settings.mode, rig.settings.pause) = (Mode::Reply, 1.0);
    rig.score.push_back((sample(0.0), control(64, 1.0)));
    rig.play(0.0, 1.0, 60);
    rig.score.push_back((sample(5.0), control(64, 0.0)));
    rig.run_to(16.0, 512);
    assert_eq!(rig.ons()[1], (8.0, 72));
}

#[test]
fn bends_pressure_and_controllers_pass_at_their_sample() {
    let mut rig = Rig::new();
    let bend = NoteEvent::MidiPitchBend { timing: 0, channel: 3, value: 0.7 };
    for (at, event) in [(7, control(64, 1.0)), (8, bend), (700, control(11, 0.25)), (701, control(64, 0.0))] {
        rig.score.push_back((at, event));
    }
    let sent: Vec<_> = rig.score.iter().copied().collect();
    rig.run_to(1.0, 333);
    assert_eq!(rig.heard, sent);
}

#[test]
fn next_and_previous_go_around_the_takes_and_choosing_one_starts_over() {
    let mut rig = Rig::new();
    rig.settings.wish.bars = 2;
    rig.play(0.0, 1.0, 60);
    rig.run_to(2.0, 512);
    rig.trigger();
    rig.run_to(5.5, 512);
    rig.shared.turn_by(1);
    rig.run_to(6.5, 512);
    rig.shared.turn_by(1);
    rig.run_to(7.5, 512);
    rig.shared.turn_by(-1);
    rig.run_to(8.5, 512);
    rig.shared.turn_back();
    rig.run_to(9.5, 512);
    let keys: Vec<u8> = rig.ons()[1..].iter().map(|on| on.1).collect();
    assert_eq!(keys, [72, 72, 73, 72, 73, 72]);
    assert_eq!(rig.shared.audible(), 0);
}

#[test]
fn kept_takes_sound_whenever_the_transport_passes_and_beside_an_answer() {
    let mut rig = Rig::new();
    let note = |start: f64, key| PlayNote { start, end: start + 0.5, channel: 0, key, velocity: 90 };
    let notes = Arc::new(KeptNotes::new(vec![note(5.0, 40), note(1.0, 41), note(5.5, 42)]));
    let message =
        ToPlayer::Kept { notes: Arc::clone(&notes), taken: rig.performer.playback.id().next_trigger() };
    rig.performer.playback.receive(message, 0, &mut |_| ());
    rig.play(0.0, 0.5, 60);
    rig.run_to(2.0, 333);
    rig.trigger();
    rig.run_to(8.0, 333);
    rig.host.beats = Some(4.9);
    rig.run_to(8.5, 333);
    let expected =
        [(1.0, 41), (4.0, 72), (5.0, 72), (5.0, 40), (5.5, 42), (6.0, 72), (7.0, 72), (8.1, 72), (8.1, 40)];
    assert_eq!(rig.ons()[1..], expected);
    rig.run_to(12.0, 333);
    assert_paired(&rig);
}

#[test]
fn keeping_an_answer_while_it_sounds_is_not_heard() {
    let play = |keep_at: Option<f64>| {
        let mut rig = Rig::new();
        rig.play(0.0, 1.0, 60);
        rig.run_to(2.0, 480);
        rig.trigger();
        rig.run_to(3.0, 480);
        if let Some(beat) = keep_at {
            rig.run_to(beat, 480);
            rig.settle(|rig| {
                rig.params.saved.with(|s| s.answer.as_ref().is_some_and(|a| a.takes[0].len() == 4))
            });
            let id = rig.performer.playback.id();
            let answer = rig.params.saved.placed().answer.unwrap();
            let notes = Arc::new(KeptNotes::new(answer.notes(0).collect()));
            rig.performer.playback.receive(ToPlayer::Kept { notes, taken: id }, 0, &mut |_| ());
        }
        rig.run_to(9.0, 480);
        rig.heard
    };
    let unkept = play(None);
    for beat in [3.5, 4.0, 4.25, 5.5, 6.75] {
        assert_eq!(play(Some(beat)), unkept, "kept at {beat}");
    }
}
