//! `continuo bench decode`: how fast this machine reads and answers.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::bail;
use clap::{Args, ValueEnum};
use continuo_codec::{EncodingError, Event, IdSet, Stream};
use continuo_engine::{DeviceChoice, source};
use continuo_model::cpu::{Cpu, Precision};
use continuo_model::{Decoder, Gpu, GpuKind, Guide, Network as _, Prompt, Sampling, generate};
use serde_json::json;

use crate::Outcome;
use crate::device::{DeviceArgs, DeviceName};
use crate::encodings::EncodingName;

pub(super) const ABOUT: &str = "Measure how fast a model reads a prompt and goes on from it.\n\n\
    What is read is no music, and what comes is thrown away: only the time counts, the best of three. With --encoding \
    each id is one that the encoding allows, and only these are considered, as in `continuo generate`. Music takes 3 ids a \
    note in most encodings, 13 in text; a note every eighth at 120 beats a minute are 4 notes a second.";

pub(super) const EXAMPLES: &str = "EXAMPLES:\n  \
    continuo bench decode --model model/\n  \
    continuo bench decode --model gpt2/ --encoding text --takes 4 --json";

/// What `continuo bench decode` can be told.
#[derive(Debug, Args)]
pub struct DecodeArgs {
    /// A model: a folder (config.json, model.safetensors) or a GGUF file
    #[arg(long, value_name = "DIR|FILE")]
    pub model: PathBuf,
    /// What the model runs on.
    #[command(flatten)]
    pub device: DeviceArgs,
    /// How the processor keeps weights [default: int8]; a graphics card keeps them as f16
    #[arg(long, value_enum)]
    pub precision: Option<PrecisionName>,
    /// How many answers at once, 1 to 8
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=8))]
    pub takes: u8,
    /// How many ids are read first, 2 or more [default: 512, or what the model's window leaves]
    #[arg(long, value_parser = clap::value_parser!(u32).range(2..))]
    pub prompt: Option<u32>,
    /// How many ids each answer has, 2 or more
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u32).range(2..))]
    pub tokens: u32,
    /// How many threads of the processor, 1 to 64; 2 where there are as many cores
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub threads: Option<u16>,
    /// Choose as this encoding allows
    #[arg(long, value_enum)]
    pub encoding: Option<EncodingName>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// How weights are kept, as it is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PrecisionName {
    /// A byte each: the fastest
    Int8,
    /// Two bytes each: a thousandth off at most
    F16,
    /// As they are, four bytes each
    F32,
}

impl From<PrecisionName> for Precision {
    fn from(name: PrecisionName) -> Self {
        match name {
            PrecisionName::Int8 => Self::Int8,
            PrecisionName::F16 => Self::F16,
            PrecisionName::F32 => Self::F32,
        }
    }
}

/// Runs `continuo bench decode`.
///
/// # Errors
/// One sentence that names the file or option and the remedy.
pub fn run(args: &DecodeArgs) -> anyhow::Result<Outcome> {
    let begin = Instant::now();
    let path = source::find(&args.model)?;
    let model = open(args, &path)?;
    let loading = begin.elapsed();
    let prompt = prompt(args, &model)?;
    // Once for nothing: memory is touched, and the processor awake.
    measure(args, &model, &prompt, 8.min(args.tokens))?;
    let mut times = measure(args, &model, &prompt, args.tokens)?;
    for _ in 1..ROUNDS {
        times = times.fastest(measure(args, &model, &prompt, args.tokens)?);
    }
    tell(args, &model, loading, prompt.len(), &times);
    Ok(Outcome::Done)
}

/// The model where it is wanted.
fn open(args: &DecodeArgs, path: &Path) -> anyhow::Result<Decoder> {
    let mut choice = DeviceChoice::from(args.device.device);
    if args.precision.is_some() || args.threads.is_some() {
        match args.device.device {
            DeviceName::Auto | DeviceName::Cpu => choice = DeviceChoice::Cpu,
            DeviceName::Cuda | DeviceName::Metal => bail!(
                "--precision and --threads are about the processor; leave them out, or use --device cpu"
            ),
        }
    }
    let (model, refused) = choice.open(GpuKind::is_built, |gpu| match gpu {
        None => Ok(Decoder::Cpu(on_processor(args, path)?)),
        Some(kind) => Decoder::open(path, Some(Gpu::open(kind)?)).map_err(anyhow::Error::from),
    })?;
    if let Some(reason) = refused {
        crate::tell!("note: the model runs on the processor: {reason}");
    }
    Ok(model)
}

fn on_processor(args: &DecodeArgs, path: &Path) -> anyhow::Result<Cpu> {
    let model = Cpu::open(path, args.precision.map_or_else(Precision::default, Precision::from))?;
    Ok(match args.threads {
        Some(threads) => model.with_threads(threads.into()),
        None => model,
    })
}

/// Ids that stand for nothing, as many as are asked for and can be.
fn prompt(args: &DecodeArgs, model: &Decoder) -> anyhow::Result<Vec<u32>> {
    let window = u32::try_from(model.config().n_positions).unwrap_or(u32::MAX);
    let left = window.saturating_sub(args.tokens);
    let length = args.prompt.unwrap_or(left.min(512));
    if length > left || length < 2 {
        bail!(
            "a prompt of {length} and --tokens {} do not fit the model's window of {window}; ask for less",
            args.tokens
        );
    }
    if let Some(name) = args.encoding {
        let (knows, has) = (model.config().vocab_size, name.encoding().vocab_size());
        if knows < has {
            bail!(
                "the model knows {knows} ids, but --encoding {} has {has} ids; name another",
                name.as_str()
            );
        }
    }
    Ok((0..length).map(|n| n * 7 % 300 % vocabulary(model)).collect())
}

