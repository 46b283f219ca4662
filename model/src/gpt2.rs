//! GPT-2 as a whole: configuration, cache, attention, feed-forward, blocks,
//! and the model made of them. Shapes stand at line ends: `t` ids in this call,
//! `n` ids including the cached ones, `h` heads of width `d`, `c = h * d`.
//!
//! There is no batch dimension: ids of several sequences stand one after another, and
//! attention alone looks at whose they are.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use candle_core::{DType, Device, DeviceLocation, Tensor};
use candle_nn::{LayerNorm, Module, ops::softmax_last_dim};
use serde::{Deserialize, Serialize};

use crate::weights::{REMEDY, Scope, Weights};
use crate::{Gpu, ModelError, ModelFiles, Part, single};

/// The shape of a model: the part of Hugging Face's `config.json` for GPT-2
/// that decides what is computed. Absent fields have the values `transformers`
/// gives them, unknown ones are ignored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// How many ids there are.
    pub vocab_size: usize,
    /// The longest sequence, in ids.
    pub n_positions: usize,
    /// Width of the residual stream.
    pub n_embd: usize,
    /// Number of blocks.
    pub n_layer: usize,
    /// Attention heads in a block; they share `n_embd` evenly.
    pub n_head: usize,
    /// Width inside the feed-forward part; four times `n_embd` if absent.
    pub n_inner: Option<usize>,
    /// The nonlinearity of the feed-forward part.
    pub activation_function: Activation,
    /// Added to the variance in layer normalisation.
    pub layer_norm_epsilon: f64,
    /// Standard deviation of fresh weights; of use to training alone.
    pub initializer_range: f64,
    /// Whether attention scores are divided by the root of the head width.
    pub scale_attn_weights: bool,
    /// Whether attention scores are also divided by the block's number, from 1.
    pub scale_attn_by_inverse_layer_idx: bool,
    /// Whether the output head is the transposed id embedding.
    pub tie_word_embeddings: bool,
    /// Attention to an encoder, which is not supported.
    pub add_cross_attention: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            vocab_size: 50_257,
            n_positions: 1024,
            n_embd: 768,
            n_layer: 12,
            n_head: 12,
            n_inner: None,
            activation_function: Activation::GeluNew,
            layer_norm_epsilon: 1e-5,
            initializer_range: 0.02,
            scale_attn_weights: true,
            scale_attn_by_inverse_layer_idx: false,
            tie_word_embeddings: true,
            add_cross_attention: false,
        }
    }
}

/// The nonlinearity between the two matrices of the feed-forward part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Activation {
    /// GELU by its tanh approximation, GPT-2's own.
    #[serde(rename = "gelu_new", alias = "gelu_pytorch_tanh", alias = "gelu_fast")]
    GeluNew,
    /// GELU by the error function.
    #[serde(rename = "gelu")]
    Gelu,
    /// `max(x, 0)`.
    #[serde(rename = "relu")]
    Relu,
    /// `x * sigmoid(x)`.
    #[serde(rename = "silu", alias = "swish")]
    Silu,
}

/// No dimension of a model comes near this; what does is a damaged file.
const MAX_DIMENSION: usize = 1 << 20;
/// More blocks than any model has.
const MAX_LAYERS: usize = 1 << 10;
/// The most one cache may take, in bytes; GPT-2 XL takes 0.6 GB.
const MAX_CACHE: usize = 8 << 30;

impl Config {
    /// Reads a `config.json`.
    ///
    /// # Errors
    /// If there is none, it is not JSON, or the model it describes cannot be.
    pub fn open(file: &Path) -> Result<Self, ModelError> {
        let error = |source| ModelError::Io { file: file.to_owned(), source, remedy: REMEDY };
        let text = fs::read(file).map_err(error)?;
        let name = file.display().to_string();
        let config: Self = serde_json::from_slice(&text).map_err(|error| ModelError::Config {
            file: name.clone(),
            problem: if text.trim_ascii_start().starts_with(b"<") {
                "this is a web page, not a configuration; download the file itself".to_owned()
            } else {
                format!("not a GPT-2 configuration: {error}")
            },
        })?;
        config.check(&name)?;
        Ok(config)
    }

