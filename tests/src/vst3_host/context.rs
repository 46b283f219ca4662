//! What the plugin is told about time.

use crate::format::Block;
use clack_host::events::event_types::TransportFlags;
use vst3::Steinberg::Vst::ProcessContext;
use vst3::Steinberg::Vst::ProcessContext_::StatesAndFlags_ as Flags;

/// The transport at the beginning of a block.
#[allow(clippy::unnecessary_cast, clippy::cast_sign_loss, reason = "their type depends on the compiler")]
pub(super) fn of(block: &Block<'_>, sample_rate: f64) -> ProcessContext {
    let transport = block.transport;
    let mut state = Flags::kTempoValid
        | Flags::kTimeSigValid
        | Flags::kProjectTimeMusicValid
        | Flags::kBarPositionValid
        | Flags::kCycleValid;
    if transport.flags.contains(TransportFlags::IS_PLAYING) {
        state |= Flags::kPlaying;
    }
    if transport.flags.contains(TransportFlags::IS_LOOP_ACTIVE) {
        state |= Flags::kCycleActive;
    }
    // SAFETY: plain numbers, for all of which zero is a value.
    let mut context: ProcessContext = unsafe { std::mem::zeroed() };
    context.state = state as u32;
    context.sampleRate = sample_rate;
    context.projectTimeSamples = samples(transport.song_pos_seconds.to_float() * sample_rate);
    context.continousTimeSamples = i64::try_from(block.clock).unwrap_or(i64::MAX);
    context.projectTimeMusic = transport.song_pos_beats.to_float();
    context.barPositionMusic = transport.bar_start.to_float();
    context.cycleStartMusic = transport.loop_start_beats.to_float();
    context.cycleEndMusic = transport.loop_end_beats.to_float();
    context.tempo = transport.tempo;
    context.timeSigNumerator = transport.time_signature_numerator.into();
    context.timeSigDenominator = transport.time_signature_denominator.into();
    context
}

#[expect(clippy::cast_possible_truncation, reason = "`as` saturates, as wanted")]
fn samples(position: f64) -> i64 {
    position.round() as i64
}
