//! `continuo generate`: a phrase in, takes out.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use continuo_codec::midi::{self, Track};
use continuo_codec::{Instrument, Note, Score};
use continuo_engine::worker::Source;
use continuo_engine::{BeatNote, Engine, Request, Sampling, TakeEvent, Window};
use serde_json::json;

use crate::Outcome;
use crate::bars;
use crate::device::DeviceArgs;
use crate::files;
use crate::interrupt;
use crate::limits::LimitArgs;
use crate::progress::Progress;

/// The most bars one answer may have.
const MOST_BARS: u32 = 256;

/// What `--help` tells first.
pub(crate) const ABOUT: &str = "Let a model answer a phrase.\n\n\
    The answer begins at the next bar line after the phrase's last note ends (a note held into the bar by less \
    than an eighth of a beat does not count) and keeps the phrase's tempo and meter. The file written has the \
    phrase on a track named Phrase and each answer on a track of its own, named Take 1, Take 2 and so on, all at \
    the same place: solo one to hear it alone.\n\n\
    The same phrase, model, seed and options give the same file, byte for byte.";

/// What `continuo generate` can be told.
#[derive(Debug, Args)]
#[command(after_help = "EXAMPLES:\n  \
        continuo generate phrase.mid -o answer.mid\n  \
        continuo generate phrase.mid -o answer.mid --takes 4 --bars 8 --temperature 1.1 --seed 7\n  \
        continuo generate drums.mid -o more.mid --start beat --answer-only\n  \
        continuo generate phrase.mid -o answer.mid --key \"D dorian\" --range C3-C5 --polyphony 1 --grid 4\n  \
        continuo generate phrase.mid -o duet.mid --over --keep-rhythm\n  \
        continuo generate phrase.mid -o answer.mid --model my-model/")]
pub struct GenerateArgs {
    /// The phrase, a MIDI file
    #[arg(value_name = "PROMPT.mid")]
    pub prompt: PathBuf,
    /// The MIDI file to write
    #[arg(short, long, value_name = "OUT.mid")]
    pub output: PathBuf,
    /// How many answers, 1 to 8
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=8))]
    pub takes: u8,
    /// How long an answer is, in bars, 1 to 256
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_BARS)))]
    pub bars: u32,
    /// Go on for more bars, up to 256, until each answer has so many notes
    #[arg(long, value_name = "NOTES", default_value_t = 0)]
    pub min_notes: usize,
    /// End each answer after so many notes, if its bars are not over before
    #[arg(long, value_name = "NOTES", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_notes: Option<u32>,
    /// Take everything in the phrase for drums, whatever its channel
    #[arg(long)]
    pub drums: bool,
    /// Where it begins: the next bar line or the next beat after the phrase
    #[arg(long, value_enum, default_value_t = Start::Bar)]
    pub start: Start,
    /// Boldness: 0 always takes the likeliest, 1 is as bold as the music trained on [default: 0.95]
    #[arg(long, allow_negative_numbers = true)]
    pub temperature: Option<f32>,
    /// Choose among so many likeliest only; 0 chooses among all [default: 0]
    #[arg(long, allow_negative_numbers = true, value_parser = whole::<usize>)]
    pub top_k: Option<usize>,
    /// Choose among the likeliest that together reach this probability; 1 chooses among all [default: 0.97]
    #[arg(long, allow_negative_numbers = true)]
    pub top_p: Option<f32>,
    /// Leave out what is less likely than this share of the likeliest; 0 leaves out nothing [default: 0]
    #[arg(long, allow_negative_numbers = true)]
    pub min_p: Option<f32>,
    /// Never say the same so many ids twice, the phrase's included (a note has about 3, 13 in text); 0 lets it
    /// [default: 0]
    #[arg(long, allow_negative_numbers = true, value_name = "IDS", value_parser = whole::<usize>)]
    pub no_repeat: Option<usize>,
    /// Another number, another answer (the plugin knows those to 9999)
    #[arg(long, default_value_t = 1, allow_negative_numbers = true, value_parser = whole::<u64>)]
    pub seed: u64,
    /// A model in place of the built-in one: a folder or a GGUF file
    #[arg(long, value_name = "DIR|FILE")]
    pub model: Option<PathBuf>,
    /// What the model runs on.
    #[command(flatten)]
    pub device: DeviceArgs,
    /// Leave the phrase out of the file
    #[arg(long)]
    pub answer_only: bool,
    /// Print one JSON object about the answer
    #[arg(long)]
    pub json: bool,
    /// What the notes are held to.
    #[command(flatten)]
    pub limits: LimitArgs,
}

fn whole<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| "give a whole number, 0 or more".to_owned())
}

/// Where an answer begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Start {
    /// At the next bar line
    Bar,
    /// At the next beat
    Beat,
}

