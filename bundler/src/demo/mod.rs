//! `cargo demo`: a MIDI phrase goes into the built `.clap` in a host with a rolling
//! transport; the answers come out as `continuation.mid` and `continuation.png`.

mod phrase;
mod report;
mod roll;
mod session;

use crate::build::Profile;
use crate::bundle;
use crate::layout::Variant;
use crate::preflight::{self, Need};
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use continuo_codec::midi::{Track, write_tracks};
use continuo_tests::host::Bundle;
use phrase::Phrase;
use session::Session;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What can be said to `demo`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The MIDI file to answer [default: a piano phrase of the repository's own].
    #[arg(long, value_name = "FILE.mid")]
    phrase: Option<PathBuf>,
    /// The same without the option's name.
    #[arg(value_name = "FILE.mid", conflicts_with = "phrase")]
    file: Option<PathBuf>,
    /// The folder for `continuation.mid` and `continuation.png`.
    #[arg(long, value_name = "DIR", default_value = "continuo-demo")]
    out: PathBuf,
    /// How many answers to ask for, 1 to 8.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=8))]
    takes: u8,
    /// How many bars an answer has, 1 to 16.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=16))]
    bars: u8,
    /// The same seed gives the same answers; 1 to 9999.
    #[arg(long, allow_negative_numbers = true, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=9999))]
    seed: u16,
    /// Play at this many beats a minute, 10 to 960, whatever the file says.
    #[arg(long, allow_negative_numbers = true, value_name = "BPM", value_parser = tempo)]
    tempo: Option<f64>,
    /// Where the answer starts.
    #[arg(long, value_enum, default_value_t = Start::Bar)]
    start: Start,
    /// Play no faster than the music, and do not let the plugin take its time.
    #[arg(long)]
    realtime: bool,
    /// Use the plugin that was built last.
    #[arg(long)]
    no_build: bool,
}

/// Where the answer starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Start {
    /// At the next bar line.
    Bar,
    /// At the next beat.
    Beat,
    /// As soon as there is something to play.
    Now,
}

impl Start {
    /// The word in the plugin's name for it.
    const fn word(self) -> &'static str {
        match self {
            Self::Bar => "bar",
            Self::Beat => "beat",
            Self::Now => "now",
        }
    }
}

fn tempo(text: &str) -> Result<f64, String> {
    let bpm: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (10.0..=960.0).contains(&bpm) { Ok(bpm) } else { Err("a tempo lies between 10 and 960".to_owned()) }
}

/// Runs `demo`.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let workspace = Workspace::find()?;
    // What the user gave is looked at before anything takes long.
    let phrase = Phrase::read(&phrase_path(args, &workspace), args.tempo)?;
    if args.out.is_file() {
        bail!("{} is a file; --out names a folder", args.out.display());
    }
    let clap = plugin(args, &workspace)?;
    let bundle = Bundle::load(&clap)?;
    println!();
    report::phrase(&phrase);
    report::plugin(bundle.name(), &clap);
    let session = Session::play(&bundle, &phrase, args)?;
    report::session(&phrase, &session, args);
    if session.answer().is_none() {
        bail!("the plugin gave no answer; what it logged above says why");
    }
    fs::create_dir_all(&args.out).with_context(|| format!("{} cannot be made", args.out.display()))?;
    for file in write(args, &phrase, &session)? {
        report::file(&file);
    }
    if session.takes.iter().any(|take| take.hanging > 0) {
        bail!("notes were left hanging");
    }
    Ok(ExitCode::SUCCESS)
}

fn phrase_path(args: &Args, workspace: &Workspace) -> PathBuf {
    let own = || {
        ["assets", "phrases", "piano.mid"].iter().fold(workspace.root.clone(), |path, part| path.join(part))
    };
    args.phrase.clone().or_else(|| args.file.clone()).unwrap_or_else(own)
}

fn plugin(args: &Args, workspace: &Workspace) -> Result<PathBuf> {
    if args.no_build {
        return continuo_tests::locate::bundle().context("leave out --no-build to have it built");
    }
    preflight::check(Need::Plugin)?;
    Ok(bundle::plugins(workspace, Variant::Usual, Profile::Release, &[])?.clap)
}

fn write(args: &Args, phrase: &Phrase, session: &Session) -> Result<[PathBuf; 2]> {
    let mut tracks = vec![Track { name: "Phrase".to_owned(), notes: phrase.score.notes.clone() }];
    for (index, take) in session.takes.iter().enumerate() {
        tracks.push(Track { name: format!("Take {}", index + 1), notes: take.notes.clone() });
    }
    let midi = save(&args.out, "continuation.mid", &write_tracks(&phrase.score, &tracks))?;
    let png = save(&args.out, "continuation.png", &roll::draw(phrase, session)?)?;
    Ok([midi, png])
}

fn save(folder: &Path, name: &str, bytes: &[u8]) -> Result<PathBuf> {
    let path = folder.join(name);
    fs::write(&path, bytes).with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(path)
}
