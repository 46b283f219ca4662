//! How a player plays, and an answer played that way: where in the beat notes lie before
//! or behind it, and how loud they are there.
//!
//! Timing is taken as a warp of the beat: the mean distances of the player's notes from the
//! beat and from the half beat, and straight lines between them. So a swung half beat
//! carries the sixteenths around it along, and no note overtakes another.

use crate::generation::BeatNote;

/// A note further from the beat and the half beat than this is played between them on
/// purpose. Below a quarter, so that the warp never runs backwards.
const NEAR: f64 = 0.18;
/// Parts of a beat whose loudness is told apart.
const PARTS: usize = 4;
/// How many notes of the player's a part's accent needs to count for half.
const SURE: f64 = 2.0;

/// How a player plays.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Feel {
    /// Mean distance in beats of notes near the beat, near the half beat.
    warp: [f64; 2],
    /// Mean velocity in each part of the beat.
    accents: [f64; PARTS],
    /// Whether anything was played.
    known: bool,
}

/// How much an answer is played as the player plays, 0 to 1, and what was played of it.
#[derive(Clone, Debug, Default)]
pub struct Follower {
    feel: Feel,
    velocity: f64,
    timing: f64,
    /// No note begins before this beat.
    from: f64,
    /// Sum and number of the model's velocities, each take.
    heard: Vec<(f64, f64)>,
}

impl Feel {
    /// Of notes: onsets in beats, counted from a beat, and MIDI velocities.
    #[must_use]
    pub fn of(notes: impl Iterator<Item = (f64, u8)>) -> Self {
        let (mut warp, mut loud) = ([(0.0, 0.0); 2], [(0.0, 0.0); PARTS]);
        for (start, velocity) in notes.filter(|(start, _)| start.is_finite()) {
            let half = (start * 2.0).round();
            let off = start - half / 2.0;
            if off.abs() <= NEAR {
                add(&mut warp[usize::from(half.rem_euclid(2.0) >= 0.5)], off);
            }
            add(&mut loud[part(start)], f64::from(velocity));
        }
        let (sum, number) = loud.iter().fold((0.0, 0.0), |all, part| (all.0 + part.0, all.1 + part.1));
        let level = if number > 0.0 { sum / number } else { 0.0 };
        Self {
            warp: warp.map(|(sum, number)| if number > 0.0 { sum / number } else { 0.0 }),
            accents: loud.map(|(sum, number)| (sum + level * SURE) / (number + SURE)),
            known: number > 0.0,
        }
    }

    /// Where a beat lies as the player plays.
    fn warped(&self, beat: f64) -> f64 {
        let halves = beat * 2.0;
        let near = halves.floor();
        let [on, off] = self.warp;
        let (before, after) = if near.rem_euclid(2.0) < 0.5 { (on, off) } else { (off, on) };
        beat + before + (after - before) * (halves - near)
    }
}

fn add((sum, number): &mut (f64, f64), value: f64) {
    *sum += value;
    *number += 1.0;
}

