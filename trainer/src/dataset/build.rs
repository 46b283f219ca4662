//! `continuo dataset build`: from MIDI files to a data set.
//!
//! Twice through all files: once to look at them (`survey`), which tells what is used and
//! in which part (`plan`), and once to write them. Both go in pieces of two thousand files,
//! each of which is whole on disk or not there, so a build goes on where it was.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use continuo_engine::source::SPELLING_FILE;
use serde::{Deserialize, Serialize};

use super::card::{self, Counts, PARTS};
use super::input::{self, Item, Source};
use super::plan::{Fate, Near, Plan, plan};
use super::rows::{Columns, Layout, Making, Row};
use super::survey::{self, Bounds, Facts, Found};
use super::table::{Entry, Shape, Table};
use crate::Outcome;
use crate::encodings::EncodingName;
use crate::files;
use crate::manifest::Manifest;
use crate::progress::Progress;
use crate::train::stored;

/// Files a piece, and a Parquet file.
const PIECE: usize = 2000;

/// What is kept while a build is under way, in the data set's folder.
pub(crate) const UNDER_WAY: &str = ".build";

/// What `--help` tells first.
pub(crate) const ABOUT: &str = "Make a data set of MIDI files: rows of ids or text in Parquet files, as Hugging Face's datasets, DuckDB \
    and others read them, in a part to train on and a part to test with.\n\n\
    Broken, tiny and overlong files are left out, and files whose notes and tempi are those of another. Files that \
    are nearly the same (in another key or tempo, played otherwise, cut) stay in one part, and so do the movements \
    of a work; the part is decided by the works' names, so it is the same in every build. What was left out and why \
    is in dropped.jsonl, what is nearly the same in similar.jsonl, and README.md is the card.\n\n\
    A build that was interrupted goes on when it is called again. The same files give the same bytes.";

/// What `continuo dataset build` can be told.
#[derive(Debug, Args)]
#[command(after_help = "EXAMPLES:\n  \
        continuo dataset build music/ more.zip --out data/\n  \
        continuo dataset build music/ --out data/ --manifest music/MANIFEST.jsonl\n  \
        continuo dataset build music/ --out seed/ --encoding text --layout files\n  \
        continuo dataset build music/ --out seed/ --encoding text --layout padded --columns ids --context 1024\n  \
        continuo dataset push owner/name --from data/")]
pub struct BuildArgs {
    /// Folders and archives (zip, tar, tar.gz) of MIDI files
    #[arg(value_name = "MIDI", required = true)]
    pub inputs: Vec<PathBuf>,
    /// Where the data set goes
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// How music is spelled
    #[arg(long, value_enum, default_value = "beat")]
    pub encoding: EncodingName,
    /// How files lie in rows
    #[arg(long, value_enum, default_value = "chunks")]
    pub layout: Layout,
    /// What rows hold [default: text of the text encoding, ids of others]
    #[arg(long, value_enum)]
    pub columns: Option<Columns>,
    /// Ids a row at most [default: 1024 in text, 512 in others]
    #[arg(long)]
    pub context: Option<usize>,
    /// Share of the works to test with
    #[arg(long, value_name = "SHARE", default_value_t = 0.2, allow_negative_numbers = true)]
    pub test: f64,
    /// What becomes of files that are nearly the same
    #[arg(long, value_enum, default_value = "keep")]
    pub near: Near,
    /// Leave out files with fewer notes
    #[arg(long, default_value_t = 32)]
    pub min_notes: usize,
    /// Leave out files with more notes
    #[arg(long, default_value_t = 200_000)]
    pub max_notes: usize,
    /// Leave out files that last longer
    #[arg(long, default_value_t = 60.0, allow_negative_numbers = true)]
    pub max_minutes: f64,
    /// Licences: lines {"file", "license", "source"}, files relative to it
    #[arg(long, value_name = "FILE.jsonl")]
    pub manifest: Option<PathBuf>,
    /// The licence of files that the manifest does not name
    #[arg(long, default_value = "unknown")]
    pub license: String,
}

/// What must be the same for a build to go on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Settings {
    sources: Vec<(String, usize)>,
    making: Making,
    bounds: Bounds,
    near: Near,
    test: f64,
    license: String,
    manifest: u64,
    version: String,
}

