//! The parameters' values as the audio thread looks at them.

use nice_plug::prelude::IntParam;

use crate::ask::{Bounds, Chance, ENDLESS_BARS, Feel, Wish};
use crate::number;
use crate::params::{ContinuoParams, Mode, Press, Start, Yield};

/// Parameter values as they are during a block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// How often was asked for something.
    pub presses: Pressed,
    /// Nothing but passing through.
    pub bypass: bool,
    /// When to answer.
    pub mode: Mode,
    /// The pause that is answered, in beats.
    pub pause: f64,
    /// How long a turn is, in bars.
    pub turn: u16,
    /// Where an answer begins.
    pub start: Start,
    /// What becomes of an answer when the player plays into it.
    pub yields: Yield,
    /// The key that asks for an answer.
    pub trigger_note: Option<u8>,
    /// The controller that asks for an answer.
    pub trigger_cc: Option<u8>,
    /// The take chosen, counted from 0.
    pub take: usize,
    /// Whether the player's events are passed on.
    pub through: bool,
    /// How an answer is to be.
    pub wish: Wish,
}

/// How often the momentary parameters were pressed that the audio thread acts on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pressed {
    /// An answer, another to the same, a variation.
    pub asks: [u32; 3],
    /// The end of the answer.
    pub stop: u32,
    /// Everything forgotten.
    pub clear: u32,
}

impl Settings {
    /// The parameters' values now.
    #[must_use]
    pub fn read(params: &ContinuoParams) -> Self {
        let count = |press| params.presses.count(press);
        Self {
            presses: Pressed {
                asks: [count(Press::Answer), count(Press::Again), count(Press::Vary)],
                stop: count(Press::Stop),
                clear: count(Press::Clear),
            },
            bypass: params.bypass.value(),
            mode: params.mode.value(),
            pause: f64::from(params.pause.value()),
            turn: u16::try_from(params.turn.value()).unwrap_or(1),
            start: params.start.value(),
            yields: yielding(params.yields.value(), params.bars.value()),
            trigger_note: u8::try_from(params.trigger_note.value()).ok(),
            trigger_cc: u8::try_from(params.trigger_cc.value()).ok(),
            take: number::to_usize(params.take.value() - 1),
            through: params.through.value(),
            wish: wish(params),
        }
    }
}

/// What goes on until the player plays must end then.
fn yielding(yields: Yield, bars: i32) -> Yield {
    if yields == Yield::Never && bars == 0 { Yield::Now } else { yields }
}

fn wish(params: &ContinuoParams) -> Wish {
    let byte = |param: &IntParam| u8::try_from(param.value()).unwrap_or(0);
    Wish {
        bars: u16::try_from(params.bars.value()).ok().filter(|bars| *bars > 0).unwrap_or(ENDLESS_BARS),
        takes: number::to_usize(params.takes.value()),
        seed: u64::from(params.seed.value().unsigned_abs()),
        over: params.mode.value() == Mode::Accompany,
        listen: byte(&params.listen),
        drums: params.drums.value(),
        chance: Chance {
            temperature: params.temperature.value(),
            top_k: number::to_usize(params.top_k.value()),
            top_p: params.top_p.value(),
            min_p: params.min_p.value(),
            no_repeat: number::to_usize(params.no_repeat.value()),
        },
        bounds: Bounds {
            root: params.root.value(),
            scale: params.scale.value(),
            low: byte(&params.low),
            high: byte(&params.high),
            polyphony: byte(&params.polyphony),
            density: f64::from(params.density.value()),
            grid: params.grid.value(),
            keep_rhythm: params.keep_rhythm.value(),
        },
        feel: Feel { velocity: params.follow_velocity.value(), timing: params.follow_timing.value() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endless_answers_give_way_whatever_is_chosen() {
        assert_eq!(yielding(Yield::Never, 0), Yield::Now);
        assert_eq!((yielding(Yield::Bar, 0), yielding(Yield::Never, 4)), (Yield::Bar, Yield::Never));
    }
}
