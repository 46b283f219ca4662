//! What a file becomes: rows of a data set.

use anyhow::bail;
use continuo_codec::{midi, text};
use serde::{Deserialize, Serialize};

use super::input::Item;
use crate::encodings::EncodingName;
use crate::train::batches;

/// How files lie in rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// Whole files, cut into rows of --context ids
    Chunks,
    /// A file a row, however long; MIDI Gen AI's published data sets are like this
    Files,
    /// A file a row, its beginning only, filled up to --context ids; MIDI Gen AI's tokenised ones
    Padded,
}

/// What rows hold of the music.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Columns {
    /// `text`
    Text,
    /// `input_ids`
    Ids,
    /// Both
    Both,
}

/// How rows are made; a build that goes on must make them in the same way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Making {
    /// How music is spelled.
    pub encoding: EncodingName,
    /// How files lie in rows.
    pub layout: Layout,
    /// What rows hold.
    pub columns: Columns,
    /// Ids a row at most.
    pub context: usize,
}

/// A row's music.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// As text.
    pub text: Option<String>,
    /// As ids.
    pub ids: Option<Vec<u32>>,
    /// How many of the ids are music; the rest fills up.
    pub music: usize,
}

/// What fills up rows: GPT-2's end of text.
const FILLER: u32 = 50_256;

impl Making {
    /// The rows of a file.
    ///
    /// # Errors
    /// Where the file cannot be spelled.
    pub fn rows(&self, item: &Item) -> anyhow::Result<Vec<Row>> {
        let bytes = item.read()?;
        if self.encoding == EncodingName::Text {
            let spelled = text::encode_midi(&bytes)?;
            return self.text_rows(&spelled);
        }
        let ids = self.encoding.encoding().encode(&midi::read(&bytes)?)?;
        Ok(match self.layout {
            Layout::Chunks => batches::cut(self.encoding, &ids, self.context),
            Layout::Files | Layout::Padded => vec![ids],
        }
        .into_iter()
        .filter(|ids| !ids.is_empty())
        .map(|ids| Row { music: ids.len(), ids: Some(ids), text: None })
        .collect())
    }

    fn text_rows(&self, spelled: &str) -> anyhow::Result<Vec<Row>> {
        if spelled.is_empty() {
            bail!("it has no note that ends, so its text is empty");
        }
        let parts = match self.layout {
            Layout::Chunks => parts(spelled, self.context)?,
            Layout::Files | Layout::Padded => vec![spelled],
        };
        parts.into_iter().map(|part| self.text_row(part)).collect()
    }

    fn text_row(&self, part: &str) -> anyhow::Result<Row> {
        let mut row = Row::default();
        if self.columns != Columns::Ids {
            row.text = Some(part.to_owned());
        }
        if self.columns != Columns::Text {
            let mut ids = text::ids(part)?;
            if self.layout == Layout::Padded {
                ids.truncate(self.context);
                row.music = ids.len();
                ids.resize(self.context, FILLER);
            } else {
                row.music = ids.len();
            }
            row.ids = Some(ids);
        }
        Ok(row)
    }
}

/// A text cut between notes into parts of so many ids at most.
fn parts(spelled: &str, context: usize) -> anyhow::Result<Vec<&str>> {
    let (mut parts, mut from, mut to, mut ids) = (Vec::new(), 0, 0, 0);
    for word in spelled.split(' ') {
        let end = if to == 0 { word.len() } else { to + 1 + word.len() };
        // The space before a note belongs to its first id, so a note counts the same
        // wherever it stands.
        let more = text::ids(word)?.len();
        if ids > 0 && ids + more > context {
            parts.push(&spelled[from..to]);
            (from, ids) = (to + 1, 0);
        }
        (to, ids) = (end, ids + more);
    }
    parts.push(&spelled[from..to]);
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_notes_and_nothing_of_it_is_lost() {
        let spelled =
            (0..100).map(|n| format!("{}_{n}.0_0.75_70.0", 40 + n % 40)).collect::<Vec<_>>().join(" ");
        for context in [1, 13, 40, 200, 5000] {
            let parts = parts(&spelled, context).unwrap();
            assert_eq!(parts.join(" "), spelled);
            let longest = parts.iter().map(|part| text::ids(part).unwrap().len()).max().unwrap();
            assert!(longest <= context.max(14), "{context}: {longest}");
        }
    }
}