    /// Refuses what cannot be computed; `file` is named in the error.
    pub(crate) fn check(&self, file: &str) -> Result<(), ModelError> {
        match self.problem() {
            Some(problem) => Err(ModelError::Config { file: file.to_owned(), problem }),
            None => Ok(()),
        }
    }

    fn problem(&self) -> Option<String> {
        let dimensions = [
            ("vocab_size", self.vocab_size, MAX_DIMENSION),
            ("n_positions", self.n_positions, MAX_DIMENSION),
            ("n_embd", self.n_embd, MAX_DIMENSION),
            ("n_layer", self.n_layer, MAX_LAYERS),
            ("n_head", self.n_head, MAX_DIMENSION),
            ("n_inner", self.inner(), 4 * MAX_DIMENSION),
        ];
        for (name, value, most) in dimensions {
            if value == 0 || value > most {
                return Some(format!("{name} is {value}, but must lie between 1 and {most}; correct it"));
            }
        }
        let (c, h) = (self.n_embd, self.n_head);
        if !c.is_multiple_of(h) {
            return Some(format!(
                "n_embd = {c} cannot be shared evenly by n_head = {h} heads; correct either"
            ));
        }
        let cache = self.n_layer.saturating_mul(2 * size_of::<f32>() * c).saturating_mul(self.n_positions);
        if cache > MAX_CACHE {
            return Some(format!(
                "n_layer, n_embd and n_positions together ask for {} GB of memory a sequence; lower n_positions",
                cache >> 30
            ));
        }
        if !(self.layer_norm_epsilon >= 0.0 && self.layer_norm_epsilon < 1.0) {
            return Some(format!(
                "layer_norm_epsilon is {}, but must be small and positive",
                self.layer_norm_epsilon
            ));
        }
        self.add_cross_attention.then(|| "cross-attention is not supported".to_owned())
    }

    /// Refuses ids that cannot follow `used` others.
    pub(crate) fn check_ids(&self, ids: &[u32], used: usize) -> Result<(), ModelError> {
        let Self { n_positions: window, vocab_size: vocabulary, .. } = *self;
        if ids.is_empty() {
            return Err(ModelError::NoIds);
        }
        if ids.len() > window - used {
            return Err(ModelError::Window { asked: ids.len(), used, window });
        }
        let outside = |&id: &u32| usize::try_from(id).map_or(true, |id| id >= vocabulary);
        match ids.iter().position(outside) {
            Some(position) => Err(ModelError::Id { id: ids[position], position, vocabulary }),
            None => Ok(()),
        }
    }

    /// Width of one attention head.
    pub fn head_width(&self) -> usize {
        self.n_embd / self.n_head
    }

    /// Width inside the feed-forward part.
    pub fn inner(&self) -> usize {
        self.n_inner.unwrap_or(self.n_embd.saturating_mul(4))
    }

    /// What attention scores of block `layer`, counted from 0, are multiplied by.
    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "small and exact")]
    pub(crate) fn attention_scale(&self, layer: usize) -> f32 {
        let mut scale = 1.0;
        if self.scale_attn_weights {
            scale /= (self.head_width() as f64).sqrt();
        }
        if self.scale_attn_by_inverse_layer_idx {
            scale /= (layer + 1) as f64;
        }
        scale as f32
    }
}

/// The keys and values of one sequence, so that each id is computed once.
///
/// A copy shares what there is until either goes on. Memory for the whole window is
/// taken with the first ids.
#[derive(Clone, Debug)]
pub struct Cache {
    form: Form,
    layers: Arc<Vec<Layer>>,
    len: usize,
}

/// What one block remembers.
#[derive(Debug)]
struct Layer {
    keys: Tensor,   // (h, n_positions, d)
    values: Tensor, // (h, n_positions, d)
}

/// Which models a cache fits.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Form {
    layers: usize,
    shape: (usize, usize, usize),
    location: DeviceLocation,
    dtype: DType,
}

