//! The tensors of a GPT-2: their names in Hugging Face's files, and their shapes.

use crate::Config;

/// A tensor of a model.
pub(crate) struct Entry {
    /// Hugging Face's name, without `transformer.`.
    pub(crate) name: String,
    /// As in Hugging Face's files: a projection is (in, out).
    pub(crate) shape: Vec<usize>,
    pub(crate) role: Role,
}

/// What a tensor does, as far as it decides how it is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The vectors of the ids, which are multiplied with as a matrix where they are the head.
    Embedding,
    /// The vectors of the positions, which are only ever looked up.
    Positions,
    /// The output head.
    Head,
    /// A matrix that is stored the other way round than llama.cpp has it.
    Projection,
    /// The matrix to queries, keys and values of a block, counted from 0.
    Attention(usize),
    /// The bias that belongs to it.
    AttentionBias(usize),
    /// Any other bias, and what layer normalisation multiplies with.
    Vector,
}

impl Entry {
    /// How many numbers it has.
    pub(super) fn count(&self) -> usize {
        self.shape.iter().product()
    }
}

/// All tensors of a model, the output head among them, also where it is the embedding.
pub(crate) fn entries(config: &Config) -> Vec<Entry> {
    let c = config.n_embd;
    let matrix = [config.vocab_size, c];
    let mut all = vec![
        entry("wte.weight", &matrix, Role::Embedding),
        entry("wpe.weight", &[config.n_positions, c], Role::Positions),
        entry("ln_f.weight", &[c], Role::Vector),
        entry("ln_f.bias", &[c], Role::Vector),
        entry("lm_head.weight", &matrix, Role::Head),
    ];
    (0..config.n_layer).for_each(|layer| block(config, layer, &mut all));
    all
}

fn block(config: &Config, layer: usize, all: &mut Vec<Entry>) {
    let (c, inner) = (config.n_embd, config.inner());
    let mut add = |name: &str, kind, shape: &[usize], role| {
        all.push(entry(&format!("h.{layer}.{name}.{kind}"), shape, role));
    };
    for name in ["ln_1", "ln_2"] {
        add(name, "weight", &[c], Role::Vector);
        add(name, "bias", &[c], Role::Vector);
    }
    let (attention, bias) = (Role::Attention(layer), Role::AttentionBias(layer));
    for (name, shape, role, bias) in [
        ("attn.c_attn", [c, 3 * c], attention, bias),
        ("attn.c_proj", [c, c], Role::Projection, Role::Vector),
        ("mlp.c_fc", [c, inner], Role::Projection, Role::Vector),
        ("mlp.c_proj", [inner, c], Role::Projection, Role::Vector),
    ] {
        add(name, "weight", &shape, role);
        add(name, "bias", &shape[1..], bias);
    }
}

fn entry(name: &str, shape: &[usize], role: Role) -> Entry {
    Entry { name: name.to_owned(), shape: shape.to_vec(), role }
}
