//! What is fuzzed: each function takes any bytes, and fails where the codec breaks
//! a promise.

use continuo_codec::limits::{Density, Limits, Placement, Rhythm, Scale};
use continuo_codec::{
    Anticipation, Beat, Encoding, IdSet, MidiLike, Score, Text, Window, anticipation, beat, midi, midilike,
    text,
};

/// Ids of an input that are looked at: a grammar is asked before each, and the
/// text's looks through ten thousand numbers.
const MOST_IDS: usize = 1000;

/// Every encoding.
#[must_use]
pub fn encodings() -> [Box<dyn Encoding>; 4] {
    [Box::new(Beat), Box::new(Text), Box::new(Anticipation), Box::new(MidiLike::default())]
}

/// Bytes as a MIDI file. What is read can be written, read again the same, and
/// spelled; what is spelled can be read back.
pub fn midi(bytes: &[u8]) {
    if let Ok(text) = text::encode_midi(bytes) {
        assert!(text.is_empty() || text::ids(&text).is_ok());
    }
    let _ = anticipation::encode_midi(bytes);
    let _ = midilike::encode_midi(bytes);
    let spelled = beat::encode_midi(bytes).ok().map(|spelled| spelled.ids);
    let Ok(score) = midi::read(bytes) else { return assert_eq!(spelled, None) };
    assert_eq!(spelled, Beat.encode(&score).ok());
    let written = midi::write(&score);
    let again = midi::read(&written).expect("what was written is a MIDI file");
    assert_eq!(midi::write(&again), written);
    for encoding in encodings() {
        let Ok(ids) = encoding.encode(&score) else { continue };
        let back = encoding.decode(&ids).expect("what was encoded is decoded");
        if encoding.name() == "beat" {
            assert_eq!(encoding.encode(&back).expect("a decoded piece"), ids);
        }
    }
}

/// Bytes as text: what becomes a MIDI file is one.
pub fn text(bytes: &[u8]) {
    let Ok(spelled) = std::str::from_utf8(bytes) else { return };
    if let Ok(ids) = text::ids(spelled) {
        assert_eq!(text::from_ids(&ids).as_deref(), Ok(spelled));
    }
    for instrument in ["piano", "electric piano", "bass", "drums"] {
        let Ok(instrument) = instrument.parse();
        if let Ok(file) = text::decode_midi(spelled, instrument) {
            // Times may lie beyond what a score counts, which is an error.
            let _ = midi::read(&file);
        }
    }
}

/// Bytes as ids, two each: the first byte names the encoding.
pub fn ids(bytes: &[u8]) {
    let Some((&which, rest)) = bytes.split_first() else { return };
    let ids: Vec<u32> = rest
        .chunks_exact(2)
        .take(MOST_IDS)
        .map(|pair| u32::from(u16::from_le_bytes([pair[0], pair[1]])))
        .collect();
    let encodings = encodings();
    let encoding = &encodings[usize::from(which) % encodings.len()];
    let (mut stream, mut events) = (encoding.stream(), Vec::new());
    let mut set = IdSet::default();
    for &id in &ids {
        stream.allowed(&mut set);
        let may = set.contains(id);
        assert_eq!(stream.push(id, &mut events).is_ok(), may, "{} id {id}", encoding.name());
        if !may {
            break;
        }
    }
    let Ok(score) = encoding.decode(&ids) else { return };
    let file = midi::write(&score);
    midi::read(&file).expect("what was written is a MIDI file");
    if let Ok(again) = encoding.encode(&score) {
        encoding.decode(&again).expect("what was encoded is decoded");
    }
}

/// Bytes as limits, and then as choices among what is allowed: there is always
/// something to choose, and whatever is chosen is accepted.
pub fn answer(bytes: &[u8]) {
    let Some((head, choices)) = bytes.split_at_checked(12) else { return };
    let phrase = phrase(head[0]);
    let limits = limits(head, &phrase);
    let encodings = encodings();
    let encoding = &encodings[usize::from(head[9]) % encodings.len()];
    let from = f64::from(head[10] % 40) / 4.0;
    let window = Window { from, until: from + 0.25 + f64::from(head[11] % 64) / 4.0 };
    let Ok(answer) = encoding.continuation_within(&phrase, window, &limits, 300) else { return };
    let (mut stream, mut history) = (answer.stream, answer.ids);
    let (mut set, mut events) = (IdSet::default(), Vec::new());
    for pair in choices.chunks_exact(2).take(MOST_IDS) {
        if stream.finished() {
            return;
        }
        stream.allowed(&mut set);
        let choice = usize::from(u16::from_le_bytes([pair[0], pair[1]])) % set.len();
        let id = set.ranges().iter().cloned().flatten().nth(choice).expect("one of those allowed");
        stream.push(id, &mut events).expect("it is allowed");
        history.push(id);
        if history.len() > 400 {
            history = stream.shorten(&history, 200);
            assert!(history.len() <= 200);
        }
    }
}

fn phrase(seed: u8) -> Score {
    use continuo_codec::{Instrument, Note};
    let mut score = Score::new(480);
    let players = [Instrument::PIANO, Instrument::DRUMS, Instrument::program(33).unwrap_or_default()];
    for step in 0..u32::from(seed % 40) {
        score.notes.push(Note {
            start: step * 120 + u32::from(seed) % 50,
            instrument: players[usize::from(seed).wrapping_add(step as usize) % 3],
            pitch: (seed / 2).wrapping_add(step as u8 * 5) % 128,
            duration: 60 + step * 20,
            velocity: 1 + seed % 127,
        });
    }
    score.normalize();
    score
}

fn limits(head: &[u8], phrase: &Score) -> Limits {
    let on = |bit: u8| head[1] >> bit & 1 == 1;
    let low = head[2] % 128;
    Limits {
        scale: if on(0) { Scale::of(&[head[3] % 12, head[3] / 16 % 12]) } else { None },
        range: if on(1) { low..=low.saturating_add(head[4] % 24).min(127) } else { 0..=127 },
        polyphony: on(2).then_some(head[5] % 8),
        grid: on(3).then_some(head[6] % 26),
        density: if on(4) { Density::per_beat(f64::from(head[7]) / 16.0) } else { None },
        rhythm: if on(5) { Rhythm::of(phrase, 0.0, 1.0 + f64::from(head[8] % 16)).ok() } else { None },
        placement: if on(6) { Placement::Over } else { Placement::After },
    }
}
