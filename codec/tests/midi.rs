//! MIDI files to scores and back, on files built byte by byte, on real ones, and
//! on damaged ones.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

use continuo_codec::midi::{MidiError, Track, read, write, write_tracks};
use continuo_codec::{Instrument, Meter, Note, Score, Tempo};
use midly::{MidiMessage, Smf, TrackEventKind};

/// A file of a type, division and tracks; track bodies get no end-of-track.
fn file(format: u16, division: u16, tracks: &[&[u8]]) -> Vec<u8> {
    let mut bytes = b"MThd\0\0\0\x06".to_vec();
    bytes.extend(format.to_be_bytes());
    bytes.extend(u16::try_from(tracks.len()).unwrap().to_be_bytes());
    bytes.extend(division.to_be_bytes());
    for track in tracks {
        bytes.extend(b"MTrk");
        bytes.extend(u32::try_from(track.len()).unwrap().to_be_bytes());
        bytes.extend(*track);
    }
    bytes
}

fn notes(bytes: &[u8]) -> Vec<(u32, u32, u8, u8, u8)> {
    let score = read(bytes).unwrap();
    score.notes.iter().map(|n| (n.start, n.duration, n.pitch, n.velocity, n.instrument.index())).collect()
}

fn one_track(track: &[u8]) -> Vec<(u32, u32, u8, u8, u8)> {
    notes(&file(0, 96, &[track]))
}

const PIANO: u8 = 0;
const DRUMS: u8 = 128;

#[test]
fn a_note_off_ends_the_oldest_note_of_its_pitch() {
    let track = [0, 0x90, 60, 10, 5, 0x90, 60, 20, 5, 0x80, 60, 0, 10, 60, 0];
    assert_eq!(one_track(&track), [(0, 10, 60, 10, PIANO), (5, 15, 60, 20, PIANO)]);
}

#[test]
fn velocity_zero_is_a_note_off_and_running_status_outlives_meta_events() {
    let track = [0, 0x90, 60, 10, 3, 0xff, 1, 1, b'x', 4, 60, 0, 0, 62, 9, 1, 62, 0];
    assert_eq!(one_track(&track), [(0, 7, 60, 10, PIANO), (7, 1, 62, 9, PIANO)]);
}

#[test]
fn an_open_note_ends_with_its_track_and_lasts_a_tick_at_least() {
    let track = [0, 0x90, 60, 10, 7, 0x90, 61, 11, 0, 0xff, 0x2f, 0];
    assert_eq!(one_track(&track), [(0, 7, 60, 10, PIANO), (7, 1, 61, 11, PIANO)]);
}

#[test]
fn a_note_closed_where_it_began_has_no_length() {
    assert_eq!(one_track(&[4, 0x90, 60, 10, 0, 0x80, 60, 0]), [(4, 0, 60, 10, PIANO)]);
}

#[test]
fn channel_ten_is_the_drum_kit_whatever_its_program() {
    let track = [0, 0xc9, 5, 0, 0x99, 36, 100, 2, 0x89, 36, 0];
    assert_eq!(one_track(&track), [(0, 2, 36, 100, DRUMS)]);
}

#[test]
fn the_program_at_note_on_counts() {
    let track = [0, 0xc2, 5, 0, 0x92, 60, 1, 1, 0xc2, 6, 1, 0x92, 61, 1, 1, 0x82, 60, 0, 0, 0x82, 61, 0];
    assert_eq!(one_track(&track), [(0, 3, 60, 1, 5), (2, 1, 61, 1, 6)]);
}

#[test]
fn a_track_without_programs_plays_what_another_track_sets() {
    let setup: &[u8] = &[0, 0xc0, 40, 5, 0xc0, 41];
    let melody: &[u8] = &[0, 0x90, 60, 1, 5, 0x80, 60, 0, 0, 0x90, 62, 1, 1, 0x80, 62, 0];
    assert_eq!(notes(&file(1, 96, &[setup, melody])), [(0, 5, 60, 1, 40), (5, 1, 62, 1, 41)]);
    let own: &[u8] = &[0, 0xc0, 7, 0, 0x90, 60, 1, 5, 0x80, 60, 0];
    assert_eq!(notes(&file(1, 96, &[setup, own])), [(0, 5, 60, 1, 7)]);
}

