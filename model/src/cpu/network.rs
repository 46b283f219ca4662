//! GPT-2 made of packed matrices. Shapes stand at line ends: `t` ids in this call,
//! whosever they are, `c` the width of the model.

use std::future::Future;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use rayon::prelude::*;

use super::attention::Attention;
use super::cache::{CpuCache, Shape};
use super::kernel::Isa;
pub use super::matrix::Precision;
use super::matrix::{Choice, Input, Linear, Matrix, Table};
use super::pool::{self, Pool};
use crate::weights::{Scope, Weights};
use crate::{Config, ModelError, ModelFiles, Network, Part, math};

/// A GPT-2 for the processor, with its weights packed. It does not change, so any
/// number of threads may share one, each with caches of its own.
pub struct Cpu {
    config: Config,
    precision: Precision,
    isa: Isa,
    wte: Arc<Table>,
    wpe: Vec<f32>, // (n_positions, c)
    blocks: Vec<Block>,
    ln_f: Norm,
    /// The output head, where it is not `wte`.
    head: Option<Arc<Table>>,
    pool: Arc<Pool>,
}

struct Block {
    ln_1: Norm,
    attn: Arc<Linear>,
    attn_proj: Arc<Linear>,
    ln_2: Norm,
    fc: Arc<Linear>,
    proj: Arc<Linear>,
}

struct Norm {
    weight: Vec<f32>,
    bias: Vec<f32>,
    epsilon: f32,
}

impl Cpu {
    /// Loads a model, a folder or a file as [`ModelFiles`] finds them. Files are not kept:
    /// what is in memory afterwards is the packed weights.
    ///
    /// # Errors
    /// If a file is missing or damaged, or they do not belong together.
    pub fn open(path: &Path, precision: Precision) -> Result<Self, ModelError> {
        Self::from_files(ModelFiles::open(path)?, precision)
    }

    /// Makes the model whose files are open.
    ///
    /// # Errors
    /// Those of [`Cpu::open`].
    pub fn from_files(files: ModelFiles, precision: Precision) -> Result<Self, ModelError> {
        let (config, weights) = files.into_parts();
        Self::load(config, &weights, precision)
    }

    /// Makes the model that `config` describes from the bytes of a safetensors file.
    ///
    /// # Errors
    /// If the bytes are damaged, or are not the weights of such a model.
    pub fn from_bytes(config: Config, safetensors: &[u8], precision: Precision) -> Result<Self, ModelError> {
        config.check("the configuration given")?;
        Self::load(config, &Weights::parse("the weights given", safetensors)?, precision)
    }

