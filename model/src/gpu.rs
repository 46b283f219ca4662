//! Graphics cards, as far as candle knows them: whether there is one that works, and
//! the numbers it computes with.
//!
//! What is in the program is decided when it is built, by the features `cuda` and
//! `metal`; without them everything here says so and nothing else.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use candle_core::{DType, Device, Tensor};

use crate::ModelError;

/// A way to compute on graphics cards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GpuKind {
    /// NVIDIA's.
    Cuda,
    /// Apple's.
    Metal,
}

impl GpuKind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Cuda, Self::Metal];

    /// Whether it is in this build.
    #[must_use]
    pub const fn is_built(self) -> bool {
        match self {
            Self::Cuda => cfg!(feature = "cuda"),
            Self::Metal => cfg!(feature = "metal"),
        }
    }

    /// Its name for the user.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cuda => "CUDA",
            Self::Metal => "Metal",
        }
    }

    /// The feature that puts it into a build.
    const fn feature(self) -> &'static str {
        match self {
            Self::Cuda => "cuda",
            Self::Metal => "metal",
        }
    }

    const fn driver(self) -> &'static str {
        match self {
            Self::Cuda => "install or update NVIDIA's driver",
            Self::Metal => "update macOS",
        }
    }
}

/// A graphics card that has shown that it works. A clone is the same one.
#[derive(Clone, Debug)]
pub struct Gpu {
    kind: GpuKind,
    device: Device,
    dtype: DType,
}

impl Gpu {
    /// Opens the first card of a kind, and has it work out a small product.
    ///
    /// # Errors
    /// If the kind is not in this build, there is no such card, or it fails.
    pub fn open(kind: GpuKind) -> Result<Self, ModelError> {
        let error =
            |problem: String, remedy: String| ModelError::Device { device: kind.name(), problem, remedy };
        if !kind.is_built() {
            let remedy = format!("build with `--features {}`", kind.feature());
            return Err(error("this build is without it".to_owned(), remedy));
        }
        // What lies below may panic where there is no card at all.
        let opened = catch_unwind(AssertUnwindSafe(|| {
            let device = match kind {
                GpuKind::Cuda => Device::new_cuda(0)?,
                GpuKind::Metal => Device::new_metal(0)?,
            };
            let gpu = Self { kind, device, dtype: DType::F16 };
            gpu.prove().map(|()| gpu)
        }));
        match opened {
            Ok(Ok(gpu)) => Ok(gpu),
            Ok(Err(problem)) => Err(error(first_line(&problem.to_string()), kind.driver().to_owned())),
            Err(panic) => Err(error(first_line(words(panic.as_ref())), kind.driver().to_owned())),
        }
    }

    /// Fails where the card does.
    fn prove(&self) -> Result<(), candle_core::Error> {
        let ones = Tensor::ones((2, 3), self.dtype, &self.device)?;
        let product = ones.matmul(&ones.t()?)?.to_dtype(DType::F32)?.to_vec2::<f32>()?;
        if product == [[3.0; 2]; 2] { Ok(()) } else { candle_core::bail!("it works out wrong products") }
    }

    /// Which card it is.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{} 0", self.kind.name())
    }

    /// Fails where the card does not compute with such numbers.
    pub(crate) fn check(&self, dtype: DType) -> Result<(), ModelError> {
        let name = dtype.as_str().to_uppercase();
        Self { dtype, ..self.clone() }.prove().map_err(|error| ModelError::Device {
            device: self.kind.name(),
            problem: format!("{name} does not work there: {}", first_line(&error.to_string())),
            remedy: "choose another precision".to_owned(),
        })
    }

    /// Where its tensors are.
    pub(crate) fn device(&self) -> &Device {
        &self.device
    }

    /// What to say where training on it failed.
    pub(crate) fn failed(&self, error: &candle_core::Error) -> ModelError {
        ModelError::Device {
            device: self.kind.name(),
            problem: first_line(&error.to_string()),
            remedy: "if its memory is full, lower the batch, or have blocks computed again (gradient checkpointing)"
                .to_owned(),
        }
    }

    /// A card that is the processor: the same operations, to be had everywhere.
    #[cfg(test)]
    pub(crate) fn stand_in(dtype: DType) -> Self {
        Self { kind: GpuKind::Cuda, device: Device::Cpu, dtype }
    }

    /// A copy of a tensor there.
    pub(crate) fn take(&self, tensor: &Tensor) -> Result<Tensor, ModelError> {
        Ok(tensor.to_dtype(self.dtype)?.to_device(&self.device)?)
    }
}

