//! Files made to cost more than they are worth: read or refused, by the score and
//! by the text, in time and memory that grow with their bytes. Sizes are such that
//! work growing with their square would take hours.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

use continuo_codec::beat::encode_counted;
use continuo_codec::midi::{MidiError, read};
use continuo_codec::text::encode_midi;
use continuo_codec::{Beat, Encoding, EncodingError};

const MILLION: usize = 1_000_000;

/// A file at 96 ticks a beat that says it has `tracks` tracks, and a chunk for each
/// body.
fn file(tracks: u16, bodies: &[&[u8]]) -> Vec<u8> {
    let mut bytes = b"MThd\0\0\0\x06\0\x01".to_vec();
    bytes.extend(tracks.to_be_bytes());
    bytes.extend([0, 96]);
    for body in bodies {
        bytes.extend(b"MTrk");
        bytes.extend(u32::try_from(body.len()).unwrap().to_be_bytes());
        bytes.extend(*body);
    }
    bytes
}

/// A file of one track: something first, then a part many times over.
fn repeated(first: &[u8], part: &[u8], times: usize) -> Vec<u8> {
    file(1, &[&[first, &part.repeat(times)].concat()])
}

#[test]
fn a_file_that_claims_four_gigabytes_and_all_tracks_has_what_it_has() {
    let mut bytes = file(u16::MAX, &[&[0, 0x90, 60, 10, 5, 0x80, 60, 0]]);
    bytes[18..22].copy_from_slice(&[0xff; 4]);
    let score = read(&bytes).unwrap();
    assert_eq!((score.notes.len(), score.notes[0].duration), (1, 5));
    assert!(Beat.encode(&score).is_ok());
    assert!(encode_midi(&bytes).is_err());
    // Many tracks claimed, one there.
    assert!(encode_midi(&file(0x7fff, &[&[0, 0x90, 60, 10, 5, 0x80, 60, 0]])).is_err());
    // An event that claims 256 MB.
    let bytes = file(1, &[&[0, 0x90, 60, 10, 5, 0x80, 60, 0, 0, 0xff, 1, 0xff, 0xff, 0xff, 0x7f]]);
    assert_eq!(read(&bytes).unwrap().notes.len(), 1);
    assert!(encode_midi(&bytes).is_err());
}

#[test]
fn a_million_empty_tracks_are_no_music() {
    let mut bytes = file(u16::MAX, &[]);
    bytes.extend(b"MTrk\0\0\0\0".repeat(MILLION));
    assert_eq!(read(&bytes).unwrap().notes, []);
    assert!(encode_midi(&bytes).is_err());
}

#[test]
fn a_million_tracks_of_a_note_each_are_read() {
    let mut bytes = file(0x7fff, &[]);
    bytes.extend(b"MTrk\0\0\0\x09\0\x90\x3c\x0a\x05\x80\x3c\x0a\0".repeat(MILLION));
    let score = read(&bytes).unwrap();
    assert_eq!(score.notes.len(), MILLION);
    assert!(score.notes.iter().all(|n| (n.start, n.duration) == (0, 5)));
    let (ids, losses) = encode_counted(&score).unwrap();
    assert_eq!((Beat.decode(&ids).unwrap().notes.len(), losses.doubled), (1, MILLION - 1));
}

#[test]
fn a_million_tempos_and_meters_are_read() {
    let tempo = [1, 0xff, 0x51, 3, 0x07, 0xa1, 0x20, 1, 0xff, 0x51, 3, 0x06, 0xa1, 0x20];
    let mut track = tempo.repeat(MILLION / 2);
    track.extend([0, 0x90, 60, 64, 96, 0x80, 60, 0]);
    let bytes = file(1, &[&track]);
    let score = read(&bytes).unwrap();
    assert_eq!((score.tempos.len(), score.notes.len()), (MILLION, 1));
    assert_eq!(Beat.decode(&Beat.encode(&score).unwrap()).unwrap().notes.len(), 1);
    // 500,000 ticks at 0.5 s a beat and as many at 0.434464 s, 96 ticks a beat.
    let seconds = 500_000.0 / 96.0 * (0.5 + 0.434_464);
    let text = encode_midi(&bytes).unwrap();
    let start: f64 = text.split('_').nth(1).unwrap().parse().unwrap();
    assert!((start - seconds).abs() < 0.02, "{text}, not {seconds}");

    let meter = [1, 0xff, 0x58, 4, 3, 2, 24, 8, 1, 0xff, 0x58, 4, 4, 2, 24, 8];
    let score = read(&repeated(&[], &meter, MILLION / 2)).unwrap();
    assert_eq!(score.meters.len(), MILLION);
    assert!(Beat.encode(&score).is_ok());
}

