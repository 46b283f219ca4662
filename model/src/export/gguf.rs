//! GGUF files, version 3, as llama.cpp reads its architecture `gpt2`.
//!
//! The numbers of a projection are stored the other way round than in Hugging Face's
//! files. llama.cpp divides attention scores by the root of the head width and by
//! nothing else, so what a model wants beyond that is multiplied into its queries.
//! It knows one nonlinearity, GPT-2's own; a model with another one is refused.

use std::path::Path;

use super::layout::{Entry, Role, entries};
use super::staged::Staged;
use super::{About, Numbers, Tensors, Vocabulary, Watch, append, each, read};
use crate::weights::gguf_name;
use crate::{Activation, Config, ModelError};

/// The key under which a file names the encoding of its ids.
pub const ENCODING_KEY: &str = "continuo.encoding";

/// The key of the version of that encoding's vocabulary.
pub const ENCODING_VERSION_KEY: &str = "continuo.encoding_version";

/// What the data of a tensor begins at a multiple of, in bytes.
const ALIGNMENT: u64 = 32;

/// Writes a model as the GGUF file `path`, its matrices as `numbers`; those whose rows
/// cannot be divided into blocks become f16, vectors and positions are f32. Answers how
/// many bytes the file has, or `None` where `watch` stopped it and nothing was written.
///
/// # Errors
/// If llama.cpp could not compute what the model computes, a tensor cannot be read or is
/// too large for the numbers, or the file cannot be written. There is then no new file.
pub fn write(
    source: &dyn Tensors,
    about: &About,
    numbers: Numbers,
    path: &Path,
    watch: Watch<'_>,
) -> Result<Option<u64>, ModelError> {
    let config = source.config();
    check(config, source.file())?;
    let planned: Vec<Planned> =
        entries(config).into_iter().map(|entry| Planned::new(entry, numbers)).collect();
    let mut file = Staged::new(path)?;
    file.write(&header(config, about, numbers, &planned))?;
    file.pad(ALIGNMENT)?;
    each(file, &planned, |tensor| tensor.entry.count(), watch, |tensor, file| tensor.write(source, file))
}

/// Refuses what llama.cpp's `gpt2` cannot be told.
fn check(config: &Config, file: &Path) -> Result<(), ModelError> {
    let name = match config.activation_function {
        Activation::GeluNew => return Ok(()),
        Activation::Gelu => "gelu (by the error function)",
        Activation::Relu => "relu",
        Activation::Silu => "silu",
    };
    let problem = format!(
        "the model's activation_function is {name}, but GGUF's gpt2 has gelu_new alone and would compute something \
         else; keep it as a safetensors folder"
    );
    Err(ModelError::Config { file: file.display().to_string(), problem })
}

/// A tensor and how it is to be stored.
struct Planned {
    entry: Entry,
    numbers: Numbers,
}

impl Planned {
    fn new(entry: Entry, numbers: Numbers) -> Self {
        let numbers = match entry.role {
            Role::Embedding | Role::Head => numbers.for_rows_of(entry.shape[1]),
            Role::Projection | Role::Attention(_) => numbers.for_rows_of(entry.shape[0]),
            Role::Positions | Role::AttentionBias(_) | Role::Vector => Numbers::F32,
        };
        Self { entry, numbers }
    }

    /// The sizes in GGUF's order: numbers that stand side by side first.
    fn dimensions(&self) -> Vec<u64> {
        let mut sizes: Vec<u64> = self.entry.shape.iter().map(|&size| size as u64).collect();
        if !self.transposed() {
            sizes.reverse();
        }
        sizes
    }

    fn transposed(&self) -> bool {
        matches!(self.entry.role, Role::Projection | Role::Attention(_))
    }

    fn bytes(&self) -> u64 {
        self.numbers.bytes(self.entry.count()) as u64
    }

