//! The forward and backward pass of a whole GPT-2 over a batch, written out.
//! Activations live in buffers that are made once. Shapes: `r = batch * t` rows
//! of width `c`.

use std::sync::Arc;

use crate::{Config, math};

use super::kernels::attention::{self, Saved, Shape};
use super::kernels::dropout::{self, Dropout};
use super::kernels::layer_norm::{self, Norm};
use super::kernels::matmul::{Onto, Threads, View, ViewMut, matmul};
use super::kernels::{cross_entropy, gelu, linear};
use super::parameters::{Layout, Pair};
use super::{Batch, TrainConfig};

/// How many logits are held at a time; their rows are worked off in pieces.
const LOGITS: usize = 1 << 22;

/// The fewest rows of them in a piece, if there are so many: each piece reads the whole head
/// three times, which fewer rows would not make up for.
const LOGIT_ROWS: usize = 512;

/// What a block keeps for its backward pass, beside what it was given.
struct Kept {
    ln_1: Vec<f32>,                      // (r, c)
    ln_1_rows: Vec<layer_norm::Moments>, // (r)
    qkv: Vec<f32>,                       // (r, 3c)
    attended: Vec<f32>,                  // (r, c)
    sums: Vec<f32>,                      // (batch, h, t)
    middle: Vec<f32>,                    // (r, c), the residual stream between the halves
    ln_2: Vec<f32>,                      // (r, c)
    ln_2_rows: Vec<layer_norm::Moments>, // (r)
    inner: Vec<f32>,                     // (r, inner), before GELU
    active: Vec<f32>,                    // (r, inner), after it
}

/// The buffers of both passes.
pub(super) struct Buffers {
    entries: Vec<Vec<f32>>,              // a block: (r, c), the residual stream on entry
    blocks: Vec<Kept>,                   // a block; one for all where they are recomputed
    x: Vec<f32>,                         // (r, c), the residual stream after all blocks
    ln_f: Vec<f32>,                      // (r, c)
    ln_f_rows: Vec<layer_norm::Moments>, // (r)
    logits: Vec<f32>,                    // (some rows, vocab)
    branch: Vec<f32>,                    // (r, c), what a half of a block adds
    dx: Vec<f32>,                        // (r, c), the gradient of the residual stream
    dbranch: Vec<f32>,                   // (r, c)
    dqkv: Vec<f32>,                      // (r, 3c)
    dinner: Vec<f32>,                    // (r, inner)
}

/// A network's shape; weights and buffers are given to each call.
pub(super) struct Network {
    config: Config,
    pub(super) layout: Arc<Layout>,
}

/// What to do with a batch.
pub(super) struct Pass<'a> {
    /// Ids and targets; at most as many as the network was made for.
    pub(super) ids: &'a [u32],
    pub(super) targets: &'a [u32],
    /// Length of the sequences.
    pub(super) context: usize,
    pub(super) dropout: f32,
    /// Tells dropout's patterns from those of all other passes.
    pub(super) keys: [u64; 2],
}

impl<'a> Pass<'a> {
    /// A pass without dropout over the sequences `range` of `batch`.
    pub(super) fn new(batch: &'a Batch, range: std::ops::Range<usize>) -> Self {
        let rows = range.start * batch.context..range.end * batch.context;
        let (ids, targets) = (&batch.ids[rows.clone()], &batch.targets[rows]);
        Self { ids, targets, context: batch.context, dropout: 0.0, keys: [0; 2] }
    }

    /// What is dropped at one of the places where something is; 0 is that of the embeddings.
    pub(super) fn dropout(&self, site: u64) -> Option<Dropout> {
        Dropout::new(self.dropout, &[self.keys[0], self.keys[1], site])
    }
}

impl Network {
    pub(super) fn new(config: &Config, layout: &Arc<Layout>) -> Self {
        Self { config: config.clone(), layout: Arc::clone(layout) }
    }

    /// Buffers for as many sequences at a time as a training works on.
    pub(super) fn buffers(&self, train: &TrainConfig) -> Buffers {
        let config = &self.config;
        let (r, c, inner) = (train.batch * train.context, config.n_embd, config.inner());
        let kept_blocks = if train.recompute { config.n_layer.min(1) } else { config.n_layer };
        let zeros = |width: usize| vec![0.0; r * width];
        let moments = || vec![[0.0; 2]; r];
        let kept = || Kept {
            ln_1: zeros(c),
            ln_1_rows: moments(),
            qkv: zeros(3 * c),
            attended: zeros(c),
            sums: zeros(config.n_head),
            middle: zeros(c),
            ln_2: zeros(c),
            ln_2_rows: moments(),
            inner: zeros(inner),
            active: zeros(inner),
        };
        Buffers {
            entries: (0..config.n_layer).map(|_| zeros(c)).collect(),
            blocks: (0..kept_blocks).map(|_| kept()).collect(),
            x: zeros(c),
            ln_f: zeros(c),
            ln_f_rows: moments(),
            logits: vec![0.0; r.min(logit_rows(config)) * config.vocab_size],
            branch: zeros(c),
            dx: zeros(c),
            dbranch: zeros(c),
            dqkv: zeros(3 * c),
            dinner: zeros(inner),
        }
    }

