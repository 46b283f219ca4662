//! A folder of files to a folder of the same names.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use anyhow::bail;

use super::claim::Claim;
use super::spelling::Tally;
use super::{Direction, Places, Refusal, mirrored, summary};
use crate::Outcome;
use crate::files::{self, Safe};
use crate::interrupt;
use crate::progress::Progress;

/// Threads that are started at most, whatever `--jobs` asks for.
const MOST_JOBS: usize = 256;

/// What became of some files.
#[derive(Default)]
pub(super) struct Fates {
    pub(super) converted: usize,
    pub(super) skipped: usize,
    /// With their place in the list of files.
    pub(super) refused: Vec<(usize, Refusal)>,
    pub(super) tally: Tally,
}

impl Fates {
    fn join(mut self, other: Self) -> Self {
        self.converted += other.converted;
        self.skipped += other.skipped;
        self.refused.extend(other.refused);
        self.tally.add(other.tally);
        self
    }
}

/// Converts all files below the input folder.
///
/// # Errors
/// If the input has no such file, or the output is not a folder.
pub(super) fn run(places: &Places, direction: &Direction) -> anyhow::Result<Outcome> {
    if places.output.is_file() {
        bail!(
            "{} is a folder, but {} is a file; name a folder to write to",
            places.input.display(),
            places.output.display()
        );
    }
    let found = files::walk(&places.input, &|path| direction.from.accept(path))?;
    if found.is_empty() {
        bail!(
            "{} has no file whose name ends in {}, nor do its subfolders{}",
            places.input.display(),
            direction.from.describe(),
            direction.from.others()
        );
    }
    let work = Work {
        places,
        direction,
        found: &found,
        twins: twins(&found, direction),
        // Nothing can be there already in a folder that is not there.
        fresh: !places.output.exists(),
        stop: AtomicBool::new(false),
    };
    let claim = Claim::on(&places.output)?;
    let fates = work.all();
    drop(claim);
    summary::finish(places, &found, fates)
}

/// Files that would be written where another one is: the place of each with the
/// name of the other. Those whose names end as they should come first.
fn twins<'a>(found: &'a [PathBuf], direction: &Direction) -> HashMap<usize, &'a Path> {
    let plain = |path: &Path| direction.plain.is_none_or(|suffix| files::ends_with(path, suffix));
    if found.iter().all(|path| plain(path)) {
        return HashMap::new();
    }
    let mut taken: HashMap<PathBuf, &Path> = HashMap::with_capacity(found.len());
    let mut twins = HashMap::new();
    let (first, later): (Vec<_>, Vec<_>) = found.iter().enumerate().partition(|(_, path)| plain(path));
    for (place, path) in first.into_iter().chain(later) {
        let other = *taken.entry(mirrored(path, direction)).or_insert(path);
        if other != path {
            twins.insert(place, other);
        }
    }
    twins
}

struct Work<'a> {
    places: &'a Places,
    direction: &'a Direction,
    found: &'a [PathBuf],
    twins: HashMap<usize, &'a Path>,
    fresh: bool,
    /// Set by the first refusal under `--fail-fast`.
    stop: AtomicBool,
}

/// What a thread uses for one file after another.
#[derive(Default)]
struct Buffers {
    from: Vec<u8>,
    to: Vec<u8>,
}

impl Work<'_> {
    fn all(&self) -> Fates {
        let progress = Progress::new("files", self.found.len() as u64);
        let taken = AtomicUsize::new(0);
        let jobs = self.jobs();
        let work = || self.some(&taken, 16 * jobs, &progress);
        let fates = thread::scope(|scope| {
            // Where the system gives no more threads, those there are do it.
            let start = |_| thread::Builder::new().spawn_scoped(scope, work).ok();
            let others: Vec<_> = (1..jobs).map_while(start).collect();
            let mine = work();
            let theirs =
                others.into_iter().map(|other| other.join().unwrap_or_else(|panic| resume_unwind(panic)));
            theirs.fold(mine, Fates::join)
        });
        progress.finish();
        fates
    }

    /// How many threads work, this one among them. More than files would wait for
    /// nothing, and more than [`MOST_JOBS`] for each other.
    fn jobs(&self) -> usize {
        let jobs = self.places.jobs.or_else(|| thread::available_parallelism().ok());
        jobs.map_or(1, NonZeroUsize::get).min(self.found.len()).min(MOST_JOBS)
    }

    /// Files that no other thread has taken, one of so many shares of what is left at
    /// a time, until there are none.
    fn some(&self, taken: &AtomicUsize, shares: usize, progress: &Progress) -> Fates {
        let (mut fates, mut buffers) = (Fates::default(), Buffers::default());
        let all = self.found.len();
        // Neighbours, since threads that name files in one folder wait for each other;
        // ever fewer, so that all end at one time (guided self-scheduling,
        // Polychronopoulos and Kuck 1987).
        let more = |from: usize| (from < all).then(|| from + (all - from).div_ceil(shares));
        while let Ok(from) = taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more) {
            let to = more(from).unwrap_or(all);
            for (place, file) in self.found.iter().enumerate().take(to).skip(from) {
                self.one(place, file, &mut fates, &mut buffers);
                progress.advance();
            }
        }
        fates
    }

    fn one(&self, place: usize, file: &Path, fates: &mut Fates, buffers: &mut Buffers) {
        if interrupt::requested() || self.stop.load(Ordering::Relaxed) {
            return;
        }
        let to = joined(&self.places.output, &mirrored(file, self.direction));
        if let Some(other) = self.twins.get(&place) {
            return self.refuse(place, twin(&to, &self.places.input.join(other)), fates);
        }
        if !self.fresh && !self.places.force && is_finished(&to) {
            fates.skipped += 1;
            return;
        }
        match self.convert(file, &to, buffers) {
            Ok(tally) => {
                fates.converted += 1;
                fates.tally.add(tally);
            }
            Err(refusal) => self.refuse(place, refusal, fates),
        }
    }

    fn refuse(&self, place: usize, refusal: Refusal, fates: &mut Fates) {
        fates.refused.push((place, refusal));
        self.stop.fetch_or(self.places.fail_fast, Ordering::Relaxed);
    }

    fn convert(&self, file: &Path, to: &Path, buffers: &mut Buffers) -> Result<Tally, Refusal> {
        let told = |error: anyhow::Error| Refusal::new(format_args!("{error:#}"));
        let from = files::read_into(&joined(&self.places.input, file), &mut buffers.from).map_err(told)?;
        let tally = (self.direction.convert)(from, &mut buffers.to)?;
        files::write_safe(to, &buffers.to, Safe::FromKilling).map_err(told)?;
        Ok(tally)
    }
}

/// As [`Path::join`] has it, but made with room for all of it.
fn joined(folder: &Path, below: &Path) -> PathBuf {
    let mut path = PathBuf::with_capacity(folder.as_os_str().len() + 1 + below.as_os_str().len());
    path.push(folder);
    path.push(below);
    path
}

fn twin(to: &Path, other: &Path) -> Refusal {
    let (to, other) = (to.display(), other.display());
    Refusal::new(format_args!("it would be written to {to}, as {other} is; rename one of them"))
}

/// Whether a file is there and needs no second try. Outputs are moved into place
/// whole, but after a power cut one may be empty; those that are so by right are
/// made again in no time.
fn is_finished(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.len() > 0)
}
