//! What the player plays goes through at its very sample, in both dialects, alone
//! and beside an answer.

use crate::scene::{ask, at, bundle, four_notes};
use continuo_tests::host::{Audio, Host, Settings};
use continuo_tests::message::{Dialect, Message};

/// Controllers, bends, pressures and notes, on several channels.
fn playing(host: &mut Host) -> Vec<(u64, Message)> {
    let mut sent = Vec::new();
    for step in 0..200u8 {
        let clock = host.clock() + u64::from(step) * 397 + 11;
        let channel = step % 16;
        let message = match step % 6 {
            0 => Message::control(channel, step % 120, step % 128),
            1 => Message::bend(channel, i16::from(step) * 40 - 4000),
            2 => Message::Raw([0xD0 | channel, step % 128, 0]),
            3 => Message::Raw([0xA0 | channel, step % 128, 33]),
            4 => Message::on(channel, step % 128, 1 + step % 127),
            _ => Message::off((step - 1) % 16, (step - 1) % 128),
        };
        sent.push((clock, message));
    }
    for &(clock, message) in &sent {
        host.send(clock, message);
    }
    sent
}

pub(crate) fn passed(host: &Host) -> Vec<(u64, Message)> {
    host.heard().iter().filter(|heard| heard.thru).map(|heard| (heard.clock, heard.message)).collect()
}

#[test]
fn everything_passes_at_its_sample_in_both_dialects_and_layouts() {
    for dialect in [Dialect::Clap, Dialect::Midi] {
        for audio in [Audio::Stereo, Audio::None] {
            for blocks in [vec![1], vec![64], vec![4096, 7]] {
                let settings = Settings { blocks, audio, dialect, ..Settings::default() };
                let shown = format!("{settings:?}");
                let mut host = bundle().host(settings, at(120.0)).unwrap();
                host.play();
                let sent = playing(&mut host);
                host.run(90_000).unwrap();
                assert_eq!(passed(&host), sent, "{shown}");
                assert!(host.audio_is_clean(), "{shown}: the audio output was left unwritten");
            }
        }
    }
}

#[test]
fn everything_passes_beside_an_answer_in_the_order_of_time() {
    let mut host = bundle().host(Settings { blocks: vec![512], ..Settings::default() }, at(120.0)).unwrap();
    host.play();
    four_notes(&mut host, 0.0);
    host.run_to_beat(3.9).unwrap();
    host.forget();
    ask(&mut host, 4, "bar");
    let sent = playing(&mut host);
    host.run_to_beat(12.0).unwrap();
    assert!(!host.answered().is_empty());
    for event in &sent {
        assert!(host.heard().iter().any(|heard| (heard.clock, heard.message) == *event), "{event:?} is lost");
    }
    assert!(host.heard().is_sorted_by_key(|heard| heard.clock), "events are out of order");
}
