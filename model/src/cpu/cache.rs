//! Keys and values of the ids so far, in pages that caches may share.

use std::sync::{Arc, Weak};

use super::matrix::{Precision, round};
use super::memory::Memory;
use super::pack::Line;
use crate::{Config, KvCache, math};

/// Positions whose vectors are read together.
pub(super) const SHEET: usize = 32;

/// Sheets of a page. A head's lie one after another: what is read in a row is fetched
/// ahead.
const SHEETS: usize = 4;

/// Positions of a page.
const PAGE: usize = SHEET * SHEETS;

/// What a [`Cpu`](super::Cpu) has read: the keys and values of a sequence of ids.
///
/// A copy shares everything there is so far; what either reads from then on is its
/// own. Memory is taken as the sequence grows.
pub struct CpuCache {
    shape: Shape,
    pages: Vec<Held>,
    len: usize,
}

/// What a cache's pages look like.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    precision: Precision,
    layers: usize,
    heads: usize,
    width: usize,
}

impl Shape {
    pub(super) fn of(config: &Config, precision: Precision) -> Self {
        Self { precision, layers: config.n_layer, heads: config.n_head, width: config.head_width() }
    }
}

impl Clone for CpuCache {
    fn clone(&self) -> Self {
        let pages = self.pages.iter().map(|held| Held { page: Arc::clone(&held.page), own: false, ..*held });
        Self { shape: self.shape, pages: pages.collect(), len: self.len }
    }
}

/// A page, as far as one cache uses it.
struct Held {
    page: Arc<Page>,
    /// Whether this cache made it, and goes on filling it: asked in place of whether
    /// others hold it just now, as where pages end decides what is rounded together.
    own: bool,
    /// The position its first vector belongs to.
    start: usize,
    used: usize,
}

/// Vectors of up to 128 positions, for all heads of all layers.
#[derive(Clone)]
struct Page {
    keys: Vectors,
    values: Vectors,
}

/// Those of a page, `(layer, head, sheet, ...)`.
#[derive(Clone)]
enum Vectors {
    /// Bytes in the order the kernels read them, and a scale for each vector.
    Int8 { lines: Memory<Line>, scales: Memory<f32> },
    /// `(position, width)`
    F32(Memory<f32>),
}

/// What one head has of a sheet.
#[derive(Clone, Copy)]
pub(super) enum Stretch<'a> {
    /// All of the sheet.
    Int8 { lines: &'a [Line], scales: &'a [f32] },
    /// As far as it is used, `(n, width)`.
    F32(&'a [f32]),
}

impl Shape {
    fn vectors(self, lines: usize) -> Vectors {
        let heads = self.layers * self.heads;
        match self.precision {
            Precision::Int8 => Vectors::Int8 {
                lines: Memory::alone(heads * SHEETS * lines),
                scales: Memory::alone(heads * PAGE),
            },
            Precision::F16 | Precision::F32 => Vectors::F32(Memory::alone(heads * PAGE * self.width)),
        }
    }

    /// Lines of a sheet's keys: four numbers of 16 positions each.
    const fn key_lines(self) -> usize {
        2 * self.width.div_ceil(4)
    }

    /// Lines of a sheet's values: four positions of 16 numbers each.
    const fn value_lines(self) -> usize {
        SHEET / 4 * self.width.div_ceil(16)
    }
}

impl Vectors {
    /// Puts a vector where its head and position have it.
    fn set(&mut self, head: usize, slot: usize, vector: &[f32], place: &Place) {
        match self {
            Self::Int8 { lines, scales } => {
                let sheet = head * SHEETS + slot / SHEET;
                let lines = &mut lines[sheet * place.lines..][..place.lines];
                let mut bytes = vec![0; vector.len()];
                scales[head * PAGE + slot] = round_vector(vector, &mut bytes);
                for (k, &byte) in bytes.iter().enumerate() {
                    let (line, at) = (place.byte)(slot % SHEET, k, vector.len());
                    lines[line].0[at] = byte.cast_unsigned().wrapping_add(place.offset);
                }
            }
            Self::F32(values) => {
                values[(head * PAGE + slot) * vector.len()..][..vector.len()].copy_from_slice(vector);
            }
        }
    }

    /// `sheet` counts over all heads.
    fn stretch(&self, sheet: usize, used: usize, width: usize, lines: usize) -> Stretch<'_> {
        match self {
            Self::Int8 { lines: all, scales } => Stretch::Int8 {
                lines: &all[sheet * lines..][..lines],
                scales: &scales[sheet * SHEET..][..used],
            },
            Self::F32(values) => Stretch::F32(&values[sheet * SHEET * width..][..used * width]),
        }
    }
}

/// How bytes are laid out.
struct Place {
    /// Lines of a sheet.
    lines: usize,
    /// From position, number and width to line and byte.
    byte: fn(usize, usize, usize) -> (usize, usize),
    /// What a byte stands above its value.
    offset: u8,
}

/// As a panel's weights are: 16 positions side by side, four numbers after another.
fn key_byte(slot: usize, k: usize, width: usize) -> (usize, usize) {
    (slot / 16 * width.div_ceil(4) + k / 4, slot % 16 * 4 + k % 4)
}

