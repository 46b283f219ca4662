//! What a stranger is told of a data set: how much there is of what, under which licences,
//! what was left out; with histograms.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use continuo_paint::{Align, Canvas, Ink};
use serde::{Deserialize, Serialize};

use super::plan::{Fate, Plan};
use super::rows::{Columns, Layout, Making, Row};
use super::survey::Facts;
use crate::files;

/// The parts of a data set.
pub const PARTS: [&str; 2] = ["train", "test"];

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Amount {
    /// Files.
    pub files: usize,
    /// Rows.
    pub rows: usize,
    /// Notes.
    pub notes: usize,
    /// Ids, or characters where there are no ids.
    pub size: usize,
    /// Seconds of music.
    pub seconds: f64,
}

impl Amount {
    fn add(&mut self, other: Self) {
        self.files += other.files;
        self.rows += other.rows;
        self.notes += other.notes;
        self.size += other.size;
        self.seconds += other.seconds;
    }
}

/// How many things are so large: by the power of two below.
type Histogram = BTreeMap<u32, usize>;

/// What is counted while a data set is written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    parts: BTreeMap<String, Amount>,
    licenses: BTreeMap<String, Amount>,
    notes: Histogram,
    seconds: Histogram,
    sizes: Histogram,
    /// Files that could not be spelled, and why.
    pub refused: Vec<(String, String)>,
}

impl Counts {
    pub(super) fn count(&mut self, part: &str, facts: &Facts, rows: &[Row]) {
        let size = |row: &Row| {
            if row.ids.is_some() { row.music } else { row.text.as_ref().map_or(0, String::len) }
        };
        let amount = Amount {
            files: 1,
            rows: rows.len(),
            notes: facts.notes,
            size: rows.iter().map(size).sum(),
            seconds: facts.seconds,
        };
        self.parts.entry(part.to_owned()).or_default().add(amount);
        self.licenses.entry(facts.license.clone()).or_default().add(amount);
        *self.notes.entry(facts.notes.max(1).ilog2()).or_default() += 1;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole seconds")]
        let seconds = facts.seconds.max(1.0) as u64;
        *self.seconds.entry(seconds.ilog2()).or_default() += 1;
        for row in rows {
            *self.sizes.entry(size(row).max(1).ilog2()).or_default() += 1;
        }
    }

    pub(super) fn refuse(&mut self, facts: &Facts, why: String) {
        self.refused.push((facts.name.clone(), why));
    }

    pub(super) fn add(&mut self, other: Self) {
        let amounts = |all: &mut BTreeMap<String, Amount>, more: BTreeMap<String, Amount>| {
            more.into_iter().for_each(|(name, amount)| all.entry(name).or_default().add(amount));
        };
        let histogram = |all: &mut Histogram, more: Histogram| {
            more.into_iter().for_each(|(size, count)| *all.entry(size).or_default() += count);
        };
        amounts(&mut self.parts, other.parts);
        amounts(&mut self.licenses, other.licenses);
        histogram(&mut self.notes, other.notes);
        histogram(&mut self.seconds, other.seconds);
        histogram(&mut self.sizes, other.sizes);
        self.refused.extend(other.refused);
    }

    /// How many rows a part has.
    #[must_use]
    pub fn rows_of(&self, part: &str) -> usize {
        self.parts.get(part).map_or(0, |amount| amount.rows)
    }

    fn part(&self, part: &str) -> Amount {
        self.parts.get(part).copied().unwrap_or_default()
    }
}

/// Writes the card and its picture.
///
/// # Errors
/// Names the file that cannot be written.
pub fn write(out: &Path, making: &Making, plan: &Plan, counts: &Counts) -> anyhow::Result<()> {
    files::write(&out.join("histograms.png"), &picture(making, counts)?)?;
    files::write(&out.join("README.md"), text(making, plan, counts)?.as_bytes())
}

/// What the user is told at the end.
#[must_use]
pub fn summary(out: &Path, plan: &Plan, counts: &Counts) -> String {
    let [train, test] = PARTS.map(|part| counts.part(part));
    format!(
        "{}: {} rows of {} files to train on, {} rows of {} files to test with; {} files left out (see dropped.jsonl), \
         {} pairs nearly the same (see similar.jsonl)\n",
        out.display(),
        train.rows,
        train.files,
        test.rows,
        test.files,
        dropped(plan) + counts.refused.len(),
        plan.near.len(),
    )
}

fn dropped(plan: &Plan) -> usize {
    plan.fates.iter().filter(|fate| matches!(fate, Fate::Dropped(_))).count()
}

