//! From data sets to pieces: Parquet files as `continuo dataset build` writes them, and as
//! MIDI Gen AI published them.

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context as _, bail};
use continuo_codec::{Encoding, text};
use continuo_engine::source::{SPELLING_FILE, Spelling};
use continuo_hub::Kind;
use continuo_hub::places::{self, Located};
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::{Field, Row};
use serde::{Deserialize, Serialize};

use super::corpus::{Corpus, Piece};
use super::split;
use crate::dataset::build::UNDER_WAY;
use crate::dataset::similar;
use crate::encodings::EncodingName;
use crate::files;
use crate::interrupt;
use crate::progress::Progress;

/// A data set to learn from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Data {
    /// Its folder.
    pub folder: PathBuf,
    /// How often its rows come to each time those of a data set of weight 1 do.
    pub weight: f64,
}

impl FromStr for Data {
    type Err = String;

    /// `DIR`, or `DIR=WEIGHT`.
    fn from_str(text: &str) -> Result<Self, String> {
        let whole = || Self { folder: text.into(), weight: 1.0 };
        let Some((folder, weight)) = text.rsplit_once('=').filter(|_| !Path::new(text).exists()) else {
            return Ok(whole());
        };
        match weight.parse::<f64>() {
            Ok(weight) if weight > 0.0 && weight <= MOST_WEIGHT => Ok(Self { folder: folder.into(), weight }),
            _ => Err(format!("the weight `{weight}` must be a number above 0 and at most {MOST_WEIGHT}")),
        }
    }
}

impl Data {
    /// The data set where it is, if what was written is a name on the hub.
    ///
    /// # Errors
    /// If it can only be such a name, and was not pulled.
    pub fn found(&self) -> anyhow::Result<Self> {
        Ok(Self { folder: find(&self.folder)?, weight: self.weight })
    }

    /// How often a piece comes: as often as the weight's whole part says, and once more if it
    /// is of the share of pieces that the rest says, which the piece's name decides.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small positive number")]
    fn times(&self, piece: &Path) -> usize {
        let more = similar::place(piece.as_os_str().as_encoded_bytes()) < self.weight.fract();
        self.weight as usize + usize::from(more)
    }
}

/// More would be a mistake: so many copies of all rows are in memory.
const MOST_WEIGHT: f64 = 100.0;

