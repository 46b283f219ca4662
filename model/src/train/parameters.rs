//! Where every weight lives: all of them in one slice of f32, so that
//! gradients, moments and checkpoints are slices of the same layout.

use std::ops::Range;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::weights::Weights;
use crate::{Config, ModelError};

/// How a fresh tensor is filled.
#[derive(Clone, Copy)]
enum Initial {
    Zeros,
    Ones,
    /// Normally distributed with this deviation.
    Normal(f64),
}

/// One tensor among the parameters.
pub(super) struct Slot {
    /// Its name in a checkpoint, below the transformer or the file as a whole.
    pub(super) name: String,
    pub(super) shape: Vec<usize>,
    pub(super) range: Range<usize>,
    /// Whether weight decay applies.
    pub(super) decays: bool,
    initial: Initial,
}

/// Weight and bias of a linear or normalising layer.
#[derive(Clone)]
pub(super) struct Pair {
    pub(super) weight: Range<usize>,
    pub(super) bias: Range<usize>,
}

/// The tensors of a block.
pub(super) struct BlockSlots {
    pub(super) ln_1: Pair,
    pub(super) c_attn: Pair,
    pub(super) attn_proj: Pair,
    pub(super) ln_2: Pair,
    pub(super) c_fc: Pair,
    pub(super) mlp_proj: Pair,
}

/// The places of all tensors of a model.
pub(super) struct Layout {
    pub(super) slots: Vec<Slot>,
    pub(super) wte: Range<usize>,
    pub(super) wpe: Range<usize>,
    pub(super) blocks: Vec<BlockSlots>,
    pub(super) ln_f: Pair,
    /// The output head, `(vocab, c)`; the same as `wte` if they are tied.
    pub(super) head: Range<usize>,
}

/// Gives out places one after the other.
#[derive(Default)]
struct Builder {
    slots: Vec<Slot>,
    len: usize,
}

impl Builder {
    fn add(&mut self, name: String, shape: &[usize], initial: Initial, decays: bool) -> Range<usize> {
        let range = self.len..self.len + shape.iter().product::<usize>();
        self.len = range.end;
        self.slots.push(Slot { name, shape: shape.to_vec(), range: range.clone(), decays, initial });
        range
    }

    fn norm(&mut self, name: &str, width: usize) -> Pair {
        Pair {
            weight: self.add(format!("{name}.weight"), &[width], Initial::Ones, false),
            bias: self.add(format!("{name}.bias"), &[width], Initial::Zeros, false),
        }
    }

    fn linear(&mut self, name: &str, inputs: usize, outputs: usize, deviation: f64) -> Pair {
        Pair {
            weight: self.add(format!("{name}.weight"), &[inputs, outputs], Initial::Normal(deviation), true),
            bias: self.add(format!("{name}.bias"), &[outputs], Initial::Zeros, false),
        }
    }
}

const HEAD: &str = "lm_head.weight";

impl Layout {
    /// The layout of the model that `config` describes.
    #[expect(clippy::cast_precision_loss, reason = "the number of blocks is small")]
    pub(super) fn new(config: &Config) -> Self {
        let (c, inner) = (config.n_embd, config.inner());
        let deviation = config.initializer_range;
        // Every block adds twice to the residual stream; this keeps the sum's variance from growing.
        let residual = deviation / (2.0 * config.n_layer as f64).sqrt();
        let mut builder = Builder::default();
        let normal = Initial::Normal(deviation);
        let wte = builder.add("wte.weight".to_owned(), &[config.vocab_size, c], normal, false);
        let wpe = builder.add("wpe.weight".to_owned(), &[config.n_positions, c], normal, false);
        let blocks = (0..config.n_layer).map(|i| BlockSlots {
            ln_1: builder.norm(&format!("h.{i}.ln_1"), c),
            c_attn: builder.linear(&format!("h.{i}.attn.c_attn"), c, 3 * c, deviation),
            attn_proj: builder.linear(&format!("h.{i}.attn.c_proj"), c, c, residual),
            ln_2: builder.norm(&format!("h.{i}.ln_2"), c),
            c_fc: builder.linear(&format!("h.{i}.mlp.c_fc"), c, inner, deviation),
            mlp_proj: builder.linear(&format!("h.{i}.mlp.c_proj"), inner, c, residual),
        });
        let blocks = blocks.collect();
        let ln_f = builder.norm("ln_f", c);
        let head = if config.tie_word_embeddings {
            wte.clone()
        } else {
            builder.add(HEAD.to_owned(), &[config.vocab_size, c], normal, false)
        };
        Self { slots: builder.slots, wte, wpe, blocks, ln_f, head }
    }

