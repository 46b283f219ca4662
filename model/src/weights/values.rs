//! The numbers of a tensor: how they are stored, and how they are read.

use half::{bf16, f16};

/// The kinds of numbers that weights are read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum NumberFormat {
    F32,
    F16,
    Bf16,
    /// Blocks of 32: an f16 scale and a signed byte each.
    Q8,
}

/// Numbers of a block of [`NumberFormat::Q8`], and its bytes.
const Q8_BLOCK: usize = 32;
const Q8_BYTES: usize = 2 + Q8_BLOCK;

impl NumberFormat {
    /// What it is called.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::Bf16 => "BF16",
            Self::Q8 => "Q8_0",
        }
    }

    /// The bytes of so many numbers, none if so many cannot be.
    pub(crate) fn bytes(self, numbers: usize) -> Option<usize> {
        match self {
            Self::F32 => numbers.checked_mul(4),
            Self::F16 | Self::Bf16 => numbers.checked_mul(2),
            Self::Q8 if numbers.is_multiple_of(Q8_BLOCK) => (numbers / Q8_BLOCK).checked_mul(Q8_BYTES),
            Self::Q8 => None,
        }
    }
}

/// A tensor's numbers as they are stored.
#[derive(Clone, Copy)]
pub(crate) struct Values<'a> {
    format: NumberFormat,
    bytes: &'a [u8],
    len: usize,
    order: Order,
}

/// The order in which numbers are stored.
#[derive(Clone, Copy)]
pub(crate) enum Order {
    /// As they are meant.
    Plain,
    /// As those of the transposed matrix of so many rows and columns.
    Transposed { rows: usize, columns: usize },
}

/// Rows of a block at most, see [`Values::block`].
const BLOCK: usize = 64;

impl<'a> Values<'a> {
    /// So many numbers; `bytes` are all of theirs.
    pub(super) fn new(format: NumberFormat, bytes: &'a [u8], len: usize, order: Order) -> Self {
        Self { format, bytes, len, order }
    }

    /// The numbers from a place on, as many as there is room for.
    #[inline]
    pub(crate) fn fill(&self, from: usize, to: &mut [f32]) {
        match self.order {
            Order::Plain => self.stored(from, to),
            Order::Transposed { rows, columns } => {
                for (at, to) in (from..).zip(to) {
                    self.stored(at % columns * rows + at / columns, std::slice::from_mut(to));
                }
            }
        }
    }

    /// A part of a matrix `(in, out)` with `outputs` columns: 16 columns from `output` on,
    /// of as many rows from `input` on as there is room for, 64 at most. What lies outside
    /// of the matrix is 0.
    #[inline]
    pub(crate) fn block<const N: usize>(
        &self,
        outputs: usize,
        input: usize,
        output: usize,
        to: &mut [[f32; N]],
    ) {
        let inputs = self.len / outputs;
        let (height, width) = (to.len().min(inputs - input), N.min(outputs - output));
        if height < to.len() || width < N {
            to.fill([0.0; N]);
        }
        match self.order {
            Order::Plain => {
                for (row, input) in to.iter_mut().zip(input..inputs) {
                    self.stored(input * outputs + output, &mut row[..width]);
                }
            }
            Order::Transposed { .. } => {
                let mut column = [0.0; BLOCK];
                let column = &mut column[..height];
                for r in 0..width {
                    self.stored((output + r) * inputs + input, column);
                    for (row, value) in to.iter_mut().zip(&*column) {
                        row[r] = *value;
                    }
                }
            }
        }
    }

    /// All of them.
    pub(crate) fn to_vec(self) -> Vec<f32> {
        let mut all = vec![0.0; self.len];
        match self.order {
            Order::Plain => self.stored(0, &mut all),
            Order::Transposed { rows, columns } => {
                let mut column = vec![0.0; rows];
                for c in 0..columns {
                    self.stored(c * rows, &mut column);
                    for (row, value) in all.chunks_exact_mut(columns).zip(&column) {
                        row[c] = *value;
                    }
                }
            }
        }
        all
    }

