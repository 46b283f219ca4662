//! The built VST3 in Ardour: a real sequencer plays the phrase, presses the button by
//! automation and records the answer.
//!
//! What it records is compared with what the in-process CLAP host hears of the same
//! plugin. Ardour runs in real time here, so an answer may be late, by whole bars.

#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

use continuo_tests::ardour::{self, PACKAGE, Pass, Piece, Speed, Studio};
use continuo_tests::host::{Bundle, Host, Settings};
use continuo_tests::locate;
use continuo_tests::message::Message;
use continuo_tests::notes::{self, Heard};
use continuo_tests::timeline::Timeline;

/// Beats in a bar; every answer here is one bar long.
const BAR: f64 = 4.0;

/// A tick of Ardour's, which counts 1920 a beat, and what rounding adds.
const TICK: f64 = 1.1 / 1920.0;

/// Long enough for an answer that comes a bar late.
const LONG: f64 = 13.5;

const FAST: Pass = Pass { speed: Speed::Fast, manual: true };

/// A studio with the plugin; none, and a note, where Ardour is not.
fn studio(what: &str) -> Option<Studio> {
    if !ardour::is_here() {
        locate::not_checked(what, PACKAGE);
        return None;
    }
    Some(Studio::with_plugin(&locate::vst3().unwrap()).unwrap())
}

/// Two beats of notes under a pedal.
fn phrase() -> Vec<(f64, Message)> {
    let mut region: Vec<(f64, Message)> =
        vec![(0.25, Message::control(0, 64, 127)), (1.75, Message::control(0, 64, 0))];
    for (beat, key) in [(0.0, 60), (0.5, 64), (1.0, 67), (1.5, 72)] {
        region.extend([(beat, Message::on(0, key, 96)), (beat + 0.4, Message::off(0, key))]);
    }
    region.sort_by(|a, b| a.0.total_cmp(&b.0));
    region
}

fn piece(bpm: f64, press: Option<f64>) -> Piece {
    let parameters = vec![("Seed", 7.0), ("Length", 1.0), ("Takes", 1.0)];
    Piece { bpm, region: phrase(), press, parameters }
}

/// A note of an answer: onset and end in beats from the answer's bar line, channel,
/// key, velocity.
type Note = (f64, f64, u8, u8, u8);

/// The bar line that an answer begins with and its notes; it must begin with one.
fn tune(heard: &[Heard]) -> (f64, Vec<Note>) {
    let answer = notes::answered(heard);
    let first = answer.first().expect("there is no answer").on.beat;
    let line = (first / BAR).round() * BAR;
    assert!((first - line).abs() < TICK, "the answer begins at beat {first}, on no bar line");
    let mut tune: Vec<Note> = answer
        .iter()
        .map(|note| {
            let off = note.off.expect("a note hangs").beat;
            (note.on.beat - line, off - line, note.channel, note.key, note.velocity)
        })
        .collect();
    tune.sort_by_key(|&(on, _, channel, key, _)| (grid(on), channel, key));
    (line, tune)
}

/// Finer than any answer's grid and coarser than a tick.
#[expect(clippy::cast_possible_truncation, reason = "beats are few")]
fn grid(beat: f64) -> i64 {
    (beat * 96.0).round() as i64
}

/// The beats to the tick, the rest exactly.
fn assert_same(got: &[Note], expected: &[Note], what: &str) {
    let same = |a: &Note, b: &Note| {
        (a.0 - b.0).abs() < TICK && (a.1 - b.1).abs() < TICK && (a.2, a.3, a.4) == (b.2, b.3, b.4)
    };
    let all = got.len() == expected.len() && got.iter().zip(expected).all(|(a, b)| same(a, b));
    assert!(all, "{what}: {got:#?} for {expected:#?}");
}

/// What a track of Ardour's recorded, told apart by what the region holds.
fn heard(recorded: &[(f64, Message)], region: &[(f64, Message)]) -> Vec<Heard> {
    let sent = |beat: f64, message: Message| {
        region.iter().any(|&(at, sent)| sent == message && (at - beat).abs() < TICK)
    };
    recorded
        .iter()
        .map(|&(beat, message)| Heard { clock: 0, beat, message, thru: sent(beat, message) })
        .collect()
}

/// Everything the region holds has come through, at its tick.
fn assert_through(recorded: &[Heard], region: &[(f64, Message)]) {
    let through = recorded.iter().filter(|heard| heard.thru).count();
    assert_eq!(through, region.len(), "{recorded:#?}");
}

/// What the in-process host hears of the same, after `ready` has set what differs.
fn expected(bpm: f64, ready: impl FnOnce(&mut Host)) -> Vec<Note> {
    let bundle = Bundle::load(&locate::bundle().unwrap()).unwrap();
    let timeline = Timeline::new(ardour::session::RATE).with_tempo(0.0, bpm);
    let mut host = bundle.host(Settings::default(), timeline).unwrap();
    for (name, value) in [("seed", "7"), ("bars", "1"), ("takes", "1")] {
        host.set(name, value).unwrap();
    }
    host.play();
    for (beat, message) in phrase() {
        host.send_at_beat(beat, message);
    }
    ready(&mut host);
    host.run_to_beat(LONG).unwrap();
    let (line, tune) = tune(host.heard());
    assert_eq!(line, BAR);
    tune
}