/// Where a data set is: a folder, or a name on the hub that was pulled.
fn find(written: &Path) -> anyhow::Result<PathBuf> {
    match places::locate(Kind::Dataset, written, places::home().ok().as_deref()) {
        Located::Path(path) if path.is_dir() => Ok(path),
        Located::Path(path) => {
            bail!("{} is no folder here; name that of a data set: --data DIR", path.display())
        }
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
pub fn encoding(data: &[Data]) -> anyhow::Result<Option<EncodingName>> {
    let mut all: Option<(EncodingName, &Path)> = None;
    for Data { folder, .. } in data {
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
    let file = folder.join(SPELLING_FILE);
    if !file.exists() {
        not_around(folder)?;
        // MIDI Gen AI's data sets tell nothing; all others are ours.
        return Ok(EncodingName::Text);
    }
    let spelling: Spelling = serde_json::from_slice(&files::read(&file)?)
        .with_context(|| format!("{} is damaged", file.display()))?;
    let name = EncodingName::named(&spelling.encoding)
        .with_context(|| format!("{} does not name a known encoding", file.display()))?;
    // What an older version spelled, a newer one reads alike.
    if spelling.version > name.version() {
        bail!(
            "{} is in version {} of the encoding {}, but this program has version {}; update Continuo",
            folder.display(),
            spelling.version,
            name.as_str(),
            name.version()
        );
    }
    Ok(name)
}

/// Whether a folder is a data set of ours: models tell their encoding as well, but have no rows.
#[must_use]
pub fn is_set(folder: &Path) -> bool {
    folder.join(SPELLING_FILE).exists() && folder.join("data").is_dir()
}

/// Refuses a folder that is a part of a data set of ours, or holds some: it tells no encoding itself.
fn not_around(folder: &Path) -> anyhow::Result<()> {
    let full = folder.canonicalize().with_context(|| format!("cannot read {}", folder.display()))?;
    if let Some(whole) = full.parent().filter(|parent| full.ends_with("data") && is_set(parent)) {
        bail!("{} is a part of a data set; name the whole: --data {}", folder.display(), whole.display());
    }
    let within = files::walk(folder, &|path| path.ends_with(SPELLING_FILE))?;
    match within.iter().filter_map(|file| file.parent()).find(|set| is_set(&folder.join(set))) {
        Some(set) => bail!(
            "{} is no data set, but holds one; name each that you mean, for example: --data {}",
            folder.display(),
            folder.join(set).display()
        ),
        None => Ok(()),
    }
}

/// What to do about a folder that has no rows.
fn no_rows(folder: &Path) -> String {
    let folder_name = folder.display();
    if folder.join(UNDER_WAY).exists() {
        return format!(
            "{folder_name} is a data set that is not built to its end; call `continuo dataset build` again"
        );
    }
    format!(
        "{folder_name} has no Parquet file, so it is no data set; for a folder of MIDI files leave out --data, or make a \
         data set of it with `continuo dataset build`"
    )
}

/// Reads all rows of data sets. What a data set calls its test or validation part is held
/// out; of one without, a share of the works is. Rows to learn from come as often as their
/// data set's weight says.
///
/// # Errors
/// Names the file and the row that are not what they should be; an interruption.
pub fn read(data: &[Data], encoding: EncodingName, held_out: f64) -> anyhow::Result<Corpus> {
    let mut corpus = Corpus::default();
    let mut places = HashSet::new();
    for set in data {
        let folder = &set.folder;
        if !folder.is_dir() {
            bail!("the data set {} is not here; say where it is with --data", folder.display());
        }
        if !places.insert(folder.canonicalize().unwrap_or_else(|_| folder.clone())) {
            bail!(
                "the data set {0} is named twice; name it once, with a weight to have it come more often: \
                 --data {0}=2",
                folder.display()
            );
        }
        let tables = files::walk(folder, &|path| path.extension().is_some_and(|end| end == "parquet"))?;
        if tables.is_empty() {
            bail!(no_rows(folder));
        }
        let has_test = tables.iter().any(|table| is_test(table));
        let name = folder.file_name().unwrap_or(folder.as_os_str()).to_string_lossy().into_owned();
        for table in &tables {
            let path = folder.join(table);
            Table { path: &path, name: encoding, encoding: encoding.encoding(), source: &name }.read(
                &mut |mut piece: Piece| {
                    piece.held_out =
                        if has_test { is_test(table) } else { split::is_held_out(&piece.file, held_out) };
                    let times = if piece.held_out { 1 } else { set.times(&piece.file) };
                    corpus.pieces.extend(std::iter::repeat_n(piece, times));
                },
            )?;
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
    name: EncodingName,
    encoding: Box<dyn Encoding>,
    /// What rows without a source come from.
    source: &'a str,
}

impl Table<'_> {
    fn read(&self, take: &mut dyn FnMut(Piece)) -> anyhow::Result<()> {
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
            (None, Some(spelled)) if self.name == EncodingName::Text => {
                text::ids(&spelled).with_context(place)?
            }
            _ => bail!("{} has neither `input_ids` nor, in the encoding text, `text`", place()),
        };
        let most = self.encoding.vocab_size();
        if let Some(id) = ids.iter().find(|&&id| id as usize >= most) {
            bail!(
                "{} has the id {id}, but the encoding {} has {most} ids; is it another encoding's?",
                place(),
                self.name.as_str()
            );
        }
        let notes = self.encoding.decode(&ids).map_or(0, |score| score.notes.len());
        let file = string("file").unwrap_or_else(|| format!("{}-{number}", self.path.display()));
        let source = string("source").unwrap_or_else(|| self.source.to_owned());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_stands_behind_the_folder() {
        let read = |text: &str| text.parse::<Data>().map(|data| (data.folder, data.weight));
        assert_eq!(read("data"), Ok(("data".into(), 1.0)));
        assert_eq!(read("a=b=2.5"), Ok(("a=b".into(), 2.5)));
        assert!(read("data=0").unwrap_err().contains("above 0"));
        assert!(read("data=much").is_err() && read("data=-1").is_err() && read("data=1e9").is_err());
    }

    #[test]
    fn rows_come_as_often_as_their_weight_says() {
        for weight in [0.25, 1.0, 2.5] {
            let data = Data { folder: PathBuf::new(), weight };
            let all: usize = (0..4000).map(|n| data.times(Path::new(&format!("piece{n}.mid")))).sum();
            let expected = 4000.0 * weight;
            assert!((f64::from(u32::try_from(all).unwrap()) / expected - 1.0).abs() < 0.1, "{weight}: {all}");
        }
    }
}