    /// The numbers from a place on, in the order in which they are stored.
    #[inline]
    fn stored(&self, from: usize, to: &mut [f32]) {
        match self.format {
            NumberFormat::F32 => fill(&self.bytes[4 * from..], to, f32::from_le_bytes),
            NumberFormat::F16 => fill(&self.bytes[2 * from..], to, |two| f16::from_le_bytes(two).to_f32()),
            NumberFormat::Bf16 => fill(&self.bytes[2 * from..], to, |two| bf16::from_le_bytes(two).to_f32()),
            NumberFormat::Q8 => fill_q8(self.bytes, from, to),
        }
    }
}

#[inline(always)]
fn fill<const N: usize>(bytes: &[u8], to: &mut [f32], number: impl Fn([u8; N]) -> f32) {
    for (to, bytes) in to.iter_mut().zip(bytes.as_chunks::<N>().0) {
        *to = number(*bytes);
    }
}

fn fill_q8(bytes: &[u8], from: usize, mut to: &mut [f32]) {
    let mut skipped = from % Q8_BLOCK;
    for block in &bytes.as_chunks::<Q8_BYTES>().0[from / Q8_BLOCK..] {
        let scale = f16::from_le_bytes([block[0], block[1]]).to_f32();
        let numbers = &block[2 + skipped..];
        let (now, rest) = to.split_at_mut(numbers.len().min(to.len()));
        for (to, &number) in now.iter_mut().zip(numbers) {
            *to = scale * f32::from(number.cast_signed());
        }
        (to, skipped) = (rest, 0);
        if to.is_empty() {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transposed_numbers_are_those_of_the_plain_matrix() {
        let (rows, columns) = (70_u16, 19_u16);
        let number = |row: u16, column: u16| f32::from(row * 100 + column);
        let plain: Vec<u8> =
            (0..rows).flat_map(|row| (0..columns).flat_map(move |c| number(row, c).to_le_bytes())).collect();
        let turned: Vec<u8> =
            (0..columns).flat_map(|c| (0..rows).flat_map(move |row| number(row, c).to_le_bytes())).collect();
        let (rows, columns) = (usize::from(rows), usize::from(columns));
        let len = rows * columns;
        let plain = Values::new(NumberFormat::F32, &plain, len, Order::Plain);
        let turned = Values::new(NumberFormat::F32, &turned, len, Order::Transposed { rows, columns });
        assert_eq!(plain.to_vec(), turned.to_vec());
        for (input, output) in [(0, 0), (64, 0), (64, 16), (0, 16)] {
            let (mut a, mut b) = ([[1.0; 16]; 64], [[2.0; 16]; 64]);
            plain.block(columns, input, output, &mut a);
            turned.block(columns, input, output, &mut b);
            assert_eq!(a, b);
        }
        let (mut a, mut b) = ([0.0; 25], [0.0; 25]);
        plain.fill(30, &mut a);
        turned.fill(30, &mut b);
        assert_eq!(a, b);
    }

    #[test]
    fn blocks_of_bytes_are_read_from_anywhere() {
        let mut bytes = Vec::new();
        for block in 0..3_u8 {
            bytes.extend(f16::from_f32(f32::from(block + 1)).to_le_bytes());
            bytes.extend((0..32_u8).map(|n| n.wrapping_sub(16)));
        }
        let values = Values::new(NumberFormat::Q8, &bytes, 96, Order::Plain);
        let all = values.to_vec();
        assert_eq!((all[0], all[32], all[95]), (-16.0, -32.0, 45.0));
        let mut some = [0.0; 40];
        values.fill(30, &mut some);
        assert_eq!(some, all[30..70]);
        assert_eq!(NumberFormat::Q8.bytes(33), None);
    }
}
