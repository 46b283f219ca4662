//! With NEON, which every 64-bit ARM has: four products of bytes added to each lane, by
//! one instruction where the processor has it (the dot products of ARMv8.2, as in all of
//! Apple's), by several elsewhere.
//!
//! What differs is one step, [`Step`]; the rest is written once.

use std::arch::aarch64::{
    float32x4_t, int8x16_t, int32x4_t, uint8x16_t, vaddq_s32, vaddvq_s32, vcvtq_f32_s32, vdupq_n_f32,
    vdupq_n_s8, vdupq_n_s32, vdupq_n_u8, veorq_u8, vfmaq_f32, vget_low_s8, vld1_u16, vld1q_s8, vld1q_s32,
    vld1q_u8, vmull_high_s8, vmull_s8, vmulq_f32, vpaddlq_s16, vpaddq_s32, vreinterpretq_f32_u32,
    vreinterpretq_s8_s32, vreinterpretq_s8_u8, vshll_n_u16, vst1q_f32, vst1q_s32,
};
use std::arch::asm;

use super::{Part, RowPart, whole};
use crate::cpu::cache::SHEET;
use crate::cpu::pack::{BLOCK, LANES, Line, QUADS, widen};

/// Numbers in a register.
const WIDTH: usize = 4;

/// Adds to each lane of sums the products of four bytes with four others.
trait Step {
    /// # Safety
    /// The processor has what the step is made of.
    unsafe fn add(sum: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t;
}

/// With instructions that every processor has.
pub(super) struct Usual;

/// With the dot products of ARMv8.2.
pub(super) struct Dot;

impl Step for Usual {
    #[inline]
    #[target_feature(enable = "neon")]
    unsafe fn add(sum: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
        let low = vpaddlq_s16(vmull_s8(vget_low_s8(a), vget_low_s8(b)));
        let high = vpaddlq_s16(vmull_high_s8(a, b));
        vaddq_s32(sum, vpaddq_s32(low, high))
    }
}

impl Step for Dot {
    #[inline]
    #[target_feature(enable = "neon,dotprod")]
    unsafe fn add(mut sum: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
        // SAFETY: the processor has the instruction, which touches these registers alone.
        unsafe {
            asm!(
                "sdot {sum:v}.4s, {a:v}.16b, {b:v}.16b",
                sum = inout(vreg) sum,
                a = in(vreg) a,
                b = in(vreg) b,
                options(pure, nomem, nostack, preserves_flags),
            );
        }
        sum
    }
}

/// The kernels with one kind of step, compiled for the processors that have it.
macro_rules! kernels {
    ($step:ident, $features:literal) => {
        impl $step {
            /// # Safety
            /// The processor has what the step is made of.
            #[target_feature(enable = $features)]
            pub(super) unsafe fn panel<const N: usize>(part: &Part<'_>, tiles: &mut [[f32; LANES]]) {
                // Sums for more would not fit into the registers.
                // SAFETY: as above.
                unsafe {
                    if N > 4 { panel::<Self, N, 2>(part, tiles) } else { panel::<Self, N, 4>(part, tiles) }
                }
            }

            /// # Safety
            /// The processor has what the step is made of.
            #[target_feature(enable = $features)]
            pub(super) unsafe fn row(part: &RowPart<'_>) -> f32 {
                // SAFETY: as above.
                unsafe { row::<Self>(part) }
            }

            /// # Safety
            /// The processor has what the step is made of.
            #[target_feature(enable = $features)]
            pub(super) unsafe fn scores(
                low: &[Line],
                high: &[Line],
                query: &[i8],
                products: &mut [i32; SHEET],
            ) {
                // SAFETY: as above.
                unsafe { scores::<Self>(low, high, query, products) }
            }

            /// # Safety
            /// The processor has what the step is made of.
            #[target_feature(enable = $features)]
            pub(super) unsafe fn gather(lines: &[Line], weights: &[i8; SHEET], sums: &mut [i32; LANES]) {
                // SAFETY: as above.
                unsafe { gather::<Self>(lines, weights, sums) }
            }
        }
    };
}

kernels!(Usual, "neon");
kernels!(Dot, "neon,dotprod");

/// # Safety
/// The processor has what the step is made of.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn panel<S: Step, const N: usize, const W: usize>(part: &Part<'_>, tiles: &mut [[f32; LANES]]) {
    let blocks = part.scales.len();
    let mut y = [[vdupq_n_f32(0.0); LANES / WIDTH]; N];
    for (b, (lines, scales)) in part.lines.chunks_exact(QUADS).zip(part.scales).enumerate() {
        let mut x = [&[0; BLOCK]; N];
        for (t, x) in x.iter_mut().enumerate() {
            *x = part.values[(t * blocks + b) * BLOCK..].first_chunk().unwrap_or(*x);
        }
        for from in (0..LANES / WIDTH).step_by(W) {
            let mut sums = [[vdupq_n_s32(0); W]; N];
            for (j, line) in lines.iter().enumerate() {
                // A loop in place of a closure, which would not be compiled into this.
                let mut weights = [vdupq_n_s8(0); W];
                for (w, weights) in weights.iter_mut().enumerate() {
                    *weights = signed(quarter(line, from + w));
                }
                for (sums, x) in sums.iter_mut().zip(x) {
                    let at = j % QUADS * 4;
                    let x = four([x[at], x[at + 1], x[at + 2], x[at + 3]]);
                    for (sum, weights) in sums.iter_mut().zip(weights) {
                        // SAFETY: as the caller's.
                        *sum = unsafe { S::add(*sum, weights, x) };
                    }
                }
            }
            for (t, (y, sums)) in y.iter_mut().zip(sums).enumerate() {
                let x_scale = vdupq_n_f32(part.x_scales[t * blocks + b]);
                for (w, sum) in sums.into_iter().enumerate() {
                    let scale = vmulq_f32(widened(scales, from + w), x_scale);
                    y[from + w] = vfmaq_f32(y[from + w], vcvtq_f32_s32(sum), scale);
                }
            }
        }
    }
    for (tile, y) in tiles.iter_mut().zip(y) {
        for (numbers, y) in tile.as_chunks_mut::<WIDTH>().0.iter_mut().zip(y) {
            // SAFETY: there is room for four.
            unsafe { vst1q_f32(numbers.as_mut_ptr(), y) };
        }
    }
}

