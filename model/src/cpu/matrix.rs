//! Products of matrices with what a few ids are at the moment: each weight is read
//! once for all of them.

use std::ops::Range;

use super::kernel::{self, Isa};
use super::pack::{BLOCK, LANES, Panels, Rows, WidePanels};
use crate::math;
use crate::weights::Values;

/// How weights are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Precision {
    /// A byte each, and a bfloat16 scale for every 64: a quarter of f32, to be read
    /// four times as fast.
    #[default]
    Int8,
    /// As they are.
    F32,
}

/// A matrix that is read as a whole.
pub(super) enum Matrix {
    Int8(Panels),
    F32(WidePanels),
}

impl Matrix {
    /// Packs a matrix stored `(in, out)`.
    pub(super) fn pack(source: &Values<'_>, inputs: usize, outputs: usize, precision: Precision) -> Self {
        match precision {
            Precision::Int8 => Self::Int8(Panels::pack(source, inputs, outputs)),
            Precision::F32 => Self::F32(WidePanels::pack(source, inputs, outputs)),
        }
    }

    fn outputs(&self) -> usize {
        match self {
            Self::Int8(panels) => panels.outputs,
            Self::F32(panels) => panels.outputs,
        }
    }

    /// `y = x W`; `x` is `(t, in)`, `y` `(t, out)`.
    pub(super) fn multiply(&self, isa: Isa, x: &Input<'_>, y: &mut [f32]) {
        let outputs = self.outputs();
        let mut tiles = vec![[0.0; LANES]; x.tokens];
        let count = match self {
            Self::Int8(panels) => panels.count(),
            Self::F32(panels) => panels.count(),
        };
        for panel in 0..count {
            match self {
                Self::Int8(panels) => {
                    let (lines, scales) = panels.panel(panel);
                    kernel::panel(isa, lines, scales, &x.bytes, &mut tiles);
                }
                Self::F32(panels) => {
                    wide_panel(panels.panel(panel), x.values, &mut tiles);
                }
            }
            let width = LANES.min(outputs - panel * LANES);
            for (tile, y) in tiles.iter().zip(y.chunks_exact_mut(outputs)) {
                y[panel * LANES..][..width].copy_from_slice(&tile[..width]);
            }
        }
    }
}

/// What is multiplied, `(t, in)`.
pub(super) struct Input<'a> {
    pub(super) tokens: usize,
    values: &'a [f32],
    /// The same in bytes, for matrices that are.
    pub(super) bytes: Bytes,
}

impl<'a> Input<'a> {
    pub(super) fn new(precision: Precision, values: &'a [f32], width: usize) -> Self {
        let bytes = match precision {
            Precision::Int8 => Bytes::of(values, width),
            Precision::F32 => Bytes::default(),
        };
        Self { tokens: values.len() / width, values, bytes }
    }

    /// The part that belongs to one of the ids.
    fn row(&self, token: usize) -> &[f32] {
        let width = self.values.len() / self.tokens;
        &self.values[token * width..][..width]
    }
}

/// Values in signed bytes, with a scale for every 64.
#[derive(Default)]
pub(super) struct Bytes {
    pub(super) blocks: usize,
    /// `(t, 64 blocks)`
    pub(super) values: Vec<i8>,
    /// `(t, blocks)`
    pub(super) scales: Vec<f32>,
    /// The sums of each block's values, times -128: what weights that stand 128 too
    /// high add too much. `(t, blocks)`
    pub(super) sums: Vec<i32>,
}

impl Bytes {
    fn of(values: &[f32], width: usize) -> Self {
        let (tokens, blocks) = (values.len() / width, width.div_ceil(BLOCK));
        let mut bytes = Self {
            blocks,
            values: vec![0; tokens * blocks * BLOCK],
            scales: vec![0.0; tokens * blocks],
            sums: vec![0; tokens * blocks],
        };
        fill_bytes(&mut bytes, values, width);
        bytes
    }
}

math::vectorised_fn! {
    fn fill_bytes<'a>(bytes: &'a mut Bytes, values: &'a [f32], width: usize) -> () {
        let rows = values.chunks_exact(width).flat_map(|row| row.chunks(BLOCK));
        let places = bytes.values.chunks_exact_mut(BLOCK).zip(bytes.scales.iter_mut().zip(&mut bytes.sums));
        for (values, (bytes, (scale, sum))) in rows.zip(places) {
            *scale = round(values, bytes);
            *sum = -128 * bytes.iter().map(|&byte| i32::from(byte)).sum::<i32>();
        }
    }
}

