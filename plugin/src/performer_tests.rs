//! The whole plugin but the framework and the model: a performer, an inference
//! thread with a composer that always writes the same, and a host that renders
//! offline, so that every run is the same.

use std::collections::VecDeque;

use continuo_engine::worker::{Composer, ModelState, Ready, Worker};
use continuo_engine::{BeatNote, DeviceChoice, Ending, Instrument, Request, TakeEvent};
use nice_plug_egui::RepaintNotifier;
use parking_lot::Mutex;

use super::*;
use crate::link::{TO_PLAYER, TO_WORKER};
use crate::params::{ContinuoParams, Start};
use crate::responder::{Responder, Status, View};

const RATE: f64 = 48_000.0;
const SAMPLES_PER_BEAT: u64 = 24_000;

/// Answers with a note on every beat of the window, take 0 an octave above the
/// phrase's first note, each further take and each further seed a key higher.
#[derive(Default)]
pub(crate) struct Metronome {
    /// What had been read when the last answer was asked for.
    read: Arc<Mutex<Vec<usize>>>,
}

impl Composer for Metronome {
    /// How many notes the phrase had whenever it was read ahead.
    type Reading = Vec<usize>;

    fn name(&self) -> &str {
        "metronome"
    }

    fn reading(&self) -> Vec<usize> {
        Vec::new()
    }

    fn read_ahead(&self, request: &Request, read: &mut Vec<usize>, _: &(dyn Fn() -> bool + Sync)) {
        read.push(request.phrase.notes.len());
    }

    fn compose(
        &self,
        request: &Request,
        read: &mut Vec<usize>,
        cancelled: &(dyn Fn() -> bool + Sync),
        on: &mut (dyn FnMut(TakeEvent) + Send),
    ) -> Result<Ending, String> {
        *self.read.lock() = read.clone();
        let first = request.phrase.notes.first();
        let (pitch, instrument) = first.map_or((48, Instrument::PIANO), |n| (n.pitch, n.instrument));
        let again = u8::try_from(request.sampling.seed >> 32).unwrap_or(0);
        for take in 0..request.takes {
            let pitch = pitch + 12 + u8::try_from(take).unwrap_or(0) + 2 * again;
            let mut start = request.window.from;
            while start < request.window.until {
                if cancelled() {
                    return Ok(Ending::Cancelled);
                }
                on(TakeEvent::Note {
                    take,
                    note: BeatNote { start, duration: 0.5, pitch, velocity: 80, instrument },
                });
                start += 1.0;
                on(TakeEvent::Reached { take, beat: start });
            }
            on(TakeEvent::Done { take });
        }
        Ok(Ending::Complete)
    }
}

#[derive(Default)]
struct Events {
    input: VecDeque<Event>,
    output: Vec<Event>,
}

impl Port for Events {
    fn next(&mut self) -> Option<Event> {
        self.input.pop_front()
    }
    fn send(&mut self, event: Event) {
        self.output.push(event);
    }
}

