//! States, layouts, suspension, and instances destroyed while they answer.

use crate::scene::{RING, after_phrase, answer, ask, at, bundle, hanging, host, shape};
use continuo_tests::host::{Audio, Render, Settings};
use continuo_tests::timeline::Timeline;

#[test]
fn a_project_re_opens_with_its_answer() {
    let mut first = host(at(120.0));
    first.set("takes", "2").unwrap();
    first.set("temperature", "0.9").unwrap();
    let mut first = answer(first, 2, 11);
    let heard = shape(&first.answered());
    assert!(!heard.is_empty());
    let state = first.save().unwrap();
    drop(first);

    // Loaded before the host activates it, as hosts do, and while it is active.
    for active in [false, true] {
        let mut again = host(at(120.0));
        if !active {
            again.deactivate();
        }
        again.load(&state).unwrap();
        again.activate().unwrap();
        again.seek(3.875);
        again.play();
        again.run_to_beat(12.0 + RING).unwrap();
        assert_eq!(shape(&again.answered()), heard, "loaded while active: {active}");
        assert!(again.text("temperature").unwrap().starts_with("0.9"));
        assert_eq!(again.text("seed").unwrap(), "11");
    }
}

#[test]
fn a_project_opened_in_real_time_plays_from_its_first_block_on() {
    let mut first = answer(host(at(120.0)), 2, 11);
    let heard = shape(&first.answered());
    let state = first.save().unwrap();
    for _ in 0..20 {
        let settings = Settings { render: Render::Realtime, ..Settings::default() };
        let mut again = bundle().host(settings, at(120.0)).unwrap();
        again.deactivate();
        again.load(&state).unwrap();
        again.activate().unwrap();
        // The answer's first beat: what is not there by now is left out.
        again.seek(4.0);
        again.play();
        again.run_to_beat(12.0 + RING).unwrap();
        assert_eq!(shape(&again.answered()), heard);
    }
}

#[test]
fn loading_a_state_asks_for_nothing() {
    let mut first = after_phrase(host(at(120.0)));
    first.press("trigger").unwrap();
    // Saved while the button is down.
    first.run(16).unwrap();
    let state = first.save().unwrap();
    let mut again = host(at(120.0));
    again.load(&state).unwrap();
    again.seek(40.0);
    again.play();
    again.run_to_beat(60.0).unwrap();
    assert!(again.answered().is_empty(), "an answer nobody asked for");
}

#[test]
fn damaged_states_are_refused_without_harm() {
    let mut first = answer(host(at(120.0)), 1, 2);
    let state = first.save().unwrap();
    let mut host = host(at(120.0));
    for length in [0, 1, 7, state.len() / 2, state.len() - 1] {
        // Refused or not: what counts is that the plugin plays on.
        let _ = host.load(&state[..length]);
    }
    let mut noise = state.clone();
    noise.iter_mut().skip(20).step_by(13).for_each(|byte| *byte ^= 0x55);
    let _ = host.load(&noise);
    let host = answer(host, 1, 2);
    assert!(!host.answered().is_empty());
    assert!(hanging(&host).is_empty());
}

#[test]
fn a_thousand_instances_are_destroyed_while_they_answer() {
    let bundle = bundle();
    for round in 0u32..1000 {
        let render = if round % 2 == 0 { Render::Realtime } else { Render::Offline };
        let audio = if round % 3 == 0 { Audio::None } else { Audio::Stereo };
        let settings = Settings { render, audio, ..Settings::default() };
        let mut host = bundle.host(settings, at(960.0)).unwrap();
        let mut host = {
            host.set("takes", "8").unwrap();
            after_phrase(host)
        };
        ask(&mut host, 16, "now");
        // From the block with the press to some blocks later.
        host.run(512 * u64::from(1 + round % 4)).unwrap();
        drop(host);
    }
    let host = answer(bundle.host(Settings::default(), at(120.0)).unwrap(), 1, 1);
    assert!(!host.answered().is_empty(), "the next instance still answers");
}

#[test]
fn instances_answer_side_by_side() {
    let bundle = bundle();
    let mut hosts: Vec<_> = (0..6)
        .map(|_| {
            let mut host = after_phrase(bundle.host(Settings::default(), at(120.0)).unwrap());
            ask(&mut host, 2, "bar");
            host
        })
        .collect();
    for _ in 0..20 {
        hosts.iter_mut().for_each(|host| host.run(48_000).unwrap());
    }
    let shapes: Vec<_> = hosts.iter().map(|host| shape(&host.answered())).collect();
    assert!(!shapes[0].is_empty());
    assert!(shapes.iter().all(|other| *other == shapes[0]), "the same question, the same answer");
}

#[test]
fn another_sample_rate_and_block_size_keep_the_answer_in_place() {
    let mut host = answer(host(at(120.0)), 2, 5);
    let notes = |host: &continuo_tests::host::Host| -> Vec<(u64, u8)> {
        let grid = |beat: f64| (beat * 24.0).round().to_bits();
        host.answered().iter().map(|note| (grid(note.on.beat), note.key)).collect()
    };
    let before = notes(&host);
    assert!(!before.is_empty());
    for (rate, blocks) in [(44_100.0, [441, 17]), (96_000.0, [1024, 1]), (192_000.0, [8192, 3])] {
        host.reactivate(&blocks, Timeline::new(rate).with_tempo(0.0, 120.0)).unwrap();
        host.forget();
        host.seek(3.875);
        host.run_to_beat(12.0 + RING).unwrap();
        assert_eq!(notes(&host), before, "{rate} Hz, blocks of {blocks:?}");
        assert!(hanging(&host).is_empty());
        assert!(host.audio_is_clean());
    }
}

#[test]
fn ports_are_those_of_a_midi_effect() {
    let mut host = host(at(120.0));
    for inputs in [true, false] {
        let ports = host.note_ports(inputs);
        assert_eq!(ports.len(), 1);
        assert!(ports[0].clap && ports[0].midi, "{ports:?}");
    }
}
