//! Continuo as a plugin: a musician plays a phrase, a GPT-2 answers in time on the
//! host's timeline.
//!
//! Three threads meet here. The audio thread ([`performer`]) captures what is
//! played and plays answers; the inference thread ([`responder`], on
//! `continuo_engine::worker`) makes them; the host's main thread opens the
//! [`editor`] and saves the [`state`]. Rings and atomics ([`link`]) join the first
//! two; the audio thread shares no lock with anyone.

pub mod acts;
pub mod ask;

pub mod capture;
pub mod clock;
pub mod editor;
pub mod history;
pub mod link;
pub mod number;
pub mod params;
pub mod performer;
pub mod phrase;
pub mod placing;
pub mod playback;
pub mod preview;
pub mod pulling;
pub mod responder;
pub mod settings;
pub mod state;
pub mod store;
pub mod takes;
pub mod trade;

use std::sync::Arc;
use std::time::{Duration, Instant};

use continuo_engine::worker::{ModelState, Worker};
use nice_plug::params::Params;
use nice_plug::prelude::*;
use nice_plug_egui::RepaintNotifier;
use parking_lot::Mutex;

use crate::clock::HostTime;
use crate::link::{Shared, TO_PLAYER, TO_WORKER};
use crate::params::{ContinuoParams, presses};
use crate::performer::{Event, Performer, Port};
use crate::preview::Preview;
use crate::responder::{Responder, Status, View};
use crate::settings::Settings;
use crate::state::SESSION;

/// The plugin.
pub struct Continuo {
    params: Arc<ContinuoParams>,
    shared: Arc<Shared>,
    status: Arc<Mutex<Status>>,
    /// Asks the editor for a new picture.
    repaint: RepaintNotifier,
    performer: Performer,
    preview: Preview,
    splits: Splits,
    /// Waits for the first activation: a host that only looks at the plugin's
    /// parameters should not have a model loaded.
    responder: Option<Responder>,
    worker: Option<Worker>,
    /// How the host renders, while the plugin is active.
    rendering: Option<ProcessMode>,
}

impl Default for Continuo {
    fn default() -> Self {
        let shared = Arc::new(Shared::default());
        let params = Arc::new(ContinuoParams::new(Arc::clone(&shared)));
        let status = Arc::new(Mutex::new(Status::default()));
        let (to_worker, inbox) = rtrb::RingBuffer::new(TO_WORKER);
        let (ring, from_worker) = rtrb::RingBuffer::new(TO_PLAYER);
        let repaint = RepaintNotifier::new();
        let view = View { status: Arc::clone(&status), repaint: repaint.clone() };
        let responder = Responder::new(Arc::clone(&params), Arc::clone(&shared), view, inbox, ring);
        let performer = Performer::new(Arc::clone(&shared), to_worker, from_worker);
        let (preview, splits, responder) = (Preview::default(), Splits::default(), Some(responder));
        Self {
            params,
            shared,
            status,
            repaint,
            performer,
            preview,
            splits,
            responder,
            worker: None,
            rendering: None,
        }
    }
}

impl Continuo {
    fn start_worker(&mut self) {
        let Some(responder) = self.responder.take() else { return };
        match Worker::spawn(responder) {
            Ok(worker) => self.worker = Some(worker),
            Err(error) => {
                let reason = format!("no thread for the model: {error}");
                nice_error!("{reason}");
                self.status.lock().model = Some(ModelState::Failed(reason));
            }
        }
    }
}

