//! Model folders without a `continuo.json` answer too, MIDI Gen AI's and others', in
//! whatever their encoding counts inside, in beats outside.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use continuo_engine::{Engine, Instrument, Limits, Note, Request, Sampling, Score, TakeEvent, Tempo, Window};
use continuo_model::Config;
use continuo_model::train::{TrainConfig, Trainer};

/// A tiny GPT-2 with GPT-2's vocabulary and weights that know nothing.
fn model(folder: &std::path::Path, vocab_size: usize) {
    let config =
        Config { vocab_size, n_positions: 64, n_embd: 8, n_layer: 1, n_head: 2, ..Config::default() };
    let train = TrainConfig { context: 64, ..TrainConfig::default() };
    Trainer::new(config, train).unwrap().export(folder, true).unwrap();
}

/// Asks a model folder for two takes and checks what every answer keeps.
fn check(folder: &std::path::Path, encoding: &str) {
    let engine = Engine::open(folder).unwrap();
    assert_eq!(engine.encoding_name(), encoding);
    let mut phrase = Score::new(480);
    phrase.tempos.push(Tempo { tick: 0, micros_per_beat: 750_000 });
    phrase.notes = (0..12)
        .map(|n| Note {
            start: n * 240,
            duration: 240,
            pitch: 60,
            velocity: 80,
            instrument: Instrument::PIANO,
        })
        .collect();
    let window = Window { from: 8.0, until: 12.0 };
    let sampling = Sampling { temperature: 1.0, top_p: 1.0, seed: 5, ..Sampling::default() };
    let request = Request { phrase, window, takes: 2, sampling, limits: Limits::default(), pace: None };
    for wanted in 0..2 {
        let mut starts = Vec::new();
        let mut hear = |event| match event {
            TakeEvent::Note { take, note } if take == wanted => starts.push(note.start),
            _ => {}
        };
        engine.generate(&request, &|| false, &mut hear).unwrap();
        // Notes of some encodings are known in the order in which they end.
        starts.sort_by(f64::total_cmp);
        assert!((starts[0] - 8.0).abs() < 1e-9, "{encoding} begins at {}", starts[0]);
        assert!(starts.iter().all(|s| (8.0..12.0).contains(s)), "{encoding}: {starts:?}");
    }
}

#[test]
fn a_gpt2_without_a_spelling_speaks_midi_gen_ais_text() {
    let folder = tempfile::tempdir().unwrap();
    model(folder.path(), 50_257);
    check(folder.path(), "text");
}

#[test]
fn an_anticipatory_music_transformer_is_known_by_its_vocabulary() {
    let folder = tempfile::tempdir().unwrap();
    model(folder.path(), 55_028);
    check(folder.path(), "anticipation");
}

#[test]
fn a_model_of_miditok_s_is_known_by_the_tokenizer_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    model(folder.path(), 641);
    let tokenizer = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../codec/tests/fixtures/midilike/tokenizer.json");
    std::fs::copy(tokenizer, folder.path().join("tokenizer.json")).unwrap();
    check(folder.path(), "midilike");
    std::fs::write(folder.path().join("tokenizer.json"), "{}").unwrap();
    let error = Engine::open(folder.path()).err().unwrap().to_string();
    assert!(error.contains("tokenizer.json"), "{error}");
}

#[test]
fn a_vocabulary_nobody_knows_is_named() {
    let folder = tempfile::tempdir().unwrap();
    model(folder.path(), 1000);
    let error = Engine::open(folder.path()).err().unwrap().to_string();
    assert!(error.contains("continuo.json") && error.contains("is missing"), "{error}");
    std::fs::write(folder.path().join("continuo.json"), r#"{"encoding": "abc", "version": 1}"#).unwrap();
    let error = Engine::open(folder.path()).err().unwrap().to_string();
    assert!(error.contains("abc") && error.contains("beat, text"), "{error}");
    std::fs::write(folder.path().join("continuo.json"), r#"{"encoding": "text", "version": 1}"#).unwrap();
    let error = Engine::open(folder.path()).err().unwrap().to_string();
    assert!(error.contains("1000 ids") && error.contains("50257"), "{error}");
}
