//! Setting, reading and pressing parameters.

use super::{Host, Input};
use crate::instance::Param;
use anyhow::{Context, Result, bail};
use clack_host::events::event_types::ParamValueEvent;
use clack_host::prelude::*;
use std::time::Duration;

/// Parameters.
impl Host {
    /// All parameters, in the plugin's order.
    #[must_use]
    pub fn params(&self) -> &[Param] {
        &self.params
    }

    /// The parameter called `name`; see [`Param::is_called`].
    ///
    /// # Errors
    /// When there is none.
    pub fn param(&self, name: &str) -> Result<Param> {
        self.params.iter().find(|param| param.is_called(name)).cloned().with_context(|| {
            let names: Vec<_> = self.params.iter().map(|param| param.name.as_str()).collect();
            format!("the plugin has no parameter `{name}`; it has {}", names.join(", "))
        })
    }

    /// A parameter's value.
    ///
    /// # Errors
    /// When there is no such parameter.
    pub fn value(&mut self, name: &str) -> Result<f64> {
        let param = self.param(name)?;
        self.instance.value(&param)
    }

    /// A parameter's value as the plugin shows it.
    ///
    /// # Errors
    /// When there is no such parameter.
    pub fn text(&mut self, name: &str) -> Result<String> {
        let value = self.value(name)?;
        self.text_of(name, value)
    }

    /// How the plugin would show `value` for a parameter.
    ///
    /// # Errors
    /// When there is no such parameter.
    pub fn text_of(&mut self, name: &str, value: f64) -> Result<String> {
        let param = self.param(name)?;
        self.instance.value_to_text(&param, value)
    }

    /// The value that the plugin reads in `text` for a parameter.
    ///
    /// # Errors
    /// When there is no such parameter or the plugin cannot read the text.
    pub fn value_of(&mut self, name: &str, text: &str) -> Result<f64> {
        let param = self.param(name)?;
        self.instance.text_to_value(&param, text)
    }

    /// Sets a parameter as a user would type it, from the next block on.
    ///
    /// # Errors
    /// When there is no such parameter or the plugin cannot read the text.
    pub fn set(&mut self, name: &str, text: &str) -> Result<()> {
        let value = self.value_of(name, text)?;
        self.set_value(name, value)
    }

    /// Sets a stepped parameter to the first of its values whose text has `word` in
    /// it, heedless of case: `bar` chooses `Next bar`.
    ///
    /// # Errors
    /// When there is no such parameter or no such value.
    pub fn choose(&mut self, name: &str, word: &str) -> Result<()> {
        let param = self.param(name)?;
        let (mut value, mut seen) = (param.min, Vec::new());
        while value <= param.max {
            let text = self.text_of(name, value)?;
            if text.to_lowercase().contains(&word.to_lowercase()) {
                return self.set_value(name, value);
            }
            seen.push(text);
            value += 1.0;
        }
        bail!("`{}` has no value like {word:?}; it has {}", param.name, seen.join(", "))
    }

    /// Sets a parameter to a value in its range, from the next block on (at once
    /// while the instance is not active).
    ///
    /// # Errors
    /// When there is no such parameter.
    pub fn set_value(&mut self, name: &str, value: f64) -> Result<()> {
        let id = self.param(name)?.clap_id();
        if self.instance.is_active() {
            self.inputs.entry(self.clock).or_default().push(Input::Param(id, value));
            return Ok(());
        }
        let mut events = EventBuffer::new();
        events.push(&ParamValueEvent::new(0, id, Pckn::match_all(), value));
        self.instance.flush(&events)
    }

    /// Presses a momentary parameter now: its greatest value at the start of the
    /// next block, its least a block later.
    ///
    /// # Errors
    /// When there is no such parameter.
    pub fn press(&mut self, name: &str) -> Result<()> {
        self.press_at(name, self.clock)
    }

    /// Presses a momentary parameter at a sample of [`Self::clock`].
    ///
    /// # Errors
    /// When there is no such parameter.
    pub fn press_at(&mut self, name: &str, clock: u64) -> Result<()> {
        let param = self.param(name)?;
        let press = Input::Param(param.clap_id(), param.max);
        self.inputs.entry(clock.max(self.clock)).or_default().push(press);
        self.releases.push(param.clap_id());
        Ok(())
    }

    /// The wall-clock time from the call that delivered the last press to the
    /// end of the call that put out the first note after it that was not sent.
    #[must_use]
    pub fn press_to_answer(&self) -> Option<Duration> {
        Some(self.answered?.saturating_duration_since(self.pressed?))
    }
}