/// How often everything is done; the fastest counts, as others may want the machine
/// in between.
const ROUNDS: usize = 3;

struct Times {
    prefill: Duration,
    /// From the last of the prompt to the first id of each answer.
    first: Duration,
    /// All other ids.
    rest: Duration,
    /// The first note of any answer, since the prompt was read.
    note: Option<Duration>,
}

impl Times {
    fn fastest(self, other: Self) -> Self {
        Self {
            prefill: self.prefill.min(other.prefill),
            first: self.first.min(other.first),
            rest: self.rest.min(other.rest),
            note: self.note.into_iter().chain(other.note).min(),
        }
    }
}

fn measure(args: &DecodeArgs, model: &Decoder, prompt: &[u32], tokens: u32) -> anyhow::Result<Times> {
    // The likeliest where all are allowed, as others measure; else as they come, or a
    // model that never learned would say the same for ever.
    let temperature = if args.encoding.is_some() { 1.0 } else { 0.0 };
    let sampling = Sampling { temperature, ..Sampling::default() };
    let mut guides: Vec<Watch> = (0..args.takes).map(|_| Watch::new(args, model, tokens)).collect();
    let begin = Instant::now();
    generate(model, &mut Prompt::new(model), prompt, &mut guides, &sampling, &|| false)?;
    if let Some(error) = guides.iter_mut().find_map(|watch| watch.refused.take()) {
        return Err(error.into());
    }
    let read = guides.iter().filter_map(|watch| watch.asked).min().unwrap_or(begin);
    let first = guides.iter().filter_map(|watch| watch.first).max().unwrap_or(read);
    let last = guides.iter().filter_map(|watch| watch.last).max().unwrap_or(first);
    let note = guides.iter().filter_map(|watch| watch.note).min();
    Ok(Times {
        prefill: read - begin,
        first: first - read,
        rest: last - first,
        note: note.map(|note| note - read),
    })
}

fn vocabulary(model: &Decoder) -> u32 {
    u32::try_from(model.config().vocab_size).unwrap_or(u32::MAX)
}

/// Lets a take go on for so many ids, and looks at the clock.
struct Watch {
    vocabulary: u32,
    encoding: Option<EncodingName>,
    stream: Option<Box<dyn Stream>>,
    set: IdSet,
    left: u32,
    /// When the prompt was read, and ids were first asked for.
    asked: Option<Instant>,
    first: Option<Instant>,
    last: Option<Instant>,
    note: Option<Instant>,
    /// Why the encoding did not take an id that it allowed.
    refused: Option<EncodingError>,
}

impl Watch {
    fn new(args: &DecodeArgs, model: &Decoder, tokens: u32) -> Self {
        Self {
            vocabulary: vocabulary(model),
            encoding: args.encoding,
            stream: args.encoding.map(|name| name.encoding().stream()),
            set: IdSet::default(),
            left: tokens,
            asked: None,
            first: None,
            last: None,
            note: None,
            refused: None,
        }
    }
}

impl Guide for Watch {
    fn allowed(&mut self, ids: &mut Vec<Range<u32>>) {
        self.asked.get_or_insert_with(Instant::now);
        ids.clear();
        if self.left == 0 || self.refused.is_some() {
            return;
        }
        match &self.stream {
            Some(stream) => {
                stream.allowed(&mut self.set);
                ids.extend_from_slice(self.set.ranges());
            }
            None => ids.push(0..self.vocabulary),
        }
    }

    fn accept(&mut self, id: u32) {
        self.left -= 1;
        let mut events = Vec::new();
        if let (Some(stream), Some(name)) = (&mut self.stream, self.encoding) {
            self.refused = stream.push(id, &mut events).err();
            if stream.finished() {
                *stream = name.encoding().stream();
            }
        }
        let now = Instant::now();
        self.first.get_or_insert(now);
        self.last = Some(now);
        if events.iter().any(|event| matches!(event, Event::Note(_))) {
            self.note.get_or_insert(now);
        }
    }

    fn shorten(&mut self, history: &[u32], max: usize) -> Vec<u32> {
        self.shortened(history, max)
    }

    fn shortened(&self, history: &[u32], max: usize) -> Vec<u32> {
        // Nobody hears what is left out.
        history[history.len().saturating_sub(max)..].to_vec()
    }
}

fn tell(args: &DecodeArgs, model: &Decoder, loading: Duration, prompt: usize, times: &Times) {
    let millis = |time: Duration| 1000.0 * time.as_secs_f64();
    let prefill = (prompt - 1) as f64 / times.prefill.as_secs_f64();
    let decoded = f64::from(args.tokens - 1) * f64::from(args.takes);
    let decode = decoded / times.rest.as_secs_f64();
    let peak = super::peak_memory();
    if args.json {
        let figures = json!({
            "device": model.device(),
            "prefill_tokens_per_second": prefill,
            "decode_tokens_per_second": decode,
            "first_token_ms": millis(times.first),
            "first_note_ms": times.note.map(millis),
            "peak_memory_bytes": peak,
            "load_ms": millis(loading),
        });
        crate::print(&format!("{figures}\n"));
        return;
    }
    let mut said = format!(
        "on                {}\n\
         loading           {:8.1} ms\n\
         reading a prompt  {prefill:8.1} ids a second\n\
         answering         {decode:8.1} ids a second, all {} together\n\
         first id          {:8.1} ms after the prompt\n",
        model.device(),
        millis(loading),
        args.takes,
        millis(times.first),
    );
    if let Some(note) = times.note {
        said += &format!("first note        {:8.1} ms after the prompt\n", millis(note));
    }
    if let Some(peak) = peak {
        said += &format!("memory            {:8.1} MB at most\n", peak as f64 / 1e6);
    }
    crate::print(&said);
}