    /// The summed loss of a pass, in nats.
    pub(super) fn evaluate(&self, buffers: &mut Buffers, parameters: &[f32], pass: &Pass<'_>) -> f64 {
        self.forward(buffers, parameters, pass);
        self.head(buffers, parameters, None, pass)
    }

    /// The summed loss of a pass, in nats; adds the gradient of `scale` times it.
    pub(super) fn train(
        &self,
        buffers: &mut Buffers,
        parameters: &[f32],
        gradient: &mut [f32],
        pass: &Pass<'_>,
        scale: f32,
    ) -> f64 {
        self.forward(buffers, parameters, pass);
        let loss = self.head(buffers, parameters, Some((&mut *gradient, scale)), pass);
        self.backward(buffers, parameters, gradient, pass);
        loss
    }

    fn shape(&self, layer: usize, context: usize) -> Shape {
        let (heads, width) = (self.config.n_head, self.config.head_width());
        Shape { t: context, heads, width, scale: self.config.attention_scale(layer) }
    }

    #[expect(clippy::cast_possible_truncation, reason = "activations are f32")]
    fn norm<'a>(&self, parameters: &'a [f32], pair: &Pair) -> Norm<'a> {
        let (gain, bias) = (&parameters[pair.weight.clone()], &parameters[pair.bias.clone()]);
        Norm { gain, bias, epsilon: self.config.layer_norm_epsilon as f32 }
    }

    fn forward(&self, buffers: &mut Buffers, parameters: &[f32], pass: &Pass<'_>) {
        let (r, c) = (pass.ids.len(), self.config.n_embd);
        let first = buffers.entries.first_mut().unwrap_or(&mut buffers.x);
        self.embed(&mut first[..r * c], parameters, pass);
        for layer in 0..buffers.entries.len() {
            let (done, rest) = buffers.entries.split_at_mut(layer + 1);
            let out = rest.first_mut().unwrap_or(&mut buffers.x);
            let place = layer.min(buffers.blocks.len() - 1);
            self.block(
                layer,
                &done[layer][..r * c],
                &mut buffers.blocks[place],
                &mut buffers.branch[..r * c],
                &mut out[..r * c],
                parameters,
                pass,
            );
        }
        let norm = self.norm(parameters, &self.layout.ln_f);
        layer_norm::forward(
            &mut buffers.ln_f[..r * c],
            &mut buffers.ln_f_rows[..r],
            &buffers.x[..r * c],
            norm,
        );
    }

    fn embed(&self, x: &mut [f32], parameters: &[f32], pass: &Pass<'_>) {
        let c = self.config.n_embd;
        let (wte, wpe) = (&parameters[self.layout.wte.clone()], &parameters[self.layout.wpe.clone()]);
        for (row, (x, &id)) in x.chunks_exact_mut(c).zip(pass.ids).enumerate() {
            x.copy_from_slice(&wte[id as usize * c..][..c]);
            math::add(x, &wpe[row % pass.context * c..][..c]);
        }
        dropout::apply(pass.dropout(0), x);
    }

    #[expect(clippy::too_many_arguments, reason = "buffers of one pass, which lie apart")]
    fn block(
        &self,
        layer: usize,
        x: &[f32],
        kept: &mut Kept,
        branch: &mut [f32],
        out: &mut [f32],
        parameters: &[f32],
        pass: &Pass<'_>,
    ) {
        let (r, c, inner) = (pass.ids.len(), self.config.n_embd, self.config.inner());
        let kept = kept.part(r, c, inner, self.config.n_head);
        let slots = &self.layout.blocks[layer];
        let affine = |y: &mut [f32], x: &[f32], pair: &Pair| {
            linear::forward(y, x, &parameters[pair.weight.clone()], &parameters[pair.bias.clone()]);
        };
        let [attention_dropout, mlp_dropout] = residual_dropouts(layer, pass);

        layer_norm::forward(kept.ln_1, kept.ln_1_rows, x, self.norm(parameters, &slots.ln_1));
        affine(kept.qkv, kept.ln_1, &slots.c_attn);
        attention::forward(kept.attended, kept.sums, kept.qkv, self.shape(layer, pass.context));
        affine(branch, kept.attended, &slots.attn_proj);
        dropout::add(attention_dropout, kept.middle, x, branch);

        layer_norm::forward(kept.ln_2, kept.ln_2_rows, kept.middle, self.norm(parameters, &slots.ln_2));
        affine(kept.inner, kept.ln_2, &slots.c_fc);
        gelu::forward(kept.active, kept.inner);
        affine(branch, kept.active, &slots.mlp_proj);
        dropout::add(mlp_dropout, out, kept.middle, branch);
    }

    /// The loss, from the final normalisation on. With a gradient, that of the
    /// normalisation's output is left in `dbranch`.
    fn head(
        &self,
        buffers: &mut Buffers,
        parameters: &[f32],
        mut gradient: Option<(&mut [f32], f32)>,
        pass: &Pass<'_>,
    ) -> f64 {
        let (r, c, vocabulary) = (pass.ids.len(), self.config.n_embd, self.config.vocab_size);
        let weight = View::new(&parameters[self.layout.head.clone()], c); // (vocab, c)
        let mut loss = 0.0;
        let step = r.div_ceil(r.div_ceil(logit_rows(&self.config)));
        for start in (0..r).step_by(step) {
            let rows = start..r.min(start + step);
            let logits = &mut buffers.logits[..rows.len() * vocabulary];
            let x = View::new(&buffers.ln_f[rows.start * c..rows.end * c], c);
            matmul(ViewMut::new(logits, vocabulary), Onto::Nothing, x, weight.t(), 1.0, Threads::All);
            let scale = gradient.as_ref().map(|(_, scale)| *scale);
            loss += cross_entropy::forward(logits, &pass.targets[rows.clone()], vocabulary, scale);
            if let Some((gradient, _)) = &mut gradient {
                let dlogits = View::new(logits, vocabulary);
                let dx = ViewMut::new(&mut buffers.dbranch[rows.start * c..rows.end * c], c);
                matmul(dx, Onto::Nothing, dlogits, weight, 1.0, Threads::All);
                let dweight = ViewMut::new(&mut gradient[self.layout.head.clone()], c);
                matmul(dweight, Onto::Sum, dlogits.t(), x, 1.0, Threads::All);
            }
        }
        loss
    }

    /// From the gradient in `dbranch` back to the embeddings.
    fn backward(&self, buffers: &mut Buffers, parameters: &[f32], gradient: &mut [f32], pass: &Pass<'_>) {
        let (r, c) = (pass.ids.len(), self.config.n_embd);
        let dx = &mut buffers.dx[..r * c];
        dx.fill(0.0);
        let x = (&buffers.x[..r * c], &buffers.ln_f_rows[..r]);
        norm_backward(dx, &buffers.dbranch[..r * c], x, &self.layout.ln_f, parameters, gradient);
        for layer in (0..buffers.entries.len()).rev() {
            // The last one's is there still.
            if buffers.blocks.len() == 1 && layer + 1 < buffers.entries.len() {
                let (x, out) = (&buffers.entries[layer][..r * c], &mut buffers.dqkv[..r * c]);
                let (kept, branch) = (&mut buffers.blocks[0], &mut buffers.branch[..r * c]);
                self.block(layer, x, kept, branch, out, parameters, pass);
            }
            self.block_backward(layer, buffers, parameters, gradient, pass);
        }
        let dx = &mut buffers.dx[..r * c];
        dropout::apply(pass.dropout(0), dx);
        for (row, (dx, &id)) in dx.chunks_exact(c).zip(pass.ids).enumerate() {
            math::add(&mut gradient[self.layout.wte.start + id as usize * c..][..c], dx);
            math::add(&mut gradient[self.layout.wpe.start + row % pass.context * c..][..c], dx);
        }
    }

    fn block_backward(
        &self,
        layer: usize,
        buffers: &mut Buffers,
        parameters: &[f32],
        gradient: &mut [f32],
        pass: &Pass<'_>,
    ) {
        let (r, c, inner) = (pass.ids.len(), self.config.n_embd, self.config.inner());
        let x = &buffers.entries[layer][..r * c];
        let place = layer.min(buffers.blocks.len() - 1);
        let kept = buffers.blocks[place].part(r, c, inner, self.config.n_head);
        let slots = &self.layout.blocks[layer];
        let (dx, branch, dbranch) =
            (&mut buffers.dx[..r * c], &mut buffers.branch[..r * c], &mut buffers.dbranch[..r * c]);
        let (dqkv, dinner) = (&mut buffers.dqkv[..r * 3 * c], &mut buffers.dinner[..r * inner]);
        let [attention_dropout, mlp_dropout] = residual_dropouts(layer, pass);
        let mut back = |dinput: &mut [f32], dy: &[f32], x: &[f32], pair: &Pair| {
            linear_backward(dinput, dy, x, pair, parameters, gradient);
        };

        branch.copy_from_slice(dx);
        dropout::apply(mlp_dropout, branch);
        back(dinner, branch, kept.active, &slots.mlp_proj);
        gelu::backward(dinner, kept.inner);
        back(dbranch, dinner, kept.ln_2, &slots.c_fc);
        norm_backward(dx, dbranch, (kept.middle, kept.ln_2_rows), &slots.ln_2, parameters, gradient);

        branch.copy_from_slice(dx);
        dropout::apply(attention_dropout, branch);
        let mut back = |dinput: &mut [f32], dy: &[f32], x: &[f32], pair: &Pair| {
            linear_backward(dinput, dy, x, pair, parameters, gradient);
        };
        back(dbranch, branch, kept.attended, &slots.attn_proj);
        let saved = Saved { qkv: kept.qkv, y: kept.attended, sums: kept.sums };
        attention::backward(dqkv, dbranch, saved, self.shape(layer, pass.context));
        back(dbranch, dqkv, kept.ln_1, &slots.c_attn);
        norm_backward(dx, dbranch, (x, kept.ln_1_rows), &slots.ln_1, parameters, gradient);
    }
}