fn text(making: &Making, plan: &Plan, counts: &Counts) -> anyhow::Result<String> {
    let mut card = String::new();
    writeln!(
        card,
        "---\npretty_name: Music spelled by Continuo\ntags:\n- music\n- midi\n- continuo\nlicense: other\nconfigs:"
    )?;
    writeln!(card, "- config_name: default\n  data_files:")?;
    for part in PARTS.into_iter().filter(|part| counts.rows_of(part) > 0) {
        writeln!(card, "  - split: {part}\n    path: data/{part}-*.parquet")?;
    }
    writeln!(card, "---\n\n# A data set of music\n")?;
    let encoding = making.encoding.as_str();
    let layout = match making.layout {
        Layout::Chunks => format!("whole files, cut into rows of at most {} ids", making.context),
        Layout::Files => "a file a row".to_owned(),
        Layout::Padded => format!("the beginning of a file a row, filled up to {} ids", making.context),
    };
    writeln!(
        card,
        "MIDI files in the encoding `{encoding}` (version {}), {layout}. Made by `continuo dataset build` \
         {}, which makes the same bytes of the same files.\n",
        making.encoding.version(),
        env!("CARGO_PKG_VERSION"),
    )?;
    let what = if making.columns == Columns::Text { "characters" } else { "ids" };
    writeln!(card, "| Part | Files | Rows | Notes | {what} | Hours |\n|---|---|---|---|---|---|")?;
    for part in PARTS {
        line(&mut card, part, counts.part(part))?;
    }
    writeln!(
        card,
        "\n## Licences\n\nEach row has its own in the column `license`, and where it comes from in `source`.\n"
    )?;
    writeln!(card, "| Licence | Files | Rows | Notes | {what} | Hours |\n|---|---|---|---|---|---|")?;
    for (license, amount) in &counts.licenses {
        line(&mut card, license, *amount)?;
    }
    writeln!(card, "\n## What was left out\n")?;
    writeln!(
        card,
        "{} files, each with its reason in `dropped.jsonl`; {} of them because they are exactly another. {} pairs of \
         files are nearly the same (`similar.jsonl`): such pairs, and the movements of a work, are in one part.\n",
        dropped(plan) + counts.refused.len(),
        plan.exact,
        plan.near.len(),
    )?;
    writeln!(card, "![How many notes and minutes files have, and how long rows are](histograms.png)")?;
    Ok(card)
}

fn line(card: &mut String, name: &str, amount: Amount) -> std::fmt::Result {
    let Amount { files, rows, notes, size, seconds } = amount;
    writeln!(card, "| {name} | {files} | {rows} | {notes} | {size} | {:.1} |", seconds / 3600.0)
}

const PAPER: [u8; 3] = [0xff, 0xff, 0xff];
const TEXT: Ink = Ink([0x22, 0x25, 0x2c], 1.0);
const FAINT: Ink = Ink([0x22, 0x25, 0x2c], 0.55);
const BAR: Ink = Ink([0x2f, 0x8f, 0x9d], 1.0);

/// Three histograms, one above the other.
fn picture(making: &Making, counts: &Counts) -> anyhow::Result<Vec<u8>> {
    let sizes = if making.columns == Columns::Text { "Characters a row" } else { "Ids a row" };
    let all = [("Notes a file", &counts.notes), ("Seconds a file", &counts.seconds), (sizes, &counts.sizes)];
    let mut canvas = Canvas::new(900, 780, PAPER)?;
    for (n, (title, histogram)) in (0_u16..).zip(all) {
        draw(&mut canvas, 20.0 + 255.0 * f32::from(n), title, histogram);
    }
    canvas.png()
}

#[expect(clippy::cast_precision_loss, reason = "bars in a picture")]
fn draw(canvas: &mut Canvas, top: f32, title: &str, histogram: &Histogram) {
    canvas.text(title, 40.0, top + 20.0, 18.0, Align::Left, TEXT);
    let (Some(&first), Some(&last)) = (histogram.keys().next(), histogram.keys().next_back()) else { return };
    let most = histogram.values().copied().max().unwrap_or(1) as f32;
    let width = (820.0 / (last - first + 1) as f32).min(110.0);
    for size in first..=last {
        let count = histogram.get(&size).copied().unwrap_or(0);
        let (x, height) = (40.0 + (size - first) as f32 * width, 150.0 * count as f32 / most);
        canvas.rect(x, top + 195.0 - height, width - 6.0, height, BAR);
        let right = x + width - 6.0;
        canvas.text(&count.to_string(), right, top + 190.0 - height, 13.0, Align::Right, FAINT);
        let from = 1_u64 << size;
        canvas.text(&format!("{from}"), x, top + 213.0, 13.0, Align::Left, TEXT);
    }
}
