//! How each encoding is kept in files: one table of names and functions.

use std::io::Write as _;
use std::path::Path;
use std::sync::LazyLock;

use continuo_codec::beat::{self, Losses, SpellError};
use continuo_codec::text::{self, TextInstrument};
use continuo_codec::{Encoding as _, EncodingError, MidiLike, anticipation, midi};

use super::refusal::Refusal;
use crate::encodings::EncodingName;
use crate::files;

/// What a conversion has to tell of a file, and in sum of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Notes read, where they are counted.
    pub(super) notes: usize,
    pub(super) losses: Losses,
    /// Pieces of a text that are no notes.
    pub(super) passed_over: usize,
}

impl Tally {
    pub(super) fn add(&mut self, other: Self) {
        self.notes += other.notes;
        self.losses.doubled += other.losses.doubled;
        self.losses.lengthened += other.losses.lengthened;
        self.losses.shortened += other.losses.shortened;
        self.passed_over += other.passed_over;
    }
}

/// One file's bytes to another's, which take the place of what the buffer holds.
pub(super) type Convert = fn(&[u8], &mut Vec<u8>) -> Result<Tally, Refusal>;

/// Who plays text has to be told, so its conversion is made for one of them.
type Decode = fn(TextInstrument) -> Convert;

/// Which names are taken for MIDI files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Names {
    /// Those that end in exactly this.
    Exactly(&'static str),
    /// Those that end in `.mid` or `.midi`, in capitals or not.
    Midi,
}

impl Names {
    pub(super) fn accept(self, path: &Path) -> bool {
        match self {
            Self::Exactly(suffix) => files::ends_with(path, suffix),
            Self::Midi => files::is_midi(path),
        }
    }

    /// For messages: "a name that ends in ...".
    pub(super) fn describe(self) -> &'static str {
        match self {
            Self::Exactly(".mid") => "exactly .mid",
            Self::Exactly(suffix) => suffix,
            Self::Midi => ".mid or .midi",
        }
    }

    /// For messages: how other names are taken.
    pub(super) fn others(self) -> &'static str {
        match self {
            Self::Exactly(".mid") => "; other encodings than text take .midi and capitals too",
            Self::Exactly(".txt") => "; for token ids (.ids) say with --encoding whose they are",
            _ => "",
        }
    }
}

/// An encoding in files.
pub(super) struct Spelling {
    /// What the names of spelled files end in.
    pub(super) suffix: &'static str,
    /// Which MIDI files of a folder are spelled.
    pub(super) midi: Names,
    pub(super) encode: Convert,
    pub(super) decode: Decode,
    /// Whether `--instrument` means anything.
    pub(super) takes_instrument: bool,
}

/// The table.
pub(super) const fn spelling(encoding: EncodingName) -> Spelling {
    match encoding {
        EncodingName::Text => Spelling {
            suffix: ".txt",
            // As the seed's own data sets have it.
            midi: Names::Exactly(".mid"),
            encode: encode_text,
            decode: decode_text,
            takes_instrument: true,
        },
        EncodingName::Beat => Spelling {
            suffix: ".ids",
            midi: Names::Midi,
            encode: encode_beat,
            decode: |_| decode_beat,
            takes_instrument: false,
        },
        EncodingName::Anticipation => Spelling {
            suffix: ".ids",
            midi: Names::Midi,
            encode: encode_anticipation,
            decode: |_| decode_anticipation,
            takes_instrument: false,
        },
        EncodingName::Midilike => Spelling {
            suffix: ".ids",
            midi: Names::Midi,
            encode: encode_midilike,
            decode: |_| decode_midilike,
            takes_instrument: false,
        },
    }
}

fn encode_text(bytes: &[u8], to: &mut Vec<u8>) -> Result<Tally, Refusal> {
    *to = text::encode_midi(bytes)?.into_bytes();
    Ok(Tally::default())
}

fn encode_beat(bytes: &[u8], to: &mut Vec<u8>) -> Result<Tally, Refusal> {
    let spelled = beat::encode_midi(bytes).map_err(|error| match error {
        SpellError::Midi(error) => error.into(),
        SpellError::Encoding(error) => Refusal::new(error),
    })?;
    write_ids(&spelled.ids, to);
    Ok(Tally { notes: spelled.notes, losses: spelled.losses, ..Tally::default() })
}

const fn decode_text(instrument: TextInstrument) -> Convert {
    match instrument {
        TextInstrument::Piano => |bytes, to| decode_text_as(bytes, to, TextInstrument::Piano),
        TextInstrument::ElectricPiano => |bytes, to| decode_text_as(bytes, to, TextInstrument::ElectricPiano),
        TextInstrument::Bass => |bytes, to| decode_text_as(bytes, to, TextInstrument::Bass),
        TextInstrument::Drums => |bytes, to| decode_text_as(bytes, to, TextInstrument::Drums),
    }
}

fn decode_text_as(bytes: &[u8], to: &mut Vec<u8>, instrument: TextInstrument) -> Result<Tally, Refusal> {
    let text = utf8(bytes)?;
    *to = text::decode_midi(text, instrument)?;
    Ok(Tally { passed_over: text::passed_over(text), ..Tally::default() })
}

fn decode_beat(bytes: &[u8], to: &mut Vec<u8>) -> Result<Tally, Refusal> {
    decode_ids(bytes, to, |ids| beat::Beat.decode(ids).map(|score| midi::write(&score)))
}

fn encode_anticipation(bytes: &[u8], to: &mut Vec<u8>) -> Result<Tally, Refusal> {
    let ids = anticipation::encode_midi(bytes)?;
    write_ids(&ids, to);
    Ok(Tally { notes: ids.len() / 3, ..Tally::default() })
}

