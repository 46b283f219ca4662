//! Keys and values of the ids so far, in pages that caches may share.

use std::sync::Arc;

use super::matrix::{Precision, round};
use crate::{Config, math};

/// Positions of a page.
pub(super) const PAGE: usize = 32;

/// What a [`Cpu`](super::Cpu) has read: the keys and values of a sequence of ids.
///
/// A copy shares everything there is so far; what either reads from then on is its
/// own. Memory is taken as the sequence grows.
#[derive(Clone)]
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

/// A page, as far as one cache uses it.
#[derive(Clone)]
struct Held {
    page: Arc<Page>,
    /// The position its first vector belongs to.
    start: usize,
    used: usize,
}

/// Vectors of up to 32 positions, for all heads of all layers.
#[derive(Clone)]
struct Page {
    keys: Vectors,
    values: Vectors,
}

/// `(layer, head, position, width)`
#[derive(Clone)]
enum Vectors {
    /// With a scale for each vector.
    Int8 {
        bytes: Vec<i8>,
        scales: Vec<f32>,
    },
    F32(Vec<f32>),
}

/// Vectors of one head at consecutive positions, `(n, width)`.
#[derive(Clone, Copy)]
pub(super) enum Stretch<'a> {
    Int8 { bytes: &'a [i8], scales: &'a [f32] },
    F32(&'a [f32]),
}

impl Vectors {
    fn new(shape: Shape) -> Self {
        let count = shape.layers * shape.heads * PAGE;
        match shape.precision {
            Precision::Int8 => Self::Int8 { bytes: vec![0; count * shape.width], scales: vec![0.0; count] },
            Precision::F32 => Self::F32(vec![0.0; count * shape.width]),
        }
    }

    fn set(&mut self, place: usize, vector: &[f32]) {
        let range = place * vector.len()..(place + 1) * vector.len();
        match self {
            Self::Int8 { bytes, scales } => scales[place] = round_vector(vector, &mut bytes[range]),
            Self::F32(values) => values[range].copy_from_slice(vector),
        }
    }

    fn stretch(&self, place: usize, count: usize, width: usize) -> Stretch<'_> {
        let range = place * width..(place + count) * width;
        match self {
            Self::Int8 { bytes, scales } => {
                Stretch::Int8 { bytes: &bytes[range], scales: &scales[place..place + count] }
            }
            Self::F32(values) => Stretch::F32(&values[range]),
        }
    }
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

    /// Whether its vectors are kept in bytes.
    pub(super) fn is_int8(&self) -> bool {
        self.shape.precision == Precision::Int8
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
            // A page that others look at stays as it is.
            let room = |held: &Held| held.used < PAGE && Arc::strong_count(&held.page) == 1;
            if !self.pages.last().is_some_and(room) {
                let (keys, values) = (Vectors::new(self.shape), Vectors::new(self.shape));
                let start = self.pages.last().map_or(0, |held| held.start + held.used);
                self.pages.push(Held { page: Arc::new(Page { keys, values }), start, used: 0 });
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
        let after = self.pages.partition_point(|held| held.start <= position);
        let Some(held) = after.checked_sub(1).and_then(|index| self.pages.get_mut(index)) else { return };
        let slot = position - held.start;
        // The page was made for this cache, or nobody else had it: no copy is made.
        let page = Arc::make_mut(&mut held.page);
        for (head, (key, value)) in keys.chunks_exact(width).zip(values.chunks_exact(width)).enumerate() {
            let place = (layer * heads + head) * PAGE + slot;
            page.keys.set(place, key);
            page.values.set(place, value);
        }
    }

    /// Keys and values of a head at the first `count` positions, in stretches.
    pub(super) fn stretches(
        &self,
        layer: usize,
        head: usize,
        count: usize,
    ) -> impl Iterator<Item = (Stretch<'_>, Stretch<'_>, usize)> {
        let Shape { heads, width, .. } = self.shape;
        let place = (layer * heads + head) * PAGE;
        let held = self.pages.iter().take_while(move |held| held.start < count);
        held.map(move |held| {
            let used = held.used.min(count - held.start);
            let page = &held.page;
            (page.keys.stretch(place, used, width), page.values.stretch(place, used, width), used)
        })
    }
}

impl std::fmt::Debug for CpuCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CpuCache").field("len", &self.len).finish_non_exhaustive()
    }
}
