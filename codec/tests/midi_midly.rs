//! Real files as midly, a MIDI parser of others, reads them.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;

use continuo_codec::midi;
use midly::{MetaMessage, MidiMessage, Smf, TrackEventKind};

/// Start, duration, pitch, velocity of a note.
type Span = (u32, u32, u8, u8);

/// The notes of a file whose notes are all closed, sorted, and its tempos.
fn by_midly(bytes: &[u8]) -> (Vec<Span>, Vec<(u32, u32)>) {
    let (mut notes, mut tempos) = (Vec::new(), BTreeMap::new());
    for track in Smf::parse(bytes).unwrap().tracks {
        let mut open: BTreeMap<(u8, u8), VecDeque<(u32, u8)>> = BTreeMap::new();
        let mut tick = 0;
        for event in track {
            tick += event.delta.as_int();
            match event.kind {
                TrackEventKind::Midi { channel, message: MidiMessage::NoteOn { key, vel } } if vel > 0 => {
                    let begun = (tick, vel.as_int());
                    open.entry((channel.as_int(), key.as_int())).or_default().push_back(begun);
                }
                TrackEventKind::Midi {
                    channel,
                    message: MidiMessage::NoteOn { key, .. } | MidiMessage::NoteOff { key, .. },
                } => {
                    let key = key.as_int();
                    let oldest = open.get_mut(&(channel.as_int(), key)).and_then(VecDeque::pop_front);
                    notes.extend(oldest.map(|(start, velocity)| (start, tick - start, key, velocity)));
                }
                TrackEventKind::Meta(MetaMessage::Tempo(micros)) => {
                    tempos.insert(tick, micros.as_int());
                }
                TrackEventKind::Meta(MetaMessage::EndOfTrack) => break,
                _ => {}
            }
        }
        let rest = open.into_iter().flat_map(|((_, key), begun)| begun.into_iter().map(move |b| (key, b)));
        notes.extend(rest.map(|(key, (start, velocity))| (start, (tick - start).max(1), key, velocity)));
    }
    notes.sort_unstable();
    (notes, tempos.into_iter().collect())
}

#[test]
fn real_files_have_the_notes_and_tempos_that_midly_finds() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/text");
    let mut compared = 0;
    for set in ["freedoom_bsd3", "mutopia_pd", "pianobooster_ccby"] {
        for entry in std::fs::read_dir(fixtures.join(set)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "mid") {
                continue;
            }
            let bytes = std::fs::read(&path).unwrap();
            let score = midi::read(&bytes).unwrap();
            let mut notes: Vec<Span> =
                score.notes.iter().map(|n| (n.start, n.duration, n.pitch, n.velocity)).collect();
            notes.sort_unstable();
            let tempos = score.tempos.iter().map(|t| (t.tick, t.micros_per_beat)).collect();
            assert!((notes, tempos) == by_midly(&bytes), "{}", path.display());
            compared += 1;
        }
    }
    assert_eq!(compared, 37);
}
