//! From what was typed to what a run needs: defaults with their reasons, and what
//! a resumed run may and may not change.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::ValueEnum;
use continuo_engine::{DeviceChoice, source};
use continuo_model::ModelFiles;
use continuo_model::train::Precision;
use serde::{Deserialize, Serialize};

use crate::encodings::EncodingName;
use crate::eval;
use crate::train::TrainArgs;
use crate::train::stored::{self, Data};

/// Layers, heads and width by a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Size {
    /// 2 layers, 2 heads, 64 wide: to try things out
    Nano,
    /// 4 layers, 4 heads, 128 wide
    Tiny,
    /// 6 layers, 8 heads, 256 wide: about 5 million weights, plays on any machine
    Small,
    /// 8 layers, 8 heads, 512 wide: about 26 million weights
    Medium,
    /// 12 layers, 12 heads, 768 wide: GPT-2 small (`gpt2` means this too), for patience, or many
    /// machines by the recipe
    #[value(alias = "gpt2")]
    Large,
}

impl Size {
    const fn shape(self) -> Shape {
        let (layers, heads, width) = match self {
            Self::Nano => (2, 2, 64),
            Self::Tiny => (4, 4, 128),
            Self::Small => (6, 8, 256),
            Self::Medium => (8, 8, 512),
            Self::Large => (12, 12, 768),
        };
        Shape { layers, heads, width }
    }
}

/// A model's shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// Blocks.
    pub layers: usize,
    /// Attention heads a block.
    pub heads: usize,
    /// Width of the residual stream.
    pub width: usize,
}

/// The encoding that is asked for, that of the data sets, and that of the base model: one,
/// and `beat` where nobody says anything.
fn agreed([asked, data, base]: [Option<EncodingName>; 3]) -> anyhow::Result<EncodingName> {
    let told = [(asked, "--encoding asks for"), (data, "--data is in"), (base, "--base is in")];
    let mut told = told.into_iter().filter_map(|(encoding, who)| Some((encoding?, who)));
    let Some((first, who)) = told.next() else { return Ok(EncodingName::Beat) };
    if let Some((other, another)) = told.find(|(encoding, _)| *encoding != first) {
        let of_base = another.starts_with("--base");
        let way = if of_base { ", or give --fresh-vocabulary to learn the ids anew" } else { "" };
        bail!(
            "{who} the encoding {}, but {another} {}; they must be one{way}",
            first.as_str(),
            other.as_str()
        );
    }
    Ok(first)
}

/// What a base model decides.
struct Base {
    /// None if its ids are not gone on from.
    encoding: Option<EncodingName>,
    shape: Shape,
    positions: usize,
}

impl Base {
    fn open(folder: &Path, fresh: bool) -> anyhow::Result<Self> {
        let (encoding, config) = if fresh {
            (None, ModelFiles::open(folder)?.config().clone())
        } else {
            let eval::Opened { encoding, config, .. } = eval::open(folder)?;
            (Some(encoding), config)
        };
        Ok(Self {
            encoding,
            shape: Shape { layers: config.n_layer, heads: config.n_head, width: config.n_embd },
            positions: config.n_positions,
        })
    }
}

fn pushed(args: &TrainArgs) -> Option<(String, bool)> {
    args.push_to_hub.as_ref().map(|name| (name.to_string(), args.private))
}

/// When training ends.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Budget {
    /// After so many steps.
    Steps(u64),
    /// After so many times through the music.
    Epochs(f64),
    /// After so many minutes of training.
    Minutes(f64),
}

/// How the learning rate goes on once it is at its highest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// Falls along half a cosine, to a tenth
    #[default]
    Cosine,
    /// Stays
    Constant,
}

/// Runs of before could not be told these.
const fn one() -> usize {
    1
}

/// As many checkpoints are kept unless something else is said: the last, and one more
/// should it be damaged.
const fn two() -> usize {
    2
}

/// Steps until the learning rate is at its highest.
const WARMUP: u64 = 100;

/// Runs of before knew the processor alone.
const fn cpu() -> DeviceChoice {
    DeviceChoice::Cpu
}

