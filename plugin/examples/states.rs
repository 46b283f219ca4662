//! The editor in one of its states, in a window of its own, for pictures of it.
//!
//! ```text
//! cargo run -p continuo-plugin --example states -- takes
//! ```
//!
//! Prints `painted` once the picture stands still, and stays until it is closed. Without a
//! name it lists the states. `scripts/screenshots.sh` makes the pictures of the manual.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use continuo_engine::worker::{ModelState, Ready};
use continuo_hub::Progress;
use continuo_plugin::clock::Timeline;
use continuo_plugin::editor::{Group, SIZE, Window};
use continuo_plugin::link::{PlayNote, Shared};
use continuo_plugin::params::ContinuoParams;
use continuo_plugin::phrase::PlayedNote;
use continuo_plugin::pulling::Pull;
use continuo_plugin::responder::Status;
use continuo_plugin::state::{Answer, Kept, Recipe, Session};
use nice_plug::context::PluginApi;
use nice_plug::context::gui::{GuiContext, GuiContextInner};
use nice_plug::params::Params as _;
use nice_plug::params::internals::ParamPtr;
use nice_plug::plugin::PluginState;
use nice_plug_egui::baseview::dpi::LogicalSize;
use nice_plug_egui::{App, EguiWindow, EguiWindowSettings, Frame};
use parking_lot::Mutex;

/// Pictures before the state stands still: fonts and sizes settle in the first ones.
const SETTLING: u32 = 8;

/// What a state is made of.
struct Stage {
    params: Arc<ContinuoParams>,
    shared: Arc<Shared>,
    status: Status,
    session: Session,
    scale: f32,
    group: Group,
    help: bool,
    pull: Option<Pull>,
}

/// Makes a state of an idle plugin.
type Prepare = fn(&mut Stage);

/// The states: name, and what makes one of an idle plugin.
const STATES: [(&str, Prepare); 14] = [
    ("empty", |_| {}),
    ("listening", |s| {
        s.session = phrase();
        s.session.phrase[7].end = None;
        s.shared.set_playhead(Timeline::Host, 3.8);
        s.shared.set_phrase_open(true);
    }),
    ("generating", |s| {
        s.session = answered(1, 6);
        s.status.thinking = true;
        s.shared.set_playhead(Timeline::Host, 4.6);
    }),
    ("takes", |s| {
        s.session = answered(4, 28);
        s.shared.set_playhead(Timeline::Host, 7.25);
        s.shared.set_audible(1);
    }),
    ("eight-takes", |s| {
        s.session = answered(8, 28);
        s.shared.set_playhead(Timeline::Host, 7.25);
        s.shared.set_audible(6);
    }),
    ("kept", |s| {
        s.session = answered(4, 28);
        let answer = s.session.answer.clone().unwrap_or_default();
        for (take, bars) in [(2, 4.0), (0, 8.0), (3, 12.0)] {
            let mut moved = answer.clone();
            moved.shift(bars);
            s.session.kept.push(Kept::of(&moved, take));
        }
        s.shared.set_playhead(Timeline::Host, 9.5);
    }),
    ("trade", |s| {
        set(&s.params, &[("mode", "Trade")]);
        s.session = phrase();
        s.shared.set_playhead(Timeline::Host, 3.1);
        s.shared.set_turn(Some((16.0, false)));
        s.shared.set_phrase_open(true);
    }),
    ("error", |s| {
        let why =
            "/music/models/jazz: config.json is missing; copy the whole folder, or pull the model again";
        s.status.model = Some(ModelState::Failed(why.to_owned()));
    }),
    ("download", |s| {
        s.session = phrase();
        let progress =
            Progress { file: "model.safetensors".to_owned(), done: 171_400_000, total: 497_800_000 };
        let name = "owner/piano-gpt2".parse().ok();
        s.pull = name.map(|name| Pull::standing(name, progress, Duration::from_secs(21)));
    }),
    ("notes", |s| {
        s.session = answered(2, 28);
        set(&s.params, &[("scale", "Dorian"), ("root", "D"), ("polyphony", "2"), ("grid", "1/16")]);
        s.group = Group::Notes;
    }),
    ("chance", |s| s.group = Group::Chance),
    ("sound", |s| {
        set(&s.params, &[("follow_velocity", "80"), ("follow_timing", "60"), ("trigger_note", "C1")]);
        s.group = Group::Sound;
    }),
    ("keys", |s| s.help = true),
    ("scale-200", |s| {
        s.session = answered(4, 28);
        s.shared.set_playhead(Timeline::Host, 7.25);
        s.scale = 2.0;
    }),
];

/// A phrase of a bar.
fn phrase() -> Session {
    let keys = [62_u8, 65, 69, 72, 70, 69, 65, 64];
    let notes = keys.iter().zip(0_u8..).map(|(key, n)| {
        let start = f64::from(n) / 2.0;
        let velocity = if n % 2 == 0 { 100 } else { 72 };
        PlayedNote { start, end: Some(start + 0.45), channel: 0, key: *key, velocity, program: 0 }
    });
    Session { phrase: notes.collect(), ..Session::default() }
}

