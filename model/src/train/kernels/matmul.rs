//! Matrix products, a safe face on the `gemm` crate: views that know their
//! bounds in, one product out.

use std::marker::PhantomData;

use gemm::{Parallelism, gemm};

/// A matrix to be read.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    data: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> View<'a> {
    /// A matrix of `columns` columns that fills `data` row by row.
    pub(crate) fn new(data: &'a [f32], columns: usize) -> Self {
        Self::strided(data, data.len() / columns, columns, columns)
    }

    /// A matrix whose rows start `stride` apart in `data`.
    pub(crate) fn strided(data: &'a [f32], rows: usize, columns: usize, stride: usize) -> Self {
        assert!(rows > 0 && columns <= stride && (rows - 1) * stride + columns <= data.len());
        Self { data, rows, columns, row_stride: stride, column_stride: 1 }
    }

    /// The matrix with rows and columns exchanged.
    pub(crate) fn t(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    /// Row `index` of a matrix that is not transposed.
    pub(crate) fn row(self, index: usize) -> &'a [f32] {
        assert!(self.column_stride == 1 && index < self.rows);
        &self.data[index * self.row_stride..][..self.columns]
    }

    /// The rows `start..end`.
    pub(crate) fn rows(self, start: usize, end: usize) -> Self {
        assert!(self.column_stride == 1 && start < end && end <= self.rows);
        Self { data: &self.data[start * self.row_stride..], rows: end - start, ..self }
    }
}

/// A matrix to be written; its rows are contiguous and start `stride` apart.
/// Several may interleave in one slice, see [`ViewMut::columns`].
pub(crate) struct ViewMut<'a> {
    data: *mut f32,
    rows: usize,
    columns: usize,
    stride: usize,
    borrow: PhantomData<&'a mut [f32]>,
}

// SAFETY: a `ViewMut` has the only access to its elements, as `&mut [f32]` has.
unsafe impl Send for ViewMut<'_> {}

impl<'a> ViewMut<'a> {
    /// A matrix of `columns` columns that fills `data` row by row.
    pub(crate) fn new(data: &'a mut [f32], columns: usize) -> Self {
        let rows = data.len() / columns;
        assert!(rows > 0);
        Self { data: data.as_mut_ptr(), rows, columns, stride: columns, borrow: PhantomData }
    }

    /// Cuts `data`, a matrix of rows of `stride`, into bands of `rows` rows and
    /// those into matrices of `columns` columns: band by band, left to right.
    pub(crate) fn tiles(data: &'a mut [f32], stride: usize, rows: usize, columns: usize) -> Vec<Self> {
        assert!(rows > 0 && columns > 0);
        assert!(data.len().is_multiple_of(rows * stride) && stride.is_multiple_of(columns));
        let mut tiles = Vec::new();
        for band in data.chunks_exact_mut(rows * stride) {
            let start = band.as_mut_ptr();
            for column in (0..stride).step_by(columns) {
                // SAFETY: `column` is less than `stride`, the length of the band's first row.
                let data = unsafe { start.add(column) };
                tiles.push(Self { data, rows, columns, stride, borrow: PhantomData });
            }
        }
        tiles
    }

    /// Row `index`.
    pub(crate) fn row(&mut self, index: usize) -> &mut [f32] {
        assert!(index < self.rows);
        // SAFETY: the constructors checked that all rows lie inside of what is
        // borrowed, and no other view has these columns of them.
        unsafe { std::slice::from_raw_parts_mut(self.data.add(index * self.stride), self.columns) }
    }

    /// The rows `start..end`, for as long as this view is not used.
    pub(crate) fn rows(&mut self, start: usize, end: usize) -> ViewMut<'_> {
        assert!(start < end && end <= self.rows);
        // SAFETY: row `start` lies inside of what is borrowed.
        let data = unsafe { self.data.add(start * self.stride) };
        ViewMut { data, rows: end - start, columns: self.columns, stride: self.stride, borrow: PhantomData }
    }
}