/// Runs `continuo generate`.
///
/// # Errors
/// One sentence that names the file or option and the remedy.
pub fn run(args: &GenerateArgs) -> anyhow::Result<Outcome> {
    let phrase = read_phrase(args)?;
    let sampling = sampling(args)?;
    let most = args.max_notes.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX));
    if args.min_notes > most {
        bail!("--min-notes is {}, which is more than --max-notes", args.min_notes);
    }
    // What cannot be asked for is told before a model is loaded.
    let mut bars = args.bars;
    let mut request = request(phrase, sampling, args, bars)?;
    let begun = Instant::now();
    let engine = open(args)?;
    let loading = begun.elapsed();
    let begun = Instant::now();
    let (takes, first) = loop {
        let Some((takes, first)) = answer(&engine, &request, most)? else {
            crate::tell!("interrupted; nothing was written");
            return Ok(Outcome::Interrupted);
        };
        if bars == MOST_BARS || takes.iter().all(|take| take.len() >= args.min_notes) {
            break (takes, first);
        }
        bars = (2 * bars).min(MOST_BARS);
        request = self::request(request.phrase, sampling, args, bars)?;
    };
    let times = Times { loading, first, answering: begun.elapsed() };
    files::write(&args.output, &write(&request.phrase, &takes, args))?;
    tell(args, &engine, &request, &takes, bars, &times);
    Ok(Outcome::Done)
}

/// What the engine is asked for.
fn request(phrase: Score, sampling: Sampling, args: &GenerateArgs, bars: u32) -> anyhow::Result<Request> {
    let window = window(&phrase, args, bars)?;
    let limits = args.limits.limits(&phrase, window)?;
    Ok(Request { phrase, window, takes: usize::from(args.takes), sampling, limits, pace: None })
}

/// How long what took.
struct Times {
    /// Until the model was there.
    loading: Duration,
    /// From then until the first note was known; none without notes.
    first: Option<Duration>,
    /// Until the last was.
    answering: Duration,
}

fn open(args: &GenerateArgs) -> anyhow::Result<Engine> {
    let source = args.model.clone().map_or(Source::Embedded, Source::Folder);
    let engine = Engine::load(&source, args.device.device.into())?;
    if let Some(reason) = engine.fallback() {
        crate::tell!("note: the model runs on the processor: {reason}");
    }
    Ok(engine)
}

fn read_phrase(args: &GenerateArgs) -> anyhow::Result<Score> {
    let prompt = &args.prompt;
    if args.output.is_dir() {
        bail!("{} is a folder; -o names the MIDI file to write", args.output.display());
    }
    if files::same(prompt, &args.output) {
        bail!("-o is the phrase itself; name another file, or it would be overwritten");
    }
    let mut phrase = midi::read(&files::read(prompt)?)
        .with_context(|| format!("{} cannot be read as a MIDI file", prompt.display()))?;
    if phrase.notes.is_empty() {
        crate::tell!("note: {} has no notes; the answer begins from nothing", prompt.display());
    }
    if args.drums {
        phrase.notes.iter_mut().for_each(|note| note.instrument = Instrument::DRUMS);
        phrase.normalize();
    }
    Ok(bars::on_grid(phrase))
}

fn sampling(args: &GenerateArgs) -> anyhow::Result<Sampling> {
    let usual = Sampling::default();
    let sampling = Sampling {
        temperature: args.temperature.unwrap_or(usual.temperature),
        top_k: args.top_k.unwrap_or(usual.top_k),
        top_p: args.top_p.unwrap_or(usual.top_p),
        min_p: args.min_p.unwrap_or(usual.min_p),
        no_repeat: args.no_repeat.unwrap_or(usual.no_repeat),
        seed: args.seed,
    };
    if !(0.0..=10.0).contains(&sampling.temperature) {
        bail!("--temperature is {}; it must be 0 to 10, and 0.8 to 1.2 is usual", sampling.temperature);
    }
    if !(sampling.top_p > 0.0 && sampling.top_p <= 1.0) {
        bail!("--top-p is {}; it must lie above 0 and not above 1", sampling.top_p);
    }
    if !(0.0..=1.0).contains(&sampling.min_p) {
        bail!("--min-p is {}; it must be 0 to 1, and 0.02 to 0.1 is usual", sampling.min_p);
    }
    Ok(sampling)
}

/// Where the answer lies.
fn window(phrase: &Score, args: &GenerateArgs, bars: u32) -> anyhow::Result<Window> {
    let end = bars::end(phrase);
    let from = match args.start {
        _ if args.limits.over => bars::line_at_or_before(phrase, bars::begin(phrase)),
        Start::Bar => bars::line_at_or_after(phrase, end),
        Start::Beat => bars::beat_at_or_after(phrase, end),
    };
    let mut until = from;
    for _ in 0..bars {
        until += bars::length_at(phrase, until);
    }
    let last = u64::from(u32::MAX / 2);
    if until > last {
        bail!(
            "{} is too long: its last note ends beyond what a MIDI file can go on from; cut the phrase out of it",
            args.prompt.display()
        );
    }
    let beats = |tick: u64| u32::try_from(tick).map_or(0.0, |tick| phrase.beats(tick));
    Ok(Window { from: beats(from), until: beats(until) })
}

