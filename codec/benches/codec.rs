//! How many files are converted a second: MIDI to a score, to beat ids, to text.
//!
//! Takes a folder of MIDI files, or else the golden ones. Before anything is
//! timed, the golden files have to come out as they are, so that nothing is
//! quick and wrong.

#![expect(clippy::unwrap_used, reason = "a bench may fail where it stands")]

use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use continuo_codec::{Beat, Encoding as _, beat, midi, text};

/// Rounds over all files; the quickest counts.
const ROUNDS: usize = 7;

/// Each round repeats the files until it has taken that long.
const LEAST: Duration = Duration::from_millis(200);

fn main() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/text");
    check(&midi_files(&fixtures));
    // Cargo passes `--bench` along.
    let folder = std::env::args_os().skip(1).find(|word| !word.to_string_lossy().starts_with('-'));
    let folder = folder.map_or(fixtures, PathBuf::from);
    let files: Vec<Vec<u8>> = midi_files(&folder).iter().map(|path| fs::read(path).unwrap()).collect();
    let bytes: usize = files.iter().map(Vec::len).sum();
    assert!(bytes > 0, "{} has no MIDI files", folder.display());
    println!("{} files, {bytes} bytes, in {}", files.len(), folder.display());
    time("midi::read", &files, |file| drop(black_box(midi::read(file))));
    time("beat ids", &files, |file| drop(black_box(beat::encode_midi(file))));
    time("text", &files, |file| drop(black_box(text::encode_midi(file))));
}

/// All files below a folder whose name ends in `.mid`, sorted.
fn midi_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "mid") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Golden texts are met to the byte, and ids are the same after a turn around.
fn check(golden: &[PathBuf]) {
    let (mut texts, mut pieces) = (0, 0);
    for path in golden {
        let bytes = fs::read(path).unwrap();
        if let Ok(expected) = fs::read_to_string(path.with_extension("txt"))
            && path.parent().is_some_and(|folder| !folder.components().any(|c| c.as_os_str() == "decode"))
        {
            assert_eq!(text::encode_midi(&bytes).as_deref(), Ok(expected.as_str()), "{}", path.display());
            texts += 1;
        }
        if let Ok(spelled) = beat::encode_midi(&bytes) {
            let again = Beat.encode(&Beat.decode(&spelled.ids).unwrap());
            assert_eq!(again, Ok(spelled.ids), "{}", path.display());
            pieces += 1;
        }
    }
    assert!(texts > 0 && pieces > 0, "no golden files");
    println!("checked: {texts} golden texts, {pieces} pieces to ids and back");
}

fn time(name: &str, files: &[Vec<u8>], convert: impl Fn(&[u8])) {
    let round = || {
        let begun = Instant::now();
        let mut times = 0;
        while times == 0 || begun.elapsed() < LEAST {
            files.iter().for_each(|file| convert(file));
            times += 1;
        }
        begun.elapsed().as_secs_f64() / f64::from(times)
    };
    let best = (0..ROUNDS).map(|_| round()).fold(f64::INFINITY, f64::min);
    let count = u32::try_from(files.len()).map_or(f64::NAN, f64::from);
    let bytes = u32::try_from(files.iter().map(Vec::len).sum::<usize>()).map_or(f64::NAN, f64::from);
    println!(
        "{name:<12}{:>10.0} files/s{:>10.1} MB/s{:>10.2} us a file",
        count / best,
        bytes / best / 1e6,
        best / count * 1e6
    );
}
