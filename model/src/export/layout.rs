//! The tensors of a GPT-2: their names in Hugging Face's files and in llama.cpp's, and
//! their shapes.

use crate::Config;

/// A tensor of a model.
pub(super) struct Entry {
    /// Hugging Face's name, without `transformer.`.
    pub(super) name: String,
    /// llama.cpp's name.
    pub(super) gguf: String,
    /// As in Hugging Face's files: a projection is (in, out).
    pub(super) shape: Vec<usize>,
    pub(super) role: Role,
}

/// What a tensor does, as far as it decides how it is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
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
pub(super) fn entries(config: &Config) -> Vec<Entry> {
    let c = config.n_embd;
    let matrix = [config.vocab_size, c];
    let mut all = vec![
        entry("wte.weight", "token_embd.weight", &matrix, Role::Embedding),
        entry("wpe.weight", "position_embd.weight", &[config.n_positions, c], Role::Positions),
        entry("ln_f.weight", "output_norm.weight", &[c], Role::Vector),
        entry("ln_f.bias", "output_norm.bias", &[c], Role::Vector),
        entry("lm_head.weight", "output.weight", &matrix, Role::Head),
    ];
    (0..config.n_layer).for_each(|layer| block(config, layer, &mut all));
    all
}

fn block(config: &Config, layer: usize, all: &mut Vec<Entry>) {
    let (c, inner) = (config.n_embd, config.inner());
    let mut add = |name: &str, gguf: &str, shape: &[usize], role| {
        all.push(entry(&format!("h.{layer}.{name}"), &format!("blk.{layer}.{gguf}"), shape, role));
    };
    for (name, gguf) in [("ln_1", "attn_norm"), ("ln_2", "ffn_norm")] {
        add(&format!("{name}.weight"), &format!("{gguf}.weight"), &[c], Role::Vector);
        add(&format!("{name}.bias"), &format!("{gguf}.bias"), &[c], Role::Vector);
    }
    let (attention, bias) = (Role::Attention(layer), Role::AttentionBias(layer));
    for (name, gguf, shape, role, bias) in [
        ("attn.c_attn", "attn_qkv", [c, 3 * c], attention, bias),
        ("attn.c_proj", "attn_output", [c, c], Role::Projection, Role::Vector),
        ("mlp.c_fc", "ffn_up", [c, inner], Role::Projection, Role::Vector),
        ("mlp.c_proj", "ffn_down", [inner, c], Role::Projection, Role::Vector),
    ] {
        add(&format!("{name}.weight"), &format!("{gguf}.weight"), &shape, role);
        add(&format!("{name}.bias"), &format!("{gguf}.bias"), &shape[1..], bias);
    }
}

fn entry(name: &str, gguf: &str, shape: &[usize], role: Role) -> Entry {
    Entry { name: name.to_owned(), gguf: gguf.to_owned(), shape: shape.to_vec(), role }
}
