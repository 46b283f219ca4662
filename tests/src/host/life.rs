//! Activation, reset, state, and the end.

use super::Host;
use crate::instance;
use crate::timeline::Timeline;
use anyhow::{Context, Result, bail};
use clack_host::prelude::*;

/// Life cycle and state.
impl Host {
    /// Activates the instance and starts processing; nothing if it is active.
    ///
    /// # Errors
    /// When the plugin refuses.
    pub fn activate(&mut self) -> Result<()> {
        if self.processor.is_some() {
            return Ok(());
        }
        let configuration = PluginAudioConfiguration {
            sample_rate: self.timeline.sample_rate(),
            min_frames_count: 1,
            max_frames_count: self.largest,
        };
        let stopped =
            self.instance.activate(|_, _| (), configuration).context("the plugin refuses to be activated")?;
        let mut processor = PluginAudioProcessor::from(stopped);
        if processor.start_processing().is_err() {
            bail!("the plugin refuses to start processing");
        }
        self.processor = Some(processor);
        Ok(())
    }

    /// Stops processing and deactivates the instance.
    pub fn deactivate(&mut self) {
        if let Some(processor) = self.processor.take() {
            self.instance.deactivate(processor.into_stopped());
        }
    }

    /// Deactivates, and activates with other blocks and another timeline (and so
    /// another sample rate); the transport keeps its beat.
    ///
    /// # Errors
    /// When the plugin refuses.
    pub fn reactivate(&mut self, blocks: &[u32], timeline: Timeline) -> Result<()> {
        self.deactivate();
        self.settings.blocks = blocks.to_vec();
        self.largest = blocks.iter().copied().max().unwrap_or(1).max(1);
        self.began = None;
        self.set_timeline(timeline);
        self.activate()
    }

    /// Resets the instance: all voices cease, nothing is forgotten.
    pub fn reset(&mut self) {
        if let Some(processor) = &mut self.processor {
            processor.reset();
        }
    }

    /// The instance's state.
    ///
    /// # Errors
    /// When the plugin cannot save it.
    pub fn save(&mut self) -> Result<Vec<u8>> {
        instance::save(&mut self.instance)
    }

    /// Gives the instance a saved state.
    ///
    /// # Errors
    /// When the plugin refuses it.
    pub fn load(&mut self, state: &[u8]) -> Result<()> {
        instance::load(&mut self.instance, state)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.deactivate();
    }
}
