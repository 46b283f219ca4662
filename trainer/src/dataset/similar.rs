//! Music that is the same: exactly, or nearly.
//!
//! Two files are nearly the same when they share most of their *shingles*: runs of
//! [`PITCHED`] steps from note to note, as intervals, so that key, tempo, loudness and note
//! lengths do not count; of drums, runs of [`DRUMS`] strokes, and the sixteenths between them
//! only where one or two drums are all there is. The share is that of the common shingles
//! among all of both (Jaccard's index), which is estimated from [`HASHES`] minimal hashes of
//! each file (Broder, On the resemblance and containment of documents, 1997). Files that may
//! be above [`THRESHOLD`] are found by comparing the hashes in bands of [`ROWS`] first, so not
//! all pairs are looked at.

use std::collections::HashMap;

use continuo_codec::{Note, Score};

use crate::files::fnv1a;

/// Steps in a shingle of pitched notes.
pub const PITCHED: usize = 8;
/// Strokes in a shingle of drums.
pub const DRUMS: usize = 8;
/// Minimal hashes of a file. The share they tell is off by 0.04 at most, mostly.
pub const HASHES: usize = 128;
/// Hashes that two files must have in common in one place to be compared: of files that share
/// three shingles in ten, 998 pairs in a thousand have.
pub const ROWS: usize = 2;
/// The share of common shingles from which on two files are nearly the same. What is not the
/// same music shares less than a tenth; a clip of four bars that lacks one, about a third.
pub const THRESHOLD: f64 = 0.3;

/// A file's minimal hashes.
pub type Sketch = Vec<u32>;

/// Equal for files whose notes and tempi are the same.
#[must_use]
pub fn exact(score: &Score) -> u64 {
    let notes = score.notes.iter().flat_map(|note| {
        let (start, length) = (fine(score, note.start), fine(score, note.start + note.duration));
        let rest = [note.instrument.index(), note.pitch, note.velocity];
        start.to_le_bytes().into_iter().chain(length.to_le_bytes()).chain(rest)
    });
    let tempos = score.tempos.iter().flat_map(|tempo| {
        fine(score, tempo.tick).to_le_bytes().into_iter().chain(tempo.micros_per_beat.to_le_bytes())
    });
    fnv1a(notes.chain(tempos))
}

/// A tick in 960ths of a beat, whatever the file counts in.
fn fine(score: &Score, tick: u32) -> u64 {
    u64::from(tick) * 960 / u64::from(score.ticks_per_beat.max(1))
}

/// A file's minimal hashes; none of a file with fewer notes than a shingle has.
#[must_use]
pub fn sketch(score: &Score) -> Sketch {
    let mut least = vec![u32::MAX; HASHES];
    let mut any = false;
    let mut add = |shingle: u64| {
        any = true;
        let mut state = shingle;
        for least in &mut least {
            *least = (*least).min(next(&mut state));
        }
    };
    for instruments in [false, true] {
        let notes = in_order(score, instruments);
        if instruments {
            drum_shingles(score, &notes).for_each(&mut add);
        } else {
            pitched_shingles(&notes).for_each(&mut add);
        }
    }
    if any { least } else { Vec::new() }
}

/// Where a name lies from 0 to 1, as if by chance, always the same.
pub(crate) fn place(name: &[u8]) -> f64 {
    // FNV's upper bits hardly depend on a name's last letters, so it is hashed once more.
    f64::from(next(&mut fnv1a(name.iter().copied()))) / f64::from(u32::MAX)
}

/// The next of a series of hashes (Steele, Lea, Flood, Fast splittable pseudorandom number
/// generators, 2014: SplitMix64).
fn next(state: &mut u64) -> u32 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) >> 32) as u32
}

/// The drums, or all but them, in the order they are heard. What begins within a
/// sixteenth of a beat is one chord, from its lowest note up: so it stays when a file is
/// played a little otherwise.
fn in_order(score: &Score, drums: bool) -> Vec<Note> {
    let mut notes: Vec<Note> =
        score.notes.iter().filter(|note| note.instrument.is_drums() == drums).copied().collect();
    notes.sort_by_key(|note| (note.start, note.pitch));
    let near = u32::from(score.ticks_per_beat) / 16;
    let mut from = 0;
    while from < notes.len() {
        let first = notes[from].start;
        let to = from + notes[from..].partition_point(|note| note.start <= first + near);
        notes[from..to].sort_by_key(|note| note.pitch);
        notes[from..to].iter_mut().for_each(|note| note.start = first);
        from = to;
    }
    // The same key in two hands or twice in a chord is heard once.
    notes.dedup_by_key(|note| (note.start, note.pitch));
    notes
}