pub(crate) struct Rig {
    pub(crate) performer: Performer,
    pub(crate) params: Arc<ContinuoParams>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) status: Arc<Mutex<Status>>,
    pub(crate) settings: Settings,
    pub(crate) host: HostTime,
    pub(crate) time: u64,
    /// What comes when, in order.
    pub(crate) score: VecDeque<(u64, Event)>,
    pub(crate) heard: Vec<(u64, Event)>,
    _worker: Worker,
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::with(|responder| Worker::spawn_with(responder, |_, _| Ok(Metronome::default())).unwrap())
    }

    pub(crate) fn with(spawn: impl FnOnce(Responder) -> Worker) -> Self {
        let shared = Arc::new(Shared::default());
        let params = Arc::new(ContinuoParams::new(Arc::clone(&shared)));
        let status = Arc::new(Mutex::new(Status::default()));
        let (to_worker, inbox) = rtrb::RingBuffer::new(TO_WORKER);
        let (ring, from_worker) = rtrb::RingBuffer::new(TO_PLAYER);
        let view = View { status: Arc::clone(&status), repaint: RepaintNotifier::new() };
        let responder = Responder::new(Arc::clone(&params), Arc::clone(&shared), view, inbox, ring);
        let mut performer = Performer::new(Arc::clone(&shared), to_worker, from_worker);
        performer.configure(48_000.0, true);
        let mut settings = Settings::read(&params);
        (settings.wish.takes, settings.wish.bars) = (2, 1);
        let host = HostTime { playing: true, beats: Some(0.0), tempo: Some(120.0), ..HostTime::default() };
        Self {
            performer,
            params,
            shared,
            status,
            settings,
            host,
            time: 0,
            score: VecDeque::new(),
            heard: Vec::new(),
            _worker: spawn(responder),
        }
    }

    pub(crate) fn play(&mut self, start: f64, length: f64, key: u8) {
        self.score.push_back((sample(start), note_on(key)));
        self.score.push_back((sample(start + length), note_off(key)));
        self.score.make_contiguous().sort_by_key(|e| e.0);
    }

    pub(crate) fn trigger(&mut self) {
        self.settings.presses.asks[0] += 1;
    }

    pub(crate) fn block(&mut self, samples: u32) {
        let end = self.time + u64::from(samples);
        let mut port = Events::default();
        while let Some((at, event)) = self.score.pop_front_if(|e| e.0 < end) {
            let timing = u32::try_from(at - self.time).unwrap();
            port.input.push_back(at_sample(event, timing));
        }
        self.performer.block(&self.host, samples, &self.settings, &mut port);
        assert!(port.output.is_sorted_by_key(Event::timing), "{:?}", port.output);
        self.heard.extend(port.output.iter().map(|e| (self.time + u64::from(e.timing()), at_sample(*e, 0))));
        self.time = end;
        if self.host.playing {
            self.host.beats = self.host.beats.map(|b| b + f64::from(samples) / RATE * 2.0);
        }
    }

    pub(crate) fn run_to(&mut self, beat: f64, block: u32) {
        while self.time < sample(beat) {
            let left = u32::try_from(sample(beat) - self.time).unwrap();
            self.block(block.min(left));
        }
    }

    /// Lets the inference thread catch up.
    pub(crate) fn settle(&self, settled: impl Fn(&Self) -> bool) {
        let mut looks = 0;
        while !settled(self) {
            looks += 1;
            assert!(looks < 10_000, "the inference thread never got there");
            std::thread::park_timeout(Duration::from_millis(1));
        }
    }

    /// Note-ons heard: beat and key.
    pub(crate) fn ons(&self) -> Vec<(f64, u8)> {
        let on = |e: &(u64, Event)| match e.1 {
            NoteEvent::NoteOn { key: Key::Number(key), .. } => Some((
                f64::from(u32::try_from(e.0).unwrap()) / f64::from(u32::try_from(SAMPLES_PER_BEAT).unwrap()),
                key,
            )),
            _ => None,
        };
        self.heard.iter().filter_map(on).collect()
    }
}

pub(crate) fn sample(beat: f64) -> u64 {
    u64::from(number::to_u32(beat * 24_000.0))
}

pub(crate) fn note_on(key: u8) -> Event {
    let (voice_id, channel) = (VoiceID::Wildcard, Channel::Number(0));
    NoteEvent::NoteOn { timing: 0, voice_id, channel, key: Key::Number(key), velocity: 0.5 }
}

pub(crate) fn note_off(key: u8) -> Event {
    let (voice_id, channel) = (VoiceID::Wildcard, Channel::Number(0));
    NoteEvent::NoteOff { timing: 0, voice_id, channel, key: Key::Number(key), velocity: 0.0 }
}

fn at_sample(event: Event, sample: u32) -> Event {
    let mut event = event;
    match &mut event {
        NoteEvent::NoteOn { timing, .. }
        | NoteEvent::NoteOff { timing, .. }
        | NoteEvent::MidiCC { timing, .. }
        | NoteEvent::MidiPitchBend { timing, .. } => {
            *timing = sample;
        }
        other => panic!("no test uses {other:?}"),
    }
    event
}

#[test]
fn a_phrase_is_answered_from_the_next_bar_on() {
    let mut rig = Rig::new();
    rig.play(0.0, 1.0, 60);
    rig.play(1.0, 1.5, 64);
    rig.run_to(3.0, 512);
    rig.trigger();
    rig.run_to(12.0, 512);
    let answer = [4.0, 5.0, 6.0, 7.0].map(|beat| (beat, 72));
    assert_eq!(rig.ons()[..2], [(0.0, 60), (1.0, 64)]);
    assert_eq!(rig.ons()[2..], answer);
}

