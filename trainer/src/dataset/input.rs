//! MIDI files from folders and archives, one after the other, always in the same order, and
//! only a few of them in memory at a time.

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use flate2::read::MultiGzDecoder;
use rayon::prelude::*;

use crate::files::{self, MAX_FILE_BYTES};
use crate::interrupt;

/// Files that are in memory at a time.
const TOGETHER: usize = 256;

/// A folder or an archive.
#[derive(Debug)]
pub struct Source {
    /// What files of it are named by: the folder's or the archive's own name.
    pub name: String,
    path: PathBuf,
    /// Its MIDI files, in order.
    members: Vec<PathBuf>,
    form: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Folder,
    Zip,
    Tar,
    TarGz,
}

/// A MIDI file of a source.
pub struct Item {
    /// Its place among the files of all sources.
    pub index: usize,
    /// The source's name and the path below it, with `/` between folders.
    pub name: String,
    /// Where it is on disk, if it is in no archive.
    pub path: Option<PathBuf>,
    content: Option<Vec<u8>>,
}

impl Item {
    /// Its bytes.
    ///
    /// # Errors
    /// Where it cannot be read, or is too large.
    pub fn read(&self) -> anyhow::Result<Cow<'_, [u8]>> {
        match (&self.content, &self.path) {
            (Some(content), _) => Ok(content.into()),
            (None, Some(path)) => Ok(files::read(path)?.into()),
            (None, None) => bail!("more than {MAX_FILE_BYTES} bytes are not read"),
        }
    }
}

impl Source {
    /// Looks into a folder or an archive.
    ///
    /// # Errors
    /// Where there is none, or no MIDI file in it.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let form = form_of(path)?;
        let members = match form {
            Form::Folder => files::walk(path, &files::is_midi)?,
            Form::Zip => zip_members(path)?,
            Form::Tar | Form::TarGz => tar_members(path, form)?,
        };
        if members.is_empty() {
            bail!("{} has no file ending in .mid or .midi, nor do its subfolders", path.display());
        }
        let full = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let name = full.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        let name = [".zip", ".tar.gz", ".tgz", ".tar"]
            .iter()
            .find_map(|end| name.strip_suffix(end))
            .unwrap_or(&name);
        Ok(Self { name: name.to_owned(), path: path.to_owned(), members, form })
    }

    /// How many MIDI files it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether it has none; it then does not open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Hands out the files whose index is wanted; `first` is the index of its first.
    fn each(
        &self,
        first: usize,
        wanted: &dyn Fn(usize) -> bool,
        take: &mut dyn FnMut(Item) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let item = |place: usize, content: Option<Vec<u8>>| {
            let member = &self.members[place];
            let parts: Vec<_> = member.iter().map(|part| part.to_string_lossy()).collect();
            Item {
                index: first + place,
                name: format!("{}/{}", self.name, parts.join("/")),
                path: (self.form == Form::Folder).then(|| self.path.join(member)),
                content,
            }
        };
        let places = (0..self.members.len()).filter(|place| wanted(first + place));
        match self.form {
            Form::Folder => places.into_iter().try_for_each(|place| take(item(place, None))),
            Form::Zip => {
                let mut archive = open_zip(&self.path)?;
                for place in places {
                    let name = self.members[place].to_string_lossy();
                    let mut file = archive.by_name(&name).with_context(|| self.damaged())?;
                    take(item(place, bounded(&mut file).with_context(|| self.damaged())?))?;
                }
                Ok(())
            }
            Form::Tar | Form::TarGz => {
                self.each_of_tar(first, wanted, &mut |place, content| take(item(place, content)))
            }
        }
    }

    /// A tar archive is read from its beginning to its end, so in its own order, and its
    /// files are handed out as they come.
    fn each_of_tar(
        &self,
        first: usize,
        wanted: &dyn Fn(usize) -> bool,
        take: &mut dyn FnMut(usize, Option<Vec<u8>>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut archive = open_tar(&self.path, self.form)?;
        let mut place = 0;
        for entry in archive.entries().with_context(|| self.damaged())? {
            let mut entry = entry.with_context(|| self.damaged())?;
            if !is_music(&mut entry) {
                continue;
            }
            if wanted(first + place) {
                take(place, bounded(&mut entry).with_context(|| self.damaged())?)?;
            }
            place += 1;
        }
        Ok(())
    }

    fn damaged(&self) -> String {
        format!("{} is damaged; get it again", self.path.display())
    }
}