fn pitched_shingles(notes: &[Note]) -> impl Iterator<Item = u64> {
    notes
        .windows(PITCHED + 1)
        .map(|run| fnv1a(run.windows(2).map(|pair| pair[1].pitch.wrapping_sub(pair[0].pitch))))
}

/// The order of three drums tells enough. With times a swung beat, whose strokes fall half-way
/// between two sixteenths, would be another one when it is played a little slower. Of one
/// drum or two it takes times to tell a roll from a march.
fn drum_shingles<'a>(score: &'a Score, notes: &'a [Note]) -> impl Iterator<Item = u64> + 'a {
    let sixteenth = (u32::from(score.ticks_per_beat) / 4).max(1);
    notes.windows(DRUMS).map(move |run| {
        let first = |&n: &usize| run[..n].iter().all(|other| other.pitch != run[n].pitch);
        let timed = (0..run.len()).filter(first).count() < 3;
        fnv1a(run.iter().enumerate().flat_map(|(n, note)| {
            let since = if n == 0 { 0 } else { note.start - run[n - 1].start };
            let since = if timed { (since + sixteenth / 2) / sixteenth } else { since.min(1) };
            [note.pitch, u8::try_from(since).unwrap_or(u8::MAX)]
        }))
    })
}

/// The share of common shingles that two files' hashes tell.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "128 hashes")]
pub fn share(a: &[u32], b: &[u32]) -> f64 {
    if a.is_empty() || b.is_empty() {
        return 0.0;
    }
    a.iter().zip(b).filter(|(a, b)| a == b).count() as f64 / HASHES as f64
}

/// All pairs of files that are nearly the same, the smaller index first, in order.
#[must_use]
pub fn pairs(sketches: &[&[u32]]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    for band in 0..HASHES / ROWS {
        let mut alike: HashMap<&[u32], Vec<usize>> = HashMap::new();
        for (index, sketch) in sketches.iter().enumerate() {
            let Some(key) = sketch.get(band * ROWS..(band + 1) * ROWS) else { continue };
            alike.entry(key).or_default().push(index);
        }
        for group in alike.into_values().filter(|group| group.len() > 1) {
            // Each with the first is enough where all are alike, and with each other where
            // they are few.
            for (n, &a) in group.iter().enumerate().take(FEW) {
                found.extend(
                    group[n + 1..]
                        .iter()
                        .map(|&b| (a, b))
                        .filter(|&(a, b)| share(sketches[a], sketches[b]) >= THRESHOLD),
                );
            }
        }
        found.sort_unstable();
        found.dedup();
    }
    found
}

/// Members of a band that are compared with all others in it.
const FEW: usize = 16;

/// Sets of things that belong together.
pub struct Together(Vec<usize>);

impl Together {
    /// So many things, each by itself.
    #[must_use]
    pub fn new(count: usize) -> Self {
        Self((0..count).collect())
    }

    /// Two things belong together, and so does all that belongs to either.
    pub fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.of(a), self.of(b));
        // The smallest stands for all, whatever the order they are joined in.
        self.0[a.max(b)] = a.min(b);
    }

    /// What stands for all that belong to this.
    pub fn of(&mut self, mut thing: usize) -> usize {
        while self.0[thing] != thing {
            self.0[thing] = self.0[self.0[thing]];
            thing = self.0[thing];
        }
        thing
    }
}

#[cfg(test)]
mod tests {
    use continuo_codec::{Instrument, Tempo};

    use super::*;

    /// A piece of some bars that wanders by the seed.
    fn piece(seed: u32, notes: u32) -> Score {
        let mut score = Score::new(480);
        let mut state = u64::from(seed);
        let mut pitch = 60_i32;
        for i in 0..notes {
            let step = i32::try_from(next(&mut state) % 13).unwrap() - 6;
            pitch = (pitch + step).clamp(36, 84);
            score.notes.push(Note {
                start: i * 240,
                instrument: Instrument::PIANO,
                pitch: u8::try_from(pitch).unwrap(),
                duration: 200,
                velocity: 80,
            });
        }
        score.normalize();
        score
    }

