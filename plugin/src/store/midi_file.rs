//! Takes as MIDI files: each at its place in its bar, with tempo and meter.

use std::path::{Path, PathBuf};

use continuo_codec::midi::{Track, write_tracks};
use continuo_codec::{Instrument, Meter, Note, Score, Tempo};

use crate::link::PlayNote;
use crate::number;
use crate::state::{Answer, Kept, Recipe};

/// Resolution of the files.
const TICKS_PER_BEAT: u16 = 960;
/// Files of one name that are tried before another is taken.
const MOST_FILES: u32 = 9999;

/// A take of an answer as the bytes of a MIDI file.
#[must_use]
pub fn of_take(answer: &Answer, take: usize) -> Vec<u8> {
    bytes(&answer.recipe, take, answer.start, answer.notes(take))
}

/// A kept take as the bytes of a MIDI file.
#[must_use]
pub fn of_kept(kept: &Kept) -> Vec<u8> {
    bytes(&kept.recipe, kept.take, kept.start, kept.notes())
}

fn bytes(recipe: &Recipe, take: usize, start: f64, notes: impl Iterator<Item = PlayNote>) -> Vec<u8> {
    let bar = recipe.meter().bar();
    // A file begins with the bar that the take begins in.
    let origin = recipe.bar_line + ((start - recipe.bar_line) / bar + 1e-6).floor() * bar;
    let tick = |beat: f64| number::to_u32((beat - origin) * f64::from(TICKS_PER_BEAT));
    let mut frame = Score::new(TICKS_PER_BEAT);
    frame.tempos.push(Tempo { tick: 0, micros_per_beat: number::to_u32(60e6 / recipe.tempo).max(1) });
    let (numerator, denominator) = recipe.meter;
    frame.meters.push(Meter { tick: 0, numerator, denominator });
    let mut tracks: Vec<(Instrument, Track)> = Vec::new();
    for note in notes {
        let instrument = recipe.instrument_of(note.channel);
        let index = tracks.iter().position(|track| track.0 == instrument).unwrap_or_else(|| {
            tracks.push((instrument, Track { name: name(recipe, take), notes: Vec::new() }));
            tracks.len() - 1
        });
        let (start, end) = (tick(note.start), tick(note.end));
        let duration = end.saturating_sub(start).max(1);
        tracks[index].1.notes.push(Note {
            start,
            instrument,
            pitch: note.key,
            duration,
            velocity: note.velocity,
        });
    }
    let tracks: Vec<Track> = tracks.into_iter().map(|track| track.1).collect();
    write_tracks(&frame, &tracks)
}

/// What a take is called.
#[must_use]
pub fn name(recipe: &Recipe, take: usize) -> String {
    let again = if recipe.again > 0 { format!(".{}", recipe.again) } else { String::new() };
    format!("Continuo seed {}{again} take {}", recipe.seed, take + 1)
}

/// Writes a file into a folder under a name that nothing has there yet.
///
/// # Errors
/// A sentence with the folder's name.
pub fn save_in(folder: &Path, name: &str, bytes: &[u8]) -> Result<PathBuf, String> {
    let numbered = |n: u32| if n == 1 { format!("{name}.mid") } else { format!("{name} ({n}).mid") };
    let free = (1..=MOST_FILES).map(|n| folder.join(numbered(n))).find(|path| !path.exists());
    let path = free.ok_or_else(|| format!("{} is full of files of that name", folder.display()))?;
    save_as(&path, bytes)?;
    Ok(path)
}

/// Writes a file.
///
/// # Errors
/// A sentence with the file's name.
pub fn save_as(path: &Path, bytes: &[u8]) -> Result<(), String> {
    super::write(path, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> Answer {
        let recipe = Recipe { tempo: 90.0, meter: (3, 4), seed: 7, ..Recipe::default() };
        let takes = vec![vec![], vec![(7.0, 7.5, 0, 64, 80), (8.0, 9.0, 9, 36, 100)]];
        Answer { recipe, start: 7.0, end: 12.0, takes, ..Answer::default() }
    }

    #[test]
    fn a_take_lies_in_its_file_as_it_lies_in_its_bar() {
        let read = continuo_codec::midi::read(&of_take(&answer(), 1)).unwrap();
        let notes: Vec<_> =
            read.notes.iter().map(|n| (n.start, n.duration, n.pitch, n.instrument.is_drums())).collect();
        let ticks = u32::from(read.ticks_per_beat);
        assert_eq!(notes, [(ticks, ticks / 2, 64, false), (2 * ticks, ticks, 36, true)]);
        assert_eq!((read.tempos[0].micros_per_beat, read.meters[0].numerator), (666_667, 3));
    }

    #[test]
    fn nothing_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let answer = answer();
        let name = name(&answer.recipe, 1);
        let first = save_in(folder.path(), &name, b"1").unwrap();
        let second = save_in(folder.path(), &name, b"2").unwrap();
        assert_eq!(std::fs::read(&first).unwrap(), b"1");
        assert!(second.ends_with("Continuo seed 7 take 2 (2).mid"));
    }
}
