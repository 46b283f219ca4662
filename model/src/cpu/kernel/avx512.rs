//! With AVX-512 VNNI: 64 products of bytes an instruction.

use std::arch::x86_64::{
    __m512, __m512i, _MM_HINT_T0, _mm_prefetch, _mm256_loadu_si256, _mm512_add_epi32, _mm512_castsi512_ps,
    _mm512_cvtepi32_ps, _mm512_cvtepu16_epi32, _mm512_dpbusd_epi32, _mm512_fmadd_ps, _mm512_load_si512,
    _mm512_loadu_si512, _mm512_maskz_set1_epi32, _mm512_mul_ps, _mm512_reduce_add_ps, _mm512_set1_epi32,
    _mm512_set1_ps, _mm512_setzero_ps, _mm512_setzero_si512, _mm512_slli_epi32, _mm512_storeu_ps,
    _mm512_storeu_si512,
};

use super::{Part, RowPart};
use crate::cpu::cache::SHEET;
use crate::cpu::pack::{BLOCK, LANES, Line, QUADS, widen};

/// How far ahead of the products weights are asked for, in lines.
const AHEAD: usize = 32;

/// # Safety
/// The processor has AVX-512 F, BW, VL and VNNI.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
pub(super) fn panel<const N: usize>(part: &Part<'_>, tiles: &mut [[f32; LANES]]) {
    let blocks = part.scales.len();
    let mut y = [_mm512_setzero_ps(); N];
    for (b, (lines, scales)) in part.lines.chunks_exact(QUADS).zip(part.scales).enumerate() {
        // Loops in place of closures, which would not be compiled for this processor.
        let mut even = [_mm512_setzero_si512(); N];
        let mut odd = even;
        let mut x = [&[0; BLOCK]; N];
        for t in 0..N {
            even[t] = _mm512_set1_epi32(part.sums[t * blocks + b]);
            x[t] = part.values[(t * blocks + b) * BLOCK..].first_chunk().unwrap_or(x[t]);
        }
        for (j, pair) in lines.chunks_exact(2).enumerate() {
            let (first, second) = (load(&pair[0]), load(&pair[1]));
            for t in 0..N {
                even[t] = _mm512_dpbusd_epi32(even[t], first, four(x[t], 2 * j));
                odd[t] = _mm512_dpbusd_epi32(odd[t], second, four(x[t], 2 * j + 1));
            }
        }
        let scales = widened(scales);
        for t in 0..N {
            let sum = _mm512_cvtepi32_ps(_mm512_add_epi32(even[t], odd[t]));
            let scale = _mm512_mul_ps(scales, _mm512_set1_ps(part.x_scales[t * blocks + b]));
            y[t] = _mm512_fmadd_ps(sum, scale, y[t]);
        }
    }
    for (tile, y) in tiles.iter_mut().zip(y) {
        // SAFETY: a tile has room for 16 numbers.
        unsafe { _mm512_storeu_ps(tile.as_mut_ptr(), y) };
    }
}

/// # Safety
/// The processor has AVX-512 F, BW, VL and VNNI.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
pub(super) fn row(part: &RowPart<'_>) -> f32 {
    let mut y = _mm512_setzero_ps();
    for (b, (line, x)) in part.lines.iter().zip(part.values.chunks_exact(BLOCK)).enumerate() {
        // What weights add too much is taken off in one of the lanes.
        let start = _mm512_maskz_set1_epi32(1, part.sums[b]);
        // SAFETY: `x` has 64 bytes.
        let x = unsafe { _mm512_loadu_si512(x.as_ptr().cast()) };
        let sum = _mm512_cvtepi32_ps(_mm512_dpbusd_epi32(start, load(line), x));
        y = _mm512_fmadd_ps(sum, _mm512_set1_ps(widen(part.scales[b]) * part.x_scales[b]), y);
    }
    _mm512_reduce_add_ps(y)
}

/// # Safety
/// The processor has AVX-512 F, BW, VL and VNNI.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
pub(super) fn scores(low: &[Line], high: &[Line], query: &[i8], products: &mut [i32; SHEET]) {
    // SAFETY: `products` has room for 32 numbers.
    let (mut first, mut second) = unsafe {
        (_mm512_loadu_si512(products.as_ptr().cast()), _mm512_loadu_si512(products.as_ptr().add(16).cast()))
    };
    for ((low, high), query) in low.iter().zip(high).zip(query.as_chunks::<4>().0) {
        let query = _mm512_set1_epi32(i32::from_ne_bytes(query.map(i8::cast_unsigned)));
        first = _mm512_dpbusd_epi32(first, load(low), query);
        second = _mm512_dpbusd_epi32(second, load(high), query);
    }
    // SAFETY: as above.
    unsafe {
        _mm512_storeu_si512(products.as_mut_ptr().cast(), first);
        _mm512_storeu_si512(products.as_mut_ptr().add(16).cast(), second);
    }
}

/// # Safety
/// The processor has AVX-512 F, BW, VL and VNNI.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
pub(super) fn gather(lines: &[Line], weights: &[i8; SHEET], sums: &mut [i32; LANES]) {
    let mut sum = _mm512_setzero_si512();
    for (line, weights) in lines.iter().zip(weights.as_chunks::<4>().0) {
        // Here the weights are the ones without a sign.
        let weights = _mm512_set1_epi32(i32::from_ne_bytes(weights.map(i8::cast_unsigned)));
        sum = _mm512_dpbusd_epi32(sum, weights, load(line));
    }
    // SAFETY: `sums` has room for 16 numbers.
    unsafe { _mm512_storeu_si512(sums.as_mut_ptr().cast(), sum) };
}

/// A line; and one further on is asked for.
#[inline]
#[target_feature(enable = "avx512f")]
fn load(line: &Line) -> __m512i {
    let here = std::ptr::from_ref(line);
    // SAFETY: a line is 64 bytes on a boundary of 64. Asking for an address in advance is
    // allowed for any, also past the end.
    unsafe {
        _mm_prefetch::<_MM_HINT_T0>(here.wrapping_add(AHEAD).cast());
        _mm512_load_si512(here.cast())
    }
}

/// Four bytes, 16 times.
#[inline]
#[target_feature(enable = "avx512f")]
fn four(x: &[i8; BLOCK], quad: usize) -> __m512i {
    let at = quad % QUADS * 4;
    let four = [x[at], x[at + 1], x[at + 2], x[at + 3]].map(i8::cast_unsigned);
    _mm512_set1_epi32(i32::from_ne_bytes(four))
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn widened(scales: &[u16; LANES]) -> __m512 {
    // SAFETY: there are 16 of two bytes each.
    let scales = unsafe { _mm256_loadu_si256(scales.as_ptr().cast()) };
    _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(scales)))
}
