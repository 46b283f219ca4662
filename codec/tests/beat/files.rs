//! Real files: what is kept of them, and at what length.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use continuo_codec::beat::{encode_counted, encode_midi};
use continuo_codec::{Beat, Encoding, Score, Tempo, midi};

/// All MIDI files below a folder.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|e| e == "mid") {
            found.push(path);
        }
    }
}

/// The fixtures, and the corpus of the folder that `CONTINUO_SHARED` names.
pub(crate) fn midi_files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures"), &mut found);
    if let Some(shared) = std::env::var_os("CONTINUO_SHARED") {
        files(&Path::new(&shared).join("corpus"), &mut found);
    }
    found
}

#[derive(Debug, Default)]
struct Figures {
    notes: usize,
    doubles: usize,
    ids: usize,
    files: usize,
    /// Files whose meters all stand at bar lines the encoding has too.
    meters_kept: usize,
    worst_onset: f64,
    /// Damaged files, which some fixtures are.
    unreadable: usize,
}

/// Meters in beats, without those that change nothing.
fn meters(score: &Score) -> Vec<(f64, u8, u8)> {
    let all = score.meters.iter().map(|m| (score.beats(m.tick), m.numerator, m.denominator));
    let mut meters = vec![(0.0, 4, 4)];
    for meter in all {
        if meters.last().is_some_and(|last| last.0 == meter.0) {
            meters.pop();
        }
        if meters.last().is_none_or(|last| (last.1, last.2) != (meter.1, meter.2)) {
            meters.push(meter);
        }
    }
    meters
}

/// The step nearest to a time, by other arithmetic than the encoder's.
fn step(beats: f64) -> u32 {
    format!("{}", (beats * 24.0 + 0.5 + 1e-9).floor()).parse().unwrap()
}

/// Each change of tempo is where it was, to the nearest step, and as fast: to half a
/// sixteenth of a beat a minute, above 512 to half a beat.
fn check_tempos(score: &Score, back: &Score, name: &str) {
    let bpm = |tempo: &Tempo| 60e6 / f64::from(tempo.micros_per_beat);
    for (i, tempo) in score.tempos.iter().enumerate() {
        let at = step(score.beats(tempo.tick));
        if score.tempos.get(i + 1).is_some_and(|next| step(score.beats(next.tick)) == at) {
            continue;
        }
        let kept = back.tempos.iter().rfind(|tempo| tempo.tick <= at).unwrap();
        let (was, is) = (bpm(tempo).min(5119.0), bpm(kept));
        let rounding = if was < 511.9 { 0.0313 + was * was / 1.2e8 } else { 0.5 + was * was / 1.2e8 };
        assert!((was - is).abs() <= rounding, "{name}: {was} beats a minute at step {at} as {is}");
    }
}

fn check(path: &Path, figures: &mut Figures) {
    let name = path.display();
    let Ok(score) = midi::read(&std::fs::read(path).unwrap()) else {
        figures.unreadable += 1;
        return;
    };
    let ids = Beat.encode(&score).unwrap_or_else(|e| panic!("{name}: {e}"));
    let (counted, losses) = encode_counted(&score).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!(counted, ids, "{name}");
    let back = Beat.decode(&ids).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!(Beat.encode(&back).unwrap(), ids, "{name}");
    assert_eq!(encode_midi(&midi::write(&back)).unwrap().ids, ids, "{name}: by way of a file");
    check_tempos(&score, &back, &name.to_string());
    let decoded: HashSet<_> = back.notes.iter().map(|n| (n.start, n.instrument, n.pitch)).collect();
    assert_eq!(decoded.len(), back.notes.len(), "{name}: doubled notes");
    let mut kept = HashSet::new();
    for note in &score.notes {
        let at = score.beats(note.start);
        let key = (step(at), note.instrument, note.pitch);
        assert!(decoded.contains(&key), "{name}: {note:?} at beat {at} is lost");
        kept.insert(key);
        figures.worst_onset = figures.worst_onset.max((back.beats(key.0) - at).abs());
    }
    assert_eq!(kept, decoded, "{name}: notes were made up");
    assert_eq!(losses.doubled, score.notes.len() - kept.len(), "{name}");
    let melodic = score.notes.iter().filter(|n| !n.instrument.is_drums());
    let short = melodic.clone().filter(|n| score.beats(n.duration) * 48.0 < 1.0 - 1e-9).count();
    let long = melodic.filter(|n| score.beats(n.duration) * 48.0 > 2.0 * 768.0 + 1.0 - 1e-9).count();
    assert_eq!((losses.lengthened, losses.shortened), (short, long), "{name}");
    figures.notes += score.notes.len();
    figures.doubles += score.notes.len() - kept.len();
    figures.ids += ids.len();
    figures.files += 1;
    figures.meters_kept += usize::from(meters(&score) == meters(&back));
}

fn check_all(folder: &Path) -> Figures {
    let mut found = Vec::new();
    files(folder, &mut found);
    assert!(!found.is_empty(), "no MIDI file below {}", folder.display());
    let mut figures = Figures::default();
    for path in &found {
        check(path, &mut figures);
    }
    assert!(figures.worst_onset <= 1.0 / 48.0 + 1e-9, "{figures:?}");
    figures
}

#[test]
fn real_files_keep_their_notes_at_under_four_ids_a_note() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/text");
    for part in ["freedoom_bsd3", "mutopia_pd", "pianobooster_ccby"] {
        let figures = check_all(&fixtures.join(part));
        assert!(figures.ids <= figures.notes * 4, "{part}: {figures:?}");
        assert_eq!(figures.unreadable, 0, "{part}");
    }
}

/// Where the shared corpus is at hand.
#[test]
fn the_corpus_keeps_its_notes_at_3_8_ids_a_note() {
    let Some(shared) = std::env::var_os("CONTINUO_SHARED") else { return };
    for part in ["golden/redistributable", "corpus"] {
        let figures = check_all(&Path::new(&shared).join(part));
        eprintln!("{part}: {figures:?}");
        assert!(part != "corpus" || figures.ids * 10 <= figures.notes * 38, "{figures:?}");
        assert!(figures.meters_kept * 100 >= figures.files * 90, "{figures:?}");
    }
}
