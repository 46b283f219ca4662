//! What is told after a run: counts, what was refused and why, and how to go on.

use std::fs;
use std::io::Read as _;
use std::path::PathBuf;

use anyhow::bail;
use serde_json::json;

use super::folder::Fates;
use super::spelling::Tally;
use super::{Places, Refusal};
use crate::Outcome;
use crate::files;
use crate::interrupt;

/// Refused files that are listed on the screen; the report has all.
const LISTED: usize = 20;

/// Counts, lists and reports.
///
/// # Errors
/// If the report cannot be written.
pub(super) fn finish(places: &Places, found: &[PathBuf], mut fates: Fates) -> anyhow::Result<Outcome> {
    fates.refused.sort_by_key(|&(place, _)| place);
    let refused: Vec<(PathBuf, Refusal)> = fates
        .refused
        .into_iter()
        .filter_map(|(place, refusal)| Some((places.input.join(found.get(place)?), refusal)))
        .collect();
    list(places, &refused);
    report(places, &refused)?;
    let left = found.len() - fates.converted - fates.skipped - refused.len();
    crate::tell!(
        "{} converted, {} there already, {} refused{}",
        grouped(fates.converted),
        grouped(fates.skipped),
        grouped(refused.len()),
        if left > 0 { format!(", {} left; {}", grouped(left), how_to_go_on(places)) } else { String::new() }
    );
    if let Some(line) = music(fates.tally) {
        crate::tell!("{line}");
    }
    passed_over(fates.tally);
    Ok(if !refused.is_empty() && !interrupt::requested() {
        Outcome::Refused
    } else if left > 0 {
        Outcome::Interrupted
    } else if refused.is_empty() {
        Outcome::Done
    } else {
        Outcome::Refused
    })
}

const fn how_to_go_on(places: &Places) -> &'static str {
    if places.fail_fast {
        "the same command goes on, past what is refused without --fail-fast"
    } else if places.force {
        "the same command begins again, as --force asks; without --force only what OUT lacks is made"
    } else {
        "the same command goes on"
    }
}

/// Names refused files on the screen, and says where all can be had.
fn list(places: &Places, refused: &[(PathBuf, Refusal)]) {
    for (file, refusal) in refused.iter().take(LISTED) {
        crate::tell!("refused: {}: {}", file.display(), refusal.reason);
    }
    if refused.len() > LISTED {
        crate::tell!("... and {} more", grouped(refused.len() - LISTED));
    }
    match &places.report {
        Some(path) if !refused.is_empty() => {
            crate::tell!("all refused files are listed in {}", path.display())
        }
        None if !refused.is_empty() => {
            crate::tell!("--report FILE.jsonl writes the refused files down, with reason and byte offset");
        }
        _ => {}
    }
}

/// Tells what of a text was no music to the seed, which says nothing of it.
pub(super) fn passed_over(tally: Tally) {
    if tally.passed_over > 0 {
        crate::tell!(
            "note: {} passed over that are no notes; a note is pitch_start_duration_velocity, with one space before the \
             next, and no line breaks",
            grouped(tally.passed_over)
        );
    }
}

/// How many notes there were, and what became of them.
fn music(tally: Tally) -> Option<String> {
    if tally.notes == 0 {
        return None;
    }
    let mut line = format!("{} notes", grouped(tally.notes));
    let losses = [
        (tally.losses.doubled, "doubled another at one grid point"),
        (tally.losses.lengthened, "lengthened to the shortest"),
        (tally.losses.shortened, "cut to the longest"),
    ];
    let told = losses.iter().filter(|(count, _)| *count > 0);
    let told: Vec<String> = told.map(|(count, what)| format!("{} {what}", grouped(*count))).collect();
    if !told.is_empty() {
        line += "; ";
        line += &told.join(", ");
    }
    Some(line)
}

/// A number with its thousands set apart.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A report takes the place of an earlier one, and of nothing else.
///
/// # Errors
/// If it would.
pub(super) fn check_report(places: &Places) -> anyhow::Result<()> {
    let Some(path) = &places.report else { return Ok(()) };
    let another = path.is_file() && {
        let mut begin = [0];
        let read = fs::File::open(path).and_then(|mut file| file.read(&mut begin));
        // A report is one JSON object a line, or empty.
        read.is_ok_and(|length| length > 0 && begin != *b"{")
    };
    if another || *path == places.output {
        bail!(
            "--report would write over {}, which is no earlier report; name a file of its own, such as refused.jsonl",
            path.display()
        );
    }
    Ok(())
}

/// Writes the report of refused files, if one was asked for.
///
/// # Errors
/// If it cannot be written, or would take the place of what was just converted.
pub(super) fn report(places: &Places, refused: &[(PathBuf, Refusal)]) -> anyhow::Result<()> {
    let Some(path) = &places.report else { return Ok(()) };
    check_report(places)?;
    let mut lines = String::new();
    for (file, refusal) in refused {
        let mut line = json!({ "file": file.to_string_lossy(), "reason": refusal.reason });
        if let Some(offset) = refusal.offset {
            line["offset"] = json!(offset);
        }
        lines += &line.to_string();
        lines.push('\n');
    }
    files::write(path, lines.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use continuo_codec::beat::Losses;

    #[test]
    fn counts_are_told_as_people_write_them() {
        assert_eq!([0, 999, 1000, 3_320_111].map(grouped), ["0", "999", "1,000", "3,320,111"]);
        let losses = Losses { doubled: 12_345, lengthened: 0, shortened: 7 };
        let line = music(Tally { notes: 3_320_111, losses, passed_over: 0 });
        let expected = "3,320,111 notes; 12,345 doubled another at one grid point, 7 cut to the longest";
        assert_eq!(line.as_deref(), Some(expected));
        assert_eq!(music(Tally::default()), None);
    }
}
