//! Weights as they lie in memory: bytes with a scale for every 64 of them, f16 or f32,
//! in the order in which the kernels read them.

use std::ops::Range;

use half::f16;
use rayon::prelude::*;

use super::memory::{Memory, Plain};
use crate::math;
use crate::weights::Values;

/// Inputs that share a scale.
pub(super) const BLOCK: usize = 64;

/// Outputs side by side in a panel.
pub(super) const LANES: usize = 16;

/// Bytes of a cache line: 64 weights, each 128 above its value.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Line(pub(super) [u8; 64]);

// SAFETY: it is an array of plain numbers.
unsafe impl Plain for Line {}

/// Lines of a block of a panel.
pub(super) const QUADS: usize = BLOCK / 4;

/// What a byte stands above its value, so that it has no sign.
const OFFSET: i32 = 128;

/// A matrix in bytes, in panels of 16 outputs.
///
/// A panel is a run of blocks, a block 16 lines, a line four inputs of each output:
/// byte `4 r + k` of line `j` of block `b` is output `r`, input `64 b + 4 j + k`.
pub(super) struct Panels {
    /// Blocks of a panel.
    pub(super) blocks: usize,
    pub(super) outputs: usize,
    pub(super) lines: Memory<Line>,
    /// bfloat16, one for each output of each block.
    pub(super) scales: Memory<[u16; LANES]>,
}

impl Panels {
    /// Packs a matrix stored `(in, out)`.
    pub(super) fn pack(source: &Values<'_>, inputs: usize, outputs: usize) -> Self {
        let (blocks, panels) = (inputs.div_ceil(BLOCK), outputs.div_ceil(LANES));
        let mut lines = Memory::<Line>::zeros(panels * blocks * QUADS);
        let mut scales = Memory::<[u16; LANES]>::zeros(panels * blocks);
        let mut values = [[0.0; LANES]; BLOCK];
        for (at, (lines, scales)) in lines.chunks_exact_mut(QUADS).zip(scales.iter_mut()).enumerate() {
            let (panel, block) = (at / blocks, at % blocks);
            source.block(outputs, block * BLOCK, panel * LANES, &mut values);
            *scales = pack_block(&values, lines);
        }
        Self { blocks, outputs, lines, scales }
    }

    /// How many panels there are.
    pub(super) fn count(&self) -> usize {
        self.outputs.div_ceil(LANES)
    }

    /// Lines and scales of one.
    pub(super) fn panel(&self, panel: usize) -> (&[Line], &[[u16; LANES]]) {
        let lines = &self.lines[panel * self.blocks * QUADS..][..self.blocks * QUADS];
        (lines, &self.scales[panel * self.blocks..][..self.blocks])
    }
}

math::vectorised_fn! {
    fn pack_block<'a>(values: &'a [[f32; LANES]; BLOCK], lines: &'a mut [Line]) -> [u16; LANES] {
        let (mut largest, mut sums) = ([0.0_f32; LANES], [0.0_f32; LANES]);
        for row in values {
            for ((largest, sum), value) in largest.iter_mut().zip(&mut sums).zip(row) {
                *largest = largest.max(value.abs());
                *sum += value.abs();
            }
        }
        for (largest, sum) in largest.iter_mut().zip(sums) {
            *largest = if sum.is_finite() { *largest } else { f32::NAN };
        }
        let scales = largest.map(scale);
        let inverse = scales.map(inverse);
        for (quad, line) in values.chunks_exact(4).zip(lines) {
            for (k, row) in quad.iter().enumerate() {
                for (r, (value, inverse)) in row.iter().zip(&inverse).enumerate() {
                    line.0[4 * r + k] = above(value * inverse);
                }
            }
        }
        scales
    }
}

/// A matrix in bytes, row by row: for those of which single rows are read.
pub(super) struct Rows {
    /// Lines of a row, which are its blocks.
    pub(super) blocks: usize,
    pub(super) lines: Memory<Line>,
    /// bfloat16, one for each line.
    pub(super) scales: Memory<u16>,
}

impl Rows {
    /// Packs a matrix stored `(out, in)`.
    pub(super) fn pack(source: &Values<'_>, inputs: usize, outputs: usize) -> Self {
        let blocks = inputs.div_ceil(BLOCK);
        let mut lines = Memory::<Line>::zeros(outputs * blocks);
        let mut scales = Memory::<u16>::zeros(outputs * blocks);
        let rows = lines.par_chunks_exact_mut(blocks).zip(scales.par_chunks_exact_mut(blocks)).enumerate();
        rows.for_each_init(
            || vec![0.0; blocks * BLOCK],
            |row, (at, (lines, scales))| {
                source.fill(at * inputs, &mut row[..inputs]);
                pack_row(row, lines, scales);
            },
        );
        Self { blocks, lines, scales }
    }

    /// Lines and scales of one.
    pub(super) fn row(&self, row: usize) -> (&[Line], &[u16]) {
        (&self.lines[row * self.blocks..][..self.blocks], &self.scales[row * self.blocks..][..self.blocks])
    }

    /// The values of a row.
    pub(super) fn unpack(&self, row: usize, values: &mut [f32]) {
        let (lines, scales) = self.row(row);
        for ((values, line), &scale) in values.chunks_mut(BLOCK).zip(lines).zip(scales) {
            for (value, &byte) in values.iter_mut().zip(&line.0) {
                *value = widen(scale) * (f32::from(byte) - 128.0);
            }
        }
    }
}

