//! How fast files are read and spelled.
//!
//! `cargo bench -p continuo-codec -- [FOLDER...]` takes the files of the tests, or
//! those below the folders. The text is first held to the golden texts of the
//! tests, and the ids to the scores they stand for: what is wrong is not timed.

#![expect(clippy::unwrap_used, reason = "a benchmark may fail where it stands")]

use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use continuo_codec::text::encode_midi;
use continuo_codec::{Beat, Encoding, Score, midi};

/// How long each figure is measured at least.
const LONG_ENOUGH: Duration = Duration::from_secs(1);
/// Of how many rounds at least the fastest counts.
const ROUNDS: usize = 5;

fn main() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/text");
    let golden = files(&fixtures);
    golden.iter().for_each(|path| check_text(path));
    // Cargo passes options of its own.
    let folders: Vec<PathBuf> =
        std::env::args_os().skip(1).map(PathBuf::from).filter(|folder| folder.is_dir()).collect();
    let paths = if folders.is_empty() { golden } else { folders.iter().flat_map(|f| files(f)).collect() };
    let files: Vec<Vec<u8>> = paths.iter().map(|path| fs::read(path).unwrap()).collect();
    let scores: Vec<Score> = files.iter().filter_map(|bytes| midi::read(bytes).ok()).collect();
    scores.iter().for_each(check_beat);

    let bytes: usize = files.iter().map(Vec::len).sum();
    let notes: usize = scores.iter().map(|score| score.notes.len()).sum();
    println!("{} files, {bytes} bytes, {notes} notes; one thread, the fastest round", files.len());
    time("read", files.len(), bytes, || files.iter().for_each(|bytes| drop(black_box(midi::read(bytes)))));
    time("score to beat", scores.len(), bytes, || {
        scores.iter().for_each(|score| drop(black_box(Beat.encode(score))));
    });
    time("read to beat", files.len(), bytes, || {
        files.iter().for_each(|bytes| drop(black_box(midi::read(bytes).map(|score| Beat.encode(&score)))));
    });
    time("read to text", files.len(), bytes, || {
        files.iter().for_each(|bytes| drop(black_box(encode_midi(bytes))));
    });
}

/// All MIDI files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    let below = |path: PathBuf| match path.extension() {
        _ if path.is_dir() => files(&path),
        Some(extension) if extension == "mid" => vec![path],
        _ => Vec::new(),
    };
    entries.into_iter().flat_map(below).collect()
}

/// Where a golden text lies beside a file, it is the text; where a refusal does,
/// there is none. (In `decode` it is the other way round.)
fn check_text(path: &Path) {
    let text = encode_midi(&fs::read(path).unwrap());
    if path.with_extension("err").exists() {
        assert!(text.is_err(), "{} is not refused", path.display());
    } else if path.components().all(|part| part.as_os_str() != "decode")
        && let Ok(expected) = fs::read_to_string(path.with_extension("txt"))
    {
        assert_eq!(text.as_deref(), Ok(expected.as_str()), "{}", path.display());
    }
}

/// The ids are those of what they mean.
fn check_beat(score: &Score) {
    let Ok(ids) = Beat.encode(score) else { return };
    let back = Beat.decode(&ids).unwrap();
    assert_eq!(Beat.encode(&back).unwrap(), ids);
    assert!(back.notes.is_empty() == score.notes.is_empty());
}

fn time(what: &str, files: usize, bytes: usize, work: impl Fn()) {
    let (begin, mut rounds, mut best) = (Instant::now(), 0, f64::INFINITY);
    while rounds < ROUNDS || begin.elapsed() < LONG_ENOUGH {
        let round = Instant::now();
        work();
        best = best.min(round.elapsed().as_secs_f64());
        rounds += 1;
    }
    let per_second = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / best;
    println!("{what:>14}: {:>8.0} files/s, {:>6.1} MB/s", per_second(files), per_second(bytes) / 1e6);
}