#[test]
fn tempo_and_meter_count_from_any_track_and_the_last_on_a_tick_wins() {
    let first: &[u8] = &[0, 0xff, 0x51, 3, 0x07, 0xa1, 0x20, 0, 0xff, 0x51, 3, 0, 0, 9];
    let second: &[u8] =
        &[0, 0xff, 0x58, 4, 3, 2, 24, 8, 8, 0xff, 0x51, 3, 0, 0, 5, 8, 0xff, 0x58, 4, 6, 3, 24, 8];
    for format in [1, 2] {
        let score = read(&file(format, 96, &[first, second])).unwrap();
        let tempos: Vec<_> = score.tempos.iter().map(|t| (t.tick, t.micros_per_beat)).collect();
        let meters: Vec<_> = score.meters.iter().map(|m| (m.tick, m.numerator, m.denominator)).collect();
        assert_eq!(tempos, [(0, 9), (8, 5)]);
        assert_eq!(meters, [(0, 3, 4), (16, 6, 8)]);
    }
}

#[test]
fn impossible_tempos_and_meters_are_passed_over() {
    let track: &[u8] = &[
        0, 0xff, 0x51, 3, 0, 0, 0, 0, 0xff, 0x58, 4, 0, 2, 24, 8, 0, 0xff, 0x58, 4, 4, 8, 24, 8, //
        0, 0xff, 0x58, 4, 5, 7, 24, 8, 0, 0x90, 60, 1, 1, 0x80, 60, 0,
    ];
    let score = read(&file(0, 96, &[track])).unwrap();
    assert_eq!(score.tempos, []);
    assert_eq!(score.meters, [Meter { tick: 0, numerator: 5, denominator: 128 }]);
    assert_eq!(score.notes.len(), 1);
}

#[test]
fn smpte_frames_become_half_second_beats() {
    let track: &[u8] = &[0, 0xff, 0x51, 3, 0, 0, 9, 40, 0x90, 60, 1, 40, 0x80, 60, 0];
    // 25 frames of 40: a thousand ticks a second, five hundred a beat.
    let score = read(&file(1, 0xe728, &[track])).unwrap();
    assert_eq!((score.ticks_per_beat, score.notes[0].start, score.notes[0].duration), (1000, 80, 80));
    assert_eq!(score.tempos, [Tempo { tick: 0, micros_per_beat: 500_000 }]);
    // 29.97 frames of 2.
    let score = read(&file(1, 0xe302, &[track])).unwrap();
    assert_eq!(score.ticks_per_beat, 60);
    let seconds = f64::from(score.notes[0].start) / 60.0 * f64::from(score.tempos[0].micros_per_beat) / 1e6;
    assert!((seconds - 40.0 / 2.0 / (30_000.0 / 1001.0)).abs() < 1e-12);
}

#[test]
fn riff_wrapped_files_are_read() {
    let midi = file(0, 96, &[&[0, 0x90, 60, 10, 5, 0x80, 60, 0]]);
    let mut riff = b"RIFF\0\0\0\0RMIDLIST\x03\0\0\0abc\0data".to_vec();
    riff.extend(u32::try_from(midi.len()).unwrap().to_le_bytes());
    riff.extend(&midi);
    riff.extend(b"junk after the data chunk");
    assert_eq!(notes(&riff), [(0, 5, 60, 10, PIANO)]);
    assert_eq!(read(b"RIFF\0\0\0\0WAVEfmt "), Err(MidiError::NotRmid { offset: 8 }));
}

#[test]
fn chunks_of_other_kinds_are_passed_over() {
    let mut bytes = file(0, 96, &[]);
    bytes.extend(b"XFIH\0\0\0\x03abc");
    bytes.extend(b"MTrk\0\0\0\x08\x00\x90\x3c\x0a\x05\x80\x3c\x00");
    bytes.extend(b"tail");
    assert_eq!(notes(&bytes), [(0, 5, 60, 10, PIANO)]);
}

#[test]
fn events_that_cannot_be_are_stepped_over() {
    // A real-time byte, a key signature without data, and an SMPTE offset of
    // hour 31, among notes.
    let track = [
        0, 0x90, 60, 10, 1, 0xf8, 1, 62, 11, 1, 0xff, 0x59, 0, 1, 0xff, 0x54, 5, 31, 99, 99, 99, 200, //
        1, 0x80, 60, 0, 1, 62, 0,
    ];
    assert_eq!(one_track(&track), [(0, 5, 60, 10, PIANO), (2, 4, 62, 11, PIANO)]);
}

