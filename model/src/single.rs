//! What a step of a single id spends its time on, as candle operations of our
//! own: a row times a matrix, and one query's attention. General products split
//! such small work over threads that then wait for each other; one pass over the
//! weights on the thread that asks is faster, all the more on busy cores.

use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor, bail};

use crate::math;

/// Rows of a matrix that are gone through side by side.
const ROWS: usize = 8;

/// `x W + b` for a single row `x`, `(1, in)`; `W` is `(in, out)`, `b` `(out)`.
pub(crate) fn linear(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    x.apply_op3_no_bwd(weight, bias, &Linear)
}

/// `x E^T` for a single row `x`, `(1, in)`; `E` is `(out, in)`.
pub(crate) fn head(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    x.apply_op2_no_bwd(weight, &Head)
}

/// The attention of one query a head, `(h, 1, d)`, to keys and values `(h, n, d)`.
pub(crate) fn attention(query: &Tensor, keys: &Tensor, values: &Tensor, scale: f32) -> Result<Tensor> {
    query.apply_op3_no_bwd(keys, values, &Attention { scale })
}

/// The elements of a tensor that lies in memory without gaps.
fn whole<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&storage.as_slice::<f32>()?[start..end]),
        None => bail!("a tensor of shape {:?} has gaps", layout.shape()),
    }
}

struct Linear;

impl CustomOp3 for Linear {
    fn name(&self) -> &'static str {
        "single-linear"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, weight) = (whole(x, x_layout)?, whole(weight, weight_layout)?);
        let mut y = whole(bias, bias_layout)?.to_vec();
        if y.is_empty() || weight.len() != x.len() * y.len() {
            bail!("a row of {} does not fit {:?}", x.len(), weight_layout.shape());
        }
        math::vectorised(|| row_times_matrix(&mut y, x, weight));
        let shape = Shape::from((1, y.len()));
        Ok((CpuStorage::F32(y), shape))
    }
}

/// Adds `x W` to `y`, several rows of `W` at a time, each read from start to end.
#[inline(always)]
fn row_times_matrix(y: &mut [f32], x: &[f32], weight: &[f32]) {
    let outputs = y.len();
    let (blocks, rows) = (x.chunks_exact(ROWS), weight.chunks_exact(ROWS * outputs));
    let rest = blocks.remainder().iter().zip(rows.remainder().chunks_exact(outputs));
    for (x, rows) in blocks.zip(rows) {
        let row: [&[f32]; ROWS] = std::array::from_fn(|i| &rows[i * outputs..][..outputs]);
        for (j, y) in y.iter_mut().enumerate() {
            let low = x[0] * row[0][j] + x[1] * row[1][j] + x[2] * row[2][j] + x[3] * row[3][j];
            let high = x[4] * row[4][j] + x[5] * row[5][j] + x[6] * row[6][j] + x[7] * row[7][j];
            *y += low + high;
        }
    }
    for (&x, row) in rest {
        row.iter().zip(y.iter_mut()).for_each(|(&weight, y)| *y += x * weight);
    }
}

struct Head;

impl CustomOp2 for Head {
    fn name(&self) -> &'static str {
        "single-head"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, weight) = (whole(x, x_layout)?, whole(weight, weight_layout)?);
        let (outputs, inputs) = weight_layout.shape().dims2()?;
        if x.len() != inputs || inputs == 0 {
            bail!("a row of {} does not fit {:?}", x.len(), weight_layout.shape());
        }
        let mut y = vec![0.0; outputs];
        math::vectorised(|| {
            for (y, row) in y.iter_mut().zip(weight.chunks_exact(inputs)) {
                *y = math::sum2(x, row, |x, weight| x * weight);
            }
        });
        Ok((CpuStorage::F32(y), Shape::from((1, outputs))))
    }
}

struct Attention {
    scale: f32,
}

