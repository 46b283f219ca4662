//! An n-gram model: what every trained model is compared with.
//!
//! Interpolated modified Kneser-Ney smoothing (S. F. Chen and J. Goodman, "An
//! empirical study of smoothing techniques for language modeling", 1998, section
//! 3). With `h` the last n-1 ids, `h'` the same without its first, and `c` the
//! counts of an order (how often `h w` occurs for the highest order; in how many
//! different contexts for the lower ones):
//!
//! ```text
//! P_n(w | h) = max(c(h w) - D(c(h w)), 0) / c(h .)
//!            + (D1 N1(h .) + D2 N2(h .) + D3 N3+(h .)) / c(h .) * P_n-1(w | h')
//! P_0(w)     = 1 / vocabulary
//! D(1) = D1 = 1 - 2Y n2/n1   D(2) = D2 = 2 - 3Y n3/n2   D(3+) = D3 = 3 - 4Y n4/n3
//! Y = n1 / (n1 + 2 n2)       n_i: how many n-grams of the order have count i
//! ```
//!
//! A context that never occurred passes on to the shorter one. The start of a
//! piece counts as a context of its own; its first id is given, never predicted.

use std::collections::HashMap;

/// The order: four ids are looked back at, as a fifth is predicted.
const ORDER: usize = 5;

/// Bits an id takes in a key; a context of four fits a `u64`, an n-gram a `u128`.
const ID_BITS: u32 = 16;

/// Stands before the first id of a piece. No vocabulary reaches it.
const START: u64 = 0xffff;

/// Discounts where counts are too few to estimate them.
const FALLBACK_DISCOUNTS: [f64; 3] = [0.5, 1.0, 1.5];

/// What followed one context.
struct Context {
    /// Where its words begin in [`Order::words`].
    first: usize,
    /// How many different words followed.
    kinds: usize,
    /// The sum of their counts.
    total: f64,
    /// The share given to the shorter context.
    rest: f64,
}

/// One order's table.
struct Order {
    contexts: HashMap<u64, Context>,
    /// For each context its words in ascending order, with their counts.
    words: Vec<(u64, u32)>,
    discounts: [f64; 3],
}

/// An interpolated 5-gram model over token ids.
pub struct NGram {
    orders: Vec<Order>,
    vocabulary: f64,
}

impl NGram {
    /// Counts pieces (or chunks of them).
    ///
    /// # Panics
    /// For ids of 65,535 and above, which no encoding has.
    #[must_use]
    pub fn train<'a>(pieces: impl Iterator<Item = &'a [u32]>, vocabulary: usize) -> Self {
        let mut grams = Vec::new();
        for piece in pieces {
            grams.extend((1..piece.len()).map(|at| gram(piece, at)));
        }
        let mut counted = runs(&mut grams);
        let mut orders = Vec::new();
        for order in (1..=ORDER).rev() {
            let shorter = lower(&counted, order);
            orders.push(Order::new(&counted));
            counted = shorter;
        }
        orders.reverse();
        #[expect(clippy::cast_precision_loss, reason = "vocabularies are far below 2^52")]
        let vocabulary = vocabulary as f64;
        Self { orders, vocabulary }
    }

    /// The summed negative log-likelihood in nats of a piece's ids, the first
    /// excepted, and how many they are.
    #[must_use]
    pub fn evaluate(&self, piece: &[u32]) -> (f64, usize) {
        let nats = (1..piece.len()).map(|at| -self.probability(gram(piece, at)).ln()).sum();
        (nats, piece.len().saturating_sub(1))
    }

    fn probability(&self, gram: u128) -> f64 {
        let (context, word) = split(gram);
        let mut probability = 1.0 / self.vocabulary;
        for (order, table) in self.orders.iter().enumerate() {
            probability = table.interpolate(context & mask(order), word, probability);
        }
        probability
    }
}

impl Order {
    /// Groups counted n-grams, which are sorted, by context.
    fn new(counted: &[(u128, u32)]) -> Self {
        let discounts = discounts(counted);
        let mut contexts = HashMap::new();
        let mut words: Vec<(u64, u32)> = Vec::with_capacity(counted.len());
        for group in counted.chunk_by(|a, b| split(a.0).0 == split(b.0).0) {
            let first = words.len();
            words.extend(group.iter().map(|&(gram, count)| (split(gram).1, count)));
            let total: f64 = group.iter().map(|&(_, count)| f64::from(count)).sum();
            let freed: f64 = group.iter().map(|&(_, count)| discount(discounts, count)).sum();
            let context = Context { first, kinds: group.len(), total, rest: freed / total };
            contexts.insert(split(group[0].0).0, context);
        }
        Self { contexts, words, discounts }
    }

    fn interpolate(&self, context: u64, word: u64, shorter: f64) -> f64 {
        let Some(seen) = self.contexts.get(&context) else { return shorter };
        let words = &self.words[seen.first..seen.first + seen.kinds];
        let own = match words.binary_search_by_key(&word, |w| w.0) {
            Ok(at) => (f64::from(words[at].1) - discount(self.discounts, words[at].1)).max(0.0) / seen.total,
            Err(_) => 0.0,
        };
        own + seen.rest * shorter
    }
}

/// The id at `at` with the four before it: the oldest in the highest bits.
fn gram(piece: &[u32], at: usize) -> u128 {
    (0..ORDER).rev().fold(0, |key, back| {
        let id = at.checked_sub(back).map_or(START, |i| u64::from(piece[i]));
        assert!(id < START || back > at, "an id of {id} is beyond every vocabulary");
        key << ID_BITS | u128::from(id)
    })
}

