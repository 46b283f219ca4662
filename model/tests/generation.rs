//! Takes from one prefill: what they may depend on, and what ends them.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::cell::Cell;
use std::ops::Range;
use std::path::Path;

use continuo_model::{Ending, Gpt2, Guide, Sampling, generate};

fn model() -> Gpt2 {
    Gpt2::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/plain")).unwrap()
}

/// Lets everything in `ids` pass until `wanted` ids were chosen.
#[derive(Clone)]
struct Count {
    ids: Range<u32>,
    wanted: usize,
    chosen: Vec<u32>,
    shortened: usize,
}

impl Count {
    fn new(ids: Range<u32>, wanted: usize) -> Self {
        Self { ids, wanted, chosen: Vec::new(), shortened: 0 }
    }
}

impl Guide for Count {
    fn allowed(&mut self, ids: &mut Vec<Range<u32>>) {
        ids.clear();
        if self.chosen.len() < self.wanted {
            ids.push(self.ids.clone());
        }
    }

    fn accept(&mut self, id: u32) {
        self.chosen.push(id);
    }

    fn shorten(&mut self, history: &[u32], max: usize) -> Vec<u32> {
        self.shortened += 1;
        history[history.len() - max..].to_vec()
    }
}

const SAMPLING: Sampling =
    Sampling { temperature: 1.0, top_k: 0, top_p: 1.0, min_p: 0.0, no_repeat: 0, seed: 3 };
const PROMPT: [u32; 5] = [1, 4, 2, 7, 3];

fn takes(sampling: Sampling, count: usize, length: usize) -> Vec<Vec<u32>> {
    let mut guides = vec![Count::new(2..20, length); count];
    let ending = generate(&model(), &PROMPT, &mut guides, &sampling, &|| false).unwrap();
    assert_eq!(ending, Ending::Complete);
    guides.into_iter().map(|g| g.chosen).collect()
}

#[test]
fn a_take_depends_on_its_seed_and_number_alone() {
    let four = takes(SAMPLING, 4, 12);
    assert_eq!(takes(SAMPLING, 2, 12), four[..2]);
    assert_eq!(takes(SAMPLING, 4, 12), four);
    assert_ne!(four[0], four[1]);
    assert_ne!(takes(Sampling { seed: 4, ..SAMPLING }, 4, 12), four);
}

#[test]
fn only_allowed_ids_are_chosen() {
    assert!(takes(SAMPLING, 8, 20).concat().iter().all(|id| (2..20).contains(id)));
}

/// At temperature 0 a take is the greedy continuation, so it can be checked
/// against the plain forward pass, one uncached call an id.
#[test]
fn greedy_takes_equal_the_uncached_forward_pass() {
    let model = model();
    let sampling = Sampling { temperature: 0.0, ..SAMPLING };
    let mut expected = Vec::new();
    let mut ids = PROMPT.to_vec();
    for _ in 0..10 {
        let logits = model.forward(&ids, &mut model.cache()).unwrap();
        let best = (2_u32..20).reduce(|a, b| if logits[b as usize] > logits[a as usize] { b } else { a });
        ids.push(best.unwrap());
        expected.push(best.unwrap());
    }
    assert_eq!(takes(sampling, 2, 10), [expected.clone(), expected]);
}

#[test]
fn a_take_goes_on_past_the_window() {
    let model = model();
    let wanted = model.config().n_positions * 3;
    let mut guides = [Count::new(2..20, wanted)];
    generate(&model, &PROMPT, &mut guides, &SAMPLING, &|| false).unwrap();
    assert_eq!(guides[0].chosen.len(), wanted);
    assert!(guides[0].shortened >= 4, "half a window at a time, shortened {}", guides[0].shortened);
}

#[test]
fn cancelling_ends_before_the_next_id() {
    let asked = Cell::new(0);
    let cancelled = || {
        asked.set(asked.get() + 1);
        asked.get() > 7
    };
    let mut guides = vec![Count::new(2..20, 100); 2];
    let ending = generate(&model(), &PROMPT, &mut guides, &SAMPLING, &cancelled).unwrap();
    assert_eq!(ending, Ending::Cancelled);
    // Asked once before the prefill, then before every id.
    assert_eq!(guides.iter().map(|g| g.chosen.len()).sum::<usize>(), 6);
}

#[test]
fn ids_past_the_vocabulary_are_refused() {
    let vocabulary = u32::try_from(model().config().vocab_size).unwrap();
    let mut guides = [Count::new(vocabulary..vocabulary + 3, 5)];
    let error = generate(&model(), &PROMPT, &mut guides, &SAMPLING, &|| false).unwrap_err();
    assert!(error.to_string().contains("vocabulary"), "{error}");
}