#[test]
fn a_truncated_file_gives_what_it_still_has() {
    let whole = file(0, 96, &[&[0, 0x90, 60, 10, 5, 0x80, 60, 0, 5, 0x90, 61, 10, 5, 0x80, 61, 0]]);
    assert_eq!(notes(&whole[..whole.len() - 2]), [(0, 5, 60, 10, PIANO), (10, 1, 61, 10, PIANO)]);
}

#[test]
fn claims_of_size_cost_nothing() {
    let mut bytes = file(1, 96, &[]);
    bytes[10..12].copy_from_slice(&[0xff, 0xff]);
    bytes.extend(b"MTrk\xff\xff\xff\xff\x00\x90\x3c\x0a\x05\x80\x3c\x00\x00\xff\x01\xff\xff\xff\x7f");
    assert_eq!(notes(&bytes), [(0, 5, 60, 10, PIANO)]);
}

#[test]
fn many_tiny_tracks_are_read() {
    let track: &[u8] = &[0, 0x90, 60, 10];
    let tracks = vec![track; 60_000];
    assert_eq!(notes(&file(1, 96, &tracks)).len(), 60_000);
}

/// MIDI Gen AI reads them, so they are in its data sets.
#[test]
fn a_type_there_is_not_is_read() {
    assert_eq!(notes(&file(9, 96, &[&[0, 0x90, 60, 10], &[0, 0x90, 64, 10]])).len(), 2);
}

#[test]
fn what_is_no_midi_file_is_refused_with_the_place() {
    let head = |format: u16, division: u16| file(format, division, &[&[0, 0x90, 60, 10]]);
    let cases: [(Vec<u8>, MidiError); 8] = [
        (Vec::new(), MidiError::NoHeader { offset: 0 }),
        (b"hello, not music".to_vec(), MidiError::NoHeader { offset: 0 }),
        (b"MThd\0\0\0\x06\0\x01".to_vec(), MidiError::ShortHeader { offset: 0, found: 10 }),
        (b"MThd".to_vec(), MidiError::ShortHeader { offset: 0, found: 4 }),
        (head(1, 0), MidiError::Division { offset: 12, division: 0 }),
        (head(1, 0x8001), MidiError::Division { offset: 12, division: 0x8001 }),
        (head(1, 0xe700), MidiError::Division { offset: 12, division: 0xe700 }),
        (file(1, 96, &[]), MidiError::NoTracks { offset: 14 }),
    ];
    for (bytes, error) in cases {
        assert_eq!(read(&bytes), Err(error), "{bytes:?}");
    }
}

#[test]
fn ticks_beyond_a_score_are_refused_with_the_place() {
    let pause = [0xff, 0xff, 0xff, 0x7f, 0xff, 1, 0];
    let track = [pause.as_slice(); 17].concat();
    let error = read(&file(0, 96, &[&[], &track])).unwrap_err();
    let tick = 17 * ((1 << 28) - 1);
    assert_eq!(error, MidiError::TooLong { track: 1, offset: 14 + 8 + 8 + 16 * 7, tick });
    assert!(error.to_string().contains("byte 142"), "{error}");
}

/// A small generator of test scores and damage.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        u32::try_from((self.0 >> 33) % u64::from(bound)).unwrap()
    }

    fn byte(&mut self, bound: u32) -> u8 {
        u8::try_from(self.below(bound)).unwrap()
    }

    /// A score without overlaps of one instrument and pitch.
    fn score(&mut self) -> Score {
        let mut score = Score::new(u16::try_from(1 + self.below(32_767)).unwrap());
        let instruments: Vec<u8> = (0..=self.below(40)).map(|_| self.byte(129)).collect();
        let mut free = std::collections::BTreeMap::new();
        let mut place = 0;
        for _ in 0..self.below(200) {
            place += self.below(4) * self.below(500);
            let index = instruments[usize::try_from(self.below(40)).unwrap() % instruments.len()];
            let instrument = Instrument::program(index).unwrap_or(Instrument::DRUMS);
            let pitch = self.byte(128);
            let start = place.max(free.get(&(instrument, pitch)).copied().unwrap_or(0));
            let duration = 1 + self.below(3000);
            free.insert((instrument, pitch), start + duration);
            score.notes.push(Note { start, instrument, pitch, duration, velocity: 1 + self.byte(127) });
        }
        let mut tick = 0;
        for _ in 0..self.below(5) {
            score.tempos.push(Tempo { tick, micros_per_beat: 1 + self.below(0xff_ffff) });
            let (numerator, denominator) = (1 + self.byte(255), 1 << self.below(8));
            score.meters.push(Meter { tick, numerator, denominator });
            tick += 1 + self.below(0x3000_0000);
        }
        score.normalize();
        score
    }
}

