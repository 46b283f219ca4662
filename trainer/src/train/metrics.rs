//! What a run writes down as it goes: `metrics.jsonl`, and the same as a curve and for
//! TensorBoard.
//!
//! The file of lines is the one that is written step by step; the others are made of it anew at
//! every measurement, so that a resumed run has them whole.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use serde_json::{Map, Value};

use crate::files;
use crate::train::{plot, tensorboard};

/// The file of lines.
const LINES: &str = "metrics.jsonl";
/// What TensorBoard reads; it looks for `tfevents` in the name.
const EVENTS: &str = "events.out.tfevents.0000000000.continuo";
/// The curve.
const PICTURE: &str = "loss.png";
/// What is no measure of a line.
const ABOUT: [&str; 3] = ["step", "time", "elapsed"];

/// The numbers of one step.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// The step, from 1.
    pub step: u64,
    /// When it was, in seconds since 1970; lines of before told only how long the run had taken.
    pub time: f64,
    /// Names and numbers.
    pub values: Vec<(String, f64)>,
}

impl Line {
    fn read(line: &str) -> Option<Self> {
        let line: Map<String, Value> = serde_json::from_str(line).ok()?;
        let step = line.get("step")?.as_u64()?;
        let time = ["time", "elapsed"].iter().find_map(|name| line.get(*name)?.as_f64()).unwrap_or(0.0);
        let measures = line.iter().filter(|(name, _)| !ABOUT.contains(&name.as_str()));
        let values = measures.filter_map(|(name, value)| Some((name.clone(), value.as_f64()?))).collect();
        Some(Self { step, time, values })
    }

    /// One of the numbers.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<f64> {
        self.values.iter().find(|(found, _)| found == name).map(|(_, value)| *value)
    }
}

/// Writes down the numbers of a step.
///
/// # Errors
/// Names the file that cannot be written.
pub fn record(out: &Path, step: u64, mut values: Value) -> anyhow::Result<()> {
    values["step"] = step.into();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
    values["time"] = ((now * 1000.0).round() / 1000.0).into();
    let path = out.join(LINES);
    let place = || format!("cannot write {}", path.display());
    let mut file = OpenOptions::new().create(true).append(true).open(&path).with_context(place)?;
    writeln!(file, "{values}").with_context(place)
}

/// Removes what a resumed run will measure again.
///
/// # Errors
/// Names the file that cannot be written.
pub fn trim(out: &Path, step: u64) -> anyhow::Result<()> {
    let path = out.join(LINES);
    fs::create_dir_all(out).with_context(|| format!("cannot make the folder {}", out.display()))?;
    let Ok(text) = fs::read_to_string(&path) else { return Ok(()) };
    let kept: Vec<&str> =
        text.lines().filter(|line| Line::read(line).is_some_and(|line| line.step <= step)).collect();
    files::write(&path, kept.iter().flat_map(|line| [line, "\n"]).collect::<String>().as_bytes())
}

/// Makes the curve and TensorBoard's file of what has been written down.
///
/// # Errors
/// Names the file that cannot be written.
pub fn show(out: &Path) -> anyhow::Result<()> {
    // The first measurement may come before the first line.
    let text = fs::read_to_string(out.join(LINES)).unwrap_or_default();
    let lines: Vec<Line> = text.lines().filter_map(Line::read).collect();
    files::write(&out.join(EVENTS), &tensorboard::events(&lines))?;
    files::write(&out.join(PICTURE), &plot::curve(&lines)?)
}
