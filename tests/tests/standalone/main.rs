//! The standalone on a JACK server of its own: a phrase goes in at its ports, the key
//! is pressed that asks for an answer, and the answer comes out on time.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

mod rig;
mod wires;

use continuo_tests::host::{Bundle, Settings};
use continuo_tests::locate;
use continuo_tests::message::Message;
use continuo_tests::notes::{self, Heard, Played};
use continuo_tests::timeline::Timeline;
use rig::Rig;

/// Beats a minute; a bar is 96,000 samples long.
const BPM: f64 = 120.0;
const BAR: u64 = 96_000;

/// How often a disturbed run is tried again.
const TRIES: u32 = 4;

/// Two beats of notes, with their samples.
fn phrase() -> Vec<(u64, Message)> {
    let mut phrase = vec![(6_000, Message::control(0, 64, 127)), (42_000, Message::control(0, 64, 0))];
    for (at, key) in [(0, 60), (12_000, 64), (24_000, 67), (36_000, 72)] {
        phrase.extend([(at, Message::on(0, key, 96)), (at + 9_000, Message::off(0, key))]);
    }
    phrase.sort_unstable();
    phrase
}

/// What a note is besides its place: samples from the answer's bar line, channel, key
/// and velocity.
fn tune(answer: &[Played], line: u64) -> Vec<(u64, u8, u8, u8)> {
    let mut tune: Vec<_> = answer
        .iter()
        .filter(|note| note.on.clock < line + BAR)
        .map(|note| (note.on.clock - line, note.channel, note.key, note.velocity))
        .collect();
    tune.sort_unstable();
    tune
}

/// The first bar of what the in-process host hears of the same.
fn expected() -> Vec<(u64, u8, u8, u8)> {
    let bundle = Bundle::load(&locate::bundle().unwrap()).unwrap();
    let timeline = Timeline::new(48_000.0).with_tempo(0.0, BPM);
    let mut host = bundle.host(Settings::default(), timeline).unwrap();
    host.play();
    for (clock, message) in phrase() {
        host.send(clock, message);
    }
    host.press_at("trigger", 60_000).unwrap();
    host.run(3 * BAR).unwrap();
    tune(&host.answered(), BAR)
}

#[test]
fn a_phrase_on_jack_is_answered_on_the_bar_line() {
    let missing = rig::NEEDED.iter().filter(|(_, program)| locate::program(program).is_none());
    let missing: Vec<_> = missing.map(|&(package, _)| package).collect();
    if !missing.is_empty() {
        locate::not_checked("the standalone on a JACK server", &missing.join(" and "));
        return;
    }
    let expected = expected();
    let sent = phrase();
    // A busy machine costs JACK periods, with all that was to be heard in them. JACK says
    // so, and then it is tried again.
    for attempt in 1..=TRIES {
        let mut rig = Rig::start(&locate::standalone().unwrap()).unwrap();
        let heard = play(&mut rig, &sent);
        if attempt < TRIES && rig.was_disturbed() {
            continue;
        }
        return check(&heard.unwrap(), &sent, &expected);
    }
}

/// Plays the phrase and asks for an answer: what is heard until its first bar is over.
fn play(rig: &mut Rig, sent: &[(u64, Message)]) -> anyhow::Result<Vec<Heard>> {
    rig.roll(sent)?;
    rig.listen(|so_far| so_far.len() >= sent.len())?;
    rig.press_space()?;
    let all = rig.listen(|so_far| {
        let last = so_far.last().map_or(0, |&(clock, _)| clock);
        let answer = notes::answered(&told_apart(so_far, sent));
        answer.first().is_some_and(|first| last >= first.on.clock + BAR)
    })?;
    Ok(told_apart(&all, sent))
}

fn told_apart(heard: &[(u64, Message)], sent: &[(u64, Message)]) -> Vec<Heard> {
    let thru = |item| sent.contains(&item);
    let heard = heard.iter().copied();
    heard.map(|(clock, message)| Heard { clock, beat: 0.0, message, thru: thru((clock, message)) }).collect()
}

fn check(heard: &[Heard], sent: &[(u64, Message)], expected: &[(u64, u8, u8, u8)]) {
    let through = heard.iter().filter(|heard| heard.thru).map(|heard| (heard.clock, heard.message));
    assert_eq!(through.collect::<Vec<_>>(), sent, "the phrase did not pass at its samples");
    let answer = notes::answered(heard);
    let line = answer[0].on.clock;
    // In real time an answer may be late, by whole bars.
    assert_eq!(line % BAR, 0, "the answer begins at {line}");
    assert_eq!(tune(&answer, line), expected);
}
