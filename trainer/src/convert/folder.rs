//! A folder of files to a folder of the same names.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use rayon::prelude::*;
use serde_json::json;

use super::{Direction, Places, Refusal, mirrored};
use crate::Outcome;
use crate::files;
use crate::interrupt;
use crate::progress::Progress;

/// Refused files that are listed on the screen; the report has all.
const LISTED: usize = 20;

/// What became of one file.
enum Fate {
    Converted,
    Skipped,
    NotReached,
    Refused(Refusal),
}

/// Converts all files below the input folder.
///
/// # Errors
/// If the input has no such file, or the output is not a folder.
pub(super) fn run(places: &Places, direction: &Direction<'_>) -> anyhow::Result<Outcome> {
    if places.output.is_file() {
        bail!(
            "{} is a folder, but {} is a file; name a folder to write to",
            places.input.display(),
            places.output.display()
        );
    }
    let found = files::walk(&places.input, &|path| files::ends_with(path, direction.from))?;
    if found.is_empty() {
        bail!(
            "{} has no file whose name ends in exactly {}, nor do its subfolders",
            places.input.display(),
            direction.from
        );
    }
    let fates = convert_all(places, direction, &found)?;
    finish(places, &found, &fates)
}

fn convert_all(places: &Places, direction: &Direction<'_>, found: &[PathBuf]) -> anyhow::Result<Vec<Fate>> {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(places.jobs.unwrap_or(0))
        .build()
        .context("cannot start the threads --jobs asks for; give a smaller number")?;
    let progress = Progress::new("files", found.len() as u64);
    let fates = pool.install(|| {
        found
            .par_iter()
            .map(|file| {
                let fate = convert_one(places, direction, file);
                progress.advance();
                fate
            })
            .collect()
    });
    progress.finish();
    Ok(fates)
}

fn convert_one(places: &Places, direction: &Direction<'_>, file: &Path) -> Fate {
    if interrupt::requested() {
        return Fate::NotReached;
    }
    let to = places.output.join(mirrored(file, direction));
    // Outputs are moved into place whole, so one that is there is finished.
    if !places.force && to.exists() {
        return Fate::Skipped;
    }
    let from = places.input.join(file);
    let converted = files::read(&from)
        .map_err(|error| Refusal::new(format_args!("{error:#}")))
        .and_then(|bytes| (direction.convert)(&bytes))
        .and_then(|bytes| files::write(&to, &bytes).map_err(|error| Refusal::new(format_args!("{error:#}"))));
    match converted {
        Ok(()) => Fate::Converted,
        Err(refusal) => Fate::Refused(refusal),
    }
}

/// Counts, lists and reports.
fn finish(places: &Places, found: &[PathBuf], fates: &[Fate]) -> anyhow::Result<Outcome> {
    let count = |wanted: fn(&Fate) -> bool| fates.iter().filter(|fate| wanted(fate)).count();
    let refused: Vec<(PathBuf, Refusal)> = found
        .iter()
        .zip(fates)
        .filter_map(|(file, fate)| match fate {
            Fate::Refused(refusal) => Some((places.input.join(file), refusal.clone())),
            _ => None,
        })
        .collect();
    for (file, refusal) in refused.iter().take(LISTED) {
        eprintln!("refused: {}: {}", file.display(), refusal.reason);
    }
    if refused.len() > LISTED {
        eprintln!("... and {} more; --report FILE.jsonl lists them all", refused.len() - LISTED);
    }
    report(places, &refused)?;
    let left = count(|fate| matches!(fate, Fate::NotReached));
    eprintln!(
        "{} converted, {} there already, {} refused{}",
        count(|fate| matches!(fate, Fate::Converted)),
        count(|fate| matches!(fate, Fate::Skipped)),
        refused.len(),
        if left > 0 { format!(", {left} left; the same command goes on") } else { String::new() }
    );
    Ok(match (left, refused.is_empty()) {
        (1.., _) => Outcome::Interrupted,
        (0, false) => Outcome::Refused,
        (0, true) => Outcome::Done,
    })
}

/// Writes the report of refused files, if one was asked for.
///
/// # Errors
/// If it cannot be written.
pub(super) fn report(places: &Places, refused: &[(PathBuf, Refusal)]) -> anyhow::Result<()> {
    let Some(path) = &places.report else { return Ok(()) };
    let mut lines = String::new();
    for (file, refusal) in refused {
        let mut line = json!({ "file": file, "reason": refusal.reason });
        if let Some(offset) = refusal.offset {
            line["offset"] = json!(offset);
        }
        lines += &line.to_string();
        lines.push('\n');
    }
    files::write(path, lines.as_bytes())
}
