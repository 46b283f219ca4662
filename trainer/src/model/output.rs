//! Where a model is written to: whole or not at all, and never over the one it is made of.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use continuo_engine::source::{SPELLING_FILE, said_of};
use continuo_model::export::{About, Numbers, Tensors as _, Vocabulary, gguf, safetensors};
use continuo_model::{FileFormat, ModelError, ModelFiles};
use serde_json::Value;

use crate::files;
use crate::interrupt;
use crate::progress::Progress;

/// What a model is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// A GGUF file.
    Gguf,
    /// A folder with a safetensors file.
    Folder,
}

/// The name of the weight file in a folder.
const WEIGHTS: &str = "model.safetensors";

/// What describes a model and is taken along to another folder.
const COMPANIONS: [&str; 10] = [
    "README.md",
    "LICENSE",
    SPELLING_FILE,
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
];

/// How many of them, the first ones, are for people.
const FOR_PEOPLE: usize = 2;

/// Names of files that a folder is not meant by.
const FILES: [&str; 6] = ["safetensors", "bin", "pt", "pth", "json", "ggml"];

impl Form {
    /// What a name asks for.
    ///
    /// # Errors
    /// Where it is that of a file that is not written.
    pub(super) fn of(output: &Path) -> anyhow::Result<Self> {
        let ending = output.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        if ending == "gguf" {
            return Ok(Self::Gguf);
        }
        if FILES.contains(&ending.as_str()) {
            bail!(
                "{} is the name of a file that is not written alone; name a folder, or a file that ends in .gguf",
                output.display()
            );
        }
        Ok(Self::Folder)
    }

    /// The format's name.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Gguf => "gguf",
            Self::Folder => "safetensors",
        }
    }
}

/// Refuses to write over what must stay.
pub(super) fn check(
    input: &Path,
    source: &ModelFiles,
    output: &Path,
    form: Form,
    force: bool,
) -> anyhow::Result<()> {
    let place = output.display();
    let weights = match form {
        Form::Gguf => output.to_owned(),
        Form::Folder => output.join(WEIGHTS),
    };
    if files::same(input, output) || source.files().any(|file| files::same(file, &weights)) {
        bail!("{place} is the model to be read; name another place to write to");
    }
    // Also a link that leads nowhere.
    let Ok(there) = fs::symlink_metadata(output) else { return Ok(()) };
    match (form, output.is_dir()) {
        (Form::Gguf, true) => {
            bail!("{place} is a folder; name a file to write, as {}", output.join("model.gguf").display())
        }
        (Form::Folder, false) if !there.is_symlink() => {
            bail!("{place} is a file; name a folder, or a file that ends in .gguf")
        }
        _ if !force => bail!("{place} exists; name another place, or give --force to replace it"),
        _ => Ok(()),
    }
}

/// Writes a model; answers how many bytes its weights have, or `None` where the user
/// interrupted it and nothing was written.
pub(super) fn write(
    source: &ModelFiles,
    output: &Path,
    form: Form,
    numbers: Numbers,
) -> anyhow::Result<Option<u64>> {
    // What a link leads to is replaced, not the link.
    let output = &output.canonicalize().unwrap_or_else(|_| output.to_owned());
    let progress = Progress::percent("% written");
    let mut watch = |done: u64, total: u64| {
        progress.set(100 * done / total.max(1), "");
        !interrupt::requested()
    };
    let written = match form {
        Form::Gguf => {
            about(source).and_then(|about| Ok(gguf::write(source, &about, numbers, output, &mut watch)?))
        }
        Form::Folder => folder(source, output, numbers, &mut watch),
    };
    progress.finish();
    written
}

/// A model's name: that of its folder, or of the GGUF file that holds all of it.
pub(super) fn name_of(source: &ModelFiles) -> String {
    let folder = source.folder().canonicalize().unwrap_or_default();
    let name = match source.format() {
        FileFormat::Gguf => source.file().file_stem(),
        _ => folder.file_name(),
    };
    name.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// What a model and the files beside it say about it.
fn about(source: &ModelFiles) -> anyhow::Result<About> {
    let vocabulary = Vocabulary::beside(source.folder(), source.config().vocab_size)?;
    let encoding = said_of(source.file(), source)?.map(|spelling| (spelling.encoding, spelling.version));
    let name = source.metadata("general.name").map_or_else(|| name_of(source), str::to_owned);
    Ok(About { name, encoding, vocabulary })
}

/// A folder on its way, which goes where the work does not come to its end.
struct Staging(PathBuf);

impl Drop for Staging {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn folder(
    source: &ModelFiles,
    output: &Path,
    numbers: Numbers,
    watch: &mut dyn FnMut(u64, u64) -> bool,
) -> anyhow::Result<Option<u64>> {
    let staging = Staging(files::beside(&whole(output)));
    let weights = staging.0.join(WEIGHTS);
    let written = safetensors::write(source, numbers, &weights, watch).map_err(|error| match error {
        // Nobody knows the name the folder has until it is finished.
        ModelError::Io { file, source, remedy } if file == weights => {
            ModelError::Io { file: output.join(WEIGHTS), source, remedy }
        }
        other => other,
    });
    let Some(bytes) = written? else { return Ok(None) };
    let before = source.folder().join("config.json");
    // A GGUF file says itself what it is.
    let before: Option<Value> = if source.format() != FileFormat::Gguf && before.exists() {
        serde_json::from_slice(&files::read(&before)?).ok()
    } else {
        None
    };
    let config = safetensors::describe(source.config(), numbers, before)?;
    files::write(&staging.0.join("config.json"), format!("{config:#}\n").as_bytes())?;
    // What lies beside a GGUF file for people to read need not be about it.
    let first = if source.format() == FileFormat::Gguf { FOR_PEOPLE } else { 0 };
    for name in &COMPANIONS[first..] {
        let from = source.folder().join(name);
        if from.is_file() {
            files::write(&staging.0.join(name), &files::read(&from)?)?;
        }
    }
    if let (FileFormat::Gguf, Some(spelling)) = (source.format(), said_of(source.file(), source)?) {
        let spelling = serde_json::to_string(&spelling)?;
        files::write(&staging.0.join(SPELLING_FILE), format!("{spelling}\n").as_bytes())?;
    }
    place(&staging.0, output).with_context(|| format!("cannot write {}", output.display()))?;
    Ok(Some(bytes))
}

/// A path with a name at its end, which `.` and `a/..` do not have.
fn whole(output: &Path) -> PathBuf {
    if output.file_name().is_some() { output.to_owned() } else { output.join("model") }
}

/// Gives a finished folder its name. Where there is one of that name, its files are
/// replaced, and what programs would read of the model that was there goes.
fn place(staged: &Path, output: &Path) -> std::io::Result<()> {
    if !output.is_dir() {
        return fs::rename(staged, output);
    }
    for name in COMPANIONS[FOR_PEOPLE..].iter().filter(|name| !staged.join(name).exists()) {
        let old = output.join(name);
        if old.is_file() {
            fs::remove_file(old)?;
        }
    }
    for entry in fs::read_dir(staged)? {
        let entry = entry?;
        fs::rename(entry.path(), output.join(entry.file_name()))?;
    }
    Ok(())
}