/// An n-gram's context and word.
fn split(gram: u128) -> (u64, u64) {
    let low = |bits: u128| u64::try_from(bits & u128::from(u64::MAX)).unwrap_or_default();
    (low(gram >> ID_BITS), low(gram) & START)
}

/// Keeps the last `ids` ids of a context.
const fn mask(ids: usize) -> u64 {
    if ids == 0 { 0 } else { u64::MAX >> (64 - 16 * ids) }
}

/// Sorts n-grams and counts equal ones.
fn runs(grams: &mut [u128]) -> Vec<(u128, u32)> {
    grams.sort_unstable();
    grams.chunk_by(|a, b| a == b).map(|run| (run[0], u32::try_from(run.len()).unwrap_or(u32::MAX))).collect()
}

/// From the n-grams of an order to those of the next lower one, each counted once
/// for every different id before it.
fn lower(counted: &[(u128, u32)], order: usize) -> Vec<(u128, u32)> {
    let keep = if order <= 1 { 0 } else { u128::MAX >> (128 - 16 * (order - 1)) };
    let mut shorter: Vec<u128> = counted.iter().map(|&(gram, _)| gram & keep).collect();
    runs(&mut shorter)
}

fn discounts(counted: &[(u128, u32)]) -> [f64; 3] {
    let mut n = [0.0; 5];
    for &(_, count) in counted.iter().filter(|c| c.1 <= 4) {
        n[count as usize] += 1.0;
    }
    if n[1..].contains(&0.0) {
        return FALLBACK_DISCOUNTS;
    }
    let y = n[1] / (n[1] + 2.0 * n[2]);
    let estimated = [1.0 - 2.0 * y * n[2] / n[1], 2.0 - 3.0 * y * n[3] / n[2], 3.0 - 4.0 * y * n[4] / n[3]];
    let sound = estimated.iter().zip([1.0, 2.0, 3.0]).all(|(&d, most)| d > 0.0 && d < most);
    if sound { estimated } else { FALLBACK_DISCOUNTS }
}

fn discount(discounts: [f64; 3], count: u32) -> f64 {
    discounts[count.clamp(1, 3) as usize - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(model: &NGram, piece: &[u32], expected: &[f64]) {
        let (nats, targets) = model.evaluate(piece);
        let wanted: f64 = expected.iter().map(|p| -p.ln()).sum();
        assert_eq!(targets, expected.len());
        assert!((nats - wanted).abs() < 1e-12, "{nats} nats, not {wanted}");
    }

    /// One piece `0 1 0` over three ids has too few counts to estimate discounts, so
    /// they are 0.5, 1 and 1.5. By hand: each of its two words occurs once, so
    /// P_1(0) = P_1(1) = (1 - 0.5)/2 + 0.5 * 1/3 = 5/12 and P_1(2) = 1/6; each
    /// context has one word, so every longer order halves the distance to 1.
    #[test]
    fn equals_a_hand_computed_example() {
        let model = NGram::train([&[0, 1, 0][..]].into_iter(), 3);
        let (p1, p2) = (5.0 / 12.0, 0.5 + 0.5 * 5.0 / 12.0);
        let p5 = 1.0 - (7.0 / 12.0) / 16.0;
        check(&model, &[0, 1], &[p5]);
        check(&model, &[0, 1, 0], &[p5, p5]);
        // After an unknown id only the single id is known; then one id of context.
        check(&model, &[2, 1], &[p1]);
        check(&model, &[2, 0, 1], &[p1, p2]);
        // A word its context never had gets the shorter context's share.
        check(&model, &[0, 2], &[(1.0 / 6.0) / 16.0]);
        check(&model, &[0], &[]);
    }

    /// Counts 1 to 4 of single words, and the discounts the formula gives for them.
    #[test]
    fn discounts_are_those_of_chen_and_goodman() {
        // n1 = 8, n2 = 4, n3 = 2, n4 = 1: Y = 1/2, D1 = 1/2, D2 = 5/4, D3 = 2.
        let counts = [(1, 8), (2, 4), (3, 2), (4, 1)];
        let counted: Vec<(u128, u32)> =
            counts.iter().flat_map(|&(count, times)| vec![(0, count); times]).collect();
        let estimated = discounts(&counted);
        for (discount, expected) in estimated.iter().zip([0.5, 1.25, 2.0]) {
            assert!((discount - expected).abs() < 1e-12, "{estimated:?}");
        }
    }

    #[test]
    fn probabilities_of_all_ids_sum_to_one_after_any_history() {
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // Skewed, so that all counts occur.
            ((state >> 16) % 12).min((state >> 8) % 12)
        };
        let pieces: Vec<Vec<u32>> = (0..20).map(|_| (0..100).map(|_| next()).collect()).collect();
        let model = NGram::train(pieces.iter().map(Vec::as_slice), 12);
        assert!(model.orders.iter().any(|order| order.discounts != FALLBACK_DISCOUNTS));
        for history in [&[][..], &[3], &[11, 11, 11, 11], &[0, 1, 0, 2], &pieces[4][20..40]] {
            let with = |id: u32| [history, &[id]].concat();
            let sum: f64 = (0..12).map(|id| model.probability(gram(&with(id), history.len()))).sum();
            assert!((sum - 1.0).abs() < 1e-9, "{history:?}: {sum}");
        }
    }
}
