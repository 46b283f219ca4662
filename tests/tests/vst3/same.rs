//! What one format of the plugin plays, the other plays.

use crate::scene::{RATE, RING, after_phrase, ask, bundle, stamps};
use continuo_tests::host::{Bundle, Render, Settings};
use continuo_tests::locate;
use continuo_tests::message::Message;
use continuo_tests::timeline::Timeline;

/// Phrase, pedal and answer, as they are heard from a plugin.
fn heard(bundle: &Bundle, bpm: f64, blocks: &[u32]) -> Vec<(u64, Message)> {
    let settings = Settings { blocks: blocks.to_vec(), ..Settings::default() };
    let mut host = bundle.host(settings, Timeline::new(RATE).with_tempo(0.0, bpm)).unwrap();
    host.set("seed", "5").unwrap();
    host.send_at_beat(0.5, Message::control(0, 64, 127));
    host.send_at_beat(3.5, Message::control(0, 64, 0));
    let mut host = after_phrase(host);
    ask(&mut host, 2, "bar");
    host.run_to_beat(12.0 + RING).unwrap();
    assert!(!host.answered().is_empty());
    let mut stamps = stamps(host.heard());
    // Simultaneous events may come in any order.
    stamps.sort_unstable();
    stamps
}

#[test]
fn the_vst3_plays_what_the_clap_plays_to_the_sample() {
    let vst3 = bundle();
    let clap = Bundle::load(&locate::bundle().unwrap()).unwrap();
    assert_eq!(vst3.name(), clap.name());
    for (bpm, blocks) in [(120.0, &[512][..]), (97.0, &[64, 1000]), (211.0, &[8192])] {
        assert_eq!(heard(&vst3, bpm, blocks), heard(&clap, bpm, blocks), "{bpm} in {blocks:?}");
    }
}

/// nice-plug 0.4.2 told the plugin how the setup before this one had been to render, so
/// that the first bounce was taken for playing, and went on without its answer.
#[test]
fn the_first_setup_says_that_this_is_a_bounce() {
    let mut host = after_phrase(bundle().host(Settings::default(), Timeline::new(RATE)).unwrap());
    let pressed = host.clock();
    ask(&mut host, 1, "now");
    host.run_to_beat(8.0).unwrap();
    let first = host.answered().first().expect("the bounce has no answer").on.clock;
    // No later than the next step of the grid of 24 a beat, 1,000 samples.
    assert!((pressed..=pressed + 1000).contains(&first), "pressed at {pressed}, heard at {first}");
}

/// Ardour exports without setting its plugins up anew: only the blocks say that they are
/// rendered offline. nice-plug 0.4.2 does not listen to that, so that an answer could come
/// a bar late in one export and not in the next.
#[test]
fn a_block_that_says_that_it_is_a_bounce_waits_and_the_next_that_does_not_goes_on() {
    let long = 2048;
    let settings = Settings { blocks: vec![long], render: Render::Realtime, ..Settings::default() };
    let mut host = after_phrase(bundle().host(settings, Timeline::new(RATE)).unwrap());
    for freewheeling in [true, false, true] {
        host.freewheel(freewheeling);
        let (pressed, before) = (host.clock(), host.answered().len());
        ask(&mut host, 1, "now");
        host.run(u64::from(long)).unwrap();
        // The first note's place is in the very block of the press, at the next step of the
        // grid of 24 a beat; it is there only if the block has waited for it.
        let answered = host.answered();
        assert_eq!(answered.len() > before, freewheeling, "pressed at {pressed}: {answered:?}");
    }
}