#[test]
fn offline_every_block_size_gives_the_same() {
    let mut reference = None;
    for block in [1_u32, 7, 64, 333, 4096, 48_000] {
        let mut rig = Rig::new();
        rig.settings.mode = Mode::Reply;
        rig.settings.start = Start::Now;
        rig.settings.pause = 0.75;
        rig.play(0.1, 0.4, 60);
        rig.play(0.3, 0.5, 64);
        rig.play(2.1, 0.2, 50);
        rig.run_to(8.0, block);
        // The pause is over at 0.8 + 0.75, and the answer is there at once.
        assert_eq!(rig.ons()[2], (1.55, 72), "block {block}");
        let heard = rig.heard.clone();
        assert_eq!(reference.get_or_insert(heard.clone()), &heard, "block {block}");
    }
}

#[test]
fn takes_are_switched_in_place_and_asking_again_gives_something_else() {
    let mut rig = Rig::new();
    rig.play(0.0, 1.0, 60);
    rig.run_to(2.0, 512);
    rig.trigger();
    rig.run_to(5.5, 512);
    rig.settings.take = 1;
    rig.run_to(6.5, 512);
    rig.settings.take = 7;
    rig.run_to(9.0, 512);
    rig.settings.take = 0;
    rig.trigger();
    rig.run_to(17.0, 512);
    let expected =
        [(4.0, 72), (5.0, 72), (6.0, 73), (7.0, 73), (12.0, 74), (13.0, 74), (14.0, 74), (15.0, 74)];
    assert_eq!(rig.ons()[1..], expected);
}

#[test]
fn the_answer_stays_where_it_is_until_it_is_cleared() {
    let mut rig = Rig::new();
    rig.play(0.0, 1.0, 60);
    rig.run_to(2.0, 512);
    rig.trigger();
    rig.run_to(8.0, 512);
    rig.host.beats = Some(3.0);
    rig.run_to(10.25, 512);
    // Beat 3 was at 8, so beats 4 and 5 sounded at 9 and 10.
    assert_eq!(rig.ons()[5..], [(9.0, 72), (10.0, 72)]);
    rig.settings.presses.clear += 1;
    rig.run_to(14.0, 512);
    assert_eq!(rig.ons().len(), 7);
    let last = rig.heard.last().unwrap();
    assert!(matches!(last, (t, NoteEvent::NoteOff { .. }) if *t == sample(10.25)), "{last:?}");
    rig.settle(|rig| rig.params.saved.placed().answer.is_none());
}

#[test]
fn in_a_stopped_host_time_goes_on() {
    let mut rig = Rig::new();
    rig.host.playing = false;
    rig.play(0.0, 1.0, 60);
    rig.run_to(2.0, 512);
    rig.trigger();
    rig.run_to(9.0, 512);
    assert_eq!(rig.ons()[1..], [4.0, 5.0, 6.0, 7.0].map(|beat| (beat, 72)));
}

#[test]
fn a_key_of_the_players_is_never_left_hanging() {
    let mut rig = Rig::new();
    rig.play(0.0, 1.0, 60);
    // On the answer's own key: before its first note and across it, then inside one.
    rig.play(3.5, 1.0, 72);
    rig.play(6.25, 0.5, 72);
    rig.run_to(2.0, 512);
    rig.trigger();
    rig.run_to(7.5, 512);
    rig.settings.through = false;
    rig.play(7.6, 0.2, 50);
    rig.run_to(9.0, 512);
    let mut down = 0_i32;
    for (time, event) in rig.heard.iter().filter(|e| e.0 >= sample(3.0)) {
        match event {
            NoteEvent::NoteOn { .. } => down += 1,
            NoteEvent::NoteOff { .. } => down -= 1,
            _ => {}
        }
        assert!((0..=1).contains(&down), "{down} keys down at {time}: {:?}", rig.heard);
    }
    assert_eq!(down, 0);
    // Struck by the player at 3.5, so not by the answer at 4; 50 was not let through.
    assert_eq!(rig.ons()[1..], [(3.5, 72), (5.0, 72), (6.0, 72), (6.25, 72), (7.0, 72)]);
}

