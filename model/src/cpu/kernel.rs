//! Products in bytes, for each kind of processor.
//!
//! All give the same whole numbers for a block; these are put together in f32, in an
//! order that may differ in the last bit from one kind to another.

use super::cache::SHEET;
use super::matrix::Bytes;
use super::pack::{BLOCK, LANES, Line, QUADS, widen};
use crate::math;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;

/// Which instructions are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    /// AVX-512 with its products of bytes (VNNI).
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// What every processor has, and the compiler makes of it.
    Plain,
}

impl Isa {
    /// All that this processor has, the fastest first.
    #[must_use]
    pub fn available() -> Vec<Self> {
        let mut found = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            let has_512 = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512vnni");
            let has_2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            found.extend(has_512.then_some(Self::Avx512));
            found.extend(has_2.then_some(Self::Avx2));
        }
        found.push(Self::Plain);
        found
    }

    /// The fastest that this processor has.
    #[must_use]
    pub fn best() -> Self {
        Self::available().first().copied().unwrap_or(Self::Plain)
    }
}

/// Ids whose products with a panel are worked out together.
const TOGETHER: usize = 8;

/// The products of a panel with what some ids are: 16 outputs of each.
///
/// `isa` came from [`Isa::available`] on this processor.
#[inline]
pub(super) fn panel(
    isa: Isa,
    lines: &[Line],
    scales: &[[u16; LANES]],
    x: &Bytes,
    tiles: &mut [[f32; LANES]],
) {
    let blocks = scales.len();
    assert!(lines.len() == blocks * QUADS && x.blocks == blocks && x.scales.len() == blocks * tiles.len());
    let mut begin = 0;
    while begin < tiles.len() {
        let left = tiles.len() - begin;
        let count = if left >= TOGETHER {
            TOGETHER
        } else if left >= 4 {
            4
        } else {
            left.min(2)
        };
        let part = Part {
            lines,
            scales,
            values: &x.values[begin * blocks * BLOCK..][..count * blocks * BLOCK],
            x_scales: &x.scales[begin * blocks..][..count * blocks],
            sums: &x.sums[begin * blocks..][..count * blocks],
        };
        let tiles = &mut tiles[begin..][..count];
        match count {
            TOGETHER => part.multiply::<TOGETHER>(isa, tiles),
            4 => part.multiply::<4>(isa, tiles),
            2 => part.multiply::<2>(isa, tiles),
            _ => part.multiply::<1>(isa, tiles),
        }
        begin += count;
    }
}

/// A panel, and what it is multiplied with: `(t, ...)` each.
struct Part<'a> {
    lines: &'a [Line],
    scales: &'a [[u16; LANES]],
    values: &'a [i8],
    x_scales: &'a [f32],
    sums: &'a [i32],
}

impl Part<'_> {
    fn multiply<const N: usize>(&self, isa: Isa, tiles: &mut [[f32; LANES]]) {
        match isa {
            // SAFETY: an `Isa` is one that this processor has.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => unsafe { avx512::panel::<N>(self, tiles) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => unsafe { avx2::panel::<N>(self, tiles) },
            Isa::Plain => plain_panel::<N>(self, tiles),
        }
    }
}

math::vectorised_fn! {
    fn plain_panel<'a, const N: usize>(part: &'a Part<'a>, tiles: &'a mut [[f32; LANES]]) -> () {
        let blocks = part.scales.len();
        for (t, tile) in tiles.iter_mut().enumerate().take(N) {
            *tile = [0.0; LANES];
            for (b, (lines, scales)) in part.lines.chunks_exact(QUADS).zip(part.scales).enumerate() {
                let at = t * blocks + b;
                let mut sums = [part.sums[at]; LANES];
                for (line, x) in lines.iter().zip(part.values[at * BLOCK..][..BLOCK].as_chunks().0) {
                    plain_line(&line.0, x, &mut sums);
                }
                for ((y, sum), &scale) in tile.iter_mut().zip(sums).zip(scales) {
                    *y += whole(sum) * (widen(scale) * part.x_scales[at]);
                }
            }
        }
    }
}

