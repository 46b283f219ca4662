//! From data sets to pieces: Parquet files as `continuo dataset build` writes them, and as
//! MIDI Gen AI published them.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use continuo_codec::text;
use continuo_engine::source::Spelling;
use continuo_hub::Kind;
use continuo_hub::places::{self, Located};
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::{Field, Row};

use super::corpus::{Corpus, Piece};
use super::split;
use crate::encodings::EncodingName;
use crate::files;
use crate::interrupt;
use crate::progress::Progress;

/// The file that tells a data set's encoding.
pub const SPELLING: &str = "continuo.json";

/// Where a data set is: a folder, or a name on the hub that was pulled.
///
/// # Errors
/// If it can only be such a name, and was not pulled.
pub fn find(written: &Path) -> anyhow::Result<PathBuf> {
    match places::locate(Kind::Dataset, written, places::home().ok().as_deref()) {
        Located::Path(path) if path.is_dir() => Ok(path),
        Located::Path(path) => bail!("{} is no folder; name that of a data set", path.display()),
        Located::Hub(name) => bail!(
            "`{name}` is no folder here, and no data set of that name was pulled; `continuo dataset pull {name}` \
             brings it from the hub"
        ),
    }
}

/// The encoding of data sets, which must be one; `text` of one that has text and tells nothing.
///
/// # Errors
/// Names the data set that tells nothing, or another encoding than the first.
pub fn encoding(folders: &[PathBuf]) -> anyhow::Result<Option<EncodingName>> {
    let mut all: Option<(EncodingName, &Path)> = None;
    for folder in folders {
        let own = encoding_of(folder)?;
        match all {
            Some((first, place)) if first != own => bail!(
                "{} is in the encoding {}, but {} in {}; train on data sets of one encoding",
                place.display(),
                first.as_str(),
                folder.display(),
                own.as_str()
            ),
            _ => all = Some((own, folder)),
        }
    }
    Ok(all.map(|(encoding, _)| encoding))
}

fn encoding_of(folder: &Path) -> anyhow::Result<EncodingName> {
    let file = folder.join(SPELLING);
    if !file.exists() {
        // MIDI Gen AI's data sets tell nothing; all others are ours.
        return Ok(EncodingName::Text);
    }
    let spelling: Spelling = serde_json::from_slice(&files::read(&file)?)
        .with_context(|| format!("{} is damaged", file.display()))?;
    let name: EncodingName = serde_json::from_value(serde_json::Value::String(spelling.encoding.clone()))
        .with_context(|| format!("{} does not name a known encoding", file.display()))?;
    if name.version() != spelling.version {
        bail!(
            "{} is in version {} of the encoding {}, but this program has version {}; build it again",
            folder.display(),
            spelling.version,
            name.as_str(),
            name.version()
        );
    }
    Ok(name)
}

/// Reads all rows of data sets. What a data set calls its test or validation part is held
/// out; of one without, a share of the works is.
///
/// # Errors
/// Names the file and the row that are not what they should be; an interruption.
pub fn read(folders: &[PathBuf], encoding: EncodingName, held_out: f64) -> anyhow::Result<Corpus> {
    let mut corpus = Corpus::default();
    for folder in folders {
        let tables = files::walk(folder, &|path| path.extension().is_some_and(|end| end == "parquet"))?;
        if tables.is_empty() {
            bail!("{} has no Parquet file; name the folder of a data set", folder.display());
        }
        let has_test = tables.iter().any(|table| is_test(table));
        let name = folder.file_name().unwrap_or(folder.as_os_str()).to_string_lossy().into_owned();
        for table in &tables {
            let path = folder.join(table);
            let mut reader = Table { path: &path, encoding, name: &name };
            reader.read(&mut |mut piece: Piece| {
                piece.held_out =
                    if has_test { is_test(table) } else { split::is_held_out(&piece.file, held_out) };
                corpus.pieces.push(piece);
            })?;
        }
    }
    Ok(corpus)
}

/// Whether a table is that of a part that is not learned from, by its name.
fn is_test(table: &Path) -> bool {
    table.iter().any(|part| {
        let part = part.to_string_lossy();
        part.starts_with("test") || part.starts_with("valid")
    })
}

/// A Parquet file.
struct Table<'a> {
    path: &'a Path,
    encoding: EncodingName,
    /// What rows without a source come from.
    name: &'a str,
}

impl Table<'_> {
    fn read(&mut self, take: &mut dyn FnMut(Piece)) -> anyhow::Result<()> {
        let damaged = || format!("{} is damaged; build or pull it again", self.path.display());
        let file = File::open(self.path).with_context(|| format!("cannot read {}", self.path.display()))?;
        let reader = SerializedFileReader::new(file).with_context(damaged)?;
        let rows = u64::try_from(reader.metadata().file_metadata().num_rows()).unwrap_or(0);
        let progress = Progress::new("rows", rows);
        for (number, row) in reader.get_row_iter(None).with_context(damaged)?.enumerate() {
            if interrupt::requested() {
                bail!("interrupted while reading; nothing was written");
            }
            take(self.piece(number, &row.with_context(damaged)?)?);
            progress.advance();
        }
        progress.finish();
        Ok(())
    }

    fn piece(&self, number: usize, row: &Row) -> anyhow::Result<Piece> {
        let place = || format!("row {} of {}", number + 1, self.path.display());
        let field =
            |name: &str| row.get_column_iter().find(|(column, _)| *column == name).map(|(_, field)| field);
        let string = |name: &str| match field(name) {
            Some(Field::Str(text)) => Some(text.clone()),
            _ => None,
        };
        let ids = match (field("input_ids").and_then(numbers), string("text")) {
            (Some(mut ids), _) => {
                let music = field("attention_mask")
                    .and_then(numbers)
                    .map(|mask| mask.iter().filter(|&&on| on > 0).count());
                ids.truncate(music.unwrap_or(usize::MAX));
                ids
            }
            (None, Some(spelled)) if self.encoding == EncodingName::Text => {
                text::ids(&spelled).with_context(place)?
            }
            _ => bail!("{} has neither `input_ids` nor, in the encoding text, `text`", place()),
        };
        let most = self.encoding.encoding().vocab_size();
        if let Some(id) = ids.iter().find(|&&id| id as usize >= most) {
            bail!(
                "{} has the id {id}, but the encoding {} has {most} ids; is it another encoding's?",
                place(),
                self.encoding.as_str()
            );
        }
        let notes = self.encoding.encoding().decode(&ids).map_or(0, |score| score.notes.len());
        let file = string("file").unwrap_or_else(|| format!("{}-{number}", self.path.display()));
        let source = string("source").unwrap_or_else(|| self.name.to_owned());
        Ok(Piece::stored(file.into(), source, string("license"), notes, ids))
    }
}

/// A list of numbers that can be ids.
fn numbers(field: &Field) -> Option<Vec<u32>> {
    let Field::ListInternal(list) = field else { return None };
    let number = |field: &Field| match field {
        Field::Int(number) => u32::try_from(*number).ok(),
        Field::Long(number) => u32::try_from(*number).ok(),
        Field::Byte(number) => u32::try_from(*number).ok(),
        _ => None,
    };
    list.elements().iter().map(number).collect()
}
