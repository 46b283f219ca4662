//! The modes, what becomes of takes, and what answers are held to, in the built plugin.

use continuo_tests::message::Message;
use continuo_tests::notes::Played;

use crate::scene::{
    RATE, after_phrase, answer, ask, at, four_notes, hanging, host, host_in_blocks, shape, stamps,
};

/// Onsets in beats.
fn onsets(notes: &[Played]) -> Vec<f64> {
    notes.iter().map(|note| note.on.beat).collect()
}

/// Whether a beat is another to a sample.
fn is(beat: f64, other: f64) -> bool {
    (beat - other).abs() <= 120.0 / 60.0 / RATE
}

#[test]
fn bars_are_traded_on_the_bar_lines_whatever_the_blocks() {
    let mut heard = Vec::new();
    for blocks in [&[64][..], &[333, 1, 7], &[8192], &[1024, 64]] {
        let mut host = host_in_blocks(blocks, at(120.0).with_meter(0.0, 7, 8));
        host.choose("mode", "trade").unwrap();
        host.set("turn", "2").unwrap();
        host.play();
        host.send_at_beat(0.5, Message::on(0, 60, 90));
        host.send_at_beat(1.5, Message::off(0, 60));
        host.send_at_beat(5.0, Message::on(0, 67, 90));
        host.send_at_beat(6.5, Message::off(0, 67));
        // Two bars of 7/8 are 7 beats: the plugin's turn is from 7 to 14.
        host.run_to_beat(40.0).unwrap();
        let notes = host.answered();
        assert!(is(notes[0].on.beat, 7.0), "{:?}", onsets(&notes));
        assert!(notes.iter().all(|note| note.on.beat < 14.0), "{:?}", onsets(&notes));
        assert!(hanging(&host).is_empty());
        heard.push(shape(&notes));
    }
    assert!(heard.iter().all(|other| *other == heard[0]));
}

#[test]
fn a_kept_take_sounds_the_same_each_time_and_in_another_project() {
    let mut host = answer(host(at(120.0)), 2, 7);
    let made = shape(&host.answered());
    host.press("keep").unwrap();
    host.run(4800).unwrap();
    // Kept on the inference thread, soon.
    while !String::from_utf8_lossy(&host.save().unwrap()).contains("\\\"answer\\\":null") {
        host.run(480).unwrap();
    }
    let mut passes = Vec::new();
    for _ in 0..2 {
        host.seek(3.0);
        host.forget();
        host.run_to_beat(45.0).unwrap();
        passes.push(shape(&host.answered()));
    }
    assert_eq!(passes, [made.clone(), made.clone()]);
    let state = host.save().unwrap();
    drop(host);
    let mut other = crate::scene::host(at(120.0));
    other.load(&state).unwrap();
    other.seek(3.0);
    other.play();
    other.run_to_beat(45.0).unwrap();
    assert_eq!(shape(&other.answered()), made);
}

#[test]
fn notes_keep_to_scale_range_voices_and_grid() {
    let mut host = host(at(120.0));
    for (name, value) in [
        ("root", "D"),
        ("scale", "Dorian"),
        ("low", "C4"),
        ("high", "C5"),
        ("polyphony", "1"),
        ("grid", "1/8"),
    ] {
        host.set(name, value).unwrap();
    }
    let host = answer(host, 4, 3);
    let notes = host.answered();
    assert!(notes.len() > 4);
    for note in &notes {
        assert!((60..=72).contains(&note.key), "{note:?}");
        assert!([2, 4, 5, 7, 9, 11, 0].contains(&(note.key % 12)), "{note:?}");
        assert!(is(note.on.beat, (note.on.beat * 2.0).round() / 2.0), "{note:?}");
    }
    // One voice: each ends before the next begins.
    assert!(notes.windows(2).all(|pair| pair[0].off.is_some_and(|off| off.clock <= pair[1].on.clock)));
}

#[test]
fn an_answer_gives_way_to_the_player() {
    for (yields, until) in [("Stops at once", 6.3), ("Stops at the bar", 8.0)] {
        let mut host = host(at(120.0));
        host.set("yield", yields).unwrap();
        let mut host = after_phrase(host);
        ask(&mut host, 8, "bar");
        host.send_at_beat(6.3, Message::on(0, 30, 90));
        host.send_at_beat(6.5, Message::off(0, 30));
        host.run_to_beat(40.0).unwrap();
        let notes = host.answered();
        assert!(notes.iter().any(|note| note.on.beat < 6.3));
        let last = notes.iter().filter_map(|note| note.off).map(|off| off.beat).fold(0.0, f64::max);
        assert!(last <= until + 1e-3, "{yields}: {last}");
        assert!(hanging(&host).is_empty());
    }
}

#[test]
fn a_key_asks_and_pedals_and_bends_pass_to_the_sample() {
    let mut host = host(at(120.0));
    host.set("trigger note", "C1").unwrap();
    let mut host = after_phrase(host);
    let sent = [
        (8_000, Message::control(0, 64, 127)),
        (8_001, Message::bend(3, 1234)),
        (8_063, Message::control(0, 1, 77)),
        (8_064, Message::control(0, 64, 0)),
    ];
    let now = host.clock();
    for (clock, message) in sent {
        host.send(now + clock - 8_000, message);
    }
    host.send_at_beat(3.95, Message::on(0, 24, 100));
    host.send_at_beat(3.97, Message::off(0, 24));
    host.run_to_beat(30.0).unwrap();
    let heard = stamps(host.heard());
    for (clock, message) in sent {
        assert!(heard.contains(&(now + clock - 8_000, message)), "{message:?}");
    }
    assert!(heard.iter().all(|h| !matches!(h.1, Message::On { key: 24, .. } | Message::Off { key: 24, .. })));
    assert!(is(host.answered()[0].on.beat, 4.0));
}

#[test]
fn varied_takes_begin_alike_and_again_lies_in_the_same_place() {
    let mut host = answer(host(at(120.0)), 2, 5);
    let first = host.answered();
    let mut pass = |press: &str| {
        host.press(press).unwrap();
        host.seek(3.0);
        host.forget();
        host.run_to_beat(45.0).unwrap();
        host.answered()
    };
    let varied = pass("vary");
    let front = |notes: &[Played]| -> Vec<(u64, u8)> {
        let early = notes.iter().filter(|note| note.on.beat < 7.99);
        early.map(|note| (note.on.clock - notes[0].on.clock, note.key)).collect()
    };
    assert_eq!(front(&varied), front(&first));
    assert!(is(varied[0].on.beat, first[0].on.beat));
    let other = pass("again");
    assert!(other[0].on.beat >= 4.0 - 1e-3 && other.iter().all(|note| note.on.beat < 12.0));
}

#[test]
fn drums_go_back_on_the_channel_they_came_from() {
    let mut host = host(at(120.0));
    host.set("drums", "On").unwrap();
    host.play();
    four_notes(&mut host, 0.0);
    host.run_to_beat(3.875).unwrap();
    ask(&mut host, 2, "bar");
    host.run_to_beat(16.0).unwrap();
    let notes = host.answered();
    assert!(!notes.is_empty() && notes.iter().all(|note| note.channel == 0));
}
