//! The weight file and the `config.json` of a Hugging Face folder.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::layout::{Entry, entries};
use super::staged::Staged;
use super::{Numbers, Tensors, Watch, append, each, read};
use crate::{Config, ModelError};

/// Writes a model's weights as the safetensors file `path`, every tensor as f32 or f16.
/// Answers how many bytes the file has, or `None` where `watch` stopped it and nothing was
/// written.
///
/// # Errors
/// If a tensor cannot be read or is too large for the numbers, they are q8_0, which
/// safetensors does not have, or the file cannot be written. There is then no new file.
pub fn write(
    source: &dyn Tensors,
    numbers: Numbers,
    path: &Path,
    watch: Watch<'_>,
) -> Result<Option<u64>, ModelError> {
    let Some(kind) = kind(numbers) else {
        let problem = "a safetensors file has no q8_0; write f16, or a .gguf file".to_owned();
        return Err(ModelError::Config { file: path.display().to_string(), problem });
    };
    let config = source.config();
    let tied = config.tie_word_embeddings;
    let all: Vec<Entry> =
        entries(config).into_iter().filter(|entry| !(tied && entry.name == "lm_head.weight")).collect();
    let mut file = Staged::new(path)?;
    file.write(&header(&all, numbers, kind))?;
    each(file, &all, Entry::count, watch, |entry, file| {
        append(file, &read(source, &entry.name, entry.count())?, numbers, source, &entry.name)
    })
}

/// What a folder's `config.json` says of such a model: everything that `before` says where
/// there was one, and the numbers as they are now.
///
/// # Errors
/// None that a configuration could bring about.
pub fn describe(config: &Config, numbers: Numbers, before: Option<Value>) -> Result<Value, ModelError> {
    let shape = serde_json::to_value(config).map_err(candle_core::Error::wrap)?;
    let mut value = match before {
        Some(before @ Value::Object(_)) => before,
        _ => json!({ "bos_token_id": null, "eos_token_id": null }),
    };
    if let (Value::Object(value), Value::Object(shape)) = (&mut value, shape) {
        shape.into_iter().for_each(|(name, shape)| {
            value.entry(name).or_insert(shape);
        });
        value.remove("dtype");
    }
    value["architectures"] = json!(["GPT2LMHeadModel"]);
    value["model_type"] = json!("gpt2");
    value["torch_dtype"] = json!(if numbers == Numbers::F16 { "float16" } else { "float32" });
    Ok(value)
}

/// The format's name for numbers that it has.
const fn kind(numbers: Numbers) -> Option<&'static str> {
    match numbers {
        Numbers::F32 => Some("F32"),
        Numbers::F16 => Some("F16"),
        Numbers::Q8_0 => None,
    }
}

fn full_name(entry: &Entry) -> String {
    if entry.name == "lm_head.weight" { entry.name.clone() } else { format!("transformer.{}", entry.name) }
}

/// The length of the description, and the description, filled up with spaces so that the
/// numbers lie well.
fn header(all: &[Entry], numbers: Numbers, kind: &str) -> Vec<u8> {
    // Readers of the format ask for this entry before they take the weights.
    let mut about = Map::from_iter([("__metadata__".to_owned(), json!({ "format": "pt" }))]);
    let mut offset = 0;
    for entry in all {
        let end = offset + numbers.bytes(entry.count());
        let place = json!({ "dtype": kind, "shape": entry.shape, "data_offsets": [offset, end] });
        about.insert(full_name(entry), place);
        offset = end;
    }
    let mut text = Value::Object(about).to_string();
    text.extend(std::iter::repeat_n(' ', text.len().next_multiple_of(8) - text.len()));
    [&(text.len() as u64).to_le_bytes(), text.as_bytes()].concat()
}
