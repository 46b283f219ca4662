//! From folders of MIDI files to pieces: read, check, spell, leave out what is
//! too short or there twice.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use anyhow::bail;
use continuo_codec::{Encoding, Note, Score, midi};
use rayon::prelude::*;

use crate::files;
use crate::interrupt;
use crate::progress::Progress;
use crate::train::{split, stored};

/// Pieces with fewer notes teach a model little but how to stop.
pub const MIN_NOTES: usize = 32;

/// One MIDI file, spelled.
#[derive(Clone)]
pub struct Piece {
    /// Where it was read from.
    pub file: PathBuf,
    /// The folder it was found in, as a person would name it.
    pub source: String,
    /// Its licence, where the data set it was in tells it.
    pub license: Option<String>,
    /// How many notes it has.
    pub notes: usize,
    /// Its spelling.
    pub ids: Vec<u32>,
    /// Whether it is kept from training, to measure on.
    pub held_out: bool,
    /// What near-duplicates are found by; see [`split::shingles`].
    shingles: Vec<u64>,
    /// Equal for pieces that differ only in key, loudness or note lengths.
    fingerprint: u64,
}

impl Piece {
    /// A row of a data set, where it was looked for duplicates already.
    #[must_use]
    pub fn stored(
        file: PathBuf,
        source: String,
        license: Option<String>,
        notes: usize,
        ids: Vec<u32>,
    ) -> Self {
        Self { file, source, license, notes, ids, held_out: false, shingles: Vec::new(), fingerprint: 0 }
    }
}

/// A file that could not be read, and why.
pub struct Refusal {
    /// The file.
    pub file: PathBuf,
    /// One sentence.
    pub reason: String,
}

/// What training and measuring work with.
#[derive(Default)]
pub struct Corpus {
    /// In the order of the folders and of the names in them.
    pub pieces: Vec<Piece>,
    /// Files that are not MIDI, or damaged.
    pub refused: Vec<Refusal>,
    /// How many files had fewer than [`MIN_NOTES`] notes.
    pub short: usize,
    /// How many files repeated another in the same or another key.
    pub duplicates: usize,
    /// How many held-out files were given to training because most of their
    /// music is in training files too.
    pub near_duplicates: usize,
}

impl Corpus {
    /// The pieces to train on, or those held out.
    pub fn part(&self, held_out: bool) -> impl Iterator<Item = &Piece> {
        self.pieces.iter().filter(move |p| p.held_out == held_out)
    }

    /// How many files a part has pieces of: a data set has many rows of one, and some of them
    /// more than once.
    #[must_use]
    pub fn files(&self, held_out: bool) -> usize {
        self.part(held_out).map(|piece| &piece.file).collect::<HashSet<_>>().len()
    }

    /// What was left out and why, in a line.
    #[must_use]
    pub fn left_out(&self) -> String {
        format!(
            "{} unreadable, {} with fewer than {MIN_NOTES} notes, {} repeating another",
            self.refused.len(),
            self.short,
            self.duplicates
        )
    }
}

enum Reading {
    Piece(Piece),
    Short,
    Refused(Refusal),
}

/// Reads all MIDI files below the folders and holds a share of them out.
///
/// # Errors
/// A folder that is missing or has no MIDI file; an interruption.
pub fn read(folders: &[PathBuf], encoding: &dyn Encoding, held_out: f64) -> anyhow::Result<Corpus> {
    let mut files = Vec::new();
    for folder in folders {
        files.extend(list(folder)?);
    }
    let progress = Progress::new("files", u64::try_from(files.len())?);
    let readings: Vec<Option<Reading>> = files
        .par_iter()
        .map(|(folder, file)| {
            let reading = (!interrupt::requested()).then(|| read_file(folder, file, encoding));
            progress.advance();
            reading
        })
        .collect();
    progress.finish();
    let mut corpus = Corpus::default();
    let mut seen = HashSet::new();
    for reading in readings {
        match reading {
            None => bail!("interrupted while reading; nothing was written"),
            Some(Reading::Short) => corpus.short += 1,
            Some(Reading::Refused(refusal)) => corpus.refused.push(refusal),
            Some(Reading::Piece(piece)) if !seen.insert(piece.fingerprint) => corpus.duplicates += 1,
            Some(Reading::Piece(piece)) => corpus.pieces.push(piece),
        }
    }
    hold_out(&mut corpus, held_out);
    Ok(corpus)
}

