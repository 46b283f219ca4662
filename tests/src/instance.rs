//! One plugin instance behind clack's types: what the plugin may ask of its host,
//! its parameters, its ports and its state.

use anyhow::{Context, Result, bail};
use clack_extensions::audio_ports_config::{AudioPortsConfigBuffer, PluginAudioPortsConfig};
use clack_extensions::note_ports::{
    HostNotePorts, HostNotePortsImpl, NoteDialects, NotePortInfoBuffer, NotePortRescanFlags, PluginNotePorts,
};
use clack_extensions::params::{
    HostParams, HostParamsImplMainThread, HostParamsImplShared, ParamClearFlags, ParamInfoBuffer,
    ParamInfoFlags, ParamRescanFlags, PluginParams,
};
use clack_extensions::render::{PluginRender, RenderMode};
use clack_extensions::state::{HostState, HostStateImpl, PluginState};
use clack_host::prelude::*;
use std::cell::Cell;
use std::ffi::CString;
use std::sync::atomic::{AtomicBool, Ordering};

/// The host's side of the plugin's callbacks.
pub(crate) struct Callbacks;

/// What any thread may ask for.
#[derive(Default)]
pub(crate) struct Requests {
    restart: AtomicBool,
    callback: AtomicBool,
}

impl Requests {
    pub(crate) fn take_restart(&self) -> bool {
        self.restart.swap(false, Ordering::AcqRel)
    }

    pub(crate) fn take_callback(&self) -> bool {
        self.callback.swap(false, Ordering::AcqRel)
    }
}

impl SharedHandler<'_> for Requests {
    fn request_restart(&self) {
        self.restart.store(true, Ordering::Release);
    }

    fn request_process(&self) {}

    fn request_callback(&self) {
        self.callback.store(true, Ordering::Release);
    }
}

impl HostParamsImplShared for Requests {
    fn request_flush(&self) {}
}

/// What the main thread is told.
#[derive(Default)]
pub(crate) struct Told {
    dirty: Cell<bool>,
}

impl MainThreadHandler<'_> for Told {}

impl HostParamsImplMainThread for Told {
    fn rescan(&self, _flags: ParamRescanFlags) {}

    fn clear(&self, _param: ClapId, _flags: ParamClearFlags) {}
}

impl HostStateImpl for Told {
    fn mark_dirty(&self) {
        self.dirty.set(true);
    }
}

impl HostNotePortsImpl for Told {
    fn supported_dialects(&self) -> NoteDialects {
        NoteDialects::CLAP | NoteDialects::MIDI
    }

    fn rescan(&self, _flags: NotePortRescanFlags) {}
}

impl HostHandlers for Callbacks {
    type Shared<'a> = Requests;
    type MainThread<'a> = Told;
    type AudioProcessor<'a> = ();

    fn declare_extensions(builder: &mut HostExtensions<Self>, _shared: &Self::Shared<'_>) {
        builder.register::<HostParams>().register::<HostState>().register::<HostNotePorts>();
    }
}

/// A parameter, as the plugin describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Param {
    /// Its stable id.
    pub id: u32,
    /// Its name, as a user reads it.
    pub name: String,
    /// The least value.
    pub min: f64,
    /// The greatest value.
    pub max: f64,
    /// The value of a new instance.
    pub default: f64,
    /// Whether only whole values count.
    pub stepped: bool,
    /// Whether a host may automate it.
    pub automatable: bool,
}

impl Param {
    pub(crate) fn clap_id(&self) -> ClapId {
        // PANIC: the id was a valid one when the plugin told it.
        ClapId::new(self.id)
    }

    /// Whether this is the parameter called `name`: the name a user reads, heedless
    /// of case, spaces and punctuation (`top_k` is `Top K`), or the plugin's own
    /// word for it, which nice-plug hashes into the id.
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        if self.id == hash(name) {
            return true;
        }
        let letters = |text: &str| -> Vec<char> {
            text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
        };
        letters(&self.name) == letters(name)
    }
}

/// The id that nice-plug makes of a parameter's word; the highest bit is VST 3's.
fn hash(word: &str) -> u32 {
    let hash = word.bytes().fold(0u32, |hash, byte| hash.wrapping_mul(31).wrapping_add(u32::from(byte)));
    hash & !(1 << 31)
}

/// A note port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotePort {
    /// Its name.
    pub name: String,
    /// Whether it speaks CLAP note events.
    pub clap: bool,
    /// Whether it speaks raw MIDI.
    pub midi: bool,
}

