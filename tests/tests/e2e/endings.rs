//! Every note ends, whatever happens while it sounds.

use crate::scene::{after_phrase, ask, at, hanging, host_in_blocks, until_sounding};
use continuo_tests::host::Host;
use continuo_tests::message::Message;

const BLOCKS: [&[u32]; 3] = [&[64], &[333], &[4096]];
const SECOND: u64 = 48_000;

/// Runs `change` while a note of the answer sounds; a second later nothing may
/// sound any more unless the answer goes on, and at its end nothing at all.
fn check(name: &str, ends_at_once: bool, change: impl Fn(&mut Host)) {
    for blocks in BLOCKS {
        let mut host = host_in_blocks(blocks, at(120.0));
        host.set("takes", "2").unwrap();
        let mut host = after_phrase(host);
        ask(&mut host, 4, "bar");
        until_sounding(&mut host);
        let sounding: Vec<_> = hanging(&host).iter().map(|note| (note.on.clock, note.key)).collect();
        assert!(!sounding.is_empty());
        change(&mut host);
        if ends_at_once {
            host.run(SECOND / 10).unwrap();
            let still: Vec<_> = hanging(&host).iter().map(|note| (note.on.clock, note.key)).collect();
            let still: Vec<_> = still.iter().filter(|note| sounding.contains(note)).collect();
            assert!(still.is_empty(), "{name}, blocks of {blocks:?}: {still:?} went on");
        }
        host.loop_off();
        // Four bars and the longest note at 60 beats a minute.
        host.run(60 * SECOND).unwrap();
        let left = hanging(&host);
        assert!(left.is_empty(), "{name}, blocks of {blocks:?}: {left:?} hang");
    }
}

#[test]
fn notes_end_when_the_transport_stops() {
    check("stop", true, Host::stop);
}

#[test]
fn notes_end_when_the_transport_jumps() {
    check("seek back", true, |host| host.seek(0.0));
    check("seek ahead", true, |host| host.seek(1000.0));
}

#[test]
fn notes_end_when_a_loop_jumps() {
    check("loop", false, |host| {
        let beat = host.beat();
        host.loop_between(4.0, (beat + 0.05).max(4.2));
        host.run(2 * SECOND).unwrap();
    });
}

#[test]
fn notes_end_when_another_take_is_chosen() {
    check("take", true, |host| host.set("take", "2").unwrap());
}

#[test]
fn notes_end_when_everything_is_cleared() {
    check("clear", true, |host| host.press("clear").unwrap());
}

#[test]
fn notes_end_when_the_plugin_is_bypassed() {
    check("bypass", true, |host| {
        let on = host.param("bypass").unwrap().max;
        host.set_value("bypass", on).unwrap();
    });
}

#[test]
fn notes_end_when_another_answer_is_asked_for() {
    check("trigger", false, |host| host.press("trigger").unwrap());
}

#[test]
fn notes_end_when_the_tempo_changes() {
    check("faster", false, |host| host.set_timeline(at(390.0)));
    check("slower", false, |host| host.set_timeline(at(60.0)));
}

#[test]
fn notes_end_when_the_meter_changes() {
    check("meter", false, |host| host.set_timeline(at(120.0).with_meter(0.0, 7, 8)));
}

#[test]
fn notes_end_after_a_reset() {
    check("reset", false, Host::reset);
}

#[test]
fn notes_end_after_the_plugin_was_suspended() {
    check("suspend", false, |host| {
        host.deactivate();
        host.activate().unwrap();
    });
}

#[test]
fn keys_held_through_all_of_it_end_when_they_are_let_go() {
    let mut host = after_phrase(host_in_blocks(&[333], at(120.0)));
    host.send(host.clock(), Message::on(2, 50, 80));
    ask(&mut host, 2, "bar");
    host.run(SECOND).unwrap();
    host.seek(0.0);
    host.run(SECOND).unwrap();
    host.press("clear").unwrap();
    host.run(SECOND).unwrap();
    host.stop();
    host.run(SECOND).unwrap();
    let held = hanging(&host);
    assert_eq!(held.iter().map(|note| (note.channel, note.key)).collect::<Vec<_>>(), [(2, 50)]);
    host.send(host.clock(), Message::off(2, 50));
    host.run(SECOND).unwrap();
    assert!(hanging(&host).is_empty());
}