/// What happens to the elements a product is written to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Onto {
    /// They are overwritten.
    Nothing,
    /// The product is added to them.
    Sum,
}

/// Where a product is computed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Threads {
    /// On the thread that asks, one of several at work.
    Here,
    /// On all threads of the pool.
    All,
}

/// `target = factor * a b`, or `target += factor * a b`.
pub(crate) fn matmul(
    target: ViewMut<'_>,
    onto: Onto,
    a: View<'_>,
    b: View<'_>,
    factor: f32,
    threads: Threads,
) {
    assert!(target.rows == a.rows && target.columns == b.columns && a.columns == b.rows);
    let parallelism = match threads {
        Threads::Here => Parallelism::None,
        Threads::All => Parallelism::Rayon(0),
    };
    // SAFETY: the three views lie inside of what they borrow, their shapes
    // agree, and the target shares no element with the sources, which are
    // borrowed at the same time.
    unsafe {
        gemm(
            target.rows,
            target.columns,
            a.columns,
            target.data,
            1,
            target.stride.cast_signed(),
            onto == Onto::Sum,
            a.data.as_ptr(),
            a.column_stride.cast_signed(),
            a.row_stride.cast_signed(),
            b.data.as_ptr(),
            b.column_stride.cast_signed(),
            b.row_stride.cast_signed(),
            1.0,
            factor,
            false,
            false,
            false,
            parallelism,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(n: usize) -> Vec<f32> {
        (0..n).map(|i| f32::from(u8::try_from(i * 7 % 23).unwrap()) - 11.0).collect()
    }

    /// Checks the product of all layouts against the definition.
    #[track_caller]
    fn check(m: usize, n: usize, k: usize, threads: Threads) {
        let (a, b) = (numbers(m * k), numbers(k * n));
        let (mut at, mut bt) = (vec![0.0; m * k], vec![0.0; k * n]);
        for depth in 0..k {
            (0..m).for_each(|row| at[depth * m + row] = a[row * k + depth]);
            (0..n).for_each(|column| bt[column * k + depth] = b[depth * n + column]);
        }
        let product = |row: usize, column: usize| {
            (0..k).map(|depth| a[row * k + depth] * b[depth * n + column]).sum::<f32>()
        };
        for (a, b) in [
            (View::new(&a, k), View::new(&b, n)),
            (View::new(&at, m).t(), View::new(&b, n)),
            (View::new(&a, k), View::new(&bt, k).t()),
        ] {
            let mut target = vec![1.0; m * n];
            matmul(ViewMut::new(&mut target, n), Onto::Sum, a, b, 0.5, threads);
            for (i, &value) in target.iter().enumerate() {
                assert_eq!(value, 1.0 + 0.5 * product(i / n, i % n), "{m}x{n}x{k} at {i}");
            }
            matmul(ViewMut::new(&mut target, n), Onto::Nothing, a, b, 1.0, threads);
            for (i, &value) in target.iter().enumerate() {
                assert_eq!(value, product(i / n, i % n), "{m}x{n}x{k} at {i}");
            }
        }
    }

    #[test]
    fn products_of_every_layout_follow_the_definition() {
        for (m, n, k) in [(1, 1, 1), (3, 5, 7), (1, 40, 33), (40, 1, 16), (65, 17, 31)] {
            check(m, n, k, Threads::Here);
        }
        check(130, 97, 66, Threads::All);
    }

    #[test]
    fn tiles_share_no_element_and_leave_none_out() {
        let mut data = vec![0.0; 4 * 6];
        for (index, mut tile) in ViewMut::tiles(&mut data, 6, 2, 3).into_iter().enumerate() {
            for row in 0..2 {
                tile.row(row).iter_mut().for_each(|x| *x += f32::from(u8::try_from(index).unwrap()) + 1.0);
            }
        }
        let (top, bottom) = ([1.0, 1.0, 1.0, 2.0, 2.0, 2.0], [3.0, 3.0, 3.0, 4.0, 4.0, 4.0]);
        assert_eq!(data, [top, top, bottom, bottom].concat());
    }
}