fn part(beat: f64) -> usize {
    let sixteenth = (beat * 4.0).round().rem_euclid(4.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 3")]
    let part = sixteenth as usize;
    part.min(PARTS - 1)
}

impl Follower {
    /// Follows a player by so much in how loud and in when, in an answer that begins at a
    /// beat.
    #[must_use]
    pub fn new(feel: Feel, velocity: f32, timing: f32, from: f64) -> Self {
        let amount = |value: f32| if feel.known { f64::from(value).clamp(0.0, 1.0) } else { 0.0 };
        let (velocity, timing) = (amount(velocity), amount(timing));
        Self { feel, velocity, timing, from, heard: Vec::new() }
    }

    /// Where something lies that the model puts at a beat. Order is kept.
    #[must_use]
    pub fn beat(&self, beat: f64) -> f64 {
        if self.timing <= 0.0 || !beat.is_finite() {
            return beat;
        }
        (beat + self.timing * (self.feel.warped(beat) - beat)).max(self.from)
    }

    /// A note as it is played. Notes of a take come in their order.
    pub fn play(&mut self, take: usize, note: BeatNote) -> BeatNote {
        let start = self.beat(note.start);
        let end = self.beat(note.start + note.duration);
        let duration = if self.timing > 0.0 { (end - start).max(note.duration / 8.0) } else { note.duration };
        BeatNote { start, duration, velocity: self.loud(take, note), ..note }
    }

    fn loud(&mut self, take: usize, note: BeatNote) -> u8 {
        if self.velocity <= 0.0 {
            return note.velocity;
        }
        if self.heard.len() <= take {
            self.heard.resize(take + 1, (0.0, 0.0));
        }
        let velocity = f64::from(note.velocity);
        add(&mut self.heard[take], velocity);
        let (sum, number) = self.heard[take];
        // The player's accent there, and half of how the model departs from its own level.
        let wanted = self.feel.accents[part(note.start)] + (velocity - sum / number) / 2.0;
        let played = (velocity + self.velocity * (wanted - velocity)).round().clamp(1.0, 127.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 to 127")]
        let played = played as u8;
        played
    }
}

#[cfg(test)]
mod tests {
    use continuo_codec::Instrument;

    use super::*;

    fn note(start: f64, velocity: u8) -> BeatNote {
        BeatNote { start, duration: 0.25, pitch: 60, velocity, instrument: Instrument::PIANO }
    }

    fn eighths(swing: f64) -> impl Iterator<Item = (f64, u8)> {
        (0..8).map(move |n| {
            let late = if n % 2 == 1 { swing } else { 0.0 };
            (f64::from(n) / 2.0 + late, if n % 2 == 0 { 100 } else { 60 })
        })
    }

    #[test]
    fn at_nothing_nothing_changes_nor_without_a_player() {
        for feel in [Feel::of(eighths(0.1)), Feel::of(std::iter::empty())] {
            let known = feel.known;
            let mut follower =
                Follower::new(feel, if known { 0.0 } else { 1.0 }, if known { 0.0 } else { 1.0 }, 4.0);
            for at in 0..40_u8 {
                let note = note(3.0 + f64::from(at) / 12.0, 60 + at);
                assert_eq!(follower.play(0, note), note);
            }
        }
    }

    #[test]
    fn who_swings_is_answered_swinging() {
        for swing in [-0.12, 0.05, 1.0 / 6.0] {
            let mut whole = Follower::new(Feel::of(eighths(swing)), 0.0, 1.0, 0.0);
            assert!((whole.play(0, note(9.5, 80)).start - (9.5 + swing)).abs() < 1e-9);
            assert!((whole.play(0, note(10.0, 80)).start - 10.0).abs() < 1e-9);
            let mut half = Follower::new(Feel::of(eighths(swing)), 0.0, 0.5, 0.0);
            assert!((half.play(0, note(9.5, 80)).start - (9.5 + swing / 2.0)).abs() < 1e-9);
        }
    }

    #[test]
    fn no_note_overtakes_another_or_begins_before_the_answer() {
        for swing in [-0.18, 0.0, 0.18] {
            let late = eighths(swing).map(|(start, velocity)| (start - 0.05, velocity));
            let mut follower = Follower::new(Feel::of(late), 0.0, 1.0, 4.0);
            let mut last = 4.0;
            for at in 0..480_u32 {
                let beat = 4.0 + f64::from(at) / 96.0;
                let played = follower.play(0, note(beat, 80));
                assert!(played.start >= last && played.duration > 0.0, "{swing} {beat}: {played:?}");
                assert_eq!(follower.beat(beat), played.start);
                last = played.start;
            }
        }
    }

    #[test]
    fn loudness_and_accents_become_the_players() {
        let mut follower = Follower::new(Feel::of(eighths(0.0)), 1.0, 0.0, 0.0);
        let played: Vec<f64> = (0..64_u8)
            .map(|n| f64::from(follower.play(0, note(f64::from(n) / 2.0, 30 + n % 5)).velocity))
            .collect();
        let mean = |from: usize| played.iter().skip(from).step_by(2).sum::<f64>() / 32.0;
        assert!((mean(0) - mean(1)) > 20.0, "{played:?}");
        assert!((f64::midpoint(mean(0), mean(1)) - 80.0).abs() < 3.0, "{played:?}");
    }
}
