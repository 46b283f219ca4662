//! From the hub to this machine.
//!
//! Files come into a folder `<name>.part` beside the place they are meant for, which takes
//! that place when all have come: what is at the place is always whole. What a pull that
//! ended early leaves is gone on with by the next one, if the hub still has that commit.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use futures_util::StreamExt as _;
use hf_hub::HFRepository;
use hf_hub::repository::RepoType;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::choose::wanted;
use super::listing::Listed;
use super::{Hub, Progress, Watch, patiently};
use crate::error::{Doing, HubError};
use crate::name::{Kind, RepoName};

/// Tells in a folder which commit it came from.
const RECORD: &str = ".pulled.json";
/// How often a connection may break in one file, each time after something came.
const BREAKS: u32 = 5;

/// What a folder says of where it came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    name: String,
    commit: String,
}

/// What was pulled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulled {
    /// Where it is.
    pub folder: PathBuf,
    /// How many files it has.
    pub files: usize,
    /// How many bytes these have.
    pub bytes: u64,
    /// The commit.
    pub commit: String,
    /// Whether it was there already, as the hub has it.
    pub was_there: bool,
}

impl Hub {
    /// Brings a model or a data set to a folder, or brings that up to date.
    ///
    /// # Errors
    /// [`HubError`]; what came so far is kept for the next time.
    pub fn pull(
        &self,
        kind: Kind,
        name: &RepoName,
        into: &Path,
        watch: &dyn Watch,
    ) -> Result<Pulled, HubError> {
        self.runtime.block_on(self.bring(kind, name, into, watch))
    }

    async fn bring(
        &self,
        kind: Kind,
        name: &RepoName,
        into: &Path,
        watch: &dyn Watch,
    ) -> Result<Pulled, HubError> {
        let doing = self.doing(kind, name, "read");
        let there = record(into);
        if there.is_none() && !is_free(into) {
            return Err(disk(into, "pulled into", "name an empty folder, or one that does not exist yet")(
                io::Error::other("it holds other things"),
            ));
        }
        let listing = self.list(kind, name, watch).await?;
        let files = wanted(kind, &listing.files).map_err(|what| doing.unfit(&what))?;
        let bytes = files.iter().map(|file| file.size).sum();
        let record = Record { name: name.id(), commit: listing.commit };
        let mut pulled = Pulled {
            folder: into.to_owned(),
            files: files.len(),
            bytes,
            commit: record.commit.clone(),
            was_there: true,
        };
        if there.as_ref() == Some(&record)
            && files.iter().all(|file| length(&place(into, file)) == Some(file.size))
        {
            return Ok(pulled);
        }
        let part = Part::open(into, &record)?;
        let way = Way { doing, watch, commit: &record.commit };
        // hf-hub looks for the files of a repository whose kind is known at run time only
        // among models (1.0.0), hence the two of them.
        match kind {
            Kind::Model => {
                way.fetch(&self.client.model(name.owner(), name.name()), &files, &part.folder).await?
            }
            Kind::Dataset => {
                way.fetch(&self.client.dataset(name.owner(), name.name()), &files, &part.folder).await?
            }
        }
        part.settle(into)?;
        pulled.was_there = false;
        Ok(pulled)
    }
}

/// What all files of a repository have in common on their way.
struct Way<'a> {
    doing: Doing<'a>,
    watch: &'a dyn Watch,
    commit: &'a str,
}

impl Way<'_> {
    /// Sees that files are in a folder, whole.
    async fn fetch<T: RepoType>(
        self,
        repository: &HFRepository<T>,
        files: &[Listed],
        folder: &Path,
    ) -> Result<(), HubError> {
        let total = files.iter().map(|file| file.size).sum();
        let progress = Progress { total, ..Progress::default() };
        let mut fetch = Fetch { repository, way: self, progress };
        for file in files {
            fetch.file(file, &place(folder, file)).await?;
        }
        Ok(())
    }
}

