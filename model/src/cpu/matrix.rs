//! Products of matrices with what a few ids are at the moment: each weight is read
//! once for all of them.

use std::ops::Range;
use std::sync::Arc;

use super::job::{Work, done};
use super::kernel::{self, Isa};
use super::pack::{BLOCK, Half, LANES, Panels, Rows, Weight, WidePanels, WideRows};
use crate::weights::Values;
use crate::{Activation, math};

/// How weights are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Precision {
    /// A byte each, and a bfloat16 scale for every 64: a quarter of f32, to be read
    /// four times as fast.
    #[default]
    Int8,
    /// Half of f32, a thousandth of a value off at most. What is computed is as with f32.
    F16,
    /// As they are.
    F32,
}

impl std::fmt::Display for Precision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Int8 => "int8",
            Self::F16 => "f16",
            Self::F32 => "f32",
        })
    }
}

/// A matrix that is read as a whole.
pub(super) enum Matrix {
    Int8(Panels),
    F16(WidePanels<Half>),
    F32(WidePanels<f32>),
}

impl Matrix {
    /// Packs a matrix stored `(in, out)`.
    pub(super) fn pack(source: &Values<'_>, inputs: usize, outputs: usize, precision: Precision) -> Self {
        match precision {
            Precision::Int8 => Self::Int8(Panels::pack(source, inputs, outputs)),
            Precision::F16 => Self::F16(WidePanels::pack(source, inputs, outputs)),
            Precision::F32 => Self::F32(WidePanels::pack(source, inputs, outputs)),
        }
    }

    fn outputs(&self) -> usize {
        match self {
            Self::Int8(panels) => panels.outputs,
            Self::F16(panels) => panels.outputs,
            Self::F32(panels) => panels.outputs,
        }
    }

    /// How many panels there are, and the bytes of one.
    fn panels(&self) -> (usize, usize) {
        match self {
            Self::Int8(panels) => (panels.count(), panels.blocks * BLOCK * LANES),
            Self::F16(panels) => panels.count(),
            Self::F32(panels) => panels.count(),
        }
    }

    /// The products of a panel with `x`, 16 outputs for each of its ids.
    fn panel(&self, isa: Isa, x: &Input, panel: usize, tiles: &mut [[f32; LANES]]) {
        match self {
            Self::Int8(panels) => {
                let (lines, scales) = panels.panel(panel);
                kernel::panel(isa, lines, scales, &x.bytes, tiles);
            }
            Self::F16(panels) => wide_panel(panels.panel(panel), &x.values, tiles),
            Self::F32(panels) => wide_panel(panels.panel(panel), &x.values, tiles),
        }
    }
}

/// About how many bytes of weights a piece of work reads: some microseconds' worth.
const PIECE: usize = 192 << 10;

/// A matrix, and what is added to its products.
pub(super) struct Linear {
    pub(super) matrix: Matrix,
    pub(super) bias: Vec<f32>, // (out)
}

impl Linear {
    /// `x W + b`, and what the activation makes of it; `(t, out)`.
    pub(super) async fn multiply(
        self: &Arc<Self>,
        isa: Isa,
        x: Input,
        activation: Option<Activation>,
    ) -> Vec<f32> {
        let (count, bytes) = self.matrix.panels();
        let (outputs, tokens) = (self.matrix.outputs(), x.tokens);
        let panels = (PIECE / bytes).max(1);
        let product = Product { linear: Arc::clone(self), isa, x, activation, panels, count };
        let job = done(product).await;
        let mut y = vec![0.0; tokens * outputs];
        let tiles = job.numbers().flat_map(|tiles| tiles.chunks_exact(tokens * LANES));
        for (begin, tiles) in (0..).step_by(LANES).zip(tiles) {
            let width = LANES.min(outputs - begin);
            for (tile, y) in tiles.chunks_exact(LANES).zip(y.chunks_exact_mut(outputs)) {
                y[begin..begin + width].copy_from_slice(&tile[..width]);
            }
        }
        y
    }
}

