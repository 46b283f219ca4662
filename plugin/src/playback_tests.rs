//! Playback against transports of all kinds: block sizes, loops, seeks, tempo
//! changes, take switches, a player on the same keys.

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::ask::{Kind, Wish};
use crate::clock::{Clock, HostTime, Meter};

const RATE: f64 = 48_000.0;

/// A host, a clock, playback, and a listener that knows which keys sound.
struct Stage {
    clock: Clock,
    playback: Playback,
    host: HostTime,
    /// Samples since the beginning.
    time: u64,
    heard: Vec<(u64, u8, u8, bool)>,
    sounding: Vec<(u8, u8)>,
}

impl Stage {
    fn new() -> Self {
        let host = HostTime { playing: true, beats: Some(0.0), tempo: Some(120.0), ..HostTime::default() };
        Self {
            clock: Clock::default(),
            playback: Playback::default(),
            host,
            time: 0,
            heard: Vec::new(),
            sounding: Vec::new(),
        }
    }

    /// Runs a block as a well-behaved host does: split exactly where its loop ends.
    fn block(&mut self, samples: u32) {
        let step = self.host.tempo.unwrap() / 60.0 / RATE;
        let mut left = samples;
        while left > 0 {
            let beat = self.host.beats.unwrap();
            let mut part = left;
            if let Some((begin, end)) = self.host.cycle.filter(|c| beat < c.1 + 1e-6) {
                let until = crate::number::to_u32((end - beat) / step);
                if until == 0 {
                    self.host.beats = Some(begin);
                    continue;
                }
                part = part.min(until);
            }
            self.part(part, |_, _, _| ());
            left -= part;
        }
    }

    fn part(&mut self, samples: u32, then: impl FnOnce(&mut Playback, &Span, &mut Vec<Sound>)) {
        let step = self.host.tempo.unwrap() / 60.0 / RATE;
        let mut sounds = Vec::new();
        let [Some(span), None] = self.clock.advance(&self.host, samples) else { panic!("split") };
        if span.jump.is_some() {
            self.playback.jump(&span, &mut |s| sounds.push(s));
        }
        then(&mut self.playback, &span, &mut sounds);
        self.playback.render(&span, 0, samples, &mut |s| sounds.push(s));
        self.hear(&sounds, samples);
        if self.host.playing {
            self.host.beats = self.host.beats.map(|b| b + f64::from(samples) * step);
        }
        self.time += u64::from(samples);
    }

    fn hear(&mut self, sounds: &[Sound], samples: u32) {
        let mut last = 0;
        for sound in sounds {
            assert!(sound.sample >= last && sound.sample < samples, "out of order: {sounds:?}");
            last = sound.sample;
            let key = (sound.channel, sound.key);
            let held = self.sounding.iter().position(|k| *k == key);
            match (sound.velocity, held) {
                (Some(_), None) => self.sounding.push(key),
                (None, Some(at)) => drop(self.sounding.swap_remove(at)),
                (on, _) => panic!("{on:?} does not fit what sounds: {sounds:?}"),
            }
            self.heard.push((self.time + u64::from(sound.sample), key.0, key.1, sound.velocity.is_some()));
        }
    }

    /// Asks at the current beat for an answer at `start` with these notes.
    fn answer(&mut self, start: f64, grid: Grid, takes: &[Vec<PlayNote>]) {
        let at = self.host.beats.unwrap();
        self.part(1, |playback, span, sounds| {
            playback.silence(0, &mut |s| sounds.push(s));
            let id = playback.id().next_trigger();
            let ask = ask(id, at, start, takes.len(), span);
            playback.begin(&ask, grid, span);
            fill(playback, id, takes);
        });
    }

    fn ons(&self) -> Vec<(u64, u8)> {
        self.heard.iter().filter(|h| h.3).map(|h| (h.0, h.2)).collect()
    }
}

fn ask(id: AnswerId, at: f64, start: f64, takes: usize, span: &Span) -> Ask {
    Ask {
        id,
        kind: Kind::Answer,
        timeline: span.timeline,
        at,
        start,
        meter: Meter::COMMON,
        bar_line: 0.0,
        tempo: 120.0,
        heard: 0,
        wish: Wish { takes, ..Wish::default() },
    }
}

fn fill(playback: &mut Playback, id: AnswerId, takes: &[Vec<PlayNote>]) {
    for (take, notes) in takes.iter().enumerate() {
        for note in notes {
            playback.receive(ToPlayer::Note { id, take, note: *note }, 0, &mut |_| ());
        }
    }
    playback.receive(ToPlayer::Finished(id), 0, &mut |_| ());
}