#[test]
fn a_release_is_passed_on_if_its_press_was() {
    let mut rig = Rig::new();
    rig.play(0.0, 1.0, 60);
    rig.run_to(0.5, 512);
    rig.settings.through = false;
    rig.run_to(2.0, 512);
    assert_eq!(rig.heard.len(), 2);
}

#[test]
fn controllers_keep_their_place_among_the_notes() {
    let mut rig = Rig::new();
    rig.play(0.0, 1.0, 60);
    rig.run_to(2.0, 512);
    rig.trigger();
    let pedal = NoteEvent::MidiCC { timing: 0, channel: 0, cc: 1, value: 0.5 };
    for beat in [4.0, 4.25, 4.5, 5.0] {
        rig.score.push_back((sample(beat), pedal));
    }
    rig.run_to(5.25, 10_000);
    let order: Vec<_> =
        rig.heard[2..].iter().map(|e| (e.0, matches!(e.1, NoteEvent::MidiCC { .. }))).collect();
    let expected = [
        (4.0, true),
        (4.0, false),
        (4.25, true),
        // At one sample: the answer's releases, the player, the answer's presses.
        (4.5, false),
        (4.5, true),
        (5.0, true),
        (5.0, false),
    ];
    assert_eq!(order, expected.map(|(beat, cc)| (sample(beat), cc)));
}

#[test]
fn bypass_silences_the_answer_and_lets_everything_through() {
    let mut rig = Rig::new();
    rig.play(0.0, 1.0, 60);
    rig.play(5.0, 1.0, 62);
    rig.run_to(2.0, 512);
    rig.trigger();
    rig.run_to(4.25, 512);
    rig.settings = Settings { bypass: true, through: false, ..rig.settings };
    rig.trigger();
    rig.run_to(6.5, 512);
    rig.settings.bypass = false;
    rig.run_to(12.0, 512);
    assert_eq!(rig.ons()[1..], [(4.0, 72), (5.0, 62), (7.0, 72)]);
    assert_eq!(rig.heard.len(), 8);
}

#[test]
fn a_saved_session_plays_the_same_without_a_model() {
    let mut rig = Rig::new();
    rig.play(0.0, 1.0, 60);
    rig.run_to(2.0, 512);
    rig.trigger();
    rig.run_to(9.0, 512);
    let saved = nice_plug::params::persist::PersistentField::map(&rig.params.saved, Clone::clone);

    let load = |_: &_, _| Err::<Metronome, _>("no such model".to_owned());
    let mut other = Rig::with(|responder| Worker::spawn_with(responder, load).unwrap());
    other.params.saved.load(saved.clone()).unwrap();
    other.run_to(9.0, 512);
    assert_eq!(other.ons(), rig.ons()[1..]);
    // Loading again while running, half through a note.
    other.run_to(9.1, 512);
    other.host.beats = Some(4.0);
    other.run_to(9.2, 512);
    other.params.saved.load(saved).unwrap();
    other.host.beats = Some(3.0);
    other.run_to(10.5, 512);
    assert_eq!(other.ons()[4..].iter().map(|o| o.1).collect::<Vec<_>>(), [72, 72]);
    // Asked for another answer, it says what is wrong and plays on.
    other.trigger();
    other.run_to(16.0, 512);
    assert_eq!(other.status.lock().error.as_deref(), Some("no such model"));
}

#[test]
fn a_newer_answer_overtakes_an_older_one() {
    let mut rig = Rig::new();
    rig.play(0.0, 1.0, 60);
    rig.run_to(1.5, 512);
    rig.trigger();
    rig.run_to(1.75, 512);
    rig.play(2.0, 0.5, 65);
    rig.run_to(3.0, 512);
    rig.trigger();
    rig.run_to(9.0, 512);
    assert_eq!(rig.ons()[2..], [4.0, 5.0, 6.0, 7.0].map(|beat| (beat, 77)));
    assert_eq!(rig.shared.latest(), rig.performer.playback.id());
}

#[test]
fn an_offline_host_is_not_kept_waiting_by_a_thread_that_is_gone() {
    let mut rig = Rig::with(|responder| {
        drop(responder);
        Worker::spawn_with(Idle, |_, _| Ok(Metronome::default())).unwrap()
    });
    rig.play(0.0, 1.0, 60);
    rig.trigger();
    rig.run_to(8.0, 512);
    assert_eq!(rig.ons(), [(0.0, 60)]);
}

