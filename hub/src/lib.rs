//! Models and data sets by name, `owner/name`: where they lie on this machine, and how they
//! come from the Hugging Face Hub and go there.
//!
//! - [`name`]: names of repositories.
//! - [`places`]: where what was pulled lies.
//! - `client` (by the feature `client`): pulling and pushing.
//! - `loopback` (by the feature `loopback`): a small hub on this machine, for tests.
//!
//! Nothing here runs unless it is asked for: no check for updates, no counting of users.
#![forbid(unsafe_code)]

#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "client")]
mod error;
#[cfg(feature = "loopback")]
pub mod loopback;
pub mod name;
pub mod places;

#[cfg(feature = "client")]
pub use client::{Hub, Progress, Pulled, Watch};
#[cfg(feature = "client")]
pub use error::HubError;
pub use name::{Kind, RepoName};

/// Bytes in hexadecimal digits.
#[cfg(any(feature = "client", feature = "loopback"))]
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
