//! What keeping weights in bytes costs: pieces of music, foretold id by id.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::fs;
use std::path::Path;

use continuo_codec::{Beat, Encoding as _, midi};
use continuo_model::Network as _;
use continuo_model::cpu::{Cpu, Precision};

/// The mean of -ln(probability) of each id after the ones before it.
fn loss(model: &Cpu, pieces: &[Vec<u32>]) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0);
    for piece in pieces {
        let mut cache = model.cache();
        for pair in piece.windows(2) {
            let logits = model.read_one(&pair[..1], &mut cache).unwrap();
            let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let total: f64 = logits.iter().map(|&logit| f64::from(logit - max).exp()).sum();
            let logit = logits[usize::try_from(pair[1]).unwrap()];
            sum += total.ln() - f64::from(logit - max);
            count += 1.0;
        }
    }
    sum / count
}

#[test]
fn bytes_cost_the_default_model_half_a_hundredth_of_its_loss_at_most() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let model = root.join("assets/model");
    let window = Cpu::open(&model, Precision::F32).unwrap().config().n_positions;
    let songs = root.join("codec/tests/fixtures/text/mutopia_pd");
    let mut paths: Vec<_> = fs::read_dir(songs).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let scores = paths.iter().filter(|path| path.extension().is_some_and(|e| e == "mid"));
    let pieces: Vec<Vec<u32>> = scores
        .filter_map(|path| Beat.encode(&midi::read(&fs::read(path).unwrap()).ok()?).ok())
        .map(|ids| ids[..ids.len().min(window)].to_vec())
        .take(6)
        .collect();
    let exact = loss(&Cpu::open(&model, Precision::F32).unwrap(), &pieces);
    let bytes = loss(&Cpu::open(&model, Precision::Int8).unwrap(), &pieces);
    assert!(bytes < exact * 1.005, "{bytes} in bytes, {exact} in f32");
    println!("{} ids: {exact:.5} in f32, {bytes:.5} in bytes", pieces.iter().map(Vec::len).sum::<usize>());
}