/// `x W + b`, in pieces of some panels: `(panels, t, 16)` each.
struct Product {
    linear: Arc<Linear>,
    isa: Isa,
    x: Input,
    activation: Option<Activation>,
    /// Panels of a piece, and of all.
    panels: usize,
    count: usize,
}

impl Work for Product {
    fn pieces(&self) -> usize {
        self.count.div_ceil(self.panels)
    }

    fn piece(&self, index: usize) -> Vec<f32> {
        let first = index * self.panels;
        let panels = first..(first + self.panels).min(self.count);
        let mut tiles = vec![[0.0; LANES]; panels.len() * self.x.tokens];
        let biases = self.linear.bias[first * LANES..].chunks(LANES);
        for ((panel, bias), tiles) in panels.zip(biases).zip(tiles.chunks_exact_mut(self.x.tokens)) {
            self.linear.matrix.panel(self.isa, &self.x, panel, tiles);
            tiles.iter_mut().for_each(|tile| math::add(&mut tile[..bias.len()], bias));
        }
        let mut numbers = tiles.into_flattened();
        if let Some(activation) = self.activation {
            activate(activation, &mut numbers);
        }
        numbers
    }
}

math::vectorised_fn! {
    fn activate<'a>(activation: Activation, x: &'a mut [f32]) -> () {
        match activation {
            Activation::GeluNew => x.iter_mut().for_each(|x| *x = math::gelu_tanh(*x)),
            Activation::Gelu => x.iter_mut().for_each(|x| *x = math::gelu_erf(*x)),
            Activation::Relu => x.iter_mut().for_each(|x| *x = x.max(0.0)),
            Activation::Silu => x.iter_mut().for_each(|x| *x /= 1.0 + math::exp(-*x)),
        }
    }
}

/// What is multiplied, `(t, in)`.
pub(super) struct Input {
    pub(super) tokens: usize,
    values: Vec<f32>,
    /// The same in bytes, for matrices that are.
    pub(super) bytes: Bytes,
}

