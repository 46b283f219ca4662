//! Events and parameter changes: from CLAP's language to VST3's and back.
//!
//! VST3 knows notes and their pressure. Controllers, bends and channel pressure go in
//! as changes of the parameters that the plugin assigns to them, and come out as
//! "legacy" events; a program change can only come out.

use super::int;
use crate::message::{Dialect, Message};
use clack_host::events::io::EventBuffer;
use clack_host::events::spaces::CoreEventSpace;
use clack_host::utils::ClapId;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use vst3::Steinberg::Vst::{
    ControllerNumbers_, Event, Event_, Event__type0, IEditController, IEventList, IEventListTrait,
    IMidiMapping, IMidiMappingTrait, IParamValueQueue, IParamValueQueueTrait, IParameterChanges,
    IParameterChangesTrait, NoteOffEvent, NoteOnEvent, ParamID, ParamValue, PolyPressureEvent,
};
use vst3::Steinberg::{int32, kInvalidArgument, kNotImplemented, kResultOk, tresult};
use vst3::{Class, ComPtr, ComWrapper};

/// MIDI's controllers, then channel pressure and pitch bend.
const CONTROLLERS: u8 = 130;
const PRESSURE: u8 = 128;
const BEND: u8 = 129;

/// The parameters that stand for a channel's controllers.
pub(super) struct Controllers(HashMap<(u8, u8), ParamID>);

impl Controllers {
    pub(super) fn of(controller: &ComPtr<IEditController>) -> Self {
        let mut ids = HashMap::new();
        let Some(mapping) = controller.cast::<IMidiMapping>() else { return Self(ids) };
        for channel in 0..16u8 {
            for number in 0..CONTROLLERS {
                let mut id = 0;
                let (at, of) = (i16::from(channel), i16::from(number));
                // SAFETY: the pointer is to an id that is ours.
                let result = unsafe { mapping.getMidiControllerAssignment(0, at, of, &raw mut id) };
                if result == kResultOk {
                    ids.insert((channel, number), id);
                }
            }
        }
        Self(ids)
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = ParamID> {
        self.0.values().copied()
    }
}

/// The parameter changes among events: ids and values.
pub(super) fn values(events: &EventBuffer) -> impl Iterator<Item = (u32, f64)> {
    events.iter().filter_map(|event| match event.as_core_event()? {
        CoreEventSpace::ParamValue(change) => {
            Some((change.param_id().map_or(0, ClapId::get), change.value()))
        }
        _ => None,
    })
}

/// What a block brings to the plugin.
#[derive(Default)]
pub(super) struct Changes {
    notes: Vec<Event>,
    queues: BTreeMap<ParamID, Vec<(int32, ParamValue)>>,
}

impl Changes {
    /// `greatest` holds what each parameter's values are counted to.
    pub(super) fn from_events(
        events: &EventBuffer,
        controllers: &Controllers,
        greatest: &HashMap<ParamID, f64>,
    ) -> Self {
        let mut changes = Self::default();
        for event in events {
            let time = int(event.header().time());
            if let Some(CoreEventSpace::ParamValue(change)) = event.as_core_event() {
                let id = change.param_id().map_or(0, ClapId::get);
                let value = change.value() / greatest.get(&id).copied().unwrap_or(1.0);
                changes.queues.entry(id).or_default().push((time, value));
            } else if let Some(message) = Message::from_event(event) {
                changes.message(time, message, controllers);
            }
        }
        changes
    }

    fn message(&mut self, time: int32, message: Message, controllers: &Controllers) {
        match message {
            Message::On { .. } | Message::Off { .. } => self.notes.push(note(time, message)),
            Message::Raw([status, first, second]) => {
                let (channel, fraction) = (status & 0x0F, |value: u8| f64::from(value) / 127.0);
                let (number, value) = match status & 0xF0 {
                    0xA0 => return self.notes.push(pressure(time, [channel, first, second])),
                    0xB0 => (first, fraction(second)),
                    0xD0 => (PRESSURE, fraction(first)),
                    0xE0 => (BEND, f64::from(u16::from(first) | u16::from(second) << 7) / 16_383.0),
                    _ => return,
                };
                if let Some(&id) = controllers.0.get(&(channel, number)) {
                    self.queues.entry(id).or_default().push((time, value));
                }
            }
        }
    }

