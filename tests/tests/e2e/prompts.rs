//! All kinds of phrases: each is answered on the bar line, and the answer ends.

use crate::scene::{RING, after_phrase, ask, at, hanging, host};
use continuo_tests::host::Host;
use continuo_tests::message::Message;
use continuo_tests::timeline::Timeline;

/// Sends `phrase`, asks a little before `line`, and hears a bar of 4 beats there.
fn check(name: &str, timeline: Timeline, line: f64, phrase: impl Fn(&mut Host)) -> Host {
    let mut host = host(timeline);
    host.play();
    phrase(&mut host);
    host.run_to_beat(line - 0.25).unwrap();
    ask(&mut host, 1, "bar");
    host.run_to_beat(line + 8.0 + RING).unwrap();
    assert!(hanging(&host).is_empty(), "{name}: {:?} hang", hanging(&host));
    if let Some(first) = host.answered().first() {
        let exact = host.timeline().sample_at(line);
        let off = f64::from(u32::try_from(first.on.clock).unwrap()) - exact;
        assert!(off.abs() < 0.51, "{name}: {off} samples off the bar line");
    }
    host
}

fn note(host: &mut Host, channel: u8, key: u8, from: f64, to: f64) {
    host.send_at_beat(from, Message::on(channel, key, 90));
    host.send_at_beat(to, Message::off(channel, key));
}

#[test]
fn nothing_at_all_hangs_nobody() {
    check("nothing", at(120.0), 4.0, |_| {});
}

#[test]
fn one_note_is_answered() {
    let host = check("one note", at(120.0), 4.0, |host| note(host, 0, 60, 0.0, 1.0));
    assert!(!host.answered().is_empty());
}

#[test]
fn a_note_still_held_is_answered() {
    let host = check("held", at(120.0), 4.0, |host| note(host, 0, 60, 0.0, 12.0));
    assert!(!host.answered().is_empty());
}

#[test]
fn ten_thousand_notes_are_answered() {
    let host = check("10,000 notes", at(240.0), 1252.0, |host| {
        for index in 0u32..10_000 {
            let from = f64::from(index) / 8.0;
            let key = u8::try_from(36 + index * 7 % 60).unwrap();
            note(host, 0, key, from, from + 0.11);
        }
    });
    assert!(!host.answered().is_empty());
    assert_eq!(host.played().iter().filter(|note| note.on.thru).count(), 10_000);
}

#[test]
fn a_thousand_notes_at_once_are_answered() {
    let host = check("1,000 notes at once", at(120.0), 4.0, |host| {
        for channel in 0..16u8 {
            for key in 30..93 {
                note(host, channel, key, 1.0, 2.0);
            }
        }
    });
    assert!(!host.answered().is_empty());
}

#[test]
fn drums_alone_are_answered() {
    let host = check("drums", at(120.0), 4.0, |host| {
        for (index, key) in (0u8..).zip([36, 42, 38, 42, 36, 42, 38, 46]) {
            let from = f64::from(index) / 2.0;
            note(host, 9, key, from, from + 0.2);
        }
    });
    assert!(!host.answered().is_empty());
    assert!(host.answered().iter().all(|note| note.channel == 9), "only the drums had played");
}

#[test]
fn slow_and_fast_phrases_are_answered() {
    for bpm in [20.0, 400.0, 971.3] {
        let host = check(&format!("{bpm} BPM"), at(bpm), 4.0, |host| {
            crate::scene::four_notes(host, 0.0);
        });
        assert!(!host.answered().is_empty(), "{bpm} BPM");
    }
}

#[test]
fn odd_meters_are_answered() {
    for (numerator, denominator, line) in [(7, 8, 7.0), (1, 4, 5.0), (15, 16, 7.5), (12, 8, 6.0), (3, 2, 6.0)]
    {
        let timeline = at(150.0).with_meter(0.0, numerator, denominator);
        let host = check(&format!("{numerator}/{denominator}"), timeline, line, |host| {
            crate::scene::four_notes(host, 0.0);
        });
        assert!(!host.answered().is_empty(), "{numerator}/{denominator}");
    }
}

#[test]
fn notes_of_no_length_and_lone_offs_are_survived() {
    let host = check("noise", at(120.0), 4.0, |host| {
        for key in 0..128 {
            note(host, 3, key, 0.5, 0.5);
            host.send_at_beat(1.0, Message::off(4, key));
            host.send_at_beat(1.5, Message::on(5, key, 1));
            host.send_at_beat(1.5, Message::on(5, key, 127));
            host.send_at_beat(2.0, Message::off(5, key));
            host.send_at_beat(2.5, Message::off(5, key));
        }
    });
    assert!(!host.answered().is_empty());
}

#[test]
fn a_stopped_transport_is_answered_too() {
    let mut host = after_phrase(host(at(120.0)));
    host.stop();
    host.run(4800).unwrap();
    for (index, key) in (0u64..).zip([60, 64, 67]) {
        let clock = host.clock() + index * 24_000;
        host.send(clock, Message::on(0, key, 90));
        host.send(clock + 20_000, Message::off(0, key));
    }
    host.run(72_000).unwrap();
    ask(&mut host, 1, "beat");
    host.run(20 * 48_000).unwrap();
    assert!(!host.answered().is_empty(), "a player without a rolling transport gets no answer");
    assert!(hanging(&host).is_empty());
}
