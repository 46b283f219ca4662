//! Arithmetic on slices that compilers turn into vector instructions: written
//! in independent lanes, because the order of floating-point sums is fixed.

use rayon::prelude::*;

/// Independent partial sums; enough for two vectors of the widest kind.
const LANES: usize = 32;

/// Rows that one piece of a reduction over rows takes.
const REDUCED_ROWS: usize = 128;

/// Runs `f` compiled for the vector instructions this processor has. A large closure
/// may stay as it is, as a function of its own: then see [`vectorised_fn`].
#[inline]
pub(crate) fn vectorised<R>(f: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(f)
}

/// Defines a function that is compiled for the vector instructions this processor
/// has, however long it is: other than a closure, a method can be told to be a part of
/// what calls it. A type it is generic over stands after a semicolon.
macro_rules! vectorised_fn {
    (
        $(#[$meta:meta])*
        $vis:vis fn $name:ident<$life:lifetime $(, const $n:ident: usize)? $(; $w:ident: $bound:path)?>(
            $($argument:ident: $type:ty),* $(,)?
        ) -> $output:ty $body:block
    ) => {
        $(#[$meta])*
        $vis fn $name<$life $(, const $n: usize)? $(, $w: $bound)?>($($argument: $type),*) -> $output {
            struct Given<$life $(, const $n: usize)? $(, $w: $bound)?>($($type),*);

            impl<$life $(, const $n: usize)? $(, $w: $bound)?> pulp::NullaryFnOnce
                for Given<$life $(, $n)? $(, $w)?>
            {
                type Output = $output;

                #[inline(always)]
                fn call(self) -> $output {
                    let Self($($argument),*) = self;
                    $body
                }
            }

            pulp::Arch::new().dispatch(Given::<$life $(, $n)? $(, $w)?>($($argument),*))
        }
    };
}
pub(crate) use vectorised_fn;

/// `e^x`, to a relative error of about 1e-7 between the smallest and largest normal numbers; outside, these.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    const LOG2_E: f32 = std::f32::consts::LOG2_E;
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    // Adding this number leaves the nearest integer in the low bits of the sum.
    const ROUND: f32 = 12_582_912.0;
    let x = x.clamp(-87.3, 88.3);
    let shifted = x * LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (x - n * LN_2_HIGH) - n * LN_2_LOW;
    let mut p = 1.987_569_1e-4;
    p = p * r + 1.398_2e-3;
    p = p * r + 8.333_452e-3;
    p = p * r + 4.166_579_6e-2;
    p = p * r + 1.666_666_5e-1;
    p = p * r + 0.5;
    p = p * r * r + r + 1.0;
    let exponent = shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127);
    p * f32::from_bits(exponent << 23)
}

/// GELU by its tanh approximation (Hendrycks and Gimpel 2016, <https://arxiv.org/abs/1606.08415>).
#[inline(always)]
pub(crate) fn gelu_tanh(x: f32) -> f32 {
    const ROOT: f32 = 0.797_884_6; // sqrt(2 / pi)
    let inner = ROOT * (x + 0.044_715 * x * x * x);
    // (1 + tanh(y)) / 2 is the logistic function of 2 y.
    x / (1.0 + exp(-2.0 * inner))
}

/// GELU by the error function, which is taken from Abramowitz and Stegun, Handbook of
/// Mathematical Functions (1964), 7.1.26: off by 1.5e-7 at most.
#[inline(always)]
pub(crate) fn gelu_erf(x: f32) -> f32 {
    let z = (x * std::f32::consts::FRAC_1_SQRT_2).abs();
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let p = ((((1.061_405_4 * t - 1.453_152) * t + 1.421_413_7) * t - 0.284_496_74) * t + 0.254_829_6) * t;
    let tail = p * exp(-z * z);
    0.5 * x * if x < 0.0 { tail } else { 2.0 - tail }
}

/// The sum of `f` over the elements of `a` and `b` at the same places.
#[inline(always)]
pub(crate) fn sum2(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32) -> f32 {
    let mut lanes = [0.0; LANES];
    let (a, b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f32 = a.remainder().iter().zip(b.remainder()).map(|(&a, &b)| f(a, b)).sum();
    for (a, b) in a.zip(b) {
        for (lane, (&a, &b)) in lanes.iter_mut().zip(a.iter().zip(b)) {
            *lane += f(a, b);
        }
    }
    total(lanes) + rest
}

/// The sum of the lanes: halves are added, and the halves of that, as one after the
/// other would wait for the one before.
#[inline(always)]
fn total(mut lanes: [f32; LANES]) -> f32 {
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            lanes[lane] += lanes[lane + half];
        }
        half /= 2;
    }
    lanes[0]
}

/// The sum of `f` over the elements of `a`.
#[inline(always)]
pub(crate) fn sum(a: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    sum2(a, a, |a, _| f(a))
}

/// The largest element.
#[inline(always)]
pub(crate) fn max(a: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let chunks = a.chunks_exact(LANES);
    let rest = chunks.remainder().iter().copied().fold(f32::NEG_INFINITY, f32::max);
    for chunk in chunks {
        for (lane, &a) in lanes.iter_mut().zip(chunk) {
            *lane = if a > *lane { a } else { *lane };
        }
    }
    lanes.iter().copied().fold(rest, f32::max)
}

/// The largest of the elements' distances from 0.
#[inline(always)]
pub(crate) fn largest(a: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    let chunks = a.chunks_exact(LANES);
    let rest = chunks.remainder().iter().fold(0.0_f32, |largest, a| largest.max(a.abs()));
    for chunk in chunks {
        for (lane, &a) in lanes.iter_mut().zip(chunk) {
            *lane = if a.abs() > *lane { a.abs() } else { *lane };
        }
    }
    lanes.iter().copied().fold(rest, f32::max)
}

/// `target += source`.
#[inline(always)]
pub(crate) fn add(target: &mut [f32], source: &[f32]) {
    for (target, &source) in target.iter_mut().zip(source) {
        *target += source;
    }
}

/// Adds to `target` what `piece` gathers from every range of the `rows`. The
/// ranges are worked on in parallel and added up in order.
pub(crate) fn reduce_rows(
    rows: usize,
    target: &mut [f32],
    piece: impl Fn(std::ops::Range<usize>, &mut [f32]) + Sync,
) {
    let width = target.len();
    let pieces: Vec<Vec<f32>> = (0..rows.div_ceil(REDUCED_ROWS))
        .into_par_iter()
        .map(|index| {
            let mut partial = vec![0.0; width];
            let start = index * REDUCED_ROWS;
            piece(start..rows.min(start + REDUCED_ROWS), &mut partial);
            partial
        })
        .collect();
    for partial in &pieces {
        vectorised(|| add(target, partial));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_within_rounding_of_the_true_value() {
        for i in -8700..8800i16 {
            let x = f32::from(i) / 100.0;
            let (ours, exact) = (f64::from(exp(x)), f64::from(x).exp());
            assert!((ours / exact - 1.0).abs() < 3e-7, "{x}: {ours} {exact}");
        }
        assert!(exp(f32::NEG_INFINITY) < 1e-37);
        assert!(exp(-1e30) < 1e-37);
    }

    #[test]
    fn sums_and_maxima_take_every_element() {
        for n in 0..100u8 {
            let a: Vec<f32> = (0..n).map(f32::from).collect();
            let n = f32::from(n);
            assert_eq!(sum(&a, |x| x), n * (n - 1.0) / 2.0);
            assert_eq!(max(&a), if n > 0.0 { n - 1.0 } else { f32::NEG_INFINITY });
        }
    }
}