#[test]
fn what_is_written_is_read_back() {
    let mut random = Random(0x5eed);
    for _ in 0..300 {
        let score = random.score();
        assert_eq!(read(&write(&score)).unwrap(), score);
    }
}

#[test]
fn damage_anywhere_is_survived() {
    let mut random = Random(77);
    for _ in 0..3000 {
        let mut bytes = write(&random.score());
        for _ in 0..=random.below(8) {
            let place = usize::try_from(random.below(u32::try_from(bytes.len()).unwrap())).unwrap();
            bytes[place] = random.byte(256);
        }
        let keep = usize::try_from(random.below(u32::try_from(bytes.len() + 1).unwrap())).unwrap();
        if random.below(2) == 0 {
            bytes.truncate(keep);
        }
        // Where there still is a score, it obeys the score's own rules.
        if let Ok(score) = read(&bytes) {
            assert!((1..=32_767).contains(&score.ticks_per_beat));
            assert!(score.notes.is_sorted());
            assert!(score.notes.iter().all(|n| n.pitch < 128 && (1..128).contains(&n.velocity)));
            assert!(score.notes.len() <= bytes.len() / 3);
        }
    }
}

#[test]
fn real_files_are_read_and_what_is_written_of_them_stays() {
    let fixtures = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/text");
    let mut read_files = 0;
    for set in ["freedoom_bsd3", "mutopia_pd", "pianobooster_ccby"] {
        for entry in std::fs::read_dir(fixtures.join(set)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "mid") {
                continue;
            }
            let score = read(&std::fs::read(&path).unwrap()).unwrap();
            let text = std::fs::read_to_string(path.with_extension("txt")).unwrap();
            // The seed leaves out what never ends or has no length.
            assert!(score.notes.len() >= text.split(' ').count(), "{}", path.display());
            let written = read(&write(&score)).unwrap();
            assert_eq!((&written.tempos, &written.meters), (&score.tempos, &score.meters));
            let mut expected = score.notes.clone();
            expected.iter_mut().for_each(|note| note.duration = note.duration.max(1));
            expected.sort_by_key(|n| {
                (n.start, n.instrument, n.pitch, std::cmp::Reverse((n.duration, n.velocity)))
            });
            expected.dedup_by_key(|n| (n.start, n.instrument, n.pitch));
            // Of notes that begin together the longest is left, and nothing else changes.
            assert_eq!(written.notes, expected, "{}", path.display());
            assert_eq!(read(&write(&written)).unwrap(), written, "{}", path.display());
            read_files += 1;
        }
    }
    assert_eq!(read_files, 37);
}

fn note(start: u32, duration: u32, pitch: u8, instrument: Instrument) -> Note {
    Note { start, duration, pitch, velocity: 80, instrument }
}

#[test]
fn overlaps_go_to_tracks_and_channels_of_their_own() {
    let mut score = Score::new(96);
    let piano = Instrument::PIANO;
    score.notes = vec![note(0, 50, 60, piano), note(10, 0, 60, piano), note(10, 30, 60, piano)];
    score.notes.extend([note(20, 0, 61, piano), note(45, 9, 60, piano)]);
    let bytes = write(&score);
    let spans =
        |score: &Score| -> Vec<_> { score.notes.iter().map(|n| (n.start, n.duration, n.pitch)).collect() };
    assert_eq!(spans(&read(&bytes).unwrap()), [(0, 50, 60), (10, 30, 60), (20, 1, 61), (45, 9, 60)]);
    // What a sequencer hears, which does not tell tracks apart, is the same.
    let mut open = std::collections::BTreeMap::new();
    for (_, channel, message) in heard(&bytes) {
        let sounds: &mut bool = match message {
            MidiMessage::NoteOn { key, .. } | MidiMessage::NoteOff { key, .. } => {
                open.entry((channel, key)).or_default()
            }
            _ => continue,
        };
        let on = matches!(message, MidiMessage::NoteOn { .. });
        assert_ne!(*sounds, on, "channel {channel}");
        *sounds = on;
    }
    assert_eq!(open.len(), 3);
}