    fn write(&self, source: &dyn Tensors, file: &mut Staged) -> Result<(), ModelError> {
        let config = source.config();
        let tied = self.entry.role == Role::Head && config.tie_word_embeddings;
        let name = if tied { "wte.weight" } else { &self.entry.name };
        let mut values = read(source, name, self.entry.count())?;
        if self.transposed() {
            values = transpose(&values, self.entry.shape[0]);
        }
        if let Role::Attention(layer) | Role::AttentionBias(layer) = self.entry.role {
            fold(config, layer, &mut values);
        }
        append(file, &values, self.numbers, source, name)?;
        file.pad(ALIGNMENT)
    }
}

/// A matrix of so many rows the other way round.
fn transpose(values: &[f32], rows: usize) -> Vec<f32> {
    const TILE: usize = 32;
    let columns = values.len() / rows;
    let mut turned = vec![0.0; values.len()];
    for first in (0..columns).step_by(TILE) {
        for (row, numbers) in values.chunks_exact(columns).enumerate() {
            for column in first..columns.min(first + TILE) {
                turned[column * rows + row] = numbers[column];
            }
        }
    }
    turned
}

/// Multiplies the queries, the first third, with what the model's attention scores are
/// multiplied with beyond what llama.cpp does.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "small and exact")]
fn fold(config: &Config, layer: usize, values: &mut [f32]) {
    let mut factor = 1.0;
    if !config.scale_attn_weights {
        factor *= (config.head_width() as f64).sqrt();
    }
    if config.scale_attn_by_inverse_layer_idx {
        factor /= (layer + 1) as f64;
    }
    let queries = values.len() / 3;
    values[..queries].iter_mut().for_each(|value| *value = (f64::from(*value) * factor) as f32);
}

/// All before the tensors' data, without the padding.
fn header(config: &Config, about: &About, numbers: Numbers, planned: &[Planned]) -> Vec<u8> {
    let entries = metadata(config, about, numbers);
    let mut header = b"GGUF".to_vec();
    header.extend(3_u32.to_le_bytes());
    header.extend((planned.len() as u64).to_le_bytes());
    header.extend((entries.len() as u64).to_le_bytes());
    for (key, entry) in &entries {
        string(&mut header, key);
        entry.write(&mut header);
    }
    let mut offset: u64 = 0;
    for tensor in planned {
        string(&mut header, &gguf_name(&tensor.entry.name));
        let sizes = tensor.dimensions();
        #[expect(clippy::cast_possible_truncation, reason = "one or two")]
        header.extend((sizes.len() as u32).to_le_bytes());
        sizes.iter().for_each(|size| header.extend(size.to_le_bytes()));
        header.extend(tensor_type(tensor.numbers).to_le_bytes());
        header.extend(offset.to_le_bytes());
        offset += tensor.bytes().next_multiple_of(ALIGNMENT);
    }
    header
}

/// ggml's number for a format.
const fn tensor_type(numbers: Numbers) -> u32 {
    match numbers {
        Numbers::F32 => 0,
        Numbers::F16 => 1,
        Numbers::Q8_0 => 8,
    }
}

/// llama.cpp's number for a file of which most is in a format.
const fn file_type(numbers: Numbers) -> u32 {
    match numbers {
        Numbers::F32 => 0,
        Numbers::F16 => 1,
        Numbers::Q8_0 => 7,
    }
}

/// What a file says of itself.
enum Metadata {
    U32(u32),
    F32(f32),
    Bool(bool),
    Text(String),
    Texts(Vec<String>),
    I32s(Vec<i32>),
}

