//! Which pieces are held out: decided by name alone, so it stays decided when
//! files are added; and by content, so that nothing is measured on music that was
//! trained on.

use std::collections::HashSet;
use std::path::Path;

use continuo_codec::Score;

use crate::files::fnv1a;

/// Notes in a shingle: a run of notes long enough that two works hardly share one
/// by chance.
const SHINGLE: usize = 16;

/// A held-out piece is known when more than one in `KNOWN_SHARE` of its shingles
/// occurs in training.
const KNOWN_SHARE: usize = 2;

/// What is held out or trained on as a whole: the file's name in small letters
/// without its ending and without a trailing `_` and number, which movements of
/// one work are numbered by.
///
/// ```
/// # use std::path::Path;
/// # use continuo::train::split::work;
/// assert_eq!(work(Path::new("a/Bach_Suite_2.mid")), "bach_suite");
/// assert_eq!(work(Path::new("song4.mid")), "song4");
/// ```
#[must_use]
pub fn work(file: &Path) -> String {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
    match stem.rsplit_once('_') {
        Some((work, number)) if !work.is_empty() && is_number(number) => work.to_owned(),
        _ => stem,
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// Whether a file's work falls into the share that is held out.
#[must_use]
pub fn is_held_out(file: &Path, share: f64) -> bool {
    // The hash's upper 32 bits, as a number in 0..1, exact in f64.
    let place = (fnv1a(work(file).bytes()) >> 32) & 0xffff_ffff;
    let place = f64::from(u32::try_from(place).unwrap_or(u32::MAX)) / f64::from(u32::MAX);
    place < share
}

/// A tick on a grid of 24 a beat.
#[must_use]
pub fn grid(score: &Score, tick: u32) -> u64 {
    let ticks_per_beat = u64::from(score.ticks_per_beat);
    (u64::from(tick) * 24 + ticks_per_beat / 2) / ticks_per_beat
}

/// Hashes of all runs of 16 notes: onset differences on the grid and, drums
/// apart, intervals. Equal music gives equal hashes in any key and at any place.
#[must_use]
pub fn shingles(score: &Score) -> Vec<u64> {
    let mut notes: Vec<(u64, u8, u8)> =
        score.notes.iter().map(|n| (grid(score, n.start), n.instrument.index(), n.pitch)).collect();
    notes.sort_unstable();
    notes.windows(SHINGLE).map(shingle).collect()
}

fn shingle(notes: &[(u64, u8, u8)]) -> u64 {
    let first = notes.iter().find(|n| n.1 < 128).map_or(0, |n| n.2);
    fnv1a(notes.iter().flat_map(|&(start, instrument, pitch)| {
        let pitch = if instrument < 128 { pitch.wrapping_sub(first) } else { pitch };
        (start - notes[0].0).to_le_bytes().into_iter().chain([instrument, pitch])
    }))
}

/// Whether most of a piece's shingles are known.
#[must_use]
pub fn is_known(shingles: &[u64], known: &HashSet<u64>) -> bool {
    let found = shingles.iter().filter(|s| known.contains(s)).count();
    found * KNOWN_SHARE > shingles.len()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use continuo_codec::{Instrument, Note};

    use super::*;

    #[test]
    fn the_split_is_decided_by_the_name_alone() {
        let share = |folder: &str| {
            (0..2000)
                .map(|i| PathBuf::from(format!("{folder}/song{i}.mid")))
                .filter(|f| is_held_out(f, 0.05))
                .count()
        };
        // Within three standard deviations of 100, and the same wherever the files lie.
        assert!((71..130).contains(&share("a")), "{}", share("a"));
        assert_eq!(share("a"), share("elsewhere/b"));
        assert!(!is_held_out(Path::new("x.mid"), 0.0));
    }

    #[test]
    fn movements_of_a_work_stay_together() {
        for n in 0..50 {
            let at = |m: u32| is_held_out(&PathBuf::from(format!("w{n}_{m}.mid")), 0.5);
            assert!((1..5).all(|m| at(m) == at(0)));
        }
    }

    fn melody(offset: u32, key: u8) -> Score {
        let mut score = Score::new(480);
        score.notes = (0..40u8)
            .map(|i| Note {
                start: offset + u32::from(i) * 240,
                instrument: Instrument::PIANO,
                pitch: key + (i % 12 * 7) % 12 + i % 5,
                duration: 200,
                velocity: 80,
            })
            .collect();
        score.normalize();
        score
    }

    #[test]
    fn music_is_known_again_in_another_key_and_place() {
        let known: HashSet<u64> = shingles(&melody(0, 60)).into_iter().collect();
        assert!(is_known(&shingles(&melody(960, 55)), &known));
        let mut other = melody(0, 60);
        for note in other.notes.iter_mut().step_by(3) {
            note.pitch += 1;
        }
        assert!(!is_known(&shingles(&other), &known));
    }
}
