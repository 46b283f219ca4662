//! Activation, reset, state, and the end.

use super::Host;
use crate::timeline::Timeline;
use anyhow::Result;

/// Life cycle and state.
impl Host {
    /// Activates the instance and starts processing; nothing if it is active.
    ///
    /// # Errors
    /// When the plugin refuses.
    pub fn activate(&mut self) -> Result<()> {
        if self.instance.is_active() {
            return Ok(());
        }
        self.instance.activate(self.timeline.sample_rate(), self.largest)
    }

    /// Stops processing and deactivates the instance.
    pub fn deactivate(&mut self) {
        self.instance.deactivate();
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
        self.instance.reset();
    }

    /// The instance's state.
    ///
    /// # Errors
    /// When the plugin cannot save it.
    pub fn save(&mut self) -> Result<Vec<u8>> {
        self.instance.save()
    }

    /// Gives the instance a saved state.
    ///
    /// # Errors
    /// When the plugin refuses it.
    pub fn load(&mut self, state: &[u8]) -> Result<()> {
        self.instance.load(state)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.deactivate();
    }
}