impl Cache {
    /// How many ids the cache holds.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the cache holds no ids.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Forgets all but the first `len` ids. Does nothing if there are no more.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Sees to it that there is memory which nobody else uses.
    fn own(&mut self, device: &Device) -> Result<(), ModelError> {
        let Form { layers, shape, dtype, .. } = self.form;
        if self.layers.is_empty() {
            let zeros = || Tensor::zeros(shape, dtype, device);
            let layers = (0..layers).map(|_| Ok(Layer { keys: zeros()?, values: zeros()? }));
            self.layers = Arc::new(layers.collect::<Result<_, ModelError>>()?);
        } else if Arc::get_mut(&mut self.layers).is_none() {
            let copy = |layer: &Layer| {
                let (keys, values) = (&layer.keys, &layer.values);
                Ok(Layer { keys: copy_prefix(keys, self.len)?, values: copy_prefix(values, self.len)? })
            };
            self.layers = Arc::new(self.layers.iter().map(copy).collect::<Result<_, ModelError>>()?);
        }
        Ok(())
    }
}

/// A tensor like `source` with its first `len` positions filled from it.
fn copy_prefix(source: &Tensor, len: usize) -> Result<Tensor, ModelError> {
    let target = source.zeros_like()?;
    if len > 0 {
        target.slice_set(&source.narrow(1, 0, len)?.contiguous()?, 1, 0)?;
    }
    Ok(target)
}

impl Layer {
    /// Stores keys and values `(h, t, d)` after the first `len`, returns all of them so far.
    fn append(&self, keys: &Tensor, values: &Tensor, len: usize) -> Result<(Tensor, Tensor), ModelError> {
        let n = len + keys.dim(1)?;
        self.keys.slice_set(keys, 1, len)?;
        self.values.slice_set(values, 1, len)?;
        Ok((self.keys.narrow(1, 0, n)?, self.values.narrow(1, 0, n)?)) // (h, n, d)
    }
}

/// What a step of a single id is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ops {
    /// Operations of our own (`single`), which are made for f32 on the processor.
    Single,
    /// candle's, which every device has.
    General,
}

/// The ids of one sequence in a step.
struct Span<'a> {
    /// Its first row among all of the step.
    first: usize,
    t: usize,
    /// Ids that came before.
    len: usize,
    mask: Option<Tensor>, // (t, n)
    layers: &'a [Layer],
}

/// `x W + b`, with `W` stored `(in, out)` as GPT-2's `Conv1D` does.
struct Linear {
    weight: Tensor, // (in, out)
    bias: Tensor,   // (out)
}

impl Linear {
    fn load(inputs: usize, outputs: usize, vb: Scope<'_>) -> Result<Self, ModelError> {
        Ok(Self { weight: vb.get(&[inputs, outputs], "weight")?, bias: vb.get(&[outputs], "bias")? })
    }

    fn forward(&self, x: &Tensor, ops: Ops) -> Result<Tensor, ModelError> {
        if ops == Ops::Single && x.dim(0)? == 1 {
            return Ok(single::linear(x, &self.weight, &self.bias)?);
        }
        Ok(x.matmul(&self.weight)?.broadcast_add(&self.bias)?)
    }

    fn to(&self, gpu: &Gpu) -> Result<Self, ModelError> {
        Ok(Self { weight: gpu.take(&self.weight)?, bias: gpu.take(&self.bias)? })
    }
}

struct Attention {
    c_attn: Linear,
    c_proj: Linear,
    heads: usize,
    scale: f32,
}

impl Attention {
    fn load(config: &Config, layer: usize, vb: Scope<'_>) -> Result<Self, ModelError> {
        let c = config.n_embd;
        Ok(Self {
            c_attn: Linear::load(c, 3 * c, vb.pp("c_attn"))?,
            c_proj: Linear::load(c, c, vb.pp("c_proj"))?,
            heads: config.n_head,
            scale: config.attention_scale(layer),
        })
    }

