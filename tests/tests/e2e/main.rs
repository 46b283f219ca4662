//! End-to-end tests: the built plugin in a host, the built command line in a shell.
//! What is not about CLAP alone, `tests/vst3` does once more with the built VST3.
//!
//! - [`timing`]: answers start where they were asked to.
//! - [`repeat`]: the same again is the same.
//! - [`endings`]: every note ends, whatever happens meanwhile.
//! - [`prompts`]: all kinds of phrases.
//! - [`through`]: what goes through, in both dialects.
//! - [`programs`]: program changes.
//! - [`parameters`]: texts and ranges.
//! - [`life`]: states, layouts, instances destroyed while they answer.
//! - [`modes`]: modes, takes, limits.
//! - [`models`]: model folders that are missing or broken.
//! - [`cli`]: the command line.

#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

mod cli;
mod endings;
mod life;
mod models;
mod modes;
mod parameters;
mod programs;
mod prompts;
mod repeat;
mod scene;
mod through;
mod timing;

/// The plugin that this program's hosts load.
fn plugin() -> anyhow::Result<std::path::PathBuf> {
    continuo_tests::locate::bundle()
}
