//! A VST3 host inside the process: the bundle's library, its instances and their
//! blocks. What goes in and comes out is translated by [`events`] and [`context`].

mod context;
mod events;
mod module;
mod stream;

use crate::format::{Block, Instantiated, Setup};
use crate::host::Render;
use crate::instance::{NotePort, Param};
use anyhow::{Context, Result, bail};
use clack_host::events::io::EventBuffer;
use events::{Changes, Controllers, Heard};
use module::Module;
pub(crate) use module::Vst3File;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use vst3::Steinberg::Vst::{
    AudioBusBuffers, AudioBusBuffers__type0, BusDirections_, IAudioProcessor, IAudioProcessorTrait,
    IComponent, IComponentTrait, IEditController, IEditControllerTrait, IEventList, IParameterChanges,
    MediaTypes_, ParameterInfo, ParameterInfo_, ProcessData, ProcessModes_, ProcessSetup, SpeakerArr,
    String128, SymbolicSampleSizes_,
};
use vst3::Steinberg::{IBStream, IPluginBaseTrait, kResultOk, tresult};
use vst3::{ComPtr, ComWrapper};

/// One of the specification's numbers, whatever type the compiler gave it.
pub(super) fn int<T: TryInto<i32>>(number: T) -> i32 {
    number.try_into().ok().unwrap_or(i32::MAX)
}

fn said(result: tresult, what: &str) -> Result<()> {
    if result == kResultOk { Ok(()) } else { bail!("the plugin cannot {what}: {result:#x}") }
}

impl Vst3File {
    pub(crate) fn instance(&self, setup: Setup) -> Result<Vst3> {
        let component = self.component()?;
        // SAFETY: no context is asked for by this plugin, and null is allowed.
        said(unsafe { component.initialize(std::ptr::null_mut()) }, "be initialised")?;
        let processor = component.cast::<IAudioProcessor>().context("the plugin processes nothing")?;
        let controller = component.cast::<IEditController>().context("the plugin has no controller")?;
        let controllers = Controllers::of(&controller);
        let module = Arc::clone(&self.module);
        let mut vst3 = Vst3 {
            processor,
            controller,
            component,
            controllers,
            greatest: HashMap::new(),
            setup,
            sample_rate: 0.0,
            active: false,
            _module: module,
        };
        vst3.arrange()?;
        vst3.greatest = vst3.params().iter().map(|param| (param.id, param.max)).collect();
        Ok(vst3)
    }
}

/// One instance.
pub(crate) struct Vst3 {
    processor: ComPtr<IAudioProcessor>,
    controller: ComPtr<IEditController>,
    component: ComPtr<IComponent>,
    controllers: Controllers,
    /// What each parameter's values are counted to.
    greatest: HashMap<u32, f64>,
    setup: Setup,
    sample_rate: f64,
    active: bool,
    // Dropped last.
    _module: Arc<Module>,
}

impl Vst3 {
    fn mode(&self) -> i32 {
        match self.setup.render {
            Render::Offline => int(ProcessModes_::kOffline),
            Render::Realtime => int(ProcessModes_::kRealtime),
        }
    }

    /// Asks for stereo or no audio, and for all busses there are.
    fn arrange(&self) -> Result<()> {
        let busses = i32::from(self.setup.channels > 0);
        let (mut inputs, mut outputs) = (SpeakerArr::kStereo, SpeakerArr::kStereo);
        if busses == 0 {
            (inputs, outputs) = (SpeakerArr::kEmpty, SpeakerArr::kEmpty);
        }
        // SAFETY: one arrangement each is there to be read.
        let arranged =
            unsafe { self.processor.setBusArrangements(&raw mut inputs, busses, &raw mut outputs, busses) };
        said(arranged, "be arranged")?;
        for media in [int(MediaTypes_::kAudio), int(MediaTypes_::kEvent)] {
            for direction in [int(BusDirections_::kInput), int(BusDirections_::kOutput)] {
                // SAFETY: plain numbers.
                unsafe {
                    for bus in 0..self.component.getBusCount(media, direction) {
                        said(self.component.activateBus(media, direction, bus, 1), "activate a bus")?;
                    }
                }
            }
        }
        Ok(())
    }

