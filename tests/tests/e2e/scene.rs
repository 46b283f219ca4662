//! What most tests begin with: a host whose plugin has heard a short phrase.

use continuo_tests::host::{Bundle, Host, Settings};
use continuo_tests::message::Message;
use continuo_tests::notes::{Heard, Played};
use continuo_tests::timeline::Timeline;

pub(crate) const RATE: f64 = 48_000.0;

/// The longest note of the default model's encoding and a little more, in beats: an
/// answer's last note may ring so long.
pub(crate) const RING: f64 = 33.0;

/// The built plugin; a test without it says how to build it.
pub(crate) fn bundle() -> Bundle {
    let path = crate::plugin().unwrap_or_else(|error| panic!("{error:#}"));
    Bundle::load(&path).unwrap_or_else(|error| panic!("{error:#}"))
}

/// A host that renders offline.
pub(crate) fn host(timeline: Timeline) -> Host {
    bundle().host(Settings::default(), timeline).unwrap()
}

/// A host that renders offline in blocks of these sizes in turn.
pub(crate) fn host_in_blocks(blocks: &[u32], timeline: Timeline) -> Host {
    let settings = Settings { blocks: blocks.to_vec(), ..Settings::default() };
    bundle().host(settings, timeline).unwrap()
}

/// Constant tempo, 4/4.
pub(crate) fn at(bpm: f64) -> Timeline {
    Timeline::new(RATE).with_tempo(0.0, bpm)
}

/// Four notes, one a beat from `beat` on, the last a little short.
pub(crate) fn four_notes(host: &mut Host, beat: f64) {
    for (index, key) in (0u8..).zip([60, 64, 67, 72]) {
        let on = beat + f64::from(index);
        host.send_at_beat(on, Message::on(0, key, 96));
        host.send_at_beat(on + 0.75, Message::off(0, key));
    }
}

/// The phrase has been played over the first bar of 4/4 and the transport stands
/// at beat 3.875, rolling.
pub(crate) fn after_phrase(mut host: Host) -> Host {
    host.play();
    four_notes(&mut host, 0.0);
    host.run_to_beat(3.875).unwrap();
    host
}

/// Asks for an answer of so many bars, now.
pub(crate) fn ask(host: &mut Host, bars: u8, start: &str) {
    host.set("bars", &bars.to_string()).unwrap();
    host.choose("start", start).unwrap();
    host.press("trigger").unwrap();
}

/// An answer of `bars` bars of 4/4, asked for after the phrase, heard to its end.
pub(crate) fn answer(mut host: Host, bars: u8, seed: u16) -> Host {
    host.set("seed", &seed.to_string()).unwrap();
    let mut host = after_phrase(host);
    ask(&mut host, bars, "bar");
    host.run_to_beat(4.0 * f64::from(bars) + 4.0 + RING).unwrap();
    host
}

/// Runs until a note of the answer sounds.
pub(crate) fn until_sounding(host: &mut Host) {
    let limit = 20 * 48_000;
    let sounding = host.run_until(limit, |host| host.answered().iter().any(|note| note.off.is_none()));
    assert!(sounding.unwrap(), "no note of the answer ever sounded");
}

/// The notes that hang.
pub(crate) fn hanging(host: &Host) -> Vec<Played> {
    host.played().into_iter().filter(|note| note.off.is_none()).collect()
}

/// Messages with their clocks, to be compared.
pub(crate) fn stamps(heard: &[Heard]) -> Vec<(u64, Message)> {
    heard.iter().map(|heard| (heard.clock, heard.message)).collect()
}

/// Onset and end in samples from the first onset, key and velocity, to be compared.
pub(crate) fn shape(notes: &[Played]) -> Vec<(u64, Option<u64>, u8, u8)> {
    let first = notes.first().map_or(0, |note| note.on.clock);
    notes
        .iter()
        .map(|note| {
            let off = note.off.map(|off| off.clock - first);
            (note.on.clock - first, off, note.key, note.velocity)
        })
        .collect()
}
