//! From logits to an id: a guard against going round in circles, temperature, top-k,
//! top-p, min-p, and a seeded choice.

use std::ops::Range;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// How ids are chosen. The filters act in this order: the allowed ids, the guard against
/// repetition, temperature, top-k, top-p, min-p (the order of Hugging Face transformers).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Logits are divided by it; 0 always takes the likeliest id.
    pub temperature: f32,
    /// Only the `top_k` likeliest ids remain; 0 keeps all.
    pub top_k: usize,
    /// Only the fewest ids whose probabilities reach `top_p` remain; 1 keeps all.
    pub top_p: f32,
    /// Only ids remain that are at least this share as likely as the likeliest; 0 keeps
    /// all (Nguyen et al. 2024, <https://arxiv.org/abs/2407.01082>).
    pub min_p: f32,
    /// No run of so many ids comes twice in a prompt and what follows it, as long as
    /// anything else is allowed; 0 lets it.
    pub no_repeat: usize,
    /// The same seed, prompt and model give the same ids.
    pub seed: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { temperature: 0.95, top_k: 0, top_p: 0.97, min_p: 0.0, no_repeat: 0, seed: 1 }
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

    /// Chooses one of the `allowed` ids (ranges of indices into `logits`) to follow
    /// `history`, or `None` if none of them is left or a logit is not a number.
    pub fn sample(&mut self, logits: &[f32], allowed: &[Range<u32>], history: &[u32]) -> Option<u32> {
        self.candidates.clear();
        for id in allowed.iter().flat_map(Clone::clone) {
            let logit = *logits.get(id as usize)?;
            if logit.is_nan() {
                return None;
            }
            self.candidates.push((logit, id));
        }
        self.drop_repeated(history);
        if self.sampling.temperature <= 0.0 {
            return self.likeliest();
        }
        self.keep_top_k();
        self.weigh();
        self.keep_top_p();
        self.keep_min_p();
        self.draw()
    }

    /// Drops ids that would end a run which has been there before.
    fn drop_repeated(&mut self, history: &[u32]) {
        let Some(before) = self.sampling.no_repeat.checked_sub(1) else { return };
        let Some(start) = history.len().checked_sub(before) else { return };
        let begun = &history[start..];
        let ended = |run: &[u32]| (run.split_last().filter(|(_, run)| *run == begun)).map(|(&id, _)| id);
        let repeated: Vec<u32> = history.windows(before + 1).filter_map(ended).collect();
        if self.candidates.iter().any(|(_, id)| !repeated.contains(id)) {
            self.candidates.retain(|(_, id)| !repeated.contains(id));
        }
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

    /// Of candidates sorted by weight.
    fn keep_min_p(&mut self) {
        let Some(&(most, _)) = self.candidates.first() else { return };
        let least = most * self.sampling.min_p;
        let kept = self.candidates.partition_point(|&(weight, _)| weight >= least);
        self.candidates.truncate(kept.max(1));
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
            counts[sampler.sample(logits, allowed, &[]).unwrap() as usize] += 1;
        }
        counts.into_iter().map(|c| f64::from(c) / 20_000.0).collect()
    }

    fn close(found: &[f64], expected: &[f64]) {
        for (f, e) in found.iter().zip(expected) {
            assert!((f - e).abs() < 0.015, "found {found:?}, expected {expected:?}");
        }
    }

    const PLAIN: Sampling =
        Sampling { temperature: 1.0, top_k: 0, top_p: 1.0, min_p: 0.0, no_repeat: 0, seed: 7 };
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
        // 0.15 is 0.3 of the likeliest's 0.5, and remains at exactly that share or less.
        close(&shares(Sampling { min_p: 0.29, ..PLAIN }, &LOGITS, &[0..4]), &[0.526, 0.316, 0.158, 0.0]);
        close(&shares(Sampling { min_p: 0.31, ..PLAIN }, &LOGITS, &[0..4]), &[0.625, 0.375, 0.0, 0.0]);
    }

    #[test]
    #[expect(clippy::single_range_in_vec_init, reason = "a set of one range")]
    fn no_run_comes_twice_while_anything_else_is_allowed() {
        let sampling = Sampling { no_repeat: 3, ..PLAIN };
        let mut sampler = Sampler::new(&sampling, 0);
        let mut history = vec![0, 1];
        // Too few to have said all four after one pair, which leaves nothing else.
        for _ in 0..20 {
            history.push(sampler.sample(&LOGITS, &[0..4], &history).unwrap());
        }
        let runs: std::collections::HashSet<_> = history.windows(3).collect();
        assert_eq!(runs.len(), 20, "{history:?}");
        // Nothing else is allowed: then it may.
        assert_eq!(sampler.sample(&LOGITS, &[1..2], &[0, 2, 1, 0, 2]), Some(1));
        assert_eq!(sampler.sample(&LOGITS, &[1..2, 3..4], &[0, 2, 1, 0, 2]), Some(3));
        let mut once = Sampler::new(&Sampling { no_repeat: 1, ..PLAIN }, 0);
        assert_eq!(once.sample(&LOGITS, &[0..4], &[3, 0, 2]), Some(1));
    }

    #[test]
    fn nothing_comes_of_nothing() {
        let mut sampler = Sampler::new(&PLAIN, 0);
        assert_eq!(sampler.sample(&LOGITS, &[], &[]), None);
        assert_eq!(sampler.sample(&[f32::NAN, 0.0], &[0..1, 1..2], &[]), None);
        assert_eq!(sampler.sample(&LOGITS, &[2..3, 9..10], &[]), None);
    }

    #[test]
    #[expect(clippy::single_range_in_vec_init, reason = "a set of one range")]
    fn takes_differ_and_repeat() {
        let draw = |seed, take| {
            let mut s = Sampler::new(&Sampling { seed, ..PLAIN }, take);
            (0..40).map(|_| s.sample(&LOGITS, &[0..4], &[]).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(draw(1, 0), draw(1, 0));
        assert_ne!(draw(1, 0), draw(1, 1));
        assert_ne!(draw(1, 0), draw(2, 0));
    }
}