impl Continuo {
    /// A host may roll right after this: what the project brought must be there by then. The
    /// inference thread hands it over before anything else.
    fn await_restored(&self) {
        let begin = Instant::now();
        while self.worker.is_some() && !self.shared.is_restored() && begin.elapsed() < RESTORING {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// How long that may take.
const RESTORING: Duration = Duration::from_millis(250);

/// Whether this is the variant for NVIDIA's graphics cards. It does not load where their
/// driver is not, so it is a plugin of its own and can stand beside the usual one.
const CUDA: bool = cfg!(feature = "cuda");

const STEREO: Option<NonZeroU32> = NonZeroU32::new(2);

impl Plugin for Continuo {
    const NAME: &'static str = if CUDA { "Continuo CUDA" } else { "Continuo" };
    const VENDOR: &'static str = "Continuo";
    const URL: &'static str = "";
    const EMAIL: &'static str = "";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");

    // Stereo comes first: some hosts have no place for a plugin without audio.
    const AUDIO_IO_LAYOUTS: &'static [AudioIOLayout] = &[
        AudioIOLayout {
            main_input_channels: STEREO,
            main_output_channels: STEREO,
            ..AudioIOLayout::const_default()
        },
        AudioIOLayout::const_default(),
    ];
    const MIDI_INPUT: MidiConfig = MidiConfig::MidiCCs;
    const MIDI_OUTPUT: MidiConfig = MidiConfig::MidiCCs;
    // A trigger in an automation lane is heard at its sample.
    const SAMPLE_ACCURATE_AUTOMATION: bool = true;
    const INPUT_EVENT_CAPACITY: usize = 4096;

    type Editor = editor::ContinuoEditor;
    type SysExMessage = ();
    type BackgroundTask = ();

    fn params(&self) -> Arc<dyn Params> {
        Arc::clone(&self.params) as Arc<dyn Params>
    }

    fn editor(&mut self, _executor: AsyncExecutor<Self>) -> Option<Self::Editor> {
        let view = View { status: Arc::clone(&self.status), repaint: self.repaint.clone() };
        editor::create(Arc::clone(&self.params), Arc::clone(&self.shared), view)
    }

    fn filter_state(state: &mut PluginState) {
        // Saved while a finger was on a parameter, it would ask for something on loading. The
        // session comes after the parameters, and ends this: so there must be one.
        presses::set_loading(true);
        let session = state.fields.entry(SESSION.to_owned()).or_insert_with(|| "null".to_owned());
        if let Err(error) = serde_json::from_str::<serde_json::Value>(session) {
            nice_log!("The project's phrase and takes are damaged and are left out: {error}");
            "null".clone_into(session);
        }
    }

    fn activate(
        &mut self,
        _layout: &AudioIOLayout,
        config: &BufferConfig,
        _context: &mut impl ActivateContext<Self>,
    ) -> bool {
        self.performer.configure(config.sample_rate, config.process_mode == ProcessMode::Offline);
        self.preview.configure(config.sample_rate);
        self.splits = Splits { longest: config.max_buffer_size, ..Splits::default() };
        // A VST3 host may change this with a block: then the audio thread is here, which may
        // not wait.
        let mode = config.process_mode;
        if self.rendering.replace(mode).is_none_or(|before| before == mode) {
            self.start_worker();
            self.await_restored();
        }
        true
    }

    fn deactivate(&mut self) {
        self.rendering = None;
    }

    fn reset(&mut self) {
        self.performer.reset();
        self.preview.reset();
    }

    fn process(
        &mut self,
        buffer: &mut Buffer,
        _aux: &mut AuxiliaryBuffers,
        context: &mut impl ProcessContext<Self>,
    ) -> ProcessStatus {
        let samples = u32::try_from(buffer.samples()).unwrap_or(u32::MAX);
        let first = buffer.as_slice_immutable().first().map(|channel| channel.as_ptr());
        let doubt = self.splits.next(first.map_or(0, <*const f32>::addr), samples);
        let host = HostTime { doubt, ..host_time(context.transport()) };
        let settings = Settings::read(&self.params);
        let mut port = HostPort { context, preview: &mut self.preview };
        self.performer.block(&host, samples, &settings, &mut port);
        let level = if self.params.preview.value() { self.params.preview_level.value() } else { 0.0 };
        self.preview.render(buffer.as_slice(), level);
        // No tail, but an answer may be due while the audio is silent.
        ProcessStatus::Tail(0)
    }
}

impl Drop for Continuo {
    fn drop(&mut self) {
        // The thread goes before the library it runs in can.
        self.worker = None;
    }
}

/// The host, with the preview listening to what it is sent.
struct HostPort<'a, C> {
    context: &'a mut C,
    preview: &'a mut Preview,
}

impl<C: ProcessContext<Continuo>> Port for HostPort<'_, C> {
    fn next(&mut self) -> Option<Event> {
        self.context.next_event()
    }

    fn send(&mut self, event: Event) {
        // A host without room for more, or without an output at all, loses it.
        self.preview.hear(&event);
        let _ = self.context.try_send_event(event);
    }
}

fn host_time(transport: &Transport) -> HostTime {
    HostTime {
        playing: transport.playing,
        beats: transport.pos_beats(),
        samples: transport.pos_samples,
        tempo: transport.tempo,
        numerator: transport.time_sig_numerator,
        denominator: transport.time_sig_denominator,
        doubt: 0,
        bar_line: transport.bar_start_pos_beats,
        cycle: transport.loop_range_beats(),
    }
}

/// Notices when the framework hands over a host's block in several pieces: their
/// memory lies end to end.
#[derive(Default)]
struct Splits {
    /// The host's longest block.
    longest: u32,
    /// Where the last piece's memory ended, and how far that was into its block.
    end: (usize, u32),
}

impl Splits {
    /// How many samples of the same block were handed over before this piece.
    fn next(&mut self, address: usize, samples: u32) -> u32 {
        let (end, before) = self.end;
        let goes_on = address != 0 && address == end && before.saturating_add(samples) <= self.longest;
        let before = if goes_on { before } else { 0 };
        let bytes = usize::try_from(samples).unwrap_or(0) * size_of::<f32>();
        self.end = (address.wrapping_add(bytes), before.saturating_add(samples));
        before
    }
}

impl ClapPlugin for Continuo {
    const CLAP_ID: &'static str = if CUDA { "midi.continuo.cuda" } else { "midi.continuo" };
    const CLAP_DESCRIPTION: Option<&'static str> = Some("Plays on from what you played, in time");
    const CLAP_MANUAL_URL: Option<&'static str> = None;
    const CLAP_SUPPORT_URL: Option<&'static str> = None;
    const CLAP_FEATURES: &'static [ClapFeature] = &[ClapFeature::NoteEffect, ClapFeature::Utility];

    fn remote_controls(&self, context: &mut impl RemoteControlsContext) {
        params::pages::describe(&self.params, context);
    }
}

impl Vst3Plugin for Continuo {
    const VST3_CLASS_ID: [u8; 16] = *if CUDA { b"ContinuoMidiCuda" } else { b"ContinuoMidiGpt2" };
    const VST3_SUBCATEGORIES: &'static [Vst3SubCategory] = &[Vst3SubCategory::Fx, Vst3SubCategory::Tools];
}

nice_plug::nice_export_clap!(Continuo);
nice_plug::nice_export_vst3!(Continuo);