    fn near(a: &Score, b: &Score) -> f64 {
        share(&sketch(a), &sketch(b))
    }

    #[test]
    fn what_was_done_to_a_piece_does_not_make_it_another() {
        let original = piece(7, 300);
        let mut transposed = original.clone();
        transposed.notes.iter_mut().for_each(|note| note.pitch += 4);
        assert_eq!(near(&original, &transposed), 1.0);
        let mut slower = original.clone();
        for note in &mut slower.notes {
            note.start = note.start * 103 / 100;
            note.duration = note.duration * 103 / 100;
            note.velocity = 64 + note.pitch % 32;
        }
        assert!(near(&original, &slower) > 0.95);
        let mut tempo = original.clone();
        tempo.tempos = vec![Tempo { tick: 0, micros_per_beat: 700_000 }];
        assert_eq!(near(&original, &tempo), 1.0);
        assert_ne!(exact(&original), exact(&tempo));
        let mut cut = original.clone();
        cut.notes.retain(|note| !(4 * 1920..5 * 1920).contains(&note.start));
        assert!(near(&original, &cut) > 0.8);
        assert!(near(&original, &piece(8, 300)) < 0.1);
    }

    /// With the share at a half, a short clip and its copy could lie on both sides of the split.
    #[test]
    fn a_clip_of_four_bars_that_lacks_one_is_the_same() {
        for seed in 0..20 {
            // Sixteen notes a bar.
            let original = piece(seed, 64);
            let mut cut = original.clone();
            cut.notes.retain(|note| !(16 * 240..32 * 240).contains(&note.start));
            assert!(near(&original, &cut) > THRESHOLD, "{seed}: {}", near(&original, &cut));
        }
    }

    /// Strokes of these drums, one after another in so many ticks.
    fn strokes(drums: &[u8], ticks: &[u32]) -> Score {
        let mut score = Score::new(480);
        let mut start = 0;
        for i in 0..64 {
            let pitch = drums[(i * i / 3 + i) % drums.len()];
            let instrument = Instrument::DRUMS;
            score.notes.push(Note { start, instrument, pitch, duration: 60, velocity: 80 });
            start += ticks[i % ticks.len()];
        }
        score
    }

    /// With sixteenths, what swings by 1.47 of one, and by 1.51 when slower, was another beat.
    #[test]
    fn a_swung_beat_a_little_slower_is_the_same_and_a_roll_is_no_march() {
        let beat = strokes(&[36, 42, 38, 42, 46], &[176, 64]);
        let mut slower = beat.clone();
        slower.notes.iter_mut().for_each(|note| note.start = note.start * 103 / 100);
        assert!(near(&beat, &slower) > THRESHOLD, "{}", near(&beat, &slower));
        let (roll, march) = (strokes(&[38], &[60]), strokes(&[38], &[240, 120, 120]));
        assert!(near(&roll, &march) < 0.1, "{}", near(&roll, &march));
    }

    #[test]
    fn pairs_are_found_among_many() {
        let mut all: Vec<Score> = (0..200).map(|seed| piece(seed, 120)).collect();
        let mut copy = all[17].clone();
        copy.notes.iter_mut().for_each(|note| note.pitch -= 3);
        all.push(copy);
        let sketches: Vec<Sketch> = all.iter().map(sketch).collect();
        let sketches: Vec<&[u32]> = sketches.iter().map(Vec::as_slice).collect();
        assert_eq!(pairs(&sketches), [(17, 200)]);
    }

    #[test]
    fn the_same_in_other_ticks_is_exactly_the_same() {
        let original = piece(3, 60);
        let mut finer = original.clone();
        finer.ticks_per_beat = 960;
        for note in &mut finer.notes {
            (note.start, note.duration) = (note.start * 2, note.duration * 2);
        }
        assert_eq!(exact(&original), exact(&finer));
    }

    #[test]
    fn what_belongs_together_does_so_however_it_was_joined() {
        for joins in [[(1, 2), (3, 4), (2, 3)], [(2, 3), (3, 4), (1, 2)], [(4, 3), (2, 1), (3, 2)]] {
            let mut together = Together::new(6);
            joins.iter().for_each(|&(a, b)| together.join(a, b));
            let of: Vec<_> = (0..6).map(|thing| together.of(thing)).collect();
            assert_eq!(of, [0, 1, 1, 1, 1, 5]);
        }
    }
}
