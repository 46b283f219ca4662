//! Files made to cost time or memory. Every reader refuses or reads them, at a cost
//! that grows with the bytes there are: at these sizes anything worse would be
//! felt.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

use continuo_codec::{Beat, Encoding, Score, anticipation, midi, midilike, text};

const MANY: usize = 1_000_000;

/// A file of some tracks, with a header that says so.
fn file(tracks: &[Vec<u8>]) -> Vec<u8> {
    let count = u16::try_from(tracks.len()).unwrap_or(u16::MAX);
    let mut bytes = [&b"MThd\0\0\0\x06\0\x01"[..], &count.to_be_bytes(), &[0, 96]].concat();
    for track in tracks {
        bytes.extend(b"MTrk");
        bytes.extend(u32::try_from(track.len()).unwrap().to_be_bytes());
        bytes.extend(track);
    }
    bytes
}

/// A track of some events, one a tick, and its end.
fn track(events: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut track: Vec<u8> = events.flat_map(|event| [vec![1], event].concat()).collect();
    track.extend([0, 0xff, 0x2f, 0]);
    track
}

struct Outcome {
    score: Result<Score, midi::MidiError>,
    text: Option<usize>,
    anticipation: Option<usize>,
    midilike: Option<usize>,
}

/// Reads a file in every way there is; the readers' results, and the length of what
/// they spell.
fn read(bytes: &[u8]) -> Outcome {
    let score = midi::read(bytes);
    if let Ok(score) = &score
        && let Ok(ids) = Beat.encode(score)
    {
        assert_eq!(Beat.encode(&Beat.decode(&ids).unwrap()).unwrap(), ids);
    }
    Outcome {
        score,
        text: text::encode_midi(bytes)
            .ok()
            .map(|text| text.split(' ').filter(|note| !note.is_empty()).count()),
        anticipation: anticipation::encode_midi(bytes).ok().map(|ids| ids.len() / 3),
        midilike: midilike::encode_midi(bytes).ok().map(|ids| ids.len()),
    }
}

#[test]
fn a_track_that_claims_four_gigabytes_costs_only_what_it_has() {
    let mut bytes = file(&[]);
    bytes[11] = 1;
    bytes.extend(b"MTrk\xff\xff\xff\xff\0\x90\x3c\x40\x60\x3c\0\0\xff\x2f\0");
    let outcome = read(&bytes);
    assert_eq!(outcome.score.unwrap().notes.len(), 1);
    assert_eq!((outcome.text, outcome.anticipation), (None, None));
}

#[test]
fn an_event_that_claims_a_quarter_of_a_gigabyte_costs_only_what_it_has() {
    for event in [&[0xf0][..], &[0xff, 1], &[0xff, 0x51]] {
        let mut body = vec![0, 0x90, 60, 64, 96, 60, 0, 0];
        body.extend(event);
        body.extend([0xff, 0xff, 0xff, 0x7f, 0]);
        let outcome = read(&file(&[body]));
        assert_eq!(outcome.score.unwrap().notes.len(), 1);
        assert_eq!((outcome.text, outcome.anticipation), (None, None));
    }
}

#[test]
fn tracks_that_are_only_claimed_are_missed() {
    let mut bytes = file(&[]);
    bytes[10..12].copy_from_slice(&[0xff, 0xff]);
    let outcome = read(&bytes);
    assert!(matches!(outcome.score, Err(midi::MidiError::NoTracks { offset: 14 })));
    assert_eq!((outcome.text, outcome.anticipation), (None, None));
}

#[test]
fn tracks_beyond_all_counting_are_read_in_one_pass() {
    let empty = vec![Vec::new(); MANY / 8];
    assert_eq!(read(&file(&empty)).score.unwrap().notes.len(), 0);
    let note = vec![0, 0x90, 60, 64, 96, 60, 0, 0, 0xff, 0x2f, 0];
    assert_eq!(read(&file(&vec![note; 65_535])).score.unwrap().notes.len(), 65_535);
}

#[test]
fn a_million_tempo_changes_are_kept_in_step() {
    let tempos = (0..MANY).map(|i| vec![0xff, 0x51, 3, 7, u8::try_from(i % 200).unwrap(), 0]);
    let notes = [vec![0x90, 60, 64], vec![60, 0]].into_iter();
    let outcome = read(&file(&[track(tempos.chain(notes))]));
    let score = outcome.score.unwrap();
    assert_eq!((score.tempos.len(), score.notes.len()), (MANY, 1));
    assert_eq!((outcome.text, outcome.anticipation), (Some(1), Some(1)));
}

#[test]
fn a_million_meters_and_programs_are_kept_in_step() {
    let meters = (0..MANY / 2).map(|i| vec![0xff, 0x58, 4, u8::try_from(i % 7 + 1).unwrap(), 2, 24, 8]);
    let programs = (0..MANY / 2).map(|i| vec![0xc0, u8::try_from(i % 128).unwrap()]);
    let notes = [vec![0x90, 60, 64], vec![60, 0]].into_iter();
    let outcome = read(&file(&[track(meters.chain(programs).chain(notes))]));
    assert_eq!(outcome.score.unwrap().notes.len(), 1);
    assert_eq!((outcome.text, outcome.anticipation), (Some(1), Some(1)));
}

#[test]
fn a_million_notes_of_one_pitch_open_and_close_one_by_one() {
    let on = (0..MANY / 4).map(|_| vec![0x90, 60, 64]);
    let off = (0..MANY / 4).map(|_| vec![0x80, 60, 0]);
    let outcome = read(&file(&[track(on.chain(off))]));
    assert_eq!(outcome.score.unwrap().notes.len(), MANY / 4);
    // One note-off closes them all, as pretty_midi has it.
    assert_eq!((outcome.text, outcome.anticipation), (Some(MANY / 4), Some(MANY / 4)));
    assert!(outcome.midilike.is_some());
}

#[test]
fn notes_at_the_end_of_time_are_refused_or_kept() {
    let far = [0xff, 0xff, 0xff, 0x7f, 0xf8].repeat(20);
    let track = [far, vec![0, 0x90, 60, 64, 96, 60, 0, 0, 0xff, 0x2f, 0]].concat();
    let outcome = read(&file(&[track]));
    assert!(matches!(outcome.score, Err(midi::MidiError::TooLong { track: 0, .. })));
    assert_eq!(outcome.midilike, None);
}