impl CustomOp3 for Attention {
    fn name(&self) -> &'static str {
        "single-attention"
    }

    fn cpu_fwd(
        &self,
        query: &CpuStorage,
        query_layout: &Layout,
        keys: &CpuStorage,
        keys_layout: &Layout,
        values: &CpuStorage,
        values_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let query = whole(query, query_layout)?;
        let (heads, n, width) = keys_layout.shape().dims3()?;
        if query.len() != heads * width || values_layout.dims() != keys_layout.dims() || width == 0 {
            bail!("a query of {} does not fit {:?}", query.len(), keys_layout.shape());
        }
        let mut y = vec![0.0; heads * width];
        let mut scores = vec![0.0; n];
        for (head, (query, y)) in query.chunks_exact(width).zip(y.chunks_exact_mut(width)).enumerate() {
            let (keys, values) = (rows(keys, keys_layout, head)?, rows(values, values_layout, head)?);
            math::vectorised(|| attend(y, &mut scores, query, keys, values, self.scale));
        }
        Ok((CpuStorage::F32(y), Shape::from((heads, 1, width))))
    }
}

/// The `(n, d)` of one head, which lies without gaps even if the heads do not.
fn rows<'a>(storage: &'a CpuStorage, layout: &Layout, head: usize) -> Result<&'a [f32]> {
    let (_, n, width) = layout.shape().dims3()?;
    let [head_stride, row_stride, 1] = *layout.stride() else { bail!("a cache's rows have gaps") };
    if row_stride != width {
        bail!("a cache's rows have gaps");
    }
    Ok(&storage.as_slice::<f32>()?[layout.start_offset() + head * head_stride..][..n * width])
}

#[inline(always)]
fn attend(y: &mut [f32], scores: &mut [f32], query: &[f32], keys: &[f32], values: &[f32], scale: f32) {
    let width = query.len();
    for (score, key) in scores.iter_mut().zip(keys.chunks_exact(width)) {
        *score = scale * math::sum2(query, key, |query, key| query * key);
    }
    let max = math::max(scores);
    for score in scores.iter_mut() {
        *score = math::exp(*score - max);
    }
    let factor = 1.0 / math::sum(scores, |score| score);
    row_times_matrix(y, scores, values);
    y.iter_mut().for_each(|y| *y *= factor);
}

#[cfg(test)]
mod tests {
    use candle_core::{D, Device};
    use candle_nn::ops::softmax_last_dim;

    use super::*;

    fn random(shape: &[usize]) -> Tensor {
        Tensor::randn(0f32, 1.0, shape, &Device::Cpu).unwrap()
    }

    #[track_caller]
    fn check(ours: &Tensor, theirs: &Tensor) {
        assert_eq!(ours.dims(), theirs.dims());
        let distance = (ours - theirs).unwrap().abs().unwrap().flatten_all().unwrap().max(D::Minus1).unwrap();
        assert!(distance.to_scalar::<f32>().unwrap() < 1e-4);
    }

    #[test]
    fn products_equal_candles() {
        for (inputs, outputs) in [(1, 1), (7, 5), (8, 33), (25, 64), (100, 37)] {
            let (x, w, b) = (random(&[1, inputs]), random(&[inputs, outputs]), random(&[outputs]));
            let product = x.matmul(&w).unwrap();
            check(&linear(&x, &w, &b).unwrap(), &product.broadcast_add(&b).unwrap());
            let transposed = w.t().unwrap().contiguous().unwrap();
            check(&head(&x, &transposed).unwrap(), &product);
        }
    }

    #[test]
    fn attention_equals_candles_also_on_part_of_a_cache() {
        for (heads, window, n, width) in [(1, 1, 1, 1), (3, 20, 9, 5), (2, 40, 40, 64)] {
            let query = random(&[heads, 1, width]);
            let part = |t: Tensor| t.narrow(1, 0, n).unwrap();
            let keys = part(random(&[heads, window, width]));
            let values = part(random(&[heads, window, width]));
            let scores = (query.matmul(&keys.t().unwrap()).unwrap() * 0.5).unwrap();
            let expected = softmax_last_dim(&scores).unwrap().matmul(&values).unwrap();
            check(&attention(&query, &keys, &values, 0.5).unwrap(), &expected);
        }
    }

    #[test]
    fn shapes_that_do_not_fit_are_errors() {
        assert!(linear(&random(&[1, 3]), &random(&[4, 2]), &random(&[2])).is_err());
        assert!(linear(&random(&[1, 4]), &random(&[2, 4]).t().unwrap(), &random(&[2])).is_err());
        assert!(head(&random(&[1, 3]), &random(&[5, 4])).is_err());
        assert!(attention(&random(&[2, 1, 3]), &random(&[2, 4, 2]), &random(&[2, 4, 2]), 1.0).is_err());
    }
}