/// Files on their way.
struct Fetch<'a, T: RepoType> {
    repository: &'a HFRepository<T>,
    way: Way<'a>,
    progress: Progress,
}

impl<T: RepoType> Fetch<'_, T> {
    /// Sees that a file is there, whole.
    async fn file(&mut self, file: &Listed, to: &Path) -> Result<(), HubError> {
        self.progress.file.clone_from(&file.path);
        let before = self.progress.done;
        if length(to) != Some(file.size) {
            if let Some(parent) = to.parent() {
                fs::create_dir_all(parent).map_err(disk(parent, "made", ROOM))?;
            }
            let sum = self.sum(file).await?;
            let partial = with_suffix(to, ".incomplete");
            let began_here = length(&partial).unwrap_or(0) == 0;
            self.rest(file, &partial).await?;
            let right = is_right(&partial, file.size, sum.as_deref())?;
            if !right {
                // What was there from before was no part of it, or the hub sent all again.
                fs::remove_file(&partial).map_err(disk(&partial, "removed", ROOM))?;
                if began_here || !self.whole(file, &partial, sum.as_deref()).await? {
                    let what = format!("sends {} damaged; pull it again", file.path);
                    return Err(self.way.doing.unfit(&what));
                }
            }
            fs::rename(&partial, to).map_err(disk(to, "written", ROOM))?;
        }
        self.progress.done = before + file.size;
        self.way.watch.progress(&self.progress);
        Ok(())
    }

    async fn whole(&mut self, file: &Listed, partial: &Path, sum: Option<&str>) -> Result<bool, HubError> {
        self.rest(file, partial).await?;
        is_right(partial, file.size, sum)
    }

    /// The SHA-256 of a large file, where the hub tells it.
    async fn sum(&self, file: &Listed) -> Result<Option<String>, HubError> {
        if !file.large {
            return Ok(None);
        }
        let ask = self.repository.get_file_metadata().filepath(&*file.path).revision(self.way.commit).send();
        match patiently(ask, &self.way.doing, self.way.watch).await {
            Ok(about) => Ok(Some(about.etag).filter(|etag| etag.len() == 64)),
            Err(stop @ HubError::Cancelled) => Err(stop),
            // Behind some redirections it does not; what else is wrong shows below.
            Err(_) => Ok(None),
        }
    }

    /// Fetches what a file lacks; goes on by itself when a connection breaks that had
    /// brought something.
    async fn rest(&mut self, file: &Listed, partial: &Path) -> Result<(), HubError> {
        let mut breaks = 0;
        loop {
            let before = length(partial).unwrap_or(0);
            match self.stream(file, partial, before).await {
                Err(HubError::Down { .. }) if breaks < BREAKS && length(partial).unwrap_or(0) > before => {
                    breaks += 1;
                }
                outcome => return outcome,
            }
        }
    }

    async fn stream(&mut self, file: &Listed, partial: &Path, from: u64) -> Result<(), HubError> {
        let mut out = OpenOptions::new()
            .create(true)
            .append(true)
            .open(partial)
            .map_err(disk(partial, "written", ROOM))?;
        if from >= file.size {
            return Ok(());
        }
        let ask = self.repository.download_file_stream().filename(&*file.path).revision(self.way.commit);
        let ask = ask.maybe_range((from > 0).then_some(from..file.size));
        let (_, mut stream) = patiently(ask.send(), &self.way.doing, self.way.watch).await?;
        let base = self.progress.done + from;
        let mut came = 0;
        while let Some(bytes) =
            patiently(async { stream.next().await.transpose() }, &self.way.doing, self.way.watch).await?
        {
            out.write_all(&bytes).map_err(disk(partial, "written", ROOM))?;
            came += bytes.len() as u64;
            let progress = Progress { done: base + came, ..self.progress.clone() };
            self.way.watch.progress(&progress);
            if self.way.watch.is_cancelled() {
                return Err(HubError::Cancelled);
            }
        }
        if from + came < file.size {
            return Err(self.way.doing.down("broke off in the middle of a file", ""));
        }
        Ok(())
    }
}