#[test]
fn an_answer_in_ardour_is_on_the_bar_line_and_stays_with_the_session() {
    let Some(studio) = studio("answers in a session of Ardour's") else { return };
    let press = 2.5;
    let expected = expected(120.0, |host| host.press_at("trigger", host.clock_at_beat(press)).unwrap());
    let piece = piece(120.0, Some(press));
    let mut session = studio.compose("answered", &piece).unwrap();
    for what in ["asked for the first time", "re-opened and asked again"] {
        let recorded = session.record(LONG, &Pass::default()).unwrap();
        let recorded = heard(&recorded, &piece.region);
        assert_through(&recorded, &piece.region);
        assert_same(&tune(&recorded).1, &expected, what);
    }
    let again = session.record(LONG, &FAST).unwrap();
    assert_same(&tune(&heard(&again, &piece.region)).1, &expected, "re-opened and not asked");

    for what in ["bounced", "bounced again"] {
        let bounced = session.bounce(LONG).unwrap();
        assert_same(&tune(&heard(&bounced, &piece.region)).1, &expected, what);
    }

    session.set_tempo(97.0).unwrap();
    let slower = session.record(LONG, &FAST).unwrap();
    assert_same(&tune(&heard(&slower, &piece.region)).1, &expected, "re-opened in another tempo");
}

#[test]
fn what_is_heard_in_ardour_is_exported_twice_the_same() {
    let Some(studio) = studio("exports of a session of Ardour's") else { return };
    let mut piece = piece(120.0, Some(2.5));
    piece.parameters.push(("Preview sound", 1.0));
    let session = studio.compose_audible("exported", &piece, 2.0 * BAR).unwrap();
    let first = session.export().unwrap();
    // Four seconds, and what Ardour lets ring out.
    assert!(first.len() >= 4 * 48_000, "{} samples", first.len());
    let loudness = |from: f64, to: f64| {
        let [from, to] = [from, to].map(host_frames);
        first[from..to].iter().fold(0.0_f32, |loudest, sample| loudest.max(sample.abs()))
    };
    assert!(loudness(0.0, BAR) > 0.01, "the phrase is not heard");
    assert!(loudness(BAR + 1.0, 2.0 * BAR) > 0.01, "the answer is not heard");
    // Ardour's own export goes astray in a few of a hundred (see `Session::export`): what it is
    // has come out three times, wherever the file began. An answer that is not always the same
    // would come out in two ways more than once.
    let mut kinds = vec![(first, 1)];
    for _ in 1..MOST_EXPORTS {
        let export = session.export().unwrap();
        match kinds.iter_mut().find(|(kind, _)| same_sound(kind, &export)) {
            Some((_, times)) => *times += 1,
            None => kinds.push((export, 1)),
        }
        if kinds.iter().any(|(_, times)| *times == 3) {
            break;
        }
    }
    let first_unlike = |kind: &[f32]| kind.iter().zip(&kinds[0].0).position(|(a, b)| a != b);
    let told: Vec<_> = kinds.iter().map(|(kind, times)| (*times, first_unlike(kind))).collect();
    let (often, twice) =
        (kinds.iter().filter(|k| k.1 == 3).count(), kinds.iter().filter(|k| k.1 == 2).count());
    assert!(often == 1 && twice == 0, "exports (how often, first sample unlike the first's): {told:?}");
}

/// Whether two exports are one sound. Ardour's file may begin some samples into the music:
/// phrase and answer are then earlier by as many, and nothing else differs.
fn same_sound(a: &[f32], b: &[f32]) -> bool {
    let begins_late =
        |b: &[f32], a: &[f32]| (0..=LATE).any(|late| a.get(late..).is_some_and(|music| b.starts_with(music)));
    a.len() == b.len() && (begins_late(a, b) || begins_late(b, a))
}

/// How far into the music Ardour's file may begin, in samples: 16 was seen, a block is 1024.
const LATE: usize = 64;

/// As often is exported until three are the same.
const MOST_EXPORTS: usize = 5;

/// Samples from the beginning to a beat, at 120 beats a minute.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few seconds")]
fn host_frames(beat: f64) -> usize {
    (beat / 2.0 * ardour::session::RATE) as usize
}

#[test]
fn a_pause_in_ardour_is_answered_at_97_beats_a_minute() {
    let Some(studio) = studio("answers to pauses in a session of Ardour's") else { return };
    let expected = expected(97.0, |host| {
        host.choose("mode", "reply").unwrap();
        host.set("pause", "1.5").unwrap();
    });
    let mut piece = piece(97.0, None);
    piece.parameters.extend([("Mode", 1.0), ("Pause", 1.5)]);
    let session = studio.compose("paused", &piece).unwrap();
    let recorded = session.record(LONG, &Pass::default()).unwrap();
    let recorded = heard(&recorded, &piece.region);
    assert_through(&recorded, &piece.region);
    assert_same(&tune(&recorded).1, &expected, "an answer to a pause");
}

#[test]
fn a_loop_in_ardour_repeats_phrase_and_answer() {
    let Some(studio) = studio("loops in a session of Ardour's") else { return };
    let piece = piece(120.0, Some(2.5));
    let session = studio.compose("looped", &piece).unwrap();
    let recorded = session.record(LONG, &Pass::default()).unwrap();
    let once = heard(&recorded, &piece.region);
    let length = tune(&once).0 + BAR;
    let rounds = session.cycle(length, 2, &Pass { manual: true, ..Pass::default() }).unwrap();
    let onsets = |from: f64, messages: &[(f64, Message)]| -> Vec<(i64, Message)> {
        let ons = messages.iter().filter(|(_, message)| matches!(message, Message::On { .. }));
        let inside = ons.filter(|(beat, _)| (from - TICK..from + length - TICK).contains(beat));
        let mut onsets: Vec<_> = inside.map(|&(beat, message)| (grid(beat - from), message)).collect();
        onsets.sort_unstable();
        onsets
    };
    let expected = onsets(0.0, &recorded);
    assert!(expected.len() > 4);
    for round in [0.0, 1.0] {
        assert_eq!(onsets(round * length, &rounds), expected, "round {round}");
    }
}