/// Runs `continuo dataset build`.
///
/// # Errors
/// One sentence that names the file or option and the remedy.
pub fn run(args: &BuildArgs) -> anyhow::Result<Outcome> {
    let making = making(args)?;
    let sources = open(&args.inputs)?;
    let manifest = args.manifest.as_deref().map(Manifest::read).transpose()?.unwrap_or_default();
    let build = Build::begin(args, making, sources, manifest)?;
    let interrupted = || {
        crate::tell!("interrupted; call it again to go on where it was");
        Ok(Outcome::Interrupted)
    };
    let Some(found) = build.survey()? else { return interrupted() };
    let plan = plan(&found, args.near, args.test);
    if let Some(left_out) = build.all_left_out(&found, &plan) {
        return Err(left_out);
    }
    let Some(pieces) = build.write(&found, &plan)? else { return interrupted() };
    build.finish(&found, &plan, pieces)?;
    Ok(Outcome::Done)
}

fn making(args: &BuildArgs) -> anyhow::Result<Making> {
    let text = args.encoding == EncodingName::Text;
    let columns = args.columns.unwrap_or(if text { Columns::Text } else { Columns::Ids });
    if !text && columns != Columns::Ids {
        bail!("only the text encoding has text; leave out --columns, or use --encoding text");
    }
    if args.layout == Layout::Padded && !(text && columns == Columns::Ids) {
        bail!(
            "--layout padded is that of MIDI Gen AI's data sets: use it with --encoding text --columns ids"
        );
    }
    let context = args.context.unwrap_or(if text { 1024 } else { 512 });
    if context < 16 {
        bail!("--context is {context}; a row needs 16 ids at least");
    }
    if !(0.0..1.0).contains(&args.test) {
        bail!("--test is {}; it must be 0 or more and below 1", args.test);
    }
    if !(args.max_minutes > 0.0 && args.min_notes <= args.max_notes) {
        bail!("--max-minutes must be above 0, and --min-notes no more than --max-notes");
    }
    Ok(Making { encoding: args.encoding, layout: args.layout, columns, context })
}

fn open(inputs: &[PathBuf]) -> anyhow::Result<Vec<Source>> {
    let sources = inputs.iter().map(|path| Source::open(path)).collect::<anyhow::Result<Vec<_>>>()?;
    let mut names: Vec<_> = sources.iter().map(|source| &source.name).collect();
    names.sort();
    if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        bail!("two inputs are called `{}`, so their files could not be told apart; rename one", pair[0]);
    }
    Ok(sources)
}

/// A build under way.
struct Build<'a> {
    args: &'a BuildArgs,
    sources: Vec<Source>,
    manifest: Manifest,
    settings: Settings,
    under_way: PathBuf,
    files: usize,
}