fn note(start: f64, length: f64, key: u8) -> PlayNote {
    PlayNote { start, end: start + length, channel: 0, key, velocity: 90 }
}

fn scale() -> Vec<PlayNote> {
    (0..16_u8).map(|n| note(4.0 + f64::from(n) / 3.0, 0.25, 60 + n)).collect()
}

#[test]
fn block_sizes_do_not_move_notes() {
    let mut reference = None;
    for block in [1_u32, 7, 64, 333, 4096] {
        let mut stage = Stage::new();
        stage.host.tempo = Some(97.3);
        stage.answer(4.0, Grid::Beats(4.0), &[scale()]);
        while stage.host.beats.unwrap() < 12.0 {
            stage.block(block);
        }
        assert_eq!(stage.heard.len(), 32, "block {block}");
        // The whole answer, to the sample, is where beats times samples put it.
        let samples_per_beat = RATE * 60.0 / 97.3;
        let (time, ..) = stage.heard[0];
        assert_eq!(time, u64::from(crate::number::to_u32(4.0 * samples_per_beat)));
        let heard = stage.heard.clone();
        assert_eq!(reference.get_or_insert(heard.clone()), &heard, "block {block}");
    }
}

#[test]
fn a_repeated_key_is_released_before_it_is_struck_again() {
    let mut stage = Stage::new();
    // Overlapping, touching, and of no length at all.
    let notes = vec![note(1.0, 2.0, 60), note(2.0, 0.5, 60), note(2.5, 0.5, 60), note(3.5, 0.0, 61)];
    stage.answer(1.0, Grid::Any, &[notes]);
    while stage.time < 100_000 {
        stage.block(512);
    }
    let expected = [
        (24_000, 60, true),
        (48_000, 60, false),
        (48_000, 60, true),
        (60_000, 60, false),
        (60_000, 60, true),
        (72_000, 60, false),
        (84_000, 61, true),
        (84_001, 61, false),
    ];
    let heard: Vec<_> = stage.heard.iter().map(|h| (h.0, h.2, h.3)).collect();
    assert_eq!(heard, expected);
}

#[test]
fn an_answer_that_comes_late_moves_by_whole_bars_and_only_as_a_whole() {
    let mut stage = Stage::new();
    let notes = [note(4.0, 0.5, 60), note(6.0, 0.5, 61)];
    stage.part(1, |playback, span, _| {
        let id = playback.id().next_trigger();
        playback.begin(&ask(id, 0.0, 4.0, 1, span), Grid::Beats(4.0), span);
    });
    while stage.host.beats.unwrap() < 5.0 {
        stage.block(480);
    }
    assert_eq!(stage.playback.shift(), None);
    let id = stage.playback.id();
    fill(&mut stage.playback, id, &[notes.to_vec()]);
    while stage.host.beats.unwrap() < 12.0 {
        stage.block(480);
    }
    assert_eq!(stage.playback.shift(), Some(4.0));
    assert_eq!(stage.ons(), [(8 * 24_000, 60), (10 * 24_000, 61)]);
}

#[test]
fn with_start_now_a_late_answer_moves_by_exactly_what_is_needed() {
    let mut stage = Stage::new();
    stage.part(1, |playback, span, _| {
        let id = playback.id().next_trigger();
        playback.begin(&ask(id, 0.0, 0.0, 1, span), Grid::Any, span);
    });
    stage.block(999);
    let id = stage.playback.id();
    fill(&mut stage.playback, id, &[vec![note(0.0, 0.5, 60), note(1.0, 0.5, 61)]]);
    while stage.time < 60_000 {
        stage.block(480);
    }
    assert_eq!(stage.ons(), [(1000, 60), (25_000, 61)]);
}

#[test]
fn single_notes_that_come_late_are_dropped_and_heard_the_next_time_round() {
    let mut stage = Stage::new();
    stage.host.cycle = Some((0.0, 4.0));
    stage.part(1, |playback, span, _| {
        let id = playback.id().next_trigger();
        playback.begin(&ask(id, 0.0, 1.0, 1, span), Grid::Beats(1.0), span);
        playback.receive(ToPlayer::Note { id, take: 0, note: note(1.0, 0.5, 60) }, 0, &mut |_| ());
    });
    while stage.host.beats.unwrap() < 2.5 {
        stage.block(480);
    }
    let id = stage.playback.id();
    fill(&mut stage.playback, id, &[vec![note(2.0, 0.25, 61), note(3.0, 0.5, 62)]]);
    while stage.time < 8 * 24_000 {
        stage.block(480);
    }
    let at = |beat: u64, key| (beat * 24_000, key);
    assert_eq!(stage.ons(), [at(1, 60), at(3, 62), at(5, 60), at(6, 61), at(7, 62)]);
}

