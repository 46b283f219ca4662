//! A trained model as a plain Hugging Face folder.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use safetensors::serialize;
use serde_json::{Value, json};

use super::checkpoint::write_atomically;
use super::parameters::Layout;
use crate::{Config, ModelError};

/// The largest number that f16 can hold.
const LARGEST_HALF: f32 = 65_504.0;

pub(super) fn write(
    config: &Config,
    layout: &Layout,
    parameters: &[f32],
    dir: &Path,
    half: bool,
) -> Result<(), ModelError> {
    if half && parameters.iter().any(|x| x.abs() > LARGEST_HALF) {
        return Err(ModelError::Training("a weight is too large for f16; export in f32".to_owned()));
    }
    let stored = if half { DType::F16 } else { DType::F32 };
    let tensors = layout.slots.iter().map(|slot| {
        let values = &parameters[slot.range.clone()];
        let tensor = Tensor::from_slice(values, slot.shape.as_slice(), &Device::Cpu)?.to_dtype(stored)?;
        Ok((slot.full_name(), tensor))
    });
    let tensors = tensors.collect::<Result<Vec<_>, candle_core::Error>>()?;
    // Readers of the format ask for this entry before they take the weights.
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let weights = serialize(tensors, Some(metadata)).map_err(candle_core::Error::from)?;
    write_atomically(dir, "model.safetensors", &weights)?;
    write_atomically(dir, "generation_config.json", pretty(&json!({ "do_sample": true })).as_bytes())?;
    write_atomically(dir, "config.json", pretty(&description(config, half)?).as_bytes())
}

/// What `config.json` says beside the shape.
fn description(config: &Config, half: bool) -> Result<Value, ModelError> {
    let mut value = serde_json::to_value(config).map_err(candle_core::Error::wrap)?;
    value["architectures"] = json!(["GPT2LMHeadModel"]);
    value["model_type"] = json!("gpt2");
    value["torch_dtype"] = json!(if half { "float16" } else { "float32" });
    // The defaults of these are ids of the text model.
    value["bos_token_id"] = Value::Null;
    value["eos_token_id"] = Value::Null;
    Ok(value)
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}