math::vectorised_fn! {
    fn pack_row<'a>(row: &'a [f32], lines: &'a mut [Line], scales: &'a mut [u16]) -> () {
        for ((values, line), scale) in row.chunks_exact(BLOCK).zip(lines).zip(scales) {
            // A sum of magnitudes is a number where all of them are.
            let sum = math::sum(values, f32::abs);
            *scale = self::scale(if sum.is_finite() { math::largest(values) } else { f32::NAN });
            let inverse = inverse(*scale);
            for (byte, value) in line.0.iter_mut().zip(values) {
                *byte = above(value * inverse);
            }
        }
    }
}

/// A weight as it is kept, widened where it is used.
pub(super) trait Weight: Plain {
    /// The nearest to a value.
    fn of(value: f32) -> Self;

    /// Its value.
    fn wide(self) -> f32;
}

impl Weight for f32 {
    #[inline(always)]
    fn of(value: f32) -> Self {
        value
    }

    #[inline(always)]
    fn wide(self) -> f32 {
        self
    }
}

/// The bits of an f16 (IEEE 754 binary16).
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct Half(u16);

// SAFETY: it is a plain number.
unsafe impl Plain for Half {}

impl Weight for Half {
    #[inline(always)]
    fn of(value: f32) -> Self {
        Self(f16::from_f32(value).to_bits())
    }

    /// Whole-number operations, which compilers turn into vectors for every processor.
    #[inline(always)]
    fn wide(self) -> f32 {
        let (sign, exponent) = (u32::from(self.0 & 0x8000) << 16, self.0 & 0x7c00);
        let magnitude = u32::from(self.0 & 0x7fff) << 13;
        // An exponent of 0 has no leading 1: the one added is taken off again.
        let small = f32::from_bits(magnitude + (113 << 23)) - f32::from_bits(113 << 23);
        let bits = match exponent {
            0 => small.to_bits(),
            // Infinities, and what is no number.
            0x7c00 => magnitude | 0x7f80_0000,
            _ => magnitude + (112 << 23),
        };
        f32::from_bits(bits | sign)
    }
}

/// A matrix in f32 or f16, in panels of 16 outputs, input by input.
pub(super) struct WidePanels<W> {
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) values: Memory<[W; LANES]>,
}

impl<W: Weight> WidePanels<W> {
    /// Packs a matrix stored `(in, out)`.
    pub(super) fn pack(source: &Values<'_>, inputs: usize, outputs: usize) -> Self {
        let mut values = Memory::<[W; LANES]>::zeros(outputs.div_ceil(LANES) * inputs);
        let mut wide = [[0.0; LANES]; BLOCK];
        for (panel, values) in values.chunks_exact_mut(inputs).enumerate() {
            for (block, values) in values.chunks_mut(BLOCK).enumerate() {
                let wide = &mut wide[..values.len()];
                source.block(outputs, block * BLOCK, panel * LANES, wide);
                values.iter_mut().zip(wide).for_each(|(values, wide)| *values = wide.map(W::of));
            }
        }
        Self { inputs, outputs, values }
    }

    /// How many panels there are, and the bytes of one.
    pub(super) fn count(&self) -> (usize, usize) {
        (self.outputs.div_ceil(LANES), self.inputs * LANES * size_of::<W>())
    }

    /// The values of one.
    pub(super) fn panel(&self, panel: usize) -> &[[W; LANES]] {
        &self.values[panel * self.inputs..][..self.inputs]
    }
}

/// A matrix in f32 or f16, row by row.
pub(super) struct WideRows<W> {
    pub(super) width: usize,
    values: Memory<W>,
}

impl<W: Weight> WideRows<W> {
    /// Packs a matrix stored `(out, in)`.
    pub(super) fn pack(source: &Values<'_>, inputs: usize, outputs: usize) -> Self {
        let mut values = Memory::zeros(inputs * outputs);
        let mut row = vec![0.0; inputs];
        for (at, values) in values.chunks_exact_mut(inputs).enumerate() {
            source.fill(at * inputs, &mut row);
            values.iter_mut().zip(&row).for_each(|(to, &value)| *to = W::of(value));
        }
        Self { width: inputs, values }
    }

    /// Some of them, one after another.
    pub(super) fn rows(&self, rows: Range<usize>) -> &[W] {
        &self.values[rows.start * self.width..rows.end * self.width]
    }

    /// The values of a row.
    pub(super) fn unpack(&self, row: usize, values: &mut [f32]) {
        values.iter_mut().zip(self.rows(row..row + 1)).for_each(|(to, weight)| *to = weight.wide());
    }
}

/// The smallest bfloat16 that takes values up to `largest` in 127 steps; none where that
/// is no number, so that damaged weights are not answered from.
#[inline(always)]
fn scale(largest: f32) -> u16 {
    if !largest.is_finite() {
        return NO_NUMBER;
    }
    let bits = (largest / 127.0).to_bits();
    (bits >> 16) as u16 + u16::from(bits & 0xffff != 0)
}

/// A bfloat16 that is none.
const NO_NUMBER: u16 = 0x7fc0;

#[inline(always)]
fn inverse(scale: u16) -> f32 {
    if scale == 0 { 0.0 } else { 1.0 / widen(scale) }
}

/// A bfloat16 as f32.
#[inline(always)]
pub(super) fn widen(scale: u16) -> f32 {
    f32::from_bits(u32::from(scale) << 16)
}

/// A byte 128 above the nearest whole number; values that are none are 0.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 1..=255")]
#[inline(always)]
fn above(value: f32) -> u8 {
    (value.round_ties_even().clamp(-127.0, 127.0) as i32 + OFFSET) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_is_widened_as_the_standard_says() {
        for bits in 0..=u16::MAX {
            let (ours, theirs) = (Half(bits).wide(), f16::from_bits(bits).to_f32());
            assert!(ours.to_bits() == theirs.to_bits() || ours.is_nan() && theirs.is_nan(), "{bits:#x}");
        }
    }
}
