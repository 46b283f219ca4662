//! From logits to an id: temperature, top-k, top-p, and a seeded choice.

use std::ops::Range;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// How ids are chosen. The filters act in this order: the allowed ids,
/// temperature, top-k, top-p (the order of Hugging Face transformers).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Logits are divided by it; 0 always takes the likeliest id.
    pub temperature: f32,
    /// Only the `top_k` likeliest ids remain; 0 keeps all.
    pub top_k: usize,
    /// Only the fewest ids whose probabilities reach `top_p` remain; 1 keeps all.
    pub top_p: f32,
    /// The same seed, prompt and model give the same ids.
    pub seed: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { temperature: 0.95, top_k: 0, top_p: 0.97, seed: 1 }
    }
}

/// Chooses the ids of one take.
pub struct Sampler {
    sampling: Sampling,
    rng: ChaCha8Rng,
    /// (weight, id) of the candidates; kept to spare allocations.
    candidates: Vec<(f32, u32)>,
}

impl Sampler {
    /// A sampler for one take: takes of one seed differ, and take 2 is the same
    /// whether or not a take 3 was asked for.
    #[must_use]
    pub fn new(sampling: &Sampling, take: usize) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(sampling.seed);
        rng.set_stream(take as u64);
        Self { sampling: *sampling, rng, candidates: Vec::new() }
    }

    /// Chooses one of the `allowed` ids (ranges of indices into `logits`), or
    /// `None` if none of them is left or a logit is not a number.
    pub fn sample(&mut self, logits: &[f32], allowed: &[Range<u32>]) -> Option<u32> {
        self.candidates.clear();
        for id in allowed.iter().flat_map(Clone::clone) {
            let logit = *logits.get(id as usize)?;
            if logit.is_nan() {
                return None;
            }
            self.candidates.push((logit, id));
        }
        if self.sampling.temperature <= 0.0 {
            return self.likeliest();
        }
        self.keep_top_k();
        self.weigh();
        self.keep_top_p();
        self.draw()
    }

    fn likeliest(&self) -> Option<u32> {
        // The first of equals wins, so the choice never depends on anything else.
        self.candidates
            .iter()
            .copied()
            .reduce(|best, next| if next.0 > best.0 { next } else { best })
            .map(|(_, id)| id)
    }

    fn keep_top_k(&mut self) {
        let k = self.sampling.top_k;
        if k > 0 && k < self.candidates.len() {
            self.candidates.select_nth_unstable_by(k - 1, likelier_first);
            self.candidates.truncate(k);
        }
    }

    /// Turns logits into probabilities: softmax of logits / temperature.
    fn weigh(&mut self) {
        let top = self.candidates.iter().map(|c| c.0).fold(f32::NEG_INFINITY, f32::max);
        let mut sum = 0.0;
        for (weight, _) in &mut self.candidates {
            *weight = ((*weight - top) / self.sampling.temperature).exp();
            sum += *weight;
        }
        for (weight, _) in &mut self.candidates {
            *weight /= sum;
        }
    }

    /// Nucleus sampling (Holtzman et al. 2019, "The Curious Case of Neural Text
    /// Degeneration"): the id that crosses `top_p` is kept.
    fn keep_top_p(&mut self) {
        // Sorted in any case: the draw must not depend on how top-k partitioned.
        self.candidates.sort_unstable_by(likelier_first);
        if self.sampling.top_p >= 1.0 {
            return;
        }
        let mut sum = 0.0;
        let kept = self.candidates.iter().take_while(|(weight, _)| {
            let before = sum;
            sum += weight;
            before < self.sampling.top_p
        });
        let kept = kept.count().max(1);
        self.candidates.truncate(kept);
    }

    fn draw(&mut self) -> Option<u32> {
        let total: f32 = self.candidates.iter().map(|c| c.0).sum();
        let mut at = self.rng.random::<f32>() * total;
        for &(weight, id) in &self.candidates {
            at -= weight;
            if at < 0.0 {
                return Some(id);
            }
        }
        // Rounding can leave a sliver past the last one.
        self.candidates.last().map(|&(_, id)| id)
    }
}

/// Descending by weight, then ascending by id.
fn likelier_first(a: &(f32, u32), b: &(f32, u32)) -> std::cmp::Ordering {
    b.0.total_cmp(&a.0).then(a.1.cmp(&b.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(sampling: Sampling, logits: &[f32], allowed: &[Range<u32>]) -> Vec<f64> {
        let mut sampler = Sampler::new(&sampling, 0);
        let mut counts = vec![0_u32; logits.len()];
        for _ in 0..20_000 {
            counts[sampler.sample(logits, allowed).unwrap() as usize] += 1;
        }
        counts.into_iter().map(|c| f64::from(c) / 20_000.0).collect()
    }

    fn close(found: &[f64], expected: &[f64]) {
        for (f, e) in found.iter().zip(expected) {
            assert!((f - e).abs() < 0.015, "found {found:?}, expected {expected:?}");
        }
    }

    const PLAIN: Sampling = Sampling { temperature: 1.0, top_k: 0, top_p: 1.0, seed: 7 };
    /// ln of 50, 30, 15 and 5: shares of 100.
    const LOGITS: [f32; 4] = [3.912_023, 3.401_197, 2.708_05, 1.609_438];

    #[test]
    #[expect(clippy::single_range_in_vec_init, reason = "a set of one range")]
    fn draws_follow_the_probabilities() {
        close(&shares(PLAIN, &LOGITS, &[0..4]), &[0.5, 0.3, 0.15, 0.05]);
        // At temperature 0.5 probabilities are squared: 25 : 9 : 2.25 : 0.25 of 36.5.
        let sampling = Sampling { temperature: 0.5, ..PLAIN };
        close(&shares(sampling, &LOGITS, &[0..4]), &[0.6849, 0.2466, 0.0616, 0.0068]);
    }

    #[test]
    #[expect(clippy::single_range_in_vec_init, reason = "a set of one range")]
    fn filters_keep_the_likeliest() {
        close(&shares(Sampling { top_k: 2, ..PLAIN }, &LOGITS, &[0..4]), &[0.625, 0.375, 0.0, 0.0]);
        // 0.5 + 0.3 reach 0.7, so two remain; exactly 0.5 is reached by one.
        close(&shares(Sampling { top_p: 0.7, ..PLAIN }, &LOGITS, &[0..4]), &[0.625, 0.375, 0.0, 0.0]);
        close(&shares(Sampling { top_p: 0.4, ..PLAIN }, &LOGITS, &[0..4]), &[1.0, 0.0, 0.0, 0.0]);
        close(&shares(PLAIN, &LOGITS, &[1..2, 3..4]), &[0.0, 0.857, 0.0, 0.143]);
    }

    #[test]
    fn nothing_comes_of_nothing() {
        let mut sampler = Sampler::new(&PLAIN, 0);
        assert_eq!(sampler.sample(&LOGITS, &[]), None);
        assert_eq!(sampler.sample(&[f32::NAN, 0.0], &[0..1, 1..2]), None);
        assert_eq!(sampler.sample(&LOGITS, &[2..3, 9..10]), None);
    }

    #[test]
    #[expect(clippy::single_range_in_vec_init, reason = "a set of one range")]
    fn takes_differ_and_repeat() {
        let draw = |seed, take| {
            let mut s = Sampler::new(&Sampling { seed, ..PLAIN }, take);
            (0..40).map(|_| s.sample(&LOGITS, &[0..4]).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(draw(1, 0), draw(1, 0));
        assert_ne!(draw(1, 0), draw(1, 1));
        assert_ne!(draw(1, 0), draw(2, 0));
    }
}
