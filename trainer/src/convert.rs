//! `continuo encode` and `continuo decode`.
//!
//! - `folder`: a whole folder, in parallel, resumable, with a list of what was
//!   refused.

mod folder;

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::{Args, ValueEnum};
use continuo_codec::midi::{self, MidiError};
use continuo_codec::text::{self, TextError, TextInstrument};
use continuo_codec::{Encoding as _, beat};

use crate::Outcome;
use crate::encodings::EncodingName;
use crate::files;

/// What both directions are told about places and work.
#[derive(Debug, Args)]
pub struct Places {
    /// A file, or a folder searched with its subfolders
    #[arg(value_name = "IN")]
    pub input: PathBuf,
    /// A file for a file, a folder for a folder
    #[arg(value_name = "OUT")]
    pub output: PathBuf,
    /// The spelling
    #[arg(long, value_enum, default_value_t = EncodingName::Text)]
    pub encoding: EncodingName,
    /// Convert again what OUT has already
    #[arg(long)]
    pub force: bool,
    /// Files converted at a time [default: one a processor core]
    #[arg(long, value_name = "N")]
    pub jobs: Option<usize>,
    /// Write refused files there, a JSON object {"file", "reason"} a line
    #[arg(long, value_name = "FILE.jsonl")]
    pub report: Option<PathBuf>,
}

/// What `continuo encode` can be told.
#[derive(Debug, Args)]
#[command(
    long_about = "Spell MIDI files as text or token ids.\n\n\
        text: MIDI Gen AI's `pitch_start_duration_velocity`, byte for byte as its own data sets; files NAME.txt, no \
        line break at the end.\n\
        beat: Continuo's own bars and beats; files NAME.ids, ids in decimal joined by single spaces, no line break \
        at the end.\n\n\
        A folder gives a folder of the same names: every file whose name ends in exactly .mid. What OUT has already \
        is skipped, so an interrupted run can be repeated. Files that cannot be converted are listed at the end.",
    after_help = "EXAMPLES:\n  \
        continuo encode song.mid song.txt\n  \
        continuo encode music/ texts/ --report refused.jsonl\n  \
        continuo encode music/ ids/ --encoding beat"
)]
pub struct EncodeArgs {
    /// Places and work.
    #[command(flatten)]
    pub places: Places,
}

/// What `continuo decode` can be told.
#[derive(Debug, Args)]
#[command(
    long_about = "Turn text or token ids back into MIDI files: NAME.txt (text) or NAME.ids (beat) becomes NAME.mid.",
    after_help = "EXAMPLES:\n  \
        continuo decode song.txt song.mid\n  \
        continuo decode beat.txt beat.mid --instrument drums\n  \
        continuo decode ids/ music/ --encoding beat"
)]
pub struct DecodeArgs {
    /// Places and work.
    #[command(flatten)]
    pub places: Places,
    /// Who plays text, which does not say so (text only) [default: piano]
    #[arg(long, value_enum)]
    pub instrument: Option<InstrumentName>,
}

/// Who plays decoded text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum InstrumentName {
    /// Program 0
    Piano,
    /// Program 4
    ElectricPiano,
    /// Program 33
    Bass,
    /// The drum kit, channel 10
    Drums,
}

impl From<InstrumentName> for TextInstrument {
    fn from(name: InstrumentName) -> Self {
        match name {
            InstrumentName::Piano => Self::Piano,
            InstrumentName::ElectricPiano => Self::ElectricPiano,
            InstrumentName::Bass => Self::Bass,
            InstrumentName::Drums => Self::Drums,
        }
    }
}

/// Why one file could not be converted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// One sentence.
    pub reason: String,
    /// The byte in the file where it was noticed, where that is known.
    pub offset: Option<usize>,
}

impl Refusal {
    fn new(reason: impl fmt::Display) -> Self {
        Self { reason: reason.to_string(), offset: None }
    }
}

impl From<TextError> for Refusal {
    fn from(error: TextError) -> Self {
        let offset = match &error {
            TextError::Midi { offset, .. }
            | TextError::Note { offset, .. }
            | TextError::Character { offset, .. }
            | TextError::Run { offset } => Some(*offset),
            _ => None,
        };
        Self { reason: error.to_string(), offset }
    }
}

impl From<MidiError> for Refusal {
    fn from(error: MidiError) -> Self {
        let offset = match &error {
            MidiError::NoHeader { offset }
            | MidiError::NotRmid { offset }
            | MidiError::ShortHeader { offset, .. }
            | MidiError::Division { offset, .. }
            | MidiError::NoTracks { offset }
            | MidiError::TooLong { offset, .. } => Some(*offset),
            _ => None,
        };
        Self { reason: error.to_string(), offset }
    }
}

/// One file's bytes to another's.
type Convert<'a> = &'a (dyn Fn(&[u8]) -> Result<Vec<u8>, Refusal> + Sync);

/// One direction of conversion.
struct Direction<'a> {
    /// What input names end in, and what output names end in instead.
    from: &'static str,
    to: &'static str,
    convert: Convert<'a>,
}