    fn load(config: Config, weights: &Weights<'_>, precision: Precision) -> Result<Self, ModelError> {
        weights.check_blocks(config.n_layer)?;
        let vb = weights.transformer();
        let (c, vocabulary) = (config.n_embd, config.vocab_size);
        let table = |scope: &Scope<'_>, name| {
            let values = scope.values(&[vocabulary, c], name)?;
            let table = Table::pack(&values, c, vocabulary, precision);
            weights.put_back();
            Ok::<_, ModelError>(Arc::new(table))
        };
        let wte = table(&vb, "wte.weight")?;
        let wpe = vb.values(&[config.n_positions, c], "wpe.weight")?.to_vec();
        let blocks = (0..config.n_layer).into_par_iter().map(|layer| {
            let block = Block::load(&config, &vb.pp("h").pp(layer), precision);
            weights.put_back();
            block
        });
        let blocks = blocks.collect::<Result<_, _>>()?;
        let ln_f = Norm::load(&config, &vb.pp("ln_f"))?;
        let head = match config.tie_word_embeddings {
            true => None,
            false => Some(table(&weights.root(), "lm_head.weight")?),
        };
        let pool = Pool::common();
        Ok(Self { config, precision, isa: Isa::best(), wte, wpe, blocks, ln_f, head, pool })
    }

    /// The same with other instructions than the fastest, one of [`Isa::available`].
    #[must_use]
    pub fn with_isa(self, isa: Isa) -> Self {
        // An `Isa` that this processor lacks would crash.
        let isa = if Isa::available().contains(&isa) { isa } else { Isa::best() };
        Self { isa, ..self }
    }

    /// The same with another number of threads than the usual one, at least 1: the one
    /// that asks, and others that help it. What is answered does not depend on it.
    #[must_use]
    pub fn with_threads(self, threads: usize) -> Self {
        Self { pool: Arc::new(Pool::new(threads)), ..self }
    }

    /// How its weights are kept.
    #[must_use]
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// The instructions it runs with.
    #[must_use]
    pub fn isa(&self) -> Isa {
        self.isa
    }

    fn check(&self, part: &Part<'_, CpuCache>) -> Result<(), ModelError> {
        if part.cache.shape() != Shape::of(&self.config, self.precision) {
            return Err(ModelError::ForeignCache);
        }
        self.config.check_ids(part.ids, part.cache.len())
    }

    /// Ids and positions to vectors.
    fn embed(&self, parts: &[Part<'_, CpuCache>]) -> Vec<f32> {
        let c = self.config.n_embd;
        let mut x = vec![0.0; parts.iter().map(|part| part.ids.len()).sum::<usize>() * c]; // (t, c)
        let places = parts.iter().flat_map(|part| part.ids.iter().zip(part.cache.len()..));
        for (x, (&id, position)) in x.chunks_exact_mut(c).zip(places) {
            self.wte.row(id as usize, x);
            math::add(x, &self.wpe[position * c..][..c]);
        }
        x
    }

    /// What one block adds, in place.
    async fn block(&self, layer: usize, x: &mut [f32], parts: &mut [Part<'_, CpuCache>]) {
        let (block, isa, c) = (&self.blocks[layer], self.isa, self.config.n_embd);
        let input = |values, width| Input::new(self.precision, values, width);
        let qkv = block.attn.multiply(isa, input(block.ln_1.apply(x, c), c), None).await; // (t, 3c)
        let y = self.attention(layer, qkv, parts).await; // (t, c)
        math::add(x, &block.attn_proj.multiply(isa, input(y, c), None).await);
        let activation = Some(self.config.activation_function);
        let inner = block.fc.multiply(isa, input(block.ln_2.apply(x, c), c), activation).await; // (t, inner)
        math::add(x, &block.proj.multiply(isa, input(inner, self.config.inner()), None).await);
    }

    /// Keeps keys and values, and looks at those before.
    async fn attention(&self, layer: usize, qkv: Vec<f32>, parts: &mut [Part<'_, CpuCache>]) -> Vec<f32> {
        let c = self.config.n_embd;
        let mut rows = qkv.chunks_exact(3 * c);
        let mut places = Vec::new();
        for (view, part) in parts.iter_mut().enumerate() {
            let first = part.cache.len() - part.ids.len();
            for (position, qkv) in (first..part.cache.len()).zip(rows.by_ref()) {
                part.cache.set(layer, position, &qkv[c..2 * c], &qkv[2 * c..]);
                places.push((view, position + 1));
            }
        }
        let attention = Attention {
            isa: self.isa,
            layer,
            heads: self.config.n_head,
            scale: self.config.attention_scale(layer),
            qkv,
            views: parts.iter().map(|part| part.cache.view()).collect(),
            places,
        };
        attention.run().await
    }

    /// The logits that each part wants, of the id to follow it.
    async fn logits(&self, x: &[f32], parts: &mut [Part<'_, CpuCache>]) {
        let c = self.config.n_embd;
        let mut last = Vec::with_capacity(parts.len() * c);
        let mut end = 0;
        for part in parts.iter() {
            end += part.ids.len();
            last.extend_from_slice(&x[(end - 1) * c..end * c]);
        }
        let last = self.ln_f.apply(&last, c); // (parts, c)
        let input = Input::new(self.precision, last, c);
        let vocabulary = self.config.vocab_size;
        parts.iter_mut().for_each(|part| part.logits.resize(vocabulary, 0.0));
        let within = |ids: &Range<u32>| ids.start as usize..(ids.end as usize).min(vocabulary);
        let wanted: Vec<Vec<_>> = parts.iter().map(|part| part.wanted.iter().map(within).collect()).collect();
        let table = Arc::clone(self.head.as_ref().unwrap_or(&self.wte));
        let choice = Choice::new(table, self.isa, input, &wanted);
        choice.run(|rows, part, products| parts[part].logits[rows].copy_from_slice(products)).await;
    }
}

impl Network for Cpu {
    type Cache = CpuCache;

    fn config(&self) -> &Config {
        &self.config
    }

    fn cache(&self) -> CpuCache {
        CpuCache::new(Shape::of(&self.config, self.precision))
    }

    async fn read(&self, parts: &mut [Part<'_, CpuCache>]) -> Result<(), ModelError> {
        parts.iter().try_for_each(|part| self.check(part))?;
        let mut x = self.embed(parts);
        parts.iter_mut().for_each(|part| part.cache.grow(part.ids.len()));
        for layer in 0..self.blocks.len() {
            self.block(layer, &mut x, parts).await;
        }
        self.logits(&x, parts).await;
        Ok(())
    }

    fn run<T: Send>(&self, work: impl Future<Output = T> + Send) -> T {
        self.pool.run(work)
    }

    fn due(&self, when: u64) {
        pool::due(when);
    }
}

impl std::fmt::Debug for Cpu {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cpu")
            .field("config", &self.config)
            .field("precision", &self.precision)
            .finish_non_exhaustive()
    }
}

impl Block {
    fn load(config: &Config, vb: &Scope<'_>, precision: Precision) -> Result<Self, ModelError> {
        let (c, inner) = (config.n_embd, config.inner());
        let linear = |inputs, outputs, scope| Linear::load(inputs, outputs, &scope, precision).map(Arc::new);
        Ok(Self {
            ln_1: Norm::load(config, &vb.pp("ln_1"))?,
            attn: linear(c, 3 * c, vb.pp("attn").pp("c_attn"))?,
            attn_proj: linear(c, c, vb.pp("attn").pp("c_proj"))?,
            ln_2: Norm::load(config, &vb.pp("ln_2"))?,
            fc: linear(c, inner, vb.pp("mlp").pp("c_fc"))?,
            proj: linear(inner, c, vb.pp("mlp").pp("c_proj"))?,
        })
    }
}

impl Linear {
    fn load(inputs: usize, outputs: usize, vb: &Scope<'_>, precision: Precision) -> Result<Self, ModelError> {
        let values = vb.values(&[inputs, outputs], "weight")?;
        let matrix = Matrix::pack(&values, inputs, outputs, precision);
        Ok(Self { matrix, bias: vb.values(&[outputs], "bias")?.to_vec() })
    }
}

impl Norm {
    #[expect(clippy::cast_possible_truncation, reason = "a small number")]
    fn load(config: &Config, vb: &Scope<'_>) -> Result<Self, ModelError> {
        let values = |name| Ok::<_, ModelError>(vb.values(&[config.n_embd], name)?.to_vec());
        let epsilon = config.layer_norm_epsilon as f32;
        Ok(Self { weight: values("weight")?, bias: values("bias")?, epsilon })
    }

    /// Layer normalisation of each row (Ba et al. 2016, <https://arxiv.org/abs/1607.06450>).
    fn apply(&self, x: &[f32], width: usize) -> Vec<f32> {
        let mut y = vec![0.0; x.len()];
        for (x, y) in x.chunks_exact(width).zip(y.chunks_exact_mut(width)) {
            normalise(self, x, y);
        }
        y
    }
}

math::vectorised_fn! {
    fn normalise<'a>(norm: &'a Norm, x: &'a [f32], y: &'a mut [f32]) -> () {
        #[expect(clippy::cast_precision_loss, reason = "a width is small")]
        let width = x.len() as f32;
        let mean = math::sum(x, |x| x) / width;
        let variance = math::sum(x, |x| (x - mean) * (x - mean)) / width;
        let factor = 1.0 / (variance + norm.epsilon).sqrt();
        for (y, (x, (weight, bias))) in y.iter_mut().zip(x.iter().zip(norm.weight.iter().zip(&norm.bias))) {
            *y = (x - mean) * factor * weight + bias;
        }
    }
}