/// The MIDI files of a folder with the folder itself, or a single file.
fn list(folder: &Path) -> anyhow::Result<Vec<(PathBuf, PathBuf)>> {
    if folder.is_file() {
        bail!("{} is a file; name the folder it lies in", folder.display());
    }
    if !folder.exists() {
        bail!("{} does not exist; name a folder of MIDI files", folder.display());
    }
    let found = files::walk(folder, &files::is_midi)?;
    if found.is_empty() && stored::is_set(folder) {
        bail!(
            "{} is a data set, not a folder of MIDI files; give it to `continuo train` as --data",
            folder.display()
        );
    }
    if found.is_empty() {
        bail!("{} has no file ending in .mid or .midi, nor do its subfolders", folder.display());
    }
    Ok(found.into_iter().map(|file| (folder.to_path_buf(), folder.join(file))).collect())
}

fn read_file(folder: &Path, file: &Path, encoding: &dyn Encoding) -> Reading {
    let refuse = |reason: String| Reading::Refused(Refusal { file: file.to_path_buf(), reason });
    let bytes = match files::read(file) {
        Ok(bytes) => bytes,
        Err(error) => return refuse(format!("{error:#}")),
    };
    let mut score = match midi::read(&bytes) {
        Ok(score) => score,
        Err(error) => return refuse(error.to_string()),
    };
    if score.notes.len() < MIN_NOTES {
        return Reading::Short;
    }
    fold_drums(&mut score);
    match encoding.encode(&score) {
        Err(error) => refuse(error.to_string()),
        Ok(ids) => Reading::Piece(Piece {
            file: file.to_path_buf(),
            source: source(folder, file),
            license: None,
            notes: score.notes.len(),
            ids,
            held_out: false,
            shingles: split::shingles(&score),
            fingerprint: fingerprint(&score),
        }),
    }
}

/// The subfolder of `folder` a file lies in, or the folder's own name.
fn source(folder: &Path, file: &Path) -> String {
    let below = file.strip_prefix(folder).ok().and_then(Path::parent);
    let first = below.and_then(|b| b.components().next()).map(|c| c.as_os_str().to_owned());
    let name = first.or_else(|| folder.canonicalize().ok()?.file_name().map(ToOwned::to_owned));
    name.map_or_else(|| folder.display().to_string(), |n| n.to_string_lossy().into_owned())
}

/// Electronic kits send the hi-hat's edge as 22 and 26, which General MIDI does
/// not know: they become the closed and the open hi-hat.
fn fold_drums(score: &mut Score) {
    for note in score.notes.iter_mut().filter(|n| n.instrument.is_drums()) {
        note.pitch = match note.pitch {
            22 => 42,
            26 => 46,
            pitch => pitch,
        };
    }
    score.normalize();
}

/// The same for pieces with the same onsets on a grid of 24 a beat, the same
/// instruments and, drums apart, the same intervals.
fn fingerprint(score: &Score) -> u64 {
    let lowest = score.notes.iter().filter(|n| !n.instrument.is_drums()).map(|n| n.pitch).min();
    let mut notes: Vec<(u64, u8, u8)> = score
        .notes
        .iter()
        .map(|note| (split::grid(score, note.start), note.instrument.index(), relative(note, lowest)))
        .collect();
    notes.sort_unstable();
    files::fnv1a(
        notes.iter().flat_map(|&(start, instrument, pitch)| {
            start.to_le_bytes().into_iter().chain([instrument, pitch])
        }),
    )
}

fn relative(note: &Note, lowest: Option<u8>) -> u8 {
    if note.instrument.is_drums() { note.pitch } else { note.pitch - lowest.unwrap_or(0) }
}

/// Marks the pieces to measure on: those whose work's name falls into the share,
/// less those whose music training has too.
fn hold_out(corpus: &mut Corpus, share: f64) {
    for piece in &mut corpus.pieces {
        piece.held_out = split::is_held_out(&piece.file, share);
    }
    let known: HashSet<u64> = corpus.part(false).flat_map(|p| p.shingles.iter().copied()).collect();
    for piece in &mut corpus.pieces {
        if piece.held_out && split::is_known(&piece.shingles, &known) {
            piece.held_out = false;
            corpus.near_duplicates += 1;
        }
        piece.shingles = Vec::new();
    }
}