/// The most rows of logits that are held at a time.
fn logit_rows(config: &Config) -> usize {
    (LOGITS / config.vocab_size).max(LOGIT_ROWS)
}

/// The patterns for what a block's halves add to the residual stream.
pub(super) fn residual_dropouts(layer: usize, pass: &Pass<'_>) -> [Option<Dropout>; 2] {
    let site = 1 + 2 * layer as u64;
    [pass.dropout(site), pass.dropout(site + 1)]
}

/// Adds to the gradients of a linear layer and writes that of its input.
fn linear_backward(
    dinput: &mut [f32],
    dy: &[f32],
    x: &[f32],
    pair: &Pair,
    parameters: &[f32],
    gradient: &mut [f32],
) {
    let (dweight, dbias) = two(gradient, pair);
    linear::backward_parameters(dweight, dbias, x, dy);
    linear::backward_input(dinput, &parameters[pair.weight.clone()], dy, pair.bias.len());
}

/// Adds to the gradients of a normalisation and to that of its input.
fn norm_backward(
    dx: &mut [f32],
    dy: &[f32],
    (x, rows): (&[f32], &[layer_norm::Moments]),
    pair: &Pair,
    parameters: &[f32],
    gradient: &mut [f32],
) {
    let (dgain, dbias) = two(gradient, pair);
    layer_norm::backward_parameters(dgain, dbias, dy, x, rows);
    layer_norm::backward_input(dx, dy, x, rows, &parameters[pair.weight.clone()]);
}