impl<'a> Build<'a> {
    fn begin(
        args: &'a BuildArgs,
        making: Making,
        sources: Vec<Source>,
        manifest: Manifest,
    ) -> anyhow::Result<Self> {
        let settings = Settings {
            sources: sources.iter().map(|source| (source.name.clone(), source.len())).collect(),
            making,
            bounds: Bounds {
                min_notes: args.min_notes,
                max_notes: args.max_notes,
                max_minutes: args.max_minutes,
            },
            near: args.near,
            test: args.test,
            license: args.license.clone(),
            manifest: match &args.manifest {
                Some(file) => files::fnv1a(files::read(file)?),
                None => 0,
            },
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let under_way = args.out.join(UNDER_WAY);
        let file = under_way.join("settings.json");
        match fs::read(&file) {
            Ok(bytes) if serde_json::from_slice::<Settings>(&bytes).ok().as_ref() != Some(&settings) => {
                bail!(
                    "{} holds a build that was begun with other files or options; remove that folder, or name another --out",
                    args.out.display()
                )
            }
            Ok(_) => crate::tell!("going on with the build in {}", args.out.display()),
            Err(_) => {
                if stored::is_set(&args.out) {
                    bail!(
                        "{} is a data set that is built to its end; to build it anew, remove it, or name another --out",
                        args.out.display()
                    );
                }
                if fs::read_dir(&args.out).is_ok_and(|mut entries| entries.next().is_some()) {
                    bail!("{} is not empty; name a folder that does not exist yet", args.out.display());
                }
                files::write(&file, &serde_json::to_vec_pretty(&settings)?)?;
            }
        }
        let count = sources.iter().map(Source::len).sum();
        Ok(Self { args, sources, manifest, settings, under_way, files: count })
    }

    fn pieces(&self) -> usize {
        self.files.div_ceil(PIECE)
    }

    /// Of each piece, whether it is not there yet.
    fn missing(&self, name: impl Fn(usize) -> PathBuf) -> Vec<bool> {
        (0..self.pieces()).map(|piece| !name(piece).exists()).collect()
    }

    /// Where no file is left: that, with an example, and nothing stays of the build.
    fn all_left_out(&self, found: &[Found], plan: &Plan) -> Option<anyhow::Error> {
        let dropped = |fate: &Fate| match fate {
            Fate::Dropped(why) => Some(why.clone()),
            _ => None,
        };
        let reasons: Option<Vec<_>> = plan.fates.iter().map(dropped).collect();
        let reason = reasons?.into_iter().next()?;
        // What cannot be removed is passed over by the next build.
        let _ = fs::remove_dir_all(&self.under_way);
        let _ = fs::remove_dir(&self.args.out);
        let (Found::Music(Facts { name, .. }) | Found::Dropped(name, _)) = found.first()?;
        Some(anyhow!(
            "none of the {} files can be used, so no data set was made; {name} for one: {reason}",
            found.len()
        ))
    }

    /// Looks at all files; `None` where the user interrupted it.
    fn survey(&self) -> anyhow::Result<Option<Vec<Found>>> {
        let name = |piece: usize| self.under_way.join(format!("survey-{piece:05}.json"));
        let missing = self.missing(name);
        let progress = Progress::new("files looked at", self.files as u64);
        let there = missing.iter().filter(|missing| !**missing).count();
        (0..there * PIECE).for_each(|_| progress.advance());
        let look =
            |item: &Item| survey::look(item, &self.settings.bounds, &self.manifest, &self.args.license);
        let mut piece = Vec::new();
        let whole = input::work_on(&self.sources, &|index| missing[index / PIECE], look, |index, found| {
            piece.push(found);
            progress.advance();
            if (index + 1) % PIECE == 0 || index + 1 == self.files {
                files::write(&name(index / PIECE), &serde_json::to_vec(&piece)?)?;
                piece.clear();
            }
            Ok(())
        })?;
        progress.finish();
        if !whole {
            return Ok(None);
        }
        let mut found = Vec::new();
        for piece in 0..self.pieces() {
            let file = name(piece);
            let part: Vec<Found> = serde_json::from_slice(&files::read(&file)?)
                .with_context(|| format!("{} is damaged; remove it, and build again", file.display()))?;
            found.extend(part);
        }
        Ok(Some(found))
    }

    /// Writes all rows, and counts those of each piece; `None` where the user interrupted it.
    fn write(&self, found: &[Found], plan: &Plan) -> anyhow::Result<Option<Vec<Counts>>> {
        let name = |piece: usize| self.under_way.join(format!("counts-{piece:05}.json"));
        let missing = self.missing(name);
        let is_used = |index: usize| matches!(plan.fates[index], Fate::Train | Fate::Test);
        let used = (0..self.files).filter(|&index| is_used(index)).count();
        let progress = Progress::new("files written", used as u64);
        let mut writing = Writing::new(self, found, plan);
        for piece in (0..self.pieces()).filter(|&piece| !missing[piece]) {
            let there = (piece * PIECE..self.files.min((piece + 1) * PIECE)).filter(|&index| is_used(index));
            there.for_each(|_| progress.advance());
        }
        let rows = |item: &Item| self.settings.making.rows(item).map_err(|error| format!("{error:#}"));
        let wanted = |index: usize| missing[index / PIECE] && is_used(index);
        let whole = input::work_on(&self.sources, &wanted, rows, |index, rows| {
            progress.advance();
            while writing.piece < index / PIECE {
                writing.end(&missing, &name)?;
            }
            writing.take(index, rows)
        })?;
        progress.finish();
        if !whole {
            return Ok(None);
        }
        while writing.piece < self.pieces() {
            writing.end(&missing, &name)?;
        }
        let read =
            |piece| -> anyhow::Result<Counts> { Ok(serde_json::from_slice(&files::read(&name(piece))?)?) };
        (0..self.pieces()).map(read).collect::<anyhow::Result<_>>().map(Some)
    }

    fn table(&self, part: &str, piece: usize) -> PathBuf {
        self.under_way.join(format!("{part}-{piece:05}.parquet"))
    }

    /// Puts everything where it belongs; the data set is whole then.
    fn finish(&self, found: &[Found], plan: &Plan, pieces: Vec<Counts>) -> anyhow::Result<()> {
        let out = &self.args.out;
        let data = out.join("data");
        fs::create_dir_all(&data).with_context(|| format!("cannot write {}", data.display()))?;
        for part in PARTS {
            let tables: Vec<usize> =
                (0..pieces.len()).filter(|&piece| pieces[piece].rows_of(part) > 0).collect();
            for (n, &piece) in tables.iter().enumerate() {
                let (from, to) = (
                    self.table(part, piece),
                    data.join(format!("{part}-{n:05}-of-{:05}.parquet", tables.len())),
                );
                // One that is not there any more was moved before an interruption.
                if from.exists() {
                    fs::rename(&from, &to).with_context(|| format!("cannot write {}", to.display()))?;
                }
            }
        }
        let mut counts = Counts::default();
        pieces.into_iter().for_each(|piece| counts.add(piece));
        let name = |index: usize| match &found[index] {
            Found::Music(facts) => facts.name.clone(),
            Found::Dropped(name, _) => name.clone(),
        };
        let mut dropped = String::new();
        for (index, fate) in plan.fates.iter().enumerate() {
            if let Fate::Dropped(why) = fate {
                dropped += &format!("{}\n", serde_json::json!({ "file": name(index), "reason": why }));
            }
        }
        for (file, why) in &counts.refused {
            dropped += &format!("{}\n", serde_json::json!({ "file": file, "reason": why }));
        }
        files::write(&out.join("dropped.jsonl"), dropped.as_bytes())?;
        let mut similar = String::new();
        for &(a, b, share) in &plan.near {
            similar += &format!("{}\n", serde_json::json!({ "a": name(a), "b": name(b), "share": share }));
        }
        files::write(&out.join("similar.jsonl"), similar.as_bytes())?;
        let encoding = self.settings.making.encoding;
        let spelling = serde_json::json!({
            "encoding": encoding.as_str(),
            "version": encoding.version(),
            // What models of it need to know, wherever they are trained.
            "vocab_size": encoding.encoding().vocab_size(),
        });
        files::write(&out.join(SPELLING_FILE), format!("{spelling:#}\n").as_bytes())?;
        card::write(out, &self.settings.making, plan, &counts)?;
        fs::remove_dir_all(&self.under_way)
            .with_context(|| format!("cannot remove {}", self.under_way.display()))?;
        crate::print(&card::summary(out, plan, &counts));
        Ok(())
    }
}

/// The piece that is being written.
struct Writing<'a> {
    build: &'a Build<'a>,
    found: &'a [Found],
    plan: &'a Plan,
    piece: usize,
    tables: BTreeMap<&'static str, Table>,
    counts: Counts,
}

