//! `--device`: what a model runs on, as it is typed.

use clap::{Args, ValueEnum};
use continuo_engine::DeviceChoice;

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
