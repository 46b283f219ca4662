//! Products in bytes, for each kind of processor.
//!
//! All give the same whole numbers for a block; these are put together in f32, in an
//! order that may differ in the last bit from one kind to another.

#[cfg(target_arch = "aarch64")]
use std::arch::is_aarch64_feature_detected;

use super::cache::SHEET;
use super::matrix::Bytes;
use super::pack::{BLOCK, LANES, Line, QUADS, widen};
use crate::math;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;

/// Which instructions are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    /// AVX-512 with its products of bytes (VNNI).
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// NEON with dot products of bytes.
    #[cfg(target_arch = "aarch64")]
    NeonDot,
    /// NEON.
    #[cfg(target_arch = "aarch64")]
    Neon,
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
        #[cfg(target_arch = "aarch64")]
        {
            let has_neon = is_aarch64_feature_detected!("neon");
            let has_dot = has_neon && is_aarch64_feature_detected!("dotprod");
            found.extend(has_dot.then_some(Self::NeonDot));
            found.extend(has_neon.then_some(Self::Neon));
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

impl std::fmt::Display for Isa {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => "AVX-512",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => "AVX2",
            #[cfg(target_arch = "aarch64")]
            Self::NeonDot => "NEON with dot products",
            #[cfg(target_arch = "aarch64")]
            Self::Neon => "NEON",
            Self::Plain => "no special instructions",
        })
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
            // SAFETY: as above.
            #[cfg(target_arch = "aarch64")]
            Isa::NeonDot => unsafe { neon::Dot::panel::<N>(self, tiles) },
            // SAFETY: as above.
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => unsafe { neon::Usual::panel::<N>(self, tiles) },
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
        // SAFETY: as above.
        #[cfg(target_arch = "aarch64")]
        Isa::NeonDot => unsafe { neon::Dot::row(&part) },
        // SAFETY: as above.
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => unsafe { neon::Usual::row(&part) },
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
        // SAFETY: as above.
        #[cfg(target_arch = "aarch64")]
        Isa::NeonDot => unsafe { neon::Dot::scores(low, high, query, products) },
        // SAFETY: as above.
        #[cfg(target_arch = "aarch64")]
        Isa::Neon => unsafe { neon::Usual::scores(low, high, query, products) },
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
            // SAFETY: as above.
            #[cfg(target_arch = "aarch64")]
            Isa::NeonDot => unsafe { neon::Dot::gather(lines, weights, sums) },
            // SAFETY: as above.
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => unsafe { neon::Usual::gather(lines, weights, sums) },
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that look like none in particular, -127 to 127.
    struct Bytewise(u32);

    impl Bytewise {
        fn next(&mut self) -> i8 {
            self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            i8::try_from(i64::from((self.0 >> 16) % 255) - 127).unwrap_or(0)
        }

        fn lines(&mut self, count: usize) -> Vec<Line> {
            (0..count).map(|_| Line(std::array::from_fn(|_| self.next().cast_unsigned() ^ 0x80))).collect()
        }

        fn values(&mut self, count: usize) -> Vec<i8> {
            (0..count).map(|_| self.next()).collect()
        }

        /// With scales of 1, so that all products are whole.
        fn bytes(&mut self, tokens: usize, blocks: usize) -> Bytes {
            let values = self.values(tokens * blocks * BLOCK);
            let sum = |block: &[i8]| -128 * block.iter().map(|&byte| i32::from(byte)).sum::<i32>();
            let sums = values.chunks_exact(BLOCK).map(sum).collect();
            Bytes { blocks, values, scales: vec![1.0; tokens * blocks], sums }
        }
    }

    /// 1 in bfloat16.
    const ONE: u16 = 0x3f80;

    #[test]
    fn all_kinds_give_the_same_whole_numbers() {
        let mut random = Bytewise(1);
        for blocks in 1..4 {
            for tokens in [1, 2, 3, 4, 5, 8, 13] {
                let (lines, x) = (random.lines(blocks * QUADS), random.bytes(tokens, blocks));
                let scales = vec![[ONE; LANES]; blocks];
                let panels = |isa| {
                    let mut tiles = vec![[0.0; LANES]; tokens];
                    panel(isa, &lines, &scales, &x, &mut tiles);
                    tiles
                };
                let rows = |isa| row(isa, &lines[..blocks], &vec![ONE; blocks], &x, tokens - 1);
                for isa in Isa::available() {
                    assert_eq!(panels(isa), panels(Isa::Plain), "{isa}");
                    assert_eq!(rows(isa), rows(Isa::Plain), "{isa}");
                }
            }
        }
    }

    #[test]
    fn all_kinds_look_back_alike() {
        let mut random = Bytewise(2);
        for width in [4, 12, 64] {
            let (keys, query) = (random.lines(width / 2), random.values(width));
            let too_much: i32 = query.iter().map(|&q| -128 * i32::from(q)).sum();
            let (values, groups) = (random.lines(SHEET / 4 * 2), 2 * LANES);
            let weights: [i8; SHEET] = std::array::from_fn(|_| random.next().max(0));
            let looks = |isa| {
                let (mut products, mut sums) = ([too_much; SHEET], vec![0; groups]);
                scores(isa, &keys, &query, &mut products);
                gather(isa, &values, &weights, &mut sums);
                (products, sums)
            };
            for isa in Isa::available() {
                assert_eq!(looks(isa), looks(Isa::Plain), "{isa}");
            }
        }
    }
}
