//! The kinds of numbers that weights are written as, q8_0 among them.

use half::f16;

/// How the matrices of a written model are stored. Vectors are stored as f32 in GGUF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Numbers {
    /// Four bytes each.
    F32,
    /// Two bytes each, half precision.
    F16,
    /// A byte each, and a factor in half precision for each [`Q8_0_BLOCK`] of a row.
    Q8_0,
}

/// How many numbers share a factor in q8_0.
pub const Q8_0_BLOCK: usize = 32;

/// The bytes of such a block: the factor and the numbers.
const Q8_0_BYTES: usize = 2 + Q8_0_BLOCK;

impl Numbers {
    /// The name people know it by.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Q8_0 => "q8_0",
        }
    }

    /// What a matrix with rows of this many numbers can be stored as: a row has whole
    /// blocks, or none.
    pub(super) const fn for_rows_of(self, columns: usize) -> Self {
        match self {
            Self::Q8_0 if !columns.is_multiple_of(Q8_0_BLOCK) => Self::F16,
            other => other,
        }
    }

    /// How many bytes so many numbers take.
    pub(super) const fn bytes(self, count: usize) -> usize {
        match self {
            Self::F32 => 4 * count,
            Self::F16 => 2 * count,
            Self::Q8_0 => count / Q8_0_BLOCK * Q8_0_BYTES,
        }
    }

    /// Appends numbers as they are stored. `false` where one of them is too large for it,
    /// or none at all.
    pub(super) fn encode(self, values: &[f32], to: &mut Vec<u8>) -> bool {
        match self {
            Self::F32 => to.extend(values.iter().flat_map(|value| value.to_le_bytes())),
            Self::F16 => to.extend(values.iter().flat_map(|&value| f16::from_f32(value).to_le_bytes())),
            Self::Q8_0 => quantize_q8_0(values, to),
        }
        match self {
            Self::F32 => true,
            Self::F16 => values.iter().all(|&value| f16::from_f32(value).is_finite()),
            Self::Q8_0 => values.iter().all(|&value| f16::from_f32(value / 127.0).is_finite()),
        }
    }
}

/// Appends numbers as ggml's q8_0 stores them, to the bit: of each block of
/// [`Q8_0_BLOCK`] the factor in half precision, and 32 signed bytes to be multiplied
/// with it. Numbers that are left over are passed over.
pub fn quantize_q8_0(values: &[f32], to: &mut Vec<u8>) {
    for block in values.as_chunks::<Q8_0_BLOCK>().0 {
        let largest = block.iter().fold(0.0, |largest: f32, value| largest.max(value.abs()));
        let factor = largest / 127.0;
        let inverse = if factor == 0.0 { 0.0 } else { 1.0 / factor };
        to.extend(f16::from_f32(factor).to_le_bytes());
        to.extend(block.iter().flat_map(|value| rounded(value * inverse).to_le_bytes()));
    }
}

/// The nearest integer; of two as near, the one farther from zero.
#[expect(clippy::cast_possible_truncation, reason = "a block's largest number comes out as 127")]
fn rounded(value: f32) -> i8 {
    value.round() as i8
}