/// The product of a row with what one of the ids is.
///
/// `isa` came from [`Isa::available`] on this processor.
#[inline]
pub(super) fn row(isa: Isa, lines: &[Line], scales: &[u16], x: &Bytes, token: usize) -> f32 {
    let blocks = lines.len();
    assert!(scales.len() == blocks && x.blocks == blocks);
    let part = RowPart {
        lines,
        scales,
        values: &x.values[token * blocks * BLOCK..][..blocks * BLOCK],
        x_scales: &x.scales[token * blocks..][..blocks],
        sums: &x.sums[token * blocks..][..blocks],
    };
    match isa {
        // SAFETY: an `Isa` is one that this processor has.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => unsafe { avx512::row(&part) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => unsafe { avx2::row(&part) },
        Isa::Plain => plain_row(&part),
    }
}

/// A row, and what it is multiplied with.
struct RowPart<'a> {
    lines: &'a [Line],
    scales: &'a [u16],
    values: &'a [i8],
    x_scales: &'a [f32],
    sums: &'a [i32],
}

math::vectorised_fn! {
    fn plain_row<'a>(part: &'a RowPart<'a>) -> f32 {
        let mut y = 0.0;
        for (b, (line, x)) in part.lines.iter().zip(part.values.chunks_exact(BLOCK)).enumerate() {
            let products = line.0.iter().zip(x).map(|(&w, &x)| i32::from(w) * i32::from(x));
            let sum = part.sums[b] + products.sum::<i32>();
            y += whole(sum) * (widen(part.scales[b]) * part.x_scales[b]);
        }
        y
    }
}

/// Adds the products of a query with the keys of a sheet, 32 positions, to what stands
/// there. The keys' bytes are 128 above their values: `products` begin with what that
/// adds too much.
#[inline]
pub(super) fn scores(isa: Isa, keys: &[Line], query: &[i8], products: &mut [i32; SHEET]) {
    assert!(keys.len() * 4 == 2 * query.len() && query.len().is_multiple_of(4));
    let (low, high) = keys.split_at(keys.len() / 2);
    match isa {
        // SAFETY: an `Isa` is one that this processor has.
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => unsafe { avx512::scores(low, high, query, products) },
        _ => {
            let (first, second) = products.split_at_mut(SHEET / 2);
            for (keys, products) in [(low, first), (high, second)] {
                for (line, query) in keys.iter().zip(query.as_chunks().0) {
                    plain_line(&line.0, query, products);
                }
            }
        }
    }
}

/// Adds the products of a line with four bytes to 16 sums.
#[inline(always)]
fn plain_line(line: &[u8; 64], x: &[i8; 4], sums: &mut [i32]) {
    for (sum, bytes) in sums.iter_mut().zip(line.as_chunks::<4>().0) {
        *sum += bytes.iter().zip(x).map(|(&byte, &x)| i32::from(byte) * i32::from(x)).sum::<i32>();
    }
}

/// The products of the values of a sheet with weights of its 32 positions, which are
/// not negative: sums for each number, 16 of them a group of lines.
#[inline]
pub(super) fn gather(isa: Isa, values: &[Line], weights: &[i8; SHEET], sums: &mut [i32]) {
    assert!(values.len() * 16 == SHEET / 4 * sums.len() && sums.len().is_multiple_of(16));
    for (lines, sums) in values.chunks_exact(SHEET / 4).zip(sums.as_chunks_mut().0) {
        match isa {
            // SAFETY: an `Isa` is one that this processor has.
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => unsafe { avx512::gather(lines, weights, sums) },
            _ => plain_gather(lines, weights, sums),
        }
    }
}

#[inline(always)]
fn plain_gather(lines: &[Line], weights: &[i8; SHEET], sums: &mut [i32; LANES]) {
    *sums = [0; LANES];
    for (line, weights) in lines.iter().zip(weights.as_chunks::<4>().0) {
        for (sum, values) in sums.iter_mut().zip(line.0.as_chunks::<4>().0) {
            let products =
                values.iter().zip(weights).map(|(&v, &w)| i32::from(v.cast_signed()) * i32::from(w));
            *sum += products.sum::<i32>();
        }
    }
}

/// A sum of products, which is below 2^24 and stays as it is: that of a block, and that
/// of a head as long as it is narrower than a thousand.
#[expect(clippy::cast_precision_loss, reason = "see above")]
#[inline(always)]
pub(super) fn whole(sum: i32) -> f32 {
    sum as f32
}
