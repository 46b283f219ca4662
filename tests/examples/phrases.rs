//! Writes the phrases of `assets/phrases`: `cargo run -p continuo-tests --example phrases`.
//!
//! They are composed here, note by note, so that they are nobody's but ours. Each
//! ends a little before a bar line: where a player would let go and wait for the
//! answer.

use continuo_codec::midi::{Track, write_tracks};
use continuo_codec::{Instrument, Meter, Note, Score, Tempo};
use std::path::{Path, PathBuf};

const TICKS: u16 = 480;
const VIOLIN: Option<Instrument> = Instrument::program(40);

/// Onset and length in beats, pitch, velocity.
type Line = Vec<(f64, f64, u8, u8)>;

fn main() -> std::io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
    let folder = root.join("assets").join("phrases");
    std::fs::create_dir_all(&folder)?;
    for (name, bytes) in [("piano", piano()), ("waltz", waltz()), ("drums", drums())] {
        let path: PathBuf = folder.join(format!("{name}.mid"));
        std::fs::write(&path, bytes)?;
        println!("{}", path.display());
    }
    Ok(())
}

/// Four bars in A minor, 100 beats a minute: a melody over a walking left hand,
/// open at the end.
fn piano() -> Vec<u8> {
    let melody = [
        (0.0, 1.0, 76, 88),
        (1.0, 0.5, 74, 76),
        (1.5, 0.5, 72, 74),
        (2.0, 1.5, 69, 84),
        (3.5, 0.5, 71, 70),
        (4.0, 1.0, 72, 84),
        (5.0, 0.5, 69, 70),
        (5.5, 0.5, 72, 76),
        (6.0, 1.5, 77, 94),
        (7.5, 0.5, 76, 80),
        (8.0, 1.0, 79, 98),
        (9.0, 0.5, 76, 82),
        (9.5, 0.5, 72, 76),
        (10.0, 1.0, 74, 84),
        (11.0, 1.0, 76, 88),
        (12.0, 1.5, 74, 86),
        (13.5, 0.5, 71, 72),
        (14.0, 0.5, 72, 76),
        (14.5, 0.5, 71, 70),
        (15.0, 0.75, 67, 74),
    ];
    let chords: [(u8, u8, [u8; 3]); 4] =
        [(45, 52, [57, 60, 64]), (41, 48, [57, 60, 65]), (48, 43, [55, 60, 64]), (43, 50, [55, 59, 62])];
    let mut notes: Line = melody.to_vec();
    for (bar, (root, fifth, chord)) in (0u8..).zip(chords) {
        let start = f64::from(bar) * 4.0;
        notes.push((start, 1.9, root, 66));
        notes.push((start + 2.0, 1.75, fifth, 60));
        for (beat, velocity) in [(1.0, 52), (3.0, 48)] {
            notes.extend(chord.map(|pitch| (start + beat, 0.75, pitch, velocity)));
        }
    }
    file(100, 4, &[("Piano", Instrument::PIANO, notes)])
}

/// Eight bars of a waltz in G, 138 beats a minute: a violin over a piano.
fn waltz() -> Vec<u8> {
    let melody = [
        (0.0, 1.9, 71, 86),
        (2.0, 0.9, 74, 76),
        (3.0, 1.9, 79, 96),
        (5.0, 0.9, 78, 80),
        (6.0, 0.9, 76, 88),
        (7.0, 0.9, 79, 82),
        (8.0, 0.9, 76, 78),
        (9.0, 1.9, 74, 88),
        (11.0, 0.9, 72, 74),
        (12.0, 1.9, 71, 84),
        (14.0, 0.9, 74, 76),
        (15.0, 1.9, 76, 92),
        (17.0, 0.9, 74, 78),
        (18.0, 0.9, 72, 84),
        (19.0, 0.9, 71, 78),
        (20.0, 0.9, 69, 76),
        (21.0, 2.5, 74, 90),
    ];
    let (g, e, c, d, a) =
        ((43, [59, 62, 67]), (40, [59, 64, 67]), (48, [60, 64, 67]), (50, [60, 66, 69]), (45, [60, 64, 69]));
    let mut left: Line = Vec::new();
    for (bar, (root, chord)) in (0u8..).zip([g, e, c, d, g, e, a, d]) {
        let start = f64::from(bar) * 3.0;
        left.push((start, 0.9, root, 70));
        for (beat, velocity) in [(1.0, 54), (2.0, 50)] {
            left.extend(chord.map(|pitch| (start + beat, 0.5, pitch, velocity)));
        }
    }
    let violin = VIOLIN.unwrap_or_default();
    file(138, 3, &[("Violin", violin, melody.to_vec()), ("Piano", Instrument::PIANO, left)])
}

/// Four bars of a drum groove, 96 beats a minute, with a fill in the last.
fn drums() -> Vec<u8> {
    const KICK: u8 = 36;
    const SNARE: u8 = 38;
    const CLOSED: u8 = 42;
    const OPEN: u8 = 46;
    const CRASH: u8 = 49;
    let mut notes: Line = vec![(0.0, 1.0, CRASH, 104)];
    for bar in 0u8..4 {
        let start = f64::from(bar) * 4.0;
        let hit = |beat: f64, pitch, velocity| (start + beat, 0.2, pitch, velocity);
        notes.extend([(0.0, 112), (1.75, 84), (2.5, 104)].map(|(beat, force)| hit(beat, KICK, force)));
        notes.extend([hit(1.0, SNARE, 108), hit(2.25, SNARE, 38)]);
        let fill = bar == 3;
        let eighths = if fill { 5 } else { 8 };
        for eighth in 0u8..eighths {
            let force = if eighth % 2 == 0 { 82 } else { 58 };
            notes.push(hit(f64::from(eighth) / 2.0, CLOSED, force));
        }
        if fill {
            let toms = [(2.75, SNARE, 76), (3.0, 48, 96), (3.25, 48, 84), (3.5, 45, 98), (3.75, 41, 104)];
            notes.extend(toms.map(|(beat, pitch, force)| hit(beat, pitch, force)));
        } else {
            notes.extend([hit(3.0, SNARE, 110), hit(3.75, OPEN, 70)]);
        }
    }
    file(96, 4, &[("Drums", Instrument::DRUMS, notes)])
}

/// A MIDI file in `beats`/4 from lines of notes.
fn file(bpm: u32, beats: u8, lines: &[(&str, Instrument, Line)]) -> Vec<u8> {
    let mut frame = Score::new(TICKS);
    frame.tempos = vec![Tempo { tick: 0, micros_per_beat: 60_000_000 / bpm }];
    frame.meters = vec![Meter { tick: 0, numerator: beats, denominator: 4 }];
    let tracks: Vec<Track> = lines
        .iter()
        .map(|(name, instrument, line)| Track { name: (*name).to_owned(), notes: notes(*instrument, line) })
        .collect();
    write_tracks(&frame, &tracks)
}

fn notes(instrument: Instrument, line: &Line) -> Vec<Note> {
    let note = |&(start, length, pitch, velocity): &(f64, f64, u8, u8)| Note {
        start: ticks(start),
        instrument,
        pitch,
        duration: ticks(length),
        velocity,
    };
    let mut notes: Vec<Note> = line.iter().map(note).collect();
    notes.sort_unstable();
    notes
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few bars of ticks")]
fn ticks(beats: f64) -> u32 {
    (beats * f64::from(TICKS)).round() as u32
}