    fn info(&self, index: i32) -> Option<ParameterInfo> {
        // SAFETY: plain numbers and characters, for all of which zero is a value.
        let mut info: ParameterInfo = unsafe { std::mem::zeroed() };
        // SAFETY: the pointer is to a description that is ours.
        let result = unsafe { self.controller.getParameterInfo(index, &raw mut info) };
        (result == kResultOk).then_some(info)
    }

    /// One block, with its events and changes in the specification's own shape.
    fn run(&self, block: &mut Block<'_>, changes: Changes) -> Result<Vec<vst3::Steinberg::Vst::Event>> {
        let (params, notes) = changes.lists();
        let heard = ComWrapper::new(Heard::default());
        let mut context = context::of(block, self.sample_rate);
        let channels = int(block.audio.len());
        let mut silence = vec![vec![0.0f32; block.frames as usize]; block.audio.len()];
        let mut silent: Vec<_> = silence.iter_mut().map(Vec::as_mut_ptr).collect();
        let mut audible: Vec<_> = block.audio.iter_mut().map(Vec::as_mut_ptr).collect();
        let bus = |channels: i32, pointers: &mut Vec<*mut f32>| AudioBusBuffers {
            numChannels: channels,
            silenceFlags: 0,
            __field0: AudioBusBuffers__type0 { channelBuffers32: pointers.as_mut_ptr() },
        };
        let (mut input, mut output) = (bus(channels, &mut silent), bus(channels, &mut audible));
        let mut data = ProcessData {
            processMode: if block.freewheeling { int(ProcessModes_::kOffline) } else { self.mode() },
            symbolicSampleSize: int(SymbolicSampleSizes_::kSample32),
            numSamples: int(block.frames),
            numInputs: i32::from(channels > 0),
            numOutputs: i32::from(channels > 0),
            inputs: &raw mut input,
            outputs: &raw mut output,
            inputParameterChanges: params
                .as_com_ref::<IParameterChanges>()
                .context("changes are changes")?
                .as_ptr(),
            outputParameterChanges: std::ptr::null_mut(),
            inputEvents: notes.as_com_ref::<IEventList>().context("a list is a list")?.as_ptr(),
            outputEvents: heard.as_com_ref::<IEventList>().context("a list is a list")?.as_ptr(),
            processContext: &raw mut context,
        };
        // SAFETY: every pointer is to something above that outlives the call, and the
        // buffers have as many channels and samples as they say.
        said(unsafe { self.processor.process(&raw mut data) }, "process")?;
        Ok(heard.take())
    }
}

impl Instantiated for Vst3 {
    fn params(&mut self) -> Vec<Param> {
        let controllers: HashSet<u32> = self.controllers.ids().collect();
        // SAFETY: no arguments.
        let count = unsafe { self.controller.getParameterCount() };
        let infos = (0..count).filter_map(|index| self.info(index));
        infos
            .filter(|info| !controllers.contains(&info.id))
            .map(|info| {
                let max = f64::from(info.stepCount.max(1));
                Param {
                    id: info.id,
                    name: text(&info.title),
                    min: 0.0,
                    max,
                    default: info.defaultNormalizedValue * max,
                    stepped: info.stepCount > 0,
                    automatable: info.flags & int(ParameterInfo_::ParameterFlags_::kCanAutomate) != 0,
                }
            })
            .collect()
    }

    fn value(&mut self, param: &Param) -> Result<f64> {
        // SAFETY: plain numbers.
        Ok(unsafe { self.controller.getParamNormalized(param.id) } * param.max)
    }

    fn value_to_text(&mut self, param: &Param, value: f64) -> Result<String> {
        let mut shown: String128 = [0; 128];
        // SAFETY: the pointer is to a text of the length that its type says.
        let result =
            unsafe { self.controller.getParamStringByValue(param.id, value / param.max, &raw mut shown) };
        said(result, &format!("show `{}` = {value}", param.name))?;
        Ok(text(&shown))
    }