fn form_of(path: &Path) -> anyhow::Result<Form> {
    if path.is_dir() {
        return Ok(Form::Folder);
    }
    if !path.exists() {
        bail!(
            "{} does not exist; name a folder of MIDI files or an archive (zip, tar, tar.gz)",
            path.display()
        );
    }
    let name = path.to_string_lossy().to_lowercase();
    if name.ends_with(".zip") {
        Ok(Form::Zip)
    } else if name.ends_with(".tar.gz") || name.ends_with(".tgz") {
        Ok(Form::TarGz)
    } else if name.ends_with(".tar") {
        Ok(Form::Tar)
    } else {
        bail!(
            "{} is neither a folder nor an archive (zip, tar, tar.gz); name the folder it lies in",
            path.display()
        )
    }
}

fn open_zip(path: &Path) -> anyhow::Result<zip::ZipArchive<BufReader<File>>> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    zip::ZipArchive::new(BufReader::new(file))
        .with_context(|| format!("{} is no whole zip archive", path.display()))
}

fn zip_members(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let archive = open_zip(path)?;
    // A name that is no text cannot be asked for by its name.
    let names = archive.file_names().filter_map(Result::ok);
    let mut members: Vec<PathBuf> =
        names.map(|name| PathBuf::from(&*name)).filter(|name| is_wanted(name)).collect();
    members.sort();
    Ok(members)
}

fn open_tar(path: &Path, form: Form) -> anyhow::Result<tar::Archive<Box<dyn Read>>> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let reader = BufReader::with_capacity(1 << 20, file);
    Ok(tar::Archive::new(match form {
        Form::TarGz => Box::new(MultiGzDecoder::new(reader)),
        _ => Box::new(reader),
    }))
}

fn tar_members(path: &Path, form: Form) -> anyhow::Result<Vec<PathBuf>> {
    let damaged = || format!("{} is no whole tar archive", path.display());
    let mut members = Vec::new();
    for entry in open_tar(path, form)?.entries().with_context(damaged)? {
        let mut entry = entry.with_context(damaged)?;
        if is_music(&mut entry) {
            members.push(entry.path().with_context(damaged)?.into_owned());
        }
    }
    Ok(members)
}

fn is_music<R: Read>(entry: &mut tar::Entry<'_, R>) -> bool {
    entry.header().entry_type().is_file() && entry.path().is_ok_and(|path| is_wanted(&path))
}

/// MIDI files, but not what macOS puts beside them.
fn is_wanted(name: &Path) -> bool {
    files::is_midi(name)
        && !name.iter().any(|part| part == "__MACOSX" || part.as_encoded_bytes().starts_with(b"._"))
}

/// What is read of a member; `None` where it is too large to be music.
fn bounded(from: &mut dyn Read) -> std::io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    from.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= MAX_FILE_BYTES).then_some(bytes))
}

/// Works on all files whose index is wanted, on all cores; results are taken in the files'
/// order. `false` where the user interrupted it.
///
/// # Errors
/// What `take` fails with, and an archive that cannot be read.
pub fn work_on<T: Send>(
    sources: &[Source],
    wanted: &dyn Fn(usize) -> bool,
    work: impl Fn(&Item) -> T + Sync,
    mut take: impl FnMut(usize, T) -> anyhow::Result<()>,
) -> anyhow::Result<bool> {
    let mut together: Vec<Item> = Vec::new();
    let mut flush = |together: &mut Vec<Item>| -> anyhow::Result<()> {
        let done: Vec<(usize, T)> = together.par_iter().map(|item| (item.index, work(item))).collect();
        together.clear();
        done.into_iter().try_for_each(|(index, result)| take(index, result))
    };
    let (mut first, mut stopped) = (0, false);
    for source in sources {
        source.each(first, &|index| !interrupt::requested() && wanted(index), &mut |item| {
            together.push(item);
            if together.len() == TOGETHER { flush(&mut together) } else { Ok(()) }
        })?;
        first += source.len();
        stopped |= interrupt::requested();
    }
    if !stopped {
        flush(&mut together)?;
        stopped = interrupt::requested();
    }
    Ok(!stopped)
}