#[test]
fn an_answer_due_at_the_loops_end_begins_at_its_start() {
    for (late, shift) in [(false, 0.0), (true, 4.0)] {
        let mut stage = Stage::new();
        stage.host.cycle = Some((8.0, 16.0));
        stage.host.beats = Some(13.0);
        let notes = vec![note(8.0, 0.5, 60)];
        if late {
            stage.part(1, |playback, span, _| {
                let id = playback.id().next_trigger();
                playback.begin(&ask(id, 13.0, 16.0, 1, span), Grid::Beats(4.0), span);
            });
            while stage.time < 4 * 24_000 {
                stage.block(480);
            }
            let id = stage.playback.id();
            fill(&mut stage.playback, id, &[notes]);
        } else {
            stage.answer(16.0, Grid::Beats(4.0), &[notes]);
        }
        while stage.time < 10 * 24_000 {
            stage.block(480);
        }
        assert_eq!(stage.playback.shift(), Some(shift));
        let beats_after = if late { 7 } else { 3 };
        assert_eq!(stage.ons(), [(beats_after * 24_000, 60)]);
    }
}

#[test]
fn the_player_takes_a_key_over_and_keeps_it() {
    let mut stage = Stage::new();
    stage.answer(1.0, Grid::Any, &[vec![note(1.0, 4.0, 60), note(2.0, 1.0, 60), note(3.0, 0.5, 60)]]);
    while stage.time < 36_000 {
        stage.block(480);
    }
    let mut ends = Vec::new();
    stage.playback.player_on(0, 60, 0, &mut |s| ends.push(s));
    assert_eq!(ends, [Sound { sample: 0, channel: 0, key: 60, velocity: None }]);
    stage.sounding.clear();
    while stage.time < 60_000 {
        stage.block(480);
    }
    // The note at beat 2 was left out: the key is the player's.
    assert_eq!(stage.ons(), [(24_000, 60)]);
    assert!(stage.playback.player_off(0, 60));
    assert!(!stage.playback.player_off(0, 60));
    while stage.time < 80_000 {
        stage.block(480);
    }
    assert_eq!(stage.ons(), [(24_000, 60), (72_000, 60)]);
}

#[test]
fn stopping_silences_and_the_answer_stays_on_the_hosts_timeline() {
    let mut stage = Stage::new();
    stage.answer(1.0, Grid::Any, &[vec![note(1.0, 8.0, 60)]]);
    while stage.time < 30_000 {
        stage.block(480);
    }
    assert_eq!(stage.sounding.len(), 1);
    stage.host.playing = false;
    for _ in 0..200 {
        stage.block(480);
    }
    assert!(stage.sounding.is_empty());
    assert_eq!(stage.ons().len(), 1);
    stage.host = HostTime { playing: true, beats: Some(0.5), ..stage.host };
    for _ in 0..50 {
        stage.block(480);
    }
    assert_eq!(stage.ons().len(), 2);
}

#[test]
fn what_a_newer_answer_overtook_is_ignored() {
    let mut playback = Playback::default();
    let span = Stage::new().clock.advance(&HostTime::default(), 64)[0].unwrap();
    let old = playback.id().next_trigger();
    let newer = old.next_trigger();
    playback.begin(&ask(newer, 0.0, 0.0, 1, &span), Grid::Any, &span);
    fill(&mut playback, old, &[vec![note(0.0, 1.0, 60)]]);
    playback.receive(
        ToPlayer::Replace { id: old.next_restored(), takes: 3, on_host: true, start: 0.0, load: 0 },
        0,
        &mut |_| (),
    );
    assert_eq!((playback.id(), playback.takes.count()), (newer, 1));
    assert!(playback.takes.get(0).unwrap().notes().is_empty());
}