    fn forward(&self, x: &Tensor, layer: usize, spans: &[Span<'_>], ops: Ops) -> Result<Tensor, ModelError> {
        let (t, c) = x.dims2()?;
        let qkv = self.c_attn.forward(x, ops)?.reshape((t, 3, self.heads, c / self.heads))?;
        let y = spans.iter().map(|span| self.attend(&qkv, layer, span, ops));
        let y = match y.collect::<Result<Vec<_>, _>>()?.as_slice() {
            [y] => y.clone(),
            y => Tensor::cat(y, 0)?,
        }; // (t, c)
        self.c_proj.forward(&y, ops)
    }

    /// One sequence's part of `qkv` looks at what came before it.
    fn attend(&self, qkv: &Tensor, layer: usize, span: &Span<'_>, ops: Ops) -> Result<Tensor, ModelError> {
        let t = span.t;
        let qkv = qkv.narrow(0, span.first, t)?;
        let part = |index| qkv.narrow(1, index, 1)?.squeeze(1)?.transpose(0, 1)?.contiguous();
        let (q, k, v) = (part(0)?, part(1)?, part(2)?); // (h, t, d)
        let (k, v) = span.layers[layer].append(&k, &v, span.len)?; // (h, n, d)
        let y = if ops == Ops::Single && t == 1 {
            single::attention(&q, &k, &v, self.scale)?
        } else {
            let scores = (q * f64::from(self.scale))?.matmul(&k.t()?)?; // (h, t, n)
            let scores = span.mask.as_ref().map_or(Ok(scores.clone()), |mask| scores.broadcast_add(mask))?;
            softmax_last_dim(&scores)?.matmul(&v)?
        }; // (h, t, d)
        Ok(y.transpose(0, 1)?.reshape((t, ()))?)
    }

    fn to(&self, gpu: &Gpu) -> Result<Self, ModelError> {
        Ok(Self { c_attn: self.c_attn.to(gpu)?, c_proj: self.c_proj.to(gpu)?, ..*self })
    }
}

/// What is added to the scores `(t, n)` of ids that follow `len` cached ones,
/// so that none sees a later one. A single id sees all there are.
pub(crate) fn causal_mask(t: usize, len: usize) -> Result<Option<Tensor>, candle_core::Error> {
    if t == 1 {
        return Ok(None);
    }
    let row = |i| (0..len + t).map(move |j| if j > len + i { f32::NEG_INFINITY } else { 0.0 });
    let mask: Vec<f32> = (0..t).flat_map(row).collect();
    Ok(Some(Tensor::from_vec(mask, (t, len + t), &Device::Cpu)?))
}

struct Mlp {
    c_fc: Linear,
    c_proj: Linear,
    activation: Activation,
}

impl Mlp {
    fn load(config: &Config, vb: Scope<'_>) -> Result<Self, ModelError> {
        let (c, inner) = (config.n_embd, config.inner());
        Ok(Self {
            c_fc: Linear::load(c, inner, vb.pp("c_fc"))?,
            c_proj: Linear::load(inner, c, vb.pp("c_proj"))?,
            activation: config.activation_function,
        })
    }

    fn forward(&self, x: &Tensor, ops: Ops) -> Result<Tensor, ModelError> {
        let x = self.c_fc.forward(x, ops)?; // (t, inner)
        let x = match self.activation {
            Activation::GeluNew => x.gelu()?,
            Activation::Gelu => x.gelu_erf()?,
            Activation::Relu => x.relu()?,
            Activation::Silu => x.silu()?,
        };
        self.c_proj.forward(&x, ops)
    }

    fn to(&self, gpu: &Gpu) -> Result<Self, ModelError> {
        Ok(Self { c_fc: self.c_fc.to(gpu)?, c_proj: self.c_proj.to(gpu)?, ..*self })
    }
}

struct Block {
    ln_1: LayerNorm,
    attn: Attention,
    ln_2: LayerNorm,
    mlp: Mlp,
}

impl Block {
    fn load(config: &Config, layer: usize, vb: Scope<'_>) -> Result<Self, ModelError> {
        Ok(Self {
            ln_1: layer_norm(config, vb.pp("ln_1"))?,
            attn: Attention::load(config, layer, vb.pp("attn"))?,
            ln_2: layer_norm(config, vb.pp("ln_2"))?,
            mlp: Mlp::load(config, vb.pp("mlp"))?,
        })
    }