#[test]
fn overlaps_within_a_given_track_are_cut_so_that_every_off_is_unambiguous() {
    let piano = Instrument::PIANO;
    let notes = vec![note(0, 50, 60, piano), note(10, 0, 60, piano), note(10, 30, 60, piano)];
    let track = Track { name: "one".into(), notes };
    let read = read(&write_tracks(&Score::new(96), &[track])).unwrap();
    let spans: Vec<_> = read.notes.iter().map(|n| (n.start, n.duration, n.pitch)).collect();
    assert_eq!(spans, [(0, 10, 60), (10, 30, 60)]);
}

/// All channel messages in the order a sequencer plays them: by tick, then by track.
fn heard(bytes: &[u8]) -> Vec<(u32, u8, MidiMessage)> {
    let smf = Smf::parse(bytes).unwrap();
    let mut all = Vec::new();
    for track in &smf.tracks {
        let mut tick = 0;
        for event in track {
            tick += event.delta.as_int();
            if let TrackEventKind::Midi { channel, message } = event.kind {
                all.push((tick, channel.as_int(), message));
            }
        }
    }
    all.sort_by_key(|&(tick, ..)| tick);
    all
}

#[test]
fn more_instruments_than_channels_are_heard_with_their_programs() {
    let mut score = Score::new(96);
    let program = |i: u8| Instrument::program(i).unwrap();
    score.notes = (0..=127).map(|i| note(u32::from(i) * 10, 10, 60, program(i))).collect();
    score.notes.extend((0..36).map(|i| note(2000, 10, 60, program(i))));
    score.notes.push(note(2010, 5, 36, Instrument::DRUMS));
    let mut programs = [0; 16];
    let mut played = Vec::new();
    for (tick, channel, message) in heard(&write(&score)) {
        match message {
            MidiMessage::ProgramChange { program } => programs[usize::from(channel)] = program.as_int(),
            MidiMessage::NoteOn { .. } if channel != 9 => played.push((tick, programs[usize::from(channel)])),
            _ => {}
        }
    }
    played.sort_unstable();
    let expected: Vec<_> = score
        .notes
        .iter()
        .filter(|n| !n.instrument.is_drums())
        .map(|n| (n.start, n.instrument.index()))
        .collect();
    assert_eq!(played, expected);
    assert_eq!(read(&write(&score)).unwrap(), score);
}

#[test]
fn tracks_keep_their_names_and_notes() {
    let mut frame = Score::new(480);
    frame.tempos.push(Tempo { tick: 0, micros_per_beat: 600_000 });
    frame.notes.push(note(0, 9, 1, Instrument::PIANO));
    let flute = Instrument::program(73).unwrap();
    let tracks = [
        Track { name: "phrase".into(), notes: vec![note(0, 480, 60, Instrument::PIANO)] },
        Track {
            name: "answer \u{e9}".into(),
            notes: vec![note(480, 10, 36, Instrument::DRUMS), note(0, 5, 60, flute)],
        },
        Track { name: "nothing".into(), notes: Vec::new() },
    ];
    let bytes = write_tracks(&frame, &tracks);
    for track in &tracks {
        assert!(bytes.windows(track.name.len()).any(|w| w == track.name.as_bytes()), "{}", track.name);
    }
    assert_eq!(bytes[8..14], [0, 1, 0, 4, 0x01, 0xe0]);
    let mut expected = frame.clone();
    expected.notes = tracks.iter().flat_map(|t| t.notes.clone()).collect();
    expected.normalize();
    assert_eq!(read(&bytes).unwrap(), expected);
}

#[test]
fn more_instruments_than_channels_in_one_track_keep_their_programs() {
    let notes: Vec<Note> =
        (0..60).map(|i| note(u32::from(i) * 10, 10, 60, Instrument::program(i % 20).unwrap())).collect();
    let mut expected = Score::new(96);
    expected.notes = notes.clone();
    let track = Track { name: "all".into(), notes };
    assert_eq!(read(&write_tracks(&Score::new(96), &[track])).unwrap(), expected);
}

#[test]
fn an_empty_score_is_a_file_too() {
    assert_eq!(read(&write(&Score::new(96))).unwrap(), Score::new(96));
}