/// # Safety
/// The processor has what the step is made of.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn row<S: Step>(part: &RowPart<'_>) -> f32 {
    let mut y = 0.0;
    for (b, (line, x)) in part.lines.iter().zip(part.values.as_chunks::<BLOCK>().0).enumerate() {
        let mut sums = [vdupq_n_s32(0); 2];
        for (w, x) in x.as_chunks::<16>().0.iter().enumerate() {
            // SAFETY: there are 16 bytes; and as the caller's.
            sums[w % 2] = unsafe { S::add(sums[w % 2], signed(quarter(line, w)), vld1q_s8(x.as_ptr())) };
        }
        let sum = vaddvq_s32(vaddq_s32(sums[0], sums[1]));
        y += whole(sum) * (widen(part.scales[b]) * part.x_scales[b]);
    }
    y
}

/// # Safety
/// The processor has what the step is made of.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn scores<S: Step>(low: &[Line], high: &[Line], query: &[i8], products: &mut [i32; SHEET]) {
    // Here keys have their sign: what the others add too much is not added.
    let back = vdupq_n_s32(128 * query.iter().map(|&q| i32::from(q)).sum::<i32>());
    for (lines, products) in [low, high].into_iter().zip(products.as_chunks_mut::<LANES>().0) {
        let mut sums = [back; LANES / WIDTH];
        for (line, query) in lines.iter().zip(query.as_chunks().0) {
            let query = four(*query);
            for (w, sum) in sums.iter_mut().enumerate() {
                // SAFETY: as the caller's.
                *sum = unsafe { S::add(*sum, signed(quarter(line, w)), query) };
            }
        }
        for (products, sum) in products.as_chunks_mut::<WIDTH>().0.iter_mut().zip(sums) {
            // SAFETY: there are four.
            unsafe { vst1q_s32(products.as_mut_ptr(), vaddq_s32(vld1q_s32(products.as_ptr()), sum)) };
        }
    }
}

/// # Safety
/// The processor has what the step is made of.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn gather<S: Step>(lines: &[Line], weights: &[i8; SHEET], sums: &mut [i32; LANES]) {
    let mut all = [vdupq_n_s32(0); LANES / WIDTH];
    for (line, weights) in lines.iter().zip(weights.as_chunks().0) {
        let weights = four(*weights);
        for (w, sum) in all.iter_mut().enumerate() {
            let values = vreinterpretq_s8_u8(quarter(line, w));
            // SAFETY: as the caller's.
            *sum = unsafe { S::add(*sum, values, weights) };
        }
    }
    for (sums, all) in sums.as_chunks_mut::<WIDTH>().0.iter_mut().zip(all) {
        // SAFETY: there is room for four.
        unsafe { vst1q_s32(sums.as_mut_ptr(), all) };
    }
}

/// 16 bytes of a line.
#[inline]
#[target_feature(enable = "neon")]
fn quarter(line: &Line, index: usize) -> uint8x16_t {
    let bytes = &line.0.as_chunks::<16>().0[index];
    // SAFETY: there are 16 bytes.
    unsafe { vld1q_u8(bytes.as_ptr()) }
}

/// Bytes that stand 128 above their values, as these.
#[inline]
#[target_feature(enable = "neon")]
fn signed(bytes: uint8x16_t) -> int8x16_t {
    vreinterpretq_s8_u8(veorq_u8(bytes, vdupq_n_u8(0x80)))
}

/// Four bytes, four times.
#[inline]
#[target_feature(enable = "neon")]
fn four(x: [i8; 4]) -> int8x16_t {
    vreinterpretq_s8_s32(vdupq_n_s32(i32::from_ne_bytes(x.map(i8::cast_unsigned))))
}

/// Four of the scales.
#[inline]
#[target_feature(enable = "neon")]
fn widened(scales: &[u16; LANES], index: usize) -> float32x4_t {
    let scales = &scales.as_chunks::<WIDTH>().0[index];
    // SAFETY: there are four.
    vreinterpretq_f32_u32(vshll_n_u16::<16>(unsafe { vld1_u16(scales.as_ptr()) }))
}