/// Values to bytes; the scale.
#[expect(clippy::cast_possible_truncation, reason = "127 at most")]
#[inline(always)]
pub(super) fn round(values: &[f32], bytes: &mut [i8]) -> f32 {
    let largest = math::largest(values);
    let inverse = if largest > 0.0 { 127.0 / largest } else { 0.0 };
    for (byte, value) in bytes.iter_mut().zip(values) {
        *byte = (value * inverse).round_ties_even() as i8;
    }
    largest / 127.0
}

/// Ids whose products with a panel are worked out together.
const TOGETHER: usize = 8;

math::vectorised_fn! {
    fn wide_panel<'a>(panel: &'a [[f32; LANES]], x: &'a [f32], tiles: &'a mut [[f32; LANES]]) -> () {
        let inputs = panel.len();
        let mut rows = x.chunks_exact(inputs);
        let mut tiles = tiles.chunks_exact_mut(TOGETHER);
        for tiles in &mut tiles {
            let rows: [&[f32]; TOGETHER] = std::array::from_fn(|_| rows.next().unwrap_or_default());
            wide_tile(panel, rows, tiles);
        }
        let mut tiles = tiles.into_remainder().chunks_exact_mut(2);
        for tiles in &mut tiles {
            let rows: [&[f32]; 2] = std::array::from_fn(|_| rows.next().unwrap_or_default());
            wide_tile(panel, rows, tiles);
        }
        for (row, tile) in rows.zip(tiles.into_remainder()) {
            // In parts, as a sum waits for the one before.
            let mut parts = [[0.0; LANES]; 4];
            let (weights, values) = (panel.chunks_exact(4), row.chunks_exact(4));
            for (weights, value) in weights.remainder().iter().zip(values.remainder()) {
                add(&mut parts[0], weights, *value);
            }
            for (weights, values) in weights.zip(values) {
                for (part, (weights, value)) in parts.iter_mut().zip(weights.iter().zip(values)) {
                    add(part, weights, *value);
                }
            }
            *tile = std::array::from_fn(|r| (parts[0][r] + parts[1][r]) + (parts[2][r] + parts[3][r]));
        }
    }
}

#[inline(always)]
fn wide_tile<const N: usize>(panel: &[[f32; LANES]], rows: [&[f32]; N], tiles: &mut [[f32; LANES]]) {
    let rows = rows.map(|row| &row[..panel.len()]);
    let mut sums = [[0.0; LANES]; N];
    for (k, weights) in panel.iter().enumerate() {
        for (sum, row) in sums.iter_mut().zip(&rows) {
            add(sum, weights, row[k]);
        }
    }
    tiles.copy_from_slice(&sums);
}

#[inline(always)]
fn add(sum: &mut [f32; LANES], weights: &[f32; LANES], value: f32) {
    for (sum, weight) in sum.iter_mut().zip(weights) {
        *sum = weight.mul_add(value, *sum);
    }
}

math::vectorised_fn! {
    fn wide_rows<'a>(weights: &'a [f32], x: &'a [f32], y: &'a mut [f32]) -> () {
        for (y, row) in y.iter_mut().zip(weights.chunks_exact(x.len())) {
            *y = math::sum2(x, row, |x, weight| x * weight);
        }
    }
}

/// A matrix of which single rows are read: ids to vectors, and vectors to logits.
pub(super) enum Table {
    Int8(Rows),
    F32 { width: usize, values: Vec<f32> },
}

impl Table {
    /// Packs a matrix stored `(out, in)`.
    pub(super) fn pack(source: &Values<'_>, inputs: usize, outputs: usize, precision: Precision) -> Self {
        match precision {
            Precision::Int8 => Self::Int8(Rows::pack(source, inputs, outputs)),
            Precision::F32 => {
                let mut values = vec![0.0; inputs * outputs];
                source.fill(0, &mut values);
                Self::F32 { width: inputs, values }
            }
        }
    }

    /// A row's values.
    pub(super) fn row(&self, row: usize, to: &mut [f32]) {
        match self {
            Self::Int8(rows) => rows.unpack(row, to),
            Self::F32 { width, values } => to.copy_from_slice(&values[row * width..][..*width]),
        }
    }

    /// The products of one id's `x` with some rows, each to its own place in `y`.
    pub(super) fn multiply(&self, isa: Isa, x: &Input<'_>, token: usize, rows: Range<usize>, y: &mut [f32]) {
        match self {
            Self::Int8(table) => {
                for row in rows {
                    let (lines, scales) = table.row(row);
                    y[row] = kernel::row(isa, lines, scales, &x.bytes, token);
                }
            }
            Self::F32 { width, values } => {
                let weights = &values[rows.start * width..rows.end * width];
                wide_rows(weights, x.row(token), &mut y[rows]);
            }
        }
    }
}