impl fmt::Display for Gpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.name(), self.dtype.as_str())
    }
}

/// Errors from below come with pages of their origin.
fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim().to_owned()
}

/// What a panic said.
fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("it failed without a word")
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::{Gpt2, Part};

    fn fixture(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
    }

    #[track_caller]
    fn check_near(ours: &[f32], expected: &[f32], most: f32) {
        assert_eq!(ours.len(), expected.len());
        let distance = ours.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(distance < most, "{distance}");
    }

    #[test]
    fn general_operations_answer_as_those_of_our_own_alone_and_together() {
        for (dtype, most) in [(DType::F32, 1e-4), (DType::F16, 0.03)] {
            for name in ["plain", "odd", "other"] {
                let model = Gpt2::open(&fixture(name)).unwrap();
                let general = model.to(&Gpu::stand_in(dtype)).unwrap();
                let ids: Vec<u32> = (0..12).map(|n| n * 5 % 11).collect();
                let (mut ours, mut theirs) = (general.cache(), model.cache());
                let mut copy = general.cache();
                for (from, to) in [(0, 5), (5, 6), (6, 9), (9, 10)] {
                    copy = ours.clone();
                    let a = general.forward(&ids[from..to], &mut ours).unwrap();
                    let b = model.forward(&ids[from..to], &mut theirs).unwrap();
                    check_near(&a, &b, most);
                }
                let (mut a, mut b, mut none) = (Vec::new(), Vec::new(), Vec::new());
                let mut fresh = general.cache();
                let all = std::slice::from_ref(&(0..u32::MAX));
                general
                    .read_parts(&mut [
                        Part { ids: &ids[10..12], cache: &mut ours, wanted: all, logits: &mut a },
                        Part { ids: &ids[..7], cache: &mut fresh, wanted: &[], logits: &mut none },
                        Part { ids: &ids[9..10], cache: &mut copy, wanted: all, logits: &mut b },
                    ])
                    .unwrap();
                check_near(&a, &model.forward(&ids[..12], &mut model.cache()).unwrap(), most);
                check_near(&b, &model.forward(&ids[..10], &mut model.cache()).unwrap(), most);
                assert_eq!((ours.len(), fresh.len(), copy.len(), none.len()), (12, 7, 10, 0));
            }
        }
    }

    #[test]
    fn a_cache_of_other_numbers_is_refused() {
        let model = Gpt2::open(&fixture("plain")).unwrap();
        let half = model.to(&Gpu::stand_in(DType::F16)).unwrap();
        assert!(matches!(half.forward(&[1], &mut model.cache()), Err(ModelError::ForeignCache)));
    }

    #[test]
    fn a_card_proves_itself_with_a_product() {
        Gpu::stand_in(DType::F16).prove().unwrap();
        assert_eq!(Gpu::stand_in(DType::F16).to_string(), "CUDA 0, f16");
    }

    #[test]
    fn a_kind_that_is_not_in_the_build_says_so_and_what_to_do() {
        for kind in GpuKind::ALL {
            // Whether or not it is in the build, opening it must come back.
            let opened = Gpu::open(kind);
            if !kind.is_built() {
                let error = opened.err().map(|error| error.to_string()).unwrap_or_default();
                assert!(error.contains("this build is without it; build with `--features"), "{error}");
            }
        }
    }
}