/// The places of a pair, which follow each other in the layout.
fn two<'a>(gradient: &'a mut [f32], pair: &Pair) -> (&'a mut [f32], &'a mut [f32]) {
    gradient[pair.weight.start..pair.bias.end].split_at_mut(pair.weight.len())
}

/// The parts of what is kept that a pass of `r` rows uses.
struct Part<'a> {
    ln_1: &'a mut [f32],
    ln_1_rows: &'a mut [layer_norm::Moments],
    qkv: &'a mut [f32],
    attended: &'a mut [f32],
    sums: &'a mut [f32],
    middle: &'a mut [f32],
    ln_2: &'a mut [f32],
    ln_2_rows: &'a mut [layer_norm::Moments],
    inner: &'a mut [f32],
    active: &'a mut [f32],
}

impl Kept {
    fn part(&mut self, r: usize, c: usize, inner: usize, heads: usize) -> Part<'_> {
        Part {
            ln_1: &mut self.ln_1[..r * c],
            ln_1_rows: &mut self.ln_1_rows[..r],
            qkv: &mut self.qkv[..r * 3 * c],
            attended: &mut self.attended[..r * c],
            sums: &mut self.sums[..r * heads],
            middle: &mut self.middle[..r * c],
            ln_2: &mut self.ln_2[..r * c],
            ln_2_rows: &mut self.ln_2_rows[..r],
            inner: &mut self.inner[..r * inner],
            active: &mut self.active[..r * inner],
        }
    }
}
