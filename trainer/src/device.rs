//! `--device`: what a model runs on, and learns on, as it is typed.

use std::fmt;

use anyhow::bail;
use clap::{Args, ValueEnum};
use continuo_engine::DeviceChoice;
use continuo_model::train::{Precision, Trainer};
use continuo_model::{Gpu, GpuKind, ModelError};

/// What a model shall run on.
#[derive(Clone, Copy, Debug, Args)]
pub struct DeviceArgs {
    /// What the model runs on; the same seed may give other notes on another
    #[arg(long, value_enum, default_value_t = DeviceName::Auto, value_name = "DEVICE")]
    pub device: DeviceName,
}

/// The names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DeviceName {
    /// A graphics card that works, in a build that knows any; else the processor
    Auto,
    /// The processor
    Cpu,
    /// NVIDIA's graphics cards (a build with `--features cuda`)
    Cuda,
    /// Apple's graphics cards (a build with `--features metal`)
    Metal,
}

impl From<DeviceName> for DeviceChoice {
    fn from(name: DeviceName) -> Self {
        match name {
            DeviceName::Auto => Self::Auto,
            DeviceName::Cpu => Self::Cpu,
            DeviceName::Cuda => Self::Cuda,
            DeviceName::Metal => Self::Metal,
        }
    }
}

/// What a model shall learn on.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct LearningArgs {
    /// What the model learns on [default: auto]
    #[arg(long, value_enum, value_name = "DEVICE")]
    pub device: Option<DeviceName>,
    /// What matrix products are made of on a graphics card; all else stays f32 [default: f32]
    #[arg(long, value_enum)]
    pub precision: Option<PrecisionName>,
}

impl LearningArgs {
    /// The device that is asked for, or the usual one.
    #[must_use]
    pub fn device(self, usual: DeviceChoice) -> DeviceChoice {
        self.device.map_or(usual, DeviceChoice::from)
    }

    /// The precision that is asked for, or the usual one.
    #[must_use]
    pub fn precision(self, usual: Precision) -> Precision {
        self.precision.map_or(usual, Precision::from)
    }
}

/// The numbers of matrix products.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PrecisionName {
    /// As on the processor
    F32,
    /// Half the memory and faster: NVIDIA's cards since Ampere, Apple's
    Bf16,
    /// Half the memory and faster, on older cards too
    F16,
}

impl From<PrecisionName> for Precision {
    fn from(name: PrecisionName) -> Self {
        match name {
            PrecisionName::F32 => Self::F32,
            PrecisionName::Bf16 => Self::Bf16,
            PrecisionName::F16 => Self::F16,
        }
    }
}

/// Where models learn.
pub struct Place {
    gpu: Option<Gpu>,
    precision: Precision,
}

impl Place {
    /// Opens what is chosen; says so where the processor takes a card's place.
    ///
    /// # Errors
    /// If a card that is insisted on cannot be used, or the processor is asked for a card's precision.
    pub fn open(choice: DeviceChoice, precision: Precision) -> anyhow::Result<Self> {
        let open = |kind: Option<GpuKind>| kind.map(Gpu::open).transpose();
        let (gpu, refused): (_, Option<ModelError>) = choice.open(GpuKind::is_built, open)?;
        if let Some(refused) = refused {
            crate::tell!("note: {refused}");
        }
        if gpu.is_none() && precision != Precision::F32 {
            bail!(
                "--precision is for graphics cards, and the processor learns in f32; leave it out, or choose a card: \
                 --device cuda or metal"
            );
        }
        Ok(Self { gpu, precision })
    }

    /// Takes a trainer there.
    ///
    /// # Errors
    /// If the card cannot compute with such numbers, or has no room.
    pub fn put(&self, trainer: Trainer) -> Result<Trainer, ModelError> {
        match &self.gpu {
            Some(gpu) => trainer.on(gpu, self.precision),
            None => Ok(trainer),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.gpu {
            Some(gpu) => write!(f, "{} in {}", gpu.name(), self.precision),
            None => write!(f, "the processor in {}", self.precision),
        }
    }
}