/// All a run needs to know; stored with it, so that it can be resumed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// The folders the music is in.
    pub folders: Vec<PathBuf>,
    /// The data sets it is in instead.
    #[serde(default)]
    pub data: Vec<Data>,
    /// Licence and source of each file.
    pub manifest: Option<PathBuf>,
    /// How music is spelled.
    pub encoding: EncodingName,
    /// The model's shape; the base model's where there is one.
    pub shape: Shape,
    /// A model folder to go on from.
    pub base: Option<PathBuf>,
    /// Whether the base model's ids are not gone on from.
    #[serde(default)]
    pub fresh_vocabulary: bool,
    /// Positions a row.
    pub context: usize,
    /// Rows at a time.
    pub batch: usize,
    /// How many times so many rows make a step.
    #[serde(default = "one")]
    pub accumulate: usize,
    /// Whether blocks are computed again rather than kept.
    #[serde(default)]
    pub gradient_checkpointing: bool,
    /// The rank of what is learned in place of the base model's weights.
    #[serde(default)]
    pub lora: Option<usize>,
    /// What it learns on.
    #[serde(default = "cpu")]
    pub device: DeviceChoice,
    /// The numbers of matrix products there.
    #[serde(default)]
    pub precision: Precision,
    /// When training ends.
    pub budget: Budget,
    /// The highest learning rate.
    pub learning_rate: f32,
    /// How it goes on.
    #[serde(default)]
    pub schedule: Schedule,
    /// Steps until it is reached.
    pub warmup: u64,
    /// The share of activations dropped.
    pub dropout: f32,
    /// AdamW's decay of the matrices.
    pub weight_decay: f32,
    /// Where all randomness comes from.
    pub seed: u64,
    /// Steps between measurements on held-out music.
    pub eval_every: u64,
    /// Steps between checkpoints.
    pub checkpoint_every: u64,
    /// How many checkpoints are kept.
    #[serde(default = "two")]
    pub keep: usize,
    /// Where better models are pushed to, and whether nobody else shall see them there.
    #[serde(default)]
    pub hub: Option<(String, bool)>,
    /// How many answers are written at each measurement.
    #[serde(default = "one")]
    pub samples: usize,
    /// The share of works held out.
    pub held_out: f64,
    /// Semitones music is transposed by at most.
    pub transpose: u8,
}

impl Settings {
    /// Settings for a new run.
    ///
    /// # Errors
    /// Names the option that is out of range, and the range.
    pub fn new(args: &TrainArgs) -> anyhow::Result<Self> {
        if args.folders.is_empty() && args.data.is_empty() {
            bail!(
                "name at least one folder of MIDI files or a data set, for example: continuo train music/ --out model/"
            );
        }
        let data = args.data.iter().map(Data::found).collect::<anyhow::Result<Vec<_>>>()?;
        let told = stored::encoding(&data)?;
        let tuning = args.base.is_some();
        if !tuning && (args.lora.is_some() || args.fresh_vocabulary) {
            bail!(
                "--lora and --fresh-vocabulary go on from a model, but none is named; name it with --base (which has its \
                 own size), or leave them out"
            );
        }
        let base_path = args.base.as_deref().map(source::find).transpose()?;
        let fresh = args.fresh_vocabulary;
        let base = base_path.as_deref().map(|path| Base::open(path, fresh)).transpose()?;
        let named = base.as_ref().map_or_else(|| args.size.unwrap_or(Size::Small).shape(), |b| b.shape);
        let settings = Self {
            folders: args.folders.clone(),
            data,
            manifest: args.manifest.clone(),
            encoding: agreed([args.encoding, told, base.as_ref().and_then(|base| base.encoding)])?,
            shape: Shape {
                layers: args.layers.unwrap_or(named.layers),
                heads: args.heads.unwrap_or(named.heads),
                width: args.width.unwrap_or(named.width),
            },
            base: base_path,
            fresh_vocabulary: fresh,
            // About 8 bars of a song: a phrase, its answer, and what led to it.
            context: args.context.unwrap_or(base.as_ref().map_or(512, |b| b.positions.min(512))),
            // 4,096 ids a step: small enough for many steps in an hour on a CPU. Fine-tuning
            // goes as MIDI Gen AI's did: 5 epochs, 4 times 8 rows a step, 5e-5, no warm-up.
            batch: args.batch.unwrap_or(if tuning { 4 } else { 8 }),
            accumulate: args.accumulate.unwrap_or(if tuning { 8 } else { 1 }),
            gradient_checkpointing: args.gradient_checkpointing,
            lora: args.lora,
            device: args.learning.device(DeviceChoice::Auto),
            precision: args.learning.precision(Precision::F32),
            budget: args.budget(),
            // Small models like high rates; a trained one forgets at them. Fresh embeddings have to
            // get somewhere first.
            learning_rate: args.lr.unwrap_or(match (tuning, fresh || args.lora.is_some()) {
                (false, _) => 1e-3,
                (true, true) => 5e-4,
                (true, false) => 5e-5,
            }),
            schedule: args.schedule.unwrap_or_default(),
            // Adam's moments need some hundred steps before they can be trusted.
            // A short run has no time for so many.
            warmup: args.warmup.unwrap_or(match args.steps {
                _ if tuning && !fresh => 0,
                Some(steps) => WARMUP.min(steps / 10),
                None => WARMUP,
            }),
            // Little music seen less than a dozen times: overfitting is far off.
            dropout: args.dropout.unwrap_or(0.0),
            weight_decay: args.weight_decay.unwrap_or(0.1),
            seed: args.seed.unwrap_or(1),
            eval_every: args.eval_every.unwrap_or(250),
            checkpoint_every: args.checkpoint_every.unwrap_or(250),
            keep: args.keep.unwrap_or(two()),
            hub: pushed(args),
            samples: args.samples.unwrap_or(one()),
            held_out: args.held_out.unwrap_or(0.05),
            transpose: args.transpose.unwrap_or(5),
        };
        settings.checked()
    }

