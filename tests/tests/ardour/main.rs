//! The built VST3 in Ardour.

#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

use continuo_tests::ardour::session::{Pass, Piece, Speed};
use continuo_tests::ardour::Studio;
use continuo_tests::locate;
use continuo_tests::message::Message;

#[test]
fn first() {
    let studio = Studio::with_plugin(&locate::vst3().unwrap()).unwrap();
    let mut region = Vec::new();
    for (beat, key) in [(0.0, 60), (0.5, 64), (1.0, 67), (1.5, 72)] {
        region.push((beat, Message::on(0, key, 96)));
        region.push((beat + 0.4, Message::off(0, key)));
    }
    region.push((0.25, Message::control(0, 64, 127)));
    region.push((1.75, Message::control(0, 64, 0)));
    let piece = Piece { bpm: 120.0, region, press: Some(2.5), parameters: vec![("Seed", 7.0), ("Length", 1.0), ("Takes", 1.0)] };
    let session = studio.compose("first", &piece).unwrap();
    let heard = session.record(9.0, &Pass::default()).unwrap();
    for h in &heard { println!("{h:?}"); }
    let heard = session.record(9.0, &Pass { speed: Speed::Fast, manual: true }).unwrap();
    for h in &heard { println!("{h:?}"); }
}