/// Takes, and after how long the first note was known.
type Answer = (Vec<Vec<BeatNote>>, Option<Duration>);

/// Generates at most so many notes a take; `None` where the user interrupted it.
fn answer(engine: &Engine, request: &Request, most: usize) -> anyhow::Result<Option<Answer>> {
    let (begun, mut first) = (Instant::now(), None);
    let full = AtomicUsize::new(0);
    let cancelled = || interrupt::requested() || full.load(Ordering::Relaxed) == request.takes;
    let mut takes = vec![Vec::new(); request.takes];
    let mut reached = vec![request.window.from; request.takes];
    let length = request.window.until - request.window.from;
    let progress = Progress::percent("% generated");
    let result = engine.generate(request, &cancelled, &mut |event| {
        match event {
            TakeEvent::Note { take, note } => {
                first.get_or_insert_with(|| begun.elapsed());
                if takes[take].len() < most {
                    takes[take].push(note);
                    full.fetch_add(usize::from(takes[take].len() == most), Ordering::Relaxed);
                }
                reached[take] = reached[take].max(note.start);
            }
            TakeEvent::Reached { take, beat } => reached[take] = reached[take].max(beat),
            TakeEvent::Done { take } => reached[take] = request.window.until,
        }
        let done: f64 = reached.iter().map(|beat| ((beat - request.window.from) / length).min(1.0)).sum();
        progress.set(percent(done, request.takes), "");
    });
    progress.finish();
    result?;
    Ok((!interrupt::requested()).then_some((takes, first)))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 100")]
#[expect(clippy::cast_precision_loss, reason = "a handful of takes")]
fn percent(done: f64, takes: usize) -> u64 {
    (done / takes as f64 * 100.0) as u64
}

/// The file: phrase and takes, a track each.
fn write(phrase: &Score, takes: &[Vec<BeatNote>], args: &GenerateArgs) -> Vec<u8> {
    let phrase_track = Track { name: "Phrase".to_owned(), notes: phrase.notes.clone() };
    let takes = takes.iter().map(|notes| notes.iter().map(|note| in_ticks(phrase, note)).collect());
    let tracks: Vec<Track> =
        (!args.answer_only).then_some(phrase_track).into_iter().chain(take_tracks(takes)).collect();
    midi::write_tracks(phrase, &tracks)
}

/// A track a take.
pub(crate) fn take_tracks(takes: impl Iterator<Item = Vec<Note>>) -> impl Iterator<Item = Track> {
    (1..).zip(takes).map(|(number, notes)| Track { name: format!("Take {number}"), notes })
}

/// A note of an answer in the ticks of the phrase.
pub(crate) fn in_ticks(phrase: &Score, note: &BeatNote) -> Note {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "saturates, and is never negative"
    )]
    let ticks = |beats: f64| (beats * f64::from(phrase.ticks_per_beat)).round() as u32;
    let start = ticks(note.start);
    Note {
        start,
        instrument: note.instrument,
        pitch: note.pitch,
        duration: ticks(note.start + note.duration).saturating_sub(start).max(1),
        velocity: note.velocity,
    }
}

fn tell(
    args: &GenerateArgs,
    engine: &Engine,
    request: &Request,
    takes: &[Vec<BeatNote>],
    bars: u32,
    times: &Times,
) {
    let milliseconds = |time: Duration| (time.as_secs_f64() * 1e6).round() / 1e3;
    let counts: Vec<usize> = takes.iter().map(Vec::len).collect();
    if args.json {
        let Sampling { temperature, top_k, top_p, min_p, no_repeat, seed } = request.sampling;
        let about = json!({
            "output": args.output, "model": engine.name(), "device": engine.device(), "seed": seed,
            "temperature": crate::shortest(temperature), "top_k": top_k, "top_p": crate::shortest(top_p),
            "min_p": crate::shortest(min_p), "no_repeat": no_repeat,
            "from_beat": request.window.from, "until_beat": request.window.until,
            "phrase_notes": request.phrase.notes.len(), "take_notes": counts,
            "loading_ms": milliseconds(times.loading), "first_note_ms": times.first.map(milliseconds),
            "answering_ms": milliseconds(times.answering),
        });
        crate::print(&format!("{about}\n"));
        return;
    }
    let counts: Vec<String> = counts.iter().map(usize::to_string).collect();
    crate::tell!(
        "{}: {} {} from beat {} on, {} notes (seed {}, {}, {})",
        args.output.display(),
        bars,
        if bars == 1 { "bar" } else { "bars" },
        request.window.from,
        counts.join(" + "),
        args.seed,
        engine.name(),
        engine.device()
    );
}