/// The phrase, and takes of two bars.
fn answered(takes: usize, notes: u8) -> Session {
    let mut session = phrase();
    let recipe = Recipe { on_host: true, seed: 1, phrase: session.phrase.clone(), ..Recipe::default() };
    let mut answer =
        Answer { recipe, start: 4.0, end: 12.0, takes: vec![Vec::new(); takes], ..Answer::default() };
    for take in 0..takes {
        let mut key = 60 + 2 * u8::try_from(take).unwrap_or(0);
        for n in 0..notes {
            let step = (usize::from(n) * 7 + take * 5 + usize::from(n / 3) * 4) % 9;
            key = (key + u8::try_from(step).unwrap_or(0)).saturating_sub(4).clamp(50, 84);
            let start = 4.0 + f64::from(n) * 8.0 / 28.0;
            let velocity = 60 + (n % 7) * 8;
            answer.push(take, PlayNote { start, end: start + 0.26, channel: 0, key, velocity });
        }
    }
    session.answer = Some(answer);
    session
}

/// Gives parameters values, as their own texts.
fn set(params: &ContinuoParams, values: &[(&str, &str)]) {
    let map: HashMap<_, _> = params.param_map().into_iter().map(|(id, param, _)| (id, param)).collect();
    for (id, text) in values {
        // SAFETY: the parameters live as long as `params`, and nobody else has them.
        unsafe {
            if let Some(value) = map[*id].string_to_normalized_value(text) {
                map[*id]._internal_set_normalized_value(value);
            }
        }
    }
}

/// A host that sets parameters and does nothing else.
struct Host;

impl GuiContextInner for Host {
    fn plugin_api(&self) -> PluginApi {
        PluginApi::Standalone
    }
    unsafe fn raw_begin_set_parameter(&self, _: ParamPtr) {}
    unsafe fn raw_set_parameter_normalized(&self, param: ParamPtr, normalized: f32) {
        // SAFETY: the pointer is one of the window's own parameters.
        unsafe { param._internal_set_normalized_value(normalized) };
    }
    unsafe fn raw_end_set_parameter(&self, _: ParamPtr) {}
    fn get_state(&self) -> PluginState {
        unreachable!("the editor does not ask for it")
    }
    fn set_state(&self, _: PluginState) {}
    fn request_restart(&self) {}
}

struct Picture {
    window: Window,
    gui: GuiContext,
    frames: u32,
}

impl App for Picture {
    fn build(
        &mut self,
        ctx: egui::Context,
        _: &mut Frame,
    ) -> Result<(), nice_plug_egui::baseview::HandlerError> {
        Window::dress(&ctx);
        Ok(())
    }

    fn ui(&mut self, ui: &mut egui::Ui, _: &mut Frame) {
        self.window.show(ui, &self.gui);
        self.frames += 1;
        if self.frames == SETTLING {
            println!("painted");
        }
        ui.ctx().request_repaint();
    }
}

fn stage() -> Stage {
    let shared = Arc::<Shared>::default();
    let ready = Ready {
        name: "Continuo's default model".to_owned(),
        device: "CPU, int8".to_owned(),
        ..Ready::default()
    };
    let latency = Some(Duration::from_millis(12));
    let status = Status { model: Some(ModelState::Ready(ready)), latency, ..Status::default() };
    Stage {
        params: Arc::new(ContinuoParams::new(Arc::clone(&shared))),
        shared,
        status,
        session: Session::default(),
        scale: 1.0,
        group: Group::default(),
        help: false,
        pull: None,
    }
}

fn main() {
    let wanted = std::env::args().nth(1).unwrap_or_default();
    let Some((_, prepare)) = STATES.iter().find(|state| state.0 == wanted) else {
        STATES.iter().for_each(|state| println!("{}", state.0));
        return;
    };
    let mut stage = stage();
    prepare(&mut stage);
    stage.params.saved.with(|session| *session = stage.session.clone());
    let status = Arc::new(Mutex::new(stage.status));
    let nowhere = Err("a picture keeps nothing".to_owned());
    let mut window = Window::new(stage.params, stage.shared, status, nowhere);
    window.forget_problem();
    (window.group, window.help, window.pull) = (stage.group, stage.help, stage.pull);
    let size = LogicalSize { width: f64::from(SIZE.0), height: f64::from(SIZE.1) };
    let settings =
        EguiWindowSettings::new().with_title("Continuo").with_size(size).with_zoom_factor(stage.scale);
    let picture = Picture { window, gui: GuiContext::new(Arc::new(Host)), frames: 0 };
    // SAFETY: this is a program of its own, in no host.
    unsafe { nice_plug_egui::baseview::assume_standalone_in_process() };
    if let Err(error) = EguiWindow::create(settings, picture).map(|window| window.run_until_closed()) {
        eprintln!("error: no window can be opened: {error}");
        std::process::exit(1);
    }
}