fn decode_anticipation(bytes: &[u8], to: &mut Vec<u8>) -> Result<Tally, Refusal> {
    decode_ids(bytes, to, anticipation::decode_midi)
}

/// The tokenizer's vocabulary is built once.
static MIDILIKE: LazyLock<MidiLike> = LazyLock::new(MidiLike::default);

fn encode_midilike(bytes: &[u8], to: &mut Vec<u8>) -> Result<Tally, Refusal> {
    write_ids(&MIDILIKE.encode_midi(bytes)?, to);
    Ok(Tally::default())
}

fn decode_midilike(bytes: &[u8], to: &mut Vec<u8>) -> Result<Tally, Refusal> {
    decode_ids(bytes, to, |ids| MIDILIKE.decode(ids).map(|score| midi::write(&score)))
}

/// Turns the ids that a file's bytes spell into a MIDI file.
fn decode_ids(
    bytes: &[u8],
    to: &mut Vec<u8>,
    decode: impl Fn(&[u32]) -> Result<Vec<u8>, EncodingError>,
) -> Result<Tally, Refusal> {
    let ids = read_ids(bytes)?;
    if ids.is_empty() {
        // As after a power cut: an empty MIDI file would pass for one that is made.
        return Err(Refusal { reason: "the file has no token id".to_owned(), offset: Some(bytes.len()) });
    }
    *to = decode(&ids).map_err(|error| {
        let EncodingError::UnexpectedId { position, .. } = error else { return Refusal::new(error) };
        Refusal {
            reason: format!("{error}; ids of another encoding need its name, --encoding"),
            offset: utf8(bytes)
                .ok()
                .and_then(|text| Some(offset(text, text.split_whitespace().nth(position)?))),
        }
    })?;
    Ok(Tally::default())
}

/// An id of up to three digits and the space after it.
#[derive(Clone, Copy)]
struct Word {
    bytes: [u8; WIDTH],
    length: usize,
}

/// How long such a word is at most.
const WIDTH: usize = 4;

static WORDS: [Word; 1000] = words();

#[expect(clippy::cast_possible_truncation, reason = "digits are below 10")]
const fn words() -> [Word; 1000] {
    let mut words = [Word { bytes: [b' '; WIDTH], length: WIDTH }; 1000];
    let mut id = 0;
    while id < words.len() {
        let digits = [(id / 100) as u8 + b'0', (id / 10 % 10) as u8 + b'0', (id % 10) as u8 + b'0'];
        let zeros = if id < 10 { 2 } else { (id < 100) as usize };
        let mut place = zeros;
        while place < digits.len() {
            words[id].bytes[place - zeros] = digits[place];
            place += 1;
        }
        words[id].length -= zeros;
        id += 1;
    }
    words
}

/// Ids that are written at a time.
const PART: usize = 64;

/// Writes ids in decimal, joined by single spaces.
pub(super) fn write_ids(ids: &[u32], to: &mut Vec<u8>) {
    to.clear();
    for part in ids.chunks(PART) {
        let mut room = [0; PART * WIDTH];
        let mut at = 0;
        for &id in part {
            let word = WORDS.get(id as usize);
            let Some((word, room)) = word.zip(room.get_mut(at..at + WIDTH)) else {
                return write_any_ids(ids, to);
            };
            // Four bytes at any rate are quicker than as many as it takes.
            room.copy_from_slice(&word.bytes);
            at += word.length;
        }
        to.extend_from_slice(&room[..at]);
    }
    to.pop();
}

/// Does so where some are longer.
fn write_any_ids(ids: &[u32], to: &mut Vec<u8>) {
    to.clear();
    for id in ids {
        // A vector takes whatever is written.
        let _ = write!(to, "{id} ");
    }
    to.pop();
}

/// How much of a word is shown that is none.
const SHOWN: usize = 40;

/// Reads ids in decimal, separated by white space.
pub(super) fn read_ids(bytes: &[u8]) -> Result<Vec<u32>, Refusal> {
    let mut ids = Vec::new();
    let text = utf8(bytes)?;
    for (position, word) in text.split_whitespace().enumerate() {
        let id = word.parse().map_err(|_| {
            let begin: String = word.chars().take(SHOWN).collect();
            let more = if begin.len() < word.len() { " and so on" } else { "" };
            Refusal {
                reason: format!(
                    "word {} is {begin:?}{more}, which is not a token id: a number, with spaces around it",
                    position + 1
                ),
                offset: Some(offset(text, word)),
            }
        })?;
        ids.push(id);
    }
    Ok(ids)
}

/// Where a word of a text begins, in bytes.
fn offset(text: &str, word: &str) -> usize {
    word.as_ptr().addr() - text.as_ptr().addr()
}

fn utf8(bytes: &[u8]) -> Result<&str, Refusal> {
    std::str::from_utf8(bytes).map_err(|error| Refusal {
        reason: format!("not UTF-8 text from byte {} on", error.valid_up_to()),
        offset: Some(error.valid_up_to()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_written_as_their_display_and_read_back() {
        let ids: Vec<u32> = (0..1100).chain([9_999, 55_028, 65_536, 999_999_999, u32::MAX, 0]).collect();
        let expected: Vec<String> = ids.iter().map(u32::to_string).collect();
        let mut written = b"something longer that was there before".repeat(1000);
        write_ids(&ids, &mut written);
        assert_eq!(String::from_utf8_lossy(&written), expected.join(" "));
        assert_eq!(read_ids(&written).ok(), Some(ids));
        for (ids, expected) in [(&[][..], ""), (&[7], "7"), (&[u32::MAX], "4294967295")] {
            write_ids(ids, &mut written);
            assert_eq!(String::from_utf8_lossy(&written), expected);
        }
    }
}
