//! The CLAP plugin behind what the host asks of any: clack does the work.

use crate::format::{Block, Instantiated, Setup};
use crate::host::Render;
use crate::instance::{self, Callbacks, Instance, NotePort, Param};
use anyhow::{Context, Result, bail};
use clack_extensions::render::RenderMode;
use clack_host::prelude::*;
use std::ffi::CString;

/// A loaded `.clap` file.
pub(crate) struct ClapFile {
    entry: PluginEntry,
    id: CString,
    pub(crate) name: String,
}

impl ClapFile {
    pub(crate) fn load(path: &std::path::Path) -> Result<Self> {
        // SAFETY: loading runs the file's own initialisers; it is the plugin that
        // was built from this workspace, which has none that misbehave.
        let entry = unsafe { PluginEntry::load(path) }
            .with_context(|| format!("{} cannot be loaded as a CLAP plugin", path.display()))?;
        let factory = entry.get_plugin_factory().context("the bundle has no plugin factory")?;
        let descriptor = factory.plugin_descriptors().next().context("the bundle holds no plugin")?;
        let id = descriptor.id().context("the plugin has no id")?.to_owned();
        let name = descriptor.name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Ok(Self { entry, id, name })
    }

    pub(crate) fn instance(&self, setup: Setup) -> Result<Clap> {
        let info = HostInfo::new("Continuo test host", "Continuo", "", env!("CARGO_PKG_VERSION"))?;
        let mut instance =
            Instance::new(|_| Default::default(), |_| Default::default(), &self.entry, &self.id, &info)
                .context("the plugin cannot be created")?;
        instance::select_layout(&mut instance, setup.channels)?;
        let render = if setup.render == Render::Offline { RenderMode::Offline } else { RenderMode::Realtime };
        instance::set_render(&mut instance, render)?;
        Ok(Clap { processor: None, instance })
    }
}

/// One instance.
pub(crate) struct Clap {
    // Dropped before the instance, which cannot go while this is there.
    processor: Option<PluginAudioProcessor<Callbacks>>,
    instance: Instance,
}

impl Instantiated for Clap {
    fn params(&mut self) -> Vec<Param> {
        instance::params(&mut self.instance)
    }

    fn value(&mut self, param: &Param) -> Result<f64> {
        instance::value(&mut self.instance, param)
    }

    fn value_to_text(&mut self, param: &Param, value: f64) -> Result<String> {
        instance::value_to_text(&mut self.instance, param, value)
    }

    fn text_to_value(&mut self, param: &Param, text: &str) -> Result<f64> {
        instance::text_to_value(&mut self.instance, param, text)
    }

    fn flush(&mut self, events: &EventBuffer) -> Result<()> {
        instance::flush(&mut self.instance, events)
    }

    fn note_ports(&mut self, inputs: bool) -> Vec<NotePort> {
        instance::note_ports(&mut self.instance, inputs)
    }

    fn is_active(&self) -> bool {
        self.processor.is_some()
    }

    fn activate(&mut self, sample_rate: f64, largest: u32) -> Result<()> {
        let configuration =
            PluginAudioConfiguration { sample_rate, min_frames_count: 1, max_frames_count: largest };
        let stopped =
            self.instance.activate(|_, _| (), configuration).context("the plugin refuses to be activated")?;
        let mut processor = PluginAudioProcessor::from(stopped);
        if processor.start_processing().is_err() {
            bail!("the plugin refuses to start processing");
        }
        self.processor = Some(processor);
        Ok(())
    }

    fn deactivate(&mut self) {
        if let Some(processor) = self.processor.take() {
            self.instance.deactivate(processor.into_stopped());
        }
    }

    fn reset(&mut self) {
        if let Some(processor) = &mut self.processor {
            processor.reset();
        }
    }

    fn save(&mut self) -> Result<Vec<u8>> {
        instance::save(&mut self.instance)
    }

    fn load(&mut self, state: &[u8]) -> Result<()> {
        instance::load(&mut self.instance, state)
    }

    fn wants_restart(&mut self) -> bool {
        if self.instance.access_shared_handler(|shared| shared.take_callback()) {
            self.instance.call_on_main_thread_callback();
        }
        self.instance.access_shared_handler(|shared| shared.take_restart())
    }

    fn process(&mut self, block: &mut Block<'_>) -> Result<()> {
        let processor = self.processor.as_mut().context("the instance is not active")?;
        let processor = processor.as_started_mut().context("the instance is not processing")?;
        let (events, mut output) = (block.events.as_input(), block.output.as_output());
        let (clock, transport) = (Some(block.clock), Some(block.transport));
        if block.audio.is_empty() {
            // SAFETY: there are no buffers that could be shorter than `frames`.
            let inputs = unsafe { InputAudioBuffers::from_raw_buffers(&[], block.frames) };
            let mut outputs = OutputAudioBuffers::empty();
            processor.process(&inputs, &mut outputs, &events, &mut output, clock, transport)?;
            return Ok(());
        }
        let mut silence = vec![vec![0.0f32; block.frames as usize]; block.audio.len()];
        let (mut input_ports, mut output_ports) =
            (AudioPorts::with_capacity(2, 1), AudioPorts::with_capacity(2, 1));
        let inputs = input_ports.with_input_buffers([AudioPortBuffer {
            latency: 0,
            channels: AudioPortBufferType::f32_input_only(silence.iter_mut().map(InputChannel::constant)),
        }]);
        let mut outputs = output_ports.with_output_buffers([AudioPortBuffer {
            latency: 0,
            channels: AudioPortBufferType::f32_output_only(block.audio.iter_mut().map(Vec::as_mut_slice)),
        }]);
        processor.process(&inputs, &mut outputs, &events, &mut output, clock, transport)?;
        Ok(())
    }
}
