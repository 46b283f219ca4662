//! A run's state on disk, in one file so that it is whole or not there: weights
//! and moments as three flat tensors, everything else as metadata.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::path::Path;

use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensors, serialize};

use super::adamw::Moments;
use super::gpu::HIGHEST_SCALE;
use super::lora::Places;
use super::parameters::Layout;
use super::{State, TrainConfig, Trainer, check_settings};
use crate::{Config, ModelError};

const FILE: &str = "checkpoint.safetensors";
/// What is learned in place of the weights; these are then the ones it is added to.
const ADAPTERS: &str = "adapters";
const WEIGHTS: &str = "parameters";
const LOSS_SCALE: &str = "loss_scale";
const MOMENTS: [&str; 2] = ["first_moment", "second_moment"];

/// What a checkpoint holds.
pub(super) struct Saved {
    pub(super) config: Config,
    pub(super) train: TrainConfig,
    pub(super) step: u64,
    pub(super) state: State<'static>,
}

/// Writes `bytes` to `name` in the folder `dir`: what stood there before is
/// replaced at the end, by renaming, so that no reader ever meets half a file.
pub(super) fn write_atomically(dir: &Path, name: &str, bytes: &[u8]) -> Result<(), ModelError> {
    let (file, temporary) = (dir.join(name), dir.join(format!(".{name}.part")));
    let write = || {
        fs::create_dir_all(dir)?;
        let mut target = fs::File::create(&temporary)?;
        target.write_all(bytes)?;
        target.sync_all()?;
        fs::rename(&temporary, &file)
    };
    let remedy = "choose a folder that can be written to, on a disk with room";
    write().map_err(|source| ModelError::Io { file: file.clone(), source, remedy })
}

pub(super) fn write(trainer: &Trainer, dir: &Path) -> Result<(), ModelError> {
    let state = trainer.learner.state()?;
    let mut flat: Vec<(&str, &[f32])> = vec![(WEIGHTS, &state.parameters)];
    flat.extend(MOMENTS.into_iter().zip([state.moments.first.as_slice(), &state.moments.second]));
    flat.extend(state.adapters.as_deref().map(|values| (ADAPTERS, values)));
    let bytes: Vec<(&str, usize, Vec<u8>)> = flat
        .into_iter()
        .map(|(name, values)| (name, values.len(), values.iter().flat_map(|x| x.to_le_bytes()).collect()))
        .collect();
    let damaged = |error: &dyn std::fmt::Display| ModelError::Damaged {
        file: dir.join(FILE).display().to_string(),
        problem: format!("cannot be made ({error})"),
    };
    let views = bytes
        .iter()
        .map(|(name, len, bytes)| TensorView::new(Dtype::F32, vec![*len], bytes).map(|view| (*name, view)));
    let views = views.collect::<Result<Vec<_>, _>>().map_err(|error| damaged(&error))?;
    let json = |value: serde_json::Result<String>| value.map_err(|error| damaged(&error));
    let metadata = HashMap::from([
        ("config".to_owned(), json(serde_json::to_string(&trainer.config))?),
        ("train".to_owned(), json(serde_json::to_string(&trainer.train))?),
        ("step".to_owned(), trainer.step.to_string()),
        (LOSS_SCALE.to_owned(), state.loss_scale.to_string()),
    ]);
    let file = serialize(views, Some(metadata)).map_err(|error| damaged(&error))?;
    write_atomically(dir, FILE, &file)
}

pub(super) fn read(dir: &Path) -> Result<Saved, ModelError> {
    let file = dir.join(FILE);
    let remedy = "a checkpoint is a folder that holds checkpoint.safetensors";
    let bytes = fs::read(&file).map_err(|source| ModelError::Io { file: file.clone(), source, remedy })?;
    let name = file.display().to_string();
    let damaged = |problem: String| ModelError::Damaged {
        file: name.clone(),
        problem: format!("not a checkpoint, or a damaged one: {problem}; go on from another"),
    };
    let tensors = SafeTensors::deserialize(&bytes).map_err(|error| damaged(error.to_string()))?;
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|error| damaged(error.to_string()))?;
    let metadata = header.metadata().as_ref();
    let entry = |key: &str| {
        metadata.and_then(|entries| entries.get(key)).ok_or_else(|| damaged(format!("no entry `{key}`")))
    };
    let json = |error: serde_json::Error| damaged(error.to_string());
    let config: Config = serde_json::from_str(entry("config")?).map_err(json)?;
    let train: TrainConfig = serde_json::from_str(entry("train")?).map_err(json)?;
    let step = entry("step")?.parse().map_err(|_| damaged("no step number".to_owned()))?;
    // Checkpoints of before cards have none.
    let loss_scale = entry(LOSS_SCALE).ok().and_then(|scale| scale.parse().ok()).unwrap_or(HIGHEST_SCALE);
    config.check(&name)?;
    check_settings(&config, &train)?;
    let layout = Layout::new(&config);
    let len = layout.len();
    let flat = |tensor: &str, len: usize| {
        let view = tensors.tensor(tensor).map_err(|error| damaged(error.to_string()))?;
        if view.dtype() != Dtype::F32 || view.shape() != [len] {
            return Err(damaged(format!("`{tensor}` is not {len} numbers")));
        }
        Ok(view.data().as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect())
    };
    let parameters: Vec<f32> = flat(WEIGHTS, len)?;
    let learned = train.lora.map(|lora| Places::new(lora, &layout).len());
    let adapters = learned.map(|count| flat(ADAPTERS, count)).transpose()?;
    let [first, second] = MOMENTS.map(|name| flat(name, learned.unwrap_or(len)));
    let state = State {
        parameters: parameters.into(),
        moments: Cow::Owned(Moments { first: first?, second: second? }),
        adapters: adapters.map(Cow::Owned),
        loss_scale,
    };
    Ok(Saved { config, train, step, state })
}