    fn forward(&self, x: &Tensor, layer: usize, spans: &[Span<'_>], ops: Ops) -> Result<Tensor, ModelError> {
        let x = (x + self.attn.forward(&self.ln_1.forward(x)?, layer, spans, ops)?)?;
        Ok((&x + self.mlp.forward(&self.ln_2.forward(&x)?, ops)?)?)
    }

    fn to(&self, gpu: &Gpu, epsilon: f64) -> Result<Self, ModelError> {
        let (ln_1, ln_2) = (norm_to(&self.ln_1, gpu, epsilon)?, norm_to(&self.ln_2, gpu, epsilon)?);
        Ok(Self { ln_1, attn: self.attn.to(gpu)?, ln_2, mlp: self.mlp.to(gpu)? })
    }
}

fn layer_norm(config: &Config, vb: Scope<'_>) -> Result<LayerNorm, ModelError> {
    let shape = [config.n_embd];
    Ok(LayerNorm::new(vb.get(&shape, "weight")?, vb.get(&shape, "bias")?, config.layer_norm_epsilon))
}

fn norm_to(norm: &LayerNorm, gpu: &Gpu, epsilon: f64) -> Result<LayerNorm, ModelError> {
    // One without a bias is made by nobody here.
    let bias = norm.bias().map_or_else(|| norm.weight().zeros_like(), |bias| Ok(bias.clone()))?;
    Ok(LayerNorm::new(gpu.take(norm.weight())?, gpu.take(&bias)?, epsilon))
}

/// A GPT-2 with its weights, ready to run. It does not change, so any number of
/// threads may share one, each with [`Cache`]s of its own.
pub struct Gpt2 {
    config: Config,
    wte: Tensor, // (vocab, c)
    wpe: Tensor, // (n_positions, c)
    blocks: Vec<Block>,
    ln_f: LayerNorm,
    head: Tensor, // (vocab, c)
    ops: Ops,
}

impl Gpt2 {
    /// Loads a model, a folder or a file as [`ModelFiles`] finds them.
    ///
    /// # Errors
    /// If a file is missing or damaged, or they do not belong together.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        Self::from_files(ModelFiles::open(path)?)
    }

    /// Makes the model whose files are open.
    ///
    /// # Errors
    /// Those of [`Gpt2::open`].
    pub fn from_files(files: ModelFiles) -> Result<Self, ModelError> {
        let (config, weights) = files.into_parts();
        Self::load(config, &weights)
    }

    /// Makes the model that `config` describes from the bytes of a safetensors file.
    ///
    /// # Errors
    /// If the bytes are damaged, or are not the weights of such a model.
    pub fn from_bytes(config: Config, safetensors: &[u8]) -> Result<Self, ModelError> {
        config.check("the configuration given")?;
        Self::load(config, &Weights::parse("the weights given", safetensors)?)
    }

    fn load(config: Config, weights: &Weights<'_>) -> Result<Self, ModelError> {
        weights.check_blocks(config.n_layer)?;
        let vb = weights.transformer();
        let c = config.n_embd;
        let wte = vb.get(&[config.vocab_size, c], "wte.weight")?;
        let wpe = vb.get(&[config.n_positions, c], "wpe.weight")?;
        let blocks = (0..config.n_layer).map(|layer| Block::load(&config, layer, vb.pp("h").pp(layer)));
        let blocks = blocks.collect::<Result<_, _>>()?;
        let ln_f = layer_norm(&config, vb.pp("ln_f"))?;
        let head = if config.tie_word_embeddings {
            wte.clone()
        } else {
            weights.root().get(&[config.vocab_size, c], "lm_head.weight")?
        };
        Ok(Self { config, wte, wpe, blocks, ln_f, head, ops: Ops::Single })
    }

    /// The same on a graphics card, in the numbers that it computes with.
    ///
    /// # Errors
    /// If there is not enough memory on it.
    pub fn to(&self, gpu: &Gpu) -> Result<Self, ModelError> {
        let epsilon = self.config.layer_norm_epsilon;
        let wte = gpu.take(&self.wte)?;
        let head = if self.config.tie_word_embeddings { wte.clone() } else { gpu.take(&self.head)? };
        Ok(Self {
            config: self.config.clone(),
            wte,
            wpe: gpu.take(&self.wpe)?,
            blocks: self.blocks.iter().map(|block| block.to(gpu, epsilon)).collect::<Result<_, _>>()?,
            ln_f: norm_to(&self.ln_f, gpu, epsilon)?,
            head,
            ops: Ops::General,
        })
    }

    /// The shape of the model.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// An empty cache with room for the whole window.
    pub fn cache(&self) -> Cache {
        Cache { form: self.form(), layers: Arc::default(), len: 0 }
    }

    fn form(&self) -> Form {
        let Config { n_layer: layers, n_head, n_positions, .. } = self.config;
        let shape = (n_head, n_positions, self.config.head_width());
        Form { layers, shape, location: self.wte.device().location(), dtype: self.wte.dtype() }
    }

