//! Takes from one prefill: what they may depend on, and what ends them.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use continuo_model::{Ending, Gpt2, Guide, ModelError, Prompt, Sampling, generate};

fn model() -> Gpt2 {
    Gpt2::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/plain")).unwrap()
}

/// Lets everything in `ids` pass until `wanted` ids were chosen.
#[derive(Clone)]
struct Count {
    ids: Range<u32>,
    wanted: usize,
    chosen: Vec<u32>,
    /// How many had been chosen whenever the window was full, and what was left then.
    shortened: Vec<(usize, Vec<u32>)>,
}

impl Count {
    fn new(ids: Range<u32>, wanted: usize) -> Self {
        Self { ids, wanted, chosen: Vec::new(), shortened: Vec::new() }
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
        let rest = Guide::shortened(self, history, max);
        self.shortened.push((self.chosen.len(), rest.clone()));
        rest
    }

    fn shortened(&self, history: &[u32], max: usize) -> Vec<u32> {
        history[history.len() - history.len().min(max)..].to_vec()
    }
}

const SAMPLING: Sampling =
    Sampling { temperature: 1.0, top_k: 0, top_p: 1.0, min_p: 0.0, no_repeat: 0, seed: 3 };
const PROMPT: [u32; 5] = [1, 4, 2, 7, 3];

/// Continues [`PROMPT`], of which nothing has been read.
fn go_on(
    model: &Gpt2,
    guides: &mut [Count],
    sampling: &Sampling,
    cancelled: &(dyn Fn() -> bool + Sync),
) -> Result<Ending, ModelError> {
    generate(model, &mut Prompt::new(model), &PROMPT, guides, sampling, cancelled)
}

fn takes(sampling: Sampling, count: usize, length: usize) -> Vec<Vec<u32>> {
    let mut guides = vec![Count::new(2..20, length); count];
    let ending = go_on(&model(), &mut guides, &sampling, &|| false).unwrap();
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
    let expected = greedy(&model, &PROMPT, &Count::new(2..20, 6));
    assert_eq!(takes(sampling, 2, 6), [expected.clone(), expected]);
}

/// What the model is to read after the window was full is read ahead, a little at a time:
/// the takes have to be what they would be if it were read when the time comes.
#[test]
fn a_take_goes_on_past_the_window() {
    let model = model();
    let window = model.config().n_positions;
    let sampling = Sampling { temperature: 0.0, ..SAMPLING };
    for length in [PROMPT.len(), window - 3, window] {
        let ids: Vec<u32> = PROMPT.into_iter().cycle().take(length).collect();
        let mut guides = vec![Count::new(2..20, window * 3); 2];
        generate(&model, &mut Prompt::new(&model), &ids, &mut guides, &sampling, &|| false).unwrap();
        for guide in &guides {
            assert_eq!(guide.chosen.len(), window * 3);
            assert!(guide.shortened.len() >= 5, "shortened {} times", guide.shortened.len());
            assert_eq!(guide.chosen, greedy(&model, &ids, guide));
        }
    }
}

/// Other ids may follow whenever its history has been shortened.
struct Turning {
    count: Count,
    refused: usize,
}

impl Turning {
    fn ids(&self) -> Range<u32> {
        if self.count.shortened.len().is_multiple_of(2) { 2..10 } else { 10..20 }
    }
}

impl Guide for Turning {
    fn allowed(&mut self, ids: &mut Vec<Range<u32>>) {
        self.count.ids = self.ids();
        self.count.allowed(ids);
    }

    fn accept(&mut self, id: u32) {
        self.refused += usize::from(!self.ids().contains(&id));
        self.count.accept(id);
    }

    fn shorten(&mut self, history: &[u32], max: usize) -> Vec<u32> {
        Guide::shorten(&mut self.count, history, max)
    }

    fn shortened(&self, history: &[u32], max: usize) -> Vec<u32> {
        self.count.shortened(history, max)
    }
}

/// An id was chosen among those that could have followed before the window moved, and an
/// answer could end in an error where it did.
#[test]
fn what_may_follow_is_asked_again_when_the_window_has_moved() {
    let model = model();
    let count = Count::new(2..10, model.config().n_positions * 3);
    let mut guides = [Turning { count, refused: 0 }];
    generate(&model, &mut Prompt::new(&model), &PROMPT, &mut guides, &SAMPLING, &|| false).unwrap();
    assert!(guides[0].count.shortened.len() >= 5);
    assert_eq!(guides[0].refused, 0);
}

/// What the likeliest ids are, one uncached call an id, given where the guide shortened.
fn greedy(model: &Gpt2, prompt: &[u32], guide: &Count) -> Vec<u32> {
    let mut history = prompt.to_vec();
    let mut shortened = guide.shortened.iter().peekable();
    let mut chosen = Vec::new();
    while chosen.len() < guide.wanted {
        if let Some((_, rest)) = shortened.next_if(|(at, _)| *at == chosen.len()) {
            history.clone_from(rest);
        }
        let logits = model.forward(&history, &mut model.cache()).unwrap();
        let best = (2_u32..20).reduce(|a, b| if logits[b as usize] > logits[a as usize] { b } else { a });
        history.push(best.unwrap());
        chosen.push(best.unwrap());
    }
    chosen
}

#[test]
fn cancelling_ends_before_the_next_id() {
    let asked = AtomicUsize::new(0);
    let cancelled = || asked.fetch_add(1, Ordering::Relaxed) >= 7;
    let mut guides = vec![Count::new(2..20, 100); 2];
    let ending = go_on(&model(), &mut guides, &SAMPLING, &cancelled).unwrap();
    assert_eq!(ending, Ending::Cancelled);
    // Asked once before the prefill, then before every id.
    assert_eq!(guides.iter().map(|g| g.chosen.len()).sum::<usize>(), 6);
}

#[test]
fn ids_past_the_vocabulary_are_refused() {
    let vocabulary = u32::try_from(model().config().vocab_size).unwrap();
    let mut guides = [Count::new(vocabulary..vocabulary + 3, 5)];
    let error = go_on(&model(), &mut guides, &SAMPLING, &|| false).unwrap_err();
    assert!(error.to_string().contains("vocabulary"), "{error}");
}