impl Input {
    pub(super) fn new(precision: Precision, values: Vec<f32>, width: usize) -> Self {
        let bytes = match precision {
            Precision::Int8 => Bytes::of(&values, width),
            Precision::F16 | Precision::F32 => Bytes::default(),
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
    // A sum of magnitudes is a number where all of them are; what is none has to show.
    let largest = if math::sum(values, f32::abs).is_finite() { math::largest(values) } else { f32::NAN };
    let inverse = if largest > 0.0 { 127.0 / largest } else { 0.0 };
    for (byte, value) in bytes.iter_mut().zip(values) {
        *byte = (value * inverse).round_ties_even() as i8;
    }
    largest / 127.0
}

/// Ids whose products with a panel are worked out together.
const TOGETHER: usize = 8;

math::vectorised_fn! {
    fn wide_panel<'a; W: Weight>(panel: &'a [[W; LANES]], x: &'a [f32], tiles: &'a mut [[f32; LANES]]) -> () {
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
        for (row, tile) in rows.zip(tiles.into_remainder().chunks_exact_mut(1)) {
            wide_tile(panel, [row], tile);
        }
    }
}

/// Sums are added up in the same order however many ids there are.
#[inline(always)]
fn wide_tile<W: Weight, const N: usize>(panel: &[[W; LANES]], rows: [&[f32]; N], tiles: &mut [[f32; LANES]]) {
    let rows = rows.map(|row| &row[..panel.len()]);
    let mut sums = [[0.0; LANES]; N];
    for (k, weights) in panel.iter().enumerate() {
        let mut wide = [0.0; LANES];
        for (wide, weight) in wide.iter_mut().zip(weights) {
            *wide = weight.wide();
        }
        for (sum, row) in sums.iter_mut().zip(&rows) {
            add(sum, &wide, row[k]);
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
    fn wide_rows<'a; W: Weight>(weights: &'a [W], x: &'a [f32], y: &'a mut [f32]) -> () {
        let mut wide = vec![0.0; x.len()];
        for (y, row) in y.iter_mut().zip(weights.chunks_exact(x.len())) {
            for (wide, weight) in wide.iter_mut().zip(row) {
                *wide = weight.wide();
            }
            *y = math::sum2(x, &wide, |x, weight| x * weight);
        }
    }
}

/// A matrix of which single rows are read: ids to vectors, and vectors to logits.
pub(super) enum Table {
    Int8(Rows),
    F16(WideRows<Half>),
    F32(WideRows<f32>),
}

impl Table {
    /// Packs a matrix stored `(out, in)`.
    pub(super) fn pack(source: &Values<'_>, inputs: usize, outputs: usize, precision: Precision) -> Self {
        match precision {
            Precision::Int8 => Self::Int8(Rows::pack(source, inputs, outputs)),
            Precision::F16 => Self::F16(WideRows::pack(source, inputs, outputs)),
            Precision::F32 => Self::F32(WideRows::pack(source, inputs, outputs)),
        }
    }

    /// A row's values.
    pub(super) fn row(&self, row: usize, to: &mut [f32]) {
        match self {
            Self::Int8(rows) => rows.unpack(row, to),
            Self::F16(rows) => rows.unpack(row, to),
            Self::F32(rows) => rows.unpack(row, to),
        }
    }

    /// The products of one id's `x` with some rows.
    fn rows(&self, isa: Isa, x: &Input, token: usize, rows: Range<usize>, y: &mut [f32]) {
        match self {
            Self::Int8(table) => {
                for (row, y) in rows.zip(y) {
                    let (lines, scales) = table.row(row);
                    *y = kernel::row(isa, lines, scales, &x.bytes, token);
                }
            }
            Self::F16(table) => wide_rows(table.rows(rows), x.row(token), y),
            Self::F32(table) => wide_rows(table.rows(rows), x.row(token), y),
        }
    }
}

/// Products of rows with what some ids are, each with those it wants.
pub(super) struct Choice {
    pub(super) table: Arc<Table>,
    pub(super) isa: Isa,
    pub(super) x: Input,
    /// Stretches of rows, none longer than [`STRETCH`], with the id that wants them: in
    /// the order of the rows, as those that several want should still be near.
    stretches: Vec<(Range<usize>, usize)>,
}

/// Rows of a stretch at most.
const STRETCH: usize = 128;

/// Stretches of a piece.
const STRETCHES: usize = 4;

impl Choice {
    pub(super) fn new(table: Arc<Table>, isa: Isa, x: Input, wanted: &[Vec<Range<usize>>]) -> Self {
        let mut stretches = Vec::new();
        for (token, ranges) in wanted.iter().enumerate() {
            for range in ranges {
                // Cut at the same places for all.
                let mut start = range.start;
                while start < range.end {
                    let end = (start / STRETCH * STRETCH + STRETCH).min(range.end);
                    stretches.push((start..end, token));
                    start = end;
                }
            }
        }
        stretches.sort_by_key(|(rows, _)| rows.start / STRETCH);
        Self { table, isa, x, stretches }
    }

    /// Hands out rows, the id that wants them, and their products.
    pub(super) async fn run(self, mut take: impl FnMut(Range<usize>, usize, &[f32])) {
        let stretches = self.stretches.clone();
        let job = done(self).await;
        for (stretches, mut products) in stretches.chunks(STRETCHES).zip(job.numbers()) {
            for (rows, token) in stretches {
                let (these, rest) = products.split_at(rows.len());
                take(rows.clone(), *token, these);
                products = rest;
            }
        }
    }
}

impl Work for Choice {
    fn pieces(&self) -> usize {
        self.stretches.len().div_ceil(STRETCHES)
    }

    fn piece(&self, index: usize) -> Vec<f32> {
        let stretches = self.stretches.iter().skip(index * STRETCHES).take(STRETCHES);
        let mut products = vec![0.0; stretches.clone().map(|(rows, _)| rows.len()).sum()];
        let mut rest = products.as_mut_slice();
        for (rows, token) in stretches {
            let (these, others) = rest.split_at_mut(rows.len());
            self.table.rows(self.isa, &self.x, *token, rows.clone(), these);
            rest = others;
        }
        products
    }
}