    /// The lists that the plugin reads.
    pub(super) fn lists(self) -> (ComWrapper<Parameters>, ComWrapper<Heard>) {
        let queues = self.queues.into_iter().map(|(id, points)| ComWrapper::new(Queue { id, points }));
        (ComWrapper::new(Parameters(queues.collect())), ComWrapper::new(Heard(RefCell::new(self.notes))))
    }
}

fn event(time: int32, kind: u32, what: Event__type0) -> Event {
    let kind = u16::try_from(kind).unwrap_or(u16::MAX);
    Event { busIndex: 0, sampleOffset: time, ppqPosition: 0.0, flags: 0, r#type: kind, __field0: what }
}

#[allow(clippy::unnecessary_cast, clippy::cast_sign_loss, reason = "their type depends on the compiler")]
const fn kind(number: Event_::EventTypes) -> u32 {
    number as u32
}

const ON: u32 = kind(Event_::EventTypes_::kNoteOnEvent);
const OFF: u32 = kind(Event_::EventTypes_::kNoteOffEvent);
const POLY: u32 = kind(Event_::EventTypes_::kPolyPressureEvent);
const LEGACY: u32 = kind(Event_::EventTypes_::kLegacyMIDICCOutEvent);

fn note(time: int32, message: Message) -> Event {
    let [status, key, velocity] = message.to_midi();
    let (channel, pitch, velocity) = (i16::from(status & 0x0F), i16::from(key), f32::from(velocity) / 127.0);
    if matches!(message, Message::On { .. }) {
        let on = NoteOnEvent { channel, pitch, tuning: 0.0, velocity, length: 0, noteId: -1 };
        event(time, ON, Event__type0 { noteOn: on })
    } else {
        let off = NoteOffEvent { channel, pitch, velocity, noteId: -1, tuning: 0.0 };
        event(time, OFF, Event__type0 { noteOff: off })
    }
}

fn pressure(time: int32, [channel, key, value]: [u8; 3]) -> Event {
    let (channel, pitch, pressure) = (i16::from(channel), i16::from(key), f32::from(value) / 127.0);
    event(
        time,
        POLY,
        Event__type0 { polyPressure: PolyPressureEvent { channel, pitch, pressure, noteId: -1 } },
    )
}

/// Appends what the plugin said to the host's events.
pub(super) fn push(event: &Event, output: &mut EventBuffer) {
    let byte = |number: i16| u8::try_from(number).unwrap_or(0);
    // SAFETY: the kind says which of the union's fields there is.
    let message = unsafe {
        match u32::from(event.r#type) {
            ON => {
                let on = event.__field0.noteOn;
                Message::on(byte(on.channel), byte(on.pitch), seven_bits(on.velocity))
            }
            OFF => {
                let off = event.__field0.noteOff;
                Message::off(byte(off.channel), byte(off.pitch))
            }
            POLY => {
                let poly = event.__field0.polyPressure;
                Message::Raw([0xA0 | byte(poly.channel), byte(poly.pitch), seven_bits(poly.pressure)])
            }
            LEGACY => {
                let legacy = event.__field0.midiCCOut;
                let [channel, value, more] =
                    [legacy.channel, legacy.value, legacy.value2].map(|number| byte(number.into()));
                Message::Raw(match int(legacy.controlNumber) {
                    number if number == int(ControllerNumbers_::kAfterTouch) => [0xD0 | channel, value, 0],
                    number if number == int(ControllerNumbers_::kPitchBend) => [0xE0 | channel, value, more],
                    number if number == int(ControllerNumbers_::kCtrlProgramChange) => {
                        [0xC0 | channel, value, 0]
                    }
                    _ => [0xB0 | channel, legacy.controlNumber, value],
                })
            }
            _ => return,
        }
    };
    message.push(u32::try_from(event.sampleOffset).unwrap_or(0), Dialect::Clap, output);
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0..=127")]
fn seven_bits(value: f32) -> u8 {
    (value * 127.0).round().clamp(0.0, 127.0) as u8
}

/// A list of events that either side may write.
#[derive(Default)]
pub(super) struct Heard(RefCell<Vec<Event>>);

impl Heard {
    pub(super) fn take(&self) -> Vec<Event> {
        self.0.take()
    }
}

impl Class for Heard {
    type Interfaces = (IEventList,);
}

#[allow(non_snake_case, reason = "the specification's names")]
impl IEventListTrait for Heard {
    unsafe fn getEventCount(&self) -> int32 {
        int(self.0.borrow().len())
    }

    unsafe fn getEvent(&self, index: int32, event: *mut Event) -> tresult {
        let events = self.0.borrow();
        let Some(found) = usize::try_from(index).ok().and_then(|index| events.get(index)) else {
            return kInvalidArgument;
        };
        // SAFETY: the caller gives a place for an event.
        unsafe { event.write(*found) };
        kResultOk
    }

    unsafe fn addEvent(&self, event: *mut Event) -> tresult {
        // SAFETY: the caller gives an event.
        self.0.borrow_mut().push(unsafe { *event });
        kResultOk
    }
}

/// The parameters that change in a block.
pub(super) struct Parameters(Vec<ComWrapper<Queue>>);

impl Class for Parameters {
    type Interfaces = (IParameterChanges,);
}

#[allow(non_snake_case, reason = "the specification's names")]
impl IParameterChangesTrait for Parameters {
    unsafe fn getParameterCount(&self) -> int32 {
        int(self.0.len())
    }

    unsafe fn getParameterData(&self, index: int32) -> *mut IParamValueQueue {
        let queue = usize::try_from(index).ok().and_then(|index| self.0.get(index));
        let queue = queue.and_then(|queue| queue.as_com_ref::<IParamValueQueue>());
        queue.map_or(std::ptr::null_mut(), |queue| queue.as_ptr())
    }

    unsafe fn addParameterData(&self, _id: *const ParamID, _index: *mut int32) -> *mut IParamValueQueue {
        std::ptr::null_mut()
    }
}

/// One parameter's values in a block.
pub(super) struct Queue {
    id: ParamID,
    points: Vec<(int32, ParamValue)>,
}

impl Class for Queue {
    type Interfaces = (IParamValueQueue,);
}

#[allow(non_snake_case, reason = "the specification's names")]
impl IParamValueQueueTrait for Queue {
    unsafe fn getParameterId(&self) -> ParamID {
        self.id
    }

    unsafe fn getPointCount(&self) -> int32 {
        int(self.points.len())
    }

    unsafe fn getPoint(&self, index: int32, time: *mut int32, value: *mut ParamValue) -> tresult {
        let Some(&(at, number)) = usize::try_from(index).ok().and_then(|index| self.points.get(index)) else {
            return kInvalidArgument;
        };
        // SAFETY: the caller gives a place for both.
        unsafe {
            time.write(at);
            value.write(number);
        }
        kResultOk
    }

    unsafe fn addPoint(&self, _time: int32, _value: ParamValue, _index: *mut int32) -> tresult {
        kNotImplemented
    }
}