/// A project was opened over an answer on its way. Before its own was there, that one's
/// notes were heard, moved by a bar.
#[test]
fn what_was_there_is_not_heard_once_a_state_is_loaded() {
    let mut stage = Stage::new();
    let kept = Arc::new(KeptNotes::new(vec![note(0.25, 1.0, 70)]));
    stage.part(1, |playback, _, sounds| {
        let (notes, taken) = (Arc::clone(&kept), AnswerId::default());
        playback.receive(ToPlayer::Kept { notes, taken }, 0, &mut |s| sounds.push(s));
    });
    stage.answer(0.0, Grid::Any, &[vec![note(0.1, 1.0, 60), note(0.5, 1.0, 62)]]);
    stage.block(4_800);
    assert_eq!(stage.ons().len(), 1);
    let old = stage.playback.id();
    let load = |stage: &mut Stage, loads| {
        stage.part(1, |playback, _, sounds| playback.outdated(loads, &mut |s| sounds.push(s)));
    };
    load(&mut stage, 1);
    assert!(stage.sounding.is_empty());
    stage.part(1, |playback, _, _| fill(playback, old, &[vec![note(0.6, 1.0, 64)]]));
    stage.block(24_000);
    assert_eq!(stage.ons().len(), 1);

    // An answer that is asked for before the project's own is there is none of the old.
    stage.answer(2.0, Grid::Any, &[vec![note(2.0, 1.0, 65)]]);
    load(&mut stage, 1);
    let late = ToPlayer::Replace { id: old.next_restored(), takes: 1, on_host: true, start: 0.0, load: 1 };
    stage.part(1, |playback, _, sounds| playback.receive(late, 0, &mut |s| sounds.push(s)));
    stage.block(48_000);
    assert_eq!(stage.ons().last().map(|on| on.1), Some(65));

    // The next load's own is there before the block looks for it.
    let restored = stage.playback.id().next_restored();
    stage.part(1, |playback, _, sounds| {
        let on_host = true;
        let replace = ToPlayer::Replace { id: restored, takes: 1, on_host, start: 4.0, load: 2 };
        playback.receive(replace, 0, &mut |s| sounds.push(s));
        fill(playback, restored, &[vec![note(4.0, 1.0, 66)]]);
    });
    load(&mut stage, 2);
    stage.block(72_000);
    assert_eq!(stage.ons().last().map(|on| on.1), Some(66));
}

#[test]
fn every_note_on_gets_its_note_off_whatever_happens() {
    for seed in 0..300 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut stage = Stage::new();
        for _ in 0..rng.random_range(20..120) {
            disturb(&mut stage, &mut rng);
            let samples = rng.random_range(1..6000);
            stage.block(samples);
        }
        // An emptied answer leaves nothing behind.
        let mut ends = Vec::new();
        stage.playback.silence(0, &mut |s| ends.push(s));
        stage.hear(&ends, 1);
        assert!(stage.sounding.is_empty(), "seed {seed}: {:?}", stage.sounding);
        // Straight on, everything ends by itself too.
        stage.host = HostTime { playing: true, beats: Some(0.0), cycle: None, ..stage.host };
        while stage.host.beats.unwrap() < 64.0 {
            stage.block(8192);
        }
        assert!(stage.sounding.is_empty(), "seed {seed}: {:?}", stage.sounding);
    }
}

fn disturb(stage: &mut Stage, rng: &mut impl Rng) {
    let beat = f64::from(rng.random_range(0..64_u32)) / 4.0;
    match rng.random_range(0..10) {
        0 => stage.host.beats = Some(beat),
        1 => stage.host.playing = !stage.host.playing,
        2 => stage.host.tempo = Some(f64::from(rng.random_range(30..300_u32))),
        3 => stage.host.cycle = rng.random_bool(0.5).then_some((beat, beat + 2.0)),
        4 => {
            let take = rng.random_range(0..4);
            stage.part(1, |playback, _, sounds| playback.set_take(take, 0, &mut |s| sounds.push(s)));
        }
        5 | 6 => {
            let takes: Vec<Vec<PlayNote>> = (0..3).map(|_| random_take(rng)).collect();
            let grid = if rng.random_bool(0.5) { Grid::Beats(4.0) } else { Grid::Any };
            stage.answer(beat, grid, &takes);
        }
        7 => stage.clock.restart(),
        8 => stage.part(1, |playback, _, sounds| {
            playback.silence(0, &mut |s| sounds.push(s));
            playback.clear(playback.id().next_trigger());
        }),
        _ => {}
    }
}

fn random_take(rng: &mut impl Rng) -> Vec<PlayNote> {
    (0..40)
        .map(|_| {
            let start = f64::from(rng.random_range(0..2000_u32)) / 100.0;
            note(start, f64::from(rng.random_range(0..300_u32)) / 100.0, rng.random_range(60..66))
        })
        .collect()
}