#[test]
fn a_million_programs_are_borrowed_from() {
    let programs = [1, 0xc0, 5, 1, 6].repeat(MILLION / 2);
    let notes = [1, 0x90, 60, 64, 1, 60, 0].repeat(MILLION / 2);
    let bytes = file(2, &[&programs, &notes]);
    let score = read(&bytes).unwrap();
    assert_eq!(score.notes.len(), MILLION / 2);
    // Every note begins where program 5 does.
    assert!(score.notes.iter().all(|n| n.instrument.index() == 5 && n.duration == 1));
    assert_eq!(encode_midi(&bytes).unwrap().split(' ').count(), MILLION / 2);
    // Within a track as well.
    let score = read(&repeated(&[], &[0, 0xc0, 5, 0, 0x90, 60, 64, 1, 60, 0], MILLION)).unwrap();
    assert_eq!(score.notes.len(), MILLION);
}

#[test]
fn a_million_notes_of_one_pitch_that_overlap_are_closed_in_order() {
    let mut track = vec![0, 0x90, 60, 64];
    track.extend([1, 60, 64].repeat(MILLION - 1));
    track.extend([1, 60, 0].repeat(MILLION));
    let bytes = file(1, &[&track]);
    let score = read(&bytes).unwrap();
    assert_eq!(score.notes.len(), MILLION);
    let length = u32::try_from(MILLION).unwrap();
    assert!(score.notes.iter().all(|n| n.duration == length));
    assert!(score.notes.iter().zip(0..).all(|(n, i)| n.start == i));
    let (ids, losses) = encode_counted(&score).unwrap();
    assert_eq!(Beat.decode(&ids).unwrap().notes.len(), MILLION - losses.doubled);
    // The seed's first note-off ends all of them.
    assert_eq!(encode_midi(&bytes).unwrap().split(' ').count(), MILLION);
}

#[test]
fn a_million_notes_begun_and_ended_on_one_tick_are_read() {
    // One note before, so that the seed keeps those of the tick open.
    let mut track = vec![0, 0x90, 60, 64, 1, 60, 64];
    track.extend([0, 60, 64].repeat(MILLION));
    track.extend([0, 60, 0].repeat(MILLION));
    let bytes = file(1, &[&track]);
    let score = read(&bytes).unwrap();
    assert_eq!(score.notes.len(), MILLION + 2);
    assert_eq!(score.notes.iter().filter(|n| n.duration == 0).count(), MILLION - 1);
    assert!(Beat.encode(&score).is_ok());
    assert_eq!(encode_midi(&bytes).unwrap().split(' ').count(), 1);
    // Never closed, in chords of all pitches.
    let chord: Vec<u8> = (0..128).flat_map(|pitch| [0, 127 - pitch, 64]).collect();
    let score = read(&repeated(&[0, 0x90, 0, 64], &chord, MILLION / 128)).unwrap();
    assert!(score.notes.is_sorted() && score.notes.iter().all(|n| n.duration == 1));
}

#[test]
fn tracks_that_lie_far_apart_are_put_in_order() {
    // Most notes on few ticks, some at the end of time: no span of ticks is fair.
    let dense = [&[0, 0x90, 60, 64][..], &[0, 61, 64, 1, 60, 64].repeat(MILLION / 4)].concat();
    let far = [&[0xff, 0xff, 0xff, 0x7f, 0x91, 1, 1][..], &[0, 0, 1].repeat(100)].concat();
    let score = read(&file(3, &[&far, &dense, &dense])).unwrap();
    assert_eq!(score.notes.len(), 2 * (MILLION / 2 + 1) + 101);
    assert!(score.notes.is_sorted());
}

#[test]
fn pauses_without_end_are_refused_with_their_place() {
    let pause = [0xff, 0xff, 0xff, 0x7f, 0xff, 1, 0];
    let bytes = repeated(&[], &pause, MILLION);
    assert!(matches!(read(&bytes), Err(MidiError::TooLong { track: 0, offset: 134, .. })));
    // A number of variable length that does not end.
    let endless = file(1, &[&vec![0xff; MILLION]]);
    assert_eq!(read(&endless).unwrap().notes, []);
    assert!(encode_midi(&endless).is_err());
    // As far as a score goes: too many silent bars for the encoding.
    let track = [&pause[..], &[0x8f, 0xff, 0xff, 0x7f, 0x90, 60, 64, 1, 60, 0]].concat();
    let score = read(&file(1, &[&track])).unwrap();
    assert!(matches!(Beat.encode(&score), Err(EncodingError::Score(why)) if why.contains("silent bars")));
}
