//! MIDI bytes to ids at once: the same as by way of a score, refusals included.

use continuo_codec::beat::{SpellError, Spelled, encode_counted, encode_midi};
use continuo_codec::{Instrument, Note, Score, midi};

use crate::files::midi_files;
use crate::random::Random;

fn in_two_steps(bytes: &[u8]) -> Result<Spelled, SpellError> {
    let score = midi::read(bytes)?;
    let (ids, losses) = encode_counted(&score)?;
    Ok(Spelled { ids, notes: score.notes.len(), losses })
}

#[test]
fn real_files_are_spelled_as_their_scores_are() {
    for path in midi_files() {
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(encode_midi(&bytes), in_two_steps(&bytes), "{}", path.display());
    }
}

#[test]
fn damaged_files_are_spelled_or_refused_as_their_scores_are() {
    let mut random = Random::new(5);
    let (mut spelled, mut refused) = (0, 0);
    for path in midi_files().iter().take(150) {
        let whole = std::fs::read(path).unwrap();
        for _ in 0..20 {
            let mut bytes = whole.clone();
            let length = u32::try_from(bytes.len()).unwrap();
            for _ in 0..=random.below(8).min(length) {
                let Some(byte) = bytes.get_mut(random.below(length.max(1)) as usize) else { continue };
                *byte = u8::try_from(random.below(256)).unwrap();
            }
            if random.below(3) == 0 {
                bytes.truncate(random.below(length + 1) as usize);
            }
            let ids = encode_midi(&bytes);
            assert_eq!(ids, in_two_steps(&bytes), "{}", path.display());
            if ids.is_ok() { spelled += 1 } else { refused += 1 }
        }
    }
    assert!(spelled > 100 && refused > 10, "{spelled} spelled, {refused} refused");
}

#[test]
fn a_note_too_late_is_named_by_its_tick() {
    let note = |start, program| Note {
        start,
        instrument: Instrument::program(program).unwrap(),
        pitch: 60,
        duration: 24,
        velocity: 64,
    };
    let mut score = Score::new(24);
    // In the file the first program's track comes first, though its note is later.
    score.notes = vec![note(0, 0), note(96 * 9000, 1), note(96 * 9001, 0)];
    let bytes = midi::write(&score);
    let error = encode_midi(&bytes);
    assert_eq!(error, in_two_steps(&bytes));
    assert!(error.is_err_and(|error| error.to_string().contains("the note at tick 864000 ")));
}