pub(crate) type Instance = PluginInstance<Callbacks>;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(crate) fn params(instance: &mut Instance) -> Vec<Param> {
    let handle = instance.plugin_handle();
    let Some(extension) = handle.get_extension::<PluginParams>() else { return Vec::new() };
    let mut buffer = ParamInfoBuffer::new();
    (0..extension.count(&handle))
        .filter_map(|index| {
            let info = extension.get_info(&handle, index, &mut buffer)?;
            Some(Param {
                id: info.id.get(),
                name: text(info.name),
                min: info.min_value,
                max: info.max_value,
                default: info.default_value,
                stepped: info.flags.contains(ParamInfoFlags::IS_STEPPED),
                automatable: info.flags.contains(ParamInfoFlags::IS_AUTOMATABLE),
            })
        })
        .collect()
}

pub(crate) fn value(instance: &mut Instance, param: &Param) -> Result<f64> {
    let handle = instance.plugin_handle();
    let extension = handle.get_extension::<PluginParams>().context("the plugin has no parameters")?;
    extension
        .get_value(&handle, param.clap_id())
        .with_context(|| format!("the plugin does not tell the value of `{}`", param.name))
}

pub(crate) fn value_to_text(instance: &mut Instance, param: &Param, value: f64) -> Result<String> {
    let handle = instance.plugin_handle();
    let extension = handle.get_extension::<PluginParams>().context("the plugin has no parameters")?;
    let mut buffer = [0; 256];
    let shown = extension
        .value_to_text(&handle, param.clap_id(), value, &mut buffer)
        .with_context(|| format!("the plugin shows no text for `{}` = {value}", param.name))?;
    Ok(text(shown))
}

pub(crate) fn text_to_value(instance: &mut Instance, param: &Param, text: &str) -> Result<f64> {
    let handle = instance.plugin_handle();
    let extension = handle.get_extension::<PluginParams>().context("the plugin has no parameters")?;
    let text = CString::new(text).context("a parameter's text holds no zero byte")?;
    extension
        .text_to_value(&handle, param.clap_id(), &text)
        .with_context(|| format!("`{}` cannot be set to {text:?}", param.name))
}

/// Sends parameter changes while the plugin is not active.
pub(crate) fn flush(instance: &mut Instance, events: &EventBuffer) -> Result<()> {
    let mut handle = instance.inactive_plugin_handle().context("the plugin is active")?;
    let extension = handle.get_extension::<PluginParams>().context("the plugin has no parameters")?;
    let mut output = EventBuffer::new();
    extension.flush(&mut handle, &events.as_input(), &mut output.as_output());
    Ok(())
}

pub(crate) fn note_ports(instance: &mut Instance, inputs: bool) -> Vec<NotePort> {
    let handle = instance.plugin_handle();
    let Some(extension) = handle.get_extension::<PluginNotePorts>() else { return Vec::new() };
    let mut buffer = NotePortInfoBuffer::new();
    (0..extension.count(&handle, inputs))
        .filter_map(|index| {
            let info = extension.get(&handle, index, inputs, &mut buffer)?;
            Some(NotePort {
                name: text(info.name),
                clap: info.supported_dialects.contains(NoteDialects::CLAP),
                midi: info.supported_dialects.contains(NoteDialects::MIDI),
            })
        })
        .collect()
}

/// Selects the first layout with `channels` main output channels.
pub(crate) fn select_layout(instance: &mut Instance, channels: u32) -> Result<()> {
    let handle = instance.plugin_handle();
    let extension = handle
        .get_extension::<PluginAudioPortsConfig>()
        .context("the plugin offers no choice of audio layouts")?;
    let mut buffer = AudioPortsConfigBuffer::new();
    for index in 0..extension.count(&handle) {
        let Some(config) = extension.get(&handle, index, &mut buffer) else { continue };
        if config.main_output.map_or(0, |port| port.channel_count) == channels {
            let id = config.id;
            return extension
                .select(&handle, id)
                .ok()
                .with_context(|| format!("the plugin refused its own layout number {index}"));
        }
    }
    bail!("the plugin has no layout with {channels} audio channels")
}

pub(crate) fn set_render(instance: &mut Instance, mode: RenderMode) -> Result<()> {
    let handle = instance.plugin_handle();
    let extension =
        handle.get_extension::<PluginRender>().context("the plugin does not know offline rendering")?;
    extension.set(&handle, mode).ok().with_context(|| format!("the plugin refused render mode {mode:?}"))
}

pub(crate) fn save(instance: &mut Instance) -> Result<Vec<u8>> {
    let handle = instance.plugin_handle();
    let extension = handle.get_extension::<PluginState>().context("the plugin saves no state")?;
    let mut bytes = Vec::new();
    extension.save(&handle, &mut bytes).context("the plugin could not save its state")?;
    Ok(bytes)
}

pub(crate) fn load(instance: &mut Instance, mut bytes: &[u8]) -> Result<()> {
    let handle = instance.plugin_handle();
    let extension = handle.get_extension::<PluginState>().context("the plugin loads no state")?;
    extension.load(&handle, &mut bytes).context("the plugin refused the state")
}
