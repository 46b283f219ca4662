//! How fast files are read and spelled: `cargo bench -p continuo-codec [-- FOLDER]`.
//!
//! First everything is held to the golden files; only then the clock is started. The
//! files timed are the golden ones, or all below FOLDER.

#![expect(clippy::unwrap_used, reason = "a program that measures")]

use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use continuo_codec::{Beat, Encoding, MidiLike, anticipation, beat, midi, text};

/// How long each measurement goes on, at least.
const LONG_ENOUGH: Duration = Duration::from_secs(1);

fn main() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/text");
    let compared = check(&golden);
    println!("{compared} golden files are spelled as they should be");

    let folder = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    let files = read_all(&folder.map_or(golden, PathBuf::from));
    let bytes: usize = files.iter().map(Vec::len).sum();
    println!("{} files, {:.1} MB, one thread", files.len(), mega(bytes));
    let midilike = MidiLike::default();
    time("midi::read", &files, |file| {
        black_box(midi::read(file).ok());
    });
    time("beat", &files, |file| {
        black_box(beat::encode_midi(file).ok());
    });
    time("text", &files, |file| {
        black_box(text::encode_midi(file).ok());
    });
    time("anticipation", &files, |file| {
        black_box(anticipation::encode_midi(file).ok());
    });
    time("midilike", &files, |file| {
        black_box(midilike.encode_midi(file).ok());
    });
}

/// Holds the encoders to the golden files; how many there were.
fn check(golden: &Path) -> usize {
    let mut compared = 0;
    // What `decode` holds came from text, and does not always go back to it.
    let encoded = |path: &PathBuf| !path.starts_with(golden.join("decode"));
    for path in paths(golden).into_iter().filter(encoded) {
        let bytes = fs::read(&path).unwrap();
        let Ok(expected) = fs::read_to_string(path.with_extension("txt")) else { continue };
        assert_eq!(text::encode_midi(&bytes).as_deref(), Ok(expected.as_str()), "{}", path.display());
        if let Ok(score) = midi::read(&bytes) {
            let ids = Beat.encode(&score).ok();
            assert_eq!(beat::encode_midi(&bytes).ok().map(|s| s.ids), ids, "{}", path.display());
            if let Some(ids) = ids {
                assert_eq!(Beat.encode(&Beat.decode(&ids).unwrap()), Ok(ids), "{}", path.display());
            }
        }
        compared += 1;
    }
    assert!(compared > 100, "the golden files are missing");
    compared
}

/// Goes through all files again and again, and prints the rate of the fastest round.
fn time(name: &str, files: &[Vec<u8>], spell: impl Fn(&[u8])) {
    let bytes: usize = files.iter().map(Vec::len).sum();
    let begin = Instant::now();
    let mut best = Duration::MAX;
    while begin.elapsed() < LONG_ENOUGH {
        let round = Instant::now();
        files.iter().for_each(|file| spell(file));
        best = best.min(round.elapsed());
    }
    let seconds = best.as_secs_f64();
    println!("{name:>13}: {:7.0} files/s, {:6.1} MB/s", files.len() as f64 / seconds, mega(bytes) / seconds);
}

fn mega(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}

fn read_all(folder: &Path) -> Vec<Vec<u8>> {
    paths(folder).iter().map(|path| fs::read(path).unwrap()).collect()
}

/// All MIDI files below a folder, in order.
fn paths(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let deeper = |path: PathBuf| if path.is_dir() { self::paths(&path) } else { vec![path] };
    let found = paths.into_iter().flat_map(deeper);
    found.filter(|path| path.extension().is_some_and(|extension| extension == "mid")).collect()
}