/// The other way round: 16 numbers side by side, four positions after another.
fn value_byte(slot: usize, k: usize, _: usize) -> (usize, usize) {
    (k / 16 * (SHEET / 4) + slot / 4, k % 16 * 4 + slot % 4)
}

math::vectorised_fn! {
    fn round_vector<'a>(vector: &'a [f32], bytes: &'a mut [i8]) -> f32 {
        round(vector, bytes)
    }
}

impl CpuCache {
    pub(super) const fn new(shape: Shape) -> Self {
        Self { shape, pages: Vec::new(), len: 0 }
    }

    pub(super) const fn shape(&self) -> Shape {
        self.shape
    }

    /// How many ids it holds.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether it holds no ids.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Forgets all but the first `len` ids. Does nothing if there are no more.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
        self.pages.retain(|held| held.start < len);
        if let Some(last) = self.pages.last_mut() {
            last.used = last.used.min(len - last.start);
        }
    }

    /// Makes room for the vectors of `count` more ids, and counts them in.
    pub(super) fn grow(&mut self, count: usize) {
        let mut left = count;
        while left > 0 {
            let room = |held: &Held| held.used < PAGE && held.own;
            if !self.pages.last().is_some_and(room) {
                let (keys, values) = (
                    self.shape.vectors(self.shape.key_lines()),
                    self.shape.vectors(self.shape.value_lines()),
                );
                let start = self.pages.last().map_or(0, |held| held.start + held.used);
                self.pages.push(Held { page: Arc::new(Page { keys, values }), own: true, start, used: 0 });
            }
            let Some(held) = self.pages.last_mut() else { return };
            let more = left.min(PAGE - held.used);
            held.used += more;
            self.len += more;
            left -= more;
        }
    }

    /// Keeps keys and values, `(heads * width)` each, of an id that [`grow`](Self::grow) counted in.
    pub(super) fn set(&mut self, layer: usize, position: usize, keys: &[f32], values: &[f32]) {
        let Shape { heads, width, .. } = self.shape;
        let key_place = Place { lines: self.shape.key_lines(), byte: key_byte, offset: 128 };
        let value_place = Place { lines: self.shape.value_lines(), byte: value_byte, offset: 0 };
        let after = self.pages.partition_point(|held| held.start <= position);
        let Some(held) = after.checked_sub(1).and_then(|index| self.pages.get_mut(index)) else { return };
        let slot = position - held.start;
        // Copies only if somebody else still looks at it: a clone, or a helper that comes late.
        let page = Arc::make_mut(&mut held.page);
        for (head, (key, value)) in keys.chunks_exact(width).zip(values.chunks_exact(width)).enumerate() {
            page.keys.set(layer * heads + head, slot, key, &key_place);
            page.values.set(layer * heads + head, slot, value, &value_place);
        }
    }

    /// Keys and values of a head at the first `count` positions, in stretches.
    pub(super) fn stretches(
        &self,
        layer: usize,
        head: usize,
        count: usize,
    ) -> impl Iterator<Item = (Stretch<'_>, Stretch<'_>, usize)> {
        let (shape, head) = (self.shape, layer * self.shape.heads + head);
        let held = self.pages.iter().take_while(move |held| held.start < count);
        held.flat_map(move |held| {
            let used = held.used.min(count - held.start);
            (0..used.div_ceil(SHEET)).map(move |number| {
                let used = SHEET.min(used - number * SHEET);
                let sheet = head * SHEETS + number;
                let keys = held.page.keys.stretch(sheet, used, shape.width, shape.key_lines());
                let values = held.page.values.stretch(sheet, used, shape.width, shape.value_lines());
                (keys, values, used)
            })
        })
    }
}

impl KvCache for CpuCache {
    fn len(&self) -> usize {
        self.len()
    }

    fn truncate(&mut self, len: usize) {
        self.truncate(len);
    }
}

/// A look at a cache that does not keep its pages: what is left lying about by a thread
/// that comes late must not make the cache's owner copy them.
pub(super) struct View {
    shape: Shape,
    pages: Vec<(Weak<Page>, usize, usize)>,
    len: usize,
}

impl CpuCache {
    /// A look at what there is now.
    pub(super) fn view(&self) -> View {
        let pages = self.pages.iter().map(|held| (Arc::downgrade(&held.page), held.start, held.used));
        View { shape: self.shape, pages: pages.collect(), len: self.len }
    }
}

impl View {
    /// The cache as it was, if it has not gone on since.
    pub(super) fn open(&self) -> Option<CpuCache> {
        let held = |(page, start, used): &(Weak<Page>, usize, usize)| {
            Some(Held { page: page.upgrade()?, own: false, start: *start, used: *used })
        };
        let pages = self.pages.iter().map(held).collect::<Option<_>>()?;
        Some(CpuCache { shape: self.shape, pages, len: self.len })
    }
}

impl std::fmt::Debug for CpuCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CpuCache").field("len", &self.len).finish_non_exhaustive()
    }
}
