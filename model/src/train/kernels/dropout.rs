//! Dropout whose pattern is a function of a key and the element's index, so
//! that nothing has to be stored between the passes, nor in a checkpoint.

use rayon::prelude::*;

use crate::math;

/// Elements that are one piece of work.
const PIECE: usize = 1 << 14;

/// One pattern of dropped elements.
#[derive(Clone, Copy)]
pub(crate) struct Dropout {
    key: u32,
    /// Elements whose hash is below this are dropped.
    threshold: u32,
    /// What the kept ones are multiplied by.
    scale: f32,
}

/// A hash whose every output bit depends on every input bit.
#[inline(always)]
fn mix(mut x: u32) -> u32 {
    x ^= x >> 16;
    x = x.wrapping_mul(0x7feb_352d);
    x ^= x >> 15;
    x = x.wrapping_mul(0x846c_a68b);
    x ^ (x >> 16)
}

impl Dropout {
    /// The pattern for dropping with `probability`, told from all others by `keys`;
    /// none if the probability is 0.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a probability below 1")]
    pub(crate) fn new(probability: f32, keys: &[u64]) -> Option<Self> {
        if probability <= 0.0 {
            return None;
        }
        let fold = |key, &part: &u64| {
            let (low, high) = (part as u32, (part >> 32) as u32);
            mix(mix(key ^ low).wrapping_add(0x9e37_79b9) ^ high)
        };
        let threshold = (f64::from(probability) * f64::from(u32::MAX)) as u32;
        Some(Self { key: keys.iter().fold(0, fold), threshold, scale: 1.0 / (1.0 - probability) })
    }

    #[inline(always)]
    fn factor(self, index: u32) -> f32 {
        if mix(index.wrapping_mul(0x9e37_79b9) ^ self.key) < self.threshold { 0.0 } else { self.scale }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "patterns may repeat after 2^32 elements")]
fn index_of(piece: usize) -> u32 {
    (piece * PIECE) as u32
}

/// Drops elements of `x`.
pub(crate) fn apply(dropout: Option<Dropout>, x: &mut [f32]) {
    let Some(dropout) = dropout else { return };
    x.par_chunks_mut(PIECE).enumerate().for_each(|(piece, x)| apply_piece(dropout, x, index_of(piece)));
}

math::vectorised_fn! {
    fn apply_piece<'a>(dropout: Dropout, x: &'a mut [f32], first: u32) -> () {
        for (x, index) in x.iter_mut().zip(first..) {
            *x *= dropout.factor(index);
        }
    }
}

/// Writes `x` plus what is kept of `y` to `target`.
pub(crate) fn add(dropout: Option<Dropout>, target: &mut [f32], x: &[f32], y: &[f32]) {
    let pieces = target.par_chunks_mut(PIECE).zip(x.par_chunks(PIECE)).zip(y.par_chunks(PIECE));
    pieces
        .enumerate()
        .for_each(|(piece, ((target, x), y))| add_piece(dropout, target, x, y, index_of(piece)));
}

math::vectorised_fn! {
    fn add_piece<'a>(dropout: Option<Dropout>, target: &'a mut [f32], x: &'a [f32], y: &'a [f32], first: u32) -> () {
        match dropout {
            None => {
                for ((target, &x), &y) in target.iter_mut().zip(x).zip(y) {
                    *target = x + y;
                }
            }
            Some(dropout) => {
                for (((target, &x), &y), index) in target.iter_mut().zip(x).zip(y).zip(first..) {
                    *target = x + y * dropout.factor(index);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_the_share_asked_for_and_keeps_the_sum() {
        let mut x = vec![1.0; 100_000];
        apply(Dropout::new(0.1, &[1, 2, 3]), &mut x);
        let dropped = x.iter().filter(|&&x| x == 0.0).count();
        assert!((9_500..10_500).contains(&dropped), "{dropped}");
        assert!(x.iter().all(|&x| x == 0.0 || (x - 1.0 / 0.9).abs() < 1e-6));
    }

    #[test]
    fn patterns_of_different_keys_differ_and_of_the_same_do_not() {
        let pattern = |keys: &[u64]| {
            let mut x = vec![1.0; 1000];
            apply(Dropout::new(0.5, keys), &mut x);
            x
        };
        assert_eq!(pattern(&[7, 1]), pattern(&[7, 1]));
        for other in [[7, 2], [8, 1], [7 + (1 << 32), 1]] {
            let (a, b) = (pattern(&[7, 1]), pattern(&other));
            let equal = a.iter().zip(&b).filter(|(a, b)| a == b).count();
            assert!((400..600).contains(&equal), "{equal}");
        }
    }

    #[test]
    fn both_forms_drop_the_same_elements() {
        let dropout = Dropout::new(0.3, &[5]);
        let (mut x, mut sum) = (vec![2.0; 40_000], vec![0.0; 40_000]);
        add(dropout, &mut sum, &vec![1.0; 40_000], &x);
        apply(dropout, &mut x);
        assert!(x.iter().zip(&sum).all(|(x, sum)| x + 1.0 == *sum));
    }
}