impl<'a> Writing<'a> {
    fn new(build: &'a Build<'a>, found: &'a [Found], plan: &'a Plan) -> Self {
        Self { build, found, plan, piece: 0, tables: BTreeMap::new(), counts: Counts::default() }
    }

    /// Takes the rows of a file.
    fn take(&mut self, index: usize, rows: Result<Vec<Row>, String>) -> anyhow::Result<()> {
        let Found::Music(facts) = &self.found[index] else { return Ok(()) };
        let part = if self.plan.fates[index] == Fate::Test { "test" } else { "train" };
        let rows = match rows {
            Ok(rows) => rows,
            Err(why) => {
                self.counts.refuse(facts, why);
                return Ok(());
            }
        };
        self.counts.count(part, facts, &rows);
        let shared = |text: &str| -> Arc<str> { text.into() };
        let (file, source, license) = (shared(&facts.name), shared(&facts.source), shared(&facts.license));
        for row in rows {
            let table = match self.tables.entry(part) {
                std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
                std::collections::btree_map::Entry::Vacant(entry) => {
                    let path = self.build.table(part, self.piece).with_extension("partial");
                    entry.insert(Table::create(&path, shape(&self.build.settings.making))?)
                }
            };
            table.push(Entry {
                row,
                file: Arc::clone(&file),
                source: Arc::clone(&source),
                license: Arc::clone(&license),
            })?;
        }
        Ok(())
    }

    /// Ends the piece: its tables first, and last what says that it is whole.
    fn end(&mut self, missing: &[bool], name: &dyn Fn(usize) -> PathBuf) -> anyhow::Result<()> {
        for (part, table) in std::mem::take(&mut self.tables) {
            let to = self.build.table(part, self.piece);
            let partial = to.with_extension("partial");
            let failed =
                || format!("cannot write {}; make room there, and call it again to go on", to.display());
            table.finish().with_context(failed)?;
            fs::rename(&partial, &to).with_context(failed)?;
        }
        let counts = std::mem::take(&mut self.counts);
        if missing[self.piece] {
            files::write(&name(self.piece), &serde_json::to_vec(&counts)?)?;
        }
        self.piece += 1;
        Ok(())
    }
}

fn shape(making: &Making) -> Shape {
    Shape {
        text: making.columns != Columns::Ids,
        ids: making.columns != Columns::Text,
        mask: making.layout == Layout::Padded,
    }
}
