//! `continuo encode` and `continuo decode`.
//!
//! - `spelling`: how each encoding is kept in files; a new one is added there.
//! - `folder`: a whole folder, in parallel and resumable.
//! - `claim`: what protects a folder while it is written to.
//! - `summary`: what is told at the end, and the report of refused files.
//! - `refusal`: why a file was refused.

mod claim;
mod folder;
mod refusal;
mod spelling;
mod summary;

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::{Args, ValueEnum};
use continuo_codec::text::TextInstrument;

pub use refusal::Refusal;

use crate::Outcome;
use crate::encodings::EncodingName;
use crate::files;
use spelling::{Convert, Names, spelling};

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
    /// Convert again what the folder OUT has already (a file OUT is always replaced, unless its name says that it
    /// is of the kind that is read)
    #[arg(long)]
    pub force: bool,
    /// Files converted at a time, 256 at most [default: one a processor core]
    #[arg(long, value_name = "N")]
    pub jobs: Option<NonZeroUsize>,
    /// Write refused files there, a JSON object {"file", "reason", "offset"} a line, in place of an earlier report
    #[arg(long, value_name = "FILE.jsonl")]
    pub report: Option<PathBuf>,
    /// Stop at the first refused file
    #[arg(long, visible_alias = "no-keep-going")]
    pub fail_fast: bool,
    /// Go on after refused files, as is done anyway
    #[arg(long, conflicts_with = "fail_fast")]
    pub keep_going: bool,
}

/// What `--help` tells first.
pub(crate) const ABOUT_ENCODE: &str = "Spell MIDI files as text or token ids.\n\n\
    text: MIDI Gen AI's `pitch_start_duration_velocity`, byte for byte as its own data sets; files NAME.txt, no \
    line break at the end.\n\
    beat: Continuo's own bars and beats.\n\
    anticipation: the events of the Anticipatory Music Transformer, id for id as its own code makes them.\n\
    midilike: MidiTok's MIDILike tokens, id for id as MidiTok 3.1.0 makes them for MIDI Gen AI's later models.\n\
    These three give files NAME.ids, ids in decimal joined by single spaces, no line break at the end.\n\n\
    A folder gives a folder of the same names: every file whose name ends in exactly .mid (text), or in .mid or \
    .midi, in capitals or not (other encodings). Where two names would give one, the second is refused. \
    What OUT has already is skipped, so an interrupted run can be repeated, and no file in OUT is ever half \
    written, even if the run is killed; after a power cut, files of the last seconds may be empty and are made \
    again. Files that cannot be converted are listed at the end, and the exit code is 1.";

/// What `continuo encode` can be told.
#[derive(Debug, Args)]
#[command(after_help = "EXAMPLES:\n  \
        continuo encode song.mid song.txt\n  \
        continuo encode music/ texts/ --report refused.jsonl\n  \
        continuo encode music/ ids/ --encoding beat")]
pub struct EncodeArgs {
    /// Places and work.
    #[command(flatten)]
    pub places: Places,
}

/// What `--help` tells first.
pub(crate) const ABOUT_DECODE: &str = "Turn text or token ids back into MIDI files: NAME.txt (text) or NAME.ids (other encodings) becomes NAME.mid.";

/// What `continuo decode` can be told.
#[derive(Debug, Args)]
#[command(after_help = "EXAMPLES:\n  \
        continuo decode song.txt song.mid\n  \
        continuo decode beat.txt beat.mid --instrument drums\n  \
        continuo decode ids/ music/ --encoding beat")]
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

/// One direction of conversion.
struct Direction {
    /// Which names are taken.
    from: Names,
    /// What input names normally end in, where `from` takes others too.
    plain: Option<&'static str>,
    /// What output names end in.
    to: &'static str,
    convert: Convert,
}

impl Direction {
    /// Whether a name says that the file is of the kind that is read.
    fn reads(&self, path: &Path) -> bool {
        self.from.accept(path) || (self.plain.is_some() && files::is_midi(path))
    }
}

/// Runs `continuo encode`.
///
/// # Errors
/// One sentence that names the file and the remedy.
pub fn encode(args: &EncodeArgs) -> anyhow::Result<Outcome> {
    let spelling = spelling(args.places.encoding);
    let (from, to, convert) = (spelling.midi, spelling.suffix, spelling.encode);
    run(&args.places, &Direction { from, plain: Some(".mid"), to, convert })
}

/// Runs `continuo decode`.
///
/// # Errors
/// One sentence that names the file and the remedy.
pub fn decode(args: &DecodeArgs) -> anyhow::Result<Outcome> {
    let encoding = args.places.encoding;
    let spelling = spelling(encoding);
    if args.instrument.is_some() && !spelling.takes_instrument {
        bail!(
            "--instrument is for text, which does not say who plays; {} does: leave it out",
            encoding.as_str()
        );
    }
    let instrument = args.instrument.unwrap_or(InstrumentName::Piano).into();
    let convert = (spelling.decode)(instrument);
    run(&args.places, &Direction { from: Names::Exactly(spelling.suffix), plain: None, to: ".mid", convert })
}

fn run(places: &Places, direction: &Direction) -> anyhow::Result<Outcome> {
    let input = &places.input;
    if !input.exists() {
        bail!("{} does not exist; check the name", input.display());
    }
    summary::check_report(places)?;
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
    // Two names given by a pattern like *.mid are not one file and its result.
    if direction.reads(&places.output) && places.output.exists() && !places.force {
        bail!(
            "OUT, {}, is there already and looks like what is read, not like a result (NAME{}); name another, or \
             say --force to replace it",
            places.output.display(),
            direction.to
        );
    }
    one_file(places, direction)
}

/// Converts a single file, whatever its name ends in.
fn one_file(places: &Places, direction: &Direction) -> anyhow::Result<Outcome> {
    let input = &places.input;
    let bytes = files::read(input)?;
    let mut converted = Vec::new();
    match (direction.convert)(&bytes, &mut converted) {
        Ok(tally) => {
            files::write(&places.output, &converted)?;
            summary::passed_over(tally);
            summary::report(places, &[])?;
            Ok(Outcome::Done)
        }
        Err(refusal) => {
            let hint = hint(input, direction);
            crate::tell!("error: {} was refused: {}{hint}", input.display(), refusal.reason);
            summary::report(places, &[(input.clone(), refusal)])?;
            Ok(Outcome::Refused)
        }
    }
}

/// A word on the likely mistake where a file's name says it is something else.
fn hint(input: &Path, direction: &Direction) -> String {
    if direction.reads(input) {
        return String::new();
    }
    format!(" (its name does not end in {}; is it the right file?)", direction.from.describe())
}

/// An input's name with the ending of an output. Names differ where inputs'
/// names without their endings do.
fn mirrored(input: &Path, direction: &Direction) -> PathBuf {
    let name = match input.extension() {
        Some(_) if direction.from.accept(input) => input.file_stem(),
        // A name that is nothing but the ending.
        None if direction.from.accept(input) => None,
        _ => input.file_name(),
    };
    let name = name.unwrap_or_default();
    let mut mirrored = OsString::with_capacity(name.len() + direction.to.len());
    mirrored.push(name);
    mirrored.push(direction.to);
    input.with_file_name(mirrored)
}
