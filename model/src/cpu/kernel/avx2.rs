//! With AVX2: products of bytes in pairs, which do not run over as long as neither
//! byte is -128. That none is, packing sees to.

use std::arch::x86_64::{
    __m256, __m256i, _mm_loadu_si128, _mm256_abs_epi8, _mm256_add_epi32, _mm256_castsi256_ps,
    _mm256_cvtepi32_ps, _mm256_cvtepu16_epi32, _mm256_fmadd_ps, _mm256_loadu_si256, _mm256_madd_epi16,
    _mm256_maddubs_epi16, _mm256_mul_ps, _mm256_set1_epi8, _mm256_set1_epi16, _mm256_set1_epi32,
    _mm256_set1_ps, _mm256_setzero_ps, _mm256_setzero_si256, _mm256_sign_epi8, _mm256_slli_epi32,
    _mm256_storeu_ps, _mm256_xor_si256,
};

use super::{Part, RowPart};
use crate::cpu::pack::{BLOCK, LANES, Line, QUADS, widen};

/// # Safety
/// The processor has AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
pub(super) fn panel<const N: usize>(part: &Part<'_>, tiles: &mut [[f32; LANES]]) {
    let blocks = part.scales.len();
    let mut y = [[_mm256_setzero_ps(); 2]; N];
    for (b, (lines, scales)) in part.lines.chunks_exact(QUADS).zip(part.scales).enumerate() {
        let mut sums = [[_mm256_setzero_si256(); 2]; N];
        for (j, line) in lines.iter().enumerate() {
            let halves = halves(line);
            for (t, sums) in sums.iter_mut().enumerate() {
                let x = &part.values[(t * blocks + b) * BLOCK + 4 * j..][..4];
                let four = [x[0], x[1], x[2], x[3]].map(i8::cast_unsigned);
                let x = _mm256_set1_epi32(i32::from_ne_bytes(four));
                for (sum, weights) in sums.iter_mut().zip(halves) {
                    *sum = _mm256_add_epi32(*sum, products(weights, x));
                }
            }
        }
        let scales = widened(scales);
        for (t, (y, sums)) in y.iter_mut().zip(sums).enumerate() {
            let x_scale = _mm256_set1_ps(part.x_scales[t * blocks + b]);
            for ((y, sum), scale) in y.iter_mut().zip(sums).zip(scales) {
                *y = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum), _mm256_mul_ps(scale, x_scale), *y);
            }
        }
    }
    for (tile, [low, high]) in tiles.iter_mut().zip(y) {
        // SAFETY: a tile has room for 16 numbers.
        unsafe {
            _mm256_storeu_ps(tile.as_mut_ptr(), low);
            _mm256_storeu_ps(tile.as_mut_ptr().add(8), high);
        }
    }
}

/// # Safety
/// The processor has AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
pub(super) fn row(part: &RowPart<'_>) -> f32 {
    let mut y = _mm256_setzero_ps();
    for (b, (line, x)) in part.lines.iter().zip(part.values.chunks_exact(BLOCK)).enumerate() {
        let [low, high] = halves(line);
        // SAFETY: `x` has 64 bytes.
        let (x_low, x_high) =
            unsafe { (_mm256_loadu_si256(x.as_ptr().cast()), _mm256_loadu_si256(x.as_ptr().add(32).cast())) };
        let sum = _mm256_add_epi32(products(low, x_low), products(high, x_high));
        y = _mm256_fmadd_ps(
            _mm256_cvtepi32_ps(sum),
            _mm256_set1_ps(widen(part.scales[b]) * part.x_scales[b]),
            y,
        );
    }
    let mut lanes = [0.0_f32; 8];
    // SAFETY: there is room for 8 numbers.
    unsafe { _mm256_storeu_ps(lanes.as_mut_ptr(), y) };
    lanes.iter().sum()
}

/// The weights of a line, as signed bytes.
#[inline]
#[target_feature(enable = "avx2")]
fn halves(line: &Line) -> [__m256i; 2] {
    let sign = _mm256_set1_epi8(-128);
    let here = line.0.as_ptr();
    // SAFETY: a line has 64 bytes.
    let halves = unsafe { [_mm256_loadu_si256(here.cast()), _mm256_loadu_si256(here.add(32).cast())] };
    [_mm256_xor_si256(halves[0], sign), _mm256_xor_si256(halves[1], sign)]
}

/// Sums of four products each.
#[inline]
#[target_feature(enable = "avx2")]
fn products(weights: __m256i, x: __m256i) -> __m256i {
    let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(x), _mm256_sign_epi8(weights, x));
    _mm256_madd_epi16(pairs, _mm256_set1_epi16(1))
}

#[inline]
#[target_feature(enable = "avx2")]
fn widened(scales: &[u16; LANES]) -> [__m256; 2] {
    let (low, high) = scales.split_at(8);
    [widened_half(low), widened_half(high)]
}

#[inline]
#[target_feature(enable = "avx2")]
fn widened_half(scales: &[u16]) -> __m256 {
    assert_eq!(scales.len(), 8);
    // SAFETY: there are 8 of two bytes each.
    let scales = unsafe { _mm_loadu_si128(scales.as_ptr().cast()) };
    _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(scales)))
}