    /// The settings a run was started with, for going on. How often it measures and saves, where
    /// the music lies, and what is computed where, may be changed.
    ///
    /// # Errors
    /// Names an option that contradicts the run's settings.
    pub fn resumed(self, args: &TrainArgs) -> anyhow::Result<Self> {
        let (folders, data) = (!args.folders.is_empty(), !args.data.is_empty());
        if folders && !self.data.is_empty() || data && !self.folders.is_empty() {
            bail!(
                "this run learns from {}; leave the others out to go on, or start a new run in another --out folder",
                if folders { "data sets (--data)" } else { "folders of MIDI files" }
            );
        }
        let mut asked = self.clone();
        let shape = args.size.map_or(self.shape, Size::shape);
        asked.shape = Shape {
            layers: args.layers.unwrap_or(shape.layers),
            heads: args.heads.unwrap_or(shape.heads),
            width: args.width.unwrap_or(shape.width),
        };
        asked.encoding = args.encoding.unwrap_or(self.encoding);
        asked.base = args.base.as_deref().map(source::find).transpose()?.or(asked.base);
        asked.fresh_vocabulary |= args.fresh_vocabulary;
        asked.lora = args.lora.or(asked.lora);
        asked.context = args.context.unwrap_or(self.context);
        asked.batch = args.batch.unwrap_or(self.batch);
        asked.accumulate = args.accumulate.unwrap_or(self.accumulate);
        asked.schedule = args.schedule.unwrap_or(self.schedule);
        asked.learning_rate = args.lr.unwrap_or(self.learning_rate);
        asked.warmup = args.warmup.unwrap_or(self.warmup);
        asked.dropout = args.dropout.unwrap_or(self.dropout);
        asked.weight_decay = args.weight_decay.unwrap_or(self.weight_decay);
        asked.seed = args.seed.unwrap_or(self.seed);
        asked.held_out = args.held_out.unwrap_or(self.held_out);
        asked.transpose = args.transpose.unwrap_or(self.transpose);
        if args.steps.is_some() || args.epochs.is_some() || args.minutes.is_some() {
            asked.budget = args.budget();
        }
        if let Some(option) = self.contradicted(&asked) {
            bail!(
                "--{option} is not what this run was started with; leave it out to go on, \
                 or start a new run in another --out folder"
            );
        }
        if !args.folders.is_empty() {
            asked.folders.clone_from(&args.folders);
        }
        if !args.data.is_empty() {
            asked.data = args.data.iter().map(Data::found).collect::<anyhow::Result<_>>()?;
        }
        asked.manifest = args.manifest.clone().or(asked.manifest);
        asked.eval_every = args.eval_every.unwrap_or(self.eval_every);
        asked.checkpoint_every = args.checkpoint_every.unwrap_or(self.checkpoint_every);
        asked.keep = args.keep.unwrap_or(self.keep);
        asked.hub = pushed(args).or(asked.hub);
        asked.gradient_checkpointing |= args.gradient_checkpointing;
        asked.device = args.learning.device(self.device);
        asked.precision = args.learning.precision(self.precision);
        asked.samples = args.samples.unwrap_or(self.samples);
        asked.checked()
    }

