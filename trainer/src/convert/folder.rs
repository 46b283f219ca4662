//! A folder of files to a folder of the same names.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::{mem, thread};

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

/// In how many shares a thread takes what it has. Few cost little, many leave more to
/// be taken by another.
const SHARES: usize = 16;

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

/// Which files of the list each thread has left.
///
/// They begin far apart, since threads that name files in one folder wait for each
/// other. One that has none left takes half of what another has, so that all end at
/// one time.
struct Left(Mutex<Vec<Range<usize>>>);

impl Left {
    fn new(files: usize, threads: usize) -> Self {
        let from = |thread| files * thread / threads;
        Self(Mutex::new((0..threads).map(|thread| from(thread)..from(thread + 1)).collect()))
    }

    /// The next files of a thread, of which no other has any: none if all are taken.
    fn take(&self, thread: usize) -> Range<usize> {
        let mut left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if left[thread].is_empty()
            && let Some(most) = left.iter_mut().max_by_key(|files| files.len())
        {
            let half = most.start + most.len() / 2;
            left[thread] = half..mem::replace(&mut most.end, half);
        }
        let mine = &mut left[thread];
        let to = mine.start + mine.len().div_ceil(SHARES);
        mem::replace(&mut mine.start, to)..to
    }
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
        let jobs = self.jobs();
        let left = Left::new(self.found.len(), jobs);
        let work = |thread| self.some(|| left.take(thread), &progress);
        let fates = thread::scope(|scope| {
            // Where the system gives no more threads, those there are do it.
            let start = |thread| thread::Builder::new().spawn_scoped(scope, move || work(thread)).ok();
            let others: Vec<_> = (1..jobs).map_while(start).collect();
            let mine = work(0);
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

    /// Files as they are given, until no more are.
    fn some(&self, more: impl Fn() -> Range<usize>, progress: &Progress) -> Fates {
        let (mut fates, mut buffers) = (Fates::default(), Buffers::default());
        loop {
            let files = more();
            if files.is_empty() {
                return fates;
            }
            for place in files {
                self.one(place, &self.found[place], &mut fates, &mut buffers);
                progress.advance();
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_taken_once_in_whatever_order_threads_ask() {
        for (files, threads) in [(1, 1), (1000, 1), (2, 2), (31, 2), (1000, 2), (1000, 5), (256, 256)] {
            for order in [&[0][..], &[1], &[0, 1], &[2, 1, 1, 1], &[0, 0, 4, 3, 0, 77]] {
                let left = Left::new(files, threads);
                let mut taken = vec![0; files];
                for thread in order.iter().cycle() {
                    let share = left.take(thread % threads);
                    if share.is_empty() {
                        break;
                    }
                    share.for_each(|place| taken[place] += 1);
                }
                assert_eq!(taken, vec![1; files], "{files} files, {threads} threads, {order:?}");
            }
        }
    }
}
