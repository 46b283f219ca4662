//! A model wherever it runs: what programs hold that let their users choose.

use std::future::Future;
use std::path::Path;

use crate::cpu::{Cpu, CpuCache, Precision};
use crate::{Cache, Config, Gpt2, Gpu, KvCache, ModelError, ModelFiles, Network, Part};

/// A [`Network`] on the processor or on a graphics card.
#[derive(Debug)]
pub enum Decoder {
    /// On the processor.
    Cpu(Cpu),
    /// On a graphics card.
    Gpu(Gpt2, Gpu),
}

/// What a [`Decoder`] has read.
#[derive(Clone, Debug)]
pub enum DecoderCache {
    /// On the processor.
    Cpu(CpuCache),
    /// On a graphics card.
    Gpu(Cache),
}

impl Decoder {
    /// Loads a model, a folder or a file as [`ModelFiles`] finds them, for a graphics card if
    /// one is given.
    ///
    /// # Errors
    /// Those of [`Cpu::open`], [`Gpt2::open`] and [`Gpt2::to`].
    pub fn open(path: &Path, gpu: Option<Gpu>) -> Result<Self, ModelError> {
        Self::from_files(ModelFiles::open(path)?, gpu)
    }

    /// Makes the model whose files are open, for a graphics card if one is given.
    ///
    /// # Errors
    /// Those of [`Decoder::open`].
    pub fn from_files(files: ModelFiles, gpu: Option<Gpu>) -> Result<Self, ModelError> {
        match gpu {
            None => Ok(Self::Cpu(Cpu::from_files(files, Precision::default())?)),
            Some(gpu) => Ok(Self::Gpu(Gpt2::from_files(files)?.to(&gpu)?, gpu)),
        }
    }

    /// Makes the model that `config` describes, for a graphics card if one is given.
    ///
    /// # Errors
    /// Those of [`Cpu::from_bytes`], [`Gpt2::from_bytes`] and [`Gpt2::to`].
    pub fn from_bytes(config: Config, safetensors: &[u8], gpu: Option<Gpu>) -> Result<Self, ModelError> {
        match gpu {
            None => Ok(Self::Cpu(Cpu::from_bytes(config, safetensors, Precision::default())?)),
            Some(gpu) => Ok(Self::Gpu(Gpt2::from_bytes(config, safetensors)?.to(&gpu)?, gpu)),
        }
    }

    /// What it runs on and in which numbers, in words for the user.
    #[must_use]
    pub fn device(&self) -> String {
        match self {
            Self::Cpu(cpu) => format!("CPU, {}, {}", cpu.isa(), cpu.precision()),
            Self::Gpu(_, gpu) => gpu.to_string(),
        }
    }
}

impl Network for Decoder {
    type Cache = DecoderCache;

    fn config(&self) -> &Config {
        match self {
            Self::Cpu(cpu) => cpu.config(),
            Self::Gpu(gpt2, _) => gpt2.config(),
        }
    }

    fn cache(&self) -> DecoderCache {
        match self {
            Self::Cpu(cpu) => DecoderCache::Cpu(cpu.cache()),
            Self::Gpu(gpt2, _) => DecoderCache::Gpu(gpt2.cache()),
        }
    }

    async fn read(&self, parts: &mut [Part<'_, DecoderCache>]) -> Result<(), ModelError> {
        match self {
            Self::Cpu(cpu) => {
                let mut parts = narrow(parts, |cache| match cache {
                    DecoderCache::Cpu(cache) => Some(cache),
                    DecoderCache::Gpu(_) => None,
                })?;
                cpu.read(&mut parts).await
            }
            Self::Gpu(gpt2, _) => {
                let mut parts = narrow(parts, |cache| match cache {
                    DecoderCache::Gpu(cache) => Some(cache),
                    DecoderCache::Cpu(_) => None,
                })?;
                gpt2.read(&mut parts).await
            }
        }
    }

    fn run<T: Send>(&self, work: impl Future<Output = T> + Send) -> T {
        match self {
            Self::Cpu(cpu) => cpu.run(work),
            Self::Gpu(gpt2, _) => gpt2.run(work),
        }
    }

    fn due(&self, when: u64) {
        match self {
            Self::Cpu(cpu) => cpu.due(when),
            Self::Gpu(gpt2, _) => gpt2.due(when),
        }
    }
}

impl KvCache for DecoderCache {
    fn len(&self) -> usize {
        match self {
            Self::Cpu(cache) => cache.len(),
            Self::Gpu(cache) => cache.len(),
        }
    }

    fn truncate(&mut self, len: usize) {
        match self {
            Self::Cpu(cache) => cache.truncate(len),
            Self::Gpu(cache) => cache.truncate(len),
        }
    }
}

/// The same parts with caches of one kind.
fn narrow<'a, C>(
    parts: &'a mut [Part<'_, DecoderCache>],
    cache: impl Fn(&mut DecoderCache) -> Option<&mut C>,
) -> Result<Vec<Part<'a, C>>, ModelError> {
    let parts = parts.iter_mut().map(|part| {
        let cache = cache(&mut *part.cache).ok_or(ModelError::ForeignCache)?;
        Ok(Part { ids: part.ids, cache, wanted: part.wanted, logits: &mut *part.logits })
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decoder_answers_as_what_it_is_made_of() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/plain");
        let decoder = Decoder::open(&dir, None).unwrap();
        let cpu = Cpu::open(&dir, Precision::Int8).unwrap();
        let expected = cpu.read_one(&[1, 2, 3], &mut cpu.cache()).unwrap();
        assert_eq!(decoder.read_one(&[1, 2, 3], &mut decoder.cache()).unwrap(), expected);
        assert!(decoder.device().starts_with("CPU, ") && decoder.device().ends_with(", int8"));
        let mut foreign = DecoderCache::Gpu(Gpt2::open(&dir).unwrap().cache());
        assert!(matches!(decoder.read_one(&[1], &mut foreign), Err(ModelError::ForeignCache)));
    }
}