impl Metadata {
    /// Appends the kind of the value and the value.
    fn write(&self, to: &mut Vec<u8>) {
        let (kind, length) = self.kind();
        if let Some(length) = length {
            to.extend(ARRAY.to_le_bytes());
            to.extend(kind.to_le_bytes());
            to.extend((length as u64).to_le_bytes());
        } else {
            to.extend(kind.to_le_bytes());
        }
        match self {
            Self::U32(number) => to.extend(number.to_le_bytes()),
            Self::F32(number) => to.extend(number.to_le_bytes()),
            Self::Bool(yes) => to.push(u8::from(*yes)),
            Self::Text(text) => string(to, text),
            Self::Texts(all) => all.iter().for_each(|text| string(to, text)),
            Self::I32s(all) => to.extend(all.iter().flat_map(|number| number.to_le_bytes())),
        }
    }

    /// GGUF's number for the kind of value, and how many there are in a list.
    fn kind(&self) -> (u32, Option<usize>) {
        match self {
            Self::U32(_) => (4, None),
            Self::F32(_) => (6, None),
            Self::Bool(_) => (7, None),
            Self::Text(_) => (8, None),
            Self::Texts(all) => (8, Some(all.len())),
            Self::I32s(all) => (5, Some(all.len())),
        }
    }
}

/// GGUF's number for a list.
const ARRAY: u32 = 9;

fn string(to: &mut Vec<u8>, text: &str) {
    to.extend((text.len() as u64).to_le_bytes());
    to.extend(text.as_bytes());
}

fn metadata(config: &Config, about: &About, numbers: Numbers) -> Vec<(&'static str, Metadata)> {
    use Metadata::{Bool, F32, Text, U32};
    // A configuration was checked: none of its sizes comes near the end of a u32.
    let size = |size: usize| U32(u32::try_from(size).unwrap_or(u32::MAX));
    let text = |text: &str| Text(text.to_owned());
    let mut all = vec![
        ("general.architecture", text("gpt2")),
        ("general.name", text(&about.name)),
        ("general.file_type", U32(file_type(numbers))),
    ];
    if numbers == Numbers::Q8_0 {
        all.push(("general.quantization_version", U32(2)));
    }
    #[expect(clippy::cast_possible_truncation, reason = "as GGUF has it")]
    let epsilon = F32(config.layer_norm_epsilon as f32);
    all.extend([
        ("gpt2.block_count", size(config.n_layer)),
        ("gpt2.context_length", size(config.n_positions)),
        ("gpt2.embedding_length", size(config.n_embd)),
        ("gpt2.feed_forward_length", size(config.inner())),
        ("gpt2.attention.head_count", size(config.n_head)),
        ("gpt2.attention.layer_norm_epsilon", epsilon),
    ]);
    if let Some((encoding, version)) = &about.encoding {
        all.push((ENCODING_KEY, text(encoding)));
        all.push((ENCODING_VERSION_KEY, U32(*version)));
    }
    // The scales as they are once the queries have taken up the rest.
    all.extend([
        ("continuo.activation_function", text("gelu_new")),
        ("continuo.scale_attn_weights", Bool(true)),
        ("continuo.scale_attn_by_inverse_layer_idx", Bool(false)),
        ("continuo.tie_word_embeddings", Bool(config.tie_word_embeddings)),
    ]);
    all.extend(tokenizer(about.vocabulary.clone(), config.vocab_size));
    all
}

fn tokenizer(vocabulary: Option<Vocabulary>, ids: usize) -> [(&'static str, Metadata); 7] {
    use Metadata::{I32s, Text, Texts, U32};
    let Vocabulary { tokens, kinds, merges, end } =
        vocabulary.unwrap_or_else(|| Vocabulary::placeholders(ids));
    [
        ("tokenizer.ggml.model", Text("gpt2".to_owned())),
        ("tokenizer.ggml.pre", Text("gpt-2".to_owned())),
        ("tokenizer.ggml.tokens", Texts(tokens)),
        ("tokenizer.ggml.token_type", I32s(kinds)),
        ("tokenizer.ggml.merges", Texts(merges)),
        ("tokenizer.ggml.bos_token_id", U32(end)),
        ("tokenizer.ggml.eos_token_id", U32(end)),
    ]
}
