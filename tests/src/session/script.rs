//! What happens in a session.

use rand::seq::IndexedRandom as _;
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// One thing that happens.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Time passes, in beats.
    Run(f64),
    /// The host uses blocks of these sizes in turn, and another sample rate.
    Reactivate(Vec<u32>, f64),
    /// Tempo and meter from the present beat on; several tempos a beat apart are a ramp.
    Tempo(Vec<f64>, (u16, u16)),
    /// The transport starts.
    Play,
    /// The transport stops.
    Stop,
    /// The transport goes to a beat.
    Seek(f64),
    /// The transport loops between two beats from now on.
    Loop(f64, f64),
    /// It loops no more.
    LoopOff,
    /// The host resets the plugin.
    Reset,
    /// The state is saved and loaded into the same instance.
    Reload,
    /// A parameter, counted from 0, is set to a place in its range, 0 to 1. Momentary ones
    /// are pressed.
    Set(usize, f64),
    /// A parameter is set or pressed by its name.
    Named(&'static str, &'static str),
    /// A note: channel, key, velocity; when, and how long, in beats.
    Note(u8, u8, u8, f64, f64),
    /// A controller: channel, number, value, when.
    Control(u8, u8, u8, f64),
    /// A pitch bend: channel, amount, when.
    Bend(u8, i16, f64),
}

/// Sizes of blocks that hosts use, and some that hosts should not.
const BLOCKS: [u32; 10] = [1, 7, 16, 64, 128, 333, 480, 1024, 4096, 8192];
/// Sample rates.
const RATES: [f64; 4] = [44_100.0, 48_000.0, 88_200.0, 96_000.0];
/// Meters.
const METERS: [(u16, u16); 6] = [(4, 4), (3, 4), (7, 8), (6, 8), (5, 4), (2, 2)];
/// Parameters that musicians use much, and their values.
const NAMED: [(&str, &str); 24] = [
    ("trigger", ""),
    ("trigger", ""),
    ("trigger", ""),
    ("again", ""),
    ("vary", ""),
    ("stop", ""),
    ("clear", ""),
    ("keep", ""),
    ("keep", ""),
    ("discard", ""),
    ("undo", ""),
    ("redo", ""),
    ("next", ""),
    ("previous", ""),
    ("mode", "Reply"),
    ("mode", "Trade"),
    ("mode", "Answer"),
    ("mode", "Accompany"),
    ("start", "Now"),
    ("start", "Next beat"),
    ("turn", "1"),
    ("yield", "Stops at once"),
    ("yield", "Stops at the bar"),
    ("bypass", "On"),
];

/// The session of a seed.
#[must_use]
pub fn script(seed: u64) -> Vec<Step> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    // Short answers of one or two takes, so that a session takes some milliseconds.
    let mut steps = vec![
        Step::Named("bars", if rng.random_bool(0.5) { "1" } else { "2" }),
        Step::Named("takes", if rng.random_bool(0.7) { "1" } else { "2" }),
        Step::Named("pause", "1"),
        Step::Play,
    ];
    for _ in 0..rng.random_range(8..28) {
        step(&mut rng, &mut steps);
    }
    steps
}

fn step(rng: &mut ChaCha8Rng, steps: &mut Vec<Step>) {
    match rng.random_range(0..100) {
        0..30 => phrase(rng, steps),
        30..55 => {
            let (name, value) = NAMED.choose(rng).copied().unwrap_or(NAMED[0]);
            steps.push(Step::Named(name, value));
            steps.push(Step::Run(rng.random_range(0.0..3.0)));
            if name == "bypass" {
                steps.push(Step::Named(name, "Off"));
            }
        }
        55..70 => steps.push(Step::Run(rng.random_range(0.0..6.0))),
        70..75 => steps.push(Step::Seek((rng.random_range(0.0_f64..24.0) * 4.0).round() / 4.0)),
        75..79 => {
            let from = f64::from(rng.random_range(0_u8..6));
            steps.push(Step::Loop(from, from + f64::from(rng.random_range(1_u8..9))));
        }
        79..82 => steps.push(Step::LoopOff),
        82..85 => steps.extend([Step::Stop, Step::Run(rng.random_range(0.0..5.0)), Step::Play]),
        85..89 => {
            let blocks = (0..rng.random_range(1..4)).filter_map(|_| BLOCKS.choose(rng).copied()).collect();
            steps.push(Step::Reactivate(blocks, RATES.choose(rng).copied().unwrap_or(48_000.0)));
        }
        89..92 => {
            let tempos =
                (0..rng.random_range(1..5)).map(|_| f64::from(rng.random_range(40_u16..300))).collect();
            steps.push(Step::Tempo(tempos, METERS.choose(rng).copied().unwrap_or((4, 4))));
        }
        92..94 => steps.push(Step::Reset),
        94..96 => steps.push(Step::Reload),
        _ => steps.push(Step::Set(rng.random_range(0..64), rng.random())),
    }
}

/// Some notes, with now and then a pedal, a controller, a bend, and time to play them.
fn phrase(rng: &mut ChaCha8Rng, steps: &mut Vec<Step>) {
    let channel = if rng.random_bool(0.8) { 0 } else { rng.random_range(0..16) };
    let length = rng.random_range(0.5..4.0);
    for _ in 0..rng.random_range(1..12) {
        let (key, velocity) = (rng.random_range(30..100), rng.random_range(1..128));
        let (start, long) = (rng.random_range(0.0..length), rng.random_range(0.01..1.5));
        steps.push(Step::Note(channel, key, velocity, start, long));
    }
    if rng.random_bool(0.3) {
        let down = rng.random_range(0.0..length);
        steps.push(Step::Control(channel, 64, 127, down));
        steps.push(Step::Control(channel, 64, 0, down + rng.random_range(0.1..2.0)));
    }
    if rng.random_bool(0.2) {
        let number = rng.next_u32().to_le_bytes()[0] % 64;
        steps.push(Step::Control(channel, number, rng.random_range(0..128), rng.random_range(0.0..length)));
        steps.push(Step::Bend(channel, rng.random_range(-8192..8192), rng.random_range(0.0..length)));
    }
    steps.push(Step::Run(length + rng.random_range(0.0..2.0)));
}
