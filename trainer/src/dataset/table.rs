//! Rows in Parquet files, as Hugging Face's `datasets` reads them.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int32Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;

use super::rows::Row;

/// Rows that are written together. Readers fetch as many at once.
const GROUP: usize = 1000;

/// What a data set's rows have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Whether there is `text`.
    pub text: bool,
    /// Whether there are `input_ids`.
    pub ids: bool,
    /// Whether rows are filled up, and an `attention_mask` tells with how much.
    pub mask: bool,
}

impl Shape {
    fn message(self) -> String {
        let list = |name: &str| {
            format!("required group {name} (LIST) {{ repeated group list {{ required int32 element; }} }}\n")
        };
        let mut message = "message schema {\n".to_owned();
        if self.text {
            message += "required binary text (STRING);\n";
        }
        if self.ids {
            message += &list("input_ids");
        }
        if self.mask {
            message += &list("attention_mask");
        }
        message
            + "required binary file (STRING);\nrequired binary source (STRING);\nrequired binary license (STRING);\n}"
    }
}

/// A row with where it comes from.
pub struct Entry {
    /// The music.
    pub row: Row,
    /// The file's name.
    pub file: Arc<str>,
    /// Where the file comes from.
    pub source: Arc<str>,
    /// Its licence.
    pub license: Arc<str>,
}

/// A Parquet file that is being written.
pub struct Table {
    shape: Shape,
    writer: SerializedFileWriter<BufWriter<File>>,
    waiting: Vec<Entry>,
    /// How many rows it has.
    pub rows: usize,
}

impl Table {
    /// Begins a file.
    ///
    /// # Errors
    /// Names the file that cannot be written.
    pub fn create(path: &Path, shape: Shape) -> anyhow::Result<Self> {
        let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
        let schema = Arc::new(parse_message_type(&shape.message())?);
        let properties = WriterProperties::builder()
            .set_created_by(concat!("continuo ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
            .build();
        let writer = SerializedFileWriter::new(BufWriter::new(file), schema, Arc::new(properties))?;
        Ok(Self { shape, writer, waiting: Vec::new(), rows: 0 })
    }

    /// Adds a row.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn push(&mut self, entry: Entry) -> anyhow::Result<()> {
        self.waiting.push(entry);
        self.rows += 1;
        if self.waiting.len() == GROUP { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let entries = std::mem::take(&mut self.waiting);
        let mut group = self.writer.next_row_group()?;
        let rows = || entries.iter().map(|entry| &entry.row);
        if self.shape.text {
            strings(&mut group, rows().map(|row| row.text.as_deref().unwrap_or_default()))?;
        }
        if self.shape.ids {
            let ids = rows().map(|row| row.ids.iter().flatten().map(|id| id.cast_signed()).collect());
            lists(&mut group, ids)?;
        }
        if self.shape.mask {
            let masks = rows().map(|row| {
                let all = row.ids.as_ref().map_or(0, Vec::len);
                (0..all).map(|place| i32::from(place < row.music)).collect()
            });
            lists(&mut group, masks)?;
        }
        strings(&mut group, entries.iter().map(|entry| &*entry.file))?;
        strings(&mut group, entries.iter().map(|entry| &*entry.source))?;
        strings(&mut group, entries.iter().map(|entry| &*entry.license))?;
        group.close()?;
        Ok(())
    }

    /// Ends the file: it is on the disk then.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn finish(mut self) -> anyhow::Result<()> {
        self.flush()?;
        let file = self.writer.into_inner()?.into_inner().map_err(|error| anyhow!(error.to_string()))?;
        Ok(file.sync_all()?)
    }
}

type Group<'a> = SerializedRowGroupWriter<'a, BufWriter<File>>;

fn strings<'a>(group: &mut Group<'_>, values: impl Iterator<Item = &'a str>) -> anyhow::Result<()> {
    let values: Vec<ByteArray> = values.map(ByteArray::from).collect();
    column::<ByteArrayType>(group, &values, None)
}

/// Lists of numbers; none is empty.
fn lists(group: &mut Group<'_>, lists: impl Iterator<Item = Vec<i32>>) -> anyhow::Result<()> {
    let (mut values, mut repeats) = (Vec::new(), Vec::new());
    for list in lists {
        repeats.extend((0..list.len()).map(|place| i16::from(place > 0)));
        values.extend(list);
    }
    column::<Int32Type>(group, &values, Some(&repeats))
}

fn column<T: DataType>(
    group: &mut Group<'_>,
    values: &[T::T],
    repeats: Option<&[i16]>,
) -> anyhow::Result<()> {
    let mut column = group.next_column()?.context("a table has fewer columns than its rows")?;
    let defined = repeats.map(|repeats| vec![1; repeats.len()]);
    column.typed::<T>().write_batch(values, defined.as_deref(), repeats)?;
    Ok(column.close()?)
}