/// A folder on its way to its place.
struct Part {
    folder: PathBuf,
    /// Held while something is pulled to the place, so that nobody else does.
    lock: File,
    lock_path: PathBuf,
}

impl Part {
    /// What is there of a commit already, or an empty folder.
    fn open(into: &Path, record: &Record) -> Result<Self, HubError> {
        let parent = into.parent().unwrap_or(Path::new(""));
        fs::create_dir_all(parent).map_err(disk(parent, "made", ROOM))?;
        let lock_path = with_suffix(into, ".lock");
        let lock = File::create(&lock_path).map_err(disk(&lock_path, "written", ROOM))?;
        if lock.try_lock().is_err() {
            let busy = io::Error::other("another program is pulling to the same place");
            return Err(disk(into, "pulled into", "wait until it is done")(busy));
        }
        let folder = with_suffix(into, ".part");
        if self::record(&folder).is_some_and(|there| there != *record) {
            fs::remove_dir_all(&folder).map_err(disk(&folder, "removed", ROOM))?;
        }
        fs::create_dir_all(&folder).map_err(disk(&folder, "made", ROOM))?;
        let file = folder.join(RECORD);
        let text = serde_json::to_vec(record).unwrap_or_default();
        fs::write(&file, text).map_err(disk(&file, "written", ROOM))?;
        Ok(Self { folder, lock, lock_path })
    }

    /// Takes its place, and what was there goes.
    fn settle(self, into: &Path) -> Result<(), HubError> {
        let older = with_suffix(into, ".old");
        let moved = || {
            if older.exists() {
                fs::remove_dir_all(&older)?;
            }
            if into.exists() {
                fs::rename(into, &older)?;
            }
            fs::rename(&self.folder, into)
        };
        moved().map_err(disk(into, "replaced", "close what has it open, and pull again"))?;
        if older.exists() {
            // Something may still have it open; the next pull removes it.
            let _ = fs::remove_dir_all(&older);
        }
        drop(self.lock);
        let _ = fs::remove_file(&self.lock_path);
        Ok(())
    }
}

/// What helps when a disk is full or not ours.
const ROOM: &str = "make room there, or see that it may be written, and pull again: it goes on where it was";

fn disk<'a>(
    path: &'a Path,
    doing: &'static str,
    remedy: &'static str,
) -> impl Fn(io::Error) -> HubError + 'a {
    move |source| HubError::Disk { path: path.to_owned(), doing, source, remedy }
}

fn record(folder: &Path) -> Option<Record> {
    serde_json::from_slice(&fs::read(folder.join(RECORD)).ok()?).ok()
}

/// Whether nothing is lost when a folder takes this place.
fn is_free(into: &Path) -> bool {
    match fs::read_dir(into) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

fn place(folder: &Path, file: &Listed) -> PathBuf {
    file.path.split('/').fold(folder.to_owned(), |path, part| path.join(part))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(suffix);
    path.with_file_name(name)
}

fn length(file: &Path) -> Option<u64> {
    fs::metadata(file).ok().filter(fs::Metadata::is_file).map(|about| about.len())
}

/// Whether a file has the size it should have, and the SHA-256.
fn is_right(path: &Path, size: u64, sum: Option<&str>) -> Result<bool, HubError> {
    if length(path) != Some(size) {
        return Ok(false);
    }
    let Some(sum) = sum else { return Ok(true) };
    let hash = || -> io::Result<String> {
        let (mut file, mut hasher, mut buffer) = (File::open(path)?, Sha256::new(), vec![0; 1 << 16]);
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(crate::hex(&hasher.finalize())),
                read => hasher.update(&buffer[..read]),
            }
        }
    };
    Ok(hash().map_err(disk(path, "read", "pull again"))?.eq_ignore_ascii_case(sum))
}
