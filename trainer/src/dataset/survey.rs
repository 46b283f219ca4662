//! The first look at every file: whether it is music that can be used, and what is needed to
//! tell which files are the same. Kept in pieces on disk, so that a build which was
//! interrupted does not look again.

use continuo_codec::{Score, midi};
use serde::{Deserialize, Serialize};

use super::input::Item;
use super::similar::{self, Sketch};
use crate::manifest::Manifest;
use crate::train::split;

/// What a file must be like to be used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bounds {
    /// Fewer notes are too few.
    pub min_notes: usize,
    /// More notes are too many.
    pub max_notes: usize,
    /// Longer is too long.
    pub max_minutes: f64,
}

/// A file that can be used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// Its source's name and the path below it.
    pub name: String,
    /// How many notes it has.
    pub notes: usize,
    /// How long it lasts.
    pub seconds: f64,
    /// The same for files whose notes and tempi are the same.
    pub exact: u64,
    /// Nearly the same for files that are nearly the same.
    pub sketch: Sketch,
    /// What it belongs to with others: source and work.
    pub work: String,
    /// Its licence.
    pub license: String,
    /// Where it comes from.
    pub source: String,
}

/// What the first look at a file found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Found {
    /// It can be used.
    Music(Facts),
    /// It is dropped: its name, and why.
    Dropped(String, String),
}

/// Looks at a file. `license` is that of files the manifest does not know.
#[must_use]
pub fn look(item: &Item, bounds: &Bounds, manifest: &Manifest, license: &str) -> Found {
    let dropped = |why: String| Found::Dropped(item.name.clone(), why);
    let score = match item
        .read()
        .map_err(|error| format!("{error:#}"))
        .and_then(|bytes| midi::read(&bytes).map_err(|error| format!("broken: {error}")))
    {
        Ok(score) => score,
        Err(why) => return dropped(why),
    };
    let (notes, seconds) = (score.notes.len(), seconds(&score));
    if notes < bounds.min_notes {
        return dropped(format!("tiny: {notes} notes, {} are asked for", bounds.min_notes));
    }
    if notes > bounds.max_notes {
        return dropped(format!("overlong: {notes} notes, {} are allowed", bounds.max_notes));
    }
    if seconds > bounds.max_minutes * 60.0 {
        let minutes = seconds / 60.0;
        return dropped(format!("overlong: {minutes:.0} minutes, {} are allowed", bounds.max_minutes));
    }
    let origin = item.path.as_deref().and_then(|path| manifest.get(path));
    let folder = item.name.rsplit_once('/').map_or("", |(folder, _)| folder);
    Found::Music(Facts {
        notes,
        seconds,
        exact: similar::exact(&score),
        sketch: similar::sketch(&score),
        work: format!("{folder}/{}", split::work(std::path::Path::new(&item.name))),
        license: origin.map_or_else(|| license.to_owned(), |origin| origin.license.clone()),
        source: origin.filter(|origin| !origin.source.is_empty()).map_or_else(
            || item.name.split('/').next().unwrap_or_default().to_owned(),
            |origin| origin.source.clone(),
        ),
        name: item.name.clone(),
    })
}

/// How long a score lasts.
fn seconds(score: &Score) -> f64 {
    let end = score.end();
    let (mut seconds, mut tick, mut micros) = (0.0, 0, 500_000);
    let passed = |from: u32, to: u32, micros: u32| score.beats(to - from) * f64::from(micros) / 1e6;
    for tempo in score.tempos.iter().filter(|tempo| tempo.tick < end) {
        seconds += passed(tick, tempo.tick, micros);
        (tick, micros) = (tempo.tick, tempo.micros_per_beat);
    }
    seconds + passed(tick, end.max(tick), micros)
}