    /// How many parameters there are.
    pub(super) fn len(&self) -> usize {
        self.slots.last().map_or(0, |slot| slot.range.end)
    }

    /// Fresh weights, the same for the same `seed`.
    pub(super) fn initialise(&self, seed: u64) -> Vec<f32> {
        filled(&self.slots, seed)
    }

    /// The weights of a file, every shape checked.
    pub(super) fn read(&self, weights: &Weights<'_>) -> Result<Vec<f32>, ModelError> {
        weights.check_blocks(self.blocks.len())?;
        let mut parameters = vec![0.0; self.len()];
        for slot in &self.slots {
            slot.read(weights, &mut parameters)?;
        }
        Ok(parameters)
    }

    /// The weights of a file, every shape checked, but what belongs to ids is fresh, the same
    /// for the same `seed`.
    pub(super) fn read_but_ids(&self, weights: &Weights<'_>, seed: u64) -> Result<Vec<f32>, ModelError> {
        weights.check_blocks(self.blocks.len())?;
        let mut parameters = self.initialise(seed);
        for slot in self.slots.iter().filter(|slot| slot.range != self.wte && slot.range != self.head) {
            slot.read(weights, &mut parameters)?;
        }
        Ok(parameters)
    }
}

impl Slot {
    fn read(&self, weights: &Weights<'_>, parameters: &mut [f32]) -> Result<(), ModelError> {
        let scope = if self.name == HEAD { weights.root() } else { weights.transformer() };
        let values = scope.values(&self.shape, &self.name)?.to_vec();
        parameters[self.range.clone()].copy_from_slice(&values);
        Ok(())
    }

    /// The name that `transformers` writes.
    pub(super) fn full_name(&self) -> String {
        if self.name == HEAD { self.name.clone() } else { format!("transformer.{}", self.name) }
    }
}

/// Fresh numbers for all of some places that follow each other.
pub(super) fn filled(slots: &[Slot], seed: u64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut parameters = vec![0.0; slots.last().map_or(0, |slot| slot.range.end)];
    for slot in slots {
        let values = &mut parameters[slot.range.clone()];
        match slot.initial {
            Initial::Zeros => {}
            Initial::Ones => values.fill(1.0),
            Initial::Normal(deviation) => values.fill_with(|| normal(&mut rng, deviation)),
        }
    }
    parameters
}

/// The place of a matrix that adapts another: random numbers, or zeros.
pub(super) fn thin(name: String, shape: [usize; 2], start: usize, random: bool, decays: bool) -> Slot {
    let range = start..start + shape[0] * shape[1];
    // As wide as the authors' own code has it (`loralib`: Kaiming's uniform with a = sqrt(5)).
    #[expect(clippy::cast_precision_loss, reason = "a width")]
    let deviation = (1.0 / (3.0 * shape[0] as f64)).sqrt();
    let initial = if random { Initial::Normal(deviation) } else { Initial::Zeros };
    Slot { name, shape: shape.to_vec(), range, decays, initial }
}

/// A normally distributed number, by the method of Box and Muller.
#[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
fn normal(rng: &mut ChaCha8Rng, deviation: f64) -> f32 {
    let (u, v): (f64, f64) = (rng.random(), rng.random());
    ((-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos() * deviation) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config { vocab_size: 50, n_positions: 20, n_embd: 32, n_layer: 2, n_head: 4, ..Config::default() }
    }

    #[test]
    fn fresh_weights_are_distributed_as_gpt2s() {
        let layout = Layout::new(&config());
        let parameters = layout.initialise(1);
        let deviation = |range: &Range<usize>| {
            let values = &parameters[range.clone()];
            let squares: f32 = values.iter().map(|x| x * x).sum();
            (squares / f32::from(u16::try_from(values.len()).unwrap())).sqrt()
        };
        assert!((deviation(&layout.wte) - 0.02).abs() < 0.002);
        assert!((deviation(&layout.blocks[1].c_fc.weight) - 0.02).abs() < 0.002);
        assert!((deviation(&layout.blocks[1].mlp_proj.weight) - 0.01).abs() < 0.001);
        assert!(parameters[layout.ln_f.weight.clone()].iter().all(|&x| x == 1.0));
        assert!(parameters[layout.blocks[0].c_attn.bias.clone()].iter().all(|&x| x == 0.0));
        assert_eq!(parameters, layout.initialise(1));
        assert_ne!(parameters, layout.initialise(2));
    }

    #[test]
    fn decay_is_for_the_matrices_of_the_blocks() {
        let layout = Layout::new(&Config { tie_word_embeddings: false, ..config() });
        for slot in &layout.slots {
            let matrix = slot.name.contains("c_") && slot.name.ends_with("weight");
            assert_eq!(slot.decays, matrix, "{}", slot.name);
        }
    }
}