    /// Appends `ids` to `cache` and returns the logits of the id to follow
    /// them, one for each of the vocabulary.
    ///
    /// # Errors
    /// If there are no ids, one is outside of the vocabulary, or they exceed
    /// the window. The cache is then as it was.
    pub fn forward(&self, ids: &[u32], cache: &mut Cache) -> Result<Vec<f32>, ModelError> {
        let mut logits = Vec::new();
        let wanted = std::slice::from_ref(&(0..u32::MAX));
        self.read_parts(&mut [Part { ids, cache, wanted, logits: &mut logits }])?;
        Ok(logits)
    }

    /// As [`Network::read`](crate::Network::read). Our own operations take a sequence at
    /// a time, a graphics card all of them together.
    pub(crate) fn read_parts(&self, parts: &mut [Part<'_, Cache>]) -> Result<(), ModelError> {
        parts.iter().try_for_each(|part| self.check_call(part.ids, part.cache))?;
        let together = if self.ops == Ops::Single { 1 } else { parts.len().max(1) };
        parts.chunks_mut(together).try_for_each(|parts| self.step(parts))
    }

    fn step(&self, parts: &mut [Part<'_, Cache>]) -> Result<(), ModelError> {
        let device = self.wte.device();
        parts.iter_mut().try_for_each(|part| part.cache.own(device))?;
        let mut first = 0;
        let spans = parts.iter().map(|part| {
            let (t, len) = (part.ids.len(), part.cache.len);
            let mask = causal_mask(t, len)?.map(|mask| mask.to_device(device)?.to_dtype(self.wte.dtype()));
            first += t;
            Ok(Span { first: first - t, t, len, mask: mask.transpose()?, layers: &part.cache.layers })
        });
        let spans = spans.collect::<Result<Vec<_>, ModelError>>()?;
        let x = self.embed(parts)?;
        let run = |x: Tensor, (layer, block): (usize, &Block)| block.forward(&x, layer, &spans, self.ops);
        let x = self.blocks.iter().enumerate().try_fold(x, run)?;
        let wanted = parts.iter().zip(&spans).filter(|(part, _)| !part.wanted.is_empty());
        let last = wanted.map(|(_, span)| x.narrow(0, span.first + span.t - 1, 1));
        let last = last.collect::<Result<Vec<_>, _>>()?;
        let logits = if last.is_empty() { Vec::new() } else { self.logits(&Tensor::cat(&last, 0)?)? };
        let wanted = parts.iter_mut().filter(|part| !part.wanted.is_empty());
        wanted.zip(logits).for_each(|(part, logits)| *part.logits = logits);
        parts.iter_mut().for_each(|part| part.cache.len += part.ids.len());
        Ok(())
    }

    /// Ids and positions to vectors `(t, c)`.
    fn embed(&self, parts: &[Part<'_, Cache>]) -> Result<Tensor, ModelError> {
        let ids: Vec<u32> = parts.iter().flat_map(|part| part.ids.iter().copied()).collect();
        let places = parts.iter().flat_map(|part| (part.cache.len..).take(part.ids.len()));
        #[expect(clippy::cast_possible_truncation, reason = "a position is below 2^20")]
        let places: Vec<u32> = places.map(|place| place as u32).collect();
        let rows = |table: &Tensor, rows| table.index_select(&Tensor::new(rows, table.device())?, 0);
        Ok((rows(&self.wte, ids.as_slice())? + rows(&self.wpe, places.as_slice())?)?)
    }

    /// The logits that follow the vectors `(n, c)` of some last ids.
    fn logits(&self, last: &Tensor) -> Result<Vec<Vec<f32>>, ModelError> {
        let last = self.ln_f.forward(last)?;
        let logits = match self.ops {
            Ops::Single => single::head(&last, &self.head)?,
            Ops::General => last.matmul(&self.head.t()?)?,
        }; // (n, vocab)
        Ok(logits.to_dtype(DType::F32)?.to_vec2()?)
    }

    pub(crate) fn check_call(&self, ids: &[u32], cache: &Cache) -> Result<(), ModelError> {
        if cache.form != self.form() {
            return Err(ModelError::ForeignCache);
        }
        self.config.check_ids(ids, cache.len)
    }
}

impl std::fmt::Debug for Gpt2 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gpt2").field("config", &self.config).finish_non_exhaustive()
    }
}