#[test]
fn what_is_played_is_read_ahead() {
    let read = Arc::new(Mutex::new(Vec::new()));
    let shared = Arc::clone(&read);
    let load = move |_: &_, _| Ok(Metronome { read: Arc::clone(&shared) });
    let mut rig = Rig::with(|responder| Worker::spawn_with(responder, load).unwrap());
    for (start, key) in [(0.0, 60), (1.0, 62), (2.0, 64)] {
        rig.play(start, 0.9, key);
        // The model looks every few milliseconds; it has to have looked at this one.
        rig.run_to(start + 1.0, 512);
        while rig.performer.to_worker.slots() < TO_WORKER {
            std::thread::yield_now();
        }
    }
    rig.trigger();
    rig.run_to(8.0, 512);
    let read = read.lock().clone();
    assert!(
        !read.is_empty() && read.is_sorted() && read.iter().all(|notes| (1..=3).contains(notes)),
        "{read:?}"
    );
    assert_eq!(rig.ons().iter().filter(|(_, key)| *key == 72).count(), 4, "and the answer is as ever");
}

/// Says what it was asked with in place of answering.
struct Parrot;

impl Composer for Parrot {
    type Reading = ();

    fn reading(&self) {}

    fn read_ahead(&self, _: &Request, (): &mut (), _: &(dyn Fn() -> bool + Sync)) {}

    fn name(&self) -> &str {
        "parrot"
    }

    fn device(&self) -> &str {
        "a perch"
    }

    fn compose(
        &self,
        request: &Request,
        (): &mut (),
        _: &(dyn Fn() -> bool + Sync),
        _: &mut (dyn FnMut(TakeEvent) + Send),
    ) -> Result<Ending, String> {
        let sampling = &request.sampling;
        Err(format!("{} {}", sampling.min_p, sampling.no_repeat))
    }
}

#[test]
fn what_is_set_is_asked_with_and_kept_with_the_answer() {
    let mut rig = Rig::with(|responder| Worker::spawn_with(responder, |_, _| Ok(Parrot)).unwrap());
    (rig.settings.wish.chance.min_p, rig.settings.wish.chance.no_repeat) = (0.25, 12);
    rig.play(0.0, 1.0, 60);
    rig.run_to(2.0, 512);
    rig.trigger();
    rig.run_to(8.0, 512);
    assert_eq!(rig.status.lock().error.as_deref(), Some("0.25 12"));
    let answer = rig.params.saved.placed().answer.unwrap();
    assert_eq!((answer.recipe.wish.chance.min_p, answer.recipe.wish.chance.no_repeat), (0.25, 12));
}

#[test]
fn another_device_loads_the_model_anew_and_is_shown() {
    let load = |_: &_, device: DeviceChoice| match device {
        DeviceChoice::Cpu => Ok(Parrot),
        other => Err(other.name().to_owned()),
    };
    let rig = Rig::with(|responder| Worker::spawn_with(responder, load).unwrap());
    let is = |rig: &Rig, state: &ModelState| rig.status.lock().model.as_ref() == Some(state);
    rig.settle(|rig| is(rig, &ModelState::Failed("auto".to_owned())));
    *rig.params.device.write() = DeviceChoice::Cpu;
    let (name, device) = ("parrot".to_owned(), "a perch".to_owned());
    rig.settle(|rig| {
        is(rig, &ModelState::Ready(Ready { name: name.clone(), device: device.clone(), ..Ready::default() }))
    });
}

struct Idle;

impl continuo_engine::worker::Client for Idle {
    fn source(&mut self) -> continuo_engine::worker::Source {
        continuo_engine::worker::Source::Embedded
    }
    fn model(&mut self, _: continuo_engine::worker::ModelState) {}
    fn tend(&mut self) {}
    fn next(&mut self) -> Option<Request> {
        None
    }
    fn coming(&mut self) -> Option<Request> {
        None
    }
    fn waiting(&mut self) -> bool {
        false
    }
    fn cancelled(&mut self) -> bool {
        true
    }
    fn event(&mut self, _: TakeEvent) {}
    fn ended(&mut self, _: Result<Ending, String>) {}
}