/// Runs `continuo encode`.
///
/// # Errors
/// One sentence that names the file and the remedy.
pub fn encode(args: &EncodeArgs) -> anyhow::Result<Outcome> {
    let to = spelled_suffix(args.places.encoding);
    let convert: Convert<'_> = match args.places.encoding {
        EncodingName::Text => &encode_text,
        EncodingName::Beat => &encode_beat,
    };
    run(&args.places, &Direction { from: ".mid", to, convert })
}

/// Runs `continuo decode`.
///
/// # Errors
/// One sentence that names the file and the remedy.
pub fn decode(args: &DecodeArgs) -> anyhow::Result<Outcome> {
    let instrument = args.instrument.unwrap_or(InstrumentName::Piano).into();
    let decode_text = |bytes: &[u8]| decode_text(bytes, instrument);
    let convert: Convert<'_> = match args.places.encoding {
        EncodingName::Text => &decode_text,
        EncodingName::Beat if args.instrument.is_some() => {
            bail!("--instrument is for text, which does not say who plays; beat does: leave it out")
        }
        EncodingName::Beat => &decode_beat,
    };
    let from = spelled_suffix(args.places.encoding);
    run(&args.places, &Direction { from, to: ".mid", convert })
}

const fn spelled_suffix(encoding: EncodingName) -> &'static str {
    match encoding {
        EncodingName::Text => ".txt",
        EncodingName::Beat => ".ids",
    }
}

fn run(places: &Places, direction: &Direction<'_>) -> anyhow::Result<Outcome> {
    let input = &places.input;
    if !input.exists() {
        bail!("{} does not exist; check the name", input.display());
    }
    if input.is_dir() {
        return folder::run(places, direction);
    }
    if places.output.is_dir() {
        let name = mirrored(Path::new(input.file_name().unwrap_or_default()), direction);
        bail!(
            "{} is a folder; for one file name the file to write, for example {}",
            places.output.display(),
            places.output.join(name).display()
        );
    }
    if files::same(input, &places.output) {
        bail!("OUT is the file to read, {}; name another, or it would be overwritten", input.display());
    }
    one_file(places, direction)
}

/// Converts a single file, whatever its name ends in.
fn one_file(places: &Places, direction: &Direction<'_>) -> anyhow::Result<Outcome> {
    let input = &places.input;
    let bytes = files::read(input)?;
    match (direction.convert)(&bytes) {
        Ok(converted) => {
            files::write(&places.output, &converted)?;
            folder::report(places, &[])?;
            Ok(Outcome::Done)
        }
        Err(refusal) => {
            let hint = hint(input, direction);
            eprintln!("error: {} was refused: {}{hint}", input.display(), refusal.reason);
            folder::report(places, &[(input.clone(), refusal)])?;
            Ok(Outcome::Refused)
        }
    }
}

/// A word on the likely mistake where a file's name says it is something else.
fn hint(input: &Path, direction: &Direction<'_>) -> String {
    if files::ends_with(input, direction.from) || (direction.from == ".mid" && files::is_midi(input)) {
        return String::new();
    }
    format!(" (its name does not end in {}; is it the right file?)", direction.from)
}

/// An input's name with the ending of an output.
fn mirrored(input: &Path, direction: &Direction<'_>) -> PathBuf {
    let name = input.file_name().unwrap_or_default().to_string_lossy();
    let stem = name.strip_suffix(direction.from).unwrap_or(&name);
    input.with_file_name(format!("{stem}{}", direction.to))
}

fn encode_text(bytes: &[u8]) -> Result<Vec<u8>, Refusal> {
    Ok(text::encode_midi(bytes)?.into_bytes())
}

fn encode_beat(bytes: &[u8]) -> Result<Vec<u8>, Refusal> {
    let score = midi::read(bytes)?;
    let ids = beat::Beat.encode(&score).map_err(Refusal::new)?;
    let words: Vec<String> = ids.iter().map(u32::to_string).collect();
    Ok(words.join(" ").into_bytes())
}

fn decode_text(bytes: &[u8], instrument: TextInstrument) -> Result<Vec<u8>, Refusal> {
    Ok(text::decode_midi(utf8(bytes)?, instrument)?)
}

fn decode_beat(bytes: &[u8]) -> Result<Vec<u8>, Refusal> {
    let mut ids = Vec::new();
    for (position, word) in utf8(bytes)?.split_whitespace().enumerate() {
        let id = word.parse().map_err(|_| {
            Refusal::new(format_args!("word {} is {word:?}, which is not a token id", position + 1))
        })?;
        ids.push(id);
    }
    beat::Beat.decode(&ids).map(|score| midi::write(&score)).map_err(Refusal::new)
}

fn utf8(bytes: &[u8]) -> Result<&str, Refusal> {
    std::str::from_utf8(bytes).map_err(|error| Refusal {
        reason: format!("not UTF-8 text from byte {} on", error.valid_up_to()),
        offset: Some(error.valid_up_to()),
    })
}
