//! The built VST3 in a host: the scenes of the end-to-end tests, once more.

#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

#[path = "../e2e/endings.rs"]
mod endings;
#[path = "../e2e/life.rs"]
mod life;
#[path = "../e2e/modes.rs"]
mod modes;
#[path = "../e2e/parameters.rs"]
mod parameters;
#[path = "../e2e/prompts.rs"]
mod prompts;
#[path = "../e2e/repeat.rs"]
mod repeat;
mod same;
#[path = "../e2e/scene.rs"]
mod scene;
#[path = "../e2e/through.rs"]
mod through;
#[path = "../e2e/timing.rs"]
mod timing;

/// The plugin that this program's hosts load.
fn plugin() -> anyhow::Result<std::path::PathBuf> {
    continuo_tests::locate::vst3()
}