    fn text_to_value(&mut self, param: &Param, text: &str) -> Result<f64> {
        let mut text: Vec<u16> = text.encode_utf16().chain([0]).collect();
        let mut value = 0.0;
        // SAFETY: a text that ends with zero, and a number that is ours.
        let result =
            unsafe { self.controller.getParamValueByString(param.id, text.as_mut_ptr(), &raw mut value) };
        said(result, &format!("set `{}` to that text", param.name))?;
        Ok(value * param.max)
    }

    fn flush(&mut self, events: &EventBuffer) -> Result<()> {
        for (id, value) in events::values(events) {
            let max = self.greatest.get(&id).copied().unwrap_or(1.0);
            // SAFETY: plain numbers.
            said(unsafe { self.controller.setParamNormalized(id, value / max) }, "set a parameter")?;
        }
        Ok(())
    }

    fn note_ports(&mut self, inputs: bool) -> Vec<NotePort> {
        let direction = int(if inputs { BusDirections_::kInput } else { BusDirections_::kOutput });
        // SAFETY: plain numbers.
        let count = unsafe { self.component.getBusCount(int(MediaTypes_::kEvent), direction) };
        // A bus speaks neither of CLAP's dialects, but both once translated.
        (0..count).map(|bus| NotePort { name: format!("bus {bus}"), clap: true, midi: true }).collect()
    }

    fn is_active(&self) -> bool {
        self.active
    }

    fn activate(&mut self, sample_rate: f64, largest: u32) -> Result<()> {
        let mut setup = ProcessSetup {
            processMode: self.mode(),
            symbolicSampleSize: int(SymbolicSampleSizes_::kSample32),
            maxSamplesPerBlock: int(largest),
            sampleRate: sample_rate,
        };
        // SAFETY: the pointer is to a setup that is ours; the order is the specification's.
        unsafe {
            said(self.processor.setupProcessing(&raw mut setup), "be set up")?;
            said(self.component.setActive(1), "be activated")?;
            said(self.processor.setProcessing(1), "start processing")?;
        }
        (self.active, self.sample_rate) = (true, sample_rate);
        Ok(())
    }

    fn deactivate(&mut self) {
        if std::mem::take(&mut self.active) {
            // SAFETY: plain numbers, in the specification's order.
            unsafe {
                self.processor.setProcessing(0);
                self.component.setActive(0);
            }
        }
    }

    fn reset(&mut self) {
        if self.active {
            // SAFETY: plain numbers.
            unsafe {
                self.processor.setProcessing(0);
                self.processor.setProcessing(1);
            }
        }
    }

    fn save(&mut self) -> Result<Vec<u8>> {
        let stream = ComWrapper::new(stream::Stream::default());
        let pointer = stream.as_com_ref::<IBStream>().context("a stream is a stream")?.as_ptr();
        // SAFETY: the stream outlives the call.
        said(unsafe { self.component.getState(pointer) }, "save its state")?;
        Ok(stream.take())
    }

    fn load(&mut self, state: &[u8]) -> Result<()> {
        let stream = ComWrapper::new(stream::Stream::new(state.to_vec()));
        let pointer = stream.as_com_ref::<IBStream>().context("a stream is a stream")?.as_ptr();
        // SAFETY: the stream outlives the call.
        said(unsafe { self.component.setState(pointer) }, "load the state")
    }

    fn wants_restart(&mut self) -> bool {
        false
    }

    fn process(&mut self, block: &mut Block<'_>) -> Result<()> {
        let changes = Changes::from_events(block.events, &self.controllers, &self.greatest);
        for event in self.run(block, changes)? {
            events::push(&event, block.output);
        }
        Ok(())
    }
}

impl Drop for Vst3 {
    fn drop(&mut self) {
        self.deactivate();
        // SAFETY: no arguments; nothing is called afterwards.
        unsafe { self.component.terminate() };
    }
}

/// A text of the specification's: UTF-16 up to the first zero.
fn text(characters: &String128) -> String {
    let end = characters.iter().position(|&c| c == 0).unwrap_or(characters.len());
    String::from_utf16_lossy(&characters[..end])
}