    /// The first option two settings differ in.
    #[expect(clippy::float_cmp, reason = "the same number typed twice is the same number")]
    fn contradicted(&self, other: &Self) -> Option<&'static str> {
        [
            ("encoding", self.encoding == other.encoding),
            ("layers", self.shape.layers == other.shape.layers),
            ("heads", self.shape.heads == other.shape.heads),
            ("width", self.shape.width == other.shape.width),
            ("base", self.base == other.base),
            ("lora", self.lora == other.lora),
            ("fresh-vocabulary", self.fresh_vocabulary == other.fresh_vocabulary),
            ("context", self.context == other.context),
            ("batch", self.batch == other.batch),
            ("accumulate", self.accumulate == other.accumulate),
            ("schedule", self.schedule == other.schedule),
            ("steps, --epochs or --minutes", self.budget == other.budget),
            ("lr", self.learning_rate == other.learning_rate),
            ("warmup", self.warmup == other.warmup),
            ("dropout", self.dropout == other.dropout),
            ("weight-decay", self.weight_decay == other.weight_decay),
            ("seed", self.seed == other.seed),
            ("held-out", self.held_out == other.held_out),
            ("transpose", self.transpose == other.transpose),
        ]
        .into_iter()
        .find_map(|(option, same)| (!same).then_some(option))
    }

    fn checked(self) -> anyhow::Result<Self> {
        let amount = match self.budget {
            Budget::Steps(steps) => f64::from(u32::try_from(steps).context("--steps is too large")?),
            Budget::Epochs(amount) | Budget::Minutes(amount) => amount,
        };
        let shape = self.shape;
        let checks = [
            ("--layers must be 1 to 96", (1..=96).contains(&shape.layers)),
            ("--heads must be 1 to 128", (1..=128).contains(&shape.heads)),
            ("--width must be 8 to 8192", (8..=8192).contains(&shape.width)),
            ("--width must be a multiple of --heads", shape.width.is_multiple_of(shape.heads.max(1))),
            ("--context must be 64 to 8192", (64..=8192).contains(&self.context)),
            ("--batch must be 1 to 4096", (1..=4096).contains(&self.batch)),
            ("--accumulate must be 1 to 4096", (1..=4096).contains(&self.accumulate)),
            (
                "--lora must be 1 to the model's width",
                self.lora.is_none_or(|rank| (1..=shape.width).contains(&rank)),
            ),
            ("--keep must be 1 to 1000", (1..=1000).contains(&self.keep)),
            ("--samples must be 0 to 8", self.samples <= 8),
            ("--lr must be above 0 and at most 1", self.learning_rate > 0.0 && self.learning_rate <= 1.0),
            ("--dropout must be at least 0 and below 1", (0.0..1.0).contains(&self.dropout)),
            ("--weight-decay must be 0 to 10", (0.0..=10.0).contains(&self.weight_decay)),
            ("--held-out must be at least 0 and below 1", (0.0..1.0).contains(&self.held_out)),
            ("--transpose must be 0 to 12", self.transpose <= 12),
            ("--eval-every must be at least 1", self.eval_every > 0),
            ("--checkpoint-every must be at least 1", self.checkpoint_every > 0),
            ("--steps, --epochs or --minutes must be above 0", amount > 0.0 && amount.is_finite()),
        ];
        match checks.iter().find(|(_, passed)| !passed) {
            Some((problem, _)) => bail!("{problem}"),
            None => Ok(self),
        }
    }
}
